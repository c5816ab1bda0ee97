// SPDX-License-Identifier: Apache-2.0

// Package cluster runs a real Kubernetes API server, and Gatekeeper where it is
// wanted, as plain processes on loopback, for tests. `make cluster-tools` builds
// them and `make e2e` runs those tests.
//
// There is no scheduler, kubelet or controller: Pods stay pending, nothing is
// garbage collected, and a deleted namespace never goes. Take a cluster, or at
// least a namespace, of its own for each test.
package cluster

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// ready is how long a process may take to answer.
const ready = 2 * time.Minute

// A Cluster is an API server with its etcd.
type Cluster struct {
	Dir        string // of all files, gone after the test
	Server     string // the URL of the API server
	Kubeconfig string // the path of an administrator's

	tools string
	ca    *authority
}

// Start starts a cluster that ends with the test. Without the tools the test is
// skipped.
func Start(t testing.TB) *Cluster {
	t.Helper()
	tools := os.Getenv("CHARTSEAL_CLUSTER_TOOLS")
	if tools == "" {
		t.Skip("CHARTSEAL_CLUSTER_TOOLS names no folder with etcd, kube-apiserver, kubectl and gatekeeper; run make e2e")
	}
	c := &Cluster{Dir: t.TempDir(), tools: tools, ca: newAuthority(t, "kubernetes")}
	etcd := c.startEtcd(t)
	c.startServer(t, etcd)
	c.Kubeconfig = c.User(t, "admin", "system:masters")
	return c
}

func (c *Cluster) startEtcd(t testing.TB) (url string) {
	client, peer := "http://"+FreeAddress(t), "http://"+FreeAddress(t)
	c.start(t, "etcd", nil, "--data-dir", filepath.Join(c.Dir, "etcd"), "--unsafe-no-fsync",
		"--listen-client-urls", client, "--advertise-client-urls", client,
		"--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", "default="+peer)
	Await(t, "etcd", http.DefaultClient, client+"/readyz")
	return client
}

func (c *Cluster) startServer(t testing.TB, etcd string) {
	address := FreeAddress(t)
	c.Server = "https://" + address
	host, port, _ := net.SplitHostPort(address)
	server := c.ca.issue(t, subject{name: "kube-apiserver", hosts: []string{host}, server: true})
	accounts := newAuthority(t, "accounts").pair() // only its key pair is used
	c.start(t, "kube-apiserver", nil, "--etcd-servers="+etcd,
		"--bind-address="+host, "--advertise-address="+host, "--secure-port="+port, "--endpoint-reconciler-type=none",
		"--tls-cert-file="+c.Write(t, "server.crt", server.cert), "--tls-private-key-file="+c.Write(t, "server.key", server.key),
		"--client-ca-file="+c.Write(t, "kube-ca.crt", c.ca.pair().cert), "--authorization-mode=RBAC",
		"--service-account-key-file="+c.Write(t, "sa.crt", accounts.cert), "--service-account-signing-key-file="+c.Write(t, "sa.key", accounts.key),
		"--service-account-issuer=https://kubernetes.default.svc", "--service-cluster-ip-range=10.96.0.0/16",
		"--disable-admission-plugins=ServiceAccount") // nobody makes the default accounts that it wants
	Await(t, "kube-apiserver", c.client(t), c.Server+"/readyz")
}

// client is an administrator's.
func (c *Cluster) client(t testing.TB) *http.Client {
	t.Helper()
	admin := c.ca.issue(t, subject{name: "admin", organization: "system:masters"})
	cert, err := tls.X509KeyPair(admin.cert, admin.key)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(c.ca.pair().cert)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{cert}}}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// User makes a user of a group, and gives the path of the user's kubeconfig.
func (c *Cluster) User(t testing.TB, name, group string) (kubeconfig string) {
	t.Helper()
	user := c.ca.issue(t, subject{name: name, organization: group})
	return c.Write(t, name+".kubeconfig", fmt.Appendf(nil, `{"apiVersion": "v1", "kind": "Config", "current-context": "test",
"contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
"clusters": [{"name": "test", "cluster": {"server": %q, "certificate-authority-data": %q}}],
"users": [{"name": "test", "user": {"client-certificate-data": %q, "client-key-data": %q}}]}`,
		c.Server, encode(c.ca.pair().cert), encode(user.cert), encode(user.key)))
}

// Kubectl runs kubectl as the administrator and gives what it wrote.
func (c *Cluster) Kubectl(t testing.TB, stdin string, args ...string) string {
	t.Helper()
	out, err := c.TryKubectl(t, stdin, args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TryKubectl is [Cluster.Kubectl] where kubectl may fail: the error then holds
// what it said.
func (c *Cluster) TryKubectl(t testing.TB, stdin string, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), ready)
	defer cancel()
	cmd := exec.CommandContext(ctx, c.Tool(t, "kubectl"), args...)
	cmd.Env = []string{"KUBECONFIG=" + c.Kubeconfig, "HOME=" + c.Dir}
	cmd.Stdin = strings.NewReader(stdin)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("kubectl %s: %w: %s", strings.Join(args, " "), err, errs.Bytes())
	}
	return out.String(), nil
}

// Apply applies manifests.
func (c *Cluster) Apply(t testing.TB, manifests string) {
	t.Helper()
	c.Kubectl(t, manifests, "apply", "--server-side", "-f", "-")
}

// Tool is the path of one of the tools; without it the test is skipped.
func (c *Cluster) Tool(t testing.TB, name string) string {
	t.Helper()
	path := filepath.Join(c.tools, name)
	if _, err := os.Stat(path); err != nil {
		t.Skipf("%s is missing; run make cluster-tools", path)
	}
	return path
}

// Write writes a file that only we can read, and gives its path.
func (c *Cluster) Write(t testing.TB, name string, content []byte) string {
	t.Helper()
	path := filepath.Join(c.Dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// start starts a tool that ends with the test.
func (c *Cluster) start(t testing.TB, name string, env []string, args ...string) *Process {
	t.Helper()
	return Run(t, name, Command{Path: c.Tool(t, name), Args: args, Env: append(env, "HOME="+c.Dir), Dir: c.Dir})
}

// FreeAddress is an address of loopback that nobody listens at.
func FreeAddress(t testing.TB) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

// Await asks until the answer is 200.
func Await(t testing.TB, what string, client *http.Client, url string) {
	t.Helper()
	Eventually(t, what+" at "+url, func(ctx context.Context) error {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		response, err := client.Do(request)
		if err != nil {
			return err
		}
		defer response.Body.Close()
		if response.StatusCode != http.StatusOK {
			return fmt.Errorf("status %s", response.Status)
		}
		return nil
	})
}

// Eventually asks again and again until there is no error: other processes give
// no event to wait for.
func Eventually(t testing.TB, what string, ask func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), ready)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		err := ask(ctx)
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("%s is not ready: %v", what, err)
		}
	}
}
