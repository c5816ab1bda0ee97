// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/chartseal/chartseal/builtins"
)

// A request is one of Gatekeeper's, as far as its checks know of it.
type request struct{ span trace.SpanContext }

// A flight is one check under way, for all who ask the same of the same world.
// It has a time of its own: whoever leaves early fails nobody else.
type flight struct {
	world    *world
	question question
	request  *request // that asked first
	asked    time.Time
	waiters  atomic.Int64

	lane    *lane         // once it has its turn
	done    chan struct{} // closed when there is a verdict
	verdict *verdict
}

// join gives the flight for a question: one that is under way, or a new one.
// It also looks once more for a verdict, since one may just have landed.
func (p *Provider) join(w *world, q question, r *request) (*flight, *verdict) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if f, ok := w.flights[q.key]; ok {
		if f.waiters.Add(1) == 1 {
			p.schedule.again(f, r)
		}
		return f, nil
	}
	if v := w.known(q.key); v != nil {
		return nil, v
	}
	f := &flight{world: w, question: q, request: r, asked: time.Now(), done: make(chan struct{})}
	f.waiters.Add(1)
	w.flights[q.key] = f
	if !p.schedule.submit(f) {
		delete(w.flights, q.key)
		return nil, p.without(q, builtins.Unavailable, "too many checks wait for their turn")
	}
	return f, nil
}

// run judges, and gives the turn back when the key's time is over: from then on
// the check goes on for the next who asks, or ends if too many do already.
func (p *Provider) run(f *flight) {
	ctx, cancel := context.WithTimeout(context.Background(), f.world.Background)
	defer cancel()
	t := &turn{flight: f, giveUp: cancel}
	late := time.AfterFunc(f.world.Key, func() { t.overrun(p.schedule) })
	ctx, end := p.tracing.key(ctx, f)
	v := p.judge(ctx, f)
	end(v.report)
	f.land(v)
	late.Stop()
	t.landed(p.schedule)
}

// giveUp is for a check that nobody waited for when others needed its place.
func (p *Provider) giveUp(f *flight) {
	f.land(p.without(f.question, builtins.Unavailable, "too many checks wait for their turn"))
}

// A turn is a flight's among those that run: it is given back once, early or
// at the end.
type turn struct {
	flight *flight
	giveUp func()

	mu     sync.Mutex
	over   bool // given back
	behind bool // and going on
}

func (t *turn) overrun(s *schedule) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.over {
		return
	}
	t.over = true
	if t.behind = s.goOn(t.flight); !t.behind {
		t.giveUp()
	}
	s.done(t.flight)
}

func (t *turn) landed(s *schedule) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.behind:
		s.ended(t.flight)
	case !t.over:
		s.done(t.flight)
	}
	t.over = true
}

// land gives the verdict to those who wait and to those who come.
func (f *flight) land(v *verdict) {
	f.verdict = v
	f.world.mu.Lock()
	f.world.keep(f.question.key, v)
	delete(f.world.flights, f.question.key)
	f.world.mu.Unlock()
	close(f.done)
}

// judge asks the check, unless nobody has waited for longer than one may take.
func (p *Provider) judge(ctx context.Context, f *flight) (v *verdict) {
	asked := time.Now()
	defer func() {
		if r := recover(); r != nil {
			v = p.verdict(f.question.key, f.question.check.Name, f.question.check.Panicked(f.world.Env, r), time.Time{})
		}
		p.metrics.verified(f.question.check.Name, v.report)
	}()
	if f.waiters.Load() <= 0 && asked.Sub(f.asked) > f.world.Background {
		return p.without(f.question, builtins.Timeout, "the check had no turn in time")
	}
	env := *f.world.Env
	env.Now, env.Limits.Reference, env.Trace = f.world.Now(), builtins.Duration(f.world.Background), p.tracing.within()
	rep := f.question.check.Run(ctx, &env, f.question.ref, f.question.opts)
	return p.verdict(f.question.key, f.question.check.Name, rep, f.world.life(rep, asked))
}
