// SPDX-License-Identifier: Apache-2.0

package cosign_test

import (
	"crypto"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"strings"
	"sync"
	"testing"

	"github.com/chartseal/chartseal/builtins"
	"github.com/chartseal/chartseal/test/vsig"
)

var rsaKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

func edKey() ed25519.PrivateKey {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		panic(err)
	}
	return key
}

// TestKeys has every kind of key, with cosign's hash and with others.
func TestKeys(t *testing.T) {
	for _, tt := range []struct {
		name, algorithm, digestAlgorithm string
		signer                           *vsig.Signer
	}{
		{name: "P-256", algorithm: "ecdsa-p256", signer: vsig.WithKey(newKey(elliptic.P256()))},
		{name: "P-384", algorithm: "ecdsa-p384", signer: vsig.WithKey(newKey(elliptic.P384()))},
		{name: "P-521", algorithm: "ecdsa-p521", signer: vsig.WithKey(newKey(elliptic.P521()))},
		{name: "RSA", algorithm: "rsa2048", signer: vsig.WithKey(rsaKey())},
		{name: "Ed25519 prehashed", algorithm: "ed25519", signer: vsig.WithKey(edKey())},
		{name: "Ed25519 plain", algorithm: "ed25519", signer: &vsig.Signer{Key: edKey(), Pure: true}},
		{name: "RSA with sha512", algorithm: "rsa2048", digestAlgorithm: "sha512", signer: &vsig.Signer{Key: rsaKey(), Hash: crypto.SHA512}},
		{name: "P-384 with sha256", algorithm: "ecdsa-p384", digestAlgorithm: "sha256", signer: &vsig.Signer{Key: newKey(elliptic.P384()), Hash: crypto.SHA256}},
		{name: "P-256 with sha384", algorithm: "ecdsa-p256", digestAlgorithm: "sha384", signer: &vsig.Signer{Key: newKey(elliptic.P256()), Hash: crypto.SHA384}},
	} {
		for _, r := range where(func(r route) bool { return !r.keyless && r.log == 0 }) {
			t.Run(tt.name+", "+r.name, func(t *testing.T) {
				t.Parallel()
				c := change{signer: func(*world) *vsig.Signer { return tt.signer }}
				c.options = func(_ *world, o object) {
					delete(o, "public_keys")
					o["public_key"] = string(tt.signer.PublicKey())
					if tt.digestAlgorithm != "" {
						o["digest_algorithm"] = tt.digestAlgorithm
					}
				}
				_, rep := r.run(t, c)
				expect(t, rep, builtins.OK)
				if got := signers(rep); len(got) != 1 || got[0].Algorithm != tt.algorithm || got[0].Kind != "key" || !strings.HasPrefix(got[0].Fingerprint, "sha256:") {
					t.Errorf("signers %+v", got)
				}
				if tt.digestAlgorithm == "" || r.shape == blob {
					return
				}
				given := c.options
				c.options = func(w *world, o object) { given(w, o); delete(o, "digest_algorithm") }
				_, rep = r.run(t, c)
				expect(t, rep, builtins.BadSignature)
			})
		}
	}
}

// TestEmptyMessage is about verifiers of Ed25519 that ignore the digest they
// are given: a signature of nothing would be one of every archive.
func TestEmptyMessage(t *testing.T) {
	signer := &vsig.Signer{Key: edKey(), Pure: true}
	w := newWorld(t)
	sig := (&vsig.Signer{Key: signer.Key}).Blob(archive)
	options := object{"public_key": string(signer.PublicKey())}
	w.srv.AddFile("files/web-1.2.3.tgz.sigstore.json", sig.Bundle("0.3"))
	expect(t, w.call(w.url, options), builtins.OK)
	sig.Raw = signer.Sign(nil)
	w.srv.AddFile("files/web-1.2.3.tgz.sigstore.json", sig.Bundle("0.3"))
	expect(t, w.call(w.url, options), builtins.BadSignature)
}

// TestLeafKeys has certificates of other keys than cosign's usual one.
func TestLeafKeys(t *testing.T) {
	for name, key := range map[string]crypto.Signer{"P-384": newKey(elliptic.P384()), "RSA": rsaKey()} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, rep := routes[0].run(t, change{leaf: func(_ *world, l *vsig.Leaf) { l.Key = key }})
			expect(t, rep, builtins.OK)
		})
	}
}

func TestSigner(t *testing.T) {
	_, rep := routes[1].run(t, change{leaf: func(_ *world, l *vsig.Leaf) {
		l.Claims = map[int]string{
			vsig.ClaimSourceRepository: "https://github.com/org/web", vsig.ClaimSourceRef: "refs/heads/main", vsig.ClaimSourceDigest: "abc",
			vsig.ClaimBuildConfig: subject, vsig.ClaimBuildSigner: subject, vsig.ClaimTrigger: "push", vsig.ClaimRunURL: "https://github.com/org/web/runs/1", vsig.ClaimRunner: "hosted\x00",
		}
	}})
	expect(t, rep, builtins.OK)
	want := builtins.Signer{
		Kind: "keyless", Algorithm: "ecdsa-p256", SignedAt: "2024-05-01T12:00:00Z", Issuer: issuer, Subject: subject,
		Claims: builtins.Claims{
			SourceRepository: "https://github.com/org/web", SourceRef: "refs/heads/main", SourceDigest: "abc",
			Workflow: subject, BuildSigner: subject, Trigger: "push", RunURL: "https://github.com/org/web/runs/1", Runner: "hosted ",
		},
	}
	if got := signers(rep); len(got) != 1 || got[0].Claims != want.Claims || got[0].SignedAt != want.SignedAt || got[0].Subject != want.Subject || got[0].Kind != want.Kind {
		t.Errorf("signers %+v, want %+v", got, want)
	}
	_, rep = routes[7].run(t, change{})
	if got := signers(rep); len(got) != 1 || got[0].Name != "release" || got[0].SignedAt != "" {
		t.Errorf("signers %+v", got)
	}
}
