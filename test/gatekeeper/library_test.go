// SPDX-License-Identifier: Apache-2.0

package gatekeeper

import (
	"encoding/json"
	"io/fs"
	"path"
	"strings"
	"testing"

	templatesv1 "github.com/open-policy-agent/frameworks/constraint/pkg/apis/templates/v1"
	constraint "github.com/open-policy-agent/frameworks/constraint/pkg/client"
	"github.com/open-policy-agent/frameworks/constraint/pkg/client/drivers/rego"
	"github.com/open-policy-agent/frameworks/constraint/pkg/externaldata"
	"github.com/open-policy-agent/frameworks/constraint/pkg/handler/handlertest"

	library "github.com/chartseal/chartseal/rego"
)

// Gatekeeper takes every package of the library into a template.
func TestGatekeeperTakesTheLibrary(t *testing.T) {
	driver, err := rego.New(rego.AddExternalDataProviderCache(externaldata.NewCache()))
	succeeds(t, err)
	name := target
	client, err := constraint.NewClient(constraint.Targets(&handlertest.Handler{Name: &name}), constraint.Driver(driver), constraint.EnforcementPoints("validation.gatekeeper.sh"))
	succeeds(t, err)
	libs, imports := []string{}, ""
	for _, folder := range []string{"engines/gatekeeper/lib", "lib"} {
		succeeds(t, fs.WalkDir(library.FS, folder, func(name string, d fs.DirEntry, err error) error {
			if err != nil || path.Ext(name) != ".rego" {
				return err
			}
			raw, err := fs.ReadFile(library.FS, name)
			libs, imports = append(libs, string(raw)), imports+"import data.lib."+path.Base(path.Dir(name))+"\n"
			return err
		}))
	}
	entry := "package policies.everything\n\n" + imports + "\nviolation contains {\"msg\": \"none\"} if refs.parse(input.review.object).ok\n"
	raw, err := json.Marshal(map[string]any{
		"apiVersion": "templates.gatekeeper.sh/v1", "kind": "ConstraintTemplate", "metadata": map[string]any{"name": "everything"},
		"spec": map[string]any{
			"crd": map[string]any{"spec": map[string]any{"names": map[string]any{"kind": "Everything"}}},
			"targets": []any{map[string]any{"target": target, "code": []any{map[string]any{
				"engine": "Rego", "source": map[string]any{"version": "v1", "rego": entry, "libs": libs},
			}}}},
		},
	})
	succeeds(t, err)
	var v1 templatesv1.ConstraintTemplate
	succeeds(t, json.Unmarshal(raw, &v1))
	template, err := v1.ToVersionless()
	succeeds(t, err)
	if _, err := client.AddTemplate(t.Context(), template); err != nil {
		t.Errorf("%d packages (%s): %v", len(libs), strings.Fields(imports), err)
	}
}
