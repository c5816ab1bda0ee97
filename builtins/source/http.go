// SPDX-License-Identifier: Apache-2.0

package source

import (
	"compress/gzip"
	"context"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"syscall"
	"time"

	"github.com/chartseal/chartseal/builtins"
)

// The bounds of what is kept open and of what a server may put before a body.
const (
	maxIdleConns   = 64
	idleTimeout    = 30 * time.Second
	maxHeaderBytes = 64 << 10
	maxDrained     = 4 << 10 // of an answer that is not read, to keep its connection
	// spareConns is how many connections to a host may be begun beside those
	// that have a request: one that becomes free meanwhile is taken instead.
	spareConns = 8
)

func newTransport(c *Client) *http.Transport {
	t := &http.Transport{
		Proxy:                  nil,
		DialContext:            c.dialPlain,
		DialTLSContext:         c.dialTLS,
		DisableCompression:     true, // archives are judged as the bytes that were sent
		MaxConnsPerHost:        int(c.config.Limits.HostRequests) + spareConns,
		MaxIdleConns:           maxIdleConns,
		MaxIdleConnsPerHost:    int(c.config.Limits.HostRequests),
		IdleConnTimeout:        idleTimeout,
		ResponseHeaderTimeout:  time.Duration(c.config.Limits.Silence),
		MaxResponseHeaderBytes: maxHeaderBytes,
		Protocols:              new(http.Protocols),
	}
	t.Protocols.SetHTTP1(true)
	return t
}

// A request is a GET. Its authorization is for home alone, the origin that the
// reference itself names: wherever an answer sends us, it stays behind.
type request struct {
	kind          string // see [Request]
	url           *url.URL
	home          string
	authorization string
	accept        string
	header        http.Header
	passed        []*url.URL // addresses that led here by redirect
}

func (r request) secrets() secrets {
	found := append(credentials(r.authorization), queryValues(r.url)...)
	for _, u := range r.passed {
		found = append(found, queryValues(u)...)
	}
	return found
}

// shown is where the request goes, as a reason may have it: without a path that
// a redirect chose.
func (r request) shown() string {
	text := place(r.url) + "/…"
	if len(r.passed) == 0 {
		text = address(r.url)
	}
	return builtins.Clip(r.secrets().fromText(text))
}

// shown is where an answer came from.
func shown(resp *http.Response) string { return resp.Body.(*body).req.shown() }

// request asks for something at an address that a reference names.
func (c *Client) request(kind string, u *url.URL) request {
	return request{kind: kind, url: u, home: origin(u), authorization: c.basic(u.Scheme, u.Host)}
}

// document reads the answer to req whole. Compressed it is read as well, under
// the same limit.
func (c *Client) document(ctx context.Context, req request, limit int64) ([]byte, error) {
	resp, err := c.get(ctx, req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	return readDocument(resp, limit)
}

func decoder(resp *http.Response, limit int64) (io.Reader, error) {
	at, coding := shown(resp), resp.Header.Get("Content-Encoding")
	switch coding {
	case "", "identity":
		return resp.Body, nil
	case "gzip":
		z, err := gzip.NewReader(atMost(resp.Body, limit, at))
		if err != nil {
			return nil, coded(err, "%s is not gzip, as its header says", at)
		}
		return &decompressed{z, at}, nil
	}
	return nil, builtins.Errorf(builtins.Unavailable, "%s came in the content coding %q, which was not asked for", at, builtins.Clip(coding))
}

// decompressed gives corrupt compression a code.
type decompressed struct {
	from io.Reader
	at   string
}

func (d *decompressed) Read(p []byte) (int, error) {
	n, err := d.from.Read(p)
	if err != nil && err != io.EOF {
		err = coded(err, "gzip coding of %s is corrupt", d.at)
	}
	return n, err
}

// coded is err if it has a code already, else Unavailable.
func coded(err error, format string, args ...any) error {
	var already *builtins.Error
	if errors.As(err, &already) {
		return already
	}
	return builtins.Errorf(builtins.Unavailable, format, args...)
}

// get is [Client.send] for which only 200 is an answer.
func (c *Client) get(ctx context.Context, req request) (*http.Response, error) {
	resp, err := c.send(ctx, req)
	if err != nil {
		return nil, err
	}
	return answered(resp)
}

// answered gives every status but 200 its code.
func answered(resp *http.Response) (*http.Response, error) {
	if resp.StatusCode == http.StatusOK {
		return resp, nil
	}
	discard(resp)
	return nil, builtins.Errorf(codeOf(resp.StatusCode), "%s answered %d %s", shown(resp), resp.StatusCode, http.StatusText(resp.StatusCode))
}

// codeOf is what a status but 200 means for what was asked for.
func codeOf(status int) builtins.Code {
	switch status {
	case http.StatusNotFound, http.StatusGone:
		return builtins.NotFound
	case http.StatusUnauthorized, http.StatusForbidden:
		return builtins.Denied
	}
	return builtins.Unavailable
}

// send asks and follows redirects, each of which is judged as the first
// address was. Nothing is asked twice: when a server wants us to come back
// later, that is the answer.
func (c *Client) send(ctx context.Context, req request) (_ *http.Response, err error) {
	defer func() { err = req.secrets().from(err) }()
	for hops := int64(0); ; hops++ {
		if err := c.permit(req.url); err != nil {
			return nil, err
		}
		resp, err := c.roundTrip(ctx, req)
		if err != nil {
			return nil, err
		}
		if !redirects(resp) {
			return resp, nil
		}
		discard(resp)
		if hops == c.config.Limits.Redirects {
			return nil, builtins.Errorf(builtins.Unavailable, "%s is redirect number %d, at most %d are followed", req.shown(), hops+1, c.config.Limits.Redirects)
		}
		to, err := next(resp)
		if err != nil {
			return nil, err
		}
		req.passed, req.url = append(req.passed, req.url), to
	}
}

func redirects(resp *http.Response) bool {
	switch resp.StatusCode {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		return true
	}
	return false
}

func next(resp *http.Response) (*url.URL, error) {
	from := resp.Request.URL
	to, err := resp.Location()
	if err != nil {
		return nil, builtins.Errorf(builtins.Unavailable, "%s redirects to nowhere", shown(resp))
	}
	if from.Scheme == "https" && to.Scheme == "http" {
		return nil, builtins.Errorf(builtins.SourceDenied, "%s redirects from https to %s", shown(resp), place(to))
	}
	return to, nil
}

// roundTrip sends one request. The answer's body must be closed: until then it
// counts among those that its host has to answer at once.
func (c *Client) roundTrip(ctx context.Context, req request) (*http.Response, error) {
	x, err := c.admit(ctx, req)
	if err != nil {
		return nil, err
	}
	ctx = x.observe(ctx, req)
	ctx, cancel := context.WithCancelCause(ctx)
	sent := req.on(ctx)
	sent.Close = c.closed.Load()
	resp, err := c.transport.RoundTrip(sent)
	if err != nil {
		x.broke(ctx, err)
		err = fault(ctx, req.shown(), err)
		x.result.Code = builtins.CodeOf(err)
		cancel(nil)
		x.end()
		return nil, err
	}
	x.began(resp)
	resp.Body = newBody(ctx, cancel, req, resp, x)
	return resp, nil
}

func (r request) on(ctx context.Context) *http.Request {
	header := http.Header{"User-Agent": {"chartseal"}, "Accept-Encoding": {"identity"}}
	for name, values := range r.header {
		header[name] = values
	}
	if r.accept != "" {
		header.Set("Accept", r.accept)
	}
	if r.authorization != "" && origin(r.url) == r.home {
		header.Set("Authorization", r.authorization)
	}
	req := &http.Request{Method: http.MethodGet, URL: r.url, Header: header, Host: r.url.Host}
	return req.WithContext(ctx)
}

// fault is the code of what went wrong on the way to a place. What the error
// says is not passed on: it may quote what a server sent.
func fault(ctx context.Context, at string, err error) error {
	var decided *builtins.Error
	var waited net.Error
	switch {
	case errors.As(context.Cause(ctx), &decided), errors.As(err, &decided):
		return decided
	case ctx.Err() != nil:
		return builtins.Errorf(builtins.Timeout, "no answer from %s in time: %w", at, ctx.Err())
	case errors.As(err, &waited) && waited.Timeout():
		return builtins.Errorf(builtins.Timeout, "no answer from %s in time", at)
	}
	return builtins.Errorf(builtins.Unavailable, "reaching %s: %s", at, causeOf(err))
}

// causeOf says in our own words why a connection or an answer failed.
func causeOf(err error) string {
	var name *net.DNSError
	var untrusted x509.UnknownAuthorityError
	var otherHost x509.HostnameError
	var invalid x509.CertificateInvalidError
	var system syscall.Errno
	switch {
	case errors.As(err, &name) && name.IsNotFound:
		return "its name does not resolve"
	case errors.As(err, &name):
		return "its name could not be resolved"
	case errors.As(err, &untrusted):
		return "no authority that is trusted signed its certificate"
	case errors.As(err, &otherHost):
		return "its certificate is for another host"
	case errors.As(err, &invalid):
		return "its certificate is not valid"
	case errors.As(err, &system):
		return system.Error()
	case errors.Is(err, errHandshake):
		return "the TLS handshake failed"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "the connection ended early"
	}
	return "what it sent is not HTTP as it should be"
}

// discard ends an answer that nobody reads, keeping the connection where the
// rest is short.
func discard(resp *http.Response) {
	if 0 < resp.ContentLength && resp.ContentLength <= maxDrained {
		_, _ = io.CopyN(io.Discard, resp.Body, maxDrained)
	}
	_ = resp.Body.Close()
}
