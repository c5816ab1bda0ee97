// SPDX-License-Identifier: Apache-2.0

// Package inventory says what is in a trust directory and what of it wants
// its owner's attention, in the words of the reports.
package inventory

import (
	"fmt"
	"path"
	"time"

	"github.com/chartseal/chartseal/builtins/trust"
)

// An Inventory is all of a trust directory at one time.
type Inventory struct {
	Directory    string        `json:"directory"`
	Digest       string        `json:"digest"`
	Keyrings     []Keyring     `json:"keyrings"`
	PublicKeys   []PublicKey   `json:"public_keys"`
	TrustedRoots []TrustedRoot `json:"trusted_roots"`
}

// A Source is the file that something comes from, and the name that policies
// have for it.
type Source struct {
	Name   string `json:"name"`
	File   string `json:"file"`
	Digest string `json:"digest"`
}

// A Warning is a reason to do something about a key or root.
type Warning struct {
	Kind Kind   `json:"kind"`
	Text string `json:"text"`
}

// A Kind of warning is a word for programs.
type Kind string

// The kinds of warnings. What is Short or Expiring counts; nothing signed with
// what is Weak, Revoked or Unusable does; of what is Expired, only signatures
// that are proven to be older, and only where a policy says so.
const (
	Short    Kind = "short"
	Weak     Kind = "weak"
	Expiring Kind = "expiring"
	Expired  Kind = "expired"
	Revoked  Kind = "revoked"
	Unusable Kind = "unusable"
)

// soon is how long before its end something is Expiring.
const soon = 30 * 24 * time.Hour

// advisedRSA is the size below which an RSA key is Short: NIST SP 800-57 holds
// smaller ones good until 2030.
const advisedRSA = 3072

// Of lists what is in a snapshot of the directory dir, as it is at a time.
func Of(dir string, s *trust.Snapshot, at time.Time) *Inventory {
	inv := &Inventory{Directory: dir, Digest: s.Digest(), Keyrings: []Keyring{}, PublicKeys: []PublicKey{}, TrustedRoots: []TrustedRoot{}}
	for _, f := range s.Files() {
		source := Source{Name: f.Name, File: f.Path, Digest: f.Digest}
		switch path.Dir(f.Path) {
		case "keyrings":
			inv.Keyrings = append(inv.Keyrings, keyringOf(source, f.Raw, at))
		case "keys":
			inv.PublicKeys = append(inv.PublicKeys, publicKeyOf(source, f.Raw))
		case "roots":
			inv.TrustedRoots = append(inv.TrustedRoots, trustedRootOf(source, f.Raw, at))
		}
	}
	return inv
}

// NextExpiry is when the first of the keys expires that have not yet, and that
// nobody has revoked; zero if none will.
func (inv *Inventory) NextExpiry(at time.Time) (next time.Time) {
	for _, ring := range inv.Keyrings {
		for _, key := range ring.Keys {
			for _, k := range append([]PGPKey{key}, key.Subkeys...) {
				if !k.Revoked && k.Expires.After(at) && (next.IsZero() || k.Expires.Before(next)) {
					next = k.Expires
				}
			}
		}
	}
	return next
}

// ending warns of what has an end that is past or near.
func ending(what string, end, at time.Time) []Warning {
	switch {
	case end.IsZero() || end.After(at.Add(soon)):
		return nil
	case end.After(at):
		return []Warning{{Expiring, fmt.Sprintf("%s expires %s", what, date(end))}}
	}
	return []Warning{{Expired, fmt.Sprintf("%s expired %s", what, date(end))}}
}

func short(bits int) []Warning {
	if bits == 0 || bits >= advisedRSA {
		return nil
	}
	return []Warning{{Short, fmt.Sprintf("RSA of %d bits still counts, %d are advised", bits, advisedRSA)}}
}

func date(t time.Time) string { return t.UTC().Format(time.DateOnly) }
