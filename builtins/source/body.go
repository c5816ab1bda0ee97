// SPDX-License-Identifier: Apache-2.0

package source

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/chartseal/chartseal/builtins"
)

// A body is the body of an answer. A wait for its next byte longer than
// silence ends the request; a server that keeps dripping is left to the
// context's deadline.
type body struct {
	from    io.ReadCloser
	req     request
	of      *exchange
	ctx     context.Context
	cancel  context.CancelCauseFunc
	timer   *time.Timer
	silence time.Duration
	silent  atomic.Bool // more than that was waited
	endless bool        // neither a length nor chunks say where it ends
}

// errEndless is what there is instead of an end of a body that just ends when
// the connection does: nobody knows whether it is whole.
var errEndless = errors.New("the answer does not say where it ends")

func newBody(ctx context.Context, cancel context.CancelCauseFunc, req request, resp *http.Response, of *exchange) *body {
	silence := time.Duration(of.client.config.Limits.Silence)
	endless := resp.ContentLength < 0 && len(resp.TransferEncoding) == 0
	b := &body{from: resp.Body, req: req, of: of, ctx: ctx, cancel: cancel, silence: silence, endless: endless}
	b.timer = time.AfterFunc(silence, func() {
		b.silent.Store(true)
		cancel(builtins.Errorf(builtins.Timeout, "%s sent nothing for %s", req.shown(), silence))
	})
	b.timer.Stop()
	return b
}

// Read counts only the time of its own waiting: a slow reader is no slow server.
func (b *body) Read(p []byte) (int, error) {
	b.timer.Reset(b.silence)
	n, err := b.from.Read(p)
	b.timer.Stop()
	b.of.read(b, err)
	b.of.result.Bytes += int64(n)
	switch {
	case err == io.EOF && b.endless:
		err = builtins.Errorf(builtins.Unavailable, "%s: %w", b.req.shown(), errEndless)
	case err != nil && err != io.EOF:
		err = fault(b.ctx, b.req.shown(), err)
		b.of.result.Code = builtins.CodeOf(err)
	}
	return n, err
}

func (b *body) Close() error {
	b.timer.Stop()
	b.cancel(nil)
	defer b.of.end()
	return b.from.Close()
}

// checkLength refuses an answer that announces more than limit bytes.
func checkLength(resp *http.Response, limit int64) error {
	if resp.ContentLength > limit {
		return tooLarge(shown(resp), limit)
	}
	return nil
}

func tooLarge(what string, limit int64) error {
	return builtins.Errorf(builtins.TooLarge, "%s has more than %d bytes", what, limit)
}

// A capped reader fails with TooLarge where more bytes come than the limit.
type capped struct {
	from  io.Reader
	left  int64
	limit int64
	what  string
}

func atMost(r io.Reader, limit int64, what string) *capped {
	return &capped{from: r, left: limit, limit: limit, what: what}
}

func (c *capped) Read(p []byte) (int, error) {
	if c.left < 0 {
		return 0, tooLarge(c.what, c.limit)
	}
	if int64(len(p)) > c.left+1 {
		p = p[:c.left+1] // one more shows that there is more
	}
	n, err := c.from.Read(p)
	c.left -= int64(n)
	if c.left < 0 {
		return n - 1, tooLarge(c.what, c.limit)
	}
	return n, err
}

// A hashed reader judges the digest of everything when it has read it. A
// digest that was named beforehand also decides whether an answer that does
// not say where it ends is whole.
type hashed struct {
	io.Closer
	from  io.Reader
	hash  hash.Hash
	judge func(digest string) error
	named bool
}

func newHashed(from io.Reader, closer io.Closer, judge func(string) error) *hashed {
	return &hashed{Closer: closer, from: from, hash: sha256.New(), judge: judge, named: true}
}

func (h *hashed) Read(p []byte) (int, error) {
	n, err := h.from.Read(p)
	h.hash.Write(p[:n])
	endless := h.named && errors.Is(err, errEndless)
	if err != io.EOF && !endless {
		return n, err
	}
	wrong := h.judge("sha256:" + hex.EncodeToString(h.hash.Sum(nil)))
	switch {
	case wrong == nil:
		return n, io.EOF
	case endless:
		return n, err
	}
	return n, wrong
}

// A pin is the digest that an archive must have. Where nobody names one, what
// is read first sets it for those who read again.
type pin struct {
	mu     sync.Mutex
	digest string
	by     string // who says so
}

func (p *pin) judge(digest string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.digest == "" {
		p.digest, p.by = digest, "an earlier answer"
	}
	if p.digest != digest {
		return builtins.Errorf(builtins.DigestMismatch, "the archive is %s, %s says %s", digest, p.by, p.digest)
	}
	return nil
}

// readAll is everything or an error, never half of it.
func readAll(r io.Reader) ([]byte, error) {
	raw, err := io.ReadAll(r)
	if err != nil {
		return nil, err
	}
	return raw, nil
}
