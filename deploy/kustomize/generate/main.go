// SPDX-License-Identifier: Apache-2.0

// Command generate renders the Helm chart for kustomize, so that both install
// the same: what every mode of certificates has in common is the base, and
// each overlay adds what is its own.
package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
	"helm.sh/helm/v3/pkg/releaseutil"
	"sigs.k8s.io/yaml"
)

// overlays are the modes, with the values that make them.
var overlays = map[string]string{
	"own":          `tls: {mode: own}`,
	"cert-manager": `tls: {mode: cert-manager}`,
	"existing":     `{tls: {mode: existing, secret: chartseal-certs}, provider: {caBundle: c2V0IGl0}}`,
	"monitoring":   `{tls: {mode: own}, monitoring: {serviceMonitor: {enabled: true}, prometheusRule: {enabled: true}, dashboard: {enabled: true}}}`,
}

func main() {
	if err := generate("../chart/chartseal", "."); err != nil {
		fmt.Fprintln(os.Stderr, "generate:", err)
		os.Exit(1)
	}
}

func generate(chart, out string) error {
	rendered := map[string][]string{}
	for name, values := range overlays {
		objects, err := render(chart, values)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		rendered[name] = objects
	}
	common := slices.DeleteFunc(slices.Clone(rendered["own"]), func(object string) bool {
		for _, others := range rendered {
			if !slices.Contains(others, object) {
				return true
			}
		}
		return false
	})
	if err := write(filepath.Join(out, "base"), nil, common); err != nil {
		return err
	}
	for name, objects := range rendered {
		own := slices.DeleteFunc(objects, func(object string) bool { return slices.Contains(common, object) })
		if err := write(filepath.Join(out, "overlays", name), []string{"../../base"}, own); err != nil {
			return err
		}
	}
	return nil
}

// render gives the objects of the chart, without hooks, each as YAML.
func render(path, values string) ([]string, error) {
	chart, err := loader.LoadDir(path)
	if err != nil {
		return nil, err
	}
	given, err := chartutil.ReadValues([]byte(values))
	if err != nil {
		return nil, err
	}
	options := chartutil.ReleaseOptions{Name: "chartseal", Namespace: "gatekeeper-system", IsInstall: true}
	all, err := chartutil.ToRenderValues(chart, given, options, nil)
	if err != nil {
		return nil, err
	}
	files, err := engine.Render(chart, all)
	if err != nil {
		return nil, err
	}
	var objects []string
	for name, content := range files {
		if strings.HasSuffix(name, "NOTES.txt") {
			continue
		}
		for _, manifest := range releaseutil.SplitManifests(content) {
			object, err := normal(manifest)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
			if object != "" {
				objects = append(objects, object)
			}
		}
	}
	slices.Sort(objects)
	return objects, nil
}

// normal is a manifest in one way of writing, without what says that Helm made
// it; "" for a hook.
func normal(manifest string) (string, error) {
	var object map[string]any
	if err := yaml.Unmarshal([]byte(manifest), &object); err != nil || object == nil {
		return "", err
	}
	if strings.Contains(manifest, "helm.sh/hook") {
		return "", nil
	}
	unlabel(object)
	raw, err := yaml.Marshal(object)
	return string(raw), err
}

func unlabel(value any) {
	object, ok := value.(map[string]any)
	if !ok {
		return
	}
	if labels, ok := object["labels"].(map[string]any); ok {
		delete(labels, "app.kubernetes.io/managed-by")
		delete(labels, "helm.sh/chart")
	}
	for _, inner := range object {
		unlabel(inner)
	}
}

const header = "# SPDX-License-Identifier: Apache-2.0\n# Rendered from deploy/chart/chartseal by make generate. DO NOT EDIT.\n"

func write(dir string, bases, objects []string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	var content bytes.Buffer
	content.WriteString(header + strings.Join(objects, "---\n"))
	if err := os.WriteFile(filepath.Join(dir, "objects.yaml"), content.Bytes(), 0o644); err != nil {
		return err
	}
	resources := append(bases, "objects.yaml")
	if len(objects) == 0 {
		resources = bases
	}
	kustomization, err := yaml.Marshal(map[string]any{"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization", "resources": resources})
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "kustomization.yaml"), append([]byte(header), kustomization...), 0o644)
}
