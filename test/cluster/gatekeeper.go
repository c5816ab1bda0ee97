// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

// GatekeeperName is whom Gatekeeper's certificate is for, also as a client of
// providers.
const GatekeeperName = "gatekeeper-webhook-service.gatekeeper-system.svc"

// A Gatekeeper is one process with its webhooks and all operations.
type Gatekeeper struct {
	*Process
	ClientCA []byte // PEM: who signed the certificate that it shows to providers

	cluster *Cluster
	webhook string // its address
	health  string
	service *service
	flags   []string
}

// ApplyCRDs applies Gatekeeper's custom resources, without Gatekeeper.
func (c *Cluster) ApplyCRDs(t testing.TB) {
	t.Helper()
	c.applyGatekeeper(t, func(o *unstructured.Unstructured) bool { return o.GetKind() == "CustomResourceDefinition" })
}

// StartGatekeeper starts Gatekeeper with its webhooks, all operations in one
// process. Flags come after ours, so they win.
func (c *Cluster) StartGatekeeper(t testing.TB, flags ...string) *Gatekeeper {
	t.Helper()
	g := &Gatekeeper{cluster: c, webhook: FreeAddress(t), health: FreeAddress(t)}
	g.service = newService(t, g.webhook, g.health)
	g.Use(t, g.NewCertificate(t))
	c.applyGatekeeper(t, func(o *unstructured.Unstructured) bool { return g.outOfCluster(o) })
	audit := filepath.Join(c.Dir, "audit") // without it every audit fails
	if err := os.MkdirAll(audit, 0o755); err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(g.webhook)
	_, metrics, _ := net.SplitHostPort(FreeAddress(t))
	g.flags = append([]string{
		"--debug-use-fake-pod", "--kubeconfig=" + c.Kubeconfig, "--host=127.0.0.1", "--port=" + port,
		"--cert-dir=" + filepath.Join(c.Dir, "gatekeeper"), "--disable-cert-rotation", "--health-addr=" + g.health, "--prometheus-port=" + metrics,
		"--external-data-provider-response-cache-ttl=0", "--audit-interval=10", "--api-cache-dir=" + audit,
		"--shutdown-delay=0", "--readiness-retries=-1", "--log-denies", "--exempt-namespace=gatekeeper-system",
	}, flags...)
	g.Start(t)
	return g
}

// Start starts it, again if it was stopped, with more flags from now on.
func (g *Gatekeeper) Start(t testing.TB, flags ...string) {
	t.Helper()
	g.flags = append(g.flags, flags...)
	env := []string{"POD_NAMESPACE=gatekeeper-system", "CONTAINER_NAME=manager", "GOGC=off", "GOMEMLIMIT=400MiB"} // the last two by docs/cluster.md
	g.Process = g.cluster.start(t, "gatekeeper", env, g.flags...)
	Eventually(t, "gatekeeper", func(context.Context) error { return g.service.leads() })
}

// Stop ends it, and whoever asks is led nowhere.
func (g *Gatekeeper) Stop(t testing.TB) {
	t.Helper()
	g.service.close()
	g.Process.Stop(t)
}

// A Certificate is one that Gatekeeper can have.
type Certificate struct {
	Authority, Cert, Key []byte // PEM
}

// NewCertificate makes one of a new authority, as a renewal does.
func (g *Gatekeeper) NewCertificate(t testing.TB) Certificate {
	t.Helper()
	ca := newAuthority(t, "gatekeeper")
	own := ca.issue(t, subject{name: GatekeeperName, hosts: []string{GatekeeperName, "127.0.0.1"}, server: true})
	return Certificate{ca.pair().cert, own.cert, own.key}
}

// Use writes the certificate where Gatekeeper has its own, which it reads again
// by itself.
func (g *Gatekeeper) Use(t testing.TB, c Certificate) {
	t.Helper()
	g.cluster.Write(t, "gatekeeper/tls.key", c.Key)
	g.cluster.Write(t, "gatekeeper/tls.crt", c.Cert)
	g.ClientCA = c.Authority
}

// Shows says whether it has taken its certificate.
func (g *Gatekeeper) Shows() error {
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(g.ClientCA)
	conn, err := tls.Dial("tcp", g.webhook, &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS13})
	if err != nil {
		return err
	}
	return conn.Close()
}

// Hook points the webhooks of a configuration at Gatekeeper, with a bundle of
// authorities that may have signed its certificate: there is no network of
// services here.
func (g *Gatekeeper) Hook(o *unstructured.Unstructured, bundle []byte) {
	webhooks, _, _ := unstructured.NestedSlice(o.Object, "webhooks")
	for _, each := range webhooks {
		hook := each.(map[string]any)
		path, _, _ := unstructured.NestedString(hook, "clientConfig", "service", "path")
		hook["clientConfig"] = map[string]any{"url": "https://" + g.service.address + path, "caBundle": encode(bundle)}
	}
	if webhooks != nil {
		_ = unstructured.SetNestedSlice(o.Object, webhooks, "webhooks")
	}
}

// outOfCluster drops what needs a kubelet.
func (g *Gatekeeper) outOfCluster(o *unstructured.Unstructured) bool {
	switch o.GetKind() {
	case "Deployment", "Service", "PodDisruptionBudget", "ResourceQuota":
		return false
	}
	g.Hook(o, g.ClientCA)
	return true
}

// Trusted makes these authorities those that the webhooks' certificate may be
// of, in Gatekeeper's own configurations.
func (g *Gatekeeper) Trusted(t testing.TB, bundle []byte) {
	t.Helper()
	g.cluster.applyGatekeeper(t, func(o *unstructured.Unstructured) bool {
		g.Hook(o, bundle)
		return strings.HasSuffix(o.GetKind(), "WebhookConfiguration")
	})
}

// applyGatekeeper applies those objects of Gatekeeper's own manifest that are
// kept.
func (c *Cluster) applyGatekeeper(t testing.TB, keep func(*unstructured.Unstructured) bool) {
	t.Helper()
	manifest, err := os.ReadFile(c.Tool(t, "gatekeeper.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var kept []string
	for _, document := range strings.Split(string(manifest), "\n---\n") {
		var o unstructured.Unstructured
		if err := yaml.Unmarshal([]byte(document), &o.Object); err != nil {
			t.Fatal(err)
		}
		if o.Object == nil || !keep(&o) {
			continue
		}
		edited, err := yaml.Marshal(o.Object)
		if err != nil {
			t.Fatal(err)
		}
		kept = append(kept, string(edited))
	}
	c.Apply(t, strings.Join(kept, "---\n"))
	c.Kubectl(t, "", "wait", "--for=condition=Established", "--timeout=60s", "crd/providers.externaldata.gatekeeper.sh", "crd/constrainttemplates.templates.gatekeeper.sh")
}
