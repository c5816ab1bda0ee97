// SPDX-License-Identifier: Apache-2.0

package review_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	kubeyaml "k8s.io/apimachinery/pkg/util/yaml"

	"github.com/chartseal/chartseal/cmd/chartseal/review"
)

func TestDocuments(t *testing.T) {
	for _, c := range []struct{ name, file, text, want string }{
		{"one", "a.yaml", "kind: A", `[{"kind":"A"}]`},
		{"several", "a.yaml", "kind: A\n---\nkind: B\n...\n---\nkind: C\n", `[{"kind":"A"},{"kind":"B"},{"kind":"C"}]`},
		{"empty ones between", "a.yaml", "---\n# nothing\n---\nkind: A\n---\nnull\n---\n", `[{"kind":"A"}]`},
		{"nothing", "a.yaml", "", `null`},
		{"lines that end as on Windows", "a.yaml", "kind: A\r\n---\r\nkind: B\r\n", `[{"kind":"A"},{"kind":"B"}]`},
		{"comments behind the marker", "a.yaml", "--- # first\nkind: A\n---\t# second\nkind: B\n---", `[{"kind":"A"},{"kind":"B"}]`},
		{"dashes in a text", "a.yaml", "kind: A\nkey: |\n  -----BEGIN CERTIFICATE-----\n", `[{"key":"-----BEGIN CERTIFICATE-----\n","kind":"A"}]`},
		{"content behind the marker", "a.yaml", "kind: A\n--- {kind: B}\n", `[{"kind":"A"},{"kind":"B"}]`},
		{"booleans as Kubernetes reads them", "a.yaml", "insecure: yes\nplain: \"yes\"\noff: true", `[{"false":true,"insecure":true,"plain":"yes"}]`},
		{"numbers", "a.yaml", "a: 1.10\nb: 010\nc: 1_000", `[{"a":1.1,"b":8,"c":1000}]`},
		{"merged", "a.yaml", "base: &b {x: 1}\nmade: {<<: *b, z: 2}", `[{"base":{"x":1},"made":{"x":1,"z":2}}]`},
		{"merged and overridden", "a.yaml", "base: &b {x: 1, w: 1}\nmade: {<<: *b, x: 2}", `[{"base":{"w":1,"x":1},"made":{"w":1,"x":2}}]`},
		{"a date", "a.yaml", "version: 2026-01-02", `[{"version":"2026-01-02"}]`},
		{"list", "a.yaml", "kind: List\nitems:\n- kind: A\n- kind: BList\n  items: [{kind: B}]\n- kind: C", `[{"kind":"A"},{"kind":"B"},{"kind":"C"}]`},
		{"empty list", "a.yaml", "kind: List\nitems: []", `null`},
		{"list of one kind", "a.yaml", "apiVersion: v1\nkind: AList\nitems: [{x: 1}, {kind: B}]", `[{"apiVersion":"v1","kind":"A","x":1},{"kind":"B"}]`},
		{"items of what is no list", "a.yaml", "kind: A\nitems: [{kind: B}]", `[{"items":[{"kind":"B"}],"kind":"A"},{"kind":"B"}]`},
		{"items that are none", "a.yaml", "kind: A\nitems: [1, {kind: B}]\n---\nitems: [{kind: B}]\n---\nkind: AList\nitems: null\n---\nkind: AList\nitems: {a: 1}", `[{"items":[1,{"kind":"B"}],"kind":"A"},{"items":[{"kind":"B"}]},{"items":null,"kind":"AList"},{"items":{"a":1},"kind":"AList"}]`},
		{"JSON", "a.json", "{\"kind\": \"A\"}\n{\"kind\": \"B\"}", `[{"kind":"A"},{"kind":"B"}]`},
		{"JSON's numbers", "a.json", `{"n": 12345678901234567890}`, `[{"n":12345678901234567890}]`},
		{"JSON as YAML", "a.yaml", `{"kind": "A"}`, `[{"kind":"A"}]`},
		{"JSON's list", "a.json", `{"kind": "List", "items": [{"kind": "A"}]}`, `[{"kind":"A"}]`},
	} {
		t.Run(c.name, func(t *testing.T) {
			documents, err := review.Documents(c.file, []byte(c.text))
			if err != nil {
				t.Fatal(err)
			}
			var objects []map[string]any
			for _, d := range documents {
				objects = append(objects, d.Object)
			}
			got, err := json.Marshal(objects)
			if err != nil {
				t.Fatal(err)
			}
			if string(got) != c.want {
				t.Errorf("documents are %s, want %s", got, c.want)
			}
		})
	}
}

// What two readers could read differently is refused, wherever it stands.
func TestDocumentsThatAreRefused(t *testing.T) {
	for _, c := range []struct{ name, file, text, want string }{
		{"key twice", "a.yaml", "kind: A\nkind: B", "already set"},
		{"key twice in the second", "a.yaml", "kind: A\n---\nspec: {a: 1, a: 2}", "already set"},
		{"key twice as text and number", "a.yaml", "1: a\n\"1\": b", "there twice"},
		{"key overridden by what is merged", "a.yaml", "base: &b {x: 1}\nmade: {x: 2, <<: *b}", "already set"},
		{"key twice beside what is merged", "a.yaml", "base: &b {x: 1}\nmade: {<<: *b, x: 2, x: 3}", "already set"},
		{"merged twice", "a.yaml", "base: &b {x: 1}\nother: &c {x: 2}\nmade: {<<: *b, <<: *c}", "already set"},
		{"key twice in two words", "a.yaml", "base: &b {x: 1}\nmade: {<<: *b, x: 2}\nyes: 1\non: 2", "already set"},
		{"key twice in JSON", "a.json", `{"kind": "A", "kind": "B"}`, "kind"},
		{"key twice in the second of JSON", "a.json", `{"kind": "A"}{"spec": {"a": 1, "a": 2}}`, "a"},
		{"second that does not decode", "a.yaml", "kind: A\n---\nkind: [", "yaml"},
		{"template", "a.yaml", "kind: A\n{{ if .Values.x }}\nx: y\n{{ end }}", "yaml"},
		{"half of JSON", "a.json", `{"kind": "A"} {"kind": `, "unexpected EOF"},
		{"text behind JSON", "a.json", `{"kind": "A"} x`, "invalid character"},
		{"list of objects", "a.yaml", "- kind: A", "document 1: it is a list, want an object"},
		{"text", "a.yaml", "kind: A\n---\nkind A", "document 2: it is text, want an object"},
		{"number", "a.json", "7", "a number"},
		{"item that is none", "a.yaml", "kind: List\nitems: [{kind: A}, B]", "items[1]: it is text"},
		{"item that is null", "a.yaml", "kind: List\nitems: [null]", "items[0] is null"},
		{"number that JSON lacks", "a.yaml", "a: .inf", "none of JSON's"},
		{"key that is a list", "a.yaml", "? [a]\n: b", "yaml"},
		{"not UTF-8", "a.yaml", "kind: \xff", "yaml"},
		{"documents of UTF-16", "a.yaml", "\xff\xfek\x00: \x00A\x00", "UTF-8"},
		{"marker for kubectl alone", "a.yaml", "kind: A\n---#: |\n  kind: B\n", "line 2 begins with ---"},
		{"marker with a space that is none of YAML's", "a.yaml", "{kind: A, a: \"\n---\u00a0\nkind: B\n---\u00a0\n# \"}", "line 2 begins with ---"},
		{"two documents of JSON as YAML", "a.yaml", "{\"kind\": \"A\"}\n{\"kind\": \"B\"}", "yaml"},
	} {
		t.Run(c.name, func(t *testing.T) {
			documents, err := review.Documents(c.file, []byte(c.text))
			if err == nil {
				t.Fatalf("documents are %v, want an error", documents)
			}
			if !strings.HasPrefix(err.Error(), c.file) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error is %q, want one of %s about %q", err, c.file, c.want)
			}
		})
	}
}

// Whatever is read here, kubectl reads as the same documents.
func TestDocumentsAsKubectlReadsThem(t *testing.T) {
	for _, text := range []string{
		"kind: A\n---\nkind: B\n", "---\nkind: A\n--- # b\nkind: B\n---", "{\"kind\": \"A\"}\n---\nkind: B", "\ufeffkind: A\n---\nkind: B",
		"kind: A\n---#: |\n  kind: B\n", "kind: A\n---#\nkind: B\n", "kind: A\n---\u00a0\nkind: B\n", "kind: A\n---\f\nkind: B\n",
		"kind: A\n\ufeff---\nkind: B\n", "kind: A # x\r---\rkind: B\n", "kind: A\n...\n---\nkind: B\n", "kind: A\n ---\n",
		"\xff\xfek\x00i\x00\x0a---\x0a\nkind: B\n",
	} {
		documents, err := review.Documents("a.yaml", []byte(text))
		if err != nil {
			continue // what is refused lets nothing in
		}
		read := map[string]bool{}
		for _, d := range documents {
			read[fmt.Sprint(d.Object["kind"])] = true
		}
		for decoder := kubeyaml.NewYAMLOrJSONDecoder(strings.NewReader(text), 4096); ; {
			var object map[string]any
			if decoder.Decode(&object) != nil {
				break
			}
			if kind := object["kind"]; kind != nil && !read[fmt.Sprint(kind)] {
				t.Errorf("of %q kubectl reads %v, and here that is not judged: %v", text, kind, read)
			}
		}
	}
}

func TestPlaces(t *testing.T) {
	const text = `# two documents
apiVersion: v1
kind: List
items:
- kind: HelmRelease
  metadata:
    name: web
    namespace: shop
  spec:
    chart:
      spec: {version: 1.x}
- kind: Application
  metadata: {generateName: web-}
  spec:
    sources:
    - chart: a
    - chart: b
---
kind: AdmissionReview
request:
  operation: CREATE
  object:
    kind: HelmChart
    metadata: {name: web}
    spec:
      chart: web
---
plain: data
`
	documents, err := review.Documents("a.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	for i, c := range []struct {
		name, path string
		line       int
	}{
		{"HelmRelease shop/web", "spec.chart.spec.version", 11},
		{"Application web-", "spec.sources[1]", 17},
		{"HelmChart web", "spec.chart", 26},
		{"object", "spec", 28},
	} {
		if got := documents[i].Name(); got != c.name {
			t.Errorf("document %d is %q, want %q", i, got, c.name)
		}
		if got := documents[i].Line(c.path); got != c.line {
			t.Errorf("%s of %s is at line %d, want %d", c.path, c.name, got, c.line)
		}
	}
	if got := documents[0].Line(""); got != 5 {
		t.Errorf("the release begins at line %d, want 5", got)
	}
	if got := documents[1].Line("spec.sources[7].nothing"); got != 15 {
		t.Errorf("what is not there is at line %d, want that of what it would be in", got)
	}
}

// A name that would write lines of its own does not.
func TestNameIsPrintable(t *testing.T) {
	documents, err := review.Documents("a.yaml", []byte(`{kind: "A\n::error::x", metadata: {name: 7, namespace: "\u001b[2J"}}`))
	if err != nil {
		t.Fatal(err)
	}
	if name := documents[0].Name(); strings.ContainsAny(name, "\n\x1b") {
		t.Errorf("name is %q", name)
	}
}

func TestRead(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"a.yaml": "kind: A", "b/c.yml": "kind: C", "b/d.json": `{"kind": "D"}`, "b/e.txt": "kind: [", ".git/f.yaml": "kind: [", ".hidden/g.yaml": "kind: G", "plain": "kind: P",
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	documents, err := review.Read([]string{dir, "-", filepath.Join(dir, "plain")}, strings.NewReader("kind: S"))
	if err != nil {
		t.Fatal(err)
	}
	var kinds string
	for _, d := range documents {
		kinds += d.Object["kind"].(string)
	}
	if kinds != "GACDSP" {
		t.Errorf("read %s, want GACDSP", kinds)
	}

	named := filepath.Join(t.TempDir(), "named")
	if err := os.Symlink(dir, named); err != nil {
		t.Fatal(err)
	}
	if behind, err := review.Read([]string{named}, nil); err != nil || len(behind) != 4 {
		t.Errorf("behind a link that is named are %d documents and %v, want 4", len(behind), err)
	}

	// What lies behind a link to a folder would be passed over.
	if err := os.Symlink(dir, filepath.Join(dir, "b", "link")); err != nil {
		t.Fatal(err)
	}
	if _, err := review.Read([]string{dir}, nil); err == nil || !strings.Contains(err.Error(), "link to a folder") {
		t.Errorf("error is %v, want one about the link", err)
	}
	if _, err := review.Read([]string{filepath.Join(dir, "nowhere")}, nil); err == nil {
		t.Error("a file that is not there gave no error")
	}
}
