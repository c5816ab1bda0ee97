// SPDX-License-Identifier: Apache-2.0

package lint

import (
	"fmt"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
)

// conditions finds reports that stand where only their verdict may.
func (s *scope) conditions() {
	ast.NewGenericVisitor(func(x any) bool {
		if expr, ok := x.(*ast.Expr); ok {
			s.condition(expr)
		}
		return false
	}).Walk(s.rule)
}

// condition judges a condition that is a report or a field of one. Of those,
// only the verdict is ever false.
func (s *scope) condition(expr *ast.Expr) {
	function, fields := s.reported(expr)
	switch {
	case !s.isReport(function) || function == engine+"results" && len(fields) > 0:
	case len(fields) == 0:
		s.add(expr.Location, BareReport, fmt.Sprintf("what %s gives is an object, and every object is true", function), verdictOf(function))
	case len(fields) == 1 && !fields[0].Equal(ast.StringTerm("verified")):
		s.add(expr.Location, BareReport, fmt.Sprintf("the field %v of what %s gives is true whatever the verdict", fields[0], function), verdictOf(function))
	}
}

// reported gives the check whose answer a condition is, and the fields of it
// that it asks for.
func (s *scope) reported(expr *ast.Expr) (function string, fields ast.Ref) {
	if function, _ := s.parts(expr); function != "" {
		return s.checkOf(function), nil
	}
	term, ok := expr.Terms.(*ast.Term)
	if !ok {
		return "", nil
	}
	ref, ok := term.Value.(ast.Ref)
	if !ok {
		ref = ast.Ref{term}
	}
	if c, ok := s.callOf(ref[0]); ok {
		return s.checkOf(c.function), ref[1:]
	}
	if v, ok := ref[0].Value.(ast.Var); ok && s.bound[v] != nil {
		c, _ := s.answerOf(v, ref)
		return c.function, ref[1:]
	}
	for n := 1; n <= len(ref); n++ {
		if c, ok := s.facts.gives[s.name(ref[:n])]; ok {
			return c.function, ref[n:]
		}
	}
	return "", nil
}

// checkOf is the check that a function is, or gives the answer of.
func (s *scope) checkOf(function string) string {
	if c, ok := s.facts.gives[function]; ok {
		return c.function
	}
	return function
}

func verdictOf(function string) string {
	if predicate, ok := strings.CutSuffix(function, report); ok {
		return fmt.Sprintf("ask %s, or for .verified", predicate)
	}
	return "ask for .verified"
}

// mocks finds verdicts that a policy makes up.
func (s *scope) mocks() {
	ast.NewGenericVisitor(func(x any) bool {
		with, ok := x.(*ast.With)
		if !ok {
			return false
		}
		target, ok := with.Target.Value.(ast.Ref)
		if !ok {
			return false
		}
		if name := s.name(target); s.isCheck(name) || name != "" && strings.HasPrefix(engine, name+".") {
			s.add(with.Location, MockedCheck, fmt.Sprintf("with %v replaces a check by something else", with.Target), "mock checks in files that end in _test.rego only")
		}
		return false
	}).Walk(s.rule)
}
