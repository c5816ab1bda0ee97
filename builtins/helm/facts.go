// SPDX-License-Identifier: Apache-2.0

package helm

import (
	"reflect"

	"github.com/chartseal/chartseal/builtins"
)

// recall gives the fact of that kind and digest, and makes it once. It counts
// with what it takes: that is up to whoever wrote the chart.
func recall[T any](env *builtins.Env, kind, digest string, make func() (T, error)) (T, error) {
	if env.Facts == nil {
		return make()
	}
	if fact, ok := env.Facts.Load(kind, digest); ok {
		return fact.(T), nil
	}
	fact, err := make()
	if err == nil {
		env.Facts.Store(kind, digest, fact, sizeOf(fact))
	}
	return fact, err
}

// sizeOf is about the bytes of memory that v takes with all that it points to.
func sizeOf(v any) int64 { return memory(reflect.ValueOf(v)) }

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
