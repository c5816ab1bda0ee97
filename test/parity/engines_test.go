// SPDX-License-Identifier: Apache-2.0

package parity

import (
	"encoding/json"
	"io/fs"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/storage/inmem"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

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

// compiled is what `chartseal eval -d rego -d policies` loads, once.
var compiled = sync.OnceValues(func() (*ast.Compiler, error) {
	modules := map[string]string{}
	for _, from := range []struct {
		files fs.FS
		dir   string
	}{{library.FS, "lib"}, {library.FS, "engines/opa"}, {os.DirFS("../.."), "policies"}} {
		err := fs.WalkDir(from.files, from.dir, func(path string, _ fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, ".rego") || strings.HasSuffix(path, "_test.rego") {
				return err
			}
			text, err := fs.ReadFile(from.files, path)
			modules[path] = string(text)
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return ast.CompileModules(modules)
})

// inOPA judges the sample as CI does: by the constraint as it is, beside the
// documents that are in the cluster.
func inOPA(t testing.TB, s *sample) []finding {
	t.Helper()
	c, err := compiled()
	succeeds(t, err)
	documents := []any{s.object.Object}
	for _, other := range s.inventory {
		documents = append(documents, other.Object)
	}
	results, err := rego.New(
		rego.Query("results := data.main.results; policies := data.main.policies"), rego.Compiler(c),
		rego.Store(inmem.NewFromObject(map[string]any{"constraints": map[string]any{"sample": plain(t, s.constraint)}})),
		rego.Input(map[string]any{"documents": documents}), rego.StrictBuiltinErrors(true),
	).Eval(t.Context())
	succeeds(t, err)
	if len(results) != 1 {
		t.Fatalf("%d results of main", len(results))
	}
	var found []map[string]json.RawMessage
	raw, err := json.Marshal(results[0].Bindings["results"])
	succeeds(t, err)
	succeeds(t, json.Unmarshal(raw, &found))
	if string(found[0]["judged"]) != "true" {
		t.Errorf("no policy judged it in OPA; policies are %v", results[0].Bindings["policies"])
	}
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
