// SPDX-License-Identifier: Apache-2.0

package archive_test

import (
	"bytes"
	"testing"

	"github.com/chartseal/chartseal/builtins"
	"github.com/chartseal/chartseal/builtins/archive"
	"github.com/chartseal/chartseal/test/forge"
)

// A15: archives that are read on one budget share it, whatever comes of
// reading them. Three fit exactly, and the fourth does not.
func TestArchivesShareABudget(t *testing.T) {
	entries := with(file("zeros", 100<<10))
	whole := forge.Archive(entries...)
	unpacked, count := int64(len(forge.Tar(entries...))), int64(len(entries))
	twice := forge.Archive(append(entries, entries[0])...)
	for _, test := range []struct {
		name  string
		raw   []byte
		code  builtins.Code // while there is budget
		limit func(*builtins.Limits)
		over  builtins.Code
	}{
		{"bytes unpacked", whole, builtins.OK, func(l *builtins.Limits) { l.ArchiveUnpacked = 3 * unpacked }, builtins.TooLarge},
		{"bytes fetched", whole, builtins.OK, func(l *builtins.Limits) { l.Archive = 3 * int64(len(whole)) }, builtins.TooLarge},
		{"entries", whole, builtins.OK, func(l *builtins.Limits) { l.ArchiveEntries = 3 * count }, builtins.TooMany},
		// The end of a tar is not unpacked of one that is refused before it,
		// and nothing that belongs to the block that was cut.
		{"bytes unpacked of refused archives", twice, builtins.AmbiguousArchive, func(l *builtins.Limits) { l.ArchiveUnpacked = 3 * (unpacked - 512) }, builtins.TooLarge},
		{"bytes fetched of refused archives", twice, builtins.AmbiguousArchive, func(l *builtins.Limits) { l.Archive = 3 * int64(len(twice)) }, builtins.TooLarge},
		{"entries of refused archives", twice, builtins.AmbiguousArchive, func(l *builtins.Limits) { l.ArchiveEntries = 3 * (count + 1) }, builtins.TooMany},
		{"bytes unpacked of cut archives", whole[:len(whole)-4], builtins.NotAChart, func(l *builtins.Limits) { l.ArchiveUnpacked = 3 * unpacked }, builtins.TooLarge},
		{"entries of cut archives", whole[:len(whole)-4], builtins.NotAChart, func(l *builtins.Limits) { l.ArchiveEntries = 3 * count }, builtins.TooMany},
	} {
		for kind, read := range readers {
			t.Run(test.name+", "+kind, func(t *testing.T) {
				limits := builtins.DefaultLimits()
				test.limit(&limits)
				budget := builtins.NewBudget(limits)
				for i, want := range []builtins.Code{test.code, test.code, test.code, test.over, test.over} {
					_, err := read(t.Context(), bytes.NewReader(test.raw), budget)
					if got := builtins.CodeOf(err); got != want {
						t.Errorf("archive %d: %s, want %s: %v", i, got, want, err)
					}
				}
				if _, err := read(t.Context(), bytes.NewReader(whole), builtins.NewBudget(limits)); err != nil {
					t.Errorf("on a budget of its own: %v", err)
				}
			})
		}
	}
}

// A directory draws what it reads, too.
func TestDirectoriesShareABudget(t *testing.T) {
	limits := builtins.DefaultLimits()
	limits.ArchiveEntries = 2 * 4 // Chart.yaml, templates, templates/service.yaml, values.yaml
	budget := builtins.NewBudget(limits)
	for i, want := range []builtins.Code{builtins.OK, builtins.OK, builtins.TooMany} {
		if _, err := archive.ReadDir(t.Context(), onDisk(with()...), budget); builtins.CodeOf(err) != want {
			t.Errorf("directory %d: %v, want %s", i, err, want)
		}
	}
}
