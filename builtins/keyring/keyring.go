// SPDX-License-Identifier: Apache-2.0

// Package keyring reads OpenPGP keyrings as people have them: binary, armored
// or keybox, with secret keys, stale copies and oddities among the rest. It
// does no I/O and knows no clock.
package keyring

import (
	"bytes"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"

	pgperrors "github.com/ProtonMail/go-crypto/openpgp/errors"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
	openpgp "github.com/ProtonMail/go-crypto/openpgp/v2"
)

// A Ring is an index over the keys of one keyring. It never changes and
// serves any number of goroutines: a key is looked into when first asked for.
type Ring struct {
	keys          []*key
	byFingerprint map[string]*key     // of primaries
	byID          map[uint64][]*key   // of primaries and subkeys
	subkeys       map[string]bool     // by fingerprint
	revocations   map[uint64][][]byte // of primaries, by the id of who revokes
}

// A key is one primary key with all copies of it that the ring holds.
type key struct {
	fingerprint string
	id          uint64
	copies      [][]byte // public packets

	once   sync.Once
	entity *openpgp.Entity // nil if the key is of no use
}

// Parse indexes a keyring.
//
// The format is known by the content: a keybox by its magic, armor by its
// first line, all else is packets. All armored blocks are read, and what
// stands between them is skipped. Of secret keys only the public half is kept.
// What is well framed and not understood is skipped, as keyrings have always
// held such things: trust packets, photos, keys of versions 3 and 5. A fault
// in the framing is an error that says where. A keyring without a key is an
// error too: nothing must never count as something.
func Parse(raw []byte) (*Ring, error) {
	r := &Ring{
		byFingerprint: map[string]*key{}, byID: map[uint64][]*key{}, subkeys: map[string]bool{},
		revocations: map[uint64][][]byte{},
	}
	if err := r.read(raw); err != nil {
		return nil, fmt.Errorf("not an OpenPGP keyring: %w", err)
	}
	if len(raw) == 0 {
		return nil, errors.New("holds no OpenPGP key: it is empty, as gpg --export leaves it where no key matches")
	}
	if len(r.keys) == 0 {
		return nil, errors.New("holds no OpenPGP key of version 4 or 6")
	}
	return r, nil
}

func (r *Ring) read(raw []byte) error {
	blocks, err := unwrap(raw)
	if err != nil {
		return err
	}
	for _, block := range blocks {
		if err := r.index(block); err != nil {
			return err
		}
	}
	return nil
}

// unwrap gives the packets inside whatever they come in.
func unwrap(raw []byte) ([][]byte, error) {
	switch {
	case isKeybox(raw):
		packets, err := unbox(raw)
		return [][]byte{packets}, err
	case Armored(raw):
		return unarmorKeys(trimmed(raw))
	}
	return [][]byte{raw}, nil
}

func unarmorKeys(text []byte) (blocks [][]byte, err error) {
	for n := 1; ; n++ {
		kind, body, _, after, err := Unarmor(text)
		switch {
		case err != nil:
			return nil, fmt.Errorf("armored block %d: %w", n, err)
		case kind == "":
			return blocks, nil
		case kind != "PUBLIC KEY BLOCK" && kind != "PRIVATE KEY BLOCK":
			return nil, fmt.Errorf("armored block %d is a PGP %.40q, not a key", n, kind)
		}
		blocks, text = append(blocks, body), after
	}
}

// index cuts packets into transferable keys: each starts with a primary key.
func (r *Ring) index(packets []byte) error {
	packets, err := publicHalves(packets)
	if err != nil {
		return err
	}
	var current *key // nil before the first key and within one of an unknown version
	begin, offset, keys := 0, 0, 0
	for p, err := range Packets(packets) {
		if err != nil {
			return fmt.Errorf("key %d: %w", keys, err)
		}
		switch p.Tag {
		case tagPublicKey:
			current.add(packets[begin:offset])
			current, begin, keys = r.primary(p.Body), offset, keys+1
		case tagPublicSubkey:
			r.subkey(current, p.Body)
		case tagSignature:
			if err := r.revocation(p); err != nil {
				return fmt.Errorf("revocation of key %d: %w", keys, err)
			}
		}
		offset += len(p.Raw)
	}
	current.add(packets[begin:offset])
	return nil
}

// publicHalves replaces each secret key packet by the public one in it.
func publicHalves(packets []byte) ([]byte, error) {
	var public []byte
	offset, kept, keys := 0, 0, 0 // kept is up to where public has everything
	for p, err := range Packets(packets) {
		if err != nil {
			return nil, fmt.Errorf("key %d: %w", keys, err)
		}
		if p.Tag == tagPublicKey || p.Tag == tagSecretKey {
			keys++
		}
		if p.Tag == tagSecretKey || p.Tag == tagSecretSubkey {
			half, err := publicHalf(p)
			if err != nil {
				return nil, fmt.Errorf("secret packet of key %d: %w", keys, err)
			}
			public = append(append(public, packets[kept:offset]...), half...)
			kept = offset + len(p.Raw)
		}
		offset += len(p.Raw)
	}
	if kept == 0 {
		return packets, nil
	}
	return append(public, packets[kept:]...), nil
}

// publicHalf needs the library to know where the public part ends. What the
// library does not support becomes a key of no known version, to be skipped.
func publicHalf(p Packet) ([]byte, error) {
	tag := tagPublicKey
	if p.Tag == tagSecretSubkey {
		tag = tagPublicSubkey
	}
	parsed, err := packet.Read(bytes.NewReader(p.Raw))
	if _, unsupported := err.(pgperrors.UnsupportedError); unsupported {
		return appendPacket(nil, tag, []byte{0}), nil
	}
	if err != nil {
		return nil, err
	}
	secret, ok := parsed.(*packet.PrivateKey)
	if !ok {
		return nil, errors.New("holds no secret key")
	}
	var public bytes.Buffer
	err = secret.PublicKey.Serialize(&public)
	return public.Bytes(), err
}

// primary is the key whose primary packet has this body; nil for a version
// that has no place here.
func (r *Ring) primary(body []byte) *key {
	fingerprint, id := identify(body)
	if fingerprint == "" {
		return nil
	}
	k, known := r.byFingerprint[fingerprint]
	if !known {
		k = &key{fingerprint: fingerprint, id: id}
		r.keys = append(r.keys, k)
		r.byFingerprint[fingerprint] = k
		r.byID[id] = append(r.byID[id], k)
	}
	return k
}

func (r *Ring) subkey(of *key, body []byte) {
	fingerprint, id := identify(body)
	if of == nil || fingerprint == "" {
		return
	}
	r.subkeys[fingerprint] = true
	if !slices.Contains(r.byID[id], of) {
		r.byID[id] = append(r.byID[id], of)
	}
}

// revocation keeps the revocation of a primary key wherever it stands. A
// revocation certificate is one packet without its key, and people append it
// to the keyring: the library would pass over it there.
func (r *Ring) revocation(p Packet) error {
	if len(p.Body) < 2 || p.Body[1] != byte(packet.SigTypeKeyRevocation) {
		return nil
	}
	if !shallow(p.Body) {
		return errSubpackets
	}
	parsed, err := packet.Read(bytes.NewReader(p.Raw))
	if _, unsupported := err.(pgperrors.UnsupportedError); unsupported {
		return nil
	}
	if err != nil {
		return err
	}
	if s, ok := parsed.(*packet.Signature); ok && s.IssuerKeyId != nil {
		r.revocations[*s.IssuerKeyId] = append(r.revocations[*s.IssuerKeyId], p.Body)
	}
	return nil
}

func (k *key) add(copy []byte) {
	if k != nil {
		k.copies = append(k.copies, copy)
	}
}

// identify gives fingerprint and key id of a public key packet, RFC 9580
// section 5.5.4; none for a version other than 4 and 6.
func identify(body []byte) (fingerprint string, id uint64) {
	if len(body) == 0 {
		return "", 0
	}
	switch version := body[0]; {
	case version == 4 && len(body) < 1<<16:
		var buffer [1 << 10]byte // for most keys, so that nothing is allocated
		sum := sha1.Sum(append(append(buffer[:0], 0x99, byte(len(body)>>8), byte(len(body))), body...))
		return string(sum[:]), binary.BigEndian.Uint64(sum[12:])
	case version == 6:
		h := sha256.New()
		h.Write(binary.BigEndian.AppendUint32([]byte{0x9b}, uint32(len(body))))
		h.Write(body)
		sum := h.Sum(nil)
		return string(sum), binary.BigEndian.Uint64(sum)
	}
	return "", 0
}

// Len is the number of primary keys, each counted once.
func (r *Ring) Len() int { return len(r.keys) }

// Fingerprints are those of the primary keys, in the order of the ring.
func (r *Ring) Fingerprints() []string {
	all := make([]string, len(r.keys))
	for i, k := range r.keys {
		all[i] = Fingerprint([]byte(k.fingerprint))
	}
	return all
}

// Keys gives every primary key in the order of the ring, by its fingerprint
// and with all its copies merged; nil for a key that the library cannot read.
func (r *Ring) Keys() iter.Seq2[string, *openpgp.Entity] {
	return func(yield func(string, *openpgp.Entity) bool) {
		for _, k := range r.keys {
			if !yield(Fingerprint([]byte(k.fingerprint)), Set{{Ring: r}}.entity(k)) {
				return
			}
		}
	}
}

// Holds says whether the key with this fingerprint is in the ring, as a
// primary key or as a subkey.
func (r *Ring) Holds(fingerprint []byte) bool {
	return r.byFingerprint[string(fingerprint)] != nil || r.subkeys[string(fingerprint)]
}

// Fingerprint writes a fingerprint as gpg and Helm do.
func Fingerprint(raw []byte) string { return strings.ToUpper(hex.EncodeToString(raw)) }

// ParseFingerprint reads a full fingerprint: 40 hexadecimal digits, or 64 for
// a key of version 6, in either case and with the blanks that gpg shows among
// them, and gives it as [Fingerprint] writes it.
func ParseFingerprint(s string) (string, error) {
	raw, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil || (len(raw) != sha1.Size && len(raw) != sha256.Size) {
		return "", fmt.Errorf("fingerprint %.80q is not 40 or 64 hexadecimal digits", s)
	}
	return Fingerprint(raw), nil
}
