// SPDX-License-Identifier: Apache-2.0

package template

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/rego"
)

// Usual is a file of Rego beside the policy's schema: an expression for options
// that fit it, as JSON without spaces and with sorted members. To match it is
// much faster than to compile the schema, which OPA does for every object.
//
// Whatever it matches fits the schema. Not all that fits is matched: what has a
// member of which no expression can be made is not, and nothing is where none
// can be made of a member that is required.
func (p *Policy) Usual() string {
	expression, err := usual(p.schema)
	if _, wrong := regexp.Compile(expression); err != nil || wrong != nil || p.schema["type"] != "object" || !compiles(p.schema) {
		expression = nothing
	}
	return `package lib.schemas.` + p.Name + `

# METADATA
# title: Usual
# description: What nearly all options look like as JSON. Whatever does fits the schema, which takes longer to ask.
usual := ` + "`^(?:" + expression + ")$`\n"
}

// Stale is an error if beside the policy's schema lies an expression of another
// one, such as that of the policy that it is a copy of.
func (p *Policy) Stale() error {
	for _, s := range p.libraries {
		if s.file == "usual.rego" && !strings.HasSuffix(s.text, p.Usual()) {
			return errors.New("usual.rego is not made of schema.rego: delete it, and the schema is asked instead")
		}
	}
	return nil
}

// compiles says whether OPA can read a schema, without which nothing fits it.
func compiles(schema map[string]any) bool {
	results, err := rego.New(rego.Query("json.verify_schema(input)[0]"), rego.Input(schema)).Eval(context.Background())
	return err == nil && results.Allowed()
}

// Since the text is JSON, commas need not be counted, and a string ends at the
// first quote that is not escaped.
const (
	character = `(?:[^"\\]|\\.)`
	nothing   = `[^\s\S]`
	anything  = `(?:"` + character + `*"|[^{}"])`
	members   = `\{` + anything + `*(?:\{` + anything + `*\}` + anything + `*)*\}`
)

// A moment of this pattern is none if its numbers are too large, which is for
// the schema to tell of all days that not every month has.
const (
	moment      = `^20[0-9]{2}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?(Z|[+-][0-9]{2}:[0-9]{2})$`
	usualMoment = `20[0-9]{2}-(?:0[1-9]|1[0-2])-(?:0[1-9]|1[0-9]|2[0-8])T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]Z`
)

func usual(schema map[string]any) (string, error) {
	if enum, ok := schema["enum"].([]any); ok && understood(schema, "enum") {
		return enumerated(enum)
	}
	switch schema["type"] {
	case "string":
		return usualString(schema)
	case "array":
		return usualArray(schema)
	case "object":
		return usualObject(schema)
	}
	return "", fmt.Errorf("no expression for %v", schema)
}

// usualOf is for a schema of a member, which may be a boolean.
func usualOf(schema any) (string, error) {
	object, ok := schema.(map[string]any)
	if !ok {
		return "", fmt.Errorf("no expression for %v", schema)
	}
	return usual(object)
}

// understood says whether a schema asks for nothing but this.
func understood(schema map[string]any, keywords ...string) bool {
	for keyword := range schema {
		if !slices.Contains(keywords, keyword) {
			return false
		}
	}
	return true
}

func enumerated(values []any) (string, error) {
	var words []string
	if len(values) == 0 {
		return "", errors.New("no expression for nothing")
	}
	for _, value := range values {
		word, ok := value.(string)
		if !ok || !plain.MatchString(word) {
			return "", fmt.Errorf("no expression for %v", value)
		}
		words = append(words, regexp.QuoteMeta(word))
	}
	return `"(?:` + strings.Join(words, "|") + `)"`, nil
}

func usualString(schema map[string]any) (string, error) {
	pattern, patterned := schema["pattern"].(string)
	switch {
	case schema["format"] == "date-time" && pattern == moment && understood(schema, "type", "format", "pattern"):
		return `"` + usualMoment + `"`, nil
	case !understood(schema, "type", "pattern") && !understood(schema, "type", "minLength"):
		return "", fmt.Errorf("no expression for %v", schema)
	case patterned:
		return usualPattern(pattern)
	}
	least, err := repeated(schema["minLength"])
	return `"` + character + least + `"`, err
}

// usualPattern takes a pattern from the beginning of the text, by which no
// quote and nothing escaped can be meant.
func usualPattern(pattern string) (string, error) {
	rest, anchored := strings.CutPrefix(pattern, "^")
	whole, ended := strings.CutSuffix(rest, "$")
	parsed, err := syntax.Parse(whole, syntax.Perl)
	if err != nil || !anchored || strings.Contains(pattern, "`") || strings.Contains(pattern, `\Q`) || mentions(parsed, '"', '\\') {
		return "", fmt.Errorf("no expression for %q: %w", pattern, err)
	}
	if ended {
		return `"(?:` + whole + `)"`, nil
	}
	return `"(?:` + whole + `)` + character + `*"`, nil
}

func mentions(re *syntax.Regexp, runes ...rune) bool {
	for _, r := range runes {
		switch re.Op {
		case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
			return true
		case syntax.OpLiteral:
			if slices.Contains(re.Rune, r) {
				return true
			}
		case syntax.OpCharClass:
			for i := 0; i < len(re.Rune); i += 2 {
				if re.Rune[i] <= r && r <= re.Rune[i+1] {
					return true
				}
			}
		}
	}
	return slices.ContainsFunc(re.Sub, func(sub *syntax.Regexp) bool { return mentions(sub, runes...) })
}

func usualArray(schema map[string]any) (string, error) {
	items, _ := schema["items"].(map[string]any)
	if !understood(schema, "type", "items", "minItems") {
		return "", fmt.Errorf("no expression for %v", schema)
	}
	item, err := usual(items)
	if err != nil {
		return "", err
	}
	least, err := repeated(schema["minItems"])
	return `\[(?:` + item + `,?)` + least + `\]`, err
}

// repeated is the operator for none at least, or one.
func repeated(least any) (string, error) {
	switch fmt.Sprint(least) {
	case "<nil>", "0":
		return "*", nil
	case "1":
		return "+", nil
	}
	return "", fmt.Errorf("no expression for %v at least", least)
}

func usualObject(schema map[string]any) (string, error) {
	switch {
	case understood(schema, "type"):
		return members, nil
	case understood(schema, "type", "additionalProperties", "patternProperties", "minProperties", "maxProperties"):
		return usualMember(schema)
	case !understood(schema, "type", "additionalProperties", "properties", "required", "anyOf"):
		return "", fmt.Errorf("no expression for %v", schema)
	}
	alternatives, ok := schema["anyOf"].([]any)
	if !ok {
		return usualMembers(schema)
	}
	var all []string
	for _, alternative := range alternatives {
		one, ok := alternative.(map[string]any)
		if text, err := usualMembers(schema, one["required"]); ok && err == nil && understood(one, "required") {
			all = append(all, text)
		}
	}
	if len(all) == 0 {
		return "", fmt.Errorf("no expression for any of %v", alternatives)
	}
	return "(?:" + strings.Join(all, "|") + ")", nil
}

// usualMember is an object with the one member that a pattern names.
func usualMember(schema map[string]any) (string, error) {
	properties, _ := schema["patternProperties"].(map[string]any)
	if schema["additionalProperties"] != false || fmt.Sprintf("%v %v", schema["minProperties"], schema["maxProperties"]) != "1 1" || len(properties) != 1 {
		return "", fmt.Errorf("no expression for %v", schema)
	}
	for pattern, of := range properties {
		name, err := usualPattern(pattern)
		if err != nil {
			return "", err
		}
		value, err := usualOf(of)
		return `\{` + name + `:` + value + `\}`, err
	}
	return "", nil
}

// usualMembers leaves out what it cannot tell, unless it is required, by the
// schema or further.
func usualMembers(schema map[string]any, further ...any) (string, error) {
	properties, _ := schema["properties"].(map[string]any)
	required, err := demanded(properties, append(further, schema["required"])...)
	if err != nil || schema["additionalProperties"] != false {
		return "", fmt.Errorf("no expression for %v: %w", schema, err)
	}
	var text strings.Builder
	for _, name := range slices.Sorted(maps.Keys(properties)) {
		value, err := usualOf(properties[name])
		switch {
		case required[name] && err != nil:
			return "", err
		case required[name]:
			text.WriteString(`(?:"` + regexp.QuoteMeta(name) + `":` + value + `,?)`)
		case err == nil && plain.MatchString(name):
			text.WriteString(`(?:"` + regexp.QuoteMeta(name) + `":` + value + `,?)?`)
		}
	}
	return `\{` + text.String() + `\}`, nil
}

// plain words are in JSON what they are.
var plain = regexp.MustCompile(`^[a-zA-Z0-9._-]+$`)

// demanded are the members that lists require, all of them plain and known. A list
// may be absent.
func demanded(properties map[string]any, lists ...any) (map[string]bool, error) {
	required := map[string]bool{}
	for _, list := range lists {
		items, ok := list.([]any)
		if !ok && list != nil {
			return nil, fmt.Errorf("%v requires nothing", list)
		}
		for _, item := range items {
			name, _ := item.(string)
			if properties[name] == nil || !plain.MatchString(name) {
				return nil, fmt.Errorf("%v is required and not known", item)
			}
			required[name] = true
		}
	}
	return required, nil
}
