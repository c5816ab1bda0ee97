// SPDX-License-Identifier: Apache-2.0

package opa_test

import (
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/compile"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/topdown/builtins"

	waist "github.com/chartseal/chartseal/builtins"
)

const reportRule = `r := mock.verify_report(input.x, input.o)`

func reportOf(t *testing.T, ref any) map[string]any {
	t.Helper()
	got, err := eval(t, t.Context(), reportRule, input(ref), "r")
	if err != nil {
		t.Fatal(err)
	}
	report, ok := got.(map[string]any)
	if !ok {
		t.Fatalf("report is %v, want an object", got)
	}
	return report
}

func TestReportsAlwaysAnswer(t *testing.T) {
	for _, c := range []struct {
		ref           any
		outcome, code string
	}{
		{verified, "verified", "ok"},
		{rejected, "rejected", "bad_signature"},
		{undecided, "undecided", "unavailable"},
		{panicking, "undecided", "internal"},
		{"absent.tgz", "rejected", "not_found"},
		{7, "rejected", "invalid_reference"},
		{nil, "rejected", "invalid_reference"},
		{[]any{"a"}, "rejected", "invalid_reference"},
		{"", "rejected", "invalid_reference"},
		{strings.Repeat("é", 1<<20), "rejected", "invalid_reference"},
	} {
		r := reportOf(t, c.ref)
		if r["outcome"] != c.outcome || r["code"] != c.code || r["verified"] != (c.outcome == "verified") {
			t.Errorf("%.20v: %v/%v/%v, want %s/%s", c.ref, r["verified"], r["outcome"], r["code"], c.outcome, c.code)
		}
		if raw, _ := json.Marshal(r); len(raw) > 8<<10 {
			t.Errorf("%.20v: report has %d bytes, want at most 8 KiB", c.ref, len(raw))
		}
	}
}

func TestReportHasEveryFieldAndNoNull(t *testing.T) {
	want := []string{"chart", "checks", "code", "digest", "outcome", "reason", "ref", "signers", "trust", "verified"}
	for _, ref := range []any{verified, rejected, 7} {
		r := reportOf(t, ref)
		var names []string
		for name, value := range r {
			names = append(names, name)
			if value == nil {
				t.Errorf("%v: field %s is null", ref, name)
			}
		}
		if slices.Sort(names); !slices.Equal(names, want) {
			t.Errorf("%v: fields are %v, want %v", ref, names, want)
		}
	}
}

func TestR2QueryEndHaltsSoon(t *testing.T) {
	started := time.Now()
	if _, err := eval(t, soon(t), reportRule, input(hanging), "r"); err == nil {
		t.Fatal("the query ended and gave no error")
	}
	if took := time.Since(started); took > 20*time.Millisecond+2*time.Second {
		t.Errorf("halting took %v", took)
	}
}

func TestR2OwnDeadlineIsTimeout(t *testing.T) {
	limits := env.Limits
	defer func() { env.Limits = limits }()
	env.Limits.Reference = waist.Duration(10 * time.Millisecond)
	if r := reportOf(t, hanging); r["code"] != "timeout" || r["outcome"] != "undecided" {
		t.Errorf("%v/%v, want undecided/timeout", r["outcome"], r["code"])
	}
}

func TestR3PanicIsCountedAndLogged(t *testing.T) {
	before := waist.Panics()
	if r := reportOf(t, panicking); r["code"] != "internal" {
		t.Errorf("code is %v, want internal", r["code"])
	}
	if got := waist.Panics() - before; got != 1 {
		t.Errorf("counted %d panics, want 1", got)
	}
	if !contains(panicky.String(), "check panicked") || !contains(panicky.String(), "builtin=mock.verify") {
		t.Errorf("log is %q, want the panic and the built-in", panicky.String())
	}
}

// An engine that is put together wrongly panics outside of the check.
func TestR3PanicAroundTheCheck(t *testing.T) {
	source := env.Source
	defer func() { env.Source = source }()
	for name, from := range map[string]waist.Source{"no source": nil, "a source that panics": panickingSource{source}} {
		env.Source = from
		before := waist.Panics()
		if r := reportOf(t, verified); r["code"] != "internal" || r["outcome"] != "undecided" || r["verified"] != false {
			t.Errorf("%s: %v/%v, want undecided/internal", name, r["outcome"], r["code"])
		}
		if got, err := eval(t, t.Context(), `r := mock.verify(input.x, input.o)`, input(verified), "r"); err != nil || got != false {
			t.Errorf("%s: predicate is %v, %v, want false", name, got, err)
		}
		if got := waist.Panics() - before; got != 2 {
			t.Errorf("%s: counted %d panics, want 2", name, got)
		}
	}
	env.Source = source
	if r := reportOf(t, verified); r["verified"] != true {
		t.Errorf("after all: %v", r["code"])
	}
}

type panickingSource struct{ waist.Source }

func (panickingSource) Allowing([]string) waist.Source { panic("the source fails") }

func TestR4WrongOptionsHaltWhateverTheReference(t *testing.T) {
	for name, o := range map[string]any{
		"unknown field":    map[string]any{"need": "trust", "neede": 1},
		"other case":       map[string]any{"Need": "trust"},
		"wrong type":       map[string]any{"need": 1},
		"null":             map[string]any{"need": nil},
		"no trust":         map[string]any{},
		"not an object":    []any{},
		"options are null": nil,
	} {
		for _, ref := range []any{verified, rejected, "absent.tgz", 7, nil} {
			_, err := eval(t, t.Context(), reportRule, map[string]any{"x": ref, "o": o}, "r")
			if err == nil || strings.Count(err.Error(), "mock.verify") != 1 {
				t.Errorf("%s, %v: error is %v, want a halt that names the built-in once", name, ref, err)
			}
		}
	}
}

func TestR5OneCallIsOneVerification(t *testing.T) {
	before := calls.Load()
	policy := `r := {"a": mock.verify(input.x, input.o), "b": mock.verify_report(input.x, input.o).verified, "c": other}
other := mock.verify(input.x, input.o)`
	got, err := eval(t, t.Context(), policy, input(verified), "r")
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range got.(map[string]any) {
		if value != true {
			t.Errorf("%s is %v, want true", name, value)
		}
	}
	if n := calls.Load() - before; n != 1 {
		t.Errorf("verified %d times, want once", n)
	}
}

func TestR6PartialEvaluationCallsNothing(t *testing.T) {
	before := calls.Load()
	policy := "package p\n\nallowed if mock.verify(\"verified.tgz\", {\"need\": \"trust\"})\n"
	partial, err := rego.New(rego.Query("data.p.allowed"), rego.Module("p.rego", policy)).PartialResult(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if n := calls.Load() - before; n != 0 {
		t.Fatalf("partial evaluation verified %d times, want never", n)
	}
	for i := range int64(2) {
		results, err := partial.Rego().Eval(t.Context())
		if err != nil || !results.Allowed() {
			t.Fatalf("evaluation %d: %v, %v", i, results, err)
		}
		if n := calls.Load() - before; n != i+1 {
			t.Errorf("after evaluation %d: verified %d times, want %d", i, n, i+1)
		}
	}
}

func TestR6OptimisedBundleHoldsNoVerdict(t *testing.T) {
	before := calls.Load()
	module := "package p\n\nallowed if mock.verify(\"verified.tgz\", {\"need\": \"trust\"})\n"
	c := compile.New().WithFS(mapFS{"p.rego": module}).WithPaths("p.rego").WithEntrypoints("p/allowed").WithOptimizationLevel(2)
	if err := c.Build(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := calls.Load() - before; n != 0 {
		t.Errorf("building verified %d times, want never", n)
	}
	if text := c.Bundle().Modules[0].Parsed.String(); !strings.Contains(text, "mock.verify(") {
		t.Errorf("the bundle has lost its call:\n%s", text)
	}
}

func TestR7TypoIsACompileError(t *testing.T) {
	for _, field := range []string{"verifed", "chart.nmae", "signers[0].fingerpint", "checks[0].state"} {
		_, err := eval(t, t.Context(), `r := mock.verify_report(input.x, input.o).`+field, input(verified), "r")
		if err == nil || !contains(err.Error(), "rego_type_error") {
			t.Errorf("%s: error is %v, want a type error", field, err)
		}
	}
	for _, field := range []string{"verified", "chart.name", "signers[0].fingerprint", "checks[0].status"} {
		if got, err := eval(t, t.Context(), `r := mock.verify_report(input.x, input.o).`+field, input(verified), "r"); err != nil || got == nil {
			t.Errorf("%s: %v, %v, want a value", field, got, err)
		}
	}
}

func TestR9ArgumentsThatConcatenateAlikeAreTwoCalls(t *testing.T) {
	before := calls.Load()
	policy := `r := [mock.verify("a", {"need": "trust"}), mock.verify("a\",{\"need\":\"trust\"}", {"need": "trust"})]`
	if _, err := eval(t, t.Context(), policy, nil, "r"); err != nil {
		t.Fatal(err)
	}
	if n := calls.Load() - before; n != 2 {
		t.Errorf("verified %d times, want twice", n)
	}
}

func TestR10QueryTimeDecides(t *testing.T) {
	at := time.Date(2031, 2, 3, 4, 5, 6, 7, time.UTC)
	_, err := rego.New(rego.Query(`mock.verify("verified.tgz", {"need": "trust"})`), rego.Time(at)).Eval(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got := asked.Load().Now; !got.Equal(at) {
		t.Errorf("the check saw %v, want %v", got, at)
	}
}

func TestR11ParallelQueries(t *testing.T) {
	query, err := rego.New(rego.Query("data.p.allowed"), rego.Module("p.rego", "package p\n\nallowed if mock.verify(input.x, input.o)\n")).
		PrepareForEval(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	for i := range 1000 {
		group.Go(func() {
			ref := []string{verified, rejected}[i%2]
			results, err := query.Eval(t.Context(), rego.EvalInput(input(ref)))
			if err != nil || results.Allowed() != (ref == verified) {
				t.Errorf("%s: %v, %v", ref, results, err)
			}
		})
	}
	group.Wait()
}

func TestR12NDCacheIsSmall(t *testing.T) {
	nd := builtins.NDBCache{}
	_, err := rego.New(rego.Query(`mock.verify_report("rejected.tgz", {"need": "trust"})`), rego.NDBuiltinCache(nd)).Eval(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	text := nd.AsValue().String()
	if !contains(text, "bad_signature") || len(text) > 8<<10 {
		t.Errorf("cache has %d bytes: %.200s", len(text), text)
	}
}

func TestR13WithoutOurCapabilitiesIsACompileError(t *testing.T) {
	caps := ast.CapabilitiesForThisVersion()
	caps.Builtins = slices.DeleteFunc(caps.Builtins, func(b *ast.Builtin) bool { return strings.HasPrefix(b.Name, "mock.") })
	_, err := rego.New(rego.Query(`mock.verify("verified.tgz", {"need": "trust"})`), rego.Capabilities(caps)).Eval(t.Context())
	if err == nil || !contains(err.Error(), "undefined function mock.verify") {
		t.Errorf("error is %v, want an undefined function", err)
	}
}

func TestAllowNetReachesTheSource(t *testing.T) {
	for name, allow := range map[string][]string{"any": nil, "none": {}, "one": {"charts.example.com"}} {
		caps := ast.CapabilitiesForThisVersion()
		caps.AllowNet = allow
		_, err := rego.New(rego.Query(`mock.verify("verified.tgz", {"need": "trust"})`), rego.Capabilities(caps)).Eval(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if got := asked.Load().Source.(world).allow; !slices.Equal(got, allow) || (got == nil) != (allow == nil) {
			t.Errorf("%s: the source may contact %v, want %v", name, got, allow)
		}
	}
}

func TestDescriptionsReachCapabilities(t *testing.T) {
	for _, b := range ast.CapabilitiesForThisVersion().Builtins {
		if !strings.HasPrefix(b.Name, "mock.") {
			continue
		}
		raw, err := json.Marshal(b)
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{`"name":"ref"`, `"name":"opts"`, `options: need`, `"nondeterministic":true`, `Answers by the name`} {
			if !contains(string(raw), want) {
				t.Errorf("%s: %s lacks %s", b.Name, raw, want)
			}
		}
	}
}
