// SPDX-License-Identifier: Apache-2.0

package source

import (
	"fmt"
	"runtime/debug"
	"sync"

	"golang.org/x/sync/errgroup"
)

// A group does several things at once, and all of them to the end. A panic is
// handed on to who waits, who knows whose check it is: in a goroutine of
// nobody's it would end the process.
type group struct {
	all      errgroup.Group
	first    sync.Once
	panicked any
}

func (g *group) do(what func()) {
	g.all.Go(func() error {
		defer func() {
			if r := recover(); r != nil {
				g.first.Do(func() { g.panicked = fmt.Sprintf("%v\n%s", r, debug.Stack()) })
			}
		}()
		what()
		return nil
	})
}

func (g *group) wait() {
	if _ = g.all.Wait(); g.panicked != nil {
		panic(g.panicked)
	}
}
