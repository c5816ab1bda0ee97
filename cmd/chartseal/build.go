// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"os"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/spf13/cobra"

	"github.com/chartseal/chartseal/builtins/all"
)

// guardBuild makes `build` refuse what it cannot keep: a wasm module or a plan
// runs without our functions, where a call of theirs would fail or be
// undefined. Without them among its capabilities, such a policy does not compile.
func guardBuild(root *cobra.Command) {
	build, _, err := root.Find([]string{"build"})
	if err != nil {
		panic(err)
	}
	before := build.PreRunE
	build.PreRunE = func(cmd *cobra.Command, args []string) error {
		target, capabilities := cmd.Flag("target"), cmd.Flag("capabilities")
		if target.Value.String() != "rego" && !capabilities.Changed {
			if err := setStockCapabilities(capabilities.Value.Set); err != nil {
				return err
			}
		}
		return before(cmd, args)
	}
}

// setStockCapabilities hands OPA's own capabilities to a flag, which reads them
// from a file.
func setStockCapabilities(set func(path string) error) error {
	stock := ast.CapabilitiesForThisVersion()
	stock.Builtins = slices.DeleteFunc(stock.Builtins, ours)
	raw, err := json.Marshal(stock)
	if err != nil {
		return err
	}
	file, err := os.CreateTemp("", "capabilities-*.json")
	if err != nil {
		return err
	}
	defer os.Remove(file.Name())
	if _, err := file.Write(raw); err != nil {
		return err
	}
	if err := file.Close(); err != nil {
		return err
	}
	return set(file.Name())
}

func ours(f *ast.Builtin) bool {
	for _, b := range all.Builtins {
		if strings.TrimSuffix(f.Name, "_report") == b.Name {
			return true
		}
	}
	return false
}
