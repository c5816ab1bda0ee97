// SPDX-License-Identifier: Apache-2.0

package chart

import (
	"cmp"

	"github.com/Masterminds/semver/v3"
	helmchart "helm.sh/helm/v3/pkg/chart"

	"github.com/chartseal/chartseal/builtins"
	"github.com/chartseal/chartseal/builtins/archive"
	"github.com/chartseal/chartseal/builtins/chartref"
)

// A level is one chart of the tree: the chart itself, or one that lies in the
// charts/ of another.
type level struct {
	branch

	lockFile   string // Chart.lock, or requirements.lock where there is one
	lock       *Lock  // nil if there is none that can be read
	unreadable error  // why it cannot
	pins       *Pins  // of chartseal.lock; nil if there is none that can be read
	badPins    error  // why it cannot
	hiddenPins bool   // there is one, and .helmignore hides it from Helm, which would not pack it

	wanted   []*wanted
	vendored []*vendored
}

// A wanted dependency is one that charts/ has to hold: as the lock says or,
// without a lock, as the chart requests.
type wanted struct {
	name, version, repository string // of an alias, the URL

	ranged  bool         // version is a range
	request versionRange // that the chart asks for
	archive string       // digest that the lock pins, "" if none

	found   *vendored
	problem error // why nothing was found
}

// A vendored dependency is a chart in charts/.
type vendored struct {
	archive.Subchart
	at      string // path from the chart itself
	name    string // what it says of itself; "" for an archive that is no chart
	version string
	parsed  *semver.Version
	hidden  bool // by .helmignore, so that Helm does not see it
	claimed bool
}

func newVendored(sub archive.Subchart, at string, hidden bool) *vendored {
	v := &vendored{Subchart: sub, at: at, hidden: hidden}
	if sub.Refused == nil {
		v.name, v.version, v.parsed = sub.Metadata.Name, sub.Metadata.Version, parseVersion(sub.Metadata.Version)
	}
	return v
}

// packed says whether it lies there as an archive, whose bytes have a digest.
func (v *vendored) packed() bool { return v.Digest != "" }

func newLevel(b branch, r *rules) *level {
	l := &level{branch: b, lockFile: lockFile}
	l.readLock()
	l.readPins()
	l.wanted = l.wants(r)
	for _, sub := range l.chart.Subcharts {
		place := l.path(sub.Path)
		l.vendored = append(l.vendored, newVendored(sub, place, l.ignored.Hides(sub, place)))
	}
	return l
}

// path is where a file of this chart lies, from the chart itself.
func (l *level) path(file string) string {
	if l.at == "" {
		return file
	}
	return l.at + "/" + file
}

// readLock reads the lock that Helm would read: one that .helmignore hides is
// not here.
func (l *level) readLock() {
	raw, ok := l.chart.Raw[lockFile]
	v1, isV1 := l.chart.Raw[lockFileV1]
	switch {
	case ok && isV1:
		l.unreadable = builtins.Errorf(builtins.MalformedChart, "there are two locks, %s and %s", lockFile, lockFileV1)
	case isV1:
		l.lockFile = lockFileV1
		l.lock, l.unreadable = ParseLock(v1)
	case ok:
		l.lock, l.unreadable = ParseLock(raw)
	case l.chart.Metadata.APIVersion == helmchart.APIVersionV1:
		l.lockFile = lockFileV1
	}
}

func (l *level) readPins() {
	raw, ok := l.chart.Raw[pinFile]
	if l.hiddenPins = ok && l.ignored.Has(l.path(pinFile), false); ok && !l.hiddenPins {
		l.pins, l.badPins = ParsePins(raw)
	}
}

func (l *level) wants(r *rules) (all []*wanted) {
	requested := l.chart.Metadata.Dependencies
	if l.lock == nil {
		for _, d := range requested {
			all = append(all, &wanted{name: d.Name, version: d.Version, repository: r.url(d.Repository), ranged: true, request: parseRange(d.Version)})
		}
		return all
	}
	for i, d := range l.lock.Dependencies {
		w := &wanted{name: d.Name, version: d.Version, repository: r.url(d.Repository), ranged: d.Repository == "", request: parseRange(d.Version)}
		if i < len(l.lock.Archives) {
			w.archive = l.lock.Archives[i]
		}
		if i < len(requested) && requested[i].Name == d.Name {
			w.request = parseRange(requested[i].Version)
		}
		all = append(all, w)
	}
	return all
}

// fits says whether a version is what is wanted: the locked one, or one of the
// range where the lock has a range.
func (w *wanted) fits(text string, version *semver.Version) bool {
	if w.ranged {
		return w.request.has(version)
	}
	return chartref.SameVersion(text, w.version)
}

// is the version that was found or, of an archive that is no chart, that
// should have been.
func (w *wanted) is() string { return cmp.Or(w.found.version, w.version) }

// published is the version under which its repository has it: the locked one.
// The chart in it may lack the v of a tag.
func (w *wanted) published() string {
	if w.ranged {
		return w.is()
	}
	return w.version
}

// comparisons is about what it costs to find for each dependency the charts
// and pins of its name that are of its version.
func (l *level) comparisons() (cost int) {
	named := map[string]int{}
	for _, v := range l.vendored {
		named[v.name]++
	}
	for _, pin := range l.pinned() {
		named[pin.Name]++
	}
	for _, w := range l.wanted {
		cost += named[w.name] * (32 + len(w.version) + w.request.length)
	}
	return cost
}

// pinned are the pins, if there are any that can be read.
func (l *level) pinned() []Pin {
	if l.pins == nil {
		return nil
	}
	return l.pins.Dependencies
}

// stalePins are pins of what the lock does not have.
func (l *level) stalePins() (stale []Pin) {
	byName := map[string][]*wanted{}
	for _, w := range l.wanted {
		byName[w.name] = append(byName[w.name], w)
	}
	for _, pin := range l.pinned() {
		if !pin.pins(byName[pin.Name]) {
			stale = append(stale, pin)
		}
	}
	return stale
}

func (p Pin) pins(all []*wanted) bool {
	for _, w := range all {
		if w.repository == p.Repository && w.fits(p.Version, parseVersion(p.Version)) {
			return true
		}
	}
	return false
}

// pin is what chartseal.lock says of a dependency that was found, nil for nothing.
func (l *level) pin(w *wanted) *Pin {
	version := w.is()
	for _, pin := range l.pinned() {
		if pin.Name == w.name && pin.Version == version && pin.Repository == w.repository {
			return &pin
		}
	}
	return nil
}

// A finding is a problem and where it is.
type finding struct {
	path string
	err  error
}

type findings []finding

func (f *findings) add(path string, err error) {
	if err != nil {
		*f = append(*f, finding{path, err})
	}
}

// verdict is the first rejection or, without one, the first outage.
func (f findings) verdict() error {
	var undecided error
	for _, finding := range f {
		err := builtins.Errorf(builtins.CodeOf(finding.err), "%s: %w", clip(finding.path), finding.err)
		if builtins.CodeOf(err).Outcome() == builtins.Rejected {
			return err
		}
		if undecided == nil {
			undecided = err
		}
	}
	return undecided
}
