// SPDX-License-Identifier: Apache-2.0

package source

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/chartseal/chartseal/builtins"
	"github.com/chartseal/chartseal/builtins/chartref"
)

// An index is an index.yaml as it came. It is never changed: one that was
// confirmed is stored anew.
type index struct {
	raw          []byte
	etag         string
	lastModified string
	confirmed    time.Time
}

// resolveEntry finds the archive of a repository object. Credentials stay with
// the repository's own origin, wherever its index leads.
func (c *Client) resolveEntry(ctx context.Context, ref chartref.Ref) (_ builtins.Artifact, err error) {
	base, err := parseURL(ref.URL)
	if err != nil {
		return nil, err
	}
	defer func() { err = c.request("index", base).secrets().from(err) }()
	i, release, err := c.index(ctx, base)
	defer release()
	if err != nil {
		return nil, err
	}
	builtins.Until(ctx, i.confirmed.Add(c.config.Listings))
	e, err := findEntry(ctx, i.raw, ref.Name, ref.Version, c.config.Limits.Metadata)
	if err != nil {
		return nil, err
	}
	req := c.request("archive", base)
	if req.url, err = e.resolve(base); err != nil {
		return nil, err
	}
	if err := c.permit(req.url); err != nil {
		return nil, err
	}
	return c.webArchive(req, ref.URL, e.digest), nil
}

// index is the repository's, fresh or confirmed no longer ago than
// Config.Listings. Whether the host may be contacted is asked in any case. A
// fresh one counts among what is held at once until release is called.
func (c *Client) index(ctx context.Context, base *url.URL) (_ *index, release func(), err error) {
	req := c.request("index", base)
	if err := c.permit(base); err != nil {
		return nil, func() {}, err
	}
	// Other credentials may see another index.
	view := base.String() + " " + builtins.SHA256([]byte(req.authorization))
	if known, fresh := c.knownIndex(view); fresh {
		return known, func() {}, nil
	}
	return aboard(ctx, c.flights, place(base), c.sight+" index "+view, func(ctx context.Context) (*index, error) {
		return c.currentIndex(ctx, base, req, view)
	})
}

func (c *Client) currentIndex(ctx context.Context, base *url.URL, req request, view string) (*index, error) {
	known, fresh := c.knownIndex(view)
	if fresh {
		return known, nil
	}
	req.url, req.header = base.JoinPath("index.yaml"), known.conditions()
	i, err := c.fetchIndex(ctx, req, known)
	if err == nil {
		c.memory.Store("index", view, i, int64(len(i.raw)))
	}
	return i, err
}

// knownIndex is the one that is remembered, if any, and whether it serves
// without a request.
func (c *Client) knownIndex(view string) (known *index, fresh bool) {
	found, _ := c.memory.Load("index", view)
	known, _ = found.(*index)
	return known, known != nil && c.config.Clock().Sub(known.confirmed) < c.config.Listings
}

// conditions ask for the index only if it is another one.
func (i *index) conditions() http.Header {
	header := http.Header{}
	if i != nil && i.etag != "" {
		header.Set("If-None-Match", i.etag)
	} else if i != nil && i.lastModified != "" {
		header.Set("If-Modified-Since", i.lastModified)
	}
	return header
}

func (c *Client) fetchIndex(ctx context.Context, req request, known *index) (*index, error) {
	resp, err := c.send(ctx, req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode == http.StatusNotModified && len(req.header) > 0 {
		discard(resp)
		confirmed := *known
		confirmed.confirmed = c.config.Clock()
		return &confirmed, nil
	}
	if resp, err = answered(resp); err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	raw, release, err := holdDocument(resp, c.config.Limits.Index)
	if err != nil {
		return nil, err
	}
	context.AfterFunc(ctx, release) // when the last one who waits has found his entry
	return &index{raw, resp.Header.Get("ETag"), resp.Header.Get("Last-Modified"), c.config.Clock()}, nil
}

// An entry is what an index says of one version of a chart.
type entry struct {
	location string // its first URL
	digest   string // "sha256:<hex>", or ""
}

// resolve is the address of the archive, which may be relative to the
// repository.
func (e entry) resolve(base *url.URL) (*url.URL, error) {
	location, err := url.Parse(e.location)
	if err != nil {
		return nil, builtins.Errorf(builtins.MalformedIndex, "URL of the entry is none")
	}
	folder := *base
	folder.Path = strings.TrimSuffix(folder.Path, "/") + "/"
	folder.RawPath = ""
	to := folder.ResolveReference(location)
	to.Fragment, to.RawFragment = "", ""
	return to, nil
}
