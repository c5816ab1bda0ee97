// SPDX-License-Identifier: Apache-2.0

package soak

import (
	"crypto/x509"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/chartseal/chartseal/test/forge"
	"github.com/chartseal/chartseal/test/registry"
)

// The one who signs charts, and one who is in no keyring that serves.
var (
	signer   = forge.NewKey(forge.KeySpec{UserID: "Web Team <web@example.com>"})
	stranger = forge.NewKey(forge.KeySpec{UserID: "Stranger <stranger@example.com>"})
)

// A place is a directory with all that a provider needs, and a registry.
type place struct {
	t        testing.TB
	dir      string
	registry *front
	trust    files
	tls      files
	servers  *authority // of the provider's certificate
	clients  *authority // of Gatekeeper's
	client   pair
	extra    []string // lines of the configuration
	hosts    string   // entries below registries, beside the registry's own
	login    string   // lines of the registry's own entry
	flags    []string // of the command line
}

// files are the content of a directory, which can be exchanged.
type files interface {
	exchange(t testing.TB, content map[string][]byte)
}

func newPlace(t testing.TB, opts ...registry.Option) *place {
	t.Helper()
	dir := t.TempDir()
	p := &place{
		t: t, dir: dir, registry: newFront(t, opts...), trust: &mount{dir: filepath.Join(dir, "trust")}, tls: &mount{dir: filepath.Join(dir, "tls")},
		servers: newAuthority(t), clients: newAuthority(t),
	}
	p.client = p.clients.issue(t, gatekeeperName)
	p.trustKeys(signer)
	p.certify()
	p.configure()
	return p
}

// trustKeys makes these the keyring "team".
func (p *place) trustKeys(keys ...*forge.Key) {
	p.t.Helper()
	var raw []byte
	for _, key := range keys {
		raw = append(raw, key.Public()...)
	}
	p.trust.exchange(p.t, map[string][]byte{"keyrings/team.gpg": raw})
}

// certify gives the provider a new certificate, and Gatekeeper's authority.
func (p *place) certify() pair {
	p.t.Helper()
	serving := p.servers.issue(p.t, "127.0.0.1")
	p.tls.exchange(p.t, map[string][]byte{"ca.crt": p.clients.pem, "tls.crt": serving.cert, "tls.key": serving.key})
	return serving
}

func (p *place) configuration() string {
	text := fmt.Sprintf(`trust:
  directory: trust
registries:
- host: %s
  insecure: true
%s%sserver:
  listen: 127.0.0.1:0
  health: 127.0.0.1:0
  tls: {cert_file: tls/tls.crt, key_file: tls/tls.key}
  clients: {ca_file: tls/ca.crt}
`, p.registry.host(), p.login, p.hosts)
	return text + strings.Join(append(p.extra, ""), "\n")
}

// patient leaves a check and an answer so much time that only events count.
var patient = []string{
	"limits: {reference: 50s, silence: 40s, connect: 30s}",
	"gatekeeper: {deadline: 55s, provider_timeout: 57s, webhook_timeout: 58s, background: 60s}",
}

func (p *place) config() string { return filepath.Join(p.dir, "chartseal.yaml") }

// configure writes the configuration, with more lines from now on.
func (p *place) configure(extra ...string) {
	p.t.Helper()
	p.extra = append(p.extra, extra...)
	replace(p.t, p.config(), []byte(p.configuration()))
}

// replace puts a file into the place of another, in one step.
func replace(t testing.TB, path string, content []byte) {
	t.Helper()
	must(t, os.WriteFile(path+".new", content, 0o600))
	must(t, os.Rename(path+".new", path))
}

func (p *place) roots() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(p.servers.cert)
	return pool
}

// A mount is a directory as Kubernetes mounts Secrets and ConfigMaps: names
// are links through ..data, which is exchanged.
type mount struct {
	dir   string
	epoch int
}

func (m *mount) exchange(t testing.TB, content map[string][]byte) {
	t.Helper()
	before := m.at()
	m.epoch++
	for name, raw := range content {
		path := filepath.Join(m.dir, m.at(), name)
		must(t, os.MkdirAll(filepath.Dir(path), 0o700))
		must(t, os.WriteFile(path, raw, 0o600))
	}
	data := filepath.Join(m.dir, "..data")
	must(t, os.Symlink(m.at(), data+"_tmp"))
	must(t, os.Rename(data+"_tmp", data))
	for name := range content {
		top, _, _ := strings.Cut(name, "/")
		if err := os.Symlink(filepath.Join("..data", top), filepath.Join(m.dir, top)); err != nil && !os.IsExist(err) {
			t.Fatal(err)
		}
	}
	must(t, os.RemoveAll(filepath.Join(m.dir, before)))
}

func (m *mount) at() string { return "..epoch" + strconv.Itoa(m.epoch) }

// A folder is a directory in which files are replaced one after the other.
type folder struct{ dir string }

func (f folder) exchange(t testing.TB, content map[string][]byte) {
	t.Helper()
	for name, raw := range content {
		path := filepath.Join(f.dir, name)
		must(t, os.MkdirAll(filepath.Dir(path), 0o700))
		temporary := filepath.Join(f.dir, ".new")
		must(t, os.WriteFile(temporary, raw, 0o600))
		must(t, os.Rename(temporary, path))
	}
}
