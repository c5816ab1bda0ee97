// SPDX-License-Identifier: Apache-2.0

package interop_test

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chartseal/chartseal/test/registry"
)

// Our own chart is released by our own recipe, with the real helm and cosign,
// and admitted by our own policy. Its twin, which nobody signed with cosign, is not.
func TestOwnChart(t *testing.T) {
	helm, cosign := tool(t, "helm3"), tool(t, "cosign2")
	bin, err := chartsealBinary()
	if err != nil {
		t.Fatal(err)
	}
	recipe, err := filepath.Abs("../../deploy/release/chart.sh")
	if err != nil {
		t.Fatal(err)
	}
	dir, by, srv := folder(t), newKey(t, "release", "rsa3072", "sign"), registry.New(t)
	command{dir: dir, path: cosign, env: noPassword, args: []string{"generate-key-pair"}}.must(t)
	out := command{dir: dir, path: "/bin/bash", args: []string{recipe, dir, srv.Host() + "/charts"}, env: append(noPassword,
		"HELM="+helm, "COSIGN="+cosign, "PGP_USER="+by.user, "PGP_KEYRING="+by.secret, "COSIGN_KEY="+filepath.Join(dir, "cosign.key"),
		"HELM_PUSH=--plain-http", "COSIGN_SIGN=--tlog-upload=false --allow-http-registry",
	)}.must(t)
	lines := strings.Fields(string(out))
	pinned := lines[len(lines)-1]
	ref, digest, _ := strings.Cut(pinned, "@")
	version := ref[strings.LastIndex(ref, ":")+1:]

	write(t, filepath.Join(dir, "trust/keys/chartseal.pub"), read(t, filepath.Join(dir, "cosign.pub")))
	write(t, filepath.Join(dir, "trust/keyrings/chartseal.gpg"), by.public)
	write(t, filepath.Join(dir, "chartseal.yaml"), inJSON(t, map[string]any{
		"trust": map[string]any{"directory": "trust"}, "registries": []any{map[string]any{"host": srv.Host(), "insecure": true}},
	}))
	write(t, filepath.Join(dir, "constraint.yaml"), inJSON(t, map[string]any{
		"apiVersion": "constraints.gatekeeper.sh/v1beta1", "kind": "TrustedCharts", "metadata": map[string]any{"name": "ours"},
		"spec": map[string]any{"parameters": map[string]any{"options": map[string]any{"rules": []any{map[string]any{
			"charts": []any{"oci://" + srv.Host() + "/**"},
			"require": map[string]any{"all_of": []any{
				map[string]any{"check": "cosign.verify", "options": map[string]any{"public_keys": []any{"chartseal"}}},
				map[string]any{"check": "helm.verify_prov", "options": map[string]any{"keyrings": []any{"chartseal"}}},
				map[string]any{"check": "chart.lock_ok", "options": map[string]any{}},
			}},
		}}}}},
	}))
	unsigned := "elsewhere/chartseal"
	srv.PushChart(unsigned, version, read(t, filepath.Join(dir, "chartseal-"+version+".tgz")), read(t, filepath.Join(dir, "chartseal-"+version+".tgz.prov")))

	for chart, want := range map[string]string{strings.TrimSuffix(ref, ":"+version): "", "oci://" + srv.Host() + "/" + unsigned: "no signature is stored"} {
		manifest := write(t, filepath.Join(folder(t), "release.yaml"), inJSON(t, map[string]any{
			"apiVersion": "helm.cattle.io/v1", "kind": "HelmChart", "metadata": map[string]any{"name": "chartseal", "namespace": "gatekeeper-system"},
			"spec": map[string]any{"chart": chart, "version": version},
		}))
		out, err := command{dir: dir, path: bin, args: []string{"review", "--config", "chartseal.yaml", "--params", "constraint.yaml", manifest}}.run()
		if (err == nil) != (want == "") || !strings.Contains(string(out), want) {
			t.Errorf("%s: %v, want %q: %s", chart, err, want, out)
		}
	}
	if !strings.HasPrefix(digest, "sha256:") {
		t.Errorf("the recipe says %q, want a reference with a digest", pinned)
	}
}

func inJSON(t testing.TB, value any) []byte {
	t.Helper()
	raw, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}
