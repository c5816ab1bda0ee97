// SPDX-License-Identifier: Apache-2.0

package trust

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"syscall"

	"github.com/chartseal/chartseal/builtins"
)

// A file of the trust directory, read whole.
type file struct {
	folder, base string // keyrings, web.gpg
	name         string // web
	raw          []byte
	digest       string
}

// A folder says which files it may hold, and what each has to be.
type folder struct {
	extensions []string
	validate   func(raw []byte) error
}

var folders = map[string]folder{
	"keyrings": {[]string{".gpg", ".asc", ".kbx"}, checkKeyring},
	"keys":     {[]string{".pub"}, checkPublicKey},
	"roots":    {[]string{".json"}, CheckTrustedRoot},
}

var nameText = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*$`)

// CheckName refuses what names no file here: a name is letters, digits and,
// after the first, dots, hyphens and underscores.
func CheckName(name string) error {
	if !nameText.MatchString(name) {
		return fmt.Errorf("name %q is not letters, digits and, after the first, dots, hyphens and underscores", name)
	}
	return nil
}

// readAll reads every file of the directory, in the order of their names.
func readAll(root *os.Root, limit int64) ([]file, error) {
	entries, err := visible(root, ".")
	if err != nil {
		return nil, err
	}
	var files []file
	for _, entry := range entries {
		if _, known := folders[entry]; !known {
			return nil, fmt.Errorf("%q is none of keyrings, keys and roots", entry)
		}
		inside, err := readFolder(root, entry, limit)
		if err != nil {
			return nil, err
		}
		files = append(files, inside...)
	}
	return files, nil
}

func readFolder(root *os.Root, folder string, limit int64) ([]file, error) {
	bases, err := visible(root, folder)
	if err != nil {
		return nil, err
	}
	files := make([]file, 0, len(bases))
	byName := map[string]string{}
	for _, base := range bases {
		f, err := readFile(root, folder, base, limit)
		if err != nil {
			return nil, fmt.Errorf("%s/%s: %w", folder, base, err)
		}
		if other, twice := byName[f.name]; twice {
			return nil, fmt.Errorf("%s/%s and %s/%s have one name", folder, other, folder, base)
		}
		byName[f.name] = base
		files = append(files, f)
	}
	return files, nil
}

// visible lists a folder, sorted, without names that begin with a dot.
func visible(root *os.Root, folder string) ([]string, error) {
	dir, err := open(root, folder)
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	info, err := dir.Stat()
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return nil, fmt.Errorf("%s is no directory", folder)
	}
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return nil, err
	}
	slices.Sort(names)
	return slices.DeleteFunc(names, func(name string) bool { return strings.HasPrefix(name, ".") }), nil
}

func readFile(root *os.Root, folder, base string, limit int64) (file, error) {
	extension := path.Ext(base)
	name := strings.TrimSuffix(base, extension)
	if allowed := folders[folder].extensions; !slices.Contains(allowed, extension) {
		return file{}, fmt.Errorf("extension %q is none of %s", extension, strings.Join(allowed, ", "))
	}
	if err := CheckName(name); err != nil {
		return file{}, err
	}
	raw, err := readRegular(root, path.Join(folder, base), limit)
	if err != nil {
		return file{}, err
	}
	return file{folder: folder, base: base, name: name, raw: raw, digest: builtins.SHA256(raw)}, nil
}

// open never waits, as opening a FIFO otherwise does.
func open(root *os.Root, name string) (*os.File, error) {
	f, err := root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil && leadsOut(root, name, err) {
		return nil, errors.New("is a symbolic link that is absolute or leads out of the trust directory")
	}
	return f, err
}

// leadsOut says whether err came of a link that leads out of root. The error
// for that has no name; a link that can fail otherwise is told apart.
func leadsOut(root *os.Root, name string, err error) bool {
	for _, other := range []error{fs.ErrNotExist, fs.ErrPermission, syscall.ELOOP, syscall.ENOTDIR, syscall.ENXIO} {
		if errors.Is(err, other) {
			return false
		}
	}
	info, statErr := root.Lstat(name)
	return statErr == nil && info.Mode()&fs.ModeSymlink != 0
}

func readRegular(root *os.Root, name string, limit int64) ([]byte, error) {
	f, err := open(root, name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return ReadRegular(f, limit)
}

// ReadRegular reads a regular file of at most limit bytes. What kind of file
// it is and how long is asked of the open file, which has to be opened so that
// a FIFO does not wait.
func ReadRegular(f *os.File, limit int64) ([]byte, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("is %s, want a regular file", kindOf(info.Mode()))
	}
	raw, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(raw)) > limit {
		return nil, fmt.Errorf("has more than %d bytes", limit)
	}
	return raw, nil
}

func kindOf(mode fs.FileMode) string {
	switch {
	case mode.IsDir():
		return "a directory"
	case mode&fs.ModeNamedPipe != 0:
		return "a FIFO"
	case mode&fs.ModeDevice != 0:
		return "a device"
	}
	return "of another kind"
}

func validate(files []file) error {
	for _, f := range files {
		if err := folders[f.folder].validate(f.raw); err != nil {
			return fmt.Errorf("%s/%s: %w", f.folder, f.base, err)
		}
	}
	return nil
}
