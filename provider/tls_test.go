// SPDX-License-Identifier: Apache-2.0

package provider_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chartseal/chartseal/provider"
	"github.com/chartseal/chartseal/test/pki"
)

const (
	ours   = "chartseal-provider.chartseal-system"
	theirs = "gatekeeper-webhook-service.gatekeeper-system.svc"
)

var (
	providers   = pki.NewAuthority("providers")
	gatekeepers = pki.NewAuthority("gatekeepers")
	successors  = pki.NewAuthority("gatekeepers, later")
	strangers   = pki.NewAuthority("gatekeepers")
)

func serving() pki.Pair {
	return providers.Issue(pki.Leaf{Names: []string{ours}, Usages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
}

func gatekeeper(by *pki.Authority) pki.Pair {
	return by.Issue(pki.Leaf{CommonName: theirs, Names: []string{theirs}})
}

// material answers clients of these authorities.
func material(clients ...*pki.Authority) provider.Material {
	m := provider.Material{ClientNames: []string{theirs}}
	pair := serving()
	m.Certificate, m.Key = pair.Certificate, pair.Key
	for _, a := range clients {
		m.ClientCAs = append(m.ClientCAs, a.PEM()...)
	}
	return m
}

// A clock stands where it is put.
type clock struct{ ns atomic.Int64 }

func (c *clock) now() time.Time          { return time.Unix(0, c.ns.Load()) }
func (c *clock) forward(d time.Duration) { c.ns.Add(int64(d)) }

// A server is a provider on loopback, and the clock of its TLS.
type server struct {
	t   testing.TB
	tls *provider.TLS
	at  string
	clock
}

func serve(t testing.TB, m provider.Material) *server {
	t.Helper()
	s := &server{t: t}
	s.ns.Store(time.Now().UnixNano())
	var err error
	if s.tls, err = provider.NewTLS(m); err != nil {
		t.Fatal(err)
	}
	s.tls.SetClock(s.now)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.at = listener.Addr().String()
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error)
	server := &provider.Server{Provider: newProvider(newFake(), basis()), TLS: s.tls, Log: slog.New(slog.DiscardHandler)}
	go func() { ended <- server.Serve(ctx, listener, nil) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return s
}

func (s *server) use(m provider.Material) {
	s.t.Helper()
	if err := s.tls.Use(m); err != nil {
		s.t.Fatal(err)
	}
}

// A client keeps its connection.
type client struct {
	s    *server
	http *http.Client
}

func (s *server) client(shown ...pki.Pair) *client {
	config := &tls.Config{RootCAs: providers.Pool(), ServerName: ours, MinVersion: tls.VersionTLS12}
	for _, pair := range shown {
		config.Certificates = append(config.Certificates, pair.TLS())
	}
	transport := &http.Transport{TLSClientConfig: config}
	s.t.Cleanup(transport.CloseIdleConnections)
	return &client{s, &http.Client{Transport: transport}}
}

// A reply is what a client gets: an error, or a status and whether a verdict
// came; and whether its connection was used before.
type reply struct {
	err      error
	status   int
	verdict  bool
	text     string
	anew     bool
	protocol string
}

func (c *client) ask() (r reply) {
	trace := &httptrace.ClientTrace{GotConn: func(info httptrace.GotConnInfo) { r.anew = !info.Reused }}
	req, err := http.NewRequestWithContext(httptrace.WithClientTrace(context.Background(), trace), http.MethodPost, "https://"+c.s.at+provider.Path, strings.NewReader(requestOf(key(`{}`, good))))
	if err != nil {
		c.s.t.Fatal(err)
	}
	res, err := c.http.Do(req)
	if err != nil {
		r.err = err
		return r
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	r.err, r.status, r.text, r.verdict, r.protocol = err, res.StatusCode, string(body), bytes.Contains(body, []byte(`"outcome"`)), res.Proto
	return r
}

func (r reply) answered() bool { return r.err == nil && r.status == http.StatusOK && r.verdict }

func (c *client) answered(what string) {
	c.s.t.Helper()
	if r := c.ask(); !r.answered() {
		c.s.t.Errorf("%s: %d %s %v", what, r.status, r.text, r.err)
	}
}

// refused also sees that nothing of a verdict is said.
func (c *client) refused(what string) {
	c.s.t.Helper()
	if r := c.ask(); r.verdict || r.err == nil && r.status != http.StatusForbidden {
		c.s.t.Errorf("%s: %d %s", what, r.status, r.text)
	}
}

func TestWhoIsAnswered(t *testing.T) {
	t.Parallel()
	s := serve(t, material(gatekeepers))
	past, future := time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	for name, leaf := range map[string]pki.Leaf{
		"S1 expired":            {Names: []string{theirs}, NotBefore: past.Add(-time.Hour), NotAfter: past},
		"S1 not yet valid":      {Names: []string{theirs}, NotBefore: future, NotAfter: future.Add(time.Hour)},
		"S1 other name":         {Names: []string{"other-service.gatekeeper-system.svc"}},
		"S1 no name":            {},
		"S1 common name alone":  {CommonName: theirs},
		"S1 wildcard":           {Names: []string{"*.gatekeeper-system.svc"}},
		"S1 longer name":        {Names: []string{theirs + ".evil.example.com"}},
		"S1 use as server":      {Names: []string{theirs}, Usages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}},
		"S1 name as an address": {Names: []string{"127.0.0.1"}},
	} {
		t.Run(name, func(t *testing.T) { s.client(gatekeepers.Issue(leaf)).refused(name) })
	}
	t.Run("S1 none", func(t *testing.T) { s.client().refused("none") })
	t.Run("S1 other CA", func(t *testing.T) { s.client(gatekeeper(strangers)).refused("an authority of the same name") })
	t.Run("S1 our own CA", func(t *testing.T) { s.client(gatekeeper(providers)).refused("the provider's authority") })
	t.Run("S1 twin", func(t *testing.T) { s.client(gatekeeper(gatekeepers)).answered("Gatekeeper") })
	t.Run("S1 twin, both uses and more names", func(t *testing.T) {
		s.client(gatekeepers.Issue(pki.Leaf{
			Names: []string{"127.0.0.1", "other.svc", theirs}, Usages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		})).answered("Gatekeeper's own certificate")
	})
	t.Run("S1 twin, for any use", func(t *testing.T) {
		s.client(gatekeepers.Issue(pki.Leaf{Names: []string{theirs}, Usages: []x509.ExtKeyUsage{}})).answered("a certificate that names no use is for any")
	})
	t.Run("S1 twin, unauthenticated", func(t *testing.T) {
		serve(t, material()).client().answered("anybody where nobody is asked")
	})
}

// Nothing but TLS 1.3 and HTTP/1.1 is spoken, and plain HTTP not at all.
func TestWhatIsSpoken(t *testing.T) {
	t.Parallel()
	s := serve(t, material(gatekeepers))
	old := s.client(gatekeeper(gatekeepers))
	old.http.Transport.(*http.Transport).TLSClientConfig.MaxVersion = tls.VersionTLS12
	old.refused("TLS 1.2")
	two := s.client(gatekeeper(gatekeepers))
	two.http.Transport.(*http.Transport).ForceAttemptHTTP2 = true
	if r := two.ask(); !r.answered() || r.protocol != "HTTP/1.1" {
		t.Errorf("%s: %s %v", r.protocol, r.text, r.err)
	}
	res, err := http.Post("http://"+s.at+provider.Path, "application/json", strings.NewReader(requestOf(key(`{}`, good))))
	if err == nil {
		defer res.Body.Close()
		if body, _ := io.ReadAll(res.Body); res.StatusCode == http.StatusOK || bytes.Contains(body, []byte("outcome")) {
			t.Errorf("plain HTTP is answered: %d %s", res.StatusCode, body)
		}
	}
}

// A new certificate is shown to who connects next; who is connected stays.
func TestServingCertificateRotates(t *testing.T) {
	t.Parallel()
	s := serve(t, material(gatekeepers))
	before := s.client(gatekeeper(gatekeepers))
	before.answered("before")
	m := material(gatekeepers)
	s.use(m)
	if r := before.ask(); !r.answered() || r.anew {
		t.Errorf("who was connected is asked to connect again: %+v", r)
	}
	conn, err := tls.Dial("tcp", s.at, &tls.Config{RootCAs: providers.Pool(), ServerName: ours})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	shown, leaf := conn.ConnectionState().PeerCertificates[0], pki.Pair{Certificate: m.Certificate, Key: m.Key}.TLS().Leaf
	if !shown.Equal(leaf) || !s.tls.NotAfter().Equal(leaf.NotAfter) {
		t.Error("another certificate than the new one is shown")
	}
}

// What cannot be used changes nothing.
func TestBadMaterialKeepsTheLastGood(t *testing.T) {
	t.Parallel()
	expired := providers.Issue(pki.Leaf{Names: []string{ours}, NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: time.Now().Add(-time.Hour)})
	s := serve(t, material(gatekeepers))
	for name, tt := range map[string]struct {
		bad  func(*provider.Material)
		says string
	}{
		"S2 key of another":       {func(m *provider.Material) { m.Key = serving().Key }, "serving certificate"},
		"S2 no certificate":       {func(m *provider.Material) { m.Certificate = nil }, "serving certificate"},
		"S2 half a certificate":   {func(m *provider.Material) { m.Certificate = m.Certificate[:len(m.Certificate)/2] }, "serving certificate"},
		"S2 no key":               {func(m *provider.Material) { m.Key = nil }, "serving certificate"},
		"S2 expired":              {func(m *provider.Material) { m.Certificate, m.Key = expired.Certificate, expired.Key }, "expired at"},
		"S2 authority of no text": {func(m *provider.Material) { m.ClientCAs = []byte("no PEM") }, "hold no certificate"},
		"S2 key as authority":     {func(m *provider.Material) { m.ClientCAs = append(m.ClientCAs, m.Key...) }, "want certificates alone"},
		"S2 leaf as authority":    {func(m *provider.Material) { m.ClientCAs = gatekeeper(strangers).Certificate }, "is no authority"},
	} {
		t.Run(name, func(t *testing.T) {
			m := material(successors)
			tt.bad(&m)
			if _, err := provider.NewTLS(m); err == nil || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("at the start: %v", err)
			}
			if err := s.tls.Use(m); err == nil || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("later: %v", err)
			}
			s.client(gatekeeper(gatekeepers)).answered("after " + name)
			s.client(gatekeeper(successors)).refused("after " + name)
		})
	}
	s.use(material(successors))
	s.client(gatekeeper(successors)).answered("the good twin")
}

// A former authority is accepted for ten minutes. Then it is not, by new
// connections nor by those that are open.
func TestFormerAuthority(t *testing.T) {
	t.Parallel()
	s := serve(t, material(gatekeepers))
	former, latter := s.client(gatekeeper(gatekeepers)), s.client(gatekeeper(successors))
	latter.refused("the successor before its time")
	former.answered("in its time")
	s.use(material(successors))
	latter.answered("in its time")
	s.forward(10*time.Minute - time.Second)
	if r := former.ask(); !r.answered() || r.anew {
		t.Errorf("within ten minutes, connected: %+v", r)
	}
	s.client(gatekeeper(gatekeepers)).answered("within ten minutes, anew")
	s.use(material(successors)) // the same once more gives it no more time
	s.forward(time.Second)
	if r := former.ask(); r.verdict || r.status != http.StatusForbidden || r.anew {
		t.Errorf("after ten minutes, connected: %+v", r)
	}
	if r := former.ask(); r.verdict || !r.anew {
		t.Errorf("the connection stays: %+v", r)
	}
	s.client(gatekeeper(gatekeepers)).refused("after ten minutes, anew")
	latter.answered("after ten minutes")
}

// An authority that comes back is one again, and without an end.
func TestAuthorityReturns(t *testing.T) {
	t.Parallel()
	s := serve(t, material(gatekeepers))
	s.use(material(successors))
	s.forward(5 * time.Minute)
	s.use(material(gatekeepers))
	s.forward(time.Hour)
	s.client(gatekeeper(gatekeepers)).answered("who is back")
	s.client(gatekeeper(successors)).refused("who is gone")
	s.use(material(gatekeepers, successors))
	s.client(gatekeeper(gatekeepers)).answered("one of two")
	s.client(gatekeeper(successors)).answered("the other of two")
}

// A certificate that expires ends its open connection.
func TestCertificateExpiresMeanwhile(t *testing.T) {
	t.Parallel()
	s := serve(t, material(gatekeepers))
	short := s.client(gatekeepers.Issue(pki.Leaf{Names: []string{theirs}, NotBefore: s.now().Add(-time.Hour), NotAfter: s.now().Add(time.Hour)}))
	short.answered("in its time")
	long := s.client(gatekeeper(gatekeepers))
	long.answered("in its time")
	s.forward(61 * time.Minute)
	if r := short.ask(); r.verdict || r.status != http.StatusForbidden {
		t.Errorf("after its time: %+v", r)
	}
	long.answered("whose time is longer")
}

// A refusal is a ProviderResponse like any other.
func TestRefusalIsWellFormed(t *testing.T) {
	t.Parallel()
	s := serve(t, material(gatekeepers))
	c := s.client(gatekeeper(gatekeepers))
	c.answered("before")
	s.use(material(successors))
	s.forward(10 * time.Minute)
	want := `{"apiVersion":"` + version + `","kind":"ProviderResponse","response":{"idempotent":true,"items":[],"systemError":"client's certificate: x509: certificate signed by unknown authority`
	if r := c.ask(); !strings.HasPrefix(r.text, want) {
		t.Errorf("got %s", r.text)
	}
}
