// SPDX-License-Identifier: Apache-2.0

package source_test

import (
	"fmt"
	"runtime"
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
	// Which of them stay is the cache's to weigh; that thousands do is the point of it.
	stay := 0
	for i := range 300_000 {
		if _, known := facts.Load("listing https://reg.example.com/charts/web", fmt.Sprintf("tag 1.0.%d", i)); known {
			stay++
		}
	}
	if stay < bytes>>10 {
		t.Errorf("%d stay", stay)
	}
	runtime.KeepAlive(facts)
}

func heap() int64 {
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc)
}
