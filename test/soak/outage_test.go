// SPDX-License-Identifier: Apache-2.0

package soak

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// settles wants goroutines and descriptors of a process back where they were.
// Connections that are kept for those who come next are closed from outside.
func settles(t testing.TB, p *place, g *gatekeeper, r *process, goroutines float64, descriptors int) {
	t.Helper()
	began := time.Now()
	var now float64
	var open int
	eventually(t, "goroutines and descriptors to come back", func() bool {
		p.registry.http.CloseClientConnections()
		g.transport.CloseIdleConnections()
		now, open = r.metrics()["go_goroutines"], r.descriptors()
		return now <= goroutines+5 && open <= descriptors+5
	})
	t.Logf("goroutines %.0f → %.0f, descriptors %d → %d within %s", goroutines, now, descriptors, open, time.Since(began).Round(10*time.Millisecond))
}

// rest is what a provider has that does nothing, before it ever did anything.
func rest(p *place, r *process) (*gatekeeper, float64, int) {
	g := p.gatekeeper(r)
	return g, r.metrics()["go_goroutines"], r.descriptors()
}

// Ten thousand keys without an answer in time leave nothing behind (S12). The
// registry hangs for some and the breaker spares the others; none is a verdict.
func TestTimeouts(t *testing.T) {
	p := newPlace(t)
	r := p.start()
	g, goroutines, descriptors := rest(p, r)
	p.registry.answer(hang)
	var open, decided atomic.Int64
	crowd(20, func(i int) {
		for n := range 8 {
			var keys []string
			for k := range 64 {
				keys = append(keys, p.registry.key(fmt.Sprintf("charts/web:1.%d.%d", i*8+n, k)))
			}
			a, err := g.try(t.Context(), keys...)
			if err != nil {
				t.Error(err)
				continue
			}
			decided.Add(int64(len(a.Response.Items)))
			open.Add(int64(len(keys) - len(a.Response.Items)))
		}
	})
	if open.Load() != 20*8*64 || decided.Load() > 0 {
		t.Errorf("%d without a verdict, %d with one", open.Load(), decided.Load())
	}
	asked := p.registry.total.Load()
	eventually(t, "what is under way to end", func() bool {
		m := r.metrics()
		return m["chartseal_inflight"] == 0 && m["chartseal_waiting"] == 0
	})
	settles(t, p, g, r, goroutines, descriptors)
	t.Logf("%d keys, %d requests hung", open.Load(), asked)
}

// After an outage of any kind, short or long, the first to ask within a second
// gets a verdict; during it nobody does, and it asks little of the registry (S14).
func TestOutages(t *testing.T) {
	p := newPlace(t)
	good := p.registry.push("web", 40)
	r := p.start()
	g := p.gatekeeper(r)
	next := 0
	fresh := func() string {
		next++
		return good[next%len(good)]
	}
	for name, answer := range map[string]http.HandlerFunc{"503": status(503), "429 storm": status(429), "hanging": hang, "401": status(401)} {
		t.Run(name, func(t *testing.T) {
			// A machine that is busy may be late by itself; not every time.
			var best time.Duration
			for range 3 {
				p.configureListings(r)
				took := p.outage(t, g, answer, fresh)
				if best == 0 || took < best {
					best = took
				}
				if best <= time.Second {
					break
				}
			}
			t.Logf("decided %s after the outage", best.Round(time.Millisecond))
			if best > time.Second {
				t.Errorf("decided %s after the outage", best)
			}
		})
	}
	t.Run("flapping", func(t *testing.T) {
		p.configureListings(r)
		for n := range 20 {
			p.registry.answer(status(503))
			if n%2 == 0 {
				p.registry.answer(nil)
			}
			for _, item := range g.ask(fresh(), fresh()).Response.Items {
				if item.Value.Code != "ok" {
					t.Errorf("verdict is %+v", item.Value)
				}
			}
		}
		p.registry.answer(nil)
		eventually(t, "a verdict", func() bool { return g.ask(fresh()).code() == "ok" })
	})
}

var listings atomic.Int64

// configureListings makes another basis, on which nothing is remembered.
func (p *place) configureListings(r *process) {
	before := len(r.journal.entries("reloaded"))
	replace(p.t, p.config(), fmt.Appendf(nil, "# %d\n%s", listings.Add(1), p.configuration()))
	eventually(p.t, "another basis", func() bool { return len(r.journal.entries("reloaded")) > before })
}

// outage lets the registry fail until many were refused, and says how long
// after its end there is a verdict.
func (p *place) outage(t testing.TB, g *gatekeeper, answer http.HandlerFunc, fresh func() string) time.Duration {
	p.registry.answer(answer)
	p.registry.counted()
	for range 3 {
		crowd(20, func(i int) {
			a, err := g.try(t.Context(), p.registry.key(fmt.Sprintf("charts/web:1.0.%d", i)))
			if err != nil || len(a.Response.Items) > 0 {
				t.Errorf("answer in an outage is %s, %v", a.raw, err)
			}
		})
	}
	asked := p.registry.total.Load()
	p.registry.answer(nil)
	over := time.Now()
	for g.ask(fresh()).code() != "ok" {
		if time.Since(over) > patience {
			t.Fatal("no verdict after the outage")
		}
	}
	took := time.Since(over)
	t.Logf("60 keys, %d requests in the outage", asked)
	return took
}

// 200 callers with 20 keys each at a registry that is slow: the surplus is shed
// at once, while nothing is decided yet, and the rest is answered (S15).
func TestSurplusIsShed(t *testing.T) {
	p := newPlace(t)
	p.configure(patient...)
	p.registry.push("web", 1)
	r := p.start()
	g := p.gatekeeper(r)
	release := p.registry.hold()
	defer release()
	const callers, each = 200, 20
	var mu sync.Mutex
	decided, shed, other := 0, 0, 0
	done := make(chan struct{})
	go func() {
		defer close(done)
		crowd(callers, func(i int) {
			var keys []string
			for k := range each {
				keys = append(keys, p.registry.key(fmt.Sprintf("charts/web:3.%d.%d", i, k)))
			}
			a, err := g.try(t.Context(), keys...)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				t.Error(err)
				return
			}
			decided += len(a.Response.Items)
			for _, item := range a.Response.Items {
				if item.Value.Code != "not_found" {
					other++
				}
			}
			shed += each - len(a.Response.Items)
		})
	}()
	// 16 at the registry, 1024 wait, and the others know already.
	eventually(t, "the surplus to be shed", func() bool {
		m := r.metrics()
		return m["chartseal_shed_total"] == callers*each-1024-16 && m["chartseal_waiting"] == 1024 && m["chartseal_inflight"] == 16
	})
	alone := g.ask(p.registry.key("charts/web:9.9.9"))
	if !strings.Contains(alone.Response.SystemError, "unavailable") {
		t.Errorf("one more is answered %s", alone.raw)
	}
	t.Logf("one more caller is told after %s", alone.took)
	release()
	<-done
	if decided != 1024+16 || shed != callers*each-decided || other > 0 {
		t.Errorf("%d decided, %d shed, %d other verdicts", decided, shed, other)
	}
}

// While an audit asks for thousands of keys, 64 at a time, every admission has
// its verdict in its budget (S21).
func TestAuditAndAdmissions(t *testing.T) {
	p := newPlace(t)
	const audited = 5000
	p.registry.push("web", 1)
	admissions := p.registry.push("app", 40)
	p.registry.takes.Store(int64(5 * time.Millisecond))
	r := p.start()
	g := p.gatekeeper(r)
	keys := make(chan []string, audited/64+1)
	for from := 0; from < audited; from += 64 {
		var some []string
		for k := from; k < min(from+64, audited); k++ {
			some = append(some, p.registry.key(fmt.Sprintf("charts/web:2.0.%d", k)))
		}
		keys <- some
	}
	close(keys)
	var asked atomic.Int64
	over := make(chan struct{})
	go func() {
		defer close(over)
		crowd(4, func(int) {
			for some := range keys {
				if _, err := g.try(t.Context(), some...); err != nil {
					t.Error(err)
				}
				asked.Add(int64(len(some)))
			}
		})
	}()
	eventually(t, "the audit to be under way", func() bool { return r.metrics()["chartseal_waiting"] > 100 })
	var longest time.Duration
	n := 0
	for running := true; running && n < len(admissions); n++ {
		a := g.ask(admissions[n])
		longest = max(longest, a.took)
		if a.code() != "ok" {
			t.Errorf("admission %d of %d: %s after %s", n, len(admissions), a.raw, a.took)
		}
		select {
		case <-over:
			running = false
		default:
		}
	}
	<-over
	t.Logf("%d admissions during the audit of %d keys, longest %s", n, asked.Load(), longest)
}
