// SPDX-License-Identifier: Apache-2.0

package shared_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chartseal/chartseal/builtins/source/shared"
)

// An imposter answers every command of a client in its own way.
type imposter struct{ address string }

// newImposter starts one. Greet answers the first command of a connection,
// reply all others; "" says nothing.
func newImposter(t testing.TB, greet, reply string) *imposter {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	im := &imposter{address: l.Addr().String()}
	var active sync.WaitGroup
	ended := make(chan struct{})
	active.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			active.Go(func() { <-ended; _ = conn.Close() })
			active.Go(func() { im.serve(conn, greet, reply) })
		}
	})
	t.Cleanup(func() { close(ended); _ = l.Close(); active.Wait() })
	return im
}

// serve reads commands as clients write them: lists of strings.
func (im *imposter) serve(conn net.Conn, greet, reply string) {
	r := bufio.NewReader(conn)
	for answer := greet; ; answer = reply {
		var n, size int
		if _, err := fmt.Fscanf(r, "*%d\r\n", &n); err != nil {
			return
		}
		for range n {
			if _, err := fmt.Fscanf(r, "$%d\r\n", &size); err != nil {
				return
			}
			if _, err := io.CopyN(io.Discard, r, int64(size)+2); err != nil {
				return
			}
		}
		if answer == "hang up" {
			_ = conn.Close()
			return
		}
		if _, err := io.WriteString(conn, answer); err != nil {
			return
		}
	}
}

const greeting = "*2\r\n$6\r\nserver\r\n$5\r\nredis\r\n"

// TestHostileServers give no value, take little time and little memory, and
// put no word of theirs into the log.
func TestHostileServers(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ greet, reply string }{
		"honest twin":              {greeting, "$5\r\nvalue\r\n"},
		"silence":                  {"", ""},
		"silence after greeting":   {greeting, ""},
		"hangs up":                 {"hang up", ""},
		"hangs up after greeting":  {greeting, "hang up"},
		"a value of a terabyte":    {greeting, "$1099511627776\r\n" + password},
		"a length beyond integers": {greeting, "$99999999999999999999\r\n"},
		"the largest length":       {greeting, "$9223372036854775807\r\n"},
		"a length below nothing":   {greeting, "$-2\r\n"},
		"half a value":             {greeting, "$5\r\n" + "hunt"},
		"a line without end":       {greeting, "+" + strings.Repeat(password, 1000)},
		"a list of a billion":      {greeting, "*1000000000\r\n"},
		"lists in lists":           {greeting, strings.Repeat("*1\r\n", 100_000)},
		"lists as a greeting":      {strings.Repeat("*1\r\n", 100_000), ""},
		"a map":                    {greeting, "%1\r\n+a\r\n+b\r\n"},
		"a push to move":           {greeting, ">4\r\n+MOVING\r\n:1\r\n:1\r\n+127.0.0.9:1\r\n$5\r\nvalue\r\n"},
		"moved":                    {greeting, "-MOVED 1 127.0.0.9:1\r\n"},
		"the password as an error": {greeting, "-" + password + "\r\n"},
		"the password as a kind":   {greeting, password + "\r\n"},
		"the password as a length": {greeting, "$" + password + "\r\n"},
		"a web server":             {"HTTP/1.1 400 Bad Request\r\n\r\n", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			im, journal, clock := newImposter(t, tt.greet, tt.reply), new(journal), newClock()
			config := shared.Config{Address: im.address, Password: password, Log: journal.log(), Clock: clock.read}
			if strings.HasPrefix(name, "honest") {
				config = patient(config)
			}
			cache := newCache(t, config)
			start := time.Now()
			got := get(cache, "key")
			if took := time.Since(start); took > 5*time.Second {
				t.Errorf("took %s", took)
			}
			if strings.HasPrefix(name, "honest twin") {
				if got != "value" || journal.text() != "" {
					t.Errorf("got %q, said %s", got, journal.text())
				}
				return
			}
			if text := journal.text(); strings.Count(text, "WARN") != 1 || strings.Contains(text, "hunt") {
				t.Errorf("said %s", text)
			}
			if got != "none" {
				t.Errorf("got %q", got)
			}
		})
	}
}

// TestNobodyWaits is about a server that answers nothing: it is asked once a
// second, and what waits to be stored is bounded.
func TestNobodyWaits(t *testing.T) {
	t.Parallel()
	im, clock := newImposter(t, "", ""), newClock()
	cache := newCache(t, shared.Config{Address: im.address, Clock: clock.read})
	value := make([]byte, 1<<20)
	start := time.Now()
	for range 1000 { // a gigabyte
		cache.Put("key", value)
	}
	for range 3 {
		for range 1000 {
			if got := get(cache, "key"); got != "none" {
				t.Fatalf("got %q", got)
			}
		}
		clock.pass(time.Second)
	}
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("took %s, want about three times 50ms", took)
	}
}

func TestHaste(t *testing.T) {
	t.Parallel()
	im, journal := newImposter(t, "", ""), new(journal)
	cache := newCache(t, patient(shared.Config{Address: im.address, Log: journal.log()}))
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, ok := cache.Get(ctx, "key"); ok || journal.text() != "" {
		t.Errorf("who asks in haste got %v, and the server the blame: %s", ok, journal.text())
	}
}

func TestClosed(t *testing.T) {
	t.Parallel()
	im, journal := newImposter(t, greeting, "$5\r\nvalue\r\n"), new(journal)
	cache := newCache(t, patient(shared.Config{Address: im.address, Log: journal.log()}))
	if got := get(cache, "key"); got != "value" {
		t.Errorf("open: got %q", got)
	}
	cache.Close()
	cache.Put("key", []byte("value"))
	if got := get(cache, "key"); got != "none" || journal.text() != "" {
		t.Errorf("closed: got %q, said %s", got, journal.text())
	}
	cache.Close()
}

// FuzzReplies has replies arrive whole and byte by byte: the verdict is one.
func FuzzReplies(f *testing.F) {
	for _, text := range []string{
		greeting, "$5\r\nvalue\r\n+OK\r\n:1\r\n$-1\r\n*-1\r\n", "-ERR x\r\n", "$3\r\n\r\n\n\r\n", "$4194305\r\n", "$x\r\n", "\r\n", "*1025\r\n", "!3\r\nerr\r\n", "+",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		pieces := make([][]byte, len(raw))
		for i := range raw {
			pieces[i] = raw[i : i+1]
		}
		whole, single := shared.See(raw), shared.See(pieces...)
		if fmt.Sprint(whole) != fmt.Sprint(single) {
			t.Errorf("whole %v, byte by byte %v", whole, single)
		}
	})
}
