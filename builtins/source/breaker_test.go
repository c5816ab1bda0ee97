// SPDX-License-Identifier: Apache-2.0

package source_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chartseal/chartseal/builtins"
	"github.com/chartseal/chartseal/builtins/source"
	"github.com/chartseal/chartseal/test/registry"
)

// A clock stands still until it is moved.
type clock struct{ passed atomic.Int64 }

func (c *clock) now() time.Time          { return noon.Add(time.Duration(c.passed.Load())) }
func (c *clock) move(d time.Duration)    { c.passed.Add(int64(d)) }
func (c *clock) config(s *source.Config) { s.Clock = c.now }

var noon = time.Date(2024, 5, 1, 12, 0, 0, 0, time.UTC)

func breaking(c *source.Config) { c.Breaker = &source.Breaker{} }

func soonSilent(l *builtins.Limits) { l.Silence = builtins.Duration(50 * time.Millisecond) }

const rest = 250 * time.Millisecond

// fetch asks for a file, by itself of a kilobyte at most.
func fetch(t testing.TB, client *source.Client, location string) error {
	_, err := client.Fetch(t.Context(), location, 1000)
	return err
}

func wantLeftAlone(t testing.TB, err error, host string) {
	t.Helper()
	wantCode(t, err, builtins.Unavailable)
	if err == nil || !strings.Contains(err.Error(), "host "+host+" did not answer") {
		t.Errorf("reason is %v, want that %s did not answer", err, host)
	}
}

func TestCircuitOpens(t *testing.T) {
	t.Parallel()
	for name, rule := range map[string]registry.Rule{
		"500":           {Status: 500},
		"503":           {Status: 503},
		"429":           {Status: 429, Header: map[string]string{"Retry-After": "3600"}},
		"reset":         {Reset: true},
		"a cut body":    {CutAfter: 10},
		"a reset body":  {CutAfter: 10, Reset: true},
		"silence":       {Hang: true},
		"a silent body": {Trickle: registry.Trickle{Bytes: 5, Every: time.Hour}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var clock clock
			w := newWorld(t)
			client := newClient(t, insecure(w.Server), breaking, clock.config, limits(soonSilent))
			file := w.URL() + "/stable/index.yaml"
			remove := w.Rule(rule)
			for i := range 5 {
				err := fetch(t, client, file)
				if builtins.CodeOf(err).Outcome() != builtins.Undecided || strings.Contains(err.Error(), "left alone") {
					t.Fatalf("request %d: %v", i, err)
				}
			}
			w.Forget()
			wantLeftAlone(t, fetch(t, client, file), w.URL())
			remove()
			clock.move(rest - 1)
			wantLeftAlone(t, fetch(t, client, file), w.URL())
			if n := len(w.Requests()); n > 0 {
				t.Errorf("%d requests arrived", n)
			}
			clock.move(1)
			for range 10 {
				wantCode(t, fetch(t, client, file), builtins.OK)
			}
			want := source.Stats{LeftAlone: 2, CircuitOpened: 1, CircuitClosed: 1}
			if got := client.Stats(); got != want {
				t.Errorf("stats are %+v, want %+v", got, want)
			}
		})
	}
}

func TestCircuitOpensForHostsThatAreNotThere(t *testing.T) {
	t.Parallel()
	down, other := newWorld(t), newWorld(t, registry.WithTLS(registry.NewCA().Config()))
	down.Close()
	for name, host := range map[string]string{"refused": down.URL(), "TLS": other.URL(), "DNS": "https://charts.example.com"} {
		t.Run(name, func(t *testing.T) {
			client := newClient(t, insecure(down.Server).and(secure(other.Server)), breaking, through(registry.NewNet()))
			for range 5 {
				err := fetch(t, client, host+"/x")
				if wantCode(t, err, builtins.Unavailable); strings.Contains(err.Error(), "left alone") {
					t.Fatal(err)
				}
			}
			wantLeftAlone(t, fetch(t, client, host+"/x"), host)
			w := newWorld(t, registry.On("127.0.0.3"))
			twin := newClient(t, insecure(down.Server, w.Server), breaking)
			_ = fetch(t, twin, host+"/x")
			wantCode(t, fetch(t, twin, w.URL()+"/stable/index.yaml"), builtins.OK)
		})
	}
}

// An author of objects names what he likes on a host that is well: others are
// answered all the same.
func TestCircuitStaysClosed(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		rule registry.Rule
		want builtins.Code
	}{
		"absent":         {registry.Rule{Status: 404}, builtins.NotFound},
		"gone":           {registry.Rule{Status: 410}, builtins.NotFound},
		"unauthorized":   {registry.Rule{Status: 401}, builtins.Denied},
		"forbidden":      {registry.Rule{Status: 403}, builtins.Denied},
		"bad request":    {registry.Rule{Status: 400}, builtins.Unavailable},
		"too long":       {registry.Rule{Status: 414}, builtins.Unavailable},
		"not supported":  {registry.Rule{Status: 501}, builtins.Unavailable},
		"too large":      {registry.Rule{Body: []byte(strings.Repeat("x", 2000))}, builtins.TooLarge},
		"a loop":         {registry.Rule{Redirect: "/bad/x"}, builtins.Unavailable},
		"denied":         {registry.Rule{Redirect: "ftp://example.com/x"}, builtins.SourceDenied},
		"inside":         {registry.Rule{Redirect: "https://169.254.169.254/x"}, builtins.SourceDenied},
		"another coding": {registry.Rule{Body: []byte("x"), Header: map[string]string{"Content-Encoding": "br"}}, builtins.Unavailable},
		"no gzip":        {registry.Rule{Body: []byte("x"), Header: map[string]string{"Content-Encoding": "gzip"}}, builtins.Unavailable},
		"long header":    {registry.Rule{Header: map[string]string{"X-Long": strings.Repeat("x", 100<<10)}}, builtins.Unavailable},
		"elsewhere down": {registry.Rule{Redirect: "http://127.0.0.8:1/x"}, builtins.Unavailable},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			hosts := insecure(w.Server).and(listed{"127.0.0.8:1": {Insecure: true}})
			client := newClient(t, hosts, breaking)
			c.rule.Path = "/bad/*"
			w.Rule(c.rule)
			for range 20 {
				err := fetch(t, client, w.URL()+"/bad/x")
				if builtins.CodeOf(err) != c.want {
					t.Fatalf("code is %s, want %s: %v", builtins.CodeOf(err), c.want, err)
				}
			}
			wantCode(t, fetch(t, client, w.URL()+"/stable/index.yaml"), builtins.OK)
		})
	}
	t.Run("another digest", func(t *testing.T) {
		w := newWorld(t)
		client := newClient(t, insecure(w.Server), breaking)
		defer w.Rule(registry.Rule{Path: "/v2/*/blobs/*", Edit: flipped})()
		for range 20 {
			_, err := readArchive(t.Context(), client, w.byTag(t))
			wantCode(t, err, builtins.DigestMismatch)
		}
		wantCode(t, fetch(t, client, w.URL()+"/stable/index.yaml"), builtins.OK)
	})
	t.Run("who does not wait", func(t *testing.T) {
		w := newWorld(t)
		client := newClient(t, insecure(w.Server), breaking)
		remove := w.Rule(registry.Rule{Hang: true})
		for _, leave := range []func() (context.Context, context.CancelFunc){
			func() (context.Context, context.CancelFunc) {
				return context.WithTimeout(t.Context(), 5*time.Millisecond)
			},
			func() (context.Context, context.CancelFunc) {
				ctx, cancel := context.WithCancel(t.Context())
				time.AfterFunc(5*time.Millisecond, cancel)
				return ctx, cancel
			},
		} {
			for range 10 {
				ctx, cancel := leave()
				_, err := client.Fetch(ctx, w.URL()+"/x", 10)
				wantCode(t, err, builtins.Timeout)
				cancel()
			}
		}
		remove()
		wantCode(t, fetch(t, client, w.URL()+"/stable/index.yaml"), builtins.OK)
	})
}

// Failures count only in a row.
func TestCircuitCountsInARow(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	client := newClient(t, insecure(w.Server), breaking)
	w.Rule(registry.Rule{Path: "/bad", Status: 503})
	for range 5 {
		for range 4 {
			wantCode(t, fetch(t, client, w.URL()+"/bad"), builtins.Unavailable)
		}
		wantCode(t, fetch(t, client, w.URL()+"/absent"), builtins.NotFound)
	}
	if got := client.Stats(); got != (source.Stats{}) {
		t.Errorf("stats are %+v", got)
	}
}

// Without a breaker, each request is sent.
func TestNoBreaker(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	client := newClient(t, insecure(w.Server))
	w.Rule(registry.Rule{Status: 503})
	for range 20 {
		wantCode(t, fetch(t, client, w.URL()+"/x"), builtins.Unavailable)
	}
	if n := len(w.Requests()); n != 20 {
		t.Errorf("%d requests arrived, want 20", n)
	}
}

// After a rest one request tries; whoever comes meanwhile is told at once, and
// after its answer everybody is let in.
func TestOneRequestTries(t *testing.T) {
	var clock clock
	w := newWorld(t)
	client := newClient(t, insecure(w.Server), breaking, clock.config)
	file := w.URL() + "/stable/index.yaml"
	remove := w.Rule(registry.Rule{Status: 503})
	for range 5 {
		wantCode(t, fetch(t, client, file), builtins.Unavailable)
	}
	remove()
	w.Forget()
	let := make(chan struct{})
	defer w.Rule(registry.Rule{Nth: 1, Handler: func(rw http.ResponseWriter, _ *http.Request) { <-let; _, _ = rw.Write([]byte("x")) }})()
	clock.move(rest)
	var first, all sync.WaitGroup
	first.Go(func() { wantCode(t, fetch(t, client, file), builtins.OK) })
	until(t, "a try", func() bool { return len(w.Requests()) == 1 })
	for range 1000 {
		all.Go(func() { wantLeftAlone(t, fetch(t, client, file), w.URL()) })
	}
	all.Wait()
	if n := len(w.Requests()); n != 1 {
		t.Errorf("%d requests arrived, want 1", n)
	}
	close(let)
	first.Wait()
	for range 1000 {
		all.Go(func() { wantCode(t, fetch(t, client, file), builtins.OK) })
	}
	all.Wait()
	nobodyWaits(t, client)
}

// Requests that hung before the host came back fail afterwards: nobody is left
// alone for that.
func TestLateFailures(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	client := newClient(t, insecure(w.Server), breaking, limits(func(l *builtins.Limits) { l.Silence = builtins.Duration(500 * time.Millisecond) }))
	remove := w.Rule(registry.Rule{Path: "/bad", Hang: true})
	defer remove()
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() { wantCode(t, fetch(t, client, w.URL()+"/bad"), builtins.Timeout) })
	}
	until(t, "a hang", func() bool { return w.Count("", "/bad") == 20 })
	wantCode(t, fetch(t, client, w.URL()+"/stable/index.yaml"), builtins.OK)
	all.Wait()
	wantCode(t, fetch(t, client, w.URL()+"/stable/index.yaml"), builtins.OK)
	if got := client.Stats(); got != (source.Stats{}) {
		t.Errorf("stats are %+v", got)
	}
}

// However a host failed, the first correct answer comes at most a second after
// it is back, though callers never stop asking.
func TestRecoveryWithinASecond(t *testing.T) {
	for name, rule := range map[string]registry.Rule{
		"503": {Status: 503}, "429": {Status: 429, Header: map[string]string{"Retry-After": "3600"}},
		"reset": {Reset: true}, "hang": {Hang: true}, "a silent body": {Trickle: registry.Trickle{Bytes: 5, Every: time.Hour}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			took := time.Hour
			for range 5 { // a busy machine may be late by itself
				if took = min(took, recovery(t, rule)); took <= time.Second {
					return
				}
			}
			t.Errorf("it took %s", took)
		})
	}
}

func recovery(t *testing.T, rule registry.Rule) time.Duration {
	w := newWorld(t)
	client := newClient(t, insecure(w.Server), breaking, limits(func(l *builtins.Limits) { l.Silence = builtins.Duration(500 * time.Millisecond) }))
	remove := w.Rule(rule)
	ctx, stop := context.WithCancel(t.Context())
	answered := make(chan time.Time, 1)
	var all sync.WaitGroup
	for range 40 {
		all.Go(func() {
			for ctx.Err() == nil {
				if _, err := client.Fetch(ctx, w.URL()+"/stable/index.yaml", 1000); err == nil {
					select {
					case answered <- time.Now():
					default:
					}
				}
				pause(ctx, 10*time.Millisecond)
			}
		})
	}
	until(t, "an open circuit", func() bool { return client.Stats().LeftAlone > 100 })
	remove()
	back := time.Now()
	took := (<-answered).Sub(back)
	stop()
	all.Wait()
	return took
}

// pause is the time between two questions of one caller.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// Who names hosts without end fills no memory.
func TestCircuitsAreBounded(t *testing.T) {
	client := newClient(t, nil, breaking, through(registry.NewNet()))
	for i := range 3000 {
		wantCode(t, fetch(t, client, fmt.Sprintf("https://h%d.example.com/x", i)), builtins.Unavailable)
	}
	until(t, "a bound", func() bool { return source.Circuits(client) <= 1024 })
	nobodyWaits(t, client)
}

// An insecure registry is asked what it speaks before it is asked for anything.
func TestCircuitOfAProbe(t *testing.T) {
	t.Parallel()
	var clock clock
	w := newWorld(t)
	dns := registry.NewNet()
	hosts := listed{"reg.example.com:5000": {Insecure: true}}
	client := newClient(t, hosts, breaking, clock.config, through(dns))
	ref := reference(t, "oci://reg.example.com:5000/charts/web:1.2.3")
	for range 5 {
		_, err := readArchive(t.Context(), client, ref)
		wantCode(t, err, builtins.Unavailable)
	}
	_, err := readArchive(t.Context(), client, ref)
	wantLeftAlone(t, err, "https://reg.example.com:5000")
	dns.Name("reg.example.com", "203.0.113.7")
	dns.Route("203.0.113.7:5000", w.Server)
	clock.move(rest)
	_, err = readArchive(t.Context(), client, ref)
	wantCode(t, err, builtins.OK)
}
