// SPDX-License-Identifier: Apache-2.0

package keyring

import (
	"bytes"
	"maps"
	"slices"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp/packet"
	openpgp "github.com/ProtonMail/go-crypto/openpgp/v2"
)

// A Candidate is a key that may have made a signature.
type Candidate struct {
	Name   string // of the ring it was found in
	Entity *openpgp.Entity
}

// A Set is rings with their names, asked as if they were one.
type Set []Member

// A Member is one ring of a [Set].
type Member struct {
	Name string
	Ring *Ring
}

// Len is the number of different primary keys in all rings.
func (s Set) Len() int {
	different := map[string]bool{}
	for _, m := range s {
		for _, k := range m.Ring.keys {
			different[k.fingerprint] = true
		}
	}
	return len(different)
}

// Holds says whether any ring holds the key with this fingerprint.
func (s Set) Holds(fingerprint []byte) bool {
	return slices.ContainsFunc(s, func(m Member) bool { return m.Ring.Holds(fingerprint) })
}

// Candidates gives every key that has id as a primary key or as a subkey: key
// ids are short enough to collide. All copies of a key, from all rings, are
// merged before anything about it is judged, so that no stale copy hides a
// revocation. A key that the library cannot read is no candidate.
//
// What the entities hold is decided and must not be changed; they may be
// shared and asked about any date.
func (s Set) Candidates(id uint64) []Candidate {
	var found []Candidate
	seen := map[string]bool{}
	for _, m := range s {
		for _, k := range m.Ring.byID[id] {
			if seen[k.fingerprint] {
				continue
			}
			seen[k.fingerprint] = true
			if e := s.entity(k); e != nil {
				found = append(found, Candidate{Name: m.Name, Entity: e})
			}
		}
	}
	return found
}

func (s Set) entity(k *key) *openpgp.Entity {
	alone := !slices.ContainsFunc(s, func(m Member) bool {
		other := m.Ring.byFingerprint[k.fingerprint]
		return (other != nil && other != k) || (other == nil && m.Ring.revocations[k.id] != nil)
	})
	if !alone {
		return read(k, s)
	}
	k.once.Do(func() { k.entity = read(k, s) })
	return k.entity
}

// read parses the merged copies of one key; nil if that gives no key, or
// another one than its packets say.
func read(k *key, in Set) *openpgp.Entity {
	var copies, revocations [][]byte
	for _, m := range in {
		if c := m.Ring.byFingerprint[k.fingerprint]; c != nil {
			copies = append(copies, c.copies...)
		}
		revocations = append(revocations, m.Ring.revocations[k.id]...)
	}
	e, err := openpgp.ReadEntity(packet.NewReader(bytes.NewReader(merge(copies, revocations))))
	if err != nil || string(e.PrimaryKey.Fingerprint) != k.fingerprint {
		return nil
	}
	seal(e)
	return e
}

// A section is a key or user ID with the signatures on it.
type section struct {
	tag        int
	body       []byte
	signatures [][]byte
}

// merge makes one transferable key of all copies: the sections that any copy
// has, each with the signatures that any copy has, and the revocations with
// the primary key. What is neither key, user ID nor signature is left out,
// together with the signatures on it. A key with a signature that no key has
// gives nothing: it may have been a revocation.
func merge(copies, revocations [][]byte) []byte {
	var sections []*section
	for _, c := range copies {
		var current *section
		for p, err := range Packets(c) {
			switch {
			case err != nil: // cannot be: the packets were walked before
				return nil
			case p.Tag == tagSignature && !shallow(p.Body):
				return nil
			case p.Tag == tagSignature:
				current.sign(p.Body)
			case p.Tag != tagTrust && p.Tag != tagMarker && p.Tag != tagPadding:
				sections, current = sectionOf(sections, p)
			}
		}
	}
	for _, r := range revocations {
		sections[0].sign(r)
	}
	var merged []byte
	for _, s := range sections {
		merged = s.append(merged)
	}
	return merged
}

func sectionOf(sections []*section, p Packet) ([]*section, *section) {
	i := slices.IndexFunc(sections, func(s *section) bool { return s.tag == p.Tag && bytes.Equal(s.body, p.Body) })
	if i >= 0 {
		return sections, sections[i]
	}
	s := &section{tag: p.Tag, body: p.Body}
	return append(sections, s), s
}

func (s *section) sign(body []byte) {
	if s != nil && !slices.ContainsFunc(s.signatures, func(known []byte) bool { return bytes.Equal(known, body) }) {
		s.signatures = append(s.signatures, body)
	}
}

func (s *section) append(to []byte) []byte {
	if s.tag != tagPublicKey && s.tag != tagPublicSubkey && s.tag != tagUserID {
		return to
	}
	to = appendPacket(to, s.tag, s.body)
	for _, body := range s.signatures {
		to = appendPacket(to, tagSignature, body)
	}
	return to
}

// policy is the library's own, for what does not depend on a date.
var policy = &packet.Config{Time: func() time.Time { return time.Time{} }}

// seal decides now what never changes about a key: which of its signatures on
// itself are sound. Left to the library this would be decided when first
// asked for, without a lock, and mixed up with the date asked about.
func seal(e *openpgp.Entity) {
	primary := e.PrimaryKey
	for _, s := range e.Revocations {
		decide(s, primary.VerifyRevocationSignature(s.Packet) == nil)
	}
	for _, s := range e.DirectSignatures {
		decide(s, permitted(s.Packet) && primary.VerifyDirectKeySignature(s.Packet) == nil)
	}
	for _, u := range e.Identities {
		for _, s := range u.SelfCertifications {
			decide(s, permitted(s.Packet) && primary.VerifyUserIdSignature(u.Name, primary, s.Packet) == nil)
		}
		for _, s := range u.Revocations {
			decide(s, primary.VerifyUserIdSignature(u.Name, primary, s.Packet) == nil)
		}
	}
	for _, sub := range e.Subkeys {
		for _, s := range sub.Bindings {
			decide(s, permitted(s.Packet) && primary.VerifyKeySignature(sub.PublicKey, s.Packet) == nil)
		}
		for _, s := range sub.Revocations {
			decide(s, primary.VerifySubkeyRevocationSignature(s.Packet, sub.PublicKey) == nil)
		}
	}
}

func decide(s *packet.VerifiableSignature, sound bool) { s.Valid = &sound }

// permitted refuses what the library refuses in a self-signature: broken
// hashes and demands that it does not know. A revocation needs no permission.
func permitted(s *packet.Signature) bool {
	return !policy.RejectHashAlgorithm(s.Hash) && !slices.ContainsFunc(s.Notations, func(n *packet.Notation) bool {
		return n.IsCritical && !policy.KnownNotation(n.Name)
	})
}

// AsOf is the key as it is to be judged at a date.
//
// gpg replaces the self-signature of a key whose expiry is moved, and none is
// then left from the time before. For such a date the oldest self-signature
// that is left speaks, as long as the key existed; the same goes for the
// bindings of subkeys. Everything else, revocations first of all, is as it was.
func AsOf(e *openpgp.Entity, date time.Time) *openpgp.Entity {
	renewed := *e
	if _, err := e.PrimarySelfSignature(date, policy); err != nil && !date.Before(e.PrimaryKey.CreationTime) {
		renewPrimary(&renewed, date)
	}
	renewed.Subkeys = slices.Clone(e.Subkeys)
	for i := range renewed.Subkeys {
		sub := &renewed.Subkeys[i]
		sub.Primary = &renewed
		if _, err := sub.LatestValidBindingSignature(date, policy); err != nil && !date.Before(sub.PublicKey.CreationTime) {
			sub.Bindings = backdate(sub.Bindings, date)
		}
	}
	return &renewed
}

func renewPrimary(e *openpgp.Entity, date time.Time) {
	if e.PrimaryKey.Version == 6 {
		e.DirectSignatures = backdate(e.DirectSignatures, date)
		return
	}
	e.Identities = maps.Clone(e.Identities)
	var oldest *openpgp.Identity
	for _, name := range slices.Sorted(maps.Keys(e.Identities)) {
		u := e.Identities[name]
		if s := earliest(u.SelfCertifications); s != nil && (oldest == nil || s.CreationTime.Before(earliest(oldest.SelfCertifications).CreationTime)) {
			oldest = u
		}
	}
	if oldest != nil {
		u := *oldest
		u.Primary, u.SelfCertifications = e, backdate(u.SelfCertifications, date)
		e.Identities[u.Name] = &u
	}
}

// backdate adds a copy of the earliest sound signature as if it were of date.
// The date is no part of what was verified: that is in the packet's own bytes.
func backdate(signatures []*packet.VerifiableSignature, date time.Time) []*packet.VerifiableSignature {
	s := earliest(signatures)
	if s == nil || !s.CreationTime.After(date) {
		return signatures
	}
	backdated := *s
	backdated.CreationTime = date
	if cross := backdated.EmbeddedSignature; cross != nil && cross.CreationTime.After(date) {
		c := *cross
		c.CreationTime = date
		backdated.EmbeddedSignature = &c
	}
	v := packet.NewVerifiableSig(&backdated)
	decide(v, true)
	return append(slices.Clone(signatures), v)
}

func earliest(signatures []*packet.VerifiableSignature) *packet.Signature {
	sound := slices.DeleteFunc(slices.Clone(signatures), func(s *packet.VerifiableSignature) bool { return s.Valid == nil || !*s.Valid })
	if len(sound) == 0 {
		return nil
	}
	return slices.MinFunc(sound, func(a, b *packet.VerifiableSignature) int {
		return a.Packet.CreationTime.Compare(b.Packet.CreationTime)
	}).Packet
}

// UserIDs are the user IDs that the key has at a date, sorted: those that it
// has signed itself and not revoked. Anybody can add others to a copy of it.
// They are its owner's own words.
func UserIDs(e *openpgp.Entity, date time.Time) (ids []string) {
	for _, name := range slices.Sorted(maps.Keys(e.Identities)) {
		if _, err := e.Identities[name].Verify(date, policy); err == nil {
			ids = append(ids, name)
		}
	}
	return ids
}
