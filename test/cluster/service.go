// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"
)

// A service stands where a cluster has a Service of Kubernetes: it leads to
// Gatekeeper's webhook while Gatekeeper says that it is ready, and nowhere
// before. Without it a Gatekeeper that has just been started, and has not read
// all constraints yet, is asked and admits everything.
type service struct {
	address string
	webhook string
	health  string
	client  http.Client
}

func newService(t testing.TB, webhook, health string) *service {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &service{address: listener.Addr().String(), webhook: webhook, health: health, client: http.Client{Timeout: time.Second}}
	var open sync.WaitGroup
	open.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			open.Go(func() { s.serve(conn) })
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		open.Wait() // connections end with Gatekeeper and the API server
	})
	return s
}

// serve passes on what both sides say, until one of them ends.
func (s *service) serve(conn net.Conn) {
	defer conn.Close()
	if !s.ready() {
		return
	}
	to, err := net.Dial("tcp", s.webhook)
	if err != nil {
		return
	}
	defer to.Close()
	ended := make(chan struct{}, 2)
	pass := func(to, from net.Conn) {
		_, _ = io.Copy(to, from)
		ended <- struct{}{}
	}
	go pass(to, conn)
	go pass(conn, to)
	<-ended
}

func (s *service) ready() bool {
	response, err := s.client.Get("http://" + s.health + "/readyz")
	if err != nil {
		return false
	}
	_ = response.Body.Close()
	return response.StatusCode == http.StatusOK
}
