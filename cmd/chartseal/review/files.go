// SPDX-License-Identifier: Apache-2.0

package review

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/chartseal/chartseal/builtins"
)

// maxFile is how much of a file is read. Manifests of a whole cluster have less.
const maxFile = 64 << 20

// Read gives the documents of files, of the YAML and JSON files of folders, and
// of the standard input for "-". No file is passed over for what is in it.
func Read(paths []string, stdin io.Reader) (all []Document, err error) {
	files, err := Files(paths, ".yaml", ".yml", ".json")
	if err != nil {
		return nil, err
	}
	for _, file := range files {
		raw, err := readFile(file, stdin)
		if err != nil {
			return nil, err
		}
		documents, err := Documents(file, raw)
		if err != nil {
			return nil, err
		}
		all = append(all, documents...)
	}
	return all, nil
}

func readFile(path string, stdin io.Reader) ([]byte, error) {
	in := stdin
	if path != "-" {
		file, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		defer file.Close()
		in = file
	}
	raw, err := io.ReadAll(io.LimitReader(in, maxFile+1))
	if err == nil && len(raw) > maxFile {
		err = fmt.Errorf("it has more than %d bytes", maxFile)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", builtins.Printable(path), err)
	}
	return raw, nil
}

// Files gives the files that are named, and those of folders that end as they
// must. A link to a folder is followed where it is named itself; one that lies
// in a folder is refused, since what is behind it would be passed over.
func Files(paths []string, extensions ...string) (files []string, err error) {
	for _, root := range paths {
		if root == "-" {
			files = append(files, root)
			continue
		}
		if isFolder(root) {
			root = strings.TrimRight(root, "/") + "/"
		}
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case d.IsDir() && path != root && d.Name() == ".git":
				return fs.SkipDir
			case d.IsDir():
				return nil
			case d.Type()&fs.ModeSymlink != 0 && path != root && isFolder(path):
				return fmt.Errorf("%s is a link to a folder: name that folder itself", builtins.Printable(path))
			case path == root || slices.Contains(extensions, filepath.Ext(path)):
				files = append(files, path)
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return files, nil
}

func isFolder(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}
