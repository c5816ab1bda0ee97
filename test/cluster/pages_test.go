// SPDX-License-Identifier: Apache-2.0

package cluster_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/chartseal/chartseal/test/examples"
)

// A page is a folder with the files and commands that a page shows.
type page struct {
	t   testing.TB
	w   *world
	dir string
}

// ownersPage is the one for owners of clusters, whose registry is ours here.
func ownersPage(t testing.TB, w *world) *page {
	t.Helper()
	root := t.TempDir()
	must(t, examples.Write("../../docs/cluster.md", root))
	p := &page{t, w, filepath.Join(root, "docs/cluster")}
	p.replace("registry.example.com/charts", w.registry.Host()+"/platform", "[release]", "[platform]")
	deploy, err := filepath.Abs(deploy)
	must(t, err)
	must(t, os.MkdirAll(filepath.Join(p.dir, "deploy/webhook"), 0o755))
	must(t, os.Symlink(filepath.Join(deploy, "policies"), filepath.Join(p.dir, "deploy/policies")))
	webhook := read(t, file(t, deploy+"/webhook/webhook.yaml"))[0]
	w.gatekeeper.Hook(webhook, w.gatekeeper.ClientCA)
	p.write("deploy/webhook/webhook.yaml", manifest(t, webhook))
	must(t, os.MkdirAll(filepath.Join(p.dir, "bin"), 0o755))
	must(t, os.Symlink(w.Tool(t, "kubectl"), filepath.Join(p.dir, "bin/kubectl")))
	build := exec.Command("go", "build", "-o", filepath.Join(p.dir, "bin/chartseal"), "github.com/chartseal/chartseal/cmd/chartseal")
	build.Env, build.Stderr = append(os.Environ(), "CGO_ENABLED=0"), os.Stderr
	must(t, build.Run())
	return p
}

func (p *page) write(name, text string) {
	p.t.Helper()
	must(p.t, os.WriteFile(filepath.Join(p.dir, name), []byte(text), 0o600))
}

func (p *page) replace(pairs ...string) {
	p.t.Helper()
	files, err := filepath.Glob(filepath.Join(p.dir, "*.*"))
	must(p.t, err)
	for _, name := range files {
		must(p.t, os.WriteFile(name, []byte(strings.NewReplacer(pairs...).Replace(file(p.t, name))), 0o600))
	}
}

// try runs commands of the page as they stand there.
func (p *page) try(name string) (string, error) {
	p.t.Helper()
	cmd := exec.CommandContext(p.t.Context(), "sh", "-e", name+".sh")
	cmd.Dir = p.dir
	cmd.Env = []string{"PATH=" + filepath.Join(p.dir, "bin") + ":" + os.Getenv("PATH"), "KUBECONFIG=" + p.w.Kubeconfig, "HOME=" + p.dir}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	return out.String(), err
}

func (p *page) run(name string) string {
	p.t.Helper()
	out, err := p.try(name)
	if err != nil {
		p.t.Fatalf("%s: %v: %s", name, err, out)
	}
	p.t.Logf("%s: %s", name, strings.TrimSpace(out))
	return out
}

// denies wants the page's unsigned chart to be denied.
func (p *page) denies(when string) {
	p.t.Helper()
	out, err := p.try("denied")
	p.t.Logf("%s the API server said: %s", when, strings.TrimSpace(out))
	if err == nil || !strings.Contains(out, "[trusted] spec: ") || !strings.Contains(out, "no signature is stored anywhere") {
		p.t.Errorf("%s an unsigned chart is not denied: %v", when, err)
	}
}

// TestFirstTenMinutes does what the page for owners says, in its order, from the
// policies on.
func TestFirstTenMinutes(t *testing.T) {
	w := newWorld(t, "--audit-interval=5")
	w.applyProvider()
	p := ownersPage(t, w)
	p.run("policies")
	p.run("sync")
	p.run("dryrun")
	trusted := &unstructured.Unstructured{Object: map[string]any{"kind": "TrustedCharts", "metadata": map[string]any{"name": "trusted"}}}
	w.enforced(trusted)
	unsigned := file(t, filepath.Join(p.dir, "unsigned.yaml"))
	w.Kubectl(t, unsigned, "apply", "-f", "-")
	eventually(t, "the audit", func() error {
		if out, err := p.try("audit"); err != nil || !strings.Contains(out, "OCIRepository default/unsigned: spec: ") {
			return fmt.Errorf("%w: %s", err, out)
		}
		return nil
	})
	p.run("audit")
	w.Kubectl(t, unsigned, "delete", "-f", "-")
	p.run("warn")
	w.enforced(trusted)
	if said := p.run("denied"); !strings.Contains(said, "Warning: [trusted] spec: ") {
		t.Error("under warn nobody is warned")
	}
	p.run("deny")
	w.enforced(trusted)
	p.denies("under deny")
	if bundle := p.run("webhook"); !strings.Contains(bundle, "LS0t") {
		t.Error("the webhook configuration has no caBundle")
	}
	p.denies("with our webhook configuration")
	if said := p.run("templates"); strings.Contains(said, "false") {
		t.Error("a template was not created")
	}

	t.Run("exemption", func(t *testing.T) {
		p.run("exempt")
		w.enforced(trusted)
		p.run("denied")
		w.Kubectl(t, "", "patch", "trustedcharts.constraints.gatekeeper.sh", "trusted", "--type=merge", "-p", `{"spec": {"parameters": {"options": {"exemptions": null}}}}`)
		w.enforced(trusted)
		p.denies("without the exemption")
	})
	t.Run("break-glass", func(t *testing.T) {
		p.run("break-glass-key")
		p.run("break-glass-constraint")
		w.enforced(trusted)
		p.denies("without a token")
		p.run("break-glass")
		p.run("annotate")
		t.Log(w.Kubectl(t, file(t, filepath.Join(p.dir, "allowed.yaml")), "apply", "-f", "-"))
	})
}
