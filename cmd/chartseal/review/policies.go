// SPDX-License-Identifier: Apache-2.0

package review

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/chartseal/chartseal/policies"
	"github.com/chartseal/chartseal/policies/template"
	"github.com/chartseal/chartseal/rego"
)

// Modules are Rego files by their names.
type modules map[string]*ast.Module

// policiesIn gives the library for OPA with the policies that are given: those
// of paths, or the shipped ones without any. A policy is a package below
// policies. What is given adds to the library and replaces nothing of it.
func policiesIn(paths []string) (modules, error) {
	all := modules{}
	for _, folder := range []string{"lib", "engines/opa/lib", "engines/opa/main"} {
		if err := all.shipped(rego.FS, folder, "rego/"); err != nil {
			return nil, err
		}
	}
	if len(paths) == 0 {
		return all, all.shipped(policies.FS, ".", "policies/")
	}
	given, err := regoIn(paths)
	if err != nil {
		return nil, err
	}
	return all, errors.Join(all.add(given), given.stale())
}

// stale is an error for each expression of options that lies beside another
// schema than it was made of: it may let pass what the schema refuses.
func (m modules) stale() (err error) {
	for _, file := range slices.Sorted(maps.Keys(m)) {
		name, isSchema := strings.CutPrefix(m[file].Package.Path.String(), "data.lib.schemas.")
		if !isSchema || filepath.Base(file) != "usual.rego" {
			continue
		}
		policy, wrong := template.Read(rego.FS, os.DirFS(filepath.Dir(file)), name)
		if wrong == nil {
			wrong = policy.Stale()
		}
		if wrong != nil {
			err = errors.Join(err, fmt.Errorf("%s: %w", file, wrong))
		}
	}
	return err
}

func (m modules) shipped(from fs.FS, folder, prefix string) error {
	return fs.WalkDir(from, folder, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".rego") {
			return err
		}
		raw, err := fs.ReadFile(from, path)
		if err != nil {
			return err
		}
		m[prefix+path], err = parse(prefix+path, raw)
		return err
	})
}

func parse(name string, raw []byte) (*ast.Module, error) {
	return ast.ParseModuleWithOpts(name, string(raw), ast.ParserOptions{RegoVersion: ast.RegoV1})
}

// regoIn reads the Rego files that are named or lie in folders, tests aside.
func regoIn(paths []string) (modules, error) {
	files, err := Files(paths, ".rego")
	if err != nil {
		return nil, err
	}
	given := modules{}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.rego") {
			continue
		}
		raw, err := readFile(file, nil)
		if err != nil {
			return nil, err
		}
		if given[file], err = parse(file, raw); err != nil {
			return nil, err
		}
	}
	return given, nil
}

func (m modules) add(given modules) error {
	taken := map[string]bool{}
	for _, module := range m {
		taken[module.Package.Path.String()] = true
	}
	judging := false
	for name, module := range given {
		path := module.Package.Path.String()
		if taken[path] {
			return fmt.Errorf("%s: package %s is the library's; give policies alone", name, strings.TrimPrefix(path, "data."))
		}
		judging = judging || strings.HasPrefix(path, "data.policies.")
		m[name] = module
	}
	if !judging {
		return errors.New("there is no policy: no package is below policies")
	}
	return nil
}
