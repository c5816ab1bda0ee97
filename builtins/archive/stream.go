// SPDX-License-Identifier: Apache-2.0

package archive

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash"
	"io"

	"github.com/chartseal/chartseal/builtins"
)

const (
	chunkSize = 64 << 10
	chunks    = 4
	// Below this size, handing chunks to another goroutine costs more than it saves.
	hashBeside = 4 * chunkSize
)

// A stream passes compressed bytes on and takes their digest. That of a long
// stream is taken by a goroutine of its own, so that hashing and unpacking
// overlap; it ends with close.
type stream struct {
	cancelled func() error
	r         io.Reader
	budget    *builtins.Budget // nil for bytes that were drawn before
	size      int64
	chunk     []byte // what of the last chunk is not passed on yet
	err       error  // of r, or of the budget; io.EOF at the end

	sum  hash.Hash // nil if no digest is wanted
	buf  []byte
	full chan []byte // to be hashed
	free chan []byte // hashed
	done chan struct{}
}

func newStream(ctx context.Context, r io.Reader, budget *builtins.Budget, hashed bool) *stream {
	s := &stream{cancelled: ctx.Err, r: r, budget: budget, buf: make([]byte, chunkSize)}
	if hashed {
		s.sum = sha256.New()
	}
	return s
}

func (s *stream) Read(p []byte) (int, error) {
	if len(s.chunk) == 0 {
		if err := s.fill(); err != nil {
			return 0, err
		}
	}
	n := copy(p, s.chunk)
	s.chunk = s.chunk[n:]
	return n, nil
}

// fill reads one chunk. Its bytes come before an error that came with them.
func (s *stream) fill() error {
	if s.err == nil {
		s.err = s.cancelled()
	}
	if s.err != nil {
		return s.err
	}
	n, err := s.r.Read(s.buf)
	s.err = err
	s.size += int64(n)
	if over := s.draw(n); over != nil {
		s.err = over
		return over
	}
	s.chunk = s.buf[:n]
	if n == 0 {
		return s.err
	}
	s.hash(s.chunk)
	return nil
}

func (s *stream) draw(n int) error {
	if s.budget == nil {
		return nil
	}
	return s.budget.Fetch(n)
}

// hash hashes chunk now or later; it stays unchanged until it is hashed, and
// s.buf is one to read into next.
func (s *stream) hash(chunk []byte) {
	switch {
	case s.sum == nil:
	case s.full == nil && s.size <= hashBeside:
		s.sum.Write(chunk)
	default:
		if s.full == nil {
			s.start()
		}
		s.full <- chunk
		s.buf = (<-s.free)[:chunkSize]
	}
}

func (s *stream) start() {
	s.full, s.free = make(chan []byte, chunks), make(chan []byte, chunks)
	s.done = make(chan struct{})
	for range chunks - 1 {
		s.free <- make([]byte, chunkSize)
	}
	go func() {
		defer close(s.done)
		for chunk := range s.full {
			s.sum.Write(chunk)
			s.free <- chunk
		}
	}()
}

// drain reads to the end, so that the digest is of everything.
func (s *stream) drain() error {
	for {
		if err := s.fill(); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// digest is sha256:<hex> of all that was read; "" if none is wanted.
func (s *stream) digest() string {
	s.close()
	if s.sum == nil {
		return ""
	}
	return "sha256:" + hex.EncodeToString(s.sum.Sum(nil))
}

func (s *stream) close() {
	if s.full == nil {
		return
	}
	close(s.full)
	<-s.done
	s.full = nil
}
