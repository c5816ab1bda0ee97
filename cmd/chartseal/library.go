// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/chartseal/chartseal/rego"
)

// libraryCommand is for whoever has policies and no checkout of ours.
func libraryCommand() *cobra.Command {
	return own(&cobra.Command{
		Use:   "library DIRECTORY",
		Short: "Write the Rego library into a directory, to test policies with",
		Long: `Writes the packages below lib, with the engine that asks the built-in functions, into a
new directory. Load it beside your policies: chartseal test DIRECTORY policies.

Exit codes: 0, 2 for a directory that exists or cannot be written.`,
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			if _, err := os.Stat(args[0]); !errors.Is(err, fs.ErrNotExist) {
				return usage("%s exists already; name a new directory", args[0])
			}
			return writeLibrary(args[0])
		},
	})
}

func writeLibrary(dir string) error {
	for _, folder := range []string{"lib", "engines/opa/lib"} {
		part, err := fs.Sub(rego.FS, folder)
		if err == nil {
			err = os.CopyFS(filepath.Join(dir, "lib"), part)
		}
		if err != nil {
			return usage("%v", fmt.Errorf("writing the library: %w", err))
		}
	}
	return nil
}
