// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	_ "embed"
	"fmt"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/yaml"
)

//go:embed installers/installers.yaml
var installers []byte

// An Installer is a kind of object that tells an installer of charts.
type Installer struct {
	Group, Kind, Scope string
	Versions           []string
	Whole              bool // it has no status subresource
	Fields             map[string]any
}

// Installers are all that are known, the first version being the one that is stored.
func Installers(t testing.TB) (all []Installer) {
	t.Helper()
	if err := yaml.UnmarshalStrict(installers, &all); err != nil {
		t.Fatal(err)
	}
	return all
}

// Resource is the one under which the kind is served.
func (i Installer) Resource() schema.GroupResource {
	plural, _ := meta.UnsafeGuessKindToResource(schema.GroupVersionKind{Group: i.Group, Version: i.Versions[0], Kind: i.Kind})
	return plural.GroupResource()
}

// ApplyInstallers applies the custom resources of installers.
func (c *Cluster) ApplyInstallers(t testing.TB) {
	t.Helper()
	var manifests, names []string
	for _, i := range Installers(t) {
		raw, err := yaml.Marshal(i.definition(t))
		if err != nil {
			t.Fatal(err)
		}
		manifests, names = append(manifests, string(raw)), append(names, "crd/"+i.Resource().String())
	}
	c.Apply(t, strings.Join(manifests, "---\n"))
	c.Kubectl(t, "", append([]string{"wait", "--for=condition=Established", "--timeout=60s"}, names...)...)
}

type object = map[string]any

// definition is the CustomResourceDefinition.
func (i Installer) definition(t testing.TB) object {
	t.Helper()
	resource := i.Resource()
	properties := structure(t, i.Kind, i.Fields)["properties"].(object)
	properties["status"] = structure(t, i.Kind, "any")
	var versions []any
	for n, name := range i.Versions {
		version := object{"name": name, "served": true, "storage": n == 0, "schema": object{"openAPIV3Schema": object{"type": "object", "properties": properties}}}
		if !i.Whole {
			version["subresources"] = object{"status": object{}}
		}
		versions = append(versions, version)
	}
	scope := i.Scope
	if scope == "" {
		scope = "Namespaced"
	}
	return object{
		"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": object{"name": resource.String()},
		"spec": object{
			"group": i.Group, "scope": scope, "versions": versions,
			"names": object{"kind": i.Kind, "plural": resource.Resource, "singular": strings.ToLower(i.Kind), "listKind": i.Kind + "List"},
		},
	}
}

// structure is the schema of a field in the words of installers.yaml.
func structure(t testing.TB, via string, field any) object {
	t.Helper()
	switch field := field.(type) {
	case object:
		properties := object{}
		for name, inner := range field {
			properties[name] = structure(t, via+"."+name, inner)
		}
		return object{"type": "object", "properties": properties}
	case []any:
		return object{"type": "array", "items": structure(t, via+"[]", field[0])}
	case string:
		return plain(t, via, field)
	}
	t.Fatal(fmt.Errorf("%s: a field of type %T", via, field))
	return nil
}

func plain(t testing.TB, via, word string) object {
	t.Helper()
	kind, fallback, defaulted := strings.Cut(word, "=")
	switch {
	case kind == "any":
		return object{"type": "object", "x-kubernetes-preserve-unknown-fields": true}
	case kind == "string" && defaulted:
		return object{"type": kind, "default": fallback}
	case kind == "string" || kind == "integer" || kind == "boolean":
		return object{"type": kind}
	}
	t.Fatalf("%s: %q is no type", via, word)
	return nil
}
