// SPDX-License-Identifier: Apache-2.0

package archive

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"reflect"
	"slices"
	"strings"
	"unicode/utf8"

	yamlv2 "go.yaml.in/yaml/v2"
	"sigs.k8s.io/yaml"

	"github.com/chartseal/chartseal/builtins"
)

// StrictYAML decodes the one document in raw into the struct that into points
// to. The values are those that Helm would read. Refused is what another
// reader could read otherwise: a key that is there twice, or that differs
// from a known one in case only, or is no string; a null in a list; a second
// document; aliases that multiply the text; more values than anyone writes, or
// twice as many marks of values, wherever they stand. Keys that into does not
// know are skipped.
//
// The error has no code: what malformed text means is the caller's to say.
func StrictYAML(raw []byte, into any) error {
	_, err := decodeStrict(raw, into)
	return err
}

// decodeStrict also gives the document as it was written, before its values
// took the types of into.
func decodeStrict(raw []byte, into any) (map[any]any, error) {
	if marks(raw) > maxMarks {
		return nil, fmt.Errorf("more than %d commas, brackets, colons and dashes that mark values", maxMarks)
	}
	document, err := soleDocument(raw)
	if err != nil {
		return nil, err
	}
	// Without aliases no text decodes to more than twice its size.
	c := checker{allowance: 4*len(raw) + 64<<10, nodes: maxNodes}
	if err := c.check("", document, reflect.TypeOf(into).Elem()); err != nil {
		return nil, err
	}
	if err := yaml.Unmarshal(raw, into); err != nil {
		return nil, foreign(err)
	}
	return document, nil
}

// soleDocument parses with the parser that Helm's own YAML package uses.
func soleDocument(raw []byte) (map[any]any, error) {
	var first, second any
	dec := yamlv2.NewDecoder(bytes.NewReader(raw))
	dec.SetStrict(true)
	if err := dec.Decode(&first); errors.Is(err, io.EOF) {
		return nil, errors.New("empty document")
	} else if err != nil {
		return nil, foreign(err)
	}
	if err := dec.Decode(&second); !errors.Is(err, io.EOF) {
		return nil, errors.New("text after the first YAML document")
	}
	document, ok := first.(map[any]any)
	if !ok {
		return nil, errors.New("document is not a mapping")
	}
	return document, nil
}

// foreign keeps of a parser's error what may be shown: it repeats the text parsed.
func foreign(err error) error {
	text := strings.Join(strings.Fields(err.Error()), " ")
	for _, noise := range []string{"error converting YAML to JSON: ", "error unmarshaling JSON: ", "while decoding JSON: ", "yaml: ", "json: ", "unmarshal errors: "} {
		text = strings.TrimPrefix(text, noise)
	}
	return fmt.Errorf("not strict YAML: %q", builtins.Clip(text))
}

const (
	// maxNodes is how many values a document may hold. Charts have hundreds.
	maxNodes = 50_000
	// maxMarks is how many marks of values a text may have, be they values or
	// not. A mebibyte can have a million, and whoever parses those before he
	// counts has spent half a second.
	maxMarks = 2 * maxNodes
)

// marks counts what can begin another value, or a key with its value, wherever
// it stands: no document has more than a few values for each. YAML inside
// of a text has one in about twenty bytes, prose has fewer. What is no ASCII counts
// as a blank, since YAML knows line ends there, too.
func marks(raw []byte) (n int) {
	for i, c := range raw {
		switch c {
		case '[', '{', ',':
			n++
		case ':', '-', '?':
			if i+1 == len(raw) || raw[i+1] <= ' ' || raw[i+1] >= utf8.RuneSelf {
				n++
			}
		}
	}
	return n
}

// A checker walks a decoded document beside the type it is meant for.
type checker struct {
	allowance int // what is left of the size that the text can have without tricks
	nodes     int // what is left of maxNodes
}

func (c *checker) check(at string, v any, t reflect.Type) error {
	if c.nodes--; c.nodes < 0 {
		return fmt.Errorf("more than %d values", maxNodes)
	}
	c.allowance--
	if s, ok := v.(string); ok {
		c.allowance -= len(s)
	}
	if c.allowance < 0 {
		return errors.New("aliases multiply the document beyond its size")
	}
	for t != nil && t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch v := v.(type) {
	case map[any]any:
		return c.checkMapping(at, v, t)
	case []any:
		return c.checkList(at, v, t)
	}
	return nil
}

func (c *checker) checkMapping(at string, m map[any]any, t reflect.Type) error {
	byKey := make(map[string]any, len(m))
	for k, v := range m {
		key, ok := k.(string)
		if !ok {
			return errors.New(in(at) + "a key is not a string")
		}
		byKey[key] = v
	}
	for _, key := range slices.Sorted(maps.Keys(byKey)) {
		c.allowance -= len(key)
		known, err := valueType(t, key)
		if err != nil {
			return fmt.Errorf("%s%w", in(at), err)
		}
		if err := c.check(at+"."+key, byKey[key], known); err != nil {
			return err
		}
	}
	return nil
}

func (c *checker) checkList(at string, list []any, t reflect.Type) error {
	var elem reflect.Type
	if t != nil && t.Kind() == reflect.Slice {
		elem = t.Elem()
	}
	for i, v := range list {
		if v == nil {
			return fmt.Errorf("%sentry %d is null", in(at), i+1)
		}
		if err := c.check(at, v, elem); err != nil {
			return err
		}
	}
	return nil
}

// in names a place in a document, quoted since its keys are foreign.
func in(at string) string {
	if at == "" {
		return ""
	}
	return fmt.Sprintf("%q: ", builtins.Clip(strings.TrimPrefix(at, ".")))
}

// valueType is the type that key's value goes to in t; nil if t does not know key.
func valueType(t reflect.Type, key string) (reflect.Type, error) {
	switch {
	case t == nil:
		return nil, nil
	case t.Kind() == reflect.Map:
		return t.Elem(), nil
	case t.Kind() != reflect.Struct:
		return nil, nil
	}
	var known reflect.Type
	for i := range t.NumField() {
		name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		switch {
		case name == key:
			known = t.Field(i).Type
		case strings.EqualFold(name, key):
			// encoding/json would take it for the field.
			return nil, fmt.Errorf("key %q differs from %q in case only", builtins.Clip(key), name)
		}
	}
	return known, nil
}
