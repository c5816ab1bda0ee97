// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"syscall"
)

// A Net is a network of the test's making. Its methods have the signatures of
// net.Resolver and net.Dialer. Names are what the test says; an address is
// reached if a server was put there or if it is in 127.0.0.0/8. Nothing leaves
// the machine.
type Net struct {
	mu      sync.Mutex
	names   map[string][][]netip.Addr // answers in order, the last for good
	routes  map[string]string         // address asked for → address of the server
	lookups map[string]int
	dialed  []string
}

// NewNet makes a network without names.
func NewNet() *Net {
	return &Net{names: map[string][][]netip.Addr{}, routes: map[string]string{}, lookups: map[string]int{}}
}

// Name adds an answer for a name: these addresses. The first lookup gets the
// first answer, the second the second, and so on; the last is repeated.
func (n *Net) Name(name string, addresses ...string) {
	var answer []netip.Addr
	for _, a := range addresses {
		answer = append(answer, netip.MustParseAddr(a))
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.names[name] = append(n.names[name], answer)
}

// Route puts a server at an address, "203.0.113.7:443".
func (n *Net) Route(address string, s *Server) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.routes[address] = s.Addr()
}

// LookupNetIP answers as [Net.Name] said; an address is its own answer, any
// other name does not exist.
func (n *Net) LookupNetIP(ctx context.Context, _, host string) ([]netip.Addr, error) {
	if addr, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{addr}, nil
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	answers := n.names[host]
	if len(answers) == 0 {
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}
	nth := min(n.lookups[host], len(answers)-1)
	n.lookups[host]++
	return answers[nth], ctx.Err()
}

// DialContext connects to an address, or to the first address of a name.
func (n *Net) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	addrs, err := n.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil, err
	}
	target := net.JoinHostPort(addrs[0].String(), port)
	to, ok := n.route(target)
	if !ok {
		return nil, &net.OpError{Op: "dial", Net: network, Err: fmt.Errorf("%s: %w", target, syscall.ECONNREFUSED)}
	}
	var dialer net.Dialer
	return dialer.DialContext(ctx, network, to)
}

func (n *Net) route(target string) (string, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.dialed = append(n.dialed, target)
	if to, ok := n.routes[target]; ok {
		return to, true
	}
	at, err := netip.ParseAddrPort(target)
	return target, err == nil && at.Addr().Unmap().IsLoopback() && at.Addr().Is4()
}

// Dialed are the addresses that connections were asked to, in order, whether
// they were reached or not.
func (n *Net) Dialed() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return append([]string(nil), n.dialed...)
}

// Lookups is how often a name was looked up.
func (n *Net) Lookups(name string) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.lookups[name]
}
