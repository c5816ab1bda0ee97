// SPDX-License-Identifier: Apache-2.0

package cosign_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"go.uber.org/goleak"

	"github.com/chartseal/chartseal/builtins"
	"github.com/chartseal/chartseal/builtins/builtintest"
	"github.com/chartseal/chartseal/builtins/chartref"
	"github.com/chartseal/chartseal/builtins/cosign"
	"github.com/chartseal/chartseal/builtins/source"
	"github.com/chartseal/chartseal/test/forge"
	"github.com/chartseal/chartseal/test/registry"
	"github.com/chartseal/chartseal/test/vsig"
)

func TestMain(m *testing.M) {
	// The timer of a library that comes along with cosign's never ends.
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("k8s.io/klog/v2.(*flushDaemon).run.func1"),
		goleak.IgnoreTopFunction("go.opencensus.io/stats/view.(*worker).start"))
}

// at is when everything here was signed. That it is long ago shows that no
// verdict looks at the clock.
var at = time.Date(2024, 5, 1, 12, 0, 0, 0, time.UTC)

const (
	repo    = "charts/web"
	subject = "https://ci.example.com/org/web/.github/workflows/release.yml@refs/heads/main"
	issuer  = "https://issuer.example.com"

	bundleType = "application/vnd.dev.sigstore.bundle.v0.3+json"
	simpleType = "application/vnd.dev.cosign.simplesigning.v1+json"
)

var archive = forge.Archive(forge.Chart("web", "1.2.3")...)

type object = map[string]any

// A world is a registry with a chart, a sigstore, and what is trusted of it.
type world struct {
	t      testing.TB
	srv    *registry.Server
	vs     *vsig.Sigstore
	key    *vsig.Signer
	trust  trust
	env    *builtins.Env
	digest string
	tag    string
	url    string // of the archive that is in no registry
	other  string // another host that is listed
	clock  clock
}

type trust struct{ keys, roots map[string][]byte }

func (t trust) find(kind string, in map[string][]byte, name string) (builtins.Material, error) {
	raw, ok := in[name]
	if !ok {
		return builtins.Material{}, builtins.Errorf(builtins.InvalidOptions, "there is no %s %q", kind, name)
	}
	m := builtins.InlineMaterial(raw)
	m.Name = name
	return m, nil
}

func (t trust) Keyring(name string) (builtins.Material, error)   { return t.find("keyring", nil, name) }
func (t trust) PublicKey(name string) (builtins.Material, error) { return t.find("key", t.keys, name) }
func (t trust) TrustedRoot(name string) (builtins.Material, error) {
	return t.find("root", t.roots, name)
}

// shared is the same in every process, so that fuzzing's workers understand
// what the seeds say.
var shared = struct {
	vs  *vsig.Sigstore
	key *vsig.Signer
}{vsig.NewSeeded(at, "shared"), vsig.WithKey(vsig.SeededKey("release"))}

func newKey(curve elliptic.Curve) *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		panic(err)
	}
	return key
}

func newWorld(t testing.TB, options ...registry.Option) *world {
	t.Helper()
	w := &world{t: t, srv: registry.New(t, options...), vs: shared.vs, key: shared.key, tag: "1.2.3"}
	w.clock.set(at.AddDate(2, 0, 0))
	w.trust = trust{
		keys:  map[string][]byte{"release": w.key.PublicKey()},
		roots: map[string][]byte{"ours": w.vs.Root()},
	}
	w.env = w.newEnv(0)
	w.digest = w.srv.PushChart(repo, w.tag, archive, nil)
	w.srv.AddFile("files/web-1.2.3.tgz", archive)
	w.url = w.srv.URL() + "/files/web-1.2.3.tgz"
	return w
}

// newEnv is an environment that remembers what is listed for so long, by the
// world's clock; for 0, nothing of the registry at all.
func (w *world) newEnv(listings time.Duration) *builtins.Env {
	w.t.Helper()
	clock := w.clock.now
	config := source.Config{
		Registries: func(host string) (source.Registry, bool) {
			return source.Registry{Insecure: true}, host == w.srv.Host() || host == w.other
		},
		Limits: builtins.DefaultLimits(), Listings: listings, Clock: clock,
	}
	if listings > 0 {
		config.CacheBytes = 1 << 20
	}
	client, err := source.New(config)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(client.Close)
	return &builtins.Env{Now: w.clock.now(), Source: client, Trust: w.trust, Facts: source.NewFacts(1<<20, clock), Limits: config.Limits}
}

// A clock may be read by a call that was answered at its deadline and has not
// ended yet.
type clock struct{ ns atomic.Int64 }

func (c *clock) now() time.Time  { return time.Unix(0, c.ns.Load()).UTC() }
func (c *clock) set(t time.Time) { c.ns.Store(t.UnixNano()) }

// pass lets time pass.
func (w *world) pass(d time.Duration) {
	w.clock.set(w.clock.now().Add(d))
	w.env.Now = w.clock.now()
}

func (w *world) ref() string { return "oci://" + w.srv.Host() + "/" + repo + ":" + w.tag }

// attach stores a bundle as a referrer of the chart.
func (w *world) attach(bundle []byte, edits ...func(*ocispec.Manifest)) string {
	m := ocispec.Manifest{
		MediaType: ocispec.MediaTypeImageManifest, ArtifactType: bundleType,
		Config:  w.blob(repo, "application/vnd.oci.empty.v1+json", []byte("{}")),
		Layers:  []ocispec.Descriptor{w.blob(repo, bundleType, bundle)},
		Subject: &ocispec.Descriptor{MediaType: ocispec.MediaTypeImageManifest, Digest: digest.Digest(w.digest), Size: 1},
	}
	m.SchemaVersion = 2
	for _, edit := range edits {
		edit(&m)
	}
	return w.srv.PushManifest(repo, "", m.MediaType, marshal(m))
}

func (w *world) blob(repo, mediaType string, raw []byte) ocispec.Descriptor {
	return ocispec.Descriptor{MediaType: mediaType, Digest: digest.Digest(w.srv.PushBlob(repo, raw)), Size: int64(len(raw))}
}

// A layer is a signature as the .sig image stores it.
type layer struct {
	payload     []byte
	annotations map[string]string
}

func layerOf(sig *vsig.Signature) layer {
	payload, annotations := sig.Layer()
	return layer{payload, annotations}
}

// storeLayers writes the .sig image of the chart.
func (w *world) storeLayers(repo string, layers ...layer) {
	m := ocispec.Manifest{MediaType: ocispec.MediaTypeImageManifest, Config: w.blob(repo, ocispec.MediaTypeImageConfig, []byte("{}"))}
	m.SchemaVersion = 2
	for _, l := range layers {
		d := w.blob(repo, simpleType, l.payload)
		d.Annotations = l.annotations
		m.Layers = append(m.Layers, d)
	}
	w.srv.PushManifest(repo, strings.Replace(w.digest, ":", "-", 1)+".sig", m.MediaType, marshal(m))
}

func marshal(v any) []byte {
	raw, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return raw
}

// call asks the check, and the provider as well.
func (w *world) call(ref string, options object) builtins.Report {
	w.t.Helper()
	return w.complete(builtintest.Ask(w.t, cosign.Verify, w.trusting(), ref, marshal(options)))
}

// callOnce is for a world that changes when it is asked, or counts.
func (w *world) callOnce(ref string, options object) builtins.Report {
	w.t.Helper()
	return w.complete(cosign.Verify.Call(w.t.Context(), w.trusting(), chartref.Parse(ref), marshal(options)))
}

func (w *world) trusting() *builtins.Env {
	w.env.Trust = w.trust
	return w.env
}

func (w *world) complete(rep builtins.Report) builtins.Report {
	w.t.Helper()
	if raw := marshal(rep); !bytes.Contains(raw, []byte(`"signers":`)) {
		w.t.Errorf("report has no signers: %s", raw)
	}
	return rep
}

func signers(rep builtins.Report) []builtins.Signer {
	return rep.Evidence.(builtins.Signatures).Signers
}

func expect(t testing.TB, rep builtins.Report, code builtins.Code) {
	t.Helper()
	if rep.Code != code || rep.Verified != (code == builtins.OK) {
		t.Errorf("%s: %s, want %s\nchecks %+v", rep.Code, rep.Reason, code, rep.Checks)
	}
}

// A route is one way for a signature to reach the verdict.
type route struct {
	name    string
	keyless bool
	shape   shape
	log     int // version of the log; 0 is none
	stamp   bool
}

type shape int

const (
	bundle shape = iota
	simple
	blob
)

var routes = []route{
	{"identity, bundle", true, bundle, 1, false},
	{"identity, bundle, log v2", true, bundle, 2, true},
	{"identity, bundle, timestamp only", true, bundle, 0, true},
	{"identity, simple signing", true, simple, 1, false},
	{"identity, simple signing, timestamp only", true, simple, 0, true},
	{"identity, archive", true, blob, 1, false},
	{"identity, archive, log v2", true, blob, 2, true},
	{"key, bundle", false, bundle, 0, false},
	{"key, bundle, log", false, bundle, 1, false},
	{"key, bundle, log v2", false, bundle, 2, false},
	{"key, simple signing", false, simple, 0, false},
	{"key, simple signing, log", false, simple, 1, false},
	{"key, archive", false, blob, 0, false},
	{"key, archive, log", false, blob, 1, true},
}

func where(keep func(route) bool) []route {
	return slices.DeleteFunc(slices.Clone(routes), func(r route) bool { return !keep(r) })
}

func every(route) bool        { return true }
func byIdentity(r route) bool { return r.keyless }
func byKey(r route) bool      { return !r.keyless }
func logged(r route) bool     { return r.log > 0 }
func stamped(r route) bool    { return r.stamp }

func (r route) registered() bool { return r.shape != blob }
func (r route) bundled() bool    { return r.shape != simple }

// A change is what a case does to what is otherwise valid, at each step of its
// making. The zero change is the valid twin.
type change struct {
	signer  func(*world) *vsig.Signer // in place of the trusted one
	leaf    func(*world, *vsig.Leaf)
	digest  string                                            // signed in place of the chart's
	archive []byte                                            // signed in place of the archive
	sign    func(*world, route, *vsig.Signer) *vsig.Signature // in place of all of that
	signed  func(*vsig.Signature)                             // before the log sees it
	log     func(*world, *vsig.Signature)                     // in place of log and timestamp
	done    func(*world, *vsig.Signature)
	bundle  func([]byte) []byte
	layer   func(layer) layer
	options func(*world, object)
}

// run stores what the change makes on this route, and asks.
func (r route) run(t testing.TB, c change) (*world, builtins.Report) {
	t.Helper()
	w := newWorld(t)
	sig := r.make(w, c)
	if r.shape == simple {
		l := layerOf(sig)
		if c.layer != nil {
			l = c.layer(l)
		}
		w.storeLayers(repo, l)
	} else {
		raw := sig.Bundle("0.3")
		if c.bundle != nil {
			raw = c.bundle(raw)
		}
		if r.shape == blob {
			w.srv.AddFile("files/web-1.2.3.tgz.sigstore.json", raw)
		} else {
			w.attach(raw)
		}
	}
	return w, w.call(r.ref(w), r.options(w, c))
}

func (r route) ref(w *world) string {
	if r.shape == blob {
		return w.url
	}
	return w.ref()
}

func (r route) options(w *world, c change) object {
	o := object{"public_keys": []string{"release"}}
	if r.keyless {
		o = object{"identities": []object{{"issuer": issuer, "subject": subject}}, "trusted_root": "ours"}
	}
	switch {
	case r.keyless && r.log == 0:
		o["transparency_log"] = "skip"
	case !r.keyless && r.log > 0:
		o["transparency_log"], o["trusted_root"] = "required", "ours"
	}
	if r.stamp {
		o["timestamp"] = "required"
	}
	if c.options != nil {
		c.options(w, o)
	}
	return o
}

func (r route) make(w *world, c change) *vsig.Signature {
	sig := r.sign(w, c)
	if c.signed != nil {
		c.signed(sig)
	}
	if c.log != nil {
		c.log(w, sig)
	} else {
		r.prove(w, sig)
	}
	if c.done != nil {
		c.done(w, sig)
	}
	return sig
}

func (r route) prove(w *world, sig *vsig.Signature) {
	switch r.log {
	case 1:
		sig.Log(w.vs.Rekor, at)
	case 2:
		sig.LogV2(w.vs.RekorV2)
	}
	if r.stamp {
		sig.Stamp(w.vs, at)
	}
}

func (r route) sign(w *world, c change) *vsig.Signature {
	signer := r.signer(w, c)
	if c.sign != nil {
		return c.sign(w, r, signer)
	}
	digest, file := w.digest, archive
	if c.digest != "" {
		digest = c.digest
	}
	if c.archive != nil {
		file = c.archive
	}
	switch r.shape {
	case blob:
		return signer.Blob(file)
	case simple:
		return signer.Simple(w.srv.Host()+"/"+repo, digest, map[string]string{"team": "web"})
	}
	return signer.Statement(digest, vsig.SignPredicate, map[string]string{"team": "web"})
}

func (r route) signer(w *world, c change) *vsig.Signer {
	if c.signer != nil {
		return c.signer(w)
	}
	if !r.keyless {
		return w.key
	}
	leaf := vsig.Leaf{Subject: subject, Issuer: issuer}
	if c.leaf != nil {
		c.leaf(w, &leaf)
	}
	return w.vs.Keyless(leaf)
}

func unmarshal(raw []byte, into any) {
	if err := json.Unmarshal(raw, into); err != nil {
		panic(err)
	}
}
