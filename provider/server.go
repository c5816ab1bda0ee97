// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"github.com/chartseal/chartseal/builtins"
)

// The bounds of a connection. Gatekeeper keeps idle ones for 90 seconds.
const (
	handshakeTime  = 3 * time.Second // to a request's headers, TLS included
	bodyTime       = 5 * time.Second // to the end of its body
	idleTime       = 120 * time.Second
	maxHeaderBytes = 16 << 10
)

// A Server is a provider on its two listeners.
type Server struct {
	Provider *Provider
	TLS      *TLS
	Metrics  http.Handler // at /metrics of the health listener
	Log      *slog.Logger

	// Drain is how long the server goes on as before when it is told to stop,
	// while /readyz already says no: who balances the load has to notice.
	Drain time.Duration

	stopping atomic.Bool
}

// Serve answers on both listeners until ctx ends, and then finishes what was
// asked. health may be nil. It closes the listeners.
func (s *Server) Serve(ctx context.Context, listener, health net.Listener) error {
	s.TLS.Refused = s.refused()
	checks := s.server(s.guarded(), true)
	failed := make(chan error, 2)
	go func() { failed <- checks.Serve(tls.NewListener(listener, s.TLS.Config())) }()
	aside := s.server(s.health(), false)
	if health != nil {
		go func() { failed <- aside.Serve(health) }()
	}
	select {
	case err := <-failed:
		return errors.Join(err, checks.Close(), aside.Close())
	case <-ctx.Done():
	}
	s.stopping.Store(true)
	time.Sleep(s.Drain)
	// An answer takes no longer than its deadline, and the writing of it.
	end, cancel := context.WithTimeout(context.Background(), s.Provider.world.Load().Deadline+maxWrite)
	defer cancel()
	err := checks.Shutdown(end)
	return errors.Join(err, aside.Close())
}

// refused counts each client that is not answered, and logs one a second: whoever
// reaches the port can be one.
func (s *Server) refused() func(net.Addr, Refusal) {
	seldom := rate.Sometimes{Interval: time.Second}
	return func(client net.Addr, why Refusal) {
		s.Provider.metrics.refused.WithLabelValues(why.Reason).Inc()
		seldom.Do(func() {
			s.Log.Warn("client is not answered", slog.String("client", client.String()), slog.String("reason", builtins.Printable(why.Text)))
		})
	}
}

// server is one that cannot be kept busy by who sends slowly. The time for the
// answer is the handler's to bound.
func (s *Server) server(handler http.Handler, guarded bool) *http.Server {
	server := &http.Server{
		Handler: handler, Protocols: new(http.Protocols),
		ReadHeaderTimeout: handshakeTime, ReadTimeout: bodyTime, IdleTimeout: idleTime,
		MaxHeaderBytes: maxHeaderBytes, ErrorLog: slog.NewLogLogger(s.Log.Handler(), slog.LevelDebug),
	}
	server.Protocols.SetHTTP1(true)
	if guarded {
		server.ConnContext = func(ctx context.Context, _ net.Conn) context.Context {
			return context.WithValue(ctx, admissionKey{}, new(atomic.Pointer[admission]))
		}
	}
	return server
}

type admissionKey struct{}

// guarded asks for each request whether the client of its connection is still
// accepted: connections outlive authorities and certificates.
func (s *Server) guarded() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		known, _ := r.Context().Value(admissionKey{}).(*atomic.Pointer[admission])
		if err := s.TLS.admitted(r.TLS, known); err != nil {
			s.Log.Warn("client is no longer answered", slog.String("client", r.RemoteAddr), slog.String("reason", builtins.Printable(err.Error())))
			w.Header().Set("Connection", "close")
			w.Header().Set("Content-Type", "application/json")
			status, body := refuse(http.StatusForbidden, err)
			w.WriteHeader(status)
			_, _ = w.Write(body)
			return
		}
		s.Provider.ServeHTTP(w, r)
	})
}

// health has what says nothing about any chart.
func (s *Server) health() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { say(w, http.StatusOK, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if s.stopping.Load() {
			say(w, http.StatusServiceUnavailable, "stopping")
			return
		}
		say(w, http.StatusOK, "ok")
	})
	if s.Metrics != nil {
		mux.Handle("GET /metrics", s.Metrics)
	}
	return mux
}

func say(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text + "\n"))
}
