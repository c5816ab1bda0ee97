// SPDX-License-Identifier: Apache-2.0

package cluster_test

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

// A subject is an object of one kind and what becomes of it by changes.
type subject struct {
	Object  map[string]any
	Changes map[string]change
	By      []string // who denies the object itself
	Says    string
}

// A change is a merge patch, and who denies what it makes, with which words.
type change struct {
	Change map[string]any
	By     []string
	Says   string
}

const shop = `apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {chart-verification: required}}
---
apiVersion: source.toolkit.fluxcd.io/v1
kind: HelmRepository
metadata: {name: registry, namespace: shop}
spec: {type: oci, url: oci://registry.example.com/platform}
---
apiVersion: source.toolkit.fluxcd.io/v1
kind: HelmRepository
metadata: {name: repository, namespace: shop}
spec: {url: https://charts.example.com/platform}
---
apiVersion: source.toolkit.fluxcd.io/v1
kind: OCIRepository
metadata: {name: stored, namespace: shop}
spec:
  url: oci://registry.example.com/platform/web
  ref: {tag: 1.2.3}
  layerSelector: {mediaType: application/vnd.cncf.helm.chart.content.v1.tar+gzip, operation: copy}
  verify: {secretRef: {name: cosign-key}}
`

// TestPolicies creates and updates objects of every kind as a tenant, with
// every policy that verifies, pins or lists in force at once.
func TestPolicies(t *testing.T) {
	w := newWorld(t, "--audit-interval=5")
	w.install()
	dana := w.tenant()
	constraints := w.constraints()
	w.constrain(slices.Collect(maps.Values(constraints))...)
	w.Apply(t, w.charts.real(shop))
	w.t.Log("applied Namespace shop, HelmRepositories registry and repository, OCIRepository stored")
	var subjects []subject
	must(t, yaml.Unmarshal([]byte(w.charts.real(file(t, "testdata/objects.yaml"))), &subjects))
	for _, s := range subjects {
		o := &unstructured.Unstructured{Object: s.Object}
		t.Run(o.GroupVersionKind().GroupKind().String(), func(t *testing.T) { w.judge(t, dana, s, o) })
	}
	w.everyKind(t, subjects)
	t.Run("kubectl", func(t *testing.T) { w.words(t, dana) })
	t.Run("exemptions", func(t *testing.T) { w.exemptions(t, dana) })
	t.Run("parameters beside options", func(t *testing.T) { w.beside(t, dana) })
	t.Run("namespaces", func(t *testing.T) { w.namespaces(t, dana) })
	t.Run("dryrun, warn, deny", func(t *testing.T) { w.road(t, dana) })
}

// everyKind wants a subject of each kind that our webhook configuration asks
// about, and that each of its resources is served.
func (w *world) everyKind(t *testing.T, subjects []subject) {
	t.Helper()
	seen := map[string]bool{}
	for _, s := range subjects {
		o := &unstructured.Unstructured{Object: s.Object}
		seen[w.resources()[o.GroupVersionKind().GroupKind().String()]] = true
	}
	hook := read(t, file(t, deploy+"/webhook/webhook.yaml"))[0]
	hooks, _, _ := unstructured.NestedSlice(hook.Object, "webhooks")
	rules, _, _ := unstructured.NestedSlice(hooks[0].(map[string]any), "rules")
	for _, each := range rules {
		groups, _, _ := unstructured.NestedStringSlice(each.(map[string]any), "apiGroups")
		names, _, _ := unstructured.NestedStringSlice(each.(map[string]any), "resources")
		for _, name := range names {
			if !seen[name+"."+groups[0]] {
				t.Errorf("no object of %s.%s is judged here", name, groups[0])
			}
		}
	}
}

// resources are those that the API server serves, by kind and group.
func (w *world) resources() map[string]string {
	w.t.Helper()
	served := map[string]string{}
	for line := range strings.Lines(w.Kubectl(w.t, "", "get", "crd", "-o", `jsonpath={range .items[*]}{.spec.names.kind}.{.spec.group} {.metadata.name}{"\n"}{end}`)) {
		if kind, name, ok := strings.Cut(strings.TrimSpace(line), " "); ok {
			served[kind] = name
		}
	}
	return served
}

// judge creates the object with each change, then creates it as it is and
// updates it with each change.
func (w *world) judge(t *testing.T, dana *user, s subject, o *unstructured.Unstructured) {
	if s.By != nil {
		denied(t, "CREATE", dana.create(t.Context(), o), change{By: s.By, Says: s.Says})
		return
	}
	eventually(t, "what it leads to being synced", func() error { return dana.try(t.Context(), o) })
	for _, name := range slices.Sorted(maps.Keys(s.Changes)) {
		c := s.Changes[name]
		with := changed(t, o, c.Change)
		with.SetName("another")
		w.verdict(t, "CREATE, "+name, dana.try(t.Context(), with), c)
	}
	must(t, dana.create(t.Context(), o))
	t.Logf("CREATE %s %s: admitted", o.GetKind(), o.GetName())
	for _, name := range slices.Sorted(maps.Keys(s.Changes)) {
		c := s.Changes[name]
		w.verdict(t, "UPDATE, "+name, dana.update(t.Context(), changed(t, o, c.Change)), c)
		if c.By == nil {
			must(t, dana.update(t.Context(), o))
		}
	}
	must(t, dana.delete(t.Context(), o))
}

func (w *world) verdict(t *testing.T, what string, err error, c change) {
	t.Helper()
	if c.By != nil {
		denied(t, what, err, c)
		return
	}
	if err != nil {
		t.Errorf("%s: the API server said: %v", what, err)
		return
	}
	t.Logf("%s: admitted", what)
}

// denied wants the API server to say that exactly these constraints deny, with
// the words of the first.
func denied(t *testing.T, what string, err error, c change) {
	t.Helper()
	if err == nil {
		t.Errorf("%s: admitted, want it denied by %s", what, strings.Join(c.By, ", "))
		return
	}
	t.Logf("%s: the API server said: %v", what, err)
	if said := deniers(err); !slices.Equal(slices.Sorted(maps.Keys(said)), slices.Sorted(slices.Values(c.By))) {
		t.Errorf("%s: denied by %v, want %v", what, slices.Sorted(maps.Keys(said)), c.By)
	} else if !strings.Contains(said[c.By[0]], c.Says) {
		t.Errorf("%s: %s says %q, want %q in it", what, c.By[0], said[c.By[0]], c.Says)
	}
}

// deniers are the constraints that the API server names, with what they say.
func deniers(err error) map[string]string {
	said := map[string]string{}
	if !apierrors.IsForbidden(err) {
		return said
	}
	var status *apierrors.StatusError
	if !errors.As(err, &status) {
		return said
	}
	_, text, _ := strings.Cut(status.ErrStatus.Message, "denied the request: ")
	for line := range strings.Lines(text) {
		if name, words, ok := strings.Cut(strings.TrimPrefix(line, "["), "] "); ok {
			said[name] += words
		}
	}
	return said
}
