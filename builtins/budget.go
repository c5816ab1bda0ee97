// SPDX-License-Identifier: Apache-2.0

package builtins

import "sync/atomic"

// A Budget is what reading archives may cost in all: those that lie in one
// another, and those that are read for one reference. Whoever reads draws from
// it first of all, and nothing is given back when the reading fails. Several
// goroutines may draw at once.
type Budget struct {
	Limits Limits // of the whole, and of each archive

	fetched, unpacked, entries atomic.Int64 // drawn
}

// NewBudget has all that limits allow.
func NewBudget(limits Limits) *Budget { return &Budget{Limits: limits} }

// Fetch draws n bytes of archives as they are fetched. If not so
// many are left, the code is TooLarge.
func (b *Budget) Fetch(n int) error {
	if limit := b.Limits.Archive; b.fetched.Add(int64(n)) > limit {
		return Errorf(TooLarge, "archives exceed the limit of %d bytes", limit)
	}
	return nil
}

// Fetchable is how many bytes [Budget.Fetch] has left.
func (b *Budget) Fetchable() int64 { return max(0, b.Limits.Archive-b.fetched.Load()) }

// Unpack draws n unpacked bytes. If not so many are left, the code is
// TooLarge.
func (b *Budget) Unpack(n int) error {
	if limit := b.Limits.ArchiveUnpacked; b.unpacked.Add(int64(n)) > limit {
		return Errorf(TooLarge, "unpacked content exceeds the limit of %d bytes", limit)
	}
	return nil
}

// Enter draws one entry of an archive or of a directory. If there is none
// left, the code is TooMany.
func (b *Budget) Enter() error {
	if limit := b.Limits.ArchiveEntries; b.entries.Add(1) > limit {
		return Errorf(TooMany, "number of entries exceeds the limit of %d", limit)
	}
	return nil
}

// Exceeds says whether err is about a limit. It says nothing of the content
// then: another budget may have room for that.
func Exceeds(err error) bool {
	code := CodeOf(err)
	return code == TooLarge || code == TooMany
}
