// SPDX-License-Identifier: Apache-2.0

package source_test

import (
	"bytes"
	"context"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/chartseal/chartseal/builtins"
	"github.com/chartseal/chartseal/builtins/source"
	"github.com/chartseal/chartseal/test/registry"
)

// What is large waits until there is room for it, and what is small does not.
func TestLargeDocumentsWait(t *testing.T) {
	t.Parallel()
	const mib = 1 << 20
	w := newWorld(t)
	large := bytes.Repeat([]byte("x"), 2*mib)
	w.AddFile("large", large)
	w.AddFile("zip/stable/index.yaml", append(indexOf("web-1.2.3.tgz", ""), bytes.Repeat([]byte("#\n"), mib)...))
	for i := range 3 {
		w.Rule(registry.Rule{Path: "/slow/" + strconv.Itoa(i), Body: large, Trickle: registry.Trickle{Bytes: mib + 1, Every: time.Hour}})
	}
	client := newClient(t, insecure(w.Server), limits(func(l *builtins.Limits) { l.Documents = 4 * mib }))
	ctx, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	for i := range 2 {
		all.Go(func() {
			_, err := client.Fetch(ctx, w.URL()+"/slow/"+strconv.Itoa(i), 8*mib)
			wantCode(t, err, builtins.Timeout)
		})
	}
	until(t, "a full memory", func() bool { return !source.Room(client, 1) })
	late, stop := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer stop()
	_, err := client.Fetch(late, w.URL()+"/large", 8*mib)
	wantCode(t, err, builtins.Timeout)
	wantCode(t, fetch(t, client, w.URL()+"/stable/index.yaml"), builtins.OK)
	cancel()
	all.Wait()
	for range 20 {
		all.Go(func() {
			got, err := client.Fetch(t.Context(), w.URL()+"/large", 8*mib)
			wantBytes(t, got, err, large)
			wantCode(t, closed(client.Resolve(t.Context(), reference(t, entryOf(w.URL()+"/zip/stable", "web", "1.2.3")))), builtins.OK)
		})
	}
	all.Wait()
	until(t, "room for all", func() bool { return source.Room(client, 4*mib) })
	nobodyFlies(t, client)
}

// A host that sends a large document byte by byte leaves room for those of others.
func TestOneHostDoesNotHoldAllTheRoom(t *testing.T) {
	t.Parallel()
	const mib = 1 << 20
	slow, w := newWorld(t), newWorld(t, registry.On("127.0.0.2"))
	large := bytes.Repeat([]byte("x"), 2*mib)
	w.AddFile("large", large)
	slow.Rule(registry.Rule{Path: "/slow/*", Body: large, Trickle: registry.Trickle{Bytes: mib + 1, Every: time.Hour}})
	client := newClient(t, insecure(slow.Server, w.Server), limits(func(l *builtins.Limits) { l.Documents = 6 * mib }))
	ctx, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	for i := range 6 {
		all.Go(func() {
			_, err := client.Fetch(ctx, slow.URL()+"/slow/"+strconv.Itoa(i), 8*mib)
			wantCode(t, err, builtins.Timeout)
		})
	}
	until(t, "a memory that is all that one host may have", func() bool { return !source.Room(client, 3*mib) })
	until(t, "others that wait", func() bool { return len(slow.Requests()) == 6 })
	late, stop := context.WithTimeout(t.Context(), 10*time.Second)
	defer stop()
	got, err := client.Fetch(late, w.URL()+"/large", 8*mib)
	wantBytes(t, got, err, large)
	cancel()
	all.Wait()
	until(t, "room for all", func() bool { return source.Room(client, 6*mib) })
	nobodyWaits(t, client)
}
