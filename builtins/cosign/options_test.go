// SPDX-License-Identifier: Apache-2.0

package cosign_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"

	"github.com/chartseal/chartseal/builtins"
	"github.com/chartseal/chartseal/builtins/chartref"
	"github.com/chartseal/chartseal/builtins/cosign"
	"github.com/chartseal/chartseal/test/vsig"
)

// TestOptions has every mistake that stops a query, whatever the reference,
// before anything is asked.
func TestOptions(t *testing.T) {
	key, root := string(shared.key.PublicKey()), string(shared.vs.Root())
	who := []object{{"issuer": issuer, "subject": subject}}
	keyed := func(option string, value any) object { return object{"public_key": key, option: value} }
	keyless := func(option string, value any) object {
		return object{"identities": who, "trusted_root": "ours", option: value}
	}
	identified := func(id object) object { return object{"identities": []object{id}, "trusted_root": "ours"} }
	for _, tt := range []struct {
		id      string
		options object
		says    string
	}{
		{"C8 key by URL", object{"public_key": "https://keys.example.com/cosign.pub"}, `"https://…" is not followed`},
		{"C8 key by Kubernetes Secret", object{"public_key": "k8s://ns/secret"}, `"k8s://…" is not followed`},
		{"C8 key by environment", object{"public_key": "env://KEY"}, `"env://…" is not followed`},
		{"C8 key by KMS", object{"public_key": "awskms:///alias/web"}, `"awskms://…" is not followed`},
		{"C8 named key by KMS", object{"public_keys": []string{"gcpkms://projects/x"}}, `"gcpkms://…" is not followed`},
		{"C8 file name", object{"public_key": "cosign.pub"}, "-----BEGIN PUBLIC KEY-----"},
		{"C8 private key", object{"public_key": privatePEM()}, "only public keys"},
		{"C8 two PEM blocks", object{"public_key": key + key}, "more follows the first PEM block"},
		{"C8 text before the block", object{"public_key": "my key\n" + key}, "-----BEGIN PUBLIC KEY-----"},
		{"C8 a certificate", object{"public_key": certificate()}, "CERTIFICATE"},
		{"C8 RSA-1024", object{"public_key": rsa1024()}, "has 1024 bits, want 2048 to 8192"},
		{"C8 empty", object{"public_key": ""}, "-----BEGIN PUBLIC KEY-----"},
		{"unknown key", object{"public_keys": []string{"nobody"}}, `no key "nobody"`},
		{"unknown root", object{"identities": who, "trusted_root": "nowhere"}, `no root "nowhere"`},
		{"C17 nobody", object{}, "nobody is trusted"},
		{"C17 empty lists", object{"public_keys": []string{}, "identities": []object{}}, "nobody is trusted"},
		{"C17 keys and identities", keyless("public_key", key), "contradict"},
		{"C17 issuer and issuer_regexp", identified(object{"issuer": issuer, "issuer_regexp": ".*", "subject": subject}), "issuer and issuer_regexp contradict"},
		{"C17 subject and subject_regexp", identified(object{"issuer": issuer, "subject": subject, "subject_regexp": ".*"}), "subject and subject_regexp contradict"},
		{"C17 half an identity: no issuer", identified(object{"subject": subject}), "issuer is missing"},
		{"C17 half an identity: no subject", identified(object{"issuer": issuer}), "subject is missing"},
		{"C17 no identity at all", identified(object{}), "issuer is missing"},
		{"expression that does not compile", identified(object{"issuer": issuer, "subject_regexp": "("}), "subject_regexp"},
		{"expression that would close ours", identified(object{"issuer": issuer, "subject_regexp": "a)|(?:b"}), "subject_regexp"},
		{"identities without a root", object{"identities": who}, "trusted_root"},
		{"log without a root", keyed("transparency_log", "required"), "trusted_root"},
		{"log if present without a root", keyed("transparency_log", "if_present"), "trusted_root"},
		{"timestamp without a root", keyed("timestamp", "required"), "trusted_root"},
		{"root that is none", object{"identities": who, "trusted_root": "{}"}, "trusted root (inline)"},
		{"root that is cut", object{"identities": who, "trusted_root": root[:100]}, "trusted root (inline)"},
		{"C26 transparency_log false", keyed("transparency_log", false), "transparency_log is a bool"},
		{"C26 transparency_log Skip", keyed("transparency_log", "Skip"), `"Skip"`},
		{"C26 unknown option", keyed("ignore_tlog", true), "ignore_tlog"},
		{"C26 unknown field of an identity", identified(object{"issuer": issuer, "subject": subject, "san": "x"}), "san"},
		{"C26 threshold 0", keyed("threshold", 0), "threshold is 0"},
		{"C26 threshold null", keyed("threshold", nil), "threshold is null"},
		{"threshold above the keys", keyed("threshold", 2), "only 1 different keys"},
		{"threshold above the different keys", object{"public_key": key, "public_keys": []string{"release"}, "threshold": 2}, "only 1 different keys"},
		{"timestamp skip", keyless("timestamp", "skip"), `"skip"`},
		{"sct if_present", keyless("sct", "if_present"), `"if_present"`},
		{"digest_algorithm sha1", keyed("digest_algorithm", "sha1"), `"sha1"`},
		{"annotation that is no string", keyed("annotations", object{"n": 1}), "annotations"},
		{"signature_repository with a tag", keyed("signature_repository", "oci://reg.example.com/x:1"), "signature_repository"},
		{"signature_repository with a digest", keyed("signature_repository", "oci://reg.example.com/x@"+otherDigest), "signature_repository"},
		{"signature_repository by https", keyed("signature_repository", "https://reg.example.com/x"), "signature_repository"},
		{"bundle empty", keyed("bundle", ""), "bundle is empty"},
	} {
		t.Run(tt.id, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			for _, ref := range []string{w.ref(), "nonsense://"} {
				rep := w.call(ref, tt.options)
				expect(t, rep, builtins.InvalidOptions)
				if !strings.Contains(rep.Reason, tt.says) {
					t.Errorf("%q does not say %q", rep.Reason, tt.says)
				}
			}
			if n := len(w.srv.Requests()); n != 0 {
				t.Errorf("%d requests were made", n)
			}
		})
	}
	t.Run("valid twins", func(t *testing.T) {
		w := newWorld(t)
		w.sign(1, 0)
		w.attach(w.vs.Keyless(vsig.Leaf{Subject: subject, Issuer: issuer}).Statement(w.digest, vsig.SignPredicate, nil).Log(w.vs.Rekor, at).Bundle("0.3"))
		for _, o := range []object{
			{"public_key": key}, {"public_key": "\n" + key + "\n"}, {"public_keys": []string{"release"}}, {"public_keys": []string{"release"}, "public_key": key},
			{"identities": who, "trusted_root": "ours"}, {"identities": who, "trusted_root": root},
			{"identities": append([]object{{"issuer": "x", "subject": "y"}}, who...), "trusted_root": "ours", "transparency_log": "if_present"},
		} {
			expect(t, w.call(w.ref(), o), builtins.OK)
		}
	})
}

func privatePEM() string {
	der, err := x509.MarshalPKCS8PrivateKey(shared.key.Key)
	if err != nil {
		panic(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

func certificate() string {
	leaf := shared.vs.Keyless(vsig.Leaf{Subject: subject, Issuer: issuer}).Certificate
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: leaf.Raw}))
}

// rsa1024 is a key by its size; nobody has its primes.
func rsa1024() string {
	n, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 1022))
	if err != nil {
		panic(err)
	}
	n.SetBit(n.SetBit(n, 1023, 1), 0, 1)
	der, err := x509.MarshalPKIXPublicKey(&rsa.PublicKey{N: n, E: 65537})
	if err != nil {
		panic(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

// TestEveryOptionAloneRejects has for each option a chart that verifies
// without it.
func TestEveryOptionAloneRejects(t *testing.T) {
	for option, tt := range map[string]struct {
		value any
		code  builtins.Code
	}{
		"timestamp":        {"required", builtins.Timestamp},
		"predicate_type":   {"https://slsa.dev/provenance/v1", builtins.NoSignature},
		"annotations":      {object{"team": "db"}, builtins.AnnotationMismatch},
		"match_reference":  {true, builtins.PayloadMismatch},
		"digest_algorithm": {"sha384", builtins.BadSignature},
		"threshold":        {2, builtins.Threshold},
		"chart":            {object{"name": "db"}, builtins.NameMismatch},
	} {
		t.Run(option, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			signer := w.vs.Keyless(vsig.Leaf{Subject: subject, Issuer: issuer})
			w.attach(signer.Statement(w.digest, vsig.SignPredicate, map[string]string{"team": "web"}).Log(w.vs.Rekor, at).Bundle("0.3"))
			o := object{"identities": []object{{"issuer": issuer, "subject": subject}}, "trusted_root": "ours"}
			expect(t, w.call(w.ref(), o), builtins.OK)
			o[option] = tt.value
			expect(t, w.call(w.ref(), o), tt.code)
		})
	}
}

func TestOptionsAreDocumented(t *testing.T) {
	w := newWorld(t)
	rep := cosign.Verify.Call(t.Context(), w.env, chartref.Parse("x"), []byte(`{"?":1}`))
	for _, option := range []string{
		"annotations", "bundle", "chart", "digest_algorithm", "identities", "match_reference", "predicate_type", "public_key", "public_keys",
		"sct", "signature_repository", "threshold", "timestamp", "transparency_log", "trusted_root",
	} {
		if !strings.Contains(rep.Reason, option) {
			t.Errorf("%q does not know the option %s of the contract", rep.Reason, option)
		}
	}
}
