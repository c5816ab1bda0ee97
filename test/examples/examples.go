// SPDX-License-Identifier: Apache-2.0

// Package examples takes the examples out of pages, so that tests run what the
// pages show.
package examples

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// An example is a fenced block under a comment that names it: a file, or
// commands to run.
var example = regexp.MustCompile("(?ms)^<!-- (file|run): ([^ ]+) -->\n```[a-z]*\n(.*?)^```$")

// Write leaves a page's files as docs/<page>/<name>, and its commands
// as docs/<page>/<name>.sh; a page is named by its path in the repository.
func Write(page, dir string) error {
	text, err := os.ReadFile(page)
	if err != nil {
		return err
	}
	dir = filepath.Join(dir, strings.TrimSuffix(strings.TrimPrefix(filepath.ToSlash(page), "../../"), ".md"))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for _, match := range example.FindAllStringSubmatch(string(text), -1) {
		name := match[2]
		if match[1] == "run" {
			name += ".sh"
		}
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, []byte(match[3]), 0o644); err != nil {
			return err
		}
	}
	return nil
}
