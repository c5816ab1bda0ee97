// SPDX-License-Identifier: Apache-2.0

// Command generate writes what follows from the table of checks: the
// reference page builtins/README.md and rego/capabilities.json.
package main

import (
	"encoding/json"
	"log"
	"os"
	"path/filepath"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/chartseal/chartseal/builtins"
	"github.com/chartseal/chartseal/builtins/all"
	"github.com/chartseal/chartseal/builtins/opa"
)

func main() {
	log.SetFlags(0)
	root := filepath.Join("..", "..")
	page, err := referencePage(root, all.Builtins)
	if err != nil {
		log.Fatal(err)
	}
	capabilities, err := capabilities(all.Builtins)
	if err != nil {
		log.Fatal(err)
	}
	for path, content := range map[string][]byte{"builtins/README.md": page, "rego/capabilities.json": capabilities} {
		if err := os.WriteFile(filepath.Join(root, path), content, 0o644); err != nil {
			log.Fatal(err)
		}
	}
}

// capabilities is what `chartseal capabilities --current` prints.
func capabilities(table []*builtins.Builtin) ([]byte, error) {
	opa.Register(&builtins.Env{}, table...)
	raw, err := json.MarshalIndent(ast.CapabilitiesForThisVersion(), "", "  ")
	return append(raw, '\n'), err
}
