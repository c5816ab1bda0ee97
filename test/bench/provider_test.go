// SPDX-License-Identifier: Apache-2.0

package bench_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/chartseal/chartseal/test/bench/load"
)

// A providerScene is charts, one instance of each server for what is warm,
// and what is needed to start more.
type providerScene struct {
	*shelf
	servers []server    // ours first
	warm    []*instance // one of each
}

// BenchmarkProvider holds chartseal-provider against Ratify and against a
// handler that only gives bytes back: the same charts, key, registry and
// certificates, in turns.
func BenchmarkProvider(b *testing.B) {
	s := newProviderScene(b)
	s.sameVerdicts(b)
	s.countRequests(b)
	b.Run("warm", func(b *testing.B) {
		for b.Loop() {
			for _, w := range warmths {
				s.measureWarm(b, w)
			}
		}
	})
	b.Run("cold", func(b *testing.B) {
		for b.Loop() {
			for _, connections := range []int{1, 8} {
				s.measureCold(b, connections)
			}
		}
	})
	b.Run("herd", func(b *testing.B) {
		for b.Loop() {
			s.measureHerd(b)
		}
	})
}

func newProviderScene(b *testing.B) *providerScene {
	b.Helper()
	chartsealProvider.binary(b)
	writePKI(b)
	for _, command := range []struct{ name, pkg string }{{"load", "./load/cmd"}, {"bare", "./bare"}} {
		if out, err := exec.Command("go", "build", "-o", filepath.Join(workspace, command.name), command.pkg).CombinedOutput(); err != nil {
			b.Fatalf("building %s: %v: %s", command.name, err, out)
		}
	}
	s := &providerScene{shelf: newShelf(b, warmCharts+coldCharts), servers: []server{chartsealProvider}}
	if ratify.binary(b) == "" {
		fmt.Fprintln(os.Stderr, "Ratify is not here and is not measured: neither PEER_RATIFY nor CHARTSEAL_TOOLS/ratify names it")
	} else {
		s.servers = append(s.servers, ratify)
	}
	for _, server := range s.servers {
		s.warm = append(s.warm, server.start(b, s.shelf))
	}
	return s
}

// sameVerdicts makes sure that all servers do the same work: they accept what
// cosign signed and what was signed as cosign signs, and nothing else.
func (s *providerScene) sameVerdicts(b *testing.B) {
	b.Helper()
	want := map[string]bool{s.signed[0]: true, s.signed[1]: true, s.signed[len(s.signed)-1]: true}
	for _, digest := range s.refused {
		want[digest] = false
	}
	for _, i := range s.warm {
		for digest, verified := range want {
			key := i.key(s.host, digest)
			if got, given := i.verdicts(b, []string{key})[key]; got != verified || !given && i.name == chartsealProvider.name {
				b.Fatalf("%s says %v (a verdict: %v) of %s: %s", i.name, got, given, s.describe(digest), i.ask(b, []string{key}))
			}
		}
	}
}

func (s *providerScene) describe(digest string) string {
	for what, refused := range s.refused {
		if refused == digest {
			return "the chart that is " + what
		}
	}
	return "the good chart " + digest
}

// countRequests prints what one cold verification asks the registry for.
func (s *providerScene) countRequests(b *testing.B) {
	b.Helper()
	for _, server := range s.servers {
		i := server.start(b, s.shelf)
		i.ask(b, i.keys(s.counting.host, s.signed[2])) // what is asked of a registry once
		s.counting.take("")
		key := i.key(s.counting.host, s.signed[1])
		if !i.verdicts(b, []string{key})[key] {
			b.Fatalf("%s refuses what it is asked through another host", i.name)
		}
		counted = append(counted, requests{"one key, cold", i.name, s.counting.take(s.signed[1])})
		i.stop()
	}
}

// A warmth is how many keys are in a request, and over how many connections
// requests come.
type warmth struct{ keys, connections int }

var warmths = []warmth{{1, 8}, {10, 8}, {64, 8}, {1, 32}}

func (w warmth) String() string {
	if w.keys == 1 {
		return fmt.Sprintf("warm, 1 key, %d connections", w.connections)
	}
	return fmt.Sprintf("warm, %d keys, %d connections", w.keys, w.connections)
}

// How much is measured.
const (
	warmRounds, coldRounds, herdRounds = 30, 10, 10

	warmSeconds = 0.5  // that one side has in a round
	warmCharts  = 1    // charts that are asked for before anything is timed
	coldCharts  = 300  // that follow in a cold round
	callers     = 1000 // in a herd
)

// bodies are so many different requests in turn: one alone would have its
// callers wait for each other where a server locks by key.
const bodies = 32

func (s *providerScene) measureWarm(b *testing.B, w warmth) {
	results := map[string][]load.Result{}
	plans := map[string]load.Plan{}
	for _, i := range s.warm {
		plans[i.name] = s.warmPlan(i, w)
		i.warmUp(b, plans[i.name])
	}
	ours := s.warm[0]
	bare := startBare(b, ours.ask(b, plans[ours.name].Keys[0]))
	defer bare.stop()
	plans[bare.name] = s.warmPlan(bare, w)
	sides := append(slices.Clone(s.warm), bare)
	for range warmRounds {
		for _, i := range sides {
			results[i.name] = append(results[i.name], i.run(b, plans[i.name]))
		}
	}
	s.warmRows(b, w, results, bare)
}

func (s *providerScene) warmPlan(i *instance, w warmth) load.Plan {
	p := i.plan()
	p.Mode, p.Connections, p.Seconds = load.Warm, w.connections, warmSeconds
	for n := range bodies {
		var keys []string
		for k := range w.keys {
			keys = append(keys, i.key(s.host, s.signed[(n*w.keys+k)%len(s.signed)]))
		}
		p.Keys = append(p.Keys, keys)
	}
	return p
}

func (s *providerScene) warmRows(b *testing.B, w warmth, results map[string][]load.Result, bare *instance) {
	ours := results[chartsealProvider.name]
	perSecond := loadRow{scenario: w.String(), what: "requests/s", peer: ratify.name, of: load.Result.PerSecond, goal: 2.5, atLeast: true}
	report(b, perSecond, ours, results[ratify.name])
	report(b, loadRow{scenario: w.String(), what: "p99", peer: ratify.name, of: p99, goal: 0.6}, ours, results[ratify.name])
	perSecond.peer, perSecond.goal = bare.name, 0
	if w == (warmth{1, 8}) {
		perSecond.goal = 0.6 // more keys are more work, and none for the other
	}
	report(b, perSecond, ours, results[bare.name])
}

// measureCold asks fresh instances for charts that they have not seen, each
// once. What a process does only the first time is done before.
func (s *providerScene) measureCold(b *testing.B, connections int) {
	results := map[string][]load.Result{}
	for range coldRounds {
		for _, server := range s.servers {
			i := server.start(b, s.shelf)
			p := i.plan()
			p.Mode, p.Connections, p.First = load.Cold, connections, i.keys(s.host, s.signed[0])
			for _, digest := range s.signed[warmCharts:] {
				p.Keys = append(p.Keys, i.keys(s.host, digest))
			}
			results[i.name] = append(results[i.name], i.run(b, p))
			i.stop()
		}
	}
	row := loadRow{scenario: fmt.Sprintf("cold, distinct digests, %d at a time", connections), peer: ratify.name}
	row.what, row.of = "p50", func(r load.Result) float64 { return r.P50 }
	report(b, row, results[chartsealProvider.name], results[ratify.name])
	row.what, row.of, row.goal = "p95", func(r load.Result) float64 { return r.P95 }, 0.7
	report(b, row, results[chartsealProvider.name], results[ratify.name])
}

// measureHerd lets many callers ask for one chart that nobody asked for
// before; then once more, through the address where requests are counted.
func (s *providerScene) measureHerd(b *testing.B) {
	results := map[string][]load.Result{}
	for n := range herdRounds {
		for _, server := range s.servers {
			results[server.name] = append(results[server.name], s.herd(b, server, s.host, s.signed[warmCharts+n]))
		}
	}
	for _, server := range s.servers {
		s.herd(b, server, s.counting.host, s.signed[warmCharts])
		counted = append(counted, requests{fmt.Sprintf("%d callers, one cold key", callers), server.name, s.counting.take(s.signed[warmCharts])})
	}
	row := loadRow{scenario: fmt.Sprintf("%d callers at once, one cold key", callers), what: "p99", peer: ratify.name, of: p99, goal: 0.5}
	report(b, row, results[chartsealProvider.name], results[ratify.name])
}

// herd has a fresh instance asked by all at once. Where verifications are
// counted it makes sure that there is one.
func (s *providerScene) herd(b *testing.B, server server, host, digest string) load.Result {
	i := server.start(b, s.shelf)
	defer i.stop()
	p := i.plan()
	p.Mode, p.Connections = load.Herd, callers
	p.First, p.Keys = i.keys(s.host, s.signed[0]), [][]string{i.keys(host, digest)}
	i.ask(b, p.First)
	before := i.verifications(b)
	result := i.run(b, p)
	if ran := i.verifications(b) - before; ran != 1 && i.name == chartsealProvider.name {
		b.Errorf("%d callers of one cold key: %d verifications, want 1", callers, ran)
	}
	return result
}

func p99(r load.Result) float64 { return r.P99 }
