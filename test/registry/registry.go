// SPDX-License-Identifier: Apache-2.0

// Package registry is an OCI registry and a chart repository on loopback that
// tells the truth until it is told to lie. Tests and the demo use it.
//
//	srv := registry.New(t)                                    // or registry.Start() outside tests
//	digest := srv.PushChart("charts/web", "1.2.3", archive, prov)
//	ref := "oci://" + srv.Host() + "/charts/web:1.2.3"
//
//	srv.AddChart("stable", archive, prov)                     // stable/web-1.2.3.tgz, .prov, index.yaml
//	srv.AddFile("stable/pubkeys.pgp", keys)
//	url := srv.URL() + "/stable"
//
// Everything under /v2/ is the registry, everything else the files. Lies are
// rules; the first one that matches a request decides its answer:
//
//	srv.Rule(registry.Rule{Path: "/v2/*/manifests/*", Nth: 2, Status: 503})
//	srv.Rule(registry.Rule{Path: "*.prov", Trickle: registry.Trickle{Bytes: 1, Every: time.Second}})
//	srv.Rule(registry.Rule{Path: "/v2/*/blobs/*", Redirect: other.URL() + "/blob"})
//
// What arrived is logged:
//
//	srv.Count("GET", "/v2/*/blobs/*")
//	for _, req := range srv.Requests() { req.Header.Get("Authorization") }
//
// Servers of their own address, name and certificate, and names that resolve
// to what the test wants:
//
//	ca := registry.NewCA()
//	srv := registry.New(t, registry.On("127.0.0.7"), registry.WithTLS(ca.Config("reg.example.com")))
//	dns := registry.NewNet()                                  // LookupNetIP, DialContext
//	dns.Name("reg.example.com", "203.0.113.7")
//	dns.Route("203.0.113.7:443", srv)
package registry

import (
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// A Server is one listening address with its own registry, files, rules and log.
type Server struct {
	options
	listener net.Listener
	http     *http.Server
	oci      *oci
	files    *files
	tokens   *tokens
	rules    rules
	requests requests
	conns    connections

	done   chan struct{}
	mu     sync.Mutex
	closed bool
	active sync.WaitGroup
}

type options struct {
	address   string
	tls       *tls.Config
	referrers bool
	username  string
	password  string
	bearer    bool
	realm     string
}

// An Option changes how a server starts.
type Option func(*options)

// On lets the server listen at address, "127.0.0.7" or "127.0.0.1:5000".
// Without it, the server takes a free port of 127.0.0.1.
func On(address string) Option { return func(o *options) { o.address = address } }

// WithTLS lets the server speak TLS, see [CA.Config].
func WithTLS(cfg *tls.Config) Option { return func(o *options) { o.tls = cfg } }

// WithoutReferrers switches the referrers API off: it answers 404, and clients
// look at the fallback tag.
func WithoutReferrers() Option { return func(o *options) { o.referrers = false } }

// WithBasic demands this username and password for everything.
func WithBasic(username, password string) Option {
	return func(o *options) { o.username, o.password = username, password }
}

// WithToken demands a bearer token for the registry. The server's own /token
// gives one for this username and password, or to anybody if both are "".
func WithToken(username, password string) Option {
	return func(o *options) { o.username, o.password, o.bearer = username, password, true }
}

// WithRealm sends clients to another token service than the server's own.
func WithRealm(url string) Option { return func(o *options) { o.realm = url } }

// Start starts a server. Close ends it.
func Start(opts ...Option) (*Server, error) {
	s := &Server{
		options: options{address: "127.0.0.1:0", referrers: true},
		oci:     newOCI(), files: newFiles(), tokens: newTokens(),
		done: make(chan struct{}),
	}
	for _, opt := range opts {
		opt(&s.options)
	}
	s.oci.referrersAPI = s.referrers
	if err := s.listen(); err != nil {
		return nil, err
	}
	s.http = &http.Server{
		Handler:           s,
		ConnState:         s.conns.changed,
		ErrorLog:          log.New(io.Discard, "", 0), // handshakes that fail on purpose
		ReadHeaderTimeout: time.Minute,
	}
	s.active.Go(func() { _ = s.http.Serve(s.listener) })
	return s, nil
}

func (s *Server) listen() error {
	address := s.address
	if net.ParseIP(address) != nil {
		address = net.JoinHostPort(address, "0")
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		return fmt.Errorf("listening at %s: %w", address, err)
	}
	s.listener = l
	if s.tls != nil {
		s.listener = tls.NewListener(l, s.tls)
	}
	return nil
}

// TB is what [New] needs of a testing.TB.
type TB interface {
	Helper()
	Fatal(args ...any)
	Cleanup(func())
}

// New starts a server that ends with the test.
func New(t TB, opts ...Option) *Server {
	t.Helper()
	s, err := Start(opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// Close ends every connection and returns when nothing of the server runs.
func (s *Server) Close() {
	s.mu.Lock()
	if !s.closed {
		s.closed = true
		close(s.done)
	}
	s.mu.Unlock()
	_ = s.http.Close()
	s.active.Wait()
}

// Addr is where the server listens, "127.0.0.1:41234".
func (s *Server) Addr() string { return s.listener.Addr().String() }

// Host is Addr: the host of references to this server.
func (s *Server) Host() string { return s.Addr() }

// Port is the port of Addr.
func (s *Server) Port() string {
	_, port, _ := net.SplitHostPort(s.Addr())
	return port
}

// URL is the server's address with its scheme, without a final slash.
func (s *Server) URL() string {
	if s.tls != nil {
		return "https://" + s.Addr()
	}
	return "http://" + s.Addr()
}

// ServeHTTP logs the request, then lets the first matching rule or, without
// one, the honest server answer.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !s.begin() {
		panic(http.ErrAbortHandler)
	}
	defer s.active.Done()
	s.requests.add(r)
	if rule, ok := s.rules.match(r); ok {
		s.lie(rule, w, r)
		return
	}
	s.honest(w, r)
}

// begin counts a handler, so that Close can wait for it.
func (s *Server) begin() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.active.Add(1)
	}
	return !s.closed
}

func (s *Server) honest(w http.ResponseWriter, r *http.Request) {
	inRegistry := r.URL.Path == "/v2" || strings.HasPrefix(r.URL.Path, "/v2/")
	switch {
	case s.bearer && r.URL.Path == "/token":
		s.serveToken(w, r)
	case !s.authorized(r, inRegistry):
		s.challenge(w, r)
	case inRegistry:
		s.oci.ServeHTTP(w, r)
	default:
		s.files.ServeHTTP(w, r)
	}
}
