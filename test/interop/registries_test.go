// SPDX-License-Identifier: Apache-2.0

package interop_test

import (
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	ggcr "github.com/google/go-containerregistry/pkg/registry"

	"github.com/chartseal/chartseal/builtins"
)

// liveRegistries are registries that are not ours: their hosts.
var liveRegistries = []struct {
	name  string
	start func(*testing.T) (host string)
}{
	{"distribution v3", distribution},
	{"go-containerregistry with referrers", func(t *testing.T) string { return containerRegistry(t, true) }},
	{"go-containerregistry without", func(t *testing.T) string { return containerRegistry(t, false) }},
}

func containerRegistry(t *testing.T, referrers bool) string {
	srv := httptest.NewServer(ggcr.New(ggcr.Logger(log.New(io.Discard, "", 0)), ggcr.WithReferrersSupport(referrers)))
	t.Cleanup(srv.Close)
	return srv.Listener.Addr().String()
}

// distribution runs the real registry for one test.
func distribution(t *testing.T) string {
	t.Helper()
	binary, dir := tool(t, "registry"), folder(t)
	host := freeAddress(t)
	config := fmt.Sprintf("version: 0.1\nlog:\n  level: error\n  accesslog: {disabled: true}\nstorage:\n  filesystem: {rootdirectory: %s}\nhttp:\n  addr: %s\n", filepath.Join(dir, "data"), host)
	cmd := exec.Command(binary, "serve", write(t, filepath.Join(dir, "config.yml"), []byte(config)))
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	for range 100 {
		if resp, err := http.Get("http://" + host + "/v2/"); err == nil {
			resp.Body.Close()
			return host
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatal("the registry does not answer")
	return ""
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// digestAt gives the digest of what a tag names.
func digestAt(t *testing.T, host, repo, tag string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+host+"/v2/"+repo+"/manifests/"+tag, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", "application/vnd.oci.image.manifest.v1+json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %d, %v", tag, resp.StatusCode, err)
	}
	return builtins.SHA256(raw)
}

// TestRealRegistries has each Helm push charts to each registry, and each
// cosign sign them there in each form.
func TestRealRegistries(t *testing.T) {
	v2, v3 := tool(t, "cosign2"), tool(t, "cosign3")
	keys := cosignKeys(t, v2)
	for _, registry := range liveRegistries {
		t.Run(registry.name, func(t *testing.T) {
			host := registry.start(t)
			config := configHosts(t, host)
			for _, h := range helms(t) {
				repo := "charts-" + strings.ReplaceAll(h.name, " ", "-")
				charts := byEd25519(t, h)
				for i, form := range []struct {
					name, path string
					sign       []string
				}{
					{"v2, .sig", v2, nil},
					{"v2, bundle", v2, []string{"--new-bundle-format"}},
					{"v3, bundle", v3, []string{"--use-signing-config=false"}},
					{"v3, .sig", v3, []string{"--use-signing-config=false", "--new-bundle-format=false"}},
				} {
					s, key := charts[i%len(charts)], keys[i%len(keys)]
					t.Run(h.name+", "+s.source.name+", "+form.name, func(t *testing.T) {
						h.run(t, folder(t), "push", s.save(t), "oci://"+host+"/"+repo, "--plain-http")
						chart := repo + "/" + s.source.name
						digest := digestAt(t, host, chart, ociTag(s.version))
						ref := "oci://" + host + "/" + chart + ":" + s.version
						opts := map[string]any{"public_key": readFile(t, key.public())}
						if rep := askCosign(t, envOf(t, config), ref, opts); rep.Code != builtins.NoSignature {
							t.Errorf("not signed yet: %s: %s", rep.Code, rep.Reason)
						}
						sign := append([]string{"sign", "--key", key.private(), "--tlog-upload=false", "-y"}, form.sign...)
						command{dir: key.dir, path: form.path, env: noPassword, args: append(sign, host+"/"+chart+"@"+digest)}.must(t)
						for _, ref := range []string{ref, "oci://" + host + "/" + chart + "@" + digest} {
							rep := askCosign(t, envOf(t, config), ref, opts)
							if !rep.Verified || rep.Digest != digest || rep.Chart != (builtins.Chart{Name: s.source.name, Version: s.version, Digest: builtins.SHA256(s.archive)}) {
								t.Errorf("%s: %s: %+v", rep.Code, rep.Reason, rep)
							}
						}
						other := keys[(i+1)%len(keys)]
						if rep := askCosign(t, envOf(t, config), ref, map[string]any{"public_key": readFile(t, other.public())}); rep.Code != builtins.UntrustedSigner {
							t.Errorf("by another key: %s: %s", rep.Code, rep.Reason)
						}
					})
				}
			}
		})
	}
}
