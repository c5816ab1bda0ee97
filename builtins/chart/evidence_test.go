// SPDX-License-Identifier: Apache-2.0

package chart_test

import (
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/chartseal/chartseal/builtins"
	"github.com/chartseal/chartseal/builtins/chart"
	"github.com/chartseal/chartseal/builtins/chartref"
	"github.com/chartseal/chartseal/builtins/source"
	"github.com/chartseal/chartseal/test/forge"
	"github.com/chartseal/chartseal/test/vsig"
)

var (
	alice   = forge.NewKey(forge.KeySpec{UserID: "Alice <alice@example.com>"})
	mallory = forge.NewKey(forge.KeySpec{UserID: "Alice <alice@example.com>"})
)

// sign gives the archive of common in its repository a provenance file.
func (w *world) sign(by *forge.Key, archive []byte) {
	text := forge.ProvenanceText(strings.TrimSpace(forge.ChartYAML("common", "1.0.0")), "common-1.0.0.tgz", builtins.SHA256(archive))
	w.serve(func(f *source.MapFile) {
		f.Prov = []byte(forge.Clearsigned(text, by.Sign(text, forge.SignatureSpec{})))
	})
}

// serve changes what the repository of common serves.
func (w *world) serve(edit func(*source.MapFile)) {
	ref := dependencyRef(stable, "common", "1.0.0").String()
	f := w.sources[ref]
	edit(&f)
	w.sources[ref] = f
}

func (w *world) down(code builtins.Code) {
	w.serve(func(f *source.MapFile) { f.Err = builtins.Errorf(code, "the repository is down") })
}

var good = subchart("common", "1.0.0")

// trusting has the repository of common serve good, signed by alice, who is trusted.
func trusting(t *testing.T) *world {
	w := newWorld(t, common)
	w.sign(alice, good)
	w.options["provenance_options"] = map[string]any{"keyring": alice.ArmoredPublic()}
	return w
}

func TestKindsOfEvidence(t *testing.T) {
	t.Parallel()
	bad := []byte(altered("common", "1.0.0"))
	for _, test := range []struct {
		name     string
		change   func(t testing.TB, w *world)
		code     builtins.Code
		evidence string
		reason   string
	}{
		{"provenance comes before repository", func(testing.TB, *world) {}, builtins.OK, "provenance", ""},
		{"lock comes before provenance", pin, builtins.OK, "lock", ""},
		{"content gives the order", all(pin, option("content", []string{"repository", "lock"})), builtins.OK, "repository", ""},
		{"unsigned, the repository proves", func(_ testing.TB, w *world) { w.publish(stable, "common", "1.0.0", good) }, builtins.OK, "repository", ""},
		{"signed by a stranger, the repository proves", func(_ testing.TB, w *world) { w.sign(mallory, good) }, builtins.OK, "repository", ""},
		{"unsigned, and only provenance counts", func(_ testing.TB, w *world) {
			w.publish(stable, "common", "1.0.0", good)
			w.options["content"] = []string{"provenance"}
		}, builtins.ContentUnverified, "", "no_provenance"},
		{"signed by a stranger, and only provenance counts", func(_ testing.TB, w *world) {
			w.sign(mallory, good)
			w.options["content"] = []string{"provenance"}
		}, builtins.ContentUnverified, "", "untrusted_signer"},
		{"A1 altered here", put(tgz, string(bad)), builtins.DependencyTampered, "", "helm.verify_prov says " + builtins.SHA256(good)},
		{"A1 altered here and in the repository", func(_ testing.TB, w *world) {
			w.files[tgz] = string(bad)
			w.publish(stable, "common", "1.0.0", bad)
			w.sign(alice, good)
		}, builtins.DependencyTampered, "", "digest_mismatch"},
		{"A1 altered here, in the repository, and the pin too", func(t testing.TB, w *world) {
			w.files[tgz] = string(bad)
			w.pin(t)
			w.options["content"] = []string{"provenance", "lock"}
		}, builtins.DependencyTampered, "", builtins.SHA256(good)},
		{"repository is down", func(_ testing.TB, w *world) { w.down(builtins.Unavailable) }, builtins.Unavailable, "", "provenance: "},
		{"repository denies", func(_ testing.TB, w *world) { w.down(builtins.Denied) }, builtins.Denied, "", "down"},
		{"repository is down, the pin proves", func(t testing.TB, w *world) {
			w.pin(t)
			w.down(builtins.Unavailable)
		}, builtins.OK, "lock", ""},
		{"repository is down, the pin contradicts", func(t testing.TB, w *world) {
			w.pin(t)
			w.files[tgz] = string(bad)
			w.down(builtins.Unavailable)
		}, builtins.DependencyTampered, "", "chartseal.lock"},
		{"repository is not permitted", func(_ testing.TB, w *world) { w.down(builtins.SourceDenied) }, builtins.ContentUnverified, "", "down"},
		{"an outage and a rejection", func(_ testing.TB, w *world) {
			w.down(builtins.Unavailable)
			w.files["charts/zz.tgz"] = string(subchart("zz", "1.0.0"))
		}, builtins.DependencyUndeclared, "", "zz"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			trusting(t).check(t).want(t, builtins.OK, "", "")
			w := trusting(t)
			test.change(t, w)
			r := w.check(t)
			r.want(t, test.code, "", test.reason)
			if got := r.Dependencies[0].Evidence; got != test.evidence {
				t.Errorf("evidence is %q, want %q\n%s", got, test.evidence, r)
			}
			if provenance := test.evidence == "provenance"; test.code == builtins.OK && provenance && r.Trust == "" {
				t.Error("the trust that decided is not named")
			}
		})
	}
}

// A .prov among templates is rendered from an archive, and so no file to leave
// out of what is compared.
func TestProvAmongTemplatesIsCompared(t *testing.T) {
	t.Parallel()
	evil := forge.Entry{Name: "templates/evil.prov", Body: "kind: Pod\n"}
	inner := on("inner", "1.0.0", stable, "1.0.0")
	holding := func(archive []byte) []forge.Entry {
		return []forge.Entry{
			{Name: "common/Chart.yaml", Body: chartYAML("common", "1.0.0", inner)},
			{Name: "common/Chart.lock", Body: lockText([]dep{inner}, []dep{inner})},
			{Name: "common/charts/inner-1.0.0.tgz", Body: string(archive)},
		}
	}
	unpacked := func(archive []byte) *world {
		w := newWorld(t, common)
		w.publish(stable, "common", "1.0.0", forge.Archive(holding(subchart("inner", "1.0.0"))...))
		delete(w.files, tgz)
		for _, e := range holding(archive) {
			w.files["charts/"+e.Name] = e.Body
		}
		return w
	}
	unpacked(subchart("inner", "1.0.0")).check(t).want(t, builtins.OK, "", "")
	unpacked(subchart("inner", "1.0.0", evil)).check(t).want(t, builtins.DependencyTampered, "", "")

	repacked := func(extra ...forge.Entry) *world {
		w := newWorld(t, tools)
		w.options["content"] = []string{"lock"}
		maps.DeleteFunc(w.files, func(path, _ string) bool { return strings.HasPrefix(path, "charts/tools/") })
		w.files["charts/tools-1.2.3.tgz"] = string(subchart("tools", "1.2.3", extra...))
		return w
	}
	repacked().check(t).want(t, builtins.OK, "", "")
	repacked(evil).check(t).want(t, builtins.ContentUnverified, "", "evil.prov")
}

// A .prov among what looks like a subchart's templates is the outer chart's, and
// rendered by nobody; in the archive of that subchart Helm renders it.
func TestProvOfWhom(t *testing.T) {
	t.Parallel()
	inner := on("inner", "1.0.0", "", "")
	pod := forge.Entry{Name: "templates/x.prov", Body: "kind: Pod\n"}
	chartOf := func(entries ...forge.Entry) []forge.Entry {
		return append([]forge.Entry{
			{Name: "common/Chart.yaml", Body: chartYAML("common", "1.0.0", inner)},
			{Name: "common/Chart.lock", Body: lockText([]dep{inner}, []dep{inner})},
		}, entries...)
	}
	plain := chartOf(
		forge.Entry{Name: "common/charts/inner/Chart.yaml", Body: chartYAML("inner", "1.0.0")},
		forge.Entry{Name: "common/charts/inner/templates/x.prov", Body: pod.Body},
	)
	packed := func(extra ...forge.Entry) []forge.Entry {
		archive := forge.Archive(append([]forge.Entry{{Name: "inner/Chart.yaml", Body: chartYAML("inner", "1.0.0")}}, forge.Beneath("inner", extra...)...)...)
		return chartOf(forge.Entry{Name: "common/charts/inner-1.0.0.tgz", Body: string(archive)})
	}
	for _, test := range []struct {
		name            string
		here, published []forge.Entry
		code            builtins.Code
	}{
		{"as published", plain, plain, builtins.OK},
		{"packed without it", packed(), plain, builtins.OK},
		{"packed with it", packed(pod), plain, builtins.DependencyTampered},
		{"published packed with it", packed(pod), packed(pod), builtins.OK},
		{"unpacked, which loses it", plain, packed(pod), builtins.OK},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, common)
			w.publish(stable, "common", "1.0.0", forge.Archive(test.published...))
			delete(w.files, tgz)
			for _, e := range test.here {
				w.files["charts/"+e.Name] = e.Body
			}
			w.check(t).want(t, test.code, "", "")
		})
	}
}

// A dependency that cosign signed, as what its repository serves beside it says.
func TestSignatureIsEvidence(t *testing.T) {
	t.Parallel()
	release, stranger := vsig.WithKey(vsig.SeededKey("release")), vsig.WithKey(vsig.SeededKey("stranger"))
	signed := func(by *vsig.Signer, archive []byte) *world {
		w := newWorld(t, common)
		bundle := dependencyRef(stable, "common", "1.0.0").String() + ".sigstore.json"
		w.sources[bundle] = source.MapFile{Data: by.Blob(archive).Bundle("0.3")}
		w.options["signature_options"] = map[string]any{"public_key": string(release.PublicKey())}
		w.options["content"] = []string{"signature"}
		return w
	}
	bad := []byte(altered("common", "1.0.0"))
	for _, test := range []struct {
		name   string
		world  *world
		change func(*world)
		code   builtins.Code
		reason string
	}{
		{"altered here", signed(release, good), func(w *world) { w.files[tgz] = string(bad) }, builtins.DependencyTampered, "cosign.verify says " + builtins.SHA256(good)},
		{"signed by a stranger", signed(stranger, good), func(*world) {}, builtins.ContentUnverified, "untrusted_signer"},
		{"repository is down", signed(release, good), func(w *world) { w.down(builtins.Unavailable) }, builtins.Unavailable, "down"},
	} {
		t.Run(test.name, func(t *testing.T) {
			twin := signed(release, good).check(t)
			twin.want(t, builtins.OK, "", "")
			if got := twin.Dependencies[0].Evidence; got != "signature" {
				t.Errorf("evidence is %q, want signature", got)
			}
			test.change(test.world)
			test.world.check(t).want(t, test.code, "", test.reason)
		})
	}
}

// A25: a directory, an archive of it, what helm package makes of it, the same
// in a registry and behind a URL: one verdict.
func TestForms(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		change func(t testing.TB, w *world)
		code   builtins.Code
	}{
		{"as it should be", func(testing.TB, *world) {}, builtins.OK},
		{"pinned", pin, builtins.OK},
		{"pinned, with one that holds another, a byte order mark and more", rich, builtins.OK},
		{"published only, with one that holds another, a byte order mark and more", richPublished, builtins.OK},
		{"altered after pinning", all(pin, put(tgz, altered("common", "1.0.0"))), builtins.DependencyTampered},
		{"altered, published otherwise", all(option("content", []string{"repository"}), put(tgz, altered("common", "1.0.0"))), builtins.DependencyTampered},
		{"undeclared", put("charts/zz-1.0.0.tgz", string(subchart("zz", "1.0.0"))), builtins.DependencyUndeclared},
		{"missing", remove(tgz), builtins.DependencyMissing},
		{"lock out of date", replace("Chart.yaml", "^1.0.0", "^1.0.1"), builtins.LockOutOfSync},
		{"lock missing", remove("Chart.lock"), builtins.LockMissing},
		{"no evidence", func(_ testing.TB, w *world) { w.sources = source.Map{} }, builtins.ContentUnverified},
		{"repository down", func(_ testing.TB, w *world) { w.down(builtins.Unavailable) }, builtins.Unavailable},
	} {
		t.Run("A25 "+test.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, common, db)
			test.change(t, w)
			w.check(t).want(t, test.code, "", "")
			packed, packaged := w.archive(), w.packaged(t)
			for form, f := range map[string]struct {
				ref  string
				file source.MapFile
			}{
				"archive":          {"web-1.0.0.tgz", source.MapFile{Data: packed}},
				"helm package":     {"web-1.0.0.tgz", source.MapFile{Data: packaged}},
				"registry":         {"oci://registry.example.com/charts/web:1.0.0", source.MapFile{Data: packaged, Digest: zeros}},
				"archive URL":      {"https://charts.example.com/web-1.0.0.tgz", source.MapFile{Data: packaged}},
				"tar in registry":  {"oci://registry.example.com/charts/web:1.0.0", source.MapFile{Data: packed, Digest: zeros}},
				"tar behind a URL": {"https://charts.example.com/web-1.0.0.tgz", source.MapFile{Data: packed}},
			} {
				env := w.env()
				env.Source.(source.Map)[f.ref] = f.file
				r := w.judge(t, env, f.ref)
				if r.Code != test.code {
					t.Errorf("%s: %s, want %s: %s\n%s", form, r.Code, test.code, r.Reason, r)
				}
			}
		})
	}
}

// inner is a dependency of common, in some tests.
var inner = on("inner", "^0.1.0", stable, "0.1.0")

// rich is a common that packing changes in every way it can.
func richCommon() []byte {
	return forge.Archive(forge.Beneath("common",
		forge.Entry{Name: "Chart.yaml", Body: "# a comment\n" + chartYAML("common", "1.0.0", inner) + "unknown: field\n"},
		forge.Entry{Name: "Chart.lock", Body: lockText([]dep{inner}, []dep{pinned(inner, builtins.SHA256(subchart("inner", "0.1.0")))})},
		forge.Entry{Name: "values.yaml", Body: "\uFEFFa: b\n"},
		forge.Entry{Name: "values.schema.json", Body: "{}"},
		forge.Entry{Name: "templates/bom.yaml", Body: "\uFEFFa: b\n"},
		forge.Entry{Name: "templates/empty.yaml"},
		forge.Entry{Name: "templates/NOTES.txt", Body: "x"},
		forge.Entry{Name: "README.md", Body: "read me\n"},
		forge.Entry{Name: "charts/_notes/x", Body: "x"},
		forge.Entry{Name: "charts/inner-0.1.0.tgz", Body: string(subchart("inner", "0.1.0"))},
		forge.Entry{Name: "charts/inner-0.1.0.tgz.prov", Body: "x"},
		forge.Entry{Name: "signed.prov", Body: "x"},
		forge.Entry{Name: ".helmignore", Body: "README.md\n"},
	)...)
}

func richPublished(_ testing.TB, w *world) {
	w.files[tgz] = string(richCommon())
	w.publish(stable, "common", "1.0.0", []byte(w.files[tgz]))
}

func rich(t testing.TB, w *world) {
	richPublished(t, w)
	w.pin(t)
	w.sources = source.Map{}
}

// A22: what lies in a dependency is judged with it, and by its own lock.
func TestNested(t *testing.T) {
	t.Parallel()
	outer := func(entries ...forge.Entry) []byte { return forge.Archive(forge.Beneath("common", entries...)...) }
	declared := forge.Entry{Name: "Chart.yaml", Body: chartYAML("common", "1.0.0", inner)}
	lock := forge.Entry{Name: "Chart.lock", Body: lockText([]dep{inner}, []dep{inner})}
	whole := forge.Entry{Name: "charts/inner-0.1.0.tgz", Body: string(subchart("inner", "0.1.0"))}
	evil := forge.Entry{Name: "charts/inner-0.1.0.tgz", Body: altered("inner", "0.1.0")}
	for _, test := range []struct {
		name            string
		here, published []byte
		code            builtins.Code
		path            string
	}{
		{"as published", outer(declared, lock, whole), outer(declared, lock, whole), builtins.OK, ""},
		{"A22 altered two levels down", outer(declared, lock, evil), outer(declared, lock, whole), builtins.DependencyTampered, tgz},
		{"A5 missing two levels down", outer(declared, lock), outer(declared, lock), builtins.DependencyMissing, tgz + "/charts"},
		{"A4 undeclared two levels down", outer(forge.Entry{Name: "Chart.yaml", Body: chartYAML("common", "1.0.0")}, whole), nil, builtins.DependencyUndeclared, tgz + "/charts/inner-0.1.0.tgz"},
		{"A2 lock missing two levels down", outer(declared, whole), nil, builtins.LockMissing, tgz + "/Chart.lock"},
		{"A2 lock stale two levels down", outer(declared, forge.Entry{Name: "Chart.lock", Body: lockText(nil, []dep{inner})}, whole), nil, builtins.LockOutOfSync, tgz + "/Chart.lock"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, common)
			w.files[tgz] = string(test.here)
			if test.published == nil {
				test.published = test.here
			}
			w.publish(stable, "common", "1.0.0", test.published)
			r := w.check(t)
			r.want(t, test.code, test.path, "")
			if test.code == builtins.OK {
				if got := r.Dependencies[1]; got.Name != "inner" || got.Repository != stable || got.Evidence != "repository" || !strings.Contains(got.Reason, tgz) {
					t.Errorf("dependency of a dependency: %+v", got)
				}
			}
		})
	}
}

// A26: what .helmignore names is hidden from Helm in folders, not in archives.
func TestIgnoredInArchive(t *testing.T) {
	t.Parallel()
	w := newWorld(t, common)
	richPublished(t, w)
	w.files[".helmignore"] = "inner-0.1.0.tgz\nREADME.md\n"
	w.check(t).want(t, builtins.OK, "", "")
}

// Of repositories that only what lies in proven bytes names nobody asks anything,
// whatever their form.
func TestRepositoriesInProven(t *testing.T) {
	t.Parallel()
	for repository, unproven := range map[string]builtins.Code{"http://charts.example.com": builtins.ContentUnverified, "file://../inner": builtins.SourceDenied, "s3://charts/stable": builtins.SourceDenied} {
		t.Run(repository, func(t *testing.T) {
			t.Parallel()
			named := at(inner, repository)
			w := newWorld(t, common)
			w.files[tgz] = string(forge.Archive(forge.Beneath("common",
				forge.Entry{Name: "Chart.yaml", Body: chartYAML("common", "1.0.0", named)},
				forge.Entry{Name: "Chart.lock", Body: lockText([]dep{named}, []dep{named})},
				forge.Entry{Name: "charts/inner-0.1.0.tgz", Body: string(subchart("inner", "0.1.0"))},
			)...))
			w.publish(stable, "common", "1.0.0", []byte(w.files[tgz]))
			r := w.check(t)
			r.want(t, builtins.OK, "", "")
			if got := r.Dependencies[1]; got.Name != "inner" || got.Repository == "" {
				t.Errorf("dependency: %+v", got)
			}
			delete(w.sources, dependencyRef(stable, "common", "1.0.0").String())
			w.check(t).want(t, unproven, "", "")
		})
	}
}

// In a folder that nothing proves, each dependency is judged on its own.
func TestNestedInUnproven(t *testing.T) {
	t.Parallel()
	w := newWorld(t, tools)
	w.files["charts/tools/Chart.yaml"] = chartYAML("tools", "1.2.3", inner)
	w.files["charts/tools/Chart.lock"] = lockText([]dep{inner}, []dep{inner})
	w.files["charts/tools/charts/inner-0.1.0.tgz"] = altered("inner", "0.1.0")
	w.publish(stable, "inner", "0.1.0", subchart("inner", "0.1.0"))
	delete(w.files, "chartseal.lock")
	r := w.check(t)
	r.want(t, builtins.ContentUnverified, "charts/tools", "not pinned")
	if f := r.Findings[len(r.Findings)-1]; f.Code != builtins.DependencyTampered || f.Path != "charts/tools/charts/inner-0.1.0.tgz" {
		t.Errorf("finding: %+v", f)
	}
}

// Where an archive's bytes are gone, a digest of them proves nothing by itself.
func TestArchiveDigestOfUnpacked(t *testing.T) {
	t.Parallel()
	digest := builtins.SHA256(good)
	unpacked := func(lockDigest string) *world {
		w := newWorld(t, common)
		delete(w.files, tgz)
		w.folder("charts/common", "common", "1.0.0")
		w.lock(pinned(common, lockDigest))
		return w
	}
	w := unpacked(digest)
	w.check(t).want(t, builtins.OK, "", "")

	w.options["content"] = []string{"lock"}
	w.check(t).want(t, builtins.ContentUnverified, "charts/common", "the lock pins an archive, "+digest+", which is unpacked here")

	republished := unpacked(zeros)
	republished.check(t).want(t, builtins.DependencyTampered, "charts/common", "its repository says its archive is "+digest+", the pin says "+zeros)

	republished.options["content"] = []string{"repository"}
	republished.check(t).want(t, builtins.OK, "", "")
}

// One chart that is locked twice, of two repositories, is proven for each.
func TestAliasOfAnotherRepository(t *testing.T) {
	t.Parallel()
	other := "https://other.example.com"
	deps := []dep{common.as("ours"), at(common, other).as("theirs")}
	w := newWorld(t, deps...)
	r := w.check(t)
	r.want(t, builtins.OK, "", "")
	if len(r.Dependencies) != 2 || r.Dependencies[1].Repository != other {
		t.Errorf("dependencies: %+v", r.Dependencies)
	}
	w.publish(other, "common", "1.0.0", []byte(altered("common", "1.0.0")))
	r = w.check(t)
	r.want(t, builtins.DependencyTampered, tgz, "its repository says")
	if r.Dependencies[0].Code != builtins.OK || r.Dependencies[1].Code != builtins.DependencyTampered {
		t.Errorf("dependencies: %+v", r.Dependencies)
	}
}

func TestOptions(t *testing.T) {
	t.Parallel()
	ring := map[string]any{"keyring": alice.ArmoredPublic()}
	for _, test := range []struct {
		name    string
		options map[string]any
		reason  string // "" for options that are right
	}{
		{"none", map[string]any{}, ""},
		{"each on its own", map[string]any{"content": []string{"repository", "provenance", "lock"}, "provenance_options": ring, "repositories": map[string]string{"main": stable}, "allow_file_repositories": true}, ""},
		{"unknown kind", map[string]any{"content": []string{"checksum"}}, "known are lock, provenance, signature and repository"},
		{"kind twice", map[string]any{"content": []string{"lock", "lock"}}, "twice"},
		{"kind without its options", map[string]any{"content": []string{"provenance"}}, "which needs provenance_options"},
		{"signature without its options", map[string]any{"content": []string{"signature"}}, "which needs signature_options"},
		{"signature options without trust", map[string]any{"signature_options": map[string]any{}}, "signature_options"},
		{"options without trust", map[string]any{"provenance_options": map[string]any{}}, "no keys are trusted"},
		{"options with an unknown field", map[string]any{"provenance_options": map[string]any{"keyring": alice.ArmoredPublic(), "keys": 1}}, `unknown field "keys"`},
		{"options about one chart", map[string]any{"provenance_options": map[string]any{"keyring": alice.ArmoredPublic(), "chart": map[string]any{"name": "common"}}}, "provenance_options.chart is about one chart"},
		{"options that are no object", map[string]any{"provenance_options": "web"}, "provenance_options"},
		{"content that is no list", map[string]any{"content": "lock"}, "content"},
		{"alias of a folder", map[string]any{"repositories": map[string]string{"main": "file:///etc"}}, "repositories.main"},
		{"alias of an alias", map[string]any{"repositories": map[string]string{"main": "@other"}}, "repositories.main"},
		{"alias that is null", map[string]any{"repositories": map[string]any{"main": nil}}, "repositories"},
		{"alias with its mark", map[string]any{"repositories": map[string]string{"@main": stable}}, `write the alias as "main"`},
		{"alias with its other mark", map[string]any{"repositories": map[string]string{"alias:main": stable}}, `write the alias as "main"`},
		{"alias without a name", map[string]any{"repositories": map[string]string{"": stable}}, "without a name"},
		{"unknown option", map[string]any{"contents": []string{}}, `unknown field "contents"`},
		{"null", map[string]any{"content": nil}, "content is null"},
		{"empty expectation", map[string]any{"chart": map[string]any{"name": ""}}, "chart.name is empty"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, common)
			w.options = test.options
			r := w.check(t)
			if test.reason == "" {
				r.want(t, builtins.OK, "", "")
				return
			}
			if r.Code != builtins.InvalidOptions || !strings.Contains(r.Reason, test.reason) {
				t.Errorf("%s: %s, want %q", r.Code, r.Reason, test.reason)
			}
		})
	}
}

// What was asked for is bound, as the other checks bind it.
func TestRequestedChart(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, ref string
		options   map[string]any
		code      builtins.Code
	}{
		{"tag", "oci://registry.example.com/charts/web:1.0.0", nil, builtins.OK},
		{"old chart under a new tag", "oci://registry.example.com/charts/web:2.0.0", nil, builtins.VersionMismatch},
		{"tag with a v", "oci://registry.example.com/charts/web:v1.0.0", nil, builtins.OK},
		{"old chart under a new tag with a v", "oci://registry.example.com/charts/web:v1.0.1", nil, builtins.VersionMismatch},
		{"tag with other build metadata", "oci://registry.example.com/charts/web:v1.0.0_a", nil, builtins.VersionMismatch},
		{"option states the version with a v", "oci://registry.example.com/charts/web:latest", map[string]any{"version": "v1.0.0"}, builtins.OK},
		{"option states another version with a v", "oci://registry.example.com/charts/web:latest", map[string]any{"version": "v1.0.1"}, builtins.VersionMismatch},
		{"chart under another name", "oci://registry.example.com/charts/shop:1.0.0", nil, builtins.NameMismatch},
		{"option states another version", "oci://registry.example.com/charts/web:1.0.0", map[string]any{"version": "2.0.0"}, builtins.VersionMismatch},
		{"option states the name", "oci://registry.example.com/charts/shop:1.0.0", map[string]any{"name": "web"}, builtins.OK},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, common)
			if test.options != nil {
				w.options["chart"] = test.options
			}
			env := w.env()
			env.Source.(source.Map)[test.ref] = source.MapFile{Data: w.archive(), Digest: zeros}
			r := w.judge(t, env, test.ref)
			r.want(t, test.code, "", "")
			if r.Digest != zeros || r.Report.Chart.Digest != builtins.SHA256(w.archive()) {
				t.Errorf("digests: %s, %s", r.Digest, r.Report.Chart.Digest)
			}
		})
	}
}

// A registry may tag a chart 2.1.0 as v2.1.0, and a lock names the tag.
func TestLockedByTag(t *testing.T) {
	t.Parallel()
	tagged := on("db", "v2.1.0", registry, "v2.1.0")
	for _, test := range []struct {
		inside string
		code   builtins.Code
	}{
		{"2.1.0", builtins.OK},
		{"2.1.1", builtins.DependencyMismatch},
		{"2.1.0+a", builtins.DependencyMismatch},
		{"2.1.0-a", builtins.DependencyMismatch},
	} {
		t.Run(test.inside, func(t *testing.T) {
			w := newWorld(t, tagged)
			archive := subchart("db", test.inside)
			w.files["charts/db-v2.1.0.tgz"] = string(archive)
			w.publish(registry, "db", "v2.1.0", archive)
			w.check(t).want(t, test.code, "", "")
			if test.code != builtins.OK {
				return
			}
			w.pin(t)
			w.options["content"] = []string{"lock"}
			w.check(t).want(t, builtins.OK, "", "")
			w.files["charts/db-2.1.0.tgz"] = string(archive)
			w.check(t).want(t, builtins.DependencyDuplicate, "", "")
		})
	}
}

// What a manifest names is read once; what a URL serves, each time.
func TestRemembered(t *testing.T) {
	t.Parallel()
	const inRegistry, atURL = "oci://registry.example.com/charts/web:1.0.0", "https://charts.example.com/web-1.0.0.tgz"
	w := newWorld(t, common)
	env := w.env()
	env.Facts = source.NewFacts(1<<20, time.Now)
	served := env.Source.(source.Map)
	served[inRegistry] = source.MapFile{Data: w.archive(), Digest: zeros}
	served[atURL] = source.MapFile{Data: w.archive()}
	for range 2 {
		w.judge(t, env, inRegistry).want(t, builtins.OK, "", "")
		w.judge(t, env, atURL).want(t, builtins.OK, "", "")
	}
	w.files["charts/zz.tgz"] = string(subchart("zz", "1.0.0"))
	served[inRegistry] = source.MapFile{Data: w.archive(), Digest: zeros}
	served[atURL] = source.MapFile{Data: w.archive()}
	w.judge(t, env, inRegistry).want(t, builtins.DependencyUndeclared, "", "")
	w.judge(t, env, atURL).want(t, builtins.DependencyUndeclared, "", "")
}

// Dependencies are all in the report or the chart is rejected; of findings the
// first hundred are, and the last check counts the others.
func TestReportHasRoom(t *testing.T) {
	t.Parallel()
	many := func(n int) *world {
		var deps []dep
		for i := range n {
			deps = append(deps, on(fmt.Sprintf("dependency-%d", i), "^1.0.0", stable, "1.0.0"))
		}
		return newWorld(t, deps...)
	}
	w := many(100)
	if r := w.check(t); len(r.Dependencies) != 100 {
		t.Errorf("%d dependencies are given, want 100: %s", len(r.Dependencies), r)
	} else {
		r.want(t, builtins.OK, "", "")
	}
	for _, n := range []int{400, 800} {
		many(n).check(t).want(t, builtins.TooMany, "", fmt.Sprintf("%d dependencies do not fit", n))
	}
	w = newWorld(t, common)
	for i := range 150 {
		w.files[fmt.Sprintf("charts/evil-%d.tgz", i)] = string(subchart(fmt.Sprintf("evil-%d", i), "6.6.6"))
	}
	r := w.check(t)
	r.want(t, builtins.DependencyUndeclared, "charts/evil-0.tgz", "")
	if last := r.Checks[len(r.Checks)-1]; len(r.Findings) != 100 || last.Name != "findings" || last.Detail != "50 more are left out" {
		t.Errorf("%d findings, last check %+v", len(r.Findings), last)
	}
}

// N23: a password in a repository's URL is nobody's to read.
func TestNoSecrets(t *testing.T) {
	t.Parallel()
	w := newWorld(t, common)
	secret := []dep{at(common, "https://me:canary@charts.example.com/?token=canary")}
	retell(secret, secret)(t, w)
	r := w.check(t)
	r.want(t, builtins.SourceDenied, "", "")
	if strings.Contains(r.String()+r.Reason, "canary") {
		t.Errorf("the report tells: %s", r)
	}
}

// A chart that cannot be read at all gives a finding as well.
func TestUnreadable(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		ref    string
		change func(t testing.TB, w *world)
		code   builtins.Code
	}{
		{"no such chart", "other", func(testing.TB, *world) {}, builtins.NotFound},
		{"loose file in charts", "web", put("charts/README.md", "x"), builtins.NotAChart},
		{"folder in charts that is no chart", "web", put("charts/x/values.yaml", "x"), builtins.NotAChart},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, common)
			w.judge(t, w.env(), "web").want(t, builtins.OK, "", "")
			test.change(t, w)
			w.judge(t, w.env(), test.ref).want(t, test.code, "", "")
		})
	}
}

func TestPinsAreOneText(t *testing.T) {
	t.Parallel()
	w := newWorld(t, common, db, tools)
	pins, err := chart.ParsePins([]byte(w.files["chartseal.lock"]))
	if err != nil {
		t.Fatal(err)
	}
	shuffled := chart.Pins{Dependencies: []chart.Pin{pins.Dependencies[2], pins.Dependencies[0], pins.Dependencies[1], pins.Dependencies[0]}}
	if string(shuffled.Bytes()) != w.files["chartseal.lock"] {
		t.Errorf("text depends on the order:\n%s", shuffled.Bytes())
	}
	if _, err := chart.ParsePins(chart.Pins{}.Bytes()); err != nil {
		t.Errorf("no pins: %v", err)
	}
	odd := chart.Pins{Dependencies: []chart.Pin{{Name: "a: \"<b>\" #\u2028é\t", Version: "1.10", Repository: "on", Archive: zeros}}}
	again, err := chart.ParsePins(odd.Bytes())
	if err != nil || again.Dependencies[0] != odd.Dependencies[0] {
		t.Errorf("odd names: %v, %+v\n%s", err, again, odd.Bytes())
	}
}

// Nothing is pinned of a chart that is not as its lock says.
func TestPinRefuses(t *testing.T) {
	t.Parallel()
	w := newWorld(t, common)
	w.files["charts/zz.tgz"] = string(subchart("zz", "1.0.0"))
	pins, locked, err := chart.PinDependencies(t.Context(), w.env(), chartref.Parse("web"), chart.LockOKOptions{})
	if builtins.CodeOf(err) != builtins.DependencyUndeclared || len(pins.Dependencies) != 0 || len(locked.Findings) != 1 {
		t.Errorf("%v, %+v, %+v", err, pins, locked)
	}
}

// No pin of a folder can speak of a .prov, and what was asked for is bound.
func TestPinIsOfUse(t *testing.T) {
	t.Parallel()
	w := newWorld(t, tools)
	w.pin(t)
	archive := subchart("inner", "0.1.0", forge.Entry{Name: "templates/x.prov"})
	w.files["charts/tools/Chart.yaml"] = chartYAML("tools", "1.2.3", inner)
	w.files["charts/tools/Chart.lock"] = lockText([]dep{inner}, []dep{inner})
	w.files["charts/tools/charts/inner-0.1.0.tgz"] = string(archive)
	for name, test := range map[string]struct {
		expected builtins.Expected
		code     builtins.Code
	}{
		"a .prov":       {builtins.Expected{}, builtins.ContentUnverified},
		"another chart": {builtins.Expected{Name: new("shop")}, builtins.NameMismatch},
	} {
		_, _, err := chart.PinDependencies(t.Context(), w.env(), chartref.Parse("web"), chart.LockOKOptions{Chart: test.expected})
		if builtins.CodeOf(err) != test.code {
			t.Errorf("%s: %v", name, err)
		}
	}
	w.files["charts/tools/charts/inner-0.1.0.tgz"] = string(subchart("inner", "0.1.0"))
	w.pin(t)
}

// Bytes are pinned once they have the evidence that was asked for; the pins
// that there were, and digests in the lock, are none.
func TestPinProves(t *testing.T) {
	t.Parallel()
	ring := map[string]any{"keyring": alice.ArmoredPublic()}
	altered := func(w *world) { w.files[tgz] = string(subchart("common", "1.0.0", forge.Entry{Name: "evil.yaml"})) }
	gone := func(w *world) { w.sources = source.Map{} }
	for _, test := range []struct {
		name    string
		options chart.LockOKOptions
		change  func(*world)
		code    builtins.Code
	}{
		{"nothing is asked for", chart.LockOKOptions{}, altered, builtins.OK},
		{"the lock alone", chart.LockOKOptions{Content: []string{"lock"}}, altered, builtins.OK},
		{"as its repository has it", chart.LockOKOptions{Content: []string{"lock", "repository"}}, func(*world) {}, builtins.OK},
		{"altered", chart.LockOKOptions{Content: []string{"lock", "repository"}}, altered, builtins.DependencyTampered},
		{"of nobody's", chart.LockOKOptions{Content: []string{"repository"}}, gone, builtins.ContentUnverified},
		{"not signed", chart.LockOKOptions{ProvenanceOptions: ring}, func(*world) {}, builtins.ContentUnverified},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, common)
			w.pin(t)
			test.change(w)
			pins, locked, err := chart.PinDependencies(t.Context(), w.env(), chartref.Parse("web"), test.options)
			if builtins.CodeOf(err) != test.code || len(pins.Dependencies) != map[bool]int{true: 1}[err == nil] || (len(locked.Findings) == 0) != (err == nil) {
				t.Errorf("%v, %+v, %+v", err, pins, locked)
			}
		})
	}
}
