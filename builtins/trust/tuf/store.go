// SPDX-License-Identifier: Apache-2.0

package tuf

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/chartseal/chartseal/builtins"
)

const rootFile = "root.json"

// order is how files of metadata replace their elders, those not named last.
// It is the order in which they vouch for each other, so that after a crash
// what is kept is metadata that the specification knows how to go on from.
var order = []string{rootFile, "timestamp.json", "snapshot.json", "targets.json"}

// A store is the place of one trusted root in the trust directory.
type store struct {
	*os.Root
	file, hidden string
	metadata     map[string][]byte // as kept by the last update
}

func openStore(dir, name string) (*store, error) {
	opened, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("trust directory: %w", err)
	}
	s := &store{Root: opened, file: path.Join("roots", name+".json"), hidden: path.Join(".tuf", name)}
	s.metadata, err = readAll(s.FS(), s.hidden)
	if err != nil {
		s.Close()
		return nil, fmt.Errorf("trust directory: %w", err)
	}
	return s, nil
}

// readAll reads the metadata of a folder; none if there is no folder.
func readAll(in fs.FS, folder string) (map[string][]byte, error) {
	names, err := fs.Glob(in, path.Join(folder, "*.json"))
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{}
	for _, name := range names {
		raw, err := fs.ReadFile(in, name)
		if err != nil {
			return nil, err
		}
		files[path.Base(name)] = raw
	}
	return files, nil
}

// keep puts metadata and then trusted root in their places. If it is cut short
// the trusted root is the old one, and the next update goes on from there.
func (s *store) keep(r *repository) (*Result, error) {
	now, err := readAll(s.FS(), s.hidden)
	if err != nil {
		return nil, err
	}
	if !equal(now, s.metadata) {
		return nil, errors.New("another update has run meanwhile")
	}
	for _, name := range inOrder(r.metadata) {
		if _, err := s.replace(path.Join(s.hidden, name), r.metadata[name]); err != nil {
			return nil, err
		}
	}
	changed, err := s.replace(s.file, r.trustedRoot)
	return &Result{File: s.file, Digest: builtins.SHA256(r.trustedRoot), Changed: changed}, err
}

func inOrder(files map[string][]byte) []string {
	return slices.SortedFunc(maps.Keys(files), func(a, b string) int { return rank(a) - rank(b) })
}

func rank(name string) int {
	if i := slices.Index(order, name); i >= 0 {
		return i
	}
	return len(order)
}

// replace puts content in the place of a file, in one step that outlives a
// crash. The name it has until then begins with a dot, so no store reads it.
func (s *store) replace(name string, content []byte) (changed bool, err error) {
	if old, err := s.ReadFile(name); err == nil && bytes.Equal(old, content) {
		return false, nil
	}
	folder, file := path.Split(name)
	if err := s.MkdirAll(path.Clean(folder), 0o755); err != nil {
		return false, err
	}
	unfinished := path.Join(folder, "."+file+"."+strings.ToLower(rand.Text()))
	if err := s.write(unfinished, content); err != nil {
		return false, errors.Join(err, s.Remove(unfinished))
	}
	if err := s.Rename(unfinished, name); err != nil {
		return false, errors.Join(err, s.Remove(unfinished))
	}
	return true, s.sync(path.Clean(folder))
}

func (s *store) write(name string, content []byte) error {
	file, err := s.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = file.Write(content)
	return errors.Join(err, file.Sync(), file.Close())
}

func (s *store) sync(folder string) error {
	dir, err := s.Open(folder)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
