// SPDX-License-Identifier: Apache-2.0

package inventory

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
)

// WriteTable lists the inventory for people: a block per file, warnings below
// what they are about.
func (inv *Inventory) WriteTable(w io.Writer) error {
	t := &table{tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)}
	t.line("%s  %s", inv.Directory, inv.Digest)
	for _, ring := range inv.Keyrings {
		t.file("keyring", ring.Source)
		for _, key := range ring.Keys {
			t.key("  ", key)
		}
		t.warn("  ", ring.Warnings)
	}
	for _, key := range inv.PublicKeys {
		t.file("public key", key.Source)
		t.line("  %s\t%s", key.Fingerprint, key.Algorithm)
		t.warn("  ", key.Warnings)
	}
	for _, root := range inv.TrustedRoots {
		t.root(root)
	}
	return t.Flush()
}

type table struct{ *tabwriter.Writer }

func (t *table) line(format string, args ...any) { fmt.Fprintf(t, format+"\n", args...) }

func (t *table) file(kind string, s Source) {
	t.line("\n%s %s  %s  %s", kind, s.Name, s.File, s.Digest)
}

func (t *table) key(indent string, k PGPKey) {
	t.line("%s%s\t%s\t%s\t%s\t%s", indent, k.Fingerprint, k.Algorithm, day(k.Created, "-"), day(k.Expires, "no expiry"), strings.Join(k.UserIDs, ", "))
	t.warn(strings.Repeat(" ", len(indent)), k.Warnings)
	for _, sub := range k.Subkeys {
		t.key(indent+"  subkey ", sub)
	}
}

func (t *table) root(r TrustedRoot) {
	t.file("trusted root", r.Source)
	for _, a := range r.Authorities {
		t.line("  %s\t%s\t%s\t%s\t%s\t%s", a.Kind, a.URL, a.Algorithm, day(a.From, "-"), day(a.Until, "open"), cmp.Or(a.Fingerprint, "-"))
		t.warn("  ", a.Warnings)
	}
	t.warn("  ", r.Warnings)
}

func (t *table) warn(indent string, warnings []Warning) {
	for _, w := range warnings {
		t.line("%s! %s: %s", indent, w.Kind, w.Text)
	}
}

func day(t time.Time, none string) string {
	if t.IsZero() {
		return none
	}
	return date(t)
}
