// SPDX-License-Identifier: Apache-2.0

package source

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"

	"github.com/chartseal/chartseal/builtins"
)

// A repository is one of a registry's. The requests are written by hand and
// not left to an OCI library: where credentials may go, what counts as a
// digest and how much is read are decided here, for each answer.
type repository struct {
	client *Client
	path   string // on the registry, "charts/web"
	base   *url.URL
	home   string
	basic  string
	view   string // whose sight of which repository this is
}

func (c *Client) repository(ctx context.Context, host, path string) (*repository, error) {
	base := &url.URL{Scheme: "https", Host: host, Path: "/"}
	if err := c.permit(base); err != nil {
		return nil, err
	}
	if registry, _ := c.listing("https", host); registry.Insecure {
		scheme, err := c.schemeOf(ctx, base)
		if err != nil {
			return nil, err
		}
		base.Scheme = scheme
	}
	r := &repository{client: c, path: path, base: base, home: origin(base), basic: c.basic("https", host)}
	// Credentials of a reloaded configuration are another view.
	r.view = r.home + " " + path + " " + builtins.SHA256([]byte(r.basic))
	return r, nil
}

// schemeOf finds out whether an insecure registry speaks https or http. Those
// who ask at once share one connection, which none of them can cancel.
func (c *Client) schemeOf(ctx context.Context, base *url.URL) (string, error) {
	if scheme, ok := c.schemes.GetIfPresent(base.Host); ok {
		return scheme, nil
	}
	return together(ctx, c.flights, place(base), "scheme", func(ctx context.Context) (string, error) { return c.probe(ctx, base) })
}

// probe remembers what is certain. A registry that does not answer in time is
// not guessed at.
func (c *Client) probe(ctx context.Context, base *url.URL) (string, error) {
	var plain tls.RecordHeaderError
	trial, err := c.circuits.pass(origin(base))
	if err != nil {
		return "", err
	}
	conn, err := c.dialTLS(ctx, "tcp", authority(base))
	switch {
	case err == nil:
		trial.answered()
		_ = conn.Close()
		c.schemes.Set(base.Host, "https")
		return "https", nil
	case errors.As(err, &plain):
		trial.answered()
		c.schemes.Set(base.Host, "http")
		return "http", nil
	case errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.ECONNRESET):
		return "http", nil
	}
	if blames(ctx, err) {
		trial.failed()
	}
	return "", fault(ctx, show(base), err)
}

func authority(u *url.URL) string {
	if port := u.Port(); port != "" {
		return u.Host
	}
	return net.JoinHostPort(u.Hostname(), "443")
}

// get asks for something of the repository and answers a challenge, once. Only
// the registry itself may challenge: where a redirect leads, nobody may.
func (r *repository) get(ctx context.Context, kind, path, accept string) (*http.Response, error) {
	return r.getURL(ctx, kind, r.base.JoinPath("v2", r.path, path), accept)
}

func (r *repository) getURL(ctx context.Context, kind string, url *url.URL, accept string) (*http.Response, error) {
	req := request{kind: kind, url: url, home: r.home, authorization: r.remembered(), accept: accept}
	resp, err := r.client.send(ctx, req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode == http.StatusUnauthorized && origin(resp.Request.URL) == r.home {
		discard(resp)
		if req.authorization, err = r.authorize(ctx, resp.Header); err != nil {
			return nil, err
		}
		if resp, err = r.client.send(ctx, req); err != nil {
			return nil, err
		}
	}
	return answered(resp)
}

// A manifest is as a registry gave it; its digest is ours.
type manifest struct {
	mediaType string // of the answer
	digest    string
	raw       []byte
}

// manifest gets what a tag or digest names. A body that is not what a digest
// names, or what the registry says it is, is a DigestMismatch, whatever its
// type.
func (r *repository) manifest(ctx context.Context, tagOrDigest string, limit int64) (manifest, error) {
	kind := "resolve"
	if isDigest(tagOrDigest) {
		kind = "manifest"
	}
	resp, err := r.get(ctx, kind, "manifests/"+tagOrDigest, strings.Join(manifestTypes, ", "))
	if err != nil {
		return manifest{}, err
	}
	defer resp.Body.Close()
	raw, err := readDocument(resp, limit)
	if err != nil {
		return manifest{}, err
	}
	m := manifest{mediaType: resp.Header.Get("Content-Type"), digest: builtins.SHA256(raw), raw: raw}
	if isDigest(tagOrDigest) && tagOrDigest != m.digest {
		return manifest{}, builtins.Errorf(builtins.DigestMismatch, "manifest is %s, %s was asked for", m.digest, tagOrDigest)
	}
	if said := resp.Header.Get("Docker-Content-Digest"); strings.HasPrefix(said, "sha256:") && said != m.digest {
		return manifest{}, r.secrets().from(builtins.Errorf(builtins.DigestMismatch, "manifest is %s, the registry says %q", m.digest, builtins.Clip(said)))
	}
	return m, nil
}

// blob starts reading what d describes. Bytes that are not that end the
// reading with DigestMismatch; more than limit are TooLarge before anything is
// asked for.
func (r *repository) blob(ctx context.Context, d descriptor, limit int64) (io.ReadCloser, error) {
	if d.Size > limit {
		return nil, builtins.Errorf(builtins.TooLarge, "blob %s has %d bytes, at most %d are read", d.Digest, d.Size, limit)
	}
	resp, err := r.get(ctx, "blob", "blobs/"+d.Digest, "")
	if err != nil {
		return nil, err
	}
	judge := func(digest string) error {
		if digest != d.Digest {
			return builtins.Errorf(builtins.DigestMismatch, "blob is %s, the manifest says %s", digest, d.Digest)
		}
		return nil
	}
	return newHashed(&sized{from: resp.Body, left: d.Size, size: d.Size}, resp.Body, judge), nil
}

// A sized reader ends what is longer or shorter than its descriptor says.
type sized struct {
	from       io.Reader
	left, size int64
}

func (s *sized) Read(p []byte) (int, error) {
	n, err := s.from.Read(p)
	s.left -= int64(n)
	switch {
	case s.left < 0:
		return 0, builtins.Errorf(builtins.DigestMismatch, "blob has more than the %d bytes that the manifest says", s.size)
	case err == io.EOF && s.left > 0:
		return n, builtins.Errorf(builtins.DigestMismatch, "blob has %d bytes, the manifest says %d", s.size-s.left, s.size)
	}
	return n, err
}
