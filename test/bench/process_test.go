// SPDX-License-Identifier: Apache-2.0

package bench_test

import (
	"bytes"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"
)

// A process is a command line that answers whether charts verify.
type process struct {
	path  string
	args  []string
	stdin []byte
	yes   string // what it prints if so; "" if its exit code tells
}

// A run is what one process cost and answered.
type run struct {
	wall     time.Duration
	cpu      time.Duration // user and system, of all threads
	rss      int64         // bytes, at most
	verified bool
	output   []byte
}

func (p process) run(b testing.TB) run {
	b.Helper()
	cmd := exec.Command(p.path, p.args...)
	cmd.Dir, cmd.Stdin = workspace, bytes.NewReader(p.stdin)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + workspace, "HELM_CACHE_HOME=" + workspace, "HELM_CONFIG_HOME=" + workspace, "HELM_DATA_HOME=" + workspace}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	start := time.Now()
	err := cmd.Run()
	r := run{wall: time.Since(start), output: out.Bytes(), verified: err == nil}
	if cmd.ProcessState == nil {
		b.Fatal(err)
	}
	r.cpu = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	if usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		r.rss = usage.Maxrss * 1024 // Linux counts in KiB
	}
	if p.yes != "" {
		r.verified = err == nil && string(bytes.TrimSpace(r.output)) == p.yes
	}
	return r
}

// runs is several processes one after the other, as one.
func runs(b testing.TB, all []process) run {
	b.Helper()
	total := run{verified: true}
	for _, p := range all {
		r := p.run(b)
		total.wall += r.wall
		total.cpu += r.cpu
		total.rss = max(total.rss, r.rss)
		total.output = append(total.output, r.output...)
		total.verified = total.verified && r.verified
	}
	return total
}

// ownMemory is the most that this process took so far; a child counts from there.
func ownMemory() int64 {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0
	}
	return usage.Maxrss * 1024
}
