// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/chartseal/chartseal/builtins"
	"github.com/chartseal/chartseal/builtins/config"
	"github.com/chartseal/chartseal/builtins/source"
	"github.com/chartseal/chartseal/builtins/source/shared"
	"github.com/chartseal/chartseal/builtins/trust"
	"github.com/chartseal/chartseal/builtins/trust/inventory"
	"github.com/chartseal/chartseal/provider"
)

// loaded is all that the configuration says and names, certificates aside.
type loaded struct {
	config *config.Config
	trust  *trust.Snapshot
	client *source.Client
	facts  builtins.Facts
	shared *shared.Cache // nil without cache.redis
	expiry time.Time     // of the key in the trust directory that expires first
}

// load reads the configuration and what it names. Of before it keeps what a
// change of trust alone does not touch: connections, and facts, which are about
// content. A changed configuration begins anew.
func load(path string, before *loaded, log *slog.Logger, o *observer) (*loaded, error) {
	read, err := config.LoadProvider(path)
	if err != nil {
		return nil, err
	}
	store, err := trust.Open(read.Trust.Directory, read.Limits)
	if err != nil {
		return nil, err
	}
	next := &loaded{config: read, trust: store.Current()}
	next.expiry = inventory.Of(read.Trust.Directory, next.trust, time.Now()).NextExpiry(time.Now())
	if before != nil && before.config.Digest() == read.Digest() {
		next.client, next.facts, next.shared = before.client, before.facts, before.shared
		return next, nil
	}
	next.facts = source.NewFacts(read.Cache.Bytes/4, nil)
	return next, next.connect(log, o)
}

// connect makes the client, and that of the cache that replicas share.
func (l *loaded) connect(log *slog.Logger, o *observer) (err error) {
	from := l.config.ProviderSource()
	if o != nil {
		from.Observe = o.watching(l.config)
	}
	if r := l.config.Cache.Redis; r != nil {
		password, trusted, err := r.Secrets()
		if err != nil {
			return err
		}
		l.shared = shared.New(shared.Config{Address: r.Address, Username: r.Username, Password: password, TLS: trusted, Log: log})
		from.Shared = l.shared
	}
	if l.client, err = source.New(from); err != nil && l.shared != nil {
		l.shared.Close() // a configuration that is refused is tried again and again
	}
	return err
}

// close ends what a successor does not use.
func (l *loaded) close(next *loaded) {
	if l.client == next.client {
		return
	}
	l.client.Close()
	if l.shared != nil {
		l.shared.Close()
	}
}

// same says whether verdicts would be the same.
func (l *loaded) same(other *loaded) bool {
	return l.client == other.client && l.trust.Digest() == other.trust.Digest()
}

// basis is what checks are made on.
func (l *loaded) basis(log *slog.Logger) provider.Basis {
	return provider.Basis{
		Env:        l.config.ProviderEnv(l.client, l.facts, l.trust, log),
		Key:        time.Duration(l.config.Limits.Reference),
		Deadline:   time.Duration(l.config.Gatekeeper.Deadline),
		Background: time.Duration(l.config.Gatekeeper.Background),
		Verdicts:   time.Duration(l.config.Cache.Listings), VerdictBytes: l.config.Cache.Bytes / 4,
	}
}

// files are all that is looked at for changes.
func (l *loaded) files(path string) []string {
	server := l.config.Server
	all := append(l.config.Files(), path, l.config.Trust.Directory, server.TLS.CertFile, server.TLS.KeyFile, server.Clients.CAFile)
	return slices.DeleteFunc(all, func(path string) bool { return path == "" })
}

// use gives what the files of a server hold to whoever takes it, and names the
// files where he does not.
func use(server config.Server, take func(provider.Material) error) error {
	m, err := material(server)
	if err == nil {
		err = take(m)
	}
	if err != nil {
		return fmt.Errorf("server.tls (%s, %s) and server.clients (%s): %w", server.TLS.CertFile, server.TLS.KeyFile, server.Clients.CAFile, err)
	}
	return nil
}

// material reads the certificates that a configuration names.
func material(server config.Server) (m provider.Material, err error) {
	read := func(path string) (raw []byte) {
		if err == nil {
			raw, err = server.Read(path)
		}
		return raw
	}
	m.Certificate, m.Key = read(server.TLS.CertFile), read(server.TLS.KeyFile)
	if server.Clients.Unauthenticated {
		return m, err
	}
	m.ClientCAs, m.ClientNames = read(server.Clients.CAFile), server.Clients.Names
	if err == nil && len(m.ClientCAs) == 0 {
		err = fmt.Errorf("%s is empty", server.Clients.CAFile)
	}
	return m, err
}
