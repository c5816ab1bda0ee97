// SPDX-License-Identifier: Apache-2.0

package archive

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"strings"

	"github.com/chartseal/chartseal/builtins"
)

// A walk reads one chart and all that is nested in it, on one budget.
type walk struct {
	ctx      context.Context // of the one call that the walk lives for
	budget   *builtins.Budget
	limits   builtins.Limits // of the budget
	contents bool
	vendored bool

	metadata int64 // bytes left of limits.Metadata, for all files kept

	hash hash.Hash
	buf  []byte
}

func newWalk(ctx context.Context, budget *builtins.Budget, wanted extent) *walk {
	return &walk{
		ctx: ctx, budget: budget, limits: budget.Limits, metadata: budget.Limits.Metadata,
		contents: wanted >= withContents, vendored: wanted == vendored,
		hash: sha256.New(), buf: make([]byte, chunkSize),
	}
}

// late says whether err is that of an ended context.
func late(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// count takes one entry from the budget.
func (w *walk) count() error {
	if err := w.ctx.Err(); err != nil {
		return err
	}
	return w.budget.Enter()
}

// file reads a file that lies at path in top. at is how reasons call it; open
// is called only if the bytes matter.
func (w *walk) file(top *node, at, path string, depth int64, open func() (io.ReadCloser, error)) error {
	owner, path, nested, err := top.place(at, path)
	if err != nil || !nested && !kept[path] && !w.contents {
		return err
	}
	r, err := open()
	if err != nil {
		return err
	}
	defer r.Close()
	switch {
	case nested:
		return w.subchart(owner, at, path, depth+1, r)
	case kept[path]:
		return w.keep(owner, at, path, r)
	}
	return w.fingerprint(owner, at, path, r)
}

func (w *walk) subchart(owner *node, at, path string, depth int64, r io.Reader) error {
	if depth > w.limits.ArchiveNesting {
		return tooMany("nesting of archives at "+quoted(at), w.limits.ArchiveNesting)
	}
	in := newStream(w.ctx, r, nil, w.contents)
	defer in.close()
	c, err := w.archive(in, depth)
	var refused error
	if w.vendored && depth == 1 && refusable(err) {
		refused = within(at, err)
		c, err = new(Chart), in.drain()
	}
	if err != nil {
		return within(at, err)
	}
	c.Digest, c.Size = in.digest(), in.size
	owner.Subcharts = append(owner.Subcharts, Subchart{Path: path, Chart: c, Refused: refused})
	return nil
}

// refusable says whether err is about an archive, and not about what reading
// it may cost or whether it can be read.
func refusable(err error) bool {
	switch builtins.CodeOf(err) {
	case builtins.AmbiguousArchive, builtins.NotAChart, builtins.MalformedChart:
		return true
	}
	return false
}

// keep takes a small file whole.
func (w *walk) keep(owner *node, at, path string, r io.Reader) error {
	excess := tooLarge("Chart.yaml, locks and the like, at "+quoted(at)+",", w.limits.Metadata)
	raw, err := io.ReadAll(&capped{r: r, left: &w.metadata, excess: excess})
	if err != nil {
		return readFault(err)
	}
	owner.Raw[path] = raw
	if w.contents {
		digest := builtins.SHA256(bytes.TrimPrefix(raw, byteOrderMark))
		owner.Files = append(owner.Files, File{Path: path, Digest: digest, Size: int64(len(raw))})
	}
	return nil
}

func (w *walk) fingerprint(owner *node, at, path string, r io.Reader) error {
	w.hash.Reset()
	head := w.buf[:len(byteOrderMark)]
	n, err := io.ReadFull(r, head)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return readFault(err)
	}
	size := int64(n)
	w.hash.Write(bytes.TrimPrefix(head[:n], byteOrderMark))
	// The struct hides a WriteTo that would ignore the buffer.
	rest, err := io.CopyBuffer(w.hash, struct{ io.Reader }{r}, w.buf)
	if err != nil {
		return readFault(err)
	}
	size += rest
	digest := "sha256:" + hex.EncodeToString(w.hash.Sum(nil))
	owner.Files = append(owner.Files, File{Path: path, Digest: digest, Size: size})
	return nil
}

// A capped reader fails with excess once more than *left bytes have come.
type capped struct {
	r      io.Reader
	left   *int64
	excess error
}

func (c *capped) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	if *c.left -= int64(n); *c.left < 0 {
		return 0, c.excess
	}
	return n, err
}

// An unpacker passes unpacked bytes on as far as the budget goes. It gives
// io.EOF only to a reader that asked for more than there is.
type unpacker struct {
	r         io.Reader
	budget    *builtins.Budget
	cancelled func() error
	size      int64
	ended     bool
}

func (w *walk) unpack(r io.Reader) *unpacker {
	return &unpacker{r: r, budget: w.budget, cancelled: w.ctx.Err}
}

func (u *unpacker) Read(p []byte) (int, error) {
	if err := u.cancelled(); err != nil {
		return 0, err
	}
	n, err := u.r.Read(p)
	u.size += int64(n)
	if over := u.budget.Unpack(n); over != nil {
		return 0, over
	}
	if n > 0 && errors.Is(err, io.EOF) {
		return n, nil
	}
	u.ended = errors.Is(err, io.EOF)
	return n, err
}

// kept are the files that go into [Chart.Raw].
var kept = map[string]bool{
	"Chart.yaml": true, "Chart.lock": true,
	"requirements.yaml": true, "requirements.lock": true,
	"chartseal.lock": true, ".helmignore": true,
}

// hidden says whether Helm passes over what is called so in charts/.
func hidden(name string) bool { return strings.HasPrefix(name, "_") || strings.HasPrefix(name, ".") }
