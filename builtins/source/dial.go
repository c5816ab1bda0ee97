// SPDX-License-Identifier: Apache-2.0

package source

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/chartseal/chartseal/builtins"
)

// maxAddresses is how many addresses of one name are tried.
const maxAddresses = 8

var errHandshake = errors.New("handshake")

func (c *Client) dialPlain(ctx context.Context, network, authority string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Duration(c.config.Limits.Connect))
	defer cancel()
	return c.connect(ctx, "http", network, authority)
}

func (c *Client) dialTLS(ctx context.Context, network, authority string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Duration(c.config.Limits.Connect))
	defer cancel()
	raw, err := c.connect(ctx, "https", network, authority)
	if err != nil {
		return nil, err
	}
	conn := tls.Client(raw, c.tlsConfig(authority))
	if err := conn.HandshakeContext(ctx); err != nil {
		_ = raw.Close()
		return nil, fmt.Errorf("%w: %w", errHandshake, err)
	}
	return conn, nil
}

func (c *Client) tlsConfig(authority string) *tls.Config {
	name, _, _ := net.SplitHostPort(authority)
	registry, _ := c.listing("https", authority)
	return &tls.Config{
		MinVersion:         tls.VersionTLS12,
		ServerName:         name,
		RootCAs:            c.config.RootCAs,
		NextProtos:         []string{"http/1.1"},
		InsecureSkipVerify: registry.Insecure, // only for a host whose owner said so
	}
}

// connect resolves a name and dials the first of its addresses that is
// permitted and answers. What is dialled is an address, never the name again,
// so that the address that was judged is the one that is reached.
func (c *Client) connect(ctx context.Context, scheme, network, authority string) (net.Conn, error) {
	name, port, err := net.SplitHostPort(authority)
	if err != nil {
		return nil, err
	}
	addrs, err := c.addresses(ctx, scheme, authority, name)
	if err != nil {
		return nil, err
	}
	var failed error
	for i, addr := range addrs {
		conn, err := c.dialOne(ctx, network, net.JoinHostPort(addr.String(), port), len(addrs)-i)
		if err == nil {
			return conn, nil
		}
		failed = cmp.Or(failed, err)
	}
	return nil, failed
}

// dialOne leaves time for those addresses that are left.
func (c *Client) dialOne(ctx context.Context, network, address string, left int) (net.Conn, error) {
	deadline, _ := ctx.Deadline()
	ctx, cancel := context.WithTimeout(ctx, time.Until(deadline)/time.Duration(left))
	defer cancel()
	return c.config.Dialer.DialContext(ctx, network, address)
}

// addresses are those of name that may be dialled, IPv4 first, because a
// network without IPv6 tends to be slow in saying so.
func (c *Client) addresses(ctx context.Context, scheme, authority, name string) ([]netip.Addr, error) {
	all, err := c.config.Resolver.LookupNetIP(ctx, "ip", name)
	if err != nil {
		return nil, err
	}
	_, listed := c.listing(scheme, authority)
	var permitted []netip.Addr
	denied := builtins.Errorf(builtins.Unavailable, "host %s has no address", name)
	for _, addr := range all {
		if err := c.permitAddress(addr, listed); err != nil {
			denied = err
		} else if len(permitted) < maxAddresses {
			permitted = append(permitted, addr.Unmap())
		}
	}
	if len(permitted) == 0 {
		return nil, denied
	}
	slices.SortStableFunc(permitted, func(a, b netip.Addr) int { return cmp.Compare(a.BitLen(), b.BitLen()) })
	return permitted, nil
}

// permitAddress judges an address before it is dialled. A host that the
// configuration lists may be anywhere; any other may not be on this machine,
// on this link or where clouds answer their guests, nor, if only listed hosts
// count, in a private network.
func (c *Client) permitAddress(addr netip.Addr, listed bool) error {
	if listed {
		return nil
	}
	reach := reachOf(addr)
	if reach == public || (reach == private && !c.config.OnlyListed) {
		return nil
	}
	return builtins.Errorf(builtins.SourceDenied, "a %s address is permitted only for hosts that the configuration lists", reach)
}

// A reach is how far an address reaches.
type reach string

const (
	public  reach = "public"
	private reach = "private"
	local   reach = "loopback, link-local or cloud metadata"
)

// reachOf is that of the IPv4 address inside, where an IPv6 address is only a
// way to write one.
func reachOf(addr netip.Addr) reach {
	addr = addr.WithZone("").Unmap()
	if inner, ok := embedded(addr); ok {
		return reachOf(inner)
	}
	switch {
	case within(addr, localNetworks), addr.IsMulticast():
		return local
	case within(addr, privateNetworks):
		return private
	}
	return public
}

func within(addr netip.Addr, networks []netip.Prefix) bool {
	return slices.ContainsFunc(networks, func(p netip.Prefix) bool { return p.Contains(addr) })
}

// embedded is the IPv4 address that a gateway would send a packet on to:
// IPv4-compatible, IPv4-translated (RFC 2765), NAT64 (RFC 6052) and 6to4
// (RFC 3056) addresses have one.
func embedded(addr netip.Addr) (netip.Addr, bool) {
	if !addr.Is6() {
		return netip.Addr{}, false
	}
	b := addr.As16()
	switch {
	case nat64.Contains(addr), translated.Contains(addr), compatible.Contains(addr) && addr.Compare(netip.IPv6Loopback()) > 0:
		return netip.AddrFrom4([4]byte(b[12:])), true
	case sixToFour.Contains(addr):
		return netip.AddrFrom4([4]byte(b[2:6])), true
	}
	return netip.Addr{}, false
}

var (
	nat64      = netip.MustParsePrefix("64:ff9b::/96")
	compatible = netip.MustParsePrefix("::/96")
	translated = netip.MustParsePrefix("::ffff:0:0:0/96")
	sixToFour  = netip.MustParsePrefix("2002::/16")

	localNetworks = prefixes(
		"0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "255.255.255.255/32",
		"::/127", "fe80::/10",
		// A network's own NAT64 (RFC 8215) and Teredo (RFC 4380) may lead to any of these.
		"64:ff9b:1::/48", "2001::/32",
		// Metadata services outside the link-local networks: Alibaba, Oracle, Azure, Amazon, Google.
		"100.100.100.200/32", "192.0.0.192/32", "168.63.129.16/32", "fd00:ec2::254/128", "fd20:ce::254/128",
	)
	privateNetworks = prefixes(
		"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "192.0.0.0/24", "198.18.0.0/15", "240.0.0.0/4",
		"fc00::/7", "fec0::/10",
	)
)

func prefixes(texts ...string) []netip.Prefix {
	var all []netip.Prefix
	for _, text := range texts {
		all = append(all, netip.MustParsePrefix(text))
	}
	return all
}
