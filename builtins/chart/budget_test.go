// SPDX-License-Identifier: Apache-2.0

package chart_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chartseal/chartseal/builtins"
	"github.com/chartseal/chartseal/builtins/chartref"
	"github.com/chartseal/chartseal/builtins/helm"
	"github.com/chartseal/chartseal/builtins/source"
	"github.com/chartseal/chartseal/test/forge"
	"github.com/chartseal/chartseal/test/vsig"
)

// A crowd is a chart with n dependencies, unpacked in charts/ with the files in
// here, which their repository serves with those in there, as change makes of it.
func crowd(t testing.TB, n int, here, there []forge.Entry, change func([]forge.Entry) []byte) *world {
	t.Helper()
	var deps []dep
	for i := range n {
		deps = append(deps, on(fmt.Sprintf("dep-%d", i), "^1.0.0", stable, "1.0.0"))
	}
	w := newWorld(t, deps...)
	w.options["content"] = []string{"repository"}
	for _, d := range deps {
		delete(w.files, "charts/"+d.Name+"-1.0.0.tgz")
		w.folder("charts/"+d.Name, d.Name, "1.0.0", here...)
		w.publish(stable, d.Name, "1.0.0", change(forge.Chart(d.Name, "1.0.0", there...)))
	}
	return w
}

func whole(entries []forge.Entry) []byte { return forge.Archive(entries...) }

// each changes what the repository serves for each dependency.
func (w *world) each(edit func(name string, f *source.MapFile)) {
	for ref, f := range w.sources {
		_, name, _ := strings.Cut(ref, "#")
		name, _, _ = strings.Cut(name, "@")
		edit(name, &f)
		w.sources[ref] = f
	}
}

var (
	zerosFile = forge.Entry{Name: "files/zeros", Body: strings.Repeat("\x00", 256<<10)}
	unpacked  = int64(len(forge.Tar(forge.Chart("dep-0", "1.0.0", zerosFile)...)))
)

func manyFiles() (entries []forge.Entry) {
	for i := range 100 {
		entries = append(entries, forge.Entry{Name: fmt.Sprintf("files/%d", i)})
	}
	return entries
}

// A15: what evidence is read for one chart is on one budget, also if the
// archives are refused, or cut, or read by another check. The twin has fewer
// dependencies, and archives that are as they should be.
func TestEvidenceIsOnOneBudget(t *testing.T) {
	t.Parallel()
	release := vsig.WithKey(vsig.SeededKey("release"))
	doubled := func(entries []forge.Entry) []byte { return forge.Archive(append(entries, entries[0])...) }
	cut := func(entries []forge.Entry) []byte {
		raw := whole(entries)
		return raw[:len(raw)-4]
	}
	nothing := func(*world) {}
	provenance := func(w *world) {
		w.options["content"] = []string{"provenance"}
		w.options["provenance_options"] = map[string]any{"keyring": alice.ArmoredPublic()}
		w.each(func(name string, f *source.MapFile) {
			text := forge.ProvenanceText(strings.TrimSpace(forge.ChartYAML(name, "1.0.0")), name+"-1.0.0.tgz", builtins.SHA256(f.Data))
			f.Prov = []byte(forge.Clearsigned(text, alice.Sign(text, forge.SignatureSpec{})))
		})
	}
	signature := func(w *world) {
		w.options["content"] = []string{"signature"}
		w.options["signature_options"] = map[string]any{"public_key": string(release.PublicKey())}
		bundles := source.Map{}
		for ref, f := range w.sources {
			bundles[ref+".sigstore.json"] = source.MapFile{Data: release.Blob(f.Data).Bundle("0.3")}
		}
		for ref, f := range bundles {
			w.sources[ref] = f
		}
	}
	bytesFor := func(archives int64) func(*builtins.Limits) {
		return func(l *builtins.Limits) { l.ArchiveUnpacked = archives*unpacked + unpacked/2 }
	}
	const ok, unverified, large, many = builtins.OK, builtins.ContentUnverified, builtins.TooLarge, builtins.TooMany
	codes := func(n int, code builtins.Code, rest ...builtins.Code) []builtins.Code {
		return append(slices.Repeat([]builtins.Code{code}, n), rest...)
	}
	for _, test := range []struct {
		name    string
		big     []forge.Entry
		change  func([]forge.Entry) []byte // not for the twin
		options func(*world)
		spoil   func(*world) // not for the twin
		limit   func(*builtins.Limits)
		twin    int // dependencies that there is enough for
		want    []builtins.Code
	}{
		{"refused archives", []forge.Entry{zerosFile}, doubled, nothing, nothing, bytesFor(4), 4, codes(4, unverified, large)},
		{"cut archives", []forge.Entry{zerosFile}, cut, nothing, nothing, bytesFor(4), 4, codes(4, unverified, large)},
		{"archives cut on their way, but for the last", []forge.Entry{zerosFile}, whole, nothing, func(w *world) {
			w.each(func(name string, f *source.MapFile) {
				if name != "dep-4" {
					f.Data = f.Data[:len(f.Data)-4]
				}
			})
		}, bytesFor(4), 4, codes(4, unverified, large)},
		{"entries of refused archives", manyFiles(), doubled, nothing, nothing, func(l *builtins.Limits) { l.ArchiveEntries = 560 }, 5, codes(5, unverified, many)},
		{"archives that a provenance is about", []forge.Entry{zerosFile}, whole, provenance, nothing, bytesFor(5), 2, codes(2, ok, large, large)},
		{"refused archives that a provenance is about", []forge.Entry{zerosFile}, doubled, provenance, nothing, bytesFor(4), 2, codes(4, unverified, large)},
		{"archives that a bundle is about", []forge.Entry{zerosFile}, whole, signature, nothing, bytesFor(5), 2, codes(2, ok, large, large)},
		{"refused archives that a bundle is about", []forge.Entry{zerosFile}, doubled, signature, nothing, bytesFor(4), 2, codes(4, unverified, large)},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			judge := func(n int, here []forge.Entry, change func([]forge.Entry) []byte, edits ...func(*world)) report {
				w := crowd(t, n, here, test.big, change)
				for _, edit := range edits {
					edit(w)
				}
				env := w.env()
				test.limit(&env.Limits)
				return w.judge(t, env, "web")
			}
			judge(test.twin, test.big, whole, test.options).want(t, builtins.OK, "", "")
			here := test.big
			if test.want[0] != ok {
				here = nil // of what is refused nothing has to be there
			}
			r := judge(len(test.want), here, test.change, test.options, test.spoil)
			for i, d := range r.Dependencies {
				if d.Code != test.want[i] {
					t.Errorf("%s: %s, want %s: %s", d.Name, d.Code, test.want[i], d.Reason)
				}
			}
			if last := r.Dependencies[len(test.want)-1]; !strings.Contains(last.Reason, "exceeds the limit") {
				t.Errorf("reason: %s", last.Reason)
			}
		})
	}
}

// What is remembered of an archive in a registry costs nothing, and what one
// budget had no room for is not remembered.
func TestBudgetAndFacts(t *testing.T) {
	t.Parallel()
	const inRegistry, atURL = "oci://registry.example.com/charts/common:1.0.0", "https://charts.example.com/common-1.0.0.tgz"
	text := forge.ProvenanceText(strings.TrimSpace(forge.ChartYAML("common", "1.0.0")), "common-1.0.0.tgz", builtins.SHA256(good))
	prov := []byte(forge.Clearsigned(text, alice.Sign(text, forge.SignatureSpec{})))
	w := &world{sources: source.Map{
		inRegistry: {Data: good, Prov: prov, Digest: zeros, Config: []byte(`{"apiVersion":"v2","name":"common","version":"1.0.0","description":"made for tests"}`)},
		atURL:      {Data: good, Prov: prov},
	}}
	opts := fmt.Appendf(nil, `{"keyring": %q}`, alice.ArmoredPublic())
	little := builtins.DefaultLimits()
	little.ArchiveUnpacked = 100
	nothing := builtins.DefaultLimits()
	nothing.Archive, nothing.ArchiveUnpacked, nothing.ArchiveEntries = 0, 0, 0
	for _, ref := range []string{inRegistry, atURL} {
		env := w.env()
		env.Facts = source.NewFacts(1<<20, time.Now)
		for i, call := range []struct {
			limits builtins.Limits
			code   builtins.Code
		}{
			{nothing, builtins.TooLarge},
			{little, builtins.TooLarge},
			{env.Limits, builtins.OK},
			{little, builtins.OK}, // it is fetched, at a URL, and not unpacked
			{nothing, map[string]builtins.Code{inRegistry: builtins.OK, atURL: builtins.TooLarge}[ref]},
		} {
			env.Budget = builtins.NewBudget(call.limits)
			rep := helm.VerifyProv.Call(t.Context(), env, chartref.Parse(ref), opts)
			if rep.Code != call.code {
				t.Errorf("%s, call %d: %s, want %s: %s", ref, i, rep.Code, call.code, rep.Reason)
			}
		}
	}
}
