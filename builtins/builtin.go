// SPDX-License-Identifier: Apache-2.0

// Package builtins is the waist between the checks and the engines that run
// them. A check is a constant of type [Builtin]; an engine is a driver that
// knows no check by name and always gets a [Report] from [Builtin.Call].
package builtins

import (
	"context"
	"errors"
	"log/slog"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/chartseal/chartseal/builtins/chartref"
)

// A Builtin declares a check: its name, its doc, its options and evidence as
// zero values of their types, and its function.
type Builtin struct {
	Name     string // of the predicate, "helm.verify_prov"; the report is Name + "_report"
	Doc      string
	Options  any // a struct; every field has json and doc tags
	Evidence any // a struct, see [Report.Evidence]

	// MaxReport is the most bytes of JSON that a report may have; 0 stands for 8 KiB.
	MaxReport int

	plan func(env *Env, opts []byte) (Judge, error)
}

func (b *Builtin) maxReport() int {
	if b.MaxReport > 0 {
		return b.MaxReport
	}
	return 8 << 10
}

// A Judge is a check whose options are understood. It fills rep with what it
// learns and returns nil if, and only if, everything asked for was proven.
type Judge func(ctx context.Context, ref chartref.Ref, rep *Report) error

// Define makes a Builtin from its plan. The plan sees the options and the
// trust and never the reference, so what it refuses can only be the policy
// author's mistake: its errors are InvalidOptions.
func Define[O any](name, doc string, evidence any, plan func(env *Env, opts O) (Judge, error)) *Builtin {
	var zero O
	return &Builtin{
		Name: name, Doc: doc, Options: zero, Evidence: evidence,
		plan: func(env *Env, raw []byte) (Judge, error) {
			var opts O
			if err := DecodeStrict(raw, &opts); err != nil {
				return nil, err
			}
			return plan(env, opts)
		},
	}
}

// Call runs the check and always answers. Options are judged before the
// reference; a passed deadline is [Timeout]; a panic below is [Internal].
func (b *Builtin) Call(ctx context.Context, env *Env, ref chartref.Ref, opts []byte) Report {
	ctx, cancel := context.WithTimeout(ctx, time.Duration(env.Limits.Reference))
	defer cancel()
	answer := make(chan Report, 1)
	go func() { answer <- b.Run(ctx, env, ref, opts) }()
	select {
	case rep := <-answer:
		return rep
	case <-ctx.Done():
	}
	select { // who waits for a source ends now, and knows more than that it is late
	case rep := <-answer:
		return rep
	case <-time.After(grace):
		rep := b.report(ref)
		rep.conclude(Errorf(Timeout, "no verdict before the deadline"))
		return rep
	}
}

// Run is [Builtin.Call] for who can wait: it returns when all is done that was
// begun, also where that takes longer than its time. It is for engines that
// count what is under way.
func (b *Builtin) Run(ctx context.Context, env *Env, ref chartref.Ref, opts []byte) Report {
	ctx, cancel := context.WithTimeout(ctx, time.Duration(env.Limits.Reference))
	defer cancel()
	mine := *env
	mine.call = call{b.Name, opts}
	if mine.Budget == nil {
		mine.Budget = NewBudget(mine.Limits)
	}
	inner, kept := current(ctx)
	rep := b.call(inner, &mine, ref, opts)
	rep.Until = kept.pass(ctx)
	return rep
}

// grace is how long a check may take to say that it was interrupted. One that
// computes is left to its end, which its limits bound.
const grace = 20 * time.Millisecond

func (b *Builtin) report(ref chartref.Ref) Report {
	return Report{Ref: printable(ref.String(), maxRef), Evidence: b.Evidence}
}

func (b *Builtin) call(ctx context.Context, env *Env, ref chartref.Ref, opts []byte) (rep Report) {
	rep = b.report(ref)
	defer func() {
		if r := recover(); r != nil {
			rep.conclude(b.panicked(env, r))
		}
		rep.fit(b.maxReport())
	}()
	judge, err := b.plan(env, opts)
	if err != nil {
		rep.conclude(Errorf(InvalidOptions, "%s: %s", b.Name, err.Error()))
		return rep
	}
	if err := ref.Err(); err != nil {
		rep.conclude(Errorf(InvalidReference, "%w", err))
		return rep
	}
	rep.conclude(inTime(ctx, judge(ctx, ref, &rep)))
	return rep
}

// inTime turns what a check says after its deadline into Timeout, unless it
// had decided before.
func inTime(ctx context.Context, err error) error {
	late := errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)
	undecided := err != nil && CodeOf(err).Outcome() == Undecided
	if late || (undecided && ctx.Err() != nil) {
		return Errorf(Timeout, "no verdict before the deadline: %w", err)
	}
	return err
}

var panics atomic.Int64

// Panics counts the checks that panicked since the process started.
func Panics() int64 { return panics.Load() }

func (b *Builtin) panicked(env *Env, r any) error {
	panics.Add(1)
	if env.Log != nil {
		env.Log.Error("check panicked", slog.String("builtin", b.Name), slog.Any("panic", r), slog.String("stack", string(debug.Stack())))
	}
	return Errorf(Internal, "%s failed inside; this is a defect of chartseal, its log has the details", b.Name)
}

// Panicked is the report on a panic r in the engine around [Builtin.Call],
// counted and logged as one inside of it.
func (b *Builtin) Panicked(env *Env, r any) (rep Report) {
	rep = Report{Evidence: b.Evidence}
	rep.conclude(b.panicked(env, r))
	return rep
}
