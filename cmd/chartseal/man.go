// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

// manCommand writes man pages, for releases.
func manCommand() *cobra.Command {
	return &cobra.Command{
		Use:    "man DIRECTORY",
		Short:  "Write a man page of every command into a directory",
		Args:   cobra.ExactArgs(1),
		Hidden: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := os.MkdirAll(args[0], 0o755); err != nil {
				return err
			}
			released := time.Unix(0, 0).UTC() // the same source gives the same pages
			return doc.GenManTree(cmd.Root(), &doc.GenManHeader{Section: "1", Source: "chartseal " + version, Date: &released}, args[0])
		},
	}
}
