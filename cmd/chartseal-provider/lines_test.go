// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"strings"
	"testing"
)

// A stuck reader takes one write and no more until it is told to go on.
type stuck struct {
	bytes.Buffer
	entered, resume chan struct{}
}

func (s *stuck) Write(p []byte) (int, error) {
	s.entered <- struct{}{}
	<-s.resume
	return s.Buffer.Write(p)
}

// Nobody waits for a log that nobody reads; how much is lost is told.
func TestLinesWaitForNobody(t *testing.T) {
	t.Parallel()
	to := &stuck{entered: make(chan struct{}, 1), resume: make(chan struct{})}
	l := &lines{to: to}
	line := []byte(strings.Repeat("x", 1023) + "\n")
	if _, err := l.Write([]byte("first\n")); err != nil {
		t.Fatal(err)
	}
	<-to.entered // its write is stuck
	for range 3 << 10 {
		if n, err := l.Write(line); n != len(line) || err != nil {
			t.Fatal(n, err)
		}
	}
	close(to.resume)
	l.flush()
	out := to.String()
	if !strings.HasPrefix(out, "first\n") || strings.Count(out, string(line)) != 1<<10 || !strings.HasSuffix(out, "\"lines\":2048}\n") {
		t.Errorf("%d lines, ending in %q", strings.Count(out, "\n"), out[max(0, len(out)-100):])
	}
}
