// SPDX-License-Identifier: Apache-2.0

// Package outage holds policies against registries that fail, hang and
// crawl: nothing is ever admitted, and the answer comes in time.
package outage

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/open-policy-agent/opa/v1/rego"

	"github.com/chartseal/chartseal/builtins"
	"github.com/chartseal/chartseal/builtins/all"
	"github.com/chartseal/chartseal/builtins/config"
	"github.com/chartseal/chartseal/builtins/opa"
	"github.com/chartseal/chartseal/test/forge"
	"github.com/chartseal/chartseal/test/registry"
)

const (
	deadline = time.Second
	grace    = 50 * time.Millisecond

	// A busy machine may be late by itself; it is not five times in a row.
	attempts = 5
)

var (
	env  = &builtins.Env{}
	key  = forge.NewKey(forge.KeySpec{UserID: "Web Team <web@example.com>"})
	opts = map[string]any{"keyring": key.ArmoredPublic()}
)

func TestMain(m *testing.M) {
	opa.Register(env, all.Builtins...)
	os.Exit(m.Run())
}

// A place is a server with one signed chart, in a repository and in a registry.
type place struct {
	*registry.Server
	refs map[string]any
}

// open starts a server and configures env for it, as chartseal.yaml would.
func open(t *testing.T, limit time.Duration) place {
	t.Helper()
	srv := registry.New(t)
	archive := forge.Archive(forge.Chart("web", "1.2.3")...)
	text := forge.ProvenanceText(forge.ChartYAML("web", "1.2.3"), "web-1.2.3.tgz", builtins.SHA256(archive))
	prov := []byte(forge.Clearsigned(text, key.Sign(text, forge.SignatureSpec{})))
	srv.AddChart("stable", archive, prov)
	srv.PushChart("charts/web", "1.2.3", archive, prov)
	configure(t, srv.Host(), limit)
	return place{srv, map[string]any{
		"archive":    srv.URL() + "/stable/web-1.2.3.tgz",
		"repository": map[string]any{"repository": srv.URL() + "/stable", "name": "web", "version": "1.2.3"},
		"oci":        "oci://" + srv.Host() + "/charts/web:1.2.3",
	}}
}

func configure(t *testing.T, host string, limit time.Duration) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "chartseal.yaml")
	text := fmt.Sprintf("registries:\n- host: %s\n  insecure: true\nlimits:\n  connect: 30s\n  reference: %s\n", host, limit)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	built, err := cfg.Env(slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	*env = *built
}

// What may go wrong between us and a server.
var outages = []struct {
	name    string
	break_  func(*registry.Server)
	code    string
	waiting bool // takes the whole deadline
}{
	{"down", (*registry.Server).Close, "unavailable", false},
	{"500", answer(500), "unavailable", false},
	{"503", answer(503), "unavailable", false},
	{"429", func(s *registry.Server) {
		s.Rule(registry.Rule{Status: 429, Header: map[string]string{"Retry-After": "3600"}})
	}, "unavailable", false},
	{"401", answer(401), "denied", false},
	{"403", answer(403), "denied", false},
	{"reset", func(s *registry.Server) { s.Rule(registry.Rule{Reset: true}) }, "unavailable", false},
	{"hanging", func(s *registry.Server) { s.Rule(registry.Rule{Hang: true}) }, "timeout", true},
	{"a byte a second", func(s *registry.Server) {
		s.Rule(registry.Rule{Trickle: registry.Trickle{Bytes: 1, Every: time.Second}})
	}, "timeout", true},
}

func answer(status int) func(*registry.Server) {
	return func(s *registry.Server) { s.Rule(registry.Rule{Status: status}) }
}

// Policies in the idioms that people write; each must deny whatever happens.
const policy = `package p

allow_predicate if helm.verify_prov(input.ref, input.opts)

allow_report if helm.verify_prov_report(input.ref, input.opts).verified

deny_not if not helm.verify_prov(input.ref, input.opts)

deny_false if helm.verify_prov(input.ref, input.opts) == false

deny_report if not helm.verify_prov_report(input.ref, input.opts).verified

deny_outcome if helm.verify_prov_report(input.ref, input.opts).outcome != "verified"

allows := {
	"allow_predicate": count([1 | allow_predicate]),
	"allow_report": count([1 | allow_report]),
	"deny_not": 1 - count([1 | deny_not]),
	"deny_false": 1 - count([1 | deny_false]),
	"deny_report": 1 - count([1 | deny_report]),
	"deny_outcome": 1 - count([1 | deny_outcome]),
}

code := helm.verify_prov_report(input.ref, input.opts).code

outcome := helm.verify_prov_report(input.ref, input.opts).outcome
`

func eval(t *testing.T, ref any) (allows int, code, outcome string) {
	t.Helper()
	results, err := rego.New(rego.Query("allows := data.p.allows; code := data.p.code; outcome := data.p.outcome"), rego.Module("p.rego", policy),
		rego.Input(map[string]any{"ref": ref, "opts": opts})).Eval(t.Context())
	if err != nil || len(results) != 1 {
		t.Fatalf("the query gave %v, %v", results, err)
	}
	for _, n := range results[0].Bindings["allows"].(map[string]any) {
		if fmt.Sprint(n) == "1" {
			allows++
		}
	}
	return allows, results[0].Bindings["code"].(string), results[0].Bindings["outcome"].(string)
}

const idioms = 6

func TestR1NoPolicyAllowsDuringAnOutage(t *testing.T) {
	for _, outage := range outages {
		t.Run(outage.name, func(t *testing.T) {
			place := open(t, deadline)
			for form, ref := range place.refs {
				if n, code, _ := eval(t, ref); n != idioms || code != "ok" {
					t.Fatalf("%s: before the outage %d of %d policies allow, code %s", form, n, idioms, code)
				}
			}
			configure(t, place.Host(), deadline) // nothing is remembered
			outage.break_(place.Server)
			for form, ref := range place.refs {
				took := time.Hour
				for range attempts {
					started := time.Now()
					n, code, outcome := eval(t, ref)
					took = min(took, time.Since(started))
					if n != 0 || code != outage.code || outcome != "undecided" {
						t.Errorf("%s: %d policies allow, %s/%s, want none and undecided/%s", form, n, outcome, code, outage.code)
					}
					if took <= deadline+grace {
						break
					}
				}
				if took > deadline+grace {
					t.Errorf("%s: answered after %v, want at most %v", form, took, deadline+grace)
				}
				if outage.waiting && took < deadline/2 {
					t.Errorf("%s: answered after %v, before the deadline", form, took)
				}
			}
		})
	}
}

// After an outage the very next question is answered right.
func TestRecoveryIsImmediate(t *testing.T) {
	place := open(t, deadline)
	remove := place.Rule(registry.Rule{Status: 503})
	for form, ref := range place.refs {
		if _, code, _ := eval(t, ref); code != "unavailable" {
			t.Errorf("%s: code is %s during the outage", form, code)
		}
	}
	remove()
	for form, ref := range place.refs {
		if n, code, _ := eval(t, ref); n != idioms || code != "ok" {
			t.Errorf("%s: after the outage %d of %d policies allow, code %s", form, n, idioms, code)
		}
	}
}

func TestR5OneQueryAsksOnce(t *testing.T) {
	place := open(t, deadline)
	eval(t, place.refs["archive"])
	for _, path := range []string{"/stable/web-1.2.3.tgz", "/stable/web-1.2.3.tgz.prov"} {
		if n := place.Count("", path); n != 1 {
			t.Errorf("%s was asked for %d times, want once", path, n)
		}
	}
}

func TestR6PartialEvaluationContactsNobody(t *testing.T) {
	place := open(t, deadline)
	module := fmt.Sprintf("package p\n\nallow if helm.verify_prov(%q, {\"keyring\": input.keyring})\n", place.refs["archive"])
	partial, err := rego.New(rego.Query("data.p.allow"), rego.Module("p.rego", module), rego.DisableInlining(nil)).PartialResult(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if n := len(place.Requests()); n != 0 {
		t.Fatalf("partial evaluation made %d requests", n)
	}
	for i := range 2 {
		place.Forget()
		results, err := partial.Rego(rego.Input(opts)).Eval(t.Context())
		if err != nil || !results.Allowed() {
			t.Fatalf("evaluation %d: %v, %v", i, results, err)
		}
		if len(place.Requests()) == 0 {
			t.Errorf("evaluation %d asked nobody", i)
		}
	}
}

func TestR11ManyQueriesFewConnections(t *testing.T) {
	place := open(t, 30*time.Second)
	query, err := rego.New(rego.Query("data.p.allow_predicate"), rego.Module("p.rego", policy)).PrepareForEval(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	for range 1000 {
		group.Go(func() {
			results, err := query.Eval(t.Context(), rego.EvalInput(map[string]any{"ref": place.refs["oci"], "opts": opts}))
			if err != nil || !results.Allowed() {
				t.Errorf("%v, %v", results, err)
			}
		})
	}
	group.Wait()
	if _, peak := place.Connections(); peak > 64 {
		t.Errorf("%d connections at once, want them bounded", peak)
	}
}

func TestATimedOutCallLeavesNothingBehind(t *testing.T) {
	place := open(t, 5*time.Millisecond)
	place.Rule(registry.Rule{Hang: true})
	before := runtime.NumGoroutine()
	var group sync.WaitGroup
	for range 20 {
		group.Go(func() {
			for range 50 {
				if _, code, _ := eval(t, place.refs["archive"]); code != "timeout" {
					t.Errorf("code is %s, want timeout", code)
				}
			}
		})
	}
	group.Wait()
	place.Close()
	for wait := time.Now(); runtime.NumGoroutine() > before+5; runtime.Gosched() {
		if time.Since(wait) > 5*time.Second {
			stacks := make([]byte, 1<<20)
			t.Fatalf("%d goroutines, %d before\n%s", runtime.NumGoroutine(), before, stacks[:runtime.Stack(stacks, true)])
		}
	}
}

// N23: what is secret stays out of everything a policy can see.
func TestN23SecretsStayInside(t *testing.T) {
	place := open(t, deadline)
	place.Rule(registry.Rule{Status: 503})
	for _, ref := range []string{
		place.refs["archive"].(string) + "?token=canary-query",
		strings.Replace(place.refs["archive"].(string), "://", "://user:canary-password@", 1),
	} {
		results, err := rego.New(rego.Query("r := helm.verify_prov_report(input.ref, input.opts)"),
			rego.Input(map[string]any{"ref": ref, "opts": opts})).Eval(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if text := fmt.Sprint(results[0].Bindings["r"]); strings.Contains(text, "canary") {
			t.Errorf("the report tells a secret: %s", text)
		}
	}
}
