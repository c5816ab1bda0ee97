// SPDX-License-Identifier: Apache-2.0

package cluster_test

import (
	"context"
	"crypto/x509"
	"errors"
	"log/slog"
	"net"
	"path/filepath"
	"testing"
	"time"

	"github.com/chartseal/chartseal/builtins/all"
	"github.com/chartseal/chartseal/builtins/config"
	"github.com/chartseal/chartseal/builtins/source"
	"github.com/chartseal/chartseal/builtins/trust"
	impl "github.com/chartseal/chartseal/provider"
	"github.com/chartseal/chartseal/test/cluster"
	"github.com/chartseal/chartseal/test/pki"
	"github.com/chartseal/chartseal/test/registry"
)

// hosts are those that samples and docs name.
var hosts = []string{"registry.example.com", "charts.example.com"}

// newNamedWorld has the charts at the hosts that samples name, which no provider
// in a process of its own could reach here: so the provider runs in this one,
// with a network of its own.
func newNamedWorld(t testing.TB, flags ...string) *world {
	t.Helper()
	w := &world{t: t, Cluster: cluster.Start(t), authority: registry.NewCA()}
	w.ApplyInstallers(t)
	w.gatekeeper = w.StartGatekeeper(t, append([]string{"--max-serving-threads=32"}, flags...)...)
	w.registry = registry.New(t, registry.WithTLS(w.authority.Config(hosts...)))
	w.charts = newCharts(t, w.registry)
	for _, host := range hosts {
		delete(w.charts.words, host)
	}
	w.charts.publishReleased()
	w.provider = &provider{t: t, dir: t.TempDir(), authority: pki.NewAuthority("provider")}
	w.provider.exchange(w.charts.platform.trust(t))
	w.serveHere()
	t.Logf("started a registry and chart repository at %v, and the provider", hosts)
	return w
}

// serveHere runs the provider in this process as its command does.
func (w *world) serveHere() {
	t := w.t
	t.Helper()
	w.provider.write("chartseal.yaml", []byte(`
trust: {directory: trust}
registries: [{host: registry.example.com}, {host: charts.example.com}]
server: {tls: {cert_file: unread, key_file: unread}, clients: {ca_file: unread}}
gatekeeper: {deadline: 2s, provider_timeout: 3s, webhook_timeout: 10s}
`))
	c, err := config.LoadProvider(filepath.Join(w.provider.dir, "chartseal.yaml"))
	must(t, err)
	from := c.ProviderSource()
	network := registry.NewNet()
	for _, host := range hosts {
		network.Name(host, "203.0.113.7")
	}
	network.Route("203.0.113.7:443", w.registry)
	from.RootCAs, from.Resolver, from.Dialer = w.authority.Pool(), network, network
	client, err := source.New(from)
	must(t, err)
	t.Cleanup(client.Close)
	store, err := trust.Open(c.Trust.Directory, c.Limits)
	must(t, err)
	p := impl.New(impl.Config{Checks: all.Builtins}, impl.Basis{
		Env: c.ProviderEnv(client, source.NewFacts(1<<20, nil), store.Current(), nil),
		Key: time.Duration(c.Limits.Reference), Deadline: time.Duration(c.Gatekeeper.Deadline), Background: time.Duration(c.Gatekeeper.Background),
		Verdicts: time.Duration(c.Cache.Listings), VerdictBytes: c.Cache.Bytes / 4,
	})
	pair := w.provider.authority.Issue(pki.Leaf{Names: []string{"127.0.0.1"}, Usages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
	shown, err := impl.NewTLS(impl.Material{Certificate: pair.Certificate, Key: pair.Key, ClientCAs: w.gatekeeper.ClientCA, ClientNames: []string{cluster.GatekeeperName}})
	must(t, err)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	w.provider.listen = listener.Addr().String()
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() {
		ended <- (&impl.Server{Provider: p, TLS: shown, Log: slog.New(slog.DiscardHandler)}).Serve(ctx, listener, nil)
	}()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil && !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
	})
}
