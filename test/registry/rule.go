// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"bytes"
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"
)

// A Rule says how requests are answered other than honestly. Status, Body,
// Redirect and Handler make an answer up; without any of them the honest
// answer is given, changed by the other fields.
type Rule struct {
	Method string // "" is any
	Path   string // glob in which * is any text, slashes too; "" is any
	Nth    int    // only the n-th request that Method and Path fit, from 1; 0 is each

	Status   int               // 200 if only Body is given, 307 if only Redirect
	Header   map[string]string // set whatever the answer sets itself; "" removes
	Body     []byte
	Repeat   int64  // how often Body is sent, 0 is once; negative is without end
	Redirect string // Location
	Handler  http.HandlerFunc

	Edit func(body []byte) []byte // changes the honest body

	Delay    time.Duration // before anything is answered
	Hang     bool          // never answers
	Trickle  Trickle       // how fast the body is sent
	CutAfter int64         // ends the connection after so many bytes of the body; 0 is never
	Reset    bool          // ends it by RST, before the answer or where CutAfter says
}

// Trickle is a pace: so many bytes, then a pause. The zero value is full speed.
type Trickle struct {
	Bytes int
	Every time.Duration
}

// rules in order; each counts the requests that fit it.
type rules struct {
	mu   sync.Mutex
	list []*counted
}

type counted struct {
	Rule
	glob *regexp.Regexp
	seen int
}

// Rule adds a rule after those that exist and returns what removes it.
func (s *Server) Rule(rule Rule) (remove func()) {
	s.rules.mu.Lock()
	defer s.rules.mu.Unlock()
	added := &counted{Rule: rule, glob: glob(rule.Path)}
	s.rules.list = append(s.rules.list, added)
	return func() { s.rules.remove(added) }
}

// Honest removes all rules.
func (s *Server) Honest() {
	s.rules.mu.Lock()
	defer s.rules.mu.Unlock()
	s.rules.list = nil
}

func (rs *rules) remove(rule *counted) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	var left []*counted
	for _, r := range rs.list {
		if r != rule {
			left = append(left, r)
		}
	}
	rs.list = left
}

func (rs *rules) match(r *http.Request) (Rule, bool) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	for _, rule := range rs.list {
		if !fits(rule.Method, rule.glob, r.Method, r.URL.Path) {
			continue
		}
		rule.seen++
		if rule.Nth == 0 || rule.Nth == rule.seen {
			return rule.Rule, true
		}
	}
	return Rule{}, false
}

// glob is the pattern in which * is any text.
func glob(pattern string) *regexp.Regexp {
	if pattern == "" {
		pattern = "*"
	}
	quoted := strings.ReplaceAll(regexp.QuoteMeta(pattern), `\*`, `.*`)
	return regexp.MustCompile(`\A(?s:` + quoted + `)\z`)
}

func fits(wantMethod string, wantPath *regexp.Regexp, method, path string) bool {
	return (wantMethod == "" || wantMethod == method) && wantPath.MatchString(path)
}

// lie answers as the rule says.
func (s *Server) lie(rule Rule, w http.ResponseWriter, r *http.Request) {
	a := &answer{ResponseWriter: w, rule: rule, ctx: r.Context(), done: s.done}
	a.pause(rule.Delay)
	if rule.Hang {
		a.pause(1 << 62)
	}
	if rule.Reset && rule.CutAfter == 0 {
		a.end()
	}
	switch {
	case rule.Handler != nil:
		rule.Handler(a, r)
	case rule.Status != 0 || rule.Body != nil || rule.Redirect != "":
		a.madeUp()
	case rule.Edit != nil:
		a.edited(s.honest, r)
	default:
		s.honest(a, r)
	}
}

// An answer is a response writer that keeps to a rule.
type answer struct {
	http.ResponseWriter
	rule Rule
	ctx  context.Context
	done chan struct{}
	head bool
	sent int64
}

// pause waits; whoever leaves first, client or server, ends the answer.
func (a *answer) pause(d time.Duration) {
	if d <= 0 {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-a.ctx.Done():
		panic(http.ErrAbortHandler)
	case <-a.done:
		panic(http.ErrAbortHandler)
	}
}

// end closes the connection where the answer stands.
func (a *answer) end() {
	if a.rule.Reset {
		if conn, _, err := http.NewResponseController(a.ResponseWriter).Hijack(); err == nil {
			reset(conn)
		}
	}
	panic(http.ErrAbortHandler)
}

func reset(conn net.Conn) {
	raw := conn
	if t, ok := conn.(*tls.Conn); ok {
		raw = t.NetConn()
	}
	if t, ok := raw.(*net.TCPConn); ok {
		_ = t.SetLinger(0)
	}
	_ = raw.Close()
}

func (a *answer) madeUp() {
	status := a.rule.Status
	switch {
	case status != 0:
	case a.rule.Redirect != "":
		status = http.StatusTemporaryRedirect
	default:
		status = http.StatusOK
	}
	if a.rule.Redirect != "" {
		a.Header().Set("Location", a.rule.Redirect)
	}
	if a.rule.Repeat == 0 {
		a.Header().Set("Content-Length", strconv.Itoa(len(a.rule.Body)))
	}
	a.WriteHeader(status)
	for i := int64(0); i < max(1, a.rule.Repeat) || a.rule.Repeat < 0; i++ {
		if _, err := a.Write(a.rule.Body); err != nil || len(a.rule.Body) == 0 {
			return
		}
	}
}

// edited gives the honest answer with another body.
func (a *answer) edited(honest http.HandlerFunc, r *http.Request) {
	rec := &recorder{header: a.Header(), status: http.StatusOK}
	honest(rec, r)
	body := a.rule.Edit(rec.body.Bytes())
	a.Header().Set("Content-Length", strconv.Itoa(len(body)))
	a.WriteHeader(rec.status)
	_, _ = a.Write(body)
}

type recorder struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (r *recorder) Header() http.Header         { return r.header }
func (r *recorder) WriteHeader(status int)      { r.status = status }
func (r *recorder) Write(b []byte) (int, error) { return r.body.Write(b) }

// WriteHeader puts the rule's header over the answer's own.
func (a *answer) WriteHeader(status int) {
	a.head = true
	for key, value := range a.rule.Header {
		if value == "" {
			a.Header().Del(key)
		} else {
			a.Header().Set(key, value)
		}
	}
	a.ResponseWriter.WriteHeader(status)
}

// Unwrap lets a handler hijack the connection.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// Write sends at the rule's pace and up to its cut.
func (a *answer) Write(b []byte) (int, error) {
	if !a.head {
		a.WriteHeader(http.StatusOK)
	}
	written := 0
	for len(b) > 0 {
		n, err := a.ResponseWriter.Write(b[:a.portion(len(b))])
		written, b, a.sent = written+n, b[n:], a.sent+int64(n)
		if err != nil {
			return written, err
		}
		if a.paced() {
			_ = http.NewResponseController(a.ResponseWriter).Flush()
		}
		if a.rule.CutAfter > 0 && a.sent >= a.rule.CutAfter {
			a.end()
		}
		a.pause(a.rule.Trickle.Every)
	}
	return written, nil
}

func (a *answer) paced() bool { return a.rule.Trickle.Every > 0 || a.rule.CutAfter > 0 }

// portion is how much of n bytes may be sent now.
func (a *answer) portion(n int) int {
	if a.rule.Trickle.Bytes > 0 {
		n = min(n, a.rule.Trickle.Bytes)
	}
	if a.rule.CutAfter > 0 {
		n = int(min(int64(n), a.rule.CutAfter-a.sent))
	}
	return n
}
