// SPDX-License-Identifier: Apache-2.0

package cosign_test

import (
	"crypto"
	"crypto/sha256"
	"os"
	"path/filepath"
	"testing"

	"github.com/sigstore/sigstore-go/pkg/root"

	"github.com/chartseal/chartseal/builtins"
	"github.com/chartseal/chartseal/builtins/cosign"
)

// reasons are why each of sigstore's vectors that must not verify does not.
var reasons = map[string]builtins.Code{
	"bundle-from-wrong-instance_fail":      builtins.TransparencyLog,
	"bundle-invalid-base64-signature_fail": builtins.MalformedBundle,
	"bundle-malformed-json_fail":           builtins.MalformedBundle,
	"bundle-unknown-version_fail":          builtins.MalformedBundle,
	"dsse-invalid-sig_fail":                builtins.BadSignature,
	"dsse-mismatch-envelope_fail":          builtins.TransparencyLog,
	"inclusion-proof-corrupted-hash_fail":  builtins.TransparencyLog,
	"integrated-time-in-future_fail":       builtins.Certificate,
	"intoto-expired-certificate_fail":      builtins.Certificate,
	"intoto-missing-inclusion-proof_fail":  builtins.TransparencyLog,
	"invalid-ct-key_fail":                  builtins.Certificate,
	"message-digest-mismatch_fail":         builtins.PayloadMismatch,
	"set-invalid-signature_fail":           builtins.TransparencyLog,
	"signature-mismatch_fail":              builtins.BadSignature,
	"wrong-hashedrekord-entry_fail":        builtins.TransparencyLog,
}

type vector struct {
	Case, Artifact, Bundle, Identity, Issuer, Expect string
	TrustedRoot                                      *string `json:"trusted_root"`
	PublicKey                                        *string `json:"public_key"`
	PredicateType                                    string  `json:"predicate_type"`
}

// TestVectors asks for the verdict on bundle, artifact and identity alone: the
// artifacts are no charts.
func TestVectors(t *testing.T) {
	dir := os.Getenv("CHARTSEAL_VECTORS")
	if dir == "" {
		t.Skip("CHARTSEAL_VECTORS does not name the folder of sigstore's bundle vectors")
	}
	read := func(name string) []byte {
		raw, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return raw
	}
	var vectors []vector
	unmarshal(read("cases.json"), &vectors)
	for _, v := range vectors {
		t.Run(v.Case, func(t *testing.T) {
			artifact := read(v.Artifact)
			policy := v.policy(t, read)
			sum := sha256.Sum256(artifact)
			subject := cosign.Subject{Digest: builtins.SHA256(artifact), Sums: map[crypto.Hash][]byte{crypto.SHA256: sum[:]}}
			signer, err := policy.VerifyBundle(read(v.Bundle), subject)
			want := reasons[v.Case]
			if v.Expect == "pass" {
				want = builtins.OK
			}
			if got := builtins.CodeOf(err); got != want {
				t.Errorf("%s: %v, want %s", got, err, want)
			}
			if v.Expect == "pass" && (signer.Subject != v.Identity || signer.SignedAt == "") {
				t.Errorf("signer %+v", signer)
			}
		})
	}
}

func (v vector) policy(t *testing.T, read func(string) []byte) *cosign.Policy {
	t.Helper()
	name := "trusted-root-public-good.json"
	if v.TrustedRoot != nil {
		name = *v.TrustedRoot
	}
	trusted, err := root.NewTrustedRootFromJSON(read(name))
	if err != nil {
		t.Fatal(err)
	}
	var keys []*cosign.PublicKey
	options := cosign.VerifyOptions{PredicateType: v.PredicateType}
	if v.PublicKey != nil {
		key, err := cosign.ParsePublicKey(read(*v.PublicKey))
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, key)
	} else {
		options.Identities = []cosign.Identity{{Issuer: v.Issuer, Subject: v.Identity}}
	}
	policy, err := cosign.NewPolicy(options, keys, trusted, builtins.DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	return policy
}
