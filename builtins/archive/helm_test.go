// SPDX-License-Identifier: Apache-2.0

package archive_test

import (
	"bytes"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"

	"github.com/chartseal/chartseal/builtins"
	"github.com/chartseal/chartseal/builtins/archive"
)

// charts finds the archives and the chart directories in the source of modules
// that this one uses.
func charts(t *testing.T, modules ...string) (archives, directories []string) {
	t.Helper()
	out, err := exec.Command("go", append([]string{"list", "-m", "-f", "{{.Dir}}"}, modules...)...).Output()
	if err != nil {
		t.Skipf("the source of %v is not at hand: %v", modules, err)
	}
	for _, dir := range strings.Fields(string(out)) {
		err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case strings.HasSuffix(path, ".tgz"):
				archives = append(archives, path)
			case filepath.Base(path) == "Chart.yaml":
				directories = append(directories, filepath.Dir(path))
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return archives, directories
}

// What we accept, Helm accepts with the same metadata, for every archive that
// Helm's own tests use.
func TestHelmArchives(t *testing.T) {
	archives, _ := charts(t, "helm.sh/helm/v3")
	accepted := 0
	for _, path := range archives {
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		helm, helmErr := loader.LoadArchive(bytes.NewReader(raw))
		ours, err := archive.Read(t.Context(), bytes.NewReader(raw), builtins.NewBudget(builtins.DefaultLimits()))
		switch {
		case err == nil && helmErr != nil:
			t.Errorf("%s: Helm says %v", path, helmErr)
		case err == nil:
			accepted++
			sameAsHelm(t, helm, ours)
		case helmErr == nil:
			t.Logf("only Helm accepts %s: %v", filepath.Base(path), err)
		}
	}
	t.Logf("accepted %d of %d archives", accepted, len(archives))
	if accepted < 20 {
		t.Errorf("accepted only %d of %d archives", accepted, len(archives))
	}
}

// What Helm packages, we read. The package is loaded again, because packaging
// drops the dependencies of an apiVersion v1 Chart.yaml.
func TestHelmPackages(t *testing.T) {
	_, directories := charts(t, "helm.sh/helm/v3")
	accepted, packages := 0, 0
	for _, dir := range directories {
		raw := pack(t, dir)
		helm, err := loader.LoadArchive(bytes.NewReader(raw))
		if err != nil {
			continue
		}
		packages++
		ours, err := archive.Read(t.Context(), bytes.NewReader(raw), builtins.NewBudget(builtins.DefaultLimits()))
		if err != nil {
			t.Logf("only Helm accepts %s: %v", dir, err)
			continue
		}
		accepted++
		sameAsHelm(t, helm, ours)
	}
	t.Logf("accepted %d of %d packages", accepted, packages)
	if accepted < 20 {
		t.Errorf("accepted only %d of %d packages", accepted, packages)
	}
}

// pack is what helm package makes of dir; nil if it refuses.
func pack(t *testing.T, dir string) []byte {
	t.Helper()
	c, err := loader.LoadDir(dir)
	if err != nil {
		return nil
	}
	path, err := chartutil.Save(c, t.TempDir())
	if err != nil {
		return nil
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}
