// SPDX-License-Identifier: Apache-2.0

package cluster_test

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/provenance"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/chartseal/chartseal/builtins/all"
	lock "github.com/chartseal/chartseal/builtins/chart"
	"github.com/chartseal/chartseal/builtins/config"
	"github.com/chartseal/chartseal/builtins/source"
	"github.com/chartseal/chartseal/builtins/trust"
	impl "github.com/chartseal/chartseal/provider"
	"github.com/chartseal/chartseal/test/cluster"
	"github.com/chartseal/chartseal/test/pki"
	"github.com/chartseal/chartseal/test/registry"
)

// A sample is a folder beside a template that is shipped: a constraint, and
// objects that it allows or not.
type sample struct {
	folder     string
	constraint *unstructured.Unstructured
	inventory  []*unstructured.Unstructured
	examples   []string // files
}

// TestSamples applies the samples that are shipped as they are written. They
// name hosts that no provider in a process of its own could reach here, and
// hold tokens that are about those hosts: so the provider runs in this process,
// with a network of its own.
func TestSamples(t *testing.T) {
	w := &world{t: t, Cluster: cluster.Start(t)}
	w.ApplyInstallers(t)
	w.gatekeeper = w.StartGatekeeper(t, "--max-serving-threads=32", "--audit-interval=60")
	words := w.provideHere()
	w.applyTemplates(policies(t)...)
	w.applyWebhook(w.gatekeeper.ClientCA)
	w.sync()
	owner := w.client(w.Kubeconfig)
	for _, name := range []string{"shop", "lab", "other", "argocd", "fleet-default", "config-management-system", "platform"} {
		must(t, owner.create(t.Context(), read(t, "apiVersion: v1\nkind: Namespace\nmetadata: {name: "+name+", labels: {chart-verification: required}}\n")[0]))
	}
	for _, s := range samples(t, words) {
		t.Run(s.folder, func(t *testing.T) { w.sample(t, owner, s, words) })
	}
}

func samples(t *testing.T, words *strings.Replacer) (all []sample) {
	t.Helper()
	folders, err := filepath.Glob(deploy + "/policies/*/samples/*")
	must(t, err)
	for _, folder := range folders {
		s := sample{folder: strings.TrimPrefix(folder, deploy+"/policies/"), constraint: read(t, words.Replace(file(t, folder+"/constraint.yaml")))[0]}
		s.examples, err = filepath.Glob(folder + "/example_*.yaml")
		must(t, err)
		others, err := filepath.Glob(folder + "/inventory*.yaml")
		must(t, err)
		for _, other := range others {
			s.inventory = append(s.inventory, read(t, words.Replace(file(t, other)))...)
		}
		all = append(all, s)
	}
	if len(all) == 0 {
		t.Fatal("there are no samples")
	}
	return all
}

// sample has the objects judged by this constraint alone. What is synced, and
// what was applied before, is known to Gatekeeper after a moment.
func (w *world) sample(t *testing.T, owner *user, s sample, words *strings.Replacer) {
	for _, o := range s.inventory {
		if o.GetKind() == "Namespace" {
			must(t, owner.patch(t.Context(), o, labels(t, o)))
			continue
		}
		must(t, owner.create(t.Context(), o))
		defer func() { must(t, owner.delete(context.Background(), o)) }()
	}
	action, _, _ := unstructured.NestedString(s.constraint.Object, "spec", "enforcementAction")
	if action == "dryrun" {
		must(t, unstructured.SetNestedField(s.constraint.Object, "warn", "spec", "enforcementAction")) // to be told at once
	}
	must(t, owner.create(t.Context(), s.constraint))
	defer func() { must(t, owner.delete(context.Background(), s.constraint)) }()
	w.enforced(s.constraint)
	t.Logf("applied %s %s, %s", s.constraint.GetKind(), s.constraint.GetName(), orDeny(action))
	for _, example := range s.examples {
		text := file(t, example)
		o := read(t, words.Replace(text))[0]
		var said string
		eventually(t, filepath.Base(example), func() (err error) {
			said, err = s.judged(t, owner, o, example, text)
			return err
		})
		t.Logf("%s: %s", filepath.Base(example), said)
	}
}

func labels(t *testing.T, o *unstructured.Unstructured) string {
	t.Helper()
	raw, err := (&unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"labels": o.Object["metadata"].(map[string]any)["labels"]}}}).MarshalJSON()
	must(t, err)
	return string(raw)
}

var wanted = regexp.MustCompile(`(?m)^# message: (.*)$`)

// judged is what the API server says of an example, and whether its name and
// its message promise that.
func (s sample) judged(t *testing.T, owner *user, o *unstructured.Unstructured, example, text string) (said string, err error) {
	owner.warned()
	refused := owner.try(t.Context(), o)
	warned := owner.warned()
	by := deniers(refused)[s.constraint.GetName()]
	if at := strings.Index(warned, "["+s.constraint.GetName()+"] "); at >= 0 {
		by = warned[at:]
	}
	switch allowed := strings.HasPrefix(filepath.Base(example), "example_allowed"); {
	case allowed && by == "" && (refused == nil || apierrors.IsAlreadyExists(refused)):
		return "admitted", nil
	case allowed:
		return "", fmt.Errorf("the API server said: %v %s", refused, warned)
	case apierrors.IsBadRequest(refused) || apierrors.IsInvalid(refused):
		return fmt.Sprintf("the API server refuses it by its schema: %v", refused), nil
	case by == "":
		return "", fmt.Errorf("admitted; the API server said: %v %s", refused, warned)
	}
	if message := wanted.FindStringSubmatch(text); message != nil && !regexp.MustCompile(message[1]).MatchString(by) {
		return "", fmt.Errorf("%s says %q, want %s", s.constraint.GetName(), by, message[1])
	}
	return "the API server said: " + by, nil
}

// released are the charts that samples name, and the digest that they write for
// one.
var released = []struct {
	repo, version string
	signed        bool
	needs         string
}{
	{"platform/web", "1.2.3", true, ""}, {"platform/unsigned", "1.2.3", false, ""}, {"other/unsigned", "1.2.3", false, ""},
	{"platform/twice", "1.2.3", true, ""}, {"platform/base", "1.0.0", true, ""}, {"platform/app", "2.0.0", true, "base"},
}

// provideHere serves the samples' charts at their hosts, has Gatekeeper ask this
// process about them, and gives what samples write for what there is.
func (w *world) provideHere() *strings.Replacer {
	w.t.Helper()
	hosts := []string{"registry.example.com", "charts.example.com"}
	ca, network := registry.NewCA(), registry.NewNet()
	server := registry.New(w.t, registry.WithTLS(ca.Config(hosts...)))
	for _, host := range hosts {
		network.Name(host, "203.0.113.7")
	}
	network.Route("203.0.113.7:443", server)
	c := &charts{t: w.t, server: server, platform: newSigner(w.t, "platform")}
	files := map[string]string{}
	words := []string{}
	for _, r := range released {
		files[path.Base(r.repo)] = c.pack(path.Base(r.repo), r.version, files[r.needs], "oci://"+hosts[0]+"/"+path.Dir(r.repo))
		manifest := c.release(r.repo, r.version, files[path.Base(r.repo)], r.signed)
		if r.repo == "platform/web" {
			words = append(words, "sha256:"+strings.Repeat("1", 64), manifest)
		}
	}
	w.provider = &provider{t: w.t, dir: w.t.TempDir(), authority: pki.NewAuthority("provider")}
	w.provider.exchange(c.platform.trust(w.t))
	w.serveHere(func(s *source.Config) { s.RootCAs, s.Resolver, s.Dialer = ca.Pool(), network, network })
	w.applyProvider()
	return strings.NewReplacer(words...)
}

// pack makes an archive with what it needs in it, which is locked.
func (c *charts) pack(name, version, needed, repository string) (file string) {
	c.t.Helper()
	packed := &chart.Chart{
		Metadata:  &chart.Metadata{APIVersion: "v2", Name: name, Version: version, Type: "application"},
		Templates: []*chart.File{{Name: "templates/configmap.yaml", Data: []byte("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: web\n")}},
	}
	if needed != "" {
		dependency, err := loader.LoadFile(needed)
		must(c.t, err)
		packed.AddDependency(dependency)
		packed.Metadata.Dependencies = []*chart.Dependency{{Name: dependency.Name(), Version: dependency.Metadata.Version, Repository: repository}}
		packed.Lock = &chart.Lock{Dependencies: packed.Metadata.Dependencies, Digest: lock.HashReq(packed.Metadata.Dependencies, packed.Metadata.Dependencies)}
	}
	file, err := chartutil.Save(packed, c.t.TempDir())
	must(c.t, err)
	return file
}

// release pushes and adds a packed chart, and signs it.
func (c *charts) release(repo, version, file string, signed bool) (manifest string) {
	c.t.Helper()
	archive, err := os.ReadFile(file)
	must(c.t, err)
	var prov []byte
	if signed {
		text, err := (&provenance.Signatory{Entity: c.platform.pgp}).ClearSign(file)
		must(c.t, err)
		prov = []byte(text)
	}
	manifest = c.server.PushChart(repo, version, archive, prov)
	c.server.AddChart(path.Dir(repo), archive, prov)
	if signed {
		c.sign(repo, manifest, c.platform)
	}
	return manifest
}

// serveHere runs the provider in this process as its command does.
func (w *world) serveHere(network func(*source.Config)) {
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
	network(&from)
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
