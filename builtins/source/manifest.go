// SPDX-License-Identifier: Apache-2.0

package source

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/chartseal/chartseal/builtins"
)

// The media types of manifests. Indexes are asked for as well, so that one is
// seen for what it is, and not as something that is absent.
const (
	ociManifest    = "application/vnd.oci.image.manifest.v1+json"
	dockerManifest = "application/vnd.docker.distribution.manifest.v2+json"
	ociIndex       = "application/vnd.oci.image.index.v1+json"
	dockerIndex    = "application/vnd.docker.distribution.manifest.list.v2+json"
)

var manifestTypes = []string{ociManifest, dockerManifest, ociIndex, dockerIndex}

// The media types that make a manifest a chart.
const (
	chartConfig     = "application/vnd.cncf.helm.config.v1+json"
	chartLayer      = "application/vnd.cncf.helm.chart.content.v1.tar+gzip"
	oldChartLayer   = "application/tar+gzip"
	provenanceLayer = "application/vnd.cncf.helm.chart.provenance.v1.prov"
)

// A descriptor names a blob.
type descriptor struct {
	MediaType string `json:"mediaType"`
	Digest    string `json:"digest"`
	Size      int64  `json:"size"`
}

type annotations = map[string]string

var digestText = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)

func isDigest(s string) bool { return digestText.MatchString(s) }

func (d descriptor) check() error {
	if !isDigest(d.Digest) {
		return fmt.Errorf("digest %q is not sha256: and 64 lower-case hexadecimal digits", builtins.Clip(d.Digest))
	}
	if d.Size < 0 {
		return fmt.Errorf("size %d of %s is negative", d.Size, d.Digest)
	}
	return nil
}

// A chartManifest is what the manifest of a chart describes.
type chartManifest struct {
	config     descriptor
	chart      descriptor
	provenance *descriptor // nil if there is none

	name, version string // as annotated by helm push; "" if they are not
}

// The annotations in which helm push writes the chart's name and version.
const (
	titleAnnotation   = "org.opencontainers.image.title"
	versionAnnotation = "org.opencontainers.image.version"
)

// parseChart reads the manifest of exactly one chart, at most with one
// provenance. Anything else is NotAChart, among it a manifest that can also be
// read as an index, and JSON that two readers could read in two ways; too much
// of it is TooMany.
func parseChart(m manifest) (chartManifest, error) {
	chart, err := readChart(m)
	if builtins.CodeOf(err) == builtins.TooMany {
		return chartManifest{}, err
	}
	if err != nil {
		return chartManifest{}, builtins.Errorf(builtins.NotAChart, "manifest %s: %w", m.digest, err)
	}
	return chart, nil
}

func readChart(m manifest) (chartManifest, error) {
	var content struct {
		SchemaVersion int             `json:"schemaVersion"`
		MediaType     string          `json:"mediaType"`
		Config        descriptor      `json:"config"`
		Layers        []descriptor    `json:"layers"`
		Manifests     json.RawMessage `json:"manifests"`
		Annotations   annotations     `json:"annotations"`
	}
	if err := checkType(m.mediaType); err != nil {
		return chartManifest{}, err
	}
	if err := decodeOnce(m.raw, &content); err != nil {
		return chartManifest{}, err
	}
	stated, _, _ := mime.ParseMediaType(m.mediaType)
	switch {
	case content.Manifests != nil:
		return chartManifest{}, errors.New("it is an index too")
	case content.SchemaVersion != 2:
		return chartManifest{}, fmt.Errorf("schema version is %d, want 2", content.SchemaVersion)
	case content.MediaType != "" && content.MediaType != stated:
		return chartManifest{}, fmt.Errorf("media type is %q, the registry says %q", builtins.Clip(content.MediaType), stated)
	case content.Config.MediaType != chartConfig:
		return chartManifest{}, fmt.Errorf("config is of type %q, want %s", builtins.Clip(content.Config.MediaType), chartConfig)
	}
	found, err := pickLayers(content.Config, content.Layers)
	found.name, found.version = content.Annotations[titleAnnotation], content.Annotations[versionAnnotation]
	return found, err
}

// checkType takes the answer's type for the manifest's: `helm push` writes
// none into the manifest.
func checkType(contentType string) error {
	mediaType, _, err := mime.ParseMediaType(contentType)
	if err != nil || (mediaType != ociManifest && mediaType != dockerManifest) {
		return fmt.Errorf("its type is %q, want %s", builtins.Clip(contentType), ociManifest)
	}
	return nil
}

func pickLayers(config descriptor, layers []descriptor) (chartManifest, error) {
	charts := ofType(layers, chartLayer, oldChartLayer)
	provenances := ofType(layers, provenanceLayer)
	if len(charts) != 1 || len(provenances) > 1 {
		return chartManifest{}, fmt.Errorf("it has %d chart layers and %d provenance layers, want 1 and at most 1", len(charts), len(provenances))
	}
	for _, d := range slices.Concat(charts, provenances, []descriptor{config}) {
		if err := d.check(); err != nil {
			return chartManifest{}, err
		}
	}
	found := chartManifest{config: config, chart: charts[0]}
	if len(provenances) == 1 {
		found.provenance = &provenances[0]
	}
	return found, nil
}

func ofType(layers []descriptor, mediaTypes ...string) []descriptor {
	var found []descriptor
	for _, layer := range layers {
		if slices.Contains(mediaTypes, layer.MediaType) {
			found = append(found, layer)
		}
	}
	return found
}

// maxTokens is far more than the manifest of one chart takes, or an entry of
// an index.
const maxTokens = 10_000

// decodeOnce reads one JSON value that all readers take for the same. No object
// may name a member twice, nor in another spelling a member that is read:
// encoding/json folds case, by which even ſ is an s, and others do not. More
// than maxTokens are TooMany.
func decodeOnce(raw []byte, into any) error {
	w := &memberWalk{dec: json.NewDecoder(bytes.NewReader(raw)), left: maxTokens, known: map[string]string{}}
	w.know(reflect.TypeOf(into))
	if err := w.value(true); err != nil {
		return err
	}
	if err := json.Unmarshal(raw, into); err != nil {
		return fmt.Errorf("not the JSON that it should be: %w", err)
	}
	return nil
}

// A memberWalk goes through a JSON value and looks at the names in it.
type memberWalk struct {
	dec   *json.Decoder
	left  int               // tokens
	known map[string]string // names that are read, by their folded form
}

// know collects the names that t reads at any level.
func (w *memberWalk) know(t reflect.Type) {
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice:
		w.know(t.Elem())
	case reflect.Struct:
		for field := range t.Fields() {
			if name, _, _ := strings.Cut(field.Tag.Get("json"), ","); name != "" {
				w.known[folded(name)] = name
			}
			w.know(field.Type)
		}
	}
}

func (w *memberWalk) token() (json.Token, error) {
	if w.left--; w.left < 0 {
		return nil, builtins.Errorf(builtins.TooMany, "the JSON has more than %d tokens", maxTokens)
	}
	tok, err := w.dec.Token()
	if err != nil {
		return nil, fmt.Errorf("not the JSON that it should be: %w", err)
	}
	return tok, nil
}

// value reads one value. Annotations are not ours to read, so their case is
// their own.
func (w *memberWalk) value(fold bool) error {
	tok, err := w.token()
	delim, nested := tok.(json.Delim)
	if err != nil || !nested {
		return err
	}
	seen := map[string]bool{}
	for w.dec.More() {
		inner := fold
		if delim == '{' {
			name, err := w.name(seen, fold)
			if err != nil {
				return err
			}
			inner = fold && name != "annotations"
		}
		if err := w.value(inner); err != nil {
			return err
		}
	}
	_, err = w.token()
	return err
}

func (w *memberWalk) name(seen map[string]bool, fold bool) (string, error) {
	tok, err := w.token()
	if err != nil {
		return "", err
	}
	name := tok.(string)
	key := name
	if fold {
		key = folded(name)
	}
	if known, ok := w.known[key]; fold && ok && known != name {
		return "", fmt.Errorf("it names a member %q, which some read as %q", builtins.Clip(name), known)
	}
	if seen[key] {
		return "", fmt.Errorf("it names the member %q twice", builtins.Clip(name))
	}
	seen[key] = true
	return name, nil
}

// folded is the same for all names that are equal to encoding/json and
// [strings.EqualFold].
func folded(name string) string {
	return strings.Map(func(r rune) rune {
		least := r
		for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
			least = min(least, f)
		}
		return least
	}, name)
}
