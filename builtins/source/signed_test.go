// SPDX-License-Identifier: Apache-2.0

package source_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/chartseal/chartseal/builtins"
	"github.com/chartseal/chartseal/builtins/chartref"
	"github.com/chartseal/chartseal/test/registry"
)

// asksFor says whether the registry was asked for something whose path has part.
func (w *world) asksFor(part string) bool {
	for _, r := range w.Requests() {
		if strings.Contains(r.Path, part) {
			return true
		}
	}
	return false
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
