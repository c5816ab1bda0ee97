// SPDX-License-Identifier: Apache-2.0

package chart

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"maps"
	pathpkg "path"
	"slices"
	"strings"

	helmchart "helm.sh/helm/v3/pkg/chart"

	"github.com/chartseal/chartseal/builtins"
	"github.com/chartseal/chartseal/builtins/archive"
)

// A FileSet is what is left of a chart when Helm packs another one around it:
// digests by path, with subcharts unpacked in charts/<name>/. Chart.yaml and
// Chart.lock are there by value, as the JSON of what Helm reads, since Helm
// writes them anew. Left out is what Helm loads from no charts/: what begins
// with _ or . there.
//
// A .prov, wherever it lies, is lost when Helm packs the chart into another one,
// but a file like any other while the chart is an archive itself: among
// templates it is rendered, and even beneath charts/_ templates can read it. So
// it may be missing, and never more.
type FileSet map[string]string

// NewFileSet fails, with AmbiguousArchive, for a chart with two subcharts of
// one name: packed, they would lie on each other.
func NewFileSet(c *archive.Chart) (FileSet, error) { return newFileSet(c, "", nil) }

// newFileSet leaves out what is ignored; at is where c lies.
func newFileSet(c *archive.Chart, at string, ignored *archive.Ignored) (FileSet, error) {
	set := FileSet{}
	for _, f := range c.Files {
		if !dropped(f.Path) && !ignored.Has(pathpkg.Join(at, f.Path), false) {
			set[key(f.Path)] = strings.TrimPrefix(f.Digest, "sha256:")
		}
	}
	if err := set.byValue(c); err != nil {
		return nil, err
	}
	for _, sub := range c.Subcharts {
		place := pathpkg.Join(at, sub.Path)
		if ignored.Hides(sub, place) {
			continue
		}
		if sub.Refused != nil {
			return nil, sub.Refused
		}
		below, err := newFileSet(sub.Chart, place, ignored.Inside(sub))
		if err == nil {
			err = set.put(sub.Metadata.Name, below)
		}
		if err != nil {
			return nil, err
		}
	}
	return set, nil
}

// key keeps a chart's own file in charts/, which can only be a .prov, apart from
// one of a subchart: that one is rendered where it lies among templates.
func key(path string) string {
	if strings.HasPrefix(path, "charts/") {
		return "./" + path
	}
	return path
}

func dropped(path string) bool {
	name, inCharts := strings.CutPrefix(path, "charts/")
	return inCharts && !isProv(path) && strings.IndexAny(name, "_.") == 0
}

// byValue replaces the digests of what Helm writes anew. An apiVersion v1
// chart loses a Chart.lock.
func (s FileSet) byValue(c *archive.Chart) error {
	s["Chart.yaml"] = valueDigest(c.Metadata)
	if _, ok := s[lockFile]; !ok {
		return nil
	}
	delete(s, lockFile)
	if c.Metadata.APIVersion == helmchart.APIVersionV1 {
		return nil
	}
	lock, err := ParseLock(c.Raw[lockFile])
	if err == nil {
		s[lockFile] = valueDigest(lock.Lock)
	}
	return err
}

func valueDigest(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err) // it came out of JSON
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

func (s FileSet) put(name string, below FileSet) error {
	for path, digest := range below {
		at := "charts/" + name + "/" + path
		if _, taken := s[at]; taken {
			return builtins.Errorf(builtins.AmbiguousArchive, "two of its files would be %s, packed", quoted(at))
		}
		s[at] = digest
	}
	return nil
}

// Digest is one digest for what always stays of the set, which no .prov does:
// sha256:<hex> of a line for each file, sorted by path, as sha256sum writes
// them: digest, two blanks, path.
func (s FileSet) Digest() string {
	var lines bytes.Buffer
	for _, path := range slices.Sorted(maps.Keys(s)) {
		if isProv(path) {
			continue
		}
		lines.WriteString(s[path] + "  " + path + "\n")
	}
	return builtins.SHA256(lines.Bytes())
}

// Prov is the first .prov in the set, "" if there is none: [FileSet.Digest]
// says nothing of it.
func (s FileSet) Prov() string {
	for _, path := range slices.Sorted(maps.Keys(s)) {
		if isProv(path) {
			return path
		}
	}
	return ""
}

func isProv(path string) bool { return pathpkg.Ext(path) == ".prov" }

// Diff is the first path, in order, at which s and other differ, with the
// digests that they have there; "none" where one has no such file. A .prov that
// s has lost is no difference. If nothing differs, path is "".
func (s FileSet) Diff(other FileSet) (path, in, inOther string) {
	all := maps.Clone(s)
	maps.Copy(all, other)
	for _, path := range slices.Sorted(maps.Keys(all)) {
		lost := isProv(path) && s[path] == ""
		if s[path] != other[path] && !lost {
			return path, orNone(s[path]), orNone(other[path])
		}
	}
	return "", "", ""
}

func orNone(digest string) string {
	if digest == "" {
		return "none"
	}
	return "sha256:" + digest
}
