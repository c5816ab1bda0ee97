// SPDX-License-Identifier: Apache-2.0

package source_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/chartseal/chartseal/builtins"
	"github.com/chartseal/chartseal/builtins/chartref"
	"github.com/chartseal/chartseal/builtins/source"
	"github.com/chartseal/chartseal/test/registry"
)

// TestViews has one client ask with the credentials of a configuration that
// changes: what was remembered of the registry is for those that it was told.
func TestViews(t *testing.T) {
	t.Parallel()
	ca := registry.NewCA()
	w := newWorld(t, registry.WithTLS(ca.Config()), registry.WithBasic("robot", "word"))
	hosts := secure(w.Server).with(w.Server, "robot", "word")
	client := newClient(t, hosts, trusting(ca), func(c *source.Config) { c.CacheBytes, c.Listings = 1<<20, time.Hour })
	ask := func() error {
		a, err := client.Resolve(t.Context(), w.byTag(t))
		if err == nil {
			_, err = a.Config(t.Context())
		}
		return err
	}
	for range 2 {
		wantCode(t, ask(), builtins.OK)
	}
	if n := len(w.Requests()); n != 3 { // a challenge, the manifest and the config
		t.Errorf("%d requests: %+v", n, w.Requests())
	}
	hosts[w.Host()] = source.Registry{Username: "robot", Password: "wrong"}
	wantCode(t, ask(), builtins.Denied)
	hosts[w.Host()] = source.Registry{Username: "robot", Password: "word"}
	wantCode(t, ask(), builtins.OK)

	t.Run("and for hosts that may be contacted", func(t *testing.T) {
		_, err := client.Allowing([]string{"elsewhere.example.com"}).Resolve(t.Context(), w.byTag(t))
		wantCode(t, err, builtins.SourceDenied)
	})
}

// TestFreshness says how long what Signed lists may serve: as long as the
// oldest of it.
func TestFreshness(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var now clock
	client := newClient(t, insecure(w.Server), now.config, func(c *source.Config) { c.CacheBytes, c.Listings = 1<<20, 10*time.Second })
	fresh := func(elsewhere chartref.Ref) time.Duration {
		a, err := client.Resolve(t.Context(), w.byTag(t))
		if err != nil {
			t.Fatal(err)
		}
		return a.(builtins.Registered).Signed(t.Context(), elsewhere).Fresh
	}
	for _, step := range []struct{ pass, want time.Duration }{{0, 10 * time.Second}, {3 * time.Second, 7 * time.Second}, {7 * time.Second, 10 * time.Second}} {
		now.move(step.pass)
		if got := fresh(chartref.Ref{}); got != step.want {
			t.Errorf("after %s fresh for %s, want %s", step.pass, got, step.want)
		}
	}
	if got := fresh(w.byTag(t)); got != 0 {
		t.Errorf("what lies elsewhere is fresh for %s", got)
	}
}

// TestUntil has a check hear until when what it asked for is current: as long
// as listings serve, from when they were fetched, and not from when they were
// found again. What a digest names is so for good.
func TestUntil(t *testing.T) {
	t.Parallel()
	w, down := newWorld(t), newWorld(t)
	down.Close()
	var clock clock
	client := newClient(t, insecure(w.Server, down.Server), clock.config, func(c *source.Config) { c.CacheBytes, c.Listings = 1<<20, 10*time.Second })
	for _, c := range []struct {
		name    string
		ref     chartref.Ref
		current bool
	}{
		{"tag", w.byTag(t), true}, {"repository", w.byEntry(t), true},
		{"absent tag", reference(t, "oci://"+w.Host()+"/charts/web:9.9.9"), true},
		{"absent entry", reference(t, entryOf(w.URL()+"/stable", "web", "9.9.9")), true},
		{"digest", w.byDigest(t), false}, {"url", w.byURL(t), false}, {"down", down.byTag(t), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, step := range []struct{ pass, want time.Duration }{{time.Minute, 10 * time.Second}, {3 * time.Second, 7 * time.Second}, {7 * time.Second, 10 * time.Second}} {
				clock.move(step.pass)
				rep := resolving.Call(t.Context(), &builtins.Env{Source: client, Limits: builtins.DefaultLimits()}, c.ref, []byte("{}"))
				want := clock.now().Add(step.want)
				if !c.current {
					want = time.Time{}
				}
				if !rep.Until.Equal(want) {
					t.Errorf("at %s until %s, want %s", clock.now(), rep.Until, want)
				}
			}
		})
	}
	t.Run("signatures", func(t *testing.T) {
		clock.move(time.Minute)
		listing := builtins.Define("listing", "Lists.", nil, func(env *builtins.Env, _ struct{}) (builtins.Judge, error) {
			return func(ctx context.Context, ref chartref.Ref, _ *builtins.Report) error {
				a, err := env.Source.Resolve(ctx, ref)
				if err == nil {
					a.(builtins.Registered).Signed(ctx, chartref.Ref{})
				}
				return err
			}, nil
		})
		rep := listing.Call(t.Context(), &builtins.Env{Source: client, Limits: builtins.DefaultLimits()}, w.byDigest(t), []byte("{}"))
		if want := clock.now().Add(10 * time.Second); !rep.Until.Equal(want) {
			t.Errorf("until %s, want %s", rep.Until, want)
		}
	})
}

var resolving = builtins.Define("resolving", "Resolves.", nil, func(env *builtins.Env, _ struct{}) (builtins.Judge, error) {
	return func(ctx context.Context, ref chartref.Ref, _ *builtins.Report) error {
		return closed(env.Source.Resolve(ctx, ref))
	}, nil
})

// TestUntilForMany has many wait for one answer, of which each is told.
func TestUntilForMany(t *testing.T) {
	w, let := held(t, "/v2/*/manifests/*")
	var clock clock
	client := newClient(t, insecure(w.Server), clock.config, func(c *source.Config) { c.Listings = 10 * time.Second })
	var all sync.WaitGroup
	for range 1000 {
		all.Go(func() {
			rep := resolving.Call(t.Context(), &builtins.Env{Source: client, Limits: builtins.DefaultLimits()}, w.byTag(t), []byte("{}"))
			if want := noon.Add(10 * time.Second); !rep.Until.Equal(want) {
				t.Errorf("until %s, want %s: %s", rep.Until, want, rep.Reason)
			}
		})
		until(t, "a request", func() bool { return len(w.Requests()) == 1 }) // by the first one
	}
	aboard(t, client, 1000)
	close(let)
	all.Wait()
}
