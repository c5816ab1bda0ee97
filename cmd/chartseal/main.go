// SPDX-License-Identifier: Apache-2.0

// Command chartseal is the Open Policy Agent with built-in functions that
// verify Helm charts: helm.verify_prov and its kin work in eval, test, run,
// check, build and every other command of OPA.
package main

import (
	"errors"
	"fmt"
	"os"

	opacmd "github.com/open-policy-agent/opa/cmd"
	"github.com/spf13/cobra"

	"github.com/chartseal/chartseal/builtins"
	"github.com/chartseal/chartseal/builtins/all"
	"github.com/chartseal/chartseal/builtins/opa"
	"github.com/chartseal/chartseal/cmd/chartseal/start"
)

func main() { os.Exit(run(os.Args[1:])) }

// run executes one command line and gives its exit code: OPA's own for its
// commands, 2 for a configuration that cannot be used, and what an [exitError]
// says for ours.
func run(args []string) int {
	root := command()
	root.SetArgs(args)
	err := root.Execute()
	var exit *opacmd.ExitError
	var ours exitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		return exit.Exit
	case errors.As(err, &ours):
		if ours.text != "" {
			fmt.Fprintln(os.Stderr, ours.text)
		}
		return ours.code
	case errors.As(err, new(configError)):
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	return 1
}

// command is the whole command line. The built-ins are registered before OPA
// sees anything; what they may touch is filled in once the flags are read.
func command() *cobra.Command {
	env := &builtins.Env{}
	opa.Register(env, all.Builtins...)
	root := opacmd.Command(&cobra.Command{
		Use:   "chartseal",
		Short: "Policies over Helm charts: who signed them, and is that enough",
		Long:  "chartseal is the Open Policy Agent with built-in functions that verify Helm charts.\nEvery command of OPA works; policies may call helm.verify_prov, cosign.verify,\nchart.lock_ok and their reports.",
	}, "chartseal")
	path := root.PersistentFlags().String("config", "", "chartseal.yaml with trust, registries and limits (default $"+configVariable+"); not OPA's --config-file")
	root.PersistentPreRunE = func(cmd *cobra.Command, _ []string) error {
		if cmd.Name() == "run" {
			start.Serve()
		}
		if !judges(cmd) {
			return nil
		}
		if err := configure(env, *path); err != nil {
			cmd.SilenceUsage, cmd.SilenceErrors = true, true
			return err
		}
		return nil
	}
	replace(root, versionCommand())
	root.AddCommand(lockCommand(env))
	root.AddCommand(trustCommand(path))
	root.AddCommand(lintCommand())
	root.AddCommand(verifyCommand(env))
	root.AddCommand(reviewCommand())
	root.AddCommand(libraryCommand())
	root.AddCommand(templateCommand())
	root.AddCommand(manCommand())
	guardBuild(root)
	guardInput(root)
	return root
}

// judges says whether a command may evaluate a policy, and so needs the
// configuration. What merely reads text works without.
func judges(cmd *cobra.Command) bool {
	switch cmd.Name() {
	case "version", "help", "completion", "fmt", "parse", "capabilities", "inspect", "sign", "deps", "refactor", "lint":
		return false
	}
	return true
}

// replace puts a command of ours in the place of OPA's command of that name.
func replace(root, ours *cobra.Command) {
	for _, theirs := range root.Commands() {
		if theirs.Name() == ours.Name() {
			root.RemoveCommand(theirs)
		}
	}
	root.AddCommand(ours)
}
