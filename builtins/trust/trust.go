// SPDX-License-Identifier: Apache-2.0

// Package trust reads the directory of named trust material: keyrings, public
// keys and trusted roots that policies refer to by name.
package trust

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/chartseal/chartseal/builtins"
)

// A Store is a trust directory as it was when it was last good:
//
//	keyrings/<name>.gpg, .asc or .kbx
//	keys/<name>.pub
//	roots/<name>.json
//
// A folder may be absent. Names that begin with a dot are passed over, among
// them those that Kubernetes puts into its mounts; any other that does not fit
// is an error, so that no misspelt file goes unnoticed. Symbolic links may
// lead anywhere within the directory and nowhere out of it.
//
// Files should be replaced by renaming, as Kubernetes does: of a keyring that
// is written in place, a first part can be a good keyring with fewer keys.
type Store struct {
	dir     string
	limit   int64
	current atomic.Pointer[Snapshot]
}

// Open reads the trust directory dir. It fails, and never waits, for a file
// that is no regular one, exceeds the limit, cannot be read, or is not what
// its place says: a keyring with keys, one public key, a trusted root. With
// dir "" the store is empty.
func Open(dir string, limits builtins.Limits) (*Store, error) {
	s := &Store{dir: dir, limit: limits.Trust}
	return s, s.Reload()
}

// Empty is the store without any material.
func Empty() *Store {
	s := &Store{}
	s.current.Store(nowhere())
	return s
}

// Reload reads the directory again. If all of it is good it replaces what was
// there, in one step; otherwise everything stays as it was and the error says why.
func (s *Store) Reload() error {
	if s.dir == "" {
		s.current.Store(nowhere())
		return nil
	}
	files, err := readStable(s.dir, s.limit)
	if err != nil {
		return fmt.Errorf("trust directory %s: %w", s.dir, err)
	}
	s.current.Store(newSnapshot(files))
	return nil
}

// Current is the material as it is now. It never changes: whoever needs
// several names for one verdict takes them from one snapshot.
func (s *Store) Current() *Snapshot { return s.current.Load() }

// Keyring gives a keyring, see [builtins.Trust].
func (s *Store) Keyring(name string) (builtins.Material, error) { return s.Current().Keyring(name) }

// PublicKey gives a public key, see [builtins.Trust].
func (s *Store) PublicKey(name string) (builtins.Material, error) { return s.Current().PublicKey(name) }

// TrustedRoot gives a trusted root, see [builtins.Trust].
func (s *Store) TrustedRoot(name string) (builtins.Material, error) {
	return s.Current().TrustedRoot(name)
}

// Digest is one digest for all files, names included.
func (s *Store) Digest() string { return s.Current().Digest() }

// A Snapshot is all material of one moment. It is a [builtins.Trust].
type Snapshot struct {
	files   map[string]map[string]builtins.Material // by folder and name
	list    []File
	digest  string
	nowhere bool // there is no directory
}

func nowhere() *Snapshot {
	s := newSnapshot(nil)
	s.nowhere = true
	return s
}

// A File is one file of the trust directory.
type File struct {
	builtins.Material
	Path string // within the directory, "keyrings/web.gpg"
}

func newSnapshot(files []file) *Snapshot {
	s := &Snapshot{files: map[string]map[string]builtins.Material{}}
	for _, f := range files {
		if s.files[f.folder] == nil {
			s.files[f.folder] = map[string]builtins.Material{}
		}
		material := builtins.Material{Name: f.name, Raw: f.raw, Digest: f.digest}
		s.files[f.folder][f.name] = material
		s.list = append(s.list, File{material, path.Join(f.folder, f.base)})
	}
	s.digest = digestOf(files)
	return s
}

// Keyring gives a keyring, see [builtins.Trust].
func (s *Snapshot) Keyring(name string) (builtins.Material, error) {
	return s.find("keyring", "keyrings", name)
}

// PublicKey gives a public key, see [builtins.Trust].
func (s *Snapshot) PublicKey(name string) (builtins.Material, error) {
	return s.find("public key", "keys", name)
}

// TrustedRoot gives a trusted root, see [builtins.Trust].
func (s *Snapshot) TrustedRoot(name string) (builtins.Material, error) {
	return s.find("trusted root", "roots", name)
}

// Files are all files, in the order of their paths.
func (s *Snapshot) Files() []File { return slices.Clone(s.list) }

// Digest is one digest for all files, names included.
func (s *Snapshot) Digest() string { return s.digest }

func (s *Snapshot) find(what, folder, name string) (builtins.Material, error) {
	if material, ok := s.files[folder][name]; ok {
		return material, nil
	}
	return builtins.Material{}, s.unknown(what, folder, name)
}

// unknown says what to do about a name that is none.
func (s *Snapshot) unknown(what, folder, name string) error {
	if s.nowhere {
		return builtins.Errorf(builtins.InvalidOptions, "no configuration names a trust directory, so no %s has a name: "+
			"set trust.directory in chartseal.yaml and give it by --config or CHARTSEAL_CONFIG", what)
	}
	known := slices.Sorted(maps.Keys(s.files[folder]))
	if len(known) == 0 {
		return builtins.Errorf(builtins.InvalidOptions, "no %s is called %q; the trust directory has none in %s", what, builtins.Clip(name), folder)
	}
	return builtins.Errorf(builtins.InvalidOptions, "no %s is called %q; known are %s", what, builtins.Clip(name), few(known))
}

// few lists some names, enough to find a misspelt one in most directories.
func few(names []string) string {
	const most = 8
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
}

// digestOf is over the place and digest of each file, in order.
func digestOf(files []file) string {
	var list strings.Builder
	for _, f := range files {
		fmt.Fprintf(&list, "%s/%s %s\n", f.folder, f.base, f.digest)
	}
	return builtins.SHA256([]byte(list.String()))
}

// readStable reads dir twice and wants the same: then what was read is what
// the directory was at one moment, though its files were read one by one.
func readStable(dir string, limit int64) ([]file, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	const tries = 3
	for range tries {
		files, err := readAll(root, limit)
		if err != nil {
			return nil, err
		}
		again, err := readAll(root, limit)
		if err != nil {
			return nil, err
		}
		if digestOf(files) == digestOf(again) {
			return files, validate(files)
		}
	}
	return nil, errors.New("files change faster than they can be read")
}
