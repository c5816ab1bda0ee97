// SPDX-License-Identifier: Apache-2.0

package config

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"github.com/chartseal/chartseal/builtins/chartref"
)

// A Registry says something of a host, be it an OCI registry or a chart
// repository.
type Registry struct {
	Host        string       `json:"host" doc:"host or host:port as references write it; *.example.com lists every host below example.com"`
	Insecure    bool         `json:"insecure" doc:"permit http, and https with any certificate, for this one host"`
	Credentials *Credentials `json:"credentials" doc:"sent to exactly this host and port"`
}

// A host is a Registry, checked. What stands in its credentials is asked for
// by a function, since a value would be shown by whoever prints a Config.
type host struct {
	Registry
	credentials func() (username, password string)
}

const wildcard = "*."

// readRegistries checks each registry and reads the credentials it names.
func readRegistries(registries []Registry, dir string) (map[string]host, error) {
	hosts := map[string]host{}
	for i := range registries {
		h, err := readRegistry(&registries[i], dir)
		if err == nil && hosts[h.Host].Host != "" {
			err = fmt.Errorf("host %s is listed twice", h.Host)
		}
		if err != nil {
			return nil, fmt.Errorf("registries[%d]: %w", i, err)
		}
		hosts[h.Host] = h
	}
	return hosts, nil
}

func readRegistry(r *Registry, dir string) (host, error) {
	canonical, err := canonicalHost(r.Host)
	if err != nil {
		return host{}, err
	}
	r.Host = canonical
	if strings.HasPrefix(canonical, wildcard) && (r.Insecure || r.Credentials != nil) {
		return host{}, fmt.Errorf("insecure and credentials are for one host, and %s is a wildcard", canonical)
	}
	h := host{Registry: *r}
	if r.Credentials == nil {
		return h, nil
	}
	username, password, err := r.Credentials.read(canonical, dir)
	if err != nil {
		return host{}, fmt.Errorf("credentials for %s: %w", canonical, err)
	}
	h.credentials = func() (string, string) { return username, password }
	return h, nil
}

// canonicalHost is a host as references have it, with a wildcard before it or
// without. Below an IP address there is nothing for a wildcard to list.
func canonicalHost(s string) (string, error) {
	if s == "" {
		return "", errors.New("host is missing")
	}
	if strings.Contains(s, "/") {
		return "", errors.New("host has a slash, want host or host:port without scheme and path")
	}
	name, below := strings.CutPrefix(s, wildcard)
	canonical, err := chartref.CanonicalHost("https", name)
	if err != nil || !below {
		return canonical, err
	}
	if isAddress(canonical) {
		return "", errors.New("host is a wildcard before an IP address")
	}
	return wildcard + canonical, nil
}

func isAddress(canonical string) bool {
	if _, err := netip.ParseAddrPort(canonical); err == nil {
		return true
	}
	_, err := netip.ParseAddr(strings.Trim(canonical, "[]"))
	return err == nil
}

// Registry is what the configuration says of host, which is a host with or
// without a port: its own entry, or that of the nearest wildcard above it. A
// wildcard stands for one or more whole labels, on its own port only. Listed
// is false if there is neither.
func (c *Config) Registry(host string) (registry Registry, listed bool) {
	canonical, err := chartref.CanonicalHost("https", host)
	if err != nil {
		return Registry{}, false
	}
	if exact, ok := c.hosts[canonical]; ok {
		return exact.Registry, true
	}
	for rest := canonical; ; {
		_, above, ok := strings.Cut(rest, ".")
		if !ok {
			return Registry{}, false
		}
		if h, ok := c.hosts[wildcard+above]; ok {
			return h.Registry, true
		}
		rest = above
	}
}

// Credentials are what is to be sent to host, which is a host with or without
// a port. They belong to exactly that host and port; for any other ok is false.
func (c *Config) Credentials(host string) (username, password string, ok bool) {
	canonical, err := chartref.CanonicalHost("https", host)
	if err != nil {
		return "", "", false
	}
	h, listed := c.hosts[canonical]
	if !listed || h.credentials == nil {
		return "", "", false
	}
	username, password = h.credentials()
	return username, password, true
}
