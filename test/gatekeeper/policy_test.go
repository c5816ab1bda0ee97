// SPDX-License-Identifier: Apache-2.0

package gatekeeper

import (
	"context"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	templatesv1 "github.com/open-policy-agent/frameworks/constraint/pkg/apis/templates/v1"
	constraint "github.com/open-policy-agent/frameworks/constraint/pkg/client"
	"github.com/open-policy-agent/frameworks/constraint/pkg/client/drivers/rego"
	"github.com/open-policy-agent/frameworks/constraint/pkg/core/templates"
	"github.com/open-policy-agent/frameworks/constraint/pkg/externaldata"
	"github.com/open-policy-agent/frameworks/constraint/pkg/handler/handlertest"
	"github.com/open-policy-agent/frameworks/constraint/pkg/types"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/certwatcher"

	library "github.com/chartseal/chartseal/rego"
)

// A gatekeeper is Gatekeeper in process: its constraint client and Rego driver,
// with a template of ours and one constraint. The function external_data is
// the whole process's and belongs to the gatekeeper made last, so none of these
// tests is parallel.
type gatekeeper struct {
	t      testing.TB
	client *constraint.Client
	cache  *externaldata.ProviderResponseCache // nil remembers nothing
}

const target = "admission.k8s.gatekeeper.sh"

// newGatekeeper asks the provider at url, which has timeout seconds, and
// remembers answers for ttl.
func newGatekeeper(t testing.TB, url string, timeout int, ttl time.Duration) *gatekeeper {
	t.Helper()
	g := &gatekeeper{t: t}
	providers := externaldata.NewCache()
	succeeds(t, providers.Upsert(resource("chartseal", url, timeout)))
	args := []rego.Arg{rego.AddExternalDataProviderCache(providers), rego.EnableExternalDataClientAuth(), rego.AddExternalDataClientCertWatcher(shown(t))}
	if ttl > 0 {
		g.cache = externaldata.NewProviderResponseCache(t.Context(), ttl)
		args = append(args, rego.AddExternalDataProviderResponseCache(g.cache))
	}
	driver, err := rego.New(args...)
	succeeds(t, err)
	name := target
	g.client, err = constraint.NewClient(constraint.Targets(&handlertest.Handler{Name: &name}), constraint.Driver(driver), constraint.EnforcementPoints("validation.gatekeeper.sh"))
	succeeds(t, err)
	_, err = g.client.AddTemplate(t.Context(), verifiedCharts(t))
	succeeds(t, err)
	_, err = g.client.AddConstraint(t.Context(), trustingWebTeam())
	succeeds(t, err)
	return g
}

func succeeds(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// shown is the certificate that Gatekeeper shows, in files as it has it.
func shown(t testing.TB) *certwatcher.CertWatcher {
	t.Helper()
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	write(t, cert, webhook.Certificate)
	write(t, key, webhook.Key)
	watcher, err := certwatcher.New(cert, key)
	succeeds(t, err)
	return watcher
}

// verifiedCharts is the template as an API server would hand it over.
func verifiedCharts(t testing.TB) *templates.ConstraintTemplate {
	t.Helper()
	source := map[string]any{"version": "v1", "rego": text(t, "verified_charts.rego"), "libs": []string{engine(t)}}
	open := map[string]any{"type": "object", "x-kubernetes-preserve-unknown-fields": true}
	raw, err := json.Marshal(map[string]any{
		"apiVersion": "templates.gatekeeper.sh/v1", "kind": "ConstraintTemplate", "metadata": map[string]any{"name": "verifiedcharts"},
		"spec": map[string]any{
			"crd": map[string]any{"spec": map[string]any{
				"names":      map[string]any{"kind": "VerifiedCharts"},
				"validation": map[string]any{"openAPIV3Schema": map[string]any{"type": "object", "properties": map[string]any{"options": open}}},
			}},
			"targets": []any{map[string]any{"target": target, "code": []any{map[string]any{"engine": "Rego", "source": source}}}},
		},
	})
	succeeds(t, err)
	var v1 templatesv1.ConstraintTemplate
	succeeds(t, json.Unmarshal(raw, &v1))
	template, err := v1.ToVersionless()
	succeeds(t, err)
	return template
}

func text(t testing.TB, name string) string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata/rego", name))
	succeeds(t, err)
	return string(raw)
}

// engine is the library's, as it stands in every template.
func engine(t testing.TB) string {
	t.Helper()
	raw, err := fs.ReadFile(library.FS, "engines/gatekeeper/lib/engine/engine.rego")
	succeeds(t, err)
	return string(raw)
}

func trustingWebTeam() *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "constraints.gatekeeper.sh/v1beta1", "kind": "VerifiedCharts", "metadata": map[string]any{"name": "web-team"},
		"spec": map[string]any{"enforcementAction": "deny", "parameters": map[string]any{"options": map[string]any{"keyrings": []any{"web-team"}}}},
	}}
}

// review gives what is wrong with an object that names these charts.
func (g *gatekeeper) review(refs ...string) []*types.Result {
	g.t.Helper()
	responses, err := g.client.Review(context.Background(), handlertest.NewReview("web", "release", strings.Join(refs, " ")))
	succeeds(g.t, err)
	return responses.Results()
}

func (g *gatekeeper) admits(refs ...string) {
	g.t.Helper()
	for _, r := range g.review(refs...) {
		g.t.Errorf("denied: %s", r.Msg)
	}
}

// denies wants one violation, with this code.
func (g *gatekeeper) denies(code string, refs ...string) (details map[string]any) {
	g.t.Helper()
	results := g.review(refs...)
	if len(results) != 1 {
		g.t.Fatalf("%d violations, want one", len(results))
	}
	details, _ = results[0].Metadata["details"].(map[string]any)
	if details["code"] != code || results[0].EnforcementAction != "deny" {
		g.t.Errorf("denied with %v: %s, want %s", details["code"], results[0].Msg, code)
	}
	return details
}

func TestPolicy(t *testing.T) {
	for name, ttl := range map[string]time.Duration{"remembering nothing": 0, "remembering": time.Minute} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, patient)
			g := newGatekeeper(t, w.url, 30, ttl)
			for range 2 {
				g.admits(stable)
				g.admits(stable, second)
				g.denies("digest_mismatch", altered)
				g.denies("no_provenance", stable, bare)
				g.denies("invalid_reference", "ftp://x", second)
				g.denies("source_denied", "https://elsewhere.example.com/web-1.2.3.tgz")
				g.denies("unavailable", stable, broken)
			}
			if none := g.review(); len(none) != 1 || none[0].Msg != "no chart reference found in this object" {
				t.Errorf("an object without references: %+v", none)
			}
		})
	}
}

// Gatekeeper's cache has the verdicts, each under its key, and nothing else.
func TestWhatGatekeeperRemembers(t *testing.T) {
	w := newWorld(t, patient)
	g := newGatekeeper(t, w.url, 30, time.Minute)
	g.review(stable, altered, broken)
	for ref, want := range map[string]bool{stable: true, altered: true, broken: false} {
		if got := g.remembers(signedBy(ref)); got != want {
			t.Errorf("%s: remembered is %t", ref, got)
		}
	}
}

func (g *gatekeeper) remembers(key string) bool {
	_, err := g.cache.Get(externaldata.CacheKey{ProviderName: "chartseal", Key: key})
	return err == nil
}

// age lets time pass for what is remembered of a key.
func (g *gatekeeper) age(key string, by time.Duration) {
	g.t.Helper()
	at := externaldata.CacheKey{ProviderName: "chartseal", Key: key}
	value, err := g.cache.Get(at)
	succeeds(g.t, err)
	older := *value
	older.Received -= int64(by / time.Second)
	g.cache.Upsert(at, older)
}

// A key that is no longer trusted is seen by the next request; where Gatekeeper
// remembers, by the next after its time. The trust of the report is another.
func TestRevokedKeyIsSeen(t *testing.T) {
	const ttl = 3 * time.Minute
	for name, ttl := range map[string]time.Duration{"at once": 0, "after Gatekeeper's time": ttl} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, patient)
			g := newGatekeeper(t, w.url, 30, ttl)
			g.admits(stable)
			before := g.denies("digest_mismatch", altered)["trust"]
			w.trusting("keyrings/web-team.asc", read(t, "unknown_signer")["keyrings/platform-team"])
			w.provider.Use(w.basis())
			if ttl > 0 {
				g.age(signedBy(stable), ttl-10*time.Second)
				g.admits(stable)
				g.age(signedBy(stable), 11*time.Second)
			}
			after := g.denies("untrusted_signer", stable)["trust"]
			if before == after || after == "" {
				t.Errorf("trust is %v before and %v after", before, after)
			}
			w.trusting("keyrings/web-team.asc", read(t, "signed")["keyrings/web-team"])
			w.provider.Use(w.basis())
			if ttl > 0 {
				g.age(signedBy(stable), ttl+time.Second)
			}
			g.admits(stable)
		})
	}
}
