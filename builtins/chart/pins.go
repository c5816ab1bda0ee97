// SPDX-License-Identifier: Apache-2.0

package chart

import (
	"bytes"
	"cmp"
	"encoding/json"
	"slices"

	"github.com/chartseal/chartseal/builtins"
	"github.com/chartseal/chartseal/builtins/archive"
)

// Pins are the content of a chartseal.lock.
type Pins struct {
	Dependencies []Pin
}

// A Pin says of which bytes a dependency is.
type Pin struct {
	Name       string `json:"name"`
	Version    string `json:"version"`
	Repository string `json:"repository"` // as the lock has it
	Archive    string `json:"archive"`    // sha256:<hex>; "" for a dependency that is a folder
	Files      string `json:"files"`      // sha256:<hex>, see [FileSet]; "" for one that cannot be packed
}

const pinsHead = "# Written by chartseal lock write.\nversion: 1\n"

// Bytes is the one text of a chartseal.lock that has these pins.
func (p Pins) Bytes() []byte {
	var text bytes.Buffer
	text.WriteString(pinsHead)
	if len(p.Dependencies) == 0 {
		text.WriteString("dependencies: []\n")
		return text.Bytes()
	}
	text.WriteString("dependencies:\n")
	sorted := slices.SortedFunc(slices.Values(p.Dependencies), Pin.compare)
	for _, pin := range slices.Compact(sorted) {
		for i, line := range [][2]string{{"name", pin.Name}, {"version", pin.Version}, {"repository", pin.Repository}, {"archive", pin.Archive}, {"files", pin.Files}} {
			text.WriteString([]string{"- ", "  "}[min(i, 1)] + line[0] + ": " + inJSON(line[1]) + "\n")
		}
	}
	return text.Bytes()
}

func (p Pin) compare(q Pin) int {
	return cmp.Or(cmp.Compare(p.Name, q.Name), cmp.Compare(p.Version, q.Version), cmp.Compare(p.Repository, q.Repository),
		cmp.Compare(p.Archive, q.Archive), cmp.Compare(p.Files, q.Files))
}

// inJSON is s as a JSON string, which YAML reads alike.
func inJSON(s string) string {
	var text bytes.Buffer
	enc := json.NewEncoder(&text)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(s); err != nil {
		panic(err) // a string always has a JSON form
	}
	return string(bytes.TrimSuffix(text.Bytes(), []byte("\n")))
}

// ParsePins reads a chartseal.lock. Pins have one text, that of [Pins.Bytes]:
// any other one, and a digest that is not a sha256, is MalformedChart.
func ParsePins(raw []byte) (*Pins, error) {
	var file struct {
		Version      int   `json:"version"`
		Dependencies []Pin `json:"dependencies"`
	}
	if err := archive.StrictYAML(raw, &file); err != nil {
		return nil, builtins.Errorf(builtins.MalformedChart, "%w", err)
	}
	if file.Version != 1 {
		return nil, builtins.Errorf(builtins.MalformedChart, "version of the format is %d, known is 1", file.Version)
	}
	pins := Pins{Dependencies: file.Dependencies}
	for _, pin := range pins.Dependencies {
		for _, digest := range []string{pin.Archive, pin.Files} {
			if digest != "" && !isDigest(digest) {
				return nil, builtins.Errorf(builtins.MalformedChart, "digest %s is not sha256: and 64 lower-case hexadecimal digits", quoted(digest))
			}
		}
		if pin.Archive == "" && pin.Files == "" {
			return nil, builtins.Errorf(builtins.MalformedChart, "%s %s has no digest", quoted(pin.Name), quoted(pin.Version))
		}
	}
	if !bytes.Equal(raw, pins.Bytes()) {
		return nil, builtins.Errorf(builtins.MalformedChart, "it is not as chartseal lock write would write it")
	}
	return &pins, nil
}

// newPins pins what was found of what is wanted, as it lies there.
func newPins(l *level) (Pins, error) {
	var pins Pins
	for _, w := range l.wanted {
		set, err := newFileSet(w.found.Chart, w.found.at, l.ignored.Inside(w.found.Subchart))
		pin := Pin{Name: w.name, Version: w.found.version, Repository: w.repository, Archive: w.found.Digest}
		switch {
		case err == nil:
			pin.Files = set.Digest()
		case pin.Archive == "":
			return Pins{}, builtins.Errorf(builtins.CodeOf(err), "%s: %w", quoted(w.found.at), err)
		}
		if prov := set.Prov(); prov != "" && pin.Archive == "" {
			return Pins{}, unproven("%s holds %s, of which no pin of a folder can say anything: remove it", quoted(w.found.at), quoted(prov))
		}
		pins.Dependencies = append(pins.Dependencies, pin)
	}
	slices.SortFunc(pins.Dependencies, Pin.compare)
	pins.Dependencies = slices.Compact(pins.Dependencies)
	return pins, nil
}
