// SPDX-License-Identifier: Apache-2.0

package cluster_test

import (
	"context"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// A sample is a folder beside a template that is shipped: a constraint, and
// objects that it allows or not.
type sample struct {
	folder     string
	constraint *unstructured.Unstructured
	inventory  []*unstructured.Unstructured
	examples   []string // files
}

// TestSamples applies the samples that are shipped as they are written.
func TestSamples(t *testing.T) {
	w := newNamedWorld(t, "--audit-interval=60")
	w.install()
	owner := w.client(w.Kubeconfig)
	for _, name := range []string{"shop", "lab", "other", "argocd", "fleet-default", "config-management-system", "platform"} {
		must(t, owner.create(t.Context(), read(t, "apiVersion: v1\nkind: Namespace\nmetadata: {name: "+name+", labels: {chart-verification: required}}\n")[0]))
	}
	for _, s := range w.samples() {
		t.Run(s.folder, func(t *testing.T) { w.sample(t, owner, s) })
	}
}

func (w *world) samples() (all []sample) {
	t := w.t
	t.Helper()
	folders, err := filepath.Glob(deploy + "/policies/*/samples/*")
	must(t, err)
	for _, folder := range folders {
		s := sample{folder: strings.TrimPrefix(folder, deploy+"/policies/"), constraint: read(t, w.charts.real(file(t, folder+"/constraint.yaml")))[0]}
		s.examples, err = filepath.Glob(folder + "/example_*.yaml")
		must(t, err)
		others, err := filepath.Glob(folder + "/inventory*.yaml")
		must(t, err)
		for _, other := range others {
			s.inventory = append(s.inventory, read(t, w.charts.real(file(t, other)))...)
		}
		all = append(all, s)
	}
	if len(all) == 0 {
		t.Fatal("there are no samples")
	}
	return all
}

// sample has the objects judged by this constraint alone. What is synced, and
// what was applied before, is known to Gatekeeper after a moment.
func (w *world) sample(t *testing.T, owner *user, s sample) {
	for _, o := range s.inventory {
		if o.GetKind() == "Namespace" {
			must(t, owner.patch(t.Context(), o, labels(t, o)))
			continue
		}
		must(t, owner.create(t.Context(), o))
		defer func() { must(t, owner.delete(context.Background(), o)) }()
	}
	action, _, _ := unstructured.NestedString(s.constraint.Object, "spec", "enforcementAction")
	if action == "dryrun" {
		must(t, unstructured.SetNestedField(s.constraint.Object, "warn", "spec", "enforcementAction")) // to be told at once
	}
	must(t, owner.create(t.Context(), s.constraint))
	defer func() { must(t, owner.delete(context.Background(), s.constraint)) }()
	w.enforced(s.constraint)
	t.Logf("applied %s %s, %s", s.constraint.GetKind(), s.constraint.GetName(), orDeny(action))
	for _, example := range s.examples {
		text := file(t, example)
		o := read(t, w.charts.real(text))[0]
		var said string
		eventually(t, filepath.Base(example), func() (err error) {
			said, err = s.judged(t, owner, o, example, text)
			return err
		})
		t.Logf("%s: %s", filepath.Base(example), said)
	}
}

func labels(t *testing.T, o *unstructured.Unstructured) string {
	t.Helper()
	raw, err := (&unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"labels": o.Object["metadata"].(map[string]any)["labels"]}}}).MarshalJSON()
	must(t, err)
	return string(raw)
}

var wanted = regexp.MustCompile(`(?m)^# message: (.*)$`)

// judged is what the API server says of an example, and whether its name and
// its message promise that.
func (s sample) judged(t *testing.T, owner *user, o *unstructured.Unstructured, example, text string) (said string, err error) {
	owner.warned()
	refused := owner.try(t.Context(), o)
	warned := owner.warned()
	by := deniers(refused)[s.constraint.GetName()]
	if at := strings.Index(warned, "["+s.constraint.GetName()+"] "); at >= 0 {
		by = warned[at:]
	}
	switch allowed := strings.HasPrefix(filepath.Base(example), "example_allowed"); {
	case allowed && by == "" && (refused == nil || apierrors.IsAlreadyExists(refused)):
		return "admitted", nil
	case allowed:
		return "", fmt.Errorf("the API server said: %v %s", refused, warned)
	case apierrors.IsBadRequest(refused) || apierrors.IsInvalid(refused):
		return fmt.Sprintf("the API server refuses it by its schema: %v", refused), nil
	case by == "":
		return "", fmt.Errorf("admitted; the API server said: %v %s", refused, warned)
	}
	if message := wanted.FindStringSubmatch(text); message != nil && !regexp.MustCompile(message[1]).MatchString(by) {
		return "", fmt.Errorf("%s says %q, want %s", s.constraint.GetName(), by, message[1])
	}
	return "the API server said: " + by, nil
}
