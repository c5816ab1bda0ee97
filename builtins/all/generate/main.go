// SPDX-License-Identifier: Apache-2.0

// Command generate writes what follows from the table of checks: the
// reference page builtins/README.md, rego/capabilities.json and OPA's lib.engine;
// and beside them what Rego may use in Gatekeeper.
package main

import (
	"encoding/json"
	"log"
	"os"
	"path/filepath"
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/types"

	"github.com/chartseal/chartseal/builtins"
	"github.com/chartseal/chartseal/builtins/all"
	"github.com/chartseal/chartseal/builtins/opa"
)

func main() {
	log.SetFlags(0)
	root := filepath.Join("..", "..")
	for path, content := range map[string][]byte{
		"builtins/README.md":                           must(referencePage(root, all.Builtins)),
		"rego/capabilities.json":                       must(capabilities(all.Builtins)),
		"rego/capabilities-gatekeeper.json":            must(gatekeeperCapabilities()),
		"rego/engines/opa/lib/engine/engine.rego":      must(engineOf(engine, "engine.rego", all.Builtins)),
		"rego/engines/opa/lib/engine/engine_test.rego": must(engineOf(engineTest, "engine_test.rego", all.Builtins)),
	} {
		if err := os.WriteFile(filepath.Join(root, path), content, 0o644); err != nil {
			log.Fatal(err)
		}
	}
}

func must(content []byte, err error) []byte {
	if err != nil {
		log.Fatal(err)
	}
	return content
}

// capabilities is what `chartseal capabilities --current` prints.
func capabilities(table []*builtins.Builtin) ([]byte, error) {
	opa.Register(&builtins.Env{}, table...)
	raw, err := json.MarshalIndent(ast.CapabilitiesForThisVersion(), "", "  ")
	return append(raw, '\n'), err
}

// gatekeeperOPA is the version of OPA in the Gatekeeper that we support.
const gatekeeperOPA = "v1.17.1"

// gatekeeperCapabilities is what Rego may use there: the functions of its OPA,
// without the one that its manifests turn off, and its own.
func gatekeeperCapabilities() ([]byte, error) {
	c, err := ast.LoadCapabilitiesVersion(gatekeeperOPA)
	if err != nil {
		return nil, err
	}
	c.Builtins = slices.DeleteFunc(c.Builtins, func(b *ast.Builtin) bool { return b.Name == "http.send" })
	c.Builtins = append(c.Builtins, &ast.Builtin{Name: "external_data", Decl: types.NewFunction(types.Args(types.A), types.A)})
	raw, err := json.MarshalIndent(c, "", "  ")
	return append(raw, '\n'), err
}
