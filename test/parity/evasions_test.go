// SPDX-License-Identifier: Apache-2.0

package parity

import (
	"fmt"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// An evasion is one change to an object that trusted_charts allows. That it
// allows the object shows in TestSamples.
type evasion struct {
	of     string // a sample of trusted_charts
	path   string // dots between the fields
	values []any  // each is a case
}

const (
	pinned  = "flux_ocirepository/example_allowed"
	flux    = "flux_helmrelease/example_allowed"
	argo    = "argocd_application/example_allowed_registry"
	k3s     = "k3s_helmchart/example_allowed_registry"
	archive = "k3s_helmchart/example_allowed_archive"
	profile = "sveltos_clusterprofile/example_allowed"
	fleet   = "fleet_bundle/example_allowed"
	helmOp  = "fleet_bundle/example_allowed_helm_op"
	cross   = "crossplane_release/example_allowed"
	proxy   = "clusterapi_helmchartproxy/example_allowed"
)

const digits = "1111111111111111111111111111111111111111111111111111111111111111"

// The evasions of each installer, by what they try.
var evasions = map[string][]evasion{
	"G-01 neither chart nor chartRef": {{flux, "spec.chart", []any{nil, map[string]any{}, "web", []any{}}}},
	"G-01 source of another namespace": {
		{flux, "spec.chart.spec.sourceRef.namespace", []any{"elsewhere", 1, []any{"shop"}}},
		{flux, "metadata.namespace", []any{"elsewhere"}},
	},
	"G-01 source of another kind": {{flux, "spec.chart.spec.sourceRef.kind", []any{"GitRepository", "Bucket", "helmrepository", "", 1}}},
	"G-01 another shape":          {{flux, "spec.chart", []any{map[string]any{"template": map[string]any{"chart": "web"}}}}},
	"G-02 no digest where a digest is required": {{pinned, "spec.ref", []any{
		nil, map[string]any{}, map[string]any{"tag": "1.2.3"}, map[string]any{"semver": "1.2.3"}, map[string]any{"semver": ">=1"},
		map[string]any{"tag": "latest"}, map[string]any{"semver": "1.x", "semverFilter": ".*"}, "sha256:" + digits,
	}}},
	"G-02 another layer":        {{pinned, "spec.layerSelector", []any{nil, map[string]any{"mediaType": "application/octet-stream"}, map[string]any{"mediaType": "application/vnd.cncf.helm.chart.content.v1.tar+gzip", "operation": "extract"}}}},
	"G-02, G-11 less transport": {{pinned, "spec.insecure", []any{true, "yes"}}},
	"G-03 another source wins": {
		{argo, "spec.sources", []any{[]any{map[string]any{"repoURL": "https://git.example.com/evil.git", "path": "."}}}},
		{argo, "spec.sourceHydrator", []any{map[string]any{"drySource": map[string]any{"repoURL": "https://git.example.com/evil.git", "path": "."}}}},
		{argo, "operation", []any{map[string]any{"sync": map[string]any{"source": map[string]any{"repoURL": "https://git.example.com/evil.git", "path": "."}}}, map[string]any{"sync": map[string]any{"manifests": []any{"{}"}}}, map[string]any{"sync": map[string]any{"revision": "9.9.9"}}}},
	},
	"G-03 the spelling decides": {
		{argo, "spec.source.chart", []any{"", nil, 1}},
		{argo, "spec.source.repoURL", []any{"git@registry.example.com:platform", "https://registry.example.com/platform.git", "oci://registry.example.com/platform/web"}},
		{argo, "spec.source.path", []any{"charts/web"}},
		{argo, "spec.source.plugin", []any{map[string]any{"name": "any"}}},
		{argo, "spec.source.kustomize", []any{map[string]any{"namePrefix": "x"}}},
	},
	"G-04 each other installer": {
		{k3s, "spec.chartContent", []any{"H4sIAAAAAAAA/w==", "bm90aGluZw==", "not base64", 1}},
		{k3s, "spec.jobImage", []any{"evil.example/klipper-helm:1"}},
		{k3s, "spec.chart", []any{"evil", "https://%{KUBERNETES_API}%/static/charts/web.tgz", "git::https://git.example.com/evil", map[string]any{}}},
		{fleet, "spec.targets", []any{[]any{map[string]any{}, map[string]any{"helm": map[string]any{"chart": "oci://evil.example/web", "version": "1.2.3"}}}}},
		{helmOp, "spec.helm.chart", []any{"oci://evil.example/web", "git::https://git.example.com/evil", 1}},
		{cross, "spec.forProvider.chart.url", []any{"https://evil.example/web-1.2.3.tgz"}},
		{proxy, "spec.options", []any{map[string]any{"dependencyUpdate": true}}},
		{proxy, "spec.repoURL", []any{"oci://evil.example/platform", "https://charts.example.com.evil.example/platform"}},
		{profile, "spec.helmCharts", []any{nil, []any{}, "web", []any{map[string]any{"repositoryURL": "gitrepository://shop/charts/web", "chartName": "web", "chartVersion": "1.2.3"}}}},
	},
	"G-04 an unknown kind of a known group": {
		{k3s, "kind", []any{"HelmChartV2"}}, {pinned, "kind", []any{"ChartRepository"}}, {profile, "kind", []any{"EventTrigger2"}},
	},
	"G-07 hosts": {{pinned, "spec.url", hosts("oci://%s/platform/web")}, {k3s, "spec.chart", hosts("oci://%s/platform/web")}},
	"G-08 paths": {{pinned, "spec.url", each("oci://registry.example.com/%s",
		"evil/web", "platform-evil/web", "platformevil", "platform/../evil/web", "platform//web", "platform/./web", "platform%%2fweb", "platform%%2e%%2e/evil", "Platform/web", "platform", "platform/web/../../evil", `platform\web`, "platform/web:1.2.3", "platform/web@sha256:"+digits,
	)}},
	"G-09 digests and tags": {
		{pinned, "spec.ref.digest", []any{"sha256:" + strings.ToUpper("abcdef") + digits[6:], "sha512:" + digits + digits, "sha256:" + digits[1:], "sha256:" + strings.Repeat("2", 64), 1, true}},
		{pinned, "spec.ref.tag", []any{"1.2.4", "9.9.9"}},
		{argo, "spec.source.chart", []any{"../evil/web", "oci://evil.example/web", "https://evil.example/web.tgz", "web/../../evil", "WEB"}},
		{profile, "spec.helmCharts", each1("chartName", "../evil/web", "oci://evil.example/web", "web:9.9.9", "")},
	},
	"G-10 versions": {
		{argo, "spec.source.targetRevision", versions}, {k3s, "spec.version", versions}, {flux, "spec.chart.spec.version", versions},
		{profile, "spec.helmCharts", each1("chartVersion", versions...)},
	},
	"G-11 a weaker scheme": {
		{archive, "spec.chart", []any{"http://charts.example.com/platform/web-1.2.3.tgz", "ftp://charts.example.com/platform/web-1.2.3.tgz"}},
		{k3s, "spec.plainHTTP", []any{true}}, {k3s, "spec.insecureSkipTLSVerify", []any{true}},
		{cross, "spec.forProvider.chart.plainHTTP", []any{true}},
	},
	"G-14, G-15 no string": {{k3s, "spec.chart", []any{1, true, []any{"oci://registry.example.com/platform/web"}, map[string]any{"oci": "x"}}}},
	"G-15, G-16 many":      {{profile, "spec.helmCharts", []any{many(65), many(1000)}}},
	"G-19 odd text":        {{k3s, "spec.chart", []any{"oci://evil.example/\x1b[31mweb", "oci://evil.example/web\nallowed", strings.Repeat("a", 1<<20)}}},
	"G-04, templates": {
		{profile, "spec.helmCharts", each1("repositoryURL", "oci://{{ .Cluster.metadata.name }}.example.com/platform")},
		{helmOp, "spec.helm.version", []any{"${ .ClusterValues.version }"}},
	},
}

// versions are none, or not exact, or not text.
var versions = []any{nil, "", " ", "*", "latest", "1", "1.2", "1.x", "^1.2.3", ">=1.2.3", ">0-0", "1.2.3 || 2", "1e3", " 1.2.3", "1.2.3 ", 1.10, 1, true, []any{"1.2.3"}, map[string]any{}}

func hosts(format string) []any {
	return each(format, "evil.example", "registry.example.com.evil.example", "evil.registry.example.com", "registry-example.com", "registry.example.com:5000", "registry.example.com:80",
		"registry.example.com@evil.example", "evil@registry.example.com", "registry.example.com.", "registry.example.co", "", "reg%%69stry.example.com", "registry.exаmple.com", "xn--registry-9fg.example.com",
		`registry.example.com\evil`, "registry.example.com\tevil", "registry.example.com\nevil", "[fe80::1%%25eth0]", "[::1]", "2130706433", "0x7f000001", "127.1", "evil.example/registry.example.com")
}

func each(format string, texts ...string) (all []any) {
	for _, text := range texts {
		all = append(all, fmt.Sprintf(format, strings.ReplaceAll(text, "%%", "%")))
	}
	return all
}

// each1 are lists of one good chart, of which a field has each of the values.
func each1(field string, values ...any) (all []any) {
	for _, value := range values {
		chart := map[string]any{"repositoryURL": "oci://registry.example.com/platform", "repositoryName": "platform", "chartName": "web", "chartVersion": "1.2.3", "releaseName": "web", "releaseNamespace": "shop"}
		if chart[field] = value; value == nil {
			delete(chart, field)
		}
		all = append(all, []any{chart})
	}
	return all
}

// many are good charts, more than one object may have: each version another.
func many(n int) (all []any) {
	for i := range n {
		all = append(all, map[string]any{"repositoryURL": "oci://registry.example.com/platform", "repositoryName": "platform", "chartName": "web", "chartVersion": fmt.Sprintf("1.2.%d", i+3), "releaseName": "web", "releaseNamespace": "shop"})
	}
	return all
}

// Each evasion is denied, by all three engines in the same words, with a
// message that can be printed.
func TestEvasions(t *testing.T) {
	w := newWorld(t)
	allowed := map[string]*sample{}
	for _, s := range w.trusting(unmatched) {
		allowed[strings.TrimPrefix(s.name, "trusted_charts/samples/")] = s
	}
	var all []*sample
	for what, list := range evasions {
		for _, e := range list {
			twin := allowed[e.of]
			if twin == nil {
				t.Fatalf("no sample is called %s", e.of)
			}
			for i, value := range e.values {
				all = append(all, e.apply(t, twin, fmt.Sprintf("%s: %s of %s, case %d", what, e.path, e.of, i), value))
			}
		}
	}
	if len(all) < 200 {
		t.Errorf("there are %d evasions only", len(all))
	}
	w.alike(t, all, judgement)
}

// apply changes a copy of the twin, whose constraint then is about every kind.
func (e evasion) apply(t testing.TB, twin *sample, name string, value any) *sample {
	t.Helper()
	s := *twin
	s.name, s.object, s.constraint = name, twin.object.DeepCopy(), twin.constraint.DeepCopy()
	path := strings.Split(e.path, ".")
	if value == nil {
		unstructured.RemoveNestedField(s.object.Object, path...)
	} else {
		succeeds(t, unstructured.SetNestedField(s.object.Object, number(value), path...))
	}
	every := map[string]any{"apiGroups": []any{"*"}, "kinds": []any{"*"}}
	succeeds(t, unstructured.SetNestedField(s.constraint.Object, []any{every}, "spec", "match", "kinds"))
	return &s
}

// number is a value as the reader of JSON has it.
func number(value any) any {
	if n, ok := value.(int); ok {
		return int64(n)
	}
	if list, ok := value.([]any); ok {
		for i := range list {
			list[i] = number(list[i])
		}
	}
	if object, ok := value.(map[string]any); ok {
		for key := range object {
			object[key] = number(object[key])
		}
	}
	return value
}
