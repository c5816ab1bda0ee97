// SPDX-License-Identifier: Apache-2.0

package soak

import (
	"context"
	"fmt"
	"net/http/httptrace"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// A provider that was killed under load and starts with nothing verifies once,
// however many wait for it.
func TestKilledAndAskedByAThousand(t *testing.T) {
	p := newPlace(t)
	p.configure(patient...)
	keys := p.registry.push("web", 1)
	p.killUnderLoad(keys)
	p.registry.counted()
	release := p.registry.hold()
	defer release()

	r := p.start()
	g := p.gatekeeper(r)
	const callers = 1000
	var asked, verified atomic.Int64
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{WroteRequest: func(info httptrace.WroteRequestInfo) {
		if info.Err == nil && asked.Add(1) == callers {
			release()
		}
	}})
	crowd(callers, func(int) {
		a, err := g.try(ctx, keys[0])
		if err != nil {
			t.Error(err)
		} else if a.code() == "ok" {
			verified.Add(1)
		}
	})
	if verified.Load() != callers {
		t.Errorf("%d of %d verified", verified.Load(), callers)
	}
	counted := p.registry.counted()
	for path, n := range counted {
		if n != 1 && (strings.Contains(path, "/manifests/") || strings.Contains(path, "/blobs/")) {
			t.Errorf("%s was asked for %d times", path, n)
		}
	}
	if len(counted) < 3 {
		t.Errorf("the registry was asked for %v", counted)
	}
	if n := sum(r.metrics(), "chartseal_verifications_total"); n != 1 {
		t.Errorf("%v verifications", n)
	}
}

// killUnderLoad starts a provider, asks it from all sides and kills it.
func (p *place) killUnderLoad(keys []string) {
	p.t.Helper()
	r := p.start()
	g := p.gatekeeper(r)
	var answered atomic.Int64
	ctx, cancel := context.WithCancel(p.t.Context())
	defer cancel()
	var load sync.WaitGroup
	for n := range 4 {
		load.Go(func() {
			for i := n; ctx.Err() == nil; i++ {
				a, err := g.try(ctx, keys[i%len(keys)])
				if err != nil {
					if r.lives() && ctx.Err() == nil {
						<-r.exited // the kill was on its way
					}
					return
				}
				if a.outcomes()["rejected"] > 0 {
					p.t.Errorf("answer is %s", a.raw)
				}
				answered.Add(1)
			}
		})
	}
	eventually(p.t, "load", func() bool { return answered.Load() > 20 })
	r.kill()
	cancel()
	load.Wait()
}

func crowd(n int, do func(i int)) {
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { do(i) })
	}
	all.Wait()
}

// A thousand keys at once are no more than limits.host_requests at the
// registry; each is answered or has no verdict, and none is rejected. When
// time is not scarce all are verified.
func TestKilledAndAskedForAThousand(t *testing.T) {
	p := newPlace(t)
	keys := p.registry.push("web", 1000)
	for _, c := range []struct {
		name  string
		lines []string
	}{{"in Gatekeeper's time", nil}, {"with patience", patient}} {
		t.Run(c.name, func(t *testing.T) {
			p.t = t
			p.configure(c.lines...)
			p.registry.takes.Store(0)
			p.killUnderLoad(keys[:8])
			p.registry.counted()
			p.registry.takes.Store(int64(10 * time.Millisecond))
			g := p.gatekeeper(p.start())
			var mu sync.Mutex
			all, failed := map[string]int{}, 0
			crowd(50, func(i int) {
				mine := keys[i*20 : (i+1)*20]
				a, err := g.try(t.Context(), mine...)
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					failed++
					t.Error(err)
					return
				}
				for outcome, n := range a.outcomes() {
					all[outcome] += n
				}
				if open := len(mine) - len(a.Response.Items); open > 0 {
					all["undecided"] += open
					if !strings.HasPrefix(a.Response.SystemError, fmt.Sprintf("%d of 20 keys", open)) {
						t.Errorf("%d keys have no verdict: %s", open, a.Response.SystemError)
					}
				}
			})
			t.Logf("%v, at most %d requests at once", all, p.registry.peak.Load())
			if peak := p.registry.peak.Load(); peak > 32 || all["rejected"] > 0 || all["verified"]+all["undecided"] != 1000 {
				t.Errorf("at most %d requests at once, %v", peak, all)
			}
			if c.lines != nil && all["verified"] != 1000 {
				t.Errorf("%d of 1000 verified", all["verified"])
			}
			eventually(t, "the rest to be verified as well", func() bool {
				a := g.ask(keys[:64]...)
				return a.outcomes()["verified"] == 64
			})
		})
	}
}
