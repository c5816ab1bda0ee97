// SPDX-License-Identifier: Apache-2.0

package certs_test

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"testing"
	"time"
)

// handshake is a TLS handshake as Gatekeeper makes it: TLS 1.3, the bundle as
// its only roots, the host of the Provider's URL as server name.
func handshake(t *testing.T, data map[string][]byte, bundle []byte, host string, now time.Time) error {
	t.Helper()
	pair, err := tls.X509KeyPair(data["tls.crt"], data["tls.key"])
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(bundle)
	server, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS13})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	go func() {
		if conn, err := server.Accept(); err == nil {
			_ = conn.(*tls.Conn).Handshake() // what a client refuses, it says itself
			_ = conn.Close()
		}
	}()
	conn, err := tls.Dial("tcp", server.Addr().String(), &tls.Config{RootCAs: roots, ServerName: host, MinVersion: tls.VersionTLS13, Time: func() time.Time { return now }})
	if err != nil {
		return err
	}
	return conn.Close()
}

// TestHandshakes: each step's certificate is accepted with its bundle, with the
// one before and with the one after, under both names, and nothing else.
func TestHandshakes(t *testing.T) {
	w := newWorld(t, policy, 1)
	type moment struct {
		data   map[string][]byte
		bundle []byte
	}
	var moments []moment
	for _, after := range []time.Duration{0, 7 * year, 0, policy.Propagation, policy.Overlap} {
		w.now = w.now.Add(after)
		step := w.advance()
		moments = append(moments, moment{step.Data, step.Bundle})
	}
	for i, m := range moments[1:] { // seven years lie before them
		for _, near := range moments[max(1, i):min(len(moments), i+3)] {
			for _, host := range names {
				if err := handshake(t, m.data, near.bundle, host, w.now); err != nil {
					t.Errorf("%q at moment %d: %v", host, i+1, err)
				}
			}
		}
	}
	last := moments[len(moments)-1]
	var unknown x509.UnknownAuthorityError
	if err := handshake(t, last.data, moments[0].bundle, names[0], w.now); !errors.As(err, &unknown) {
		t.Errorf("with the first CA, which is out: %v", err)
	}
	var wrong x509.HostnameError
	if err := handshake(t, last.data, last.bundle, "other.chartseal", w.now); !errors.As(err, &wrong) {
		t.Errorf("under another name: %v", err)
	}
	var expired x509.CertificateInvalidError
	if err := handshake(t, last.data, last.bundle, names[0], w.now.Add(91*day)); !errors.As(err, &expired) || expired.Reason != x509.Expired {
		t.Errorf("after its time: %v", err)
	}
}
