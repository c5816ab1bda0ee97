// SPDX-License-Identifier: Apache-2.0

package source_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/chartseal/chartseal/builtins"
	"github.com/chartseal/chartseal/builtins/source"
	"github.com/chartseal/chartseal/test/registry"
)

func TestR11ManyAtOnce(t *testing.T) {
	w := newWorld(t)
	client := newClient(t, insecure(w.Server), func(c *source.Config) { c.CacheBytes = 1 << 20 })
	var all sync.WaitGroup
	for range 1000 / 5 {
		for _, ref := range w.everyWay(t) {
			all.Go(func() {
				got, err := readArchive(t.Context(), client, ref)
				wantBytes(t, got, err, archive)
			})
		}
	}
	all.Wait()
	if _, peak := w.Connections(); peak > 40 { // 32, and a probe for TLS by those who came first
		t.Errorf("R11 %d connections at once", peak)
	}
}

// A thousand calls that time out, in every state that a call can be in, leave
// nothing behind.
func TestTimeoutsLeaveNothing(t *testing.T) {
	w := newWorld(t)
	before := runtime.NumGoroutine()
	client := newClient(t, insecure(w.Server), limits(func(l *builtins.Limits) { l.Silence = builtins.Duration(time.Minute) }))
	w.Rule(registry.Rule{Path: "/v2/*/manifests/*", Hang: true})
	w.Rule(registry.Rule{Path: "*.tgz", Trickle: registry.Trickle{Bytes: 1, Every: 20 * time.Millisecond}})
	w.Rule(registry.Rule{Path: "*/index.yaml", CutAfter: 1 << 20, Trickle: registry.Trickle{Bytes: 10, Every: time.Hour}})
	var all sync.WaitGroup
	for range 1000 / 5 {
		for _, ref := range w.everyWay(t) {
			all.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
				defer cancel()
				_, err := readArchive(ctx, client, ref)
				wantCode(t, err, builtins.Timeout)
			})
		}
	}
	all.Wait()
	client.Close()
	w.Close()
	for range 500 {
		if runtime.NumGoroutine() <= before {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	stacks := make([]byte, 64<<10)
	t.Errorf("%d goroutines were running, %d are:\n%s", before, runtime.NumGoroutine(), stacks[:runtime.Stack(stacks, true)])
}

// The benchmarks first see that good and bad are told apart.

func BenchmarkArchive(b *testing.B) {
	for _, size := range []int{4 << 10, 8 << 20} {
		content := bytes.Repeat([]byte("0123456789abcdef"), size/16)
		w := newWorld(b)
		w.PushChart("charts/large", "1.2.3", content, nil)
		w.AddFile("stable/large-1.2.3.tgz", content)
		dir := write(b, map[string][]byte{"large-1.2.3.tgz": content})
		client := newClient(b, insecure(w.Server))
		remove := w.Rule(registry.Rule{Path: "/v2/*/blobs/*", Edit: flipped})
		_, err := readArchive(b.Context(), client, reference(b, "oci://"+w.Host()+"/charts/large:1.2.3"))
		wantCode(b, err, builtins.DigestMismatch)
		remove()
		for name, ref := range map[string]string{
			"oci": "oci://" + w.Host() + "/charts/large:1.2.3", "url": w.URL() + "/stable/large-1.2.3.tgz", "file": dir + "/large-1.2.3.tgz",
		} {
			b.Run(fmt.Sprintf("%s/%dKiB", name, size>>10), func(b *testing.B) {
				b.SetBytes(int64(size))
				b.ReportAllocs()
				for b.Loop() {
					a, err := client.Resolve(b.Context(), reference(b, ref))
					if err != nil {
						b.Fatal(err)
					}
					body, err := a.Open(b.Context())
					if err != nil {
						b.Fatal(err)
					}
					if n, err := io.Copy(io.Discard, body); err != nil || n != int64(size) {
						b.Fatal(n, err)
					}
					body.Close()
					a.Close()
				}
			})
		}
	}
}

func BenchmarkIndex(b *testing.B) {
	var text bytes.Buffer
	text.WriteString("apiVersion: v1\nentries:\n")
	for chart := range 100 {
		fmt.Fprintf(&text, "  chart-%03d:\n", chart)
		for version := range 200 {
			fmt.Fprintf(&text, "  - apiVersion: v2\n    created: \"2024-01-02T03:04:05.678Z\"\n    dependencies:\n    - name: common\n      repository: oci://registry.example.com/charts\n      version: 2.x.x\n    description: A chart as long as charts are, with a sentence or two about what it installs.\n    digest: a%063d\n    home: https://charts.example.com\n    keywords:\n    - one\n    - two\n    maintainers:\n    - name: somebody\n      url: https://example.com\n    name: chart-%03d\n    urls:\n    - https://charts.example.com/chart-%03d-1.%d.0.tgz\n    version: 1.%d.0\n", version, chart, chart, version, version)
		}
	}
	url, _, err := source.FindEntry(b.Context(), text.Bytes(), "chart-099", "1.199.0", 1<<20)
	if err != nil || url != "https://charts.example.com/chart-099-1.199.0.tgz" {
		b.Fatal(url, err)
	}
	b.SetBytes(int64(text.Len()))
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := source.FindEntry(b.Context(), text.Bytes(), "chart-099", "1.199.0", 1<<20); err != nil {
			b.Fatal(err)
		}
	}
}
