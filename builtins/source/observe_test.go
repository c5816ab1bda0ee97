// SPDX-License-Identifier: Apache-2.0

package source_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/chartseal/chartseal/builtins"
	"github.com/chartseal/chartseal/builtins/chartref"
	"github.com/chartseal/chartseal/builtins/source"
	"github.com/chartseal/chartseal/test/registry"
)

// An observer writes down what it is told.
type observer struct {
	mu   sync.Mutex
	seen []string
}

func (o *observer) config(c *source.Config) {
	c.Observe = func(ctx context.Context, r source.Request) (context.Context, func(source.Result)) {
		return ctx, func(result source.Result) {
			o.mu.Lock()
			defer o.mu.Unlock()
			o.seen = append(o.seen, fmt.Sprintf("%s %s %s %d %s %d", r.Method, r.Host, r.Kind, result.Status, result.Code, result.Bytes))
		}
	}
}

func TestObserve(t *testing.T) {
	t.Parallel()
	w := newWorld(t, registry.WithToken("", ""))
	for name, c := range map[string]struct {
		rule registry.Rule
		read func(context.Context, builtins.Source) error
		want []string
	}{
		"url":         {registry.Rule{Path: "/none"}, reads(readArchive, w.byURL(t)), []string{fmt.Sprintf("archive 200 ok %d", len(archive))}},
		"provenance":  {registry.Rule{Path: "/none"}, reads(readProv, w.byURL(t)), []string{fmt.Sprintf("provenance 200 ok %d", len(prov))}},
		"absent":      {registry.Rule{Status: 404}, reads(readArchive, w.byURL(t)), []string{"archive 404 not_found 0"}},
		"down":        {registry.Rule{Reset: true}, reads(readArchive, w.byURL(t)), []string{"archive 0 unavailable 0"}},
		"busy":        {registry.Rule{Status: 429}, reads(readArchive, w.byEntry(t)), []string{"index 429 unavailable 0"}},
		"cut":         {registry.Rule{CutAfter: 10}, reads(readArchive, w.byURL(t)), []string{"archive 200 unavailable 10"}},
		"redirection": {registry.Rule{Path: "*.tgz", Redirect: w.URL() + "/stable/web-1.2.3.tgz.prov"}, reads(readArchive, w.byURL(t)), []string{"archive 307 ok 0", fmt.Sprintf("archive 200 ok %d", len(prov))}},
	} {
		t.Run(name, func(t *testing.T) {
			var o observer
			client := newClient(t, insecure(w.Server), o.config)
			remove := w.Rule(c.rule)
			_ = c.read(t.Context(), client)
			remove()
			for i := range c.want {
				c.want[i] = "GET " + w.Host() + " " + c.want[i]
			}
			if !slices.Equal(o.seen, c.want) {
				t.Errorf("observed %q, want %q", o.seen, c.want)
			}
		})
	}
	t.Run("registry", func(t *testing.T) {
		var o observer
		client := newClient(t, insecure(w.Server), o.config)
		wantCode(t, reads(readArchive, w.byTag(t))(t.Context(), client), builtins.OK)
		var kinds []string
		for _, line := range o.seen {
			var method, host, kind string
			_, _ = fmt.Sscan(line, &method, &host, &kind)
			kinds = append(kinds, kind)
		}
		if want := []string{"resolve", "token", "resolve", "blob"}; !slices.Equal(kinds, want) {
			t.Errorf("observed %q, want %q", o.seen, want)
		}
	})
}

func reads(read reading, ref chartref.Ref) func(context.Context, builtins.Source) error {
	return func(ctx context.Context, s builtins.Source) error { _, err := read(ctx, s, ref); return err }
}
