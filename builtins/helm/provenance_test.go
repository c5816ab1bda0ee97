// SPDX-License-Identifier: Apache-2.0

package helm_test

import (
	"bytes"
	"io"
	"slices"
	"testing"

	"github.com/ProtonMail/go-crypto/openpgp/clearsign"

	"github.com/chartseal/chartseal/builtins"
	"github.com/chartseal/chartseal/builtins/archive"
	"github.com/chartseal/chartseal/builtins/helm"
	"github.com/chartseal/chartseal/builtins/keyring"
	"github.com/chartseal/chartseal/test/forge"
)

// sameAsHelm holds our reading of the frame against the one that Helm uses.
func sameAsHelm(t *testing.T, prov []byte, u *helm.Unverified) {
	t.Helper()
	block, rest := clearsign.Decode(prov)
	if block == nil {
		t.Fatalf("Helm sees no message in %q", prov)
	}
	if len(bytes.TrimSpace(rest)) > 0 {
		t.Errorf("Helm leaves %q", rest)
	}
	if !bytes.Equal(block.Bytes, u.Signed()) {
		t.Errorf("Helm hashes %q, we %q", block.Bytes, u.Signed())
	}
	armored, err := io.ReadAll(block.ArmoredSignature.Body)
	if ours := slices.Concat(u.Signatures()...); err != nil || !bytes.Equal(armored, ours) {
		t.Errorf("Helm verifies %x (%v), we %x", armored, err, ours)
	}
}

func FuzzProvenance(f *testing.F) {
	for _, test := range catalogue {
		for _, mutate := range []change{test.bad, test.twin} {
			s := newScene()
			if mutate != nil {
				mutate(s)
			}
			if prov := s.provenance(); len(prov) < 1<<14 {
				f.Add([]byte(prov))
			}
		}
	}
	s := newScene()
	ring, err := keyring.Parse(alice.Public())
	if err != nil {
		f.Fatal(err)
	}
	trust := helm.Trust{Keys: keyring.Set{{Ring: ring}}}
	metadata, err := archive.ParseMetadata([]byte(s.metadata))
	if err != nil {
		f.Fatal(err)
	}
	subject := helm.Subject{Digest: s.sum, Metadata: metadata}
	f.Fuzz(func(t *testing.T, prov []byte) {
		u, err := helm.ParseProvenance(prov, builtins.DefaultLimits())
		switch code := builtins.CodeOf(err); code {
		case builtins.OK:
			sameAsHelm(t, prov, u)
		case builtins.MalformedProvenance, builtins.BadSignature, builtins.TooMany, builtins.TooLarge:
		default:
			t.Errorf("code %s: %v", code, err)
		}
		p, err := helm.VerifyProvenance(subject, prov, trust, builtins.DefaultLimits(), s.now)
		if builtins.CodeOf(err) == builtins.Internal {
			t.Errorf("no code: %v", err)
		}
		if (p == nil) != (err != nil) {
			t.Errorf("%v beside %v", p, err)
		}
		if err == nil && (p.Digest != s.sum || p.Signers[0].Fingerprint != alice.Fingerprint()) {
			t.Errorf("verified %+v", p)
		}
	})
}

// Signature packets on their own, over a text that is good.
func FuzzSignature(f *testing.F) {
	s := newScene()
	text := s.signedText()
	for _, packet := range [][]byte{
		alice.Sign(text, forge.SignatureSpec{}), bob.Sign(text, forge.SignatureSpec{}), v6Signer.Sign(text, forge.SignatureSpec{}),
		rsaSigner.Sign(text, forge.SignatureSpec{}), alice.Sign(text, notation(true)), forge.NestedSignature(3), alice.Public(),
	} {
		f.Add(packet)
	}
	ring, err := keyring.Parse(slices.Concat(alice.Public(), bob.Public(), v6Signer.Public(), rsaSigner.Public()))
	if err != nil {
		f.Fatal(err)
	}
	trust := helm.Trust{Keys: keyring.Set{{Ring: ring}}}
	f.Fuzz(func(t *testing.T, packets []byte) {
		_, err := helm.VerifyProvenance(helm.Subject{}, []byte(forge.Clearsigned(text, packets)), trust, builtins.DefaultLimits(), s.now)
		if err == nil || builtins.CodeOf(err) == builtins.Internal {
			t.Errorf("%x: %v", packets, err)
		}
	})
}
