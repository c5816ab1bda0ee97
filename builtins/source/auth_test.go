// SPDX-License-Identifier: Apache-2.0

package source_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/chartseal/chartseal/builtins"
	"github.com/chartseal/chartseal/builtins/chartref"
	"github.com/chartseal/chartseal/builtins/source"
	"github.com/chartseal/chartseal/test/registry"
)

func TestN14Token(t *testing.T) {
	t.Parallel()
	t.Run("N14 twin", func(t *testing.T) {
		ca := registry.NewCA()
		w := newWorld(t, registry.WithTLS(ca.Config()), registry.WithToken("robot", "word"))
		client := newClient(t, secure(w.Server).with(w.Server, "robot", "word"), trusting(ca))
		for range 2 {
			got, err := readArchive(t.Context(), client, w.byTag(t))
			wantBytes(t, got, err, archive)
		}
		if n := w.Count("GET", "/token"); n != 1 {
			t.Errorf("asked for %d tokens, want 1", n)
		}
		for _, r := range w.Requests() {
			if r.Path == "/token" && !strings.Contains(r.Query, "scope=repository%3Acharts%2Fweb%3Apull&") {
				t.Errorf("query is %q", r.Query)
			}
		}
	})
	t.Run("N14 wrong password", func(t *testing.T) {
		ca := registry.NewCA()
		for _, how := range []registry.Option{registry.WithToken("robot", "word"), registry.WithBasic("robot", "word")} {
			w := newWorld(t, registry.WithTLS(ca.Config()), how)
			for _, hosts := range []listed{secure(w.Server), secure(w.Server).with(w.Server, "robot", "wrong")} {
				_, err := readArchive(t.Context(), newClient(t, hosts, trusting(ca)), w.byTag(t))
				wantCode(t, err, builtins.Denied)
			}
		}
	})
	for name, answer := range map[string]registry.Rule{
		"refuses":         {Status: 401, Body: []byte("no")},
		"gives a useless": {Body: []byte(`{"token": "useless"}`)},
	} {
		t.Run("N14 foreign realm "+name, func(t *testing.T) {
			_, away, ca := tlsPair(t)
			home := newWorld(t, registry.WithTLS(ca.Config()), registry.WithToken("robot", "word"), registry.WithRealm(away.URL()+"/token"))
			answer.Path = "/token"
			away.Rule(answer)
			hosts := secure(home.Server, away.Server).with(home.Server, "robot", "word").with(away.Server, "other", "secret")
			_, err := readArchive(t.Context(), newClient(t, hosts, trusting(ca)), home.byTag(t))
			wantCode(t, err, builtins.Denied)
			wantNoAuthorization(t, away.Server)
		})
	}
	t.Run("N14 foreign realm twin: a public registry", func(t *testing.T) {
		_, away, ca := tlsPair(t)
		home := newWorld(t, registry.WithTLS(ca.Config()), registry.WithToken("", ""), registry.WithRealm(away.URL()+"/token"))
		away.Rule(registry.Rule{Path: "/token", Handler: func(rw http.ResponseWriter, r *http.Request) { home.ServeHTTP(rw, r) }})
		got, err := readArchive(t.Context(), newClient(t, secure(home.Server, away.Server), trusting(ca)), home.byTag(t))
		wantBytes(t, got, err, archive)
	})
	for name, c := range map[string]struct {
		realm string
		want  builtins.Code
	}{
		"over http":     {"http://203.0.113.7/token", builtins.SourceDenied},
		"not permitted": {"https://169.254.169.254/token", builtins.SourceDenied},
		"no URL":        {"http://[", builtins.Unavailable},
		"relative":      {"token", builtins.SourceDenied},
	} {
		t.Run("N14 realm "+name, func(t *testing.T) {
			ca := registry.NewCA()
			w := newWorld(t, registry.WithTLS(ca.Config()), registry.WithToken("robot", "word"), registry.WithRealm(c.realm))
			_, err := readArchive(t.Context(), newClient(t, secure(w.Server).with(w.Server, "robot", "word"), trusting(ca)), w.byTag(t))
			wantCode(t, err, c.want)
		})
	}
	for name, c := range map[string]struct {
		rule registry.Rule
		want builtins.Code
	}{
		"of 1 GiB":        {registry.Rule{Body: []byte(`{"token": "x"}`), Header: map[string]string{"Content-Length": "1073741824"}}, builtins.Unavailable},
		"endless":         {registry.Rule{Body: []byte(`          `), Repeat: -1}, builtins.Unavailable},
		"no JSON":         {registry.Rule{Body: []byte(`<html>`)}, builtins.Unavailable},
		"absent":          {registry.Rule{Body: []byte(`{}`)}, builtins.Unavailable},
		"with line break": {registry.Rule{Body: []byte(`{"token": "a\r\nHost: b"}`)}, builtins.Unavailable},
		"404":             {registry.Rule{Status: 404, Body: []byte("x")}, builtins.Unavailable},
		"503":             {registry.Rule{Status: 503, Body: []byte("x")}, builtins.Unavailable},
		"403":             {registry.Rule{Status: 403, Body: []byte("x")}, builtins.Denied},
	} {
		t.Run("N14 token "+name, func(t *testing.T) {
			ca := registry.NewCA()
			w := newWorld(t, registry.WithTLS(ca.Config()), registry.WithToken("robot", "word"))
			c.rule.Path = "/token"
			w.Rule(c.rule)
			_, err := readArchive(t.Context(), newClient(t, secure(w.Server).with(w.Server, "robot", "word"), trusting(ca)), w.byTag(t))
			wantCode(t, err, c.want)
		})
	}
}

// A token that the registry does not take any more is replaced, once.
func TestTokenReplaced(t *testing.T) {
	t.Parallel()
	w := newWorld(t, registry.WithToken("", ""))
	client := newClient(t, insecure(w.Server))
	if _, err := readArchive(t.Context(), client, w.byTag(t)); err != nil {
		t.Fatal(err)
	}
	w.Rule(registry.Rule{Path: "/v2/*/manifests/*", Nth: 1, Status: 401, Body: []byte("x"),
		Header: map[string]string{"WWW-Authenticate": `Bearer realm="` + w.URL() + `/token"`}})
	got, err := readArchive(t.Context(), client, w.byTag(t))
	wantBytes(t, got, err, archive)
	if n := w.Count("GET", "/token"); n != 2 {
		t.Errorf("asked for %d tokens, want 2", n)
	}
}

// TestN23Canaries looks for secrets in every error that the world can provoke.
func TestN23Canaries(t *testing.T) {
	t.Parallel()
	const canary = "CANARY"
	ca := registry.NewCA()
	w := newWorld(t, registry.WithTLS(ca.Config()), registry.WithToken("robot-"+canary, "word-"+canary))
	client := newClient(t, secure(w.Server).with(w.Server, "robot-"+canary, "word-"+canary), trusting(ca))
	refs := w.everyWay(t)
	refs["query"] = reference(t, w.URL()+"/stable/web-1.2.3.tgz?token="+canary)
	hide := map[string]string{"Set-Cookie": canary}
	for name, rule := range map[string]registry.Rule{
		"404": {Status: 404, Body: []byte(canary), Header: hide}, "401": {Status: 401, Body: []byte(canary)}, "503": {Status: 503, Body: []byte(canary), Header: hide},
		"userinfo":     {Status: 302, Body: []byte("x"), Header: map[string]string{"Location": "https://robot:" + canary + "@127.0.0.1/x"}},
		"query":        {Status: 302, Body: []byte("x"), Header: map[string]string{"Location": "http://203.0.113.7/x?token=" + canary}},
		"broken URL":   {Status: 302, Body: []byte("x"), Header: map[string]string{"Location": "https://robot:" + canary + "@[/x"}},
		"realm":        {Status: 401, Body: []byte("x"), Header: map[string]string{"WWW-Authenticate": `Bearer realm="https://x:` + canary + `@127.0.0.1/token?x=` + canary + `"`}},
		"broken realm": {Status: 401, Body: []byte("x"), Header: map[string]string{"WWW-Authenticate": `Bearer realm="https://` + canary + `@["`}},
		"token":        {Body: []byte(`{"token": "CANARY` + "\\n" + `"}`)},
		"reset":        {Reset: true}, "cut": {CutAfter: 3}, "hang": {Hang: true},
		"large": {Body: []byte("x"), Header: map[string]string{"Content-Length": "1099511627776"}},
	} {
		for way, ref := range refs {
			if name == "token" && ref.Scheme != "oci" && ref.Kind == chartref.URL {
				continue // which takes no token
			}
			t.Run("N23 "+name+" "+way, func(t *testing.T) {
				fresh := newClient(t, secure(w.Server).with(w.Server, "robot-"+canary, "word-"+canary), trusting(ca),
					limits(func(l *builtins.Limits) { l.Silence = builtins.Duration(100 * time.Millisecond) }))
				defer w.Rule(rule)()
				_, err := readArchive(t.Context(), fresh, ref)
				if err == nil {
					t.Fatal("no error to look at")
				}
				if text := fmt.Sprintf("%v %+v", err, err); strings.Contains(text, canary) {
					t.Errorf("the error tells: %s", text)
				}
			})
		}
	}
	for _, ref := range refs {
		if _, err := readArchive(t.Context(), client, ref); err != nil {
			t.Errorf("N23 twin: %v", err)
		}
	}
}

// Long tokens of many repositories take no more memory than all tokens may; one
// that is used stays.
func TestTokensAreBounded(t *testing.T) {
	t.Parallel()
	w := newWorld(t, registry.WithToken("", ""))
	client := newClient(t, insecure(w.Server))
	remove := w.Rule(registry.Rule{Path: "/token*", Body: []byte(`{"token": "` + strings.Repeat("x", 60<<10) + `"}`)})
	for i := range 100 {
		_, err := client.Resolve(t.Context(), reference(t, fmt.Sprintf("oci://%s/charts/web%d:1.2.3", w.Host(), i)))
		wantCode(t, err, builtins.Denied)
	}
	if n := source.TokenBytes(client); n == 0 || n > 4<<20 {
		t.Errorf("tokens take %d bytes", n)
	}
	remove()
	for range 3 {
		wantCode(t, closed(client.Resolve(t.Context(), w.byTag(t))), builtins.OK)
	}
}
