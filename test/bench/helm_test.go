// SPDX-License-Identifier: Apache-2.0

// Package bench_test measures our command line against real helm verify and
// real cosign verify: same charts, same machine, same run, one after the other
// in turns. `make bench` builds all and prints the table.
package bench_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// workspace holds the material and is where every process runs.
var workspace string

// rows are printed when all is measured.
var rows []row

func TestMain(m *testing.M) {
	var err error
	if workspace, err = os.MkdirTemp("", "chartseal-bench"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	if len(rows) > 0 {
		printTable(os.Stdout, rows)
		fmt.Printf("memory below %s is not told apart: the measuring process has that much itself\n", mebibytes(ownMemory()))
	}
	if len(loadRows) > 0 {
		printLoad(os.Stdout, loadRows)
	}
	if len(counted) > 0 {
		printRequests(os.Stdout, counted)
	}
	if err := os.RemoveAll(workspace); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	os.Exit(code)
}

// tool is the path of a real tool, or of our command; without them nothing is
// measured.
func tool(b testing.TB, name string) string {
	b.Helper()
	path := filepath.Join(os.Getenv("CHARTSEAL_TOOLS"), name)
	switch name {
	case "chartseal":
		path = os.Getenv("CHARTSEAL_BIN")
	case "chartseal-provider":
		path = os.Getenv("CHARTSEAL_PROVIDER_BIN")
	case "chartseal-gator":
		path = os.Getenv("CHARTSEAL_GATOR_BIN")
	}
	if _, err := os.Stat(path); err != nil {
		b.Skipf("CHARTSEAL_TOOLS, CHARTSEAL_BIN, CHARTSEAL_PROVIDER_BIN or CHARTSEAL_GATOR_BIN names no %s; run make bench", name)
	}
	return path
}

var trustOnce sync.Once

// A scenario is what is measured.
type scenario struct {
	name     string
	ring     string
	archives func(testing.TB) []string
	rounds   int
	goal     float64 // ratio of wall time, ours to helm's
	rssGoal  int64
}

// The goals are those of the project; a time that misses its goal is told in
// the table, twice the goal fails. Memory is steady and fails at its goal.
var scenarios = []scenario{
	{"one key", signerRing, small, 40, 0.6, 0},
	{"ring of 1,000 keys", thousandRing, small, 40, 0.3, 0},
	{"archive of 50 MiB", signerRing, large, 30, 1.0, 96 << 20},
	{"100 charts in one evaluation", signerRing, hundred, 7, 0.1, 0},
}

func small(b testing.TB) []string { return []string{writeChart(b, "small", 1, 16<<10)} }

// large is 50 MiB that gzip cannot shrink, in files that Helm still reads.
func large(b testing.TB) []string { return []string{writeChart(b, "large", 20, 5<<19)} }

func hundred(b testing.TB) []string {
	var all []string
	for i := range 100 {
		all = append(all, writeChart(b, fmt.Sprint("chart", i), 1, 16<<10))
	}
	return all
}

func BenchmarkHelmVerify(b *testing.B) {
	for _, s := range scenarios {
		b.Run(strings.ReplaceAll(s.name, " ", "_"), func(b *testing.B) {
			tool(b, "chartseal")
			trustOnce.Do(func() { writeTrust(b) })
			archives := s.archives(b)
			sameVerdicts(b, s, archives)
			for b.Loop() {
				rows = append(rows, s.measure(b, archives)...)
			}
		})
	}
}

// ours verifies all archives in one evaluation.
func ours(b testing.TB, ring string, archives []string) []process {
	input, err := json.Marshal(archives)
	if err != nil {
		b.Fatal(err)
	}
	query := fmt.Sprintf(`every archive in input { helm.verify_prov(archive, {"keyrings": [%q]}) }`, ring)
	args := []string{"eval", "--config", "chartseal.yaml", "--stdin-input", "--format", "raw", query}
	return []process{{tool(b, "chartseal"), args, input, "true"}}
}

// peer verifies all archives with one process each.
func peer(b testing.TB, name, ring string, archives []string) []process {
	var all []process
	for _, archive := range archives {
		all = append(all, process{path: tool(b, name), args: []string{"verify", archive, "--keyring", ringFile(ring)}})
	}
	return all
}

var peers = []string{"helm3", "helm4"}

// sameVerdicts makes sure that what is measured is the same work: all accept
// what is good, and refuse a tampered archive and a ring without the signer.
func sameVerdicts(b testing.TB, s scenario, archives []string) {
	b.Helper()
	for _, test := range []struct {
		what, ring string
		archives   []string
		want       bool
	}{
		{"good", s.ring, archives, true},
		{"tampered", s.ring, []string{tamper(b, archives[0])}, false},
		{"unknown signer", strangerRing, archives[:1], false},
	} {
		if r := runs(b, ours(b, test.ring, test.archives)); r.verified != test.want {
			b.Fatalf("%s: chartseal says %v: %s", test.what, r.verified, r.output)
		}
		for _, name := range peers {
			if r := runs(b, peer(b, name, test.ring, test.archives)); r.verified != test.want {
				b.Fatalf("%s: %s says %v: %s", test.what, name, r.verified, r.output)
			}
		}
	}
}

// measure runs the rounds, each with every side once.
func (s scenario) measure(b *testing.B, archives []string) []row {
	samples := map[string]sample{}
	for range s.rounds {
		samples["chartseal"] = append(samples["chartseal"], runs(b, ours(b, s.ring, archives)))
		for _, name := range peers {
			samples[name] = append(samples[name], runs(b, peer(b, name, s.ring, archives)))
		}
	}
	var measured []row
	for _, name := range peers {
		r := row{s.name, name, samples["chartseal"], samples[name], compare(samples["chartseal"], samples[name]), s.goal, s.rssGoal}
		measured = append(measured, r)
		b.ReportMetric(r.ratio.median, "of-"+name)
		if r.ratio.median > 2*s.goal || !r.rssMet() {
			b.Errorf("ratio to %s is %.2f, goal %.2f; memory is %s, goal %s", name, r.ratio.median, s.goal, mebibytes(r.ours.rss()), mebibytes(s.rssGoal))
		}
	}
	return measured
}
