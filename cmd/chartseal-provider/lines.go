// SPDX-License-Identifier: Apache-2.0

package main

import (
	"io"
	"sync"
	"time"
)

// The bounds of what is held back: a line is out after this time, and nothing
// waits for a write but every so many bytes.
const (
	linger  = 100 * time.Millisecond
	maxHeld = 64 << 10
)

// lines are a log of which several go out at once: there is one for each key.
type lines struct {
	mu   sync.Mutex
	to   io.Writer
	held []byte
}

// Write takes a line. It is out soon, or when there are many.
func (l *lines) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.held) == 0 {
		time.AfterFunc(linger, l.flush)
	}
	if l.held = append(l.held, line...); len(l.held) >= maxHeld {
		l.out()
	}
	return len(line), nil
}

func (l *lines) flush() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.out()
}

// out writes what is held. Where a log cannot be written, nothing else can be said.
func (l *lines) out() {
	_, _ = l.to.Write(l.held)
	l.held = l.held[:0]
}
