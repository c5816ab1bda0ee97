// SPDX-License-Identifier: Apache-2.0

// Package rego holds the library for policies: functions that read and compare
// and never decide. Its package lib.engine exists once for each engine, and
// whoever loads the library chooses one.
package rego

import (
	"embed"
	"io/fs"
	"path"
	"slices"
	"strings"
)

//go:embed engines lib capabilities-gatekeeper.json
var files embed.FS

// FS is the library, its tests aside: what both engines have is below lib, what
// differs below engines/opa and engines/gatekeeper. What Gatekeeper's engine can
// do is in capabilities-gatekeeper.json.
var FS = WithoutTests(files)

// WithoutTests hides what is there for authors alone.
func WithoutTests(files embed.FS) fs.FS { return withoutTests{files} }

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
