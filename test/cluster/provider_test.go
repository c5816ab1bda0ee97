// SPDX-License-Identifier: Apache-2.0

package cluster_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chartseal/chartseal/test/cluster"
	"github.com/chartseal/chartseal/test/pki"
	"github.com/chartseal/chartseal/test/registry"
)

// A provider is the binary in a process of its own, with its files.
type provider struct {
	*cluster.Process
	t              testing.TB
	dir            string
	listen, health string
	authority      *pki.Authority
	epoch          int // of the trust directory
}

// binary is the provider that is shipped.
func binary(t testing.TB) string {
	t.Helper()
	if path := os.Getenv("CHARTSEAL_PROVIDER_BIN"); path != "" {
		return path
	}
	path := filepath.Join(t.TempDir(), "chartseal-provider")
	build := exec.Command("go", "build", "-o", path, "github.com/chartseal/chartseal/cmd/chartseal-provider")
	build.Env, build.Stderr = append(os.Environ(), "CGO_ENABLED=0"), os.Stderr
	must(t, build.Run())
	return path
}

// The times of our own webhook configuration, whose Provider has three seconds.
const providerConfiguration = `
trust: {directory: trust}
registries: [{host: %q}]
server:
  listen: %q
  health: %q
  tls: {cert_file: tls/tls.crt, key_file: tls/tls.key}
  clients: {ca_file: clients/ca.crt}
gatekeeper: {deadline: 2s, provider_timeout: 3s, webhook_timeout: 10s}
`

const providerTimeout = 3

func newProvider(t testing.TB, host string, registries *registry.CA, clients []byte) *provider {
	t.Helper()
	p := &provider{t: t, dir: t.TempDir(), listen: cluster.FreeAddress(t), health: cluster.FreeAddress(t)}
	p.write("chartseal.yaml", fmt.Appendf(nil, providerConfiguration, host, p.listen, p.health))
	p.write("roots.pem", registries.PEM())
	p.write("clients/ca.crt", clients)
	p.certify(pki.NewAuthority("provider"))
	return p
}

// write puts a file into the place of another, in one step.
func (p *provider) write(name string, raw []byte) {
	p.t.Helper()
	path := filepath.Join(p.dir, name)
	must(p.t, os.MkdirAll(filepath.Dir(path), 0o755))
	must(p.t, os.WriteFile(path+".new", raw, 0o600))
	must(p.t, os.Rename(path+".new", path))
}

// certify has the provider's certificate signed by this authority.
func (p *provider) certify(by *pki.Authority) {
	p.t.Helper()
	p.authority = by
	pair := by.Issue(pki.Leaf{Names: []string{"127.0.0.1"}, Usages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
	p.write("tls/tls.key", pair.Key)
	p.write("tls/tls.crt", pair.Certificate)
}

// shows says whether connections get the certificate that was written last.
func (p *provider) shows() error {
	var seen *x509.Certificate
	conn, err := tls.Dial("tcp", p.listen, &tls.Config{
		MinVersion: tls.VersionTLS13, RootCAs: p.authority.Pool(),
		VerifyConnection: func(s tls.ConnectionState) error { seen = s.PeerCertificates[0]; return nil },
	})
	if conn != nil {
		_ = conn.Close()
	}
	if seen != nil {
		return nil
	}
	return err
}

// answers says whether it answers who shows this certificate.
func (p *provider) answers(c cluster.Certificate) error {
	pair, err := tls.X509KeyPair(c.Cert, c.Key)
	if err != nil {
		return err
	}
	transport := &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{
		MinVersion: tls.VersionTLS13, RootCAs: p.authority.Pool(), Certificates: []tls.Certificate{pair},
	}}
	response, err := (&http.Client{Transport: transport}).Get("https://" + p.listen)
	if err != nil {
		return err
	}
	return response.Body.Close()
}

// start starts it, again if it was stopped.
func (p *provider) start(path string) {
	p.t.Helper()
	p.Process = cluster.Run(p.t, "chartseal-provider", cluster.Command{
		Path: path, Args: []string{"--config", filepath.Join(p.dir, "chartseal.yaml"), "--drain", "200ms"},
		Env: []string{"SSL_CERT_FILE=" + filepath.Join(p.dir, "roots.pem")},
	})
	cluster.Await(p.t, "the provider", http.DefaultClient, "http://"+p.health+"/readyz")
}

// trusts makes these files the trust directory, and waits until they count.
func (p *provider) trusts(files map[string][]byte) {
	p.t.Helper()
	p.rereads("the trust", func() { p.exchange(files) })
}

// exchange makes these files the trust directory, in one step.
func (p *provider) exchange(files map[string][]byte) {
	p.t.Helper()
	p.epoch++
	next := fmt.Sprintf("trust.%d", p.epoch)
	must(p.t, os.Mkdir(filepath.Join(p.dir, next), 0o755))
	for name, raw := range files {
		p.write(next+"/"+name, raw)
	}
	must(p.t, os.Symlink(next, filepath.Join(p.dir, next+".link")))
	must(p.t, os.Rename(filepath.Join(p.dir, next+".link"), filepath.Join(p.dir, "trust")))
}

// rereads changes files and waits until a provider that runs has read them.
func (p *provider) rereads(what string, change func()) {
	p.t.Helper()
	if p.Process == nil {
		change()
		return
	}
	before := p.reloads()
	change()
	eventually(p.t, what+" to be read again", func() error {
		if p.reloads() == before {
			return fmt.Errorf("%d reloads", before)
		}
		return nil
	})
}

func (p *provider) reloads() int { return strings.Count(p.Log(), `"msg":"reloaded"`) }

// resource is the Provider, with the authorities that may have signed its
// certificate.
func (p *provider) resource(bundle []byte) string {
	return fmt.Sprintf(`apiVersion: externaldata.gatekeeper.sh/v1beta1
kind: Provider
metadata: {name: chartseal}
spec: {url: "https://%s/v1/check", timeout: %d, caBundle: %s}
`, p.listen, providerTimeout, base64.StdEncoding.EncodeToString(bundle))
}
