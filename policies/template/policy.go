// SPDX-License-Identifier: Apache-2.0

// Package template writes a policy as a ConstraintTemplate of Gatekeeper: the
// very text that runs in CI, with what it reaches of the library.
package template

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"
)

// A source is a file of Rego.
type source struct {
	file   string
	text   string
	module *ast.Module
}

// A Policy is what one folder says.
type Policy struct {
	Name        string
	title       string
	description string
	version     string
	created     string // the version, for those who list it
	entry       source
	libraries   []source // all that the entry reaches, in the library's order
	inventory   bool     // whether one of them reads it
	schema      map[string]any
}

// Read reads the policy called name from its folder, and from the library what
// it reaches. It refuses what Gatekeeper would: what does not compile there,
// imports what is not there, or says neither its title, its description nor its
// version.
func Read(library, folder fs.FS, name string) (*Policy, error) {
	entry, err := read(folder, name+".rego")
	if err != nil {
		return nil, err
	}
	available, err := readLibrary(library, folder, name)
	if err != nil {
		return nil, err
	}
	p := &Policy{Name: name, entry: entry}
	if err := p.reach(library, available); err != nil {
		return nil, err
	}
	if err := p.describe(); err != nil {
		return nil, err
	}
	p.schema, err = p.evaluateSchema()
	return p, err
}

// readLibrary reads all packages below lib, as Gatekeeper has them, and those
// of the policy itself.
func readLibrary(library, folder fs.FS, name string) (all []source, err error) {
	for _, from := range []struct {
		fs.FS
		pattern string
	}{{library, "lib/*/*.rego"}, {library, "engines/gatekeeper/lib/*/*.rego"}, {folder, "*.rego"}} {
		files, err := fs.Glob(from, from.pattern)
		if err != nil {
			return nil, err
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.rego") || file == name+".rego" {
				continue
			}
			s, err := read(from, file)
			if err != nil {
				return nil, err
			}
			all = append(all, s)
		}
	}
	return all, nil
}

func read(from fs.FS, file string) (source, error) {
	text, err := fs.ReadFile(from, file)
	if err != nil {
		return source{}, err
	}
	if bytes.ContainsFunc(text, func(r rune) bool { return r < ' ' && r != '\n' && r != '\t' }) || bytes.HasPrefix(text, []byte(" ")) {
		return source{}, fmt.Errorf("%s cannot stand in YAML as it is", file)
	}
	module, err := ast.ParseModuleWithOpts(file, string(text), ast.ParserOptions{ProcessAnnotation: true, RegoVersion: ast.RegoV1})
	return source{file, string(text), module}, err
}

// describe takes from the package's METADATA what people read.
func (p *Policy) describe() error {
	for _, a := range p.entry.module.Annotations {
		if a.Scope == "package" {
			p.title, p.description = a.Title, strings.Join(strings.Fields(a.Description), " ")
			p.version, _ = a.Custom["version"].(string)
			p.created, _ = a.Custom["created"].(string)
		}
	}
	for _, field := range []struct{ name, value string }{{"title", p.title}, {"description", p.description}, {"custom.version", p.version}} {
		if field.value == "" {
			return fmt.Errorf("its METADATA lacks %s", field.name)
		}
	}
	return nil
}

// reach follows the references of the entry, compiled with what Gatekeeper's
// OPA has. Who names a folder of packages reaches all of them.
func (p *Policy) reach(from fs.FS, library []source) error {
	c, err := compile(from, append(slices.Clip(library), p.entry))
	if err != nil {
		return err
	}
	reached := map[string]bool{}
	for pending := []source{p.entry}; len(pending) > 0; pending = pending[1:] {
		ast.WalkRefs(c.Modules[pending[0].file], func(ref ast.Ref) bool {
			p.inventory = p.inventory || ref.HasPrefix(inventory)
			for _, s := range library {
				if !reached[s.file] && names(ref, s.module.Package.Path) {
					reached[s.file], pending = true, append(pending, s)
				}
			}
			return false
		})
	}
	for _, s := range library {
		if reached[s.file] {
			p.libraries = append(p.libraries, s)
		}
	}
	return imported(append(slices.Clip(p.libraries), p.entry), library)
}

// imported wants a package behind every import: what is not there is undefined,
// and a rule that depends on it never holds.
func imported(sources, library []source) error {
	for _, s := range sources {
		for _, i := range s.module.Imports {
			ref := i.Path.Value.(ast.Ref)
			if ref[0].Equal(ast.DefaultRootDocument) && !slices.ContainsFunc(library, func(l source) bool { return names(ref, l.module.Package.Path) }) {
				return fmt.Errorf("%s imports %s, and there is no such package", s.file, ref)
			}
		}
	}
	return nil
}

var inventory = ast.MustParseRef("data.inventory")

// names says whether ref is about a package or something inside, or about
// everything below something that holds the package.
func names(ref, pkg ast.Ref) bool {
	ground := ref.ConstantPrefix()
	return ground.HasPrefix(pkg) || (len(ground) > 1 && ground[0].Equal(ast.DefaultRootDocument) && pkg.HasPrefix(ground))
}

func compile(library fs.FS, sources []source) (*ast.Compiler, error) {
	raw, err := fs.ReadFile(library, "capabilities-gatekeeper.json")
	if err != nil {
		return nil, err
	}
	allowed, err := ast.LoadCapabilitiesJSON(bytes.NewReader(raw))
	if err != nil {
		return nil, err
	}
	modules := map[string]*ast.Module{}
	for _, s := range sources {
		modules[s.file] = s.module.Copy()
	}
	c := ast.NewCompiler().WithCapabilities(allowed)
	if c.Compile(modules); c.Failed() {
		return nil, c.Errors
	}
	return c, nil
}

// evaluateSchema gives the JSON schema of the policy's options. Without one
// they are an object, whatever is in it.
func (p *Policy) evaluateSchema() (map[string]any, error) {
	args := []func(*rego.Rego){rego.Query("data.lib.schemas." + p.Name + ".schema")}
	for _, s := range p.libraries {
		if !strings.HasPrefix(s.file, "engines/") {
			args = append(args, rego.ParsedModule(s.module))
		}
	}
	results, err := rego.New(args...).Eval(context.Background())
	if err != nil {
		return nil, err
	}
	if len(results) == 0 {
		return map[string]any{"type": "object"}, nil
	}
	schema, ok := results[0].Expressions[0].Value.(map[string]any)
	if !ok {
		return nil, errors.New("its schema.rego holds no schema")
	}
	return schema, nil
}
