// SPDX-License-Identifier: Apache-2.0

package all_test

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/chartseal/chartseal/builtins"
	"github.com/chartseal/chartseal/builtins/all"
	"github.com/chartseal/chartseal/builtins/chartref"
)

func TestNamesAreUniqueAndArePaths(t *testing.T) {
	seen := map[string]bool{}
	for _, b := range all.Builtins {
		if seen[b.Name] {
			t.Errorf("%s stands in the table twice", b.Name)
		}
		seen[b.Name] = true
		namespace, function, _ := strings.Cut(b.Name, ".")
		if _, err := os.Stat(filepath.Join("..", namespace, function+".go")); err != nil {
			t.Errorf("%s is not in the file of its name: %v", b.Name, err)
		}
	}
}

func TestEverythingIsDocumented(t *testing.T) {
	for _, b := range all.Builtins {
		if !strings.HasSuffix(b.Doc, ".") {
			t.Errorf("%s: doc %q does not end in a full stop", b.Name, b.Doc)
		}
		documented(t, b.Name, reflect.TypeOf(b.Options))
		documented(t, b.Name, reflect.TypeOf(b.Evidence))
	}
	documented(t, "limits", reflect.TypeFor[builtins.Limits]())
}

// documented wants a name and a doc for each field, nested ones too, unless
// the name of a field in a report says it all.
func documented(t *testing.T, path string, typ reflect.Type) {
	t.Helper()
	for typ.Kind() == reflect.Pointer || typ.Kind() == reflect.Slice {
		typ = typ.Elem()
	}
	if typ.Kind() != reflect.Struct {
		return
	}
	for i := range typ.NumField() {
		f := typ.Field(i)
		if f.Tag.Get("json") == "" {
			t.Errorf("%s.%s has no JSON name", path, f.Name)
		}
		if f.Tag.Get("doc") == "" {
			t.Errorf("%s.%s has no doc", path, f.Name)
		}
		documented(t, path+"."+f.Name, f.Type)
	}
}

// An option that is misspelt, or spelt in another case, is refused by every check.
func TestNoCheckTakesAMisspeltOption(t *testing.T) {
	env := &builtins.Env{Limits: builtins.DefaultLimits()}
	for _, b := range all.Builtins {
		typ := reflect.TypeOf(b.Options)
		for i := range typ.NumField() {
			name, _, _ := strings.Cut(typ.Field(i).Tag.Get("json"), ",")
			for _, wrong := range []string{strings.ToUpper(name), name + "_", strings.ReplaceAll(name, "_", "") + "s"} {
				rep := b.Call(t.Context(), env, chartref.Ref{}, []byte(`{"`+wrong+`": true}`))
				if rep.Code != builtins.InvalidOptions || !strings.Contains(rep.Reason, wrong) {
					t.Errorf("%s: option %s gives %s: %s", b.Name, wrong, rep.Code, rep.Reason)
				}
			}
		}
	}
}
