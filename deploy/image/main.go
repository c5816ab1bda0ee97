// SPDX-License-Identifier: Apache-2.0

// Command image makes container images of our commands without Docker: a
// static binary, the certificates of public authorities and nothing else, for
// each platform, with an SBOM and a provenance document attached. Images lie in
// OCI layouts, from which they are pushed to a registry.
package main

import (
	"cmp"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
)

func main() {
	if err := command().Execute(); err != nil {
		fmt.Fprintln(os.Stderr, "image:", err)
		os.Exit(1)
	}
}

// commands are what images are made of; each is called as its command.
var commands = []string{"chartseal", "chartseal-provider", "chartseal-gator"}

func command() *cobra.Command {
	root := &cobra.Command{Use: "image", Short: "Make and push container images", SilenceUsage: true, SilenceErrors: true}
	root.AddCommand(buildCommand(), pushCommand())
	return root
}

func buildCommand() *cobra.Command {
	var b build
	var names []string
	cmd := &cobra.Command{
		Use: "build", Args: cobra.NoArgs,
		Short: "Build the images of all platforms into OCI layouts, one a command",
		RunE: func(*cobra.Command, []string) (err error) {
			if b.revision, err = revision(); err != nil {
				return err
			}
			for _, name := range names {
				digest, err := b.layout(name)
				if err != nil {
					return fmt.Errorf("image of %s: %w", name, err)
				}
				fmt.Printf("%s %s\n", filepath.Join(b.out, name), digest)
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&b.out, "out", "dist/images", "folder of the layouts")
	cmd.Flags().StringVar(&b.version, "version", "0.1.0", "version of the images")
	cmd.Flags().StringSliceVar(&b.platforms, "platform", []string{"linux/amd64", "linux/arm64"}, "platforms to build for")
	cmd.Flags().StringSliceVar(&names, "command", commands, "commands to build")
	return cmd
}

func pushCommand() *cobra.Command {
	var out, version string
	var plain bool
	cmd := &cobra.Command{
		Use: "push PREFIX", Args: cobra.ExactArgs(1),
		Short: "Push every layout to PREFIX/COMMAND, registry.example.com/chartseal say",
		RunE: func(cmd *cobra.Command, args []string) error {
			layouts, err := filepath.Glob(filepath.Join(out, "*", "oci-layout"))
			if err != nil || len(layouts) == 0 {
				return cmp.Or(err, fmt.Errorf("no layout is in %s: build first", out))
			}
			for _, path := range layouts {
				dir := filepath.Dir(path)
				ref := strings.TrimSuffix(args[0], "/") + "/" + filepath.Base(dir)
				digest, err := push(cmd.Context(), dir, ref, version, plain)
				if err != nil {
					return fmt.Errorf("pushing %s: %w", ref, err)
				}
				fmt.Printf("%s@%s\n", ref, digest)
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&out, "out", "dist/images", "folder of the layouts")
	cmd.Flags().StringVar(&version, "version", "0.1.0", "tag; 1.2.3 is also tagged 1.2")
	cmd.Flags().BoolVar(&plain, "plain-http", false, "push by http")
	return cmd
}

// revision is the commit that is built, with +dirty behind it if it is not all.
func revision() (string, error) {
	commit, err := exec.Command("git", "rev-parse", "HEAD").Output()
	if err != nil {
		return "", fmt.Errorf("asking git for the commit: %w", err)
	}
	changed, err := exec.Command("git", "status", "--porcelain", "--untracked-files=no").Output()
	if err != nil {
		return "", fmt.Errorf("asking git for changes: %w", err)
	}
	text := strings.TrimSpace(string(commit))
	if len(changed) > 0 {
		text += "+dirty"
	}
	return text, nil
}
