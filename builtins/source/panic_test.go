// SPDX-License-Identifier: Apache-2.0

package source_test

import (
	"context"
	"testing"

	"github.com/chartseal/chartseal/builtins"
	"github.com/chartseal/chartseal/builtins/chartref"
	"github.com/chartseal/chartseal/builtins/source"
)

// A panic below a look for signatures reaches whoever looks, who can say whose
// it is. In a goroutine of nobody's it would end the process.
func TestPanicOfALookIsTheLookers(t *testing.T) {
	t.Parallel()
	for kind, want := range map[string]bool{"referrers": true, "none": false} {
		t.Run(kind, func(t *testing.T) {
			w := newWorld(t)
			armed := false
			client := newClient(t, insecure(w.Server), func(c *source.Config) {
				c.Observe = func(ctx context.Context, r source.Request) (context.Context, func(source.Result)) {
					if armed && r.Kind == kind {
						panic("told to")
					}
					return ctx, func(source.Result) {}
				}
			})
			artifact, err := client.Resolve(t.Context(), w.byTag(t))
			if err != nil {
				t.Fatal(err)
			}
			armed = true
			if got := panics(func() { artifact.(builtins.Registered).Signed(t.Context(), chartref.Ref{}) }); got != want {
				t.Errorf("panics is %t", got)
			}
			if under, aboard := source.Flights(client); under != 0 || aboard != 0 {
				t.Errorf("%d flights with %d aboard are left", under, aboard)
			}
		})
	}
}

func panics(do func()) (panicked bool) {
	defer func() { panicked = recover() != nil }()
	do()
	return false
}
