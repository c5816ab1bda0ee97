// SPDX-License-Identifier: Apache-2.0

package source

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"github.com/chartseal/chartseal/builtins"
)

// Flights are what is being fetched now. Who asks for the same meanwhile, with
// the same sight of the same place, waits for the same answer.
//
// A flight has a context of its own, so that nobody who leaves ends it for the
// others; when the last one has left, it ends.
type flights struct {
	life time.Duration

	mu    sync.Mutex
	under map[string]*flight
}

type flight struct {
	done     chan struct{}
	ctx      context.Context
	cancel   context.CancelFunc
	aboard   int
	value    any
	err      error
	panicked any
}

func newFlights(limits builtins.Limits) *flights {
	return &flights{life: time.Duration(limits.Reference), under: map[string]*flight{}}
}

// together gives what fetch gives to those who ask for the same at a place at
// the same time. It calls fetch once for all of them.
func together[T any](ctx context.Context, all *flights, place, what string, fetch func(context.Context) (T, error)) (T, error) {
	value, leave, err := aboard(ctx, all, place, what, fetch)
	leave()
	return value, err
}

// aboard is [together], and the flight's context lasts at least until leave is
// called, which must be.
func aboard[T any](ctx context.Context, all *flights, place, what string, fetch func(context.Context) (T, error)) (_ T, leave func(), err error) {
	for key := place + " " + what; ; {
		f, first := all.join(ctx, key, func(ctx context.Context) (any, error) { return fetch(ctx) })
		leave := func() { all.leave(key, f) }
		select {
		case <-f.done:
		case <-ctx.Done():
			var none T
			return none, leave, fault(ctx, place, ctx.Err())
		}
		if f.panicked != nil {
			leave()
			panic(f.panicked)
		}
		// Whoever joined late has time left when that of the flight is over.
		if first || f.err == nil || f.ctx.Err() == nil {
			value, _ := f.value.(T)
			return value, leave, f.err
		}
		leave()
	}
}

// join comes aboard, and starts the flight if there is none.
func (all *flights) join(ctx context.Context, key string, fetch func(context.Context) (any, error)) (f *flight, first bool) {
	all.mu.Lock()
	defer all.mu.Unlock()
	if f := all.under[key]; f != nil {
		f.aboard++
		return f, false
	}
	f = &flight{done: make(chan struct{}), aboard: 1}
	f.ctx, f.cancel = context.WithTimeout(context.WithoutCancel(ctx), all.life)
	all.under[key] = f
	go all.fly(key, f, fetch)
	return f, true
}

// fly hands a panic on to those aboard, who know whose it is.
func (all *flights) fly(key string, f *flight, fetch func(context.Context) (any, error)) {
	defer func() {
		if r := recover(); r != nil {
			f.panicked = fmt.Sprintf("%v\n%s", r, debug.Stack())
		}
		all.land(key, f)
		close(f.done)
	}()
	f.value, f.err = fetch(f.ctx)
}

// land lets nobody aboard any more: what is fetched is for those who waited.
func (all *flights) land(key string, f *flight) {
	all.mu.Lock()
	defer all.mu.Unlock()
	if all.under[key] == f {
		delete(all.under, key)
	}
}

func (all *flights) leave(key string, f *flight) {
	all.mu.Lock()
	defer all.mu.Unlock()
	if f.aboard--; f.aboard > 0 {
		return
	}
	f.cancel()
	if all.under[key] == f { // who comes now does not want what was cancelled
		delete(all.under, key)
	}
}
