// SPDX-License-Identifier: Apache-2.0

package lint

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
)

// names finds what has the name that functions of ours begin with. Where it
// does not end in a compile error, it silently replaces a check.
func (l *linter) names(module *ast.Module) {
	path := module.Package.Path
	if last, ok := path[len(path)-1].Value.(ast.String); ok && l.hides(string(last)) {
		l.hidden(module.Package.Location, "package", string(last))
	}
	taken := map[string]bool{}
	for _, i := range module.Imports {
		if name := string(i.Name()); l.hides(name) && !strings.HasPrefix(i.Path.String(), "future.") {
			l.hidden(i.Location, "import", name)
			taken[name] = true
		}
	}
	for _, rule := range module.Rules {
		l.namesOf(rule, taken)
	}
}

func (l *linter) namesOf(rule *ast.Rule, imports map[string]bool) {
	if name := written(rule.Head.Ref()[:1]); l.hides(name) {
		l.hidden(rule.Head.Location, "rule", name)
		return
	}
	told := map[string]bool{}
	variable := func(at *ast.Location, name string) {
		if l.hides(name) && !imports[name] && !told[name] {
			told[name] = true
			l.hidden(at, "variable", name)
		}
	}
	at := rule.Location
	var walk *ast.GenericVisitor
	walk = ast.NewGenericVisitor(func(x any) bool {
		switch x := x.(type) {
		case *ast.Expr:
			at = x.Location
			if operator, args := parts(x); operator != nil {
				walk.Walk(ast.Args(args))
				walkAll(walk, x.With)
				return true
			}
		case ast.Call:
			walk.Walk(ast.Args(x[1:])) // a misspelt function is a compile error
			return true
		case *ast.Term:
			if v, ok := x.Value.(ast.Var); ok {
				variable(cmp.Or(x.Location, at), string(v))
			}
		case ast.Ref:
			return l.isCheck(written(x))
		}
		return false
	})
	walk.Walk(rule)
}

func walkAll(walk *ast.GenericVisitor, withs []*ast.With) {
	for _, with := range withs {
		walk.Walk(with)
	}
}

func (l *linter) hides(name string) bool {
	return slices.ContainsFunc(l.checks, func(check string) bool {
		return strings.HasPrefix(check, name+".")
	})
}

func (l *linter) hidden(at *ast.Location, what, name string) {
	l.add(at, HiddenCheck, fmt.Sprintf("the %s %s hides the functions of that name", what, name), "call it release, dependency, ref or resource")
}
