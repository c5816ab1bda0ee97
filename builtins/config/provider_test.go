// SPDX-License-Identifier: Apache-2.0

package config_test

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chartseal/chartseal/builtins"
	"github.com/chartseal/chartseal/builtins/config"
)

// provided is the least that the provider needs.
const provided = `
server:
  tls: {cert_file: tls.crt, key_file: tls.key}
  clients: {ca_file: ca.crt}
`

func TestLoadProvider(t *testing.T) {
	t.Parallel()
	dir, path := directory(t, provided)
	c, err := config.LoadProvider(path)
	if err != nil {
		t.Fatal(err)
	}
	for what, got := range map[string]string{"tls.crt": c.Server.TLS.CertFile, "tls.key": c.Server.TLS.KeyFile, "ca.crt": c.Server.Clients.CAFile} {
		if got != filepath.Join(dir, what) {
			t.Errorf("%s is looked for at %s, want beside the configuration", what, got)
		}
	}
	g := c.Gatekeeper
	for _, tt := range []struct{ got, want builtins.Duration }{
		{c.Limits.Silence, milliseconds(500)}, {c.Limits.Reference, milliseconds(1400)}, {g.Deadline, milliseconds(1500)},
		{g.ProviderTimeout, milliseconds(2000)}, {g.WebhookTimeout, milliseconds(3000)}, {g.Background, milliseconds(30_000)},
	} {
		if tt.got != tt.want {
			t.Errorf("a default is %s, want %s", time.Duration(tt.got), time.Duration(tt.want))
		}
	}
	if c.Server.Listen != ":8443" || c.Server.Health != ":8080" || len(c.Server.Clients.Names) != 1 || c.Server.Clients.Unauthenticated {
		t.Errorf("defaults are %+v", c.Server)
	}
}

func milliseconds(n int) builtins.Duration {
	return builtins.Duration(n) * builtins.Duration(time.Millisecond)
}

// With each field that is wrong comes what would make it right.
func TestProviderRefusals(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ good, bad, says string }{
		"S11 silence as long as a key":         {"limits: {silence: 1.3s}", "limits: {silence: 1.4s}", "limits.silence is 1.4s and limits.reference is 1.4s, want the first to be less"},
		"S11 silence longer than a key":        {"limits: {silence: 1s, reference: 1.1s}", "limits: {silence: 1s, reference: 0.9s}", "limits.silence is 1s and limits.reference is 900ms"},
		"S11 key as long as the answer":        {"gatekeeper: {deadline: 1.401s}", "gatekeeper: {deadline: 1.4s}", "limits.reference is 1.4s and gatekeeper.deadline is 1.4s"},
		"S11 key longer than the answer":       {"limits: {reference: 1.499s}", "limits: {reference: 1.6s}", "limits.reference is 1.6s and gatekeeper.deadline is 1.5s"},
		"S11 answer as long as the Provider":   {"gatekeeper: {deadline: 1.999s}", "gatekeeper: {deadline: 2s}", "gatekeeper.deadline is 2s and gatekeeper.provider_timeout is 2s"},
		"S11 answer longer than the Provider":  {"gatekeeper: {provider_timeout: 2s}", "gatekeeper: {provider_timeout: 1s}", "gatekeeper.deadline is 1.5s and gatekeeper.provider_timeout is 1s"},
		"S11 Provider as long as the webhook":  {"gatekeeper: {webhook_timeout: 4s, provider_timeout: 3s}", "gatekeeper: {provider_timeout: 3s}", "gatekeeper.provider_timeout is 3s and gatekeeper.webhook_timeout is 3s"},
		"S11 Provider longer than the webhook": {"gatekeeper: {webhook_timeout: 10s}", "gatekeeper: {webhook_timeout: 1s}", "gatekeeper.provider_timeout is 2s and gatekeeper.webhook_timeout is 1s"},
		"S11 all turned round":                 {"gatekeeper: {deadline: 1.5s, provider_timeout: 2s, webhook_timeout: 3s}", "gatekeeper: {deadline: 3s, provider_timeout: 2s, webhook_timeout: 1s}", "gatekeeper.deadline is 3s"},
		"S11 half a second of the Provider":    {"gatekeeper: {webhook_timeout: 4s, provider_timeout: 3s}", "gatekeeper: {webhook_timeout: 4s, provider_timeout: 2.5s}", "gatekeeper.provider_timeout is 2.5s, want whole seconds"},
		"S11 half a second of the webhook":     {"gatekeeper: {webhook_timeout: 4s}", "gatekeeper: {webhook_timeout: 3.5s}", "gatekeeper.webhook_timeout is 3.5s, want whole seconds"},
		"S11 background shorter than a key":    {"gatekeeper: {background: 1.4s}", "gatekeeper: {background: 1.3s}", "gatekeeper.background is 1.3s, want at least limits.reference, 1.4s"},
		"S11 no Provider timeout":              {"gatekeeper: {provider_timeout: 2s}", "gatekeeper: {provider_timeout: 0s}", "not positive"},
		"S11 a deadline below zero":            {"gatekeeper: {deadline: 1.5s}", "gatekeeper: {deadline: -1s}", "not positive"},
		"unknown field":                        {"gatekeeper: {deadline: 1.5s}", "gatekeeper: {timeout: 1.5s}", `unknown field "timeout"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			accepted(t, provided+tt.good)
			refused(t, provided+tt.bad, tt.says)
		})
	}
}

func accepted(t *testing.T, text string) {
	t.Helper()
	_, path := directory(t, text)
	if _, err := config.LoadProvider(path); err != nil {
		t.Errorf("the valid twin: %v", err)
	}
}

func refused(t *testing.T, text, says string) {
	t.Helper()
	_, path := directory(t, text)
	if _, err := config.LoadProvider(path); err == nil || !strings.Contains(err.Error(), says) || !strings.HasPrefix(err.Error(), path) {
		t.Errorf("got %v, want …%s…", err, says)
	}
}

func TestServerRefusals(t *testing.T) {
	t.Parallel()
	const pair, clients = "tls: {cert_file: a, key_file: b}", "clients: {ca_file: c}"
	for name, tt := range map[string]struct{ good, bad, says string }{
		"no certificate":            {pair + ", " + clients, clients, "server.tls needs cert_file and key_file"},
		"no certificate file":       {pair + ", " + clients, "tls: {key_file: b}, " + clients, "server.tls needs cert_file and key_file"},
		"no key file":               {pair + ", " + clients, "tls: {cert_file: a}, " + clients, "server.tls needs cert_file and key_file"},
		"no authority":              {pair + ", " + clients, pair, "server.clients.ca_file is missing"},
		"S1 anybody by omission":    {pair + ", clients: {unauthenticated: true}", pair + ", clients: {unauthenticated: false}", "server.clients.ca_file is missing"},
		"anybody with an authority": {pair + ", clients: {unauthenticated: true}", pair + ", clients: {unauthenticated: true, ca_file: c}", "give one of them"},
		"S1 no names":               {pair + ", clients: {ca_file: c, names: [a]}", pair + ", clients: {ca_file: c, names: []}", "server.clients.names is empty"},
		"nowhere to listen":         {pair + ", " + clients + ", listen: ':1'", pair + ", " + clients + ", listen: ''", `server.listen is ""`},
		"no port":                   {pair + ", " + clients + ", listen: '127.0.0.1:1'", pair + ", " + clients + ", listen: '127.0.0.1'", `server.listen is "127.0.0.1", want host:port`},
		"no port for health":        {pair + ", " + clients + ", health: ''", pair + ", " + clients + ", health: '8080'", `server.health is "8080", want host:port`},
		"unknown field":             {pair + ", " + clients, pair + ", clients: {ca: c}", `unknown field "ca"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			accepted(t, "server: {"+tt.good+"}")
			refused(t, "server: {"+tt.bad+"}", tt.says)
		})
	}
}

// What the provider asks with: listed hosts alone, no files, names for trust;
// and more time than anybody waits.
func TestProviderTakesNothingElse(t *testing.T) {
	t.Parallel()
	_, path := directory(t, provided)
	c, err := config.LoadProvider(path)
	if err != nil {
		t.Fatal(err)
	}
	from, env := c.ProviderSource(), c.ProviderEnv(nil, nil, nil, nil)
	if !from.OnlyListed || from.LocalPaths || from.Breaker == nil {
		t.Errorf("source is %+v", from)
	}
	if !env.NamedTrust {
		t.Error("trust may stand in keys")
	}
	if from.Limits.Reference != c.Gatekeeper.Background || env.Limits.Reference != c.Gatekeeper.Background {
		t.Errorf("checks have %s and %s, want %s", time.Duration(from.Limits.Reference), time.Duration(env.Limits.Reference), time.Duration(c.Gatekeeper.Background))
	}
}
