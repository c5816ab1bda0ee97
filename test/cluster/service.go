// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// A service stands where a cluster has a kubelet and a Service of Kubernetes: it
// leads to Gatekeeper's webhook when a probe has found Gatekeeper ready and word
// of it has got about, and nowhere before. Whoever is led to a Gatekeeper that
// has just been started, and has not read all constraints yet, is admitted.
// Gatekeeper 3.23.1 was even seen to be ready some milliseconds before it had
// read its only constraint.
type service struct {
	address string
	webhook string
	health  string
	client  http.Client
	open    atomic.Bool
}

// probes is how often the kubelet looks, and how long word of it takes.
const probes = 500 * time.Millisecond

func newService(t testing.TB, webhook, health string) *service {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &service{address: listener.Addr().String(), webhook: webhook, health: health, client: http.Client{Timeout: time.Second}}
	var running sync.WaitGroup
	ended := make(chan struct{})
	running.Go(func() { s.probe(ended) })
	running.Go(func() {
		for conn, err := listener.Accept(); err == nil; conn, err = listener.Accept() {
			running.Go(func() { s.serve(conn) })
		}
	})
	t.Cleanup(func() {
		close(ended)
		_ = listener.Close()
		running.Wait() // connections end with Gatekeeper
	})
	return s
}

func (s *service) probe(ended <-chan struct{}) {
	tick := time.NewTicker(probes)
	defer tick.Stop()
	for before := false; ; {
		select {
		case <-ended:
			return
		case <-tick.C:
		}
		now := s.ready()
		s.open.Store(before && now)
		before = now
	}
}

func (s *service) ready() bool {
	response, err := s.client.Get("http://" + s.health + "/readyz")
	if err != nil {
		return false
	}
	_ = response.Body.Close()
	return response.StatusCode == http.StatusOK
}

// leads says whether it leads to Gatekeeper.
func (s *service) leads() error {
	if !s.open.Load() {
		return errors.New("nobody is led to it")
	}
	return nil
}

// close is for a Gatekeeper that is being stopped.
func (s *service) close() { s.open.Store(false) }

// serve passes on what both sides say, until one of them ends.
func (s *service) serve(conn net.Conn) {
	defer conn.Close()
	if s.leads() != nil {
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
