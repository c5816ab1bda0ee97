// SPDX-License-Identifier: Apache-2.0

package source

import (
	"container/list"
	"context"
	"sync"
	"sync/atomic"

	"github.com/chartseal/chartseal/builtins"
)

// Gates let at most so many requests of one origin pass at once, the others in
// the order in which they came. There is a gate for an origin only while
// somebody is in it, so that who chooses origins cannot make them grow.
type gates struct {
	width, queue int64
	refused      atomic.Int64 // requests that found the queue full

	mu sync.Mutex
	of map[string]*gate
}

// A gate is that of one origin.
type gate struct {
	inside int64
	queue  list.List // of chan struct{}, closed when it is the waiting one's turn
}

func newGates(width, queue int64) *gates {
	return &gates{width: width, queue: queue, of: map[string]*gate{}}
}

// enter returns when the request may be sent, and then [gates.leave] must
// follow. Who gives up leaves the queue; who finds it full is told at once.
func (g *gates) enter(ctx context.Context, origin string) error {
	turn, place, err := g.line(origin)
	if err != nil || turn == nil {
		return err
	}
	select {
	case <-turn:
		return nil
	case <-ctx.Done():
		g.giveUp(origin, turn, place)
		return builtins.Errorf(builtins.Timeout, "waiting for other requests to %s: %w", builtins.Clip(origin), ctx.Err())
	}
}

// line gives a place in the queue, none where there is room inside.
func (g *gates) line(origin string) (turn chan struct{}, place *list.Element, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	at := g.of[origin]
	if at == nil {
		at = new(gate)
		g.of[origin] = at
	}
	switch {
	case at.inside < g.width:
		at.inside++
		return nil, nil, nil
	case int64(at.queue.Len()) >= g.queue:
		g.refused.Add(1)
		return nil, nil, builtins.Errorf(builtins.Unavailable, "too many requests wait for host %s", builtins.Clip(origin))
	}
	turn = make(chan struct{})
	return turn, at.queue.PushBack(turn), nil
}

// giveUp leaves the queue or, if the turn came at the same moment, hands it on.
func (g *gates) giveUp(origin string, turn chan struct{}, place *list.Element) {
	g.mu.Lock()
	defer g.mu.Unlock()
	select {
	case <-turn:
		g.next(origin)
	default:
		g.of[origin].queue.Remove(place)
	}
}

// leave makes room for the next one.
func (g *gates) leave(origin string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.next(origin)
}

func (g *gates) next(origin string) {
	at := g.of[origin]
	if first := at.queue.Front(); first != nil {
		close(at.queue.Remove(first).(chan struct{}))
		return
	}
	if at.inside--; at.inside == 0 {
		delete(g.of, origin)
	}
}
