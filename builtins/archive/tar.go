// SPDX-License-Identifier: Apache-2.0

package archive

import (
	"archive/tar"
	"bufio"
	"errors"
	"io"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"github.com/klauspost/compress/gzip"

	"github.com/chartseal/chartseal/builtins"
)

const (
	tarBlock     = 512
	maxTarHeader = 1 << 20 // of archive/tar itself
)

// archive reads the gzipped tar in to its end. depth is how many archives it
// lies in.
func (w *walk) archive(in *stream, depth int64) (*Chart, error) {
	compressed := bufio.NewReaderSize(in, chunkSize/4)
	unzipped, err := gzip.NewReader(compressed)
	if err != nil {
		return nil, readFault(err)
	}
	defer unzipped.Close()
	unzipped.Multistream(false)
	unpacked := w.unpack(unzipped)
	top, err := w.tar(unpacked, depth)
	if err == nil {
		err = w.end(unpacked, compressed)
	}
	if err != nil {
		return nil, readFault(err)
	}
	return top.finish(w.ctx, "", nil)
}

func (w *walk) tar(r *unpacker, depth int64) (*node, error) {
	tr := tar.NewReader(r)
	t := tree{top: newNode(), paths: newPaths(w.limits)}
	for {
		h, err := tr.Next()
		switch {
		case errors.Is(err, io.EOF) && r.ended:
			return nil, io.ErrUnexpectedEOF
		case errors.Is(err, io.EOF):
			return t.top, nil
		case errors.Is(err, tar.ErrHeader) && r.size > tarBlock:
			return nil, ambiguous("damaged tar header after %s", quoted(t.last))
		case errors.Is(err, tar.ErrFieldTooLong):
			return nil, tooLarge("tar header after "+quoted(t.last), maxTarHeader)
		case err != nil:
			return nil, err
		}
		if err := w.entry(&t, h, tr, depth); err != nil {
			return nil, err
		}
	}
}

// A tree is what one tar holds.
type tree struct {
	top   *node
	paths *paths
	root  string // the one directory that everything lies in
	last  string
}

func (w *walk) entry(t *tree, h *tar.Header, r io.Reader, depth int64) error {
	if err := w.count(); err != nil {
		return err
	}
	if h.Typeflag == tar.TypeXGlobalHeader {
		return harmless(h)
	}
	dir, err := kind(h)
	if err != nil {
		return err
	}
	t.last = strings.TrimSuffix(h.Name, "/")
	if err := t.paths.add(t.last, dir); err != nil {
		return err
	}
	path, err := t.beneath(t.last, dir)
	if err != nil || dir {
		return err
	}
	if h.Size > w.limits.ArchiveFile {
		return tooLarge(quoted(h.Name), w.limits.ArchiveFile)
	}
	return w.file(t.top, t.last, path, depth, func() (io.ReadCloser, error) { return io.NopCloser(r), nil })
}

// beneath is path from the root directory.
func (t *tree) beneath(path string, dir bool) (string, error) {
	root, rest, inside := strings.Cut(path, "/")
	switch {
	case !inside && !dir:
		return "", ambiguous("file %s lies beside the root directory", quoted(path))
	case t.root != "" && t.root != root:
		return "", ambiguous("two root directories, %s and %s", quoted(t.root), quoted(root))
	case root == "Chart.yaml":
		return "", ambiguous("root directory is called Chart.yaml")
	}
	t.root = root
	return rest, nil
}

// kind says whether h is of a directory or of a regular file; anything else
// is refused, also if the type says one and the mode another.
func kind(h *tar.Header) (dir bool, err error) {
	mode := h.FileInfo().Mode().Type()
	for record := range h.PAXRecords {
		if strings.HasPrefix(record, "GNU.sparse.") {
			return false, ambiguous("%s is a sparse file", quoted(h.Name))
		}
	}
	switch {
	case h.Typeflag == tar.TypeReg && mode == 0:
		return false, nil
	case h.Typeflag == tar.TypeDir && mode == fs.ModeDir && h.Size == 0:
		return true, nil
	}
	return false, ambiguous("%s is neither file nor directory: tar type %q, mode %v", quoted(h.Name), h.Typeflag, mode)
}

// harmless accepts the comment that git archive writes. Any other global
// record changes the entries that follow, for those readers that know it.
func harmless(h *tar.Header) error {
	for _, record := range slices.Sorted(maps.Keys(h.PAXRecords)) {
		if record != "comment" {
			return ambiguous("global tar header sets %s", quoted(record))
		}
	}
	return nil
}

// end refuses anything but zeros after the tar, and anything after the gzip.
func (w *walk) end(unpacked io.Reader, compressed io.ByteReader) error {
	for {
		n, err := unpacked.Read(w.buf)
		if !zeros(w.buf[:n]) {
			return ambiguous("bytes after the end of the tar")
		}
		if errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return err
		}
	}
	if _, err := compressed.ReadByte(); err == nil {
		return ambiguous("bytes after the end of the gzip stream")
	} else if !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

func zeros(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}

// readFault gives a code to what gzip and tar find wrong. Other errors keep
// theirs, and those of the outermost reader come first anyway.
func readFault(err error) error {
	var coded *builtins.Error
	switch {
	case errors.As(err, &coded), late(err):
		return err
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return notAChart("archive ends too early")
	}
	return notAChart("not a gzipped tar: %w", err)
}

// within says in which nested archive a fault is.
func within(at string, err error) error {
	var coded *builtins.Error
	if !errors.As(err, &coded) {
		return err
	}
	return builtins.Errorf(coded.Code, "%s: %w", quoted(at), err)
}
