// SPDX-License-Identifier: Apache-2.0

package builtins

import (
	"reflect"
	"time"
)

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
// is made once, as long as it stays in env's facts, where it counts with its
// size; an error is no fact.
func Remember[T any](env *Env, kind, digest string, size func(T) int64, make func() (T, error)) (T, error) {
	if env.Facts == nil {
		return make()
	}
	if fact, ok := env.Facts.Load(kind, digest); ok {
		return fact.(T), nil
	}
	fact, err := make()
	if err == nil {
		env.Facts.Store(kind, digest, fact, size(fact))
	}
	return fact, err
}

// Weigh is about the bytes of memory that a fact takes with all that it points
// to. It is for facts whose size is up to whoever wrote the content.
func Weigh[T any](fact T) int64 { return memory(reflect.ValueOf(fact)) }

// slot is what an entry of a map takes beside its key and its value, with room
// that maps keep free.
const slot = 32

// smallest is what the content of a string takes, however short it is.
const smallest = 16

func memory(v reflect.Value) int64 {
	if !v.IsValid() {
		return 0
	}
	size := int64(v.Type().Size())
	switch v.Kind() {
	case reflect.String:
		size += int64(max(v.Len(), smallest))
	case reflect.Pointer, reflect.Interface:
		size += memory(v.Elem())
	case reflect.Struct:
		for i := range v.NumField() {
			size += memory(v.Field(i)) - int64(v.Field(i).Type().Size())
		}
	case reflect.Map:
		for entries := v.MapRange(); entries.Next(); {
			size += slot + memory(entries.Key()) + memory(entries.Value())
		}
	case reflect.Slice:
		size += elements(v)
	}
	return size
}

func elements(list reflect.Value) (size int64) {
	if list.Type().Elem().Kind() == reflect.Uint8 {
		return int64(list.Cap())
	}
	for i := range list.Len() {
		size += memory(list.Index(i))
	}
	return size
}
