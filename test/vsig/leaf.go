// SPDX-License-Identifier: Apache-2.0

package vsig

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/binary"
	"net/url"
	"strings"
	"time"
)

// A Leaf says what certificate a keyless signer gets. The zero value of each
// field is what a healthy instance would give at its moment.
type Leaf struct {
	Subject string // a URI if it has a scheme, else an e-mail address
	Issuer  string
	Claims  map[int]string // further extensions by their number below Fulcio's arc

	NotBefore  time.Time               // a minute before the instance's moment
	Lifetime   time.Duration           // ten minutes
	Key        crypto.Signer           // a new P-256 key
	SelfSigned bool                    // not issued by the authority at all
	SCT        SCT                     // embedded and right
	Edit       func(*x509.Certificate) // changes the template last
}

// An SCT says what proof of the certificate log a leaf carries.
type SCT int

// The proofs that a leaf can carry.
const (
	GoodSCT SCT = iota
	NoSCT
	ForeignSCT // by a log that the root does not name
)

// Numbers of Fulcio's extensions.
const (
	ClaimBuildSigner      = 9
	ClaimRunner           = 11
	ClaimSourceRepository = 12
	ClaimSourceDigest     = 13
	ClaimSourceRef        = 14
	ClaimBuildConfig      = 18
	ClaimTrigger          = 20
	ClaimRunURL           = 21

	claimIssuer = 8
)

// Keyless is a signer with a certificate of the instance.
func (s *Sigstore) Keyless(leaf Leaf) *Signer {
	if leaf.Key == nil {
		leaf.Key = newKey()
	}
	return &Signer{Key: leaf.Key, Certificate: s.certify(leaf), Chain: []*x509.Certificate{s.fulcio.intermediate.Certificate, s.fulcio.root.Certificate}}
}

func (s *Sigstore) certify(leaf Leaf) *x509.Certificate {
	template := s.leafTemplate(leaf)
	parent, key := s.fulcio.intermediate.Certificate, crypto.Signer(s.fulcio.intermediate.key)
	if leaf.SelfSigned {
		parent, key = template, leaf.Key
	}
	unlogged := must(x509.ParseCertificate(must(x509.CreateCertificate(rand.Reader, template, parent, leaf.Key.Public(), key))))
	if leaf.SCT == NoSCT {
		return unlogged
	}
	log := s.ct
	if leaf.SCT == ForeignSCT {
		log = newKey()
	}
	// The proof is about the certificate without it, and stands last in it, so
	// the certificate just made is the one that the log has seen.
	template.ExtraExtensions = append(template.ExtraExtensions, sctExtension(log, unlogged, parent, template.NotBefore))
	return must(x509.ParseCertificate(must(x509.CreateCertificate(rand.Reader, template, parent, leaf.Key.Public(), key))))
}

func (s *Sigstore) leafTemplate(leaf Leaf) *x509.Certificate {
	if leaf.NotBefore.IsZero() {
		leaf.NotBefore = s.At.Add(-time.Minute)
	}
	if leaf.Lifetime == 0 {
		leaf.Lifetime = 10 * time.Minute
	}
	template := &x509.Certificate{
		SerialNumber: serial(), NotBefore: leaf.NotBefore, NotAfter: leaf.NotBefore.Add(leaf.Lifetime),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning},
	}
	if strings.Contains(leaf.Subject, "://") {
		template.URIs = []*url.URL{must(url.Parse(leaf.Subject))}
	} else {
		template.EmailAddresses = []string{leaf.Subject}
	}
	template.ExtraExtensions = append(template.ExtraExtensions, oldIssuer(leaf.Issuer), claim(claimIssuer, leaf.Issuer))
	for number, value := range leaf.Claims {
		template.ExtraExtensions = append(template.ExtraExtensions, claim(number, value))
	}
	if leaf.Edit != nil {
		leaf.Edit(template)
	}
	return template
}

// oldIssuer is the issuer as the first extensions had it, without encoding;
// Fulcio still writes it, and cosign v2 reads no other.
func oldIssuer(issuer string) pkix.Extension {
	return pkix.Extension{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 57264, 1, 1}, Value: []byte(issuer)}
}

func claim(number int, value string) pkix.Extension {
	return pkix.Extension{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 57264, 1, number}, Value: must(asn1.MarshalWithParams(value, "utf8"))}
}

// sctExtension is RFC 6962, section 3.2 and 3.3: a signed timestamp over the
// precertificate, in a list of one.
func sctExtension(log *ecdsa.PrivateKey, unlogged, issuer *x509.Certificate, at time.Time) pkix.Extension {
	const version, certificateTimestamp, precertificate = 0, 0, 1
	millis := binary.BigEndian.AppendUint64(nil, uint64(at.UnixMilli()))
	issuerKey := sha256.Sum256(issuerKeyBytes(issuer, unlogged))
	tbs := unlogged.RawTBSCertificate

	signed := append([]byte{version, certificateTimestamp}, millis...)
	signed = append(signed, 0, precertificate)
	signed = append(signed, issuerKey[:]...)
	signed = append(signed, byte(len(tbs)>>16), byte(len(tbs)>>8), byte(len(tbs)))
	signed = append(append(signed, tbs...), 0, 0)
	sum := sha256.Sum256(signed)
	sig := must(ecdsa.SignASN1(rand.Reader, log, sum[:]))

	const sha256Hash, ecdsaSignature = 4, 3
	sct := bytes.Join([][]byte{{version}, keyID(log), millis, {0, 0, sha256Hash, ecdsaSignature}, lengthPrefixed(sig)}, nil)
	list := lengthPrefixed(lengthPrefixed(sct))
	return pkix.Extension{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 11129, 2, 4, 2}, Value: must(asn1.Marshal(list))}
}

// issuerKeyBytes is the key that signed: a template that signs itself has none yet.
func issuerKeyBytes(issuer, unlogged *x509.Certificate) []byte {
	if issuer.RawSubjectPublicKeyInfo == nil {
		return unlogged.RawSubjectPublicKeyInfo
	}
	return issuer.RawSubjectPublicKeyInfo
}

func lengthPrefixed(b []byte) []byte {
	return append(binary.BigEndian.AppendUint16(nil, uint16(len(b))), b...)
}
