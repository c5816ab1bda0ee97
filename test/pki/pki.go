// SPDX-License-Identifier: Apache-2.0

// Package pki makes the certificates of both ends of a connection. Each end
// has an authority of its own, so that a mix-up fails.
package pki

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"time"
)

// An Authority signs certificates.
type Authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// A Pair is a certificate and its key, as PEM.
type Pair struct{ Certificate, Key []byte }

// A Leaf says what a certificate is for. The zero one is a client's, has no
// name, and is valid for a day around now.
type Leaf struct {
	CommonName          string
	Names               []string // DNS names and addresses
	Usages              []x509.ExtKeyUsage
	NotBefore, NotAfter time.Time
}

// NewAuthority makes an authority that is valid for two years around now.
func NewAuthority(name string) *Authority {
	a := &Authority{key: newKey()}
	template := template(name, time.Now().AddDate(-1, 0, 0), time.Now().AddDate(1, 0, 0))
	template.IsCA, template.BasicConstraintsValid, template.KeyUsage = true, true, x509.KeyUsageCertSign
	a.cert = must(x509.ParseCertificate(must(x509.CreateCertificate(rand.Reader, template, template, a.key.Public(), a.key))))
	return a
}

// PEM is the authority's own certificate.
func (a *Authority) PEM() []byte { return encode("CERTIFICATE", a.cert.Raw) }

// Pool is the authority as roots.
func (a *Authority) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return pool
}

// Issue signs a certificate.
func (a *Authority) Issue(l Leaf) Pair {
	if l.NotAfter.IsZero() {
		l.NotBefore, l.NotAfter = time.Now().Add(-12*time.Hour), time.Now().Add(12*time.Hour)
	}
	template := template(l.CommonName, l.NotBefore, l.NotAfter)
	template.KeyUsage, template.ExtKeyUsage = x509.KeyUsageDigitalSignature, l.Usages
	if l.Usages == nil {
		template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	}
	for _, name := range l.Names {
		if ip := net.ParseIP(name); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	key := newKey()
	der := must(x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key))
	return Pair{encode("CERTIFICATE", der), encode("PRIVATE KEY", must(x509.MarshalPKCS8PrivateKey(key)))}
}

// TLS is the pair as it is shown.
func (p Pair) TLS() tls.Certificate { return must(tls.X509KeyPair(p.Certificate, p.Key)) }

func template(name string, from, to time.Time) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber: must(rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))),
		Subject:      pkix.Name{CommonName: name}, NotBefore: from, NotAfter: to,
	}
}

func encode(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

func newKey() *ecdsa.PrivateKey { return must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)) }

// must is for what fails only where the system gives no randomness or a
// template is wrong.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
