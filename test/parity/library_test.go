// SPDX-License-Identifier: Apache-2.0

package parity

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"

	"github.com/chartseal/chartseal/builtins"
	"github.com/chartseal/chartseal/builtins/all"
	"github.com/chartseal/chartseal/builtins/opa"
	library "github.com/chartseal/chartseal/rego"
)

func init() { opa.Register(&builtins.Env{Limits: builtins.DefaultLimits()}, all.Builtins...) }

// texts are the Rego files of a tree below these folders, by path.
func texts(t testing.TB, tree fs.FS, folders ...string) map[string]string {
	t.Helper()
	found := map[string]string{}
	for _, folder := range folders {
		err := fs.WalkDir(tree, folder, func(name string, d fs.DirEntry, err error) error {
			if err != nil || path.Ext(name) != ".rego" || strings.HasSuffix(name, "_test.rego") {
				return err
			}
			raw, err := fs.ReadFile(tree, name)
			found[name] = string(raw)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return found
}

// withPolicies adds the policies to a library.
func withPolicies(t testing.TB, files map[string]string) map[string]string {
	t.Helper()
	root := os.DirFS("../..")
	if _, err := fs.Stat(root, "policies"); err == nil {
		for name, text := range texts(t, root, "policies") {
			files[name] = text
		}
	}
	return files
}

func compiled(t testing.TB, capabilities *ast.Capabilities, files map[string]string) *ast.Compiler {
	t.Helper()
	modules := map[string]*ast.Module{}
	for name, text := range files {
		module, err := ast.ParseModuleWithOpts(name, text, ast.ParserOptions{Capabilities: capabilities, ProcessAnnotation: true})
		if err != nil {
			t.Fatal(err)
		}
		modules[name] = module
	}
	c := ast.NewCompiler().WithCapabilities(capabilities).WithStrict(true)
	if c.Compile(modules); c.Failed() {
		t.Fatal(c.Errors)
	}
	return c
}

// What runs in Gatekeeper has the functions of Gatekeeper's OPA and its own,
// whatever the OPA that we are built with has.
func TestLibraryCompilesInBothEngines(t *testing.T) {
	old, err := ast.LoadCapabilitiesFile("../../rego/capabilities-gatekeeper.json")
	if err != nil {
		t.Fatal(err)
	}
	compiled(t, old, withPolicies(t, texts(t, library.FS, "engines/gatekeeper", "lib")))
	compiled(t, ast.CapabilitiesForThisVersion(), withPolicies(t, texts(t, library.FS, "engines/opa", "lib")))

	module := ast.MustParseModule("package lib.late\nparts(s) := strings.split_n(s, \",\", 2)")
	if c := ast.NewCompiler().WithCapabilities(old); true {
		if c.Compile(map[string]*ast.Module{"late.rego": module}); !c.Failed() {
			t.Error("a function of a later OPA compiles")
		}
	}
}

// Templates take no other imports and references.
func TestLibraryIsWhatTemplatesTake(t *testing.T) {
	allowed := []string{"data.lib.", "data.inventory", "future.keywords"}
	for name, text := range withPolicies(t, texts(t, library.FS, "engines/gatekeeper", "lib")) {
		module := ast.MustParseModuleWithOpts(text, ast.ParserOptions{})
		for _, imported := range module.Imports {
			if ref := imported.Path.String(); !slices.ContainsFunc(allowed, func(a string) bool { return strings.HasPrefix(ref, a) }) {
				t.Errorf("%s imports %s", name, ref)
			}
		}
		ast.WalkRefs(module.Rules, func(ref ast.Ref) bool {
			if ref.HasPrefix(ast.DefaultRootRef) && !slices.ContainsFunc(allowed, func(a string) bool { return strings.HasPrefix(ref.String(), a) }) {
				t.Errorf("%s refers to %s", name, ref)
			}
			return false
		})
	}
}

// Names that would hide the built-ins from whoever loads the library. Only the
// engine that calls them has them.
func TestLibraryHidesNoBuiltin(t *testing.T) {
	hiding := []string{"helm", "cosign", "chart"}
	files := withPolicies(t, texts(t, library.FS, "engines", "lib"))
	delete(files, "engines/opa/lib/engine/engine.rego")
	for name, text := range files {
		module := ast.MustParseModuleWithOpts(text, ast.ParserOptions{})
		ast.WalkVars(module, func(v ast.Var) bool {
			if slices.Contains(hiding, string(v)) {
				t.Errorf("%s has the name %s", name, v)
			}
			return false
		})
		for _, imported := range module.Imports {
			if slices.Contains(hiding, string(imported.Name())) {
				t.Errorf("%s imports %s", name, imported.Path)
			}
		}
	}
}

// Every package and every public function says what it is.
func TestLibraryIsDocumented(t *testing.T) {
	for name, text := range texts(t, library.FS, "engines", "lib") {
		module, err := ast.ParseModuleWithOpts(name, text, ast.ParserOptions{ProcessAnnotation: true})
		if err != nil {
			t.Fatal(err)
		}
		documented := map[string]bool{}
		for _, note := range module.Annotations {
			if note.Title == "" || note.Description == "" {
				t.Errorf("%s: an annotation lacks its title or description: %v", name, note)
			}
			if note.Scope == "package" {
				documented["package"] = true
			}
		}
		if !documented["package"] {
			t.Errorf("%s: the package is not documented", name)
		}
		for _, rule := range module.Rules {
			documented[string(rule.Head.Name)] = documented[string(rule.Head.Name)] || len(rule.Annotations) > 0
		}
		for rule, is := range documented {
			if !is && !strings.HasPrefix(rule, "_") {
				t.Errorf("%s: %s is not documented", name, rule)
			}
		}
	}
}

// strange is what stands where something else belongs.
const strange = `{
	null, true, 17, 1.5, 1e300, -1, "", "text", "oci://h.example/web:1.2.3", "https://h.example/%ff", "https://*.h.example/**", "a.b.c",
	[], [null], [[1, 2]], {}, set(), {1}, {{1}: {2}}, {1: 2}, {null: null},
	{"ref": 17}, {"ref": {"repository": 1, "name": [], "version": null}}, {"via": {}, "ref": []}, {"repository": "", "name": "", "version": ""}, {"archive": "="},
	{"metadata": 17}, {"metadata": {"namespace": [], "annotations": 17}}, {"metadata": {"annotations": {"chartseal.dev/break-glass": {}}}},
	{"metadata": {"annotations": {"chartseal.dev/break-glass": "e30.e30.e30"}}}, {"metadata": {"annotations": {"chartseal.dev/break-glass": "eyJhbGciOiJFUzI1NiJ9.eyJleHAiOjE5MDY1NDU2MDF9.AAAA"}}},
	{"exemptions": 17}, {"exemptions": [17, {}, {"namespace": 1, "chart": 1, "digest": 1, "reason": 1, "expires": 1}]}, {"break_glass": 17},
	{"break_glass": {"key": "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEc82cxL7dOMicWs+lA3IgEF3PnNyx\nds7r5/TH0Hc0UtadsyTWFzPG+39D+xHRTXQO6iRKPIAe5oxTFSL6GccK4A==\n-----END PUBLIC KEY-----\n", "algorithm": "ES256"}},
}`

// Whatever public functions are given, they answer, and none of their parts
// fails: where errors of built-ins are strict, one would end the query.
func TestLibraryAlwaysAnswers(t *testing.T) {
	files := texts(t, library.FS, "engines/opa", "lib")
	args := []func(*rego.Rego){rego.StrictBuiltinErrors(true)}
	for name, text := range files {
		args = append(args, rego.Module(name, text))
	}
	for _, call := range []string{
		"lib.engine.result(a, b, a)", "lib.engine.results({a, b})", "lib.engine.results(a)",
		"lib.refs.parse(a)", "lib.refs.location(a)", "lib.refs.url(a)", "lib.refs.exact_version(a)",
		"lib.patterns.valid(a)", "lib.patterns.fault(a)", "lib.patterns.matches(a, b)", "lib.patterns.best(a, b)", "lib.patterns.best([a, b], a)",
		"lib.messages.text(a, b, a)", "lib.messages.violation(a, b, b, b, a)",
		"lib.mocks.verified({a, b})", "lib.mocks.rejected(a)", "lib.mocks.undecided(a)", "lib.mocks.report(a)",
		"lib.exemptions.find(a, b, b, a)", "lib.exemptions.find(a, b, a, b)",
	} {
		t.Run(call, func(t *testing.T) {
			query := fmt.Sprintf("values := %s; answers := count([1 | some a in values; some b in values; _ = data.%s]); asked := count(values) * count(values)", strange, call)
			rs, err := rego.New(append(args, rego.Query(query))...).Eval(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if got := rs[0].Bindings; got["answers"] != got["asked"] {
				t.Errorf("%v of %v calls were answered", got["answers"], got["asked"])
			}
		})
	}
}

func TestTestsAreNotInTheLibrary(t *testing.T) {
	for name := range texts(t, os.DirFS("../../rego"), "engines", "lib") {
		if _, err := fs.Stat(library.FS, name); err != nil {
			t.Errorf("%s is not in the library: %v", name, err)
		}
		hidden := strings.TrimSuffix(name, ".rego") + "_test.rego"
		if _, err := fs.ReadFile(library.FS, hidden); err == nil {
			t.Errorf("%s is in the library", hidden)
		}
	}
	entries, err := fs.ReadDir(library.FS, "lib/refs")
	if err != nil || len(entries) != 1 || entries[0].Name() != "refs.rego" {
		t.Errorf("lib/refs has %v, %v", entries, err)
	}
}
