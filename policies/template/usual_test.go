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
		"number":               `{"type": "integer"}`,
		"any of":               `{"anyOf": [{"type": "string"}]}`,
		"open object":          `{"type": "object", "properties": {"b": {"type": "string"}}}`,
		"names":                `{"type": "object", "additionalProperties": false, "patternProperties": {"^b": {"type": "string"}}}`,
		"several at least":     `{"type": "array", "minItems": 2, "items": {"type": "string"}}`,
		"some at most":         `{"type": "array", "maxItems": 2, "items": {"type": "string"}}`,
		"long":                 `{"type": "string", "minLength": 2}`,
		"short":                `{"type": "string", "maxLength": 2}`,
		"quote":                `{"type": "string", "pattern": "^[!-~]$"}`,
		"any character":        `{"type": "string", "pattern": "^.$"}`,
		"a quote":              `{"type": "string", "pattern": "^\"$"}`,
		"anywhere":             `{"type": "string", "pattern": "a$"}`,
		"other dates":          `{"type": "string", "format": "date"}`,
		"number to choose":     `{"enum": [1]}`,
		"text to choose":       `{"enum": ["a b"]}`,
		"nothing to choose":    `{"enum": []}`,
		"backslash at the end": `{"type": "string", "pattern": "^a\\\\$"}`,
		"quoted pattern":       `{"type": "string", "pattern": "^\\\\Qa"}`,
		"repeats nothing":      `{"type": "string", "pattern": "^?a"}`,
		"raw quote":            "{\"type\": \"string\", \"pattern\": \"^[`a]$\"}",
		"boolean":              `true`,
		"further wish":         `{"type": "string", "not": {"enum": ["a"]}}`,
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

// A schema that demands what is not there, that is no object's or that cannot be
// read matches nothing.
func TestUnusualSchema(t *testing.T) {
	t.Parallel()
	for name, rest := range map[string]string{
		"misspelt requirement":           `"required": ["b"]`,
		"misspelt alternatives":          `"anyOf": [{"required": ["b"]}]`,
		"boolean alternative":            `"anyOf": [false]`,
		"alternative with another wish":  `"anyOf": [{"required": ["a"], "maxProperties": 1}]`,
		"alternatives that are no list":  `"anyOf": {}`,
		"requirement that is no list":    `"required": "a"`,
		"requirement that is no name":    `"required": [5]`,
		"requirement twice":              `"required": ["a", "a"]`,
		"name that is not what it seems": `"properties": {"a\":\"x\",\"b": {"type": "string"}}, "required": ["a\":\"x\",\"b"]`,
		"other type":                     `"type": "array", "items": {"type": "string"}`,
		"further members":                `"additionalProperties": true`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			schema := map[string]any{"type": "object", "additionalProperties": false, "properties": map[string]any{"a": map[string]any{"type": "string"}}}
			must(t, json.Unmarshal([]byte("{"+rest+"}"), &schema))
			text, err := json.Marshal(schema)
			must(t, err)
			if got := usual(t, string(text)); got != `^(?:[^\s\S])$` {
				t.Error(got)
			}
		})
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// An expression that another schema was the source of is refused.
func TestStale(t *testing.T) {
	t.Parallel()
	schema := func(required string) string {
		return `{"type": "object", "additionalProperties": false, "required": [` + required + `], "properties": {"a": {"type": "string"}}}`
	}
	expression := policyOf(t, schema(""), "").Usual()
	must(t, policyOf(t, schema(""), expression).Stale())
	must(t, policyOf(t, schema(`"a"`), "").Stale())
	if err := policyOf(t, schema(`"a"`), expression).Stale(); err == nil || !strings.Contains(err.Error(), "usual.rego is not made of schema.rego") {
		t.Error(err)
	}
}

// policyOf is a policy with a schema and, if not empty, an expression.
func policyOf(t *testing.T, schema, expression string) *template.Policy {
	t.Helper()
	files := fstest.MapFS{
		"p.rego":      {Data: []byte("# METADATA\n# title: P\n# description: P.\n# custom:\n#   version: 1.0.0\npackage policies.p\n\nimport data.lib.schemas.p\n\nviolation contains {\"msg\": \"\"} if p.schema\n")},
		"schema.rego": {Data: []byte("package lib.schemas.p\n\nschema := " + schema + "\n")},
	}
	if expression != "" {
		files["usual.rego"] = &fstest.MapFile{Data: []byte(expression)}
	}
	p, err := template.Read(library.FS, files, "p")
	must(t, err)
	return p
}

// usual is the expression for a schema.
func usual(t *testing.T, schema string) string {
	t.Helper()
	_, expression, _ := strings.Cut(policyOf(t, schema, "").Usual(), "usual := `")
	return strings.TrimSuffix(expression, "`\n")
}
