// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/theupdateframework/go-tuf/v2/metadata"

	"github.com/chartseal/chartseal/test/demo"
	"github.com/chartseal/chartseal/test/examples"
	"github.com/chartseal/chartseal/test/tufrepo"
	"github.com/chartseal/chartseal/test/vsig"
)

// The scripts run the real main, and the demo for charts to judge.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"chartseal": main,
		"demo": func() {
			serve := slices.Contains(os.Args, "serve")
			if err := demo.Run(os.Stdout, "chartseal", "demo", serve); err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
		},
		"mirrors": func() { writeMirrors("mirrors") },
	})
}

// writeMirrors leaves TUF repositories as a mirror has them one after the
// other, and what can be wrong with one: a timestamp that has expired, a
// target that was changed, and a repository of somebody else.
func writeMirrors(dir string) {
	at := time.Now()
	repo := tufrepo.New(vsig.New(at).Root())
	initial := repo.Root()
	for _, version := range []string{"1", "2"} {
		repo.Write(filepath.Join(dir, version))
		repo.Version, repo.Target = repo.Version+1, vsig.New(at).Root()
	}
	changed := filepath.Join(dir, "changed")
	repo.Write(changed)
	targets, _ := filepath.Glob(filepath.Join(changed, "targets", "*"))
	repo.Expires[metadata.TIMESTAMP] = at.Add(-time.Hour)
	repo.Write(filepath.Join(dir, "expired"))
	tufrepo.New(repo.Target).Write(filepath.Join(dir, "other"))
	if errors.Join(
		os.WriteFile(targets[0], bytes.ToUpper(repo.Target), 0o644),
		os.WriteFile(filepath.Join(dir, "root.json"), initial, 0o644),
	) != nil {
		os.Exit(1)
	}
}

func TestScripts(t *testing.T) {
	root := filepath.Join("..", "..")
	pages, err := filepath.Glob(filepath.Join(root, "docs", "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	pages = append(pages, filepath.Join(root, "README.md"), filepath.Join(root, "builtins", "README.md"))
	testscript.Run(t, testscript.Params{
		Dir: filepath.Join(root, "test", "script"),
		Setup: func(env *testscript.Env) error {
			absolute, err := filepath.Abs(root)
			if err != nil {
				return err
			}
			env.Setenv("ROOT", absolute)
			for _, page := range pages {
				if err := examples.Write(page, filepath.Join(env.WorkDir, "docs")); err != nil {
					return err
				}
			}
			return nil
		},
	})
}
