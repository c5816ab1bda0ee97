// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/chartseal/chartseal/builtins"
)

// A play is a file with manifests for one installer, and what trusted_charts
// must say of it.
type play struct {
	name string
	want []builtins.Code // of what is denied; none for what is admitted
	text string          // HOST is the registry, DIGEST the chart that the release key signed
}

var plays = []play{
	{name: "flux", text: `# Flux takes exactly the chart that the release key signed.
apiVersion: source.toolkit.fluxcd.io/v1
kind: OCIRepository
metadata: {name: web, namespace: shop}
spec:
  interval: 10m
  url: oci://HOST/key/release/web
  layerSelector: {mediaType: application/vnd.cncf.helm.chart.content.v1.tar+gzip, operation: copy}
  ref: {digest: DIGEST}
---
apiVersion: helm.toolkit.fluxcd.io/v2
kind: HelmRelease
metadata: {name: web, namespace: shop}
spec:
  interval: 10m
  chartRef: {kind: OCIRepository, name: web}
`},
	{name: "flux-unsigned", want: []builtins.Code{builtins.NoSignature}, text: `# Flux would take a chart that nobody signed.
apiVersion: source.toolkit.fluxcd.io/v1
kind: OCIRepository
metadata: {name: api, namespace: shop}
spec:
  interval: 10m
  url: oci://HOST/oci-unsigned/release/web
  layerSelector: {mediaType: application/vnd.cncf.helm.chart.content.v1.tar+gzip, operation: copy}
  ref: {tag: 1.2.3}
`},
	{name: "argocd", text: `# Argo CD takes what the pipeline released, without a key.
apiVersion: argoproj.io/v1alpha1
kind: Application
metadata: {name: web, namespace: argocd}
spec:
  project: default
  destination: {server: https://kubernetes.default.svc, namespace: shop}
  source: {repoURL: HOST/keyless/pipeline, chart: web, targetRevision: 1.2.3}
`},
	{name: "argocd-second-source", want: []builtins.Code{builtins.IdentityMismatch}, text: `# Behind a good source stands one that a fork released.
apiVersion: argoproj.io/v1alpha1
kind: Application
metadata: {name: web, namespace: argocd}
spec:
  project: default
  destination: {server: https://kubernetes.default.svc, namespace: shop}
  sources:
  - {repoURL: HOST/keyless/pipeline, chart: web, targetRevision: 1.2.3}
  - {repoURL: HOST/wrong-identity/pipeline, chart: web, targetRevision: 1.2.3}
`},
	{name: "sveltos", text: `# Sveltos takes a chart with provenance of the web team.
apiVersion: config.projectsveltos.io/v1beta1
kind: ClusterProfile
metadata: {name: web}
spec:
  clusterSelector: {matchLabels: {env: production}}
  helmCharts:
  - {repositoryURL: "oci://HOST/signed-oci/charts", repositoryName: web, chartName: web, chartVersion: 1.2.3, releaseName: web, releaseNamespace: shop}
`},
	{name: "sveltos-anywhere", want: []builtins.Code{"no_rule"}, text: `# No rule is for where this one lies.
apiVersion: config.projectsveltos.io/v1beta1
kind: ClusterProfile
metadata: {name: web}
spec:
  clusterSelector: {matchLabels: {env: production}}
  helmCharts:
  - {repositoryURL: "oci://registry.example.com/charts", repositoryName: web, chartName: web, chartVersion: 1.2.3, releaseName: web, releaseNamespace: shop}
`},
}

const constraint = `# What CI asks here is what Gatekeeper asks in a cluster: the same constraint.
apiVersion: constraints.gatekeeper.sh/v1beta1
kind: TrustedCharts
metadata: {name: trusted-charts}
spec:
  match:
    kinds:
    - {apiGroups: [source.toolkit.fluxcd.io], kinds: [OCIRepository]}
    - {apiGroups: [helm.toolkit.fluxcd.io], kinds: [HelmRelease]}
    - {apiGroups: [argoproj.io], kinds: [Application]}
    - {apiGroups: [config.projectsveltos.io], kinds: [ClusterProfile]}
  parameters:
    options:
      rules:
      - charts: ["oci://HOST/*/release/*"]
        require: {all_of: [{check: cosign.verify, options: {public_keys: [release]}}]}
      - charts: ["oci://HOST/*/pipeline/*"]
        require:
          all_of:
          - check: cosign.verify
            options:
              trusted_root: demo
              identities:
              - issuer: https://issuer.example.com
                subject: https://ci.example.com/org/web/release.yml@refs/heads/main
      - charts: ["oci://HOST/*/charts/*"]
        require: {all_of: [{check: helm.verify_prov, options: {keyrings: [web-team]}}]}
`

// judgeInstallers has the policy trusted_charts judge manifests of Flux, Argo CD
// and Sveltos, as CI would.
func judgeInstallers(w io.Writer, chartseal, dir, host, digest string) error {
	fill := strings.NewReplacer("HOST", host, "DIGEST", digest)
	if err := write(filepath.Join(dir, "constraint.yaml"), []byte(fill.Replace(constraint))); err != nil {
		return err
	}
	for _, p := range plays {
		if err := write(filepath.Join(dir, installers, p.name+".yaml"), []byte(fill.Replace(p.text))); err != nil {
			return err
		}
	}
	fmt.Fprint(w, "\nThe policy trusted_charts, over manifests of Flux, Argo CD and Sveltos:\n\n")
	review := exec.Command(chartseal, "review", "--config", filepath.Join(dir, configFile), "--params", filepath.Join(dir, "constraint.yaml"),
		"-o", "pretty", "-o", "json="+filepath.Join(dir, "review.json"), filepath.Join(dir, installers))
	out, err := review.CombinedOutput()
	fmt.Fprint(w, string(out))
	if exit := new(exec.ExitError); !errors.As(err, &exit) || exit.ExitCode() != 1 {
		return fmt.Errorf("reviewing: %w, want exit code 1", err)
	}
	return compare(filepath.Join(dir, "review.json"))
}

const installers = "installers"

// compare holds what was denied against what had to be.
func compare(path string) error {
	raw, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var result struct {
		Documents []struct {
			File string `json:"file"`
			Deny []struct {
				Details struct {
					Code builtins.Code `json:"code"`
				} `json:"details"`
			} `json:"deny"`
		} `json:"documents"`
	}
	if err := json.Unmarshal(raw, &result); err != nil {
		return err
	}
	got := map[string][]builtins.Code{}
	for _, document := range result.Documents {
		name := strings.TrimSuffix(filepath.Base(document.File), ".yaml")
		for _, denial := range document.Deny {
			got[name] = append(got[name], denial.Details.Code)
		}
	}
	for _, p := range plays {
		if !slices.Equal(got[p.name], p.want) {
			return fmt.Errorf("%s is denied for %v, want %v", p.name, got[p.name], p.want)
		}
	}
	return nil
}
