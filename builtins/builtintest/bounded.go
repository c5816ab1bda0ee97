// SPDX-License-Identifier: Apache-2.0

package builtintest

import (
	"runtime/metrics"
	"testing"
	"time"
)

// Bounded fails for what takes longer, or allocates more in all, than any small
// input may cost: a second, 64 MiB. What runs beside it counts too.
func Bounded(t testing.TB, f func()) {
	t.Helper()
	before, start := allocated(), time.Now()
	f()
	if took := time.Since(start); took > time.Second {
		t.Errorf("it took %v", took)
	}
	if grown := allocated() - before; grown > 64<<20 {
		t.Errorf("it allocated %d MiB", grown>>20)
	}
}

func allocated() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}
