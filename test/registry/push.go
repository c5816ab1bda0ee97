// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chart/loader"
)

// The media types of a chart in a registry.
const (
	ConfigMediaType      = "application/vnd.cncf.helm.config.v1+json"
	ChartMediaType       = "application/vnd.cncf.helm.chart.content.v1.tar+gzip"
	LegacyChartMediaType = "application/tar+gzip"
	ProvenanceMediaType  = "application/vnd.cncf.helm.chart.provenance.v1.prov"
)

// creationTime is the time of creation that every pushed chart states, so that the
// same chart always has the same digest.
const creationTime = "2024-01-02T03:04:05Z"

// A Push is what is about to be written for a chart. Blobs added with
// [Push.Blob] are pushed too; the manifest's body is written last.
type Push struct {
	Manifest  ocispec.Manifest
	MediaType string // of the manifest, in Content-Type only

	blobs [][]byte
}

// Blob adds a blob and returns its descriptor, ready for Config or Layers.
func (p *Push) Blob(mediaType string, blob []byte) ocispec.Descriptor {
	p.blobs = append(p.blobs, blob)
	return descriptor(mediaType, blob)
}

func descriptor(mediaType string, b []byte) ocispec.Descriptor {
	return ocispec.Descriptor{MediaType: mediaType, Digest: digest.Digest(digestOf(b)), Size: int64(len(b))}
}

// PushChart writes what `helm push` writes for the archive and, unless it is
// nil, its provenance, and returns the manifest's digest. In the tag + is
// written _. Each edit may change the push before it is written. An archive
// that Helm cannot read gets the config {}.
func (s *Server) PushChart(repo, tag string, archive, prov []byte, edits ...func(*Push)) string {
	p := &Push{MediaType: ocispec.MediaTypeImageManifest}
	meta := metadata(archive)
	config, err := json.Marshal(meta)
	if meta == nil || err != nil {
		config = []byte("{}")
	}
	p.Manifest.SchemaVersion = 2
	p.Manifest.Config = p.Blob(ConfigMediaType, config)
	p.Manifest.Layers = []ocispec.Descriptor{p.Blob(ChartMediaType, archive)}
	if prov != nil {
		p.Manifest.Layers = append(p.Manifest.Layers, p.Blob(ProvenanceMediaType, prov))
	}
	slices.SortFunc(p.Manifest.Layers, func(a, b ocispec.Descriptor) int { return strings.Compare(string(a.Digest), string(b.Digest)) })
	p.Manifest.Annotations = annotations(meta)
	for _, edit := range edits {
		edit(p)
	}
	for _, blob := range p.blobs {
		s.PushBlob(repo, blob)
	}
	body, err := json.Marshal(p.Manifest)
	if err != nil {
		panic(err) // an edit put something in that is not JSON
	}
	return s.PushManifest(repo, strings.ReplaceAll(tag, "+", "_"), p.MediaType, body)
}

// metadata is the archive's Chart.yaml as Helm reads it, nil if it cannot.
func metadata(archive []byte) *chart.Metadata {
	c, err := loader.LoadArchive(bytes.NewReader(archive))
	if err != nil {
		return nil
	}
	return c.Metadata
}

// annotations are those that Helm puts on a manifest: what it reads in the
// metadata, then the chart's own, which may not change title and version.
func annotations(meta *chart.Metadata) map[string]string {
	if meta == nil {
		return nil
	}
	all := map[string]string{
		ocispec.AnnotationCreated:     creationTime,
		ocispec.AnnotationTitle:       meta.Name,
		ocispec.AnnotationVersion:     meta.Version,
		ocispec.AnnotationDescription: meta.Description,
		ocispec.AnnotationURL:         meta.Home,
		ocispec.AnnotationAuthors:     authors(meta.Maintainers),
	}
	if len(meta.Sources) > 0 {
		all[ocispec.AnnotationSource] = meta.Sources[0]
	}
	maps.DeleteFunc(all, func(_, value string) bool { return strings.TrimSpace(value) == "" })
	for key, value := range meta.Annotations {
		if key != ocispec.AnnotationTitle && key != ocispec.AnnotationVersion {
			all[key] = value
		}
	}
	return all
}

func authors(maintainers []*chart.Maintainer) string {
	var names []string
	for _, m := range maintainers {
		name := m.Name
		if m.Email != "" {
			name += " (" + m.Email + ")"
		}
		names = append(names, name)
	}
	return strings.Join(names, ", ")
}

// PushSignature writes what `cosign sign --key` writes beside the manifest with
// this digest: a payload, and the annotations in which its signature is.
func (s *Server) PushSignature(repo, digest string, payload []byte, annotations map[string]string) {
	p := &Push{}
	layer := p.Blob("application/vnd.dev.cosign.simplesigning.v1+json", payload)
	layer.Annotations = annotations
	m := ocispec.Manifest{
		MediaType: ocispec.MediaTypeImageManifest,
		Config:    p.Blob(ocispec.MediaTypeImageConfig, []byte("{}")), Layers: []ocispec.Descriptor{layer},
	}
	m.SchemaVersion = 2
	body, err := json.Marshal(m)
	if err != nil {
		panic(err) // it holds nothing that JSON has not
	}
	for _, blob := range p.blobs {
		s.PushBlob(repo, blob)
	}
	s.PushManifest(repo, strings.Replace(digest, ":", "-", 1)+".sig", m.MediaType, body)
}

// PushBlob stores a blob and returns its digest.
func (s *Server) PushBlob(repo string, blob []byte) string { return s.oci.storeBlob(repo, blob) }

// PushManifest stores a manifest, whatever it says, and returns its digest.
// Tag may be "".
func (s *Server) PushManifest(repo, tag, mediaType string, body []byte) string {
	return s.oci.storeManifest(repo, tag, mediaType, body)
}

// Tag lets a tag point at a manifest that was pushed.
func (s *Server) Tag(repo, tag, digest string) {
	s.oci.mu.Lock()
	defer s.oci.mu.Unlock()
	put(s.oci.tags, repo, tag, digest)
}

// Manifest is the manifest at a tag or digest, nil if there is none.
func (s *Server) Manifest(repo, tagOrDigest string) []byte {
	m, _ := s.oci.find(repo, tagOrDigest)
	return m.body
}
