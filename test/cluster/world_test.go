// SPDX-License-Identifier: Apache-2.0

package cluster_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	"sigs.k8s.io/yaml"

	"github.com/chartseal/chartseal/test/cluster"
	"github.com/chartseal/chartseal/test/registry"
)

const deploy = "../../deploy"

// A world is a cluster as an owner has it: Gatekeeper, the provider that is
// shipped, charts in a registry, the custom resources of installers, and the
// templates and the webhook configuration that are shipped.
type world struct {
	*cluster.Cluster
	t          testing.TB
	gatekeeper *cluster.Gatekeeper
	provider   *provider
	binary     string
	authority  *registry.CA // of the registry
	registry   *registry.Server
	charts     *charts
}

// newWorld has all but templates and constraints. Flags are Gatekeeper's.
func newWorld(t testing.TB, flags ...string) *world {
	t.Helper()
	w := &world{t: t, Cluster: cluster.Start(t), binary: binary(t)}
	t.Logf("started etcd and kube-apiserver %s at %s", w.version(), w.Server)
	w.ApplyInstallers(t)
	t.Logf("applied the custom resources of installers: %d kinds", len(cluster.Installers(t)))
	w.gatekeeper = w.StartGatekeeper(t, append([]string{"--max-serving-threads=32"}, flags...)...)
	t.Logf("started Gatekeeper with %s", strings.Join(flags, " "))
	w.authority = registry.NewCA()
	w.registry = registry.New(t, registry.WithTLS(w.authority.Config()))
	w.charts = newCharts(t, w.registry)
	t.Logf("started a registry and chart repository at %s", w.registry.URL())
	w.provider = newProvider(t, w.registry.Host(), w.authority, w.gatekeeper.ClientCA)
	w.provider.trusts(w.charts.platform.trust(t))
	w.provider.start(w.binary)
	t.Logf("started chartseal-provider at %s", w.provider.listen)
	return w
}

func (w *world) version() string {
	w.t.Helper()
	var v struct{ ServerVersion struct{ GitVersion string } }
	must(w.t, json.Unmarshal([]byte(w.Kubectl(w.t, "", "version", "-o", "json")), &v))
	return v.ServerVersion.GitVersion
}

// install applies everything that an owner applies, in the order of the docs.
func (w *world) install() {
	w.t.Helper()
	w.applyProvider()
	w.applyTemplates(policies(w.t)...)
	w.applyWebhook(w.gatekeeper.ClientCA)
	w.sync()
}

func (w *world) applyProvider() {
	w.t.Helper()
	eventually(w.t, "Gatekeeper to take a Provider", func() error {
		_, err := w.TryKubectl(w.t, w.provider.resource(w.provider.authority.PEM()), "apply", "--server-side", "--force-conflicts", "-f", "-")
		return err
	})
	w.t.Log("applied Provider chartseal")
}

// policies are those for which a template is shipped.
func policies(t testing.TB) (names []string) {
	t.Helper()
	found, err := filepath.Glob(deploy + "/policies/*/template.yaml")
	must(t, err)
	for _, file := range found {
		names = append(names, filepath.Base(filepath.Dir(file)))
	}
	if len(names) == 0 {
		t.Fatal("no template is shipped")
	}
	return names
}

func template(t testing.TB, policy string) string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(deploy, "policies", policy, "template.yaml"))
	must(t, err)
	return string(raw)
}

// applyTemplates waits until constraints of each can be made.
func (w *world) applyTemplates(names ...string) {
	w.t.Helper()
	args := []string{"wait", "--for=condition=Established", "--timeout=60s"}
	for _, name := range names {
		w.Apply(w.t, template(w.t, name))
		crd := strings.ReplaceAll(name, "_", "") + ".constraints.gatekeeper.sh"
		eventually(w.t, "the template "+name, func() error {
			if _, err := w.TryKubectl(w.t, "", "get", "crd", crd); err != nil {
				status, _ := w.TryKubectl(w.t, "", "get", "constrainttemplate", strings.ReplaceAll(name, "_", ""), "-o", "jsonpath={.status}")
				return fmt.Errorf("%w; its status is %s", err, status)
			}
			return nil
		})
		args = append(args, "crd/"+crd)
	}
	w.Kubectl(w.t, "", args...)
	w.t.Logf("applied ConstraintTemplates: %s", strings.Join(names, ", "))
}

// applyWebhook applies our own webhook configuration, which fails closed.
func (w *world) applyWebhook(bundle []byte) {
	w.t.Helper()
	raw, err := os.ReadFile(deploy + "/webhook/webhook.yaml")
	must(w.t, err)
	o := read(w.t, string(raw))[0]
	w.gatekeeper.Hook(o, bundle)
	w.Apply(w.t, manifest(w.t, o))
	w.t.Log("applied ValidatingWebhookConfiguration chartseal-validating-webhook-configuration")
}

const syncSet = `apiVersion: syncset.gatekeeper.sh/v1alpha1
kind: SyncSet
metadata: {name: charts}
spec:
  gvks:
  - {group: source.toolkit.fluxcd.io, version: v1, kind: HelmRepository}
  - {group: source.toolkit.fluxcd.io, version: v1, kind: HelmChart}
  - {group: source.toolkit.fluxcd.io, version: v1, kind: OCIRepository}
`

func (w *world) sync() {
	w.t.Helper()
	w.Apply(w.t, syncSet)
	w.t.Log("applied SyncSet charts")
}

// constrain applies constraints and waits until Gatekeeper has them.
func (w *world) constrain(constraints ...*unstructured.Unstructured) {
	w.t.Helper()
	for _, c := range constraints {
		w.Apply(w.t, manifest(w.t, c))
		w.enforced(c)
		action, _, _ := unstructured.NestedString(c.Object, "spec", "enforcementAction")
		w.t.Logf("applied %s %s, %s", c.GetKind(), c.GetName(), orDeny(action))
	}
}

func orDeny(action string) string {
	if action == "" {
		return "deny"
	}
	return action
}

// enforced waits for the constraint as it is now.
func (w *world) enforced(c *unstructured.Unstructured) {
	w.t.Helper()
	eventually(w.t, c.GetKind()+" "+c.GetName(), func() error {
		now := read(w.t, w.Kubectl(w.t, "", "get", strings.ToLower(c.GetKind())+".constraints.gatekeeper.sh", c.GetName(), "-o", "json"))[0]
		pods, _, _ := unstructured.NestedSlice(now.Object, "status", "byPod")
		for _, pod := range pods {
			of := pod.(map[string]any)
			if of["enforced"] == true && fmt.Sprint(of["observedGeneration"]) == fmt.Sprint(now.GetGeneration()) {
				return nil
			}
		}
		return fmt.Errorf("generation %d is not enforced: %v", now.GetGeneration(), pods)
	})
}

// constraints are those of testdata, by name.
func (w *world) constraints() map[string]*unstructured.Unstructured {
	w.t.Helper()
	all := map[string]*unstructured.Unstructured{}
	for _, c := range read(w.t, w.charts.real(file(w.t, "testdata/constraints.yaml"))) {
		all[c.GetName()] = c
	}
	return all
}

func file(t testing.TB, path string) string {
	t.Helper()
	raw, err := os.ReadFile(path)
	must(t, err)
	return string(raw)
}

// read gives the objects of a manifest.
func read(t testing.TB, manifest string) (all []*unstructured.Unstructured) {
	t.Helper()
	for _, document := range strings.Split(manifest, "\n---\n") {
		var o unstructured.Unstructured
		raw, err := yaml.YAMLToJSON([]byte(document))
		must(t, err)
		must(t, utiljson.Unmarshal(raw, &o.Object)) // whole numbers stay whole
		if o.Object != nil {
			all = append(all, &o)
		}
	}
	return all
}

func manifest(t testing.TB, o *unstructured.Unstructured) string {
	t.Helper()
	raw, err := yaml.Marshal(o.Object)
	must(t, err)
	return string(raw)
}

func eventually(t testing.TB, what string, ask func() error) {
	t.Helper()
	cluster.Eventually(t, what, func(ctx context.Context) error { return errors.Join(ctx.Err(), ask()) })
}
