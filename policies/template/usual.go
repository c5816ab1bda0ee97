// SPDX-License-Identifier: Apache-2.0

package template

import (
	"fmt"
	"maps"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"
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
	if err != nil {
		expression = nothing
	}
	return `package lib.schemas.` + p.Name + `

# METADATA
# title: Usual
# description: What nearly all options look like as JSON. Whatever does fits the schema, which takes longer to ask.
usual := ` + "`^(?:" + expression + ")$`\n"
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
	for _, value := range values {
		word, ok := value.(string)
		if !ok || !regexp.MustCompile(`^[a-zA-Z0-9._-]+$`).MatchString(word) {
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
	parsed, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil || !strings.HasPrefix(pattern, "^") || mentions(parsed, '"', '\\') {
		return "", fmt.Errorf("no expression for %q: %w", pattern, err)
	}
	if whole, ok := strings.CutSuffix(pattern[1:], "$"); ok {
		return `"(?:` + whole + `)"`, nil
	}
	return `"(?:` + pattern[1:] + `)` + character + `*"`, nil
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
	alternatives, _ := schema["anyOf"].([]any)
	if len(alternatives) == 0 {
		return usualMembers(schema, nil)
	}
	var all []string
	for _, alternative := range alternatives {
		one, _ := alternative.(map[string]any)
		if text, err := usualMembers(schema, one["required"]); err == nil && understood(one, "required") {
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
		value, err := usual(of.(map[string]any))
		return `\{` + name + `:` + value + `\}`, err
	}
	return "", nil
}

// usualMembers leaves out what it cannot tell, unless it is required.
func usualMembers(schema map[string]any, further any) (string, error) {
	properties, _ := schema["properties"].(map[string]any)
	if schema["additionalProperties"] != false {
		return "", fmt.Errorf("no expression for %v", schema)
	}
	required, _ := schema["required"].([]any)
	also, _ := further.([]any)
	var text strings.Builder
	for _, name := range slices.Sorted(maps.Keys(properties)) {
		must := slices.Contains(required, any(name)) || slices.Contains(also, any(name))
		value, err := usual(properties[name].(map[string]any))
		switch {
		case err != nil && must:
			return "", err
		case err != nil:
			continue
		}
		text.WriteString(`(?:"` + regexp.QuoteMeta(name) + `":` + value + `,?)`)
		if !must {
			text.WriteString("?")
		}
	}
	return `\{` + text.String() + `\}`, nil
}
