// SPDX-License-Identifier: Apache-2.0

package archive

import (
	"cmp"
	"context"
	"errors"
	"io"
	"io/fs"
	pathpkg "path"
	"slices"
	"strings"

	"github.com/chartseal/chartseal/builtins"
)

func readDirectory(ctx context.Context, fsys fs.FS, budget *builtins.Budget, wanted extent) (*Chart, error) {
	d := directory{walk: newWalk(ctx, budget, wanted), fsys: fsys, top: newNode(), paths: newPaths(budget.Limits)}
	if err := d.ignore(); err != nil {
		return nil, err
	}
	if err := d.read("."); err != nil {
		return nil, err
	}
	c, err := d.top.finish(d.ctx, "", d.ignored)
	if err == nil {
		c.Ignored = d.ignored
	}
	return c, err
}

// ignore reads the .helmignore, if there is one.
func (d *directory) ignore() error {
	info, err := fs.Lstat(d.fsys, ".helmignore")
	if errors.Is(err, fs.ErrNotExist) || err == nil && !info.Mode().IsRegular() {
		return nil // what is no file is refused when it is listed
	} else if err != nil {
		return unreadable(".helmignore", err)
	}
	r, err := d.open(".helmignore")
	if err != nil {
		return err
	}
	defer r.Close()
	raw, err := io.ReadAll(io.LimitReader(r, maxIgnored+1))
	if err == nil {
		d.ignored, err = ParseIgnored(raw)
	}
	return err
}

// hides says whether a file or folder is as good as not there.
func (d *directory) hides(path string, dir bool) bool {
	inCharts := path == "charts" || strings.HasPrefix(path, "charts/")
	return !inCharts && path != ".helmignore" && path != "chartseal.lock" && d.ignored.Has(path, dir)
}

type directory struct {
	*walk
	fsys    fs.FS
	top     *node
	paths   *paths
	ignored *Ignored
}

func (d *directory) read(dir string) error {
	entries, err := d.list(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := d.entry(pathpkg.Join(dir, e.Name()), e); err != nil {
			return err
		}
	}
	return nil
}

func (d *directory) entry(path string, e fs.DirEntry) error {
	odd := e.Type() != 0 && e.Type() != fs.ModeDir
	if d.hides(path, e.IsDir()) && !(odd && kept[path]) { // Helm writes through a lock that is a link, hidden or not
		return nil
	}
	if odd {
		return ambiguous("%s is neither file nor directory: %v", quoted(path), e.Type())
	}
	if err := d.paths.add(path, e.IsDir()); err != nil {
		return err
	}
	if e.IsDir() {
		return d.read(path)
	}
	return d.file(d.top, path, path, 0, func() (io.ReadCloser, error) { return d.open(path) })
}

// list reads a directory in pieces, so that one with a million files is
// refused before it is in memory.
func (d *directory) list(dir string) ([]fs.DirEntry, error) {
	f, err := d.fsys.Open(dir)
	if err != nil {
		return nil, unreadable(dir, err)
	}
	defer f.Close()
	listing, ok := f.(fs.ReadDirFile)
	if !ok {
		return nil, notAChart("%s is not a directory", quoted(dir))
	}
	var all []fs.DirEntry
	for {
		some, err := listing.ReadDir(256)
		for _, e := range some {
			if err := d.count(); err != nil {
				return nil, err
			}
			all = append(all, e)
		}
		if errors.Is(err, io.EOF) {
			slices.SortFunc(all, func(a, b fs.DirEntry) int { return cmp.Compare(a.Name(), b.Name()) })
			return all, nil
		} else if err != nil {
			return nil, unreadable(dir, err)
		}
	}
}

// open opens a file that was regular when it was listed, and still is.
func (d *directory) open(path string) (io.ReadCloser, error) {
	f, err := d.fsys.Open(path)
	if err != nil {
		return nil, unreadable(path, err)
	}
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		f.Close()
		return nil, ambiguous("%s changed while it was read", quoted(path))
	}
	left := d.limits.ArchiveFile
	file := &capped{r: f, left: &left, excess: tooLarge(quoted(path), left)}
	return onDisk{Reader: d.unpack(file), file: f, path: path}, nil
}

// An onDisk reader gives the file system's errors a code.
type onDisk struct {
	io.Reader
	file fs.File
	path string
}

func (o onDisk) Read(p []byte) (int, error) {
	n, err := o.Reader.Read(p)
	if builtins.CodeOf(err) == builtins.Internal && !errors.Is(err, io.EOF) && !late(err) {
		err = unreadable(o.path, err)
	}
	return n, err
}

func (o onDisk) Close() error { return o.file.Close() }

// unreadable leaves out the path that the file system's error repeats.
func unreadable(path string, err error) error {
	var fault *fs.PathError
	if errors.As(err, &fault) {
		err = fault.Err
	}
	return builtins.Errorf(builtins.Unavailable, "reading %s: %w", quoted(path), err)
}
