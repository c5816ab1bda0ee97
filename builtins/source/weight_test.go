// SPDX-License-Identifier: Apache-2.0

package source_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/chartseal/chartseal/builtins"
	"github.com/chartseal/chartseal/builtins/source"
)

// What is remembered of things that are not there, or hardly anything, takes
// about as much memory as was allowed: who writes references may name any
// number of them.
func TestSmallThingsTakeNoMoreThanAllowed(t *testing.T) {
	const allowed = 8 << 20
	facts := source.NewFacts(allowed, nil)
	before := heap()
	for i := range 200_000 {
		key := fmt.Sprintf("tag %d", i)
		absent := builtins.Errorf(builtins.NotFound, "%s", strings.Repeat("x", 100)+key)
		facts.StoreFor("listing https://reg.example.com charts/web sha256:"+strings.Repeat("0", 64), key, absent, 0, time.Hour)
	}
	if _, bytes := source.Remembered(facts); bytes == 0 || bytes > allowed {
		t.Errorf("it counts %d bytes", bytes)
	}
	if took := heap() - before; took > 2*allowed {
		t.Errorf("it takes %d MiB, allowed are %d", took>>20, allowed>>20)
	}
	runtime.KeepAlive(facts)
}

func heap() int64 {
	for range 3 {
		runtime.GC()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
