// SPDX-License-Identifier: Apache-2.0

package chart_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	helmchart "helm.sh/helm/v3/pkg/chart"

	"github.com/chartseal/chartseal/builtins"
	"github.com/chartseal/chartseal/builtins/chart"
	"github.com/chartseal/chartseal/builtins/chartref"
	"github.com/chartseal/chartseal/builtins/source"
	"github.com/chartseal/chartseal/test/forge"
)

// A mutation is one change of a chart that is as it should be. Its twin is
// that chart, or the one that twin makes of it.
type mutation struct {
	name   string
	deps   []dep
	change func(t testing.TB, w *world)
	code   builtins.Code
	path   string
	reason string
	twin   func(t testing.TB, w *world)
}

func (m mutation) run(t *testing.T) {
	t.Parallel()
	deps := m.deps
	if deps == nil {
		deps = []dep{common, db, tools}
	}
	twin, w := newWorld(t, deps...), newWorld(t, deps...)
	if m.twin != nil {
		m.twin(t, twin)
	}
	twin.check(t).want(t, builtins.OK, "", "")
	m.change(t, w)
	w.check(t).want(t, m.code, m.path, m.reason)
}

func TestMutations(t *testing.T) {
	t.Parallel()
	for _, m := range mutations {
		t.Run(m.name, m.run)
	}
}

const tgz = "charts/common-1.0.0.tgz"

var zeros = "sha256:" + strings.Repeat("0", 64)

func file(path string, edit func(string) string) func(testing.TB, *world) {
	return func(t testing.TB, w *world) {
		t.Helper()
		before := w.files[path]
		if w.files[path] = edit(before); w.files[path] == before {
			t.Fatalf("%s did not change", path)
		}
	}
}

func replace(path, old, with string) func(testing.TB, *world) {
	return file(path, func(s string) string { return strings.Replace(s, old, with, 1) })
}

func put(path, content string) func(testing.TB, *world) {
	return func(_ testing.TB, w *world) { w.files[path] = content }
}

func remove(path string) func(testing.TB, *world) {
	return func(_ testing.TB, w *world) { delete(w.files, path) }
}

func all(changes ...func(testing.TB, *world)) func(testing.TB, *world) {
	return func(t testing.TB, w *world) {
		t.Helper()
		for _, change := range changes {
			change(t, w)
		}
	}
}

func option(name string, value any) func(testing.TB, *world) {
	return func(_ testing.TB, w *world) { w.options[name] = value }
}

// relock locks these and leaves everything else.
func relock(requested, locked []dep) func(testing.TB, *world) {
	return func(_ testing.TB, w *world) { w.files["Chart.lock"] = lockText(requested, locked) }
}

// retell lets the chart request these, with a lock of the others and its
// digest right.
func retell(requested, locked []dep) func(testing.TB, *world) {
	return func(_ testing.TB, w *world) {
		w.declare(requested...)
		w.files["Chart.lock"] = lockText(requested, locked)
	}
}

func pin(t testing.TB, w *world) { w.pin(t) }

func altered(name, version string) string {
	return string(subchart(name, version, forge.Entry{Name: "templates/evil.yaml", Body: "evil: true\n"}))
}

func locked(d dep, version string) dep { d.locked = version; return d }

func pinned(d dep, digest string) dep { d.digest = digest; return d }

func at(d dep, repository string) dep { d.Repository = repository; return d }

var commonOnly = []dep{common}

var mutations = []mutation{
	// Bytes.
	{name: "A1 dependency archive altered", change: put(tgz, altered("common", "1.0.0")),
		code: builtins.DependencyTampered, path: tgz, reason: "it is sha256:"},
	{name: "A1 one byte appended", deps: commonOnly, change: all(option("content", []string{"repository"}), file(tgz, func(s string) string {
		b := []byte(s)
		b[9] ^= 1 // the operating system that gzip notes
		return string(b)
	})), code: builtins.DependencyTampered, path: tgz, reason: "its repository says sha256:"},
	{name: "A1 echo tamper >> archive", deps: commonOnly, change: file(tgz, func(s string) string { return s + "tamper\n" }),
		code: builtins.DependencyTampered, path: tgz, reason: "its repository says " + builtins.SHA256(subchart("common", "1.0.0"))},
	{name: "A1 echo tamper >> pinned archive", change: file(tgz, func(s string) string { return s + "tamper\n" }),
		code: builtins.DependencyTampered, path: tgz, reason: "chartseal.lock says " + builtins.SHA256(subchart("common", "1.0.0"))},
	{name: "A13 published with bytes after the end", deps: commonOnly, change: func(_ testing.TB, w *world) {
		w.files[tgz] += "tamper\n"
		w.publish(stable, "common", "1.0.0", []byte(w.files[tgz]))
	}, code: builtins.AmbiguousArchive, path: tgz, reason: "bytes after the end"},
	{name: "A13 bytes after the end, and none asked for", deps: commonOnly, twin: option("content", []string{}), change: all(option("content", []string{}), file(tgz, func(s string) string { return s + "tamper\n" })),
		code: builtins.AmbiguousArchive, path: tgz, reason: "bytes after the end"},
	{name: "A13 undeclared archive that is no chart", change: put("charts/zz.tgz", "tamper"), code: builtins.NotAChart, path: "charts/zz.tgz", reason: "zz.tgz"},
	{name: "A1 without any evidence", deps: commonOnly, change: func(_ testing.TB, w *world) { w.sources = source.Map{} },
		code: builtins.ContentUnverified, path: tgz, reason: "lock: it is not pinned; repository: there is no"},
	{name: "A1 index without a digest", deps: commonOnly, change: func(_ testing.TB, w *world) {
		ref := dependencyRef(stable, "common", "1.0.0").String()
		f := w.sources[ref]
		f.ArchiveDigest = ""
		w.sources[ref] = f
	}, code: builtins.ContentUnverified, path: tgz, reason: "its index has no digest"},
	{name: "A1 folder without a pin", change: remove("chartseal.lock"), code: builtins.ContentUnverified, path: "charts/tools", reason: "it is not pinned"},
	{name: "A1 folder altered", change: put("charts/tools/templates/evil.yaml", "evil: true\n"), code: builtins.DependencyTampered, path: "charts/tools", reason: "chartseal.lock says sha256:"},
	{name: "A1 repository of the dependency is down", deps: commonOnly, change: func(_ testing.TB, w *world) {
		w.sources[dependencyRef(stable, "common", "1.0.0").String()] = source.MapFile{Err: builtins.Errorf(builtins.Unavailable, "503")}
	}, code: builtins.Unavailable, path: tgz, reason: "repository: 503"},
	{name: "A23 digest in the lock is wrong", deps: commonOnly, change: relock(commonOnly, []dep{pinned(common, zeros)}),
		twin: relock(commonOnly, []dep{pinned(common, builtins.SHA256(subchart("common", "1.0.0")))}),
		code: builtins.DependencyTampered, path: tgz, reason: "the lock says " + zeros},
	{name: "A23 bare digest in the lock is wrong", deps: commonOnly, change: relock(commonOnly, []dep{pinned(common, `"`+zeros[7:]+`"`)}),
		twin: relock(commonOnly, []dep{pinned(common, builtins.SHA256(subchart("common", "1.0.0"))[7:])}),
		code: builtins.DependencyTampered, path: tgz, reason: "the lock says " + zeros},
	{name: "A23 archive pinned in chartseal.lock is another", deps: commonOnly, twin: pin,
		change: all(pin, func(_ testing.TB, w *world) {
			w.files["chartseal.lock"] = strings.Replace(w.files["chartseal.lock"], builtins.SHA256([]byte(w.files[tgz])), zeros, 1)
		}), code: builtins.DependencyTampered, path: tgz, reason: "chartseal.lock says " + zeros},
	{name: "A23 pinned, then altered", deps: commonOnly, twin: all(pin, option("content", []string{"lock"})),
		change: all(pin, option("content", []string{"lock"}), put(tgz, altered("common", "1.0.0"))), code: builtins.DependencyTampered, path: tgz, reason: "chartseal.lock says"},
	{name: "A23 digest in the lock is no sha256", deps: commonOnly, change: relock(commonOnly, []dep{pinned(common, "md5:abc")}),
		code: builtins.MalformedChart, path: "Chart.lock", reason: "64 lower-case"},

	// Lock.
	{name: "A2 digest zeroed", change: file("Chart.lock", func(s string) string { return s[:strings.LastIndex(s, "digest:")] + "digest: " + zeros + "\n" }),
		code: builtins.LockOutOfSync, path: "Chart.lock", reason: zeros},
	{name: "A2 digest missing", change: file("Chart.lock", func(s string) string { return s[:strings.LastIndex(s, "digest:")] }),
		code: builtins.LockOutOfSync, path: "Chart.lock", reason: `its digest is ""`},
	{name: "A2 stale: a condition was added", change: replace("Chart.yaml", "- name: common", "- condition: common.enabled\n  name: common"),
		code: builtins.LockOutOfSync, path: "Chart.lock", reason: "its digest is"},
	{name: "A2 lock absent", change: remove("Chart.lock"), code: builtins.LockMissing, path: "Chart.lock", reason: "3 dependencies and no lock"},
	{name: "A2 lock of a chart without dependencies", deps: []dep{}, twin: remove("Chart.lock"), change: relock(nil, commonOnly), code: builtins.LockOutOfSync, path: "Chart.lock", reason: "it has 1 dependencies"},
	{name: "A7 locked version outside the range", deps: commonOnly, change: all(relock(commonOnly, []dep{locked(common, "2.0.0")}), remove(tgz), put("charts/common-2.0.0.tgz", string(subchart("common", "2.0.0")))),
		code: builtins.LockOutOfSync, path: "Chart.lock", reason: `locked as "2.0.0", the chart requests "^1.0.0"`},
	{name: "A7 lock has a range", deps: commonOnly, change: relock(commonOnly, []dep{locked(common, ">=1")}), code: builtins.LockOutOfSync, path: "Chart.lock", reason: "no exact version"},
	{name: "A7 lock has half a version", deps: commonOnly, change: relock(commonOnly, []dep{locked(common, "1.0")}), code: builtins.LockOutOfSync, path: "Chart.lock", reason: "no exact version"},
	{name: "A7 request is no range", deps: commonOnly, change: retell([]dep{on("common", "one", stable, "")}, commonOnly), code: builtins.LockOutOfSync, path: "Chart.lock", reason: `the chart requests "one"`},
	{name: "A7 pre-release that the range does not name", deps: commonOnly, change: relock(commonOnly, []dep{locked(common, "1.1.0-rc.1")}), code: builtins.LockOutOfSync, path: "Chart.lock", reason: "1.1.0-rc.1"},
	{name: "A7 folder locked by another range", deps: []dep{tools}, change: relock([]dep{tools}, []dep{locked(tools, "1.2.3")}), code: builtins.LockOutOfSync, path: "Chart.lock", reason: `"1.2.3", the chart requests "~1.2"`},
	{name: "A8 repository changed in the lock only", deps: commonOnly, change: relock(commonOnly, []dep{at(common, "https://evil.example.com")}), code: builtins.LockOutOfSync, path: "Chart.lock", reason: "evil.example.com"},
	{name: "A8 repository changed in Chart.yaml only", deps: commonOnly, change: retell([]dep{at(common, "https://evil.example.com")}, commonOnly), code: builtins.LockOutOfSync, path: "Chart.lock", reason: "evil.example.com"},
	{name: "A8 repository dropped in the lock", deps: commonOnly, change: relock(commonOnly, []dep{at(common, "")}), code: builtins.LockOutOfSync, path: "Chart.lock", reason: `of repository ""`},
	{name: "order changed in the lock", deps: []dep{common, db}, change: relock([]dep{common, db}, []dep{db, common}), code: builtins.LockOutOfSync, path: "Chart.lock", reason: `it has "db" where the chart requests "common"`},
	{name: "one too many in the lock", deps: commonOnly, change: relock(commonOnly, []dep{common, db}), code: builtins.LockOutOfSync, path: "Chart.lock", reason: "it has 2 dependencies, the chart requests 1"},
	{name: "A16 lock with a key twice", change: file("Chart.lock", func(s string) string { return s + "digest: " + zeros + "\n" }), code: builtins.MalformedChart, path: "Chart.lock", reason: "lock: "},
	{name: "A16 lock of two documents", change: file("Chart.lock", func(s string) string { return s + "---\ndigest: x\n" }), code: builtins.MalformedChart, path: "Chart.lock", reason: "first YAML document"},
	{name: "A16 empty lock", change: put("Chart.lock", ""), code: builtins.MalformedChart, path: "Chart.lock", reason: "empty document"},
	{name: "A19 null in the lock", change: replace("Chart.lock", "dependencies:\n", "dependencies:\n- null\n"), code: builtins.MalformedChart, path: "Chart.lock", reason: "null"},
	{name: "A18 requirements.yaml in an apiVersion v2 chart", change: put("requirements.yaml", "dependencies: []\n"), code: builtins.MalformedChart, reason: "requirements.yaml in a chart of apiVersion v2"},

	// Contents.
	{name: "A4 undeclared folder", change: func(_ testing.TB, w *world) { w.folder("charts/evil", "evil", "6.6.6") }, code: builtins.DependencyUndeclared, path: "charts/evil", reason: `"evil" "6.6.6"`},
	{name: "A4 undeclared archive", change: put("charts/zz.tgz", string(subchart("zz", "1.0.0"))), code: builtins.DependencyUndeclared, path: "charts/zz.tgz", reason: `"zz" "1.0.0"`},
	{name: "A4 another version beside the locked one", deps: commonOnly, change: put("charts/common-1.0.1.tgz", string(subchart("common", "1.0.1"))), code: builtins.DependencyUndeclared, path: "charts/common-1.0.1.tgz", reason: "1.0.1"},
	{name: "A4 undeclared, in a chart without dependencies", deps: []dep{}, twin: remove("Chart.lock"), change: all(remove("Chart.lock"), put("charts/zz.tgz", string(subchart("zz", "1.0.0")))), code: builtins.DependencyUndeclared, path: "charts/zz.tgz"},
	{name: "A5 declared, absent", change: remove(tgz), code: builtins.DependencyMissing, path: "charts", reason: `"common" "1.0.0"`},
	{name: "A5 absent, disabled by a condition", deps: []dep{{Dependency: helmchart.Dependency{Name: "common", Version: "^1.0.0", Repository: stable, Condition: "common.enabled"}, locked: "1.0.0"}},
		change: all(remove(tgz), put("values.yaml", "common: {enabled: false}\n")), twin: put("values.yaml", "common: {enabled: false}\n"), code: builtins.DependencyMissing, path: "charts", reason: "common"},
	{name: "A6 another chart under its file name", change: put(tgz, string(subchart("evil", "6.6.6"))), code: builtins.DependencyMismatch, path: tgz, reason: `it is "evil" "6.6.6", where "common" "1.0.0" is wanted`},
	{name: "A6 another version under its file name", change: put(tgz, string(subchart("common", "1.0.1"))), code: builtins.DependencyMismatch, path: tgz, reason: "1.0.1"},
	{name: "A6 another chart in its folder", change: put("charts/tools/Chart.yaml", forge.ChartYAML("evil", "1.2.3")), code: builtins.DependencyMismatch, path: "charts/tools", reason: "evil"},
	{name: "A6 folder of a version outside the range", change: put("charts/tools/Chart.yaml", forge.ChartYAML("tools", "1.3.0")), code: builtins.DependencyMismatch, path: "charts/tools", reason: "1.3.0"},
	{name: "A9 archive twice", change: put("charts/again.tgz", string(subchart("common", "1.0.0"))), code: builtins.DependencyDuplicate, path: tgz, reason: "again.tgz"},
	{name: "A9 folder and archive of one dependency", change: func(_ testing.TB, w *world) { w.folder("charts/common", "common", "1.0.0") }, code: builtins.DependencyDuplicate, path: tgz, reason: `"charts/common"`},
	{name: "A9 two charts for one range", deps: []dep{tools}, change: func(_ testing.TB, w *world) { w.folder("charts/tools2", "tools", "1.2.4") }, code: builtins.DependencyDuplicate, path: "charts/tools2", reason: "1.2.4"},
	{name: "A9 two locked versions that one request admits", deps: []dep{common.as("old"), on("common", "2.0.0", stable, "2.0.0").as("new")},
		change: func(t testing.TB, w *world) {
			deps := []dep{on("common", ">=1", stable, "1.0.0").as("old"), on("common", "2.0.0", stable, "2.0.0").as("new")}
			retell(deps, deps)(t, w)
		}, code: builtins.DependencyDuplicate, path: "charts/common-2.0.0.tgz", reason: `takes as well for the locked "1.0.0"`},
	{name: "A26 undeclared chart that .helmignore hides", change: func(t testing.TB, w *world) {
		w.folder("charts/evil", "evil", "6.6.6")
		w.files[".helmignore"] = "charts/evil\n"
	}, twin: put(".helmignore", "charts/evil\n"), code: builtins.DependencyUndeclared, path: "charts/evil", reason: "evil"},
	{name: "A26 dependency that .helmignore hides", change: put(".helmignore", "*.tgz\n"), twin: put(".helmignore", "*.bak\n"), code: builtins.DependencyMissing, path: tgz, reason: ".helmignore hides it"},
	{name: "A26 all of a dependency that .helmignore hides", change: put(".helmignore", "charts/tools/*\n"), twin: put(".helmignore", "charts/other/*\n"), code: builtins.DependencyMissing, path: "charts/tools", reason: ".helmignore hides it"},
	{name: "A26 file of a dependency that .helmignore hides", change: put(".helmignore", "service.yaml\n"), code: builtins.DependencyTampered, path: "charts/tools", reason: "its files are"},
	{name: "A26 lock that .helmignore hides", change: put(".helmignore", "Chart.lock\n"), code: builtins.LockMissing, path: "Chart.lock", reason: "no lock"},
	{name: "A26 pins that .helmignore hides", deps: commonOnly, change: func(t testing.TB, w *world) {
		w.pin(t)
		w.options["content"] = []string{"lock"}
		w.files[".helmignore"] = "chartseal.lock\n"
	}, twin: func(t testing.TB, w *world) {
		w.pin(t)
		w.options["content"] = []string{"lock"}
		w.files[".helmignore"] = "Chartseal.lock\n"
	}, code: builtins.ContentUnverified, path: tgz, reason: ".helmignore hides chartseal.lock"},
	{name: "A26 .helmignore that Helm cannot read", change: put(".helmignore", "a/**\n"), code: builtins.MalformedChart, reason: "double-star"},
	{name: "A30 other build metadata inside", deps: []dep{on("common", "^1.0.0", stable, "1.0.0+a")},
		change: put("charts/common-1.0.0+a.tgz", string(subchart("common", "1.0.0+b"))), code: builtins.DependencyMismatch, path: "charts/common-1.0.0+a.tgz", reason: "1.0.0+b"},
	{name: "A30 other build metadata, in the file name too", deps: []dep{on("common", "^1.0.0", stable, "1.0.0+a")},
		change: all(remove("charts/common-1.0.0+a.tgz"), put("charts/common-1.0.0+b.tgz", string(subchart("common", "1.0.0+b")))), code: builtins.DependencyMismatch, path: "charts/common-1.0.0+b.tgz", reason: "1.0.0+b"},

	// Repositories.
	{name: "A20 file repository", deps: []dep{on("common", "^1.0.0", "file://lib/common", "1.0.0")}, change: pin, twin: all(pin, option("allow_file_repositories", true)), code: builtins.SourceDenied, path: "Chart.lock", reason: "allow_file_repositories"},
	{name: "A20 allowed, without a pin", deps: []dep{on("common", "^1.0.0", "file://lib/common", "1.0.0")}, change: option("allow_file_repositories", true), twin: all(pin, option("allow_file_repositories", true)), code: builtins.ContentUnverified, path: tgz, reason: "no repository to ask"},
	{name: "A20 allowed, absolute", deps: commonOnly, change: all(retell([]dep{at(common, "file:///etc")}, []dep{at(common, "file:///etc")}), option("allow_file_repositories", true)), code: builtins.SourceDenied, path: "Chart.lock", reason: "does not lie in the chart's own folder"},
	{name: "A20 allowed, out of the tree", deps: commonOnly, change: all(retell([]dep{at(common, "file://lib/../../x")}, []dep{at(common, "file://lib/../../x")}), option("allow_file_repositories", true)), code: builtins.SourceDenied, path: "Chart.lock", reason: "does not lie in the chart's own folder"},
	{name: "repository with a password", deps: commonOnly, change: retell([]dep{at(common, "https://me:canary@charts.example.com")}, []dep{at(common, "https://me:canary@charts.example.com")}), code: builtins.SourceDenied, path: "Chart.lock", reason: "charts.example.com"},
	{name: "repository of an unknown scheme", deps: commonOnly, change: retell([]dep{at(common, "git://charts.example.com")}, []dep{at(common, "git://charts.example.com")}), code: builtins.SourceDenied, path: "Chart.lock", reason: "git:"},
	{name: "repository that is a name", deps: commonOnly, change: retell([]dep{at(common, "stable")}, []dep{at(common, "stable")}), code: builtins.SourceDenied, path: "Chart.lock", reason: `"stable"`},
	{name: "http repository that is not configured", deps: commonOnly, change: func(t testing.TB, w *world) {
		insecure := []dep{at(common, "http://charts.example.com")}
		retell(insecure, insecure)(t, w)
		w.sources["http://charts.example.com/index.yaml"] = source.MapFile{Err: builtins.Errorf(builtins.SourceDenied, "http is not configured")}
	}, code: builtins.SourceDenied, path: "Chart.lock", reason: "http is not configured"},
	{name: "A21 alias for an address that is written otherwise", deps: commonOnly, change: func(t testing.TB, w *world) {
		w.options["repositories"] = map[string]string{"main": stable + "/"}
		retell([]dep{at(common, "@main")}, []dep{common})(t, w)
	}, code: builtins.LockOutOfSync, path: "Chart.lock", reason: "written otherwise"},
	{name: "A21 alias without repositories", deps: commonOnly, change: retell([]dep{at(common, "@main")}, []dep{at(common, "@main")}), code: builtins.LockOutOfSync, path: "Chart.yaml", reason: `repositories has no "main"`},

	// chartseal.lock.
	{name: "pin of something that is not locked", change: func(_ testing.TB, w *world) {
		w.files["chartseal.lock"] = strings.Replace(w.files["chartseal.lock"], `version: "2.1.0"`, `version: "2.1.1"`, 1)
	}, code: builtins.LockOutOfSync, path: "chartseal.lock", reason: "pinned and not locked"},
	{name: "pin of another repository", change: replace("chartseal.lock", stable, "https://evil.example.com"), code: builtins.LockOutOfSync, path: "chartseal.lock", reason: "evil.example.com"},
	{name: "pins not sorted as written", change: replace("chartseal.lock", `name: "common"`, `name: "zommon"`), code: builtins.MalformedChart, path: "chartseal.lock", reason: "as chartseal lock write would"},
	{name: "pins with a comment", change: replace("chartseal.lock", "version: 1\n", "version: 1 # one\n"), code: builtins.MalformedChart, path: "chartseal.lock"},
	{name: "pins of another format", change: replace("chartseal.lock", "version: 1\n", "version: 2\n"), code: builtins.MalformedChart, path: "chartseal.lock", reason: "known is 1"},
	{name: "pin without a digest", deps: []dep{tools}, change: file("chartseal.lock", func(s string) string { return s[:strings.LastIndex(s, "files:")] + "files: \"\"\n" }), code: builtins.MalformedChart, path: "chartseal.lock", reason: "no digest"},
	{name: "pin whose digest is none", deps: []dep{tools}, change: replace("chartseal.lock", "sha256:", "sha1:"), code: builtins.MalformedChart, path: "chartseal.lock", reason: "64 lower-case"},
}

// A28: Helm loads none of these, so they are no dependencies.
func TestPassedOver(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"charts/_x/a", "charts/.x/a", "charts/_x", "charts/.x", tgz + ".prov"} {
		t.Run("A28 "+path, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, common)
			w.files[path] = "anything"
			w.check(t).want(t, builtins.OK, "", "")
		})
	}
}

// A21: with its alias among the repositories, a chart is as good as one that
// names the URL. Helm has the URL in the lock, and in its digest.
func TestAlias(t *testing.T) {
	t.Parallel()
	for _, form := range []string{"@main", "alias:main"} {
		t.Run("A21 "+form, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, common)
			w.declare(at(common, form))
			w.check(t).want(t, builtins.LockOutOfSync, "Chart.yaml", "repositories has no")
			w.options["repositories"] = map[string]any{"main": stable}
			r := w.check(t)
			r.want(t, builtins.OK, "", "")
			if got := r.Dependencies[0].Repository; got != stable {
				t.Errorf("repository is %q, want %q", got, stable)
			}
			w.options["repositories"] = map[string]any{"main": "https://other.example.com"}
			w.check(t).want(t, builtins.LockOutOfSync, "Chart.lock", "other.example.com")
		})
	}
}

// A24: what was not asked for is visible as such.
func TestContentOff(t *testing.T) {
	t.Parallel()
	w := newWorld(t, common)
	w.options["content"] = []string{}
	w.files[tgz] = altered("common", "1.0.0")
	r := w.check(t)
	r.want(t, builtins.OK, "", "")
	if last := r.Checks[len(r.Checks)-1]; last.Name != "bytes" || last.Status != builtins.Skipped {
		t.Errorf("A24: %+v", r.Checks)
	}
}

// A2, A7: apiVersion v1 charts have their dependencies and their lock in files
// of their own, and Helm 2's digest is as good there.
func TestV1(t *testing.T) {
	t.Parallel()
	v1 := func(digest string) *world {
		w := newWorld(t, common)
		w.files["Chart.yaml"] = "apiVersion: v1\nname: web\nversion: 1.0.0\n"
		w.files["requirements.yaml"] = "dependencies:\n- name: common\n  version: ^1.0.0\n  repository: " + stable + "\n"
		w.files["requirements.lock"] = w.files["Chart.lock"]
		delete(w.files, "Chart.lock")
		if digest != "" {
			s := w.files["requirements.lock"]
			w.files["requirements.lock"] = s[:strings.LastIndex(s, "digest:")] + "digest: " + digest + "\n"
		}
		return w
	}
	requested := []*helmchart.Dependency{{Name: "common", Version: "^1.0.0", Repository: stable}}
	helm2 := chart.HashV2Req(requested)
	v1("").check(t).want(t, builtins.OK, "", "")
	v1(helm2).check(t).want(t, builtins.OK, "", "")
	v1(zeros).check(t).want(t, builtins.LockOutOfSync, "requirements.lock", "its digest is")

	missing := v1("")
	delete(missing.files, "requirements.lock")
	missing.check(t).want(t, builtins.LockMissing, "requirements.lock", "no lock")

	two := v1("")
	two.files["Chart.lock"] = two.files["requirements.lock"]
	two.check(t).want(t, builtins.MalformedChart, "Chart.lock", "two locks")

	v2 := newWorld(t, common)
	s := v2.files["Chart.lock"]
	v2.files["Chart.lock"] = s[:strings.LastIndex(s, "digest:")] + "digest: " + helm2 + "\n"
	v2.check(t).want(t, builtins.LockOutOfSync, "Chart.lock", "its digest is")
}

// Whoever lists findings has one for whatever is not verified, also if the
// check never came to the chart.
func TestAFindingForEachVerdict(t *testing.T) {
	t.Parallel()
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	w := newWorld(t, common)
	for _, test := range []struct {
		name string
		ref  chartref.Ref
		ctx  context.Context
		opts string
		code builtins.Code
	}{
		{"no reference", chartref.Parse(""), t.Context(), "{}", builtins.InvalidReference},
		{"a reference without a tag", chartref.Parse("oci://registry.example.com/charts/web"), t.Context(), "{}", builtins.InvalidReference},
		{"a chart that is not there", chartref.Parse("elsewhere"), t.Context(), "{}", builtins.NotFound},
		{"after the deadline", chartref.Parse("web"), ended, "{}", builtins.Timeout},
		{"wrong options", chartref.Parse("web"), t.Context(), `{"contents": []}`, builtins.InvalidOptions},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			rep := chart.LockOK.Call(test.ctx, w.env(), test.ref, []byte(test.opts))
			if found := rep.Evidence.(chart.Locked).Findings; rep.Code != test.code || len(found) != 1 || found[0].Code != test.code || found[0].Reason != rep.Reason {
				t.Errorf("%s %s: %+v", rep.Code, rep.Reason, found)
			}
		})
	}
}

// Whatever was written for no dependencies: packing drops an empty list, and
// leaves the digest of it.
func TestNothingLocked(t *testing.T) {
	t.Parallel()
	none := []*helmchart.Dependency{}
	for _, requested := range []string{"", "dependencies: []\n"} {
		for digest, code := range map[string]builtins.Code{
			chart.HashReq(nil, nil): builtins.OK, chart.HashReq(nil, none): builtins.OK, chart.HashReq(none, nil): builtins.OK, chart.HashReq(none, none): builtins.OK,
			zeros: builtins.LockOutOfSync, "": builtins.LockOutOfSync,
		} {
			w := newWorld(t)
			w.files["Chart.yaml"] += requested
			w.files["Chart.lock"] = fmt.Sprintf("dependencies: []\ndigest: %q\ngenerated: \"2024-01-02T03:04:05Z\"\n", digest)
			w.check(t).want(t, code, "", "")
		}
	}
}

// A26: a requirements.yaml that .helmignore hides requests nothing, also in a
// folder in charts/, whatever the lock says.
func TestHiddenRequirements(t *testing.T) {
	t.Parallel()
	requires := "dependencies:\n- {name: inner, version: 0.1.0, repository: \"\"}\n"
	for at, found := range map[string]string{"": "charts/inner", "charts/tools/": "charts/tools/charts/inner"} {
		w := newWorld(t, tools)
		if at == "" {
			w = newWorld(t)
		}
		w.files[at+"Chart.yaml"] = strings.Replace(chartYAML(map[bool]string{true: "web", false: "tools"}[at == ""], "1.2.3"), "v2", "v1", 1)
		w.files[at+"requirements.yaml"] = requires
		w.files[at+"requirements.lock"] = lockText([]dep{on("inner", "0.1.0", "", "")}, []dep{on("inner", "0.1.0", "", "")})
		delete(w.files, at+"Chart.lock")
		w.files[at+"charts/inner/Chart.yaml"] = chartYAML("inner", "0.1.0")
		if at != "" {
			w.declare(tools)
			w.lock(tools)
		}
		delete(w.files, "chartseal.lock")
		w.options["content"] = []string{}
		w.check(t).want(t, builtins.OK, "", "")
		w.files[".helmignore"] = at + "requirements.*\n"
		w.check(t).want(t, builtins.DependencyUndeclared, found, "inner")
	}
}

// A14: what is wanted is compared with what is there of its name, which is
// refused where that would take long.
func TestTooManyToCompare(t *testing.T) {
	t.Parallel()
	crowded := func(aliases, charts, pins int, version string) *world {
		var deps []dep
		for i := range aliases {
			deps = append(deps, on("a", version, "", "").as(fmt.Sprint("b", i)))
		}
		w := &world{files: map[string]string{}, sources: source.Map{}, options: map[string]any{}}
		w.declare(deps...)
		w.lock(deps...)
		for i := range charts {
			w.files[fmt.Sprintf("charts/%d/Chart.yaml", i)] = "apiVersion: v2\nname: a\nversion: 1.0.0\n"
		}
		var stale chart.Pins
		for i := range pins {
			stale.Dependencies = append(stale.Dependencies, chart.Pin{Name: "a", Version: fmt.Sprintf("2.0.%d", i), Archive: zeros})
		}
		w.files["chartseal.lock"] = string(stale.Bytes())
		return w
	}
	long := strings.Repeat("<0||", 31) + "1"
	for name, w := range map[string]*world{
		"charts": crowded(300, 60, 0, "1"), "charts, a long range": crowded(60, 80, 0, long), "pins": crowded(200, 1, 100, long),
	} {
		rep := chart.LockOK.Call(t.Context(), w.env(), chartref.Parse("web"), []byte("{}"))
		if rep.Code != builtins.TooMany || !strings.Contains(rep.Reason, "too many to compare") {
			t.Errorf("%s: %s: %s", name, rep.Code, rep.Reason)
		}
	}
	crowded(100, 30, 0, "1").check(t).want(t, builtins.DependencyDuplicate, "", "")
}
