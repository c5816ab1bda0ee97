// SPDX-License-Identifier: Apache-2.0

package chart

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"regexp"
	"slices"
	"strings"

	helmchart "helm.sh/helm/v3/pkg/chart"

	"github.com/chartseal/chartseal/builtins"
	"github.com/chartseal/chartseal/builtins/archive"
	"github.com/chartseal/chartseal/builtins/chartref"
)

// The files that lock a chart's dependencies: Helm's, Helm's for apiVersion
// v1, and the one that pins their bytes.
const (
	lockFile   = "Chart.lock"
	lockFileV1 = "requirements.lock"
	pinFile    = "chartseal.lock"
)

// A Lock is a Chart.lock or a requirements.lock.
type Lock struct {
	helmchart.Lock

	// Archives are, for each dependency, the digest sha256:<hex> that its
	// field digest pins the archive to; "" if it has none. Helm does not know
	// the field and drops it.
	Archives []string
}

// ParseLock reads a lock strictly. What [archive.StrictYAML] refuses, and a
// pinned digest that is not a sha256, is MalformedChart.
func ParseLock(raw []byte) (*Lock, error) {
	raw = bytes.TrimPrefix(raw, byteOrderMark)
	var lock Lock
	var pinned struct {
		Dependencies []struct {
			Digest string `json:"digest"`
		} `json:"dependencies"`
	}
	for _, into := range []any{&lock.Lock, &pinned} {
		if err := archive.StrictYAML(raw, into); err != nil {
			return nil, builtins.Errorf(builtins.MalformedChart, "lock: %w", err)
		}
	}
	for _, d := range pinned.Dependencies {
		if d.Digest != "" {
			d.Digest = "sha256:" + strings.TrimPrefix(d.Digest, "sha256:")
			if !isDigest(d.Digest) {
				return nil, builtins.Errorf(builtins.MalformedChart, "lock: digest %q is not 64 lower-case hexadecimal digits", builtins.Clip(d.Digest))
			}
		}
		lock.Archives = append(lock.Archives, d.Digest)
	}
	return &lock, nil
}

var byteOrderMark = []byte("\uFEFF")

var digestText = regexp.MustCompile(`\Asha256:[0-9a-f]{64}\z`)

func isDigest(s string) bool { return digestText.MatchString(s) }

// HashReq is the digest that Helm 3 and 4 write into a lock: of what the chart
// requests and of what the lock has, and of no byte of any archive.
func HashReq(requested, locked []*helmchart.Dependency) string {
	return hashJSON([2][]*helmchart.Dependency{requested, locked})
}

// HashV2Req is the digest that Helm 2 wrote: of what the chart requests only.
func HashV2Req(requested []*helmchart.Dependency) string {
	return hashJSON(map[string][]*helmchart.Dependency{"dependencies": requested})
}

func hashJSON(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err) // it came out of JSON
	}
	sum := sha256.Sum256(text)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// sync checks that the lock follows from what the chart requests.
func (l *level) sync(ctx context.Context, r *rules) (found findings) {
	at, requested := l.path(l.lockFile), l.chart.Metadata.Dependencies
	switch {
	case l.unreadable != nil:
		found.add(at, l.unreadable)
	case l.lock != nil:
		found = l.follows(r, requested)
	case len(requested) > 0:
		at = l.path("Chart.yaml")
		found.add(l.path(l.lockFile), builtins.Errorf(builtins.LockMissing, "there are %d dependencies and no lock", len(requested)))
	}
	for _, w := range l.wanted {
		if l.proof.kind == "" { // nobody asks the repositories of what lies in proven bytes
			found.add(at, r.permitted(ctx, w))
		}
	}
	found.add(l.path(pinFile), l.badPins)
	for _, pin := range l.stalePins() {
		found.add(l.path(pinFile), outOfSync("%q %q of repository %q is pinned and not locked", clip(pin.Name), clip(pin.Version), show(pin.Repository)))
	}
	return found
}

// follows holds the lock against the requests: its digest is Helm's own, and
// each dependency in it is one that was requested, in order.
func (l *level) follows(r *rules, requested []*helmchart.Dependency) (found findings) {
	at := l.path(l.lockFile)
	if resolved, err := r.resolve(requested); err != nil {
		found.add(l.path("Chart.yaml"), err)
	} else {
		found.add(at, l.checkDigest(requested, resolved))
	}
	if asked, locked := len(requested), len(l.lock.Dependencies); asked != locked {
		found.add(at, outOfSync("it has %d dependencies, the chart requests %d", locked, asked))
		return found
	}
	for i, locked := range l.lock.Dependencies {
		found.add(at, r.answers(requested[i], locked))
	}
	return found
}

// checkDigest takes Helm 2's form for apiVersion v1, as Helm does. Where there
// is nothing to lock, it does not matter how that was written: Helm hashes an
// empty list otherwise than none, and drops it when it packs.
func (l *level) checkDigest(requested, resolved []*helmchart.Dependency) error {
	if len(requested)+len(l.lock.Dependencies) == 0 && slices.Contains(ofNothing, l.lock.Digest) {
		return nil
	}
	want := HashReq(resolved, l.lock.Dependencies)
	v1 := l.chart.Metadata.APIVersion == helmchart.APIVersionV1
	if l.lock.Digest == want || v1 && l.lock.Digest == HashV2Req(requested) {
		return nil
	}
	return outOfSync("its digest is %q, the dependencies give %s", clip(l.lock.Digest), want)
}

var none = []*helmchart.Dependency{}

// ofNothing are the digests of locks that lock nothing.
var ofNothing = []string{HashReq(nil, nil), HashReq(nil, none), HashReq(none, nil), HashReq(none, none)}

// answers says whether a locked dependency is what was requested in its place.
func (r *rules) answers(requested, locked *helmchart.Dependency) error {
	asked, got := r.url(requested.Repository), r.url(locked.Repository)
	switch {
	case requested.Name != locked.Name:
		return outOfSync("it has %q where the chart requests %q", clip(locked.Name), clip(requested.Name))
	case asked != got && show(asked) == show(got):
		return outOfSync("%q is of repository %q, written otherwise than the chart requests it: by a final slash or a default port", clip(locked.Name), show(got))
	case asked != got:
		return outOfSync("%q is of repository %q, the chart requests it of %q", clip(locked.Name), show(got), show(asked))
	case locked.Repository == "" && locked.Version == requested.Version:
		return nil // Helm repeats the range of what lies in charts/ only
	case locked.Repository == "":
		return outOfSync("%q is locked as %q, the chart requests %q", clip(locked.Name), clip(locked.Version), clip(requested.Version))
	case !exact(locked.Version):
		return outOfSync("%q is locked as %q, which is no exact version", clip(locked.Name), clip(locked.Version))
	case !parseRange(requested.Version).has(parseVersion(locked.Version)):
		return outOfSync("%q is locked as %q, the chart requests %q", clip(locked.Name), clip(locked.Version), clip(requested.Version))
	}
	return nil
}

// exact says whether s is one version. Helm knows versions with a v.
func exact(s string) bool { return chartref.SemVer(strings.TrimPrefix(s, "v")) }

func outOfSync(format string, args ...any) error {
	return builtins.Errorf(builtins.LockOutOfSync, format, args...)
}

func clip(s string) string { return builtins.Clip(s) }
