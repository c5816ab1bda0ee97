// SPDX-License-Identifier: Apache-2.0

package source

import (
	"context"
	"net/netip"
)

// What the tests see of the parsers.

// ParseChart gives the digests of config, chart and provenance.
func ParseChart(mediaType string, raw []byte) (config, chart, provenance string, err error) {
	c, err := parseChart(manifest{mediaType: mediaType, digest: "sha256:…", raw: raw})
	if err == nil && c.provenance != nil {
		provenance = c.provenance.Digest
	}
	return c.config.Digest, c.chart.Digest, provenance, err
}

// FindEntry gives URL and digest of an entry.
func FindEntry(ctx context.Context, raw []byte, name, version string, limit int64) (location, digest string, err error) {
	e, err := findEntry(ctx, raw, name, version, limit)
	return e.location, e.digest, err
}

func Reach(addr netip.Addr) string { return string(reachOf(addr)) }

// NoChartYAML is what a failed look for Chart.yaml means.
var NoChartYAML = noChartYAML

var ParseChallenges = parseChallenges

// Gates is how many hosts have a gate, for requests or for what is large, and
// how many requests wait there.
func Gates(c *Client) (hosts, waiting int) {
	for _, all := range []*gates{c.gates, c.larges} {
		all.mu.Lock()
		for _, at := range all.of {
			waiting += at.queue.Len()
		}
		hosts += len(all.of)
		all.mu.Unlock()
	}
	return hosts, waiting
}

// Circuits is how many hosts are known to answer or to fail.
func Circuits(c *Client) int { return c.circuits.of.EstimatedSize() }

// Flights is how many requests are under way that may be shared, and how many
// wait for their answers.
func Flights(c *Client) (under, aboard int) {
	c.flights.mu.Lock()
	defer c.flights.mu.Unlock()
	for _, f := range c.flights.under {
		aboard += f.aboard
	}
	return len(c.flights.under), aboard
}

// Room says whether a large document of n bytes would be read now.
func Room(c *Client, n int64) bool {
	if !c.large.TryAcquire(n) {
		return false
	}
	c.large.Release(n)
	return true
}

// TokenBytes is what the tokens take that are remembered.
func TokenBytes(c *Client) uint64 {
	c.tokens.CleanUp()
	return c.tokens.WeightedSize()
}
