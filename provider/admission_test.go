// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"sync/atomic"
	"testing"
	"time"
)

// An authority is one of the test's own.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

func newAuthority(t testing.TB, notAfter time.Time) authority {
	t.Helper()
	return sign(t, nil, &x509.Certificate{
		Subject: pkix.Name{CommonName: "authority"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: notAfter,
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	})
}

// leaf is a certificate for a client, or for a server, of that name.
func (a authority) leaf(t testing.TB, name string) authority {
	t.Helper()
	return sign(t, &a, &x509.Certificate{
		Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(240 * time.Hour),
		DNSNames: []string{name}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
	})
}

func sign(t testing.TB, by *authority, template *x509.Certificate) authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template.SerialNumber = big.NewInt(time.Now().UnixNano())
	if by == nil {
		by = &authority{template, key}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, by.certificate, key.Public(), by.key)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return authority{certificate, key}
}

func (a authority) pem() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.certificate.Raw})
}

// material is that of a server, which answers clients of the authorities.
func material(t testing.TB, clients ...authority) Material {
	t.Helper()
	server := newAuthority(t, time.Now().Add(time.Hour)).leaf(t, "server")
	der, err := x509.MarshalPKCS8PrivateKey(server.key)
	if err != nil {
		t.Fatal(err)
	}
	m := Material{Certificate: server.pem(), Key: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})}
	for _, a := range clients {
		m.ClientCAs, m.ClientNames = append(m.ClientCAs, a.pem()...), []string{"gatekeeper"}
	}
	return m
}

// shown is a connection on which a client has shown its certificate.
func shown(client authority) *tls.ConnectionState {
	return &tls.ConnectionState{PeerCertificates: []*x509.Certificate{client.certificate}}
}

// A connection that one authority vouched for is not taken for one of another,
// though in between anybody was answered, which remembers no authority.
func TestAdmissionIsOfOneConfiguration(t *testing.T) {
	t.Parallel()
	before, after := newAuthority(t, time.Now().Add(time.Hour)), newAuthority(t, time.Now().Add(time.Hour))
	server, err := NewTLS(material(t, before))
	if err != nil {
		t.Fatal(err)
	}
	old, fresh := shown(before.leaf(t, "gatekeeper")), shown(after.leaf(t, "gatekeeper"))
	var ofOld, ofFresh atomic.Pointer[admission]
	if err := server.admitted(old, &ofOld); err != nil {
		t.Fatal(err)
	}
	for _, m := range []Material{material(t), material(t, after)} {
		if err := server.Use(m); err != nil {
			t.Fatal(err)
		}
	}
	if err := server.admitted(old, &ofOld); err == nil {
		t.Error("the client of an authority that is gone is answered")
	}
	if err := server.admitted(fresh, &ofFresh); err != nil {
		t.Error(err)
	}
}

// An admission does not outlive the authority that it rests on.
func TestAdmissionEndsWithItsAuthority(t *testing.T) {
	t.Parallel()
	short, long := newAuthority(t, time.Now().Add(time.Hour)), newAuthority(t, time.Now().Add(48*time.Hour))
	server, err := NewTLS(material(t, short, long))
	if err != nil {
		t.Fatal(err)
	}
	ofShort, ofLong := shown(short.leaf(t, "gatekeeper")), shown(long.leaf(t, "gatekeeper"))
	var a, b atomic.Pointer[admission]
	for range 2 {
		if err := server.admitted(ofShort, &a); err != nil {
			t.Fatal(err)
		}
	}
	if err := server.admitted(ofLong, &b); err != nil {
		t.Fatal(err)
	}
	server.now = func() time.Time { return time.Now().Add(2 * time.Hour) }
	if err := server.admitted(ofShort, &a); err == nil {
		t.Error("the client of an authority that has expired is answered")
	}
	if err := server.admitted(ofLong, &b); err != nil {
		t.Error(err)
	}
}
