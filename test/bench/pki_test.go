// SPDX-License-Identifier: Apache-2.0

package bench_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"path/filepath"
	"testing"
	"time"
)

// gatekeeper is the name in the certificate that Gatekeeper shows.
const gatekeeper = "gatekeeper-webhook-service.gatekeeper-system.svc"

// pki is a file of the certificates that all servers and the client use.
func pki(name string) string { return filepath.Join(workspace, "pki", name) }

// writePKI makes one authority, a server's certificate and Gatekeeper's.
func writePKI(b testing.TB) {
	b.Helper()
	root := template("authority")
	root.IsCA, root.BasicConstraintsValid, root.KeyUsage = true, true, x509.KeyUsageCertSign
	key := newCertificate(b, "ca", root, root, nil)
	server := template("localhost")
	server.IPAddresses, server.ExtKeyUsage = []net.IP{net.IPv4(127, 0, 0, 1)}, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	newCertificate(b, "tls", server, root, key)
	client := template(gatekeeper)
	client.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	newCertificate(b, "client", client, root, key)
}

func template(name string) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour), KeyUsage: x509.KeyUsageDigitalSignature,
	}
}

// newCertificate writes a certificate and its key; without an issuer's key it
// is its own issuer.
func newCertificate(b testing.TB, name string, template, issuer *x509.Certificate, by *ecdsa.PrivateKey) *ecdsa.PrivateKey {
	b.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		b.Fatal(err)
	}
	if by == nil {
		by = key
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, issuer, key.Public(), by)
	private, failed := x509.MarshalPKCS8PrivateKey(key)
	if err := errors.Join(err, failed); err != nil {
		b.Fatal(err)
	}
	write(b, filepath.Join("pki", name+".crt"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}))
	write(b, filepath.Join("pki", name+".key"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}))
	return key
}
