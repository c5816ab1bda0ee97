// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	helmchart "helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"sigs.k8s.io/yaml"

	"github.com/chartseal/chartseal/builtins/chart"
	"github.com/chartseal/chartseal/builtins/chartref"
	"github.com/chartseal/chartseal/builtins/config"
)

// Vendored is the dependency that lies in a chart's charts/.
type vendored struct {
	tampered bool // after it was locked and pinned
}

// library is the repository of the dependency. Nobody asks it: pins prove the
// dependency.
const library = "https://charts.example.com/library"

// in writes the chart as a directory with its dependency, locks and pins it,
// lets happen what happens in the world, and reads it again.
func (v *vendored) in(web *helmchart.Chart, dir string) (*helmchart.Chart, error) {
	common := helmchart.Dependency{Name: "common", Version: "1.0.0", Repository: library}
	web.Metadata.Dependencies = []*helmchart.Dependency{&common}
	if err := chartutil.SaveDir(web, dir); err != nil {
		return nil, err
	}
	root := filepath.Join(dir, web.Name())
	if err := writeLock(root, web.Metadata.Dependencies); err != nil {
		return nil, err
	}
	library := newChart(common.Name, common.Version, "Helpers that many charts share")
	if err := vendor(library, root); err != nil {
		return nil, err
	}
	if err := pin(root); err != nil {
		return nil, err
	}
	if v.tampered {
		library.Templates[0].Data = append(library.Templates[0].Data, "  annotations: {backdoor: open}\n"...)
		if err := vendor(library, root); err != nil {
			return nil, err
		}
	}
	return loader.LoadDir(root)
}

func vendor(library *helmchart.Chart, root string) error {
	_, err := chartutil.Save(library, filepath.Join(root, "charts"))
	return err
}

// writeLock writes what helm dependency update writes for exact versions.
func writeLock(root string, dependencies []*helmchart.Dependency) error {
	text, err := yaml.Marshal(helmchart.Lock{Dependencies: dependencies, Digest: chart.HashReq(dependencies, dependencies)})
	if err != nil {
		return err
	}
	return write(filepath.Join(root, "Chart.lock"), text)
}

// pin does what chartseal lock write does.
func pin(root string) error {
	env, err := config.Default().Env(nil)
	if err != nil {
		return err
	}
	pins, locked, err := chart.PinDependencies(context.Background(), env, chartref.Parse(root), chart.LockOKOptions{})
	if err != nil {
		return fmt.Errorf("%w: %+v", err, locked.Findings)
	}
	return os.WriteFile(filepath.Join(root, "chartseal.lock"), pins.Bytes(), 0o644)
}
