// SPDX-License-Identifier: Apache-2.0

package source

import (
	"context"
	"sync/atomic"
)

// An exchange is one request with its answer, from the moment it may be sent
// until nobody reads the answer any more.
type exchange struct {
	client *Client
	origin string
	over   atomic.Bool
}

// admit waits until req may be sent.
func (c *Client) admit(ctx context.Context, req request) (*exchange, error) {
	x := &exchange{client: c, origin: origin(req.url)}
	if err := c.gates.enter(ctx, x.origin); err != nil {
		return nil, err
	}
	return x, nil
}

// end may be called more than once.
func (x *exchange) end() {
	if !x.over.Swap(true) {
		x.client.gates.leave(x.origin)
	}
}
