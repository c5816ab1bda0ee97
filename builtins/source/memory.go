// SPDX-License-Identifier: Apache-2.0

package source

import (
	"math"
	"time"

	"github.com/chartseal/chartseal/builtins"
	"github.com/maypok86/otter/v2"
	"github.com/maypok86/otter/v2/stats"
)

// NewFacts makes Facts that take about as many bytes of memory and forget what
// is used least. For 0 bytes or less it gives nil, which remembers nothing.
// The clock, by default the machine's, says when what holds for a while is over.
func NewFacts(bytes int64, clock func() time.Time) builtins.Facts {
	if bytes <= 0 {
		return nil
	}
	return newMemory(bytes, clock)
}

// A memory keeps values within a bound of bytes, for good or for a while, and
// forgets what is used least. A nil memory keeps nothing.
type memory struct {
	cache *otter.Cache[memoryKey, memorized]
	now   func() time.Time
}

type memoryKey struct{ kind, key string }

type memorized struct {
	value any
	size  int64
	until time.Time // zero is for good
}

func newMemory(bytes int64, clock func() time.Time) *memory {
	if bytes <= 0 {
		return nil
	}
	if clock == nil {
		clock = time.Now
	}
	return &memory{now: clock, cache: otter.Must(&otter.Options[memoryKey, memorized]{
		StatsRecorder: stats.NewCounter(),
		MaximumWeight: uint64(bytes),
		Weigher: func(key memoryKey, m memorized) uint32 {
			return weight(overhead + m.size + int64(len(key.kind)+len(key.key)))
		},
	})}
}

// overhead is about what an entry takes beside its value and its key: what the
// cache has for it, and why there is nothing. Values may be as small as that.
const overhead = 512

// weight is at least 1, since otter never evicts what weighs nothing.
func weight(size int64) uint32 { return uint32(min(max(size, 1), math.MaxUint32)) }

// Remembered counts how facts of [NewFacts] were looked up, and gives the bytes
// that they take.
func Remembered(facts builtins.Facts) (stats.Stats, uint64) {
	m, _ := facts.(*memory)
	return m.remembered()
}

// Remembered is the same of what came from registries.
func (c *Client) Remembered() (stats.Stats, uint64) { return c.memory.remembered() }

func (m *memory) remembered() (stats.Stats, uint64) {
	if m == nil {
		return stats.Stats{}, 0
	}
	return m.cache.Stats(), m.cache.WeightedSize()
}

// Load gives the value stored under kind and key, while it holds.
func (m *memory) Load(kind, key string) (any, bool) {
	if m == nil {
		return nil, false
	}
	found, ok := m.cache.GetIfPresent(memoryKey{kind, key})
	if !ok || !found.until.IsZero() && !m.now().Before(found.until) {
		return nil, false
	}
	return found.value, true
}

// Store keeps value, which takes about size bytes of memory, for good.
func (m *memory) Store(kind, key string, value any, size int64) {
	m.set(kind, key, memorized{value: value, size: size})
}

// StoreFor keeps value for a while.
func (m *memory) StoreFor(kind, key string, value any, size int64, life time.Duration) {
	if m != nil && life > 0 {
		m.set(kind, key, memorized{value, size, m.now().Add(life)})
	}
}

func (m *memory) set(kind, key string, value memorized) {
	if m != nil {
		m.cache.Set(memoryKey{kind, key}, value)
	}
}
