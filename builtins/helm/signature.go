// SPDX-License-Identifier: Apache-2.0

package helm

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	pgperrors "github.com/ProtonMail/go-crypto/openpgp/errors"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
	openpgp "github.com/ProtonMail/go-crypto/openpgp/v2"

	"github.com/chartseal/chartseal/builtins"
	"github.com/chartseal/chartseal/builtins/keyring"
)

// A Keyring finds the keys that may have made a signature. [keyring.Set] is one.
type Keyring interface {
	// Candidates gives every key with this id, all copies of it merged. The
	// entities are sealed, see there.
	Candidates(keyID uint64) []keyring.Candidate
}

// Trust says whose signatures count.
type Trust struct {
	Keys    Keyring     // who may have signed
	Revoked keyring.Set // whose signature never counts, be it as primary or as subkey

	// Signers are fingerprints of primary keys, upper-case hexadecimal; if
	// there are any, only these may have signed. A subkey counts as its primary.
	Signers []string
	// Threshold is how many different primary keys must have signed; 0 stands for 1.
	Threshold int
	// AtSigning judges keys only at the time of signing. That time is the
	// signer's own word: who stole an old key can go back to when it was good.
	AtSigning bool
}

// skew is how far ahead of ours a signer's clock may be.
const skew = 60 * time.Second

// signed is bytes with the signatures on them.
type signed struct {
	bytes      []byte
	kind       packet.SignatureType // the only one that counts
	signatures [][]byte             // packets
}

// splitSignatures cuts a signature block into its packets without looking
// into them. Anything else than signatures is BadSignature, more than limit
// TooMany.
func splitSignatures(block []byte, limit int64) (signatures [][]byte, err error) {
	for p, err := range keyring.Packets(block) {
		if err != nil {
			return nil, builtins.Errorf(builtins.BadSignature, "signature block is not well framed: %w", err)
		}
		if !p.Signature() {
			return nil, builtins.Errorf(builtins.BadSignature, "signature block holds a packet of type %d", p.Tag)
		}
		if int64(len(signatures)) == limit {
			return nil, builtins.Errorf(builtins.TooMany, "signature block holds more than %d signatures", limit)
		}
		signatures = append(signatures, p.Raw)
	}
	return signatures, nil
}

// signers gives who signed, each primary key once, in the order of the
// signatures. A signature that does not count never spoils one that does.
//
//   - Enough of them: no error.
//   - Some, and too few: Threshold.
//   - None: what is wrong with the signature that came closest. A fault of a
//     trusted key's own signature says more than a key that is unknown, so the
//     order is KeyRevoked, KeyExpired, WeakAlgorithm, BadSignature, UntrustedSigner.
func (s signed) signers(t Trust, at time.Time) ([]builtins.Signer, error) {
	var found []builtins.Signer
	var faults faults
	for _, raw := range s.signatures {
		signer, err := s.signer(raw, t, at)
		if err != nil {
			faults = append(faults, err)
			continue
		}
		if !slices.ContainsFunc(found, func(known builtins.Signer) bool { return known.Fingerprint == signer.Fingerprint }) {
			found = append(found, signer)
		}
	}
	switch needed := max(t.Threshold, 1); {
	case len(found) >= needed:
		return found, nil
	case len(found) > 0:
		return nil, builtins.Errorf(builtins.Threshold, "%d of %d required signers have signed%s", len(found), needed, faults.others())
	}
	return nil, faults.closest()
}

// signer gives the key that made one signature, if the signature counts.
func (s signed) signer(raw []byte, t Trust, at time.Time) (builtins.Signer, error) {
	sig, err := parseSignature(raw)
	if err != nil {
		return builtins.Signer{}, err
	}
	if err := s.admissible(sig, at); err != nil {
		return builtins.Signer{}, err
	}
	candidates := t.Keys.Candidates(*sig.IssuerKeyId)
	if len(candidates) == 0 {
		return builtins.Signer{}, untrusted("signed by key %s, which is in no keyring given", issuer(sig))
	}
	var faults faults
	for _, candidate := range candidates {
		signer, err := s.signerIs(candidate, raw, sig, t, at)
		if err == nil {
			return signer, nil
		}
		faults = append(faults, err)
	}
	return builtins.Signer{}, faults.closest()
}

// parseSignature looks into a signature packet no deeper than it has to: weak
// algorithms are told apart first, and a signature within a signature, which
// no message has, is never parsed.
func parseSignature(raw []byte) (*packet.Signature, error) {
	for p := range keyring.Packets(raw) {
		if err := weakSignature(p.Body); err != nil {
			return nil, err
		}
		if embedded, err := keyring.Embedded(p.Body); err != nil || len(embedded) > 0 {
			return nil, builtins.Errorf(builtins.BadSignature, "signature has malformed subpackets or carries another signature")
		}
	}
	parsed, err := packet.Read(bytes.NewReader(raw))
	if err != nil {
		return nil, builtins.Errorf(builtins.BadSignature, "unreadable signature: %w", foreign(err))
	}
	sig, ok := parsed.(*packet.Signature)
	switch {
	case !ok:
		return nil, builtins.Errorf(builtins.BadSignature, "signature packet holds no signature")
	case sig.IssuerKeyId == nil:
		return nil, builtins.Errorf(builtins.BadSignature, "signature names no issuer")
	}
	return sig, nil
}

// issuer is the key that a signature names, in full if it does so itself.
func issuer(sig *packet.Signature) string {
	switch f := sig.IssuerFingerprint; {
	case len(f) == 20 && binary.BigEndian.Uint64(f[12:]) == *sig.IssuerKeyId,
		len(f) == 32 && binary.BigEndian.Uint64(f) == *sig.IssuerKeyId:
		return keyring.Fingerprint(f)
	}
	return fmt.Sprintf("%016X", *sig.IssuerKeyId)
}

// Registered numbers of what is too weak for a message, RFC 9580 section 9.
var (
	weakHashes = map[byte]string{1: "MD5", 2: "SHA-1", 3: "RIPEMD-160"}
	weakKeys   = map[byte]string{16: "ElGamal", 17: "DSA", 20: "ElGamal"}
)

// weakSignature reads the two algorithms straight from the packet, since the
// library has no words for some of them.
func weakSignature(body []byte) error {
	if len(body) < 4 || (body[0] != 4 && body[0] != 6) {
		return nil
	}
	if name, weak := weakKeys[body[2]]; weak {
		return weakAlgorithm("signature is of %s, want RSA, ECDSA or EdDSA", name)
	}
	if name, weak := weakHashes[body[3]]; weak {
		return weakAlgorithm("signature is over %s, want SHA-2 or SHA-3", name)
	}
	return nil
}

// admissible judges what a signature says of itself.
func (s signed) admissible(sig *packet.Signature, at time.Time) error {
	created := sig.CreationTime
	switch {
	case sig.SigType != s.kind:
		return builtins.Errorf(builtins.BadSignature, "signature is of type 0x%02x, want 0x%02x", sig.SigType, s.kind)
	case created.After(at.Add(skew)):
		return builtins.Errorf(builtins.BadSignature, "signature is dated %s, it is %s", date(created), date(at))
	case sig.SigExpired(later(at, created)):
		return builtins.Errorf(builtins.BadSignature, "signature of %s has expired", date(created))
	}
	return nil
}

// signerIs decides whether one key made the signature and was entitled to.
func (s signed) signerIs(c keyring.Candidate, raw []byte, sig *packet.Signature, t Trust, at time.Time) (builtins.Signer, error) {
	now := later(at, sig.CreationTime)
	then := keyring.AsOf(c.Entity, sig.CreationTime)
	key := keyOf(then, *sig.IssuerKeyId)
	primary := keyring.Fingerprint(then.PrimaryKey.Fingerprint)
	if err := weakKey(then.PrimaryKey, key.PublicKey); err != nil {
		return builtins.Signer{}, err
	}
	if t.Revoked.Holds(then.PrimaryKey.Fingerprint) || t.Revoked.Holds(key.PublicKey.Fingerprint) {
		return builtins.Signer{}, builtins.Errorf(builtins.KeyRevoked, "key %s is in a keyring of revoked keys", primary)
	}
	if created := key.PublicKey.CreationTime; sig.CreationTime.Before(created) {
		return builtins.Signer{}, builtins.Errorf(builtins.BadSignature, "signature is dated %s, its key was made %s", date(sig.CreationTime), date(created))
	}
	if err := usable(then, key, sig.CreationTime); err != nil {
		return builtins.Signer{}, err
	}
	if err := s.verify(then, key, raw, now); err != nil {
		return builtins.Signer{}, err
	}
	if !t.AtSigning {
		if err := usable(c.Entity, keyOf(c.Entity, *sig.IssuerKeyId), now); err != nil {
			return builtins.Signer{}, err
		}
	}
	if len(t.Signers) > 0 && !slices.Contains(t.Signers, primary) {
		return builtins.Signer{}, builtins.Errorf(builtins.UntrustedSigner, "signed by %s, which is none of the signers", primary)
	}
	return builtins.Signer{
		Kind: "pgp", Name: c.Name, Fingerprint: primary, Algorithm: keyring.Algorithm(key.PublicKey),
		UserIDs: userIDs(c.Entity, now), SignedAt: date(sig.CreationTime),
	}, nil
}

// A keyPart is the key of an entity that a signature names.
type keyPart struct {
	*packet.PublicKey
	subkey *openpgp.Subkey // nil for the primary key
}

func keyOf(e *openpgp.Entity, id uint64) keyPart {
	for i := range e.Subkeys {
		if e.Subkeys[i].PublicKey.KeyId == id {
			return keyPart{e.Subkeys[i].PublicKey, &e.Subkeys[i]}
		}
	}
	return keyPart{e.PrimaryKey, nil}
}

// usable says whether a key may sign at a date, and if not, why: the library
// only says that no key may.
func usable(e *openpgp.Entity, key keyPart, at time.Time) error {
	fingerprint := keyring.Fingerprint(key.Fingerprint)
	_, err := e.VerifyPrimaryKey(at, policy(at))
	if err == nil && key.subkey != nil {
		_, err = key.subkey.Verify(at, policy(at))
	}
	switch {
	case errors.Is(err, pgperrors.ErrKeyExpired):
		return expired(e, key, at)
	case errors.Is(err, pgperrors.ErrKeyRevoked):
		return builtins.Errorf(builtins.KeyRevoked, "key %s is revoked by its owner", fingerprint)
	case err != nil:
		return builtins.Errorf(builtins.UntrustedSigner, "key %s has no valid signature of its owner on it at %s", fingerprint, date(at))
	}
	if _, ok := e.SigningKeyById(at, key.KeyId, policy(at)); !ok {
		return builtins.Errorf(builtins.UntrustedSigner, "key %s is not meant to sign", fingerprint)
	}
	return nil
}

// expired says when a key, or the primary key that vouches for it, expired.
func expired(e *openpgp.Entity, key keyPart, at time.Time) error {
	self, _ := e.PrimarySelfSignature(at, policy(at))
	direct, _ := e.LatestValidDirectSignature(at, policy(at))
	which, end := e.PrimaryKey, earlier(endOf(e.PrimaryKey, self), endOf(e.PrimaryKey, direct))
	if key.subkey != nil {
		binding, _ := key.subkey.LatestValidBindingSignature(at, policy(at))
		if own := endOf(key.PublicKey, binding); earlier(own, end) != end {
			which, end = key.PublicKey, own
		}
	}
	return builtins.Errorf(builtins.KeyExpired, "key %s expired at %s; it was judged at %s", keyring.Fingerprint(which.Fingerprint), date(end), date(at))
}

// endOf is when a key expires, or the signature that says so; zero for never.
func endOf(k *packet.PublicKey, s *packet.Signature) time.Time {
	if s == nil {
		return time.Time{}
	}
	return earlier(after(k.CreationTime, s.KeyLifetimeSecs), after(s.CreationTime, s.SigLifetimeSecs))
}

func after(start time.Time, seconds *uint32) time.Time {
	if seconds == nil || *seconds == 0 {
		return time.Time{}
	}
	return start.Add(time.Duration(*seconds) * time.Second)
}

// verify leaves the verdict to the library: one signature, one key.
func (s signed) verify(e *openpgp.Entity, key keyPart, raw []byte, now time.Time) error {
	md, err := openpgp.VerifyDetachedSignatureReader(openpgp.EntityList{e}, bytes.NewReader(s.bytes), bytes.NewReader(raw), policy(now))
	if err == nil {
		_, err = io.Copy(io.Discard, md.UnverifiedBody)
	}
	if err == nil {
		err = md.SignatureError
	}
	if err == nil && (md.SignedBy == nil || !bytes.Equal(md.SignedBy.PublicKey.Fingerprint, key.Fingerprint)) {
		err = errors.New("made by another key with the same id")
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, pgperrors.ErrKeyExpired):
		return builtins.Errorf(builtins.KeyExpired, "key %s had expired when it signed", keyring.Fingerprint(e.PrimaryKey.Fingerprint))
	case errors.Is(err, pgperrors.ErrKeyRevoked):
		return builtins.Errorf(builtins.KeyRevoked, "key %s is revoked by its owner", keyring.Fingerprint(e.PrimaryKey.Fingerprint))
	}
	return builtins.Errorf(builtins.BadSignature, "signature by %s does not verify: %w", keyring.Fingerprint(e.PrimaryKey.Fingerprint), foreign(err))
}

// policy is the library's default, at our time.
func policy(now time.Time) *packet.Config {
	return &packet.Config{Time: func() time.Time { return now }}
}

// weakKey refuses what the library's policy refuses in a key that signs and in
// the primary key that vouches for it.
func weakKey(keys ...*packet.PublicKey) error {
	for _, k := range keys {
		if keyring.Weak(k) {
			return weakAlgorithm("key %s is %s, want rsa2048 or longer, EdDSA, or ECDSA on a NIST or Brainpool curve", keyring.Fingerprint(k.Fingerprint), keyring.Algorithm(k))
		}
	}
	return nil
}

func weakAlgorithm(format string, args ...any) error {
	return builtins.Errorf(builtins.WeakAlgorithm, format, args...)
}

// maxUserIDs is how many user IDs of a key a report gives.
const maxUserIDs = 8

func userIDs(e *openpgp.Entity, at time.Time) []string {
	ids := keyring.UserIDs(e, at)
	ids = ids[:min(len(ids), maxUserIDs)]
	for i, id := range ids {
		ids[i] = builtins.Clip(builtins.Printable(id))
	}
	return ids
}

// faults are the errors of signatures that do not count, each with a code.
type faults []error

var closeness = []builtins.Code{builtins.UntrustedSigner, builtins.BadSignature, builtins.WeakAlgorithm, builtins.KeyExpired, builtins.KeyRevoked}

// closest is the first of those whose code comes last in closeness.
func (f faults) closest() error {
	return slices.MaxFunc(f, func(a, b error) int {
		return slices.Index(closeness, builtins.CodeOf(a)) - slices.Index(closeness, builtins.CodeOf(b))
	})
}

func (f faults) others() string {
	if len(f) == 0 {
		return ""
	}
	return fmt.Sprintf("; of the other signatures: %s", f.closest())
}

// foreign keeps of the library's error what may be shown: it can repeat input.
func foreign(err error) error {
	return fmt.Errorf("%s", builtins.Clip(builtins.Printable(strings.TrimPrefix(err.Error(), "openpgp: "))))
}

func date(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// earlier is the first of two times; zero stands for never.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || (!b.IsZero() && b.Before(a)) {
		return b
	}
	return a
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
