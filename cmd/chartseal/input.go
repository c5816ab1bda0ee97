// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	yaml "go.yaml.in/yaml/v2"

	"github.com/chartseal/chartseal/cmd/chartseal/review"
)

// guardInput makes OPA's commands refuse YAML of several documents: they read
// the first and drop the others, which then nobody has judged.
func guardInput(root *cobra.Command) {
	for _, name := range []string{"eval", "bench", "exec"} {
		cmd, _, err := root.Find([]string{name})
		if err != nil {
			panic(err)
		}
		before := cmd.PreRunE
		cmd.PreRunE = func(cmd *cobra.Command, args []string) error {
			if err := before(cmd, args); err != nil {
				return err
			}
			err := refuseSeveral(cmd, args)
			if err != nil {
				cmd.SilenceErrors, cmd.SilenceUsage = true, true
			}
			return err
		}
	}
}

func refuseSeveral(cmd *cobra.Command, args []string) error {
	if stdin := cmd.Flag("stdin-input"); stdin.Value.String() == "true" {
		return refuseStdin("the standard input")
	}
	if cmd.Name() == "exec" {
		return refuseFiles(args)
	}
	input := cmd.Flag("input")
	path := strings.TrimPrefix(input.Value.String(), "file://")
	info, err := os.Stat(path)
	switch {
	case err != nil || info.IsDir():
		return nil // which OPA tells
	case info.Mode().IsRegular():
		return refuseFile(path)
	}
	return refusePipe(cmd, input.Value.Set, path)
}

// refusePipe reads what can be read once, and hands it on as standard input.
func refusePipe(cmd *cobra.Command, setInput func(string) error, path string) error {
	pipe, err := os.Open(path)
	if err != nil {
		return usage("%v", err)
	}
	os.Stdin = pipe
	if err := errors.Join(setInput(""), cmd.Flag("stdin-input").Value.Set("true")); err != nil {
		return err
	}
	return refuseStdin(path)
}

func refuseStdin(name string) error {
	raw, err := io.ReadAll(os.Stdin)
	if err != nil {
		return usage("reading %s: %v", name, err)
	}
	if err := refuseText(name, raw); err != nil {
		return err
	}
	again, write, err := os.Pipe()
	if err != nil {
		return err
	}
	os.Stdin = again
	go func() {
		write.Write(raw) // whoever does not read to the end needs no more
		write.Close()
	}()
	return nil
}

// refuseFiles looks at the files that exec would read.
func refuseFiles(paths []string) error {
	for _, root := range paths {
		err := filepath.WalkDir(strings.TrimPrefix(root, "file://"), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !slices.Contains([]string{".yaml", ".yml"}, filepath.Ext(path)) {
				return nil // which OPA tells
			}
			return refuseFile(path)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func refuseFile(path string) error {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil // which OPA tells
	}
	return refuseText(path, raw)
}

func refuseText(name string, raw []byte) error {
	if err := review.SameDocuments(raw); err != nil {
		return usage("%s: %v", name, err)
	}
	if several(raw) {
		return usage("%s holds several documents, of which only the first would be judged: use chartseal review, or split it", name)
	}
	return nil
}

// several says whether there is anything behind the first document, be it what
// does not decode. What is empty does not count.
func several(raw []byte) bool {
	decoder := yaml.NewDecoder(bytes.NewReader(raw))
	for first := true; ; first = false {
		var document any
		err := decoder.Decode(&document)
		switch {
		case errors.Is(err, io.EOF), err != nil && first:
			return false
		case err != nil, document != nil && !first:
			return true
		}
	}
}
