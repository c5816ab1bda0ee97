// SPDX-License-Identifier: Apache-2.0

package cluster_test

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"crypto/ecdsa"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// artifact is an OCIRepository of a chart, right in all but perhaps its signature.
func (w *world) artifact(t testing.TB, name, repo, tag string) *unstructured.Unstructured {
	t.Helper()
	return read(t, w.charts.real(fmt.Sprintf(`apiVersion: source.toolkit.fluxcd.io/v1
kind: OCIRepository
metadata: {name: %s, namespace: shop}
spec:
  interval: 10m
  url: oci://registry.example.com/%s
  ref: {tag: %q}
  layerSelector: {mediaType: application/vnd.cncf.helm.chart.content.v1.tar+gzip, operation: copy}
  verify: {provider: cosign, secretRef: {name: cosign-key}}
`, name, repo, tag)))[0]
}

// exemptions lets pass what an exemption or a token names, until it ends, and
// warns of it.
func (w *world) exemptions(t *testing.T, dana *user) {
	dana.warned()
	exempt := w.artifact(t, "exempt", "platform/exempt", "1.2.3")
	must(t, dana.create(t.Context(), exempt))
	said := dana.warned()
	t.Logf("CREATE of an unsigned chart with an exemption: admitted; the API server said: Warning: %s", said)
	if !strings.Contains(said, "[exempt] spec: ") || !strings.Contains(said, "it is being replaced") {
		t.Error("nobody is told of the exemption")
	}
	denied(t, "CREATE with an exemption that expired", dana.create(t.Context(), w.artifact(t, "expired", "platform/expired", "1.2.3")),
		change{By: []string{"trusted"}, Says: "expired at 2020-01-01T00:00:00Z"})
	location := w.charts.real("oci://registry.example.com/platform/unsigned")
	claims := map[string]any{"aud": "chartseal", "namespace": "shop", "chart": location, "digest": "any", "ticket": "OPS-7", "exp": time.Now().Add(time.Hour).Unix()}
	broken := w.artifact(t, "broken", "platform/unsigned", "1.2.3")
	broken.SetAnnotations(map[string]string{"chartseal.dev/break-glass": token(t, claims)})
	must(t, dana.create(t.Context(), broken))
	said = dana.warned()
	t.Logf("CREATE of an unsigned chart with a break-glass token: admitted; the API server said: Warning: %s", said)
	if !strings.Contains(said, "OPS-7") {
		t.Error("nobody is told of the ticket")
	}
	for name, twin := range map[string]struct {
		change map[string]any
		says   string
	}{
		"expired":               {map[string]any{"exp": time.Now().Add(-time.Minute).Unix()}, "break-glass token expired"},
		"for another namespace": {map[string]any{"namespace": "lab"}, "is for namespace"},
		"for another chart":     {map[string]any{"chart": location + "-not"}, "is for "},
		"without a ticket":      {map[string]any{"ticket": ""}, "no ticket"},
	} {
		o := w.artifact(t, "twin", "platform/unsigned", "1.2.3")
		o.SetAnnotations(map[string]string{"chartseal.dev/break-glass": token(t, merged(claims, twin.change))})
		denied(t, "CREATE with a token "+name, dana.create(t.Context(), o), change{By: []string{"trusted"}, Says: twin.says})
	}
	forged := w.artifact(t, "forged", "platform/unsigned", "1.2.3")
	good := token(t, claims)
	forged.SetAnnotations(map[string]string{"chartseal.dev/break-glass": good[:strings.LastIndex(good, ".")+1] + strings.Repeat("A", 86)})
	denied(t, "CREATE with a forged token", dana.create(t.Context(), forged), change{By: []string{"trusted"}, Says: "is forged"})
	dana.warned()
	must(t, dana.delete(t.Context(), exempt))
	must(t, dana.delete(t.Context(), broken))
}

// token is a compact JWS of whoever may break the glass.
func token(t testing.TB, claims map[string]any) string {
	t.Helper()
	raw, err := json.Marshal(claims)
	must(t, err)
	text := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"ES256","typ":"JWT"}`)) + "." + base64.RawURLEncoding.EncodeToString(raw)
	digest := sha256.Sum256([]byte(text))
	r, s, err := ecdsa.Sign(rand.Reader, signingKey(breakGlass), digest[:])
	must(t, err)
	return text + "." + base64.RawURLEncoding.EncodeToString(append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...))
}

// beside has what a constraint demands in the wrong place, past kubectl's own
// validation: the API server keeps it, so the policy denies everything for it.
func (w *world) beside(t *testing.T, dana *user) {
	const misplaced = "apiVersion: constraints.gatekeeper.sh/v1beta1\nkind: PinnedCharts\nmetadata: {name: misplaced}\nspec: {match: {namespaces: [shop]}, parameters: {digest: required}}\n"
	good := w.artifact(t, "pinned", "platform/web", "1.2.3")
	must(t, dana.try(t.Context(), good))
	w.Kubectl(t, misplaced, "apply", "--validate=false", "-f", "-")
	w.enforced(read(t, misplaced)[0])
	denied(t, "CREATE under a constraint with digest beside options", dana.create(t.Context(), good),
		change{By: []string{"misplaced"}, Says: "(beside options) digest is not allowed"})
	w.Kubectl(t, "", "delete", "pinnedcharts.constraints.gatekeeper.sh", "misplaced")
	eventually(t, "the constraint to go", func() error { return dana.try(t.Context(), good) })
}

// namespaces cannot escape.
func (w *world) namespaces(t *testing.T, dana *user) {
	lab := read(t, "apiVersion: v1\nkind: Namespace\nmetadata: {name: lab}\n")[0]
	denied(t, "CREATE Namespace lab without the label", dana.create(t.Context(), lab), change{By: []string{"namespaces"}, Says: "lacks chart-verification=required"})
	lab.SetLabels(map[string]string{"chart-verification": "required"})
	must(t, dana.create(t.Context(), lab))
	t.Log("CREATE Namespace lab with the label: admitted")
	err := dana.patch(t.Context(), lab, `{"metadata": {"labels": {"chart-verification": null}}}`)
	denied(t, "PATCH that takes the label away", err, change{By: []string{"namespaces"}, Says: "lacks chart-verification=required"})
	err = dana.patch(t.Context(), lab, `{"metadata": {"labels": {"admission.gatekeeper.sh/ignore": "yes"}}}`)
	t.Logf("PATCH that sets Gatekeeper's ignore label: the API server said: %v", err)
	if err == nil {
		t.Error("a tenant can have Gatekeeper ignore a namespace")
	}
}

// words are other ways of asking: kubectl, server-side apply, a dry run,
// generateName.
func (w *world) words(t *testing.T, dana *user) {
	kubeconfig := "--kubeconfig=" + w.User(t, "dana", "tenants")
	good, bad := manifest(t, w.artifact(t, "kubectl", "platform/web", "1.2.3")), manifest(t, w.artifact(t, "kubectl", "platform/unsigned", "1.2.3"))
	for _, args := range [][]string{{"apply"}, {"apply", "--server-side"}, {"apply", "--server-side", "--dry-run=server"}, {"create", "--dry-run=server"}} {
		_, err := w.TryKubectl(t, bad, append(args, kubeconfig, "-f", "-")...)
		t.Logf("kubectl %s: %v", strings.Join(args, " "), err)
		if err == nil || !strings.Contains(err.Error(), "[trusted] spec: ") {
			t.Errorf("kubectl %s of an unsigned chart: %v", strings.Join(args, " "), err)
		}
	}
	t.Log("kubectl apply: " + w.Kubectl(t, good, "apply", kubeconfig, "-f", "-"))
	if _, err := w.TryKubectl(t, bad, "apply", kubeconfig, "-f", "-"); err == nil {
		t.Error("kubectl apply changes a signed chart into an unsigned one")
	}
	w.Kubectl(t, good, "delete", kubeconfig, "-f", "-")
	nameless := w.artifact(t, "", "platform/unsigned", "1.2.3")
	nameless.SetGenerateName("web-")
	denied(t, "CREATE with generateName", dana.create(t.Context(), nameless), change{By: []string{"trusted"}, Says: "cosign.verify"})
}

// road is the one from dryrun over warn to deny: the constraint's status lists
// what would be denied, then users are warned, then it is denied.
func (w *world) road(t *testing.T, dana *user) {
	trusted := w.constraints()["trusted"]
	w.act(t, trusted, "dryrun")
	dana.warned()
	old := w.artifact(t, "old", "platform/unsigned", "1.2.3")
	old.SetFinalizers([]string{"finalizers.fluxcd.io/source"})
	must(t, dana.create(t.Context(), old))
	t.Logf("CREATE of an unsigned chart under dryrun: admitted, warnings %q", dana.warned())
	w.audited(t, trusted, old)
	w.act(t, trusted, "warn")
	next := w.artifact(t, "next", "platform/unsigned", "1.2.3")
	must(t, dana.create(t.Context(), next))
	said := dana.warned()
	t.Logf("CREATE of an unsigned chart under warn: admitted; the API server said: Warning: %s", said)
	if !strings.Contains(said, "[trusted] spec: ") {
		t.Error("warn does not warn")
	}
	must(t, dana.delete(t.Context(), next))
	w.act(t, trusted, "deny")
	denied(t, "CREATE under deny", dana.create(t.Context(), next), change{By: []string{"trusted"}, Says: "cosign.verify"})
	w.finalizer(t, dana, old)
}

// act changes the constraint's enforcementAction as an owner does.
func (w *world) act(t *testing.T, c *unstructured.Unstructured, action string) {
	t.Helper()
	w.Kubectl(t, "", "patch", strings.ToLower(c.GetKind())+".constraints.gatekeeper.sh", c.GetName(), "--type=merge", "-p", `{"spec": {"enforcementAction": "`+action+`"}}`)
	w.enforced(c)
	t.Logf("patched %s %s: enforcementAction %s", c.GetKind(), c.GetName(), action)
}

// audited waits until the constraint's status tells of the object.
func (w *world) audited(t *testing.T, c, o *unstructured.Unstructured) {
	t.Helper()
	eventually(t, "the audit", func() error {
		now := read(t, w.Kubectl(t, "", "get", strings.ToLower(c.GetKind())+".constraints.gatekeeper.sh", c.GetName(), "-o", "json"))[0]
		violations, _, _ := unstructured.NestedSlice(now.Object, "status", "violations")
		for _, each := range violations {
			if v := each.(map[string]any); v["name"] == o.GetName() && v["namespace"] == o.GetNamespace() {
				t.Logf("status of %s %s: %v %v/%v: %v", c.GetKind(), c.GetName(), v["enforcementAction"], v["namespace"], v["name"], v["message"])
				return nil
			}
		}
		return fmt.Errorf("%v", violations)
	})
}

// finalizer lets go an object that is being deleted and no longer complies, and
// nothing else about it.
func (w *world) finalizer(t *testing.T, dana *user, o *unstructured.Unstructured) {
	w.Kubectl(t, "", "patch", "ocirepository", o.GetName(), "-n", o.GetNamespace(), "--subresource=status", "--type=merge", "-p", `{"status": {"observedGeneration": 1}}`)
	t.Log("PATCH of the status of an object that no longer complies: admitted")
	err := dana.patch(t.Context(), o, `{"metadata": {"labels": {"a": "b"}}}`)
	denied(t, "PATCH of an object that no longer complies", err, change{By: []string{"trusted"}, Says: "cosign.verify"})
	must(t, dana.delete(t.Context(), o))
	err = dana.patch(t.Context(), o, `{"spec": {"interval": "1m"}}`)
	denied(t, "PATCH of its spec while it is being deleted", err, change{By: []string{"trusted"}, Says: "cosign.verify"})
	must(t, dana.patch(t.Context(), o, `{"metadata": {"finalizers": null}}`))
	eventually(t, "the object to go", func() error {
		_, err := w.TryKubectl(t, "", "get", "ocirepository", o.GetName(), "-n", o.GetNamespace())
		if err == nil {
			return fmt.Errorf("%s is still there", o.GetName())
		}
		return nil
	})
	t.Log("PATCH that takes its finalizer away: admitted, and it is gone")
}
