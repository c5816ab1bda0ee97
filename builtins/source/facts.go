// SPDX-License-Identifier: Apache-2.0

package source

import (
	"math"

	"github.com/chartseal/chartseal/builtins"
	"github.com/maypok86/otter/v2"
)

// NewFacts makes Facts that take about as many bytes of memory and forget what
// is used least. For 0 bytes or less it gives nil, which remembers nothing.
func NewFacts(bytes int64) builtins.Facts {
	if bytes <= 0 {
		return nil
	}
	return &facts{otter.Must(&otter.Options[factKey, fact]{
		MaximumWeight: uint64(bytes),
		Weigher:       func(key factKey, f fact) uint32 { return weight(f.size + int64(len(key.digest))) },
	})}
}

type facts struct{ cache *otter.Cache[factKey, fact] }

type factKey struct{ kind, digest string }

type fact struct {
	value any
	size  int64
}

// weight is at least 1, since otter never evicts what weighs nothing.
func weight(size int64) uint32 { return uint32(min(max(size, 1), math.MaxUint32)) }

// Load gives the fact stored under kind and digest.
func (f *facts) Load(kind, digest string) (any, bool) {
	found, ok := f.cache.GetIfPresent(factKey{kind, digest})
	return found.value, ok
}

// Store keeps value, which takes about size bytes of memory.
func (f *facts) Store(kind, digest string, value any, size int64) {
	f.cache.Set(factKey{kind, digest}, fact{value, size})
}
