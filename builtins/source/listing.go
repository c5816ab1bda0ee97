// SPDX-License-Identifier: Apache-2.0

package source

import (
	"context"
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

// listed gives an answer that is not older than Config.Listings.
func listed[T any](r *repository, name string, size func(T) int, ask func() (T, error)) (T, time.Time, error) {
	kind := "listing " + r.view
	if known, ok := r.client.memory.Load(kind, name); ok {
		l := known.(listing[T])
		return l.value, l.until, l.absent
	}
	asked := r.client.config.Clock()
	until := asked.Add(r.client.config.Listings)
	value, err := ask()
	if code := builtins.CodeOf(err); code == builtins.OK || code == builtins.NotFound {
		life := until.Sub(r.client.config.Clock())
		r.client.memory.StoreFor(kind, name, listing[T]{value, err, until}, int64(size(value)), life)
	}
	return value, until, err
}

// tagged is what a tag names now, or a moment ago.
func (r *repository) tagged(ctx context.Context, tag string) (manifest, time.Time, error) {
	return listed(r, "tag "+tag, func(m manifest) int { return len(m.raw) }, func() (manifest, error) {
		return r.manifest(ctx, tag, r.client.config.Limits.Manifest)
	})
}

// named is the manifest that a digest names. That the repository has it, and
// under which type, is for the registry to say.
func (r *repository) named(ctx context.Context, digest string, limit int64) (manifest, error) {
	if m, ok := r.kept(digest, limit); ok {
		return m, nil
	}
	return r.manifest(ctx, digest, limit)
}

// described is the manifest that a list of the registry describes. That it is
// there and of which type has just been said, so its bytes may come from
// whoever fetched them before.
func (r *repository) described(ctx context.Context, d descriptor, limit int64) (manifest, error) {
	limit = min(d.Size, limit)
	if m, ok := r.kept(d.Digest, limit); ok {
		return m, nil
	}
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
}

func (r *repository) kept(digest string, limit int64) (manifest, bool) {
	known, ok := r.client.memory.Load("manifest "+r.view, digest)
	m, _ := known.(manifest)
	return m, ok && int64(len(m.raw)) <= limit
}

// keep remembers a manifest that was understood. One that was not may have
// come under a wrong type, which its digest does not cover.
func (r *repository) keep(m manifest) {
	r.client.memory.Store("manifest "+r.view, m.digest, m, int64(len(m.raw)))
}

// small is a blob as a whole.
func (r *repository) small(ctx context.Context, d descriptor, limit int64) ([]byte, error) {
	kind := "blob " + r.view
	known, ok := r.client.memory.Load(kind, d.Digest)
	if raw, _ := known.([]byte); ok && int64(len(raw)) == d.Size && d.Size <= limit {
		return raw, nil
	}
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
}

func (r *repository) whole(ctx context.Context, d descriptor, limit int64) ([]byte, error) {
	body, err := r.blob(ctx, d, limit)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	return readAll(body)
}
