// SPDX-License-Identifier: Apache-2.0

package builtins

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/chartseal/chartseal/builtins/chartref"
)

// verdictLife is the longest that a verdict is kept, and the most by which the
// times of two queries differ that share one.
const verdictLife = 30 * time.Second

const verdictKind = "verdict"

// A call is which check runs, with which options.
type call struct {
	builtin string
	opts    []byte
}

// A verdict is what a check said at a time, and until when what it was given
// to judge is current.
type verdict struct {
	report Report
	err    error
	now    time.Time
	until  time.Time
}

// Once gives what this check said a moment ago, with the same options, of the
// reference, of the digest it leads to and by the trust: those that rep names
// by now. Trust that changed finds nothing. Otherwise Once asks judge, which
// also says for how long what it was told may serve.
//
// A verdict is kept for that long and at most 30 seconds, for queries whose
// time is not further away than that. One that is undecided is not kept.
func (env *Env) Once(ctx context.Context, ref chartref.Ref, rep *Report, judge func(ctx context.Context) (fresh time.Duration, err error)) error {
	if env.Facts == nil {
		_, err := judge(ctx)
		return err
	}
	key := env.verdictKey(ref, rep)
	if known, ok := env.Facts.Load(verdictKind, key); ok {
		if v := known.(verdict); env.Now.Sub(v.now).Abs() <= verdictLife {
			*rep = v.report.copy()
			(&currency{earliest: v.until}).pass(ctx)
			return v.err
		}
	}
	inner, kept := current(ctx)
	fresh, err := judge(inner)
	until := kept.pass(ctx)
	if ctx.Err() == nil && CodeOf(err).Outcome() != Undecided {
		env.Facts.StoreFor(verdictKind, key, verdict{rep.copy(), err, env.Now, until}, int64(rep.size()), min(fresh, verdictLife))
	}
	return err
}

// verdictKey is everything that decides but for what is listed. The URL stands
// beside the canonical form, which does not show a query. Where all trust has a
// digest, names included, that stands beside the one of what decides: keys may
// have exchanged their names, by which a report calls them.
func (env *Env) verdictKey(ref chartref.Ref, rep *Report) string {
	parts := []string{env.call.builtin, SHA256(env.call.opts), ref.String(), ref.URL, rep.Digest, rep.Trust}
	if named, ok := env.Trust.(interface{ Digest() string }); ok {
		parts = append(parts, named.Digest())
	}
	return SHA256(fmt.Appendf(nil, "%q", parts))
}

// copy is a report that can be added to and shortened without the other.
func (r *Report) copy() Report {
	c := *r
	c.Checks = slices.Clone(r.Checks)
	return c
}
