// SPDX-License-Identifier: Apache-2.0

package chart

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io/fs"
	"maps"
	pathpkg "path"
	"slices"
	"strings"

	helmchart "helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/ignore"

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
func newFileSet(c *archive.Chart, at string, ignored ignored) (FileSet, error) {
	set := FileSet{}
	for _, f := range c.Files {
		if !dropped(f.Path) && !ignored.has(pathpkg.Join(at, f.Path), false) {
			set[f.Path] = strings.TrimPrefix(f.Digest, "sha256:")
		}
	}
	if err := set.byValue(c); err != nil {
		return nil, err
	}
	for _, sub := range c.Subcharts {
		place := pathpkg.Join(at, sub.Path)
		if ignored.hides(sub, place) {
			continue
		}
		if sub.Refused != nil {
			return nil, sub.Refused
		}
		below, err := newFileSet(sub.Chart, place, ignored.inside(sub))
		if err == nil {
			err = set.put(sub.Metadata.Name, below)
		}
		if err != nil {
			return nil, err
		}
	}
	return set, nil
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

// Ignored says what the .helmignore of a chart directory hides from Helm; nil
// hides nothing, as in an archive.
type ignored func(path string, dir bool) bool

// parseIgnored reads a .helmignore with Helm's own parser.
func parseIgnored(raw []byte) (ignored, error) {
	if len(raw) == 0 {
		return nil, nil
	}
	if len(raw) > maxIgnore {
		return nil, builtins.Errorf(builtins.TooLarge, "it has %d bytes, at most %d are read", len(raw), maxIgnore)
	}
	parsed, err := ignore.Parse(bytes.NewReader(raw))
	if err != nil {
		return nil, builtins.Errorf(builtins.MalformedChart, "%s", quoted(err.Error()))
	}
	return func(path string, dir bool) bool { return parsed.Ignore(path, entry{dir: dir}) }, nil
}

// maxIgnore bounds what each path is matched against.
const maxIgnore = 64 << 10

// has says whether Helm passes over path, or over a folder that it lies in.
func (i ignored) has(path string, dir bool) bool {
	if i == nil {
		return false
	}
	for at := range len(path) {
		if path[at] == '/' && i(path[:at], true) {
			return true
		}
	}
	return i(path, dir)
}

// hides says whether Helm finds no chart where sub lies: itself is hidden or,
// of a folder, the Chart.yaml in it.
func (i ignored) hides(sub archive.Subchart, place string) bool {
	folder := sub.Digest == ""
	return i.has(place, folder) || folder && i.has(place+"/Chart.yaml", false)
}

// inside is what is hidden in sub: nothing in an archive, where Helm does not look.
func (i ignored) inside(sub archive.Subchart) ignored {
	if sub.Digest != "" {
		return nil
	}
	return i
}

// An entry is all that Helm's parser wants to know of a file.
type entry struct {
	fs.FileInfo
	dir bool
}

func (e entry) IsDir() bool { return e.dir }
