// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"net"
	"net/http"
	"sync"
)

// A Request is what arrived.
type Request struct {
	Method string
	Host   string
	Path   string
	Query  string
	Header http.Header
}

type requests struct {
	mu  sync.Mutex
	all []Request
}

func (rs *requests) add(r *http.Request) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	rs.all = append(rs.all, Request{r.Method, r.Host, r.URL.Path, r.URL.RawQuery, r.Header.Clone()})
}

// Requests are all that arrived since the start or [Server.Forget], in order.
func (s *Server) Requests() []Request {
	s.requests.mu.Lock()
	defer s.requests.mu.Unlock()
	return append([]Request(nil), s.requests.all...)
}

// Count is how many requests fit method and path glob as in a [Rule].
func (s *Server) Count(method, path string) int {
	n, pattern := 0, glob(path)
	for _, r := range s.Requests() {
		if fits(method, pattern, r.Method, r.Path) {
			n++
		}
	}
	return n
}

// Forget empties the log.
func (s *Server) Forget() {
	s.requests.mu.Lock()
	defer s.requests.mu.Unlock()
	s.requests.all = nil
}

// connections counts those that are open.
type connections struct {
	mu         sync.Mutex
	open, peak int
}

func (c *connections) changed(_ net.Conn, state http.ConnState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch state {
	case http.StateNew:
		c.open++
	case http.StateClosed, http.StateHijacked:
		c.open--
	}
	c.peak = max(c.peak, c.open)
}

// Connections is how many connections are open and how many were at most.
func (s *Server) Connections() (open, peak int) {
	s.conns.mu.Lock()
	defer s.conns.mu.Unlock()
	return s.conns.open, s.conns.peak
}
