// SPDX-License-Identifier: Apache-2.0

package lint

import (
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
)

// A scope is one rule with what is known of its variables.
type scope struct {
	*linter
	pkg    *ast.Module
	rule   *ast.Rule
	locals map[ast.Var]bool
	bound  map[ast.Var]*ast.Term // by := or =, to what
}

func newScope(l *linter, module *ast.Module, rule *ast.Rule) *scope {
	s := &scope{linter: l, pkg: module, rule: rule, locals: map[ast.Var]bool{}, bound: map[ast.Var]*ast.Term{}}
	for at := rule; at != nil; at = at.Else {
		for _, arg := range at.Head.Args {
			s.declare(arg)
		}
	}
	ast.NewGenericVisitor(s.declarations).Walk(rule)
	return s
}

// declarations notes the variables of a rule.
func (s *scope) declarations(x any) bool {
	switch x := x.(type) {
	case *ast.SomeDecl:
		s.declareSome(x)
	case *ast.Every:
		s.declare(x.Key)
		s.declare(x.Value)
	case *ast.Expr:
		s.bind(x)
	case ast.Ref:
		for _, part := range x[1:] {
			s.unify(part)
		}
	}
	return false
}

func (s *scope) declareSome(decl *ast.SomeDecl) {
	for _, symbol := range decl.Symbols {
		call, ok := symbol.Value.(ast.Call)
		if !ok {
			s.declare(symbol)
			continue
		}
		for _, pattern := range call[1 : len(call)-1] { // the last is where they come from
			s.declare(pattern)
		}
	}
}

// bind notes what an assignment or a unification gives a variable.
func (s *scope) bind(expr *ast.Expr) {
	function, operands := s.parts(expr)
	if len(operands) != 2 || expr.Negated {
		return
	}
	switch function {
	case "assign":
		s.declare(operands[0])
		s.give(operands[0], operands[1])
	case "eq":
		s.unify(operands[0])
		s.unify(operands[1])
		s.give(operands[0], operands[1])
		s.give(operands[1], operands[0])
	}
}

func (s *scope) give(name, value *ast.Term) {
	if v, ok := name.Value.(ast.Var); ok && s.locals[v] {
		s.bound[v] = value
	}
}

// declare makes the variables of a pattern local.
func (s *scope) declare(pattern *ast.Term) {
	for _, v := range variables(pattern) {
		s.locals[v] = true
	}
}

// unify makes local what names neither a rule nor an import.
func (s *scope) unify(pattern *ast.Term) {
	for _, v := range variables(pattern) {
		if _, alias := imported(s.pkg, v); !alias && !s.isRule(v) {
			s.locals[v] = true
		}
	}
}

// variables are those that a pattern gives values.
func variables(pattern *ast.Term) (vars []ast.Var) {
	if pattern == nil {
		return nil
	}
	switch v := pattern.Value.(type) {
	case ast.Var:
		return []ast.Var{v}
	case *ast.Array:
		v.Foreach(func(t *ast.Term) { vars = append(vars, variables(t)...) })
	case ast.Object:
		v.Foreach(func(_, t *ast.Term) { vars = append(vars, variables(t)...) })
	}
	return vars
}

func (s *scope) isRule(v ast.Var) bool {
	return len(s.facts.rules[packageName(s.pkg)+"."+string(v)]) > 0
}

// name is the full name of what a reference names, as far as it is written
// out; "" for what is local.
func (s *scope) name(ref ast.Ref) string {
	head, ok := ref[0].Value.(ast.Var)
	switch path, alias := imported(s.pkg, head); {
	case !ok || s.locals[head]:
		return ""
	case s.isRule(head):
		return packageName(s.pkg) + "." + written(ref)
	case alias:
		return path + strings.TrimPrefix(written(ref), string(head))
	}
	return written(ref)
}

// ruleOf is the name of the rule that a reference leads to or into; "" if it
// leads to none.
func (s *scope) ruleOf(ref ast.Ref) string {
	for n := len(ref); n > 0; n-- {
		if name := s.name(ref[:n]); len(s.facts.rules[name]) > 0 {
			return name
		}
	}
	return ""
}

// A call is one call of a function as it stands in a rule.
type call struct {
	function string
	args     []*ast.Term
	at       *scope
	outer    *call // of the policy's function that makes it
}

// callOf gives the call that a term is, or takes a field of.
func (s *scope) callOf(term *ast.Term) (call, bool) {
	switch v := term.Value.(type) {
	case ast.Call:
		operator, ok := v[0].Value.(ast.Ref)
		return call{function: s.name(operator), args: v[1:], at: s}, ok
	case ast.Ref:
		if _, ok := v[0].Value.(ast.Call); ok {
			return s.callOf(v[0])
		}
	}
	return call{}, false
}

// parts are the function and the arguments of a condition that is a call.
func parts(expr *ast.Expr) (ast.Ref, []*ast.Term) {
	terms, ok := expr.Terms.([]*ast.Term)
	if !ok || len(terms) == 0 {
		return nil, nil
	}
	operator, ok := terms[0].Value.(ast.Ref)
	if !ok {
		return nil, nil
	}
	return operator, terms[1:]
}

// parts are the function and the arguments of a condition, with f(x, y) where y
// takes what f gives read as f(x) = y.
func (s *scope) parts(expr *ast.Expr) (string, []*ast.Term) {
	operator, args := parts(expr)
	if operator == nil {
		return "", nil
	}
	name := s.name(operator)
	n := s.parameters(name)
	if n < 0 || len(args) != n+1 {
		return name, args
	}
	inner := ast.Call(append([]*ast.Term{ast.NewTerm(operator)}, args[:n]...))
	return "eq", []*ast.Term{ast.NewTerm(inner).SetLocation(expr.Location), args[n]}
}

// parameters counts those of a function; -1 if it is not known.
func (s *scope) parameters(function string) int {
	switch {
	case function == engine+"result":
		return 3
	case function == engine+"results":
		return 1
	case s.isCheck(function):
		return 2
	case len(s.facts.rules[function]) > 0:
		return len(s.facts.rules[function][0].Head.Args)
	}
	return -1
}

// calls gives every call below a node to f; those within comprehensions only
// if deep.
func (s *scope) calls(node any, deep bool, f func(c call, at *ast.Location)) {
	var walk *ast.GenericVisitor
	walk = ast.NewGenericVisitor(func(x any) bool {
		switch x := x.(type) {
		case *ast.Expr:
			if function, args := s.parts(x); function != "" {
				f(call{function: function, args: args, at: s}, x.Location)
				walk.Walk(ast.Args(args))
				walkAll(walk, x.With)
				return true
			}
		case *ast.Term:
			if _, ok := x.Value.(ast.Call); ok {
				if c, ok := s.callOf(x); ok {
					f(c, x.Location)
				}
			}
			return !deep && isComprehension(x)
		}
		return false
	})
	walk.Walk(node)
}
