// SPDX-License-Identifier: Apache-2.0

package soak

import (
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chartseal/chartseal/builtins"
	"github.com/chartseal/chartseal/test/forge"
	"github.com/chartseal/chartseal/test/registry"
)

// A front stands before a registry: it counts what is asked at once and how
// often, and answers otherwise when it is told to.
type front struct {
	*registry.Server
	http    *httptest.Server
	inside  atomic.Int64
	peak    atomic.Int64
	total   atomic.Int64
	open    atomic.Int64                     // connections
	instead atomic.Pointer[http.HandlerFunc] // of the registry
	takes   atomic.Int64                     // time for an answer

	mu    sync.Mutex
	count map[string]int // by path
}

func newFront(t testing.TB, opts ...registry.Option) *front {
	t.Helper()
	f := &front{count: map[string]int{}}
	f.http = httptest.NewUnstartedServer(f)
	f.Server = registry.New(t, append(opts, registry.WithRealm("http://"+f.http.Listener.Addr().String()+"/token"))...)
	f.http.Config.ErrorLog = log.New(io.Discard, "", 0)
	f.http.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		switch state {
		case http.StateNew:
			f.open.Add(1)
		case http.StateClosed, http.StateHijacked:
			f.open.Add(-1)
		}
	}
	f.http.Start()
	t.Cleanup(func() {
		f.http.CloseClientConnections()
		f.http.Close()
	})
	return f
}

func (f *front) host() string { return strings.TrimPrefix(f.http.URL, "http://") }

// answer lets something else answer, nil the registry.
func (f *front) answer(instead http.HandlerFunc) {
	if instead == nil {
		f.instead.Store(nil)
		return
	}
	f.instead.Store(&instead)
}

func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.total.Add(1)
	for now := f.inside.Add(1); ; {
		if before := f.peak.Load(); now <= before || f.peak.CompareAndSwap(before, now) {
			break
		}
	}
	defer f.inside.Add(-1)
	if instead := f.instead.Load(); instead != nil {
		(*instead)(w, r)
		return
	}
	f.honest(w, r)
}

// honest lets the registry answer.
func (f *front) honest(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	f.count[r.URL.Path]++
	f.mu.Unlock()
	if takes := f.takes.Load(); takes > 0 {
		time.Sleep(time.Duration(takes))
	}
	f.Server.ServeHTTP(w, r)
}

// counted gives how often each path was asked for, and forgets it.
func (f *front) counted() map[string]int {
	f.mu.Lock()
	defer f.mu.Unlock()
	all := f.count
	f.count = map[string]int{}
	f.Forget()
	f.peak.Store(0)
	f.total.Store(0)
	return all
}

// hold lets everybody wait until release is called.
func (f *front) hold() (release func()) {
	gate := make(chan struct{})
	f.answer(func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-gate:
			f.honest(w, r)
		case <-r.Context().Done():
		}
	})
	return sync.OnceFunc(func() {
		f.answer(nil)
		close(gate)
	})
}

// hang is for a registry that never answers.
func hang(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "3600")
		w.WriteHeader(code)
	}
}

// push adds so many versions of a chart that the signer has signed, and gives
// the keys that ask for them.
func (f *front) push(name string, versions int) (keys []string) {
	for i := range versions {
		version := fmt.Sprintf("1.0.%d", i)
		archive := forge.Archive(forge.Chart(name, version)...)
		text := forge.ProvenanceText(forge.ChartYAML(name, version), name+"-"+version+".tgz", builtins.SHA256(archive))
		f.PushChart("charts/"+name, version, archive, []byte(forge.Clearsigned(text, signer.Sign(text, forge.SignatureSpec{}))))
		keys = append(keys, f.key("charts/"+name+":"+version))
	}
	return keys
}

// key asks whether what a path of the registry names was signed by the team.
func (f *front) key(path string) string { return keyOf("oci://" + f.host() + "/" + path) }

func keyOf(ref string) string {
	return fmt.Sprintf(`{"check":"helm.verify_prov","opts":{"keyrings":["team"]},"ref":%q}`, ref)
}
