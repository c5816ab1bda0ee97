// SPDX-License-Identifier: Apache-2.0

package provider_test

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/chartseal/chartseal/provider"
)

// keys draws what Gatekeeper may send: keys of every outcome, some that ask
// nothing, and any text.
func keys() *rapid.Generator[string] {
	outcomes := rapid.SampledFrom([]string{`{}`, `{"code":"no_signature"}`, `{"code":"unavailable"}`, `{"panic":true}`, `{"coed":1}`, `[]`})
	return rapid.OneOf(
		rapid.Custom(func(t *rapid.T) string { return key(outcomes.Draw(t, "opts"), quoted(texts().Draw(t, "ref"))) }),
		rapid.Custom(func(t *rapid.T) string { return key(outcomes.Draw(t, "opts"), good) }),
		texts(),
	)
}

// texts are valid UTF-8, with what JSON escapes and what imitates a key.
func texts() *rapid.Generator[string] {
	return rapid.OneOf(rapid.String(), rapid.StringOf(rapid.RuneFrom([]rune("\"\\{}[]:,<>&\u2028\u2029\ufffd\x00\n é𝄞"))),
		rapid.SampledFrom([]string{`","opts":{`, `x","opts":{"code":"ok"},"ref":"oci://reg.example.com/a:1`, `\","check":"`, `\u0022`, `"}`}))
}

func quoted(s string) string {
	raw, err := json.Marshal(s)
	if err != nil {
		panic(err)
	}
	return string(raw)
}

// S5 and S6: the keys that are answered and those that are undecided are the
// keys that were asked, byte for byte, each once, however often they stand in
// the request.
func TestKeysComeBack(t *testing.T) {
	t.Parallel()
	t.Run("S6 any keys", func(t *testing.T) {
		rapid.Check(t, func(drawn *rapid.T) {
			asked := rapid.SliceOfN(keys(), 0, 64).Draw(drawn, "keys")
			comeBack(drawn, asked, ask(t, newProvider(newFake(), basis()), asked...))
		})
	})
	t.Run("S5 one key twice", func(t *testing.T) {
		rapid.Check(t, func(drawn *rapid.T) {
			some := rapid.SliceOfN(keys(), 1, 20).Draw(drawn, "keys")
			asked := rapid.Permutation(slices.Concat(some, some, some[:1])).Draw(drawn, "request")
			comeBack(drawn, asked, ask(t, newProvider(newFake(), basis()), asked...))
		})
	})
}

func comeBack(t *rapid.T, asked []string, r wireResponse) {
	distinct := map[string]bool{}
	for _, k := range asked {
		distinct[k] = true
	}
	for k, code := range r.verdicts() {
		if !distinct[k] || code == "twice" || code == "unavailable" || code == "internal" {
			t.Errorf("%q is answered %s", k, code)
		}
		delete(distinct, k)
	}
	if (r.Response.SystemError == "") != (len(distinct) == 0) {
		t.Errorf("%d keys are left out, systemError is %q", len(distinct), r.Response.SystemError)
	}
	for _, k := range slices.Sorted(maps.Keys(distinct)) {
		if !strings.Contains(k, `"unavailable"`) && !strings.Contains(k, `"panic"`) {
			t.Errorf("%q is left out: %s", k, r.Response.SystemError)
		}
	}
}

// S25: a reference stays inside its string, whatever it imitates, and the key
// comes back as it was sent.
func FuzzKeys(f *testing.F) {
	for _, seed := range []string{
		`","opts":{`, `x","opts":{"code":"no_signature"},"ref":"oci://reg.example.com/a:1`, `\","check":"fake.chek`, `\u0022,\u0022opts`,
		"<>&\u2028\u2029", "\x00", "\ufffd", `{"repository":"https://x"}`, strings.Repeat(`"`, 5000), "oci://reg.example.com/charts/web:1.2.3",
	} {
		f.Add(seed)
	}
	p := newProvider(newFake(), basis())
	f.Fuzz(func(t *testing.T, ref string) {
		ref = strings.ToValidUTF8(ref, "?")
		if len(ref) > 64<<10 {
			return
		}
		k := key(`{"code":"no_provenance"}`, quoted(ref))
		r := ask(t, p, k)
		if len(r.Response.Items) != 1 || r.Response.Items[0].Key != k {
			t.Fatalf("%q is answered with %+v", k, r.Response)
		}
		switch code := r.Response.Items[0].Value.Code; {
		case len(k) > 8<<10 && code == "too_large", len(k) <= 8<<10 && (code == "no_provenance" || code == "invalid_reference"):
		default:
			t.Errorf("%q is %s, so it was not the options that were given", ref, code)
		}
	})
}

// Any body is answered with a ProviderResponse, and the same twice.
func FuzzBody(f *testing.F) {
	for _, seed := range []string{"", "{}", "null", requestOf(), requestOf(key(`{}`, good)), requestOf("\u2028", "a", "a"), `{"request":{"keys":["\ud800"]}}`} {
		f.Add([]byte(seed))
	}
	p := newProvider(newFake(), basis())
	f.Fuzz(func(t *testing.T, body []byte) {
		status, r := post(t, p, "POST", provider.Path, string(bytes.Clone(body)))
		if (status == 200) != (r.Response.SystemError == "" || len(r.Response.Items) > 0 || strings.Contains(r.Response.SystemError, "no verdict")) {
			t.Errorf("%d: %+v", status, r.Response)
		}
	})
}
