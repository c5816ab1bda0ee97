// SPDX-License-Identifier: Apache-2.0

// Package source gives the checks their bytes. It is the only package that
// opens sockets and chart files, and believes nothing that comes back: every
// digest is computed here, every size and wait has a limit, and where a
// request may go is judged for each hop and for each address that is dialled.
//
// Nothing ambient takes part: no proxy, credential or certificate is taken
// from the environment, except the system's root certificates.
package source

import (
	"context"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/chartseal/chartseal/builtins"
	"github.com/chartseal/chartseal/builtins/chartref"
	"github.com/maypok86/otter/v2"
	"golang.org/x/sync/semaphore"
)

// A Config says where a [Client] may go and what that may cost.
type Config struct {
	// Registries says how the configuration lists a host, which is given in
	// its canonical form. Nil lists none.
	Registries func(host string) (Registry, bool)
	Limits     builtins.Limits

	// OnlyListed refuses hosts that Registries does not list. Without it any
	// host may be contacted, and private addresses too.
	OnlyListed bool
	// LocalPaths permits files, directories and inline archives.
	LocalPaths bool

	// Listings is how long a repository's index, a tag and the list of an
	// artifact's signatures serve without a request. After that they are asked
	// for again, an index conditionally.
	Listings time.Duration
	// CacheBytes is how much memory may be taken by what is remembered: indexes,
	// and small things in registries. 0 remembers nothing.
	CacheBytes int64
	// Shared is where clients of several processes find what one of them fetched.
	// Nil shares nothing; the answers are the same.
	Shared Shared
	// SharedWait is how long one value of Shared is waited for at most, whatever
	// Shared does itself. 0 is 100 ms.
	SharedWait time.Duration
	// Clock says how old what is remembered is. Nil is the machine's.
	Clock func() time.Time

	// Breaker leaves hosts alone that fail; nil asks them each time.
	Breaker *Breaker

	// Observe is told of each request that is really sent; nil is nobody. What
	// it gives is told when nobody reads the answer any more.
	Observe func(ctx context.Context, r Request) (context.Context, func(Result))

	RootCAs  *x509.CertPool // nil are the system's
	Resolver Resolver       // nil is the system's
	Dialer   Dialer         // nil is the system's; it only gets IP addresses that are permitted
}

// A Registry is how a host is listed, be it an OCI registry or a chart repository.
type Registry struct {
	// Insecure lets the host speak http, or https with any certificate.
	Insecure bool
	// Username and Password are sent to exactly this host and port.
	Username, Password string
}

// A Resolver is what [net.Resolver] does for us.
type Resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// A Dialer is what [net.Dialer] does for us.
type Dialer interface {
	DialContext(ctx context.Context, network, address string) (net.Conn, error)
}

// A Client is a [builtins.Source] of the network and the file system. One
// client serves any number of goroutines and shares its connections, tokens
// and what it remembers among them.
type Client struct {
	config    Config
	transport *http.Transport
	closed    *atomic.Bool
	gates     *gates
	circuits  *circuits
	memory    *memory
	tokens    *otter.Cache[string, token]  // by view
	schemes   *otter.Cache[string, string] // of insecure registries, by host
	stretched *otter.Cache[string, string] // credentials in names of shared views
	flights   *flights
	large     *semaphore.Weighted // bytes of documents
	larges    *gates              // for those
	allow     []string            // host names; nil is any
	sight     string              // which hosts these are, in one word
}

var _ builtins.Source = (*Client)(nil)

// New makes a Client. It fails if limits of time and of requests at once are
// not positive, for then nothing could ever be reached.
func New(config Config) (*Client, error) {
	if config.Limits.Connect <= 0 || config.Limits.Silence <= 0 {
		return nil, fmt.Errorf("limits connect %s and silence %s are not both positive",
			time.Duration(config.Limits.Connect), time.Duration(config.Limits.Silence))
	}
	if config.Limits.HostRequests <= 0 {
		return nil, fmt.Errorf("limit host_requests %d is not positive", config.Limits.HostRequests)
	}
	if config.Registries == nil {
		config.Registries = func(string) (Registry, bool) { return Registry{}, false }
	}
	if config.Resolver == nil {
		config.Resolver = net.DefaultResolver
	}
	if config.SharedWait == 0 {
		config.SharedWait = sharedWait
	}
	if config.Clock == nil {
		config.Clock = time.Now
	}
	if config.Dialer == nil {
		config.Dialer = &net.Dialer{}
	}
	c := &Client{
		config:    config,
		closed:    new(atomic.Bool),
		gates:     newGates(config.Limits.HostRequests, config.Limits.HostQueue),
		circuits:  newCircuits(config.Breaker, config.Clock),
		memory:    newMemory(config.CacheBytes, config.Clock),
		tokens:    newTokens(),
		schemes:   otter.Must(&otter.Options[string, string]{MaximumSize: 1024}),
		stretched: otter.Must(&otter.Options[string, string]{MaximumSize: 1024}),
		flights:   newFlights(config.Limits),
		large:     semaphore.NewWeighted(config.Limits.Documents),
		larges:    newGates(largePerHost, config.Limits.HostQueue),
	}
	c.transport = newTransport(c)
	return c, nil
}

// Close ends the connections that are idle, and keeps none of the requests that
// begin later. The client stays usable.
func (c *Client) Close() {
	c.closed.Store(true)
	c.transport.CloseIdleConnections()
}

// Stats are counted since the client was made, over all its views.
type Stats struct {
	QueueFull     int64 // requests that were not sent because too many waited for their host
	LeftAlone     int64 // requests that were not sent because their host does not answer
	CircuitOpened int64 // hosts that began to be left alone
	CircuitClosed int64 // hosts that answered again
}

// Stats says what was not sent, and why.
func (c *Client) Stats() Stats {
	s := Stats{QueueFull: c.gates.refused.Load()}
	if all := c.circuits; all != nil {
		s.LeftAlone, s.CircuitOpened, s.CircuitClosed = all.refused.Load(), all.opened.Load(), all.closed.Load()
	}
	return s
}

// Allowing is the same client, contacting only hosts whose name, without
// port, is in allow: by reference, by redirect, by index or for a token. Nil
// allows what c allows; a view of a view allows what both do.
func (c *Client) Allowing(allow []string) builtins.Source {
	if allow == nil {
		return c
	}
	view := *c
	view.allow = []string{}
	for _, name := range allow {
		name = strings.Trim(strings.ToLower(name), "[]")
		if c.allow == nil || slices.Contains(c.allow, name) {
			view.allow = append(view.allow, name)
		}
	}
	view.sight = builtins.SHA256(fmt.Appendf(nil, "%q", view.allow))
	return &view
}

// Resolve finds the chart that ref names. For an OCI reference it reads the
// manifest, for a repository object the index; an archive URL is asked for
// when it is opened.
func (c *Client) Resolve(ctx context.Context, ref chartref.Ref) (builtins.Artifact, error) {
	if err := ref.Err(); err != nil {
		return nil, builtins.Errorf(builtins.InvalidReference, "%w", err)
	}
	if oci, ok := ref.OCIRef(); ok {
		return c.resolveOCI(ctx, oci)
	}
	switch ref.Kind {
	case chartref.URL:
		return c.resolveURL(ref)
	case chartref.Repository:
		return c.resolveEntry(ctx, ref)
	case chartref.Path:
		return c.resolvePath(ref.Path)
	case chartref.Inline:
		return c.resolveInline(ref.Archive)
	}
	return nil, builtins.Errorf(builtins.InvalidReference, "reference is of an unknown kind")
}

// Fetch reads a small file at an https URL or local path, whole. More than
// limit bytes are TooLarge.
func (c *Client) Fetch(ctx context.Context, location string, limit int64) ([]byte, error) {
	ref := chartref.Parse(location)
	switch err := ref.Err(); {
	case err != nil:
		return nil, builtins.Errorf(builtins.InvalidReference, "location: %w", err)
	case ref.Kind == chartref.Path:
		return c.readFile(ref.Path, limit)
	case ref.Kind == chartref.URL:
		u, err := parseURL(ref.URL)
		if err != nil {
			return nil, err
		}
		return c.document(ctx, c.request("file", u), limit)
	}
	return nil, builtins.Errorf(builtins.SourceDenied, "location %s is neither a URL nor a path", ref)
}
