// SPDX-License-Identifier: Apache-2.0

package chart_test

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	helmchart "helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chart/loader"

	"github.com/chartseal/chartseal/builtins"
	"github.com/chartseal/chartseal/builtins/chart"
	"github.com/chartseal/chartseal/builtins/source"
	"github.com/chartseal/chartseal/test/forge"
)

// seen is all that Helm renders a chart from, and what lies in it: by path,
// with subcharts beneath their names.
func seen(c *helmchart.Chart, below string, into map[string]string) map[string]string {
	for _, f := range append(c.Templates, c.Files...) {
		into[below+f.Name] = string(f.Data)
	}
	values, _ := json.Marshal(c.Values)
	metadata, _ := json.Marshal(c.Metadata)
	into[below+" values"], into[below+" schema"], into[below+" metadata"] = string(values), string(c.Schema), string(metadata)
	for _, sub := range c.Dependencies() {
		seen(sub, below+"charts/"+sub.Name()+"/", into)
	}
	return into
}

// dependency is what Helm sees of the dependency of that name.
func dependency(c *helmchart.Chart, name string) map[string]string {
	for _, sub := range c.Dependencies() {
		if sub.Name() == name {
			return seen(sub, "", map[string]string{})
		}
	}
	return nil
}

// onlyLost says whether here has nothing that is not in published; a .prov may
// be gone.
func onlyLost(here, published map[string]string) (path string, ok bool) {
	for path, content := range here {
		if want, known := published[path]; !known || want != content {
			return path, false
		}
	}
	for path := range published {
		if _, there := here[path]; !there && !strings.HasSuffix(path, ".prov") {
			return path, false
		}
	}
	return "", true
}

// The dependencies of common, where it is disguised.
var (
	innerDep = on("inner", "1.0.0", stable, "1.0.0")
	oldDep   = on("old", "1.0.0", stable, "1.0.0")
)

// genuine is what the repository of common serves.
func genuine() []forge.Entry {
	old := strings.Replace(chartYAML("old", "1.0.0"), "v2", "v1", 1)
	return []forge.Entry{
		{Name: "Chart.yaml", Body: chartYAML("common", "1.0.0", innerDep, oldDep)},
		{Name: "Chart.lock", Body: lockText([]dep{innerDep, oldDep}, []dep{innerDep, oldDep})},
		{Name: "values.yaml", Body: "a: 1\n"},
		{Name: "values.schema.json", Body: "{}"},
		{Name: "README.md", Body: "x\n"},
		{Name: ".helmignore", Body: "x\n"},
		{Name: "crds/a.yaml", Body: "kind: A\n"},
		{Name: "files/a.txt", Body: "x\n"},
		{Name: "templates/_helpers.tpl", Body: "{{- define \"x\" }}x{{ end }}"},
		{Name: "templates/a.yaml", Body: "kind: {{ .Values.a }}\n"},
		{Name: "charts/inner-1.0.0.tgz", Body: string(subchart("inner", "1.0.0"))},
		{Name: "charts/old/Chart.yaml", Body: old},
		{Name: "charts/old/requirements.yaml", Body: "dependencies: []\n"},
		{Name: "charts/old/templates/o.yaml", Body: "kind: O\n"},
	}
}

// A disguise changes the files of an unpacked common. That is what lies in
// charts/, beside what its repository serves; or it is packed again, where the
// files of the folder are pinned.
type disguise struct {
	name             string
	apply            func(files map[string]string)
	folder, repacked builtins.Code
}

const (
	ok          = builtins.OK
	tampered    = builtins.DependencyTampered
	unverified  = builtins.ContentUnverified
	undeclared  = builtins.DependencyUndeclared
	missing     = builtins.DependencyMissing
	duplicate   = builtins.DependencyDuplicate
	ambiguous   = builtins.AmbiguousArchive
	noChart     = builtins.NotAChart
	malformed   = builtins.MalformedChart
	lockMissing = builtins.LockMissing
)

// emptyLock is of what requests an empty list.
var emptyLock = "dependencies: null\ndigest: " + chart.HashReq([]*helmchart.Dependency{}, nil) + "\n"

func added(path, content string) func(map[string]string) {
	return func(files map[string]string) { files[path] = content }
}

func appended(path, content string) func(map[string]string) {
	return func(files map[string]string) { files[path] += content }
}

func renamed(from, to string) func(map[string]string) {
	return func(files map[string]string) { files[to] = files[from]; delete(files, from) }
}

func dropped(path string) func(map[string]string) {
	return func(files map[string]string) { delete(files, path) }
}

// requesting writes Chart.yaml and a lock that follows from it.
func requesting(deps ...dep) func(map[string]string) {
	return func(files map[string]string) {
		files["Chart.yaml"], files["Chart.lock"] = chartYAML("common", "1.0.0", deps...), lockText(deps, deps)
	}
}

func (d dep) with(edit func(*dep)) dep { edit(&d); return d }

func inside(path string, extra ...forge.Entry) func(map[string]string) {
	return added(path, string(subchart("inner", "1.0.0", extra...)))
}

func pod(path string) forge.Entry { return forge.Entry{Name: path, Body: "kind: Pod\n"} }

var disguises = []disguise{
	{"template more", added("templates/b.yaml", "kind: Pod\n"), tampered, tampered},
	{"template changed", appended("templates/a.yaml", "---\nkind: Pod\n"), tampered, tampered},
	{"template less", dropped("templates/a.yaml"), tampered, tampered},
	{"template renamed", renamed("templates/a.yaml", "templates/z.yaml"), tampered, tampered},
	{"template hidden by a dot", added("templates/.b.yaml", "kind: Pod\n"), tampered, tampered},
	{"template hidden by an underscore", added("templates/_b.yaml", "kind: Pod\n"), tampered, tampered},
	{"template in a folder", added("templates/b/c/d.yaml", "kind: Pod\n"), tampered, tampered},
	{"template called like a test", added("templates/tests/b.yaml", "kind: Pod\n"), tampered, tampered},
	{"template that is NOTES.txt", added("templates/NOTES.txt", "x"), tampered, tampered},
	{"template that is empty", added("templates/empty.yaml", ""), tampered, tampered},
	{"template with a .prov", added("templates/b.yaml.prov", "kind: Pod\n"), ok, unverified},
	{"template that is .prov", added("templates/.prov", "kind: Pod\n"), ok, unverified},
	{"template with a .PROV", added("templates/b.PROV", "kind: Pod\n"), tampered, tampered},
	{"template with an odd case", added("templates/A.YAML.yaml", "kind: Pod\n"), tampered, tampered},
	{"template twin in case", added("templates/A.yaml", "kind: Pod\n"), ambiguous, tampered},
	{"folder twin in case", added("Templates/a.yaml", "kind: Pod\n"), ambiguous, tampered},
	{"folder twin in charts", added("charts/Inner/templates/x.yaml", "kind: Pod\n"), noChart, tampered},
	{"twin with a sharp s", added("templates/ſ.yaml", "kind: Pod\n"), tampered, tampered},
	{"two twins in normalisation", func(f map[string]string) { f["templates/caf\u00e9"], f["templates/cafe\u0301"] = "a", "b" }, ambiguous, tampered},
	{"name with a zero width space", added("templates/a\u200b.yaml", "kind: Pod\n"), ambiguous, tampered},
	{"name with a full width letter", added("templates/\uff41.yaml", "kind: Pod\n"), tampered, tampered},
	{"name with a backslash", added(`templates\b.yaml`, "kind: Pod\n"), ambiguous, tampered},
	{"name with a blank at the end", added("templates/a.yaml ", "kind: Pod\n"), tampered, tampered},
	{"name with a newline, as a line of the digest", added("templates/b\n00  c", "kind: Pod\n"), ambiguous, tampered},
	{"file called like the folder templates", func(f map[string]string) {
		for path := range maps.Clone(f) {
			if strings.HasPrefix(path, "templates/") {
				delete(f, path)
			}
		}
		f["templates"] = "x"
	}, tampered, tampered},
	{"file called like the folder crds", func(f map[string]string) { delete(f, "crds/a.yaml"); f["crds"] = "kind: Pod\n" }, tampered, tampered},
	{"helper redefined", appended("templates/_helpers.tpl", "{{ define \"x\" }}evil{{ end }}"), tampered, tampered},
	{"helper more", added("templates/_more.tpl", "{{ define \"x\" }}evil{{ end }}"), tampered, tampered},
	{"CRD more", added("crds/b.yaml", "kind: Pod\n"), tampered, tampered},
	{"CRD changed", appended("crds/a.yaml", "---\nkind: B\n"), tampered, tampered},
	{"values changed", appended("values.yaml", "b: 1\n"), tampered, tampered},
	{"values behind a byte order mark", added("values.yaml", "\uFEFFa: 2\n"), tampered, tampered},
	{"values with a byte order mark", added("values.yaml", "\uFEFFa: 1\n"), ok, ok},
	{"values with two byte order marks", added("values.yaml", "\uFEFF\uFEFFa: 1\n"), tampered, tampered},
	{"values called values.yml", added("values.yml", "a: 2\n"), tampered, tampered},
	{"values less", dropped("values.yaml"), tampered, tampered},
	{"schema changed", added("values.schema.json", "{\"a\":1}"), tampered, tampered},
	{"schema empty", added("values.schema.json", ""), tampered, tampered},
	{"schema less", dropped("values.schema.json"), tampered, tampered},
	{"file for .Files", added("files/b.txt", "x"), tampered, tampered},
	{"file for .Files, hidden", added("files/.b", "x"), tampered, tampered},
	{"file for .Files, a .prov", added("files/b.prov", "x"), ok, unverified},
	{".helmignore in it", added(".helmignore", "templates/\n"), tampered, tampered},
	{".helmignore less", dropped(".helmignore"), tampered, tampered},
	{"description changed", appended("Chart.yaml", "description: x\n"), tampered, tampered},
	{"comment in Chart.yaml", appended("Chart.yaml", "# x\n"), ok, ok},
	{"field unknown to Helm", appended("Chart.yaml", "evil: x\n"), ok, ok},
	{"alias in Chart.yaml", requesting(innerDep.as("x"), oldDep), tampered, tampered},
	{"alias in Chart.yaml that is another's name", requesting(innerDep.as("old"), oldDep.as("inner")), tampered, tampered},
	{"condition in Chart.yaml", requesting(innerDep.with(func(d *dep) { d.Condition = "x" }), oldDep), tampered, tampered},
	{"tags in Chart.yaml", requesting(innerDep.with(func(d *dep) { d.Tags = []string{"x"} }), oldDep), tampered, tampered},
	{"import-values in Chart.yaml", requesting(innerDep.with(func(d *dep) { d.ImportValues = []any{"x"} }), oldDep), tampered, tampered},
	{"range in Chart.yaml", requesting(innerDep.with(func(d *dep) { d.Version, d.locked = "*", "1.0.0" }), oldDep), tampered, tampered},
	{"dependencies in another order", requesting(oldDep, innerDep), tampered, tampered},
	{"digest in the lock", func(f map[string]string) {
		locked := []dep{pinned(innerDep, builtins.SHA256([]byte(f["charts/inner-1.0.0.tgz"]))), oldDep}
		f["Chart.lock"] = lockText([]dep{innerDep, oldDep}, locked)
	}, ok, ok},
	{"field with an odd case", appended("Chart.yaml", "Type: library\n"), malformed, tampered},
	{"type library", appended("Chart.yaml", "type: library\n"), tampered, tampered},
	{"kubeVersion", appended("Chart.yaml", "kubeVersion: '>=1'\n"), tampered, tampered},
	{"generated in the lock", func(f map[string]string) {
		f["Chart.lock"] = strings.Replace(f["Chart.lock"], "2024", "2025", 1)
	}, tampered, tampered},
	{"comment in the lock", appended("Chart.lock", "# x\n"), ok, ok},
	{"lock less", dropped("Chart.lock"), lockMissing, lockMissing},
	{"requirements.yaml in v2", added("requirements.yaml", "dependencies: []\n"), malformed, tampered},
	{"requirements.lock in v2", added("requirements.lock", "dependencies: []\n"), malformed, tampered},
	{"requirements.yaml in v1 that renames", appended("charts/old/requirements.yaml", "name: other\n"), malformed, tampered},
	{"requirements.yaml in v1 that makes it v2", appended("charts/old/requirements.yaml", "apiVersion: v2\n"), malformed, tampered},
	{"requirements.yaml in v1 with a comment", appended("charts/old/requirements.yaml", "# x\n"), tampered, tampered},
	{"requirements.yaml in v1 less", dropped("charts/old/requirements.yaml"), tampered, tampered},
	{"requirements.lock in v1", added("charts/old/requirements.lock", emptyLock), tampered, tampered},
	{"Chart.lock in v1", added("charts/old/Chart.lock", emptyLock), ok, ok},
	{"chartseal.lock", added("chartseal.lock", string(chart.Pins{}.Bytes())), tampered, tampered},
	{"subchart more", added("charts/evil-1.0.0.tgz", string(subchart("evil", "1.0.0"))), undeclared, undeclared},
	{"subchart more, unpacked", added("charts/evil/Chart.yaml", chartYAML("evil", "1.0.0")), undeclared, undeclared},
	{"subchart twice", added("charts/inner/Chart.yaml", chartYAML("inner", "1.0.0")), duplicate, duplicate},
	{"subchart in a folder of another name", func(f map[string]string) {
		delete(f, "charts/inner-1.0.0.tgz")
		for _, e := range forge.Chart("inner", "1.0.0") {
			f["charts/"+strings.Replace(e.Name, "inner/", "shop/", 1)] = e.Body
		}
	}, ok, ok},
	{"subcharts in each other's folders", func(f map[string]string) {
		delete(f, "charts/inner-1.0.0.tgz")
		for _, path := range []string{"Chart.yaml", "requirements.yaml", "templates/o.yaml"} {
			renamed("charts/old/"+path, "charts/inner/"+path)(f)
		}
		for _, e := range forge.Chart("inner", "1.0.0") {
			f["charts/"+strings.Replace(e.Name, "inner/", "old/", 1)] = e.Body
		}
	}, ok, ok},
	{"subchart hidden by an underscore", added("charts/_evil/templates/x.yaml", "kind: Pod\n"), ok, ok},
	{"subchart hidden by a dot", added("charts/.evil-1.0.0.tgz", string(subchart("evil", "1.0.0"))), ok, ok},
	{"subchart moved behind an underscore", renamed("charts/inner-1.0.0.tgz", "charts/_inner-1.0.0.tgz"), missing, missing},
	{"subchart in a folder called .tgz", added("charts/x.tgz/Chart.yaml", chartYAML("evil", "1.0.0")), ambiguous, tampered},
	{"subchart called .TGZ", added("charts/x.TGZ", string(subchart("evil", "1.0.0"))), noChart, tampered},
	{"subchart called .tar.gz", added("charts/x.tar.gz", string(subchart("evil", "1.0.0"))), noChart, tampered},
	{"subchart in a folder called .prov", added("charts/x.prov/Chart.yaml", chartYAML("evil", "1.0.0")), undeclared, undeclared},
	{"subchart with a byte order mark", func(f map[string]string) { f["charts/inner-1.0.0.tgz"] = "\uFEFF" + f["charts/inner-1.0.0.tgz"] }, unverified, tampered},
	{"subchart with another gzip behind it", func(f map[string]string) { f["charts/inner-1.0.0.tgz"] += string(subchart("evil", "1.0.0")) }, unverified, tampered},
	{"subchart packed anew", inside("charts/inner-1.0.0.tgz", forge.Entry{Name: "charts/_x/y", Body: "x"}), ok, ok},
	{"subchart with a template more", inside("charts/inner-1.0.0.tgz", pod("templates/x.yaml")), tampered, tampered},
	{"subchart with a .prov among templates", inside("charts/inner-1.0.0.tgz", pod("templates/x.prov")), tampered, unverified},
	{"subchart with a .prov in its charts", inside("charts/inner-1.0.0.tgz", pod("charts/x.prov")), tampered, unverified},
	{"subchart with a .prov deep in its charts", inside("charts/inner-1.0.0.tgz", pod("charts/x/templates/y.prov")), tampered, unverified},
	{"subchart with a .prov behind an underscore", inside("charts/inner-1.0.0.tgz", pod("charts/_x/y.prov")), tampered, unverified},
	{"subchart with a .prov that is hidden", inside("charts/inner-1.0.0.tgz", pod("charts/.prov")), tampered, unverified},
	{".prov of a subchart", added("charts/inner-1.0.0.tgz.prov", "x"), ok, unverified},
	{".prov in a subchart", added("charts/old/templates/x.prov", "kind: Pod\n"), ok, unverified},
	{".prov in charts", added("charts/x.prov", "kind: Pod\n"), ok, unverified},
	{".prov behind an underscore", added("charts/_x/y.prov", "kind: Pod\n"), ok, unverified},
}

// Whatever is done to the files of a dependency: what is verified is, for Helm,
// what was published.
func TestDisguises(t *testing.T) {
	t.Parallel()
	published := forge.Archive(forge.Beneath("common", genuine()...)...)
	original, err := loader.LoadArchive(bytes.NewReader(published))
	if err != nil {
		t.Fatal(err)
	}
	want := seen(original, "", map[string]string{})
	twin := disguise{"as published", func(map[string]string) {}, ok, ok}
	for _, d := range append([]disguise{twin}, disguises...) {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, common)
			delete(w.files, tgz)
			w.publish(stable, "common", "1.0.0", published)
			w.unpack(genuine()...)
			w.check(t).want(t, ok, "", "")
			w.pin(t)
			pins := w.files["chartseal.lock"]
			delete(w.files, "chartseal.lock")

			entries := d.disguised()
			w.unpack(entries...)
			w.faithful(t, "folder", d.folder, want)

			w.unpack()
			w.files[tgz], w.files["chartseal.lock"] = string(forge.Archive(forge.Beneath("common", entries...)...)), pins
			w.options["content"] = []string{"lock"}
			w.faithful(t, "packed again", d.repacked, want)
		})
	}
}

func (d disguise) disguised() (entries []forge.Entry) {
	files := map[string]string{}
	for _, e := range genuine() {
		files[e.Name] = e.Body
	}
	d.apply(files)
	for path, content := range files {
		entries = append(entries, forge.Entry{Name: path, Body: content})
	}
	return entries
}

// unpack has the entries as the folder of common, in place of what is there.
func (w *world) unpack(entries ...forge.Entry) {
	maps.DeleteFunc(w.files, func(path, _ string) bool { return strings.HasPrefix(path, "charts/common/") })
	for _, e := range entries {
		w.files["charts/common/"+e.Name] = e.Body
	}
}

// faithful judges the chart as a directory and as an archive. Where it is
// verified, Helm sees of common what want has.
func (w *world) faithful(t *testing.T, place string, code builtins.Code, want map[string]string) {
	t.Helper()
	env := w.env()
	env.Source.(source.Map)["web.tgz"] = source.MapFile{Data: w.archive()}
	for _, ref := range []string{"web", "web.tgz"} {
		r := w.judge(t, env, ref)
		r.want(t, code, "", "")
		if !r.Verified {
			continue
		}
		c, err := w.loaded(t, ref)
		if err != nil {
			t.Fatalf("%s, %s: verified, and Helm refuses it: %v", place, ref, err)
		}
		if path, ok := onlyLost(dependency(c, "common"), want); !ok {
			t.Errorf("%s, %s: verified, and Helm sees another %q", place, ref, path)
		}
	}
}

// loaded is what Helm makes of the chart, as that reference leads to it.
func (w *world) loaded(t *testing.T, ref string) (*helmchart.Chart, error) {
	t.Helper()
	if ref != "web" {
		return loader.LoadArchive(bytes.NewReader(w.archive()))
	}
	dir := t.TempDir()
	for path, content := range w.files {
		at := filepath.Join(dir, path)
		if err := errorsOf(os.MkdirAll(filepath.Dir(at), 0o755), os.WriteFile(at, []byte(content), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	return loader.LoadDir(dir)
}
