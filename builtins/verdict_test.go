// SPDX-License-Identifier: Apache-2.0

package builtins_test

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/chartseal/chartseal/builtins"
	"github.com/chartseal/chartseal/builtins/chartref"
	"github.com/chartseal/chartseal/builtins/source"
)

// A moment is one call of a check that keeps its verdicts, and what is asked
// of the world by then.
type moment struct {
	clock, now time.Time
	check      string
	ref        string
	opts       string
	digest     string
	trust      string
	fresh      time.Duration
	err        error
	cancelled  bool

	resolved, listed time.Time // until when that is current
}

// A keeper makes such calls, with one memory for all.
type keeper struct {
	t     *testing.T
	at    moment
	facts builtins.Facts
	asked int
}

var noon = time.Date(2024, 5, 1, 12, 0, 0, 0, time.UTC)

func newKeeper(t *testing.T) *keeper {
	k := &keeper{t: t, at: moment{
		clock: noon, now: noon, check: "test.kept", ref: "oci://reg.example.com/web:1.2.3", opts: `{}`,
		digest: "sha256:1", trust: "sha256:2", fresh: time.Minute,
		resolved: noon.Add(time.Hour), listed: noon.Add(time.Minute),
	}}
	k.facts = source.NewFacts(1<<20, func() time.Time { return k.at.clock })
	return k
}

// call makes the call, as the change has it, and says whether the judge was asked.
func (k *keeper) call(change func(*moment)) (rep builtins.Report, judged bool) {
	k.t.Helper()
	before, asked := k.at, k.asked
	defer func() { k.at = before }()
	if change != nil {
		change(&k.at)
	}
	ctx, cancel := context.WithCancel(k.t.Context())
	defer cancel()
	kept := builtins.Define(k.at.check, "Keeps its verdicts.", builtins.Signatures{}, func(env *builtins.Env, _ options) (builtins.Judge, error) {
		return func(ctx context.Context, ref chartref.Ref, rep *builtins.Report) error {
			rep.Digest, rep.Trust = k.at.digest, k.at.trust
			rep.Pass("before", "")
			builtins.Until(ctx, k.at.resolved)
			return env.Once(ctx, ref, rep, func(ctx context.Context) (time.Duration, error) {
				k.asked++
				builtins.Until(ctx, k.at.listed)
				rep.Pass("judged", fmt.Sprint(k.asked))
				rep.Evidence = builtins.Signatures{Signers: []builtins.Signer{{Name: "a"}}}
				if k.at.cancelled {
					cancel()
				}
				return k.at.fresh, k.at.err
			})
		}, nil
	})
	env := &builtins.Env{Now: k.at.now, Facts: k.facts, Limits: builtins.DefaultLimits()}
	rep = kept.Call(ctx, env, chartref.Parse(k.at.ref), []byte(k.at.opts))
	return rep, k.asked > asked
}

func TestVerdictIsKept(t *testing.T) {
	later := func(d time.Duration) func(*moment) {
		return func(m *moment) { m.clock, m.now = m.clock.Add(d), m.now.Add(d) }
	}
	rejected := builtins.Errorf(builtins.NoSignature, "none")
	for _, tt := range []struct {
		name          string
		first, second func(*moment)
		judged        bool
	}{
		{"at once", nil, nil, false},
		{"just before 30 seconds are over", nil, later(30*time.Second - 1), false},
		{"after 30 seconds", nil, later(30 * time.Second), true},
		{"as long as what is listed serves", func(m *moment) { m.fresh = time.Second }, later(time.Second - 1), false},
		{"no longer than what is listed serves", func(m *moment) { m.fresh = time.Second }, later(time.Second), true},
		{"not if nothing listed serves", func(m *moment) { m.fresh = 0 }, nil, true},
		{"rejected", func(m *moment) { m.err = rejected }, nil, false},
		{"not if undecided", func(m *moment) { m.err = builtins.Errorf(builtins.Unavailable, "503") }, nil, true},
		{"not if nobody gave it a code", func(m *moment) { m.err = context.Canceled }, nil, true},
		{"not of a query that was cancelled", func(m *moment) { m.err, m.cancelled = rejected, true }, nil, true},
		{"for another time nearby", nil, func(m *moment) { m.now = m.now.Add(-30 * time.Second) }, false},
		{"not for a fixed other time before", nil, func(m *moment) { m.now = m.now.AddDate(-1, 0, 0) }, true},
		{"not for a fixed other time after", nil, func(m *moment) { m.now = m.now.AddDate(1, 0, 0) }, true},
		{"not for a query of a fixed time, later", nil, func(m *moment) { m.clock = m.clock.Add(time.Minute) }, true},
		{"not for another check", nil, func(m *moment) { m.check = "test.other" }, true},
		{"not for another reference", nil, func(m *moment) { m.ref = "oci://reg.example.com/web:1.2.4" }, true},
		{"not for other options", nil, func(m *moment) { m.opts = `{"strict": true}` }, true},
		{"not for another digest", nil, func(m *moment) { m.digest = "sha256:3" }, true},
		{"C34 not for other trust", nil, func(m *moment) { m.trust = "sha256:3" }, true},
		{"not for another query of a URL", func(m *moment) { m.ref = "https://example.com/web-1.2.3.tgz?a" },
			func(m *moment) { m.ref = "https://example.com/web-1.2.3.tgz?b" }, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			k := newKeeper(t)
			first, _ := k.call(tt.first)
			second, judged := k.call(tt.second)
			if judged != tt.judged {
				t.Errorf("judged anew: %v, want %v", judged, tt.judged)
			}
			if !judged && !reflect.DeepEqual(first, second) {
				t.Errorf("first %+v\nthen %+v", first, second)
			}
		})
	}
}

// TestKeptVerdictIsNobodysToChange has a caller change the report he got.
func TestKeptVerdictIsNobodysToChange(t *testing.T) {
	k := newKeeper(t)
	first, _ := k.call(nil)
	want := slices.Clone(first.Checks)
	first.Checks[0].Detail = "changed"
	_ = append(first.Checks[:1], builtins.CheckResult{Name: "changed"})
	if second, _ := k.call(nil); !slices.Equal(second.Checks, want) {
		t.Errorf("checks %+v, want %+v", second.Checks, want)
	}
}

// TestNothingIsKeptWithoutFacts is the zero Env.
func TestNothingIsKeptWithoutFacts(t *testing.T) {
	k := newKeeper(t)
	k.facts = nil
	for range 2 {
		if _, judged := k.call(nil); !judged {
			t.Error("a verdict came from nowhere")
		}
	}
}
