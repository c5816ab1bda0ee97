// SPDX-License-Identifier: Apache-2.0

// Package gatekeeper holds the provider against Gatekeeper's own code: its
// client, its caches, and its policies, over real connections.
package gatekeeper

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/open-policy-agent/frameworks/constraint/pkg/apis/externaldata/unversioned"
	"github.com/rogpeppe/go-internal/txtar"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/chartseal/chartseal/builtins"
	"github.com/chartseal/chartseal/builtins/all"
	"github.com/chartseal/chartseal/builtins/config"
	"github.com/chartseal/chartseal/builtins/source"
	"github.com/chartseal/chartseal/builtins/trust"
	"github.com/chartseal/chartseal/provider"
	"github.com/chartseal/chartseal/test/pki"
	"github.com/chartseal/chartseal/test/registry"
	"github.com/chartseal/chartseal/test/vsig"
)

const (
	host    = "charts.example.com"
	stable  = "https://" + host + "/stable/web-1.2.3.tgz"   // signed by the web team
	altered = "https://" + host + "/tampered/web-1.2.3.tgz" // one byte more
	bare    = "https://" + host + "/unsigned/web-1.2.3.tgz" // nothing beside it
	broken  = "https://" + host + "/down/web-1.2.3.tgz"     // 503
	second  = "https://" + host + "/mirror/web-1.2.3.tgz"   // like the first
)

// moment is after everything here was signed.
var moment = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)

var (
	providers   = pki.NewAuthority("providers")
	gatekeepers = pki.NewAuthority("gatekeepers")
	serving     = providers.Issue(pki.Leaf{Names: []string{"127.0.0.1"}, Usages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
	webhook     = gatekeepers.Issue(pki.Leaf{
		CommonName: webhookName, Names: []string{webhookName}, Usages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	})
	release = vsig.WithKey(vsig.SeededKey("release"))
)

const webhookName = "gatekeeper-webhook-service.gatekeeper-system.svc"

// A world is a registry, the provider that reads it, and what is trusted.
type world struct {
	t        testing.TB
	srv      *registry.Server
	net      *registry.Net
	config   *config.Config
	source   *source.Client
	facts    builtins.Facts
	trust    string // directory
	provider *provider.Provider
	url      string
}

// patient gives every time that is not what a test is about room enough for a
// machine that is busy.
const patient = `
limits: {connect: 5s, silence: 5s, reference: 20s}
gatekeeper: {deadline: 21s, provider_timeout: 22s, webhook_timeout: 23s}
`

// newWorld has these times, or, for "", those that the provider has by default.
func newWorld(t testing.TB, times string) *world {
	t.Helper()
	ca := registry.NewCA()
	w := &world{t: t, srv: registry.New(t, registry.WithTLS(ca.Config(host, "other.example.com"))), net: registry.NewNet(), trust: t.TempDir()}
	w.net.Name(host, "203.0.113.7")
	w.net.Route("203.0.113.7:443", w.srv)
	w.publish()
	w.configure(times, ca)
	w.provider = provider.New(provider.Config{Checks: all.Builtins}, w.basis())
	w.url = w.serve()
	return w
}

// publish serves what real helm packed and signed, and what became of it.
func (w *world) publish() {
	signed, tampered := read(w.t, "signed"), read(w.t, "tampered")
	archive, prov := signed["web-1.2.3.tgz"], signed["web-1.2.3.tgz.prov"]
	for _, dir := range []string{"stable", "mirror", "down", "slow"} {
		w.srv.AddFile(dir+"/web-1.2.3.tgz", archive)
		w.srv.AddFile(dir+"/web-1.2.3.tgz.prov", prov)
	}
	w.srv.AddFile("stable/web-1.2.3.tgz.sigstore.json", release.Blob(archive).Bundle("0.3"))
	w.srv.AddFile("tampered/web-1.2.3.tgz", tampered["web-1.2.3.tgz"])
	w.srv.AddFile("tampered/web-1.2.3.tgz.prov", prov)
	w.srv.AddFile("unsigned/web-1.2.3.tgz", archive)
	w.srv.Rule(registry.Rule{Path: "/down/*", Status: http.StatusServiceUnavailable})
	w.trusting("keyrings/web-team.asc", signed["keyrings/web-team"])
	w.trusting("keyrings/platform-team.asc", read(w.t, "unknown_signer")["keyrings/platform-team"])
	w.trusting("keys/release.pub", release.PublicKey())
}

// read gives the files of a case of helm.verify_prov.
func read(t testing.TB, name string) map[string][]byte {
	t.Helper()
	archive, err := txtar.ParseFile("../../builtins/helm/testdata/verify_prov/" + name + ".txtar")
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{}
	for _, f := range archive.Files {
		plain, encoded := strings.CutSuffix(f.Name, ".base64")
		if files[plain] = f.Data; encoded {
			if files[plain], err = base64.StdEncoding.DecodeString(strings.ReplaceAll(string(f.Data), "\n", "")); err != nil {
				t.Fatal(err)
			}
		}
	}
	return files
}

// trusting puts a file into the trust directory.
func (w *world) trusting(name string, raw []byte) { write(w.t, filepath.Join(w.trust, name), raw) }

func write(t testing.TB, path string, raw []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, raw, 0o600); err != nil {
		t.Fatal(err)
	}
}

// configure reads a configuration as the provider would.
func (w *world) configure(times string, ca *registry.CA) {
	w.t.Helper()
	path := filepath.Join(w.t.TempDir(), "chartseal.yaml")
	write(w.t, path, fmt.Appendf(nil, `
trust: {directory: %q}
registries: [{host: %s}, {host: lost.example.com}, {host: closed.example.com}, {host: failing.example.com}]
server: {tls: {cert_file: unread, key_file: unread}, clients: {ca_file: unread}}
%s`, w.trust, host, times))
	var err error
	if w.config, err = config.LoadProvider(path); err != nil {
		w.t.Fatal(err)
	}
	from := w.config.ProviderSource()
	from.RootCAs, from.Resolver, from.Dialer = ca.Pool(), w.net, w.net
	if w.source, err = source.New(from); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(w.source.Close)
	w.facts = source.NewFacts(1<<20, nil)
}

// basis is made as the provider makes it, on the trust that is there now.
func (w *world) basis() provider.Basis {
	w.t.Helper()
	store, err := trust.Open(w.trust, w.config.Limits)
	if err != nil {
		w.t.Fatal(err)
	}
	return provider.Basis{
		Env: w.config.ProviderEnv(w.source, w.facts, store.Current(), nil),
		Now: func() time.Time { return moment },
		Key: time.Duration(w.config.Limits.Reference), Deadline: time.Duration(w.config.Gatekeeper.Deadline),
		Background: time.Duration(w.config.Gatekeeper.Background),
		Verdicts:   time.Duration(w.config.Cache.Listings), VerdictBytes: w.config.Cache.Bytes / 4,
	}
}

// serve gives the URL of a server that answers Gatekeeper alone.
func (w *world) serve() string {
	w.t.Helper()
	shown, err := provider.NewTLS(provider.Material{
		Certificate: serving.Certificate, Key: serving.Key, ClientCAs: gatekeepers.PEM(), ClientNames: []string{webhookName},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error)
	server := &provider.Server{Provider: w.provider, TLS: shown, Log: slog.New(slog.DiscardHandler)}
	go func() { ended <- server.Serve(ctx, listener, nil) }()
	w.t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			w.t.Error(err)
		}
	})
	return "https://" + listener.Addr().String() + provider.Path
}

// resource is the Provider resource of a URL; timeout is in seconds.
func resource(name, url string, timeout int) *unversioned.Provider {
	return &unversioned.Provider{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec:       unversioned.ProviderSpec{URL: url, Timeout: timeout, CABundle: base64.StdEncoding.EncodeToString(providers.PEM())},
	}
}

// client speaks as Gatekeeper does, where bytes are to be seen that its code
// does not show.
func client(t testing.TB) *http.Client {
	transport := &http.Transport{TLSClientConfig: &tls.Config{
		RootCAs: providers.Pool(), Certificates: []tls.Certificate{webhook.TLS()}, MinVersion: tls.VersionTLS13,
	}}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

func key(check, opts, ref string) string {
	return `{"check":"` + check + `","opts":` + opts + `,"ref":` + ref + `}`
}

// signedBy asks for the provenance of ref, by the web team.
func signedBy(ref string) string {
	return key("helm.verify_prov", `{"keyrings":["web-team"]}`, `"`+ref+`"`)
}

// within says whether something is seen in time. A machine that is busy may be
// late by itself; it is not three times in a row.
func within(t testing.TB, limit time.Duration, attempt func() time.Duration) {
	t.Helper()
	var took []time.Duration
	for range 3 {
		d := attempt()
		if d <= limit {
			return
		}
		took = append(took, d)
	}
	t.Errorf("took %v, want at most %s", took, limit)
}
