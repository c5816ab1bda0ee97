// SPDX-License-Identifier: Apache-2.0

package bench_test

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/chartseal/chartseal/test/forge"
	"github.com/chartseal/chartseal/test/registry"
	"github.com/chartseal/chartseal/test/vsig"
)

// A form is how signatures are stored, who makes them so and who is held
// against us.
type form struct {
	name   string
	signer string
	sign   []string
	peers  []peerCosign
}

type peerCosign struct {
	name string
	args []string
}

var forms = []form{
	{"bundle", "cosign3", []string{"--use-signing-config=false"}, []peerCosign{
		{"cosign3", nil}, {"cosign2", []string{"--new-bundle-format"}},
	}},
	{".sig", "cosign2", nil, []peerCosign{
		{"cosign3", []string{"--new-bundle-format=false"}}, {"cosign2", nil},
	}},
}

// A distance is how far away the registry is: the delay before each answer.
type distance struct {
	delay  time.Duration
	rounds int
}

var distances = []distance{{0, 40}, {5 * time.Millisecond, 15}, {20 * time.Millisecond, 15}}

// goal is the project's, 0 where it has none. On loopback nearly all time is
// for starting the process, further away for the round trips.
func (s *cosignScene) goal(d distance) float64 {
	switch {
	case d.delay == 0:
		return 0.5
	case d.delay == 20*time.Millisecond && s.name == "bundle" && s.signatures == 10:
		return 0.3
	}
	return 0
}

// A cosignScene is a chart in a registry with so many signatures of one key.
type cosignScene struct {
	form
	signatures int
	srv        *registry.Server
	repo       string
	digest     string
}

// BenchmarkCosignVerify holds chartseal eval against cosign verify --key, with
// the same registry, in turns.
func BenchmarkCosignVerify(b *testing.B) {
	for _, f := range forms {
		for _, n := range []int{1, 10} {
			b.Run(fmt.Sprintf("%d_%s", n, f.name), func(b *testing.B) {
				tool(b, "chartseal")
				s := newCosignScene(b, f, n)
				s.sameVerdicts(b)
				s.count(b)
				for _, d := range distances {
					b.Run(d.delay.String(), func(b *testing.B) {
						remove := s.srv.Rule(registry.Rule{Delay: d.delay})
						defer remove()
						for b.Loop() {
							rows = append(rows, s.measure(b, d)...)
						}
					})
				}
			})
		}
	}
}

func newCosignScene(b *testing.B, f form, signatures int) *cosignScene {
	b.Helper()
	s := &cosignScene{form: f, signatures: signatures, srv: registry.New(b), repo: "charts/web"}
	s.digest = s.srv.PushChart(s.repo, "1.2.3", forge.Archive(forge.Chart("web", "1.2.3")...), nil)
	for _, name := range []string{"release", "stranger"} {
		dir := filepath.Join("trust", "keys")
		write(b, filepath.Join(dir, ".keep"), nil)
		if _, err := os.Stat(filepath.Join(workspace, dir, name+".pub")); err != nil {
			s.cosign(b, "cosign2", "generate-key-pair", "--output-key-prefix", filepath.Join(dir, name))
			s.move(b, filepath.Join(dir, name+".key"), name+".key")
		}
	}
	for i := range signatures {
		args := append([]string{"sign", "--key", "release.key", "--tlog-upload=false", "-y", "-a", fmt.Sprint("n=", i)}, f.sign...)
		s.cosign(b, f.signer, append(args, s.at())...)
	}
	config, err := json.Marshal(map[string]any{
		"trust":      map[string]any{"directory": "trust"},
		"registries": []any{map[string]any{"host": s.srv.Host(), "insecure": true}},
	})
	if err != nil {
		b.Fatal(err)
	}
	write(b, "cosign.yaml", config)
	write(b, "root.json", vsig.New(time.Now()).Root())
	return s
}

func (s *cosignScene) move(b *testing.B, from, to string) {
	b.Helper()
	if err := os.Rename(filepath.Join(workspace, from), filepath.Join(workspace, to)); err != nil {
		b.Fatal(err)
	}
}

func (s *cosignScene) cosign(b *testing.B, name string, args ...string) {
	b.Helper()
	cmd := exec.Command(tool(b, name), args...)
	cmd.Dir = workspace
	cmd.Env = append(os.Environ(), "COSIGN_PASSWORD=", "HOME="+workspace)
	if out, err := cmd.CombinedOutput(); err != nil {
		b.Fatalf("%s %s: %v: %s", name, args[0], err, out)
	}
}

// at names the chart by digest; by tag cosign warns, and asks once more.
func (s *cosignScene) at() string { return s.srv.Host() + "/" + s.repo + "@" + s.digest }

func (s *cosignScene) ours(b *testing.B, key, at string) process {
	b.Helper()
	input, err := json.Marshal("oci://" + at)
	if err != nil {
		b.Fatal(err)
	}
	query := fmt.Sprintf(`cosign.verify(input, {"public_keys": [%q]})`, key)
	return process{tool(b, "chartseal"), []string{"eval", "--config", "cosign.yaml", "--stdin-input", "--format", "raw", query}, input, "true"}
}

// start is our process without any verification: what cannot be gone below.
func (s *cosignScene) start(b *testing.B) process {
	b.Helper()
	return process{tool(b, "chartseal"), []string{"eval", "--config", "cosign.yaml", "--format", "raw", "1 == 1"}, nil, "true"}
}

func (s *cosignScene) theirs(b *testing.B, peer peerCosign, key, at string) process {
	b.Helper()
	// Without a root cosign would look for one at the other end of the world.
	args := append([]string{"verify", "--key", filepath.Join("trust", "keys", key+".pub"), "--insecure-ignore-tlog", "--trusted-root", "root.json"}, peer.args...)
	return process{path: tool(b, peer.name), args: append(args, at)}
}

// sameVerdicts makes sure that what is measured is the same work: all accept
// what is good, and refuse another key and a chart that nobody signed.
func (s *cosignScene) sameVerdicts(b *testing.B) {
	b.Helper()
	unsigned := s.srv.PushChart(s.repo, "1.2.4", forge.Archive(forge.Chart("web", "1.2.4")...), nil)
	for _, test := range []struct {
		what, key, at string
		want          bool
	}{
		{"good", "release", s.at(), true},
		{"another key", "stranger", s.at(), false},
		{"unsigned", "release", s.srv.Host() + "/" + s.repo + "@" + unsigned, false},
	} {
		if r := s.ours(b, test.key, test.at).run(b); r.verified != test.want {
			b.Fatalf("%s: chartseal says %v: %s", test.what, r.verified, r.output)
		}
		for _, peer := range s.peers {
			if r := s.theirs(b, peer, test.key, test.at).run(b); r.verified != test.want {
				b.Fatalf("%s: %s says %v: %s", test.what, peer.name, r.verified, r.output)
			}
		}
	}
}

func (s *cosignScene) measure(b *testing.B, d distance) []row {
	samples := map[string]sample{}
	for range d.rounds {
		samples["chartseal"] = append(samples["chartseal"], s.ours(b, "release", s.at()).run(b))
		if d.delay == 0 {
			samples["start"] = append(samples["start"], s.start(b).run(b))
		}
		for _, peer := range s.peers {
			samples[peer.name] = append(samples[peer.name], s.theirs(b, peer, "release", s.at()).run(b))
		}
	}
	name := fmt.Sprintf("%d × %s, %s away", s.signatures, s.name, d.delay)
	var measured []row
	for _, peer := range s.peers {
		goal := s.goal(d)
		r := row{name, peer.name, samples["chartseal"], samples[peer.name], compare(samples["chartseal"], samples[peer.name]), goal, 0}
		measured = append(measured, r)
		b.ReportMetric(r.ratio.median, "of-"+peer.name)
		if start := samples["start"]; start != nil {
			measured = append(measured, row{"its start alone", peer.name, start, r.theirs, compare(start, r.theirs), 0, 0})
		}
		if goal > 0 && r.ratio.median > 2*goal {
			b.Errorf("ratio to %s is %.2f, goal %.2f", peer.name, r.ratio.median, goal)
		}
	}
	return measured
}

// requests are counted by method and kind of path, in order of first use.
type requests struct {
	scenario, by string
	counts       map[string]int
}

// counted are printed when all is measured.
var counted []requests

func (s *cosignScene) count(b *testing.B) {
	b.Helper()
	for _, side := range append([]peerCosign{{name: "chartseal"}}, s.peers...) {
		run := s.ours(b, "release", s.at())
		if side.name != "chartseal" {
			run = s.theirs(b, side, "release", s.at())
		}
		s.srv.Forget()
		if r := run.run(b); !r.verified {
			b.Fatalf("%s: %s", side.name, r.output)
		}
		counts := map[string]int{}
		for _, r := range s.srv.Requests() {
			counts[r.Method+" "+kindOf(s.repo, s.digest, r.Path)]++
		}
		counted = append(counted, requests{fmt.Sprintf("%d × %s", s.signatures, s.name), side.name, counts})
	}
	s.wantFewest(b)
}

// wantFewest holds our own requests to what can be counted beforehand.
func (s *cosignScene) wantFewest(b *testing.B) {
	b.Helper()
	want := 3 + s.signatures
	if s.name == "bundle" {
		want = 3 + 2*s.signatures
	}
	ours := counted[len(counted)-1-len(s.peers)]
	if got := ours.total(); got != want {
		b.Errorf("%s: we made %d requests, want %d: %v", ours.scenario, got, want, ours.counts)
	}
}

// kindOf is a path in the registry without what differs from chart to chart.
func kindOf(repo, digest, path string) string {
	hex := strings.TrimPrefix(digest, "sha256:")
	rest, inRepo := strings.CutPrefix(path, "/v2/"+repo+"/")
	switch {
	case !inRepo:
		return path
	case rest == "manifests/"+digest:
		return "manifests/CHART"
	case rest == "manifests/sha256-"+hex:
		return "tag of CHART's referrers"
	case rest == "manifests/sha256-"+hex+".sig":
		return "manifests/CHART.sig"
	case strings.HasPrefix(rest, "manifests/sha256-"+hex):
		return strings.ReplaceAll(rest, "sha256-"+hex, "CHART")
	case strings.HasPrefix(rest, "referrers/"):
		return "referrers/CHART"
	}
	kind, _, _ := strings.Cut(rest, "/")
	return kind + "/…"
}

func (r requests) total() (n int) {
	for _, count := range r.counts {
		n += count
	}
	return n
}

func printRequests(w io.Writer, all []requests) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "requests\tby\tin all\tof these")
	for _, r := range all {
		var parts []string
		for _, kind := range slices.Sorted(maps.Keys(r.counts)) {
			parts = append(parts, fmt.Sprintf("%d %s", r.counts[kind], kind))
		}
		fmt.Fprintf(t, "%s\t%s\t%d\t%s\n", r.scenario, r.by, r.total(), strings.Join(parts, ", "))
	}
	_ = t.Flush()
}
