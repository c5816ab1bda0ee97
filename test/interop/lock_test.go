// SPDX-License-Identifier: Apache-2.0

package interop_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	helmchart "helm.sh/helm/v3/pkg/chart"
	"sigs.k8s.io/yaml"

	"github.com/chartseal/chartseal/builtins"
	"github.com/chartseal/chartseal/builtins/chart"
	"github.com/chartseal/chartseal/builtins/chartref"
	"github.com/chartseal/chartseal/test/forge"
	"github.com/chartseal/chartseal/test/registry"
)

// lockedCharts is how many charts are generated.
const lockedCharts = 400

// A library is repositories and a registry that dependencies come from, with
// both helms knowing the repositories.
type library struct {
	server *registry.Server
	helms  []helm
	homes  map[string][]string // environment, by helm
	env    *builtins.Env
}

var versions = []string{"0.9.0", "1.0.0", "1.2.3", "1.3.0-rc.1", "1.3.0+build.7", "2.0.0", "2.1.0"}

func newLibrary(t *testing.T) *library {
	lib := &library{server: registry.New(t), helms: helms(t), homes: map[string][]string{}}
	for _, name := range []string{"common", "db", "cache"} {
		for _, version := range versions {
			archive := forge.Archive(forge.Chart(name, version)...)
			lib.server.AddChart("stable", archive, nil)
			lib.server.AddChart("extra", forge.Archive(forge.Chart(name, version, forge.Entry{Name: "extra.txt", Body: "x"})...), nil)
			lib.server.PushChart("charts/"+name, version, archive, nil)
		}
	}
	lib.server.AddChart("stable", lib.suite(), nil)
	for _, h := range lib.helms {
		home := folder(t)
		lib.homes[h.name] = []string{"HELM_CACHE_HOME=" + home, "HELM_CONFIG_HOME=" + home, "HELM_DATA_HOME=" + home}
		for _, name := range []string{"stable", "extra"} {
			lib.must(t, h, home, "repo", "add", name, lib.url(name))
		}
	}
	lib.env = newEnv(t, lib.server)
	return lib
}

func (lib *library) url(name string) string { return lib.server.URL() + "/" + name }

// suite is a chart that has dependencies itself.
func (lib *library) suite() []byte {
	requested := []*helmchart.Dependency{{Name: "common", Version: "^1.0.0", Repository: lib.url("stable")}}
	locked := []*helmchart.Dependency{{Name: "common", Version: "1.2.3", Repository: lib.url("stable")}}
	return forge.Archive(forge.Beneath("suite",
		forge.Entry{Name: "Chart.yaml", Body: inYAML(helmchart.Metadata{APIVersion: "v2", Name: "suite", Version: "1.0.0", Dependencies: requested})},
		forge.Entry{Name: "Chart.lock", Body: inYAML(helmchart.Lock{Dependencies: locked, Digest: chart.HashReq(requested, locked)})},
		forge.Entry{Name: "charts/common-1.2.3.tgz", Body: string(forge.Archive(forge.Chart("common", "1.2.3")...))},
	)...)
}

func inYAML(v any) string {
	text, err := yaml.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(text)
}

func (lib *library) run(h helm, dir string, args ...string) error {
	_, err := command{dir: dir, path: h.path, env: lib.homes[h.name], args: args}.run()
	return err
}

func (lib *library) must(t testing.TB, h helm, dir string, args ...string) {
	t.Helper()
	if err := lib.run(h, dir, args...); err != nil {
		t.Fatal(err)
	}
}

// push gives the reference of a packed chart in the registry.
func (lib *library) push(t testing.TB, folder, path string) string {
	lib.server.PushChart(folder+"/web", "1.0.0", read(t, path), nil)
	return "oci://" + lib.server.Host() + "/" + folder + "/web:1.0.0"
}

// serve gives the URL of a packed chart.
func (lib *library) serve(t testing.TB, folder, path string) string {
	lib.server.AddFile(folder+"/web-1.0.0.tgz", read(t, path))
	return lib.url(folder) + "/web-1.0.0.tgz"
}

// outOfSync is what helm dependency build says of the lock in dir, which it
// gets a copy of. What comes of the dependencies after that is not asked.
func (lib *library) outOfSync(t testing.TB, h helm, dir string) bool {
	t.Helper()
	scratch := filepath.Join(folder(t), "web")
	if err := os.CopyFS(scratch, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	err := lib.run(h, scratch, "dependency", "build", ".", "--skip-refresh", "--plain-http")
	if err != nil && !strings.Contains(err.Error(), "is out of sync") && !strings.Contains(err.Error(), "no matching version") {
		t.Fatal(err)
	}
	return err != nil && strings.Contains(err.Error(), "is out of sync")
}

// A lockedChart is a chart directory whose dependencies helm has locked.
type lockedChart struct {
	lib      *library
	dir      string
	v1       bool
	requests []*helmchart.Dependency
}

func (lib *library) generate(t testing.TB, r *rand.Rand) *lockedChart {
	t.Helper()
	c := &lockedChart{lib: lib, dir: filepath.Join(folder(t), "web"), v1: r.IntN(4) == 0}
	write(t, filepath.Join(c.dir, "values.yaml"), []byte("tags: {front: false}\n"))
	names := []string{"common", "db", "cache", "suite"}
	r.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
	for _, name := range names[:r.IntN(len(names)+1)] {
		c.request(t, r, name)
	}
	c.declare(t)
	return c
}

func pick[T any](r *rand.Rand, from ...T) T { return from[r.IntN(len(from))] }

// request adds a dependency of a random kind, sometimes twice by alias.
func (c *lockedChart) request(t testing.TB, r *rand.Rand, name string) {
	d := &helmchart.Dependency{Name: name, Version: pick(r, "^1.0.0", "~1.2", ">=1.0.0 <2.0.0", "1.x.x", "1.2.3", "*", "1.x || 2.x", ">= 0.9", "1.0.0 - 2.0.0", ">=1.3.0-0")}
	stable := c.lib.url("stable")
	if name == "suite" {
		d.Version, d.Repository = "^1.0.0", stable
	} else {
		d.Repository = pick(r, stable, stable+"/", "@stable", "alias:stable", c.lib.url("extra"), "oci://"+c.lib.server.Host()+"/charts", "file://lib/"+name, "file://./lib/"+name, "")
	}
	switch {
	case d.Repository == "":
		newChart(t, filepath.Join(c.dir, "charts"), name, "1.2.3", "")
		d.Version = pick(r, "~1.2", "^1.0.0", "1.2.3", "*")
	case strings.HasPrefix(d.Repository, "file://"):
		newChart(t, filepath.Join(c.dir, "lib"), name, "1.2.3", "")
		d.Version = pick(r, "~1.2", "^1.0.0", "1.2.3", "*")
	}
	if r.IntN(3) == 0 {
		d.Condition = name + ".enabled"
	}
	if r.IntN(3) == 0 {
		d.Tags = []string{"front", "back"}
	}
	if r.IntN(3) == 0 {
		d.ImportValues = []any{"data", map[string]any{"child": "a", "parent": "b"}}
	}
	c.requests = append(c.requests, d)
	if d.Repository != "" && r.IntN(4) == 0 {
		again := *d
		again.Alias = name + "-again"
		c.requests = append(c.requests, &again)
	}
}

func (c *lockedChart) declare(t testing.TB) {
	metadata := helmchart.Metadata{APIVersion: "v2", Name: "web", Version: "1.0.0", Description: "<generated> & locked"}
	if c.v1 {
		metadata.APIVersion = "v1"
		if c.requests != nil {
			write(t, filepath.Join(c.dir, "requirements.yaml"), []byte(inYAML(map[string]any{"dependencies": c.requests})))
		}
	} else {
		metadata.Dependencies = c.requests
	}
	write(t, filepath.Join(c.dir, "Chart.yaml"), []byte(inYAML(metadata)))
}

func (c *lockedChart) lockPath() string {
	if c.v1 {
		return filepath.Join(c.dir, "requirements.lock")
	}
	return filepath.Join(c.dir, "Chart.lock")
}

func (c *lockedChart) options() chart.LockOKOptions {
	return chart.LockOKOptions{
		Repositories:          map[string]string{"stable": c.lib.url("stable")},
		AllowFileRepositories: true,
	}
}

// pin pins what nobody publishes: folders, of the chart's own or of file
// repositories.
func (c *lockedChart) pin(t testing.TB) {
	t.Helper()
	if !slices.ContainsFunc(c.requests, func(d *helmchart.Dependency) bool {
		return d.Repository == "" || strings.HasPrefix(d.Repository, "file://")
	}) {
		return
	}
	pins, locked, err := chart.PinDependencies(t.Context(), c.lib.env, chartref.Parse(c.dir), c.options())
	if err != nil {
		t.Fatalf("pinning: %v: %+v", err, locked.Findings)
	}
	write(t, filepath.Join(c.dir, "chartseal.lock"), pins.Bytes())
}

// check asks the built-in about a chart.
func (c *lockedChart) check(t testing.TB, ref string) (builtins.Report, chart.Locked) {
	t.Helper()
	options := c.options()
	opts, err := json.Marshal(map[string]any{"repositories": options.Repositories, "allow_file_repositories": options.AllowFileRepositories})
	if err != nil {
		t.Fatal(err)
	}
	rep := chart.LockOK.Call(t.Context(), c.lib.env, chartref.Parse(ref), opts)
	return rep, rep.Evidence.(chart.Locked)
}

func (c *lockedChart) wantOK(t testing.TB, ref string) {
	t.Helper()
	if rep, locked := c.check(t, ref); !rep.Verified {
		t.Errorf("%s: %s %s: %+v\n%s", filepath.Base(ref), rep.Code, rep.Reason, locked.Findings, inYAML(c.requests))
	}
}

// A relock is something that happens to a lock, or to what it is of.
type relock struct {
	name string
	edit func(t testing.TB, r *rand.Rand, c *lockedChart, lock *helmchart.Lock) bool // whether there was anything to do
}

var relocks = []relock{
	{"nothing", func(testing.TB, *rand.Rand, *lockedChart, *helmchart.Lock) bool { return true }},
	{"version", entry(func(d *helmchart.Dependency) { d.Version += "+other" })},
	{"repository", entry(func(d *helmchart.Dependency) { d.Repository += "/other" })},
	{"name", entry(func(d *helmchart.Dependency) { d.Name += "-other" })},
	{"entry dropped", func(_ testing.TB, _ *rand.Rand, _ *lockedChart, lock *helmchart.Lock) bool {
		if len(lock.Dependencies) == 0 {
			return false
		}
		lock.Dependencies = lock.Dependencies[1:]
		return true
	}},
	{"order", func(_ testing.TB, _ *rand.Rand, _ *lockedChart, lock *helmchart.Lock) bool {
		slices.Reverse(lock.Dependencies)
		return len(lock.Dependencies) > 0
	}},
	{"digest", func(_ testing.TB, _ *rand.Rand, _ *lockedChart, lock *helmchart.Lock) bool {
		lock.Digest = "sha256:" + strings.Repeat("0", 64)
		return true
	}},
	{"Helm 2's digest", func(_ testing.TB, _ *rand.Rand, c *lockedChart, lock *helmchart.Lock) bool {
		lock.Digest = chart.HashV2Req(c.requests)
		return true
	}},
	{"request", requested(func(d *helmchart.Dependency) { d.Version += " " })},
	{"condition", requested(func(d *helmchart.Dependency) { d.Condition += "other.enabled" })},
	{"tags", requested(func(d *helmchart.Dependency) { d.Tags = append(d.Tags, "<other>") })},
	{"import-values", requested(func(d *helmchart.Dependency) { d.ImportValues = append(d.ImportValues, "other") })},
	{"generated", func(_ testing.TB, _ *rand.Rand, _ *lockedChart, lock *helmchart.Lock) bool {
		lock.Generated = lock.Generated.AddDate(0, 0, 1)
		return true
	}},
}

func entry(edit func(*helmchart.Dependency)) func(testing.TB, *rand.Rand, *lockedChart, *helmchart.Lock) bool {
	return func(_ testing.TB, r *rand.Rand, _ *lockedChart, lock *helmchart.Lock) bool {
		if len(lock.Dependencies) == 0 {
			return false
		}
		edit(pick(r, lock.Dependencies...))
		return true
	}
}

func requested(edit func(*helmchart.Dependency)) func(testing.TB, *rand.Rand, *lockedChart, *helmchart.Lock) bool {
	return func(t testing.TB, r *rand.Rand, c *lockedChart, _ *helmchart.Lock) bool {
		if len(c.requests) == 0 {
			return false
		}
		edit(pick(r, c.requests...))
		c.declare(t)
		return true
	}
}

// tell changes the lock and says whether there was one to change.
func (c *lockedChart) tell(t testing.TB, r *rand.Rand, change relock) bool {
	t.Helper()
	raw, err := os.ReadFile(c.lockPath())
	if errors.Is(err, os.ErrNotExist) {
		return false
	}
	var lock helmchart.Lock
	if err := errors.Join(err, yaml.Unmarshal(raw, &lock)); err != nil {
		t.Fatal(err)
	}
	if !change.edit(t, r, c, &lock) {
		return false
	}
	write(t, c.lockPath(), []byte("# another comment\n"+inYAML(lock)))
	return true
}

// A3, A25: what real helm locks is in order, as directory and as real helm
// packs it, on disk, in a registry and behind a URL; and of what happens to a lock we say what helm dependency build says.
func TestLocksAreHelms(t *testing.T) {
	lib := newLibrary(t)
	var mu sync.Mutex
	compared := map[bool]int{}
	for i := range lockedCharts {
		h := lib.helms[i%len(lib.helms)]
		t.Run(fmt.Sprintf("A3 chart %d by %s", i, h.name), func(t *testing.T) {
			t.Parallel()
			r := rand.New(rand.NewPCG(uint64(i), 4))
			c := lib.generate(t, r)
			lib.must(t, h, c.dir, "dependency", "update", ".", "--skip-refresh", "--plain-http")
			c.pin(t)
			c.wantOK(t, c.dir)
			if i%3 == 0 {
				lib.must(t, h, filepath.Dir(c.dir), "package", c.dir, "-d", filepath.Dir(c.dir))
				c.wantOK(t, c.dir+"-1.0.0.tgz")
				c.wantOK(t, lib.push(t, fmt.Sprint("packed", i), c.dir+"-1.0.0.tgz"))
				c.wantOK(t, lib.serve(t, fmt.Sprint("packed", i), c.dir+"-1.0.0.tgz"))
			}
			change := relocks[i%len(relocks)]
			if !c.tell(t, r, change) {
				return
			}
			_, locked := c.check(t, c.dir)
			ours := slices.ContainsFunc(locked.Findings, func(f chart.Finding) bool {
				return f.Code == builtins.LockOutOfSync && strings.HasPrefix(f.Reason, "its digest is")
			})
			for _, oracle := range lib.helms {
				if theirs := lib.outOfSync(t, oracle, c.dir); ours != theirs {
					t.Errorf("%s: out of sync for us %v, for %s %v: %+v\n%s", change.name, ours, oracle.name, theirs, locked.Findings, read(t, c.lockPath()))
				}
			}
			mu.Lock()
			defer mu.Unlock()
			compared[ours]++
		})
	}
	t.Cleanup(func() {
		t.Logf("compared with both helms: %d in sync, %d out of sync", compared[false], compared[true])
	})
}

// Where we are stricter: Helm's digest is right, and the lock does not follow.
func TestLocksStricterThanHelm(t *testing.T) {
	lib := newLibrary(t)
	for _, test := range []struct {
		name      string
		requested helmchart.Dependency
		locked    helmchart.Dependency
		aliases   map[string]string
		reason    string
	}{
		{"A7 version outside the range", helmchart.Dependency{Version: "^1.0.0"}, helmchart.Dependency{Version: "2.0.0"}, nil, "the chart requests"},
		{"A7 range in the lock", helmchart.Dependency{Version: "^1.0.0"}, helmchart.Dependency{Version: "^1.0.0"}, nil, "no exact version"},
		{"A8 repository in the lock only", helmchart.Dependency{Version: "^1.0.0"}, helmchart.Dependency{Version: "1.2.3", Repository: lib.url("extra")}, nil, "is of repository"},
		{"A8 repository in Chart.yaml only", helmchart.Dependency{Version: "^1.0.0", Repository: lib.url("extra")}, helmchart.Dependency{Version: "1.2.3"}, nil, "is of repository"},
		{"A21 alias without repositories", helmchart.Dependency{Version: "^1.0.0", Repository: "@stable"}, helmchart.Dependency{Version: "1.2.3"}, nil, "repositories has no"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			asked, locked := test.requested, test.locked
			for _, d := range []*helmchart.Dependency{&asked, &locked} {
				d.Name = "common"
				if d.Repository == "" {
					d.Repository = lib.url("stable")
				}
			}
			c := &lockedChart{lib: lib, dir: filepath.Join(folder(t), "web"), requests: []*helmchart.Dependency{&asked}}
			c.declare(t)
			resolved := asked
			resolved.Repository = strings.Replace(asked.Repository, "@stable", lib.url("stable"), 1)
			lock := helmchart.Lock{Dependencies: []*helmchart.Dependency{&locked}, Digest: chart.HashReq([]*helmchart.Dependency{&resolved}, []*helmchart.Dependency{&locked})}
			write(t, c.lockPath(), []byte(inYAML(lock)))
			for _, h := range lib.helms {
				if lib.outOfSync(t, h, c.dir) {
					t.Errorf("%s finds it out of sync too", h.name)
				}
			}
			rep := chart.LockOK.Call(t.Context(), lib.env, chartref.Parse(c.dir), []byte(`{}`))
			if rep.Code != builtins.LockOutOfSync || !strings.Contains(rep.Reason, test.reason) {
				t.Errorf("%s: %s", rep.Code, rep.Reason)
			}
		})
	}
}
