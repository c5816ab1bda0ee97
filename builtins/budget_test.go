// SPDX-License-Identifier: Apache-2.0

package builtins_test

import (
	"sync"
	"sync/atomic"
	"testing"

	"github.com/chartseal/chartseal/builtins"
)

// Of what several goroutines draw, as much is granted as there was.
func TestBudgetIsShared(t *testing.T) {
	limits := builtins.Limits{Archive: 1000, ArchiveUnpacked: 2000, ArchiveEntries: 100}
	for name, test := range map[string]struct {
		draw func(*builtins.Budget) error
		want int64
		code builtins.Code
	}{
		"fetched":  {func(b *builtins.Budget) error { return b.Fetch(10) }, 100, builtins.TooLarge},
		"unpacked": {func(b *builtins.Budget) error { return b.Unpack(10) }, 200, builtins.TooLarge},
		"entries":  {(*builtins.Budget).Enter, 100, builtins.TooMany},
	} {
		t.Run(name, func(t *testing.T) {
			budget := builtins.NewBudget(limits)
			var granted atomic.Int64
			var all sync.WaitGroup
			for range 8 {
				all.Go(func() {
					for range 100 {
						if err := test.draw(budget); err == nil {
							granted.Add(1)
						} else if builtins.CodeOf(err) != test.code || !builtins.Exceeds(err) {
							t.Errorf("%v, want %s", err, test.code)
						}
					}
				})
			}
			all.Wait()
			if granted.Load() != test.want {
				t.Errorf("%d were granted, want %d", granted.Load(), test.want)
			}
		})
	}
	budget := builtins.NewBudget(limits)
	if err := budget.Fetch(600); err != nil || budget.Fetchable() != 400 {
		t.Errorf("%v, %d left, want 400", err, budget.Fetchable())
	}
	if err := budget.Fetch(600); err == nil || budget.Fetchable() != 0 {
		t.Errorf("%v, %d left, want none", err, budget.Fetchable())
	}
	if builtins.Exceeds(nil) || builtins.Exceeds(builtins.Errorf(builtins.NotAChart, "x")) {
		t.Error("what is about no limit exceeds one")
	}
}
