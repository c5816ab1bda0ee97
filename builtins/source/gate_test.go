// SPDX-License-Identifier: Apache-2.0

package source_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/chartseal/chartseal/builtins"
	"github.com/chartseal/chartseal/builtins/source"
	"github.com/chartseal/chartseal/test/registry"
)

// A counter answers requests, and knows how many there were at once.
type counter struct {
	mu        sync.Mutex
	now, peak int
}

func (c *counter) ServeHTTP(rw http.ResponseWriter, _ *http.Request) {
	c.add(1)
	time.Sleep(time.Millisecond) // so that others come meanwhile
	c.add(-1)
	_, _ = rw.Write([]byte("x"))
}

func (c *counter) add(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now += n
	c.peak = max(c.peak, c.now)
}

// until waits for what is bound to happen.
func until(t testing.TB, what string, happened func() bool) {
	t.Helper()
	for range 1000 {
		if happened() {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Fatalf("it never came to %s", what)
}

func gate(requests, queue int64) func(*source.Config) {
	return limits(func(l *builtins.Limits) { l.HostRequests, l.HostQueue = requests, queue })
}

func nobodyWaits(t testing.TB, client *source.Client) {
	t.Helper()
	if hosts, waiting := source.Gates(client); hosts != 0 || waiting != 0 {
		t.Errorf("%d gates are left with %d waiting", hosts, waiting)
	}
}

func TestGateLetsSoManyPass(t *testing.T) {
	w, other := newWorld(t), newWorld(t)
	client := newClient(t, insecure(w.Server, other.Server), gate(4, 1000))
	var at, away counter
	w.Rule(registry.Rule{Handler: at.ServeHTTP})
	other.Rule(registry.Rule{Handler: away.ServeHTTP})
	var all sync.WaitGroup
	for i := range 1000 {
		all.Go(func() {
			_, err := client.Fetch(t.Context(), []*world{w, other}[i%2].URL()+"/x", 10)
			wantCode(t, err, builtins.OK)
		})
	}
	all.Wait()
	for _, c := range []*counter{&at, &away} {
		if c.peak != 4 {
			t.Errorf("%d requests at once, want 4", c.peak)
		}
	}
	nobodyWaits(t, client)
}

// A stopper holds requests until it lets one go, and knows their order.
type stopper struct {
	mu    sync.Mutex
	paths []string
	let   chan struct{}
}

func (s *stopper) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.paths = append(s.paths, r.URL.Path)
	s.mu.Unlock()
	<-s.let
	_, _ = rw.Write([]byte("x"))
}

func (s *stopper) seen() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.paths)
}

// stopped is a world in which each request waits to be let.
func stopped(t testing.TB) (*world, *stopper) {
	s := &stopper{let: make(chan struct{})}
	w := newWorld(t)
	w.Rule(registry.Rule{Handler: s.ServeHTTP})
	t.Cleanup(func() { close(s.let) })
	return w, s
}

func TestGateKeepsTheOrder(t *testing.T) {
	t.Parallel()
	w, s := stopped(t)
	client := newClient(t, insecure(w.Server), gate(1, 100))
	var want []string
	var all sync.WaitGroup
	for i := range 20 {
		path := fmt.Sprintf("/%d", i)
		want = append(want, path)
		all.Go(func() {
			_, err := client.Fetch(t.Context(), w.URL()+path, 10)
			wantCode(t, err, builtins.OK)
		})
		until(t, "its place", func() bool { hosts, waiting := source.Gates(client); return hosts == 1 && waiting == i })
	}
	for range want {
		s.let <- struct{}{}
	}
	all.Wait()
	if got := s.seen(); !slices.Equal(got, want) {
		t.Errorf("they came as %v", got)
	}
	nobodyWaits(t, client)
}

func TestGateWithAFullQueue(t *testing.T) {
	t.Parallel()
	w, s := stopped(t)
	client := newClient(t, insecure(w.Server), gate(1, 1))
	var all sync.WaitGroup
	for i := range 2 {
		all.Go(func() {
			_, err := client.Fetch(t.Context(), w.URL()+"/x", 10)
			wantCode(t, err, builtins.OK)
		})
		until(t, "its place", func() bool { hosts, waiting := source.Gates(client); return hosts == 1 && waiting == i })
	}
	until(t, "one inside", func() bool { return len(s.seen()) == 1 })
	_, err := client.Fetch(t.Context(), w.URL()+"/x", 10)
	wantCode(t, err, builtins.Unavailable)
	if want := "too many requests wait for host " + w.URL(); err == nil || err.Error() != want {
		t.Errorf("reason is %v, want %s", err, want)
	}
	if n := len(s.seen()); n != 1 {
		t.Errorf("%d requests arrived, want 1", n)
	}
	t.Run("twin: another host", func(t *testing.T) {
		other := newWorld(t)
		client := newClient(t, insecure(w.Server, other.Server), gate(1, 1))
		_, err := client.Fetch(t.Context(), other.URL()+"/stable/index.yaml", 1000)
		wantCode(t, err, builtins.OK)
	})
	s.let <- struct{}{}
	s.let <- struct{}{}
	all.Wait()
	t.Run("twin: room again", func(t *testing.T) {
		all.Go(func() { s.let <- struct{}{} })
		_, err := client.Fetch(t.Context(), w.URL()+"/x", 10)
		wantCode(t, err, builtins.OK)
		all.Wait()
	})
	nobodyWaits(t, client)
}

// Whoever gives up while he waits leaves the queue, and nobody's turn is lost.
func TestGateWithoutPatience(t *testing.T) {
	w, s := stopped(t)
	client := newClient(t, insecure(w.Server), gate(2, 16384))
	ctx, cancel := context.WithCancel(t.Context())
	var all, first sync.WaitGroup
	for range 2 {
		first.Go(func() {
			_, err := client.Fetch(t.Context(), w.URL()+"/x", 10)
			wantCode(t, err, builtins.OK)
		})
	}
	until(t, "two inside", func() bool { return len(s.seen()) == 2 })
	for range 1000 {
		all.Go(func() {
			_, err := client.Fetch(ctx, w.URL()+"/x", 10)
			wantCode(t, err, builtins.Timeout)
		})
	}
	until(t, "a queue", func() bool { _, waiting := source.Gates(client); return waiting == 1000 })
	cancel()
	s.let <- struct{}{}
	s.let <- struct{}{}
	first.Wait()
	all.Wait()
	nobodyWaits(t, client)
	all.Go(func() { s.let <- struct{}{} })
	_, err := client.Fetch(t.Context(), w.URL()+"/x", 10)
	wantCode(t, err, builtins.OK)
	all.Wait()
}

func TestNewWantsRequests(t *testing.T) {
	t.Parallel()
	none := builtins.DefaultLimits()
	none.HostRequests = 0
	if _, err := source.New(source.Config{Limits: none}); err == nil {
		t.Error("a client without requests was made")
	}
	if _, err := source.New(source.Config{Limits: builtins.DefaultLimits()}); err != nil {
		t.Error(err)
	}
}
