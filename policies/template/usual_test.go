// SPDX-License-Identifier: Apache-2.0

package template_test

import (
	"encoding/json"
	"io/fs"
	"iter"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/open-policy-agent/opa/v1/rego"
	"sigs.k8s.io/yaml"

	"github.com/chartseal/chartseal/policies"
	"github.com/chartseal/chartseal/policies/template"
	library "github.com/chartseal/chartseal/rego"
)

// What the expression of a policy matches fits its schema, however options are
// altered, and the options of all samples that fit are matched.
func TestUsual(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../../deploy/policies/*/samples/*/constraint.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal(err)
	}
	for _, file := range files {
		parts := strings.Split(filepath.ToSlash(file), "/")
		policy, sample := parts[4], parts[6]
		t.Run(policy+"/"+sample, func(t *testing.T) {
			t.Parallel()
			usual := holds(t, policy, "regex.match(schemas.usual, json.marshal(input))")
			fits := holds(t, policy, "data.lib.parameters.faults(input, schemas.schema) == set()")
			options := optionsOf(t, file)
			if usual(options) != fits(options) {
				t.Errorf("matched is %v, fits is %v: %v", usual(options), fits(options), options)
			}
			for altered := range alterations(options) {
				if usual(altered) && !fits(altered) {
					text, _ := json.Marshal(altered)
					t.Errorf("matched, and does not fit: %s", text)
				}
			}
		})
	}
}

// holds is a condition on options, as input, by what a policy's schemas say.
func holds(t *testing.T, policy, condition string) func(options any) bool {
	t.Helper()
	args := []func(*rego.Rego){rego.Query("result := " + condition), rego.Imports([]string{"data.lib.schemas." + policy + " as schemas"})}
	for name, from := range map[string]fs.FS{"lib/parameters/parameters.rego": library.FS, policy + "/schema.rego": policies.FS, policy + "/usual.rego": policies.FS} {
		text, err := fs.ReadFile(from, name)
		if err != nil {
			t.Fatal(err)
		}
		args = append(args, rego.Module(name, string(text)))
	}
	query, err := rego.New(args...).PrepareForEval(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return func(options any) bool {
		results, err := query.Eval(t.Context(), rego.EvalInput(options))
		if err != nil || len(results) != 1 {
			t.Fatalf("%v: %v, %v", options, results, err)
		}
		return results[0].Bindings["result"] == true
	}
}

func optionsOf(t *testing.T, file string) any {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var constraint struct {
		Spec struct{ Parameters struct{ Options any } }
	}
	if err := yaml.Unmarshal(raw, &constraint); err != nil {
		t.Fatal(err)
	}
	return constraint.Spec.Parameters.Options
}

// alterations are what value becomes if at one place of it something else
// stands, is left out or is added.
func alterations(value any) iter.Seq[any] {
	return func(yield func(any) bool) {
		for _, other := range []any{nil, true, 7, "", "any", "2027-02-30T25:00:00Z", `a"],"b":["`, `\`, "\n<", []any{}, []any{"any"}, map[string]any{}, map[string]any{"any": []any{}}} {
			yield(other)
		}
		switch value := value.(type) {
		case map[string]any:
			yield(with(value, "any", "any"))
			for name, member := range value {
				yield(with(value, name, nil))
				for altered := range alterations(member) {
					yield(with(value, name, altered))
				}
			}
		case []any:
			yield(append(slices.Clone(value), "any"))
			for i, item := range value {
				yield(slices.Delete(slices.Clone(value), i, i+1))
				for altered := range alterations(item) {
					yield(slices.Replace(slices.Clone(value), i, i+1, altered))
				}
			}
		}
	}
}

// with is a copy in which a member is another, or is not for nil.
func with(value map[string]any, name string, member any) map[string]any {
	altered := maps.Clone(value)
	altered[name] = member
	if member == nil {
		delete(altered, name)
	}
	return altered
}

// Of what no expression can be made nothing is matched, and an optional member
// of that kind is left out.
func TestUnusual(t *testing.T) {
	t.Parallel()
	object := func(required, member string) string {
		return `{"type": "object", "additionalProperties": false, "required": [` + required + `], "properties": {"a": ` + member + `}}`
	}
	for name, member := range map[string]string{
		"number":           `{"type": "integer"}`,
		"any of":           `{"anyOf": [{"type": "string"}]}`,
		"open object":      `{"type": "object", "properties": {"b": {"type": "string"}}}`,
		"names":            `{"type": "object", "additionalProperties": false, "patternProperties": {"^b": {"type": "string"}}}`,
		"several at least": `{"type": "array", "minItems": 2, "items": {"type": "string"}}`,
		"some at most":     `{"type": "array", "maxItems": 2, "items": {"type": "string"}}`,
		"long":             `{"type": "string", "minLength": 2}`,
		"short":            `{"type": "string", "maxLength": 2}`,
		"quote":            `{"type": "string", "pattern": "^[!-~]$"}`,
		"any character":    `{"type": "string", "pattern": "^.$"}`,
		"a quote":          `{"type": "string", "pattern": "^\"$"}`,
		"anywhere":         `{"type": "string", "pattern": "a$"}`,
		"other dates":      `{"type": "string", "format": "date"}`,
		"number to choose": `{"enum": [1]}`,
		"text to choose":   `{"enum": ["a b"]}`,
		"further wish":     `{"type": "string", "not": {"enum": ["a"]}}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := usual(t, object(`"a"`, member)); got != `^(?:[^\s\S])$` {
				t.Errorf("required: %s", got)
			}
			if got := usual(t, object("", member)); got != `^(?:\{\})$` {
				t.Errorf("optional: %s", got)
			}
		})
	}
}

// usual is the expression for a schema.
func usual(t *testing.T, schema string) string {
	t.Helper()
	p, err := template.Read(library.FS, fstest.MapFS{
		"p.rego":      {Data: []byte("# METADATA\n# title: P\n# description: P.\n# custom:\n#   version: 1.0.0\npackage policies.p\n\nimport data.lib.schemas.p\n\nviolation contains {\"msg\": \"\"} if p.schema\n")},
		"schema.rego": {Data: []byte("package lib.schemas.p\n\nschema := " + schema + "\n")},
	}, "p")
	if err != nil {
		t.Fatal(err)
	}
	_, expression, _ := strings.Cut(p.Usual(), "usual := `")
	return strings.TrimSuffix(expression, "`\n")
}
