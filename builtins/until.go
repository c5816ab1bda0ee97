// SPDX-License-Identifier: Apache-2.0

package builtins

import (
	"context"
	"sync"
	"time"
)

// Until tells the check that runs under ctx that something it was given is
// taken as current until then and no longer: what a tag names, what an index
// or a registry lists. The check's report has the earliest, see [Report.Until].
// Without a check it tells nobody.
func Until(ctx context.Context, until time.Time) {
	if kept, ok := ctx.Value(currencyKey{}).(*currency); ok {
		kept.tell(until)
	}
}

type currencyKey struct{}

// A currency is until when all that a check was given is current.
type currency struct {
	mu       sync.Mutex
	earliest time.Time // zero is for good
}

// current keeps apart what is told under the context that it gives.
func current(ctx context.Context) (context.Context, *currency) {
	kept := new(currency)
	return context.WithValue(ctx, currencyKey{}, kept), kept
}

func (c *currency) tell(until time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.earliest.IsZero() || until.Before(c.earliest) {
		c.earliest = until
	}
}

// pass tells ctx what was told, and gives it.
func (c *currency) pass(ctx context.Context) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.earliest.IsZero() {
		Until(ctx, c.earliest)
	}
	return c.earliest
}
