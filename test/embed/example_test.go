// SPDX-License-Identifier: Apache-2.0

// Package embed_test is a program that embeds OPA with our functions in it.
package embed_test

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/open-policy-agent/opa/v1/rego"

	"github.com/chartseal/chartseal/builtins/all"
	"github.com/chartseal/chartseal/builtins/config"
	"github.com/chartseal/chartseal/builtins/opa"
	"github.com/chartseal/chartseal/test/forge"
)

func Example() {
	cfg := config.Default() // or config.Load("chartseal.yaml")
	env, err := cfg.Env(slog.Default())
	if err != nil {
		fmt.Println(err)
		return
	}
	opa.Register(env, all.Builtins...) // once, before anything is compiled

	results, err := rego.New(
		rego.Query(`report := helm.verify_prov_report(input.chart, {"keyring": input.keyring})`),
		rego.Input(map[string]any{
			"chart":   "web-1.2.3.tgz",
			"keyring": forge.NewKey(forge.KeySpec{}).ArmoredPublic(), // as gpg --export --armor writes it
		}),
	).Eval(context.Background())
	if err != nil { // the options are wrong, or the context has ended
		fmt.Println(err)
		return
	}
	report := results[0].Bindings["report"].(map[string]any)
	fmt.Println(report["outcome"], report["code"], report["reason"])
	// Output: rejected not_found there is no "web-1.2.3.tgz"
}
