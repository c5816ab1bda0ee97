// SPDX-License-Identifier: Apache-2.0

package opa_test

import (
	"io/fs"
	"testing/fstest"
)

// mapFS is a folder of modules by name.
type mapFS map[string]string

func (m mapFS) Open(name string) (fs.File, error) {
	files := fstest.MapFS{}
	for path, text := range m {
		files[path] = &fstest.MapFile{Data: []byte(text)}
	}
	return files.Open(name)
}
