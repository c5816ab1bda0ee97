// SPDX-License-Identifier: Apache-2.0

// Command chartseal-provider answers Gatekeeper's external data: constraints
// in a cluster get from it the verdicts that chartseal gives on a desk and in CI.
package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"

	"github.com/spf13/cobra"

	"github.com/chartseal/chartseal/cmd/chartseal-provider/certs"
)

// configVariable names the configuration where the flag does not.
const configVariable = "CHARTSEAL_CONFIG"

// version is set by the linker in releases.
var version = "dev"

// exitUsage is for a command line or a configuration that cannot be used.
const exitUsage = 2

func main() { os.Exit(run(os.Args[1:])) }

func run(args []string) int {
	root := command()
	root.SetArgs(args)
	err := root.Execute()
	switch {
	case err == nil:
		return 0
	case errors.As(err, new(serveError)):
		fmt.Fprintln(os.Stderr, "chartseal-provider:", err)
		return 1
	}
	fmt.Fprintln(os.Stderr, "chartseal-provider:", err)
	return exitUsage
}

// A serveError ended the server after it had begun.
type serveError struct{ error }

func command() *cobra.Command {
	var path, level string
	var o options
	root := &cobra.Command{
		Use:           "chartseal-provider",
		Short:         "Answer Gatekeeper's external data with verdicts about Helm charts",
		Long:          "chartseal-provider answers POST /v1/check of Gatekeeper's external data. It ends with 0 when it was told to\nstop, 1 when it could not go on, and 2 for a command line or a configuration that cannot be used.",
		Args:          cobra.NoArgs,
		SilenceErrors: true, SilenceUsage: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			out := &lines{to: os.Stderr}
			defer out.flush()
			var err error
			if o.log, err = logger(out, level); err != nil {
				return err
			}
			if o.path, err = pathOf(path); err != nil {
				return err
			}
			return serve(cmd.Context(), o)
		},
	}
	root.Flags().StringVar(&level, "log-level", "info", "debug, info, warn or error; a line per key is info")
	root.Flags().DurationVar(&o.drain, "drain", defaultDrain, "how long to go on after SIGTERM while /readyz says no")
	configFlag(root, &path)
	root.AddCommand(checkCommand(), certs.Command(), &cobra.Command{
		Use: "version", Short: "Print the version", Args: cobra.NoArgs,
		Run: func(cmd *cobra.Command, _ []string) { fmt.Fprintln(cmd.OutOrStdout(), version) },
	})
	return root
}

// checkCommand tells whether a configuration would be taken, before it is given
// to a provider that runs.
func checkCommand() *cobra.Command {
	var path string
	cmd := &cobra.Command{
		Use: "check-config", Short: "Say whether the configuration and all that it names can be used", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			at, err := pathOf(path)
			if err != nil {
				return err
			}
			if _, err := newLive(at, slog.New(slog.DiscardHandler), nil); err != nil {
				return err
			}
			fmt.Fprintln(cmd.OutOrStdout(), at+": ok")
			return nil
		},
	}
	configFlag(cmd, &path)
	return cmd
}

func configFlag(cmd *cobra.Command, path *string) {
	cmd.Flags().StringVar(path, "config", "", "chartseal.yaml (default $"+configVariable+")")
}

func pathOf(flag string) (string, error) {
	path := cmp.Or(flag, os.Getenv(configVariable))
	if path == "" {
		return "", errors.New("no configuration: give --config or " + configVariable)
	}
	return path, nil
}

func logger(to io.Writer, level string) (*slog.Logger, error) {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		return nil, fmt.Errorf("log level %q is none of debug, info, warn and error", level)
	}
	return slog.New(slog.NewJSONHandler(to, &slog.HandlerOptions{Level: l})), nil
}
