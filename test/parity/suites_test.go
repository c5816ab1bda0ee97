// SPDX-License-Identifier: Apache-2.0

package parity

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/open-policy-agent/gatekeeper/v3/pkg/gator"
	"github.com/open-policy-agent/gatekeeper/v3/pkg/gator/verify"
)

// Each suite passes as `chartseal-gator verify` runs it: it says of each sample
// how many violations there are, and what they say.
func TestSuites(t *testing.T) {
	w := newWorld(t)
	w.gatorHere()
	files := w.files()
	suites, err := verify.ReadSuites(files, ".", ".", true)
	succeeds(t, err)
	all, err := verify.NewFilter("")
	succeeds(t, err)
	c := newGator(t)
	runner, err := verify.NewRunner(files, func(...gator.Opt) (gator.Client, error) { return c, c.empty() })
	succeeds(t, err)
	if policies := glob(t, "../../policies", "*/schema.rego"); len(suites) != len(policies) {
		t.Errorf("%d suites for %d policies", len(suites), len(policies))
	}
	for _, suite := range suites {
		t.Run(filepath.Dir(suite.AbsolutePath), func(t *testing.T) {
			result := runner.Run(t.Context(), all, suite)
			for _, test := range result.TestResults {
				for _, c := range test.CaseResults {
					if c.Error != nil {
						t.Errorf("%s, %s: %v", test.Name, c.Name, c.Error)
					}
				}
				succeeds(t, errors.Join(result.Error, test.Error))
			}
		})
	}
}

// files are those that are deployed, with the digests of this world.
func (w *world) files() fstest.MapFS {
	w.t.Helper()
	files := fstest.MapFS{}
	succeeds(w.t, fs.WalkDir(os.DirFS(deployed), ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".yaml") {
			return err
		}
		raw, err := os.ReadFile(filepath.Join(deployed, path))
		files[path] = &fstest.MapFile{Data: []byte(w.real(string(raw)))}
		return err
	}))
	return files
}
