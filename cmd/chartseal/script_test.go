// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/chartseal/chartseal/test/demo"
)

// The scripts run the real main, and the demo for charts to judge.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"chartseal": main,
		"demo": func() {
			if err := demo.Run(os.Stdout, "chartseal", "demo", false); err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
		},
	})
}

func TestScripts(t *testing.T) {
	root := filepath.Join("..", "..")
	pages, err := filepath.Glob(filepath.Join(root, "docs", "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	pages = append(pages, filepath.Join(root, "README.md"))
	testscript.Run(t, testscript.Params{
		Dir: filepath.Join(root, "test", "script"),
		Setup: func(env *testscript.Env) error {
			absolute, err := filepath.Abs(root)
			if err != nil {
				return err
			}
			env.Setenv("ROOT", absolute)
			for _, page := range pages {
				if err := writeExamples(page, filepath.Join(env.WorkDir, "docs")); err != nil {
					return err
				}
			}
			return nil
		},
	})
}

// An example is a fenced block under a comment that names it: a file, or
// commands to run.
var example = regexp.MustCompile("(?ms)^<!-- (file|run): ([^ ]+) -->\n```[a-z]*\n(.*?)^```$")

// writeExamples leaves a page's files as docs/<page>/<name>, and its commands
// as docs/<page>/<name>.sh.
func writeExamples(page, dir string) error {
	text, err := os.ReadFile(page)
	if err != nil {
		return err
	}
	dir = filepath.Join(dir, strings.TrimSuffix(filepath.Base(page), ".md"))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for _, match := range example.FindAllStringSubmatch(string(text), -1) {
		name := match[2]
		if match[1] == "run" {
			name += ".sh"
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(match[3]), 0o644); err != nil {
			return err
		}
	}
	return nil
}
