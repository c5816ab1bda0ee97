// SPDX-License-Identifier: Apache-2.0

// Package parity holds what is said twice, in Go and in Rego, or for two
// engines, against itself.
package parity

import (
	"encoding/base64"
	"encoding/json"
	"io/fs"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/open-policy-agent/opa/v1/rego"
	"pgregory.net/rapid"

	"github.com/chartseal/chartseal/builtins/chartref"
	library "github.com/chartseal/chartseal/rego"
)

// A reading is what both grammars say of one reference.
type reading struct {
	OK      bool   `json:"ok"`
	Ref     string `json:"ref"`
	Kind    string `json:"kind"`
	Scheme  string `json:"scheme"`
	Host    string `json:"host"`
	Tag     string `json:"tag"`
	Digest  string `json:"digest"`
	Name    string `json:"name"`
	Version string `json:"version"`
	Reason  string `json:"reason"`
}

var kinds = map[chartref.Kind]string{
	chartref.Invalid: "invalid", chartref.OCI: "oci", chartref.URL: "url", chartref.Path: "path", chartref.Inline: "inline", chartref.Repository: "repository",
}

// inGo leaves the reason out: the two say it in words of their own.
func inGo(v any) reading {
	ref := chartref.FromValue(v)
	name, version := ref.Expected()
	return reading{
		OK: ref.Err() == nil, Ref: ref.String(), Kind: kinds[ref.Kind],
		Scheme: ref.Scheme, Host: ref.Host, Tag: ref.Tag, Digest: ref.Digest, Name: name, Version: version,
	}
}

// A grammar is lib.refs, ready to be asked.
type grammar struct{ query rego.PreparedEvalQuery }

func newGrammar(t testing.TB) grammar {
	t.Helper()
	text, err := fs.ReadFile(library.FS, "lib/refs/refs.rego")
	if err != nil {
		t.Fatal(err)
	}
	query, err := rego.New(rego.Query("out := [data.lib.refs.parse(ref) | some ref in input]"), rego.Module("refs.rego", string(text)), rego.StrictBuiltinErrors(true)).PrepareForEval(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return grammar{query}
}

// reads gives one reading for each value: lib.refs never errs, and is never undefined.
func (g grammar) reads(t testing.TB, values []any) []reading {
	t.Helper()
	rs, err := g.query.Eval(t.Context(), rego.EvalInput(values))
	if err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(rs[0].Bindings["out"])
	if err != nil {
		t.Fatal(err)
	}
	var readings []reading
	if err := json.Unmarshal(raw, &readings); err != nil {
		t.Fatal(err)
	}
	if len(readings) != len(values) {
		t.Fatalf("%d of %d references were read", len(readings), len(values))
	}
	return readings
}

type fataler interface{ Fatalf(string, ...any) }

// alike wants the same answers, and a reason exactly where one is due. Of what
// is no reference, and long, the two show the beginning by bytes and by letters.
func alike(t fataler, v any, got reading) {
	want := inGo(v)
	if (got.Reason == "") != got.OK {
		t.Fatalf("%q: ok is %t beside the reason %q", v, got.OK, got.Reason)
	}
	got.Reason = ""
	if !want.OK && len(want.Ref) > 250 {
		got.Ref, want.Ref = "", ""
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("%q: chartref and lib.refs differ (-chartref +lib.refs):\n%s", v, diff)
	}
}

// TestRefsOfChartref feeds lib.refs all that chartref's own tests have.
func TestRefsOfChartref(t *testing.T) {
	raw, err := os.ReadFile("../../builtins/chartref/testdata/references.json")
	if err != nil {
		t.Fatal(err)
	}
	var values []any
	if err := json.Unmarshal(raw, &values); err != nil {
		t.Fatal(err)
	}
	for i, got := range newGrammar(t).reads(t, values) {
		t.Run("", func(t *testing.T) { alike(t, values[i], got) })
	}
}

// The places where one grammar could end a little earlier than the other.
func TestRefsAtTheirLimits(t *testing.T) {
	label, at := strings.Repeat("a", 63), func(n int) string { return strings.Repeat("a", n) }
	values := []any{
		"https://" + label + ".example/x", "https://" + label + "a.example/x",
		"https://" + strings.Repeat(label+".", 3) + at(61) + "/x", "https://" + strings.Repeat(label+".", 3) + at(62) + "/x",
		"https://h.example/" + at(4096-18), "https://h.example/" + at(4097-18), at(4096), at(4097), strings.Repeat("ä", 2048), strings.Repeat("ä", 2048) + "a",
		"file:///" + at(4096-8), "file:///" + at(4097-8),
		"oci://h.example/" + at(245) + ":1", "oci://h.example/" + at(246) + ":1", "oci://h.example:443/" + at(245) + ":1",
		"oci://h.example/web:" + at(128), "oci://h.example/web:" + at(129), "oci://h.example/web:1.2.3+" + at(122), "oci://h.example/web:1.2.3+" + at(123),
		object("https://h.example", at(250), "1.2.3"), object("https://h.example", at(251), "1.2.3"),
		object("https://h.example", "web", "1.2.3-"+at(250)), object("https://h.example", "web", "1.2.3-"+at(251)),
		object("oci://h.example", "web", "1.2.3-"+at(122)), object("oci://h.example", "web", "1.2.3-"+at(123)),
		object("oci://h.example", at(245), "1.2.3"), object("oci://h.example", at(246), "1.2.3"),
		object("oci://h.example/"+at(241), "web", "1.2.3"), object("oci://h.example/"+at(242), "web", "1.2.3"),
		object("https://h.example/"+at(4096-18), "web", "1.2.3"), object("https://h.example/"+at(4097-18), "web", "1.2.3"),
		object("oci://h.example/%61", "web", "1.2.3"), object("https://h.example/%61", "web", "1.2.3"),
		map[string]any{"archive": base64.StdEncoding.EncodeToString([]byte{0xff, 0xfe, 0})},
		map[string]any{at(300): 1}, map[string]any{"a": 1, "b": 1, "c": 1, "d": 1, "e": 1, "f": 1, "g": 1, "h": 1, "i": 1},
	}
	for i, got := range newGrammar(t).reads(t, values) {
		t.Run("", func(t *testing.T) { alike(t, values[i], got) })
	}
}

func object(repository, name, version string) map[string]any {
	return map[string]any{"repository": repository, "name": name, "version": version}
}

// Addresses are the part that Rego takes from elsewhere.
func TestRefsWithAddresses(t *testing.T) {
	g := newGrammar(t)
	group := rapid.StringMatching(`[0-9a-fA-F]{0,5}`)
	byte4 := rapid.StringMatching(`(0|[1-9][0-9]{0,2}|[0-9]{1,4})(\.(0|[1-9][0-9]{0,2}|[0-9]{1,4})){2,4}`)
	six := rapid.Custom(func(t *rapid.T) string {
		text := strings.Join(rapid.SliceOfN(group, 1, 9).Draw(t, "groups"), ":")
		return rapid.SampledFrom([]string{"", "::", "::ffff:", "1:2:3:4:5:6:", "::ffff:0:"}).Draw(t, "before") + text
	})
	mapped := rapid.Custom(func(t *rapid.T) string {
		return rapid.SampledFrom([]string{"::", "::ffff:", "1:2:3:4:5:6:", "1::"}).Draw(t, "before") + byte4.Draw(t, "bytes")
	})
	bracketed := rapid.Map(rapid.OneOf(six, mapped), func(s string) string { return "[" + s + "]" })
	rapid.Check(t, func(r *rapid.T) {
		values := []any{}
		for _, host := range rapid.SliceOfN(rapid.OneOf(bracketed, byte4), 50, 50).Draw(r, "hosts") {
			values = append(values, "https://"+host+"/x", "oci://"+host+":443/x:1")
		}
		for i, got := range g.reads(t, values) {
			alike(r, values[i], got)
		}
	})
}

func TestRefsOfAnyKind(t *testing.T) {
	g := newGrammar(t)
	rapid.Check(t, func(r *rapid.T) {
		values := rapid.SliceOfN(anyRef(), 60, 60).Draw(r, "refs")
		for i, got := range g.reads(t, values) {
			alike(r, values[i], got)
		}
	})
}

func anyRef() *rapid.Generator[any] {
	member := rapid.OneOf(rapid.Map(anyText(), func(s string) any { return s }), rapid.SampledFrom([]any{nil, 1, true, []any{}, map[string]any{}, "1.2.3", "web", "v1.2.3-rc.1+b"}))
	return rapid.OneOf(
		rapid.Map(anyText(), func(s string) any { return s }),
		rapid.Custom(func(t *rapid.T) any {
			v := object(anyText().Draw(t, "repository"), part("web", `[a-zA-Z0-9._/@-]{0,4}`).Draw(t, "name"), version().Draw(t, "version"))
			if rapid.IntRange(0, 9).Draw(t, "other") == 0 {
				v[rapid.SampledFrom([]string{"repository", "name", "version", "archive", "more"}).Draw(t, "member")] = member.Draw(t, "value")
			}
			return v
		}),
		rapid.Map(rapid.OneOf(rapid.StringMatching(`[A-Za-z0-9+/=\n_-]{0,9}`), rapid.Map(rapid.SliceOf(rapid.Byte()), base64.StdEncoding.EncodeToString)), func(s string) any {
			return map[string]any{"archive": s}
		}),
		member,
	)
}

func part(usual, other string) *rapid.Generator[string] {
	return rapid.OneOf(rapid.Just(usual), rapid.StringMatching(other))
}

func version() *rapid.Generator[string] {
	return rapid.OneOf(rapid.Just("1.2.3"), rapid.StringMatching(`v?[0-9]{1,2}(\.[0-9]{1,2}){1,3}(-[0-9a-zA-Z.-]{0,5})?(\+[0-9a-zA-Z.-]{0,4})?`))
}

// anyText is mostly nearly a reference.
func anyText() *rapid.Generator[string] {
	scheme := rapid.SampledFrom([]string{"oci://", "https://", "HTTP://", "Oci://", "file://", "file:///", "", "./", "../", "/", "oci:/", "https:", "ftp://", "oc\u0130://", "http\u017f://", "x@y://", "inline:"})
	host := rapid.OneOf(
		rapid.Just("h.example"),
		rapid.StringMatching(`([a-zA-Z0-9_-]{1,5}\.){0,3}[a-zA-Z]{1,3}(:[0-9]{0,6})?`),
		rapid.StringMatching(`[a-zA-Z0-9._\[\]:@%-]{0,9}(:443|:80)?`),
		rapid.StringMatching(`(u:p@)?[a-z]{1,2}\.(0x[0-9a-f]{0,2}|[0-9]{1,3}|\x{212a}|\x{0130}|ä)`),
	)
	path := rapid.OneOf(
		rapid.Just("/charts/web"),
		rapid.StringMatching(`(/[a-z0-9]{1,4}([._-]{1,2}[a-z0-9]{1,3})?){0,3}`),
		rapid.StringMatching(`(/[a-zA-Z0-9@%+~._!$&'()*,;=:\\ -]{0,5}){0,3}/?`),
		rapid.StringMatching(`(/(\.\.|\.|a|)){0,5}/?`),
		rapid.StringMatching(`/(%[0-9a-fA-F]{2}|%(c3|C2|e2|E0|ed|f0|F4)%[89abAB][0-9a-f]|%e2%82%ac|%ef%bf%bd|%f0%9f%98%80|%zz|a){0,3}`),
	)
	tail := rapid.OneOf(
		rapid.SampledFrom([]string{"", "", ":1.2.3", ":v1.2.3+b", ":1_2", ":", "@", "?", "?a=b", "?a=b@c", "#x", "?ä", "@" + digest, ":1@" + digest, "@" + digest + "0", ":1@" + digest[:70], "@" + digest + "@" + digest, "\n", "\u202e", "\u00a0", "x\x00"}),
		rapid.Map(version(), func(s string) string { return ":" + s }),
		rapid.StringMatching(`:[a-zA-Z0-9._+-]{0,5}`),
	)
	return rapid.OneOf(rapid.String(), rapid.Custom(func(t *rapid.T) string {
		return scheme.Draw(t, "scheme") + host.Draw(t, "host") + path.Draw(t, "path") + tail.Draw(t, "tail")
	}))
}

const digest = "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
