// SPDX-License-Identifier: Apache-2.0

package parity

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/open-policy-agent/gatekeeper/v3/pkg/gator/reader"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

const deployed = "../../deploy/policies"

// A sample is an object beside a policy's template as it is shipped, with a
// constraint and what else is in the cluster.
type sample struct {
	name       string
	allowed    bool
	template   *unstructured.Unstructured
	constraint *unstructured.Unstructured
	object     *unstructured.Unstructured
	inventory  []*unstructured.Unstructured
}

func (w *world) samples() (all []*sample) {
	w.t.Helper()
	templates := map[string]*unstructured.Unstructured{}
	for _, file := range glob(w.t, deployed, "*/template.yaml") {
		templates[filepath.Dir(file)] = w.one(file)
	}
	for _, file := range glob(w.t, deployed, "*/samples/*/example_*.yaml") {
		folder := filepath.Dir(file)
		s := &sample{
			name:     strings.TrimSuffix(strings.TrimPrefix(file, deployed+"/"), ".yaml"),
			allowed:  strings.HasPrefix(filepath.Base(file), "example_allowed"),
			template: templates[filepath.Join(folder, "../..")], constraint: w.one(filepath.Join(folder, "constraint.yaml")), object: w.one(file),
		}
		for _, other := range glob(w.t, folder, "inventory*.yaml") {
			s.inventory = append(s.inventory, w.read(other)...)
		}
		all = append(all, s)
	}
	if len(all) == 0 {
		w.t.Fatal("there are no samples")
	}
	return all
}

func glob(t testing.TB, dir, pattern string) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, pattern))
	succeeds(t, err)
	return found
}

func (w *world) one(file string) *unstructured.Unstructured {
	w.t.Helper()
	objects := w.read(file)
	if len(objects) != 1 {
		w.t.Fatalf("%s holds %d objects, want one", file, len(objects))
	}
	return objects[0]
}

// read gives the objects of a file, with the digests of what is published here
// in place of those that it names.
func (w *world) read(file string) []*unstructured.Unstructured {
	w.t.Helper()
	raw, err := os.ReadFile(file)
	succeeds(w.t, err)
	objects, err := reader.ReadUnstructureds([]byte(w.real(string(raw))))
	if err != nil {
		w.t.Fatalf("%s: %v", file, err)
	}
	return objects
}

func (w *world) real(text string) string {
	for written, published := range w.digests {
		text = strings.ReplaceAll(text, written, published)
	}
	return text
}

// Each sample is judged alike in OPA, in gator and in Gatekeeper, to the
// letter, and as its name says.
func TestSamples(t *testing.T) {
	w := newWorld(t)
	samples := w.samples()
	gator, gatekeeper := w.judged(samples)
	desk := newDesk(t)
	for _, s := range samples {
		t.Run(s.name, func(t *testing.T) {
			opa := judgement(t, desk.judge(t, s))
			if diff := cmp.Diff(opa, judgement(t, gator[s])); diff != "" {
				t.Errorf("OPA (-) and chartseal-gator (+):\n%s", diff)
			}
			if diff := cmp.Diff(opa, judgement(t, gatekeeper[s])); diff != "" {
				t.Errorf("OPA (-) and Gatekeeper (+):\n%s", diff)
			}
			if (opa == "") != s.allowed {
				t.Errorf("allowed is %t; findings are:\n%s", s.allowed, opa)
			}
		})
	}
}

// judged is what gator and then Gatekeeper say of samples. OPA can be asked
// afterwards.
func (w *world) judged(samples []*sample) (gator, gatekeeper map[*sample][]finding) {
	w.t.Helper()
	w.sit()
	judged := func(c *cluster) map[*sample][]finding {
		findings := map[*sample][]finding{}
		for _, s := range samples {
			findings[s] = c.judge(w.t, s)
		}
		return findings
	}
	w.gatorHere()
	gator = judged(newGator(w.t))
	return gator, judged(newGatekeeper(w.t, w.serve(), 30))
}
