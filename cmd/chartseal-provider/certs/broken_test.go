// SPDX-License-Identifier: Apache-2.0

package certs_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var junk = []byte("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")

// during gives worlds that stand in the middle of things.
var during = map[string]func(*testing.T) *world{
	"at rest": func(t *testing.T) *world {
		w := newWorld(t, policy, 2)
		w.advance()
		return w
	},
	"between steps 1 and 2": func(t *testing.T) *world {
		w := newWorld(t, policy, 2)
		w.advance()
		w.now, w.served, w.bundles = start.Add(7*year), nil, nil
		w.advance()
		w.advance()
		return w
	},
	"between steps 2 and 3": func(t *testing.T) *world {
		w := newWorld(t, policy, 2)
		w.advance()
		w.now, w.served, w.bundles = start.Add(7*year), nil, nil
		w.advance()
		w.advance()
		w.now = w.now.Add(policy.Propagation)
		w.advance()
		return w
	},
}

// TestBroken breaks one entry, and sees what becomes of the rest. Each case is
// seen whole first: nothing changes while nothing is broken.
func TestBroken(t *testing.T) {
	tests := []struct {
		name, during string
		broken       map[string][]byte // nil: deleted
		event        string
		kept         string // entries that stay as they were
	}{
		{"certificate gone", "at rest", map[string][]byte{"tls.crt": nil}, "tls.crt: missing", "ca.crt ca.key"},
		{"certificate is junk", "at rest", map[string][]byte{"tls.crt": junk}, "tls.crt: x509: malformed certificate", "ca.crt ca.key"},
		{"certificate's key gone", "at rest", map[string][]byte{"tls.key": nil}, "tls.key: missing", "ca.crt ca.key"},
		{"certificate's key is junk", "at rest", map[string][]byte{"tls.key": junk}, "tls.key: not one PEM block", "ca.crt ca.key"},
		{"CA's certificate gone", "at rest", map[string][]byte{"ca.crt": nil}, "ca.crt restored from the caBundle", "ca.crt ca.key tls.crt tls.key"},
		{"CA's certificate is junk", "at rest", map[string][]byte{"ca.crt": junk}, "ca.crt restored from the caBundle", "ca.crt ca.key tls.crt tls.key"},
		{"CA's certificate and the serving one gone", "at rest", map[string][]byte{"ca.crt": nil, "tls.crt": nil}, "ca.crt restored from the caBundle", "ca.crt ca.key"},
		{"CA gone", "at rest", map[string][]byte{"ca.crt": nil, "ca.key": nil}, "ca.crt restored from the caBundle", "ca.crt tls.crt tls.key"},
		{"CA's key gone", "at rest", map[string][]byte{"ca.key": nil}, "ca.key: missing", "ca.crt tls.crt tls.key"},
		{"CA's key is junk", "at rest", map[string][]byte{"ca.key": junk}, "ca.key: not one PEM block", "ca.crt tls.crt tls.key"},
		{"times gone", "at rest", map[string][]byte{"rotation.json": nil}, "rotation.json: unexpected end", "ca.crt ca.key tls.crt tls.key"},
		{"times are junk", "between steps 1 and 2", map[string][]byte{"rotation.json": junk}, "rotation.json: invalid", "ca.crt ca.key next-ca.crt next-ca.key tls.crt tls.key"},
		{"times have not come", "between steps 1 and 2", map[string][]byte{"rotation.json": []byte(`{"published":"2100-01-01T00:00:00Z"}`)}, "rotation.json: not yet valid", "ca.crt ca.key next-ca.crt next-ca.key tls.crt tls.key"},
		{"next CA's certificate is junk", "between steps 1 and 2", map[string][]byte{"next-ca.crt": junk}, "next-ca.crt: x509", "ca.crt ca.key tls.crt tls.key"},
		{"next CA's key gone", "between steps 1 and 2", map[string][]byte{"next-ca.key": nil}, "next-ca.key: missing", "ca.crt ca.key tls.crt tls.key"},
		{"CA's key gone while there is a next", "between steps 1 and 2", map[string][]byte{"ca.key": nil}, "ca.key: missing", "ca.crt next-ca.crt next-ca.key tls.crt tls.key"},
		{"old CA is junk", "between steps 2 and 3", map[string][]byte{"old-ca.crt": junk}, "old-ca.crt: x509", "ca.crt ca.key tls.crt tls.key"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			w := during[test.during](t)
			whole := w.data
			if w.advance(); !maps.EqualFunc(whole, w.data, bytes.Equal) {
				t.Fatal("something changes while nothing is broken")
			}
			w.data = lay(whole, test.broken)
			w.events = nil
			w.advance()
			if !slices.ContainsFunc(w.events, func(e string) bool { return strings.Contains(e, test.event) }) {
				t.Errorf("events are %q, want %q", w.events, test.event)
			}
			for _, key := range strings.Fields(test.kept) {
				if !bytes.Equal(whole[key], w.data[key]) {
					t.Errorf("%s is replaced: %q", key, w.events)
				}
			}
			if test.broken["old-ca.crt"] == nil { // what that signed is lost
				w.trusted()
			}
			w.recovers()
		})
	}
}

func lay(data, over map[string][]byte) map[string][]byte {
	data = maps.Clone(data)
	for key, value := range over {
		if delete(data, key); value != nil {
			data[key] = value
		}
	}
	return data
}

// recovers lets a rotation that was begun come to its end.
func (w *world) recovers() {
	w.t.Helper()
	for range 4 {
		w.advance()
		w.now = w.now.Add(w.policy.Overlap)
	}
	step := w.advance()
	if w.data["ca.key"] == nil || w.data["next-ca.crt"] != nil || w.data["old-ca.crt"] != nil || count(step.Bundle) != 1 {
		w.t.Errorf("it does not come to rest: %q, %q", slices.Sorted(maps.Keys(w.data)), w.events)
	}
	if err := verify(string(w.data["tls.crt"]), string(step.Bundle), w.now, w.policy.Names...); err != nil {
		w.t.Error(err)
	}
}

// TestSwapped: of a key and a certificate that are not of each other, the one
// that vouches for what is served is right.
func TestSwapped(t *testing.T) {
	other := during["at rest"](t).data
	for _, wrong := range []string{"ca.crt", "ca.key", "tls.crt", "tls.key"} {
		t.Run(wrong, func(t *testing.T) {
			w := during["at rest"](t)
			whole := w.data
			w.data = lay(whole, map[string][]byte{wrong: other[wrong]})
			w.advance()
			if !bytes.Equal(w.data["ca.crt"], whole["ca.crt"]) {
				t.Errorf("the CA is replaced: %q", w.events)
			}
			if strings.HasPrefix(wrong, "ca") && !bytes.Equal(w.data["tls.crt"], whole["tls.crt"]) {
				t.Errorf("the serving certificate is replaced: %q", w.events)
			}
			w.recovers()
		})
	}
}

// TestCAFromItsKey: with no Provider to restore it from, the CA's certificate
// is made anew, and verifies what the lost one signed.
func TestCAFromItsKey(t *testing.T) {
	w := newWorld(t, policy, 0)
	w.advance()
	whole := w.data
	w.data = lay(whole, map[string][]byte{"ca.crt": nil})
	w.advance()
	if !bytes.Equal(w.data["tls.crt"], whole["tls.crt"]) || !bytes.Equal(w.data["ca.key"], whole["ca.key"]) {
		t.Errorf("more than the CA's certificate is replaced: %q", w.events)
	}
	for _, bundle := range []string{string(whole["ca.crt"]), string(w.data["ca.crt"])} {
		if err := verify(string(whole["tls.crt"]), bundle, w.now, names...); err != nil {
			t.Error(err)
		}
	}
}

// TestAtOnce: where nothing is left to serve and to sign with, the new CA does
// not wait, and the old one stays for who still serves under it.
func TestAtOnce(t *testing.T) {
	w := during["at rest"](t)
	whole := w.data
	w.data = lay(whole, map[string][]byte{"ca.key": nil, "tls.key": nil})
	step := w.advance()
	if bytes.Equal(w.data["ca.crt"], whole["ca.crt"]) || !bytes.Equal(w.data["old-ca.crt"], whole["ca.crt"]) || count(step.Bundle) != 2 {
		t.Errorf("the new CA does not take over: %q", w.events)
	}
	if err := verify(string(whole["tls.crt"]), string(step.Bundle), w.now, names...); err != nil {
		t.Error(err)
	}
	w.recovers()
}

// TestAfterALongRest: all has expired.
func TestAfterALongRest(t *testing.T) {
	w := during["at rest"](t)
	whole := w.data
	w.now = start.Add(11 * year)
	if w.advance(); bytes.Equal(w.data["ca.key"], whole["ca.key"]) || count(w.providers[0]) != 1 {
		t.Errorf("an expired CA goes on: %q", w.events)
	}
	w.recovers()
}

func TestRefused(t *testing.T) {
	w := during["at rest"](t)
	if _, err := policy.Advance(start.Add(time.Hour), w.data, w.providers); err != nil {
		t.Fatal(err)
	}
	other := authority(t, "some CA")
	for name, foreign := range map[string]map[string][]byte{
		"no key and no times":                    {"ca.key": nil, "rotation.json": nil},
		"a CA of others":                         {"ca.crt": other, "rotation.json": nil},
		"a CA that cannot be read, and no times": {"ca.crt": junk, "rotation.json": nil},
	} {
		if _, err := policy.Advance(start.Add(time.Hour), lay(w.data, foreign), w.providers); err == nil || !strings.Contains(err.Error(), "were not made here") {
			t.Errorf("a Secret of others, %s: %v", name, err)
		}
	}
	if _, err := policy.Advance(start.Add(-time.Hour), w.data, w.providers); err == nil || !strings.Contains(err.Error(), "one of the clocks is wrong") {
		t.Errorf("a clock that is behind: %v", err)
	}
	if _, err := policy.Advance(start.Add(-4*time.Minute), w.data, w.providers); err != nil {
		t.Errorf("a clock that is a little behind: %v", err)
	}
}

// authority is the certificate of somebody's CA.
func authority(t *testing.T, name string) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: name}, NotBefore: start, NotAfter: start.Add(year),
		KeyUsage: x509.KeyUsageCertSign, BasicConstraintsValid: true, IsCA: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

// isCA says that this is the certificate of one of our CAs.
func isCA(raw []byte) bool {
	block, rest := pem.Decode(raw)
	if block == nil || len(rest) > 0 {
		return false
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	return err == nil && cert.IsCA
}

func TestOthersEntries(t *testing.T) {
	w := newWorld(t, policy, 1)
	w.data = map[string][]byte{"note": []byte("of somebody")}
	if w.advance(); string(w.data["note"]) != "of somebody" || w.data["ca.key"] == nil {
		t.Errorf("data is %q", slices.Sorted(maps.Keys(w.data)))
	}
}

// TestAnythingBroken: whatever is in whichever entry, a step either refuses or
// leads to a certificate that verifies, and to rest.
func TestAnythingBroken(t *testing.T) {
	worlds := map[string]*world{}
	for name, made := range during {
		worlds[name] = made(t)
	}
	entries := []string{"ca.crt", "ca.key", "next-ca.crt", "next-ca.key", "old-ca.crt", "tls.crt", "tls.key", "rotation.json"}
	rapid.Check(t, func(rt *rapid.T) {
		of := worlds[rapid.SampledFrom(slices.Sorted(maps.Keys(worlds))).Draw(rt, "during")]
		w := &world{t: t, policy: of.policy, now: of.now, providers: slices.Clone(of.providers)}
		w.data = maps.Clone(of.data)
		for range rapid.IntRange(1, 4).Draw(rt, "broken") {
			value := rapid.SampledFrom([]string{"", "junk", "ca.crt", "ca.key", "next-ca.crt", "next-ca.key", "old-ca.crt", "tls.crt", "tls.key"}).Draw(rt, "value")
			content := of.data[value]
			if value == "junk" {
				content = junk
			}
			w.data = lay(w.data, map[string][]byte{rapid.SampledFrom(entries).Draw(rt, "entry"): content})
		}
		if _, err := w.policy.Advance(w.now, w.data, w.providers); err != nil {
			if w.data["rotation.json"] != nil || w.data["ca.key"] != nil && isCA(w.data["ca.crt"]) {
				rt.Fatal(err)
			}
			return
		}
		w.advance()
		if err := verify(string(w.data["tls.crt"]), string(w.providers[0]), w.now, names...); err != nil {
			rt.Fatal(err, w.events)
		}
		w.recovers()
	})
}
