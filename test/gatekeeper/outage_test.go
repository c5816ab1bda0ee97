// SPDX-License-Identifier: Apache-2.0

package gatekeeper

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/chartseal/chartseal/test/registry"
)

// S9: while the registry is out, everything is denied and nothing of that is
// remembered; the first right answer comes within a second of its return, where
// Gatekeeper remembers as well.
func TestS9OutageEnds(t *testing.T) {
	for cache, ttl := range map[string]time.Duration{"remembering nothing": 0, "remembering": 3 * time.Minute} {
		for outage, rule := range map[string]registry.Rule{
			"unavailable": {Status: http.StatusServiceUnavailable},
			"too many":    {Status: http.StatusTooManyRequests, Header: map[string]string{"Retry-After": "3600"}},
			"reset":       {Reset: true},
			"hanging":     {Hang: true},
		} {
			t.Run("S9 "+outage+", "+cache, func(t *testing.T) {
				within(t, time.Second, func() time.Duration {
					w := newWorld(t, "")
					return outageEnds(newGatekeeper(t, w.url, 2, ttl), w, rule)
				})
			})
		}
	}
}

// outageEnds says how long after the registry's return it is noticed.
func outageEnds(g *gatekeeper, w *world, rule registry.Rule) time.Duration {
	over := w.srv.Rule(rule)
	for range 3 {
		if results := g.review(stable); len(results) != 1 {
			g.t.Fatalf("%d violations during the outage", len(results))
		}
	}
	if g.cache != nil && g.remembers(signedBy(stable)) {
		g.t.Error("an outage is remembered")
	}
	over()
	back := time.Now()
	for len(g.review(stable)) > 0 {
		if time.Since(back) > time.Minute {
			g.t.Fatal("never admitted again")
		}
	}
	return time.Since(back)
}

// S7: the registry hangs for one key of five. By the deadline the others are
// answered, and it is named.
func TestS7OneOfFiveHangs(t *testing.T) {
	t.Parallel()
	const deadline, grace = 1500 * time.Millisecond, 200 * time.Millisecond
	within(t, deadline+grace, func() time.Duration {
		w := newWorld(t, "")
		slow := "https://" + host + "/slow/web-1.2.3.tgz"
		// Fast enough not to be silent, and not there in time.
		w.srv.Rule(registry.Rule{Path: "/slow/*.tgz", Trickle: registry.Trickle{Bytes: 1, Every: 100 * time.Millisecond}})
		began := time.Now()
		status, body := exchange(t, http.MethodPost, w.url, strings.NewReader(requestOf(t, signedBy(stable), signedBy(second), signedBy(altered), signedBy(bare), signedBy(slow))))
		took := time.Since(began)
		a := parse(t, body)
		if _, answered := a[signedBy(slow)]; status != http.StatusOK || len(a) != 4 || answered || !strings.Contains(body, `"systemError":"1 of 5 keys have no verdict: helm.verify_prov `+slow+`: timeout"`) {
			t.Logf("%d items: %s", len(a), body)
			return time.Hour
		}
		return took
	})
}
