// SPDX-License-Identifier: Apache-2.0

package lint

import (
	"fmt"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
)

const (
	importNot  = "import future.keywords.not, or put the call in a rule of its own and deny by not on that rule"
	denyByRule = "put the call in a rule of its own and deny by not on that rule"
)

// undefined finds where a bad verdict denies only if the check was asked: Rego
// makes no call with an undefined argument, and then nothing is denied.
func (s *scope) undefined() {
	ast.NewGenericVisitor(func(x any) bool {
		switch x := x.(type) {
		case *ast.Expr:
			if x.Negated {
				s.plainNot(x)
				s.boundBefore(ast.Body{x}, x.Location)
			}
		case *ast.Not:
			s.boundBefore(x.Body, x.Location)
		}
		return false
	}).Walk(s.rule)
	s.calls(s.rule, true, s.comparison)
}

// plainNot judges not as it is without the import: what is undefined is taken
// out of it, and fails the whole rule.
func (s *scope) plainNot(expr *ast.Expr) {
	s.calls(expr, false, func(c call, _ *ast.Location) {
		if !s.asks(c.function) {
			return
		}
		if arg := s.undefinedIn(c.args...); arg != nil {
			s.add(expr.Location, UndefinedArgument, fmt.Sprintf("where %v is undefined, not %s(…) is too, and nothing is denied", arg, c.function), importNot)
		}
	})
}

func (s *scope) asks(function string) bool { return s.isCheck(function) || s.facts.judging[function] }

// boundBefore judges what stands under any not and was bound before it: where
// that failed, the not is never reached.
func (s *scope) boundBefore(body ast.Body, at *ast.Location) {
	inside := s.assigned(body)
	before := func(v ast.Var) bool { return s.bound[v] != nil && !slices.Contains(inside, v) }
	s.calls(body, false, func(c call, _ *ast.Location) {
		for _, arg := range c.args {
			if v, ok := arg.Value.(ast.Var); ok && s.asks(c.function) && before(v) {
				s.binding(at, v)
			}
		}
	})
	ast.WalkVars(body, func(v ast.Var) bool {
		if before(v) {
			if c, ok := s.answerOf(v, nil); ok && c.missing() != nil {
				s.binding(at, v)
			}
		}
		return false
	})
}

func (s *scope) binding(at *ast.Location, v ast.Var) {
	if from := s.undefinedIn(s.bound[v]); from != nil {
		s.add(at, UndefinedBinding, fmt.Sprintf("%v is bound before, and where %v is undefined this rule denies nothing", v, from), denyByRule)
	}
}

// assigned are the variables that a body binds itself.
func (s *scope) assigned(body ast.Body) (vars []ast.Var) {
	for _, expr := range body {
		if name, operands := s.parts(expr); len(operands) == 2 && (name == "assign" || name == "eq") {
			for _, operand := range operands {
				if v, ok := operand.Value.(ast.Var); ok {
					vars = append(vars, v)
				}
			}
		}
	}
	return vars
}

// comparison judges what is true of bad verdicts, and what leaves out that
// there may be none.
func (s *scope) comparison(c call, at *ast.Location) {
	if len(c.args) != 2 {
		return
	}
	before := len(s.findings)
	if negative(c) {
		s.unasked(c, at)
	}
	if len(s.findings) == before && !s.facts.verdict[packageName(s.pkg)] {
		s.undecided(c, at)
	}
}

// undecided finds a package that knows rejected charts and no others: while a
// registry does not answer, none is rejected.
func (s *scope) undecided(c call, at *ast.Location) {
	if !slices.Contains([]string{"equal", "eq", "neq", "internal.member_2", "startswith", "endswith", "contains", "regex.match"}, c.function) {
		return
	}
	for i, operand := range c.args {
		if answer, ok := s.answer(operand); ok && codes(operand) && !good(c.args[1-i]) {
			s.add(at, UndecidedAllowed, fmt.Sprintf("where %s could not decide, it rejects nothing, and this package does not ask whether anything is verified", answer.function),
				"deny by not on .verified or on the predicate, and ask for outcome and code in messages only")
		}
	}
}

// unasked finds a comparison that is not true where nothing was asked.
func (s *scope) unasked(c call, at *ast.Location) {
	for _, operand := range c.args {
		answer, ok := s.answer(operand)
		if !ok {
			continue
		}
		if arg := answer.missing(); arg != nil {
			s.add(at, UndefinedArgument, fmt.Sprintf("where %v is undefined, so is what is compared with the answer of %s, and nothing is denied", arg, answer.function), denyByRule)
			continue
		}
		for _, arg := range answer.args {
			if v, ok := arg.Value.(ast.Var); ok && answer.at == s && s.bound[v] != nil {
				s.binding(at, v)
			}
		}
	}
}

// negative says whether a comparison is true of what did not verify.
func negative(c call) bool {
	a, b := c.args[0], c.args[1]
	switch c.function {
	case "neq":
		return true
	case "equal", "eq":
		return bad(a, b) || bad(b, a)
	case "lt", "lte":
		return isCount(a)
	case "gt", "gte":
		return isCount(b)
	case "startswith", "endswith", "contains", "regex.match":
		return codes(a) || codes(b)
	case "internal.member_2":
		return contains(b, ast.BooleanTerm(false)) || codes(a) && !good(b)
	}
	return false
}

// bad says whether a value is one of what did not verify, given what it is
// compared with.
func bad(value, with *ast.Term) bool {
	switch v := value.Value.(type) {
	case ast.Boolean:
		return !bool(v)
	case ast.String:
		return codes(with) && !good(value)
	case ast.Number:
		return isCount(with)
	}
	return false
}

func isCount(t *ast.Term) bool {
	c, ok := t.Value.(ast.Call)
	return ok && c[0].String() == "count"
}

// codes is true of the fields of a report that say why.
func codes(t *ast.Term) bool {
	ref, ok := t.Value.(ast.Ref)
	if !ok {
		return false
	}
	last := ref[len(ref)-1]
	return last.Equal(ast.StringTerm("outcome")) || last.Equal(ast.StringTerm("code"))
}

// good is true of what has the words of a verified chart in it.
func good(t *ast.Term) bool {
	return contains(t, ast.StringTerm("verified")) || contains(t, ast.StringTerm("ok"))
}

func contains(t, wanted *ast.Term) (found bool) {
	ast.WalkTerms(t, func(t *ast.Term) bool {
		found = found || t.Equal(wanted)
		return found
	})
	return found
}

// answer gives the check whose answer, or a field of it, a term is: a call, a
// variable that was bound to one, or a rule that gives one.
func (s *scope) answer(term *ast.Term) (call, bool) {
	if c, ok := s.callOf(term); ok {
		if c.function == "count" {
			return s.answer(c.args[0])
		}
		return s.asked(c)
	}
	switch v := term.Value.(type) {
	case ast.Var:
		return s.answerOf(v, ast.Ref{term})
	case ast.Ref:
		if head, ok := v[0].Value.(ast.Var); ok {
			return s.answerOf(head, v)
		}
	}
	return call{}, false
}

// asked follows a function of the policy to the check that it asks, unless it
// has a default.
func (s *scope) asked(c call) (call, bool) {
	if s.isCheck(c.function) {
		return c, true
	}
	inner, ok := s.facts.gives[c.function]
	inner.outer = &c
	return inner, ok && !s.facts.defined[c.function]
}

func (s *scope) answerOf(v ast.Var, ref ast.Ref) (call, bool) {
	if !s.locals[v] {
		name := s.ruleOf(ref)
		c, ok := s.facts.gives[name]
		return c, ok && !s.facts.defined[name]
	}
	from := s.bound[v]
	if from == nil {
		return call{}, false
	}
	delete(s.bound, v) // two variables may be bound to each other
	defer func() { s.bound[v] = from }()
	return s.answer(from)
}

// missing gives what may keep a check from being asked; nil if nothing may.
func (c call) missing() *ast.Term {
	if arg := c.at.undefinedIn(c.args...); arg != nil || c.outer == nil {
		return arg
	}
	return c.outer.missing()
}

// undefinedIn gives the first part of some terms that may be undefined.
func (s *scope) undefinedIn(terms ...*ast.Term) (found *ast.Term) {
	for _, term := range terms {
		ast.NewGenericVisitor(func(x any) bool {
			t, ok := x.(*ast.Term)
			if !ok || found != nil {
				return found != nil
			}
			if s.mayBeUndefined(t) {
				found = t
			}
			if c, ok := t.Value.(ast.Call); ok && found == nil {
				found = s.undefinedIn(c[1:]...)
			}
			return found != nil || !isCollection(t)
		}).Walk(term)
	}
	return found
}

func isCollection(t *ast.Term) bool {
	switch t.Value.(type) {
	case *ast.Array, ast.Object, ast.Set:
		return true
	}
	return false
}

func (s *scope) mayBeUndefined(t *ast.Term) bool {
	switch v := t.Value.(type) {
	case ast.Var:
		return !s.locals[v] && !s.facts.defined[s.name(ast.Ref{t})]
	case ast.Ref:
		return s.refMayBeUndefined(v)
	case ast.Call:
		return s.callMayBeUndefined(v)
	}
	return false
}

func (s *scope) refMayBeUndefined(ref ast.Ref) bool {
	head, ok := ref[0].Value.(ast.Var)
	switch {
	case !ok:
		return true // a field of what a call gives
	case s.locals[head]:
		return len(ref) > 1
	}
	return !s.facts.defined[s.name(ref)] || len(ref) > len(ref.ConstantPrefix())
}

// callMayBeUndefined holds of functions of policies without a default. Those of
// OPA are taken at their word.
func (s *scope) callMayBeUndefined(c ast.Call) bool {
	operator, ok := c[0].Value.(ast.Ref)
	if !ok {
		return true
	}
	name := s.name(operator)
	ours := s.ruleOf(operator) != "" || strings.HasPrefix(name, "data.")
	return ours && !s.facts.defined[name] && !s.isCheck(name)
}
