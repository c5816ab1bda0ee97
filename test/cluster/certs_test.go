// SPDX-License-Identifier: Apache-2.0

package cluster_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/chartseal/chartseal/cmd/chartseal-provider/certs"
	"github.com/chartseal/chartseal/test/cluster"
)

const certsNamespace = `
apiVersion: v1
kind: Namespace
metadata: {name: chartseal}
`

const certsProvider = `
apiVersion: externaldata.gatekeeper.sh/v1beta1
kind: Provider
metadata: {name: chartseal}
spec: {url: "https://chartseal-provider.chartseal:8443/v1/check", timeout: 2}
`

// What the command's help says that it needs, for the user chartseal.
const certsPermissions = `
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: chartseal-certs, namespace: chartseal}
rules:
- {apiGroups: [""], resources: [secrets], resourceNames: [chartseal-provider-certs], verbs: [get, update]}
- {apiGroups: [""], resources: [secrets], verbs: [create]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: chartseal-certs, namespace: chartseal}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: chartseal-certs}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: chartseal}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: chartseal-certs}
rules:
- {apiGroups: [externaldata.gatekeeper.sh], resources: [providers], resourceNames: [chartseal], verbs: [get, patch]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: chartseal-certs}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: chartseal-certs}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: chartseal}]
`

// certsOnce is `chartseal-provider certs --once` and what it logged.
func certsOnce(ctx context.Context, kubeconfig string, args ...string) (log string, err error) {
	cmd := certs.Command()
	var out bytes.Buffer
	cmd.SetOut(&out)
	cmd.SetErr(&out)
	cmd.SetArgs(append([]string{"--once", "--namespace=chartseal", "--kubeconfig=" + kubeconfig}, args...))
	err = cmd.ExecuteContext(ctx)
	return out.String(), err
}

// TestCertificates runs the command against a real API server, as a user who
// may do what its help names and nothing else.
func TestCertificates(t *testing.T) {
	c := cluster.Start(t)
	c.ApplyCRDs(t)
	c.Apply(t, certsNamespace+"---"+certsProvider)
	user := c.User(t, "chartseal", "")
	if _, err := certsOnce(t.Context(), user, "--provider=chartseal"); err == nil || !strings.Contains(err.Error(), "forbidden") {
		t.Fatalf("a user without permissions: %v", err)
	}
	c.Apply(t, certsPermissions)
	log := start(t, c, user)
	if strings.Count(log, "caBundle written") != 1 {
		t.Errorf("it logs %s", log)
	}
	data, before := certsSecret(t, c), certsState(t, c)
	if bundle := providerBundle(t, c); !bytes.Equal(bundle, data["ca.crt"]) {
		t.Fatalf("the caBundle is %q, the CA %q", bundle, data["ca.crt"])
	}
	serves(t, data, providerBundle(t, c))
	if log, err := certsOnce(t.Context(), user, "--provider=chartseal"); err != nil || certsState(t, c) != before {
		t.Errorf("a second run changes something: %v, %s", err, log)
	}
	if _, err := certsOnce(t.Context(), user); err == nil || !strings.Contains(err.Error(), "listing Providers") {
		t.Errorf("without the permission to list: %v", err)
	}
	brokenSecret(t, c, user)
	loop(t, c, user)
}

// loop runs until it is told to end, and meanwhile puts a caBundle right.
func loop(t *testing.T, c *cluster.Cluster, user string) {
	c.Kubectl(t, "", "patch", "provider", "chartseal", "--type=merge", "-p", `{"spec": {"caBundle": "b3RoZXI="}}`)
	cmd := certs.Command()
	cmd.SetErr(io.Discard)
	cmd.SetArgs([]string{"--namespace=chartseal", "--provider=chartseal", "--kubeconfig=" + user, "--interval=1s"})
	ended := make(chan error, 1)
	go func() { ended <- cmd.ExecuteContext(t.Context()) }()
	cluster.Eventually(t, "the caBundle", func(context.Context) error {
		if !bytes.Equal(providerBundle(t, c), certsSecret(t, c)["ca.crt"]) {
			return errors.New("it is not the CA")
		}
		return nil
	})
	if err := syscall.Kill(os.Getpid(), syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// start waits out the moment in which the API server does not know of new
// permissions yet.
func start(t *testing.T, c *cluster.Cluster, user string) (log string) {
	cluster.Eventually(t, "the command", func(ctx context.Context) (err error) {
		log, err = certsOnce(ctx, user, "--provider=chartseal")
		if err != nil && !strings.Contains(err.Error(), "forbidden") {
			t.Fatal(err)
		}
		return err
	})
	return log
}

// brokenSecret loses the CA: it comes back from the Provider, and a new one is
// announced beside it.
func brokenSecret(t *testing.T, c *cluster.Cluster, user string) {
	whole := certsSecret(t, c)
	c.Kubectl(t, "", "patch", "secret", "chartseal-provider-certs", "-n", "chartseal", "--type=merge", "-p", `{"data": {"ca.crt": null, "ca.key": null}}`)
	log, err := certsOnce(t.Context(), user, "--provider=chartseal")
	if err != nil || !strings.Contains(log, "ca.crt restored from the caBundle of a Provider") {
		t.Fatalf("%v: %s", err, log)
	}
	data, bundle := certsSecret(t, c), providerBundle(t, c)
	if !bytes.Equal(data["ca.crt"], whole["ca.crt"]) || !bytes.Equal(data["tls.crt"], whole["tls.crt"]) || !bytes.Contains(bundle, data["next-ca.crt"]) {
		t.Error("the CA does not come back, or no other is announced")
	}
	serves(t, data, bundle)
	if _, err := certsOnce(t.Context(), user, "--provider=chartseal", "--propagation=0s", "--overlap=0s"); err != nil {
		t.Fatal(err)
	}
	if now := certsSecret(t, c); !bytes.Equal(now["ca.crt"], data["next-ca.crt"]) || !bytes.Equal(providerBundle(t, c), now["ca.crt"]) {
		t.Error("the new CA does not take over")
	}
	serves(t, certsSecret(t, c), providerBundle(t, c))
}

// TestCertificatesOfManyReplicas starts them at the same moment.
func TestCertificatesOfManyReplicas(t *testing.T) {
	c := cluster.Start(t)
	c.ApplyCRDs(t)
	c.Apply(t, certsNamespace+"---"+certsProvider)
	var replicas sync.WaitGroup
	logs, errs := make([]string, 5), make([]error, 5)
	for i := range logs {
		replicas.Go(func() { logs[i], errs[i] = certsOnce(t.Context(), c.Kubeconfig) })
	}
	replicas.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	if made := strings.Count(strings.Join(logs, ""), "a new CA,"); made != 1 {
		t.Errorf("%d CAs are made: %s", made, logs)
	}
	serves(t, certsSecret(t, c), providerBundle(t, c))
}

// TestCertificatesWithGatekeeper: Gatekeeper admits no Provider without a
// caBundle, takes the one that the command makes, and calls with it.
func TestCertificatesWithGatekeeper(t *testing.T) {
	c := cluster.Start(t)
	c.StartGatekeeper(t)
	c.Apply(t, certsNamespace)
	cluster.Eventually(t, "Gatekeeper's webhook", func(context.Context) error {
		_, err := c.TryKubectl(t, certsProvider, "apply", "--server-side", "--dry-run=server", "-f", "-")
		if err == nil || !strings.Contains(err.Error(), "caBundle should be set") {
			return fmt.Errorf("a Provider without a caBundle: %w", err)
		}
		return nil
	})
	url := "https://chartseal-provider.chartseal:8443/v1/check"
	if log, err := certsOnce(t.Context(), c.Kubeconfig, "--provider=chartseal", "--create-url="+url); err != nil {
		t.Fatal(err, log)
	}
	serves(t, certsSecret(t, c), providerBundle(t, c))
	cluster.Eventually(t, "the Provider", func(context.Context) error {
		if active := c.Kubectl(t, "", "get", "provider", "chartseal", "-o", "jsonpath={.status.byPod[*].active}"); active != "true" {
			return fmt.Errorf("active is %q", active)
		}
		return nil
	})
}

func certsSecret(t *testing.T, c *cluster.Cluster) map[string][]byte {
	t.Helper()
	var secret struct{ Data map[string][]byte }
	if err := json.Unmarshal([]byte(c.Kubectl(t, "", "get", "secret", "chartseal-provider-certs", "-n", "chartseal", "-o", "json")), &secret); err != nil {
		t.Fatal(err)
	}
	return secret.Data
}

func providerBundle(t *testing.T, c *cluster.Cluster) []byte {
	t.Helper()
	bundle, err := base64.StdEncoding.DecodeString(c.Kubectl(t, "", "get", "provider", "chartseal", "-o", "jsonpath={.spec.caBundle}"))
	if err != nil {
		t.Fatal(err)
	}
	return bundle
}

// certsState is the versions of all that the command writes.
func certsState(t *testing.T, c *cluster.Cluster) string {
	t.Helper()
	const version = "jsonpath={.metadata.resourceVersion} "
	return c.Kubectl(t, "", "get", "secret", "chartseal-provider-certs", "-n", "chartseal", "-o", version) +
		c.Kubectl(t, "", "get", "provider", "chartseal", "-o", version)
}

// serves calls a server that has the certificate as Gatekeeper would.
func serves(t *testing.T, data map[string][]byte, bundle []byte) {
	t.Helper()
	cert, err := tls.X509KeyPair(data["tls.crt"], data["tls.key"])
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.TLS = &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS13}
	server.StartTLS()
	defer server.Close()
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(bundle)
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, ServerName: "chartseal-provider.chartseal", MinVersion: tls.VersionTLS13}}}
	defer client.CloseIdleConnections()
	response, err := client.Get(server.URL)
	if err != nil {
		t.Error(err)
		return
	}
	_ = response.Body.Close()
}
