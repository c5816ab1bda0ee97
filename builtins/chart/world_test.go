// SPDX-License-Identifier: Apache-2.0

package chart_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	helmchart "helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"sigs.k8s.io/yaml"

	"github.com/chartseal/chartseal/builtins"
	"github.com/chartseal/chartseal/builtins/builtintest"
	"github.com/chartseal/chartseal/builtins/chart"
	"github.com/chartseal/chartseal/builtins/chartref"
	"github.com/chartseal/chartseal/builtins/source"
	"github.com/chartseal/chartseal/test/forge"
)

const (
	stable   = "https://charts.example.com"
	registry = "oci://registry.example.com/charts"
)

// A world is a chart directory, a file each, and what its dependencies'
// repositories serve.
type world struct {
	files   map[string]string
	sources source.Map
	options map[string]any
}

// dep is one dependency as a chart requests it and as it is locked.
type dep struct {
	helmchart.Dependency
	locked string // version; "" for the requested one
	digest string // per-dependency, in the lock
}

func on(name, version, repository, locked string) dep {
	return dep{Dependency: helmchart.Dependency{Name: name, Version: version, Repository: repository}, locked: locked}
}

func (d dep) as(alias string) dep { d.Alias = alias; return d }

// common, db and tools are the dependencies of the chart that most tests
// start from: of a repository, of a registry, and of the chart's own folder.
var (
	common = on("common", "^1.0.0", stable, "1.0.0")
	db     = on("db", "2.x.x", registry, "2.1.0")
	tools  = on("tools", "~1.2", "", "")
)

// newWorld is a chart with these dependencies, all as it should be: locked as
// Helm would, with an archive of each in charts/ and in its repository, or a
// folder for what has no repository, which is pinned.
func newWorld(t testing.TB, deps ...dep) *world {
	t.Helper()
	w := &world{files: map[string]string{"values.yaml": "replicas: 1\n"}, sources: source.Map{}, options: map[string]any{}}
	w.declare(deps...)
	w.lock(deps...)
	for _, d := range deps {
		if d.Repository == "" {
			w.folder("charts/"+d.Name, d.Name, "1.2.3")
			continue
		}
		archive := subchart(d.Name, d.locked)
		w.files["charts/"+d.Name+"-"+d.locked+".tgz"] = string(archive)
		w.publish(d.Repository, d.Name, d.locked, archive)
	}
	if slices.ContainsFunc(deps, func(d dep) bool { return d.Repository == "" }) {
		w.pin(t)
	}
	return w
}

func subchart(name, version string, extra ...forge.Entry) []byte {
	return forge.Archive(forge.Chart(name, version, extra...)...)
}

func (w *world) declare(deps ...dep) {
	w.files["Chart.yaml"] = chartYAML("web", "1.0.0", deps...)
}

func chartYAML(name, version string, deps ...dep) string {
	var requested []*helmchart.Dependency
	for i := range deps {
		requested = append(requested, &deps[i].Dependency)
	}
	text, err := yaml.Marshal(&helmchart.Metadata{APIVersion: "v2", Name: name, Version: version, Dependencies: requested})
	if err != nil {
		panic(err)
	}
	return string(text)
}

func (w *world) lock(deps ...dep) { w.files["Chart.lock"] = lockText(deps, deps) }

// lockText is the lock of what was requested that has what is locked, its
// digest right.
func lockText(requested, locked []dep) string {
	var asked, have []*helmchart.Dependency
	for i := range requested {
		asked = append(asked, &requested[i].Dependency)
	}
	text := "generated: \"2024-01-02T03:04:05.678901234Z\"\ndependencies:\n"
	for _, d := range locked {
		version := d.locked
		if version == "" {
			version = d.Version
		}
		have = append(have, &helmchart.Dependency{Name: d.Name, Repository: d.Repository, Version: version})
		text += fmt.Sprintf("- name: %q\n  repository: %q\n  version: %q\n", d.Name, d.Repository, version)
		if d.digest != "" {
			text += "  digest: " + d.digest + "\n"
		}
	}
	if locked == nil {
		text = strings.Replace(text, "dependencies:\n", "dependencies: null\n", 1)
	}
	return text + "digest: " + chart.HashReq(asked, have) + "\n"
}

func (w *world) folder(at, name, version string, extra ...forge.Entry) {
	for _, e := range forge.Chart(name, version, extra...) {
		_, path, _ := strings.Cut(e.Name, "/")
		w.files[at+"/"+path] = e.Body
	}
}

// publish serves an archive as its repository would.
func (w *world) publish(repository, name, version string, archive []byte) {
	file := source.MapFile{Data: archive, ArchiveDigest: builtins.SHA256(archive), Repository: repository}
	if strings.HasPrefix(repository, "oci://") {
		file.Digest = builtins.SHA256(append([]byte("manifest of "), archive...))
	} else {
		file.FileName = name + "-" + version + ".tgz"
	}
	w.sources[dependencyRef(repository, name, version).String()] = file
}

func dependencyRef(repository, name, version string) chartref.Ref {
	return chartref.FromValue(map[string]any{"repository": repository, "name": name, "version": version})
}

// pin writes chartseal.lock as chartseal lock write does.
func (w *world) pin(t testing.TB) {
	t.Helper()
	delete(w.files, "chartseal.lock")
	pins, locked, err := chart.PinDependencies(t.Context(), w.env(), chartref.Parse("web"), chart.LockOKOptions{AllowFileRepositories: true})
	if err != nil {
		t.Fatalf("pinning: %v: %+v", err, locked.Findings)
	}
	w.files["chartseal.lock"] = string(pins.Bytes())
}

func (w *world) env() *builtins.Env {
	fsys := fstest.MapFS{}
	for path, content := range w.files {
		fsys[path] = &fstest.MapFile{Data: []byte(content)}
	}
	sources := maps.Clone(w.sources)
	sources["web"] = source.MapFile{Dir: fsys}
	return &builtins.Env{Now: time.Now(), Source: sources, Limits: builtins.DefaultLimits()}
}

// archive is the directory as tar would pack it.
func (w *world) archive() []byte {
	var entries []forge.Entry
	for _, path := range slices.Sorted(maps.Keys(w.files)) {
		entries = append(entries, forge.Entry{Name: "web/" + path, Body: w.files[path]})
	}
	return forge.Archive(entries...)
}

// packaged is the directory as helm package would pack it.
func (w *world) packaged(t testing.TB) []byte {
	t.Helper()
	dir := t.TempDir()
	for path, content := range w.files {
		at := filepath.Join(dir, "web", path)
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(at, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	c, err := loader.LoadDir(filepath.Join(dir, "web"))
	if err != nil {
		t.Fatal(err)
	}
	path, err := chartutil.Save(c, dir)
	if err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// report is a report with the fields of this check.
type report struct {
	builtins.Report
	chart.Locked
}

func (w *world) check(t testing.TB) report { return w.judge(t, w.env(), "web") }

// judge asks the check, and the provider as well.
func (w *world) judge(t testing.TB, env *builtins.Env, ref any) report {
	t.Helper()
	return read(t, builtintest.Ask(t, chart.LockOK, env, ref, w.opts(t)))
}

func (w *world) opts(t testing.TB) []byte {
	t.Helper()
	opts, err := json.Marshal(w.options)
	if err != nil {
		t.Fatal(err)
	}
	return opts
}

func read(t testing.TB, rep builtins.Report) report {
	t.Helper()
	text, err := json.Marshal(rep)
	if err != nil {
		t.Fatal(err)
	}
	if len(text) > 64<<10 {
		t.Errorf("report has %d bytes", len(text))
	}
	var r report
	if err := errorsOf(json.Unmarshal(text, &r.Report), json.Unmarshal(text, &r.Locked)); err != nil {
		t.Fatal(err)
	}
	return r
}

func errorsOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// want holds a report against a code and, unless they are "", against the path
// and a part of the reason of the first finding.
func (r report) want(t testing.TB, code builtins.Code, path, reason string) {
	t.Helper()
	if r.Code != code || r.Outcome != code.Outcome() || r.Verified != (code == builtins.OK) {
		t.Fatalf("%s %s, want %s: %s\n%s", r.Outcome, r.Code, code, r.Reason, r)
	}
	if code == builtins.OK {
		if len(r.Findings) != 0 {
			t.Fatalf("verified with findings: %s", r)
		}
		return
	}
	if len(r.Findings) == 0 {
		t.Fatalf("%s without a finding", r.Code)
	}
	for _, f := range r.Findings {
		if f.Code == code && (path == "" || f.Path == path) && strings.Contains(f.Reason, reason) {
			return
		}
	}
	t.Fatalf("no finding %s at %q with %q: %s", code, path, reason, r)
}

func (r report) String() string {
	var b bytes.Buffer
	for _, f := range r.Findings {
		fmt.Fprintf(&b, "  %s %s: %s\n", f.Code, f.Path, f.Reason)
	}
	for _, d := range r.Dependencies {
		fmt.Fprintf(&b, "  %+v\n", d)
	}
	for _, c := range r.Checks {
		fmt.Fprintf(&b, "  %s %s %s\n", c.Status, c.Name, c.Detail)
	}
	return b.String()
}
