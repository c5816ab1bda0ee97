// SPDX-License-Identifier: Apache-2.0

package chart

import (
	"fmt"

	"github.com/chartseal/chartseal/builtins"
)

// contents checks that charts/ holds exactly what is wanted, each once. What a
// chart is called is what its own Chart.yaml says; the name of its file or
// folder only tells what it was meant to be.
func (l *level) contents() (found findings) {
	byName := map[string][]*vendored{}
	for _, v := range l.vendored {
		byName[v.name] = append(byName[v.name], v)
	}
	for _, w := range l.wanted {
		w.claim(byName[w.name], &found)
	}
	for _, w := range l.wanted {
		w.rivals(byName[w.name], &found)
	}
	l.pairLeftovers(&found)
	for _, w := range l.wanted {
		if w.found == nil && w.problem == nil {
			w.problem = builtins.Errorf(builtins.DependencyMissing, "%s %s is wanted and not there", quoted(w.name), quoted(w.version))
			found.add(l.path("charts"), w.problem)
		}
	}
	for _, v := range l.vendored {
		switch {
		case v.claimed:
		case v.Refused != nil:
			found.add(v.at, v.Refused)
		default:
			found.add(v.at, builtins.Errorf(builtins.DependencyUndeclared, "it is %s, which is not locked", v.is()))
		}
	}
	return found
}

// claim takes the first chart that is what is wanted; any other one is one too
// many. One that .helmignore hides from Helm is as good as none.
func (w *wanted) claim(named []*vendored, found *findings) {
	var hidden []*vendored
	for _, v := range named {
		switch {
		case !w.fits(v.version, v.parsed):
		case v.hidden:
			hidden = append(hidden, v)
		default:
			w.take(v, found)
		}
	}
	for _, v := range hidden {
		if w.found != nil {
			w.take(v, found)
			continue
		}
		v.claimed = true
		w.problem = builtins.Errorf(builtins.DependencyMissing, "it is %s, and .helmignore hides it from Helm", v.is())
		found.add(v.at, w.problem)
	}
}

func (w *wanted) take(v *vendored, found *findings) {
	v.claimed = true
	if w.found == nil {
		w.found = v
		return
	}
	found.add(v.at, builtins.Errorf(builtins.DependencyDuplicate, "it is %s, as well as %s", v.is(), quoted(w.found.at)))
}

// rivals are other locked charts that the request admits too. Helm renders
// any of them, whatever the lock says.
func (w *wanted) rivals(named []*vendored, found *findings) {
	for _, v := range named {
		if w.found != nil && v.claimed && !w.fits(v.version, v.parsed) && w.request.has(v.parsed) {
			found.add(v.at, builtins.Errorf(builtins.DependencyDuplicate, "it is %s, which the chart takes as well for the locked %s", v.is(), quoted(w.version)))
		}
	}
}

// pairLeftovers finds what lies in the place of something wanted: under its
// name as a file or folder, or as another version of it.
func (l *level) pairLeftovers(found *findings) {
	places, names := map[string]*wanted{}, map[string]*wanted{}
	for _, w := range l.wanted {
		if w.found == nil && w.problem == nil {
			places["charts/"+w.name], places["charts/"+w.name+"-"+w.version+".tgz"], names[w.name] = w, w, w
		}
	}
	for _, v := range l.vendored {
		w := places[v.Path]
		if w == nil {
			w = names[v.name]
		}
		if w == nil || w.found != nil || w.problem != nil || v.claimed || v.hidden {
			continue
		}
		v.claimed = true
		if v.Refused != nil {
			w.found = v // its bytes are judged, not what they say
			continue
		}
		w.problem = builtins.Errorf(builtins.DependencyMismatch, "it is %s, where %s %s is wanted", v.is(), quoted(w.name), quoted(w.version))
		found.add(v.at, w.problem)
	}
}

// is names a chart in charts/ by what it says of itself.
func (v *vendored) is() string { return quoted(v.name) + " " + quoted(v.version) }

func quoted(s string) string { return fmt.Sprintf("%q", builtins.Clip(s)) }
