// SPDX-License-Identifier: Apache-2.0

package opa

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/types"

	"github.com/chartseal/chartseal/builtins"
)

// Predicate is the name of the function that answers true or false.
func Predicate(b *builtins.Builtin) string { return b.Name }

// Report is the name of the function that answers with the whole report.
func Report(b *builtins.Builtin) string { return b.Name + "_report" }

func predicate(b *builtins.Builtin) *rego.Function {
	return function(Predicate(b), b.Doc, b, types.Named("verified", types.B).
		Description("true only if everything asked for was proven"))
}

func report(b *builtins.Builtin) *rego.Function {
	return function(Report(b), b.Doc+" Returns the whole report.", b, types.Named("report", reportType(b)).
		Description("the verdict, its code and reason, and what it rests on"))
}

// function declares a function that is asked anew at each evaluation: a
// verdict must not be frozen into a bundle by partial evaluation.
func function(name, doc string, b *builtins.Builtin, result types.Type) *rego.Function {
	return &rego.Function{
		Name:             name,
		Description:      doc,
		Decl:             types.NewFunction(types.Args(refType(), optionsType(b)), result),
		Nondeterministic: true,
	}
}

func refType() types.Type {
	object := types.NewObject(nil, types.NewDynamicProperty(types.S, types.A))
	return types.Named("ref", types.NewAny(types.S, object)).
		Description("the chart: oci:// or https:// URL, local path, or object with archive or repository, name and version")
}

// optionsType is open, since OPA would demand every declared property; the
// check itself refuses what it does not know.
func optionsType(b *builtins.Builtin) types.Type {
	object := types.NewObject(nil, types.NewDynamicProperty(types.S, types.A))
	return types.Named("opts", object).Description("options: " + strings.Join(jsonNames(reflect.TypeOf(b.Options)), ", "))
}

// reportType is closed, so that a misspelt field is a compile error.
func reportType(b *builtins.Builtin) types.Type {
	properties := append(propertiesOf(reflect.TypeFor[builtins.Report]()), propertiesOf(reflect.TypeOf(b.Evidence))...)
	return types.NewObject(properties, nil)
}

func propertiesOf(t reflect.Type) []*types.StaticProperty {
	var properties []*types.StaticProperty
	for i := range t.NumField() {
		if name, ok := jsonName(t.Field(i)); ok {
			properties = append(properties, types.NewStaticProperty(name, typeOf(t.Field(i).Type)))
		}
	}
	return properties
}

// typeOf is the Rego type of what encoding/json makes of t. A kind that no
// report uses is a mistake in the table.
func typeOf(t reflect.Type) types.Type {
	switch t.Kind() {
	case reflect.Bool:
		return types.B
	case reflect.String:
		return types.S
	case reflect.Int, reflect.Int64:
		return types.N
	case reflect.Slice:
		return types.NewArray(nil, typeOf(t.Elem()))
	case reflect.Struct:
		return types.NewObject(propertiesOf(t), nil)
	}
	panic(fmt.Sprintf("report field of type %s has no Rego type", t))
}

func jsonNames(t reflect.Type) []string {
	var names []string
	for i := range t.NumField() {
		if name, ok := jsonName(t.Field(i)); ok {
			names = append(names, name)
		}
	}
	return names
}

func jsonName(f reflect.StructField) (string, bool) {
	name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
	return name, name != "" && name != "-"
}

// valueOf panics for evidence that JSON has no form for: a mistake in the table.
func valueOf(rep builtins.Report) ast.Value {
	raw, err := json.Marshal(rep)
	if err != nil {
		panic(err)
	}
	value, err := ast.ValueFromReader(bytes.NewReader(raw))
	if err != nil {
		panic(err)
	}
	return value
}

// jsonOf is a term as JSON text; a value that JSON has no form for gives text
// that no options decode from.
func jsonOf(t *ast.Term) string {
	v, err := ast.JSON(t.Value)
	if err != nil {
		return ""
	}
	raw, err := json.Marshal(v)
	if err != nil {
		return ""
	}
	return string(raw)
}
