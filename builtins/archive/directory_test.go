// SPDX-License-Identifier: Apache-2.0

package archive_test

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/chartseal/chartseal/builtins"
	"github.com/chartseal/chartseal/builtins/archive"
	"github.com/chartseal/chartseal/test/forge"
)

// onDisk is the chart in entries as a directory.
func onDisk(entries ...forge.Entry) fstest.MapFS {
	dir := fstest.MapFS{}
	for _, e := range entries {
		_, path, _ := strings.Cut(e.Name, "/")
		dir[path] = &fstest.MapFile{Data: []byte(e.Body), Mode: 0o644}
	}
	return dir
}

// A25: a directory and an archive of one content are one chart.
func TestReadDirEqualsArchive(t *testing.T) {
	for _, extra := range [][]forge.Entry{nil, subcharts, {{Name: "Chart.lock", Body: "x"}, {Name: "a/b/c", Body: ""}}} {
		packed, err := archive.ReadContents(t.Context(), bytes.NewReader(forge.Archive(with(extra...)...)), builtins.NewBudget(builtins.DefaultLimits()))
		if err != nil {
			t.Fatal(err)
		}
		packed.Digest, packed.Size = "", 0
		got, err := archive.ReadDirContents(t.Context(), onDisk(with(extra...)...), builtins.NewBudget(builtins.DefaultLimits()))
		if diff := cmp.Diff(packed, got); diff != "" || err != nil {
			t.Errorf("error %v (-archive +directory):\n%s", err, diff)
		}
		got, err = archive.ReadDir(t.Context(), onDisk(with(extra...)...), builtins.NewBudget(builtins.DefaultLimits()))
		if err != nil || got.Files != nil || len(got.Subcharts) != len(packed.Subcharts) {
			t.Errorf("without contents: error %v, chart %+v", err, got)
		}
	}
}

func TestReadDirRefuses(t *testing.T) {
	valid := onDisk(with()...)
	regular := func(body string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(body)} }
	special := func(mode fs.FileMode) *fstest.MapFile {
		return &fstest.MapFile{Mode: mode, Data: []byte("values.yaml")}
	}
	tests := map[string]struct {
		path string
		file *fstest.MapFile
		code builtins.Code
	}{
		"A11 link":                  {"templates/link", special(fs.ModeSymlink), builtins.AmbiguousArchive},
		"A11 charts is a link":      {"charts", special(fs.ModeSymlink), builtins.AmbiguousArchive},
		"A11 Chart.lock is a link":  {"Chart.lock", special(fs.ModeSymlink), builtins.AmbiguousArchive},
		"A29 FIFO":                  {"templates/fifo", special(fs.ModeNamedPipe), builtins.AmbiguousArchive},
		"A29 device":                {"templates/device", special(fs.ModeDevice), builtins.AmbiguousArchive},
		"A12 backslash":             {`a\b`, regular(""), builtins.AmbiguousArchive},
		"A12 newline":               {"a\nb", regular(""), builtins.AmbiguousArchive},
		"A12 case twins":            {"Values.yaml", regular(""), builtins.AmbiguousArchive},
		"A14 one file":              {"zeros", regular(strings.Repeat("0", 8*mib+1)), builtins.TooLarge},
		"A16 key twice":             {"Chart.yaml", regular(forge.ChartYAML("web", "1.2.3", "name: evil")), builtins.MalformedChart},
		"A18 requirements.yaml":     {"requirements.yaml", regular("dependencies: []\n"), builtins.MalformedChart},
		"Chart.yaml is a directory": {"Chart.yaml/a", regular(""), builtins.NotAChart},
		"Chart.yaml too large":      {"Chart.yaml", regular(strings.Repeat("#", mib+1)), builtins.TooLarge},
		"loose file in charts":      {"charts/README.md", regular(""), builtins.NotAChart},
		"nested archive is none":    {"charts/db-1.0.0.tgz", regular("x"), builtins.NotAChart},
		"deep path":                 {strings.Repeat("a/", 32) + "a", regular(""), builtins.TooMany},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			dir := maps.Clone(valid)
			if root, _, ok := strings.Cut(test.path, "/"); ok {
				delete(dir, root)
			}
			dir[test.path] = test.file
			c, err := archive.ReadDirContents(t.Context(), dir, builtins.NewBudget(builtins.DefaultLimits()))
			if code := builtins.CodeOf(err); code != test.code {
				t.Errorf("code %s, want %s; chart %+v, error %v", code, test.code, c, err)
			}
		})
	}
	t.Run("A29 no chart", func(t *testing.T) {
		if _, err := archive.ReadDir(t.Context(), fstest.MapFS{"README.md": regular("")}, builtins.NewBudget(builtins.DefaultLimits())); builtins.CodeOf(err) != builtins.NotAChart {
			t.Error(err)
		}
	})
	t.Run("A14 entries", func(t *testing.T) {
		limits := builtins.DefaultLimits()
		limits.ArchiveEntries = 4 // Chart.yaml, templates, templates/service.yaml, values.yaml
		if _, err := archive.ReadDir(t.Context(), valid, builtins.NewBudget(limits)); err != nil {
			t.Errorf("at the limit: %v", err)
		}
		limits.ArchiveEntries--
		if _, err := archive.ReadDir(t.Context(), valid, builtins.NewBudget(limits)); builtins.CodeOf(err) != builtins.TooMany {
			t.Errorf("over the limit: %v", err)
		}
	})
	t.Run("A14 all files", func(t *testing.T) {
		limits := builtins.DefaultLimits()
		limits.ArchiveUnpacked = 100
		if _, err := archive.ReadDirContents(t.Context(), valid, builtins.NewBudget(limits)); builtins.CodeOf(err) != builtins.TooLarge {
			t.Error(err)
		}
	})
}

// What .helmignore hides is as good as not there, whatever it is; without the
// .helmignore it is refused. In charts/ it is kept, and a lock is no link.
func TestReadDirIgnores(t *testing.T) {
	const rules = ".git/\n*.bak\nrequirements.yaml\nChart.lock\nchartseal.lock\ncharts/\n"
	link := &fstest.MapFile{Mode: fs.ModeSymlink, Data: []byte("values.yaml")}
	large := &fstest.MapFile{Data: []byte(strings.Repeat("0", 8*mib+1))}
	for name, test := range map[string]struct {
		path string
		file *fstest.MapFile
		code builtins.Code // without .helmignore
	}{
		"A14 large file":           {".git/objects/x", large, builtins.TooLarge},
		"A11 link":                 {".git/link", link, builtins.AmbiguousArchive},
		"A11 link by its name":     {"templates/a.bak", link, builtins.AmbiguousArchive},
		"A12 newline":              {".git/a\nb", &fstest.MapFile{}, builtins.AmbiguousArchive},
		"A18 requirements.yaml":    {"requirements.yaml", &fstest.MapFile{Data: []byte("dependencies: []\n")}, builtins.MalformedChart},
		"A16 of a chart in here":   {".git/charts/x/Chart.yaml", &fstest.MapFile{Data: []byte("x")}, builtins.OK},
		"a file like any other":    {"a.bak", &fstest.MapFile{}, builtins.OK},
		"A11 Chart.lock is a link": {"Chart.lock", link, builtins.AmbiguousArchive},
		"A11 link in charts/":      {"charts/x", link, builtins.AmbiguousArchive},
		"A29 loose file in there":  {"charts/README.md", &fstest.MapFile{}, builtins.NotAChart},
	} {
		t.Run(name, func(t *testing.T) {
			dir := onDisk(with()...)
			dir[test.path] = test.file
			if _, err := archive.ReadDirContents(t.Context(), dir, builtins.NewBudget(builtins.DefaultLimits())); builtins.CodeOf(err) != test.code {
				t.Errorf("without .helmignore: %v, want %s", err, test.code)
			}
			dir[".helmignore"] = &fstest.MapFile{Data: []byte(rules)}
			c, err := archive.ReadDirContents(t.Context(), dir, builtins.NewBudget(builtins.DefaultLimits()))
			want := builtins.OK
			if strings.HasPrefix(test.path, "charts/") || test.path == "Chart.lock" {
				want = test.code
			}
			if builtins.CodeOf(err) != want {
				t.Fatalf("error is %v, want %s", err, want)
			}
			if err == nil && slices.ContainsFunc(c.Files, func(f archive.File) bool { return f.Path == test.path }) {
				t.Errorf("it is there: %+v", c.Files)
			}
		})
	}
}

func TestParseIgnored(t *testing.T) {
	for text, code := range map[string]builtins.Code{
		"": builtins.OK, "*.bak\n# x\n!y\n": builtins.OK, strings.Repeat("z\n", 1000): builtins.OK,
		strings.Repeat("z\n", 1001): builtins.TooMany, strings.Repeat("z", 64<<10+1): builtins.TooLarge, "a/**\n": builtins.MalformedChart,
	} {
		if _, err := archive.ParseIgnored([]byte(text)); builtins.CodeOf(err) != code {
			t.Errorf("%.10q: %v, want %s", text, err, code)
		}
	}
}

// On a real disk, nothing but regular files is opened: a FIFO would block.
func TestReadDirOnDisk(t *testing.T) {
	write := func(t *testing.T) string {
		dir := t.TempDir()
		for path, f := range onDisk(with(subcharts...)...) {
			name := filepath.Join(dir, path)
			if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, f.Data, 0o644)); err != nil {
				t.Fatal(err)
			}
		}
		return dir
	}
	read := func(t *testing.T, dir string) (*archive.Chart, error) {
		root, err := os.OpenRoot(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer root.Close()
		return archive.ReadDirContents(t.Context(), root.FS(), builtins.NewBudget(builtins.DefaultLimits()))
	}
	t.Run("valid", func(t *testing.T) {
		if c, err := read(t, write(t)); err != nil || c.Metadata.Name != "web" {
			t.Errorf("chart %+v, error %v", c, err)
		}
	})
	special := map[string]func(name string) error{
		"A29 FIFO": func(name string) error { return syscall.Mkfifo(name, 0o644) },
		"A11 link": func(name string) error { return os.Symlink("../values.yaml", name) },
	}
	for _, kind := range slices.Sorted(maps.Keys(special)) {
		for _, at := range []string{"templates/special", "charts/special-1.0.0.tgz", "Chart.lock"} {
			t.Run(kind+" at "+at, func(t *testing.T) {
				dir := write(t)
				if err := special[kind](filepath.Join(dir, at)); err != nil {
					t.Skipf("making a special file: %v", err)
				}
				start := time.Now()
				if c, err := read(t, dir); builtins.CodeOf(err) != builtins.AmbiguousArchive {
					t.Errorf("chart %+v, error %v", c, err)
				}
				if took := time.Since(start); took > time.Second {
					t.Errorf("took %v", took)
				}
			})
		}
	}
}

// unreadable is a file system that fails at one path.
type unreadable struct {
	fs.FS
	path string
	err  error
}

func (u unreadable) Open(path string) (fs.File, error) {
	if path == u.path {
		return nil, &fs.PathError{Op: "open", Path: path, Err: u.err}
	}
	return u.FS.Open(path)
}

func TestReadDirFaults(t *testing.T) {
	for _, path := range []string{".", "templates", "Chart.yaml", "values.yaml"} {
		dir := unreadable{onDisk(with()...), path, fs.ErrPermission}
		c, err := archive.ReadDirContents(t.Context(), dir, builtins.NewBudget(builtins.DefaultLimits()))
		if builtins.CodeOf(err) != builtins.Unavailable || !errors.Is(err, fs.ErrPermission) {
			t.Errorf("%s: chart %+v, error %v", path, c, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if c, err := archive.ReadDir(ctx, onDisk(with()...), builtins.NewBudget(builtins.DefaultLimits())); !errors.Is(err, context.Canceled) {
		t.Errorf("chart %+v, error %v", c, err)
	}
}
