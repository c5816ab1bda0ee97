// SPDX-License-Identifier: Apache-2.0

// Package lint finds what in Rego lets a chart in by accident: idioms that say
// nothing where they should deny, and names that hide the checks. It reads
// text and evaluates nothing.
package lint

import (
	"cmp"
	"errors"
	"os"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
)

// The rules, by the names under which findings are told.
const (
	Syntax            = "syntax"
	UndefinedArgument = "undefined-argument"
	UndefinedBinding  = "undefined-binding"
	UndecidedAllowed  = "undecided-allowed"
	BareReport        = "bare-report"
	MockedCheck       = "mocked-check"
	HiddenCheck       = "hidden-check"
)

// A Finding is one place where a policy may fail open.
type Finding struct {
	File    string `json:"file"`
	Line    int    `json:"line"`
	Column  int    `json:"column"`
	Rule    string `json:"rule"`
	Found   string `json:"found"`
	Instead string `json:"instead"`
}

// Files reads Rego files and gives what is found in them, in their order. What
// a rule of one file says about another's is taken from all of them together. A
// file that does not parse is a finding; one that cannot be read is an error.
// Checks are the names of the predicates, "helm.verify_prov".
func Files(paths, checks []string) ([]Finding, error) {
	l := &linter{checks: checks, facts: newFacts()}
	var modules []*ast.Module
	for _, path := range paths {
		raw, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		if module := l.parse(path, string(raw)); module != nil {
			modules = append(modules, module)
		}
	}
	l.learn(modules)
	for _, module := range modules {
		l.module(module)
	}
	return l.sorted(), nil
}

// A linter collects the findings of one run.
type linter struct {
	checks   []string
	facts    *facts
	findings []Finding
}

func (l *linter) parse(path, text string) *ast.Module {
	module, err := ast.ParseModuleWithOpts(path, text, ast.ParserOptions{RegoVersion: ast.RegoV1})
	var faults ast.Errors
	switch {
	case errors.As(err, &faults):
		for _, fault := range faults {
			l.add(fault.Location, Syntax, fault.Message, "write what compiles: nothing is evaluated of a file that does not parse")
		}
		return nil
	case err != nil:
		l.add(ast.NewLocation(nil, path, 1, 1), Syntax, err.Error(), "write what compiles: nothing is evaluated of a file that does not parse")
		return nil
	case module == nil || module.Package == nil:
		l.add(ast.NewLocation(nil, path, 1, 1), Syntax, "the file is empty", "write a package, or remove the file")
		return nil
	}
	return module
}

func (l *linter) module(module *ast.Module) {
	l.names(module)
	for _, rule := range module.Rules {
		scope := newScope(l, module, rule)
		scope.conditions()
		if isTest(rule.Location.File) {
			continue
		}
		scope.mocks()
		scope.undefined()
	}
}

// isTest says whether a file holds tests: there a mock is what is wanted, and
// what is undefined fails the test.
func isTest(file string) bool { return strings.HasSuffix(file, "_test.rego") }

func (l *linter) add(at *ast.Location, rule, found, instead string) {
	finding := Finding{File: at.File, Line: at.Row, Column: at.Col, Rule: rule, Found: found, Instead: instead}
	same := func(f Finding) bool {
		return f.File == finding.File && f.Line == finding.Line && f.Column == finding.Column && f.Rule == finding.Rule
	}
	if !slices.ContainsFunc(l.findings, same) {
		l.findings = append(l.findings, finding)
	}
}

// sorted keeps the order of the files, and orders what is within each.
func (l *linter) sorted() []Finding {
	first := map[string]int{}
	for i, f := range l.findings {
		if _, ok := first[f.File]; !ok {
			first[f.File] = i
		}
	}
	slices.SortStableFunc(l.findings, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(first[a.File], first[b.File]), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return l.findings
}

const (
	engine = "data.lib.engine."
	report = "_report"
)

// isCheck says whether a function gives verdicts: a check, its report, or a
// function of the library's engine.
func (l *linter) isCheck(function string) bool {
	return strings.HasPrefix(function, engine) || slices.Contains(l.checks, strings.TrimSuffix(function, report))
}

// isReport says whether what a check gives is an object.
func (l *linter) isReport(function string) bool {
	return l.isCheck(function) && !slices.Contains(l.checks, function)
}
