// SPDX-License-Identifier: Apache-2.0

package template

import (
	"encoding/json"
	"strings"
	"sync"
	"text/template"

	"sigs.k8s.io/yaml"
)

// The Rego stands as it is, so that whoever reads the template in a cluster
// reads the policy. It is parsed when it is needed, not at every start of a
// command.
var constraintTemplate = sync.OnceValue(func() *template.Template {
	return template.Must(template.New("template").Funcs(template.FuncMap{"indent": indent, "quote": Quote}).Parse(
		`apiVersion: templates.gatekeeper.sh/v1
kind: ConstraintTemplate
metadata:
  name: {{.Resource}}
  annotations:
    metadata.gatekeeper.sh/title: {{quote .Title}}
    metadata.gatekeeper.sh/version: {{quote .Version}}
{{- if .Synced}}
    metadata.gatekeeper.sh/requires-sync-data: |
      "{{indent 6 .Synced}}"
{{- end}}
    description: {{quote .Description}}
spec:
  crd:
    spec:
      names:
        kind: {{.Kind}}
      validation:
        openAPIV3Schema:
          {{indent 10 .Schema}}
  targets:
    - target: admission.k8s.gatekeeper.sh
      code:
        - engine: Rego
          source:
            version: v1
            rego: |
              {{indent 14 .Rego}}
            libs:
{{- range .Libraries}}
              - |
                {{indent 16 .}}
{{- end}}
`))
})

// Manifest is the ConstraintTemplate, as YAML.
func (p *Policy) Manifest() string {
	values := map[string]any{
		"Resource": strings.ToLower(Kind(p.Name)), "Kind": Kind(p.Name), "Schema": p.openAPI(),
		"Title": p.title, "Version": p.version, "Description": p.description,
		"Rego": p.entry.text, "Synced": "", "Libraries": []string{},
	}
	if p.inventory {
		values["Synced"] = synced
	}
	for _, s := range p.libraries {
		values["Libraries"] = append(values["Libraries"].([]string), s.text)
	}
	var out strings.Builder
	if err := constraintTemplate().Execute(&out, values); err != nil {
		panic(err) // the template and the values stand above
	}
	return out.String()
}

// synced is what the library looks up: where Flux's releases and charts say
// that another object names the chart. Gatekeeper reads lists of alternatives.
const synced = `[
  [{"groups": ["source.toolkit.fluxcd.io"], "versions": ["v1", "v1beta2"], "kinds": ["HelmRepository"]}],
  [{"groups": ["source.toolkit.fluxcd.io"], "versions": ["v1", "v1beta2"], "kinds": ["HelmChart"]}],
  [{"groups": ["source.toolkit.fluxcd.io"], "versions": ["v1", "v1beta2"], "kinds": ["OCIRepository"]}]
]`

// indent is text whose further lines begin with n spaces, as they must below
// where the first one stands.
func indent(n int, text string) string {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	for i, line := range lines {
		if i > 0 && line != "" {
			lines[i] = strings.Repeat(" ", n) + line
		}
	}
	return strings.Join(lines, "\n")
}

// Quote is text as YAML and JSON have it.
func Quote(text string) string {
	var out strings.Builder
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(text); err != nil {
		panic(err) // a string can be encoded
	}
	return strings.TrimSpace(out.String())
}

// openAPI is what the API server checks of a constraint's parameters: types,
// and nothing else. Whatever it would drop or refuse, the policy would not see;
// so every object stays open, and it is the policy that judges the rest.
func (p *Policy) openAPI() string {
	options := open(p.schema)
	options["description"] = "What " + p.title + " demands. The policy itself judges it, and denies all for what it does not know."
	raw, err := yaml.Marshal(map[string]any{
		"type": "object", "x-kubernetes-preserve-unknown-fields": true, "properties": map[string]any{"options": options},
	})
	if err != nil {
		panic(err) // it came out of JSON
	}
	return string(raw)
}

func open(schema map[string]any) map[string]any {
	opened := map[string]any{}
	switch typeOf(schema) {
	case "object":
		opened = map[string]any{"type": "object", "x-kubernetes-preserve-unknown-fields": true}
		if properties, ok := schema["properties"].(map[string]any); ok && len(properties) > 0 {
			opened["properties"] = each(properties)
		}
	case "array":
		items, _ := schema["items"].(map[string]any)
		opened = map[string]any{"type": "array", "items": open(items)}
	case "string", "boolean", "integer", "number":
		opened["type"] = typeOf(schema)
	default:
		opened["x-kubernetes-preserve-unknown-fields"] = true
	}
	if text, ok := schema["description"].(string); ok {
		opened["description"] = text
	}
	return opened
}

// typeOf is the type of a schema. Words to choose from are strings.
func typeOf(schema map[string]any) any {
	words, _ := schema["enum"].([]any)
	for _, word := range words {
		if _, ok := word.(string); !ok {
			return nil
		}
	}
	if len(words) > 0 {
		return "string"
	}
	return schema["type"]
}

func each(properties map[string]any) map[string]any {
	opened := map[string]any{}
	for name, property := range properties {
		schema, _ := property.(map[string]any)
		opened[name] = open(schema)
	}
	return opened
}

// Kind is the kind of a policy's constraints: trusted_charts is TrustedCharts.
func Kind(name string) (kind string) {
	for word := range strings.SplitSeq(name, "_") {
		kind += strings.ToUpper(word[:min(1, len(word))]) + word[min(1, len(word)):]
	}
	return kind
}

// Package is what Artifact Hub lists of the policy, with its README.
func (p *Policy) Package(readme string) (string, error) {
	raw, err := yaml.Marshal(map[string]any{
		"version": p.version, "name": strings.ReplaceAll(p.Name, "_", "-"), "displayName": p.title, "description": p.description,
		"createdAt": p.created, "license": "Apache-2.0", "homeURL": "https://github.com/chartseal/chartseal/tree/main/policies/" + p.Name,
		"keywords": []string{"gatekeeper", "opa", "policy", "helm", "supply-chain"},
		"links":    []any{map[string]string{"name": "Source", "url": "https://github.com/chartseal/chartseal/tree/main/policies/" + p.Name}},
		"install":  "```\nkubectl apply -f template.yaml\n```\n",
		"provider": map[string]string{"name": "chartseal"},
		"readme":   readme,
	})
	return string(raw), err
}
