// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync/atomic"
	"time"
)

// Material is what the provider shows and whom it answers, as PEM.
type Material struct {
	Certificate, Key []byte
	ClientCAs        []byte   // empty answers anybody
	ClientNames      []string // DNS names, of which a client needs one
}

// TLS is the provider's side of its connections. It can be exchanged while
// connections are made and used.
type TLS struct {
	now     func() time.Time
	current atomic.Pointer[tlsState]
	made    atomic.Uint64 // clients so far

	// Refused is told of each client that is not answered; nil is nobody.
	Refused func(client net.Addr, why Refusal)
}

// A Refusal is why a client is not answered. Its reason is from a closed set.
type Refusal struct{ Reason, Text string }

func (r Refusal) Error() string { return r.Text }

// The reasons of refusals.
const (
	NoCertificate  = "no_certificate"
	OtherAuthority = "authority" // or expired, or not for clients
	OtherName      = "name"
)

// A tlsState is never changed.
type tlsState struct {
	certificate tls.Certificate
	clients     *clients // nil answers anybody
}

// clients says whose certificates are accepted.
type clients struct {
	roots    []root
	names    []string
	distinct uint64 // another number for other clients, also where nobody was asked for in between
}

// A root that is no longer configured serves for a while: its successor may
// not have reached every client.
type root struct {
	certificate *x509.Certificate
	until       time.Time // zero is for good
}

// afterlife is how long a client authority serves after it was taken away.
const afterlife = 10 * time.Minute

// mostRoots bounds what is kept of former authorities.
const mostRoots = 64

// NewTLS checks the material. It fails for a certificate and key that do not
// belong together, a certificate that has expired, and authorities that are
// none.
func NewTLS(m Material) (*TLS, error) {
	t := &TLS{now: time.Now}
	return t, t.Use(m)
}

// Use exchanges the material, if it is good; otherwise everything stays as it was.
func (t *TLS) Use(m Material) error {
	certificate, err := serving(m, t.now())
	if err != nil {
		return err
	}
	next := &tlsState{certificate: certificate}
	if len(m.ClientCAs) > 0 {
		if next.clients, err = t.accept(m); err != nil {
			return err
		}
	}
	t.current.Store(next)
	return nil
}

func serving(m Material, now time.Time) (tls.Certificate, error) {
	certificate, err := tls.X509KeyPair(m.Certificate, m.Key)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("serving certificate: %w", err)
	}
	if leaf := certificate.Leaf; now.After(leaf.NotAfter) {
		return tls.Certificate{}, fmt.Errorf("serving certificate expired at %s", leaf.NotAfter.UTC().Format(time.RFC3339))
	}
	return certificate, nil
}

// accept takes the authorities of m, and those of before for a while.
func (t *TLS) accept(m Material) (*clients, error) {
	authorities, err := parseAuthorities(m.ClientCAs)
	if err != nil {
		return nil, err
	}
	next := &clients{names: m.ClientNames, distinct: t.made.Add(1)}
	for _, authority := range authorities {
		next.roots = append(next.roots, root{certificate: authority})
	}
	if before := t.current.Load(); before != nil && before.clients != nil {
		next.inherit(before.clients, t.now())
	}
	return next, nil
}

func (c *clients) inherit(before *clients, now time.Time) {
	for _, r := range before.roots {
		listed := slices.ContainsFunc(c.roots, func(own root) bool { return own.certificate.Equal(r.certificate) })
		if r.until.IsZero() {
			r.until = now.Add(afterlife)
		}
		if !listed && now.Before(r.until) && len(c.roots) < mostRoots {
			c.roots = append(c.roots, r)
		}
	}
}

func parseAuthorities(raw []byte) (all []*x509.Certificate, err error) {
	for block, rest := pem.Decode(raw); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			return nil, fmt.Errorf("client authorities hold a %s, want certificates alone", block.Type)
		}
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("client authorities: %w", err)
		}
		if !certificate.IsCA {
			return nil, fmt.Errorf("client authority %q is no authority", certificate.Subject)
		}
		all = append(all, certificate)
	}
	if len(all) == 0 {
		return nil, errors.New("client authorities hold no certificate")
	}
	return all, nil
}

// NotAfter is when the serving certificate expires.
func (t *TLS) NotAfter() time.Time { return t.current.Load().certificate.Leaf.NotAfter }

// Config is for the listener. Each connection gets what is current when it is
// made. Connections are never resumed: Gatekeeper does not, and what has not
// been verified now is not taken from earlier.
func (t *TLS) Config() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13, NextProtos: []string{"http/1.1"}, SessionTicketsDisabled: true,
		GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			return t.config(hello.Conn.RemoteAddr()), nil
		},
	}
}

func (t *TLS) config(client net.Addr) *tls.Config {
	state := t.current.Load()
	config := &tls.Config{
		MinVersion: tls.VersionTLS13, NextProtos: []string{"http/1.1"}, SessionTicketsDisabled: true,
		Certificates: []tls.Certificate{state.certificate},
	}
	if state.clients != nil {
		config.ClientAuth = tls.RequestClientCert // whether there is one admit judges, now and again later
		config.VerifyConnection = func(conn tls.ConnectionState) error {
			_, err := t.admit(&conn)
			t.tell(client, err)
			return err
		}
	}
	return config
}

func (t *TLS) tell(client net.Addr, err error) {
	var why Refusal
	if errors.As(err, &why) && t.Refused != nil {
		t.Refused(client, why)
	}
}

// An admission is that a client is accepted.
type admission struct {
	by    uint64 // clients that accepted it
	until time.Time
}

// admitted says whether a connection that was admitted still is, and renews
// the admission if authorities or time have moved on since.
func (t *TLS) admitted(conn *tls.ConnectionState, a *atomic.Pointer[admission]) error {
	state := t.current.Load()
	if state.clients == nil {
		return nil
	}
	if known := a.Load(); known != nil && known.by == state.clients.distinct && t.now().Before(known.until) {
		return nil
	}
	fresh, err := t.admit(conn)
	if err == nil {
		a.Store(&fresh)
	}
	return err
}

// admit accepts a client whose certificate an authority signed for this use,
// and which has one of the names: an authority signs others as well.
func (t *TLS) admit(conn *tls.ConnectionState) (admission, error) {
	c, now := t.current.Load().clients, t.now()
	if c == nil {
		return admission{until: now}, nil
	}
	if conn == nil || len(conn.PeerCertificates) == 0 {
		return admission{}, Refusal{NoCertificate, "client shows no certificate"}
	}
	leaf := conn.PeerCertificates[0]
	pool, until := c.pool(now)
	intermediates := x509.NewCertPool()
	for _, certificate := range conn.PeerCertificates[1:] {
		intermediates.AddCert(certificate)
	}
	chains, err := leaf.Verify(x509.VerifyOptions{Roots: pool, Intermediates: intermediates, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	if err != nil {
		return admission{}, Refusal{OtherAuthority, "client's certificate: " + err.Error()}
	}
	if !slices.ContainsFunc(leaf.DNSNames, func(name string) bool { return slices.Contains(c.names, name) }) {
		return admission{}, Refusal{OtherName, fmt.Sprintf("client's certificate is for %q, want one of %q", leaf.DNSNames[:min(len(leaf.DNSNames), 8)], c.names)}
	}
	for _, certificate := range chains[0] { // another chain may last longer: then it is found next time
		if certificate.NotAfter.Before(until) {
			until = certificate.NotAfter
		}
	}
	return admission{c.distinct, until}, nil
}

// pool has the authorities that serve now; until is when the first ceases to.
func (c *clients) pool(now time.Time) (pool *x509.CertPool, until time.Time) {
	pool, until = x509.NewCertPool(), now.Add(24*time.Hour)
	for _, r := range c.roots {
		switch {
		case r.until.IsZero():
		case !now.Before(r.until):
			continue
		case r.until.Before(until):
			until = r.until
		}
		pool.AddCert(r.certificate)
	}
	return pool, until
}
