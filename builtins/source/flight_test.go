// SPDX-License-Identifier: Apache-2.0

package source_test

import (
	"context"
	"net/http"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chartseal/chartseal/builtins"
	"github.com/chartseal/chartseal/builtins/source"
	"github.com/chartseal/chartseal/test/registry"
)

// What is asked for by many at once, with the path of the one request.
var shared = []struct {
	name, path string
	ask        func(context.Context, testing.TB, builtins.Source, *world) error
}{
	{"tag", "/v2/*/manifests/*", func(ctx context.Context, t testing.TB, s builtins.Source, w *world) error {
		return closed(s.Resolve(ctx, w.byTag(t)))
	}},
	{"digest", "/v2/*/manifests/*", func(ctx context.Context, t testing.TB, s builtins.Source, w *world) error {
		return closed(s.Resolve(ctx, w.byDigest(t)))
	}},
	{"index", "*/index.yaml", func(ctx context.Context, t testing.TB, s builtins.Source, w *world) error {
		return closed(s.Resolve(ctx, w.byEntry(t)))
	}},
}

func closed(a builtins.Artifact, err error) error {
	if err == nil {
		a.Close()
	}
	return err
}

// held is a world whose next answer to a path waits to be let.
func held(t testing.TB, path string) (w *world, let chan struct{}) {
	w, let = newWorld(t), make(chan struct{})
	w.Rule(registry.Rule{Path: path, Nth: 1, Handler: func(rw http.ResponseWriter, r *http.Request) {
		select {
		case <-let:
			http.Redirect(rw, r, r.URL.Path, http.StatusTemporaryRedirect)
		case <-r.Context().Done():
		}
	}})
	return w, let
}

func aboard(t testing.TB, client *source.Client, n int) {
	t.Helper()
	until(t, "a flight", func() bool { _, aboard := source.Flights(client); return aboard == n })
}

func nobodyFlies(t testing.TB, client *source.Client) {
	t.Helper()
	if under, aboard := source.Flights(client); under+aboard != 0 {
		t.Errorf("%d flights are left with %d aboard", under, aboard)
	}
	nobodyWaits(t, client)
}

func TestManyAskOnce(t *testing.T) {
	for _, c := range shared {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w, let := held(t, c.path)
			client := newClient(t, insecure(w.Server))
			var all sync.WaitGroup
			for range 1000 {
				all.Go(func() { wantCode(t, c.ask(t.Context(), t, client, w), builtins.OK) })
				until(t, "a request", func() bool { return w.Count("", c.path) == 1 }) // by the first one
			}
			aboard(t, client, 1000)
			close(let)
			all.Wait()
			if n := w.Count("", c.path); n != 2 { // the redirect and where it leads
				t.Errorf("%d requests, want 2", n)
			}
			nobodyFlies(t, client)
		})
	}
	t.Run("blob", func(t *testing.T) {
		t.Parallel()
		const path = "/v2/*/blobs/*"
		w, let := held(t, path)
		client := newClient(t, insecure(w.Server))
		a, err := client.Resolve(t.Context(), w.byTag(t))
		wantCode(t, err, builtins.OK)
		var all sync.WaitGroup
		for range 1000 {
			all.Go(func() {
				got, err := a.Config(t.Context())
				wantBytes(t, got, err, []byte("{}"))
			})
		}
		aboard(t, client, 1000)
		close(let)
		all.Wait()
		if n := w.Count("", path); n != 2 {
			t.Errorf("%d requests, want 2", n)
		}
		nobodyFlies(t, client)
	})
}

// Whoever leaves is told so at once, and nobody else hears of it, be it the one
// who came first.
func TestLeavingAFlight(t *testing.T) {
	for _, c := range shared {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w, let := held(t, c.path)
			client := newClient(t, insecure(w.Server))
			ctx, cancel := context.WithCancel(t.Context())
			var first, all sync.WaitGroup
			first.Go(func() { wantCode(t, c.ask(ctx, t, client, w), builtins.Timeout) })
			until(t, "a request", func() bool { return w.Count("", c.path) == 1 })
			for range 100 {
				first.Go(func() { wantCode(t, c.ask(ctx, t, client, w), builtins.Timeout) })
				all.Go(func() { wantCode(t, c.ask(t.Context(), t, client, w), builtins.OK) })
			}
			aboard(t, client, 201)
			cancel()
			first.Wait()
			close(let)
			all.Wait()
			if n := w.Count("", c.path); n != 2 {
				t.Errorf("%d requests, want 2", n)
			}
			nobodyFlies(t, client)
		})
	}
}

// When the last one has left, the request ends; whoever comes then asks anew.
func TestTheLastEndsAFlight(t *testing.T) {
	for _, c := range shared {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w, _ := held(t, c.path)
			client := newClient(t, insecure(w.Server))
			ctx, cancel := context.WithCancel(t.Context())
			var all sync.WaitGroup
			for range 100 {
				all.Go(func() { wantCode(t, c.ask(ctx, t, client, w), builtins.Timeout) })
			}
			aboard(t, client, 100)
			until(t, "a request", func() bool { return w.Count("", c.path) == 1 })
			cancel()
			all.Wait()
			wantCode(t, c.ask(t.Context(), t, client, w), builtins.OK)
			until(t, "an end", func() bool { hosts, _ := source.Gates(client); return hosts == 0 })
			nobodyFlies(t, client)
		})
	}
}

// Other credentials, and another view, are another question.
func TestWhoDoesNotShare(t *testing.T) {
	t.Parallel()
	for _, c := range shared {
		for name, other := range map[string]func(*world, *source.Client, *sync.Map) builtins.Source{
			"credentials": func(w *world, s *source.Client, hosts *sync.Map) builtins.Source {
				hosts.Store(w.Host(), source.Registry{Insecure: true, Username: "other", Password: "secret"})
				return s
			},
			"view": func(w *world, s *source.Client, _ *sync.Map) builtins.Source {
				return s.Allowing([]string{"127.0.0.1", "127.0.0.9"})
			},
		} {
			t.Run(c.name+" "+name, func(t *testing.T) {
				t.Parallel()
				w, let := held(t, c.path)
				var hosts sync.Map
				hosts.Store(w.Host(), source.Registry{Insecure: true, Username: "robot", Password: "word"})
				client := newClient(t, nil, func(config *source.Config) {
					config.Registries = func(host string) (source.Registry, bool) {
						r, ok := hosts.Load(host)
						if !ok {
							return source.Registry{}, false
						}
						return r.(source.Registry), true
					}
				})
				var first sync.WaitGroup
				first.Go(func() { wantCode(t, c.ask(t.Context(), t, client, w), builtins.OK) })
				until(t, "a request", func() bool { return w.Count("", c.path) == 1 })
				wantCode(t, c.ask(t.Context(), t, other(w, client, &hosts), w), builtins.OK) // while the first one waits
				if under, aboard := source.Flights(client); under != 1 || aboard != 1 {
					t.Errorf("%d flights with %d aboard, want the first one alone", under, aboard)
				}
				close(let)
				first.Wait()
			})
		}
	}
}

// A failure is for those who waited.
func TestFailuresAreNotKept(t *testing.T) {
	t.Parallel()
	for _, c := range shared {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			client := newClient(t, insecure(w.Server), func(c *source.Config) { c.CacheBytes, c.Listings = 1<<20, time.Hour })
			let := make(chan struct{})
			w.Rule(registry.Rule{Path: c.path, Nth: 1, Handler: func(rw http.ResponseWriter, _ *http.Request) { <-let; rw.WriteHeader(503) }})
			var all sync.WaitGroup
			for range 100 {
				all.Go(func() { wantCode(t, c.ask(t.Context(), t, client, w), builtins.Unavailable) })
				until(t, "a request", func() bool { return w.Count("", c.path) == 1 }) // by the first one
			}
			aboard(t, client, 100)
			close(let)
			all.Wait()
			wantCode(t, c.ask(t.Context(), t, client, w), builtins.OK)
			if n := w.Count("", c.path); n != 2 {
				t.Errorf("%d requests, want 2", n)
			}
		})
	}
}

// A flight takes as long as a reference may. Whoever came late has time left,
// and is not told that it is over.
func TestLateAboard(t *testing.T) {
	t.Parallel()
	for _, c := range shared {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w, _ := held(t, c.path)
			client := newClient(t, insecure(w.Server), limits(func(l *builtins.Limits) { l.Reference = builtins.Duration(2 * time.Second) }),
				func(c *source.Config) { c.CacheBytes, c.Listings = 1<<20, time.Hour })
			var all sync.WaitGroup
			all.Go(func() { wantCode(t, c.ask(t.Context(), t, client, w), builtins.Timeout) })
			until(t, "a request", func() bool { return w.Count("", c.path) == 1 })
			for range 100 {
				all.Go(func() { wantCode(t, c.ask(t.Context(), t, client, w), builtins.OK) })
			}
			aboard(t, client, 101)
			all.Wait()
			if n := w.Count("", c.path); n != 2 {
				t.Errorf("%d requests, want 2", n)
			}
			nobodyFlies(t, client)
		})
	}
}

// A panic is everybody's who waited, in his own goroutine.
func TestPanicInAFlight(t *testing.T) {
	t.Parallel()
	w, let := held(t, "/v2/*/manifests/*")
	var armed atomic.Bool
	client := newClient(t, insecure(w.Server), func(c *source.Config) {
		c.CacheBytes, c.Listings = 1<<20, time.Hour
		c.Clock = func() time.Time {
			if armed.Load() {
				panic("clock")
			}
			return noon
		}
	})
	var all sync.WaitGroup
	for range 10 {
		all.Go(func() {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			_, _ = client.Resolve(t.Context(), w.byTag(t))
		})
	}
	aboard(t, client, 10)
	until(t, "a request", func() bool { return len(w.Requests()) == 1 })
	armed.Store(true)
	close(let)
	all.Wait()
	armed.Store(false)
	nobodyFlies(t, client)
	wantCode(t, closed(client.Resolve(t.Context(), w.byTag(t))), builtins.OK)
}

// Whatever becomes of those who ask, nothing of it keeps running.
func TestFlightsLeaveNothing(t *testing.T) {
	w := newWorld(t)
	before := runtime.NumGoroutine()
	client := newClient(t, insecure(w.Server), breaking)
	w.Rule(registry.Rule{Path: "/v2/*/manifests/*", Hang: true})
	w.Rule(registry.Rule{Path: "*/index.yaml", Trickle: registry.Trickle{Bytes: 1, Every: time.Hour}})
	var all sync.WaitGroup
	for i := range 1000 {
		all.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), time.Duration(i%100)*time.Millisecond)
			defer cancel()
			wantCode(t, shared[i%3].ask(ctx, t, client, w), builtins.Timeout)
		})
	}
	all.Wait()
	nobody := func() bool { hosts, _ := source.Gates(client); return hosts == 0 }
	until(t, "an end", nobody) // long before the host's time is over
	client.Close()
	w.Close()
	until(t, "an end", func() bool { return runtime.NumGoroutine() <= before })
}
