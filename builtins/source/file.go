// SPDX-License-Identifier: Apache-2.0

package source

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"

	"github.com/chartseal/chartseal/builtins"
)

// resolvePath opens what lies at path. What happens to the path later changes
// nothing: the open file, or the open directory, is the chart.
func (c *Client) resolvePath(path string) (builtins.Artifact, error) {
	if err := c.permitLocal(); err != nil {
		return nil, err
	}
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, noChart(path, err)
	case info.IsDir():
		return openDirectory(path)
	case strings.HasSuffix(path, ".prov"):
		return nil, builtins.Errorf(builtins.NotAChart, "%q is a provenance file; the chart is the archive beside it", builtins.Clip(path))
	}
	file, err := openFile(path)
	if err != nil {
		return nil, err
	}
	return &localArchive{client: c, path: path, file: file}, nil
}

// likeOCI is how a reference to a registry looks that lacks its scheme.
var likeOCI = regexp.MustCompile(`^([a-z0-9-]+(\.[a-z0-9-]+)+|localhost)(:[0-9]+)?/[^:@]+([:@].*)?$`)

// noChart helps where a path was not meant as one.
func noChart(path string, err error) error {
	fault := fileFault(path, err)
	if builtins.CodeOf(fault) == builtins.NotFound && likeOCI.MatchString(path) {
		return builtins.Errorf(builtins.NotFound, "there is no such file %q; a reference to a registry begins with oci://", builtins.Clip(path))
	}
	return fault
}

func (c *Client) permitLocal() error {
	if !c.config.LocalPaths {
		return builtins.Errorf(builtins.SourceDenied, "local and inline charts are not permitted here")
	}
	return nil
}

// openFile opens a regular file and nothing else. It looks before it opens,
// since opening a device can be felt, and again after, when nothing can be
// exchanged any more; O_NONBLOCK is for the pipe that slips in between.
func openFile(path string) (*os.File, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fileFault(path, err)
	}
	if !info.Mode().IsRegular() {
		return nil, notAFile(path, info)
	}
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, fileFault(path, err)
	}
	info, err = file.Stat()
	if err == nil && info.Mode().IsRegular() {
		return file, nil
	}
	_ = file.Close()
	if err != nil {
		return nil, fileFault(path, err)
	}
	return nil, notAFile(path, info)
}

func notAFile(path string, info fs.FileInfo) error {
	return builtins.Errorf(builtins.NotAChart, "%q is not a regular file but %s", builtins.Clip(path), info.Mode().Type())
}

// fileFault tells absence from what could not be found out.
func fileFault(path string, err error) error {
	path = builtins.Clip(path)
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR), errors.Is(err, syscall.ENAMETOOLONG):
		return builtins.Errorf(builtins.NotFound, "there is no %q", path)
	case errors.Is(err, fs.ErrPermission):
		return builtins.Errorf(builtins.Denied, "no permission to read %q", path)
	}
	var cause *fs.PathError
	if errors.As(err, &cause) {
		err = cause.Err
	}
	return builtins.Errorf(builtins.Unavailable, "reading %q: %w", path, err)
}

// readFile reads a small file whole.
func (c *Client) readFile(path string, limit int64) ([]byte, error) {
	if err := c.permitLocal(); err != nil {
		return nil, err
	}
	file, err := openFile(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return readAll(atMost(fileReader{file, path}, limit, path))
}

// A fileReader gives the faults of a file their codes.
type fileReader struct {
	io.Reader
	path string
}

func (f fileReader) Read(p []byte) (int, error) {
	n, err := f.Reader.Read(p)
	if err != nil && err != io.EOF {
		err = fileFault(f.path, err)
	}
	return n, err
}

// A localArchive is an archive on disk.
type localArchive struct {
	client *Client
	path   string
	file   *os.File
}

func (a *localArchive) Info() builtins.ArtifactInfo {
	return builtins.ArtifactInfo{FileName: filepath.Base(a.path)}
}

// Open reads the open file from its start. Nothing names its digest, so it is
// not hashed here: who judges it hashes it.
func (a *localArchive) Open(context.Context) (io.ReadCloser, error) {
	limit := a.client.config.Limits.Archive
	if info, err := a.file.Stat(); err == nil && info.Size() > limit {
		return nil, tooLarge(a.path, limit)
	}
	whole := io.NewSectionReader(a.file, 0, limit+1)
	return io.NopCloser(atMost(fileReader{whole, a.path}, limit, a.path)), nil
}

func (a *localArchive) Dir() (fs.FS, bool) { return nil, false }

func (a *localArchive) Provenance(ctx context.Context) ([]byte, error) {
	return a.Beside(ctx, ".prov", a.client.config.Limits.Provenance)
}

func (a *localArchive) Beside(_ context.Context, suffix string, limit int64) ([]byte, error) {
	return a.client.readFile(a.path+suffix, limit)
}

func (a *localArchive) Config(context.Context) ([]byte, error) { return nil, nil }

func (a *localArchive) Close() error { return a.file.Close() }

// A directory is a chart that is not packaged.
type directory struct {
	noArchive
	root *os.Root
	name string
}

func openDirectory(path string) (builtins.Artifact, error) {
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, fileFault(path, err)
	}
	if _, err := root.Lstat("Chart.yaml"); err != nil {
		_ = root.Close()
		return nil, noChartYAML(path, err)
	}
	return &directory{root: root, name: path}, nil
}

// noChartYAML is a verdict only if it is certain that there is none.
func noChartYAML(directory string, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return builtins.Errorf(builtins.NotAChart, "directory %q has no Chart.yaml", builtins.Clip(directory))
	}
	return fileFault(filepath.Join(directory, "Chart.yaml"), err)
}

func (d *directory) Info() builtins.ArtifactInfo {
	return builtins.ArtifactInfo{FileName: filepath.Base(d.name), Directory: true}
}

func (d *directory) Open(context.Context) (io.ReadCloser, error) {
	return nil, builtins.Errorf(builtins.NotAChart, "%q is a directory, not an archive", builtins.Clip(d.name))
}

func (d *directory) Dir() (fs.FS, bool) { return d.root.FS(), true }

func (d *directory) Close() error { return d.root.Close() }

// An inlineArchive stands in the reference itself.
type inlineArchive struct {
	noArchive
	archive []byte
}

func (c *Client) resolveInline(archive []byte) (builtins.Artifact, error) {
	if err := c.permitLocal(); err != nil {
		return nil, err
	}
	if limit := c.config.Limits.Archive; int64(len(archive)) > limit {
		return nil, tooLarge("the inline archive", limit)
	}
	return &inlineArchive{archive: archive}, nil
}

func (a *inlineArchive) Info() builtins.ArtifactInfo { return builtins.ArtifactInfo{} }

func (a *inlineArchive) Open(context.Context) (io.ReadCloser, error) {
	return io.NopCloser(bytes.NewReader(a.archive)), nil
}

func (a *inlineArchive) Dir() (fs.FS, bool) { return nil, false }

func (a *inlineArchive) Close() error { return nil }

// noArchive is what a chart has that has no file of its own: nothing beside it.
type noArchive struct{}

func (noArchive) Provenance(context.Context) ([]byte, error) {
	return nil, builtins.Errorf(builtins.NotFound, "only a packaged chart has a provenance file")
}

func (noArchive) Beside(context.Context, string, int64) ([]byte, error) {
	return nil, builtins.Errorf(builtins.NotFound, "nothing lies beside this chart")
}

func (noArchive) Config(context.Context) ([]byte, error) { return nil, nil }
