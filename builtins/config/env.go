// SPDX-License-Identifier: Apache-2.0

package config

import (
	"log/slog"
	"time"

	"github.com/chartseal/chartseal/builtins"
	"github.com/chartseal/chartseal/builtins/source"
	"github.com/chartseal/chartseal/builtins/trust"
)

// Env is what checks may touch on the command line: local files, any host by
// https, and the trust directory as it is now. It fails if that directory or
// a limit cannot be used.
func (c *Config) Env(log *slog.Logger) (*builtins.Env, error) {
	store, err := trust.Open(c.Trust.Directory, c.Limits)
	if err != nil {
		return nil, err
	}
	from := c.SourceConfig()
	from.LocalPaths = true
	client, err := source.New(from)
	if err != nil {
		return nil, err
	}
	return &builtins.Env{
		Source: client, Trust: store, Facts: source.NewFacts(c.Cache.Bytes/2, nil),
		Limits: c.Limits, Log: log,
	}, nil
}

// SourceConfig is what the configuration says of where bytes come from. Half
// of the cache is for that, the other half for [builtins.Facts]. Who may
// contact unlisted hosts and read local files is the caller's to add.
func (c *Config) SourceConfig() source.Config {
	return source.Config{
		Registries: c.sourceRegistry, Limits: c.Limits,
		Listings: time.Duration(c.Cache.Listings), CacheBytes: c.Cache.Bytes - c.Cache.Bytes/2,
	}
}

func (c *Config) sourceRegistry(host string) (source.Registry, bool) {
	listing, listed := c.Registry(host)
	username, password, _ := c.Credentials(host)
	return source.Registry{Insecure: listing.Insecure, Username: username, Password: password}, listed
}
