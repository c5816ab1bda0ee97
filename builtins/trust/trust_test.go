// SPDX-License-Identifier: Apache-2.0

package trust_test

import (
	"bytes"
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp/armor"
	openpgp "github.com/ProtonMail/go-crypto/openpgp/v2"

	"github.com/chartseal/chartseal/builtins"
	"github.com/chartseal/chartseal/builtins/trust"
)

var _ builtins.Trust = (*trust.Store)(nil)
var _ builtins.Trust = (*trust.Snapshot)(nil)

// ring is a binary keyring with one new key.
func ring(t testing.TB) []byte {
	t.Helper()
	entity, err := openpgp.NewEntity("web", "", "web@example.com", nil)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := entity.Serialize(&out); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func armored(t testing.TB, raw []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := armor.Encode(&out, "PGP PUBLIC KEY BLOCK", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(raw); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func publicPEM(t testing.TB, key crypto.PublicKey) []byte {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

func ed25519Key(t testing.TB) []byte {
	t.Helper()
	public, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return publicPEM(t, public)
}

// fill is a number of that many bits; as a modulus it is as good as any to
// whoever only measures it.
func fill(bits uint) *big.Int {
	n := new(big.Int).Lsh(big.NewInt(1), bits)
	return n.Sub(n, big.NewInt(1))
}

func ecdsaKey(t testing.TB, curve elliptic.Curve) *ecdsa.PublicKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return &key.PublicKey
}

const root = `{"mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1", "tlogs": [{}]}`

// dir makes a trust directory; paths that end with a slash are directories.
func dir(t testing.TB, files map[string][]byte) string {
	t.Helper()
	at := t.TempDir()
	for name, raw := range files {
		write(t, filepath.Join(at, name), raw, strings.HasSuffix(name, "/"))
	}
	return at
}

func write(t testing.TB, path string, raw []byte, directory bool) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	err := error(nil)
	if directory {
		err = os.MkdirAll(path, 0o755)
	} else {
		err = os.WriteFile(path, raw, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func open(t testing.TB, at string) *trust.Store {
	t.Helper()
	store, err := trust.Open(at, builtins.DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	return store
}

func TestMaterialByName(t *testing.T) {
	t.Parallel()
	binary, key := ring(t), ed25519Key(t)
	store := open(t, dir(t, map[string][]byte{
		"keyrings/web.gpg": binary, "keyrings/web.team-2_x.asc": armored(t, binary),
		"keys/web.pub": key, "roots/public-good.json": []byte(root),
	}))
	for _, tt := range []struct {
		find func(string) (builtins.Material, error)
		name string
		want []byte
	}{
		{store.Keyring, "web", binary},
		{store.Keyring, "web.team-2_x", armored(t, binary)},
		{store.PublicKey, "web", key},
		{store.TrustedRoot, "public-good", []byte(root)},
	} {
		material, err := tt.find(tt.name)
		if err != nil {
			t.Fatal(err)
		}
		if material.Name != tt.name || !bytes.Equal(material.Raw, tt.want) || material.Digest != builtins.SHA256(tt.want) {
			t.Errorf("%s: got %s %s", tt.name, material.Name, material.Digest)
		}
	}
}

func TestUnknownNames(t *testing.T) {
	t.Parallel()
	many := map[string][]byte{"keys/web.pub": ed25519Key(t)}
	raw := ring(t)
	for _, name := range "abcdefghij" {
		many["keyrings/team-"+string(name)+".gpg"] = raw
	}
	store := open(t, dir(t, many))
	for _, tt := range []struct {
		find         func(string) (builtins.Material, error)
		name, reason string
	}{
		{store.Keyring, "taem-a", `no keyring is called "taem-a"; known are team-a, team-b, team-c, team-d, team-e, team-f, team-g, team-h and 2 more`},
		{store.Keyring, "", `no keyring is called ""; known are`},
		{store.Keyring, "../keys/web", `no keyring is called "../keys/web"`},
		{store.Keyring, "team-a.gpg", `no keyring is called "team-a.gpg"`},
		{store.PublicKey, "Web", `no public key is called "Web"; known are web`},
		{store.TrustedRoot, "web", `no trusted root is called "web"; the trust directory has none in roots`},
		{trust.Empty().Keyring, "web", `no configuration names a trust directory, so no keyring has a name: set trust.directory in chartseal.yaml and give it by --config or CHARTSEAL_CONFIG`},
		{open(t, "").PublicKey, "web", `no configuration names a trust directory, so no public key has a name`},
	} {
		_, err := tt.find(tt.name)
		if builtins.CodeOf(err) != builtins.InvalidOptions || !strings.Contains(err.Error(), tt.reason) {
			t.Errorf("%q: got %s %v, want %s", tt.name, builtins.CodeOf(err), err, tt.reason)
		}
	}
}

func TestEmptyStores(t *testing.T) {
	t.Parallel()
	want := trust.Empty().Digest()
	for _, at := range []string{"", t.TempDir(), dir(t, map[string][]byte{"keyrings/": nil})} {
		store := open(t, at)
		if err := store.Reload(); err != nil || store.Digest() != want {
			t.Errorf("%q: got %s %v, want %s", at, store.Digest(), err, want)
		}
	}
}

func TestDigestCoversNamesAndContents(t *testing.T) {
	t.Parallel()
	a, b := ring(t), ring(t)
	seen := map[string]int{}
	for i, files := range []map[string][]byte{
		{"keyrings/a.gpg": a}, {"keyrings/b.gpg": a}, {"keyrings/a.gpg": b},
		{"keyrings/a.gpg": a, "keyrings/b.gpg": b}, {"keyrings/a.gpg": b, "keyrings/b.gpg": a},
	} {
		digest := open(t, dir(t, files)).Digest()
		if j, twice := seen[digest]; twice {
			t.Errorf("directories %d and %d have one digest", i, j)
		}
		seen[digest] = i
		if again := open(t, dir(t, files)).Digest(); again != digest {
			t.Errorf("directory %d: %s, then %s", i, digest, again)
		}
	}
}

// A fault is the one thing that is wrong with a directory of these files.
type fault struct {
	files  map[string][]byte
	make   func(t *testing.T, at string)
	reason string
}

func bad(t *testing.T) map[string]fault {
	raw, key := ring(t), ed25519Key(t)
	weak := publicPEM(t, &rsa.PublicKey{N: fill(1024), E: 65537})
	x25519, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	one := func(name string, raw []byte, reason string) fault {
		return fault{files: map[string][]byte{name: raw}, reason: reason}
	}
	return map[string]fault{
		"P33 FIFO": {make: func(t *testing.T, at string) {
			mkdirs(t, at)
			if err := syscall.Mkfifo(filepath.Join(at, "keyrings/web.gpg"), 0o644); err != nil {
				t.Fatal(err)
			}
		}, reason: "keyrings/web.gpg: is a FIFO, want a regular file"},
		"P33 FIFO for a folder": {make: func(t *testing.T, at string) {
			if err := syscall.Mkfifo(filepath.Join(at, "keyrings"), 0o644); err != nil {
				t.Fatal(err)
			}
		}, reason: "keyrings is no directory"},
		"P33 endless device": {make: func(t *testing.T, at string) {
			mkdirs(t, at)
			const zero = 1<<8 | 5
			if err := syscall.Mknod(filepath.Join(at, "keyrings/web.gpg"), syscall.S_IFCHR|0o644, zero); err != nil {
				t.Skipf("making a device needs root: %v", err)
			}
		}, reason: "is a device, want a regular file"},
		"P33 endless device behind a link": {make: func(t *testing.T, at string) {
			mkdirs(t, at)
			link(t, "/dev/zero", filepath.Join(at, "keyrings/web.gpg"))
		}, reason: "keyrings/web.gpg"},
		"P33 link out of the directory": {make: func(t *testing.T, at string) {
			mkdirs(t, at)
			outside := dir(t, map[string][]byte{"web.gpg": raw})
			link(t, filepath.Join(outside, "web.gpg"), filepath.Join(at, "keyrings/web.gpg"))
		}, reason: "keyrings/web.gpg: is a symbolic link that is absolute or leads out of the trust directory"},
		"P33 relative link out of the directory": {make: func(t *testing.T, at string) {
			mkdirs(t, at)
			write(t, filepath.Join(filepath.Dir(at), "web.gpg"), raw, false)
			link(t, "../../web.gpg", filepath.Join(at, "keyrings/web.gpg"))
		}, reason: "leads out of the trust directory"},
		"P33 folder is a link out of the directory": {make: func(t *testing.T, at string) {
			link(t, t.TempDir(), filepath.Join(at, "keyrings"))
		}, reason: "leads out of the trust directory"},
		"P33 link to nothing": {make: func(t *testing.T, at string) {
			mkdirs(t, at)
			link(t, "gone.gpg", filepath.Join(at, "keyrings/web.gpg"))
		}, reason: "no such file"},
		"P33 link to itself": {make: func(t *testing.T, at string) {
			mkdirs(t, at)
			link(t, "web.gpg", filepath.Join(at, "keyrings/web.gpg"))
		}, reason: "too many"},
		"P33 directory":                   one("keyrings/web.gpg/", nil, "is a directory, want a regular file"),
		"P33 keyring without keys":        one("keyrings/web.gpg", nil, "keyrings/web.gpg"),
		"P33 armored keyring without any": one("keyrings/web.asc", armored(t, nil), "keyrings/web.asc"),
		"P33 half a keyring":              one("keyrings/web.gpg", raw[:len(raw)/2], "keyrings/web.gpg"),
		"P33 keyring is text":             one("keyrings/web.asc", []byte("no key"), "keyrings/web.asc: not an OpenPGP keyring: "),
		"over the limit":                  one("keyrings/web.gpg", make([]byte, builtins.DefaultLimits().Trust+1), "more than 8388608 bytes"),
		"two files of one name": {
			files:  map[string][]byte{"keyrings/web.gpg": raw, "keyrings/web.asc": armored(t, raw)},
			reason: "keyrings/web.asc and keyrings/web.gpg have one name",
		},
		"other extension":         one("keyrings/web.gpg~", raw, `extension ".gpg~" is none of .gpg, .asc, .kbx`),
		"no extension":            one("keys/README", key, `extension "" is none of .pub`),
		"bad name":                one("keyrings/we b.gpg", raw, `name "we b"`),
		"no name":                 one("keys/-.pub", key, `name "-"`),
		"misspelt folder":         one("keyring/web.gpg", raw, `"keyring" is none of keyrings, keys and roots`),
		"file for a folder":       one("keyrings", raw, "keyrings is no directory"),
		"key is empty":            one("keys/web.pub", nil, "has 0 PEM blocks"),
		"two keys":                one("keys/web.pub", append(bytes.Clone(key), key...), "has 2 PEM blocks"),
		"broken block before key": one("keys/web.pub", append([]byte("-----BEGIN PUBLIC KEY-----\n!\n"), key...), "has 2 PEM blocks"),
		"text before key":         one("keys/web.pub", append([]byte("key:\n"), key...), "not just one PEM block"),
		"text behind key":         one("keys/web.pub", append(bytes.Clone(key), "x\n"...), "not just one PEM block"),
		"half a key":              one("keys/web.pub", key[:len(key)/2], "not just one PEM block"),
		"private key":             one("keys/web.pub", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte("x")}), `is "PRIVATE KEY", want PUBLIC KEY`),
		"no DER in key":           one("keys/web.pub", pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: []byte("x")}), "keys/web.pub"),
		"RSA 1024":                one("keys/web.pub", weak, "RSA key has 1024 bits, at least 2048"),
		"P-224":                   one("keys/web.pub", publicPEM(t, ecdsaKey(t, elliptic.P224())), "is on P-224"),
		"X25519":                  one("keys/web.pub", publicPEM(t, x25519.PublicKey()), "want ECDSA, Ed25519 or RSA"),
		"root is no JSON":         one("roots/web.json", []byte("{"), "roots/web.json: trusted root is not JSON"),
		"root is a list":          one("roots/web.json", []byte("[]"), "trusted root is not JSON of its format"),
		"root is followed":        one("roots/web.json", []byte(root+"{}"), "trusted root is not JSON"),
		"root trusts nobody":      one("roots/web.json", []byte("{}"), "names no authority and no log"),
	}
}

func TestBadDirectories(t *testing.T) {
	t.Parallel()
	for name, tt := range bad(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			at := dir(t, tt.files)
			if tt.make != nil {
				tt.make(t, at)
			}
			errs := make(chan error, 1)
			go func() {
				_, err := trust.Open(at, builtins.DefaultLimits())
				errs <- err
			}()
			select {
			case err := <-errs:
				if err == nil || !strings.Contains(err.Error(), tt.reason) || !strings.Contains(err.Error(), at) {
					t.Errorf("got %v, want %s: … %s", err, at, tt.reason)
				}
			case <-time.After(10 * time.Second):
				t.Fatal("opening hangs")
			}
		})
	}
	t.Run("absent directory", func(t *testing.T) {
		if _, err := trust.Open(filepath.Join(t.TempDir(), "gone"), builtins.DefaultLimits()); err == nil {
			t.Error("got no error")
		}
	})
}

func TestGoodKeys(t *testing.T) {
	t.Parallel()
	modulus := &rsa.PublicKey{N: fill(2048), E: 65537}
	open(t, dir(t, map[string][]byte{
		"keys/p256.pub":  publicPEM(t, ecdsaKey(t, elliptic.P256())),
		"keys/p384.pub":  publicPEM(t, ecdsaKey(t, elliptic.P384())),
		"keys/p521.pub":  publicPEM(t, ecdsaKey(t, elliptic.P521())),
		"keys/rsa.pub":   publicPEM(t, modulus),
		"keys/pkcs1.pub": pem.EncodeToMemory(&pem.Block{Type: "RSA PUBLIC KEY", Bytes: x509.MarshalPKCS1PublicKey(modulus)}),
		"keys/space.pub": append(append([]byte("\n"), ed25519Key(t)...), '\n', ' '),
	}))
}

// TestKubernetesMount lays the directory out as a kubelet does, and swaps it
// as a kubelet does.
func TestKubernetesMount(t *testing.T) {
	t.Parallel()
	a, b := ring(t), ring(t)
	at := dir(t, map[string][]byte{
		"keyrings/..2026_01_01/web.gpg": a, "keyrings/..2026_02_01/web.gpg": b, "keyrings/..2026_02_01/new.gpg": a,
	})
	link(t, "..2026_01_01", filepath.Join(at, "keyrings/..data"))
	link(t, "..data/web.gpg", filepath.Join(at, "keyrings/web.gpg"))
	store := open(t, at)
	if got := store.Digest(); got != open(t, dir(t, map[string][]byte{"keyrings/web.gpg": a})).Digest() {
		t.Errorf("got %s", got)
	}
	link(t, "..2026_02_01", filepath.Join(at, "keyrings/..data_tmp"))
	if err := os.Rename(filepath.Join(at, "keyrings/..data_tmp"), filepath.Join(at, "keyrings/..data")); err != nil {
		t.Fatal(err)
	}
	link(t, "..data/new.gpg", filepath.Join(at, "keyrings/new.gpg"))
	if err := store.Reload(); err != nil {
		t.Fatal(err)
	}
	if got := store.Digest(); got != open(t, dir(t, map[string][]byte{"keyrings/web.gpg": b, "keyrings/new.gpg": a})).Digest() {
		t.Errorf("got %s", got)
	}
}

func TestReloadKeepsTheLastGood(t *testing.T) {
	t.Parallel()
	for name, tt := range bad(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			at := dir(t, map[string][]byte{"keyrings/good.gpg": ring(t)})
			store := open(t, at)
			before := store.Digest()
			if err := os.RemoveAll(filepath.Join(at, "keyrings")); err != nil {
				t.Fatal(err)
			}
			for name, raw := range tt.files {
				write(t, filepath.Join(at, name), raw, strings.HasSuffix(name, "/"))
			}
			if tt.make != nil {
				tt.make(t, at)
			}
			if err := store.Reload(); err == nil {
				t.Error("got no error")
			}
			if _, err := store.Keyring("good"); err != nil || store.Digest() != before {
				t.Errorf("the last good directory is lost: %v", err)
			}
		})
	}
}

func TestP31ReplacedDuringChecks(t *testing.T) {
	t.Parallel()
	a, b := ring(t), ring(t)
	at := dir(t, map[string][]byte{"keyrings/web.gpg": a})
	store := open(t, at)
	done := make(chan struct{})
	var swapping sync.WaitGroup
	swapping.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-done:
				return
			default:
			}
			prepared := [][]byte{a, b, b[:len(b)/2]}[i%3]
			next := filepath.Join(at, "keyrings/.next")
			if os.WriteFile(next, prepared, 0o644) != nil || os.Rename(next, filepath.Join(at, "keyrings/web.gpg")) != nil {
				t.Error("renaming failed")
				return
			}
		}
	})
	good := map[string]bool{builtins.SHA256(a): true, builtins.SHA256(b): true}
	for i := range 1000 {
		if i%4 == 0 {
			_ = store.Reload() // half a file is an error, and changes nothing
		}
		material, err := store.Keyring("web")
		if err != nil || !good[material.Digest] || builtins.SHA256(material.Raw) != material.Digest {
			t.Fatalf("got %s, %v", material.Digest, err)
		}
	}
	close(done)
	swapping.Wait()
	write(t, filepath.Join(at, "keyrings/web.gpg"), a, false)
	if err := store.Reload(); err != nil {
		t.Fatal(err)
	}
	if material, _ := store.Keyring("web"); material.Digest != builtins.SHA256(a) {
		t.Errorf("got %s, want %s", material.Digest, builtins.SHA256(a))
	}
}

// TestSnapshotStays wants that a check that took a snapshot sees one trust
// until its end.
func TestSnapshotStays(t *testing.T) {
	t.Parallel()
	at := dir(t, map[string][]byte{"keyrings/web.gpg": ring(t)})
	store := open(t, at)
	before := store.Current()
	digest := before.Digest()
	if err := os.Remove(filepath.Join(at, "keyrings/web.gpg")); err != nil {
		t.Fatal(err)
	}
	if err := store.Reload(); err != nil {
		t.Fatal(err)
	}
	if _, err := before.Keyring("web"); err != nil || before.Digest() != digest {
		t.Errorf("the snapshot changed: %v", err)
	}
	if _, err := store.Keyring("web"); builtins.CodeOf(err) != builtins.InvalidOptions {
		t.Errorf("the store did not change: %v", err)
	}
}

func mkdirs(t *testing.T, at string) {
	t.Helper()
	write(t, filepath.Join(at, "keyrings"), nil, true)
}

func link(t *testing.T, target, path string) {
	t.Helper()
	if err := os.Symlink(target, path); err != nil {
		t.Fatal(err)
	}
}
