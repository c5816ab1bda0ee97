// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"

	"github.com/spf13/cobra"
)

// outputFlag is the flag -o of a command with one output, the first of formats
// unless it says otherwise.
func outputFlag(cmd *cobra.Command, value *string, formats ...string) {
	last := len(formats) - 1
	cmd.Flags().StringVarP(value, "output", "o", formats[0], strings.Join(formats[:last], ", ")+" or "+formats[last])
	completeOutput(cmd, formats)
}

func completeOutput(cmd *cobra.Command, formats []string) {
	if err := cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(formats, cobra.ShellCompDirectiveNoFileComp)); err != nil {
		panic(err)
	}
}
