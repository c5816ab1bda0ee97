// SPDX-License-Identifier: Apache-2.0

package archive_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"helm.sh/helm/v3/pkg/chart"
	"sigs.k8s.io/yaml"

	"github.com/chartseal/chartseal/builtins"
	"github.com/chartseal/chartseal/builtins/archive"
	"github.com/chartseal/chartseal/builtins/builtintest"
)

const plain = "apiVersion: v2\nname: web\nversion: 1.2.3\n"

var goodMetadata = map[string]string{
	"plain":                                    plain,
	"A16 a field unknown to Helm":              plain + "future: {feature: [1, 2]}\n",
	"appVersion is a number":                   plain + "appVersion: 1.16\n",
	"byte order mark":                          "\uFEFF" + plain,
	"document markers":                         "---\n" + plain + "...\n",
	"no apiVersion":                            "name: web\nversion: 1.2.3\n",
	"v before the version":                     "apiVersion: v2\nname: web\nversion: v1.2.3\n",
	"quoted two-part version":                  "apiVersion: v2\nname: web\nversion: \"1.10\"\n",
	"build metadata":                           "apiVersion: v2\nname: web\nversion: 1.2.3+b.1\n",
	"anchor and alias":                         plain + "description: &d words\nannotations: {a: *d, b: *d}\n",
	"white space and control in a description": plain + "description: \"a\\tb\\u200bc\"\n",
	"empty lists":                              plain + "dependencies:\nmaintainers: []\n",
	"dependency with a number for a range":     plain + "dependencies: [{name: db, version: 7, repository: \"\"}]\n",
	"annotations are not all strings":          plain + "annotations: {a: true, b: 1}\n",
	"import-values":                            plain + "dependencies: [{name: db, version: 7.x, import-values: [data, {child: a, parent: b}]}]\n",
}

func TestParseMetadata(t *testing.T) {
	for name, text := range goodMetadata {
		t.Run(name, func(t *testing.T) {
			got, err := archive.ParseMetadata([]byte(text))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(loadAsHelm(t, text), got); diff != "" {
				t.Errorf("not what Helm reads (-helm +ours):\n%s", diff)
			}
		})
	}
}

func loadAsHelm(t *testing.T, text string) *chart.Metadata {
	t.Helper()
	want := new(chart.Metadata)
	if err := yaml.Unmarshal([]byte(strings.TrimPrefix(text, "\uFEFF")), want); err != nil {
		t.Fatal(err)
	}
	if want.APIVersion == "" {
		want.APIVersion = chart.APIVersionV1
	}
	if err := want.Validate(); err != nil {
		t.Fatal(err)
	}
	return want
}

// Every text is refused for the fault that reason names, not for another one.
var badMetadata = map[string]struct{ text, reason string }{
	"A16 key twice":                      {plain + "name: db\n", `line 4: key \"name\" already set`},
	"A16 key twice, deep down":           {plain + "annotations:\n  a: x\n  a: y\n", `line 6: key \"a\" already set`},
	"A16 Dependencies":                   {plain + "Dependencies: []\n", `"Dependencies" differs from "dependencies" in case only`},
	"A16 Name in a dependency":           {plain + "dependencies: [{name: a, Name: b}]\n", `"dependencies": key "Name" differs`},
	"A16 letters that fold":              {plain + "\u212aeywords: []\n", "in case only"},
	"A16 two documents":                  {plain + "---\n" + plain, "after the first YAML document"},
	"A16 a null document follows":        {plain + "---\n", "after the first YAML document"},
	"A16 version is a number":            {"apiVersion: v2\nname: web\nversion: 1.10\n", "version is written as float64"},
	"A16 name is a boolean":              {"apiVersion: v2\nname: y\nversion: 1.2.3\n", "name is written as bool"},
	"A16 name of a dependency":           {plain + "dependencies: [{name: on, version: 1.x}]\n", "name of dependency 1 is written as bool"},
	"A16 key is a number":                {plain + "annotations: {1: a, \"1\": b}\n", `"annotations": a key is not a string`},
	"A17 name is a dot":                  {"apiVersion: v2\nname: .\nversion: 1.2.3\n", "is not allowed"},
	"A17 name is two dots":               {"apiVersion: v2\nname: ..\nversion: 1.2.3\n", "is not allowed"},
	"A17 name is a path":                 {"apiVersion: v2\nname: a/b\nversion: 1.2.3\n", "is invalid"},
	"A17 name has a backslash":           {"apiVersion: v2\nname: 'a\\b'\nversion: 1.2.3\n", "backslash"},
	"A17 name is empty":                  {"apiVersion: v2\nname: ''\nversion: 1.2.3\n", "name is required"},
	"A17 name is absent":                 {"apiVersion: v2\nversion: 1.2.3\n", "name is required"},
	"A17 name with an invisible letter":  {"apiVersion: v2\nname: \"w\\u200beb\"\nversion: 1.2.3\n", "Helm drops"},
	"version is absent":                  {"apiVersion: v2\nname: web\n", "version is required"},
	"version is a word":                  {"apiVersion: v2\nname: web\nversion: latest\n", "is invalid"},
	"A19 null maintainer":                {plain + "maintainers: [null]\n", `"maintainers": entry 1 is null`},
	"A19 null dependency":                {plain + "dependencies:\n- {name: a}\n-\n", `"dependencies": entry 2 is null`},
	"A19 null keyword":                   {plain + "keywords: [~]\n", `"keywords": entry 1 is null`},
	"A19 null source":                    {plain + "sources: [~]\n", `"sources": entry 1 is null`},
	"A19 null tag":                       {plain + "dependencies: [{name: a, tags: [~]}]\n", `"dependencies.tags": entry 1 is null`},
	"A19 null import-value":              {plain + "dependencies: [{name: a, import-values: [~]}]\n", `"dependencies.import-values": entry 1 is null`},
	"A19 null in a list of another kind": {plain + "future: [[~]]\n", `"future": entry 1 is null`},
	"A19 alias bomb":                     {plain + bombOfLists(), "alias"},
	"A19 alias bomb of one long word":    {plain + bombOfWords(), "aliases multiply"},
	"A19 nothing but commas":             {plain + "future: [" + strings.Repeat("a,", 60_000) + "]\n", "more than 50000 values"},
	"A19 nothing but more commas":        {plain + "future: [" + strings.Repeat("a,", 110_000) + "]\n", "more than 100000 commas"},
	"A19 alias to itself":                {plain + "future: &a [*a]\n", "contains itself"},
	"one dependency twice":               {plain + "dependencies: [{name: a}, {name: a}]\n", "more than one dependency"},
	"unknown apiVersion":                 {"apiVersion: v9\nname: web\nversion: 1.2.3\n", `apiVersion is "v9"`},
	"unknown type":                       {plain + "type: operator\n", "type must be"},
	"list where a string belongs":        {plain + "home: [a]\n", "Metadata.home"},
	"not a mapping":                      {"- a\n", "not a mapping"},
	"empty":                              {"", "empty document"},
	"a comment":                          {"# nothing\n", "empty document"},
	"not YAML":                           {"\x00", "control characters are not allowed"},
	"an HTML page":                       {"<html><body>not found</body></html>", "not a mapping"},
}

// bombOfLists is the billion laughs.
func bombOfLists() string {
	var b strings.Builder
	b.WriteString("future:\n- &xa [lol, lol, lol, lol, lol, lol, lol, lol, lol, lol]\n")
	for i := range 12 {
		prev, next := string(rune('a'+i)), string(rune('a'+i+1))
		b.WriteString("- &x" + next + " [" + strings.Repeat("*x"+prev+", ", 9) + "*x" + prev + "]\n")
	}
	return b.String()
}

// bombOfWords needs few nodes: 10,000 times 500 KiB.
func bombOfWords() string {
	return "future:\n- &x " + strings.Repeat("x", 500<<10) + "\n" + strings.Repeat("- *x\n", 10_000)
}

func TestParseMetadataRefuses(t *testing.T) {
	for name, test := range badMetadata {
		t.Run(name, func(t *testing.T) {
			start := time.Now()
			got, err := archive.ParseMetadata([]byte(test.text))
			if code := builtins.CodeOf(err); code != builtins.MalformedChart {
				t.Fatalf("metadata %+v, code %s, error %v", got, code, err)
			}
			if !strings.Contains(err.Error(), test.reason) {
				t.Errorf("reason is %q, want one with %q", err, test.reason)
			}
			// The promise is 100 ms; a race detector and a busy machine cost more.
			if took := time.Since(start); took > time.Second {
				t.Errorf("took %v", took)
			}
			t.Log(time.Since(start), err)
		})
	}
}

func TestDiffMetadata(t *testing.T) {
	parse := func(text string) *chart.Metadata {
		m, err := archive.ParseMetadata([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	tests := map[string]struct{ a, b, field, inA, inB string }{
		"P8 order and comments": {plain + "appVersion: \"1.16\"\n", "# hello\nversion: 1.2.3\nappVersion: 1.16\nname: web\napiVersion: v2\n", "", "", ""},
		"nil and empty":         {plain, plain + "keywords: []\ndependencies: []\nannotations: {}\n", "", "", ""},
		"version":               {plain, strings.Replace(plain, "1.2.3", "1.2.4", 1), "version", `"1.2.3"`, `"1.2.4"`},
		"P8 dependencies":       {plain, plain + "dependencies: [{name: db, version: 1.x, repository: ''}]\n", "dependencies", "", `[{"name":"db","version":"1.x","repository":""}]`},
		"order of a list":       {plain + "keywords: [a, b]\n", plain + "keywords: [b, a]\n", "keywords", `["a","b"]`, `["b","a"]`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			field, inA, inB := archive.DiffMetadata(parse(test.a), parse(test.b))
			if field != test.field || inA != test.inA || inB != test.inB {
				t.Errorf("differs in %q: %s and %s", field, inA, inB)
			}
		})
	}
}

func FuzzMetadata(f *testing.F) {
	for _, text := range goodMetadata {
		f.Add([]byte(text))
	}
	for _, test := range badMetadata {
		if len(test.text) < 64<<10 {
			f.Add([]byte(test.text))
		}
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		var m *chart.Metadata
		var err error
		builtintest.Bounded(t, func() { m, err = archive.ParseMetadata(raw) })
		if err != nil {
			if code := builtins.CodeOf(err); code != builtins.MalformedChart {
				t.Fatalf("code %s: %v", code, err)
			}
			return
		}
		if diff := cmp.Diff(loadAsHelm(t, string(raw)), m); diff != "" {
			t.Errorf("not what Helm reads (-helm +ours):\n%s", diff)
		}
		again, err := yaml.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		back, err := archive.ParseMetadata(again)
		if err != nil {
			t.Fatalf("what Helm would write is refused: %v\n%s", err, again)
		}
		if field, a, b := archive.DiffMetadata(m, back); field != "" {
			t.Errorf("%s changes from %s to %s when written and read", field, a, b)
		}
	})
}
