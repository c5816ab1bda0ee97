// SPDX-License-Identifier: Apache-2.0

package bench_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// BenchmarkGatorVerify runs suites that ask for no external data in our gator
// and in Gatekeeper's: what answers it in ours may cost those nothing that do
// not ask.
func BenchmarkGatorVerify(b *testing.B) {
	const goal, rounds = 1.1, 30
	sides := map[string]string{"ours": tool(b, "chartseal-gator"), "gator": tool(b, "gator")}
	for _, copies := range []int{1, 10} {
		dir := writeSuites(b, copies)
		b.Run(filepath.Base(dir), func(b *testing.B) {
			for name, path := range sides {
				sameSuites(b, name, path, dir)
			}
			for b.Loop() {
				samples := map[string]sample{}
				for range rounds {
					for name, path := range sides {
						samples[name] = append(samples[name], runs(b, []process{{path: path, args: []string{"verify", dir + "/passing/..."}}}))
					}
				}
				r := row{fmt.Sprintf("gator verify, %d suites", 3*copies), "gator", samples["ours"], samples["gator"], compare(samples["ours"], samples["gator"]), goal, 0}
				rows = append(rows, r)
				b.ReportMetric(r.ratio.median, "of-gator")
				if r.ratio.median > 2*goal {
					b.Errorf("ratio to gator is %.2f, goal %.2f", r.ratio.median, goal)
				}
			}
		})
	}
}

// writeSuites leaves the suites that pass in a folder, as often as is said, and
// beside it one that does not.
func writeSuites(b testing.TB, copies int) string {
	b.Helper()
	dir := filepath.Join(workspace, fmt.Sprint("suites", 3*copies))
	for _, name := range []string{"owners", "hosts", "replicas", "wrong"} {
		from := os.DirFS(filepath.Join("../gator", name))
		if err := os.CopyFS(filepath.Join(dir, name), from); err != nil {
			b.Fatal(err)
		}
		for i := range copies {
			if name == "wrong" {
				continue
			}
			if err := os.CopyFS(filepath.Join(dir, "passing", fmt.Sprint(name, i)), from); err != nil {
				b.Fatal(err)
			}
		}
	}
	return dir
}

// sameSuites makes sure that both sides do the same work, and see what is wrong.
func sameSuites(b testing.TB, name, path, dir string) {
	b.Helper()
	good := runs(b, []process{{path: path, args: []string{"verify", "-v", dir + "/passing/..."}}})
	if cases := strings.Count(string(good.output), "--- PASS"); !good.verified || cases == 0 || cases%10 != 0 {
		b.Fatalf("%s: %d tests and cases pass, want ten for each copy: %s", name, cases, good.output)
	}
	if r := runs(b, []process{{path: path, args: []string{"verify", dir + "/wrong"}}}); r.verified {
		b.Fatalf("%s: a suite that is wrong passes: %s", name, r.output)
	}
}
