// SPDX-License-Identifier: Apache-2.0

package cosign_test

import (
	"bytes"
	"encoding/json"
	"regexp"
	"testing"

	"github.com/sigstore/sigstore-go/pkg/root"

	"github.com/chartseal/chartseal/builtins"
	"github.com/chartseal/chartseal/builtins/cosign"
	"github.com/chartseal/chartseal/test/vsig"
)

// policies are one by key and one by identity, made without a registry.
func policies(t testing.TB) []*cosign.Policy {
	t.Helper()
	trusted, err := root.NewTrustedRootFromJSON(shared.vs.Root())
	if err != nil {
		t.Fatal(err)
	}
	key, err := cosign.ParsePublicKey(shared.key.PublicKey())
	if err != nil {
		t.Fatal(err)
	}
	limits := builtins.DefaultLimits()
	byKey, err := cosign.NewPolicy(cosign.VerifyOptions{TransparencyLog: "if_present"}, []*cosign.PublicKey{key}, trusted, limits)
	if err != nil {
		t.Fatal(err)
	}
	byIdentity, err := cosign.NewPolicy(cosign.VerifyOptions{Identities: []cosign.Identity{{Issuer: issuer, Subject: subject}}}, nil, trusted, limits)
	if err != nil {
		t.Fatal(err)
	}
	return []*cosign.Policy{byKey, byIdentity}
}

var fuzzed = cosign.Subject{Digest: builtins.SHA256(archive), Repository: "reg.example.com/charts/web"}

// unsigned are digests that nobody here ever signs.
var unsigned = cosign.Subject{Digest: otherDigest, Repository: "reg.example.com/charts/web"}

func FuzzBundle(f *testing.F) {
	keyless := shared.vs.Keyless(vsig.Leaf{Subject: subject, Issuer: issuer})
	for _, signer := range []*vsig.Signer{shared.key, keyless} {
		for _, version := range []string{"0.1", "0.2", "0.3"} {
			f.Add(signer.Statement(fuzzed.Digest, vsig.SignPredicate, nil).Log(shared.vs.Rekor, at).Bundle(version))
		}
		f.Add(signer.Statement(fuzzed.Digest, vsig.SignPredicate, nil).LogV2(shared.vs.RekorV2).Stamp(shared.vs, at).Bundle("0.3"))
		f.Add(signer.Blob(archive).Log(shared.vs.Rekor, at).Bundle("0.3"))
		f.Add(signer.Envelope([]byte("{")).Bundle("0.3"))
	}
	all := policies(f)
	f.Fuzz(func(t *testing.T, raw []byte) {
		for _, p := range all {
			if signer, err := p.VerifyBundle(raw, unsigned); err == nil {
				t.Errorf("verified for a digest that nobody signed: %+v", signer)
			} else if builtins.CodeOf(err) == builtins.Internal {
				t.Errorf("no code: %v", err)
			}
			_, _ = p.VerifyBundle(raw, fuzzed)
		}
		cosign.BlobHash(raw)
	})
}

func FuzzSimpleSigning(f *testing.F) {
	keyless := shared.vs.Keyless(vsig.Leaf{Subject: subject, Issuer: issuer})
	for _, signer := range []*vsig.Signer{shared.key, keyless} {
		payload, annotations := signer.Simple(fuzzed.Repository, fuzzed.Digest, nil).Log(shared.vs.Rekor, at).Stamp(shared.vs, at).Layer()
		f.Add(payload, marshal(annotations))
		f.Add([]byte(`{"critical":null}`), marshal(annotations))
	}
	all := policies(f)
	f.Fuzz(func(t *testing.T, payload, annotated []byte) {
		var annotations map[string]string
		if json.Unmarshal(annotated, &annotations) != nil {
			return
		}
		for _, p := range all {
			if signer, err := p.VerifySimpleSigning(t.Context(), payload, annotations, unsigned); err == nil {
				t.Errorf("verified for a digest that nobody signed: %+v", signer)
			} else if builtins.CodeOf(err) == builtins.Internal {
				t.Errorf("no code: %v", err)
			}
			_, _ = p.VerifySimpleSigning(t.Context(), payload, annotations, fuzzed)
		}
	})
}

func FuzzPublicKey(f *testing.F) {
	f.Add(shared.key.PublicKey())
	f.Add([]byte("k8s://a/b"))
	f.Add([]byte(privatePEM()))
	f.Add([]byte(rsa1024()))
	f.Fuzz(func(t *testing.T, raw []byte) {
		key, err := cosign.ParsePublicKey(raw)
		if err == nil && (key.Fingerprint == "" || bytes.Count(raw, []byte("-----BEGIN ")) != 1) {
			t.Errorf("%q is %+v", raw, key)
		}
	})
}

// FuzzIdentity holds an expression against the whole subject, as an
// independent reading of the contract has it.
func FuzzIdentity(f *testing.F) {
	f.Add(`https://ci\.example\.com/org`)
	f.Add(`.*|x`)
	f.Add(`(?m)^https.*$`)
	f.Add(`(?i)HTTPS://.*`)
	signer := shared.vs.Keyless(vsig.Leaf{Subject: subject, Issuer: issuer})
	raw := signer.Statement(fuzzed.Digest, vsig.SignPredicate, nil).Log(shared.vs.Rekor, at).Bundle("0.3")
	trusted, err := root.NewTrustedRootFromJSON(shared.vs.Root())
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, expression string) {
		options := cosign.VerifyOptions{Identities: []cosign.Identity{{Issuer: issuer, SubjectRegexp: expression}}}
		p, err := cosign.NewPolicy(options, nil, trusted, builtins.DefaultLimits())
		if err != nil {
			return
		}
		re := regexp.MustCompile(expression)
		re.Longest()
		whole := re.FindString(subject) == subject
		if _, err := p.VerifyBundle(raw, fuzzed); (err == nil) != whole {
			t.Errorf("%q: %v, matches the whole is %v", expression, err, whole)
		}
	})
}
