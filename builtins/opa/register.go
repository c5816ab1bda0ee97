// SPDX-License-Identifier: Apache-2.0

// Package opa is the driver that runs the checks as built-in functions of
// OPA, for the chartseal command and for programs that embed OPA.
package opa

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"

	"github.com/chartseal/chartseal/builtins"
	"github.com/chartseal/chartseal/builtins/chartref"
)

// Register makes every check of the table known to OPA, as a predicate and
// as a report. Call it once, before anything is compiled: OPA's table of
// functions is global and not locked.
//
// Env is read at every call: its time is replaced by the query's, and its
// source restricted to the hosts that the query's capabilities allow.
func Register(env *builtins.Env, table ...*builtins.Builtin) {
	for _, b := range table {
		d := &driver{env: env, builtin: b}
		rego.RegisterBuiltin2(predicate(b), d.run(func(a *answer) *ast.Term { return a.verified }))
		rego.RegisterBuiltin2(report(b), d.run(func(a *answer) *ast.Term { return a.report }))
	}
}

type driver struct {
	env     *builtins.Env
	builtin *builtins.Builtin
}

// An answer is one verification as both functions of a check give it.
type answer struct {
	verified *ast.Term
	report   *ast.Term
	mistake  error // of the policy's author: halts the query
}

// A call is the same call whichever of the two functions makes it. Its fields
// are compared one by one, so that no two argument lists run into each other.
type call struct{ builtin, ref, opts string }

// run is a function of OPA that gives one side of the answer. The query halts
// for its author's mistakes and for its own end, and for nothing else.
func (d *driver) run(side func(*answer) *ast.Term) rego.Builtin2 {
	return func(bctx rego.BuiltinContext, ref, opts *ast.Term) (*ast.Term, error) {
		a := d.once(bctx, ref, opts)
		if err := ended(bctx); err != nil {
			return nil, rego.NewHaltError(err)
		}
		if a.mistake != nil {
			return nil, rego.NewHaltError(a.mistake)
		}
		return side(a), nil
	}
}

// once asks the check, or remembers what it said earlier in this query.
func (d *driver) once(bctx rego.BuiltinContext, ref, opts *ast.Term) *answer {
	key := call{d.builtin.Name, ref.String(), opts.String()}
	if known, ok := bctx.Cache.Get(key); ok {
		return known.(*answer)
	}
	a := d.ask(bctx, ref, opts)
	bctx.Cache.Put(key, a)
	return a
}

// ask always answers: what panics outside of the check, as its source may when
// it is asked for a view of itself, is undecided like what panics inside.
func (d *driver) ask(bctx rego.BuiltinContext, ref, opts *ast.Term) (a *answer) {
	defer func() {
		if r := recover(); r != nil {
			a = answerOf(d.builtin.Panicked(d.env, r))
		}
	}()
	started := time.Now()
	env, err := d.envOf(bctx)
	if err != nil {
		return &answer{mistake: err}
	}
	rep := d.builtin.Call(contextOf(bctx), env, refOf(ref), []byte(jsonOf(opts)))
	d.log(rep, time.Since(started))
	if rep.Code == builtins.InvalidOptions {
		// OPA puts the name of the function before it, too.
		return &answer{mistake: errors.New(strings.TrimPrefix(rep.Reason, d.builtin.Name+": "))}
	}
	return answerOf(rep)
}

func answerOf(rep builtins.Report) *answer {
	return &answer{verified: ast.BooleanTerm(rep.Verified), report: ast.NewTerm(valueOf(rep))}
}

// envOf is the environment of one query: its moment, its allowed hosts.
func (d *driver) envOf(bctx rego.BuiltinContext) (*builtins.Env, error) {
	env := *d.env
	now, err := timeOf(bctx)
	if err != nil {
		return nil, err
	}
	env.Now = now
	if bctx.Capabilities != nil {
		env.Source = env.Source.Allowing(bctx.Capabilities.AllowNet)
	}
	return &env, nil
}

func timeOf(bctx rego.BuiltinContext) (time.Time, error) {
	if bctx.Time == nil {
		return time.Time{}, errors.New("the query has no time")
	}
	number, ok := bctx.Time.Value.(ast.Number)
	if !ok {
		return time.Time{}, fmt.Errorf("the query's time is %v, want nanoseconds", bctx.Time)
	}
	ns, ok := number.Int64()
	if !ok {
		return time.Time{}, fmt.Errorf("the query's time is %v, want nanoseconds", bctx.Time)
	}
	return time.Unix(0, ns).UTC(), nil
}

func contextOf(bctx rego.BuiltinContext) context.Context {
	if bctx.Context == nil {
		return context.Background()
	}
	return bctx.Context
}

// ended says why the query is over, if it is: then no answer of ours counts,
// since OPA would read an ordinary error as undefined.
func ended(bctx rego.BuiltinContext) error {
	if err := contextOf(bctx).Err(); err != nil {
		return err
	}
	if bctx.Cancel != nil && bctx.Cancel.Cancelled() {
		return context.Canceled
	}
	return nil
}

func (d *driver) log(rep builtins.Report, took time.Duration) {
	if d.env.Log == nil {
		return
	}
	d.env.Log.Debug("answered", slog.String("builtin", d.builtin.Name), slog.String("ref", builtins.Clip(rep.Ref)),
		slog.String("digest", rep.Digest), slog.String("outcome", string(rep.Outcome)), slog.String("code", string(rep.Code)),
		slog.Duration("duration", took), slog.String("trust", rep.Trust))
}

// refOf reads a reference from whatever value a policy passed: one that is
// none carries its fault in it.
func refOf(t *ast.Term) chartref.Ref {
	v, err := ast.JSON(t.Value)
	if err != nil {
		return chartref.FromValue(nil)
	}
	return chartref.FromValue(v)
}
