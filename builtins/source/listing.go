// SPDX-License-Identifier: Apache-2.0

package source

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/chartseal/chartseal/builtins"
)

// What a repository holds is remembered by digest for good, since the digest
// is ours, and what it lists by name for Config.Listings. Both belong to one
// view: whoever may see another repository, or has other credentials, asks for
// himself.

// A listing is what a registry said of a name, and until when that is taken as
// current. That there is nothing is an answer; a failure is none.
type listing[T any] struct {
	value  T
	absent error // NotFound
	until  time.Time
}

// absentBytes is about what the error takes that says that there is nothing.
const absentBytes = 256

// listed gives an answer that is not older than Config.Listings.
func listed[T any](ctx context.Context, r *repository, name string, size func(T) int, ask func(context.Context) (T, error)) (T, time.Time, error) {
	kind := "listing " + r.view
	known := func() (listing[T], bool) {
		found, ok := r.client.memory.Load(kind, name)
		l, _ := found.(listing[T])
		return l, ok
	}
	l, err := once(ctx, r, kind+" "+name, known, func(ctx context.Context) (listing[T], error) {
		until := r.client.config.Clock().Add(r.client.config.Listings)
		value, err := ask(ctx)
		if err != nil && builtins.CodeOf(err) != builtins.NotFound {
			return listing[T]{value: value, until: until}, err
		}
		l := listing[T]{value, err, until}
		bytes := size(value)
		if err != nil {
			bytes += absentBytes
		}
		r.client.memory.StoreFor(kind, name, l, int64(bytes), until.Sub(r.client.config.Clock()))
		return l, nil
	})
	if builtins.CodeOf(err).Outcome() != builtins.Undecided {
		builtins.Until(ctx, l.until)
	}
	return l.value, l.until, cmp.Or(err, l.absent)
}

// once gives what is known, and what is not to all who ask for it at the same
// time by one request. That is known too, to those who come a moment too late
// to share it.
func once[T any](ctx context.Context, r *repository, what string, known func() (T, bool), fetch func(context.Context) (T, error)) (T, error) {
	if value, ok := known(); ok {
		return value, nil
	}
	return together(ctx, r.client.flights, r.home, r.client.sight+" "+what, func(ctx context.Context) (T, error) {
		if value, ok := known(); ok {
			return value, nil
		}
		return fetch(ctx)
	})
}

// tagged is what a tag names now, or a moment ago.
func (r *repository) tagged(ctx context.Context, tag string) (manifest, time.Time, error) {
	return listed(ctx, r, "tag "+tag, func(m manifest) int { return len(m.raw) }, func(ctx context.Context) (manifest, error) {
		return r.manifest(ctx, tag, r.client.config.Limits.Manifest)
	})
}

// named is the manifest that a digest names. That the repository has it, and
// under which type, is for the registry to say.
func (r *repository) named(ctx context.Context, digest string, limit int64) (manifest, error) {
	return r.kept(ctx, digest, limit, func(ctx context.Context) (manifest, error) {
		return r.manifest(ctx, digest, limit)
	})
}

// described is the manifest that a list of the registry describes. That it is
// there and of which type has just been said, so its bytes may come from
// whoever fetched them before.
func (r *repository) described(ctx context.Context, d descriptor, limit int64) (manifest, error) {
	limit = min(d.Size, limit)
	return r.kept(ctx, d.Digest, limit, func(ctx context.Context) (manifest, error) {
		if checkType(d.MediaType) == nil {
			if raw, ok := r.shared(ctx, d, limit); ok {
				return manifest{mediaType: d.MediaType, digest: d.Digest, raw: raw}, nil
			}
		}
		m, err := r.manifest(ctx, d.Digest, limit)
		if err == nil {
			r.share(d, m.raw)
		}
		return m, err
	})
}

func (r *repository) kept(ctx context.Context, digest string, limit int64, fetch func(context.Context) (manifest, error)) (manifest, error) {
	kind := "manifest " + r.view
	known := func() (manifest, bool) {
		found, ok := r.client.memory.Load(kind, digest)
		m, _ := found.(manifest)
		return m, ok && int64(len(m.raw)) <= limit
	}
	return once(ctx, r, fmt.Sprint(kind, " ", digest, " ", limit), known, fetch)
}

// keep remembers a manifest that was understood. One that was not may have
// come under a wrong type, which its digest does not cover.
func (r *repository) keep(m manifest) {
	r.client.memory.Store("manifest "+r.view, m.digest, m, int64(len(m.raw)))
}

// small is a blob as a whole.
func (r *repository) small(ctx context.Context, d descriptor, limit int64) ([]byte, error) {
	kind := "blob " + r.view
	known := func() ([]byte, bool) {
		found, ok := r.client.memory.Load(kind, d.Digest)
		raw, _ := found.([]byte)
		return raw, ok && int64(len(raw)) == d.Size && d.Size <= limit
	}
	return once(ctx, r, fmt.Sprint(kind, " ", d.Digest, " ", d.Size, " ", limit), known, func(ctx context.Context) ([]byte, error) {
		raw, ok := r.shared(ctx, d, limit)
		if !ok {
			var err error
			if raw, err = r.whole(ctx, d, limit); err != nil {
				return nil, err
			}
			r.share(d, raw)
		}
		r.client.memory.Store(kind, d.Digest, raw, int64(len(raw)))
		return raw, nil
	})
}

func (r *repository) whole(ctx context.Context, d descriptor, limit int64) ([]byte, error) {
	body, err := r.blob(ctx, d, limit)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	return readAll(body)
}
