// SPDX-License-Identifier: Apache-2.0

package parity

import (
	"crypto/x509"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/go-logr/logr"
	ctrl "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/chartseal/chartseal/builtins"
	"github.com/chartseal/chartseal/builtins/all"
	"github.com/chartseal/chartseal/builtins/config"
	"github.com/chartseal/chartseal/builtins/opa"
	"github.com/chartseal/chartseal/builtins/source"
	"github.com/chartseal/chartseal/builtins/trust"
	"github.com/chartseal/chartseal/provider"
	"github.com/chartseal/chartseal/test/pki"
	"github.com/chartseal/chartseal/test/registry"
)

// The hosts that samples name.
const (
	registryHost   = "registry.example.com"
	repositoryHost = "charts.example.com"
)

const webhookName = "gatekeeper-webhook-service.gatekeeper-system.svc"

var (
	providers   = pki.NewAuthority("providers")
	gatekeepers = pki.NewAuthority("gatekeepers")
	serving     = providers.Issue(pki.Leaf{Names: []string{"127.0.0.1"}, Usages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
	webhook     = gatekeepers.Issue(pki.Leaf{CommonName: webhookName, Names: []string{webhookName}})
)

// A world has the charts that samples name, at the hosts that they name, and
// one configuration for all who judge them.
type world struct {
	t       testing.TB
	srv     *registry.Server
	net     *registry.Net
	ca      *registry.CA
	path    string            // of chartseal.yaml
	digests map[string]string // of what was published, by the digest that samples write
}

func newWorld(t testing.TB) *world {
	t.Helper()
	ca := registry.NewCA()
	w := &world{
		t: t, srv: registry.New(t, registry.WithTLS(ca.Config(registryHost, repositoryHost))), net: registry.NewNet(), ca: ca,
		digests: map[string]string{},
	}
	for _, host := range []string{registryHost, repositoryHost} {
		w.net.Name(host, "203.0.113.7")
	}
	w.net.Route("203.0.113.7:443", w.srv)
	dir := t.TempDir()
	w.publish(filepath.Join(dir, "trust"))
	w.path = filepath.Join(dir, "chartseal.yaml")
	write(t, w.path, []byte(`
trust: {directory: trust}
registries: [{host: registry.example.com}, {host: charts.example.com}]
limits: {connect: 5s, silence: 5s, reference: 20s}
server: {tls: {cert_file: unread, key_file: unread}, clients: {ca_file: unread}}
gatekeeper: {deadline: 21s, provider_timeout: 22s, webhook_timeout: 23s}
`))
	return w
}

func write(t testing.TB, path string, raw []byte) {
	t.Helper()
	succeeds(t, os.MkdirAll(filepath.Dir(path), 0o755))
	succeeds(t, os.WriteFile(path, raw, 0o600))
}

func succeeds(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// here leads whoever judges to the hosts of this world.
func (w *world) here(from *source.Config) {
	from.RootCAs, from.Resolver, from.Dialer = w.ca.Pool(), w.net, w.net
}

func (w *world) client(from source.Config) *source.Client {
	w.t.Helper()
	w.here(&from)
	client, err := source.New(from)
	succeeds(w.t, err)
	w.t.Cleanup(client.Close)
	return client
}

func (w *world) trust(c *config.Config) *trust.Snapshot {
	w.t.Helper()
	store, err := trust.Open(c.Trust.Directory, c.Limits)
	succeeds(w.t, err)
	return store.Current()
}

// touched is what OPA's built-in functions touch: nothing, where no world sits.
var touched = &builtins.Env{Limits: builtins.DefaultLimits()}

func TestMain(m *testing.M) {
	opa.Register(touched, all.Builtins...)
	ctrl.SetLogger(logr.Discard()) // or Gatekeeper's code tells that nobody did
	os.Exit(m.Run())
}

// sit gives the built-in functions of OPA what the command line gives them.
func (w *world) sit() {
	w.t.Helper()
	empty := *touched
	w.t.Cleanup(func() { *touched = empty })
	c, err := config.Load(w.path)
	succeeds(w.t, err)
	from := c.SourceConfig()
	from.LocalPaths = true
	*touched = builtins.Env{
		Source: w.client(from), Trust: w.trust(c), Facts: source.NewFacts(c.Cache.Bytes/2, nil),
		Limits: c.Limits, Log: slog.New(slog.DiscardHandler),
	}
}

// serve gives the URL of a provider as it is in a cluster, which answers
// Gatekeeper alone.
func (w *world) serve() string {
	w.t.Helper()
	c, err := config.LoadProvider(w.path)
	succeeds(w.t, err)
	p := provider.New(provider.Config{Checks: all.Builtins}, provider.Basis{
		Env: c.ProviderEnv(w.client(c.ProviderSource()), source.NewFacts(1<<20, nil), w.trust(c), nil),
		Key: time.Duration(c.Limits.Reference), Deadline: time.Duration(c.Gatekeeper.Deadline),
		Background: time.Duration(c.Gatekeeper.Background),
		Verdicts:   time.Duration(c.Cache.Listings), VerdictBytes: c.Cache.Bytes / 4,
	})
	shown, err := provider.NewTLS(provider.Material{
		Certificate: serving.Certificate, Key: serving.Key, ClientCAs: gatekeepers.PEM(), ClientNames: []string{webhookName},
	})
	succeeds(w.t, err)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	succeeds(w.t, err)
	serveUntilEnd(w.t, &provider.Server{Provider: p, TLS: shown, Log: slog.New(slog.DiscardHandler)}, listener)
	return fmt.Sprintf("https://%s%s", listener.Addr(), provider.Path)
}
