// SPDX-License-Identifier: Apache-2.0

package main

import (
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/chartseal/chartseal/policies/template"
	"github.com/chartseal/chartseal/rego"
)

// templateCommand is for authors of policies: those that are shipped have
// their templates already.
func templateCommand() *cobra.Command {
	return own(&cobra.Command{
		Use:   "template POLICY...",
		Short: "Write policies as ConstraintTemplates of Gatekeeper, with what they reach of the library",
		Long: `A POLICY is a folder like policies/team_charts, which holds team_charts.rego with the
package policies.team_charts, and may hold further files with packages below lib. In
its METADATA the package says title, description and custom.version. A file
schema.rego with the package lib.schemas.team_charts describes the parameters. A
usual.rego, as policies of chartseal have beside it, must have been made of it.

The policy must compile in Gatekeeper's own engine: what is missing there is refused.

Exit codes: 0, 2 for a policy of which no template can be made.`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, folders []string) error {
			for i, folder := range folders {
				if i > 0 {
					if _, err := io.WriteString(cmd.OutOrStdout(), "---\n"); err != nil {
						return err
					}
				}
				policy, err := template.Read(rego.FS, os.DirFS(folder), filepath.Base(folder))
				if err == nil {
					err = policy.Stale()
				}
				if err != nil {
					return usage("%s: %v", folder, err)
				}
				if _, err := io.WriteString(cmd.OutOrStdout(), policy.Manifest()); err != nil {
					return err
				}
			}
			return nil
		},
	})
}
