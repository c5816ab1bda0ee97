// SPDX-License-Identifier: Apache-2.0

package cluster_test

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/chartseal/chartseal/builtins/config"
	"github.com/chartseal/chartseal/test/cluster"
	"github.com/chartseal/chartseal/test/examples"
)

const chartDirectory = deploy + "/chart/chartseal"

// variants are the values that our chart is tried with.
type variants struct {
	Accepted map[string]map[string]any
	Refused  map[string]struct {
		Values map[string]any
		Says   string
	}
}

// An owner has an API server that knows the kinds of our chart, and no
// Gatekeeper.
type owner struct {
	*cluster.Cluster
	t    *testing.T
	home string
}

// The namespace of Gatekeeper, as its own manifest has it.
const gatekeeperNamespace = `apiVersion: v1
kind: Namespace
metadata:
  name: %s
  labels: {pod-security.kubernetes.io/enforce: restricted, pod-security.kubernetes.io/warn: restricted}
`

// TestDeploy renders our chart in every variant and overlay, has the API server
// judge what comes out, and installs it as people do.
func TestDeploy(t *testing.T) {
	o := &owner{Cluster: cluster.Start(t), t: t, home: t.TempDir()}
	o.ApplyCRDs(t)
	o.ApplyInstallers(t)
	o.Apply(t, fmt.Sprintf(gatekeeperNamespace, "gatekeeper-system"))
	var v variants
	must(t, yaml.UnmarshalStrict([]byte(file(t, "testdata/values.yaml")), &v))
	for _, helm := range []string{"helm3", "helm4"} {
		t.Run(helm, func(t *testing.T) {
			for _, name := range slices.Sorted(maps.Keys(v.Accepted)) {
				t.Run(name, func(t *testing.T) { o.accepts(t, helm, name, v.Accepted[name]) })
			}
			for _, name := range slices.Sorted(maps.Keys(v.Refused)) {
				_, err := o.template(t, helm, v.Refused[name].Values)
				t.Logf("%s: refused: %v", name, err)
				if err == nil || !strings.Contains(err.Error(), v.Refused[name].Says) {
					t.Errorf("%s: %v, want %q in it", name, err, v.Refused[name].Says)
				}
			}
			o.installs(t, helm, v.Accepted["monitoring"], v.Accepted["cert-manager"])
		})
	}
	t.Run("kustomize", func(t *testing.T) { o.kustomizes(t, v.Accepted) })
	t.Run("probe and removal", func(t *testing.T) { o.removes(t) })
}

// tool is one of the real tools beside those of the cluster.
func tool(t *testing.T, name string) string {
	t.Helper()
	path := filepath.Join(os.Getenv("CHARTSEAL_TOOLS"), name)
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("%s is missing; CHARTSEAL_TOOLS names the folder that make tools fills", path)
	}
	return path
}

func (o *owner) helm(t *testing.T, name string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), tool(t, name), args...)
	cmd.Env = []string{"HOME=" + o.home, "KUBECONFIG=" + o.Kubeconfig}
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("%s %s: %w: %s%s", name, args[0], err, out.Bytes(), errs.Bytes())
	}
	return out.String(), nil
}

func (o *owner) helms(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := o.helm(t, name, args...)
	must(t, err)
	return out
}

func (o *owner) values(t *testing.T, values map[string]any) (path string) {
	t.Helper()
	raw, err := yaml.Marshal(values)
	must(t, err)
	path = filepath.Join(t.TempDir(), "values.yaml")
	must(t, os.WriteFile(path, raw, 0o600))
	return path
}

// kubeVersion is that of the API server. A helm that was built without one takes
// a very old one for granted.
const kubeVersion = "v1.36.3"

// template renders the chart, without its tests.
func (o *owner) template(t *testing.T, helm string, values map[string]any) (string, error) {
	t.Helper()
	return o.helm(t, helm, "template", "chartseal", chartDirectory, "-n", "gatekeeper-system", "-f", o.values(t, values), "--skip-tests", "--kube-version", kubeVersion)
}

// accepts lints and renders the chart with these values, and has the API server
// judge each object, and the Pods that would come of it.
func (o *owner) accepts(t *testing.T, helm, name string, values map[string]any) {
	o.helms(t, helm, "lint", "--strict", chartDirectory, "-n", "gatekeeper-system", "-f", o.values(t, values), "--kube-version", kubeVersion)
	rendered, err := o.template(t, helm, values)
	must(t, err)
	said := o.dryRun(t, rendered)
	t.Logf("%s template with %s: linted; the API server said: %s", helm, name, strings.Join(said, ", "))
	o.dryRun(t, strings.Join(pods(t, rendered), "---\n"))
	configured(t, rendered)
}

// configured wants the provider to take what is in its ConfigMap, which no API
// server looks into.
func configured(t *testing.T, rendered string) {
	t.Helper()
	for _, o := range read(t, rendered) {
		if text, found, _ := unstructured.NestedString(o.Object, "data", "chartseal.yaml"); found {
			dir := t.TempDir()
			path := filepath.Join(dir, "chartseal.yaml")
			must(t, os.WriteFile(path, []byte(strings.ReplaceAll(text, "/etc/chartseal", dir)), 0o600))
			secret := filepath.Join(dir, "registries", "registry-example")
			must(t, os.MkdirAll(secret, 0o755))
			must(t, os.WriteFile(filepath.Join(secret, "config.json"), []byte(`{"auths": {"registry.example.com": {"auth": "YTpi"}}}`), 0o600))
			_, err := config.LoadProvider(path)
			must(t, err)
			return
		}
	}
	t.Error("no ConfigMap holds chartseal.yaml")
}

// dryRun applies the objects without keeping them, and gives what they are
// called. The API server refuses fields that a kind does not have.
func (o *owner) dryRun(t *testing.T, manifests string) (said []string) {
	t.Helper()
	out := o.Kubectl(t, manifests, "apply", "--server-side", "--dry-run=server", "--validate=strict", "-o", "name", "-f", "-")
	return strings.Fields(out)
}

// pods are those that Deployments would make, for the namespace enforces the
// restricted level of Pod security on them alone.
func pods(t *testing.T, rendered string) (all []string) {
	t.Helper()
	for _, o := range read(t, rendered) {
		if o.GetKind() != "Deployment" {
			continue
		}
		template, _, err := unstructured.NestedMap(o.Object, "spec", "template")
		must(t, err)
		pod := &unstructured.Unstructured{Object: template}
		pod.SetAPIVersion("v1")
		pod.SetKind("Pod")
		pod.SetName(o.GetName())
		pod.SetNamespace(o.GetNamespace())
		all = append(all, manifest(t, pod))
	}
	if len(all) == 0 {
		t.Error("there is no Deployment")
	}
	return all
}

// installs takes a release through its life.
func (o *owner) installs(t *testing.T, helm string, first, second map[string]any) {
	for _, step := range []struct {
		name string
		args []string
		want string // a kind of which the release has one
	}{
		{"install", []string{"install", "chartseal", chartDirectory, "-n", "gatekeeper-system", "-f", o.values(t, first)}, "ServiceMonitor"},
		{"upgrade", []string{"upgrade", "chartseal", chartDirectory, "-n", "gatekeeper-system", "-f", o.values(t, second)}, "Certificate"},
		{"rollback", []string{"rollback", "chartseal", "1", "-n", "gatekeeper-system"}, "ServiceMonitor"},
	} {
		said := o.helms(t, helm, step.args...)
		t.Logf("%s %s: %s", helm, step.name, strings.Join(strings.Fields(strings.SplitN(said, "NOTES:", 2)[0]), " "))
		objects := o.helms(t, helm, "get", "manifest", "chartseal", "-n", "gatekeeper-system")
		there := o.Kubectl(t, objects, "get", "-f", "-", "-o", "name")
		t.Logf("kubectl get: %s", strings.Join(strings.Fields(there), ", "))
		if !strings.Contains(strings.ToLower(there), strings.ToLower(step.want)) {
			t.Errorf("after %s there is no %s", step.name, step.want)
		}
	}
	t.Logf("%s uninstall: %s", helm, o.helms(t, helm, "uninstall", "chartseal", "-n", "gatekeeper-system"))
	if left := o.Kubectl(t, "", "get", "deployments,services,configmaps,networkpolicies", "-n", "gatekeeper-system", "-l", "app.kubernetes.io/part-of=chartseal", "-o", "name"); left != "" {
		t.Errorf("%s leaves %s", helm, left)
	}
}

// kustomizes builds every kustomization below deploy. An overlay is what the
// chart is with its values.
func (o *owner) kustomizes(t *testing.T, values map[string]map[string]any) {
	found, err := filepath.Glob(deploy + "/*/*/kustomization.yaml")
	must(t, err)
	overlays, err := filepath.Glob(deploy + "/kustomize/overlays/*/kustomization.yaml")
	must(t, err)
	for _, at := range append(found, overlays...) {
		dir := filepath.Dir(at)
		built := o.Kubectl(t, "", "kustomize", dir)
		if strings.HasSuffix(dir, "kustomize/base") {
			continue // it is nothing without an overlay
		}
		t.Logf("kubectl kustomize %s: the API server said: %s", strings.TrimPrefix(dir, "../../"), strings.Join(o.dryRun(t, built), ", "))
	}
	for _, at := range overlays {
		name := filepath.Base(filepath.Dir(at))
		if values[name] == nil {
			t.Errorf("testdata/values.yaml has no %s", name)
		}
		rendered, err := o.template(t, "helm3", values[name])
		must(t, err)
		if diff := cmp.Diff(plain(t, rendered), plain(t, o.Kubectl(t, "", "kustomize", filepath.Dir(at)))); diff != "" {
			t.Errorf("%s: helm template (-) and kubectl kustomize (+):\n%s", name, diff)
		}
	}
	t.Logf("each of %d overlays is what helm template gives with its values", len(overlays))
	o.overlays(t, values)
}

// overlays builds the kustomization of the page for owners, which is what the
// chart is with the same registries and trust, but for the order of volumes.
func (o *owner) overlays(t *testing.T, values map[string]map[string]any) {
	root := t.TempDir()
	must(t, examples.Write("../../docs/cluster.md", root))
	dir := filepath.Join(root, "docs/cluster")
	given := read(t, file(t, filepath.Join(dir, "values.yaml")))[0].Object
	rendered, err := o.template(t, "helm3", merged(values["own"], given))
	must(t, err)
	must(t, os.CopyFS(filepath.Join(dir, "deploy/kustomize"), os.DirFS(deploy+"/kustomize")))
	for _, object := range read(t, rendered) {
		if text, found, _ := unstructured.NestedString(object.Object, "data", "chartseal.yaml"); found {
			must(t, os.WriteFile(filepath.Join(dir, "chartseal.yaml"), []byte(text), 0o600))
		}
	}
	built := o.Kubectl(t, "", "kustomize", dir)
	t.Logf("kubectl kustomize of the page: the API server said: %s", strings.Join(o.dryRun(t, built), ", "))
	volumes := cmpopts.SortSlices(func(a, b any) bool { return fmt.Sprint(a) < fmt.Sprint(b) })
	if diff := cmp.Diff(plain(t, rendered), plain(t, built), volumes); diff != "" {
		t.Errorf("helm template (-) and the page's overlay (+):\n%s", diff)
	}
}

// whatOwnersHave is what chartseal-provider certs would have made, and what
// stands there of Gatekeeper.
const whatOwnersHave = `apiVersion: externaldata.gatekeeper.sh/v1beta1
kind: Provider
metadata: {name: chartseal}
spec: {url: "https://chartseal.gatekeeper-system:8443/v1/check", timeout: 2, caBundle: c2V0IGl0}
---
apiVersion: v1
kind: Secret
metadata: {name: chartseal-certs, namespace: gatekeeper-system}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: gatekeeper-controller-manager, namespace: gatekeeper-system}
spec:
  selector: {matchLabels: {a: b}}
  template:
    metadata: {labels: {a: b}}
    spec: {containers: [{name: manager, image: gatekeeper, readinessProbe: {httpGet: {path: /readyz, port: 9090}}}]}
`

// removes runs what the page for owners has for Gatekeeper's probe, and to take
// everything out again.
func (o *owner) removes(t *testing.T) {
	root := t.TempDir()
	must(t, examples.Write("../../docs/cluster.md", root))
	p := &page{t, &world{Cluster: o.Cluster}, filepath.Join(root, "docs/cluster")}
	deploy, err := filepath.Abs(deploy)
	must(t, err)
	must(t, os.Symlink(deploy, filepath.Join(p.dir, "deploy")))
	must(t, os.Mkdir(filepath.Join(p.dir, "bin"), 0o755))
	must(t, os.Symlink(o.Tool(t, "kubectl"), filepath.Join(p.dir, "bin/kubectl")))
	must(t, os.Symlink(tool(t, "helm4"), filepath.Join(p.dir, "bin/helm")))
	o.Apply(t, whatOwnersHave)
	p.run("probe")
	if got := o.Kubectl(t, "", "get", "deployment", "gatekeeper-controller-manager", "-n", "gatekeeper-system", "-o", "jsonpath={..successThreshold}"); got != "2" {
		t.Errorf("Gatekeeper's probe wants %q good answers", got)
	}
	o.Kubectl(t, "", "apply", "--server-side", "-k", filepath.Join(deploy, "policies"))
	o.Kubectl(t, "", "apply", "--server-side", "-f", filepath.Join(deploy, "webhook/webhook.yaml"))
	p.run("sync")
	o.helms(t, "helm4", "install", "chartseal", chartDirectory, "-n", "gatekeeper-system")
	p.run("remove")
	const ours = "validatingwebhookconfigurations,constrainttemplates,syncsets.syncset.gatekeeper.sh,providers.externaldata.gatekeeper.sh,secrets,deployments,clusterroles"
	for name := range strings.FieldsSeq(o.Kubectl(t, "", "get", ours, "-A", "-o", "name")) {
		if strings.Contains(name, "chart") {
			t.Errorf("%s is left", name)
		}
	}
}

// plain are objects by name, without what says that Helm made them.
func plain(t *testing.T, manifests string) map[string]any {
	t.Helper()
	all := map[string]any{}
	for _, o := range read(t, manifests) {
		unlabel(o.Object)
		all[o.GetKind()+" "+o.GetName()] = o.Object
	}
	return all
}

func unlabel(value any) {
	switch value := value.(type) {
	case map[string]any:
		if labels, ok := value["labels"].(map[string]any); ok {
			delete(labels, "app.kubernetes.io/managed-by")
			delete(labels, "helm.sh/chart")
		}
		for _, inner := range value {
			unlabel(inner)
		}
	case []any:
		for _, inner := range value {
			unlabel(inner)
		}
	}
}
