// SPDX-License-Identifier: Apache-2.0

package archive_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/chartseal/chartseal/builtins"
	"github.com/chartseal/chartseal/builtins/archive"
	"github.com/chartseal/chartseal/test/forge"
)

const (
	mib   = 1 << 20
	chunk = 64 << 10
)

// Each limit refuses one above it; the twin is one at it. Three of the limits
// are a tenth of the default, for speed.
func TestLimits(t *testing.T) {
	limits := builtins.DefaultLimits()
	limits.ArchiveUnpacked, limits.ArchiveFile, limits.ArchiveEntries = 10*mib, mib, 1000
	tests := map[string]struct {
		code     builtins.Code
		at, over func() io.Reader
	}{
		"A14 one file": {builtins.TooLarge,
			func() io.Reader { return packed(file("zeros", mib)) },
			func() io.Reader { return packed(file("zeros", mib+1)) }},
		"A14 all files": {builtins.TooLarge,
			func() io.Reader { return packed(files(9, mib)...) },
			func() io.Reader { return packed(files(10, mib)...) }},
		"A14 zeros after the tar": {builtins.TooLarge,
			func() io.Reader {
				return bytes.NewReader(forge.Gzip(append(forge.Tar(with()...), make([]byte, 9*mib)...)))
			},
			func() io.Reader {
				return bytes.NewReader(forge.Gzip(append(forge.Tar(with()...), make([]byte, 10*mib)...)))
			}},
		"A14 entries": {builtins.TooMany,
			func() io.Reader { return packed(files(1000-3, 0)...) },
			func() io.Reader { return packed(files(1000-2, 0)...) }},
		"A14 global headers": {builtins.TooMany,
			func() io.Reader { return packed(global(1000 - 3)...) },
			func() io.Reader { return packed(global(1000 - 2)...) }},
		"A15 bytes of nested archives": {builtins.TooLarge,
			func() io.Reader { return packed(nestedFiles(9, mib-8<<10)...) },
			func() io.Reader { return packed(nestedFiles(11, mib-8<<10)...) }},
		"A15 entries of nested archives": {builtins.TooMany,
			func() io.Reader { return packed(nestedEntries(9, 100)...) },
			func() io.Reader { return packed(nestedEntries(10, 100)...) }},
		"A15 levels": {builtins.TooMany,
			func() io.Reader { return packed(levels(4, 1)...) },
			func() io.Reader { return packed(levels(5, 1)...) }},
		"A15 levels that branch": {builtins.TooMany,
			func() io.Reader { return packed(levels(4, 3)...) },
			func() io.Reader { return packed(levels(4, 5)...) }},
		"Chart.yaml": {builtins.TooLarge,
			func() io.Reader { return chartOf(mib) },
			func() io.Reader { return chartOf(mib + 1) }},
		"Chart.yaml of subcharts": {builtins.TooLarge,
			func() io.Reader { return packed(described(9, 100<<10)...) },
			func() io.Reader { return packed(described(11, 100<<10)...) }},
		"bytes of a path": {builtins.TooLarge,
			func() io.Reader { return packed(file(strings.Repeat("a", 1024-len("web/")), 0)) },
			func() io.Reader { return packed(file(strings.Repeat("a", 1025-len("web/")), 0)) }},
		"depth of a path": {builtins.TooMany,
			func() io.Reader { return packed(file(strings.Repeat("a/", 30)+"a", 0)) },
			func() io.Reader { return packed(file(strings.Repeat("a/", 31)+"a", 0)) }},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := archive.Read(t.Context(), test.at(), builtins.NewBudget(limits)); err != nil {
				t.Errorf("at the limit: %v", err)
			}
			c, err := archive.Read(t.Context(), test.over(), builtins.NewBudget(limits))
			if code := builtins.CodeOf(err); code != test.code {
				t.Errorf("over the limit: code %s, chart %+v, error %v", code, c, err)
			}
		})
	}
}

func packed(extra ...forge.Entry) io.Reader { return bytes.NewReader(forge.Archive(with(extra...)...)) }

func file(name string, size int) forge.Entry {
	return forge.Entry{Name: name, Body: strings.Repeat("\x00", size)}
}

func files(n, size int) []forge.Entry {
	var entries []forge.Entry
	for i := range n {
		entries = append(entries, file(fmt.Sprintf("files/%d", i), size))
	}
	return entries
}

func global(n int) []forge.Entry {
	return slices.Repeat([]forge.Entry{{Name: "pax_global_header", Type: 'g'}}, n)
}

func nestedFiles(n, size int) []forge.Entry {
	var entries []forge.Entry
	for i := range n {
		body := forge.Archive(forge.Chart(fmt.Sprintf("sub%d", i), "1.0.0", file("zeros", size))...)
		entries = append(entries, forge.Entry{Name: fmt.Sprintf("charts/sub%d-1.0.0.tgz", i), Body: string(body)})
	}
	return entries
}

func nestedEntries(n, each int) []forge.Entry {
	var entries []forge.Entry
	for i := range n {
		body := forge.Archive(forge.Chart(fmt.Sprintf("sub%d", i), "1.0.0", files(each, 0)...)...)
		entries = append(entries, forge.Entry{Name: fmt.Sprintf("charts/sub%d-1.0.0.tgz", i), Body: string(body)})
	}
	return entries
}

// levels are archives in archives, each with some copies of the next.
func levels(depth, copies int) []forge.Entry {
	if depth == 0 {
		return nil
	}
	body := string(forge.Archive(forge.Chart("sub", "1.0.0", levels(depth-1, copies)...)...))
	var entries []forge.Entry
	for i := range copies {
		entries = append(entries, forge.Entry{Name: fmt.Sprintf("charts/%d.tgz", i), Body: body})
	}
	return entries
}

// chartOf is a chart whose Chart.yaml has size bytes.
func chartOf(size int) io.Reader {
	text := forge.ChartYAML("web", "1.2.3") + "home: "
	text += strings.Repeat("x", size-len(text))
	return bytes.NewReader(forge.Archive(forge.Entry{Name: "web/Chart.yaml", Body: text}))
}

func described(n, size int) []forge.Entry {
	var entries []forge.Entry
	for i := range n {
		text := forge.ChartYAML(fmt.Sprintf("sub%d", i), "1.0.0", "home: "+strings.Repeat("x", size))
		entries = append(entries, forge.Entry{Name: fmt.Sprintf("charts/sub%d/Chart.yaml", i), Body: text})
	}
	return entries
}

func TestArchiveLimit(t *testing.T) {
	raw := forge.Archive(with()...)
	limits := builtins.DefaultLimits()
	limits.Archive = int64(len(raw))
	if _, err := archive.Read(t.Context(), bytes.NewReader(raw), builtins.NewBudget(limits)); err != nil {
		t.Errorf("at the limit: %v", err)
	}
	limits.Archive--
	if _, err := archive.Read(t.Context(), bytes.NewReader(raw), builtins.NewBudget(limits)); builtins.CodeOf(err) != builtins.TooLarge {
		t.Errorf("over the limit: %v", err)
	}
	// It also holds for the bytes that nobody unpacks any more.
	endless := io.MultiReader(strings.NewReader("not gzip"), &again{bytes: make([]byte, chunk)})
	if _, err := archive.Read(t.Context(), endless, builtins.NewBudget(builtins.DefaultLimits())); builtins.CodeOf(err) != builtins.TooLarge {
		t.Errorf("endless: %v", err)
	}
}

func TestZeroLimitsAllowNothing(t *testing.T) {
	for name, raw := range good {
		if c, err := archive.Read(t.Context(), bytes.NewReader(raw), builtins.NewBudget(builtins.Limits{})); builtins.CodeOf(err) != builtins.TooLarge {
			t.Errorf("%s: chart %+v, error %v", name, c, err)
		}
	}
}

// A14: what is claimed is refused before it is unpacked, and so is what is not.
func TestEndlessArchives(t *testing.T) {
	raw := builtins.DefaultLimits()
	tests := map[string]struct {
		limit func(*builtins.Limits)
		code  builtins.Code
	}{
		"A14 one file of 5 GiB zeros":          {func(*builtins.Limits) {}, builtins.TooLarge},
		"A14 the same where files may be huge": {func(l *builtins.Limits) { l.ArchiveFile = 1 << 40 }, builtins.TooLarge},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			limits := raw
			test.limit(&limits)
			// 5 GiB of zeros are some 25 MiB of gzip at the fastest level.
			for kind, read := range readers {
				_, err := read(t.Context(), io.LimitReader(zeros(t, with()...), 25*mib), builtins.NewBudget(limits))
				if code := builtins.CodeOf(err); code != test.code {
					t.Errorf("%s: code %s, error %v", kind, code, err)
				}
			}
		})
	}
}

func TestManyEntries(t *testing.T) {
	t.Run("A14 a million entries", func(t *testing.T) {
		r, w := io.Pipe()
		go func() {
			zipped, _ := gzip.NewWriterLevel(w, gzip.BestSpeed)
			for i := range 1_000_000 {
				if _, err := zipped.Write(forge.Entry{Name: fmt.Sprintf("web/%d", i)}.Bytes()); err != nil {
					return
				}
			}
			w.CloseWithError(zipped.Close())
		}()
		// The rest need not arrive: the verdict is there.
		some := io.LimitReader(r, 1<<20)
		_, err := archive.Read(t.Context(), some, builtins.NewBudget(builtins.DefaultLimits()))
		r.Close()
		if code := builtins.CodeOf(err); code != builtins.TooMany {
			t.Errorf("code %s, error %v", code, err)
		}
	})
}

// Memory does not grow with the archive.
func TestReadAllocates(t *testing.T) {
	raw := large(t, 50*mib)
	for kind, read := range readers {
		t.Run(kind, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			if _, err := read(t.Context(), bytes.NewReader(raw), builtins.NewBudget(builtins.DefaultLimits())); err != nil {
				t.Fatal(err)
			}
			runtime.ReadMemStats(&after)
			if got := after.TotalAlloc - before.TotalAlloc; got > 4*mib {
				t.Errorf("reading %d MiB allocates %d KiB in all", len(raw)/mib, got>>10)
			} else {
				t.Logf("%d KiB", got>>10)
			}
		})
	}
}
