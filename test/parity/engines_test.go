// SPDX-License-Identifier: Apache-2.0

package parity

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/storage/inmem"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/chartseal/chartseal/policies"
	library "github.com/chartseal/chartseal/rego"
)

// A finding is a violation as people and programs see it.
type finding struct {
	Action  string `json:"action"`
	Msg     string `json:"msg"`
	Details any    `json:"details"`
}

// judgement is a set of findings as text, for what engines say in any order and
// with numbers of any type.
func judgement(t testing.TB, findings []finding) string {
	t.Helper()
	var lines []string
	for _, f := range findings {
		raw, err := json.Marshal(f)
		succeeds(t, err)
		lines = append(lines, string(raw))
	}
	slices.Sort(lines)
	return strings.Join(slices.Compact(lines), "\n")
}

// A desk is what CI has: the library and the policies as they are embedded.
type desk struct {
	query rego.PreparedEvalQuery
	store storage.Store
}

func newDesk(t testing.TB) *desk {
	t.Helper()
	o := &desk{store: inmem.New()}
	args := []func(*rego.Rego){rego.Query("results := data.main.results"), rego.Store(o.store), rego.StrictBuiltinErrors(true)}
	for name, text := range texts(t, library.FS, "engines/opa", "lib") {
		args = append(args, rego.Module(name, text))
	}
	for name, text := range texts(t, policies.FS, ".") {
		args = append(args, rego.Module("policies/"+name, text))
	}
	var err error
	o.query, err = rego.New(args...).PrepareForEval(t.Context())
	succeeds(t, err)
	return o
}

// judge judges the sample by its constraint, beside the documents that are in
// the cluster.
func (o *desk) judge(t testing.TB, s *sample) []finding {
	t.Helper()
	constraints := map[string]any{"sample": plain(t, s.constraint)}
	succeeds(t, storage.WriteOne(t.Context(), o.store, storage.AddOp, storage.MustParsePath("/constraints"), constraints))
	documents := []any{plain(t, s.object)}
	for _, other := range s.inventory {
		documents = append(documents, plain(t, other))
	}
	results, err := o.query.Eval(t.Context(), rego.EvalInput(map[string]any{"documents": documents}))
	succeeds(t, err)
	if len(results) != 1 {
		t.Fatalf("%d results of main", len(results))
	}
	var found []map[string]json.RawMessage
	raw, err := json.Marshal(results[0].Bindings["results"])
	succeeds(t, err)
	succeeds(t, json.Unmarshal(raw, &found))
	return ofActions(t, found[0])
}

func ofActions(t testing.TB, byAction map[string]json.RawMessage) (all []finding) {
	t.Helper()
	for _, action := range []string{"deny", "warn", "dryrun"} {
		var found []finding
		succeeds(t, json.Unmarshal(byAction[action], &found))
		for _, f := range found {
			f.Action = action
			all = append(all, f)
		}
	}
	return all
}

// plain is an object as JSON has it.
func plain(t testing.TB, u *unstructured.Unstructured) (object map[string]any) {
	t.Helper()
	raw, err := u.MarshalJSON()
	succeeds(t, err)
	succeeds(t, json.Unmarshal(raw, &object))
	return object
}
