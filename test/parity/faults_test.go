// SPDX-License-Identifier: Apache-2.0

package parity

import (
	"crypto/tls"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/chartseal/chartseal/test/registry"
)

// notVerified are the samples that trusted_charts allows for another reason
// than a verdict, and why.
var notVerified = map[string]string{
	"break_glass/example_allowed":                               "a token lifts the violation",
	"exemptions/example_allowed":                                "an exemption does",
	"k3s_helmchart/example_allowed_listed_content":              "its content is listed",
	"labelled_namespaces/example_allowed_not_labelled":          unmatched,
	"locked_dependencies_elsewhere/example_allowed_not_matched": unmatched,
	"misspelt_parameter/example_allowed_elsewhere":              unmatched,
	"no_parameters/example_allowed_elsewhere":                   unmatched,
}

const unmatched = "the constraint is not about it"

// trusting are the samples that trusted_charts allows, aside from those with
// one of these reasons; without any, those that it allows for a verdict's sake.
func (w *world) trusting(others ...string) (all []*sample) {
	w.t.Helper()
	for _, s := range w.samples() {
		name, ours := strings.CutPrefix(strings.Replace(s.name, "/samples/", "/", 1), "trusted_charts/")
		reason, other := notVerified[name]
		if ours && s.allowed && (!other || len(others) > 0 && !slices.Contains(others, reason)) {
			all = append(all, s)
		}
	}
	if len(all) == 0 {
		w.t.Fatal("trusted_charts allows no sample")
	}
	return all
}

// A provider that fails, in whatever way, admits nothing that a policy would
// have verified. That each of these is admitted otherwise shows in TestSamples.
func TestFaultyProvider(t *testing.T) {
	const envelope = `{"apiVersion":"externaldata.gatekeeper.sh/v1beta1","kind":"ProviderResponse","response":`
	samples := newWorld(t).trusting()
	var said atomic.Pointer[fault]
	g := newGatekeeper(t, serveFault(t, &said), 5)
	for name, f := range map[string]fault{
		"500":          {http.StatusInternalServerError, `{}`},
		"nothing":      {http.StatusOK, `{}`},
		"null":         {http.StatusOK, `null`},
		"HTML":         {http.StatusOK, `<html></html>`},
		"half":         {http.StatusOK, envelope + `{"items":[`},
		"no item":      {http.StatusOK, envelope + `{"idempotent":true,"items":[]}}`},
		"system error": {http.StatusOK, envelope + `{"idempotent":true,"items":null,"systemError":"down"}}`},
		"another key":  {http.StatusOK, envelope + `{"items":[{"key":"{}","value":{"verified":true,"outcome":"verified","code":"ok"}}]}}`},
	} {
		t.Run(name, func(t *testing.T) {
			said.Store(&f)
			undecided(t, g, samples)
		})
	}
	t.Run("refused", func(t *testing.T) {
		undecided(t, newGatekeeper(t, "https://"+closedPort(t)+"/v1/check", 5), samples)
	})
}

func undecided(t *testing.T, c *cluster, samples []*sample) {
	t.Helper()
	for _, s := range samples {
		findings := c.judge(t, s)
		if len(findings) == 0 {
			t.Errorf("%s is admitted", s.name)
		}
		for _, f := range findings {
			if details := f.Details.(map[string]any); details["code"] != "unavailable" || details["outcome"] != "undecided" {
				t.Errorf("%s is denied with %v: %s, want unavailable", s.name, details["code"], f.Msg)
			}
		}
	}
}

// A fault is what a provider always says.
type fault struct {
	status int
	body   string
}

// serveFault gives the URL of a server with the provider's certificate.
func serveFault(t testing.TB, said *atomic.Pointer[fault]) string {
	t.Helper()
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(out http.ResponseWriter, _ *http.Request) {
		f := said.Load()
		out.WriteHeader(f.status)
		_, _ = io.WriteString(out, f.body)
	}))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.TLS = &tls.Config{Certificates: []tls.Certificate{serving.TLS()}, MinVersion: tls.VersionTLS13}
	server.StartTLS()
	t.Cleanup(server.Close)
	return server.URL + "/v1/check"
}

// closedPort is an address at which nobody listens.
func closedPort(t testing.TB) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	succeeds(t, err)
	defer listener.Close()
	return listener.Addr().String()
}

// A registry that is down admits nothing either, in no engine. Why, OPA alone
// can say: Gatekeeper would remember a verdict that none could reach, so the
// provider leaves it out.
func TestRegistryDown(t *testing.T) {
	w := newWorld(t)
	w.srv.Rule(registry.Rule{Status: http.StatusServiceUnavailable})
	w.alike(t, w.trusting(), outline)
}

// outline leaves of findings what no text is in.
func outline(t testing.TB, findings []finding) string {
	t.Helper()
	var short []finding
	for _, f := range findings {
		details, _ := f.Details.(map[string]any)
		outlined := map[string]any{}
		for _, field := range []string{"via", "ref", "code", "outcome"} {
			outlined[field] = details[field]
		}
		short = append(short, finding{Action: f.Action, Details: outlined})
	}
	return judgement(t, short)
}

// Nothing is admitted by rules that are not there.
func TestNoParameters(t *testing.T) {
	w := newWorld(t)
	var all []*sample
	for name, parameters := range map[string]any{
		"none": nil, "empty rules": map[string]any{"options": map[string]any{"rules": []any{}}},
	} {
		for _, s := range w.trusting(unmatched) {
			s.name += ", parameters: " + name
			unstructured.RemoveNestedField(s.constraint.Object, "spec", "parameters")
			if parameters != nil {
				succeeds(t, unstructured.SetNestedField(s.constraint.Object, parameters, "spec", "parameters"))
			}
			all = append(all, s)
		}
	}
	w.alike(t, all, judgement)
}

// alike wants each sample denied, by all three engines in the same words, or in
// what said leaves of them.
func (w *world) alike(t *testing.T, samples []*sample, said func(testing.TB, []finding) string) {
	t.Helper()
	gator, gatekeeper := w.judged(samples)
	desk := newDesk(t)
	for _, s := range samples {
		opa := desk.judge(t, s)
		if len(opa) == 0 {
			t.Errorf("%s is admitted", s.name)
		}
		if diff := cmp.Diff(said(t, opa), said(t, gatekeeper[s])); diff != "" {
			t.Errorf("%s: OPA (-) and Gatekeeper (+):\n%s", s.name, diff)
		}
		if diff := cmp.Diff(judgement(t, gatekeeper[s]), judgement(t, gator[s])); diff != "" {
			t.Errorf("%s: Gatekeeper (-) and chartseal-gator (+):\n%s", s.name, diff)
		}
	}
}
