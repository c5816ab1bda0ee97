// SPDX-License-Identifier: Apache-2.0

package inventory

import (
	"errors"
	"fmt"
	"time"

	pgperrors "github.com/ProtonMail/go-crypto/openpgp/errors"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
	openpgp "github.com/ProtonMail/go-crypto/openpgp/v2"

	"github.com/chartseal/chartseal/builtins"
	"github.com/chartseal/chartseal/builtins/keyring"
)

// A Keyring is one file of keyrings/.
type Keyring struct {
	Source
	Keys     []PGPKey  `json:"keys"`
	Warnings []Warning `json:"warnings,omitempty"`
}

// A PGPKey is a primary key, or a subkey that may sign in its place.
type PGPKey struct {
	Fingerprint string    `json:"fingerprint"`
	Algorithm   string    `json:"algorithm,omitempty"`
	UserIDs     []string  `json:"user_ids,omitempty"`
	Created     time.Time `json:"created,omitzero"`
	Expires     time.Time `json:"expires,omitzero"`
	Revoked     bool      `json:"revoked"`
	Subkeys     []PGPKey  `json:"subkeys,omitempty"`
	Warnings    []Warning `json:"warnings,omitempty"`
}

func keyringOf(source Source, raw []byte, at time.Time) Keyring {
	listed := Keyring{Source: source, Keys: []PGPKey{}}
	ring, err := keyring.Parse(raw)
	if err != nil { // cannot be: the store has parsed it
		listed.Warnings = []Warning{{Unusable, builtins.Printable(err.Error())}}
		return listed
	}
	for fingerprint, entity := range ring.Keys() {
		if entity == nil {
			listed.Keys = append(listed.Keys, PGPKey{Fingerprint: fingerprint, Warnings: []Warning{{Unusable, "the key cannot be read"}}})
			continue
		}
		listed.Keys = append(listed.Keys, primaryOf(entity, at))
	}
	return listed
}

func primaryOf(e *openpgp.Entity, at time.Time) PGPKey {
	policy := asOf(at)
	_, err := e.VerifyPrimaryKey(at, policy)
	key := describe(e.PrimaryKey, err)
	for _, id := range keyring.UserIDs(e, at) {
		key.UserIDs = append(key.UserIDs, builtins.Clip(builtins.Printable(id)))
	}
	if self, err := e.PrimarySelfSignature(at, policy); err == nil {
		key.Expires = sooner(end(e.PrimaryKey, self), selfEnd(self))
	}
	if direct, err := e.LatestValidDirectSignature(at, policy); err == nil {
		key.Expires = sooner(key.Expires, end(e.PrimaryKey, direct))
	}
	key.judge(e.PrimaryKey, at)
	for i := range e.Subkeys {
		if sub := &e.Subkeys[i]; signs(sub, at) {
			key.Subkeys = append(key.Subkeys, subkeyOf(sub, at))
		}
	}
	return key
}

// signs says whether a subkey is meant to sign charts: keys that encrypt are
// nothing to us.
func signs(s *openpgp.Subkey, at time.Time) bool {
	binding, err := s.LatestValidBindingSignature(at, asOf(at))
	return err == nil && binding.FlagsValid && binding.FlagSign
}

func subkeyOf(s *openpgp.Subkey, at time.Time) PGPKey {
	binding, err := s.Verify(at, asOf(at))
	key := describe(s.PublicKey, err)
	if binding != nil {
		key.Expires = sooner(end(s.PublicKey, binding), selfEnd(binding))
	}
	key.judge(s.PublicKey, at)
	return key
}

// describe is a key, with what its owner's signature on it comes to.
func describe(k *packet.PublicKey, verified error) PGPKey {
	key := PGPKey{
		Fingerprint: keyring.Fingerprint(k.Fingerprint), Algorithm: keyring.Algorithm(k), Created: k.CreationTime.UTC(),
		Revoked: errors.Is(verified, pgperrors.ErrKeyRevoked),
	}
	switch {
	case key.Revoked:
		key.Warnings = []Warning{{Revoked, "revoked by its owner"}}
	case verified != nil && !errors.Is(verified, pgperrors.ErrKeyExpired):
		key.Warnings = []Warning{{Unusable, "no signature of its owner on it is valid"}}
	}
	return key
}

func (key *PGPKey) judge(k *packet.PublicKey, at time.Time) {
	if keyring.Weak(k) {
		key.Warnings = append(key.Warnings, Warning{Weak, fmt.Sprintf("%s is too weak, no signature by it counts", key.Algorithm)})
	} else if bits, rsa := keyring.RSABits(k); rsa {
		key.Warnings = append(key.Warnings, short(bits)...)
	}
	if !key.Revoked {
		key.Warnings = append(key.Warnings, ending("key", key.Expires, at)...)
	}
}

// end is when a signature lets a key end; zero if it does not.
func end(k *packet.PublicKey, by *packet.Signature) time.Time {
	if by.KeyLifetimeSecs == nil || *by.KeyLifetimeSecs == 0 {
		return time.Time{}
	}
	return k.CreationTime.Add(time.Duration(*by.KeyLifetimeSecs) * time.Second).UTC()
}

// selfEnd is when a signature itself ends, and with it what it says.
func selfEnd(s *packet.Signature) time.Time {
	if s.SigLifetimeSecs == nil || *s.SigLifetimeSecs == 0 {
		return time.Time{}
	}
	return s.CreationTime.Add(time.Duration(*s.SigLifetimeSecs) * time.Second).UTC()
}

func sooner(a, b time.Time) time.Time {
	if a.IsZero() || (!b.IsZero() && b.Before(a)) {
		return b
	}
	return a
}

func asOf(at time.Time) *packet.Config { return &packet.Config{Time: func() time.Time { return at }} }
