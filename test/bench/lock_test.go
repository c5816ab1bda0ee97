// SPDX-License-Identifier: Apache-2.0

package bench_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	helmchart "helm.sh/helm/v3/pkg/chart"
	"sigs.k8s.io/yaml"

	"github.com/chartseal/chartseal/builtins"
	"github.com/chartseal/chartseal/builtins/chart"
	"github.com/chartseal/chartseal/builtins/chartref"
	"github.com/chartseal/chartseal/builtins/config"
	"github.com/chartseal/chartseal/test/forge"
	"github.com/chartseal/chartseal/test/registry"
)

// BenchmarkLockCheck checks 1,000 charts in one process, and lists the
// dependencies of each with real helm, which looks at no digest. What helm
// dependency build costs, which fetches them anew from a repository on
// loopback, is told beside it, for fewer charts.
func BenchmarkLockCheck(b *testing.B) {
	const charts, builds, goal = 1000, 50, 0.05
	tool(b, "chartseal")
	dirs := writeLockedCharts(b, charts)
	lockVerdicts(b, dirs)
	for b.Loop() {
		ours := sample{runs(b, lockCheck(b, dirs))}
		few := runs(b, lockCheck(b, dirs[:charts/10]))
		if growth := ours[0].rss - few.rss; growth > 32<<20 {
			b.Errorf("memory grows by %s from %d charts to %d", mebibytes(growth), len(dirs)/10, len(dirs))
		}
		b.ReportMetric(float64(few.rss)/(1<<20), "MiB-100-charts")
		b.ReportMetric(float64(ours[0].rss)/(1<<20), "MiB-1000-charts")
		for _, peer := range peers {
			theirs := sample{runs(b, lockHelm(b, peer, dirs, "list"))}
			built := runs(b, lockHelm(b, peer, dirs[:builds], "build", "--skip-refresh"))
			r := row{fmt.Sprintf("%d locked charts, helm dependency list", charts), peer, ours, theirs, compare(ours, theirs), goal, 0}
			rows = append(rows, r)
			b.ReportMetric(r.ratio.median, "of-"+peer)
			b.ReportMetric(built.wall.Seconds()*1000/builds, "ms/build-"+peer)
			b.ReportMetric(ours.wall().Seconds()*1000/charts, "ms/check")
			if r.ratio.median > 2*goal {
				b.Errorf("ratio to %s is %.3f, goal %.3f", peer, r.ratio.median, goal)
			}
		}
	}
}

// lockVerdicts makes sure of what is compared: all accept what is good; of an
// archive that was appended to, only we say so.
func lockVerdicts(b testing.TB, dirs []string) {
	b.Helper()
	if good := runs(b, lockCheck(b, dirs)); !good.verified {
		b.Fatalf("chartseal: %s", good.output)
	}
	const path = "charts/common-1.0.0.tgz"
	tampered := filepath.Join("tampered", dirs[0])
	for _, path := range []string{"Chart.yaml", "Chart.lock", "chartseal.lock", "charts/db-1.0.0.tgz", "charts/cache-1.0.0.tgz", path} {
		write(b, filepath.Join(tampered, path), read(b, filepath.Join(dirs[0], path)))
	}
	write(b, filepath.Join(tampered, path), append(read(b, filepath.Join(tampered, path)), "tamper\n"...))
	if bad := runs(b, lockCheck(b, []string{tampered})); bad.verified {
		b.Fatalf("chartseal accepts: %s", bad.output)
	}
	for _, peer := range peers {
		for _, command := range [][]string{{"list"}, {"build", "--skip-refresh"}} {
			if r := runs(b, lockHelm(b, peer, dirs[:1], command...)); !r.verified {
				b.Fatalf("%s: %s", peer, r.output)
			}
		}
		if r := runs(b, lockHelm(b, peer, []string{tampered}, "list")); !r.verified {
			b.Fatalf("%s lists what was appended to with an error: %s", peer, r.output)
		}
	}
}

func lockCheck(b testing.TB, dirs []string) []process {
	args := append([]string{"lock", "check", "--config", "lock.yaml", "--options", `{"content": ["lock"]}`}, dirs...)
	return []process{{path: tool(b, "chartseal"), args: args}}
}

func lockHelm(b testing.TB, peer string, dirs []string, command ...string) (all []process) {
	for _, dir := range dirs {
		all = append(all, process{path: tool(b, peer), args: append([]string{"dependency"}, append(command, dir)...)})
	}
	return all
}

// writeLockedCharts makes charts that each have three dependencies of 32 KiB,
// locked and pinned, and serves these.
func writeLockedCharts(b testing.TB, n int) (dirs []string) {
	b.Helper()
	server := registry.New(b)
	var deps []*helmchart.Dependency
	vendored := map[string][]byte{}
	for _, name := range []string{"common", "db", "cache"} {
		archive := forge.Archive(forge.Chart(name, "1.0.0", forge.Entry{Name: "files/random", Body: random(32 << 10)})...)
		server.AddChart("stable", archive, nil)
		vendored[filepath.Join("charts", name+"-1.0.0.tgz")] = archive
		deps = append(deps, &helmchart.Dependency{Name: name, Version: "1.0.0", Repository: server.URL() + "/stable"})
	}
	write(b, "lock.yaml", fmt.Appendf(nil, "registries:\n- host: %s\n  insecure: true\n", server.Host()))
	for _, peer := range peers {
		add := process{path: tool(b, peer), args: []string{"repo", "add", "--force-update", "stable", server.URL() + "/stable"}}
		if r := add.run(b); !r.verified {
			b.Fatalf("%s", r.output)
		}
	}
	vendored["Chart.yaml"] = asYAML(b, helmchart.Metadata{APIVersion: "v2", Name: "web", Version: "1.0.0", Dependencies: deps})
	vendored["Chart.lock"] = asYAML(b, helmchart.Lock{Generated: time.Unix(0, 0), Dependencies: deps, Digest: chart.HashReq(deps, deps)})
	for i := range n {
		dir := fmt.Sprint("locked/", i)
		for path, content := range vendored {
			write(b, filepath.Join(dir, path), content)
		}
		if i == 0 {
			vendored["chartseal.lock"] = pins(b, dir)
			write(b, filepath.Join(dir, "chartseal.lock"), vendored["chartseal.lock"])
		}
		dirs = append(dirs, dir)
	}
	return dirs
}

func random(n int) string {
	content := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{}).Read(content) // never fails
	return string(content)
}

func asYAML(b testing.TB, v any) []byte {
	b.Helper()
	text, err := yaml.Marshal(v)
	if err != nil {
		b.Fatal(err)
	}
	return text
}

// pins are those of the chart in dir of the workspace.
func pins(b testing.TB, dir string) []byte {
	b.Helper()
	cfg, err := config.Load(filepath.Join(workspace, "lock.yaml"))
	var env *builtins.Env
	if err == nil {
		env, err = cfg.Env(nil)
	}
	if err != nil {
		b.Fatal(err)
	}
	pins, locked, err := chart.PinDependencies(b.Context(), env, chartref.Parse(filepath.Join(workspace, dir)), chart.LockOKOptions{})
	if err != nil {
		b.Fatalf("%v: %+v", err, locked.Findings)
	}
	return pins.Bytes()
}

func read(b testing.TB, path string) []byte {
	b.Helper()
	content, err := os.ReadFile(filepath.Join(workspace, path))
	if err != nil {
		b.Fatal(err)
	}
	return content
}
