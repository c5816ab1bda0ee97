// SPDX-License-Identifier: Apache-2.0

package certs_test

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chartseal/chartseal/cmd/chartseal-provider/certs"
)

const (
	day  = 24 * time.Hour
	year = 365 * day
)

var (
	names  = []string{"chartseal-provider.chartseal", "chartseal-provider.chartseal.svc"}
	policy = certs.Policy{Names: names, CA: 10 * year, Serving: 90 * day, Propagation: 2 * time.Minute, Overlap: 20 * time.Minute}
	start  = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
)

// A world is a Secret and Providers, and what is still held of what they were.
type world struct {
	t         *testing.T
	policy    certs.Policy
	now       time.Time
	data      map[string][]byte
	providers [][]byte
	events    []string

	bundles, served []held
}

// A held is what somebody may still use.
type held struct {
	pem   string
	until time.Time // zero while it is the present one
}

func newWorld(t *testing.T, p certs.Policy, providers int) *world {
	return &world{t: t, policy: p, now: start, providers: make([][]byte, providers)}
}

// advance is one round of a controller that cannot reach some Providers.
func (w *world) advance(unreachable ...int) certs.Step {
	w.t.Helper()
	step, err := w.policy.Advance(w.now, w.data, w.providers)
	if err != nil {
		w.t.Fatal(err)
	}
	w.data = step.Data
	w.served = hold(w.served, string(w.data["tls.crt"]), w.now, w.policy.Overlap)
	for i := range w.providers {
		if !slices.Contains(unreachable, i) {
			w.providers[i] = step.Bundle
		}
		w.bundles = hold(w.bundles, string(w.providers[i]), w.now, w.policy.Propagation)
	}
	w.bundles = slices.DeleteFunc(w.bundles, func(h held) bool { return h.pem == "" })
	for _, e := range step.Events {
		w.events = append(w.events, e.Text)
	}
	return step
}

// hold adds what is held from now on. What it takes the place of is held on for
// a while, less the second of which a moment may be short.
func hold(all []held, pem string, now time.Time, while time.Duration) []held {
	all = slices.DeleteFunc(all, func(h held) bool { return !h.until.IsZero() && !now.Before(h.until) || h.pem == pem })
	for i := range all {
		if all[i].until.IsZero() {
			all[i].until = now.Add(while - time.Second)
		}
	}
	return append(all, held{pem: pem})
}

// trusted wants each certificate that may be served to verify against each
// bundle that may be held.
func (w *world) trusted() {
	w.t.Helper()
	for _, bundle := range w.bundles {
		for _, served := range w.served {
			if err := verify(served.pem, bundle.pem, w.now, w.policy.Names...); err != nil {
				w.t.Fatalf("at %v, after %q: %v", w.now, w.events[max(0, len(w.events)-4):], err)
			}
		}
	}
}

func verify(served, bundle string, now time.Time, names ...string) error {
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(bundle))
	for _, name := range names {
		if _, err := certificate([]byte(served)).Verify(x509.VerifyOptions{Roots: roots, DNSName: name, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}); err != nil {
			return err
		}
	}
	return nil
}

func certificate(raw []byte) *x509.Certificate {
	block, _ := pem.Decode(raw)
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		panic(err)
	}
	return cert
}

func count(bundle []byte) int { return bytes.Count(bundle, []byte("BEGIN CERTIFICATE")) }

// TestYears goes through years of rotation, minute by minute where a CA
// changes: at every moment every certificate that a replica may still serve
// verifies against every bundle that Gatekeeper may still hold.
func TestYears(t *testing.T) {
	tests := []struct {
		name        string
		ca, serving time.Duration
		providers   int
		for_        time.Duration
		outage      func(now time.Time) []int // Providers that cannot be reached
		rotations   int
	}{
		{"ten years of CA", 10 * year, 90 * day, 2, 29 * year, nil, 4},
		{"a CA as short as can be", 270 * day, 90 * day, 1, 2 * year, nil, 4},
		{"short certificates", 30 * day, 4 * day, 3, 70 * day, nil, 3},
		{"a Provider that is out of reach half of the time", year, 90 * day, 2, 3 * year, func(now time.Time) []int {
			if now.YearDay()%2 == 0 {
				return []int{1}
			}
			return nil
		}, 4},
		{"no Provider", year, 90 * day, 0, 3 * year, nil, 4},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			p := policy
			p.CA, p.Serving = test.ca, test.serving
			w := newWorld(t, p, test.providers)
			step := w.advance()
			cas, busy := map[string]bool{}, w.now
			for w.now.Before(start.Add(test.for_)) {
				before := step.Bundle
				var unreachable []int
				if test.outage != nil {
					unreachable = test.outage(w.now)
				}
				step = w.advance(unreachable...)
				w.trusted()
				cas[string(w.data["ca.crt"])] = true
				if !bytes.Equal(before, step.Bundle) {
					busy = w.now.Add(p.Overlap + 5*time.Minute)
				}
				w.now = later(w.now, busy, step.Due)
			}
			if len(cas) != test.rotations+1 {
				t.Errorf("%d rotations, want %d", len(cas)-1, test.rotations)
			}
		})
	}
}

func later(now, busy, due time.Time) time.Time {
	if now.Before(busy) {
		return now.Add(time.Minute)
	}
	if next := now.Add(9 * day); next.Before(due) || !due.After(now) {
		return next
	}
	return due
}

// TestThreeSteps follows one rotation.
func TestThreeSteps(t *testing.T) {
	w := newWorld(t, policy, 2)
	w.advance()
	first := w.data
	w.now = start.Add(policy.CA/3*2 + time.Minute)
	w.advance(0, 1) // renews the certificate, makes the next CA, reaches nobody
	if w.data["next-ca.key"] == nil || count(w.advance(1).Bundle) != 2 || !bytes.Equal(w.data["ca.crt"], first["ca.crt"]) {
		t.Fatal("the next CA is not announced beside the present one")
	}
	serving := w.data["tls.crt"]
	w.now = w.now.Add(policy.Propagation * 10)
	if w.advance(); !bytes.Equal(serving, w.data["tls.crt"]) {
		t.Fatal("the new CA is used while a Provider did not have it")
	}
	if step := w.advance(); !step.Due.Equal(w.now.Add(policy.Propagation)) {
		t.Fatalf("the next step is due at %v, want %v", step.Due, w.now.Add(policy.Propagation))
	}
	next, bundle := w.data["next-ca.crt"], w.providers[0]
	w.now = w.now.Add(policy.Propagation)
	w.advance()
	if !bytes.Equal(w.data["ca.crt"], next) || !bytes.Equal(w.data["old-ca.crt"], first["ca.crt"]) || bytes.Equal(serving, w.data["tls.crt"]) {
		t.Fatal("the new CA does not sign once every Provider has it")
	}
	if !bytes.Equal(bundle, w.providers[0]) {
		t.Error("step 2 changes Providers")
	}
	if w.data["next-ca.key"] != nil || bytes.Equal(w.data["ca.key"], first["ca.key"]) {
		t.Error("a key is where it should no longer be")
	}
	w.now = w.now.Add(policy.Overlap)
	if w.advance(); count(w.providers[0]) != 1 || w.data["old-ca.crt"] != nil {
		t.Error("the old CA stays")
	}
}

// TestProviderThatLosesTheNextCA: the wait begins anew.
func TestProviderThatLosesTheNextCA(t *testing.T) {
	w := newWorld(t, policy, 2)
	w.advance()
	old := w.providers[0]
	w.now = start.Add(policy.CA / 3 * 2)
	w.advance()
	w.advance()
	ca := w.data["ca.crt"]
	w.now = w.now.Add(policy.Propagation)
	w.providers[1] = old // somebody applied an older manifest
	if w.advance(); !bytes.Equal(ca, w.data["ca.crt"]) {
		t.Fatal("the new CA is used while a Provider has lost it")
	}
	w.advance()
	w.now = w.now.Add(policy.Propagation - time.Second)
	if w.advance(); !bytes.Equal(ca, w.data["ca.crt"]) {
		t.Fatal("the wait did not begin anew")
	}
	w.now = w.now.Add(time.Second)
	if w.advance(); bytes.Equal(ca, w.data["ca.crt"]) {
		t.Fatal("the wait does not end")
	}
}

func TestWhatIsMade(t *testing.T) {
	w := newWorld(t, policy, 1)
	w.advance()
	ca, serving := certificate(w.data["ca.crt"]), certificate(w.data["tls.crt"])
	if !slices.Equal(serving.DNSNames, names) || serving.IsCA || !slices.Equal(serving.ExtKeyUsage, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}) {
		t.Errorf("the serving certificate is for %q, %v", serving.DNSNames, serving.ExtKeyUsage)
	}
	if !ca.IsCA || !ca.MaxPathLenZero || ca.KeyUsage != x509.KeyUsageCertSign {
		t.Errorf("the CA is of usage %v", ca.KeyUsage)
	}
	for _, cert := range []*x509.Certificate{ca, serving} {
		if cert.SignatureAlgorithm != x509.ECDSAWithSHA256 || cert.SerialNumber.BitLen() < 100 || !cert.NotBefore.Equal(start.Add(-5*time.Minute)) {
			t.Errorf("%v, serial number %v, from %v", cert.SignatureAlgorithm, cert.SerialNumber, cert.NotBefore)
		}
	}
	if !ca.NotAfter.Equal(start.Add(policy.CA)) || !serving.NotAfter.Equal(start.Add(policy.Serving)) {
		t.Errorf("until %v and %v", ca.NotAfter, serving.NotAfter)
	}
	again := newWorld(t, policy, 1)
	again.advance()
	if other := certificate(again.data["ca.crt"]); other.SerialNumber.Cmp(ca.SerialNumber) == 0 || other.Subject.CommonName == ca.Subject.CommonName {
		t.Error("two CAs share a serial number or a name")
	}
}

// TestSettled: what was given changes nothing when it is given back.
func TestSettled(t *testing.T) {
	w := newWorld(t, policy, 1)
	for _, at := range []time.Time{start, start.Add(59 * day), start.Add(61 * day), start.Add(7 * year)} {
		w.now = at
		w.advance()
		w.advance()
		before, events := w.data, len(w.events)
		if w.advance(); !maps.EqualFunc(before, w.data, bytes.Equal) || len(w.events) != events {
			t.Errorf("%v after the start a third step changes something: %q", at.Sub(start), w.events[events:])
		}
	}
}

func TestRenewal(t *testing.T) {
	tests := []struct {
		name    string
		after   time.Duration
		policy  func(*certs.Policy)
		renewed bool
	}{
		{"before two thirds", 59 * day, func(*certs.Policy) {}, false},
		{"at two thirds", 60 * day, func(*certs.Policy) {}, true},
		{"another name", day, func(p *certs.Policy) { p.Names = append(slices.Clone(p.Names), "localhost") }, true},
		{"an address", day, func(p *certs.Policy) { p.Names = append(slices.Clone(p.Names), "127.0.0.1") }, true},
		{"a name less", day, func(p *certs.Policy) { p.Names = p.Names[:1] }, true},
		{"the same names", day, func(p *certs.Policy) { p.Names = []string{names[1], names[0], names[1]} }, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t, policy, 1)
			w.advance()
			ca, serving := w.data["ca.crt"], w.data["tls.crt"]
			test.policy(&w.policy)
			w.now = start.Add(test.after)
			w.advance()
			if err := verify(string(w.data["tls.crt"]), string(w.providers[0]), w.now, w.policy.Names...); err != nil {
				t.Error(err)
			}
			if bytes.Equal(serving, w.data["tls.crt"]) == test.renewed || !bytes.Equal(ca, w.data["ca.crt"]) {
				t.Errorf("renewed is not %v: %q", test.renewed, w.events)
			}
		})
	}
}

func TestPolicy(t *testing.T) {
	tests := []struct {
		change func(*certs.Policy)
		want   string // empty: it is good
	}{
		{func(*certs.Policy) {}, ""},
		{func(p *certs.Policy) { p.Names = nil }, "without names"},
		{func(p *certs.Policy) { p.Names = []string{"a_b"} }, "neither a host name"},
		{func(p *certs.Policy) { p.Names = []string{"::1", "localhost"} }, ""},
		{func(p *certs.Policy) { p.Propagation = -1 }, "propagation of -1ns"},
		{func(p *certs.Policy) { p.Overlap = time.Minute }, "shorter than the propagation"},
		{func(p *certs.Policy) { p.Serving = time.Minute }, "takes an hour"},
		{func(p *certs.Policy) { p.CA = 200 * day }, "three times the life"},
	}
	for _, test := range tests {
		p := policy
		test.change(&p)
		err := p.Validate()
		if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%+v: %v, want %q", p, err, test.want)
		}
	}
}
