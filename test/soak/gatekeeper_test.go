// SPDX-License-Identifier: Apache-2.0

package soak

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"time"
)

// A gatekeeper asks as Gatekeeper does: by HTTP/1.1, with a certificate, on
// connections that it keeps, at most ten of them idle.
type gatekeeper struct {
	t           testing.TB
	url         string
	certificate atomic.Pointer[tls.Certificate]
	http        *http.Client
	transport   *http.Transport
}

func (p *place) gatekeeper(r *process) *gatekeeper {
	g := &gatekeeper{t: p.t, url: "https://" + r.listen + "/v1/check"}
	g.certificate.Store(&p.client.Certificate)
	g.transport = &http.Transport{
		DialTLSContext:      p.dialer(g),
		MaxIdleConnsPerHost: 10, IdleConnTimeout: 90 * time.Second,
	}
	g.http = &http.Client{Transport: g.transport}
	p.t.Cleanup(g.transport.CloseIdleConnections)
	return g
}

// dialer makes connections a few at a time: a busy machine is too late with some
// of a thousand handshakes, and the provider waits for three seconds.
func (p *place) dialer(g *gatekeeper) func(ctx context.Context, network, address string) (net.Conn, error) {
	turn := make(chan struct{}, 16)
	dialer := &tls.Dialer{Config: p.clientTLS(g.certificate.Load)}
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		turn <- struct{}{}
		defer func() { <-turn }()
		return dialer.DialContext(ctx, network, address)
	}
}

func (p *place) clientTLS(certificate func() *tls.Certificate) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13, RootCAs: p.roots(),
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return certificate(), nil },
	}
}

// use shows another certificate on connections that are made from now on, of
// which there are some at once.
func (g *gatekeeper) use(p pair) {
	g.certificate.Store(&p.Certificate)
	g.transport.CloseIdleConnections()
}

// An answer is a ProviderResponse.
type answer struct {
	Response struct {
		Items       []item
		SystemError string
	}
	raw  []byte
	took time.Duration
}

type item struct {
	Key   string
	Value struct {
		Verified                               bool
		Outcome, Code, Reason, Ref, Trust, URL string
	}
}

func requestOf(keys []string) []byte {
	body, err := json.Marshal(map[string]any{
		"apiVersion": "externaldata.gatekeeper.sh/v1beta1", "kind": "ProviderRequest", "request": map[string]any{"keys": keys},
	})
	if err != nil {
		panic(err)
	}
	return body
}

// try asks; anything but a ProviderResponse with status 200 is an error.
func (g *gatekeeper) try(ctx context.Context, keys ...string) (a answer, err error) {
	return g.tryWith(ctx, nil, keys...)
}

func (g *gatekeeper) tryWith(ctx context.Context, header map[string]string, keys ...string) (a answer, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, g.url, bytes.NewReader(requestOf(keys)))
	if err != nil {
		return a, err
	}
	for name, value := range header {
		req.Header.Set(name, value)
	}
	began := time.Now()
	resp, err := g.http.Do(req)
	if err != nil {
		return a, err
	}
	defer resp.Body.Close()
	if a.raw, err = io.ReadAll(resp.Body); err != nil {
		return a, err
	}
	a.took = time.Since(began)
	if resp.StatusCode != http.StatusOK || resp.ProtoMajor != 1 {
		return a, fmt.Errorf("%s %s: %.200s", resp.Proto, resp.Status, a.raw)
	}
	return a, json.Unmarshal(a.raw, &a)
}

func (g *gatekeeper) ask(keys ...string) answer {
	g.t.Helper()
	a, err := g.try(g.t.Context(), keys...)
	must(g.t, err)
	return a
}

// code is what the answer to one key says, "" for no verdict.
func (a answer) code() string {
	if len(a.Response.Items) != 1 {
		return ""
	}
	return a.Response.Items[0].Value.Code
}

// outcomes counts verdicts.
func (a answer) outcomes() map[string]int {
	all := map[string]int{}
	for _, i := range a.Response.Items {
		all[i.Value.Outcome]++
	}
	return all
}
