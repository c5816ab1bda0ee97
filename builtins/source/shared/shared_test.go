// SPDX-License-Identifier: Apache-2.0

package shared_test

import (
	"crypto/tls"
	"strings"
	"testing"
	"time"

	"github.com/chartseal/chartseal/builtins"
	"github.com/chartseal/chartseal/builtins/source/shared"
	"github.com/chartseal/chartseal/test/registry"
	"github.com/chartseal/chartseal/test/vsig"
)

func TestReplicasShare(t *testing.T) {
	t.Parallel()
	s, c := newServer(t), newChart(t)
	journal := new(journal)
	config := patient(s.config())
	config.Log = journal.log()
	c.filled(s, newCache(t, config), "")
	for range 2 {
		c.verify(newCache(t, config), fromList)
	}
	hand := s.hand("")
	for _, key := range hand.Keys(t.Context(), "*").Val() {
		life := hand.TTL(t.Context(), key).Val()
		if !strings.HasPrefix(key, "chartseal:1:") || life > 24*time.Hour || life < 23*time.Hour {
			t.Errorf("%s lives for %s", key, life)
		}
	}
	if journal.text() != "" {
		t.Errorf("said %s", journal.text())
	}
	t.Run("what is not verified stays so", func(t *testing.T) {
		rep := c.ask(newCache(t, config), vsig.WithKey(vsig.SeededKey("stranger")))
		if rep.Code != builtins.UntrustedSigner {
			t.Errorf("%s: %s", rep.Code, rep.Reason)
		}
	})
}

// TestServerGoes has the server end while replicas use it, and come back.
func TestServerGoes(t *testing.T) {
	t.Parallel()
	s, c := newServer(t), newChart(t)
	journal, clock := new(journal), newClock()
	config := patient(s.config())
	config.Log, config.Clock = journal.log(), clock.read
	cache := newCache(t, config)
	c.filled(s, cache, "")
	c.verify(cache, fromList)
	s.stop()
	for range 3 {
		c.verify(cache, cold)
	}
	clock.pass(time.Second)
	c.verify(cache, cold)
	if text := journal.text(); strings.Count(text, "level=WARN") != 1 || strings.Contains(text, "INFO") {
		t.Errorf("said %s, want one warning", text)
	}
	s.start()
	c.verify(cache, cold)
	if n := s.hand("").DBSize(t.Context()).Val(); n != 0 {
		t.Errorf("%d values while it is left alone", n)
	}
	// The library tries a server that it could not reach once a second, by a
	// clock of its own.
	until(t, "the server to be used again", func() bool {
		clock.pass(time.Second)
		return get(cache, "x") == "none" && strings.Contains(journal.text(), "shared cache is back")
	})
	c.filled(s, cache, "")
	c.verify(cache, fromList)
}

// TestPoison has somebody write to the server who may.
func TestPoison(t *testing.T) {
	t.Parallel()
	s, c := newServer(t), newChart(t)
	cache := newCache(t, patient(s.config()))
	c.filled(s, cache, "")
	hand := s.hand("")
	honest := map[string]string{}
	for _, key := range hand.Keys(t.Context(), "*").Val() {
		honest[key] = hand.Get(t.Context(), key).Val()
	}
	for name, poison := range map[string]func(key string) error{
		"another value": func(key string) error { return hand.Set(t.Context(), key, "{}", 0).Err() },
		"nothing":       func(key string) error { return hand.Set(t.Context(), key, "", 0).Err() },
		"same length":   func(key string) error { return hand.SetRange(t.Context(), key, 0, "x").Err() },
		"huge":          func(key string) error { return hand.SetRange(t.Context(), key, 3<<20, "x").Err() },
		"a list":        func(key string) error { hand.Del(t.Context(), key); return hand.LPush(t.Context(), key, "x").Err() },
		"another's bytes": func(key string) error {
			for other, value := range honest {
				if other != key {
					return hand.Set(t.Context(), key, value, 0).Err()
				}
			}
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			for key := range honest {
				if err := poison(key); err != nil {
					t.Fatal(err)
				}
			}
			c.verify(cache, cold)
			for key, value := range honest {
				until(t, "the value to be put right", func() bool { return hand.Get(t.Context(), key).Val() == value })
			}
			c.verify(cache, fromList)
		})
	}
}

const password = "hunter2"

// TestAccess is about who may use the server. Whom it refuses verifies without it.
func TestAccess(t *testing.T) {
	t.Parallel()
	s, c := newServer(t, "--requirepass", password), newChart(t)
	hand := s.hand(password)
	for name, rules := range map[string][]any{
		"full": {"+@all"}, "mute": {"-@all"}, "elsewhere": {"+@all", "resetkeys", "~other:*"}, "reader": {"-@all", "+get", "+hello"},
	} {
		rules = append([]any{"acl", "setuser", name, "on", ">" + password, "~*"}, rules...)
		if err := hand.Do(t.Context(), rules...).Err(); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct{ name, username, password, reason string }{
		{"default user", "", password, ""},
		{"another user", "full", password, ""},
		{"no password", "", "", "NOAUTH"},
		{"wrong password", "", "hunter3", "WRONGPASS"},
		{"unknown user", "nobody", password, "WRONGPASS"},
		{"user without commands", "mute", password, "NOPERM"},
		{"user of other keys", "elsewhere", password, "NOPERM"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			hand.FlushAll(t.Context())
			journal := new(journal)
			config := patient(s.config())
			config.Username, config.Password, config.Log = tt.username, tt.password, journal.log()
			cache := newCache(t, config)
			if tt.reason == "" {
				c.filled(s, cache, password)
				c.verify(cache, fromList)
			} else {
				c.verify(cache, cold)
				c.verify(cache, cold)
			}
			if text := journal.text(); !strings.Contains(text, tt.reason) || (text == "") != (tt.reason == "") || strings.Contains(text, "hunter") {
				t.Errorf("said %q, want %q", text, tt.reason)
			}
		})
	}
	t.Run("user who may only read", func(t *testing.T) {
		hand.FlushAll(t.Context())
		config := patient(s.config())
		config.Username, config.Password = "reader", password
		cache := newCache(t, config)
		c.verify(cache, cold)
		config.Username = "full"
		c.filled(s, newCache(t, config), password)
		c.verify(cache, fromList)
	})
}

// TestFullServer refuses to be written to, and is read all the same.
func TestFullServer(t *testing.T) {
	t.Parallel()
	s, c := newServer(t), newChart(t)
	journal := new(journal)
	config := patient(s.config())
	config.Log = journal.log()
	cache := newCache(t, config)
	c.filled(s, cache, "")
	if err := s.hand("").ConfigSet(t.Context(), "maxmemory", "1").Err(); err != nil {
		t.Fatal(err)
	}
	cache.Put("x", []byte("value"))
	until(t, "the value to be refused", func() bool {
		return strings.Contains(s.hand("").Info(t.Context(), "errorstats").Val(), "errorstat_OOM")
	})
	c.verify(cache, fromList)
}

func TestTLS(t *testing.T) {
	t.Parallel()
	ca, c := registry.NewCA(), newChart(t)
	cert, key := keyFiles(t, ca.Config())
	trust := &tls.Config{RootCAs: ca.Pool(), MinVersion: tls.VersionTLS12}
	s := startServer(t, trust, []string{"--tls-port", freePort(t), "--port", "0", "--tls-cert-file", cert, "--tls-key-file", key, "--tls-ca-cert-file", cert, "--tls-auth-clients", "no"})
	for _, tt := range []struct {
		name, reason string
		trust        *tls.Config
	}{
		{"its CA", "", trust},
		{"another CA", "certificate", &tls.Config{RootCAs: registry.NewCA().Pool()}},
		{"another name", "certificate", &tls.Config{RootCAs: ca.Pool(), ServerName: "redis.example.com"}},
		{"no TLS", "shared cache fails", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s.hand("").FlushAll(t.Context())
			journal := new(journal)
			cache := newCache(t, patient(shared.Config{Address: s.address, TLS: tt.trust, Log: journal.log()}))
			if tt.reason == "" {
				c.filled(s, cache, "")
				c.verify(cache, fromList)
			} else {
				c.verify(cache, cold)
				c.verify(cache, cold)
			}
			if text := journal.text(); !strings.Contains(text, tt.reason) || (text == "") != (tt.reason == "") {
				t.Errorf("said %q, want %q", text, tt.reason)
			}
		})
	}
}
