// SPDX-License-Identifier: Apache-2.0

package provider_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/chartseal/chartseal/builtins"
	"github.com/chartseal/chartseal/builtins/chartref"
	"github.com/chartseal/chartseal/provider"
)

// A fake check answers what its options say: a code, or that it waits or
// panics. What is tested here is the driver; real checks are in test/gatekeeper.
type fakeOptions struct {
	Code  string `json:"code" doc:"Code to answer with."`
	Wait  string `json:"wait" doc:"How long to take, as a duration; forever is until the context ends."`
	Panic bool   `json:"panic" doc:"Whether to panic."`
}

type fake struct {
	calls  atomic.Int64
	most   atomic.Int64 // under way at once
	now    atomic.Int64
	resume chan struct{} // closed to let those go on that wait
}

func newFake() *fake { return &fake{resume: make(chan struct{})} }

func (f *fake) builtin() *builtins.Builtin {
	return builtins.Define("fake.check", "Answers what it is told.", builtins.Signatures{}, func(_ *builtins.Env, o fakeOptions) (builtins.Judge, error) {
		return func(ctx context.Context, _ chartref.Ref, _ *builtins.Report) error { return f.judge(ctx, o) }, nil
	})
}

func (f *fake) judge(ctx context.Context, o fakeOptions) error {
	f.calls.Add(1)
	f.most.Store(max(f.most.Load(), f.now.Add(1)))
	defer f.now.Add(-1)
	if o.Panic {
		panic("told to")
	}
	if o.Wait != "" {
		select {
		case <-f.resume:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if o.Code == "" || o.Code == "ok" {
		return nil
	}
	return builtins.Errorf(builtins.Code(o.Code), "told to say %s", o.Code)
}

// basis leaves time for whatever is not about time.
func basis() provider.Basis {
	limits := builtins.DefaultLimits()
	return provider.Basis{
		Env: &builtins.Env{Limits: limits, NamedTrust: true},
		Key: 20 * time.Second, Deadline: 20 * time.Second, Background: 30 * time.Second,
		Verdicts: 30 * time.Second, VerdictBytes: 16 << 20,
	}
}

func newProvider(f *fake, b provider.Basis) *provider.Provider {
	return provider.New(provider.Config{Checks: []*builtins.Builtin{f.builtin()}}, b)
}

func key(opts, ref string) string {
	return `{"check":"fake.check","opts":` + opts + `,"ref":` + ref + `}`
}

const (
	good    = `"oci://reg.example.com/charts/web:1.2.3"`
	noVerd  = `"oci://reg.example.com/charts/web:1.2.4"`
	version = "externaldata.gatekeeper.sh/v1beta1"
)

func requestOf(keys ...string) string {
	keys = append([]string{}, keys...) // none are an empty list, not null
	raw, err := json.Marshal(map[string]any{"apiVersion": version, "kind": "ProviderRequest", "request": map[string]any{"keys": keys}})
	if err != nil {
		panic(err)
	}
	return string(raw)
}

type wireResponse struct {
	APIVersion, Kind string
	Response         struct {
		Idempotent bool
		Items      []struct {
			Key   string
			Value struct {
				Verified                   *bool
				Outcome, Code, Reason, Ref string
			}
			Error string
		}
		SystemError string
	}
}

func post(t testing.TB, h http.Handler, method, path, body string) (int, wireResponse) {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(method, path, strings.NewReader(body)))
	var r wireResponse
	dec := json.NewDecoder(bytes.NewReader(w.Body.Bytes()))
	if err := dec.Decode(&r); err != nil {
		t.Fatalf("%s is no ProviderResponse: %v", w.Body, err)
	}
	if r.APIVersion != version || r.Kind != "ProviderResponse" {
		t.Fatalf("answer is %s", w.Body)
	}
	return w.Code, r
}

// verdicts are the codes by key.
func (r wireResponse) verdicts() map[string]string {
	all := map[string]string{}
	for _, i := range r.Response.Items {
		if _, twice := all[i.Key]; twice {
			all[i.Key] = "twice"
			continue
		}
		all[i.Key] = i.Value.Code
	}
	return all
}

func ask(t testing.TB, h http.Handler, keys ...string) wireResponse {
	t.Helper()
	status, r := post(t, h, http.MethodPost, provider.Path, requestOf(keys...))
	if status != http.StatusOK {
		t.Fatalf("status %d: %s", status, r.Response.SystemError)
	}
	return r
}

// What is wrong with a request is said in a ProviderResponse, without items.
func TestRequestsThatAreNone(t *testing.T) {
	t.Parallel()
	p := newProvider(newFake(), basis())
	valid := requestOf(key(`{}`, good))
	for name, tt := range map[string]struct {
		method, path, body string
		status             int
		says               string
	}{
		"S3 GET":                {http.MethodGet, provider.Path, valid, 405, `method is "GET", want POST`},
		"other path":            {http.MethodPost, "/v1/chek", valid, 404, "checks are at /v1/check"},
		"empty":                 {http.MethodPost, provider.Path, "", 400, "not one JSON value"},
		"half":                  {http.MethodPost, provider.Path, valid[:len(valid)-1], 400, "not one JSON value"},
		"S3 trailing JSON":      {http.MethodPost, provider.Path, valid + "{}", 400, "not one JSON value"},
		"member twice":          {http.MethodPost, provider.Path, `{"kind":"ProviderRequest",` + valid[1:], 400, "names a member twice"},
		"S3 other kind":         {http.MethodPost, provider.Path, strings.Replace(valid, "ProviderRequest", "AdmissionReview", 1), 400, `"AdmissionReview", want`},
		"other version":         {http.MethodPost, provider.Path, strings.Replace(valid, "v1beta1", "v1", 1), 400, "v1beta1"},
		"no request":            {http.MethodPost, provider.Path, `{"apiVersion":"` + version + `","kind":"ProviderRequest"}`, 400, "no list of keys"},
		"null keys":             {http.MethodPost, provider.Path, `{"apiVersion":"` + version + `","kind":"ProviderRequest","request":{"keys":null}}`, 400, "no list of keys"},
		"keys that are numbers": {http.MethodPost, provider.Path, `{"apiVersion":"` + version + `","kind":"ProviderRequest","request":{"keys":[1]}}`, 400, "keys are strings"},
		"a null key":            {http.MethodPost, provider.Path, `{"apiVersion":"` + version + `","kind":"ProviderRequest","request":{"keys":["a",null]}}`, 400, "a key is null"},
		"not UTF-8":             {http.MethodPost, provider.Path, strings.Replace(valid, "web", "w\xffb", 1), 400, "not one JSON value in UTF-8"},
		"half a surrogate pair": {http.MethodPost, provider.Path, strings.Replace(valid, "web", `w\ud800b`, 1), 400, "not one JSON value"},
		"a list":                {http.MethodPost, provider.Path, "[" + valid + "]", 400, "no ProviderRequest"},
		"depth":                 {http.MethodPost, provider.Path, strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000), 400, "no"},
		"S3 body over":          {http.MethodPost, provider.Path, valid + strings.Repeat(" ", 1<<20), 413, "more than 1048576 bytes"},
		"S4 65 keys":            {http.MethodPost, provider.Path, requestOf(manyKeys(65)...), 413, "65 keys, at most 64"},
	} {
		t.Run(name, func(t *testing.T) {
			status, r := post(t, p, tt.method, tt.path, tt.body)
			if status != tt.status || !strings.Contains(r.Response.SystemError, tt.says) || len(r.Response.Items) > 0 {
				t.Errorf("got %d with %d items: %s", status, len(r.Response.Items), r.Response.SystemError)
			}
		})
	}
	twin := ask(t, p, key(`{}`, good))
	if diff := cmp.Diff(map[string]string{key(`{}`, good): "ok"}, twin.verdicts()); diff != "" || twin.Response.SystemError != "" {
		t.Errorf("the valid twin: %s%s", diff, twin.Response.SystemError)
	}
}

func manyKeys(n int) (keys []string) {
	for i := range n {
		keys = append(keys, key(`{}`, fmt.Sprintf(`"oci://reg.example.com/charts/web:1.2.%d"`, i)))
	}
	return keys
}

// S4: 64 keys are answered, no keys are answered with nothing, and (S5) what is
// in the body twice is answered once.
func TestS4KeysAreAnsweredEachOnce(t *testing.T) {
	t.Parallel()
	f := newFake()
	p := newProvider(f, basis())
	if r := ask(t, p); len(r.Response.Items) != 0 || r.Response.SystemError != "" {
		t.Errorf("no keys: %+v", r)
	}
	if r := ask(t, p, manyKeys(64)...); len(r.verdicts()) != 64 || r.Response.SystemError != "" {
		t.Errorf("64 keys: %d items, %s", len(r.verdicts()), r.Response.SystemError)
	}
	f.calls.Store(0)
	twice := key(`{"code":"no_signature"}`, good)
	if diff := cmp.Diff(map[string]string{twice: "no_signature"}, ask(t, p, twice, twice).verdicts()); diff != "" || f.calls.Load() != 1 {
		t.Errorf("one key twice: %d checks, %s", f.calls.Load(), diff)
	}
}

// A key that cannot be asked is a rejected item, and touches no other.
func TestKeysThatAskNothing(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ key, code, says string }{
		"not JSON":              {"web-1.2.3.tgz", "invalid_reference", "not JSON"},
		"empty":                 {"", "invalid_reference", "not JSON"},
		"null":                  {"null", "invalid_reference", "no object"},
		"a string":              {`"fake.check"`, "invalid_reference", "no object"},
		"a list":                {`["fake.check"]`, "invalid_reference", "no object"},
		"member twice":          {`{"ref":"a","check":"fake.check","opts":{},"ref":"b"}`, "invalid_reference", "twice"},
		"member twice below":    {key(`{"code":"ok","code":"ok"}`, good), "invalid_reference", "twice"},
		"trailing":              {key(`{}`, good) + "{}", "invalid_reference", "not JSON"},
		"unknown check":         {strings.Replace(key(`{}`, good), "fake", "fkae", 1), "invalid_options", `no check "fkae.check"; known are fake.check`},
		"check missing":         {`{"opts":{},"ref":` + good + `}`, "invalid_options", "names no check"},
		"check is a number":     {`{"check":1,"opts":{},"ref":` + good + `}`, "invalid_options", "names no check"},
		"unknown member":        {`{"check":"fake.check","opts":{},"ref":` + good + `,"trust":{}}`, "invalid_options", `unknown member "trust"`},
		"unknown option":        {key(`{"coed":"ok"}`, good), "invalid_options", "coed"},
		"options are a list":    {key(`[]`, good), "invalid_options", "list"},
		"options are null":      {key(`null`, good), "invalid_options", "null"},
		"reference is missing":  {`{"check":"fake.check","opts":{}}`, "invalid_reference", "null"},
		"reference is a list":   {key(`{}`, `[]`), "invalid_reference", "list"},
		"reference is null":     {key(`{}`, `null`), "invalid_reference", "null"},
		"unknown scheme":        {key(`{}`, `"ftp://x/y"`), "invalid_reference", "scheme"},
		"S4 8 KiB and one byte": {key(`{}`, `"`+strings.Repeat("a", 8<<10+1-len(key(`{}`, `""`)))+`"`), "too_large", "8193 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			p := newProvider(newFake(), basis())
			r := ask(t, p, tt.key, key(`{}`, good))
			if diff := cmp.Diff(map[string]string{tt.key: tt.code, key(`{}`, good): "ok"}, r.verdicts()); diff != "" {
				t.Errorf("%s; %s", diff, r.Response.SystemError)
			}
			for _, i := range r.Response.Items {
				if i.Key == tt.key && (!strings.Contains(i.Value.Reason, tt.says) || i.Value.Verified == nil || *i.Value.Verified || i.Value.Outcome != "rejected" || i.Error != "") {
					t.Errorf("got %+v", i)
				}
			}
		})
	}
}

// S8: verified, rejected, undecided and malformed keys stand together: three are
// items, the undecided one is named in systemError, and is asked again.
func TestS8UndecidedIsNoItem(t *testing.T) {
	t.Parallel()
	f := newFake()
	p := newProvider(f, basis())
	keys := []string{key(`{}`, good), key(`{"code":"no_signature"}`, good), key(`{"code":"unavailable"}`, noVerd), "no JSON"}
	for round := int64(1); round <= 2; round++ {
		r := ask(t, p, keys...)
		want := map[string]string{keys[0]: "ok", keys[1]: "no_signature", keys[3]: "invalid_reference"}
		if diff := cmp.Diff(want, r.verdicts()); diff != "" {
			t.Error(diff)
		}
		if says := "1 of 4 keys have no verdict: fake.check oci://reg.example.com/charts/web:1.2.4: unavailable"; r.Response.SystemError != says {
			t.Errorf("systemError is %q", r.Response.SystemError)
		}
		if n := f.calls.Load(); n != 2+round {
			t.Errorf("%d checks after %d requests, want verdicts remembered and outages asked again", n, round)
		}
	}
}

// However long references are, systemError is short, and names the first of them.
func TestSystemErrorIsShort(t *testing.T) {
	t.Parallel()
	var keys []string
	for i := range 64 {
		keys = append(keys, key(`{"code":"unavailable"}`, fmt.Sprintf(`"https://reg%02d.example.com/%s/web-1.2.3.tgz"`, i, strings.Repeat("x", 4000))))
	}
	says := ask(t, newProvider(newFake(), basis()), keys...).Response.SystemError
	if len(says) > 4<<10 || !strings.Contains(says, "https://reg00.example.com/x") || !strings.HasSuffix(says, "and 56 more") {
		t.Errorf("%d bytes: %.300s", len(says), says)
	}
}

// A check that panics is undecided, and the others are answered.
func TestPanicIsUndecided(t *testing.T) {
	t.Parallel()
	p := newProvider(newFake(), basis())
	r := ask(t, p, key(`{"panic":true}`, good), key(`{}`, good))
	if diff := cmp.Diff(map[string]string{key(`{}`, good): "ok"}, r.verdicts()); diff != "" || !strings.Contains(r.Response.SystemError, "internal") {
		t.Errorf("%s%s", diff, r.Response.SystemError)
	}
}
