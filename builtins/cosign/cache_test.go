// SPDX-License-Identifier: Apache-2.0

package cosign_test

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"github.com/chartseal/chartseal/builtins"
	"github.com/chartseal/chartseal/builtins/chartref"
	"github.com/chartseal/chartseal/builtins/cosign"
	"github.com/chartseal/chartseal/test/forge"
	"github.com/chartseal/chartseal/test/registry"
	"github.com/chartseal/chartseal/test/vsig"
)

const listings = 10 * time.Second

// newRemembering is a world whose environment remembers.
func newRemembering(t testing.TB, options ...registry.Option) *world {
	w := newWorld(t, options...)
	w.env = w.newEnv(listings)
	return w
}

// asked says what the registry was asked for by the call.
func (w *world) asked(ref string, ask object) (builtins.Report, []string) {
	w.t.Helper()
	w.srv.Forget()
	rep := w.call(ref, ask)
	var paths []string
	for _, r := range w.srv.Requests() {
		paths = append(paths, r.Path)
	}
	slices.Sort(paths)
	return rep, paths
}

// TestWarm counts requests: by digest nothing is asked for twice, and what is
// listed once in the time for which it is taken as current.
func TestWarm(t *testing.T) {
	for _, tt := range []struct {
		name     string
		byDigest bool
		options  []registry.Option
		cold     int
		listings int
	}{
		{"by tag", false, nil, 3 + 2*3 + 2, 3},
		{"by digest", true, nil, 3 + 2*3 + 2, 2},
		{"by tag, without the API", false, []registry.Option{registry.WithoutReferrers()}, 4 + 2*3 + 2, 4},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newRemembering(t, tt.options...)
			w.sign(0, 2)
			var bundles []string
			for _, n := range []string{"0", "1", "2"} {
				bundles = append(bundles, w.attach(w.key.Statement(w.digest, vsig.SignPredicate, map[string]string{"n": n}).Bundle("0.3")))
			}
			if tt.options != nil {
				w.fallBack(bundles...)
			}
			ref := w.ref()
			if tt.byDigest {
				ref = "oci://" + w.srv.Host() + "/" + repo + "@" + w.digest
			}
			var first []byte
			for _, step := range []struct {
				name string
				pass time.Duration
				want int
			}{{"cold", 0, tt.cold}, {"at once", 0, 0}, {"just in time", listings - 1, 0}, {"later", 1, tt.listings}, {"and again", 1, 0}} {
				w.pass(step.pass)
				rep, paths := w.asked(ref, byRelease)
				expect(t, rep, builtins.OK)
				if len(paths) != step.want {
					t.Errorf("%s: %d requests, want %d: %q", step.name, len(paths), step.want, paths)
				}
				if first == nil {
					first = marshal(rep)
				}
				if !bytes.Equal(first, marshal(rep)) {
					t.Errorf("%s: %s, at first %s", step.name, marshal(rep), first)
				}
			}
		})
	}
}

// TestOtherQuestionsShareContent has another policy ask about the same chart.
func TestOtherQuestionsShareContent(t *testing.T) {
	w := newRemembering(t)
	w.trustStranger()
	w.sign(2, 2)
	expect(t, w.call(w.ref(), byRelease), builtins.OK)
	rep, paths := w.asked(w.ref(), object{"public_keys": []string{"second"}})
	expect(t, rep, builtins.UntrustedSigner)
	if len(paths) != 0 {
		t.Errorf("asked for %q", paths)
	}
}

// TestChangesAct has the registry change: seen when what it listed is old.
func TestChangesAct(t *testing.T) {
	for _, tt := range []struct {
		name          string
		set, change   func(*world)
		before, after builtins.Code
	}{
		{"C2 tag moved to an unsigned chart", func(w *world) { w.sign(1, 0) }, func(w *world) {
			w.srv.Tag(repo, w.tag, w.srv.PushChart(repo, "other", forge.Archive(forge.Chart("web", "1.2.3", forge.Entry{Name: "web/x"})...), nil))
		}, builtins.OK, builtins.NoSignature},
		{"signed by bundle", nil, func(w *world) { w.sign(1, 0) }, builtins.NoSignature, builtins.OK},
		{"signed by .sig", nil, func(w *world) { w.sign(0, 1) }, builtins.NoSignature, builtins.OK},
		{"signature gone", func(w *world) { w.sign(0, 1) }, func(w *world) { answer("*.sig", 404)(w) }, builtins.OK, builtins.NoSignature},
		{"chart pushed", func(w *world) { w.tag = "1.2.4" }, func(w *world) {
			w.digest = w.srv.PushChart(repo, "1.2.4", forge.Archive(forge.Chart("web", "1.2.4")...), nil)
			w.sign(1, 0)
		}, builtins.NotFound, builtins.OK},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newRemembering(t)
			if tt.set != nil {
				tt.set(w)
			}
			expect(t, w.call(w.ref(), byRelease), tt.before)
			tt.change(w)
			w.pass(listings - 1)
			expect(t, w.call(w.ref(), byRelease), tt.before)
			w.pass(1)
			expect(t, w.call(w.ref(), byRelease), tt.after)
		})
	}
}

// TestOutagesAreForgotten has a registry that is well again: asked at once.
func TestOutagesAreForgotten(t *testing.T) {
	for _, path := range []string{"/v2/*/manifests/1.2.3", "/v2/*/referrers/*", "*.sig", "/v2/*/blobs/*"} {
		for status, code := range map[int]builtins.Code{401: builtins.Denied, 429: builtins.Unavailable, 503: builtins.Unavailable} {
			w := newRemembering(t)
			w.sign(1, 0)
			w.trustStranger()
			answer(path, status)(w)
			expect(t, w.call(w.ref(), twoKeys), code)
			w.srv.Honest()
			expect(t, w.call(w.ref(), twoKeys), builtins.Threshold)
		}
	}
}

// TestLiesAreForgotten has a registry that is wrong once about what a digest
// names: neither the bytes nor their type stay.
func TestLiesAreForgotten(t *testing.T) {
	for name, lie := range map[string]registry.Rule{
		"other bytes": {Path: "/v2/*/blobs/*", Edit: func(b []byte) []byte { b[len(b)/2] ^= 1; return b }},
		"other type":  {Path: "/v2/*/manifests/sha256:*", Header: map[string]string{"Content-Type": "text/html"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newRemembering(t)
			w.sign(1, 0)
			w.srv.Rule(lie)
			ref := "oci://" + w.srv.Host() + "/" + repo + "@" + w.digest
			if rep := w.call(ref, byRelease); rep.Verified {
				t.Errorf("verified: %+v", rep)
			}
			w.srv.Honest()
			w.pass(listings)
			expect(t, w.call(ref, byRelease), builtins.OK)
		})
	}
}

func TestC34KeyRemovedFromWhatIsRemembered(t *testing.T) {
	w := newRemembering(t)
	w.sign(1, 1)
	expect(t, w.call(w.ref(), byRelease), builtins.OK)
	w.trust.keys["release"] = stranger.PublicKey()
	rep, paths := w.asked(w.ref(), byRelease)
	expect(t, rep, builtins.UntrustedSigner)
	if len(paths) != 0 {
		t.Errorf("asked for %q", paths)
	}
}

// TestSignatureRepositoryIsPermittedToEach has two queries share a memory, one
// of which may not contact the place of the signatures.
func TestSignatureRepositoryIsPermittedToEach(t *testing.T) {
	w, other := newRemembering(t), newWorld(t, registry.On("127.0.0.7"))
	w.other = other.srv.Host()
	other.storeLayers(repo, layerOf(w.key.Simple("x", w.digest, nil)))
	elsewhere := object{"public_keys": []string{"release"}, "signature_repository": "oci://" + other.srv.Host() + "/" + repo}
	expect(t, w.call(w.ref(), elsewhere), builtins.OK)
	w.env.Source = w.env.Source.Allowing([]string{"127.0.0.1"})
	expect(t, w.call(w.ref(), elsewhere), builtins.SourceDenied)
}

// A directory is trust of which one digest is known, names included.
type directory struct{ trust }

func (d directory) Digest() string { return builtins.SHA256(marshal(d.keys)) }

// TestExchangedNamesAct has two keys change their names: what is trusted stays
// the same, and who is said to have signed does not.
func TestExchangedNamesAct(t *testing.T) {
	w := newRemembering(t)
	w.sign(1, 0)
	w.trust.keys["second"] = stranger.PublicKey()
	w.env.Trust = directory{w.trust}
	either := marshal(object{"public_keys": []string{"release", "second"}})
	signer := func() string {
		rep := cosign.Verify.Call(t.Context(), w.env, chartref.Parse(w.ref()), either)
		expect(t, rep, builtins.OK)
		return signers(rep)[0].Name
	}
	if name := signer(); name != "release" {
		t.Errorf("signed by %q", name)
	}
	w.trust.keys["release"], w.trust.keys["second"] = w.trust.keys["second"], w.trust.keys["release"]
	if name := signer(); name != "second" {
		t.Errorf("signed by %q, which is now the name of another key", name)
	}
}
