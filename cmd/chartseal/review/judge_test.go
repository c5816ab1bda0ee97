// SPDX-License-Identifier: Apache-2.0

package review_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chartseal/chartseal/builtins"
	"github.com/chartseal/chartseal/builtins/all"
	"github.com/chartseal/chartseal/builtins/chartref"
	"github.com/chartseal/chartseal/builtins/opa"
	"github.com/chartseal/chartseal/builtins/source"
	"github.com/chartseal/chartseal/builtins/trust"
	"github.com/chartseal/chartseal/cmd/chartseal/review"
	"github.com/chartseal/chartseal/policies"
	"github.com/chartseal/chartseal/test/forge"
)

// Asked counts what is asked of the only source that there is, which has no
// chart at all.
var asked counting

type counting struct{ n atomic.Int64 }

func (c *counting) Allowing([]string) builtins.Source { return c }

func (c *counting) Resolve(ctx context.Context, ref chartref.Ref) (builtins.Artifact, error) {
	c.n.Add(1)
	return source.Map{}.Resolve(ctx, ref)
}

func (c *counting) Fetch(ctx context.Context, location string, limit int64) ([]byte, error) {
	return source.Map{}.Fetch(ctx, location, limit)
}

func TestMain(m *testing.M) {
	opa.Register(&builtins.Env{Limits: builtins.DefaultLimits(), Source: &asked, Trust: trust.Empty()}, all.Builtins...)
	os.Exit(m.Run())
}

// One policy of somebody: it denies what is called bad, and tells a number that
// is the same throughout one query.
const policy = `package policies.names

kinds := [{"apiGroups": ["*"], "kinds": ["Thing"]}]

violation contains {"msg": sprintf("bad name %d", [rand.intn("x", 1000000000)]), "details": {"code": "bad", "outcome": "rejected", "via": "metadata.name"}} if {
	input.review.object.metadata.name == object.get(input.parameters, "bad", "bad")
}

violation contains {"msg": "nobody knows", "details": {"code": "unavailable", "outcome": "undecided", "via": "metadata.name"}} if {
	input.review.object.metadata.name == "unknown"
}

violation contains {"msg": "refers to nothing", "details": {}} if {
	other := input.review.object.refers
	not data.inventory.namespace.default["v1"].Thing[other]
}
`

func TestJudge(t *testing.T) {
	results := judge(t, policy, "", `
{apiVersion: v1, kind: Thing, metadata: {name: bad}}
---
{apiVersion: v1, kind: Thing, metadata: {name: good}, refers: bad}
---
{apiVersion: v1, kind: Thing, metadata: {name: unknown}, refers: nobody}
---
{apiVersion: v1, kind: Other, metadata: {name: bad}}
---
{apiVersion: admission.k8s.io/v1, kind: AdmissionReview, request: {operation: CREATE, kind: {group: "", version: v1, kind: Thing}, object: {apiVersion: v1, kind: Thing, metadata: {name: bad}}}}
`)
	for i, want := range []string{"deny bad", "", "deny  deny unavailable", "unjudged", "deny bad"} {
		if got := told(results[i]); got != want {
			t.Errorf("document %d is %q, want %q", i, got, want)
		}
	}
	if a, b := results[0].Deny[0].Message, results[4].Deny[0].Message; a != b {
		t.Errorf("two documents are told %q and %q: they were judged by two queries", a, b)
	}
}

func TestConstraints(t *testing.T) {
	const things = "{apiVersion: v1, kind: Thing, metadata: {name: bad}}\n---\n{apiVersion: v1, kind: Thing, metadata: {name: worse}}"
	const head = "apiVersion: constraints.gatekeeper.sh/v1beta1\nkind: Names\n"
	for _, c := range []struct{ name, params, first, second string }{
		{"none", "", "deny bad", ""},
		{"parameters", head + "metadata: {name: a}\nspec: {parameters: {bad: worse}}", "", "deny bad"},
		{"warn", head + "metadata: {name: a}\nspec: {enforcementAction: warn}", "warn bad", ""},
		{"dryrun", head + "metadata: {name: a}\nspec: {enforcementAction: dryrun}", "dryrun bad", ""},
		{"two", head + "metadata: {name: a}\n---\n" + head + "metadata: {name: b}\nspec: {parameters: {bad: worse}}", "deny bad", "deny bad"},
	} {
		t.Run(c.name, func(t *testing.T) {
			results := judge(t, policy, c.params, things)
			if first, second := told(results[0]), told(results[1]); first != c.first || second != c.second {
				t.Errorf("told %q and %q, want %q and %q", first, second, c.first, c.second)
			}
		})
	}
}

func TestWhatIsNoJudge(t *testing.T) {
	for _, c := range []struct{ name, policy, params, want string }{
		{"policy that does not parse", "package policies.p\n\nviolation contains", "", "policy.rego"},
		{"no policy", "package main2\n\ndeny contains 1", "", "no package is below policies"},
		{"part of the library", "package lib.refs\n\nparse(_) := {}", "", "package lib.refs is the library's"},
		{"the adapter", "package main\n\nresults := []", "", "package main is the library's"},
		{"params of something else", policy, "apiVersion: v1\nkind: Names\nmetadata: {name: a}", "no constraint"},
		{"params twice", policy, "apiVersion: constraints.gatekeeper.sh/v1beta1\nkind: Names\nmetadata: {name: a}\n---\napiVersion: constraints.gatekeeper.sh/v1beta1\nkind: Names\nmetadata: {name: a}", "there twice"},
		{"empty params", policy, "# nothing\n", "there is no constraint"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := newJudge(t, c.policy, c.params)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error is %v, want %q", err, c.want)
			}
		})
	}
}

// A copy of a shipped policy judges as long as its expression of usual options
// is made of its schema, or is not there.
func TestStaleExpression(t *testing.T) {
	const expression = "pinned_charts/usual.rego"
	for _, c := range []struct {
		name, want string
		change     func(path string) error
	}{
		{"as shipped", "", func(string) error { return nil }},
		{"deleted", "", os.Remove},
		{"of another schema", expression + ": usual.rego is not made of schema.rego", func(path string) error {
			raw, err := fs.ReadFile(policies.FS, expression)
			return errors.Join(err, os.WriteFile(path, bytes.Replace(raw, []byte("required"), []byte("[a-z]*"), 1), 0o600))
		}},
		{"beside a schema that is none", expression + ":", func(path string) error {
			return os.WriteFile(filepath.Join(filepath.Dir(path), "schema.rego"), []byte("package lib.schemas.pinned_charts\n\nother := 1\n"), 0o600)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			if err := errors.Join(os.CopyFS(dir, policies.FS), c.change(filepath.Join(dir, expression))); err != nil {
				t.Fatal(err)
			}
			_, err := review.NewJudge([]string{dir}, nil)
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("error is %v, want %q", err, c.want)
			}
		})
	}
}

// A constraint that no policy takes denies: it was to switch on one that is
// not there.
func TestConstraintWithoutPolicy(t *testing.T) {
	results := judge(t, policy, "apiVersion: constraints.gatekeeper.sh/v1beta1\nkind: Nams\nmetadata: {name: a}", "{apiVersion: v1, kind: Thing, metadata: {name: good}}")
	if len(results[0].Deny) == 0 {
		t.Error("a constraint of no policy denied nothing")
	}
}

// The shipped policies compile, judge, and without parameters admit nothing.
func TestShippedPolicies(t *testing.T) {
	judge, err := review.NewJudge(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	results := judged(t, judge, `
apiVersion: argoproj.io/v1alpha1
kind: Application
metadata: {name: web, namespace: argocd}
spec:
  source: {repoURL: registry.example.com/charts, chart: web, targetRevision: 1.2.3}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: other}
`)
	if !results[0].Judged || len(results[0].Deny) == 0 {
		t.Errorf("an Application without parameters is %+v, want it denied", results[0])
	}
	if results[1].Judged || len(results[1].Deny) > 0 {
		t.Errorf("a ConfigMap is %+v, want it not judged", results[1])
	}
}

// A hundred objects that name ten charts are ten verifications.
func TestEqualChecksAreMadeOnce(t *testing.T) {
	armored := forge.NewKey(forge.KeySpec{UserID: "Web Team <web@example.com>"}).ArmoredPublic()
	params, err := json.Marshal(map[string]any{
		"apiVersion": "constraints.gatekeeper.sh/v1beta1", "kind": "TrustedCharts", "metadata": map[string]any{"name": "a"},
		"spec": map[string]any{"parameters": map[string]any{"options": map[string]any{"rules": []any{map[string]any{
			"charts":  []string{"oci://registry.example.com/charts/**"},
			"require": map[string]any{"all_of": []any{map[string]any{"check": "helm.verify_prov", "options": map[string]any{"keyring": armored}}}},
		}}}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "params.json")
	if err := os.WriteFile(file, params, 0o600); err != nil {
		t.Fatal(err)
	}
	judge, err := review.NewJudge(nil, []string{file})
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	for i := range 100 {
		fmt.Fprintf(&text, "---\n{apiVersion: argoproj.io/v1alpha1, kind: Application, metadata: {name: a%d, namespace: argocd}, spec: {source: "+
			"{repoURL: registry.example.com/charts, chart: web%d, targetRevision: 1.2.3}}}\n", i, i%10)
	}
	asked.n.Store(0)
	results := judged(t, judge, text.String())
	for _, r := range results {
		if told(r) != "deny not_found" {
			t.Fatalf("%s is %q, want it denied as not found: %+v", r.Name(), told(r), r.Deny)
		}
	}
	if n := asked.n.Load(); n != 10 {
		t.Errorf("%d objects that name 10 charts made %d verifications", len(results), n)
	}
}

func told(r review.Result) string {
	var said []string
	for _, v := range r.Deny {
		said = append(said, "deny "+v.Code())
	}
	for _, v := range r.Warn {
		said = append(said, "warn "+v.Code())
	}
	for _, v := range r.Dryrun {
		said = append(said, "dryrun "+v.Code())
	}
	if !r.Judged {
		said = append(said, "unjudged")
	}
	return strings.Join(said, " ")
}

func judge(t *testing.T, policy, params, documents string) []review.Result {
	t.Helper()
	judge, err := newJudge(t, policy, params)
	if err != nil {
		t.Fatal(err)
	}
	return judged(t, judge, documents)
}

func judged(t *testing.T, judge *review.Judge, text string) []review.Result {
	t.Helper()
	documents, err := review.Documents("a.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	results, err := judge.Documents(t.Context(), documents, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return results
}

func newJudge(t *testing.T, policy, params string) (*review.Judge, error) {
	t.Helper()
	dir := t.TempDir()
	var files []string
	for name, text := range map[string]string{"policy.rego": policy, "policy_test.rego": "package policies.names_test\n\ntest_x if", "params.yaml": params} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if params != "" {
		files = []string{filepath.Join(dir, "params.yaml")}
	}
	return review.NewJudge([]string{dir}, files)
}
