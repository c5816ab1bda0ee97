// SPDX-License-Identifier: Apache-2.0

package gatekeeper

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"

	"github.com/open-policy-agent/frameworks/constraint/pkg/externaldata"
)

func requestOf(t testing.TB, keys ...string) string {
	t.Helper()
	raw, err := json.Marshal(externaldata.NewProviderRequest(keys))
	succeeds(t, err)
	return string(raw)
}

// parse gives the codes of an answer, by key.
func parse(t testing.TB, body string) map[string]string {
	t.Helper()
	var r struct {
		Response struct {
			Items []struct {
				Key   string
				Value struct{ Code string }
			}
		}
	}
	succeeds(t, json.Unmarshal([]byte(body), &r))
	codes := map[string]string{}
	for _, i := range r.Response.Items {
		codes[i.Key] = i.Value.Code
	}
	return codes
}

// A reply is what goes back to Gatekeeper, open to be spoiled.
type reply struct {
	status int
	items  []item
	system string
	raw    *string // in place of all of that
	ends   func(http.ResponseWriter, *http.Request)
}

type item map[string]any

func (r *reply) value(n int) map[string]any { return r.items[n]["value"].(map[string]any) }

func (r *reply) write(w http.ResponseWriter) {
	body, err := json.Marshal(map[string]any{
		"apiVersion": "externaldata.gatekeeper.sh/v1beta1", "kind": "ProviderResponse",
		"response": map[string]any{"idempotent": true, "items": r.items, "systemError": r.system},
	})
	if err != nil {
		panic(err)
	}
	if r.raw != nil {
		body = []byte(*r.raw)
	}
	w.WriteHeader(r.status)
	_, _ = w.Write(body)
}

// between is a proxy on the way to the provider which spoils its answers. It
// has the provider's authority on its side: what it does a provider could do.
func (w *world) between(t testing.TB, spoil func(*reply)) string {
	t.Helper()
	ask := client(t)
	proxy := httptest.NewUnstartedServer(http.HandlerFunc(func(out http.ResponseWriter, in *http.Request) {
		r := &reply{}
		w.pass(t, ask, in, r)
		if spoil(r); r.ends != nil {
			r.ends(out, in)
			return
		}
		r.write(out)
	}))
	proxy.Config.ErrorLog = log.New(io.Discard, "", 0)
	proxy.TLS = &tls.Config{Certificates: []tls.Certificate{serving.TLS()}}
	proxy.StartTLS()
	t.Cleanup(proxy.Close)
	return proxy.URL + "/v1/check"
}

func (w *world) pass(t testing.TB, ask *http.Client, in *http.Request, r *reply) {
	body, err := io.ReadAll(in.Body)
	if err != nil {
		t.Error(err)
		return
	}
	res, err := ask.Post(w.url, "application/json", bytes.NewReader(body))
	if err != nil {
		t.Error(err)
		return
	}
	defer res.Body.Close()
	var answer struct {
		Response struct {
			Items       []item
			SystemError string
		}
	}
	if err := json.NewDecoder(res.Body).Decode(&answer); err != nil {
		t.Error(err)
	}
	r.status, r.items, r.system = res.StatusCode, answer.Response.Items, answer.Response.SystemError
}

func says(status int, body string) func(*reply) {
	return func(r *reply) { r.status, r.raw = status, &body }
}

func valued(value any) func(*reply) { return func(r *reply) { r.items[0]["value"] = value } }

func named(key any) func(*reply) { return func(r *reply) { r.items[0]["key"] = key } }

func with(field string, value any) func(*reply) {
	return func(r *reply) { r.value(0)[field] = value }
}

func (r *reply) without(field string) { delete(r.value(0), field) }

// Whatever a provider could do wrong, what it says about the only chart of an
// object is then no verdict. That the chart is verified when nothing is wrong
// is the twin of each.
func TestFaultsOfAProvider(t *testing.T) {
	w := newWorld(t, patient)
	newGatekeeper(t, w.between(t, func(*reply) {}), 30, 0).admits(stable)
	for name, tt := range map[string]struct {
		timeout int
		spoil   func(*reply)
	}{
		"missing":                 {30, func(r *reply) { r.items = nil }},
		"missing, and an error":   {30, func(r *reply) { r.items, r.system = nil, "out of order" }},
		"another key":             {30, named(signedBy(second))},
		"the key in another form": {30, named(" " + signedBy(stable))},
		"a number as key":         {30, named(7)},
		"null as key":             {30, named(nil)},
		"an object as key":        {30, named(map[string]any{"check": "helm.verify_prov"})},
		"twice, rejected": {30, func(r *reply) {
			r.items = append(r.items, item{"key": r.items[0]["key"], "value": item{"verified": false}})
		}},
		"twice, rejected first": {30, func(r *reply) {
			r.items = append([]item{{"key": r.items[0]["key"], "value": item{"verified": false}}}, r.items...)
		}},
		"twice, the same":              {30, func(r *reply) { r.items = append(r.items, r.items[0]) }},
		"twice, an error":              {30, func(r *reply) { r.items = append(r.items, item{"key": r.items[0]["key"], "error": "lost"}) }},
		"value and error":              {30, func(r *reply) { r.items[0]["error"] = "lost" }},
		"no value":                     {30, func(r *reply) { delete(r.items[0], "value") }},
		"null as value":                {30, valued(nil)},
		"true as value":                {30, valued(true)},
		"a text as value":              {30, valued("verified")},
		"a list as value":              {30, valued([]any{map[string]any{"verified": true}})},
		"verified is a text":           {30, with("verified", "true")},
		"verified is null":             {30, with("verified", nil)},
		"verified is one":              {30, with("verified", 1)},
		"verified is missing":          {30, func(r *reply) { r.without("verified") }},
		"500 with an object":           {30, says(500, "{}")},
		"500 with an empty answer":     {30, func(r *reply) { r.status, r.items = 500, nil }},
		"500 without a body":           {30, says(500, "")},
		"500 in HTML":                  {30, says(500, "<html>Internal Server Error</html>")},
		"HTML":                         {30, says(200, "<html>Please log in</html>")},
		"null":                         {30, says(200, "null")},
		"a list":                       {30, says(200, "[]")},
		"nothing":                      {30, says(200, "")},
		"half an answer":               {30, says(200, `{"apiVersion":"externaldata.gatekeeper.sh/v1beta1","kind":"Prov`)},
		"items that are none":          {30, says(200, `{"response":{"items":{}}}`)},
		"a connection that ends":       {30, func(r *reply) { r.ends = cut }},
		"a redirect":                   {30, func(r *reply) { r.ends = redirect }},
		"a timeout":                    {1, func(r *reply) { r.ends = hang }},
		"a timeout within the answer":  {1, func(r *reply) { r.ends = half }},
		"a Provider without a timeout": {0, func(*reply) {}},
	} {
		t.Run(name, func(t *testing.T) {
			details := newGatekeeper(t, w.between(t, tt.spoil), tt.timeout, 0).denies("unavailable", stable)
			if details["outcome"] != "undecided" {
				t.Errorf("outcome is %v", details["outcome"])
			}
		})
	}
	t.Run("refused", func(t *testing.T) {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		succeeds(t, err)
		succeeds(t, listener.Close())
		newGatekeeper(t, "https://"+listener.Addr().String()+"/v1/check", 30, 0).denies("unavailable", stable)
	})
}

func cut(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

// hang waits until Gatekeeper has left.
func hang(_ http.ResponseWriter, in *http.Request) { <-in.Context().Done() }

func half(out http.ResponseWriter, in *http.Request) {
	_, _ = io.WriteString(out, `{"response":`)
	_ = http.NewResponseController(out).Flush()
	hang(out, in)
}

func redirect(out http.ResponseWriter, _ *http.Request) {
	out.Header().Set("Location", "https://127.0.0.1:1/v1/check")
	out.WriteHeader(http.StatusTemporaryRedirect)
}

// Of two charts, one is verified and one is not: whichever way their answers
// are mixed up, the object is denied; in another order they are the same.
func TestMixedUpAnswers(t *testing.T) {
	w := newWorld(t, patient)
	swapped := func(r *reply) { r.items[0]["key"], r.items[1]["key"] = r.items[1]["key"], r.items[0]["key"] }
	reversed := func(r *reply) { slices.Reverse(r.items) }
	under := func(n int) func(*reply) {
		return func(r *reply) { r.items[0]["key"], r.items[1]["key"] = r.items[n]["key"], r.items[n]["key"] }
	}
	for name, tt := range map[string]struct {
		spoil      func(*reply)
		violations int
	}{
		"not at all":            {func(*reply) {}, 1},
		"in another order":      {reversed, 1},
		"each under the other":  {swapped, 1},
		"both under the first":  {under(0), 2},
		"both under the second": {under(1), 2},
		"one alone":             {func(r *reply) { r.items = r.items[:1] }, 1},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGatekeeper(t, w.between(t, tt.spoil), 30, 0)
			if got := g.review(stable, altered); len(got) < tt.violations || len(got) > 2 {
				t.Errorf("%d violations, want %d", len(got), tt.violations)
			}
		})
	}
	for name, spoil := range map[string]func(*reply){"twin": func(*reply) {}, "twin in another order": reversed} {
		t.Run(name, func(t *testing.T) { newGatekeeper(t, w.between(t, spoil), 30, 0).admits(stable, second) })
	}
}

// What stands beside a verdict takes nothing from it: a verdict that is there counts.
func TestErrorsAboutOthers(t *testing.T) {
	w := newWorld(t, patient)
	for name, spoil := range map[string]func(*reply){
		"an error of the whole":      func(r *reply) { r.system = "1 of 2 keys have no verdict" },
		"an error of another key":    func(r *reply) { r.items = append(r.items, item{"key": "other", "error": "lost"}) },
		"fields that nobody knows":   func(r *reply) { r.value(0)["more"] = "x" },
		"fields that are not needed": func(r *reply) { r.without("signers") },
	} {
		t.Run(name, func(t *testing.T) { newGatekeeper(t, w.between(t, spoil), 30, 0).admits(stable) })
	}
	t.Run("a rejection without its reason", func(t *testing.T) {
		newGatekeeper(t, w.between(t, valued(item{"verified": false})), 30, 0).denies("unavailable", stable)
	})
}
