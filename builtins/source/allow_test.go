// SPDX-License-Identifier: Apache-2.0

package source_test

import (
	"testing"
	"time"

	"github.com/chartseal/chartseal/builtins"
	"github.com/chartseal/chartseal/builtins/source"
)

// What is remembered of a host is no way around allow_net.
func TestRememberedHostsStayDenied(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	client := newClient(t, insecure(w.Server), func(c *source.Config) { c.Listings, c.CacheBytes = time.Hour, 1<<20 })
	for name, ref := range w.everyWay(t) {
		got, err := readArchive(t.Context(), client, ref)
		wantBytes(t, got, err, archive)
		_, err = readArchive(t.Context(), client.Allowing([]string{"elsewhere.example.com"}), ref)
		if builtins.CodeOf(err) != builtins.SourceDenied {
			t.Errorf("%s: %v, want source_denied", name, err)
		}
		got, err = readArchive(t.Context(), client.Allowing([]string{"127.0.0.1"}), ref)
		wantBytes(t, got, err, archive)
	}
}
