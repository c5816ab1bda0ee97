// SPDX-License-Identifier: Apache-2.0

package load

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"time"
)

// A Caller is one connection that is kept, with a client of the kind that
// Gatekeeper uses: HTTP/1.1 over TLS 1.3.
type Caller struct {
	url     string
	client  *http.Client
	answer  bytes.Buffer
	dialled int
}

// patience ends a request that would keep the whole run waiting.
const patience = 30 * time.Second

// Dial makes a connection with its handshake, so that no request pays for it.
func (p Plan) Dial(ctx context.Context) (*Caller, error) {
	config, err := p.tls()
	if err != nil {
		return nil, err
	}
	at, err := url.Parse(p.URL)
	if err != nil {
		return nil, err
	}
	c := &Caller{url: p.URL}
	dial := func(ctx context.Context) (net.Conn, error) {
		c.dialled++
		return (&tls.Dialer{Config: config}).DialContext(ctx, "tcp", at.Host)
	}
	first, err := dial(ctx)
	if err != nil {
		return nil, fmt.Errorf("dialling %s: %w", at.Host, err)
	}
	c.client = &http.Client{Timeout: patience, Transport: &http.Transport{
		MaxConnsPerHost: 1, DisableCompression: true,
		DialTLSContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			if conn := first; conn != nil {
				first = nil
				return conn, nil
			}
			return dial(ctx)
		},
	}}
	return c, nil
}

func (p Plan) tls() (*tls.Config, error) {
	ca, err := os.ReadFile(p.CA)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(ca) {
		return nil, fmt.Errorf("no certificate in %s", p.CA)
	}
	cert, err := tls.LoadX509KeyPair(p.Cert, p.Key)
	if err != nil {
		return nil, err
	}
	return &tls.Config{MinVersion: tls.VersionTLS13, RootCAs: roots, Certificates: []tls.Certificate{cert}}, nil
}

// Ask posts a body and gives the answer, which the next call overwrites.
func (c *Caller) Ask(ctx context.Context, body []byte) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := c.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	c.answer.Reset()
	if _, err := c.answer.ReadFrom(resp.Body); err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("status %d: %.200q", resp.StatusCode, c.answer.Bytes())
	}
	return c.answer.Bytes(), nil
}

// Close ends the connection.
func (c *Caller) Close() { c.client.CloseIdleConnections() }

// judge says what an answer lacks.
func (p Plan) judge(answer []byte, keys int) error {
	switch {
	case p.Want != "" && bytes.Count(answer, []byte(p.Want)) < keys:
		return fmt.Errorf("fewer than %d times %s in %.2000q", keys, p.Want, answer)
	case p.Never != "" && bytes.Contains(answer, []byte(p.Never)):
		return errors.New(p.Never + " in the answer")
	}
	return nil
}
