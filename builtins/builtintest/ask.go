// SPDX-License-Identifier: Apache-2.0

package builtintest

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/chartseal/chartseal/builtins"
	"github.com/chartseal/chartseal/builtins/chartref"
	"github.com/chartseal/chartseal/provider"
)

// Ask calls the check, and then asks the provider the same, as Gatekeeper
// would: it must give the same report, byte for byte, if there is a verdict,
// and no report, but a word about it, if there is none. What Rego could not
// ask of a provider is only called.
func Ask(t testing.TB, b *builtins.Builtin, env *builtins.Env, ref any, opts []byte) builtins.Report {
	t.Helper()
	rep := b.Call(t.Context(), env, chartref.FromValue(ref), opts)
	if key, ok := keyOf(b, ref, opts); ok {
		answerOf(t, b, env, key).agrees(t, key, rep)
	}
	return rep
}

// keyOf is the key that Rego's json.marshal makes. It is none for options that
// no Rego value is written as, and for text that is not UTF-8.
func keyOf(b *builtins.Builtin, ref any, opts []byte) (string, bool) {
	var options any
	dec := json.NewDecoder(bytes.NewReader(opts))
	dec.UseNumber()
	if builtins.UniqueMembers(opts) != nil || dec.Decode(&options) != nil {
		return "", false
	}
	key, err := json.Marshal(map[string]any{"check": b.Name, "opts": options, "ref": ref})
	if err != nil || bytes.Contains(key, []byte(`\ufffd`)) {
		return "", false
	}
	return string(key), true
}

// An answer is a ProviderResponse as it came.
type answer struct {
	status   int
	asked    int // bytes of the request
	Response struct {
		Items []struct {
			Key   string
			Value json.RawMessage
		}
		SystemError string
	}
}

// answerOf asks a provider on the same environment, which has the same time
// for the check.
func answerOf(t testing.TB, b *builtins.Builtin, env *builtins.Env, key string) (a answer) {
	t.Helper()
	limit := time.Duration(env.Limits.Reference)
	p := provider.New(provider.Config{Checks: []*builtins.Builtin{b}}, provider.Basis{
		Env: env, Now: func() time.Time { return env.Now },
		Key: limit + time.Minute, Deadline: limit + time.Minute, Background: limit,
	})
	body, err := json.Marshal(map[string]any{
		"apiVersion": "externaldata.gatekeeper.sh/v1beta1", "kind": "ProviderRequest", "request": map[string]any{"keys": []string{key}},
	})
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	p.ServeHTTP(w, httptest.NewRequest(http.MethodPost, provider.Path, bytes.NewReader(body)))
	if err := json.Unmarshal(w.Body.Bytes(), &a); err != nil {
		t.Fatalf("%s: %v", w.Body, err)
	}
	a.status, a.asked = w.Code, len(body)
	return a
}

// The most that a provider reads.
const (
	maxBody = 1 << 20
	maxKey  = 8 << 10
)

func (a answer) agrees(t testing.TB, key string, rep builtins.Report) {
	t.Helper()
	if a.asked > maxBody {
		if a.status != http.StatusRequestEntityTooLarge || len(a.Response.Items) > 0 || a.Response.SystemError == "" {
			t.Errorf("provider answers %d bytes with %d and %d items", a.asked, a.status, len(a.Response.Items))
		}
		return
	}
	value, err := rep.MarshalJSON()
	switch {
	case err != nil:
		t.Fatal(err)
	case a.status != http.StatusOK:
		t.Errorf("provider answers %d: %s", a.status, a.Response.SystemError)
	case len(key) > maxKey:
		a.isTooLarge(t)
	case rep.Outcome == builtins.Undecided:
		a.isOpen(t, rep)
	case len(a.Response.Items) != 1 || a.Response.Items[0].Key != key || a.Response.SystemError != "":
		t.Errorf("provider answers with %d items and %q, want one for the key: %s", len(a.Response.Items), a.Response.SystemError, key)
	case !bytes.Equal(a.Response.Items[0].Value, value):
		t.Errorf("provider says\n%s\nwhere the check says\n%s", a.Response.Items[0].Value, value)
	}
}

func (a answer) isTooLarge(t testing.TB) {
	t.Helper()
	if len(a.Response.Items) != 1 || !bytes.Contains(a.Response.Items[0].Value, []byte(`"code":"too_large"`)) {
		t.Errorf("provider answers a key over its limit with %+v", a.Response)
	}
}

func (a answer) isOpen(t testing.TB, rep builtins.Report) {
	t.Helper()
	const named = "1 of 1 keys have no verdict: " // and then check, reference and code
	if len(a.Response.Items) != 0 || !strings.HasPrefix(a.Response.SystemError, named) || !strings.HasSuffix(a.Response.SystemError, ": "+string(rep.Code)) {
		t.Errorf("provider answers what is %s with %d items and %q", rep.Code, len(a.Response.Items), a.Response.SystemError)
	}
}
