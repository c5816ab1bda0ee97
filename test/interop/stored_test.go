// SPDX-License-Identifier: Apache-2.0

package interop_test

import (
	"encoding/json"
	"maps"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/chartseal/chartseal/builtins"
	"github.com/chartseal/chartseal/test/registry"
)

// byEd25519 are the charts signed by the Ed25519 key with one Helm.
func byEd25519(t testing.TB, h helm) []signed {
	var some []signed
	for _, s := range signedCharts(t) {
		if s.by.name == "Ed25519" && s.helm == h.name {
			some = append(some, s)
		}
	}
	return some
}

// push lets helm push the charts to the server, each with its provenance.
func (h helm) push(t testing.TB, srv *registry.Server, charts []signed) {
	t.Helper()
	for _, s := range charts {
		h.run(t, folder(t), "push", s.save(t), "oci://"+srv.Host()+"/charts", "--plain-http")
	}
}

// publish lets helm index a folder of charts, and serves it.
func (h helm) publish(t testing.TB, srv *registry.Server, charts []signed) {
	t.Helper()
	dir := folder(t)
	for _, s := range charts {
		write(t, filepath.Join(dir, s.file), s.archive)
		srv.AddFile("stable/"+s.file, s.archive)
		srv.AddFile("stable/"+s.file+".prov", s.prov)
	}
	h.run(t, dir, "repo", "index", dir)
	srv.AddFile("stable/index.yaml", read(t, filepath.Join(dir, "index.yaml")))
}

func ociTag(version string) string { return strings.ReplaceAll(version, "+", "_") }

// inRegistry and inRepository ask for a chart in each way it can be found.

func inRegistry(s signed, srv *registry.Server) []question {
	return []question{
		stored(s, "OCI by tag", "oci://"+srv.Host()+"/charts/"+s.source.name+":"+ociTag(s.version)),
		stored(s, "OCI repository", version(s, "oci://"+srv.Host()+"/charts")),
	}
}

func inRepository(s signed, srv *registry.Server) []question {
	return []question{
		stored(s, "chart repository", version(s, srv.URL()+"/stable")),
		stored(s, "URL of the archive", srv.URL()+"/stable/"+s.file),
	}
}

func stored(s signed, place string, ref any) question {
	q := verified(s.label+": "+place, s.by.public, nil, s.by)
	q.ref = ref
	return q
}

func version(s signed, repository string) map[string]any {
	return map[string]any{"repository": repository, "name": s.source.name, "version": s.version}
}

func TestStoredByHelm(t *testing.T) {
	for _, h := range helms(t) {
		t.Run(h.name, func(t *testing.T) {
			charts := byEd25519(t, h)
			srv := registry.New(t)
			h.push(t, srv, charts)
			h.publish(t, srv, charts)
			var questions []question
			for _, s := range charts {
				questions = append(append(questions, inRegistry(s, srv)...), inRepository(s, srv)...)
			}
			env := newEnv(t, srv)
			for i, got := range evaluate(t, questions, "--config", configFile(t, srv)) {
				q := questions[i]
				t.Run(q.name+", command line", func(t *testing.T) { q.check(t, got) })
				t.Run(q.name+", in process", func(t *testing.T) { q.check(t, q.call(t, env)) })
			}
		})
	}
}

// TestStoredAndSpoilt serves what Helm stored, with one lie, to those who ask
// where the lie is told.
func TestStoredAndSpoilt(t *testing.T) {
	h := helms(t)[1]
	s := byEd25519(t, h)[0]
	last := func(b []byte) []byte { flip(&b, len(b)-1); return b }
	for _, test := range []struct {
		name  string
		rule  registry.Rule
		where func(signed, *registry.Server) []question
		want  builtins.Code
	}{
		{"P1 provenance absent", registry.Rule{Path: "*.prov", Status: 404}, inRepository, builtins.NoProvenance},
		{"P2 provenance is a page", registry.Rule{Path: "*.prov", Body: []byte("<html>")}, inRepository, builtins.MalformedProvenance},
		{"N2 provenance denied", registry.Rule{Path: "*.prov", Status: 403}, inRepository, builtins.Denied},
		{"N2 provenance unavailable", registry.Rule{Path: "*.prov", Status: 503}, inRepository, builtins.Unavailable},
		{"P3 archive altered", registry.Rule{Path: "*.tgz", Edit: last}, inRepository, builtins.DigestMismatch},
		{"N1 chart denied", registry.Rule{Path: "/v2/*", Status: 403}, inRegistry, builtins.Denied},
		{"N1 chart unavailable", registry.Rule{Path: "/v2/*", Status: 503}, inRegistry, builtins.Unavailable},
		{"N5 blobs altered", registry.Rule{Path: "/v2/*/blobs/*", Edit: last}, inRegistry, builtins.DigestMismatch},
	} {
		t.Run(test.name, func(t *testing.T) {
			srv := registry.New(t)
			h.push(t, srv, []signed{s})
			h.publish(t, srv, []signed{s})
			srv.Rule(test.rule)
			for _, q := range test.where(s, srv) {
				q.want, q.signers = test.want, nil
				t.Run(q.name, func(t *testing.T) { q.check(t, q.call(t, newEnv(t, srv))) })
			}
		})
	}
}

// TestFixtureIsWhatHelmPushes keeps the fake registry honest: its PushChart
// writes byte for byte what real Helm pushes, but for the time.
func TestFixtureIsWhatHelmPushes(t *testing.T) {
	for _, h := range helms(t) {
		for _, s := range byEd25519(t, h) {
			t.Run(h.name+" "+s.source.name, func(t *testing.T) {
				real, fake := registry.New(t), registry.New(t)
				h.push(t, real, []signed{s})
				fake.PushChart("charts/"+s.source.name, s.version, s.archive, s.prov)
				tag := ociTag(s.version)
				want, got := timeless(t, real.Manifest("charts/"+s.source.name, tag)), timeless(t, fake.Manifest("charts/"+s.source.name, tag))
				if diff := cmp.Diff(want, got); diff != "" {
					t.Error(diff)
				}
			})
		}
	}
}

// timeless is a manifest without its time of creation.
func timeless(t *testing.T, manifest []byte) string {
	t.Helper()
	var m map[string]json.RawMessage
	annotations := map[string]string{}
	if err := json.Unmarshal(manifest, &m); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(m["annotations"], &annotations); err != nil {
		t.Fatal(err)
	}
	maps.DeleteFunc(annotations, func(key, _ string) bool { return key == "org.opencontainers.image.created" })
	m["annotations"], _ = json.Marshal(annotations)
	text, err := json.MarshalIndent(m, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
