// SPDX-License-Identifier: Apache-2.0

package config

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/chartseal/chartseal/builtins"
	"github.com/chartseal/chartseal/builtins/source"
)

// Server says where the provider listens, and to whom.
type Server struct {
	Listen  string  `json:"listen" doc:"address of the provider's https"`
	Health  string  `json:"health" doc:"address of /healthz, /readyz and /metrics, by plain http; empty for none"`
	TLS     TLS     `json:"tls" doc:"what the provider shows; reread when it changes"`
	Clients Clients `json:"clients" doc:"whom the provider answers"`
}

// TLS is the certificate of a server.
type TLS struct {
	CertFile string `json:"cert_file" doc:"PEM of the certificate and its intermediates"`
	KeyFile  string `json:"key_file" doc:"PEM of its private key"`
}

// Clients says whose certificates are accepted.
type Clients struct {
	CAFile          string   `json:"ca_file" doc:"PEM of the authorities that sign clients' certificates; reread when it changes, and what it no longer holds is accepted for ten more minutes"`
	Names           []string `json:"names" doc:"whole DNS names, of which a client's certificate must have one; that of Gatekeeper's webhook by default, gatekeeper-webhook-service.gatekeeper-system.svc"`
	Unauthenticated bool     `json:"unauthenticated" doc:"answer anybody who reaches the port"`
}

// Gatekeeper says which times Gatekeeper is set to, and what is left for an answer.
type Gatekeeper struct {
	Deadline        builtins.Duration `json:"deadline" doc:"time for the answer to one request of Gatekeeper"`
	ProviderTimeout builtins.Duration `json:"provider_timeout" doc:"spec.timeout of the Provider resource, whole seconds"`
	WebhookTimeout  builtins.Duration `json:"webhook_timeout" doc:"timeoutSeconds of the webhook configuration that asks, whole seconds"`
	Background      builtins.Duration `json:"background" doc:"how long a check that came too late for its answer may go on, so that the next request finds it done"`
}

func defaultServer() Server {
	return Server{
		Listen: ":8443", Health: ":8080",
		Clients: Clients{Names: []string{"gatekeeper-webhook-service.gatekeeper-system.svc"}},
	}
}

func defaultGatekeeper() Gatekeeper {
	return Gatekeeper{
		Deadline:        builtins.Duration(1500 * time.Millisecond),
		ProviderTimeout: builtins.Duration(2 * time.Second),
		WebhookTimeout:  builtins.Duration(3 * time.Second),
		Background:      builtins.Duration(30 * time.Second),
	}
}

// DefaultProvider is [Default] for the provider, which has less time: an
// answer that comes after Gatekeeper's webhook has timed out is none.
func DefaultProvider() *Config {
	c := Default()
	c.Limits.Reference = builtins.Duration(1400 * time.Millisecond)
	c.Limits.Silence = builtins.Duration(500 * time.Millisecond)
	c.Limits.HostQueue = 1024
	return c
}

// LoadProvider is [Load] for the provider: what the file leaves out is as in
// [DefaultProvider]. It fails as well if a listener lacks its certificate, if
// clients are neither known nor declared unauthenticated, and if times are not
// in order: one registry's silence, one key, one answer, the Provider
// resource's timeout, the webhook's.
func LoadProvider(path string) (*Config, error) {
	return load(path, DefaultProvider(), func(c *Config) error {
		return errors.Join(c.Server.check(), c.ordered(), c.addRedis())
	})
}

// Answers are the names of clients that are answered; nil is anybody.
func (s Server) Answers() []string {
	if s.Clients.Unauthenticated {
		return nil
	}
	return s.Clients.Names
}

// addRedis makes what the files of the shared cache hold part of the digest.
func (c *Config) addRedis() error {
	if c.Cache.Redis == nil {
		return nil
	}
	if _, _, err := c.Cache.Redis.Secrets(); err != nil {
		return err
	}
	h := sha256.New()
	io.WriteString(h, c.digest)
	for _, path := range []string{c.Cache.Redis.PasswordFile, c.Cache.Redis.CAFile} {
		if path == "" {
			continue
		}
		raw, err := readRegular(path, maxFile)
		if err != nil {
			return err
		}
		fmt.Fprintf(h, "%q", raw)
	}
	c.digest = hex.EncodeToString(h.Sum(nil))
	return nil
}

// Read reads one of the files that belong to the server: certificates and keys.
func (Server) Read(path string) ([]byte, error) { return readRegular(path, maxFile) }

func (s Server) check() error {
	for _, address := range []struct{ field, value string }{{"listen", s.Listen}, {"health", s.Health}} {
		if !isListenAddress(address.value) && (address.value != "" || address.field == "listen") {
			return fmt.Errorf("server.%s is %q, want host:port or :port", address.field, address.value)
		}
	}
	for i, name := range s.Clients.Names {
		if name == "" || strings.ContainsAny(name, "*/: ") {
			return fmt.Errorf("server.clients.names[%d] is %q, want a whole DNS name as certificates have it, without wildcard", i, name)
		}
	}
	switch {
	case s.Listen == s.Health && !strings.HasSuffix(s.Listen, ":0"):
		return fmt.Errorf("server.listen and server.health are both %s, want two addresses", s.Listen)
	case s.TLS.CertFile == "" || s.TLS.KeyFile == "":
		return errors.New("server.tls needs cert_file and key_file: Gatekeeper speaks to providers by https only")
	case s.Clients.Unauthenticated && s.Clients.CAFile != "":
		return errors.New("server.clients has a ca_file and is unauthenticated: give one of them")
	case !s.Clients.Unauthenticated && s.Clients.CAFile == "":
		return errors.New("server.clients.ca_file is missing: the authority that signed Gatekeeper's certificate; or set server.clients.unauthenticated")
	case !s.Clients.Unauthenticated && len(s.Clients.Names) == 0:
		return errors.New("server.clients.names is empty, so nobody could ask; an authority alone signs others as well")
	}
	return nil
}

func isListenAddress(address string) bool {
	_, port, err := net.SplitHostPort(address)
	_, number := strconv.ParseUint(port, 10, 16)
	return err == nil && number == nil
}

// ordered wants each time below the next, so that each gives up before the one
// that waits for it.
func (c *Config) ordered() error {
	times := []struct {
		field string
		value builtins.Duration
	}{
		{"limits.silence", c.Limits.Silence}, {"limits.reference", c.Limits.Reference}, {"gatekeeper.deadline", c.Gatekeeper.Deadline},
		{"gatekeeper.provider_timeout", c.Gatekeeper.ProviderTimeout}, {"gatekeeper.webhook_timeout", c.Gatekeeper.WebhookTimeout},
	}
	for i, t := range times[1:] {
		if before := times[i]; before.value >= t.value {
			return fmt.Errorf("%s is %s and %s is %s, want the first to be less, since whoever waits must wait longer: lower it, or raise the second", before.field, time.Duration(before.value), t.field, time.Duration(t.value))
		}
	}
	for _, t := range times[3:] {
		if time.Duration(t.value)%time.Second != 0 {
			return fmt.Errorf("%s is %s, want whole seconds as Kubernetes has them", t.field, time.Duration(t.value))
		}
	}
	if c.Gatekeeper.Background < c.Limits.Reference {
		return fmt.Errorf("gatekeeper.background is %s, want at least limits.reference, %s", time.Duration(c.Gatekeeper.Background), time.Duration(c.Limits.Reference))
	}
	return nil
}

// ProviderSource is where the provider's checks get their bytes: from listed
// hosts, and from no file. What is done for those who come next may take longer
// than one of them waits.
func (c *Config) ProviderSource() source.Config {
	from := c.SourceConfig()
	from.OnlyListed, from.Breaker = true, &source.Breaker{}
	from.Limits.Reference = c.Gatekeeper.Background
	return from
}

// ProviderEnv is what the provider's checks may touch: a client of
// [Config.ProviderSource], and trust by name only.
func (c *Config) ProviderEnv(from builtins.Source, facts builtins.Facts, material builtins.Trust, log *slog.Logger) *builtins.Env {
	limits := c.Limits
	limits.Reference = c.Gatekeeper.Background
	return &builtins.Env{Source: from, Trust: material, Facts: facts, Limits: limits, Log: log, NamedTrust: true}
}
