// SPDX-License-Identifier: Apache-2.0

package source

import (
	"context"
	"io"
	"io/fs"
	"net/url"
	"strings"

	"github.com/chartseal/chartseal/builtins"
	"github.com/chartseal/chartseal/builtins/chartref"
)

// resolveURL only judges whether the archive may be asked for.
func (c *Client) resolveURL(ref chartref.Ref) (builtins.Artifact, error) {
	u, err := parseURL(ref.URL)
	if err != nil {
		return nil, err
	}
	if err := c.permit(u); err != nil {
		return nil, err
	}
	return c.webArchive(c.request("archive", u), "", ""), nil
}

// A webArchive is an archive at a URL, by reference or by index.
type webArchive struct {
	client *Client
	req    request
	info   builtins.ArtifactInfo
	pin    pin
}

// webArchive is the archive at req; digest is what the index of the
// repository says of it, "" for nothing.
func (c *Client) webArchive(req request, repository, digest string) *webArchive {
	a := &webArchive{client: c, req: req}
	a.info = builtins.ArtifactInfo{ArchiveDigest: digest, FileName: fileName(req.url), Repository: repository}
	a.pin.digest, a.pin.by = digest, "the index"
	return a
}

func fileName(u *url.URL) string {
	escaped := u.EscapedPath()
	name, err := url.PathUnescape(escaped[strings.LastIndexByte(escaped, '/')+1:])
	if err != nil {
		return ""
	}
	return name
}

func (a *webArchive) Info() builtins.ArtifactInfo { return a.info }

func (a *webArchive) Open(ctx context.Context) (io.ReadCloser, error) {
	resp, err := a.client.get(ctx, a.req)
	if err != nil {
		return nil, err
	}
	limit := a.client.config.Limits.Archive
	if err := checkLength(resp, limit); err != nil {
		_ = resp.Body.Close()
		return nil, err
	}
	body := newHashed(atMost(resp.Body, limit, shown(resp)), resp.Body, a.pin.judge)
	body.named = a.info.ArchiveDigest != ""
	return body, nil
}

func (a *webArchive) Dir() (fs.FS, bool) { return nil, false }

func (a *webArchive) Provenance(ctx context.Context) ([]byte, error) {
	return a.beside(ctx, "provenance", ".prov", a.client.config.Limits.Provenance)
}

func (a *webArchive) Beside(ctx context.Context, suffix string, limit int64) ([]byte, error) {
	return a.beside(ctx, "file", suffix, limit)
}

// beside puts the suffix where the name ends, before the query.
func (a *webArchive) beside(ctx context.Context, kind, suffix string, limit int64) ([]byte, error) {
	req, beside := a.req, *a.req.url
	beside.Path += suffix
	if beside.RawPath != "" {
		beside.RawPath += url.PathEscape(suffix)
	}
	req.kind, req.url = kind, &beside
	return a.client.document(ctx, req, limit)
}

func (a *webArchive) Config(context.Context) ([]byte, error) { return nil, nil }

func (a *webArchive) Close() error { return nil }
