// SPDX-License-Identifier: Apache-2.0

package helm_test

import (
	"bytes"
	"crypto"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/chartseal/chartseal/builtins"
	"github.com/chartseal/chartseal/builtins/source"
	"github.com/chartseal/chartseal/test/forge"
)

// A reason says both sides, and what to do where something can be done.
func TestReasons(t *testing.T) {
	for name, test := range map[string]struct {
		change change
		code   builtins.Code
		reason string
	}{
		"P4 full fingerprint": {signing(mallory, forge.SignatureSpec{}), builtins.UntrustedSigner,
			"signed by key " + mallory.Fingerprint() + ", which is in no keyring given"},
		"P4 full fingerprint of version 6": {trusted(v6Signer), builtins.UntrustedSigner,
			"signed by key " + v6Signer.Fingerprint() + ", which is in no keyring given"},
		"P4 key id alone": {unnamed, builtins.UntrustedSigner,
			fmt.Sprintf("signed by key %016X, which is in no keyring given", mallory.Private.KeyId)},
		"P5 in the keyring, none of the signers": {option("signers", []string{bob.Fingerprint()}), builtins.UntrustedSigner,
			"signed by " + alice.Fingerprint() + ", which is none of the signers"},
		"P16 SHA-1":    {signing(alice, forge.SignatureSpec{Hash: crypto.SHA1}), builtins.WeakAlgorithm, "signature is over SHA-1, want SHA-2 or SHA-3"},
		"P16 DSA":      {trustedNew("dsa"), builtins.WeakAlgorithm, "signature is of DSA, want RSA, ECDSA or EdDSA"},
		"P16 RSA-1024": {trustedNew("rsa1024"), builtins.WeakAlgorithm, " is rsa1024, want rsa2048 or longer, "},
		"P17 key": {all(trusted(expiring, expiring), now(11*day)), builtins.KeyExpired,
			"key " + expiring.Fingerprint() + " expired at 2024-01-11T00:00:00Z; it was judged at 2024-01-12T00:00:00Z"},
		"P17 key, when it signed": {all(trusted(expiring, expiring), now(20*day), signing(expiring, at(12*day)), option("key_time", "signing")), builtins.KeyExpired,
			"key " + expiring.Fingerprint() + " expired at 2024-01-11T00:00:00Z; it was judged at 2024-01-13T00:00:00Z"},
		"P17 subkey": {all(trusted(short, withShort), now(11*day)), builtins.KeyExpired,
			"key " + short.Fingerprint() + " expired at 2024-01-11T00:00:00Z"},
		"P17 primary of the subkey": {all(trusted(exSb, expiringWith), now(11*day)), builtins.KeyExpired,
			"key " + expiringWith.Fingerprint() + " expired at 2024-01-11T00:00:00Z"},
		"P1 inline archive": {inline, builtins.NoProvenance,
			"an inline archive has nothing beside it: give its provenance by the option provenance"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene()
			test.change(s)
			if rep := s.want(t, test.code); !strings.Contains(rep.Reason, test.reason) {
				t.Errorf("reason is %q, want …%s…", rep.Reason, test.reason)
			}
		})
	}
}

// unnamed signs as mallory, without what names the key in full: subpacket 33
// becomes one that nobody knows.
func unnamed(s *scene) {
	full := mallory.Private.Fingerprint
	s.sign = func(text string) [][]byte {
		signature := mallory.Sign(text, forge.SignatureSpec{})
		return [][]byte{bytes.Replace(signature, slices.Concat([]byte{33, 4}, full), slices.Concat([]byte{100, 4}, full), 1)}
	}
}

func inline(s *scene) {
	s.ref = "inline:" + builtins.SHA256(s.archive)
	s.served = source.Map{s.ref: {Data: s.archive}}
}

func TestInlineArchive(t *testing.T) {
	s := newScene()
	inline(s)
	s.opts["provenance"] = s.provenance()
	s.want(t, builtins.OK)
	delete(s.opts, "provenance")
	s.want(t, builtins.NoProvenance)
}

// User IDs that somebody added to a copy of the key are not reported.
func TestUserIDsOfTheSigner(t *testing.T) {
	packets := alice.Public()
	s := newScene()
	s.rings["team"] = append(packets, append([]byte{0xc0 | 13, 3}, "CEO"...)...)
	s.opts = map[string]any{"keyring": base64.StdEncoding.EncodeToString(s.rings["team"])}
	got := s.want(t, builtins.OK).Evidence.(builtins.Signatures).Signers[0].UserIDs
	if len(got) != 1 || got[0] != alice.UserID {
		t.Errorf("got %q", got)
	}
}
