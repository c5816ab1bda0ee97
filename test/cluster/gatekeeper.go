// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"net"
	"net/http"
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

// A Gatekeeper is a running one.
type Gatekeeper struct {
	ClientCA []byte // PEM: who signed the certificate that it shows to providers
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
	ca := newAuthority(t, "gatekeeper")
	own := ca.issue(t, subject{name: GatekeeperName, hosts: []string{GatekeeperName, "127.0.0.1"}, server: true})
	certs := filepath.Dir(c.Write(t, "gatekeeper/tls.crt", own.cert))
	c.Write(t, "gatekeeper/tls.key", own.key)
	audit := filepath.Join(c.Dir, "audit") // without it every audit fails
	if err := os.MkdirAll(audit, 0o755); err != nil {
		t.Fatal(err)
	}
	webhook, health := freeAddress(t), freeAddress(t)
	_, port, _ := net.SplitHostPort(webhook)
	_, metrics, _ := net.SplitHostPort(freeAddress(t))
	c.applyGatekeeper(t, func(o *unstructured.Unstructured) bool { return outOfCluster(o, webhook, ca.pair().cert) })
	c.start(t, "gatekeeper", []string{"POD_NAMESPACE=gatekeeper-system", "CONTAINER_NAME=manager"}, append([]string{
		"--debug-use-fake-pod", "--kubeconfig=" + c.Kubeconfig, "--host=127.0.0.1", "--port=" + port,
		"--cert-dir=" + certs, "--disable-cert-rotation", "--health-addr=" + health, "--prometheus-port=" + metrics,
		"--external-data-provider-response-cache-ttl=0", "--audit-interval=10", "--api-cache-dir=" + audit,
		"--shutdown-delay=0", "--log-denies", "--exempt-namespace=gatekeeper-system",
	}, flags...)...)
	await(t, "gatekeeper", http.DefaultClient, "http://"+health+"/readyz")
	return &Gatekeeper{ca.pair().cert}
}

// outOfCluster drops what needs a kubelet, and points the webhooks at loopback:
// there is no network of services.
func outOfCluster(o *unstructured.Unstructured, webhook string, ca []byte) bool {
	switch o.GetKind() {
	case "Deployment", "Service", "PodDisruptionBudget", "ResourceQuota":
		return false
	}
	webhooks, _, _ := unstructured.NestedSlice(o.Object, "webhooks")
	for _, each := range webhooks {
		hook := each.(map[string]any)
		path, _, _ := unstructured.NestedString(hook, "clientConfig", "service", "path")
		hook["clientConfig"] = map[string]any{"url": "https://" + webhook + path, "caBundle": encode(ca)}
	}
	if webhooks != nil {
		_ = unstructured.SetNestedSlice(o.Object, webhooks, "webhooks")
	}
	return true
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
