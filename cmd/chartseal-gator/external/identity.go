// SPDX-License-Identifier: Apache-2.0

package external

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
	"os"
	"path/filepath"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/certwatcher"
)

// peer is the name by which both ends know each other.
const peer = "chartseal-gator.invalid"

var loopback = net.IPv4(127, 0, 0, 1)

// An identity is this process's: its certificate is its own authority, and
// serves on both ends. Both are PEM.
type identity struct{ certificate, key []byte }

func newIdentity() (*identity, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()), Subject: pkix.Name{CommonName: peer},
		NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(0, 0, 7),
		DNSNames: []string{peer}, IPAddresses: []net.IP{loopback},
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	return &identity{pemOf("CERTIFICATE", der), pemOf("PRIVATE KEY", private)}, nil
}

func pemOf(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

// watcher shows the identity as Gatekeeper's code wants it, out of files, which
// are there for as long as they are read.
func (i *identity) watcher() (watcher *certwatcher.CertWatcher, err error) {
	dir, err := os.MkdirTemp("", "chartseal-gator-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	certificate, key := filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	if err := errors.Join(os.WriteFile(certificate, i.certificate, 0o600), os.WriteFile(key, i.key, 0o600)); err != nil {
		return nil, err
	}
	return certwatcher.New(certificate, key)
}
