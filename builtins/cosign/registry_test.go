// SPDX-License-Identifier: Apache-2.0

package cosign_test

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/chartseal/chartseal/builtins"
	"github.com/chartseal/chartseal/test/forge"
	"github.com/chartseal/chartseal/test/registry"
	"github.com/chartseal/chartseal/test/vsig"
)

var byRelease = object{"public_keys": []string{"release"}}

// sign stores good signatures of the key: bundles, then simple ones.
func (w *world) sign(bundles, simple int) {
	for i := range bundles {
		w.attach(w.key.Statement(w.digest, vsig.SignPredicate, map[string]string{"n": fmt.Sprint(i)}).Bundle("0.3"))
	}
	var layers []layer
	for i := range simple {
		layers = append(layers, layerOf(w.key.Simple(w.srv.Host()+"/"+repo, w.digest, map[string]string{"n": fmt.Sprint(i)})))
	}
	if layers != nil {
		w.storeLayers(repo, layers...)
	}
}

// fallBack moves a referrer to the tag under which a registry without the API
// lists it.
func (w *world) fallBack(manifests ...string) {
	index := ocispec.Index{MediaType: ocispec.MediaTypeImageIndex}
	index.SchemaVersion = 2
	for _, d := range manifests {
		raw := w.srv.Manifest(repo, d)
		index.Manifests = append(index.Manifests, ocispec.Descriptor{
			MediaType: ocispec.MediaTypeImageManifest, ArtifactType: bundleType, Digest: digest.Digest(d), Size: int64(len(raw)),
		})
	}
	w.srv.PushManifest(repo, strings.Replace(w.digest, ":", "-", 1), index.MediaType, marshal(index))
}

func TestPlaces(t *testing.T) {
	for _, tt := range []struct {
		id      string
		options []registry.Option
		set     func(*world)
		ask     object
		code    builtins.Code
		twin    func(*world)
	}{
		{id: "C1 no signature anywhere", code: builtins.NoSignature},
		{id: "C1 no signature anywhere, without the API", options: []registry.Option{registry.WithoutReferrers()}, code: builtins.NoSignature},
		{id: "a bundle", set: func(w *world) { w.sign(1, 0) }, code: builtins.OK},
		{id: "a bundle under the fallback tag", options: []registry.Option{registry.WithoutReferrers()}, code: builtins.OK,
			set: func(w *world) { w.fallBack(w.attach(w.key.Statement(w.digest, vsig.SignPredicate, nil).Bundle("0.3"))) }},
		{id: "a simple signature", set: func(w *world) { w.sign(0, 1) }, code: builtins.OK},
		{id: "C12 one signature listed twice", ask: twoKeys, code: builtins.Threshold,
			set: func(w *world) {
				w.trustStranger()
				l := layerOf(w.key.Simple("x", w.digest, nil))
				w.storeLayers(repo, l, l)
			},
			twin: func(w *world) {
				w.trustStranger()
				w.storeLayers(repo, layerOf(w.key.Simple("x", w.digest, nil)), layerOf(stranger.Simple("x", w.digest, nil)))
			}},
		{id: "C12 one key in both shapes", ask: twoKeys, code: builtins.Threshold,
			set: func(w *world) { w.trustStranger(); w.sign(2, 2) },
			twin: func(w *world) {
				w.trustStranger()
				w.sign(1, 0)
				w.storeLayers(repo, layerOf(stranger.Simple("x", w.digest, nil)))
			}},
		{id: "C23 referrers 503, no .sig", code: builtins.Unavailable, set: answer("/v2/*/referrers/*", 503)},
		{id: "C23 .sig 503, no referrer", code: builtins.Unavailable, set: answer("*.sig", 503)},
		{id: "C23 fallback tag 503", code: builtins.Unavailable, options: []registry.Option{registry.WithoutReferrers()}, set: answer("/v2/*/manifests/sha256-*", 503)},
		{id: "C23 referrers 401", code: builtins.Denied, set: answer("/v2/*/referrers/*", 401)},
		{id: "C23 .sig 403", code: builtins.Denied, set: answer("*.sig", 403)},
		{id: "C23 referrers 429", code: builtins.Unavailable, set: answer("/v2/*/referrers/*", 429)},
		{id: "C23 referrers 503, good .sig", code: builtins.OK, set: func(w *world) { w.sign(0, 1); answer("/v2/*/referrers/*", 503)(w) }},
		{id: "C23 .sig 503, good bundle", code: builtins.OK, set: func(w *world) { w.sign(1, 0); answer("*.sig", 503)(w) }},
		{id: "C23 referrers 503, foreign .sig", code: builtins.Unavailable, set: func(w *world) {
			w.storeLayers(repo, layerOf(stranger.Simple("x", w.digest, nil)))
			answer("/v2/*/referrers/*", 503)(w)
		}},
		{id: "C23 a bundle's blob 503", code: builtins.Unavailable, set: func(w *world) { w.sign(1, 0); answer("/v2/*/blobs/*", 503)(w) }},
		{id: "C23 a bundle listed and gone", code: builtins.Unavailable, set: func(w *world) { w.sign(1, 0); answer("/v2/*/blobs/*", 404)(w) }},
		{id: "referrers are a web page", code: builtins.Unavailable, set: func(w *world) {
			w.srv.Rule(registry.Rule{Path: "/v2/*/referrers/*", Body: []byte("<html>"), Header: map[string]string{"Content-Type": "text/html"}})
		}},
		{id: "C24 10,000 referrers", code: builtins.TooMany, set: func(w *world) { w.list(10_000, nil) }, twin: func(w *world) { w.list(99, nil); w.sign(0, 1) }},
		{id: "C24 page that links to itself", code: builtins.TooMany, set: func(w *world) {
			w.list(1, func(r *http.Request) string { return r.URL.Path })
		}},
		{id: "C24 page that links to another host", code: builtins.SourceDenied, set: func(w *world) {
			w.list(1, func(*http.Request) string { return "https://elsewhere.example.com/v2/x" })
		}},
		{id: "C24 101 layers in .sig", code: builtins.TooMany, set: func(w *world) { w.sign(0, 101) }, twin: func(w *world) { w.sign(0, 100) }},
		{id: "C25 bundle one byte over", code: builtins.TooLarge, set: padded(1), twin: padded(0)},
		{id: "C25 layer of 129 MiB", code: builtins.TooLarge, set: func(w *world) {
			w.sign(0, 1)
			w.editSig(func(m *ocispec.Manifest) { m.Layers[0].Size = 129 << 20 })
		}, twin: func(w *world) { w.sign(0, 1) }},
		{id: "C25 bundles of more than all signatures may have", code: builtins.TooLarge, set: func(w *world) {
			for i := range 5 {
				w.attach(bytes.Repeat([]byte{byte('a' + i)}, 2<<20))
			}
		}},
		{id: "N4 referrer's manifest is not what it is listed as", code: builtins.DigestMismatch, set: func(w *world) {
			d := w.attach(w.key.Statement(w.digest, vsig.SignPredicate, nil).Bundle("0.3"))
			w.srv.Rule(registry.Rule{Path: "/v2/*/manifests/" + d, Edit: func(b []byte) []byte { return bytes.Replace(b, []byte("{"), []byte("[")[:1], 1) }})
		}},
		{id: "N5 bundle is not what its manifest says", code: builtins.DigestMismatch, set: func(w *world) {
			w.sign(1, 0)
			w.srv.Rule(registry.Rule{Path: "/v2/*/blobs/*", Edit: func(b []byte) []byte { b[len(b)/2] ^= 1; return b }})
		}},
		{id: "referrer of something else is not counted", code: builtins.NoSignature, set: func(w *world) {
			d := w.attach(w.key.Statement(w.digest, vsig.SignPredicate, nil).Bundle("0.3"), func(m *ocispec.Manifest) { m.Subject.Digest = digest.Digest(otherDigest) })
			raw := w.srv.Manifest(repo, d)
			index := ocispec.Index{Manifests: []ocispec.Descriptor{{MediaType: ocispec.MediaTypeImageManifest, ArtifactType: bundleType, Digest: digest.Digest(d), Size: int64(len(raw))}}}
			w.srv.Rule(registry.Rule{Path: "/v2/*/referrers/*", Body: marshal(index), Header: map[string]string{"Content-Type": ocispec.MediaTypeImageIndex}})
		}},
		{id: "referrer of another type is not fetched", code: builtins.OK, set: func(w *world) {
			sbom := w.attach([]byte("an SBOM"), func(m *ocispec.Manifest) { m.ArtifactType = "application/spdx+json" })
			answer("/v2/*/manifests/"+sbom, 503)(w)
			w.sign(1, 0)
		}},
		{id: "a bundle listed by the type of its config", code: builtins.OK, set: func(w *world) { w.sign(1, 0); w.relist("application/vnd.oci.empty.v1+json") }},
		{id: "a bundle listed without a type", code: builtins.OK, set: func(w *world) { w.sign(1, 0); w.relist("") }},
		{id: "an SBOM listed by the type of its config", code: builtins.NoSignature, set: func(w *world) {
			w.attach([]byte("an SBOM"), func(m *ocispec.Manifest) { m.ArtifactType = "application/spdx+json" })
			w.relist("application/vnd.oci.empty.v1+json")
		}, twin: func(w *world) {
			w.attach([]byte("an SBOM"), func(m *ocispec.Manifest) { m.ArtifactType = "application/spdx+json" })
			w.sign(1, 0)
			w.relist("application/vnd.oci.empty.v1+json")
		}},
		{id: "referrer with two layers", code: builtins.MalformedBundle, set: func(w *world) {
			w.attach([]byte("{}"), func(m *ocispec.Manifest) { m.Layers = append(m.Layers, m.Layers[0]) })
		}},
		{id: "a bundle of a file counts for no chart in a registry", code: builtins.NoSignature, set: func(w *world) {
			w.attach(w.key.Blob(w.srv.Manifest(repo, w.digest)).Bundle("0.3"))
		}},
	} {
		t.Run(tt.id, func(t *testing.T) {
			t.Parallel()
			if tt.ask == nil {
				tt.ask = byRelease
			}
			w := newWorld(t, tt.options...)
			if tt.set != nil {
				tt.set(w)
			}
			rep := w.call(w.ref(), tt.ask)
			expect(t, rep, tt.code)
			if rep.Digest != w.digest {
				t.Errorf("digest %s, want %s", rep.Digest, w.digest)
			}
			if tt.twin == nil { // the same registry, healthy
				tt.twin = func(w *world) { w.sign(0, 1) }
			}
			twin := newWorld(t, tt.options...)
			tt.twin(twin)
			expect(t, twin.call(twin.ref(), tt.ask), builtins.OK)
		})
	}
}

var twoKeys = object{"public_keys": []string{"release", "second"}, "threshold": 2}

func (w *world) trustStranger() { w.trust.keys["second"] = stranger.PublicKey() }

func answer(path string, status int) func(*world) {
	return func(w *world) { w.srv.Rule(registry.Rule{Path: path, Status: status}) }
}

// list answers with n referrers of a kind that is not looked at.
func (w *world) list(n int, next func(*http.Request) string) {
	index := ocispec.Index{MediaType: ocispec.MediaTypeImageIndex}
	for i := range n {
		index.Manifests = append(index.Manifests, ocispec.Descriptor{
			MediaType: ocispec.MediaTypeImageManifest, ArtifactType: "application/spdx+json", Digest: digest.FromString(fmt.Sprint(i)), Size: 1,
		})
	}
	raw := marshal(index)
	w.srv.Rule(registry.Rule{Path: "/v2/*/referrers/*", Handler: func(rw http.ResponseWriter, r *http.Request) {
		rw.Header().Set("Content-Type", ocispec.MediaTypeImageIndex)
		if next != nil {
			rw.Header().Set("Link", "<"+next(r)+`>; rel="next"`)
		}
		_, _ = rw.Write(raw)
	}})
}

// relist has the registry list every referrer by this type, or by none.
func (w *world) relist(artifactType string) {
	w.srv.Rule(registry.Rule{Path: "/v2/*/referrers/*", Edit: func(b []byte) []byte {
		var index ocispec.Index
		unmarshal(b, &index)
		for i := range index.Manifests {
			index.Manifests[i].ArtifactType = artifactType
		}
		return marshal(index)
	}})
}

func padded(over int) func(*world) {
	return func(w *world) {
		raw := w.key.Statement(w.digest, vsig.SignPredicate, nil).Bundle("0.3")
		w.attach(append(raw, bytes.Repeat([]byte{' '}, 2<<20-len(raw)+over)...))
	}
}

// editSig rewrites the .sig manifest.
func (w *world) editSig(edit func(*ocispec.Manifest)) {
	tag := strings.Replace(w.digest, ":", "-", 1) + ".sig"
	var m ocispec.Manifest
	unmarshal(w.srv.Manifest(repo, tag), &m)
	edit(&m)
	w.srv.PushManifest(repo, tag, m.MediaType, marshal(m))
}

func TestC2TagMovesMeanwhile(t *testing.T) {
	w := newWorld(t)
	w.sign(1, 1)
	w.srv.Rule(registry.Rule{Path: "/v2/*/manifests/1.2.3", Nth: 2, Status: 500})
	other := w.srv.PushChart(repo, "other", forge.Archive(forge.Chart("web", "1.2.3", forge.Entry{Name: "web/x"})...), nil)
	w.srv.Rule(registry.Rule{Path: "/v2/*/referrers/*", Handler: func(rw http.ResponseWriter, r *http.Request) {
		w.srv.Tag(repo, w.tag, other)
		w.srv.Honest()
		w.srv.ServeHTTP(rw, r)
	}})
	rep := w.callOnce(w.ref(), byRelease)
	expect(t, rep, builtins.OK)
	if rep.Digest != w.digest {
		t.Errorf("digest %s, want the first one, %s", rep.Digest, w.digest)
	}
	t.Run("valid twin: later it is the other, unsigned one", func(t *testing.T) {
		expect(t, w.call(w.ref(), byRelease), builtins.NoSignature)
	})
}

func TestC27NotAChart(t *testing.T) {
	for name, edit := range map[string]func(*registry.Push){
		"other config type": func(p *registry.Push) { p.Manifest.Config.MediaType = ocispec.MediaTypeImageConfig },
		"two chart layers":  func(p *registry.Push) { p.Manifest.Layers = append(p.Manifest.Layers, p.Manifest.Layers[0]) },
		"index in its place": func(p *registry.Push) {
			p.MediaType, p.Manifest.MediaType = ocispec.MediaTypeImageIndex, ocispec.MediaTypeImageIndex
		},
		"valid twin, a chart": nil,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, want := newWorld(t), builtins.OK
			if edit != nil {
				w.digest, want = w.srv.PushChart(repo, w.tag, archive, nil, edit), builtins.NotAChart
			}
			expect(t, w.call(w.ref(), byRelease), builtins.NoSignature)
			w.sign(1, 1)
			rep := w.call(w.ref(), byRelease)
			expect(t, rep, want)
			if len(signers(rep)) != 1 || rep.Digest != w.digest {
				t.Errorf("signers %+v, digest %s: who signed it belongs into the report", signers(rep), rep.Digest)
			}
		})
	}
}

func TestBinding(t *testing.T) {
	name := func(s string) object { return object{"name": s} }
	for _, tt := range []struct {
		id, tag string
		options object
		code    builtins.Code
	}{
		{"C28 tag 2.0.0 leads to a signed 1.2.3", "2.0.0", nil, builtins.VersionMismatch},
		{"valid twin: its own tag", "1.2.3", nil, builtins.OK},
		{"C28 tag v1.2.4 leads to a signed 1.2.3", "v1.2.4", nil, builtins.VersionMismatch},
		{"C28 tag with other build metadata", "v1.2.3_a", nil, builtins.VersionMismatch},
		{"valid twin: its own tag, with a v", "v1.2.3", nil, builtins.OK},
		{"chart.version with a v says otherwise", "latest", object{"version": "v1.2.4"}, builtins.VersionMismatch},
		{"valid twin: chart.version with a v", "latest", object{"version": "v1.2.3"}, builtins.OK},
		{"a tag that is no version", "latest", nil, builtins.OK},
		{"chart.version says otherwise", "latest", object{"version": "2.0.0"}, builtins.VersionMismatch},
		{"chart.version takes the place of the tag", "2.0.0", object{"version": "1.2.3"}, builtins.OK},
		{"chart.name says otherwise", "latest", name("db"), builtins.NameMismatch},
	} {
		for _, annotated := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, annotated %v", tt.id, annotated), func(t *testing.T) {
				t.Parallel()
				w := newWorld(t)
				w.tag = tt.tag
				w.digest = w.srv.PushChart(repo, tt.tag, archive, nil, func(p *registry.Push) {
					if !annotated {
						p.Manifest.Annotations = nil
					}
				})
				w.sign(1, 0)
				options := object{"public_keys": []string{"release"}}
				if tt.options != nil {
					options["chart"] = tt.options
				}
				rep := w.call(w.ref(), options)
				expect(t, rep, tt.code)
				if rep.Chart.Name != "web" || rep.Chart.Version != "1.2.3" || rep.Chart.Digest != builtins.SHA256(archive) {
					t.Errorf("chart %+v", rep.Chart)
				}
			})
		}
	}
}

func TestC29TagAndDigest(t *testing.T) {
	w := newWorld(t)
	w.sign(1, 0)
	expect(t, w.call(w.ref()+"@"+w.digest, byRelease), builtins.OK)
	w.srv.Tag(repo, w.tag, w.srv.PushChart(repo, "other", forge.Archive(forge.Chart("web", "1.2.4")...), nil))
	expect(t, w.call(w.ref()+"@"+w.digest, byRelease), builtins.DigestMismatch)
}

func TestN4Manifest(t *testing.T) {
	for name, header := range map[string]map[string]string{
		"as it is":                          nil,
		"with a matching header":            {"Docker-Content-Digest": "own"},
		"under a legacy type":               {"Content-Type": "application/vnd.docker.distribution.manifest.v1+prettyjws"},
		"under a legacy type, and a header": {"Content-Type": "application/vnd.docker.distribution.manifest.v1+prettyjws", "Docker-Content-Digest": "own"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.sign(1, 1)
			ref := "oci://" + w.srv.Host() + "/" + repo + "@" + w.digest
			expect(t, w.call(ref, byRelease), builtins.OK)
			if _, ok := header["Docker-Content-Digest"]; ok {
				header["Docker-Content-Digest"] = w.digest
			}
			w.srv.Rule(registry.Rule{Path: "/v2/*/manifests/" + w.digest, Header: header, Edit: func(b []byte) []byte { return append(b, ' ') }})
			expect(t, w.call(ref, byRelease), builtins.DigestMismatch)
		})
	}
}

func TestSignatureRepository(t *testing.T) {
	w := newWorld(t)
	w.storeLayers("signatures/web", layerOf(w.key.Simple("x", w.digest, nil)))
	expect(t, w.call(w.ref(), byRelease), builtins.NoSignature)
	elsewhere := object{"public_keys": []string{"release"}, "signature_repository": "oci://" + w.srv.Host() + "/signatures/web"}
	expect(t, w.call(w.ref(), elsewhere), builtins.OK)
	t.Run("a host that is not permitted", func(t *testing.T) {
		elsewhere["signature_repository"] = "oci://127.0.0.99:1/signatures/web"
		expect(t, w.call(w.ref(), elsewhere), builtins.SourceDenied)
	})
	t.Run("ignored for an archive, visibly", func(t *testing.T) {
		w.srv.AddFile("files/web-1.2.3.tgz.sigstore.json", w.key.Blob(archive).Bundle("0.3"))
		rep := w.call(w.url, elsewhere)
		expect(t, rep, builtins.OK)
		if !skipped(rep, "signature_repository") {
			t.Errorf("checks %+v", rep.Checks)
		}
	})
}

func skipped(rep builtins.Report, name string) bool {
	for _, c := range rep.Checks {
		if c.Name == name && c.Status == builtins.Skipped {
			return true
		}
	}
	return false
}

// TestRequests counts what a registry is asked.
func TestRequests(t *testing.T) {
	for _, tt := range []struct {
		bundles, simple int
		annotated       bool
		want            int
	}{
		{1, 0, true, 5}, {10, 0, true, 23}, {0, 1, true, 4}, {0, 10, true, 13}, {3, 2, true, 11}, {1, 0, false, 6}, {0, 0, true, 3},
	} {
		t.Run(fmt.Sprintf("%d bundles, %d simple, annotated %v", tt.bundles, tt.simple, tt.annotated), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.digest = w.srv.PushChart(repo, w.tag, archive, nil, func(p *registry.Push) {
				if !tt.annotated {
					p.Manifest.Annotations = nil
				}
			})
			w.sign(tt.bundles, tt.simple)
			for _, ref := range []string{w.ref(), w.ref() + "@" + w.digest, "oci://" + w.srv.Host() + "/" + repo + "@" + w.digest} {
				w.srv.Forget()
				w.callOnce(ref, byRelease)
				if got := len(w.srv.Requests()); got != tt.want {
					t.Errorf("%s: %d requests, want %d: %+v", ref, got, tt.want, w.srv.Requests())
				}
				if n := w.srv.Count("GET", "/v2/*/blobs/"+builtins.SHA256(archive)); n != 0 {
					t.Errorf("the archive was fetched")
				}
			}
		})
	}
}
