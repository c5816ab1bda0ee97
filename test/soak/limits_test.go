// SPDX-License-Identifier: Apache-2.0

package soak

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Without descriptors nothing is decided, nothing is rejected, and the process
// lives; with them again it goes on (S19).
func TestNoDescriptors(t *testing.T) {
	p := newPlace(t)
	keys := p.registry.push("web", 3)
	r := p.start()
	g := p.gatekeeper(r)
	if code := g.ask(keys[0]).code(); code != "ok" {
		t.Fatalf("code is %s", code)
	}
	p.registry.http.CloseClientConnections()
	eventually(t, "the registry's connections to close", func() bool { return r.descriptors() <= 12 })
	var before unix.Rlimit
	none := unix.Rlimit{Cur: 3, Max: 1 << 16}
	must(t, unix.Prlimit(r.cmd.Process.Pid, unix.RLIMIT_NOFILE, nil, &before))
	none.Max = before.Max
	must(t, unix.Prlimit(r.cmd.Process.Pid, unix.RLIMIT_NOFILE, &none, nil))
	for range 3 {
		a := g.ask(keys[0], keys[1]) // on the connection that there is
		if outcomes := a.outcomes(); outcomes["rejected"] > 0 || outcomes["verified"] != 1 || !strings.Contains(a.Response.SystemError, "1 of 2 keys") {
			t.Errorf("answer is %s", a.raw)
		}
	}
	replace(t, p.config(), []byte(p.configuration()+"cache: {listings: 7s}\n"))
	r.signal(syscall.SIGHUP)
	eventually(t, "the reload to fail", func() bool { return len(r.refusals()) > 0 })
	if code := g.ask(keys[0]).code(); code != "ok" {
		t.Errorf("code is %s", code)
	}
	must(t, unix.Prlimit(r.cmd.Process.Pid, unix.RLIMIT_NOFILE, &before, nil))
	eventually(t, "everything again", func() bool {
		return g.ask(keys...).outcomes()["verified"] == 3 && r.successful()
	})
}

// Where no file can be written, verdicts are given all the same: they need none
// (S19).
func TestNoTemporaryFiles(t *testing.T) {
	p := newPlace(t)
	keys := p.registry.push("web", 1)
	file := filepath.Join(p.dir, "file")
	must(t, os.WriteFile(file, nil, 0o600))
	for name, dir := range map[string]string{"read-only": "/proc", "no directory": filepath.Join(file, "tmp")} {
		r := p.start("TMPDIR=" + dir)
		if a := p.gatekeeper(r).ask(keys[0]); a.code() != "ok" || !r.lives() {
			t.Errorf("%s: answer is %s", name, a.raw)
		}
	}
}

// Told to stop, the provider says so at /readyz, finishes what was asked, and
// ends with 0; killed, it starts again (S20).
func TestStops(t *testing.T) {
	p := newPlace(t)
	p.configure(patient...)
	keys := p.registry.push("web", 1)
	r := p.start()
	if status, _, err := r.aside("/readyz"); status != http.StatusOK {
		t.Fatalf("/readyz says %d, %v", status, err)
	}
	release := p.registry.hold()
	defer release()
	answered := make(chan answer)
	go func() {
		a, err := p.gatekeeper(r).try(t.Context(), keys[0])
		if err != nil {
			t.Errorf("the request that was under way: %v", err)
		}
		answered <- a
	}()
	eventually(t, "the check to be under way", func() bool { return r.metrics()["chartseal_inflight"] == 1 && p.registry.inside.Load() > 0 })
	r.signal(syscall.SIGTERM)
	eventually(t, "/readyz to say no", func() bool {
		status, _, _ := r.aside("/readyz")
		return status == http.StatusServiceUnavailable
	})
	eventually(t, "no new connections", func() bool {
		conn, err := net.Dial("tcp", r.listen)
		if err == nil {
			conn.Close()
		}
		return err != nil
	})
	release()
	if code := (<-answered).code(); code != "ok" {
		t.Errorf("the request that was under way: %q", code)
	}
	if code := r.code(); code != 0 || len(r.journal.entries("stopped")) != 1 {
		t.Errorf("ended with %d: %s", code, r.journal.text())
	}
	r = p.start()
	r.kill()
	if code := p.gatekeeper(p.start()).ask(keys[0]).code(); code != "ok" {
		t.Errorf("after kill -9: %q", code)
	}
}

// The port of health and metrics says nothing of charts and has no profiles (S22).
func TestHealthPort(t *testing.T) {
	p := newPlace(t)
	keys := p.registry.push("web", 1)
	r := p.start()
	p.gatekeeper(r).ask(keys[0], p.registry.key("charts/web:9.9.9"), "no-key-at-all")
	for path, want := range map[string]int{
		"/healthz": 200, "/readyz": 200, "/metrics": 200,
		"/": 404, "/debug/pprof/": 404, "/debug/pprof/heap": 404, "/debug/vars": 404, "/v1/check": 404, "/config": 404,
	} {
		status, body, err := r.aside(path)
		if status != want || err != nil {
			t.Errorf("%s says %d, %v", path, status, err)
		}
		for _, foreign := range []string{"charts/web", "9.9.9", "no-key", "sha256:", "Web Team", signer.Fingerprint()} {
			if strings.Contains(body, foreign) {
				t.Errorf("%s has %s", path, foreign)
			}
		}
	}
}

// Whoever speaks otherwise, too much or too slowly is refused or cut, while
// others are answered (S23).
func TestBadConnections(t *testing.T) {
	p := newPlace(t)
	keys := p.registry.push("web", 1)
	r := p.start()
	g := p.gatekeeper(r)
	body := string(requestOf(keys))
	head := "POST /v1/check HTTP/1.1\r\nHost: provider\r\nContent-Type: application/json\r\n"
	for name, c := range map[string]struct {
		plain bool
		send  string
		sees  string // "" is nothing
	}{
		"plain HTTP":       {true, head + fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(body), body), "400"},
		"1 MiB of headers": {false, head + "X: " + strings.Repeat("x", 1<<20) + "\r\n\r\n", "431"},
		"slow headers":     {false, head, ""},
		"slow body":        {false, head + "Content-Length: 100\r\n\r\n{", "400"},
		"HTTP/2 preface":   {false, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "404"},
		"slow handshake":   {true, "\x16\x03\x01", ""},
		"nothing":          {false, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conn := p.connect(t, r, c.plain)
			defer conn.Close()
			if _, err := io.WriteString(conn, c.send); err != nil && c.sees == "" {
				t.Fatal(err)
			}
			if code := g.ask(keys[0]).code(); code != "ok" {
				t.Errorf("somebody else gets %q", code)
			}
			must(t, conn.SetReadDeadline(time.Now().Add(patience)))
			seen, err := io.ReadAll(conn)
			if os.IsTimeout(err) || strings.Contains(string(seen), "verified") || !strings.Contains(string(seen), c.sees) || c.sees == "" && strings.Contains(string(seen), "HTTP/1") {
				t.Errorf("got %.300q, %v", seen, err)
			}
		})
	}
	t.Run("HTTP/2", func(t *testing.T) {
		config := p.clientTLS(func() *tls.Certificate { return &p.client.Certificate })
		config.NextProtos = []string{"h2"}
		if conn, err := tls.Dial("tcp", r.listen, config); err == nil {
			conn.Close()
			t.Error("h2 was agreed on")
		}
	})
}

func (p *place) connect(t testing.TB, r *process, plain bool) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", r.listen)
	must(t, err)
	if plain {
		return conn
	}
	return tls.Client(conn, func() *tls.Config {
		config := p.clientTLS(func() *tls.Certificate { return &p.client.Certificate })
		config.ServerName = "127.0.0.1"
		return config
	}())
}

// Connections that ask nothing are cut, those of clients that are not known
// too, and others are answered meanwhile (S23).
func TestIdleConnections(t *testing.T) {
	p := newPlace(t)
	keys := p.registry.push("web", 1)
	r := p.start()
	g := p.gatekeeper(r)
	g.ask(keys[0])
	before := r.descriptors()
	many := 2000
	if soak > 0 {
		many = 10_000
	}
	began, most := r.resident(), int64(0)
	conns := make([]net.Conn, many)
	for i := range conns {
		conn, err := net.Dial("tcp", r.listen)
		must(t, err)
		defer conn.Close()
		conns[i] = conn
		if i%100 == 0 && g.ask(keys[0]).code() != "ok" {
			t.Error("somebody else is not answered")
		}
		most = max(most, r.resident())
	}
	for _, conn := range conns {
		must(t, conn.SetReadDeadline(time.Now().Add(patience)))
		if _, err := bufio.NewReader(conn).ReadByte(); os.IsTimeout(err) {
			t.Fatal("a connection stays")
		}
	}
	if code := g.ask(keys[0]).code(); code != "ok" {
		t.Errorf("somebody else gets %q", code)
	}
	eventually(t, "descriptors to come back", func() bool { return r.descriptors() <= before+5 })
	t.Logf("%d connections took %d MiB", many, (most-began)>>20)
}
