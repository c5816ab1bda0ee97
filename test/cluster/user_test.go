// SPDX-License-Identifier: Apache-2.0

package cluster_test

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/chartseal/chartseal/test/cluster"
)

// Of the tenant dana, who may do with charts and namespaces what she likes, as
// far as the API server's authorization is concerned.
const permissions = `apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: tenants}
rules:
- apiGroups: [GROUPS]
  resources: ["*"]
  verbs: ["*"]
- {apiGroups: [""], resources: [namespaces, secrets], verbs: ["*"]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: tenants}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: tenants}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: Group, name: tenants}]
`

// A user speaks to the API server by client-go.
type user struct {
	client    dynamic.Interface
	resources map[schema.GroupKind]schema.GroupResource

	mu       sync.Mutex
	warnings []string
}

// tenant makes the user dana.
func (w *world) tenant() *user {
	w.t.Helper()
	groups := map[string]bool{}
	for _, i := range cluster.Installers(w.t) {
		groups[i.Group] = true
	}
	w.Apply(w.t, strings.Replace(permissions, "GROUPS", strings.Join(slices.Sorted(maps.Keys(groups)), ", "), 1))
	return w.client(w.User(w.t, "dana", "tenants"))
}

// client is whoever has the kubeconfig.
func (w *world) client(kubeconfig string) *user {
	w.t.Helper()
	u := &user{resources: map[schema.GroupKind]schema.GroupResource{
		{Kind: "Namespace"}: {Resource: "namespaces"}, {Kind: "Secret"}: {Resource: "secrets"},
	}}
	for _, i := range cluster.Installers(w.t) {
		u.resources[schema.GroupKind{Group: i.Group, Kind: i.Kind}] = i.Resource()
	}
	for _, policy := range policies(w.t) {
		kind := read(w.t, template(w.t, policy))[0]
		name, _, _ := unstructured.NestedString(kind.Object, "spec", "crd", "spec", "names", "kind")
		u.resources[schema.GroupKind{Group: constraints, Kind: name}] = schema.GroupResource{Group: constraints, Resource: strings.ToLower(name)}
	}
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	must(w.t, err)
	config.QPS, config.WarningHandler, config.Timeout = -1, u, time.Minute
	u.client, err = dynamic.NewForConfig(config)
	must(w.t, err)
	return u
}

const constraints = "constraints.gatekeeper.sh"

var _ rest.WarningHandler = new(user)

// HandleWarningHeader keeps what the API server warns of.
func (u *user) HandleWarningHeader(_ int, _, text string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.warnings = append(u.warnings, text)
}

// warned gives the warnings so far, and forgets them.
func (u *user) warned() string {
	u.mu.Lock()
	defer u.mu.Unlock()
	all := strings.Join(u.warnings, "\n")
	u.warnings = nil
	return all
}

func (u *user) at(o *unstructured.Unstructured) dynamic.ResourceInterface {
	kind := o.GroupVersionKind()
	resource := u.client.Resource(u.resources[kind.GroupKind()].WithVersion(kind.Version))
	if o.GetNamespace() == "" {
		return resource
	}
	return resource.Namespace(o.GetNamespace())
}

func (u *user) create(ctx context.Context, o *unstructured.Unstructured) error {
	_, err := u.at(o).Create(ctx, o, metav1.CreateOptions{})
	return err
}

// try is create in a dry run.
func (u *user) try(ctx context.Context, o *unstructured.Unstructured) error {
	_, err := u.at(o).Create(ctx, o, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
	return err
}

// update puts the object into the place of the one that is there.
func (u *user) update(ctx context.Context, o *unstructured.Unstructured) error {
	now, err := u.at(o).Get(ctx, o.GetName(), metav1.GetOptions{})
	if err != nil {
		return err
	}
	next := o.DeepCopy()
	next.SetResourceVersion(now.GetResourceVersion())
	_, err = u.at(o).Update(ctx, next, metav1.UpdateOptions{})
	return err
}

func (u *user) patch(ctx context.Context, o *unstructured.Unstructured, change string) error {
	_, err := u.at(o).Patch(ctx, o.GetName(), types.MergePatchType, []byte(change), metav1.PatchOptions{})
	return err
}

func (u *user) delete(ctx context.Context, o *unstructured.Unstructured) error {
	return u.at(o).Delete(ctx, o.GetName(), metav1.DeleteOptions{})
}

// changed is the object with a merge patch.
func changed(t testing.TB, o *unstructured.Unstructured, change map[string]any) *unstructured.Unstructured {
	t.Helper()
	raw, err := json.Marshal(merged(o.Object, change))
	must(t, err)
	var next unstructured.Unstructured
	must(t, json.Unmarshal(raw, &next.Object))
	return &next
}

func merged(value, change map[string]any) map[string]any {
	next := maps.Clone(value)
	if next == nil {
		next = map[string]any{}
	}
	for name, to := range change {
		inner, ok := to.(map[string]any)
		switch {
		case to == nil:
			delete(next, name)
		case ok:
			before, _ := next[name].(map[string]any)
			next[name] = merged(before, inner)
		default:
			next[name] = to
		}
	}
	return next
}
