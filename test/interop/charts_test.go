// SPDX-License-Identifier: Apache-2.0

package interop_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A source is a chart's directory, ready for helm package.
type source struct {
	name, version string
	dir           string
}

// sources are charts of every shape: Gatekeeper's own, and ours with many
// files, with subcharts as folder and as archive, of apiVersion v1 with its
// dependencies in a file of their own, and with build metadata.
func sources(t testing.TB) []source {
	t.Helper()
	all := []source{gatekeeper(t)}
	for _, make := range []func(testing.TB) source{manyFiles, subcharts, v1WithRequirements, buildMetadata} {
		all = append(all, make(t))
	}
	return all
}

// gatekeeper is the chart that Gatekeeper ships.
func gatekeeper(t testing.TB) source {
	t.Helper()
	dir := filepath.Join(folder(t), "gatekeeper")
	if err := os.CopyFS(dir, os.DirFS(tool(t, "gatekeeper"))); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(read(t, filepath.Join(dir, "Chart.yaml")))) {
		if version, ok := strings.CutPrefix(line, "version: "); ok {
			return source{"gatekeeper", strings.TrimSpace(version), dir}
		}
	}
	t.Fatal("Gatekeeper's Chart.yaml has no version")
	return source{}
}

// newChart writes a chart with one template; more is appended to Chart.yaml.
func newChart(t testing.TB, parent, name, version, more string) source {
	t.Helper()
	s := source{name, version, filepath.Join(parent, name)}
	write(t, filepath.Join(s.dir, "Chart.yaml"), fmt.Appendf(nil, "# A comment that packing drops.\napiVersion: v2\nname: %s\nversion: %s\ndescription: a chart called %s\n%s", name, version, name, more))
	write(t, filepath.Join(s.dir, "values.yaml"), []byte("replicas: 1\n"))
	write(t, filepath.Join(s.dir, "templates", "config.yaml"), []byte("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {{ .Release.Name }}\n"))
	return s
}

func manyFiles(t testing.TB) source {
	s := newChart(t, folder(t), "many", "1.0.0", "keywords: [one, two]\nmaintainers:\n- name: Ann\n  email: ann@example.com\nannotations:\n  text: \"a: b\\n- c\"\n")
	for i := range 400 {
		write(t, filepath.Join(s.dir, "files", fmt.Sprintf("%d/%d.txt", i%20, i)), bytes.Repeat([]byte("0123456789abcde\n"), i))
	}
	return s
}

func subcharts(t testing.TB) source {
	s := newChart(t, folder(t), "parent", "2.0.0", "dependencies:\n- name: folder\n  version: ~1.2\n- name: packed\n  version: 1.x.x\n  repository: https://charts.example.com\n  condition: packed.enabled\n")
	newChart(t, filepath.Join(s.dir, "charts"), "folder", "1.2.3", "")
	packed := newChart(t, folder(t), "packed", "1.9.0", "")
	helms(t)[0].run(t, filepath.Dir(packed.dir), "package", packed.dir, "-d", filepath.Join(s.dir, "charts"))
	return s
}

func v1WithRequirements(t testing.TB) source {
	s := newChart(t, folder(t), "old", "0.9.0", "")
	write(t, filepath.Join(s.dir, "Chart.yaml"), []byte("apiVersion: v1\nname: old\nversion: 0.9.0\nappVersion: \"1.16\"\ndescription: a chart of Helm 2\n"))
	write(t, filepath.Join(s.dir, "requirements.yaml"), []byte("dependencies:\n- name: sub\n  version: 1.0.0\n  repository: https://charts.example.com\n"))
	newChart(t, filepath.Join(s.dir, "charts"), "sub", "1.0.0", "")
	return s
}

func buildMetadata(t testing.TB) source {
	return newChart(t, folder(t), "built", "1.2.3+b.1", "appVersion: 1.16\n")
}

// A signed chart is an archive and what stands in its .prov.
type signed struct {
	label string // names subtests
	source
	by            key
	helm          string // that packed it
	file          string // base name of the archive
	archive, prov []byte
}

// sign packs and signs the chart with helm, which uses the primary key.
func (h helm) sign(t testing.TB, s source, by key) signed {
	t.Helper()
	out := folder(t)
	h.run(t, out, "package", s.dir, "-d", out, "--sign", "--key", by.user, "--keyring", by.secret)
	file := s.name + "-" + s.version + ".tgz"
	path := filepath.Join(out, file)
	return signed{
		label: fmt.Sprintf("%s by %s with %s", s.name, by.name, h.name), source: s, by: by, helm: h.name,
		file: file, archive: read(t, path), prov: read(t, path+".prov"),
	}
}

// resign is the same chart with another signature over the same text.
func (s signed) resign(t testing.TB, by key, args ...string) signed {
	t.Helper()
	return s.with(s.label+", then by "+by.name, by, by.clearsign(t, s.by.text(t, s.prov), args...))
}

// with is the same chart with another .prov.
func (s signed) with(label string, by key, prov []byte) signed {
	s.label, s.by, s.prov = label, by, prov
	return s
}

// save writes archive and .prov, unless that is nil, and gives the archive's path.
func (s signed) save(t testing.TB) string {
	t.Helper()
	path := write(t, filepath.Join(folder(t), s.file), s.archive)
	if s.prov != nil {
		write(t, path+".prov", s.prov)
	}
	return path
}
