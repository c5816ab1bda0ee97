// SPDX-License-Identifier: Apache-2.0

package helm_test

import (
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/chartseal/chartseal/builtins"
	"github.com/chartseal/chartseal/test/forge"
)

// weighing remembers everything, and how heavy it was said to be.
type weighing struct {
	facts
	mu     sync.Mutex
	stored int64
	kinds  map[string]int64
}

func (w *weighing) Store(kind, digest string, fact any, size int64) {
	w.facts.Store(kind, digest, fact, size)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stored += size
	w.kinds[kind] += size
}

// heap is the memory that is in use.
func heap() int64 {
	for range 3 { // what pools hold goes with the second
		runtime.GC()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// Facts are weighed by what they take, so that a bound in bytes is one.
func TestFactsAreWeighed(t *testing.T) {
	for name, lines := range map[string]string{
		"a small chart":     "",
		"a long text":       "\nannotations: {a: " + strings.Repeat("x", 800<<10) + "}",
		"many empty things": "\nmaintainers: [" + strings.Repeat("{},", 10_000) + "{}]",
		"many words":        "\nkeywords: [" + strings.Repeat("ab,", 15_000) + "ab]",
		"many names":        "\nannotations:" + numbered("\n  k", ": v", 8_000),
		"many dependencies": "\ndependencies:" + numbered("\n- name: n", "", 4_000),
	} {
		t.Run(name, func(t *testing.T) {
			w := &weighing{kinds: map[string]int64{}}
			before := heap()
			callDescribed(t, lines, w)
			took := heap() - before
			if name != "a small chart" && (w.stored < took*8/10 || w.stored > took*3) {
				t.Errorf("%d bytes are remembered, counted as %d: %v", took, w.stored, w.kinds)
			}
			if name == "a small chart" && w.stored > 16<<10 {
				t.Errorf("counted as %d bytes: %v", w.stored, w.kinds)
			}
			runtime.KeepAlive(w)
		})
	}
}

// callDescribed verifies a chart with more lines in its Chart.yaml, and keeps
// nothing of it but facts.
func callDescribed(t *testing.T, lines string, facts builtins.Facts) {
	t.Helper()
	s := newScene()
	s.facts = facts
	s.metadata += lines
	s.archive = forge.Archive(forge.Beneath("web", forge.Entry{Name: "Chart.yaml", Body: s.metadata + "\n"})...)
	s.sum = builtins.SHA256(s.archive)
	s.want(t, builtins.OK)
}

func numbered(before, after string, n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "%s%d%s", before, i, after)
	}
	return b.String()
}
