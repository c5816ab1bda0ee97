// SPDX-License-Identifier: Apache-2.0

package cosign_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/chartseal/chartseal/builtins"
	"github.com/chartseal/chartseal/test/forge"
	"github.com/chartseal/chartseal/test/registry"
)

// A liar answers each request anew, by chance: as another registry would that
// has the signed chart in the place of the evil one, or with any of the lies.
type liar struct {
	truth      http.Handler
	good, evil string // digests of manifests
	trap       string // where nobody may go
}

func (l *liar) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	lies[rand.IntN(len(lies))].tell(l, w, r)
}

// answer is what the truth says when asked for one chart in place of another.
func (l *liar) answer(r *http.Request, of, inPlaceOf string) *httptest.ResponseRecorder {
	asked := r.Clone(r.Context())
	for _, form := range []func(string) string{func(d string) string { return d }, func(d string) string { return strings.Replace(d, ":", "-", 1) }} {
		asked.URL.Path = strings.ReplaceAll(asked.URL.Path, form(inPlaceOf), form(of))
	}
	rec := httptest.NewRecorder()
	l.truth.ServeHTTP(rec, asked)
	return rec
}

func (l *liar) honest(r *http.Request) *httptest.ResponseRecorder { return l.answer(r, "", "-") }

func pass(w http.ResponseWriter, rec *httptest.ResponseRecorder, body []byte) {
	for name, values := range rec.Header() {
		w.Header()[name] = values
	}
	w.WriteHeader(rec.Code)
	_, _ = w.Write(body)
}

// A lie changes the true answer, or is one of its own.
var lies = []struct {
	name string
	tell func(l *liar, w http.ResponseWriter, r *http.Request)
}{
	{"the truth", func(l *liar, w http.ResponseWriter, r *http.Request) {
		rec := l.honest(r)
		pass(w, rec, rec.Body.Bytes())
	}},
	{"the good chart's answer for the evil one", func(l *liar, w http.ResponseWriter, r *http.Request) {
		rec := l.answer(r, l.good, l.evil)
		pass(w, rec, rec.Body.Bytes())
	}},
	{"the same, said to be the evil one's", func(l *liar, w http.ResponseWriter, r *http.Request) {
		rec := l.answer(r, l.good, l.evil)
		rec.Header().Set("Docker-Content-Digest", l.evil)
		pass(w, rec, []byte(strings.ReplaceAll(rec.Body.String(), l.good, l.evil)))
	}},
	{"the evil chart's answer, said to be the good one's", func(l *liar, w http.ResponseWriter, r *http.Request) {
		rec := l.answer(r, l.evil, l.good)
		rec.Header().Set("Docker-Content-Digest", l.good)
		pass(w, rec, []byte(strings.ReplaceAll(rec.Body.String(), l.evil, l.good)))
	}},
	{"an old type", func(l *liar, w http.ResponseWriter, r *http.Request) {
		rec := l.honest(r)
		rec.Header().Set("Content-Type", "application/vnd.docker.distribution.manifest.v1+prettyjws")
		pass(w, rec, rec.Body.Bytes())
	}},
	{"an index", func(l *liar, w http.ResponseWriter, r *http.Request) {
		rec := l.honest(r)
		rec.Header().Set("Content-Type", "application/vnd.oci.image.index.v1+json")
		pass(w, rec, rec.Body.Bytes())
	}},
	{"a length too long", func(l *liar, w http.ResponseWriter, r *http.Request) {
		rec := l.honest(r)
		rec.Header().Set("Content-Length", fmt.Sprint(rec.Body.Len()+1))
		pass(w, rec, rec.Body.Bytes())
	}},
	{"a length too short", func(l *liar, w http.ResponseWriter, r *http.Request) {
		rec := l.honest(r)
		rec.Header().Set("Content-Length", fmt.Sprint(rec.Body.Len()/2))
		pass(w, rec, rec.Body.Bytes())
	}},
	{"gzip that is none", func(l *liar, w http.ResponseWriter, r *http.Request) {
		rec := l.honest(r)
		rec.Header().Set("Content-Encoding", "gzip")
		pass(w, rec, rec.Body.Bytes())
	}},
	{"pages without end", func(l *liar, w http.ResponseWriter, r *http.Request) {
		rec := l.honest(r)
		rec.Header().Set("Link", fmt.Sprintf(`<%s?n=%d>; rel="next"`, r.URL.Path, rand.Int()))
		pass(w, rec, rec.Body.Bytes())
	}},
	{"a body without end", func(_ *liar, w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			if _, err := w.Write(make([]byte, 64<<10)); err != nil {
				return
			}
		}
	}},
	{"silence", func(_ *liar, _ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }},
	{"a metadata address", func(_ *liar, w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://169.254.169.254/latest/meta-data/", http.StatusFound)
	}},
	{"another host", func(l *liar, w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, l.trap+r.URL.Path, http.StatusTemporaryRedirect)
	}},
	{"itself", func(_ *liar, w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, r.URL.Path, http.StatusTemporaryRedirect)
	}},
	{"a realm elsewhere", func(l *liar, w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm="%s/token",service="x"`, l.trap))
		w.WriteHeader(http.StatusUnauthorized)
	}},
	{"nothing", func(*liar, http.ResponseWriter, *http.Request) {}},
	{"that it is not there", func(_ *liar, w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotFound) }},
	{"that it is busy", func(_ *liar, w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTooManyRequests) }},
	{"that it is broken", func(_ *liar, w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }},
}

// TestLyingRegistry asks a liar about a chart that nobody trusted signed, next
// to one that is well signed: it is never verified, and there is always an
// answer before the deadline. What it said is remembered, or is not.
func TestLyingRegistry(t *testing.T) {
	const deadline = 100 * time.Millisecond
	truth, trap := newWorld(t), registry.New(t, registry.On("127.0.0.9"))
	truth.sign(2, 2)
	evil := truth.srv.PushChart(repo, "evil", forge.Archive(forge.Chart("web", "1.2.3", forge.Entry{Name: "web/evil"})...), nil)
	l := &liar{truth: truth.srv, good: truth.digest, evil: evil, trap: trap.URL()}
	for _, remembers := range []time.Duration{0, listings} {
		t.Run(fmt.Sprintf("remembering for %s", remembers), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.env = w.newEnv(remembers)
			w.env.Limits.Reference = builtins.Duration(deadline)
			w.srv.Rule(registry.Rule{Path: "/v2/*", Handler: l.ServeHTTP})
			codes := map[builtins.Code]int{}
			for i := range 200 {
				ref := "oci://" + w.srv.Host() + "/" + repo + "@" + evil
				if i%2 == 0 {
					ref = "oci://" + w.srv.Host() + "/" + repo + ":evil"
				}
				start := time.Now()
				rep := w.callOnce(ref, byRelease)
				if took := time.Since(start); took > deadline+time.Second {
					t.Errorf("answer after %s", took)
				}
				if rep.Verified {
					t.Fatalf("verified: %+v", rep)
				}
				codes[rep.Code]++
				w.pass(listings)
			}
			if len(codes) < 5 || codes[builtins.Internal] > 0 {
				t.Errorf("codes %v", codes)
			}
		})
	}
	t.Cleanup(func() {
		if got := trap.Requests(); len(got) > 0 {
			t.Errorf("the other host was asked: %+v", got)
		}
	})
	t.Run("valid twin: the truth about the good chart", func(t *testing.T) {
		expect(t, truth.call(truth.ref(), byRelease), builtins.OK)
	})
}
