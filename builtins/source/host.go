// SPDX-License-Identifier: Apache-2.0

package source

import (
	"net/url"
	"slices"
	"strings"

	"github.com/chartseal/chartseal/builtins"
	"github.com/chartseal/chartseal/builtins/chartref"
)

// permit judges where a request is about to go, whoever chose that: the
// reference, a redirect, an index or a token challenge.
func (c *Client) permit(u *url.URL) error {
	if u.User != nil {
		return builtins.Errorf(builtins.SourceDenied, "%s has userinfo; credentials belong in the configuration", place(u))
	}
	if u.Scheme != "https" && u.Scheme != "http" {
		return builtins.Errorf(builtins.SourceDenied, "scheme %q of %s is not permitted, want https", builtins.Clip(u.Scheme), place(u))
	}
	if _, err := chartref.CanonicalHost(u.Scheme, u.Host); err != nil {
		return builtins.Errorf(builtins.SourceDenied, "%w", err)
	}
	registry, listed := c.listing(u.Scheme, u.Host)
	if c.config.OnlyListed && !listed {
		return builtins.Errorf(builtins.SourceDenied, "host %s is not listed under registries", u.Host)
	}
	if u.Scheme == "http" && !registry.Insecure {
		return builtins.Errorf(builtins.SourceDenied, "http to %s is not permitted: the configuration does not list it as insecure", u.Host)
	}
	if c.allow != nil && !slices.Contains(c.allow, strings.ToLower(u.Hostname())) {
		return builtins.Errorf(builtins.SourceDenied, "host %q is not among the hosts that the query's capabilities allow", u.Hostname())
	}
	return nil
}

// listing is how the configuration lists an authority. Over http, port 80 may
// be listed with its number, as references to registries write it.
func (c *Client) listing(scheme, authority string) (Registry, bool) {
	host, err := chartref.CanonicalHost(scheme, authority)
	if err != nil {
		return Registry{}, false
	}
	registry, listed := c.config.Registries(host)
	if explicit := host + ":80"; !listed && scheme == "http" && originOf(scheme, explicit) == originOf(scheme, host) {
		return c.config.Registries(explicit)
	}
	return registry, listed
}

// originOf is scheme, host and port in one canonical form, "" for none.
func originOf(scheme, authority string) string {
	host, err := chartref.CanonicalHost(scheme, authority)
	if err != nil {
		return ""
	}
	return scheme + "://" + host
}

func origin(u *url.URL) string { return originOf(u.Scheme, u.Host) }

// show is u as a reason may have it: queries and userinfo are where secrets stand.
func show(u *url.URL) string { return builtins.Clip(address(u)) }

func address(u *url.URL) string {
	text := place(u) + u.EscapedPath()
	if u.RawQuery != "" {
		text += "?…"
	}
	return text
}

// place is all that is shown of an address that somebody else chose.
func place(u *url.URL) string { return builtins.Clip(u.Scheme + "://" + u.Host) }

// parseURL reads a URL that came from outside. What is no URL may go nowhere.
func parseURL(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil {
		return nil, builtins.Errorf(builtins.SourceDenied, "an address that was named is not a URL")
	}
	if u.Path == "" {
		u.Path = "/" // what url.JoinPath joins to
	}
	return u, nil
}
