// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"context"
	"log/slog"
	"math"
	"sync"
	"time"

	"github.com/maypok86/otter/v2"
	"github.com/maypok86/otter/v2/stats"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/chartseal/chartseal/builtins"
)

// A Basis is all that verdicts rest on beside their keys: a configuration and
// the trust material of one moment.
type Basis struct {
	// Env is given to every check, with the time that Now says. Its trust must
	// not change.
	Env *builtins.Env
	// Now says which moment verdicts are about; nil is the present. How long
	// one serves and how long one is waited for is the machine's time alone.
	Now func() time.Time
	// Key is how long one key is waited for, Deadline how long all of a request.
	Key, Deadline time.Duration
	// Background is how long a check may take that nobody waits for any more.
	Background time.Duration
	// Verdicts is how long a verdict serves at most, and VerdictBytes how much
	// memory all of them may take.
	Verdicts     time.Duration
	VerdictBytes int64
}

// maxVerdictLife is the longest that a verdict may serve, whatever the
// configuration says.
const maxVerdictLife = 30 * time.Second

// A world is a basis with what was found out on it. Another basis is another
// world: nothing that was decided or is being decided in one is ever answered
// in the other.
type world struct {
	Basis
	generation uint64
	verdicts   *otter.Cache[string, *verdict] // decided, by key

	mu      sync.Mutex
	flights map[string]*flight // under way, by key
}

// A verdict is the answer to a key.
type verdict struct {
	check  string // "" where the key names none
	report builtins.Report
	item   []byte              // as it is written
	until  time.Time           // from when on it is to be found out again
	log    slog.Handler        // that says what the verdict is
	hit    prometheus.Observer // of how long it takes to give it again
}

func newWorld(basis Basis, generation uint64) *world {
	w := &world{Basis: basis, generation: generation, flights: map[string]*flight{}}
	w.Verdicts = min(w.Verdicts, maxVerdictLife)
	if w.Now == nil {
		w.Now = time.Now
	}
	if w.VerdictBytes > 0 {
		w.verdicts = otter.Must(&otter.Options[string, *verdict]{
			MaximumWeight: uint64(w.VerdictBytes),
			StatsRecorder: stats.NewCounter(),
			Weigher:       weigh,
		})
	}
	return w
}

// overhead is what an entry takes beside its key and its item: what a map has
// for it, and what is logged of it. The report takes about as much as its JSON.
const overhead = 1024

func weigh(key string, v *verdict) uint32 {
	return uint32(min(overhead+len(key)+2*len(v.item), math.MaxUint32))
}

// known is a verdict that still serves.
func (w *world) known(key string) *verdict {
	if w.verdicts == nil {
		return nil
	}
	v, ok := w.verdicts.GetIfPresent(key)
	if !ok || !time.Now().Before(v.until) {
		return nil
	}
	return v
}

// keep remembers what was decided.
func (w *world) keep(key string, v *verdict) {
	if w.verdicts != nil && v.report.Outcome != builtins.Undecided && time.Now().Before(v.until) {
		w.verdicts.Set(key, v)
	}
}

// life is until when a report serves that was asked for at a time.
func (w *world) life(rep builtins.Report, asked time.Time) time.Time {
	until := asked.Add(w.Verdicts)
	if !rep.Until.IsZero() && rep.Until.Before(until) {
		return rep.Until
	}
	return until
}

// verdict makes the answer to a key, whose check is "" where it names none.
func (p *Provider) verdict(key, check string, rep builtins.Report, until time.Time) *verdict {
	value, err := rep.MarshalJSON()
	if err != nil {
		rep = builtins.Verdict(builtins.Errorf(builtins.Internal, "the report cannot be written"))
		value, _ = rep.MarshalJSON()
	}
	about := []slog.Attr{
		slog.String("builtin", check), slog.String("ref", builtins.Clip(rep.Ref)), slog.String("digest", rep.Digest),
		slog.String("outcome", string(rep.Outcome)), slog.String("code", string(rep.Code)), slog.String("trust", rep.Trust),
	}
	return &verdict{check: check, report: rep, item: item(key, value), until: until, log: p.log.Handler().WithAttrs(about), hit: p.metrics.duration(check, hit)}
}

// tell writes the one line about a key that was answered: never the key itself,
// which says more than the reference. Why there is no verdict is said here alone.
func (v *verdict) tell(ctx context.Context, now time.Time, took time.Duration, cache string, generation uint64) {
	if !v.log.Enabled(ctx, slog.LevelInfo) {
		return
	}
	about := []slog.Attr{slog.Uint64("generation", generation), slog.Duration("duration", took), slog.String("cache", cache)}
	if id := traceOf(ctx); id != "" {
		about = append(about, slog.String("trace", id))
	}
	if v.report.Outcome == builtins.Undecided {
		about = append(about, slog.String("reason", v.report.Reason))
	}
	line := slog.NewRecord(now, slog.LevelInfo, "answered", 0)
	line.AddAttrs(about...)
	_ = v.log.Handle(ctx, line) // where a log cannot be written, nothing else can be said
}
