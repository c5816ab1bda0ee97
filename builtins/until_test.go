// SPDX-License-Identifier: Apache-2.0

package builtins_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/chartseal/chartseal/builtins"
	"github.com/chartseal/chartseal/builtins/chartref"
)

// told is a check that is told these times, and calls the others.
func told(name string, err error, times []time.Time, nested ...*builtins.Builtin) *builtins.Builtin {
	return builtins.Define(name, "Is told.", nil, func(env *builtins.Env, _ options) (builtins.Judge, error) {
		return func(ctx context.Context, ref chartref.Ref, _ *builtins.Report) error {
			for _, at := range times {
				builtins.Until(ctx, at)
			}
			for _, inner := range nested {
				inner.Call(ctx, env, ref, []byte("{}"))
			}
			return err
		}, nil
	})
}

func TestUntil(t *testing.T) {
	t.Parallel()
	in := func(minutes ...int) (times []time.Time) {
		for _, m := range minutes {
			times = append(times, noon.Add(time.Duration(m)*time.Minute))
		}
		return times
	}
	for _, tt := range []struct {
		name  string
		check *builtins.Builtin
		want  time.Time
	}{
		{"nothing", told("a", nil, nil), time.Time{}},
		{"one", told("a", nil, in(3)), in(3)[0]},
		{"the earliest", told("a", nil, in(3, 1, 2)), in(1)[0]},
		{"of a rejection", told("a", builtins.Errorf(builtins.NotFound, "none"), in(3)), in(3)[0]},
		{"of what is nested", told("a", nil, nil, told("b", nil, in(3))), in(3)[0]},
		{"the earliest of both", told("a", nil, in(2), told("b", nil, in(3)), told("c", nil, nil, told("d", nil, in(1)))), in(1)[0]},
		{"own before nested", told("a", nil, in(1), told("b", nil, in(3))), in(1)[0]},
		{"nothing of both", told("a", nil, nil, told("b", nil, nil)), time.Time{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			rep := tt.check.Call(t.Context(), &builtins.Env{Limits: builtins.DefaultLimits()}, chartref.Parse("oci://reg.example.com/web:1"), []byte("{}"))
			if !rep.Until.Equal(tt.want) {
				t.Errorf("until %s, want %s", rep.Until, tt.want)
			}
		})
	}
	builtins.Until(t.Context(), noon) // nobody listens
}

// A nested call has its own time: what was told outside is not about it.
func TestUntilOfANestedCall(t *testing.T) {
	t.Parallel()
	var inner builtins.Report
	outer := builtins.Define("outer", "Calls.", nil, func(env *builtins.Env, _ options) (builtins.Judge, error) {
		return func(ctx context.Context, ref chartref.Ref, _ *builtins.Report) error {
			builtins.Until(ctx, noon)
			inner = told("inner", nil, []time.Time{noon.Add(time.Hour)}).Call(ctx, env, ref, []byte("{}"))
			return nil
		}, nil
	})
	rep := outer.Call(t.Context(), &builtins.Env{Limits: builtins.DefaultLimits()}, chartref.Parse("oci://reg.example.com/web:1"), []byte("{}"))
	if !inner.Until.Equal(noon.Add(time.Hour)) || !rep.Until.Equal(noon) {
		t.Errorf("inner until %s, outer until %s", inner.Until, rep.Until)
	}
}

func TestUntilFromMany(t *testing.T) {
	t.Parallel()
	many := builtins.Define("many", "Asks for much at once.", nil, func(*builtins.Env, options) (builtins.Judge, error) {
		return func(ctx context.Context, _ chartref.Ref, _ *builtins.Report) error {
			var all sync.WaitGroup
			for i := range 1000 {
				all.Go(func() { builtins.Until(ctx, noon.Add(time.Duration(i)*time.Second)) })
			}
			all.Wait()
			return nil
		}, nil
	})
	rep := many.Call(t.Context(), &builtins.Env{Limits: builtins.DefaultLimits()}, chartref.Parse("oci://reg.example.com/web:1"), []byte("{}"))
	if !rep.Until.Equal(noon) {
		t.Errorf("until %s", rep.Until)
	}
}

// A verdict that is kept tells until when what it rests on is current, beside
// what the call that finds it was told itself.
func TestUntilOfAKeptVerdict(t *testing.T) {
	t.Parallel()
	k := newKeeper(t)
	for _, step := range []struct {
		resolved, want time.Duration
		judged         bool
	}{{time.Hour, time.Minute, true}, {2 * time.Hour, time.Minute, false}, {time.Second, time.Second, false}, {time.Hour, time.Minute, false}} {
		rep, judged := k.call(func(m *moment) { m.resolved = noon.Add(step.resolved) })
		if judged != step.judged || !rep.Until.Equal(noon.Add(step.want)) {
			t.Errorf("judged %v, until %s, want noon and %s", judged, rep.Until, step.want)
		}
	}
}
