// SPDX-License-Identifier: Apache-2.0

package source

import (
	"context"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"time"

	"github.com/chartseal/chartseal/builtins"
)

// Shared is a cache that several processes have in common, such as a Redis. It
// is believed nothing: what it gives must have the digest and the size that
// the registry told this client, and else counts as absent.
//
// It only ever holds bytes that a registry described by digest and size: no
// tag, list, token or verdict, and no manifest that a reference names, for that
// a repository has this one only the registry can say.
type Shared interface {
	// Get gives the value of key, and returns when ctx ends. It may have
	// forgotten or lost any value.
	Get(ctx context.Context, key string) (value []byte, ok bool)
	// Put stores value, which is not changed by anybody. It never waits, and
	// may drop what it cannot store.
	Put(key string, value []byte)
}

const (
	// maxShared is far more than signatures take, and little enough for a
	// network within sharedWait.
	maxShared = 2 << 20
	// sharedWait ends the wait for a Shared that does not keep its promise. It
	// is noise within the time for one reference.
	sharedWait = 100 * time.Millisecond
)

// shared is what d describes, if somebody shared it.
func (r *repository) shared(ctx context.Context, d descriptor, limit int64) ([]byte, bool) {
	if r.client.config.Shared == nil || !mayShare(d) || d.Size > limit {
		return nil, false
	}
	raw := r.client.getShared(ctx, r.sharedKey(d))
	return raw, int64(len(raw)) == d.Size && builtins.SHA256(raw) == d.Digest
}

// share lets others have what the registry gave for d.
func (r *repository) share(d descriptor, raw []byte) {
	if r.client.config.Shared == nil || !mayShare(d) || int64(len(raw)) != d.Size {
		return
	}
	defer func() { _ = recover() }() // a fault in there is none of the answer's
	r.client.config.Shared.Put(r.sharedKey(d), raw)
}

func mayShare(d descriptor) bool { return 0 < d.Size && d.Size <= maxShared }

// getShared gives nil where there is nothing, or nothing in time, or a panic.
func (c *Client) getShared(ctx context.Context, key string) []byte {
	ctx, cancel := context.WithTimeout(ctx, c.config.SharedWait)
	defer cancel()
	found := make(chan []byte, 1)
	go func() {
		defer close(found)
		defer func() { _ = recover() }()
		if raw, ok := c.config.Shared.Get(ctx, key); ok {
			found <- raw
		}
	}()
	select {
	case raw := <-found:
		return raw
	case <-ctx.Done():
		return nil
	}
}

// sharedKey is for one digest in one view. The version is that of what key and
// value mean.
func (r *repository) sharedKey(d descriptor) string {
	view := sha256.Sum256([]byte(r.home + " " + r.path + " " + r.client.stretch(r.home, r.basic)))
	return "chartseal:1:" + hex.EncodeToString(view[:]) + ":" + d.Digest
}

// stretchRounds makes each guess at a password take milliseconds. It is done
// once per host and process.
const stretchRounds = 100_000

// stretch keeps keys, which leave the process, from being a quick way to try
// passwords.
func (c *Client) stretch(home, basic string) string {
	if basic == "" {
		return ""
	}
	stretched, _ := c.stretched.ComputeIfAbsent(home+" "+basic, func() (string, bool) {
		key, err := pbkdf2.Key(sha256.New, basic, []byte("chartseal "+home), stretchRounds, sha256.Size)
		if err != nil {
			return rand.Text(), false // shares with nobody
		}
		return hex.EncodeToString(key), false
	})
	return stretched
}
