// SPDX-License-Identifier: Apache-2.0

package archive

import (
	"hash/maphash"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"

	"github.com/chartseal/chartseal/builtins"
)

// paths are the paths of one archive or directory. It keeps hashes of them:
// ten thousand paths of a kibibyte would be too much to keep.
type paths struct {
	limits builtins.Limits
	seed   maphash.Seed
	known  map[uint64]place // by the hash of the folded path
}

type place struct {
	exact  uint64 // hash of the path as written
	dir    bool
	listed bool // has an entry of its own; false for a directory that only paths mention
}

func newPaths(limits builtins.Limits) *paths {
	return &paths{limits: limits, seed: maphash.MakeSeed(), known: map[uint64]place{}}
}

// add takes a path, without its final slash, that is listed. Refused are a
// path that is not plain, one that is there already, and one that a file
// system without case or with Unicode normalisation would take for another.
func (p *paths) add(path string, dir bool) error {
	if err := p.plain(path); err != nil {
		return err
	}
	var exact, folded maphash.Hash
	exact.SetSeed(p.seed)
	folded.SetSeed(p.seed)
	for rest, more := path, true; more; {
		var segment string
		segment, rest, more = strings.Cut(rest, "/")
		exact.WriteString(segment)
		folded.WriteString(fold(segment))
		last := !more
		here := place{exact: exact.Sum64(), dir: dir || !last, listed: last}
		if err := p.put(folded.Sum64(), here, path); err != nil {
			return err
		}
		exact.WriteByte('/')
		folded.WriteByte('/')
	}
	return nil
}

func (p *paths) put(key uint64, here place, path string) error {
	before, known := p.known[key]
	switch {
	case known && before.exact != here.exact:
		return ambiguous("%s differs from another path in case or Unicode normalisation only", quoted(path))
	case known && !(before.dir && here.dir):
		return ambiguous("%s is there twice, or both as file and as directory", quoted(path))
	case before.listed && here.listed:
		return ambiguous("directory %s is listed twice", quoted(path))
	}
	here.listed = here.listed || before.listed
	p.known[key] = here
	return nil
}

// plain refuses a path that is too long, too deep, or not a plain relative one.
func (p *paths) plain(path string) error {
	if int64(len(path)) > p.limits.PathBytes {
		return tooLarge("path "+quoted(path), p.limits.PathBytes)
	}
	if int64(strings.Count(path, "/")) >= p.limits.PathDepth {
		return tooMany("depth of path "+quoted(path), p.limits.PathDepth)
	}
	if !utf8.ValidString(path) {
		return ambiguous("path %s is not UTF-8", quoted(path))
	}
	for _, r := range path {
		if r == '\\' || !unicode.IsPrint(r) {
			return ambiguous("path %s has the character %U", quoted(path), r)
		}
	}
	for segment := range strings.SplitSeq(path, "/") {
		// Helm takes ..name for a way up and c: for a drive.
		if segment == "" || segment == "." || strings.HasPrefix(segment, "..") || strings.Index(segment, ":") == 1 {
			return ambiguous("path %s is not a plain relative path", quoted(path))
		}
	}
	return nil
}

// fold maps names that some file system takes for one to one.
func fold(name string) string {
	for i := range len(name) {
		if name[i] >= utf8.RuneSelf {
			return norm.NFD.String(cases.Fold().String(norm.NFD.String(name)))
		}
	}
	return strings.ToLower(name)
}
