// SPDX-License-Identifier: Apache-2.0

package interop_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// gatorBinary is our gator: CHARTSEAL_GATOR_BIN, or built for this run.
var gatorBinary = sync.OnceValues(func() (string, error) {
	if bin := os.Getenv("CHARTSEAL_GATOR_BIN"); bin != "" {
		return bin, nil
	}
	bin := filepath.Join(workspace, "chartseal-gator")
	out, err := exec.Command("go", "build", "-o", bin, "github.com/chartseal/chartseal/cmd/chartseal-gator").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("building chartseal-gator: %w: %s", err, out)
	}
	return bin, nil
})

// gatekeeperFiles is the folder of Gatekeeper's module, whose tests and demos
// hold templates of its library: Rego of both versions, CEL, with inventory,
// with expansion.
func gatekeeperFiles(t testing.TB) string {
	t.Helper()
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/open-policy-agent/gatekeeper/v3").Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

// What calls no external data ends and speaks as with gator itself.
func TestGatorAlike(t *testing.T) {
	stock := tool(t, "gator")
	ours, err := gatorBinary()
	if err != nil {
		t.Fatal(err)
	}
	own, err := filepath.Abs("../gator")
	if err != nil {
		t.Fatal(err)
	}
	for dir, calls := range map[string][]string{
		own: {
			"verify ./...", "verify -v ./...", "verify owners/suite.yaml", "verify -v hosts", "verify replicas/suite.yaml --run few//one",
			"verify wrong", "verify -v wrong", "verify absent", "verify", "verify owners/template.yaml",
			"test -f owners", "test -f hosts -o json", "test -f replicas -o yaml", "test -f owners -f hosts -f replicas -o json",
			"test -f hosts -o json --deny-only", "test -f owners/suite.yaml", "test -f absent", "test", "test -f owners --enable-k8s-native-validation=false -o json",
			"test -f replicas --enable-k8s-native-validation=false", "sync test -n hosts -f", "sync test -n hosts", "sync",
		},
		gatekeeperFiles(t): {
			"verify test/gator/verify/...", "verify -v test/gator/verify",
			"test -f test/gator/test/fixtures/manifests/with-policies/with-violations.yaml",
			"test -f test/gator/test/fixtures/manifests/with-policies/with-violations.yaml -o json",
			"test -f test/gator/test/fixtures/manifests/with-policies/with-violations-2.yaml -o yaml",
			"test -f test/gator/test/fixtures/manifests/with-policies/with-violations-rego-v1.yaml -o json",
			"test -f test/gator/test/fixtures/manifests/with-policies/with-violations-and-defaults.yaml -o json",
			"test -f test/gator/test/fixtures/manifests/with-policies/no-violations.yaml",
			"test -f test/gator/test/fixtures/manifests/with-policies/no-violations-2.yaml",
			"test -f test/gator/test/fixtures/manifests/invalid-resources",
			"test -f test/gator/test/fixtures/manifests/different-extensions -o json",
			"test -f test/gator/test/fixtures/manifests/expansion -o json",
			"test -f test/gator/test/fixtures/policies/default -f test/gator/test/fixtures/manifests/no-policies",
			"test -f demo/agilebank/templates -f demo/agilebank/constraints -f demo/agilebank/bad_resources -o json",
			"test -f demo/agilebank/templates -f demo/agilebank/constraints -f demo/agilebank/good_resources -o json",
			"test -f demo/agilebank/dryrun -o json", "test -f demo/agilebank -o yaml",
			"test -f pkg/webhook/testdata/psp-all-violations -o json",
			"test -f test/gator/bench/cel -o json", "test -f test/gator/bench/both -o json",
			"expand -n test/gator/expand/fixtures/basic-expansion/input", "expand -n test/gator/expand/fixtures/expand-with-ns/input -f json",
			"expand -n test/gator/expand/fixtures/expand-with-missing-ns/input",
		},
	} {
		for _, call := range calls {
			t.Run(filepath.Base(dir)+" "+call, func(t *testing.T) {
				if diff := cmp.Diff(said(t, stock, dir, call), said(t, ours, dir, call)); diff != "" {
					t.Errorf("gator (-) and chartseal-gator (+):\n%s", diff)
				}
			})
		}
	}
}

// The figures of a benchmark differ each time, what was measured does not.
func TestGatorBenchAlike(t *testing.T) {
	stock := tool(t, "gator")
	ours, err := gatorBinary()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(gatekeeperFiles(t), "test/gator/bench")
	for _, call := range []string{"bench -f basic -e rego -n 20", "bench -f cel -n 20", "bench -f both -e all -n 20", "bench -f basic -e other", "bench"} {
		t.Run(call, func(t *testing.T) {
			if diff := cmp.Diff(measured(said(t, stock, dir, call)), measured(said(t, ours, dir, call))); diff != "" {
				t.Errorf("gator (-) and chartseal-gator (+):\n%s", diff)
			}
		})
	}
}

// said is what a call ends with and writes, with no time and no name of the
// command in it, and without the flag that we have more.
func said(t testing.TB, binary, dir, call string) string {
	t.Helper()
	out, err := command{dir: dir, path: binary, args: strings.Fields(call)}.run()
	text := string(out)
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		_, errs, _ := strings.Cut(err.Error(), exit.Error()+": ")
		text = fmt.Sprintf("exit status %d\n%s\n%s", exit.ExitCode(), text, errs)
	case err != nil:
		t.Fatal(err)
	}
	text = strings.ReplaceAll(text, "chartseal-gator", "gator")
	text = globalFlags.ReplaceAllString(text, "")
	return times.ReplaceAllString(text, "TIME")
}

var (
	times       = regexp.MustCompile(`\b[0-9]+\.[0-9]{3}s\b|\b20[0-9]{2}/[0-9]{2}/[0-9]{2} [0-9:]{8}\b`)
	globalFlags = regexp.MustCompile(`\nGlobal Flags:\n.*--config.*\n`)
)

// measured are the lines that say what was measured and found.
func measured(text string) (lines []string) {
	for line := range strings.SplitSeq(text, "\n") {
		if figures.MatchString(line) {
			continue
		}
		lines = append(lines, strings.Join(strings.Fields(line), " "))
	}
	return lines
}

var figures = regexp.MustCompile(`[0-9](ns|µs|ms|s)\b|/sec|─|Throughput|P50|P99|Performance:`)
