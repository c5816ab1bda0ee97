// SPDX-License-Identifier: Apache-2.0

// Package provider is the driver that runs the checks for Gatekeeper's
// external data: it answers ProviderRequests with the reports that Rego gets
// from the same checks elsewhere.
//
// A verdict, for or against, is an item, which Gatekeeper remembers. What could
// not be decided is left out and named in systemError, which it does not. The
// keys of an answer are the keys that were asked, byte for byte, each once,
// but for those.
package provider

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/maypok86/otter/v2/stats"
	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"

	"github.com/chartseal/chartseal/builtins"
)

// A Config is what a provider has for all of its life.
type Config struct {
	Checks  []*builtins.Builtin
	Log     *slog.Logger          // a line per key; nil is silent
	Metrics prometheus.Registerer // nil keeps them to itself
	Traces  trace.TracerProvider  // nil makes none
}

// A Provider answers Gatekeeper. It is an [http.Handler].
type Provider struct {
	checks   map[string]*builtins.Builtin
	log      *slog.Logger
	metrics  *metrics
	tracing  *tracing
	schedule *schedule
	world    atomic.Pointer[world]
	worlds   atomic.Uint64

	hits, misses, evicted atomic.Uint64
}

// New makes a provider that answers on a basis.
func New(config Config, basis Basis) *Provider {
	p := &Provider{checks: map[string]*builtins.Builtin{}, log: config.Log, tracing: newTracing(config.Traces)}
	for _, b := range config.Checks {
		p.checks[b.Name] = b
	}
	if p.log == nil {
		p.log = slog.New(slog.DiscardHandler)
	}
	p.schedule = newSchedule(func(f *flight) { go p.run(f) }, func(f *flight) { go p.giveUp(f) })
	p.metrics = newMetrics(config.Metrics, p)
	p.Use(basis)
	return p
}

// Use answers on another basis from now on. Requests that came before end on
// theirs; nothing that was found out on it serves those that come after.
func (p *Provider) Use(basis Basis) {
	before := p.world.Swap(newWorld(basis, p.worlds.Add(1)))
	if before != nil && before.verdicts != nil {
		p.evicted.Add(before.verdicts.Stats().Evictions)
	}
}

// Generation counts the bases so far.
func (p *Provider) Generation() uint64 { return p.world.Load().generation }

// Remembered counts how verdicts were looked up, once for each key, and gives
// the bytes that those of this basis take.
func (p *Provider) Remembered() (looked stats.Stats, bytes uint64) {
	looked = stats.Stats{Hits: p.hits.Load(), Misses: p.misses.Load(), Evictions: p.evicted.Load()}
	if w := p.world.Load(); w.verdicts != nil {
		looked.Evictions += w.verdicts.Stats().Evictions
		bytes = w.verdicts.WeightedSize()
	}
	return looked, bytes
}

// answer gives every key its verdict, in time. What is under way then goes on
// for the next request.
func (p *Provider) answer(ctx context.Context, keys []string) (items [][]byte, systemError string) {
	w, asked := p.world.Load(), time.Now()
	r := &request{span: trace.SpanContextFromContext(ctx)}
	answers := make([]answer, len(keys))
	for i, key := range keys {
		answers[i] = p.ask(w, key, r)
	}
	ctx, cancel := w.patience(ctx, answers)
	defer cancel()
	items = make([][]byte, 0, len(keys))
	var open []string
	for _, a := range answers {
		v := p.wait(ctx, a)
		p.record(ctx, a, v, asked, w.generation)
		if v.report.Outcome == builtins.Undecided {
			open = append(open, fmt.Sprintf("%s %s: %s", v.check, builtins.Clip(v.report.Ref), v.report.Code))
		} else {
			items = append(items, v.item)
		}
	}
	return items, undecided(open, len(keys))
}

// record counts and logs that a key has its answer.
func (p *Provider) record(ctx context.Context, a answer, v *verdict, asked time.Time, generation uint64) {
	now := time.Now()
	took := now.Sub(asked)
	cache, observed := hit, v.hit
	if !a.remembered {
		cache, observed = miss, p.metrics.duration(v.check, miss)
	}
	observed.Observe(took.Seconds())
	v.tell(ctx, now, took, cache, generation)
}

// Whether a verdict was remembered or made.
const (
	hit  = "hit"
	miss = "miss"
)

// patience is how long is waited, if there is anything to wait for.
func (w *world) patience(ctx context.Context, answers []answer) (context.Context, context.CancelFunc) {
	if !slices.ContainsFunc(answers, func(a answer) bool { return a.flight != nil }) {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, min(w.Key, w.Deadline))
}

// An answer is that to one key: here already, or on its flight.
type answer struct {
	verdict    *verdict
	remembered bool
	flight     *flight
}

func (p *Provider) ask(w *world, key string, r *request) (a answer) {
	if v := w.known(key); v != nil {
		p.hits.Add(1)
		return answer{verdict: v, remembered: true}
	}
	p.misses.Add(1)
	q, err := parseKey(p.checks, key)
	if err != nil {
		return answer{verdict: p.verdict(key, "", builtins.Verdict(err), time.Time{})}
	}
	a.flight, a.verdict = p.join(w, q, r)
	return a
}

// wait is the verdict when it is there, or that there is none in time.
func (p *Provider) wait(ctx context.Context, a answer) *verdict {
	if a.flight == nil {
		return a.verdict
	}
	defer a.flight.waiters.Add(-1)
	select {
	case <-a.flight.done:
		return a.flight.verdict
	default:
	}
	select {
	case <-a.flight.done:
		return a.flight.verdict
	case <-ctx.Done():
	}
	return p.without(a.flight.question, builtins.Timeout, "no verdict before the deadline; the check goes on")
}

// undecided names what has no verdict. It gives codes and no reasons: these are
// in the log, since whoever wrote the reference may read systemError and would
// learn from them what else answers in this network.
func undecided(open []string, keys int) string {
	const most = 8
	if len(open) == 0 {
		return ""
	}
	named, more := open, ""
	if len(open) > most {
		named, more = open[:most], fmt.Sprintf("; and %d more", len(open)-most)
	}
	return fmt.Sprintf("%d of %d keys have no verdict: %s%s", len(open), keys, strings.Join(named, "; "), more)
}
