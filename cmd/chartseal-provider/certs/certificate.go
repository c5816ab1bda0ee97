// SPDX-License-Identifier: Apache-2.0

package certs

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"
)

// skew is how far other clocks may be behind ours: certificates begin that
// much before they are made.
const skew = 5 * time.Minute

// The types of PEM blocks.
const (
	certificateBlock = "CERTIFICATE"
	keyBlock         = "PRIVATE KEY"
)

var (
	errMissing = errors.New("missing")
	errExpired = errors.New("expired")
	errFuture  = errors.New("not yet valid")
	errForeign = errors.New("key of another certificate")
)

// A pair is a certificate and its key; what was not good is nil.
type pair struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func (p pair) complete() bool { return p.cert != nil && p.key != nil }

func newKey() (*ecdsa.PrivateKey, error) { return ecdsa.GenerateKey(elliptic.P256(), rand.Reader) }

// authorityName is what the names of our CAs begin with.
const authorityName = "chartseal CA "

// madeHere says that this is the certificate of a CA of ours, whatever has become
// of it.
func madeHere(raw []byte) bool {
	cert, err := readCertificate(raw)
	return err == nil && strings.HasPrefix(cert.Subject.CommonName, authorityName)
}

// newAuthority makes the certificate of a CA. Its name follows from its key:
// made anew from the same key, it verifies what the first one signed.
func newAuthority(key *ecdsa.PrivateKey, now time.Time, life time.Duration) (pair, error) {
	spki, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return pair{}, err
	}
	sum := sha256.Sum256(spki)
	template := &x509.Certificate{
		Subject:               pkix.Name{CommonName: fmt.Sprintf("%s%x", authorityName, sum[:8])},
		NotBefore:             now.Add(-skew),
		NotAfter:              now.Add(life),
		KeyUsage:              x509.KeyUsageCertSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
		MaxPathLenZero:        true,
	}
	cert, err := sign(template, template, key.Public(), key)
	return pair{cert, key}, err
}

// newServing makes a serving certificate for names, which does not outlive its
// CA, and a key of its own.
func newServing(ca pair, names []string, now time.Time, life time.Duration) (pair, error) {
	key, err := newKey()
	if err != nil {
		return pair{}, err
	}
	template := &x509.Certificate{
		Subject:               pkix.Name{CommonName: "chartseal-provider"},
		NotBefore:             now.Add(-skew),
		NotAfter:              earliest(now.Add(life), ca.cert.NotAfter),
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
	}
	template.DNSNames, template.IPAddresses = splitNames(names)
	cert, err := sign(template, ca.cert, key.Public(), ca.key)
	return pair{cert, key}, err
}

// sign leaves the serial number to crypto/x509, which takes a random one.
func sign(template, parent *x509.Certificate, public crypto.PublicKey, key *ecdsa.PrivateKey) (*x509.Certificate, error) {
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, key)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

func splitNames(names []string) (dns []string, ips []net.IP) {
	for _, name := range names {
		if ip := net.ParseIP(name); ip != nil {
			ips = append(ips, ip)
		} else {
			dns = append(dns, name)
		}
	}
	return dns, ips
}

func namesOf(cert *x509.Certificate) []string {
	names := slices.Clone(cert.DNSNames)
	for _, ip := range cert.IPAddresses {
		names = append(names, ip.String())
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// readBlock wants one PEM block of a type, and nothing else.
func readBlock(raw []byte, kind string) ([]byte, error) {
	if len(raw) == 0 {
		return nil, errMissing
	}
	block, rest := pem.Decode(raw)
	if block == nil || block.Type != kind || len(bytes.TrimSpace(rest)) > 0 {
		return nil, fmt.Errorf("not one PEM block %s", kind)
	}
	return block.Bytes, nil
}

func readCertificate(raw []byte) (*x509.Certificate, error) {
	der, err := readBlock(raw, certificateBlock)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

func readKey(raw []byte) (*ecdsa.PrivateKey, error) {
	der, err := readBlock(raw, keyBlock)
	if err != nil {
		return nil, err
	}
	parsed, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, err
	}
	key, ok := parsed.(*ecdsa.PrivateKey)
	if !ok || key.Curve != elliptic.P256() {
		return nil, errors.New("not an ECDSA key on P-256")
	}
	return key, nil
}

// checkAuthority wants the certificate of a CA that signs itself, in its time.
func checkAuthority(cert *x509.Certificate, now time.Time) error {
	switch {
	case !cert.BasicConstraintsValid || !cert.IsCA || cert.KeyUsage&x509.KeyUsageCertSign == 0:
		return errors.New("not the certificate of a CA")
	case now.After(cert.NotAfter):
		return errExpired
	case now.Before(cert.NotBefore):
		return errFuture
	}
	return cert.CheckSignatureFrom(cert)
}

// checkServing wants a serving certificate of this CA, in its time.
func checkServing(cert, ca *x509.Certificate, now time.Time) error {
	roots := x509.NewCertPool()
	roots.AddCert(ca)
	_, err := cert.Verify(x509.VerifyOptions{Roots: roots, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
	return err
}

func belongs(key *ecdsa.PrivateKey, cert *x509.Certificate) bool {
	return key.PublicKey.Equal(cert.PublicKey)
}

func encodeCertificate(cert *x509.Certificate) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: certificateBlock, Bytes: cert.Raw})
}

func encodeKey(key *ecdsa.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	return pem.EncodeToMemory(&pem.Block{Type: keyBlock, Bytes: der}), err
}

// encodeBundle is certificates as PEM, the oldest first, each once. The order
// does not depend on their roles, so that step 2 changes no Provider.
func encodeBundle(certs ...*x509.Certificate) []byte {
	certs = slices.DeleteFunc(certs, func(c *x509.Certificate) bool { return c == nil })
	slices.SortFunc(certs, func(a, b *x509.Certificate) int {
		if order := a.NotBefore.Compare(b.NotBefore); order != 0 {
			return order
		}
		return bytes.Compare(a.Raw, b.Raw)
	})
	var bundle []byte
	for _, cert := range slices.CompactFunc(certs, (*x509.Certificate).Equal) {
		bundle = append(bundle, encodeCertificate(cert)...)
	}
	return bundle
}

// readBundle is the certificates of a bundle; what is none is passed over.
func readBundle(raw []byte) (certs []*x509.Certificate) {
	for block, rest := pem.Decode(raw); block != nil; block, rest = pem.Decode(rest) {
		if cert, err := x509.ParseCertificate(block.Bytes); err == nil && block.Type == certificateBlock {
			certs = append(certs, cert)
		}
	}
	return certs
}

// due is when two thirds of a certificate's life are over.
func due(cert *x509.Certificate) time.Time {
	return cert.NotBefore.Add(cert.NotAfter.Sub(cert.NotBefore) / 3 * 2)
}

func earliest(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}
