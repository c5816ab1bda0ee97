// SPDX-License-Identifier: Apache-2.0

package parity

import (
	"crypto/tls"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/chartseal/chartseal/test/registry"
)

// trusting are the samples that trusted_charts, which verifies, allows.
func (w *world) trusting() (all []*sample) {
	w.t.Helper()
	for _, s := range w.samples() {
		if s.allowed && strings.HasPrefix(s.name, "trusted_charts/") {
			all = append(all, s)
		}
	}
	if len(all) == 0 {
		w.t.Fatal("trusted_charts allows no sample")
	}
	return all
}

func denied(t testing.TB, what string, s *sample, findings []finding) {
	t.Helper()
	if len(findings) == 0 {
		t.Errorf("%s: %s is admitted", s.name, what)
	}
}

// A provider that fails, in whatever way, admits nothing that a policy would
// have verified. What each of these answers would otherwise be is in TestSamples.
func TestFaultyProvider(t *testing.T) {
	const envelope = `{"apiVersion":"externaldata.gatekeeper.sh/v1beta1","kind":"ProviderResponse","response":`
	w := newWorld(t)
	for name, fault := range map[string]struct {
		status int
		body   string
	}{
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
			g := newGatekeeper(t, faulty(t, fault.status, fault.body), 5)
			for _, s := range w.trusting() {
				denied(t, name, s, g.judges(t, s))
			}
		})
	}
	t.Run("refused", func(t *testing.T) {
		g := newGatekeeper(t, "https://"+closedPort(t)+"/v1/check", 5)
		for _, s := range w.trusting() {
			denied(t, "no provider", s, g.judges(t, s))
		}
	})
}

// faulty is the URL of a server with the provider's certificate that always
// says the same.
func faulty(t testing.TB, status int, body string) string {
	t.Helper()
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(out http.ResponseWriter, in *http.Request) {
		out.WriteHeader(status)
		_, _ = io.WriteString(out, body)
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
	w.alike(t, w.trusting(), "a registry that is down", outline)
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
	for name, parameters := range map[string]any{
		"none": nil, "no options": map[string]any{}, "empty options": map[string]any{"options": map[string]any{}},
		"empty rules": map[string]any{"options": map[string]any{"rules": []any{}}},
	} {
		t.Run(name, func(t *testing.T) {
			samples := w.trusting()
			for _, s := range samples {
				unstructured.RemoveNestedField(s.constraint.Object, "spec", "parameters")
				if parameters != nil {
					succeeds(t, unstructured.SetNestedField(s.constraint.Object, parameters, "spec", "parameters"))
				}
			}
			w.alike(t, samples, name, judgement)
		})
	}
}

// alike wants each sample denied, by all three engines in the same words, or in
// what said leaves of them.
func (w *world) alike(t *testing.T, samples []*sample, what string, said func(testing.TB, []finding) string) {
	t.Helper()
	w.sit()
	w.gatorHere()
	gator := map[*sample][]finding{}
	for _, s := range samples {
		gator[s] = inGator(t, s)
	}
	g := newGatekeeper(t, w.serve(), 30)
	for _, s := range samples {
		opa, gatekeeper := inOPA(t, s), g.judges(t, s)
		denied(t, what, s, opa)
		if diff := cmp.Diff(said(t, opa), said(t, gatekeeper)); diff != "" {
			t.Errorf("%s: OPA (-) and Gatekeeper (+):\n%s", s.name, diff)
		}
		if diff := cmp.Diff(judgement(t, gatekeeper), judgement(t, gator[s])); diff != "" {
			t.Errorf("%s: Gatekeeper (-) and chartseal-gator (+):\n%s", s.name, diff)
		}
	}
}
