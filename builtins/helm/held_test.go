// SPDX-License-Identifier: Apache-2.0

package helm_test

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/chartseal/chartseal/builtins"
	"github.com/chartseal/chartseal/builtins/chartref"
	"github.com/chartseal/chartseal/builtins/helm"
	"github.com/chartseal/chartseal/test/forge"
)

// Whether an archive is held or unpacked as it comes makes no difference to
// what is said of it, be it tiny, small or large.
func TestHeldOrNot(t *testing.T) {
	for _, mib := range []int{0, 2, 9} {
		archive := forge.Archive(forge.Chart("web", "1.0.0",
			forge.Entry{Name: "a.txt", Body: noise(mib << 19)}, forge.Entry{Name: "b.txt", Body: noise(mib << 19)})...)
		for _, full := range []bool{false, true} {
			t.Run(fmt.Sprintf("%d MiB, no room %t", mib, full), func(t *testing.T) {
				if full {
					defer helm.NoRoom()()
				}
				s := newScene()
				s.facts = new(facts)
				s.archive, s.sum = archive, builtins.SHA256(archive)
				for range 2 {
					s.want(t, builtins.OK)
				}
				s.archive = slices.Clone(archive)
				s.archive[len(archive)/2] ^= 1
				s.want(t, builtins.DigestMismatch)
			})
		}
	}
	helm.NoRoom()() // all of it is free again
}

func TestCryptographyIsTraced(t *testing.T) {
	t.Parallel()
	var spans []string
	s := newScene()
	env := s.env()
	env.Trace = func(_ context.Context, name string) func() {
		spans = append(spans, name)
		return func() { spans = append(spans, "end") }
	}
	rep := helm.VerifyProv.Call(t.Context(), env, chartref.FromValue(reference(s.ref)), []byte(`{"keyrings": ["team"]}`))
	if want := []string{"crypto.verify", "end"}; !rep.Verified || !slices.Equal(spans, want) {
		t.Errorf("%s, spans %q, want %q", rep.Code, spans, want)
	}
}
