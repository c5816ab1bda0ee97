// SPDX-License-Identifier: Apache-2.0

// Package vsig is a virtual sigstore: certificate authority, certificate log,
// transparency logs of both versions and timestamp authority, all in memory
// and at any time the test wants. Tests and the demo use it.
//
//	vs := vsig.New(at)
//	signer := vs.Keyless(vsig.Leaf{Subject: "https://ci.example.com/web", Issuer: "https://issuer.example.com"})
//	sig := signer.Statement(digest, vsig.SignPredicate, nil).Log(vs.Rekor, at).Stamp(vs, at)
//	bundle, root := sig.Bundle("0.3"), vs.Root()
//	layer, annotations := signer.Simple("reg.example.com/charts/web", digest, nil).Log(vs.Rekor, at).Layer()
//
// Everything in a [Signature] can be changed before it is written down, so
// that any defect can be made from what is valid. What cannot be made panics.
package vsig

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"time"

	commonpb "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	rootpb "github.com/sigstore/protobuf-specs/gen/pb-go/trustroot/v1"
	"github.com/sigstore/sigstore-go/pkg/root"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// A Sigstore is one instance: what it signs verifies with its own Root only.
type Sigstore struct {
	At      time.Time // the moment around which everything is valid
	Rekor   *Log
	RekorV2 *Log

	seed   string
	fulcio authority
	tsa    authority
	stamp  issued
	ct     *ecdsa.PrivateKey
}

// years is how long everything but a leaf is valid before and after At: until
// after today, for the library that makes timestamps signs today's date into
// them, too.
const years = 30

// New makes an instance whose authorities and logs are valid around at.
func New(at time.Time) *Sigstore { return NewSeeded(at, rand.Text()) }

// NewSeeded makes an instance whose keys are the same for the same seed: what
// one process signs verifies in another, as fuzzing needs it.
func NewSeeded(at time.Time, seed string) *Sigstore {
	s := &Sigstore{At: at.UTC().Truncate(time.Second), seed: seed}
	s.ct = SeededKey(seed + "ct")
	s.Rekor = &Log{"rekor.example.com", SeededKey(seed + "rekor")}
	s.RekorV2 = &Log{"log2025.rekor.example.com", SeededKey(seed + "rekor v2")}
	s.fulcio = s.newAuthority("fulcio", x509.ExtKeyUsageCodeSigning)
	s.tsa = s.newAuthority("tsa", x509.ExtKeyUsageTimeStamping)
	s.stamp = s.tsa.intermediate.issue(s.timestamping(), SeededKey(seed+"stamp"))
	return s
}

// SeededKey is the P-256 key that goes with a seed.
func SeededKey(seed string) *ecdsa.PrivateKey {
	secret := sha256.Sum256([]byte(seed))
	return must(ecdsa.ParseRawPrivateKey(elliptic.P256(), secret[:]))
}

// An issued certificate with its key.
type issued struct {
	*x509.Certificate
	key *ecdsa.PrivateKey
}

type authority struct{ root, intermediate issued }

func (s *Sigstore) newAuthority(name string, usage x509.ExtKeyUsage) authority {
	template := s.authorityTemplate(name + " root")
	key := SeededKey(s.seed + name + " root")
	root := issued{Certificate: template, key: key}.issue(template, key)
	template = s.authorityTemplate(name + " intermediate")
	template.ExtKeyUsage = []x509.ExtKeyUsage{usage}
	return authority{root: root, intermediate: root.issue(template, SeededKey(s.seed+name+" intermediate"))}
}

func (s *Sigstore) authorityTemplate(name string) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber: serial(), Subject: pkix.Name{CommonName: name, Organization: []string{"vsig"}},
		NotBefore: s.At.AddDate(-years, 0, 0), NotAfter: s.At.AddDate(years, 0, 0),
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign, BasicConstraintsValid: true, IsCA: true,
	}
}

func (s *Sigstore) timestamping() *x509.Certificate {
	return &x509.Certificate{
		SerialNumber: serial(), Subject: pkix.Name{CommonName: "timestamps", Organization: []string{"vsig"}},
		NotBefore: s.At.AddDate(-years, 0, 0), NotAfter: s.At.AddDate(years, 0, 0),
		KeyUsage:        x509.KeyUsageDigitalSignature,
		ExtraExtensions: []pkix.Extension{criticalTimestamping},
	}
}

// criticalTimestamping is the extended key usage as RFC 3161 wants it: sole and critical.
var criticalTimestamping = pkix.Extension{
	Id: []int{2, 5, 29, 37}, Critical: true,
	Value: []byte{0x30, 0x0a, 0x06, 0x08, 0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x08},
}

func (i issued) issue(template *x509.Certificate, key *ecdsa.PrivateKey) issued {
	der := must(x509.CreateCertificate(rand.Reader, template, i.Certificate, key.Public(), i.key))
	return issued{Certificate: must(x509.ParseCertificate(der)), key: key}
}

// WithExpiredIntermediate is the same instance, but its certificate authority
// signs with an intermediate that ends before At, as the root then says, too.
func (s *Sigstore) WithExpiredIntermediate() *Sigstore {
	old := *s
	template := s.authorityTemplate("fulcio old intermediate")
	template.NotAfter = s.At.Add(-time.Minute)
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning}
	old.fulcio.intermediate = s.fulcio.root.issue(template, newKey())
	return &old
}

// Root is the trusted_root.json of the instance. The edits change it first.
func (s *Sigstore) Root(edits ...func(*rootpb.TrustedRoot)) []byte {
	tr := &rootpb.TrustedRoot{
		MediaType:              root.TrustedRootMediaType01,
		Tlogs:                  []*rootpb.TransparencyLogInstance{s.instance(s.Rekor.url(), s.Rekor.key), s.instance(s.RekorV2.url(), s.RekorV2.key)},
		Ctlogs:                 []*rootpb.TransparencyLogInstance{s.instance("https://ct.example.com", s.ct)},
		CertificateAuthorities: []*rootpb.CertificateAuthority{s.describe("https://fulcio.example.com", s.fulcio.intermediate, s.fulcio.root)},
		TimestampAuthorities:   []*rootpb.CertificateAuthority{s.describe("https://tsa.example.com", s.stamp, s.tsa.intermediate, s.tsa.root)},
	}
	for _, edit := range edits {
		edit(tr)
	}
	return must(protojson.Marshal(tr))
}

// WithoutTimestampAuthorities is an edit for [Sigstore.Root].
func WithoutTimestampAuthorities(tr *rootpb.TrustedRoot) { tr.TimestampAuthorities = nil }

func (s *Sigstore) instance(url string, key *ecdsa.PrivateKey) *rootpb.TransparencyLogInstance {
	return &rootpb.TransparencyLogInstance{
		BaseUrl: url, HashAlgorithm: commonpb.HashAlgorithm_SHA2_256,
		LogId: &commonpb.LogId{KeyId: keyID(key)},
		PublicKey: &commonpb.PublicKey{
			RawBytes: pkixBytes(key.Public()), KeyDetails: commonpb.PublicKeyDetails_PKIX_ECDSA_P256_SHA_256, ValidFor: s.validity(),
		},
	}
}

func (s *Sigstore) describe(url string, chain ...issued) *rootpb.CertificateAuthority {
	certs := &commonpb.X509CertificateChain{}
	for _, c := range chain {
		certs.Certificates = append(certs.Certificates, &commonpb.X509Certificate{RawBytes: c.Raw})
	}
	return &rootpb.CertificateAuthority{Uri: url, CertChain: certs, ValidFor: s.validity()}
}

func (s *Sigstore) validity() *commonpb.TimeRange {
	return &commonpb.TimeRange{Start: timestamppb.New(s.At.AddDate(-years, 0, 0)), End: timestamppb.New(s.At.AddDate(years, 0, 0))}
}

func newKey() *ecdsa.PrivateKey { return must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)) }

func serial() *big.Int { return must(rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))) }

func pkixBytes(public any) []byte { return must(x509.MarshalPKIXPublicKey(public)) }

// keyID is how logs name themselves: by the digest of their key.
func keyID(key *ecdsa.PrivateKey) []byte {
	sum := sha256.Sum256(pkixBytes(key.Public()))
	return sum[:]
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
