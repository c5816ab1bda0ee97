// SPDX-License-Identifier: Apache-2.0

package helm_test

import (
	"encoding/base64"
	"encoding/json"
	"maps"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chartseal/chartseal/builtins"
	"github.com/chartseal/chartseal/builtins/builtintest"
	"github.com/chartseal/chartseal/builtins/helm"
	"github.com/chartseal/chartseal/builtins/source"
	"github.com/chartseal/chartseal/test/forge"
)

var (
	alice   = forge.NewKey(forge.KeySpec{UserID: "Alice <alice@example.com>"})
	bob     = forge.NewKey(forge.KeySpec{UserID: "Bob <bob@example.com>", Algorithm: "p256"})
	mallory = forge.NewKey(forge.KeySpec{UserID: "Alice <alice@example.com>"})
)

// A scene is a chart, its provenance, and who asks for it. The zero scene, set
// up by newScene, verifies; each test changes one thing about it.
type scene struct {
	ref  string
	opts map[string]any
	now  time.Time

	archive  []byte
	metadata string // as signed
	file     string // as signed
	sum      string // as signed
	text     string // all that is signed, if not made of the three above
	sign     func(text string) [][]byte
	edit     func(prov string) string // after signing

	rings  map[string][]byte
	served source.Map // beside archive and provenance
	facts  builtins.Facts
}

const (
	webRef = "https://charts.example.com/web-1.0.0.tgz"
	pubURL = "https://charts.example.com/pubkeys.pgp"
)

func newScene() *scene {
	archive := forge.Archive(forge.Chart("web", "1.0.0", forge.Entry{Name: "notes.txt", Body: noise(8 << 10)})...)
	return &scene{
		ref: webRef, opts: map[string]any{"keyrings": []string{"team"}}, now: forge.Epoch.Add(24 * time.Hour),
		archive: archive, metadata: strings.TrimSpace(forge.ChartYAML("web", "1.0.0")), file: "web-1.0.0.tgz", sum: builtins.SHA256(archive),
		sign:  signedBy(alice, forge.SignatureSpec{}),
		rings: map[string][]byte{"team": append(alice.Public(), bob.Public()...)},
	}
}

// noise does not compress, so that flipped bytes fall everywhere.
func noise(n int) string {
	b := make([]byte, n)
	if _, err := rand.NewChaCha8([32]byte{}).Read(b); err != nil {
		panic(err)
	}
	return string(b)
}

func signedBy(k *forge.Key, spec forge.SignatureSpec) func(string) [][]byte {
	return func(text string) [][]byte { return [][]byte{k.Sign(text, spec)} }
}

func (s *scene) signedText() string {
	if s.text != "" {
		return s.text
	}
	return forge.ProvenanceText(s.metadata, s.file, s.sum)
}

func (s *scene) provenance() string {
	prov := forge.Clearsigned(s.signedText(), s.sign(s.signedText())...)
	if s.edit != nil {
		prov = s.edit(prov)
	}
	return prov
}

func (s *scene) env() *builtins.Env {
	served := source.Map{s.ref: {Data: s.archive}, s.ref + ".prov": {Data: []byte(s.provenance())}}
	maps.Copy(served, s.served)
	return &builtins.Env{Now: s.now, Source: served, Trust: rings(s.rings), Facts: s.facts, Limits: builtins.DefaultLimits()}
}

func (s *scene) call(t testing.TB) builtins.Report {
	t.Helper()
	opts, err := json.Marshal(s.opts)
	if err != nil {
		t.Fatal(err)
	}
	ref := reference(s.ref)
	if strings.HasPrefix(s.ref, "inline:") {
		ref = map[string]any{"archive": base64.StdEncoding.EncodeToString(s.archive)}
	}
	return builtintest.Ask(t, helm.VerifyProv, s.env(), ref, opts)
}

// reference reads canonical forms, that of a repository object too.
func reference(canonical string) any {
	repository, chart, isObject := strings.Cut(canonical, "#")
	if !isObject {
		return canonical
	}
	name, version, _ := strings.Cut(chart, "@")
	return map[string]any{"repository": repository, "name": name, "version": version}
}

func (s *scene) want(t testing.TB, code builtins.Code) builtins.Report {
	t.Helper()
	rep := s.call(t)
	if rep.Code != code {
		t.Errorf("got %s (%s), want %s", rep.Code, rep.Reason, code)
	}
	if rep.Verified != (code == builtins.OK) || rep.Outcome != code.Outcome() {
		t.Errorf("verified is %t, outcome %s for %s", rep.Verified, rep.Outcome, code)
	}
	return rep
}

// rings is a trust store.
type rings map[string][]byte

func (r rings) Keyring(name string) (builtins.Material, error) {
	raw, ok := r[name]
	if !ok {
		return builtins.Material{}, builtins.Errorf(builtins.InvalidOptions, "no keyring is called %q", name)
	}
	return builtins.Material{Name: name, Raw: raw, Digest: builtins.SHA256(raw)}, nil
}

func (r rings) PublicKey(name string) (builtins.Material, error)   { return r.Keyring(name) }
func (r rings) TrustedRoot(name string) (builtins.Material, error) { return r.Keyring(name) }

// facts remembers everything.
type facts struct{ sync.Map }

func (f *facts) Load(kind, digest string) (any, bool)            { return f.Map.Load(kind + digest) }
func (f *facts) Store(kind, digest string, fact any, size int64) { f.Map.Store(kind+digest, fact) }

func (f *facts) StoreFor(string, string, any, int64, time.Duration) {}

func signers(rep builtins.Report) (fingerprints []string) {
	for _, s := range rep.Evidence.(builtins.Signatures).Signers {
		fingerprints = append(fingerprints, s.Fingerprint)
	}
	return fingerprints
}
