// SPDX-License-Identifier: Apache-2.0

package source_test

import (
	"fmt"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/chartseal/chartseal/builtins/source"
)

// However little each value takes, all of them take no more than about what
// was given: the number of entries is chosen by whoever writes references.
func TestSmallThingsTakeNoMoreThanTheirBytes(t *testing.T) {
	const bytes = 8 << 20
	before := heap()
	facts := source.NewFacts(bytes, nil)
	for i := range 300_000 {
		facts.StoreFor("listing https://reg.example.com/charts/web", fmt.Sprintf("tag 1.0.%d", i), struct{ text string }{fmt.Sprint(i)}, 0, time.Minute)
	}
	var took int64
	for range 500 { // what is evicted is evicted aside
		if took = heap() - before; took < 3*bytes/2 {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Logf("%d KiB of %d", took>>10, bytes>>10)
	if took > 3*bytes/2 {
		t.Errorf("%d KiB are taken, %d were given", took>>10, bytes>>10)
	}
	// Which of them stay is the cache's to weigh, and some do.
	if !slices.ContainsFunc(seq(299_900, 300_000), func(i int) bool {
		_, known := facts.Load("listing https://reg.example.com/charts/web", fmt.Sprintf("tag 1.0.%d", i))
		return known
	}) {
		t.Error("the last hundred are forgotten")
	}
	runtime.KeepAlive(facts)
}

func seq(from, to int) (all []int) {
	for i := from; i < to; i++ {
		all = append(all, i)
	}
	return all
}

func heap() int64 {
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc)
}
