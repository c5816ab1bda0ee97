// SPDX-License-Identifier: Apache-2.0

package builtins

import "time"

// Facts remembers, within a bound of bytes, what was found out before.
type Facts interface {
	// Load gives the fact stored under kind and key.
	Load(kind, key string) (fact any, ok bool)
	// Store keeps a fact, which takes about size bytes of memory, about content
	// whose digest is its key: such a fact never goes stale.
	Store(kind, digest string, fact any, size int64)
	// StoreFor keeps a fact that holds for a while only, and for no life at
	// all nothing.
	StoreFor(kind, key string, fact any, size int64, life time.Duration)
}

// Remember gives the fact of that kind about the content that digest names. It
// is made once, as long as it stays in env's facts; an error is no fact.
func Remember[T any](env *Env, kind, digest string, size int64, make func() (T, error)) (T, error) {
	if env.Facts != nil {
		if fact, ok := env.Facts.Load(kind, digest); ok {
			return fact.(T), nil
		}
	}
	fact, err := make()
	if err == nil && env.Facts != nil {
		env.Facts.Store(kind, digest, fact, size)
	}
	return fact, err
}
