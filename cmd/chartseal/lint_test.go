// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The block for Regal knows every function that there is, and no other.
func TestRegalKnowsTheFunctions(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "lint.md"))
	if err != nil {
		t.Fatal(err)
	}
	var got, want []string
	for _, match := range regexp.MustCompile(`(?m)^    - name: (.*)$`).FindAllStringSubmatch(string(page), -1) {
		got = append(got, match[1])
	}
	for _, name := range checkNames() {
		want = append(want, name, name+"_report")
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("docs/lint.md tells Regal of %v, want %v", got, want)
	}
}

// R14: an undefined rule ends with 0 unless a flag says otherwise, so every
// command that a page shows for a policy's rule has one.
func TestR14DocumentedCommandsFail(t *testing.T) {
	root := filepath.Join("..", "..")
	pages, err := filepath.Glob(filepath.Join(root, "docs", "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, page := range append(pages, filepath.Join(root, "README.md")) {
		raw, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(raw)) {
			asks := strings.HasPrefix(line, "chartseal eval ") || strings.HasPrefix(line, "chartseal exec ")
			if asks && strings.Contains(line, "deny") && !strings.Contains(line, "--fail") {
				t.Errorf("%s shows a command that ends with 0 for a misspelt rule: %s", page, line)
			}
		}
	}
}
