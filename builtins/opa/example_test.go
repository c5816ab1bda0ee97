// SPDX-License-Identifier: Apache-2.0

package opa_test

import (
	"context"
	"fmt"

	"github.com/open-policy-agent/opa/v1/rego"
)

// A program that embeds OPA registers the functions once, before it compiles
// anything; the environment is that of its configuration:
//
//	env, err := config.Default().Env(slog.Default())
//	…
//	opa.Register(env, all.Builtins...)
//
// From then on its policies call them as they call any function.
func ExampleRegister() {
	results, err := rego.New(
		rego.Query(`report := helm.verify_prov_report(input.chart, {"keyring": input.keyring})`),
		rego.Input(map[string]any{"chart": "unsigned.tgz", "keyring": trusting["keyring"]}),
	).Eval(context.Background())
	if err != nil {
		fmt.Println(err)
		return
	}
	report := results[0].Bindings["report"].(map[string]any)
	fmt.Println(report["outcome"], report["code"])
	// Output: rejected not_found
}
