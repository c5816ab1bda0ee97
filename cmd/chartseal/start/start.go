// SPDX-License-Identifier: Apache-2.0

// Package start keeps the garbage collector out of the start of a command. What
// is made there are tables that live to the end, and going through them was a
// fifth of the time of a short command. It imports next to nothing, so that it
// is initialised before nearly everything else.
package start

import (
	"os"
	"runtime/debug"
)

const relaxed = 400

func init() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(relaxed)
	}
}

// Serve is for commands that go on: their memory is collected as usual.
func Serve() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(100)
	}
}
