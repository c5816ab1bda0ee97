// SPDX-License-Identifier: Apache-2.0

package inventory_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	rootpb "github.com/sigstore/protobuf-specs/gen/pb-go/trustroot/v1"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/chartseal/chartseal/builtins"
	"github.com/chartseal/chartseal/builtins/trust"
	"github.com/chartseal/chartseal/builtins/trust/inventory"
	"github.com/chartseal/chartseal/test/forge"
	"github.com/chartseal/chartseal/test/vsig"
)

const day = 24 * time.Hour

var now = forge.Epoch.Add(365 * day)

// list takes the inventory of a directory with these files.
func list(t *testing.T, files map[string][]byte) *inventory.Inventory {
	t.Helper()
	dir := t.TempDir()
	for name, raw := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, raw, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	store, err := trust.Open(dir, builtins.DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	return inventory.Of("trust", store.Current(), now)
}

func kinds(warnings []inventory.Warning) string {
	var all []string
	for _, w := range warnings {
		all = append(all, string(w.Kind))
	}
	return strings.Join(all, " ")
}

func TestKeyring(t *testing.T) {
	for _, tt := range []struct {
		name      string
		key       *forge.Key
		algorithm string
		expires   time.Time
		want      string
	}{
		{"good", forge.NewKey(forge.KeySpec{}), "ed25519", time.Time{}, ""},
		{"good for longer", forge.NewKey(forge.KeySpec{Lifetime: 365*day + 31*day}), "ed25519", now.Add(31 * day), ""},
		{"expires soon", forge.NewKey(forge.KeySpec{Lifetime: 365*day + 29*day}), "ed25519", now.Add(29 * day), "expiring"},
		{"expired", forge.NewKey(forge.KeySpec{Lifetime: 364 * day}), "ed25519", now.Add(-day), "expired"},
		{"revoked", forge.NewKey(forge.KeySpec{}).Revoked(nil, forge.Epoch.Add(day)), "ed25519", time.Time{}, "revoked"},
		{"RSA-3072", forge.NewKey(forge.KeySpec{Algorithm: "rsa3072"}), "rsa3072", time.Time{}, ""},
		{"RSA-2048", forge.NewKey(forge.KeySpec{Algorithm: "rsa2048"}), "rsa2048", time.Time{}, "short"},
		{"RSA-1024", forge.NewKey(forge.KeySpec{Algorithm: "rsa1024"}), "rsa1024", time.Time{}, "weak"},
		{"DSA", forge.NewKey(forge.KeySpec{Algorithm: "dsa"}), "dsa1024", time.Time{}, "weak"},
		{"version 6", forge.NewKey(forge.KeySpec{Algorithm: "ed25519-v6"}), "ed25519", time.Time{}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			raw := tt.key.Public()
			inv := list(t, map[string][]byte{"keyrings/team.gpg": raw})
			ring := inv.Keyrings[0]
			if ring.Source != (inventory.Source{Name: "team", File: "keyrings/team.gpg", Digest: builtins.SHA256(raw)}) {
				t.Errorf("source is %+v", ring.Source)
			}
			if len(ring.Keys) != 1 {
				t.Fatalf("%d keys", len(ring.Keys))
			}
			key := ring.Keys[0]
			if key.Fingerprint != tt.key.Fingerprint() || key.Algorithm != tt.algorithm || !key.Created.Equal(forge.Epoch) {
				t.Errorf("key is %+v", key)
			}
			if !key.Expires.Equal(tt.expires) || key.Revoked != (tt.want == "revoked") || kinds(key.Warnings) != tt.want {
				t.Errorf("key ends %v, revoked %v, warnings %v; want %v, %q", key.Expires, key.Revoked, key.Warnings, tt.expires, tt.want)
			}
			if diff := cmp.Diff([]string{"Chart Signer <sign@example.com>"}, key.UserIDs); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// Subkeys that sign have an end of their own; those that do not are left out.
func TestSubkeys(t *testing.T) {
	whole, sub := forge.NewKey(forge.KeySpec{}).WithSubkey(forge.SubkeySpec{Lifetime: 370 * day})
	whole, _ = whole.WithSubkey(forge.SubkeySpec{Encrypts: true})
	key := list(t, map[string][]byte{"keyrings/team.gpg": whole.Public()}).Keyrings[0].Keys[0]
	if len(key.Subkeys) != 1 || key.Subkeys[0].Fingerprint != sub.Fingerprint() || kinds(key.Subkeys[0].Warnings) != "expiring" || kinds(key.Warnings) != "" {
		t.Errorf("key is %+v", key)
	}
}

func TestPublicKey(t *testing.T) {
	public, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, algorithm string
		key             crypto.PublicKey
		want            string
	}{
		{"ECDSA", "ecdsa-p256", generate(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)), ""},
		{"Ed25519", "ed25519", public, ""},
		{"RSA-3072", "rsa3072", generate(rsa.GenerateKey(rand.Reader, 3072)), ""},
		{"RSA-2048", "rsa2048", generate(rsa.GenerateKey(rand.Reader, 2048)), "short"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			der, err := x509.MarshalPKIXPublicKey(tt.key)
			if err != nil {
				t.Fatal(err)
			}
			sum := sha256.Sum256(der)
			raw := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
			key := list(t, map[string][]byte{"keys/web.pub": raw}).PublicKeys[0]
			if key.Fingerprint != "sha256:"+hex.EncodeToString(sum[:]) || key.Algorithm != tt.algorithm || kinds(key.Warnings) != tt.want {
				t.Errorf("key is %+v, want %s, %q", key, tt.algorithm, tt.want)
			}
		})
	}
}

func generate[K interface{ Public() crypto.PublicKey }](key K, err error) crypto.PublicKey {
	if err != nil {
		panic(err)
	}
	return key.Public()
}

func TestTrustedRoot(t *testing.T) {
	vs := vsig.New(now)
	until := func(end time.Duration) func(*rootpb.TrustedRoot) {
		return func(r *rootpb.TrustedRoot) { r.CertificateAuthorities[0].ValidFor.End = timestamppb.New(now.Add(end)) }
	}
	for _, tt := range []struct {
		name string
		raw  []byte
		want string
	}{
		{"good", vs.Root(), ""},
		{"its only authority ends soon", vs.Root(until(29 * day)), "expiring"},
		{"its only authority has ended", vs.Root(until(-day)), "expired"},
		{"an authority has ended, and another goes on", vs.Root(until(-day), func(r *rootpb.TrustedRoot) {
			r.CertificateAuthorities = append(r.CertificateAuthorities, vsRoot(vs).CertificateAuthorities...)
		}), ""},
		{"of a format to come", bytes.Replace(vs.Root(), []byte("version=0.1"), []byte("version=9.9"), 1), "unusable"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			root := list(t, map[string][]byte{"roots/ours.json": tt.raw}).TrustedRoots[0]
			if kinds(root.Warnings) != tt.want {
				t.Errorf("warnings are %v, want %q", root.Warnings, tt.want)
			}
		})
	}
	root := list(t, map[string][]byte{"roots/ours.json": vs.Root()}).TrustedRoots[0]
	var found []string
	for _, a := range root.Authorities {
		found = append(found, a.Kind+" "+a.URL+" "+a.Algorithm)
		if a.From.IsZero() || a.Until.IsZero() || !strings.HasPrefix(a.Fingerprint, "sha256:") {
			t.Errorf("authority is %+v", a)
		}
	}
	want := []string{
		"certificate authority https://fulcio.example.com ecdsa-p256",
		"certificate log https://ct.example.com ecdsa-p256",
		"transparency log https://log2025.rekor.example.com ecdsa-p256",
		"transparency log https://rekor.example.com ecdsa-p256",
		"timestamp authority https://tsa.example.com ecdsa-p256",
	}
	if diff := cmp.Diff(want, found); diff != "" {
		t.Error(diff)
	}
}

// vsRoot is the unedited root, as the edits of vsig see it.
func vsRoot(vs *vsig.Sigstore) (root *rootpb.TrustedRoot) {
	vs.Root(func(r *rootpb.TrustedRoot) { root = r })
	return root
}

// What others wrote does not reach the terminal as they wrote it, and an empty
// directory has lists that are empty, not null.
func TestOutput(t *testing.T) {
	evil := forge.NewKey(forge.KeySpec{UserID: "Eve\x1b[2J\n! <eve@example.com>", Lifetime: 366 * day})
	inv := list(t, map[string][]byte{"keyrings/team.gpg": evil.Public(), "roots/ours.json": vsig.New(now).Root()})
	var table bytes.Buffer
	if err := inv.WriteTable(&table); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"keyring team  keyrings/team.gpg  sha256:", evil.Fingerprint() + "  ed25519", "! expiring: key expires", "trusted root ours", "timestamp authority"} {
		if !strings.Contains(table.String(), want) {
			t.Errorf("the table lacks %q:\n%s", want, table.String())
		}
	}
	if strings.Contains(table.String(), "\x1b") || strings.Contains(table.String(), "\n! ") {
		t.Errorf("a user ID writes into the table:\n%q", table.String())
	}
	raw, err := json.Marshal(list(t, nil))
	if err != nil || strings.Contains(string(raw), "null") {
		t.Errorf("an empty directory is %s, %v", raw, err)
	}
}
