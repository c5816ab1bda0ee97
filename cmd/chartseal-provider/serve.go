// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"runtime/debug"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/chartseal/chartseal/builtins/all"
	"github.com/chartseal/chartseal/provider"
)

// defaultDrain is long enough for Kubernetes to take a Pod that stops out of
// its Service.
const defaultDrain = 5 * time.Second

type options struct {
	path  string
	drain time.Duration
	log   *slog.Logger
}

// gcPercent leaves the garbage collector half as much again to wait for: what
// lives is small beside what requests take, and each of its rounds is felt by
// those that are under way.
const gcPercent = 150

// serve answers until ctx ends or it is told to stop.
func serve(ctx context.Context, o options) error {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, os.Interrupt)
	defer stop()
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP) // from now on, lest one that comes early ends us
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	registry := newRegistry()
	traces, flush, err := tracers(ctx, o.log)
	if err != nil {
		return err
	}
	l, err := newLive(o.path, o.log, newObserver(registry, traces))
	if err != nil {
		return err
	}
	l.provider = provider.New(provider.Config{Checks: all.Builtins, Log: o.log, Metrics: registry, Traces: traces}, l.now.Load().basis(o.log))
	registry.MustRegister(l)
	listener, health, err := l.listen()
	if err != nil {
		return err
	}
	go watch(ctx, l.files, hangup, l.reload)
	o.log.Info("serving", slog.String("listen", listener.Addr().String()), slog.String("health", addressOf(health)), slog.String("version", version),
		slog.String("trust_directory", l.now.Load().trust.Digest()), slog.Any("clients", l.now.Load().config.Server.Answers()), slog.Uint64("generation", l.provider.Generation()))
	server := &provider.Server{
		Provider: l.provider, TLS: l.tls, Log: o.log, Drain: o.drain,
		Metrics: promhttp.HandlerFor(registry, promhttp.HandlerOpts{}),
	}
	if err := server.Serve(ctx, listener, health); err != nil {
		return serveError{err}
	}
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), defaultDrain)
	defer cancel()
	if err := flush(end); err != nil {
		o.log.Warn("the last traces could not be exported")
	}
	o.log.Info("stopped")
	return nil
}

// addressOf is where a listener listens, "" if there is none.
func addressOf(listener net.Listener) string {
	if listener == nil {
		return ""
	}
	return listener.Addr().String()
}

func newRegistry() *prometheus.Registry {
	registry := prometheus.NewRegistry()
	build := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "chartseal_build_info", Help: "Always 1.", ConstLabels: prometheus.Labels{"version": version},
	}, func() float64 { return 1 })
	registry.MustRegister(build, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return registry
}

// live is what the provider answers on now, and how that changes while it does.
type live struct {
	path     string
	log      *slog.Logger
	observer *observer // nil for who only looks
	now      atomic.Pointer[loaded]
	tls      *provider.TLS
	provider *provider.Provider

	good   atomic.Bool  // what the files hold now is what is used
	goodAt atomic.Int64 // when that was last found, in Unix seconds
}

func newLive(path string, log *slog.Logger, o *observer) (*live, error) {
	now, err := load(path, nil, log, o)
	if err != nil {
		return nil, err
	}
	var tls *provider.TLS
	err = use(now.config.Server, func(m provider.Material) (err error) {
		tls, err = provider.NewTLS(m)
		return err
	})
	if err != nil {
		return nil, err
	}
	l := &live{path: path, log: log, observer: o, tls: tls}
	l.now.Store(now)
	l.found(true)
	return l, nil
}

func (l *live) found(good bool) {
	if l.good.Store(good); good {
		l.goodAt.Store(time.Now().Unix())
	}
}

func (l *live) listen() (listener, health net.Listener, err error) {
	server := l.now.Load().config.Server
	if listener, err = net.Listen("tcp", server.Listen); err != nil {
		return nil, nil, fmt.Errorf("server.listen: %w", err)
	}
	if server.Health == "" {
		return listener, nil, nil
	}
	if health, err = net.Listen("tcp", server.Health); err != nil {
		return nil, nil, fmt.Errorf("server.health: %w", errors.Join(err, listener.Close()))
	}
	return listener, health, nil
}

func (l *live) files() []string { return l.now.Load().files(l.path) }

// reload takes what the files say now, each part whole or not at all: a bad
// certificate does not keep a revoked key in use, nor the other way round.
func (l *live) reload() error {
	if err := errors.Join(l.reloadBasis(), l.reloadTLS()); err != nil {
		l.found(false)
		l.log.Error("what has changed cannot be used; what was there before stays in use", slog.String("error", err.Error()))
		return err
	}
	if !l.good.Load() {
		l.log.Info("what the files hold can be used again")
	}
	l.found(true)
	return nil
}

func (l *live) reloadBasis() error {
	before := l.now.Load()
	next, err := load(l.path, before, l.log, l.observer)
	if err != nil {
		return err
	}
	l.now.Store(next)
	if next.same(before) {
		return nil
	}
	l.provider.Use(next.basis(l.log))
	before.close(next)
	if a, b := next.config.Server, before.config.Server; a.Listen != b.Listen || a.Health != b.Health {
		l.log.Warn("server.listen and server.health change at the next start only")
	}
	l.log.Info("reloaded", slog.Uint64("generation", l.provider.Generation()), slog.String("trust_directory", next.trust.Digest()), slog.Any("clients", next.config.Server.Answers()))
	return nil
}

func (l *live) reloadTLS() error {
	before := l.tls.NotAfter()
	if err := use(l.now.Load().config.Server, l.tls.Use); err != nil {
		return err
	}
	if after := l.tls.NotAfter(); !after.Equal(before) {
		l.log.Info("another serving certificate", slog.Time("not_after", after))
	}
	return nil
}
