// SPDX-License-Identifier: Apache-2.0

package source

import (
	"context"
	"io"
	"net/http"
	"sync/atomic"

	"github.com/chartseal/chartseal/builtins"
)

// An exchange is one request with its answer, from the moment it may be sent
// until nobody reads the answer any more.
type exchange struct {
	client *Client
	origin string
	trial  *trial // until it is known how it went
	over   atomic.Bool

	result   Result
	observed func(Result) // nil if nobody observes
}

// A Request is one that is sent, as an observer sees it. Nothing of it is
// secret; the host may be anybody's choice.
//
// An observer cannot add headers: registries are foreign parties, and who asks
// in which context is not their business.
type Request struct {
	Kind   string // resolve (a tag), manifest, referrers, blob, token, index, archive, provenance or file
	Host   string // with its port, if it is not that of the scheme
	Method string
}

// A Result is how a request ended.
type Result struct {
	Status int           // 0 if there was no answer
	Code   builtins.Code // what it means; a redirect is OK
	Bytes  int64         // of the answer's body, as far as it was read
}

// observe gives the context of a request that is about to be sent.
func (x *exchange) observe(ctx context.Context, req request) context.Context {
	x.result.Code = builtins.OK
	if tell := x.client.config.Observe; tell != nil {
		ctx, x.observed = tell(ctx, Request{Kind: req.kind, Host: req.url.Host, Method: http.MethodGet})
	}
	return ctx
}

// admit waits until req may be sent. A host that is left alone is not waited
// for, neither before it is one's turn nor then.
func (c *Client) admit(ctx context.Context, req request) (*exchange, error) {
	x := &exchange{client: c, origin: origin(req.url)}
	if err := c.circuits.check(x.origin); err != nil {
		return nil, err
	}
	if err := c.gates.enter(ctx, x.origin); err != nil {
		return nil, err
	}
	var err error
	if x.trial, err = c.circuits.pass(x.origin); err != nil {
		x.end()
		return nil, err
	}
	return x, nil
}

// broke takes note of what ended the exchange before it was over.
func (x *exchange) broke(ctx context.Context, err error) {
	if blames(ctx, err) {
		x.trial.failed()
	}
	x.trial = nil
}

// began takes note of an answer, of which nothing was read yet.
func (x *exchange) began(resp *http.Response) {
	x.result.Status = resp.StatusCode
	if resp.StatusCode >= http.StatusBadRequest {
		x.result.Code = codeOf(resp.StatusCode)
	}
	if unwell(resp.StatusCode) {
		x.trial.failed()
		x.trial = nil
	}
}

// read takes note of how reading the answer went on.
func (x *exchange) read(b *body, err error) {
	switch {
	case err == nil:
	case err == io.EOF:
		x.settle()
	case b.silent.Load():
		x.trial.failed()
		x.trial = nil
	default:
		x.broke(b.ctx, err)
	}
}

// settle takes an exchange in which nothing broke for an answer.
func (x *exchange) settle() {
	x.trial.answered()
	x.trial = nil
}

// end may be called more than once.
func (x *exchange) end() {
	if !x.over.Swap(true) {
		x.settle()
		x.client.gates.leave(x.origin)
		if x.observed != nil {
			x.observed(x.result)
		}
	}
}
