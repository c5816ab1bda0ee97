// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// often is how often files are looked at. Looking is a stat of each, which also
// sees what a mount hides from notifications: Kubernetes exchanges whole
// directories behind a symbolic link.
const often = 200 * time.Millisecond

// mostFiles bounds what is looked at in a directory.
const mostFiles = 10_000

// fingerprint changes when one of the files changes, appears or vanishes, or,
// of a directory, anything in it.
func fingerprint(paths ...string) string {
	h := sha256.New()
	for _, path := range paths {
		fmt.Fprintf(h, "%q\n", path)
		look(h, path, 4)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// look follows links, as whoever reads the files will.
func look(w io.Writer, path string, depth int) {
	info, err := os.Stat(path)
	if err != nil {
		fmt.Fprintf(w, "%v\n", err)
		return
	}
	fmt.Fprintf(w, "%s %d %d %v\n", info.Mode(), info.Size(), info.ModTime().UnixNano(), inode(info))
	if !info.IsDir() || depth == 0 {
		return
	}
	entries, err := os.ReadDir(path)
	if err != nil || len(entries) > mostFiles {
		fmt.Fprintf(w, "%d entries, %v\n", len(entries), err)
		return
	}
	for _, entry := range entries {
		fmt.Fprintf(w, "%q\n", entry.Name())
		look(w, filepath.Join(path, entry.Name()), depth-1)
	}
}

// watch calls reload after files have changed, until ctx ends, and at once when
// it is asked to. files are asked for each time: a reload may change them. A
// reload that fails is tried again after a while, though nothing changes: files
// may have been in the middle of it. The first look finds a change in any case:
// what the files were when they were read for the first time, nobody knows.
func watch(ctx context.Context, files func() []string, ask <-chan os.Signal, reload func() error) {
	known := ""
	tick := time.NewTicker(often)
	defer tick.Stop()
	var again time.Time
	for {
		asked := false
		select {
		case <-ctx.Done():
			return
		case <-ask:
			asked = true
		case <-tick.C:
		}
		// Taken before anything is read: what changes meanwhile is seen next time.
		now, due := fingerprint(files()...), !again.IsZero() && time.Now().After(again)
		if !asked && !due && now == known {
			continue
		}
		known, again = now, time.Time{}
		if err := reload(); err != nil {
			again = time.Now().Add(patience)
		}
	}
}

// patience is how long until a reload that failed is tried again.
const patience = 5 * time.Second

// inode tells a file from another one that was put into its place.
func inode(info fs.FileInfo) uint64 {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		return stat.Ino
	}
	return 0
}
