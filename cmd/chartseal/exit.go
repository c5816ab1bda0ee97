// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"
)

// The exit codes of our own commands, beside 0.
const (
	exitRejected  = 1
	exitUsage     = 2
	exitUndecided = 3
)

// An exitError ends the command with a code; its text, if any, is for stderr.
type exitError struct {
	code int
	text string
}

func (e exitError) Error() string { return e.text }

func usage(format string, args ...any) error {
	return exitError{exitUsage, fmt.Sprintf(format, args...)}
}

// own makes whatever goes wrong in a command of ours one sentence and an exit
// code: that of a wrong usage, unless the command knows better.
func own(cmd *cobra.Command) *cobra.Command {
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	fail := func(err error) error {
		if err == nil || errors.As(err, new(exitError)) {
			return err
		}
		return exitError{exitOf(err), cmd.CommandPath() + ": " + err.Error()}
	}
	run, args := cmd.RunE, cmd.Args
	if args == nil {
		args = cobra.NoArgs
	}
	cmd.RunE = func(cmd *cobra.Command, given []string) error { return fail(run(cmd, given)) }
	cmd.Args = func(cmd *cobra.Command, given []string) error { return fail(args(cmd, given)) }
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return fail(err) })
	return cmd
}
