// SPDX-License-Identifier: Apache-2.0

package source

import (
	"bytes"
	"io"
	"net/http"

	"github.com/chartseal/chartseal/builtins"
)

// smallDocument is how much of a document is read without counting. Hardly any
// but an index is larger.
const smallDocument = 1 << 20

// readDocument reads an answer whole. Compressed it is read as well, under the
// same limit.
func readDocument(resp *http.Response, limit int64) ([]byte, error) {
	raw, release, err := holdDocument(resp, limit)
	release()
	return raw, err
}

// holdDocument is [readDocument]. What is large counts among what the client
// holds at once until release is called, which must be.
func holdDocument(resp *http.Response, limit int64) (raw []byte, release func(), err error) {
	release = func() {}
	if err := checkLength(resp, limit); err != nil {
		return nil, release, err
	}
	decoded, err := decoder(resp, limit)
	if err != nil {
		return nil, release, resp.Body.(*body).req.secrets().from(err)
	}
	from := atMost(decoded, limit, shown(resp))
	raw, err = readAll(io.LimitReader(from, smallDocument))
	if err != nil || len(raw) < smallDocument {
		return raw, release, err
	}
	if release, err = hold(resp, limit); err != nil {
		return nil, func() {}, err
	}
	if raw, err = readAll(io.MultiReader(bytes.NewReader(raw), from)); err != nil {
		release()
		return nil, func() {}, err
	}
	return raw, release, nil
}

// largePerHost is how many large documents of one host are held at once. One
// that sends a byte now and then keeps what it has for as long as it likes, and
// is to keep others from nothing.
const largePerHost = 2

// hold waits until there is room for the document: for what it says that it
// has, and if it says nothing, for all that it may have. All at once, since two
// that each wait for the rest would wait for each other.
func hold(resp *http.Response, limit int64) (release func(), err error) {
	b := resp.Body.(*body)
	c := b.of.client
	if resp.ContentLength >= 0 && resp.Header.Get("Content-Encoding") == "" {
		limit = resp.ContentLength
	}
	if err := c.larges.enter(b.ctx, b.of.origin); err != nil {
		return nil, err
	}
	n := max(1, min(limit, c.config.Limits.Documents))
	if err := c.large.Acquire(b.ctx, n); err != nil {
		c.larges.leave(b.of.origin)
		return nil, builtins.Errorf(builtins.Timeout, "waiting for memory to read %s: %w", shown(resp), err)
	}
	return func() {
		c.large.Release(n)
		c.larges.leave(b.of.origin)
	}, nil
}
