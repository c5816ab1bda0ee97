// SPDX-License-Identifier: Apache-2.0

package lint

import (
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
)

// Facts are what is known of the rules of all files, by their full names.
type facts struct {
	rules   map[string][]*ast.Rule
	defined map[string]bool            // never undefined, whatever the input
	uses    map[string]map[string]bool // functions and rules that a rule names
	judging map[string]bool            // asks a check, or somebody who does
	gives   map[string]call            // the check whose answer is the rule's value
	verdict map[string]bool            // packages that ask whether anything verified
}

func newFacts() *facts {
	return &facts{
		rules: map[string][]*ast.Rule{}, defined: map[string]bool{}, uses: map[string]map[string]bool{},
		judging: map[string]bool{}, gives: map[string]call{}, verdict: map[string]bool{},
	}
}

func (l *linter) learn(modules []*ast.Module) {
	each := func(f func(name string, module *ast.Module, rule *ast.Rule)) {
		for _, module := range modules {
			for _, rule := range module.Rules {
				f(fullName(module, rule), module, rule)
			}
		}
	}
	each(func(name string, _ *ast.Module, rule *ast.Rule) {
		l.facts.rules[name] = append(l.facts.rules[name], rule)
		l.facts.defined[name] = l.facts.defined[name] || always(rule)
	})
	each(l.read)
	l.facts.spread()
}

// read notes what a rule asks and what it gives.
func (l *linter) read(name string, module *ast.Module, rule *ast.Rule) {
	s := newScope(l, module, rule)
	if l.facts.uses[name] == nil {
		l.facts.uses[name] = map[string]bool{}
	}
	ast.WalkRefs(rule, func(ref ast.Ref) bool {
		l.facts.uses[name][s.ruleOf(ref)] = true
		l.facts.judging[name] = l.facts.judging[name] || l.isCheck(s.name(ref))
		return false
	})
	if l.asksVerdict(s) {
		l.facts.verdict[packageName(module)] = true
	}
	for at := rule; at != nil; at = at.Else {
		if at.Head.Value == nil {
			continue
		}
		if c, ok := s.callOf(at.Head.Value); ok && l.isCheck(c.function) {
			l.facts.gives[name] = c
		}
	}
}

// asksVerdict says whether a rule asks a predicate, or names an outcome that
// what could not be judged does not share with what was rejected.
func (l *linter) asksVerdict(s *scope) (asks bool) {
	ast.WalkRefs(s.rule, func(ref ast.Ref) bool {
		asks = asks || slices.Contains(l.checks, s.name(ref))
		return asks
	})
	ast.WalkTerms(s.rule, func(t *ast.Term) bool {
		asks = asks || t.Equal(ast.StringTerm("verified")) || t.Equal(ast.StringTerm("undecided"))
		return asks
	})
	return asks
}

// spread makes judging whoever asks somebody who is.
func (f *facts) spread() {
	for again := true; again; {
		again = false
		for name, used := range f.uses {
			for other := range used {
				if f.judging[other] && !f.judging[name] {
					f.judging[name], again = true, true
				}
			}
		}
	}
}

// always says whether a rule alone sees to it that its name is never undefined.
func always(rule *ast.Rule) bool {
	if rule.Default || rule.Head.RuleKind() == ast.MultiValue || grows(rule) {
		return true
	}
	plain := len(rule.Body) == 0 || rule.Body.Equal(ast.NewBody(ast.NewExpr(ast.BooleanTerm(true))))
	return plain && len(rule.Head.Args) == 0 && rule.Head.Value != nil && constant(rule.Head.Value)
}

// grows is true of objects that rules add to: they are there when they are empty.
func grows(rule *ast.Rule) bool {
	for _, part := range rule.Head.Ref()[1:] {
		if _, ok := part.Value.(ast.String); !ok {
			return true
		}
	}
	return false
}

// constant is true of what depends on nothing.
func constant(term *ast.Term) bool {
	plain := true
	ast.WalkTerms(term, func(t *ast.Term) bool {
		switch t.Value.(type) {
		case ast.Ref, ast.Var, ast.Call:
			plain = false
		}
		return !plain || isComprehension(t)
	})
	return plain
}

func isComprehension(t *ast.Term) bool {
	switch t.Value.(type) {
	case *ast.ArrayComprehension, *ast.SetComprehension, *ast.ObjectComprehension:
		return true
	}
	return false
}

func fullName(module *ast.Module, rule *ast.Rule) string {
	return packageName(module) + "." + written(rule.Head.Ref())
}

func packageName(module *ast.Module) string { return written(module.Package.Path) }

// written joins the parts of a reference as far as they are written out.
func written(ref ast.Ref) string {
	var name strings.Builder
	for i, part := range ref {
		switch v := part.Value.(type) {
		case ast.Var:
			if i > 0 {
				return name.String()
			}
			name.WriteString(string(v))
		case ast.String:
			name.WriteString("." + string(v))
		default:
			return name.String()
		}
	}
	return name.String()
}

// imported gives what an import's name stands for.
func imported(module *ast.Module, name ast.Var) (string, bool) {
	for _, i := range module.Imports {
		if path := written(i.Path.Value.(ast.Ref)); i.Name() == name && !strings.HasPrefix(path, "future.") {
			return path, true
		}
	}
	return "", false
}
