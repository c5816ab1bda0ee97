// SPDX-License-Identifier: Apache-2.0

// Command chartseal-gator is Gatekeeper's gator with its external data
// answered in this process: ConstraintTemplates that verify charts run in CI as
// they do in a cluster. The commands are gator's own, with its flags, its
// output and its exit codes.
package main

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"os"

	"github.com/open-policy-agent/gatekeeper/v3/cmd/gator/bench"
	"github.com/open-policy-agent/gatekeeper/v3/cmd/gator/expand"
	"github.com/open-policy-agent/gatekeeper/v3/cmd/gator/sync"
	"github.com/open-policy-agent/gatekeeper/v3/cmd/gator/test"
	"github.com/open-policy-agent/gatekeeper/v3/cmd/gator/verify"
	"github.com/spf13/cobra"

	"github.com/chartseal/chartseal/builtins/config"
	"github.com/chartseal/chartseal/cmd/chartseal-gator/external"
	"github.com/chartseal/chartseal/cmd/chartseal/start"
)

// configVariable names the configuration where the flag does not.
const configVariable = "CHARTSEAL_CONFIG"

// version is set by the linker in releases.
var version = "dev"

func main() { os.Exit(run(os.Args[1:])) }

// run gives gator's exit code, 1 for whatever went wrong, and 2 for a
// configuration that cannot be used. Most of gator's commands end the process
// themselves.
func run(args []string) int {
	root := command()
	root.SetArgs(args)
	err := root.Execute()
	switch {
	case err == nil:
		return 0
	case errors.As(err, new(configError)):
		return 2
	}
	return 1
}

// A configError is a configuration that cannot be used.
type configError struct{ error }

// command has of gator's commands those that need no cluster. Where policies
// are evaluated, whatever they ask is answered.
func command() *cobra.Command {
	root := &cobra.Command{
		Use:     "chartseal-gator subcommand",
		Short:   "gator, with external data about Helm charts answered in this process",
		Version: version,
	}
	path := root.PersistentFlags().String("config", "", "chartseal.yaml with trust, registries and limits (default $"+configVariable+")")
	answered := func(cmd *cobra.Command, _ []string) error {
		if cmd == bench.Cmd {
			start.Serve() // its figures are those of a webhook, which goes on
		}
		if err := answer(*path); err != nil {
			cmd.SilenceUsage = true
			return configError{fmt.Errorf("configuration: %w", err)}
		}
		return nil
	}
	for _, evaluating := range []*cobra.Command{verify.Cmd, test.Cmd, bench.Cmd} {
		evaluating.PreRunE = answered
		root.AddCommand(evaluating)
	}
	root.AddCommand(expand.Cmd, sync.Cmd, &cobra.Command{
		Use: "version", Short: "Print the version", Args: cobra.NoArgs,
		Run: func(cmd *cobra.Command, _ []string) { fmt.Fprintln(cmd.OutOrStdout(), version) },
	})
	return root
}

// answer makes the provider of the configuration at path, at CHARTSEAL_CONFIG
// or, without either, of none: such a provider reaches no host and trusts no
// name, so that whatever asks it is denied.
func answer(path string) error {
	c := config.Default()
	if path = cmp.Or(path, os.Getenv(configVariable)); path != "" {
		var err error
		if c, err = config.Load(path); err != nil {
			return err
		}
	}
	return external.Answer(c, slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})))
}
