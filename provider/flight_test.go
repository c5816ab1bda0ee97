// SPDX-License-Identifier: Apache-2.0

package provider_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/chartseal/chartseal/builtins"
	"github.com/chartseal/chartseal/provider"
)

// eventually waits for what another goroutine is about to do.
func eventually(t testing.TB, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
	}
}

// hurried is a basis on which nobody waits long.
func hurried() provider.Basis {
	b := basis()
	b.Key, b.Deadline = time.Second, 1100*time.Millisecond
	return b
}

// What is decided in time is answered; the rest is named, goes on, and is found
// done by the next request.
func TestLateChecksGoOn(t *testing.T) {
	t.Parallel()
	f := newFake()
	p := newProvider(f, hurried())
	slow := key(`{"wait":"until told"}`, good)
	var keys []string
	for i := range 4 {
		keys = append(keys, key(`{}`, fmt.Sprintf(`"oci://reg.example.com/charts/web:1.0.%d"`, i)))
	}
	r := ask(t, p, append(keys, slow)...)
	if len(r.verdicts()) != 4 || r.verdicts()[slow] != "" || !strings.Contains(r.Response.SystemError, "web:1.2.3: timeout") {
		t.Errorf("got %d items, %s", len(r.verdicts()), r.Response.SystemError)
	}
	close(f.resume)
	eventually(t, "the slow check is answered", func() bool { return ask(t, p, slow).verdicts()[slow] == "ok" })
	if n := f.calls.Load(); n != 5 {
		t.Errorf("%d checks, want each once", n)
	}
}

// S10: the first of many callers hangs up; the others get their item, of one check.
func TestS10FirstCallerHangsUp(t *testing.T) {
	t.Parallel()
	f := newFake()
	p := newProvider(f, basis())
	k := key(`{"wait":"until told"}`, good)
	ctx, hangUp := context.WithCancel(context.Background())
	left := make(chan struct{})
	go func() {
		defer close(left)
		p.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, provider.Path, strings.NewReader(requestOf(k))).WithContext(ctx))
	}()
	eventually(t, "the first asks", func() bool { return f.calls.Load() == 1 })
	var waiting sync.WaitGroup
	var mu sync.Mutex
	answered := 0
	for range 49 {
		waiting.Go(func() {
			if ask(t, p, k).verdicts()[k] == "ok" {
				mu.Lock()
				answered++
				mu.Unlock()
			}
		})
	}
	hangUp()
	<-left
	close(f.resume)
	waiting.Wait()
	if answered != 49 || f.calls.Load() != 1 {
		t.Errorf("%d of 49 answered by %d checks", answered, f.calls.Load())
	}
}

// Of one host at most 16 checks run at once. A slow one holds up neither other
// hosts nor, for longer than a key's time, itself.
func TestSlowHostHoldsUpItself(t *testing.T) {
	t.Parallel()
	f := newFake()
	p := newProvider(f, hurried())
	var slow []string
	for i := range 64 {
		slow = append(slow, key(`{"wait":"until told"}`, fmt.Sprintf(`"oci://slow.example.com/charts/web:1.0.%d"`, i)))
	}
	done := make(chan wireResponse)
	go func() { done <- ask(t, p, slow...) }()
	eventually(t, "16 run", func() bool { return f.now.Load() == 16 })
	eventually(t, "another host is judged", func() bool { return ask(t, p, key(`{}`, good)).verdicts()[key(`{}`, good)] == "ok" })
	if r := <-done; len(r.Response.Items) != 0 {
		t.Errorf("%d items", len(r.Response.Items))
	}
	// 16 lost their turn to 16 others, and go on without one.
	eventually(t, "others have their turn", func() bool { return f.calls.Load() > 32 })
	close(f.resume)
}

// A request with many keys does not keep one with few from its turn.
func TestManyKeysWaitForFew(t *testing.T) {
	t.Parallel()
	f := newFake()
	p := newProvider(f, basis())
	var audit []string
	for i := range 64 {
		audit = append(audit, key(`{"wait":"until told"}`, fmt.Sprintf(`"oci://reg.example.com/charts/audit:1.0.%d"`, i)))
	}
	var waiting sync.WaitGroup
	for range 8 {
		waiting.Go(func() { ask(t, p, audit...) })
	}
	eventually(t, "the audit has all turns", func() bool { return f.now.Load() == 16 })
	admission := make(chan string)
	go func() { admission <- ask(t, p, key(`{}`, good)).verdicts()[key(`{}`, good)] }()
	close(f.resume)
	if got := <-admission; got != "ok" {
		t.Errorf("got %q", got)
	}
	waiting.Wait()
}

// More than may wait are refused at once, as undecided; those that wait are answered.
func TestSurplusIsShed(t *testing.T) {
	t.Parallel()
	f := newFake()
	registry := prometheus.NewRegistry()
	p := provider.New(provider.Config{Checks: []*builtins.Builtin{f.builtin()}, Metrics: registry}, basis())
	var waiting sync.WaitGroup
	var items atomic.Int64
	for caller := range 20 {
		var keys []string
		for i := range 64 {
			keys = append(keys, key(`{"wait":"until told"}`, fmt.Sprintf(`"oci://reg.example.com/charts/c%d:1.0.%d"`, caller, i)))
		}
		waiting.Go(func() { items.Add(int64(len(ask(t, p, keys...).Response.Items))) })
	}
	const run, wait = 16, 1024
	const surplus = 20*64 - run - wait
	eventually(t, "the surplus is refused", func() bool { return metric(t, registry, "chartseal_shed_total") == surplus })
	close(f.resume)
	if waiting.Wait(); items.Load() != run+wait || f.most.Load() > run {
		t.Errorf("%d items, %d at once", items.Load(), f.most.Load())
	}
}

// metric is the sum over all labels of one metric.
func metric(t testing.TB, from prometheus.Gatherer, name string) (sum float64) {
	t.Helper()
	families, err := from.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() != name {
			continue
		}
		for _, m := range family.GetMetric() {
			sum += m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	return sum
}

// Verdicts of another basis are never answered, be they remembered or under way.
func TestAnotherBasisBeginsAnew(t *testing.T) {
	t.Parallel()
	f := newFake()
	p := newProvider(f, basis())
	k, slow := key(`{}`, good), key(`{"wait":"until told"}`, good)
	ask(t, p, k)
	done := make(chan string)
	go func() { done <- ask(t, p, slow).verdicts()[slow] }()
	eventually(t, "the slow one is under way", func() bool { return f.now.Load() == 1 })
	p.Use(basis())
	go func() { done <- ask(t, p, slow).verdicts()[slow] }()
	eventually(t, "it is asked anew", func() bool { return f.now.Load() == 2 })
	ask(t, p, k)
	close(f.resume)
	if a, b := <-done, <-done; a != "ok" || b != "ok" || f.calls.Load() != 4 {
		t.Errorf("%q, %q, %d checks, want each twice", a, b, f.calls.Load())
	}
}

// After any number of deadlines that passed, nothing is left.
func TestNothingIsLeftBehind(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	f := newFake()
	b := hurried()
	b.Key, b.Deadline, b.Background = 2*time.Millisecond, 3*time.Millisecond, 20*time.Millisecond
	b.VerdictBytes = 0
	p := newProvider(f, b)
	for i := range 300 {
		k := key(`{"wait":"until told"}`, fmt.Sprintf(`"oci://reg%d.example.com/charts/web:1.0.0"`, i%7))
		if r := ask(t, p, k); len(r.Response.Items) > 0 {
			t.Fatalf("got %+v", r)
		}
	}
	eventually(t, "all checks end", func() bool { return f.now.Load() == 0 })
}

// S24: a wall clock that steps back an hour moves what verdicts are about, and
// neither how long they serve nor how long anybody waits.
func TestS24ClockStepsBack(t *testing.T) {
	t.Parallel()
	f := newFake()
	b := hurried()
	var stepped atomic.Bool
	b.Now = func() time.Time {
		if stepped.Load() {
			return time.Now().Add(-time.Hour).Round(0)
		}
		return time.Now().Round(0)
	}
	p := newProvider(f, b)
	k, slow := key(`{}`, good), key(`{"wait":"until told"}`, good)
	ask(t, p, k)
	stepped.Store(true)
	if got := ask(t, p, k).verdicts()[k]; got != "ok" || f.calls.Load() != 1 {
		t.Errorf("got %q by %d checks, want it remembered", got, f.calls.Load())
	}
	if r := ask(t, p, slow); len(r.Response.Items) > 0 || !strings.Contains(r.Response.SystemError, "timeout") {
		t.Errorf("the slow check: %+v", r.Response)
	}
	close(f.resume)
	eventually(t, "it is found done", func() bool { return ask(t, p, slow).verdicts()[slow] == "ok" })
	if f.calls.Load() != 2 {
		t.Errorf("%d checks, want each once", f.calls.Load())
	}
}
