// SPDX-License-Identifier: Apache-2.0

package inventory

import (
	"cmp"
	"crypto/x509"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sigstore/sigstore-go/pkg/root"

	"github.com/chartseal/chartseal/builtins"
)

// A TrustedRoot is one file of roots/. An authority or log whose time is over
// is no reason to worry, since what it said in its time stands; that there is
// none of a kind for today is.
type TrustedRoot struct {
	Source
	Authorities []Authority `json:"authorities"`
	Warnings    []Warning   `json:"warnings,omitempty"`
}

// The kinds of authorities, in the order of their listing.
const (
	CertificateAuthority = "certificate authority"
	CertificateLog       = "certificate log"
	TransparencyLog      = "transparency log"
	TimestampAuthority   = "timestamp authority"
)

// An Authority is one that a trusted root names, with the time in which its
// word counts. Fingerprint and algorithm are of a log's key, or of the key of
// an authority's root certificate.
type Authority struct {
	Kind        string    `json:"kind"`
	URL         string    `json:"url"`
	Subject     string    `json:"subject,omitempty"`
	Fingerprint string    `json:"fingerprint"`
	Algorithm   string    `json:"algorithm"`
	From        time.Time `json:"from,omitzero"`
	Until       time.Time `json:"until,omitzero"`
	Warnings    []Warning `json:"warnings,omitempty"`
}

func trustedRootOf(source Source, raw []byte, at time.Time) TrustedRoot {
	listed := TrustedRoot{Source: source, Authorities: []Authority{}}
	parsed, err := root.NewTrustedRootFromJSON(raw)
	if err != nil {
		listed.Warnings = []Warning{{Unusable, builtins.Printable(err.Error())}}
		return listed
	}
	for _, of := range []struct {
		kind  string
		known []Authority
	}{
		{CertificateAuthority, issuers(parsed)},
		{CertificateLog, logs(parsed.CTLogs())},
		{TransparencyLog, logs(parsed.RekorLogs())},
		{TimestampAuthority, timestampers(parsed)},
	} {
		for _, a := range of.known {
			a.Kind, a.URL = of.kind, builtins.Clip(builtins.Printable(a.URL))
			listed.Authorities = append(listed.Authorities, a)
		}
		listed.Warnings = append(listed.Warnings, outlook(of.kind, of.known, at)...)
	}
	return listed
}

// outlook warns if of all authorities of a kind none lasts.
func outlook(kind string, all []Authority, at time.Time) []Warning {
	started := slices.DeleteFunc(slices.Clone(all), func(a Authority) bool { return a.From.After(at) })
	if len(started) == 0 || slices.ContainsFunc(started, func(a Authority) bool { return a.Until.IsZero() }) {
		return nil
	}
	last := slices.MaxFunc(started, func(a, b Authority) int { return a.Until.Compare(b.Until) })
	return ending("the last "+kind, last.Until, at)
}

func issuers(r *root.TrustedRoot) (all []Authority) {
	for _, known := range r.FulcioCertificateAuthorities() {
		if ca, ok := known.(*root.FulcioCertificateAuthority); ok {
			a := authority(ca.URI, ca.ValidityPeriodStart, ca.ValidityPeriodEnd)
			a.certified(append(slices.Clone(ca.Intermediates), ca.Root))
			all = append(all, a)
		}
	}
	return sorted(all)
}

func timestampers(r *root.TrustedRoot) (all []Authority) {
	for _, known := range r.TimestampingAuthorities() {
		if tsa, ok := known.(*root.SigstoreTimestampingAuthority); ok {
			a := authority(tsa.URI, tsa.ValidityPeriodStart, tsa.ValidityPeriodEnd)
			a.certified(append(append([]*x509.Certificate{tsa.Leaf}, tsa.Intermediates...), tsa.Root))
			all = append(all, a)
		}
	}
	return sorted(all)
}

func logs(known map[string]*root.TransparencyLog) (all []Authority) {
	for _, log := range known {
		a := authority(log.BaseURL, log.ValidityPeriodStart, log.ValidityPeriodEnd)
		a.Fingerprint, a.Algorithm, a.Warnings = describeKey(log.PublicKey)
		all = append(all, a)
	}
	return sorted(all)
}

func authority(url string, from, until time.Time) Authority {
	return Authority{URL: url, From: from.UTC(), Until: until.UTC()}
}

// certified describes an authority by its chain, whose last is the root. The
// shortest life in it is the authority's.
func (a *Authority) certified(chain []*x509.Certificate) {
	for _, c := range chain {
		if c == nil {
			continue
		}
		a.Subject = builtins.Clip(builtins.Printable(c.Subject.String()))
		a.Until = sooner(a.Until, c.NotAfter.UTC())
		var warnings []Warning
		a.Fingerprint, a.Algorithm, warnings = describeKey(c.PublicKey)
		for _, w := range warnings {
			a.Warnings = append(a.Warnings, Warning{w.Kind, fmt.Sprintf("%s: %s", a.Subject, w.Text)})
		}
	}
}

func sorted(all []Authority) []Authority {
	slices.SortFunc(all, func(a, b Authority) int {
		return cmp.Or(strings.Compare(a.URL, b.URL), a.From.Compare(b.From), strings.Compare(a.Fingerprint, b.Fingerprint))
	})
	return all
}
