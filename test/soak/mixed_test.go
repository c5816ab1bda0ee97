// SPDX-License-Identifier: Apache-2.0

package soak

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// shortMix is how long the mixed load takes without CHARTSEAL_SOAK.
const shortMix = 8 * time.Second

// cacheBytes is small, so that the short form fills it as well.
const cacheBytes = 16 << 20

// A mix is load of all kinds on two registries: one answers, the other mostly
// hangs.
type mix struct {
	*place
	slow *front
	good []string
	g    *gatekeeper
	r    *process

	next  atomic.Int64 // number of the next key that nobody asked yet
	asked atomic.Int64

	mu       sync.Mutex
	verdicts map[string]int // by kind, outcome and code
}

// kinds make a key each, from a number that is never the same twice.
var kinds = map[string]func(m *mix, n int64) string{
	"missing": func(m *mix, n int64) string { return m.registry.key(fmt.Sprintf("charts/web:2.0.%d", n)) },
	"elsewhere": func(m *mix, n int64) string {
		return keyOf(fmt.Sprintf("oci://host%d.example.com/charts/web:1.0.0", n))
	},
	"garbage":   func(_ *mix, n int64) string { return fmt.Sprintf("garbage %d \x01\u2028 %x", n, n*7919) },
	"malformed": func(m *mix, n int64) string { return m.registry.key(fmt.Sprintf("charts/web:1.0.%d", n))[:60] },
	"no check":  func(_ *mix, n int64) string { return fmt.Sprintf(`{"check":"check%d","opts":{},"ref":"x"}`, n) },
	"slow":      func(m *mix, n int64) string { return m.slow.key(fmt.Sprintf("charts/web:2.0.%d", n)) },
	"good":      func(m *mix, n int64) string { return m.good[n%int64(len(m.good))] },
	"good anew": func(m *mix, n int64) string {
		return strings.Replace(m.good[n%int64(len(m.good))], `"keyrings"`, blanks(n)+`"keyrings"`, 1)
	},
	"other signer": func(m *mix, n int64) string {
		return strings.Replace(m.good[n%int64(len(m.good))], `"keyrings"`, fmt.Sprintf(`"signers":["%040X"],"keyrings"`, n), 1)
	},
}

// may is what each kind may be answered, "" for no verdict.
var may = map[string][]string{
	"missing": {"rejected not_found"}, "elsewhere": {"rejected source_denied"}, "garbage": {"rejected invalid_reference"},
	"malformed": {"rejected invalid_reference"}, "no check": {"rejected invalid_options"}, "slow": {"rejected not_found"},
	"good": {"verified ok"}, "good anew": {"verified ok"}, "other signer": {"rejected untrusted_signer"},
}

// blanks are another white space for each number.
func blanks(n int64) string {
	return strings.NewReplacer("0", " ", "1", "\t").Replace(strconv.FormatInt(n, 2))
}

// Whatever is asked and however much of it, memory levels off, and when it is
// over, goroutines and descriptors are where they were. Metrics have no series
// for what was asked (S12, S13).
func TestMixedLoad(t *testing.T) {
	m := newMix(t)
	g, goroutines, descriptors := m.g, m.r.metrics()["go_goroutines"], m.r.descriptors()
	began := m.r.resident()
	length := max(soak, shortMix)
	stop := make(chan struct{})
	var load sync.WaitGroup
	for n := range 8 {
		load.Go(func() { m.load(uint64(n), stop) })
	}
	curve, live, series := m.watch(length)
	close(stop)
	load.Wait()
	settles(t, m.place, g, m.r, goroutines, descriptors)
	t.Logf("%d keys asked", m.asked.Load())
	t.Logf("MiB of memory: %d at the start, then %v", began>>20, mebibytes(curve))
	t.Logf("MiB that lived: %v", mebibytes(live))
	m.judge(began, curve, series)
}

func newMix(t testing.TB) *mix {
	p := newPlace(t)
	m := &mix{place: p, slow: newFront(t), good: p.registry.push("web", 200), verdicts: map[string]int{}}
	p.hosts = fmt.Sprintf("- {host: %q, insecure: true}\n", m.slow.host())
	p.configure(fmt.Sprintf("cache: {bytes: %d}", cacheBytes))
	m.slow.answer(func(w http.ResponseWriter, r *http.Request) {
		if rand.IntN(4) == 0 { // so that it is not left alone all the time
			w.WriteHeader(http.StatusNotFound)
			return
		}
		hang(w, r)
	})
	// Nonexistent tags are answered here: what the registry remembers of
	// requests is not what is measured.
	p.registry.answer(func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.Path, "/manifests/2.0.") {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		p.registry.Server.ServeHTTP(w, r)
	})
	m.r = p.start()
	m.g = p.gatekeeper(m.r)
	return m
}

func (m *mix) load(seed uint64, stop chan struct{}) {
	random := rand.New(rand.NewPCG(seed, 1))
	names := slices.Sorted(maps.Keys(kinds))
	for {
		select {
		case <-stop:
			return
		default:
		}
		kindOf := map[string]string{}
		for range 1 + random.IntN(64) {
			kind := names[random.IntN(len(names))]
			if kind == "slow" && random.IntN(20) > 0 {
				kind = "missing"
			}
			kindOf[kinds[kind](m, m.next.Add(1))] = kind
		}
		a, err := m.g.try(m.t.Context(), slices.Collect(maps.Keys(kindOf))...)
		if err != nil {
			m.t.Errorf("request failed: %v", err)
			return
		}
		m.count(kindOf, a)
	}
}

func (m *mix) count(kindOf map[string]string, a answer) {
	m.asked.Add(int64(len(kindOf)))
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, item := range a.Response.Items {
		kind := kindOf[item.Key]
		m.verdicts[kind+": "+item.Value.Outcome+" "+item.Value.Code]++
		delete(kindOf, item.Key)
	}
	for _, kind := range kindOf {
		m.verdicts[kind+": undecided"]++
	}
}

// watch gives the memory over the time, and the series of metrics in the middle.
func (m *mix) watch(length time.Duration) (curve, live []int64, series map[string]float64) {
	const points = 24
	tick := time.NewTicker(length / points)
	defer tick.Stop()
	for n := range points {
		<-tick.C
		metrics := m.r.metrics()
		curve = append(curve, m.r.resident())
		live = append(live, int64(metrics["go_memstats_next_gc_bytes"])/2) // what the last collection found, with GOGC=100
		if m.registry.Forget(); n == points/2 {
			series = metrics
		}
	}
	return curve, live, series
}

func mebibytes(all []int64) (shown []int64) {
	for _, bytes := range all {
		shown = append(shown, bytes>>20)
	}
	return shown
}

func (m *mix) judge(began int64, curve []int64, middle map[string]float64) {
	t := m.t
	half := len(curve) / 2
	first, second := slices.Max(curve[:half]), slices.Max(curve[half:])
	if second > began+cacheBytes+64<<20 || second > first+cacheBytes {
		t.Errorf("memory grows: %d MiB at the start, %d in the first half, %d in the second", began>>20, first>>20, second>>20)
	}
	for _, verdict := range slices.Sorted(maps.Keys(m.verdicts)) {
		t.Logf("%8d %s", m.verdicts[verdict], verdict)
		kind, what, _ := strings.Cut(verdict, ": ")
		if what != "undecided" && !slices.Contains(may[kind], what) {
			t.Errorf("wrong verdict: %s", verdict)
		}
	}
	if m.verdicts["good: verified ok"] == 0 || m.verdicts["missing: rejected not_found"] == 0 {
		t.Error("nothing was decided")
	}
	m.judgeSeries(middle)
}

// judgeSeries wants few of them, none of which names anything that was asked.
func (m *mix) judgeSeries(middle map[string]float64) {
	end := m.r.metrics()
	for series := range end {
		for _, foreign := range []string{"charts/", "example.com", "check1", "sha256", "garbage "} {
			if strings.Contains(series, foreign) {
				m.t.Errorf("a series is called %s", series)
			}
		}
	}
	m.t.Logf("%d series in the middle, %d at the end", len(middle), len(end))
	if len(end) > 500 || len(end) > len(middle)+20 {
		m.t.Errorf("%d series in the middle, %d at the end", len(middle), len(end))
	}
}
