// SPDX-License-Identifier: Apache-2.0

package source_test

import (
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
	clock := time.Date(2024, 5, 1, 12, 0, 0, 0, time.UTC)
	client := newClient(t, insecure(w.Server), func(c *source.Config) {
		c.CacheBytes, c.Listings, c.Clock = 1<<20, 10*time.Second, func() time.Time { return clock }
	})
	fresh := func(elsewhere chartref.Ref) time.Duration {
		a, err := client.Resolve(t.Context(), w.byTag(t))
		if err != nil {
			t.Fatal(err)
		}
		return a.(builtins.Registered).Signed(t.Context(), elsewhere).Fresh
	}
	for _, step := range []struct{ pass, want time.Duration }{{0, 10 * time.Second}, {3 * time.Second, 7 * time.Second}, {7 * time.Second, 10 * time.Second}} {
		clock = clock.Add(step.pass)
		if got := fresh(chartref.Ref{}); got != step.want {
			t.Errorf("after %s fresh for %s, want %s", step.pass, got, step.want)
		}
	}
	if got := fresh(w.byTag(t)); got != 0 {
		t.Errorf("what lies elsewhere is fresh for %s", got)
	}
}
