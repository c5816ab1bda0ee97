// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/chartseal/chartseal/builtins/all"
	"github.com/chartseal/chartseal/cmd/chartseal/lint"
	"github.com/chartseal/chartseal/cmd/chartseal/review"
)

func lintCommand() *cobra.Command {
	var output string
	cmd := own(&cobra.Command{
		Use:   "lint PATH...",
		Args:  cobra.ArbitraryArgs,
		Short: "Refuse Rego that lets charts in by accident",
		Long: `Find what in Rego says nothing where it should deny, takes a report for a verdict,
replaces a check, or hides one by a name. A PATH is a Rego file, or a folder whose
Rego files are read. Nothing is evaluated.

Exit codes: 0 nothing found, 1 something found, 2 wrong usage.`,
		Example: "  chartseal lint policies\n  chartseal lint -o github .",
		RunE: func(cmd *cobra.Command, paths []string) error {
			return lintPaths(cmd.OutOrStdout(), output, paths)
		},
	})
	outputFlag(cmd, &output, "pretty", "json", "github")
	return cmd
}

func lintPaths(w io.Writer, output string, paths []string) error {
	print, ok := map[string]func(io.Writer, []lint.Finding) error{
		"pretty": printFindings, "json": printFindingsJSON, "github": printFindingsGitHub,
	}[output]
	if !ok {
		return usage("output %q is none of pretty, json and github", output)
	}
	files, err := regoIn(paths)
	if err != nil {
		return err
	}
	if len(files) == 0 {
		return usage("there is no Rego to lint")
	}
	findings, err := lint.Files(files, checkNames())
	if err != nil {
		return usage("%v", err)
	}
	if len(findings) == 0 && output == "pretty" {
		_, err := fmt.Fprintf(w, "%s, nothing found\n", plural(len(files), "file"))
		return err
	}
	if err := print(w, findings); err != nil || len(findings) == 0 {
		return err
	}
	return exitError{code: exitRejected}
}

func checkNames() (names []string) {
	for _, b := range all.Builtins {
		names = append(names, b.Name)
	}
	return names
}

// regoIn gives the files that are named, and the Rego files of folders.
func regoIn(paths []string) (files []string, err error) {
	for _, path := range paths {
		found, err := review.Files([]string{path}, ".rego")
		switch {
		case err != nil:
			return nil, usage("looking for Rego: %v", err)
		case len(found) == 0:
			return nil, usage("%s holds no Rego", path)
		}
		files = append(files, found...)
	}
	return files, nil
}

func printFindings(w io.Writer, findings []lint.Finding) error {
	for _, f := range findings {
		fmt.Fprintf(w, "%s:%d:%d: %s: %s\n    %s\n", oneLine(f.File), f.Line, f.Column, f.Rule, f.Found, f.Instead)
	}
	_, err := fmt.Fprintf(w, "\n%s\n", plural(len(findings), "finding"))
	return err
}

func printFindingsJSON(w io.Writer, findings []lint.Finding) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(append([]lint.Finding{}, findings...))
}

func printFindingsGitHub(w io.Writer, findings []lint.Finding) (err error) {
	for _, f := range findings {
		_, wrong := fmt.Fprintf(w, "::error file=%s,line=%d,col=%d,title=%s::%s; %s\n",
			property(f.File), f.Line, f.Column, property(f.Rule), message(f.Found), message(f.Instead))
		err = errors.Join(err, wrong)
	}
	return err
}

// message and property escape what GitHub's workflow commands would read as
// their own syntax.
func message(s string) string {
	return strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A").Replace(s)
}

func property(s string) string {
	return strings.NewReplacer(":", "%3A", ",", "%2C").Replace(message(s))
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
