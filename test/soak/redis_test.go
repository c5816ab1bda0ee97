// SPDX-License-Identifier: Apache-2.0

package soak

import (
	"fmt"
	"net"
	"os/exec"
	"testing"
)

// The second replica verifies with fewer requests to the registry than the
// first, and both work while the cache that they share is killed.
func TestReplicasShareACache(t *testing.T) {
	program := ""
	for _, name := range []string{"valkey-server", "redis-server"} {
		if path, err := exec.LookPath(name); err == nil {
			program = path
		}
	}
	if program == "" {
		t.Skip("neither redis-server nor valkey-server is on the PATH; install one, Debian's package is redis-server")
	}
	port := freePort(t)
	server := exec.Command(program, "--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", t.TempDir())
	must(t, server.Start())
	kill := func() { _, _ = server.Process.Kill(), server.Wait() }
	t.Cleanup(kill)
	eventually(t, program, func() bool {
		conn, err := net.Dial("tcp", "127.0.0.1:"+port)
		if err == nil {
			conn.Close()
		}
		return err == nil
	})

	p := newPlace(t)
	p.configure(fmt.Sprintf("cache: {redis: {address: 127.0.0.1:%s, tls: false}}", port))
	keys := p.registry.push("web", 20)
	one, two := p.gatekeeper(p.start()), p.gatekeeper(p.start())
	requests := func(g *gatekeeper, keys []string) int64 {
		p.registry.counted()
		if a := g.ask(keys...); a.outcomes()["verified"] != len(keys) {
			t.Fatalf("answer is %s", a.raw)
		}
		return p.registry.total.Load()
	}
	first := requests(one, keys[:10])
	// What the first one found is written behind its answers.
	eventually(t, "the cache to be filled", func() bool { return entries(t, port) >= 10 })
	second := requests(two, keys[:10])
	t.Logf("%d requests by the first replica, %d by the second", first, second)
	if second >= first {
		t.Errorf("%d requests by the first replica, %d by the second", first, second)
	}
	kill()
	for _, g := range []*gatekeeper{one, two} {
		eventually(t, "verdicts without the cache", func() bool { return g.ask(keys[10:]...).outcomes()["verified"] == 10 })
	}
}

// entries is how much the cache holds.
func entries(t testing.TB, port string) (n int) {
	t.Helper()
	conn, err := net.Dial("tcp", "127.0.0.1:"+port)
	must(t, err)
	defer conn.Close()
	_, err = fmt.Fprint(conn, "DBSIZE\r\n")
	must(t, err)
	_, err = fmt.Fscanf(conn, ":%d\r\n", &n)
	must(t, err)
	return n
}

func freePort(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}
