// SPDX-License-Identifier: Apache-2.0

package config_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/chartseal/chartseal/builtins/config"
	"github.com/chartseal/chartseal/test/registry"
)

func redis(fields string) string { return "cache: {redis: {" + fields + "}}" }

func TestRedis(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, fields, address, username, password string
		tls, cas                                  bool
	}{
		{"open", "address: 'Valkey.cache.svc:6379', tls: false", "valkey.cache.svc:6379", "", "", false, false},
		{"address", "address: '[::1]:6379', tls: false", "[::1]:6379", "", "", false, false},
		{"port of https", "address: 'redis:443', tls: true", "redis:443", "", "", true, false},
		{"password", "address: 'redis:6379', password_file: password, tls: true", "redis:6379", "", secret, true, false},
		{"user and CA", "address: 'redis:6379', username: chartseal, password_file: password-crlf, ca_file: ca.pem, tls: true", "redis:6379", "chartseal", secret, true, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir, path := directory(t, redis(tt.fields))
			write(t, filepath.Join(dir, "ca.pem"), string(registry.NewCA().PEM()))
			c, err := config.Load(path)
			if err != nil {
				t.Fatal(err)
			}
			r := c.Cache.Redis
			password, trust, err := r.Secrets()
			if err != nil {
				t.Fatal(err)
			}
			if r.Address != tt.address || r.Username != tt.username || password != tt.password {
				t.Errorf("got %s, user %q, password %q", r.Address, r.Username, password)
			}
			if (trust != nil) != tt.tls || trust != nil && ((trust.RootCAs != nil) != tt.cas || trust.InsecureSkipVerify) {
				t.Errorf("TLS is %+v", trust)
			}
		})
	}
}

func TestRedisRefusals(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ fields, reason string }{
		"nothing":               {"", "cache.redis: address is missing"},
		"unknown field":         {"host: x", `file.cache.redis has the unknown field "host"`},
		"no port":               {"address: redis, tls: true", "address has no port"},
		"URL":                   {"address: 'redis://redis:6379', tls: true", "address has a slash"},
		"userinfo":              {"address: 'u:" + secret + "@redis:6379', tls: true", "userinfo"},
		"two addresses":         {"address: 'a:6379,b:6379', tls: true", "is no DNS name"},
		"neither with TLS":      {"address: 'redis:6379'", "tls is missing, want true or false"},
		"TLS as a word":         {"address: 'redis:6379', tls: 'yes'", "file.cache.redis.tls is a string, want true or false"},
		"CA without TLS":        {"address: 'redis:6379', tls: false, ca_file: ca.pem", "ca_file stands beside tls: false"},
		"user without password": {"address: 'redis:6379', tls: true, username: x", "username stands without password_file"},
		"user with a control":   {`address: 'redis:6379', tls: true, username: "a\nb", password_file: password`, "username has a control character"},
		"password in the file":  {"address: 'redis:6379', tls: true, password: " + secret, `unknown field "password"`},
	} {
		t.Run(name, func(t *testing.T) {
			_, path := directory(t, redis(tt.fields))
			_, err := config.Load(path)
			wantRefusal(t, err, tt.reason)
		})
	}
}

func wantRefusal(t *testing.T, err error, reason string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), reason) {
		t.Fatalf("got %v, want %q", err, reason)
	}
	if strings.Contains(err.Error(), secret) {
		t.Errorf("N23: %v shows a secret", err)
	}
}

// TestRedisFiles are read by who connects: the command line takes the same
// file where the secrets are not.
func TestRedisFiles(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ field, reason string }{
		"no password file":     {"password_file: gone", "cache.redis: password_file: open "},
		"password empty":       {"password_file: password-empty", "password is empty"},
		"password of lines":    {"password_file: password-lines", "more than one line"},
		"password too long":    {"password_file: password-long", "more than 4096 bytes"},
		"password of controls": {"password_file: password-control", "control character"},
		"password in a FIFO":   {"password_file: fifo", "want a regular file"},
		"no CA file":           {"ca_file: gone", "cache.redis: ca_file: open "},
		"no CA in it":          {"ca_file: password", "holds no certificate"},
		"a key in it":          {"ca_file: key.pem", `holds a "PRIVATE KEY", want certificates alone`},
		"a broken CA in it":    {"ca_file: broken.pem", "certificate 1: "},
	} {
		t.Run(name, func(t *testing.T) {
			dir, path := directory(t, redis("address: 'redis:6379', tls: true, "+tt.field))
			write(t, filepath.Join(dir, "key.pem"), "-----BEGIN PRIVATE KEY-----\n"+basic(secret)+"\n-----END PRIVATE KEY-----\n")
			write(t, filepath.Join(dir, "broken.pem"), "-----BEGIN CERTIFICATE-----\n"+basic(secret)+"\n-----END CERTIFICATE-----\n")
			c, err := config.Load(path)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := c.Env(nil); err != nil {
				t.Errorf("the command line: %v", err)
			}
			_, _, err = c.Cache.Redis.Secrets()
			wantRefusal(t, err, tt.reason)
		})
	}
}
