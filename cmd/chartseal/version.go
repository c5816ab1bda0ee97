// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// version is set by the linker in releases.
var version = "dev"

// A versionInfo says which code gives the verdicts.
type versionInfo struct {
	Version  string `json:"version"`
	Commit   string `json:"commit"`
	OPA      string `json:"opa"`
	Helm     string `json:"helm"`
	Cosign   string `json:"cosign"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

func versionCommand() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Print the version of chartseal and of the code it judges with",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return printVersion(cmd.OutOrStdout(), format)
		},
	}
	cmd.Flags().StringVarP(&format, "format", "f", "pretty", "pretty or json")
	return cmd
}

func printVersion(w io.Writer, format string) error {
	v := versions()
	switch format {
	case "json":
		enc := json.NewEncoder(w)
		enc.SetIndent("", "  ")
		return enc.Encode(v)
	case "pretty":
		for _, line := range [][2]string{
			{"Version", v.Version}, {"Build Commit", v.Commit}, {"OPA Version", v.OPA}, {"Helm Version", v.Helm},
			{"Cosign Version", v.Cosign}, {"Go Version", v.Go}, {"Platform", v.Platform},
		} {
			fmt.Fprintf(w, "%s: %s\n", line[0], cmp.Or(line[1], "unknown"))
		}
		return nil
	}
	return fmt.Errorf("format %q is neither pretty nor json", format)
}

func versions() versionInfo {
	v := versionInfo{Version: version, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	for _, setting := range info.Settings {
		if setting.Key == "vcs.revision" {
			v.Commit = setting.Value
		}
	}
	for _, dep := range info.Deps {
		switch dep.Path {
		case "github.com/open-policy-agent/opa":
			v.OPA = dep.Version
		case "helm.sh/helm/v3":
			v.Helm = dep.Version
		case "github.com/sigstore/cosign/v2":
			v.Cosign = dep.Version
		}
	}
	return v
}
