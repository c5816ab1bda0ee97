// SPDX-License-Identifier: Apache-2.0

package policies_test

import (
	"io/fs"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/chartseal/chartseal/policies"
)

func TestEveryPolicyIsWhole(t *testing.T) {
	names := folders(t)
	if want := []string{
		"allowed_sources", "engine_verification", "exemptions_in_use",
		"pinned_charts", "trusted_charts", "verified_namespaces",
	}; !slices.Equal(names, want) {
		t.Errorf("policies are %q, want %q", names, want)
	}
	for _, name := range names {
		for _, file := range []string{name + ".rego", "schema.rego", "usual.rego", "README.md"} {
			if _, err := fs.Stat(policies.FS, path.Join(name, file)); err != nil {
				t.Error(err)
			}
		}
	}
}

func TestNoTestsEmbedded(t *testing.T) {
	err := fs.WalkDir(policies.FS, ".", func(name string, _ fs.DirEntry, err error) error {
		if strings.HasSuffix(name, "_test.rego") {
			t.Errorf("%s is embedded", name)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	if file, err := policies.FS.Open("trusted_charts/trusted_charts_test.rego"); err == nil {
		t.Errorf("opening a test gives %v, want an error", file)
	}
}

func folders(t *testing.T) []string {
	t.Helper()
	entries, err := fs.ReadDir(policies.FS, ".")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return names
}
