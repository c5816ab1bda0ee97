// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"sync"
	"time"
)

// The bounds of what is held back: a line is out after this time, unless the
// log takes nothing for so long that there are too many bytes.
const (
	linger  = 100 * time.Millisecond
	maxHeld = 1 << 20
)

// lines are a log that no answer waits for: lines go out several at a time, and
// where whoever reads them has stopped, further ones are counted and lost.
type lines struct {
	to io.Writer

	mu      sync.Mutex
	held    []byte
	lost    int
	waiting bool // somebody will write what is held

	writing sync.Mutex
}

// Write takes a line.
func (l *lines) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.held)+len(line) > maxHeld {
		l.lost++
		return len(line), nil
	}
	l.held = append(l.held, line...)
	if !l.waiting {
		l.waiting = true
		time.AfterFunc(linger, l.flush)
	}
	return len(line), nil
}

// flush writes what is held, in order with others who do.
func (l *lines) flush() {
	l.writing.Lock()
	defer l.writing.Unlock()
	_, _ = l.to.Write(l.take()) // where a log cannot be written, nothing else can be said
}

func (l *lines) take() []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := l.held
	if l.lost > 0 {
		out = fmt.Appendf(out, "{\"level\":\"WARN\",\"msg\":\"lines were lost, since nobody read the log\",\"lines\":%d}\n", l.lost)
	}
	l.held, l.lost, l.waiting = nil, 0, false
	return out
}
