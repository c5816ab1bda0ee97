// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// What changed between the first reading and the first look is read as well:
// nobody knows what the files were when they were read first. What stays as it
// is, is left alone.
func TestWatchMissesNothingBeforeItsFirstLook(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte("changed since it was read"), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	looks, reloads := 0, 0
	watch(ctx, func() []string {
		if looks++; looks == 5 {
			cancel()
		}
		return []string{path}
	}, nil, func() error { reloads++; return nil })
	if reloads != 1 {
		t.Errorf("%d reloads, want one", reloads)
	}
}

// A reload that is asked for happens, whatever the files are.
func TestWatchIsAsked(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	ask := make(chan os.Signal, 1)
	ask <- os.Interrupt
	reloads := 0
	watch(ctx, func() []string { return nil }, ask, func() error {
		if reloads++; reloads == 2 {
			cancel()
			return nil
		}
		ask <- os.Interrupt
		return errors.New("broken")
	})
	if reloads != 2 {
		t.Errorf("%d reloads", reloads)
	}
}
