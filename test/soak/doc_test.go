// SPDX-License-Identifier: Apache-2.0

// Package soak holds the provider as it is shipped, the binary in a process of
// its own, against what clusters and registries do to it: load, rotation,
// outages, signals, and too little of everything.
//
// Without more, each test takes seconds and looks at events and counts.
// CHARTSEAL_SOAK=60s gives those that have more to show so much time, and
// CHARTSEAL_PROVIDER_BIN names the binary in place of one that is built.
package soak

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

var (
	binary string
	soak   time.Duration // 0 is the short form
)

func TestMain(m *testing.M) {
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func run(m *testing.M) (int, error) {
	dir, err := os.MkdirTemp("", "chartseal-soak")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	if text := os.Getenv("CHARTSEAL_SOAK"); text != "" {
		if soak, err = time.ParseDuration(text); err != nil {
			return 0, err
		}
	}
	if binary = os.Getenv("CHARTSEAL_PROVIDER_BIN"); binary == "" {
		binary = filepath.Join(dir, "chartseal-provider")
		build := exec.Command("go", "build", "-o", binary, "github.com/chartseal/chartseal/cmd/chartseal-provider")
		build.Env, build.Stderr = append(os.Environ(), "CGO_ENABLED=0"), os.Stderr
		if err := build.Run(); err != nil {
			return 0, fmt.Errorf("building the provider: %w", err)
		}
	}
	return m.Run(), nil
}

// patience is for what comes at once on a machine that has nothing else to do.
const patience = 60 * time.Second

// eventually waits until it is so.
func eventually(t testing.TB, what string, so func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !so() {
		select {
		case <-ctx.Done():
			t.Fatalf("waited for %s in vain", what)
		case <-tick.C:
		}
	}
}
