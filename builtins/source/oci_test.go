// SPDX-License-Identifier: Apache-2.0

package source_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/chartseal/chartseal/builtins"
	"github.com/chartseal/chartseal/builtins/source"
	"github.com/chartseal/chartseal/test/registry"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

const legacyManifest = "application/vnd.docker.distribution.manifest.v1+prettyjws"

func TestN4ManifestDigest(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	client := newClient(t, insecure(w.Server))
	other := []byte(`{"schemaVersion":1}`)
	manifests := "/v2/*/manifests/*"
	for name, rule := range map[string]registry.Rule{
		"another body":              {Edit: func([]byte) []byte { return other }},
		"one byte flipped":          {Edit: flipped},
		"another type, same header": {Body: other, Header: map[string]string{"Content-Type": legacyManifest, "Docker-Content-Digest": w.digest}},
		"another type, own header":  {Body: other, Header: map[string]string{"Content-Type": legacyManifest, "Docker-Content-Digest": builtins.SHA256(other)}},
		"empty":                     {Edit: func([]byte) []byte { return nil }},
	} {
		t.Run("N4 by digest "+name, func(t *testing.T) {
			rule.Path = manifests
			defer w.Rule(rule)()
			_, err := readArchive(t.Context(), client, w.byDigest(t))
			wantCode(t, err, builtins.DigestMismatch)
		})
	}
	t.Run("N4 by tag, the header says otherwise", func(t *testing.T) {
		defer w.Rule(registry.Rule{Path: manifests, Header: map[string]string{"Docker-Content-Digest": builtins.SHA256(other)}})()
		_, err := readArchive(t.Context(), client, w.byTag(t))
		wantCode(t, err, builtins.DigestMismatch)
	})
	t.Run("N4 twin without header", func(t *testing.T) {
		defer w.Rule(registry.Rule{Path: manifests, Header: map[string]string{"Docker-Content-Digest": ""}})()
		for _, ref := range w.everyWay(t) {
			got, err := readArchive(t.Context(), client, ref)
			wantBytes(t, got, err, archive)
		}
	})
}

func TestN5BlobDigest(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	client := newClient(t, insecure(w.Server))
	chunked := map[string]string{"Content-Length": ""}
	for name, rule := range map[string]registry.Rule{
		"one byte flipped": {Edit: flipped},
		"one byte less":    {Edit: func(b []byte) []byte { return b[1:] }},
		"one byte more":    {Edit: func(b []byte) []byte { return append(b, '\n') }},
		"empty":            {Edit: func([]byte) []byte { return nil }},
		"endless":          {Body: bytes.Repeat([]byte("x"), 512), Repeat: -1, Header: chunked},
	} {
		for part, c := range map[string]struct {
			digest string
			read   reading
		}{
			"layer":      {builtins.SHA256(archive), readArchive},
			"provenance": {builtins.SHA256(prov), readProv},
			"config":     {builtins.SHA256([]byte("{}")), readConfig},
		} {
			t.Run("N5 "+part+" "+name, func(t *testing.T) {
				rule.Path = "/v2/*/blobs/" + c.digest
				remove := w.Rule(rule)
				_, err := c.read(t.Context(), client, w.byTag(t))
				wantCode(t, err, builtins.DigestMismatch)
				remove()
				_, err = c.read(t.Context(), client, w.byTag(t))
				wantCode(t, err, builtins.OK)
			})
		}
	}
}

// manifests are changes of what `helm push` writes.
var manifests = []struct {
	name string
	edit func(*registry.Push)
	want builtins.Code
}{
	{"twin as pushed", func(*registry.Push) {}, builtins.OK},
	{"twin that states its type", func(p *registry.Push) { p.Manifest.MediaType = p.MediaType }, builtins.OK},
	{"twin of Docker's type", func(p *registry.Push) { p.MediaType = "application/vnd.docker.distribution.manifest.v2+json" }, builtins.OK},
	{"twin with a parameter", func(p *registry.Push) { p.MediaType += "; charset=utf-8" }, builtins.OK},
	{"twin with the former layer type", func(p *registry.Push) { layerOf(p, registry.ChartMediaType).MediaType = registry.LegacyChartMediaType }, builtins.OK},
	{"twin with a layer of no interest", func(p *registry.Push) {
		p.Manifest.Layers = append(p.Manifest.Layers, p.Blob("text/plain", []byte("hello")))
	}, builtins.OK},
	{"N6 index", func(p *registry.Push) { p.MediaType = ocispec.MediaTypeImageIndex }, builtins.NotAChart},
	{"N6 no type", func(p *registry.Push) { p.MediaType = "" }, builtins.NotAChart},
	{"N6 type of a file", func(p *registry.Push) { p.MediaType = "application/json" }, builtins.NotAChart},
	{"N6 states another type", func(p *registry.Push) { p.Manifest.MediaType = ocispec.MediaTypeImageIndex }, builtins.NotAChart},
	{"N6 schema version 1", func(p *registry.Push) { p.Manifest.SchemaVersion = 1 }, builtins.NotAChart},
	{"C27 another config type", func(p *registry.Push) { p.Manifest.Config.MediaType = ocispec.MediaTypeImageConfig }, builtins.NotAChart},
	{"C27 two chart layers", func(p *registry.Push) {
		p.Manifest.Layers = append(p.Manifest.Layers, p.Blob(registry.ChartMediaType, []byte("another")))
	}, builtins.NotAChart},
	{"C27 one layer twice", func(p *registry.Push) {
		p.Manifest.Layers = append(p.Manifest.Layers, *layerOf(p, registry.ChartMediaType))
	}, builtins.NotAChart},
	{"C27 a chart layer of each type", func(p *registry.Push) {
		p.Manifest.Layers = append(p.Manifest.Layers, p.Blob(registry.LegacyChartMediaType, []byte("another")))
	}, builtins.NotAChart},
	{"C27 no chart layer", func(p *registry.Push) { layerOf(p, registry.ChartMediaType).MediaType = "text/plain" }, builtins.NotAChart},
	{"two provenance layers", func(p *registry.Push) {
		p.Manifest.Layers = append(p.Manifest.Layers, p.Blob(registry.ProvenanceMediaType, []byte("another")))
	}, builtins.NotAChart},
	{"digest in upper case", func(p *registry.Push) {
		l := layerOf(p, registry.ChartMediaType)
		l.Digest = "sha256:" + digest.Digest(strings.ToUpper(l.Digest.Encoded()))
	}, builtins.NotAChart},
	{"digest by another algorithm", func(p *registry.Push) { p.Manifest.Config.Digest = "sha512:00" }, builtins.NotAChart},
	{"negative size", func(p *registry.Push) { layerOf(p, registry.ChartMediaType).Size = -1 }, builtins.NotAChart},
	{"layer over the limit", func(p *registry.Push) { layerOf(p, registry.ChartMediaType).Size = 129 << 20 }, builtins.TooLarge},
}

func layerOf(p *registry.Push, mediaType string) *ocispec.Descriptor {
	for i := range p.Manifest.Layers {
		if p.Manifest.Layers[i].MediaType == mediaType {
			return &p.Manifest.Layers[i]
		}
	}
	return nil
}

func TestManifests(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	client := newClient(t, insecure(w.Server))
	for _, m := range manifests {
		t.Run(m.name, func(t *testing.T) {
			digest := w.PushChart("charts/web", "1.2.3", archive, prov, m.edit)
			w.Forget()
			for _, ref := range []string{":1.2.3", "@" + digest, ":1.2.3@" + digest} {
				_, err := readArchive(t.Context(), client, reference(t, "oci://"+w.Host()+"/charts/web"+ref))
				wantCode(t, err, m.want)
			}
			if n := w.Count("GET", "/v2/*/blobs/*"); m.want != builtins.OK && n > 0 {
				t.Errorf("%d blobs were fetched", n)
			}
		})
	}
}

// rewritten are changes of a manifest's text that a struct cannot express.
var rewritten = map[string]struct {
	from, to string
	want     builtins.Code
}{
	"twin with white space":           {`{"schemaVersion"`, "{\n \"schemaVersion\"", builtins.OK},
	"twin with unknown members":       {`{"schemaVersion"`, `{"x": {"y": [1, null]}, "schemaVersion"`, builtins.OK},
	"twin with annotations of a case": {`{"schemaVersion"`, `{"annotations": {"a": "1", "A": "2", "Size": "x"}, "schemaVersion"`, builtins.OK},
	"N6 an index too":                 {`{"schemaVersion"`, `{"manifests": [], "schemaVersion"`, builtins.NotAChart},
	"N6 an index too, by null":        {`{"schemaVersion"`, `{"manifests": null, "schemaVersion"`, builtins.NotAChart},
	"N6 a member twice":               {`{"schemaVersion"`, `{"layers": [], "schemaVersion"`, builtins.NotAChart},
	"N6 a member in two cases":        {`{"schemaVersion"`, `{"Layers": [], "schemaVersion"`, builtins.NotAChart},
	"N6 a member of a layer twice":    {`"digest":`, `"size": 1, "digest":`, builtins.NotAChart},
	"N6 layers beside layerſ":         {`{"schemaVersion"`, `{"layerſ": [], "schemaVersion"`, builtins.NotAChart},
	"N6 layerſ alone":                 {`"layers"`, `"layerſ"`, builtins.NotAChart},
	"N6 LAYERS alone":                 {`"layers"`, `"LAYERS"`, builtins.NotAChart},
	"N6 digest beside digeſt":         {`"digest":`, `"digeſt": "sha256:0", "digest":`, builtins.NotAChart},
	"N6 Config null":                  {`{"schemaVersion"`, `{"Config": null, "schemaVersion"`, builtins.NotAChart},
	"N6 manifeſts":                    {`{"schemaVersion"`, `{"manifeſts": [], "schemaVersion"`, builtins.NotAChart},
	"N6 twice, by the Kelvin sign":    {`{"schemaVersion"`, `{"key": 1, "\u212aey": 1, "schemaVersion"`, builtins.NotAChart},
	"twin, a name of ours annotated":  {`{"schemaVersion"`, `{"annotations": {"layerſ": "1", "layers": "2"}, "schemaVersion"`, builtins.OK},
	"twin, a name of nobody's":        {`{"schemaVersion"`, `{"layerſ_": [], "schemaVersion"`, builtins.OK},
	"many tokens":                     {`{"schemaVersion"`, `{"x": [` + strings.Repeat("0,", 10_000) + `0], "schemaVersion"`, builtins.TooMany},
	"twin, fewer tokens":              {`{"schemaVersion"`, `{"x": [` + strings.Repeat("0,", 9_000) + `0], "schemaVersion"`, builtins.OK},
	"N6 an annotation twice":          {`{"schemaVersion"`, `{"annotations": {"a": "1", "a": "2"}, "schemaVersion"`, builtins.NotAChart},
	"N6 more after it":                {`{"schemaVersion"`, `{} {"schemaVersion"`, builtins.NotAChart},
	"not JSON":                        {`{"schemaVersion"`, `<html>`, builtins.NotAChart},
	"a list":                          {`{"schemaVersion"`, `[{"schemaVersion"`, builtins.NotAChart},
	"deeply nested":                   {`{"schemaVersion"`, `{"x": ` + strings.Repeat("[", 1<<20) + `, "schemaVersion"`, builtins.TooMany},
	"size is text":                    {`"size":`, `"x": "`, builtins.NotAChart},
}

func TestManifestTexts(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	client := newClient(t, insecure(w.Server))
	raw := string(w.Manifest("charts/web", "1.2.3"))
	for name, m := range rewritten {
		t.Run(name, func(t *testing.T) {
			digest := w.PushManifest("charts/web", "", ocispec.MediaTypeImageManifest, []byte(strings.Replace(raw, m.from, m.to, 1)))
			_, err := readArchive(t.Context(), client, reference(t, "oci://"+w.Host()+"/charts/web@"+digest))
			wantCode(t, err, m.want)
		})
	}
}

func TestC29TagAndDigest(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	client := newClient(t, insecure(w.Server))
	both := reference(t, "oci://"+w.Host()+"/charts/web:1.2.3@"+w.digest)
	w.Forget()
	got, err := readArchive(t.Context(), client, both)
	wantBytes(t, got, err, archive)
	if n := w.Count("GET", "/v2/*/manifests/*"); n != 1 {
		t.Errorf("asked for %d manifests, want 1", n)
	}
	w.PushChart("charts/web", "1.2.3", []byte("another archive"), nil)
	_, err = readArchive(t.Context(), client, both)
	wantCode(t, err, builtins.DigestMismatch)
	got, err = readArchive(t.Context(), client, w.byDigest(t))
	wantBytes(t, got, err, archive)
}

// A tag that moves after it was resolved changes nothing.
func TestTagIsResolvedOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	client := newClient(t, insecure(w.Server))
	a, err := client.Resolve(t.Context(), w.byTag(t))
	if err != nil {
		t.Fatal(err)
	}
	w.PushChart("charts/web", "1.2.3", []byte("another archive"), []byte("another provenance"))
	got, err := a.Provenance(t.Context())
	wantBytes(t, got, err, prov)
	if got := a.Info().Digest; got != w.digest {
		t.Errorf("digest is %s, want %s", got, w.digest)
	}
}

func FuzzManifest(f *testing.F) {
	w := newWorld(f)
	raw := string(w.Manifest("charts/web", "1.2.3"))
	f.Add([]byte(raw))
	for _, m := range rewritten {
		if len(m.to) < 1000 {
			f.Add([]byte(strings.Replace(raw, m.from, m.to, 1)))
		}
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		_, chart, _, err := source.ParseChart(ocispec.MediaTypeImageManifest, raw)
		switch code := builtins.CodeOf(err); {
		case code == builtins.NotAChart:
		case code != builtins.OK:
			t.Errorf("code is %s: %v", code, err)
		case !json.Valid(raw) || !strings.HasPrefix(chart, "sha256:"):
			t.Errorf("accepted %q with the chart %q", raw, chart)
		}
	})
}
