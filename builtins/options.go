// SPDX-License-Identifier: Apache-2.0

package builtins

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// DecodeStrict reads one JSON object into a struct of options. What
// encoding/json would let pass is refused by name: an unknown field, a field
// in another case, a field named twice, and null.
func DecodeStrict(raw []byte, into any) error { return DecodeStrictAs("options", raw, into) }

// DecodeStrictAs is [DecodeStrict] for something else than options, which its
// errors call by the name what.
func DecodeStrictAs(what string, raw []byte, into any) error {
	var decoded any
	if err := json.Unmarshal(raw, &decoded); err != nil { // also bounds the depth
		return fmt.Errorf("%s are not JSON: %w", what, err)
	}
	if err := uniqueKeys(json.NewDecoder(bytes.NewReader(raw))); err != nil {
		return fmt.Errorf("%s %w", what, err)
	}
	if err := fits(decoded, reflect.TypeOf(into).Elem(), what); err != nil {
		return err
	}
	err := json.Unmarshal(raw, into)
	var wrong *json.UnmarshalTypeError
	if errors.As(err, &wrong) {
		return fmt.Errorf("%s.%s is a %s, want %s", what, wrong.Field, wrong.Value, kindName(wrong.Type))
	}
	return err
}

// fits walks value and the type it is for, and names the first field that the
// type does not have. Wrong scalars are left to encoding/json.
func fits(value any, t reflect.Type, path string) error {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch v := value.(type) {
	case nil:
		return fmt.Errorf("%s is null, want %s", path, kindName(t))
	case map[string]any:
		return fitsStruct(v, t, path)
	case []any:
		if t.Kind() != reflect.Slice {
			return fmt.Errorf("%s is a list, want %s", path, kindName(t))
		}
		for i, item := range v {
			if err := fits(item, t.Elem(), fmt.Sprintf("%s[%d]", path, i)); err != nil {
				return err
			}
		}
	default:
		if t.Kind() == reflect.Struct {
			return fmt.Errorf("%s is %s, want an object", path, jsonKind(v))
		}
	}
	return nil
}

func fitsStruct(v map[string]any, t reflect.Type, path string) error {
	if t.Kind() == reflect.Map {
		return nil
	}
	if t.Kind() != reflect.Struct {
		return fmt.Errorf("%s is an object, want %s", path, kindName(t))
	}
	fields := fieldsOf(t)
	for _, name := range slices.Sorted(maps.Keys(v)) {
		field, ok := fields[name]
		if !ok {
			return fmt.Errorf("%s has the unknown field %q; known are %s", path, Clip(name), strings.Join(slices.Sorted(maps.Keys(fields)), ", "))
		}
		if err := fits(v[name], field, path+"."+name); err != nil {
			return err
		}
	}
	return nil
}

func fieldsOf(t reflect.Type) map[string]reflect.Type {
	fields := map[string]reflect.Type{}
	for i := range t.NumField() {
		if name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ","); name != "" {
			fields[name] = t.Field(i).Type
		}
	}
	return fields
}

func kindName(t reflect.Type) string {
	if t == reflect.TypeFor[Duration]() {
		return `a duration such as "1.5s"`
	}
	switch t.Kind() {
	case reflect.Pointer:
		return kindName(t.Elem())
	case reflect.Bool:
		return "true or false"
	case reflect.Int, reflect.Int64:
		return "a whole number"
	case reflect.Slice:
		return "a list"
	case reflect.Struct, reflect.Map:
		return "an object"
	}
	return "a string"
}

func jsonKind(v any) string {
	switch v.(type) {
	case bool:
		return "a boolean"
	case float64:
		return "a number"
	}
	return "a string"
}

// uniqueKeys refuses a JSON value in which one object names a member twice.
func uniqueKeys(dec *json.Decoder) error {
	tok, err := dec.Token()
	if err != nil {
		return fmt.Errorf("are not JSON: %w", err)
	}
	delim, nested := tok.(json.Delim)
	if !nested {
		return nil
	}
	seen := map[string]bool{}
	for dec.More() {
		if delim == '{' {
			key, err := dec.Token()
			if err != nil {
				return fmt.Errorf("are not JSON: %w", err)
			}
			if name := key.(string); seen[name] {
				return fmt.Errorf("name the field %q twice", Clip(name))
			}
			seen[key.(string)] = true
		}
		if err := uniqueKeys(dec); err != nil {
			return err
		}
	}
	if _, err := dec.Token(); err != nil {
		return fmt.Errorf("are not JSON: %w", err)
	}
	return nil
}
