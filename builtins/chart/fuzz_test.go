// SPDX-License-Identifier: Apache-2.0

package chart_test

import (
	"bytes"
	"context"
	"strings"
	"testing"

	helmchart "helm.sh/helm/v3/pkg/chart"
	"sigs.k8s.io/yaml"

	"github.com/chartseal/chartseal/builtins"
	"github.com/chartseal/chartseal/builtins/builtintest"
	"github.com/chartseal/chartseal/builtins/chart"
	"github.com/chartseal/chartseal/builtins/chartref"
	"github.com/chartseal/chartseal/builtins/source"
)

// worlds are all that the catalogue has, for a corpus.
func worlds(f *testing.F) (all []*world) {
	for _, m := range mutations {
		deps := m.deps
		if deps == nil {
			deps = []dep{common, db, tools}
		}
		w := newWorld(f, deps...)
		all = append(all, w)
		changed := newWorld(f, deps...)
		m.change(f, changed)
		all = append(all, changed)
	}
	return all
}

// What ParseLock reads, Helm reads alike.
func FuzzParseLock(f *testing.F) {
	for _, w := range worlds(f) {
		f.Add([]byte(w.files["Chart.lock"]))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		var lock *chart.Lock
		var err error
		builtintest.Bounded(t, func() { lock, err = chart.ParseLock(raw) })
		if err != nil {
			if builtins.CodeOf(err) != builtins.MalformedChart {
				t.Fatalf("%s: %v", builtins.CodeOf(err), err)
			}
			return
		}
		theirs := new(helmchart.Lock)
		if err := yaml.Unmarshal(bytes.TrimPrefix(raw, []byte("\uFEFF")), &theirs); err != nil {
			t.Fatalf("Helm refuses it: %v", err)
		}
		if ours := chart.HashReq(nil, lock.Dependencies); ours != chart.HashReq(nil, theirs.Dependencies) || lock.Digest != theirs.Digest {
			t.Fatalf("Helm reads %+v, we %+v", theirs, lock.Lock)
		}
		if len(lock.Archives) != len(lock.Dependencies) {
			t.Fatalf("%d digests for %d dependencies", len(lock.Archives), len(lock.Dependencies))
		}
	})
}

// A chartseal.lock that is read has exactly the text that its pins have.
func FuzzParsePins(f *testing.F) {
	for _, w := range worlds(f) {
		f.Add([]byte(w.files["chartseal.lock"]))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		builtintest.Bounded(t, func() {
			pins, err := chart.ParsePins(raw)
			if err == nil && !bytes.Equal(pins.Bytes(), raw) {
				t.Fatalf("%q is read as %q", raw, pins.Bytes())
			}
		})
	})
}

// Whatever an archive holds, there is a verdict with a finding, in time, and
// what is verified lacks nothing.
func FuzzLockOK(f *testing.F) {
	for _, w := range worlds(f) {
		f.Add([]byte(w.files["Chart.yaml"]), []byte(w.files["Chart.lock"]), []byte(w.files["chartseal.lock"]), []byte(w.files[tgz]), []byte(w.files[".helmignore"]))
	}
	f.Fuzz(func(t *testing.T, metadata, lock, pins, archive, ignore []byte) {
		w := newWorld(t, common)
		for path, content := range map[string][]byte{"Chart.yaml": metadata, "Chart.lock": lock, "chartseal.lock": pins, tgz: archive, ".helmignore": ignore} {
			if w.files[path] = string(content); len(content) == 0 {
				delete(w.files, path)
			}
		}
		for ref, served := range map[string]source.MapFile{"web": {}, "web.tgz": {Data: w.archive()}} {
			env := w.env()
			if served.Data != nil {
				env.Source.(source.Map)[ref] = served
			}
			var rep builtins.Report
			builtintest.Bounded(t, func() {
				rep = chart.LockOK.Call(context.Background(), env, chartref.Parse(ref), []byte(`{}`))
			})
			judged(t, rep, w)
		}
	})
}

func judged(t *testing.T, rep builtins.Report, w *world) {
	t.Helper()
	locked := rep.Evidence.(chart.Locked)
	switch {
	case rep.Code == builtins.Internal:
		t.Fatalf("internal: %s", rep.Reason)
	case rep.Verified != (len(locked.Findings) == 0):
		t.Fatalf("%s with the findings %+v", rep.Code, locked.Findings)
	case !rep.Verified:
		return
	}
	for _, d := range locked.Dependencies {
		if d.Code != builtins.OK || d.Evidence == "" {
			t.Fatalf("verified with %+v", d)
		}
	}
	if w.files[tgz] != "" && len(locked.Dependencies) == 0 && !strings.Contains(w.files["Chart.yaml"], "common") {
		t.Fatalf("verified with an undeclared archive")
	}
}
