// SPDX-License-Identifier: Apache-2.0

package opa_test

import (
	"context"
	"maps"
	"strings"
	"testing"
)

// The idioms in which policies are written; f, its argument x and options o
// stand for the real ones. Each gives `allowed`.
var idioms = []struct {
	name, policy string
	// lint: an undefined argument is never passed, so nothing we do can deny;
	// the linter refuses the idiom instead.
	lint bool
}{
	{name: "1 allow if f", policy: `allowed if f(input.x, input.o)`},
	{name: "2 allow if f == true", policy: `allowed if f(input.x, input.o) == true`},
	{name: "3 deny if not f", policy: `deny if not f(input.x, input.o)`, lint: true},
	{name: "4 deny if f == false", policy: `deny if f(input.x, input.o) == false`, lint: true},
	{name: "5 allow if f_report.verified", policy: `allowed if f_report(input.x, input.o).verified`},
	{name: "6 deny if not f_report.verified", policy: `deny if not f_report(input.x, input.o).verified`, lint: true},
	{name: "7 deny if outcome != verified", policy: `deny if f_report(input.x, input.o).outcome != "verified"`, lint: true},
	{name: "8 deny if some x, not f", policy: "deny if {\n\tsome x in input.xs\n\tnot f(x, input.o)\n}", lint: true},
	{name: "3 with future not", policy: "import future.keywords.not\ndeny if not f(input.x, input.o)"},
	{name: "6 with future not", policy: "import future.keywords.not\ndeny if not f_report(input.x, input.o).verified"},
	{name: "house style", policy: "import future.keywords.not\ndeny if not _ok\n_ok if f(input.x, input.o)"},
}

// module completes an idiom so that `allowed` says what the policy lets in.
func module(policy, function string) string {
	policy = strings.NewReplacer("f(", function+"(", "f_report(", function+"_report(").Replace(policy)
	switch {
	case strings.Contains(policy, "allowed if"):
		return policy + "\ndefault allowed := false"
	default:
		return policy + "\nallowed if not denied\ndefault allowed := false\ndenied if deny"
	}
}

// The functions that the matrix is run with, and options that are right for them.
var functions = []struct {
	name string
	good map[string]any
}{
	{"mock.verify", map[string]any{"need": "trust"}},
	{"helm.verify_prov", trusting},
}

func TestNoIdiomFailsOpen(t *testing.T) {
	columns := []struct {
		name                       string
		ref                        any
		typo, cancelled, undefined bool // what else is wrong
		allow, halts               bool
	}{
		{name: "verified", ref: verified, allow: true},
		{name: "rejected", ref: rejected},
		{name: "undecided", ref: undecided},
		{name: "wrong type", ref: 7},
		{name: "bad option", ref: verified, typo: true, halts: true},
		{name: "cancelled", ref: hanging, cancelled: true, halts: true},
		{name: "panic", ref: panicking},
		{name: "undefined argument", undefined: true},
	}
	for _, function := range functions {
		for _, idiom := range idioms {
			for _, column := range columns {
				t.Run(function.name+"/"+idiom.name+"/"+column.name, func(t *testing.T) {
					if column.undefined && idiom.lint {
						t.Skip("Rego never makes a call with an undefined argument; chartseal lint refuses this idiom")
					}
					in := map[string]any{"o": maps.Clone(function.good)}
					if column.typo {
						in["o"].(map[string]any)["typo"] = true
					}
					if !column.undefined {
						in["x"], in["xs"] = column.ref, []any{column.ref}
					}
					ctx := context.Context(t.Context())
					if column.cancelled {
						ctx = soon(t)
					}
					got, err := eval(t, ctx, module(idiom.policy, function.name), in, "allowed")
					if column.halts != (err != nil) {
						t.Fatalf("query error is %v, want one: %v", err, column.halts)
					}
					if !column.halts && got != column.allow {
						t.Errorf("allowed is %v, want %v", got, column.allow)
					}
				})
			}
		}
	}
}

// The query's end is told by an error forty times of forty: OPA reads some
// other errors as undefined, at random.
func TestCancelledQueryNeverAllows(t *testing.T) {
	for range 40 {
		got, err := eval(t, soon(t), module("deny if mock.verify(input.x, input.o) == false", "f"), input(hanging), "allowed")
		if err == nil {
			t.Fatalf("a cancelled query gave %v, want an error", got)
		}
	}
}
