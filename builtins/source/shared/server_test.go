// SPDX-License-Identifier: Apache-2.0

package shared_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"github.com/chartseal/chartseal/builtins/source"
	"github.com/chartseal/chartseal/builtins/source/shared"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var _ source.Shared = (*shared.Cache)(nil)

// A server is a real one, which may be stopped and started at its address.
type server struct {
	t       testing.TB
	program string
	args    []string
	address string
	tls     *tls.Config // of its clients
	command *exec.Cmd
}

// newServer starts a server with more settings than it has by default.
func newServer(t testing.TB, settings ...string) *server {
	t.Helper()
	return startServer(t, nil, append([]string{"--port", freePort(t)}, settings...))
}

func startServer(t testing.TB, trust *tls.Config, settings []string) *server {
	t.Helper()
	s := &server{t: t, tls: trust, address: "127.0.0.1:" + settings[1]}
	for _, program := range []string{"valkey-server", "redis-server"} {
		if path, err := exec.LookPath(program); err == nil {
			s.program = path
		}
	}
	if s.program == "" {
		t.Skip("neither redis-server nor valkey-server is on the PATH; install one, Debian's package is redis-server")
	}
	s.args = append([]string{"--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", t.TempDir()}, settings...)
	s.start()
	t.Cleanup(s.stop)
	return s
}

func freePort(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}

// start waits until the server says that it accepts connections.
func (s *server) start() {
	s.t.Helper()
	s.command = exec.Command(s.program, s.args...)
	ready := &watched{text: "eady to accept connections", seen: make(chan struct{})}
	s.command.Stdout, s.command.Stderr = ready, ready
	if err := s.command.Start(); err != nil {
		s.t.Fatal(err)
	}
	select {
	case <-ready.seen:
	case <-time.After(30 * time.Second):
		s.t.Fatalf("%s is not ready: %s", s.program, ready.all.String())
	}
}

func (s *server) stop() {
	if s.command != nil {
		_ = s.command.Process.Kill()
		_ = s.command.Wait()
		s.command = nil
	}
}

// watched is a writer that says when text has been written to it.
type watched struct {
	mu   sync.Mutex
	all  bytes.Buffer
	text string
	seen chan struct{}
}

func (w *watched) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	before := strings.Contains(w.all.String(), w.text)
	w.all.Write(p)
	if !before && strings.Contains(w.all.String(), w.text) {
		close(w.seen)
	}
	return len(p), nil
}

// config is of a client, of the default user unless another one is given.
func (s *server) config() shared.Config { return shared.Config{Address: s.address, TLS: s.tls} }

func newCache(t testing.TB, config shared.Config) *shared.Cache {
	t.Helper()
	c := shared.New(config)
	t.Cleanup(c.Close)
	return c
}

// hand is a person at the server.
func (s *server) hand(password string) *redis.Client {
	hand := redis.NewClient(&redis.Options{Addr: s.address, Password: password, TLSConfig: s.tls})
	s.t.Cleanup(func() { _ = hand.Close() })
	return hand
}

// until waits for what others do in their own time.
func until(t testing.TB, what string, done func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	end := time.After(30 * time.Second)
	for !done() {
		select {
		case <-tick.C:
		case <-end:
			t.Fatalf("waited 30s for %s", what)
		}
	}
}

// A journal is what a cache said.
type journal struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.buf.Write(p)
}

func (j *journal) text() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.buf.String()
}

func (j *journal) log() *slog.Logger { return slog.New(slog.NewTextHandler(j, nil)) }

// A clock stands still until it is told otherwise.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Date(2024, 5, 1, 12, 0, 0, 0, time.UTC)} }

func (c *clock) read() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// keyFiles are a certificate and its key as a server reads them.
func keyFiles(t testing.TB, config *tls.Config) (cert, key string) {
	t.Helper()
	dir := t.TempDir()
	pair := config.Certificates[0]
	der, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	file := func(name, kind string, der []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	return file("cert.pem", "CERTIFICATE", pair.Certificate[0]), file("key.pem", "PRIVATE KEY", der)
}

func get(c *shared.Cache, key string) string {
	value, ok := c.Get(context.Background(), key)
	if !ok {
		return "none"
	}
	return string(value)
}
