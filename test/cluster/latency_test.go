// SPDX-License-Identifier: Apache-2.0

package cluster_test

import (
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// TestLatency prints what our constraints add to admissions, as a user sees it
// at the API server. Figures depend on the machine; only errors fail.
// E2E_SECONDS gives them more than a few seconds.
func TestLatency(t *testing.T) {
	w := newNamedWorld(t, "--external-data-provider-response-cache-ttl=3m", "--audit-interval=0") // audits have a pod of their own
	dana := w.tenant()
	w.Apply(t, w.charts.real(shop))
	o := w.artifact(t, "web", "platform/web", "1.2.3")
	const n = 300
	w.applyProvider()
	w.applyTemplates(policies(t)...)
	constraints := w.constraints()
	w.Apply(t, nothingTemplate)
	nothing := read(t, nothingConstraint)[0]
	eventually(t, "Gatekeeper to serve Nothing", func() error {
		_, err := w.TryKubectl(t, nothingConstraint, "apply", "--dry-run=server", "-f", "-")
		return err
	})
	var without, least, with measurement
	for range 2 + seconds(t)/(10*time.Second) { // by turns, since the machine is not the same all the time
		without = without.and(w.admissions(t, dana, o, n))
		w.constrain(nothing)
		least = least.and(w.admissions(t, dana, o, n))
		w.lift(dana, nothing)
		w.constrain(constraints["trusted"])
		with = with.and(w.admissions(t, dana, o, n))
		w.lift(dana, constraints["trusted"])
	}
	t.Logf("without our constraints: %s", without)
	t.Logf("with a constraint that compares one field: %s", least.against(without))
	t.Logf("with trusted_charts: %s", with.against(without))
	w.constrain(constraints["trusted"])
	w.applyWebhook(w.gatekeeper.ClientCA)
	warm := w.admissions(t, dana, o, n)
	t.Logf("with trusted_charts and our webhook configuration: %s", warm.against(without))
	w.cold(t, dana, warm)
	w.steady(t, dana, 50, seconds(t))
	for _, name := range []string{"pinned", "sources", "engines"} {
		w.constrain(constraints[name])
	}
	t.Logf("with four policies and our webhook configuration: %s", w.admissions(t, dana, o, n).against(without))
}

// What Gatekeeper needs for any constraint at all.
const (
	nothingTemplate = `apiVersion: templates.gatekeeper.sh/v1
kind: ConstraintTemplate
metadata: {name: nothing}
spec:
  crd: {spec: {names: {kind: Nothing}}}
  targets:
  - target: admission.k8s.gatekeeper.sh
    rego: |
      package nothing

      violation[{"msg": "nothing is allowed"}] { input.review.object.kind == "Nothing" }
`
	nothingConstraint = `apiVersion: constraints.gatekeeper.sh/v1beta1
kind: Nothing
metadata: {name: nothing}
`
)

func seconds(t *testing.T) time.Duration {
	t.Helper()
	text := os.Getenv("E2E_SECONDS")
	if text == "" {
		return 5 * time.Second
	}
	n, err := strconv.Atoi(text)
	must(t, err)
	return time.Duration(n) * time.Second
}

// times are how long admissions took, sorted.
type times []time.Duration

func (ts times) at(share float64) time.Duration {
	return ts[min(len(ts)-1, int(share*float64(len(ts))))].Round(10 * time.Microsecond)
}

func (ts times) String() string {
	return fmt.Sprintf("p50 %s, p90 %s, p99 %s of %d", ts.at(.5), ts.at(.9), ts.at(.99), len(ts))
}

// A measurement is of admissions one after the other.
type measurement struct {
	times
	computed time.Duration // by Gatekeeper, for one
}

func (m measurement) String() string {
	return fmt.Sprintf("%s; Gatekeeper computes %s for one", m.times, m.computed.Round(10*time.Microsecond))
}

func (m measurement) and(more measurement) measurement {
	all := slices.Sorted(slices.Values(append(slices.Clone(m.times), more.times...)))
	computed := m.computed*time.Duration(len(m.times)) + more.computed*time.Duration(len(more.times))
	return measurement{all, computed / time.Duration(len(all))}
}

func (m measurement) against(other measurement) string {
	return fmt.Sprintf("%s; added p50 %s, p99 %s", m, m.at(.5)-other.at(.5), m.at(.99)-other.at(.99))
}

// admissions creates the object n times in a dry run, after it has become warm.
func (w *world) admissions(t *testing.T, dana *user, o *unstructured.Unstructured, n int) (m measurement) {
	t.Helper()
	for range 20 {
		must(t, dana.try(t.Context(), o))
	}
	before := w.gatekeeper.CPU()
	for range n {
		began := time.Now()
		must(t, dana.try(t.Context(), o))
		m.times = append(m.times, time.Since(began))
	}
	m.computed = (w.gatekeeper.CPU() - before) / time.Duration(n)
	slices.Sort(m.times)
	return m
}

// lift removes a constraint and waits until it denies nothing.
func (w *world) lift(dana *user, c *unstructured.Unstructured) {
	w.t.Helper()
	w.Kubectl(w.t, "", "delete", strings.ToLower(c.GetKind())+".constraints.gatekeeper.sh", c.GetName())
	unsigned := w.artifact(w.t, "web", "platform/unsigned", "1.2.3")
	eventually(w.t, "the end of "+c.GetName(), func() error { return dana.try(w.t.Context(), unsigned) })
	w.t.Logf("deleted %s %s", c.GetKind(), c.GetName())
}

// cold creates objects with charts that nobody has asked for before.
func (w *world) cold(t *testing.T, dana *user, warm measurement) {
	t.Helper()
	const n = 30
	var objects []*unstructured.Unstructured
	for i := range n {
		tag := fmt.Sprintf("3.0.%d", i)
		w.charts.publish("platform/web", tag, w.charts.platform)
		objects = append(objects, w.artifact(t, "web", "platform/web", tag))
	}
	trip := w.roundTrip(t)
	w.registry.Forget()
	var took times
	for _, o := range objects {
		began := time.Now()
		must(t, dana.try(t.Context(), o))
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	trips := time.Duration(len(w.registry.Requests()) / n)
	added := took.at(.5) - warm.at(.5)
	t.Logf("cold: %s; %d round trips of %s to the registry each; beside them, cold adds p50 %s", took, trips, trip, added-trips*trip)
}

// roundTrip is the time that one request to the registry takes.
func (w *world) roundTrip(t *testing.T) time.Duration {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: w.authority.Pool()}}}
	defer client.CloseIdleConnections()
	var took times
	for range 50 {
		began := time.Now()
		response, err := client.Get(w.registry.URL() + "/v2/platform/web/manifests/1.2.3")
		must(t, err)
		_, err = io.Copy(io.Discard, response.Body)
		must(t, err)
		must(t, response.Body.Close())
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	return took.at(.5)
}

// steady creates so many objects a second, of twenty charts, each tenth of which
// is unsigned.
func (w *world) steady(t *testing.T, dana *user, perSecond int, during time.Duration) {
	t.Helper()
	var (
		wait   sync.WaitGroup
		mu     sync.Mutex
		took   times
		errors int
	)
	next, pause := time.NewTimer(0), time.Second/time.Duration(perSecond)
	began := time.Now()
	for i := range int(during / pause) {
		<-next.C
		next.Reset(time.Until(began.Add(time.Duration(i+1) * pause))) // late ones are made up for
		wait.Go(func() {
			o, signed := w.nth(t, i)
			asked := time.Now()
			err := dana.create(t.Context(), o)
			mu.Lock()
			defer mu.Unlock()
			took = append(took, time.Since(asked))
			if (err == nil) != signed || (!signed && deniers(err)["trusted"] == "") {
				errors++
				t.Errorf("%s: the API server said: %v", o.GetName(), err)
			}
		})
	}
	wait.Wait()
	slices.Sort(took)
	t.Logf("%d objects a second for %s: %s, slowest %s; errors: %d", perSecond, during, took, took.at(1), errors)
}

// nth is one of many objects, and whether its chart is signed.
func (w *world) nth(t *testing.T, i int) (*unstructured.Unstructured, bool) {
	name := fmt.Sprintf("steady-%d", i)
	if i%10 == 9 {
		return w.artifact(t, name, "platform/unsigned", "1.2.3"), false
	}
	return w.artifact(t, name, "platform/web", fmt.Sprintf("3.0.%d", i%20)), true
}
