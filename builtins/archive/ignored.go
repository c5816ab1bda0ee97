// SPDX-License-Identifier: Apache-2.0

package archive

import (
	"bytes"
	"io/fs"
	pathpkg "path"

	"helm.sh/helm/v3/pkg/ignore"

	"github.com/chartseal/chartseal/builtins"
)

// Ignored is what the .helmignore of a chart directory hides from Helm; nil
// hides nothing, as in an archive. One goroutine may ask at a time.
type Ignored struct {
	rules   *ignore.Rules
	folders map[string]bool // what was found of folders
}

// The most that is read of a .helmignore: each path is matched against each line.
const (
	maxIgnored      = 64 << 10
	maxIgnoredLines = 1000
)

// ParseIgnored reads a .helmignore with Helm's own parser. What that refuses is
// MalformedChart.
func ParseIgnored(raw []byte) (*Ignored, error) {
	if len(raw) > maxIgnored {
		return nil, tooLarge(".helmignore", maxIgnored)
	}
	if bytes.Count(raw, []byte("\n")) > maxIgnoredLines {
		return nil, tooMany("lines of .helmignore", maxIgnoredLines)
	}
	rules, err := ignore.Parse(bytes.NewReader(raw))
	if err != nil {
		return nil, builtins.Errorf(builtins.MalformedChart, ".helmignore: %s", quoted(err.Error()))
	}
	return &Ignored{rules: rules, folders: map[string]bool{}}, nil
}

// Has says whether Helm passes over path, or over a folder that it lies in.
func (i *Ignored) Has(path string, dir bool) bool {
	if i == nil {
		return false
	}
	if folder := pathpkg.Dir(path); folder != "." && i.folder(folder) {
		return true
	}
	return i.rules.Ignore(path, entry{dir: dir})
}

func (i *Ignored) folder(path string) bool {
	hidden, known := i.folders[path]
	if !known {
		hidden = i.Has(path, true)
		i.folders[path] = hidden
	}
	return hidden
}

// Hides says whether Helm finds no chart where sub lies: itself is hidden or,
// of a folder, the Chart.yaml in it.
func (i *Ignored) Hides(sub Subchart, place string) bool {
	folder := sub.Digest == ""
	return i.Has(place, folder) || folder && i.Has(place+"/Chart.yaml", false)
}

// Inside is what is hidden in sub: nothing in an archive, where Helm does not look.
func (i *Ignored) Inside(sub Subchart) *Ignored {
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
