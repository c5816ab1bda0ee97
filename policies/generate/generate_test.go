// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"
)

// small is a repository with one policy, which reaches part of the library.
func small(t *testing.T, changes map[string]string) fstest.MapFS {
	t.Helper()
	capabilities, err := os.ReadFile("../../rego/capabilities-gatekeeper.json")
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{
		"rego/capabilities-gatekeeper.json": string(capabilities),
		"policies/two_words/two_words.rego": "# METADATA\n# title: Two \"words\"\n# description: >-\n#   What it\n#   says.\n# custom:\n#   version: 1.2.3\npackage policies.two_words\n\n" +
			"import data.lib.near\nimport data.lib.schemas\n\nviolation contains {\"msg\": near.text} if schemas.two_words.schema\n",
		"policies/two_words/schema.rego":                                    "package lib.schemas.two_words\n\nschema := {\"type\": \"object\", \"additionalProperties\": false, \"required\": [\"n\"], \"properties\": {\"n\": {\"type\": \"integer\", \"minimum\": 1}, \"deep\": {\"type\": \"array\", \"items\": {\"type\": \"object\", \"properties\": {\"mode\": {\"enum\": [\"a\", \"b\"]}}}}, \"any\": {\"anyOf\": [{\"type\": \"string\"}]}}}\n",
		"policies/two_words/README.md":                                      "# Two words\n",
		"policies/two_words/two_words_test.rego":                            "package policies.two_words_test\n\ntest_nothing if not_compiled\n",
		"rego/lib/near/near.rego":                                           "package lib.near\n\nimport data.lib.far\n\ntext := far.text if {\n\t# a tab and a blank line\n\n\ttrue\n}\n",
		"rego/lib/near/near_test.rego":                                      "package lib.near_test\n\ntest_nothing if not_compiled\n",
		"rego/lib/far/far.rego":                                             "package lib.far\n\ntext := \"…\"\n",
		"rego/lib/other/other.rego":                                         "package lib.other\n\nstored := data.inventory.namespace\n",
		"rego/engines/gatekeeper/lib/engine/engine.rego":                    "package lib.engine\n\nresults(keys) := external_data({\"provider\": \"chartseal\", \"keys\": keys})\n",
		"deploy/policies/two_words/samples/s/constraint.yaml":               "kind: TwoWords\n",
		"deploy/policies/two_words/samples/s/example_allowed.yaml":          "kind: A\n",
		"deploy/policies/two_words/samples/s/example_disallowed_twice.yaml": "# violations: 2\n# message: ^a \"b\"$\nkind: A\n",
	}
	maps.Copy(files, changes)
	repository := fstest.MapFS{}
	for name, text := range files {
		if text != "" {
			repository[name] = &fstest.MapFile{Data: []byte(text)}
		}
	}
	return repository
}

func generated(t *testing.T, repository fs.FS) map[string]string {
	t.Helper()
	files, err := attempt(repository)
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func attempt(repository fs.FS) (map[string]string, error) {
	files := map[string]string{}
	err := generate(repository, func(name, content string) error {
		files[name] = content
		return nil
	})
	return files, err
}

// shipped is as much of a ConstraintTemplate as matters here.
type shipped struct {
	Metadata struct {
		Name        string
		Annotations map[string]string
	}
	Spec struct {
		CRD struct {
			Spec struct {
				Names      struct{ Kind string }
				Validation struct{ OpenAPIV3Schema map[string]any }
			}
		}
		Targets []struct {
			Code []struct {
				Source struct {
					Version, Rego string
					Libs          []string
				}
			}
		}
	}
}

func parse(t *testing.T, text string) (parsed shipped) {
	t.Helper()
	if err := yaml.Unmarshal([]byte(text), &parsed); err != nil {
		t.Fatal(err)
	}
	return parsed
}

// The Rego stands in the template to the byte, and of the library what the
// policy reaches: nothing else, and no tests.
func TestTemplate(t *testing.T) {
	repository := small(t, nil)
	files := generated(t, repository)
	if names := slices.Sorted(maps.Keys(files)); !slices.Equal(names, []string{
		"deploy/policies/two_words/artifacthub-pkg.yml", "deploy/policies/two_words/kustomization.yaml", "deploy/policies/two_words/suite.yaml", "deploy/policies/two_words/template.yaml",
		"policies/two_words/usual.rego",
	}) {
		t.Errorf("files are %v", names)
	}
	got := parse(t, files["deploy/policies/two_words/template.yaml"])
	source := got.Spec.Targets[0].Code[0].Source
	text := func(name string) string { return string(repository[name].Data) }
	if diff := cmp.Diff(text("policies/two_words/two_words.rego"), source.Rego); diff != "" {
		t.Error(diff)
	}
	libraries := []string{text("rego/lib/far/far.rego"), text("rego/lib/near/near.rego"), text("policies/two_words/schema.rego")}
	if diff := cmp.Diff(libraries, source.Libs); diff != "" {
		t.Error(diff)
	}
	if got.Metadata.Name != "twowords" || got.Spec.CRD.Spec.Names.Kind != "TwoWords" || source.Version != "v1" {
		t.Errorf("name is %s, kind %s, version %s", got.Metadata.Name, got.Spec.CRD.Spec.Names.Kind, source.Version)
	}
	if diff := cmp.Diff(map[string]string{
		"metadata.gatekeeper.sh/title": `Two "words"`, "metadata.gatekeeper.sh/version": "1.2.3", "description": "What it says.",
	}, got.Metadata.Annotations); diff != "" {
		t.Error(diff)
	}
}

// Of the schema types stay, and no field that is not in it is dropped.
func TestSchemaIsOpen(t *testing.T) {
	files := generated(t, small(t, nil))
	schema := parse(t, files["deploy/policies/two_words/template.yaml"]).Spec.CRD.Spec.Validation.OpenAPIV3Schema
	options := schema["properties"].(map[string]any)["options"].(map[string]any)
	delete(options, "description")
	const open = "x-kubernetes-preserve-unknown-fields"
	want := map[string]any{"type": "object", open: true, "properties": map[string]any{"options": map[string]any{
		"type": "object", open: true, "properties": map[string]any{
			"n": map[string]any{"type": "integer"}, "any": map[string]any{open: true},
			"deep": map[string]any{"type": "array", "items": map[string]any{
				"type": "object", open: true, "properties": map[string]any{"mode": map[string]any{"type": "string"}},
			}},
		},
	}}}
	if diff := cmp.Diff(want, schema); diff != "" {
		t.Error(diff)
	}
}

// Who reads the inventory, in whatever depth, says what is to be synced.
func TestSyncedData(t *testing.T) {
	files := generated(t, small(t, map[string]string{
		"rego/lib/far/far.rego": "package lib.far\n\nimport data.lib.other\n\ntext := other.stored\n",
	}))
	annotation := parse(t, files["deploy/policies/two_words/template.yaml"]).Metadata.Annotations["metadata.gatekeeper.sh/requires-sync-data"]
	var required [][]struct{ Groups, Versions, Kinds []string }
	if err := json.Unmarshal([]byte(strings.Trim(annotation, "\n\"")), &required); err != nil || len(required) != 3 {
		t.Errorf("%v: %s", err, annotation)
	}
}

func TestSuite(t *testing.T) {
	files := generated(t, small(t, map[string]string{"deploy/policies/two_words/samples/s/inventory.yaml": "kind: B\n"}))
	const want = `# Generated by make generate from policies/two_words. Do not edit.
kind: Suite
apiVersion: test.gatekeeper.sh/v1alpha1
metadata:
  name: twowords
tests:
  - name: s
    template: template.yaml
    constraint: samples/s/constraint.yaml
    cases:
      - name: allowed
        object: samples/s/example_allowed.yaml
        inventory:
          - samples/s/inventory.yaml
        assertions:
          - violations: no
      - name: disallowed-twice
        object: samples/s/example_disallowed_twice.yaml
        inventory:
          - samples/s/inventory.yaml
        assertions:
          - violations: 2
          - violations: yes
            message: "^a \"b\"$"
`
	if diff := cmp.Diff(want, files["deploy/policies/two_words/suite.yaml"]); diff != "" {
		t.Error(diff)
	}
}

// What cannot work in Gatekeeper is not written. Its twin is the repository
// without the change.
func TestRefused(t *testing.T) {
	const policy, sample = "policies/two_words/two_words.rego", "deploy/policies/two_words/samples/s/"
	for name, test := range map[string]struct{ file, text, want string }{
		"a function that its OPA lacks": {"rego/lib/far/far.rego", "package lib.far\n\ntext := helm.verify_prov(\"\", {})\n", "undefined function helm.verify_prov"},
		"no package in the library":     {"rego/lib/near/near.rego", "", "imports data.lib.near, and there is no such package"},
		"no METADATA":                   {policy, "package policies.two_words\n\nimport data.lib.schemas\n\nviolation contains {\"msg\": \"\"} if schemas.two_words.schema\n", "METADATA lacks"},
		"no schema":                     {"policies/two_words/schema.rego", "package lib.schemas.two_words\n\nschema := 1\n", "holds no schema"},
		"a carriage return":             {"rego/lib/far/far.rego", "package lib.far\r\n\ntext := 1\n", "cannot stand in YAML"},
		"nothing allowed":               {sample + "example_allowed.yaml", "", "it has no example_allowed"},
		"nothing disallowed":            {sample + "example_disallowed_twice.yaml", "", "it has no example_disallowed"},
		"a number that is none":         {sample + "example_disallowed_twice.yaml", "# violations: two\n", "violations: "},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := attempt(small(t, map[string]string{test.file: test.text}))
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error is %v, want %q", err, test.want)
			}
		})
	}
}

// What lies in the repository is what is generated, and kubectl can apply it:
// it keeps all of an object in one of its annotations.
func TestRepository(t *testing.T) {
	const mostAnnotations = 256 << 10
	repository := os.DirFS("../..")
	for name, want := range generated(t, repository) {
		got, err := fs.ReadFile(repository, name)
		if err != nil || string(got) != want {
			t.Errorf("%s is not what is generated; run make generate (%v)", name, err)
		}
		if raw, err := yaml.YAMLToJSON([]byte(want)); err != nil || len(raw) > mostAnnotations {
			t.Errorf("%s is %d bytes of JSON (%v), want at most %d", name, len(raw), err, mostAnnotations)
		}
	}
}
