// SPDX-License-Identifier: Apache-2.0

package load

import (
	"context"
	"hash/maphash"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

// Run makes all connections, then all requests, and gives what it saw. It
// fails if a connection cannot be made; a request that fails is counted.
func (p Plan) Run(ctx context.Context) (Result, error) {
	if err := p.check(); err != nil {
		return Result{}, err
	}
	r, err := p.dialAll(ctx)
	defer r.close()
	if err != nil {
		return Result{}, err
	}
	if p.Seconds > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Duration(p.Seconds*float64(time.Second)))
		defer cancel()
	}
	start := time.Now()
	if p.Mode == Herd {
		r.herd()
	} else {
		r.stream(ctx, start)
	}
	return r.result(time.Since(start)), nil
}

// A run is a plan while it is carried out.
type run struct {
	Plan
	sides []*side
	seed  maphash.Seed
}

// A side is one connection and what it saw.
type side struct {
	*Caller
	latencies []time.Duration
	answers   map[uint64]bool
	errors    int
	first     error
}

// handshakes are made a few at a time, since a server has few cores.
const handshakes = 16

func (p Plan) dialAll(ctx context.Context) (*run, error) {
	r := &run{Plan: p, seed: maphash.MakeSeed(), sides: make([]*side, p.Connections)}
	var group errgroup.Group
	group.SetLimit(handshakes)
	for i := range r.sides {
		group.Go(func() error {
			c, err := p.Dial(ctx)
			if err != nil {
				return err
			}
			r.sides[i] = &side{Caller: c, answers: map[uint64]bool{}}
			if len(p.First) > 0 {
				_, err = c.Ask(ctx, Body(p.First))
			}
			return err
		})
	}
	return r, group.Wait()
}

func (r *run) close() {
	for _, s := range r.sides {
		if s != nil {
			s.Close()
		}
	}
}

// stream has each connection take the next request when it has its answer.
func (r *run) stream(ctx context.Context, start time.Time) {
	requests := r.requests()
	var next atomic.Int64
	r.together(func(s *side) {
		for {
			n := int(next.Add(1) - 1)
			req, ok := requests(n)
			if !ok || !r.await(ctx, start, n) {
				return
			}
			req.due = time.Now()
			if r.Rate > 0 {
				req.due = r.due(start, n)
			}
			r.ask(s, req)
		}
	})
}

func (r *run) due(start time.Time, n int) time.Time {
	return start.Add(time.Duration(float64(n) / r.Rate * float64(time.Second)))
}

// await waits until request n is due, and says whether its time comes at all.
func (r *run) await(ctx context.Context, start time.Time, n int) bool {
	if r.Rate > 0 {
		select {
		case <-ctx.Done():
		case <-time.After(time.Until(r.due(start, n))):
		}
	}
	return ctx.Err() == nil
}

// herd lets every connection ask for the same at one moment, then for the next.
func (r *run) herd() {
	requests := r.requests()
	for n := range r.Keys {
		req, _ := requests(n)
		var ready sync.WaitGroup
		ready.Add(len(r.sides))
		moment := make(chan struct{})
		go func() {
			ready.Wait()
			req.due = time.Now()
			close(moment)
		}()
		r.together(func(s *side) {
			ready.Done()
			<-moment
			r.ask(s, req)
		})
	}
}

func (r *run) together(do func(*side)) {
	var all sync.WaitGroup
	for _, s := range r.sides {
		all.Go(func() { do(s) })
	}
	all.Wait()
}

// ask lets a request that was begun come to its end, whatever bounds the run.
func (r *run) ask(s *side, req request) {
	answer, err := s.Ask(context.Background(), req.body)
	s.latencies = append(s.latencies, time.Since(req.due))
	if err == nil {
		s.answers[maphash.Bytes(r.seed, answer)] = true
		err = r.judge(answer, req.keys)
	}
	if err != nil {
		s.errors++
		if s.first == nil {
			s.first = err
		}
	}
}

func (r *run) result(took time.Duration) Result {
	all := Result{Seconds: took.Seconds()}
	var latencies []time.Duration
	answers := map[uint64]bool{}
	for _, s := range r.sides {
		latencies = append(latencies, s.latencies...)
		all.Errors += s.errors
		all.Dialled += s.dialled
		if s.first != nil && all.FirstError == "" {
			all.FirstError = s.first.Error()
		}
		for answer := range s.answers {
			answers[answer] = true
		}
	}
	all.Requests, all.Answers = len(latencies), len(answers)
	slices.Sort(latencies)
	all.P50, all.P95, all.P99, all.Max = rank(latencies, 0.5), rank(latencies, 0.95), rank(latencies, 0.99), rank(latencies, 1)
	return all
}

// rank is the smallest latency that so many of all do not exceed, in seconds.
func rank(sorted []time.Duration, share float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[max(1, int(math.Ceil(share*float64(len(sorted)))))-1].Seconds()
}
