// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// A Process runs until it is stopped, at the latest with its test.
type Process struct {
	name  string
	cmd   *exec.Cmd
	log   journal
	ended chan struct{}
	err   error // with which it ended
}

// A Command is what [Run] starts.
type Command struct {
	Path string
	Args []string
	Env  []string // and nothing of our own
	Dir  string
}

// Run starts a process. What it logs is shown if the test fails.
func Run(t testing.TB, name string, c Command) *Process {
	t.Helper()
	p := &Process{name: name, cmd: exec.Command(c.Path, c.Args...), ended: make(chan struct{})}
	p.cmd.Dir, p.cmd.Env, p.cmd.Stdout, p.cmd.Stderr = c.Dir, c.Env, &p.log, &p.log
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.ended)
	}()
	t.Cleanup(func() {
		p.Stop(t)
		if t.Failed() {
			t.Logf("%s: %v\n%s", name, p.err, p.log.tail(12))
		}
	})
	return p
}

// Stop asks the process to end and waits until it has; who does not is killed.
func (p *Process) Stop(t testing.TB) {
	t.Helper()
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.ended:
	case <-time.After(ready):
		t.Errorf("%s does not end", p.name)
		_ = p.cmd.Process.Kill()
		<-p.ended
	}
}

// Signal sends it any other signal.
func (p *Process) Signal(t testing.TB, s syscall.Signal) {
	t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
}

// Log is what it has written so far.
func (p *Process) Log() string { return p.log.text() }

// CPU is the time that it has computed for so far, 0 where the system does not
// tell.
func (p *Process) CPU() time.Duration {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(raw), ") ")
	fields := strings.Fields(rest)
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	return time.Duration(user+system) * 10 * time.Millisecond
}

// A journal can be read while it is written.
type journal struct {
	mu      sync.Mutex
	content bytes.Buffer
}

func (j *journal) Write(b []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.content.Write(b)
}

func (j *journal) text() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.content.String()
}

func (j *journal) tail(n int) string {
	lines := strings.Split(strings.TrimSpace(j.text()), "\n")
	lines = lines[max(0, len(lines)-n):]
	for i, line := range lines {
		lines[i] = line[:min(len(line), 300)]
	}
	return strings.Join(lines, "\n")
}
