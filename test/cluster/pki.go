// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"net"
	"testing"
	"time"
)

// An authority is the CA of one of the parts: each has its own, so that a
// mix-up fails.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pem  pair
}

// A pair is a certificate and its key as PEM.
type pair struct{ cert, key []byte }

// A subject is for whom a certificate is: a client, and also a server if it says
// so.
type subject struct {
	name, organization string
	hosts              []string
	server             bool
}

func newAuthority(t testing.TB, name string) *authority {
	t.Helper()
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		KeyUsage: x509.KeyUsageCertSign, BasicConstraintsValid: true, IsCA: true,
	}
	key := newKey(t)
	made := newPair(t, template, template, key, key)
	block, _ := pem.Decode(made.cert)
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return &authority{cert, key, made}
}

func (a *authority) pair() pair { return a.pem }

func (a *authority) issue(t testing.TB, s subject) pair {
	t.Helper()
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: s.name}, NotBefore: a.cert.NotBefore, NotAfter: a.cert.NotAfter,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	if s.organization != "" {
		template.Subject.Organization = []string{s.organization}
	}
	if s.server {
		template.ExtKeyUsage = append(template.ExtKeyUsage, x509.ExtKeyUsageServerAuth)
	}
	for _, host := range s.hosts {
		if ip := net.ParseIP(host); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, host)
		}
	}
	return newPair(t, template, a.cert, newKey(t), a.key)
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func newPair(t testing.TB, template, parent *x509.Certificate, key, signer *ecdsa.PrivateKey) pair {
	t.Helper()
	cert, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pair{
		pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}),
	}
}

func encode(raw []byte) string { return base64.StdEncoding.EncodeToString(raw) }
