// SPDX-License-Identifier: Apache-2.0

package forge

import (
	"bytes"
	"crypto"
	"crypto/dsa" //lint:ignore SA1019 checks have to refuse what this makes
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp/packet"
	openpgp "github.com/ProtonMail/go-crypto/openpgp/v2"

	"github.com/chartseal/chartseal/builtins/keyring"
)

// Epoch is when keys are made that do not say otherwise.
var Epoch = time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)

// A Key is an OpenPGP key with its secret half. What is done to it gives
// another Key, so that a stale copy is the one from before.
type Key struct {
	Private *packet.PrivateKey
	UserID  string
	Created time.Time

	// Packets after the primary key, in this order.
	revocations, self, subkeys [][]byte
}

// A KeySpec says what key to make. The zero value is an Ed25519 key of version
// 4 that certifies and signs and never expires.
type KeySpec struct {
	Algorithm   string // ed25519, rsa<bits>, p256, secp256k1, dsa; with the suffix -v6 of version 6
	UserID      string
	Created     time.Time     // default Epoch
	Lifetime    time.Duration // 0 is unlimited
	Certified   time.Time     // date of the self-signature, default Created
	CertifyOnly bool
}

// NewKey makes a key with one self-signature.
func NewKey(spec KeySpec) *Key {
	if spec.UserID == "" {
		spec.UserID = "Chart Signer <sign@example.com>"
	}
	if spec.Created.IsZero() {
		spec.Created = Epoch
	}
	if spec.Certified.IsZero() {
		spec.Certified = spec.Created
	}
	k := &Key{Private: secret(spec.Algorithm, spec.Created), UserID: spec.UserID, Created: spec.Created}
	return k.certified(spec)
}

func (k *Key) certified(spec KeySpec) *Key {
	sig := k.signature(packet.SigTypePositiveCert, spec.Certified)
	sig.FlagsValid, sig.FlagCertify, sig.FlagSign = true, true, !spec.CertifyOnly
	sig.KeyLifetimeSecs = seconds(spec.Lifetime)
	userID := framedPacket(13, []byte(k.UserID))
	if k.Private.Version == 6 {
		direct := *sig
		direct.SigType = packet.SigTypeDirectSignature
		must(direct.SignDirectKeyBinding(&k.Private.PublicKey, k.Private, config))
		k.self = append(k.self, serialized(&direct))
	}
	must(sig.SignUserId(k.UserID, &k.Private.PublicKey, k.Private, config))
	k.self = append(k.self, userID, serialized(sig))
	return k
}

// Renewed is the key after its owner moved its expiry: as gpg does it, the
// self-signature is replaced by one of the new date.
func (k *Key) Renewed(spec KeySpec) *Key {
	renewed := *k
	renewed.self = nil
	return renewed.certified(spec)
}

// A SubkeySpec says what subkey to add. The zero value signs.
type SubkeySpec struct {
	Created   time.Time // default that of the primary key
	Lifetime  time.Duration
	Bound     time.Time // date of the binding, default Created
	Encrypts  bool      // is for encryption only, whatever it can do
	Uncrossed bool      // has not signed its primary key
}

// WithSubkey is the key with one more subkey. sub signs as the subkey.
func (k *Key) WithSubkey(spec SubkeySpec) (whole, sub *Key) {
	if spec.Created.IsZero() {
		spec.Created = k.Created
	}
	if spec.Bound.IsZero() {
		spec.Bound = spec.Created
	}
	sub = &Key{Private: secret("", spec.Created), UserID: k.UserID, Created: spec.Created}
	sub.Private.IsSubkey = true
	binding := k.signature(packet.SigTypeSubkeyBinding, spec.Bound)
	binding.FlagsValid, binding.FlagSign, binding.FlagEncryptStorage = true, !spec.Encrypts, spec.Encrypts
	binding.KeyLifetimeSecs = seconds(spec.Lifetime)
	if !spec.Encrypts && !spec.Uncrossed {
		cross := sub.signature(packet.SigTypePrimaryKeyBinding, spec.Bound)
		must(cross.CrossSignKey(&sub.Private.PublicKey, &k.Private.PublicKey, sub.Private, config))
		binding.EmbeddedSignature = cross
	}
	must(binding.SignKey(&sub.Private.PublicKey, k.Private, config))
	var public bytes.Buffer
	must(sub.Private.PublicKey.Serialize(&public))
	return k.and(public.Bytes(), serialized(binding)), sub
}

// Revocation is a revocation certificate for the key, with a reason or nil.
func (k *Key) Revocation(reason *packet.ReasonForRevocation, at time.Time) []byte {
	sig := k.signature(packet.SigTypeKeyRevocation, at)
	sig.RevocationReason = reason
	must(sig.RevokeKey(&k.Private.PublicKey, k.Private, config))
	return serialized(sig)
}

// Revoked is the key with its revocation.
func (k *Key) Revoked(reason *packet.ReasonForRevocation, at time.Time) *Key {
	revoked := *k
	revoked.revocations = append(slices.Clone(k.revocations), k.Revocation(reason, at))
	return &revoked
}

// RevokedSubkey is the key with a revocation of the subkey that was added last.
func (k *Key) RevokedSubkey(sub *Key, reason *packet.ReasonForRevocation, at time.Time) *Key {
	sig := k.signature(packet.SigTypeSubkeyRevocation, at)
	sig.RevocationReason = reason
	must(sig.RevokeSubkey(&sub.Private.PublicKey, k.Private, config))
	return k.and(serialized(sig))
}

// and is the key with more packets at the end.
func (k *Key) and(packets ...[]byte) *Key {
	more := *k
	more.subkeys = slices.Concat(k.subkeys, packets)
	return &more
}

func (k *Key) sections() []byte {
	return slices.Concat(slices.Concat(k.revocations, k.self, k.subkeys)...)
}

// Fingerprint is as gpg prints it.
func (k *Key) Fingerprint() string { return keyring.Fingerprint(k.Private.PublicKey.Fingerprint) }

// Public is the key as gpg --export writes it.
func (k *Key) Public() []byte {
	var b bytes.Buffer
	must(k.Private.PublicKey.Serialize(&b))
	return append(b.Bytes(), k.sections()...)
}

// Secret is the key with its secret, unprotected. Its subkeys stay public.
func (k *Key) Secret() []byte {
	var b bytes.Buffer
	must(k.Private.Serialize(&b))
	return append(b.Bytes(), k.sections()...)
}

// ArmoredPublic is the key as gpg --export --armor writes it.
func (k *Key) ArmoredPublic() string { return Armor("PUBLIC KEY BLOCK", k.Public()) }

// A SignatureSpec says how to sign. The zero value is what Helm writes, an
// hour after the key was made.
type SignatureSpec struct {
	At       time.Time
	Type     *packet.SignatureType // default text
	Hash     crypto.Hash           // default SHA-512
	Lifetime time.Duration
	Mutate   func(*packet.Signature) // before it is signed
}

// Binary is the type of a signature over bytes.
var Binary = new(packet.SignatureType)

// Sign gives a signature packet over text.
func (k *Key) Sign(text string, spec SignatureSpec) []byte {
	if spec.At.IsZero() {
		spec.At = k.Created.Add(time.Hour)
	}
	sig := k.signature(packet.SigTypeText, spec.At)
	if spec.Type != nil {
		sig.SigType = *spec.Type
	}
	if spec.Hash != 0 {
		sig.Hash = spec.Hash
	}
	sig.SigLifetimeSecs = seconds(spec.Lifetime)
	if spec.Mutate != nil {
		spec.Mutate(sig)
	}
	h, err := sig.PrepareSign(config)
	must(err)
	if sig.SigType != packet.SigTypeBinary {
		text = strings.ReplaceAll(text, "\n", "\r\n")
	}
	h.Write([]byte(text))
	must(sig.Sign(h, k.Private, config))
	return serialized(sig)
}

func (k *Key) signature(kind packet.SignatureType, at time.Time) *packet.Signature {
	return &packet.Signature{
		Version: k.Private.Version, SigType: kind, PubKeyAlgo: k.Private.PubKeyAlgo, Hash: crypto.SHA512,
		CreationTime: at, IssuerKeyId: &k.Private.KeyId, IssuerFingerprint: k.Private.PublicKey.Fingerprint,
		IssuerKeyVersion: uint8(k.Private.Version),
	}
}

// Clearsigned frames text with signatures over it, the way Helm does.
func Clearsigned(text string, signatures ...[]byte) string {
	var b strings.Builder
	b.WriteString("-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512\n\n")
	for line := range strings.SplitSeq(text, "\n") {
		if strings.HasPrefix(line, "-") {
			b.WriteString("- ")
		}
		b.WriteString(line + "\n")
	}
	b.WriteString(Armor("SIGNATURE", slices.Concat(signatures...)))
	return b.String()
}

// ProvenanceText is what Helm signs for an archive.
func ProvenanceText(metadata, file, digest string) string {
	return fmt.Sprintf("%s\n...\nfiles:\n  %s: %s\n", metadata, file, digest)
}

// Armor is raw in ASCII armor.
func Armor(kind string, raw []byte) string {
	var b strings.Builder
	fmt.Fprintf(&b, "-----BEGIN PGP %s-----\n\n", kind)
	for line := range slices.Chunk([]byte(base64.StdEncoding.EncodeToString(raw)), 64) {
		fmt.Fprintf(&b, "%s\n", line)
	}
	fmt.Fprintf(&b, "-----END PGP %s-----\n", kind)
	return b.String()
}

// Keybox is a keybox of keys, with an empty blob and an X.509 one as gpg leaves them.
func Keybox(keys ...[]byte) []byte {
	box := blob(1, append([]byte("KBXf"), make([]byte, 20)...))
	box = append(box, blob(0, make([]byte, 8))...)
	box = append(box, blob(3, make([]byte, 40))...)
	for _, k := range keys {
		at := binary.BigEndian.AppendUint32(nil, 20)
		at = binary.BigEndian.AppendUint32(at, uint32(len(k)))
		box = append(box, blob(2, slices.Concat(at, make([]byte, 4), k, make([]byte, 20)))...)
	}
	return box
}

func blob(kind byte, rest []byte) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(8+len(rest)))
	return append(append(b, kind, 1, 0, 0), rest...)
}

// NestedSignature is a signature packet with signatures in it, depth levels down.
func NestedSignature(depth int) []byte {
	size := []int{0}
	for range depth {
		size = append(size, size[len(size)-1]+nestedFrame)
	}
	var b []byte
	for level := depth; level > 0; level-- {
		inner := uint32(size[level-1])
		b = append(b, 6, byte(packet.SigTypeText), byte(packet.PubKeyAlgoEd25519), 10)
		b = binary.BigEndian.AppendUint32(b, 6+6+inner)
		b = append(b, 5, 2, 0, 0, 0, 1) // creation time
		b = append(b, 255)
		b = binary.BigEndian.AppendUint32(b, 1+inner)
		b = append(b, 32)
	}
	b = append(b, make([]byte, 4*depth)...) // empty areas that are not hashed
	return framedPacket(2, b)
}

const nestedFrame = 8 + 6 + 6 + 4

// framedPacket frames a packet.
func framedPacket(tag byte, body []byte) []byte {
	b := binary.BigEndian.AppendUint32([]byte{0xc0 | tag, 255}, uint32(len(body)))
	return append(b, body...)
}

// config leaves out the salt that the library adds, which SHA-1 has no size for.
var config = &packet.Config{NonDeterministicSignaturesViaNotation: new(bool)}

// rsaKeys keeps what is slow to make; a key's date makes another key of it.
var rsaKeys sync.Map

func secret(algorithm string, created time.Time) *packet.PrivateKey {
	algorithm, v6 := strings.CutSuffix(algorithm, "-v6")
	if v6 && algorithm == "ed25519" {
		algorithm = "new-ed25519" // version 6 has no place for the old numbers
	}
	raw, kept := rsaKeys.Load(algorithm)
	if !kept {
		raw = generate(algorithm)
		if strings.HasPrefix(algorithm, "rsa") || algorithm == "dsa" {
			raw, _ = rsaKeys.LoadOrStore(algorithm, raw)
		}
	}
	var private *packet.PrivateKey
	if d, ok := raw.(*dsa.PrivateKey); ok {
		private = packet.NewDSAPrivateKey(created, d)
	} else {
		private = packet.NewSignerPrivateKey(created, raw)
	}
	if v6 {
		must(private.UpgradeToV6())
	}
	return private
}

func generate(algorithm string) any {
	c := &packet.Config{Algorithm: packet.PubKeyAlgoEdDSA}
	switch algorithm {
	case "", "ed25519":
	case "p256":
		c.Algorithm, c.Curve = packet.PubKeyAlgoECDSA, packet.CurveNistP256
	case "secp256k1":
		c.Algorithm, c.Curve = packet.PubKeyAlgoECDSA, packet.CurveSecP256k1
	case "dsa":
		return generateDSA()
	case "new-ed25519": // the algorithm of RFC 9580
		c.Algorithm = packet.PubKeyAlgoEd25519
	default:
		c.Algorithm = packet.PubKeyAlgoRSA
		_, err := fmt.Sscanf(algorithm, "rsa%d", &c.RSABits)
		must(err)
	}
	e, err := openpgp.NewEntity("generated", "", "", c)
	must(err)
	return e.PrivateKey.PrivateKey
}

func generateDSA() *dsa.PrivateKey {
	var k dsa.PrivateKey
	must(dsa.GenerateParameters(&k.Parameters, rand.Reader, dsa.L1024N160))
	must(dsa.GenerateKey(&k, rand.Reader))
	return &k
}

func serialized(sig *packet.Signature) []byte {
	var b bytes.Buffer
	must(sig.Serialize(&b))
	return b.Bytes()
}

func seconds(d time.Duration) *uint32 {
	if d == 0 {
		return nil
	}
	s := uint32(d / time.Second)
	return &s
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}
