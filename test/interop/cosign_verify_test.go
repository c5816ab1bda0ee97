// SPDX-License-Identifier: Apache-2.0

package interop_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/chartseal/chartseal/builtins"
	"github.com/chartseal/chartseal/builtins/chartref"
	"github.com/chartseal/chartseal/builtins/cosign"
	"github.com/chartseal/chartseal/test/forge"
	"github.com/chartseal/chartseal/test/registry"
)

// A cosignKey is a key pair as cosign keeps it: name.key and name.pub in dir.
type cosignKey struct {
	name, dir string
}

func (k cosignKey) private() string { return filepath.Join(k.dir, k.name+".key") }
func (k cosignKey) public() string  { return filepath.Join(k.dir, k.name+".pub") }

// cosignKeys are of every kind that cosign imports.
func cosignKeys(t *testing.T, v2 string) []cosignKey {
	t.Helper()
	dir := folder(t)
	var keys []cosignKey
	for _, kind := range []struct {
		name string
		make func() (crypto.PrivateKey, error)
	}{
		{"p256", func() (crypto.PrivateKey, error) { return ecdsa.GenerateKey(elliptic.P256(), rand.Reader) }},
		{"p384", func() (crypto.PrivateKey, error) { return ecdsa.GenerateKey(elliptic.P384(), rand.Reader) }},
		{"p521", func() (crypto.PrivateKey, error) { return ecdsa.GenerateKey(elliptic.P521(), rand.Reader) }},
		{"rsa", func() (crypto.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 3072) }},
		{"ed25519", func() (crypto.PrivateKey, error) { _, key, err := ed25519.GenerateKey(rand.Reader); return key, err }},
	} {
		private, err := kind.make()
		if err != nil {
			t.Fatal(err)
		}
		der, err := x509.MarshalPKCS8PrivateKey(private)
		if err != nil {
			t.Fatal(err)
		}
		plain := write(t, filepath.Join(dir, kind.name+".pem"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
		command{dir: dir, path: v2, env: noPassword, args: []string{"import-key-pair", "-k", plain, "-o", kind.name, "-y"}}.must(t)
		keys = append(keys, cosignKey{kind.name, dir})
	}
	return keys
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// verifyCosign asks the built-in itself.
func verifyCosign(t *testing.T, srv *registry.Server, ref string, opts map[string]any) builtins.Report {
	t.Helper()
	return askCosign(t, newEnv(t, srv), ref, opts)
}

func askCosign(t *testing.T, env *builtins.Env, ref string, opts map[string]any) builtins.Report {
	t.Helper()
	raw, err := json.Marshal(opts)
	if err != nil {
		t.Fatal(err)
	}
	return cosign.Verify.Call(t.Context(), env, chartref.Parse(ref), raw)
}

// TestWhatCosignSigns has each version of cosign sign with each kind of key in
// each form; the same cosign verifies it, and so do we.
func TestWhatCosignSigns(t *testing.T) {
	v2, v3 := tool(t, "cosign2"), tool(t, "cosign3")
	archive := forge.Archive(forge.Chart("web", "1.2.3")...)
	keys := cosignKeys(t, v2)
	for _, form := range []struct {
		name, path  string
		sign        []string
		opts        []registry.Option
		annotations bool // cosign v2 drops those of bundles
	}{
		{"v2, .sig", v2, nil, nil, true},
		{"v2, bundle", v2, []string{"--new-bundle-format"}, nil, false},
		{"v2, bundle under the fallback tag", v2, []string{"--new-bundle-format"}, []registry.Option{registry.WithoutReferrers()}, false},
		{"v3, bundle", v3, []string{"--use-signing-config=false"}, nil, true},
		{"v3, bundle under the fallback tag", v3, []string{"--use-signing-config=false"}, []registry.Option{registry.WithoutReferrers()}, true},
		{"v3, .sig", v3, []string{"--use-signing-config=false", "--new-bundle-format=false"}, nil, true},
	} {
		for i, key := range keys {
			t.Run(form.name+", "+key.name, func(t *testing.T) {
				srv := registry.New(t, form.opts...)
				digest := srv.PushChart("charts/web", "1.2.3", archive, nil)
				at := srv.Host() + "/charts/web@" + digest
				sign := append([]string{"sign", "--key", key.private(), "--tlog-upload=false", "-y", "-a", "team=web"}, form.sign...)
				command{dir: key.dir, path: form.path, env: noPassword, args: append(sign, at)}.must(t)

				ref := "oci://" + srv.Host() + "/charts/web:1.2.3"
				opts := map[string]any{"public_key": readFile(t, key.public())}
				if form.annotations {
					opts["annotations"] = map[string]string{"team": "web"}
				}
				rep := verifyCosign(t, srv, ref, opts)
				if !rep.Verified || rep.Digest != digest {
					t.Errorf("%s: %s %+v", rep.Code, rep.Reason, rep.Checks)
				}
				other := keys[(i+1)%len(keys)]
				rep = verifyCosign(t, srv, ref, map[string]any{"public_key": readFile(t, other.public())})
				if rep.Verified {
					t.Errorf("verified by %s", other.name)
				}
			})
		}
	}
}

// TestWhatCosignAttests is about statements that are no signatures.
func TestWhatCosignAttests(t *testing.T) {
	v2 := tool(t, "cosign2")
	key := cosignKeys(t, v2)[0]
	srv := registry.New(t)
	digest := srv.PushChart("charts/web", "1.2.3", forge.Archive(forge.Chart("web", "1.2.3")...), nil)
	at := srv.Host() + "/charts/web@" + digest
	predicate := write(t, filepath.Join(key.dir, "p.json"), []byte(`{"by":"nobody"}`))
	attest := []string{"attest", "--tlog-upload=false", "--key", key.private(), "-y", "--predicate", predicate, "--type", "custom", "--new-bundle-format", at}
	command{dir: key.dir, path: v2, env: noPassword, args: attest}.must(t)
	rep := verifyCosign(t, srv, "oci://"+srv.Host()+"/charts/web:1.2.3", map[string]any{"public_key": readFile(t, key.public())})
	if rep.Code != builtins.NoSignature {
		t.Errorf("%s: %s", rep.Code, rep.Reason)
	}
}

// TestWhatCosignSignsAsBlob has bundles beside an archive.
func TestWhatCosignSignsAsBlob(t *testing.T) {
	v2, v3 := tool(t, "cosign2"), tool(t, "cosign3")
	archive := forge.Archive(forge.Chart("web", "1.2.3")...)
	for name, sign := range map[string]command{
		"v2": {path: v2, args: []string{"--new-bundle-format"}},
		"v3": {path: v3, args: []string{"--use-signing-config=false"}},
	} {
		for _, key := range cosignKeys(t, v2) {
			if name == "v2" && key.name == "ed25519" {
				continue // cosign v2 crashes
			}
			t.Run(name+", "+key.name, func(t *testing.T) {
				dir := folder(t)
				file := write(t, filepath.Join(dir, "web-1.2.3.tgz"), archive)
				args := append([]string{"sign-blob", "--key", key.private(), "--tlog-upload=false", "-y", "--bundle", file + ".sigstore.json"}, sign.args...)
				command{dir: dir, path: sign.path, env: noPassword, args: append(args, file)}.must(t)
				rep := verifyCosign(t, registry.New(t), file, map[string]any{"public_key": readFile(t, key.public())})
				want := builtins.OK
				if key.name == "ed25519" {
					want = builtins.MalformedBundle // cosign names no digest of the file then
				}
				if rep.Code != want {
					t.Errorf("%s: %s, want %s", rep.Code, rep.Reason, want)
				}
			})
		}
	}
}

// TestVerdictIsCosigns asks both about signatures of several keys, with every
// hash. Ed25519 is left out: cosign v2 signs with it prehashed, and verifies
// only what is not.
func TestVerdictIsCosigns(t *testing.T) {
	v2 := tool(t, "cosign2")
	archive := forge.Archive(forge.Chart("web", "1.2.3")...)
	keys := slices.DeleteFunc(cosignKeys(t, v2), func(k cosignKey) bool { return k.name == "ed25519" })
	srv := registry.New(t)
	digest := srv.PushChart("charts/web", "1.2.3", archive, nil)
	at := srv.Host() + "/charts/web@" + digest
	for _, key := range keys {
		sign := []string{"sign", "--key", key.private(), "--tlog-upload=false", "-y", "-a", "team=" + key.name, at}
		command{dir: key.dir, path: v2, env: noPassword, args: sign}.must(t)
	}
	for _, key := range keys {
		for _, team := range []string{key.name, "nobody"} {
			for _, algorithm := range []string{"sha256", "sha384", "sha512"} {
				t.Run(key.name+", "+team+", "+algorithm, func(t *testing.T) {
					verify := []string{"verify", "--key", key.public(), "--insecure-ignore-tlog", "--signature-digest-algorithm", algorithm, "-a", "team=" + team, at}
					opts := map[string]any{"public_key": readFile(t, key.public()), "annotations": map[string]string{"team": team}, "digest_algorithm": algorithm}
					_, err := command{dir: key.dir, path: v2, env: noPassword, args: verify}.run()
					rep := verifyCosign(t, srv, "oci://"+srv.Host()+"/charts/web:1.2.3", opts)
					if rep.Verified != (err == nil) {
						t.Errorf("ours %s: %s; cosign: %v", rep.Code, rep.Reason, err)
					}
				})
			}
		}
	}
}
