// SPDX-License-Identifier: Apache-2.0

package lint_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/chartseal/chartseal/cmd/chartseal/lint"
)

var checks = []string{"helm.verify_prov", "cosign.verify", "chart.lock_ok"}

// The fail-open matrix: the idioms whose cell for an undefined argument says
// lint, and their twins; f stands for a check and g for its report.
var matrix = []struct {
	name, policy string
	found        string
}{
	{name: "1", policy: `allow if f(input.x, input.o)`},
	{name: "2", policy: `allow if f(input.x, input.o) == true`},
	{name: "3", policy: `deny if not f(input.x, input.o)`, found: lint.UndefinedArgument},
	{name: "4", policy: `deny if f(input.x, input.o) == false`, found: lint.UndefinedArgument},
	{name: "5", policy: `allow if g(input.x, input.o).verified`},
	{name: "6", policy: `deny if not g(input.x, input.o).verified`, found: lint.UndefinedArgument},
	{name: "7", policy: `deny if g(input.x, input.o).outcome != "verified"`, found: lint.UndefinedArgument},
	{name: "8", policy: "deny if {\n\tsome x in input.xs\n\tnot f(x, input.o)\n}", found: lint.UndefinedArgument},
	{name: "3 with the import", policy: "import future.keywords.not\n\ndeny if not f(input.x, input.o)"},
	{name: "6 with the import", policy: "import future.keywords.not\n\ndeny if not g(input.x, input.o).verified"},
	{name: "8 with the import", policy: "import future.keywords.not\n\ndeny if {\n\tsome x in input.xs\n\tnot f(x, input.o)\n}"},
	{name: "4 with the import", policy: "import future.keywords.not\n\ndeny if f(input.x, input.o) == false", found: lint.UndefinedArgument},
	{name: "7 with the import", policy: "import future.keywords.not\n\ndeny if g(input.x, input.o).outcome != \"verified\"", found: lint.UndefinedArgument},
	{name: "house style", policy: "import future.keywords.not\n\ndeny if not _ok\n\n_ok if f(input.x, input.o)"},
	{name: "house style without the import", policy: "deny if not _ok\n\n_ok if f(input.x, input.o)"},
}

func TestEveryLintCellOfTheMatrixIsFoundAndNoOther(t *testing.T) {
	for _, check := range checks {
		for _, idiom := range matrix {
			t.Run(check+"/"+idiom.name, func(t *testing.T) {
				policy := strings.NewReplacer("f(", check+"(", "g(", check+"_report(").Replace(idiom.policy)
				wants(t, find(t, "policy.rego", "package p\n\n"+policy+"\n"), idiom.found)
			})
		}
	}
}

// Through the library, the same idioms are the same.
func TestMatrixThroughTheEngine(t *testing.T) {
	for _, idiom := range matrix {
		t.Run(idiom.name, func(t *testing.T) {
			called := strings.NewReplacer("f(input.x, input.o)", "g(input.x, input.o).verified", "f(x, input.o)", "g(x, input.o).verified").Replace(idiom.policy)
			called = strings.ReplaceAll(called, "g(", `engine.result("helm.verify_prov", `)
			wants(t, find(t, "policy.rego", "package p\n\nimport data.lib.engine\n\n"+called+"\n"), idiom.found)
		})
	}
}

func TestFindings(t *testing.T) {
	const not = "import future.keywords.not\n\n"
	for _, c := range []struct{ name, policy, found string }{
		{"argument of a rule", "deny if not _signed(input.x)\n\n_signed(x) if helm.verify_prov(x, {})", lint.UndefinedArgument},
		{"argument of a rule that asks nothing", "deny if not _named(input.x)\n\n_named(x) if x.name", ""},
		{"literal argument", `deny if not helm.verify_prov("web-1.2.3.tgz", {"keyrings": ["a"]})`, ""},
		{"function's argument", "signed(x) if not helm.verify_prov(x, {})", ""},
		{"field of a function's argument", "bad(x) if not helm.verify_prov(x.ref, {})", lint.UndefinedArgument},
		{"in an object", `deny if not helm.verify_prov({"name": input.name}, {})`, lint.UndefinedArgument},
		{"in a call", "deny if not helm.verify_prov(lower(input.name), {})", lint.UndefinedArgument},
		{"in a comprehension", "deny if not helm.verify_prov(concat(\"\", [x | some x in input.xs]), {})", ""},
		{"constant rule", "deny if not helm.verify_prov(\"web.tgz\", options)\n\noptions := {\"keyrings\": [\"a\"]}", ""},
		{"rule that may be undefined", "deny if not helm.verify_prov(ref, {})\n\nref := input.chart", lint.UndefinedArgument},
		{"rule with a default", "deny if not helm.verify_prov(ref, {})\n\ndefault ref := \"\"\n\nref := input.chart", ""},
		{"part of a constant rule", "deny if not helm.verify_prov(\"web.tgz\", options.prov)\n\noptions := {}", lint.UndefinedArgument},
		{"rule of nobody knows where", "deny if not helm.verify_prov(ref, {})", lint.UndefinedArgument},
		{"within a comprehension", "bad := [x | some x in input.xs; not helm.verify_prov(x, input.o)]", lint.UndefinedArgument},
		{"within every", "deny if every x in input.xs { not helm.verify_prov(x, input.o) }", lint.UndefinedArgument},
		{"value of a rule", "denied := helm.verify_prov(input.x, {}) == false", lint.UndefinedArgument},
		{"in an else", "deny if input.off else if not helm.verify_prov(input.x, {})", lint.UndefinedArgument},
		{"code", `deny if helm.verify_prov_report(input.x, {}).code == "no_signature"`, lint.UndefinedArgument},
		{"outcome among some", `deny if helm.verify_prov_report(input.x, {}).outcome in {"rejected", "undecided"}`, lint.UndefinedArgument},
		{"beginning of a code", `deny if startswith(helm.verify_prov_report(input.x, {}).code, "no_")`, lint.UndefinedArgument},
		{"pattern of a code", `deny if regex.match("^no_", helm.verify_prov_report(input.x, {}).code)`, lint.UndefinedArgument},
		{"beginning of something else", `deny if startswith(helm.verify_prov_report(input.x, {}).digest, "sha256:")`, ""},
		{"good outcome", `allow if helm.verify_prov_report(input.x, {}).outcome == "verified"`, ""},
		{"digest", `allow if helm.verify_prov_report(input.x, {}).digest == "sha256:00"`, ""},
		{"compared with defined arguments", `deny(x) if helm.verify_prov(x, {}) == false`, ""},
		{"report in a rule", "deny if report.verified == false\n\nreport := helm.verify_prov_report(input.x, {})", lint.UndefinedArgument},
		{"report in a rule with a default", "deny if report.verified == false\n\ndefault report := {\"verified\": false}\n\nreport := helm.verify_prov_report(input.x, {})", ""},
		{"report of a function", "deny if {\n\tsome x in input.xs\n\t_report(x).verified == false\n}\n\n_report(x) := helm.verify_prov_report(x, input.o)", lint.UndefinedArgument},
		{"not of a rule's report", "deny if not report.verified\n\nreport := helm.verify_prov_report(input.x, {})", ""},
		{"report bound before", "deny if {\n\tr := helm.verify_prov_report(input.x, {})\n\tr.verified == false\n}", lint.UndefinedArgument},
		{"verdict bound before not", not + "deny if {\n\tr := helm.verify_prov_report(input.x, {})\n\tnot r.verified\n}", lint.UndefinedBinding},
		{"verdict bound within not", not + "deny if not {\n\tr := helm.verify_prov_report(input.x, {})\n\tr.verified\n}", ""},
		{"argument bound before not", not + "deny if {\n\tx := input.x\n\tnot helm.verify_prov(x, {})\n}", lint.UndefinedBinding},
		{"argument taken from a list", not + "deny if {\n\tsome x in input.xs\n\tnot helm.verify_prov(x, {})\n}", ""},
		{"argument bound before a condition", "allow if {\n\tx := input.x\n\thelm.verify_prov(x, {})\n}", ""},

		{"unified with false", "deny if helm.verify_prov(input.x, {}) = false", lint.UndefinedArgument},
		{"given false", "deny if helm.verify_prov(input.x, {}, false)", lint.UndefinedArgument},
		{"given true", "allow if helm.verify_prov(input.x, {}, true)", ""},
		{"among what is false", "deny if helm.verify_prov(input.x, {}) in {false}", lint.UndefinedArgument},
		{"too few signers", "deny if count(helm.verify_prov_report(input.x, {}).signers) < 2", lint.UndefinedArgument},
		{"no signers", "deny if count(helm.verify_prov_report(input.x, {}).signers) == 0", lint.UndefinedArgument},
		{"enough signers", "allow if count(helm.verify_prov_report(input.x, {}).signers) >= 2", ""},
		{"verdict unified before not", not + "deny if {\n\tv = helm.verify_prov(input.x, {})\n\tnot v\n}", lint.UndefinedBinding},
		{"verdict given to a variable before not", not + "deny if {\n\thelm.verify_prov(input.x, {}, v)\n\tnot v\n}", lint.UndefinedBinding},
		{"argument bound before a comparison", "deny if {\n\tx := input.x\n\thelm.verify_prov(x, {}) != true\n}", lint.UndefinedBinding},
		{"rule's report bound before", "deny if {\n\tr := report\n\tr.verified != true\n}\n\nreport := helm.verify_prov_report(input.x, {})", lint.UndefinedArgument},
		{"bound to each other", "deny if {\n\tx = y\n\ty = x\n\tx != true\n}", ""},

		{"rejected alone", `deny if helm.verify_prov_report("a", {}).outcome == "rejected"`, lint.UndecidedAllowed},
		{"all but rejected", `allow if helm.verify_prov_report("a", {}).outcome != "rejected"`, lint.UndecidedAllowed},
		{"not rejected", not + `allow if not helm.verify_prov_report("a", {}).outcome == "rejected"`, lint.UndecidedAllowed},
		{"some codes", `deny if helm.verify_prov_report("a", {}).code in {"no_signature", "bad_signature"}`, lint.UndecidedAllowed},
		{"code of a report bound before", "allow if {\n\tr := helm.verify_prov_report(\"a\", {})\n\tr.code != \"no_signature\"\n}", lint.UndecidedAllowed},
		{"some codes by their beginning", `deny if startswith(helm.verify_prov_report("a", {}).code, "no_")`, lint.UndecidedAllowed},
		{"rejected and undecided", "deny contains 1 if helm.verify_prov_report(\"a\", {}).outcome == \"rejected\"\n\ndeny contains 2 if helm.verify_prov_report(\"a\", {}).outcome == \"undecided\"", ""},
		{"rejected beside the verdict", "deny contains 1 if not helm.verify_prov(\"a\", {})\n\ndeny contains 2 if helm.verify_prov_report(\"a\", {}).outcome == \"rejected\"", ""},
		{"outcome of something else", `deny if input.outcome == "rejected"`, ""},

		{"bare report given to a variable", "allow if {\n\thelm.verify_prov_report(input.x, {}, r)\n\tr\n}", lint.BareReport},
		{"bare report", "allow if helm.verify_prov_report(input.x, {})", lint.BareReport},
		{"bare report under not", not + "deny if not cosign.verify_report(input.x, {})", lint.BareReport},
		{"bare report bound before", "allow if {\n\tr := helm.verify_prov_report(input.x, {})\n\tr\n}", lint.BareReport},
		{"bare report of a rule", "allow if report\n\nreport := helm.verify_prov_report(input.x, {})", lint.BareReport},
		{"bare report of a function", "allow if _report(input.x)\n\n_report(x) := helm.verify_prov_report(x, {})", lint.BareReport},
		{"bare field", "allow if helm.verify_prov_report(input.x, {}).outcome", lint.BareReport},
		{"bare engine", "import data.lib.engine\n\nallow if engine.result(\"helm.verify_prov\", input.x, {})", lint.BareReport},
		{"bare engine by its path", "allow if data.lib.engine.results(set())", lint.BareReport},
		{"a verdict among results", "import data.lib.engine\n\nallow if engine.results({x | some x in input.xs})[input.x].verified", ""},
		{"verdict of a report", "allow if helm.verify_prov_report(input.x, {}).verified", ""},
		{"verdict of a rule's report", "allow if report.verified\n\nreport := helm.verify_prov_report(input.x, {})", ""},
		{"who signed", `allow if helm.verify_prov_report(input.x, {}).signers[_].name == "a"`, ""},

		{"mocked check", "allow if helm.verify_prov(input.x, {}) with helm.verify_prov as true", lint.MockedCheck},
		{"mocked engine", "import data.lib.engine\n\nallow if _ok with engine.results as _all\n\n_ok := true\n\n_all(_) := {}", lint.MockedCheck},
		{"mocked engine by its path", "allow if _ok with data.lib.engine as {}\n\n_ok := true", lint.MockedCheck},
		{"mocked library", "allow if _ok with data.lib as {}\n\n_ok := true", lint.MockedCheck},
		{"other inventory", "allow if helm.verify_prov(input.x, {}) with data.inventory as {}", ""},
		{"other input", "allow if helm.verify_prov(input.x, {}) with input as {}", ""},

		{"import", "import data.lib.helm\n\nallow if helm.verify_prov(input.x, {})", lint.HiddenCheck},
		{"import of input", "import input.chart\n\nallow if chart.name", lint.HiddenCheck},
		{"alias", "import input.spec as cosign\n\nallow if cosign.verify(input.x, {})", lint.HiddenCheck},
		{"alias that hides nothing", "import data.lib.helm as h\n\nallow if h.ok", ""},
		{"rule", "helm := input.helm", lint.HiddenCheck},
		{"rule of several parts", "chart.name := input.name", lint.HiddenCheck},
		{"argument", "ok(chart) if chart", lint.HiddenCheck},
		{"variable", "ok if some chart in input.charts", lint.HiddenCheck},
		{"assigned", "ok if {\n\thelm := input.helm\n\thelm.x\n}", lint.HiddenCheck},
		{"in every", "ok if every cosign in input.xs { cosign.x }", lint.HiddenCheck},
		{"key of a reference", "ok if input.charts[chart].x", lint.HiddenCheck},
		{"field of that name", "ok if input.chart.helm == input.cosign", ""},
		{"misspelt function", "ok if helm.verify_porv(input.x, {})", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			wants(t, find(t, "policy.rego", "package p\n\n"+c.policy+"\n"), c.found)
		})
	}
}

func TestPackageNames(t *testing.T) {
	wants(t, find(t, "a.rego", "package policies.helm\n\nok := true\n"), lint.HiddenCheck)
	wants(t, find(t, "a.rego", "package helm.policies\n\nok := true\n"), "")
}

// A test that is undefined fails, and mocks are what it is for. A bare report
// passes it all the same.
func TestTests(t *testing.T) {
	wants(t, find(t, "p_test.rego", "package p_test\n\ntest_x if not helm.verify_prov(input.x, {}) with helm.verify_prov as false\n"), "")
	wants(t, find(t, "p_test.rego", "package p_test\n\ntest_x if helm.verify_prov_report(\"a\", {})\n"), lint.BareReport)
}

func TestFileThatDoesNotParse(t *testing.T) {
	got := find(t, "p.rego", "package p\n\nallow if {\n\tinput.x ==\n}\n")
	wants(t, got, lint.Syntax)
	if got[0].Line != 5 && got[0].Line != 4 {
		t.Errorf("the finding is at line %d, want where the fault is", got[0].Line)
	}
	wants(t, find(t, "p.rego", ""), lint.Syntax)
	wants(t, find(t, "p.rego", "# nothing\n"), lint.Syntax)
	if _, err := lint.Files([]string{"nowhere.rego"}, checks); err == nil {
		t.Error("a file that is not there gave no error")
	}
}

// What one file says of a rule counts in another of its package.
func TestRulesOfOtherFiles(t *testing.T) {
	dir := t.TempDir()
	policy, options := filepath.Join(dir, "policy.rego"), filepath.Join(dir, "options.rego")
	write(t, policy, "package p\n\ndeny if not helm.verify_prov(\"web.tgz\", options)\n")
	write(t, options, "package p\n\noptions := {\"keyrings\": [\"a\"]}\n")
	for _, c := range []struct {
		files []string
		found string
	}{{[]string{policy}, lint.UndefinedArgument}, {[]string{policy, options}, ""}} {
		got, err := lint.Files(c.files, checks)
		if err != nil {
			t.Fatal(err)
		}
		wants(t, got, c.found)
	}
}

func TestPlace(t *testing.T) {
	got := find(t, "p.rego", "package p\n\nallow if {\n\tinput.y\n\thelm.verify_prov_report(input.x, {})\n}\n")
	want := lint.Finding{
		File: got[0].File, Line: 5, Column: 2, Rule: lint.BareReport,
		Found:   "what helm.verify_prov_report gives is an object, and every object is true",
		Instead: "ask helm.verify_prov, or for .verified",
	}
	if got[0] != want {
		t.Errorf("found %+v, want %+v", got[0], want)
	}
}

func find(t *testing.T, name, text string) []lint.Finding {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	write(t, path, text)
	found, err := lint.Files([]string{path}, checks)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// wants holds findings against the one rule that they must be of; "" for none.
func wants(t *testing.T, got []lint.Finding, rule string) {
	t.Helper()
	var rules []string
	for _, f := range got {
		if f.Line == 0 || f.Column == 0 || f.Found == "" || f.Instead == "" {
			t.Errorf("finding %+v lacks something", f)
		}
		rules = append(rules, f.Rule)
	}
	slices.Sort(rules)
	rules = slices.Compact(rules)
	if want := fmt.Sprint([]string{rule}); fmt.Sprint(rules) != want && (rule != "" || len(rules) > 0) {
		t.Errorf("found %+v, want %s", got, want)
	}
}
