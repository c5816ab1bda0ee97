// SPDX-License-Identifier: Apache-2.0

package source

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/chartseal/chartseal/builtins"
	"github.com/maypok86/otter/v2"
)

// A Breaker says when a host is left alone: after so many failures in a row
// that are its own, no request is sent to it. Then one request each rest tries
// it, and the first answer ends the matter. A failure is no verdict: what is
// not sent is Unavailable, as what would have failed.
type Breaker struct {
	Failures int           // in a row; 0 is 5
	Rest     time.Duration // 0 is 250 ms
}

// maxCircuits bounds how many hosts are known to fail. One that is forgotten
// has to fail anew.
const maxCircuits = 1024

// Circuits are those of all hosts that were asked of late. Nil ones let
// everything pass.
type circuits struct {
	Breaker
	now            func() time.Time
	of             *otter.Cache[string, *circuit]
	opened, closed atomic.Int64
	refused        atomic.Int64
}

// A circuit is that of one origin.
type circuit struct {
	mu       sync.Mutex
	answers  int       // so far
	failures int       // since the last answer
	next     time.Time // when a request may try, once there are too many
}

func newCircuits(b *Breaker, now func() time.Time) *circuits {
	if b == nil {
		return nil
	}
	c := &circuits{Breaker: *b, now: now, of: otter.Must(&otter.Options[string, *circuit]{MaximumSize: maxCircuits})}
	if c.Failures <= 0 {
		c.Failures = 5
	}
	if c.Rest <= 0 {
		c.Rest = 250 * time.Millisecond
	}
	return c
}

// check says without trying whether a request would be refused.
func (c *circuits) check(origin string) error {
	if c == nil {
		return nil
	}
	at, known := c.of.GetIfPresent(origin)
	if !known {
		return nil
	}
	at.mu.Lock()
	defer at.mu.Unlock()
	if c.open(at) && c.now().Before(at.next) {
		return c.refuse(origin, at)
	}
	return nil
}

func (c *circuits) at(origin string) *circuit {
	if at, known := c.of.GetIfPresent(origin); known {
		return at
	}
	at, _ := c.of.ComputeIfAbsent(origin, func() (*circuit, bool) { return new(circuit), false })
	return at
}

func (c *circuits) open(at *circuit) bool { return at.failures >= c.Failures }

func (c *circuits) refuse(origin string, at *circuit) error {
	c.refused.Add(1)
	return builtins.Errorf(builtins.Unavailable, "host %s did not answer %d requests in a row and is left alone for %s",
		builtins.Clip(origin), at.failures, c.Rest)
}

// A trial is a request that was let pass; how it went is to be told. A nil
// trial concerns nobody.
type trial struct {
	all     *circuits
	at      *circuit
	answers int // of the host, when the request was sent
}

// pass lets a request be sent. While the circuit is open that is one each
// rest, whatever becomes of the one before: one that hangs keeps nobody from
// finding out that the host is back.
func (c *circuits) pass(origin string) (*trial, error) {
	if c == nil {
		return nil, nil
	}
	at := c.at(origin)
	at.mu.Lock()
	defer at.mu.Unlock()
	if c.open(at) {
		now := c.now()
		if now.Before(at.next) {
			return nil, c.refuse(origin, at)
		}
		at.next = now.Add(c.Rest)
	}
	return &trial{c, at, at.answers}, nil
}

// answered closes the circuit, whatever the answer was.
func (t *trial) answered() {
	if t == nil {
		return
	}
	t.at.mu.Lock()
	defer t.at.mu.Unlock()
	if t.all.open(t.at) {
		t.all.closed.Add(1)
	}
	t.at.answers++
	t.at.failures = 0
}

// failed counts, unless the host has answered since the request was sent: what
// hung before says nothing of a host that is back.
func (t *trial) failed() {
	if t == nil {
		return
	}
	t.at.mu.Lock()
	defer t.at.mu.Unlock()
	if t.answers != t.at.answers {
		return
	}
	if t.at.failures++; t.at.failures == t.all.Failures {
		t.all.opened.Add(1)
		t.at.next = t.all.now().Add(t.all.Rest)
	}
}

// unwell says whether a status is a host's way to say that it cannot answer.
// 501 and 505 are about the request.
func unwell(status int) bool {
	switch status {
	case http.StatusNotImplemented, http.StatusHTTPVersionNotSupported:
		return false
	}
	return status >= 500 || status == http.StatusTooManyRequests
}

// blames says whether it is the host's fault that a request under ctx ended
// with err. It is not if ctx ended first, if we did not want to connect, or if
// what came is not HTTP, which somebody may have put there.
func blames(ctx context.Context, err error) bool {
	var decided *builtins.Error
	var waited net.Error
	deadline, limited := ctx.Deadline()
	switch {
	case ctx.Err() != nil, limited && !time.Now().Before(deadline):
		return false
	case errors.As(err, &decided):
		return decided.Code == builtins.Unavailable
	case errors.As(err, &waited) && waited.Timeout():
		return true
	}
	return connectionFault(err)
}

// connectionFault is a fault of names, connections and TLS.
func connectionFault(err error) bool {
	var name *net.DNSError
	var system syscall.Errno
	return errors.As(err, &name) || errors.As(err, &system) || errors.Is(err, errHandshake) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}
