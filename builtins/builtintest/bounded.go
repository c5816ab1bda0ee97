// SPDX-License-Identifier: Apache-2.0

package builtintest

import (
	"flag"
	"runtime/metrics"
	"testing"
	"time"
)

// Bounded does f and, where a fuzzer runs, fails for what takes longer, or
// allocates more in all, than any small input may cost: a second, 64 MiB. Tests
// time nothing: a race detector and other work of the machine cost more.
func Bounded(t testing.TB, f func()) {
	t.Helper()
	if !fuzzing() {
		f()
		return
	}
	before, start := allocated(), time.Now()
	f()
	if took := time.Since(start); took > time.Second {
		t.Errorf("it took %v", took)
	}
	if grown := allocated() - before; grown > 64<<20 {
		t.Errorf("it allocated %d MiB", grown>>20)
	}
}

func fuzzing() bool {
	fuzz, worker := flag.Lookup("test.fuzz"), flag.Lookup("test.fuzzworker")
	return fuzz != nil && fuzz.Value.String() != "" || worker != nil && worker.Value.String() == "true"
}

func allocated() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}
