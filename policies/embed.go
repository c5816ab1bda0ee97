// SPDX-License-Identifier: Apache-2.0

// Package policies holds the rules that an administrator switches on, each in a
// folder of its name: what they demand in Rego, the schema of their parameters,
// and a page about them.
package policies

import (
	"embed"
	"io/fs"
	"path"
	"slices"
	"strings"
)

//go:embed */*.rego */README.md
var files embed.FS

// FS is every policy, tests aside.
var FS fs.FS = withoutTests{files}

// withoutTests hides what is there for the policies' authors alone.
type withoutTests struct{ files embed.FS }

func (f withoutTests) Open(name string) (fs.File, error) {
	if hidden(name) {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return f.files.Open(name)
}

func (f withoutTests) ReadDir(name string) ([]fs.DirEntry, error) {
	entries, err := f.files.ReadDir(name)
	return slices.DeleteFunc(entries, func(e fs.DirEntry) bool { return hidden(e.Name()) }), err
}

func hidden(name string) bool { return strings.HasSuffix(path.Base(name), "_test.rego") }
