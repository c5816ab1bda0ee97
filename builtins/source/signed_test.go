// SPDX-License-Identifier: Apache-2.0

package source_test

import (
	"bytes"
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/chartseal/chartseal/builtins"
	"github.com/chartseal/chartseal/builtins/chartref"
	"github.com/chartseal/chartseal/builtins/source"
	"github.com/chartseal/chartseal/test/registry"
)

// asksFor says whether the registry was asked for something whose path has part.
func (w *world) asksFor(part string) bool { return w.count(part) > 0 }

func (w *world) count(part string) (n int) {
	for _, r := range w.Requests() {
		if strings.Contains(r.Path, part) {
			n++
		}
	}
	return n
}

// Where a reference has the digest, signatures are looked for while the
// manifest is on its way; by a tag they are not, since nobody knows of what.
func TestSignaturesAreLookedForMeanwhile(t *testing.T) {
	t.Parallel()
	for _, meanwhile := range []bool{true, false} {
		t.Run(map[bool]string{true: "by digest", false: "by tag"}[meanwhile], func(t *testing.T) {
			w := newSigned(t)
			ref, name := w.byTag(t), "1.2.3"
			if meanwhile {
				ref, name = w.byDigest(t), w.digest
			}
			var asked bool
			w.Rule(registry.Rule{Path: "*/manifests/" + name, Edit: func(body []byte) []byte {
				for deadline := time.Now().Add(5 * time.Second); meanwhile && !w.asksFor("/referrers/") && time.Now().Before(deadline); {
					time.Sleep(time.Millisecond)
				}
				asked = w.asksFor("/referrers/")
				return body
			}})
			a, err := builtins.ResolveSigned(t.Context(), newClient(t, insecure(w.Server)), ref)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, place := range a.(builtins.Registered).Signed(t.Context(), chartref.Ref{}).Places {
				for _, s := range place.Signatures {
					got = append(got, string(s.Bundle)+string(s.Payload))
				}
			}
			if diff := cmp.Diff(signatures, got); diff != "" || asked != meanwhile {
				t.Errorf("asked meanwhile %v, want %v; %s", asked, meanwhile, diff)
			}
		})
	}
}

// A chart that is not there, or not to be had, is that, whatever its signatures
// are: the look for them ends.
func TestNoChartEndsTheLook(t *testing.T) {
	t.Parallel()
	for status, want := range map[int]builtins.Code{
		http.StatusNotFound: builtins.NotFound, http.StatusForbidden: builtins.Denied, http.StatusServiceUnavailable: builtins.Unavailable,
	} {
		t.Run(string(want), func(t *testing.T) {
			w := newSigned(t)
			w.Rule(registry.Rule{Path: "*/manifests/" + w.digest, Status: status})
			w.Rule(registry.Rule{Path: "*/referrers/*", Hang: true})
			w.Rule(registry.Rule{Path: "*.sig", Hang: true})
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			_, err := builtins.ResolveSigned(ctx, newClient(t, insecure(w.Server)), w.byDigest(t))
			if builtins.CodeOf(err) != want || ctx.Err() != nil {
				t.Errorf("got %v, want %s at once", err, want)
			}
		})
	}
}

// A registry without the API of referrers is asked for it once in a while, and
// after a chart that is there: by one that is not nobody can make signatures
// go unseen.
func TestReferrersAreAskedForOnceInAWhile(t *testing.T) {
	t.Parallel()
	w := newWorld(t, registry.WithoutReferrers())
	second := w.PushChart("charts/web", "1.2.4", append(bytes.Clone(archive), 0), nil)
	var now clock
	client := newClient(t, insecure(w.Server), now.config, func(c *source.Config) { c.CacheBytes, c.Listings = 1<<20, time.Minute })
	absent := "sha256:" + strings.Repeat("0", 64)
	w.Rule(registry.Rule{Path: "*/manifests/" + absent, Handler: func(rw http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil && w.count("/manifests/sha256-") < 2 { // .sig and the fallback tag, which follows the API's answer
			time.Sleep(time.Millisecond)
		}
		http.NotFound(rw, r)
	}})
	for _, step := range []struct {
		digest string
		pass   time.Duration
		asks   bool
		fresh  time.Duration
	}{
		{absent, 0, true, 0},
		{w.digest, 0, true, time.Minute},
		{second, 20 * time.Second, false, 40 * time.Second},
		{second, time.Minute, true, time.Minute},
	} {
		now.move(step.pass)
		before := w.count("/referrers/")
		a, err := builtins.ResolveSigned(t.Context(), client, reference(t, "oci://"+w.Host()+"/charts/web@"+step.digest))
		var fresh time.Duration
		if err == nil {
			fresh = a.(builtins.Registered).Signed(t.Context(), chartref.Ref{}).Fresh
		}
		if asked := w.count("/referrers/") > before; asked != step.asks || fresh != step.fresh || (err != nil) != (step.digest == absent) {
			t.Errorf("%s: asked %v, fresh for %s, %v; want %v, %s", step.digest, asked, fresh, err, step.asks, step.fresh)
		}
	}
}
