// SPDX-License-Identifier: Apache-2.0

package archive_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"log"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chart/loader"

	"github.com/chartseal/chartseal/builtins"
	"github.com/chartseal/chartseal/builtins/archive"
	"github.com/chartseal/chartseal/test/forge"
)

func TestMain(m *testing.M) {
	log.SetOutput(io.Discard) // Helm's loader warns about old charts
	goleak.VerifyTestMain(m)
}

// good are archives that Helm loads and so do we.
var good = map[string][]byte{
	"plain":                 forge.Archive(forge.Chart("web", "1.2.3")...),
	"directories listed":    forge.Archive(append([]forge.Entry{{Name: "web/"}, {Name: "web/templates/"}}, forge.Chart("web", "1.2.3")...)...),
	"directory listed last": forge.Archive(append(forge.Chart("web", "1.2.3"), forge.Entry{Name: "web/templates/"})...),
	"git archive": forge.Archive(append([]forge.Entry{{Name: "pax_global_header", Type: 'g', Body: "52 comment=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n"}},
		forge.Chart("web", "1.2.3")...)...),
	"pax record":                  forge.Archive(with(forge.Entry{Name: "a", Body: "x", PAX: map[string]string{"mtime": "1.5"}})...),
	"long path":                   forge.Archive(with(forge.Entry{Name: strings.Repeat("a/", 29) + strings.Repeat("b", 200), Body: "x"})...),
	"GNU long name":               gnu(),
	"names with dots":             forge.Archive(with(forge.Entry{Name: ".helmignore", Body: "*.bak\n"}, forge.Entry{Name: "a/b..c", Body: "x"})...),
	"names in Unicode":            forge.Archive(with(forge.Entry{Name: "caf\u00e9 au lait.md", Body: "x"})...),
	"byte order mark":             forge.Archive(forge.Entry{Name: "web/Chart.yaml", Body: "\uFEFF" + forge.ChartYAML("web", "1.2.3")}),
	"another root":                forge.Archive(forge.Beneath("web-main", forge.Entry{Name: "Chart.yaml", Body: forge.ChartYAML("web", "1.2.3")})...),
	"padded tar":                  forge.Gzip(append(forge.Tar(forge.Chart("web", "1.2.3")...), make([]byte, 10<<10)...)),
	"A16 a field unknown to Helm": forge.Archive(forge.Entry{Name: "web/Chart.yaml", Body: forge.ChartYAML("web", "1.2.3", "future: 1")}),
	"apiVersion v1 with an empty requirements.yaml": forge.Archive(
		forge.Entry{Name: "web/Chart.yaml", Body: "apiVersion: v1\nname: web\nversion: 1.2.3\n"},
		forge.Entry{Name: "web/requirements.yaml", Body: "\n  # none\n"}),
	"apiVersion v1 with requirements.yaml": forge.Archive(
		forge.Entry{Name: "web/Chart.yaml", Body: "name: web\nversion: 1.2.3\n"},
		forge.Entry{Name: "web/requirements.yaml", Body: "dependencies:\n- name: db\n  version: 1.x\n  repository: https://charts.example.com\n"},
		forge.Entry{Name: "web/requirements.lock", Body: "dependencies: []\n"}),
	"subcharts": forge.Archive(with(subcharts...)...),
	"A28 not loaded": forge.Archive(with(
		forge.Entry{Name: "charts/_x/Chart.yaml", Body: "not: a chart"},
		forge.Entry{Name: "charts/.x/Chart.yaml", Body: "not: a chart"},
		forge.Entry{Name: "charts/_x.tgz", Body: "not an archive"},
		forge.Entry{Name: "charts/x.tgz.prov", Body: "not an archive"},
		forge.Entry{Name: "charts/db/x.prov", Body: "x"},
	)...),
}

var subcharts = append(
	forge.Beneath("charts", forge.Chart("db", "1.0.0", forge.Beneath("charts", forge.Chart("store", "0.1.0")...)...)...),
	forge.Entry{Name: "charts/cache-2.0.0.tgz", Body: string(forge.Archive(forge.Chart("cache", "2.0.0",
		forge.Entry{Name: "charts/lru-3.0.0.tgz", Body: string(forge.Archive(forge.Chart("lru", "3.0.0")...))})...))},
)

// with is the chart web with more files.
func with(extra ...forge.Entry) []forge.Entry { return forge.Chart("web", "1.2.3", extra...) }

func gnu() []byte {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, e := range with(forge.Entry{Name: strings.Repeat("a", 120), Body: "x"}) {
		err := w.WriteHeader(&tar.Header{Name: e.Name, Mode: 0o100644, Size: int64(len(e.Body)), Format: tar.FormatGNU})
		if err == nil {
			_, err = io.WriteString(w, e.Body)
		}
		if err != nil {
			panic(err)
		}
	}
	if err := w.Close(); err != nil {
		panic(err)
	}
	return forge.Gzip(b.Bytes())
}

type reader func(context.Context, io.Reader, *builtins.Budget) (*archive.Chart, error)

var readers = map[string]reader{"Read": archive.Read, "ReadContents": archive.ReadContents}

func TestRead(t *testing.T) {
	for name, raw := range good {
		for kind, read := range readers {
			t.Run(name+"/"+kind, func(t *testing.T) {
				c, err := read(t.Context(), bytes.NewReader(raw), builtins.NewBudget(builtins.DefaultLimits()))
				if err != nil {
					t.Fatal(err)
				}
				if c.Digest != builtins.SHA256(raw) || c.Size != int64(len(raw)) {
					t.Errorf("digest %s and size %d of %d bytes", c.Digest, c.Size, len(raw))
				}
				helm, err := loader.LoadArchive(bytes.NewReader(raw))
				if err != nil {
					t.Fatalf("Helm refuses it: %v", err)
				}
				sameAsHelm(t, helm, c)
			})
		}
	}
}

// sameAsHelm compares what we read with what Helm loads, subcharts included.
func sameAsHelm(t *testing.T, helm *chart.Chart, ours *archive.Chart) {
	t.Helper()
	if diff := cmp.Diff(helm.Metadata, ours.Metadata); diff != "" {
		t.Errorf("metadata (-helm +ours):\n%s", diff)
	}
	if len(helm.Dependencies()) != len(ours.Subcharts) {
		t.Errorf("Helm loads %d subcharts, we read %d", len(helm.Dependencies()), len(ours.Subcharts))
	}
	for _, dependency := range helm.Dependencies() {
		if sub := find(ours, dependency.Metadata); sub != nil {
			sameAsHelm(t, dependency, sub.Chart)
		} else {
			t.Errorf("Helm loads a subchart %s that we do not read", dependency.Name())
		}
	}
}

func find(c *archive.Chart, m *chart.Metadata) *archive.Subchart {
	for i := range c.Subcharts {
		if field, _, _ := archive.DiffMetadata(c.Subcharts[i].Metadata, m); field == "" {
			return &c.Subcharts[i]
		}
	}
	return nil
}

func TestReadContents(t *testing.T) {
	raw := forge.Archive(with(append(subcharts, forge.Entry{Name: "Chart.lock", Body: "digest: x\n"}, forge.Entry{Name: "empty"})...)...)
	c, err := archive.ReadContents(t.Context(), bytes.NewReader(raw), builtins.NewBudget(builtins.DefaultLimits()))
	if err != nil {
		t.Fatal(err)
	}
	file := func(path, body string) archive.File {
		return archive.File{Path: path, Digest: builtins.SHA256([]byte(body)), Size: int64(len(body))}
	}
	service := with()[2].Body
	want := []archive.File{
		file("Chart.lock", "digest: x\n"), file("Chart.yaml", forge.ChartYAML("web", "1.2.3")), file("empty", ""),
		file("templates/service.yaml", service), file("values.yaml", "replicas: 1\n"),
	}
	if diff := cmp.Diff(want, c.Files); diff != "" {
		t.Error(diff)
	}
	if string(c.Raw["Chart.lock"]) != "digest: x\n" || string(c.Raw["Chart.yaml"]) != forge.ChartYAML("web", "1.2.3") {
		t.Errorf("kept are %q", c.Raw)
	}
	cache, db := c.Subcharts[0], c.Subcharts[1]
	packed := subcharts[len(subcharts)-1].Body
	if cache.Path != "charts/cache-2.0.0.tgz" || cache.Digest != builtins.SHA256([]byte(packed)) || cache.Size != int64(len(packed)) {
		t.Errorf("cache is %+v", cache)
	}
	if db.Path != "charts/db" || db.Digest != "" || db.Subcharts[0].Path != "charts/store" {
		t.Errorf("db is %+v", db)
	}
	want = []archive.File{file("Chart.yaml", forge.ChartYAML("store", "0.1.0")), file("templates/service.yaml", service), file("values.yaml", "replicas: 1\n")}
	if diff := cmp.Diff(want, db.Subcharts[0].Files); diff != "" {
		t.Error(diff)
	}
}

func TestReadRefuses(t *testing.T) {
	for _, m := range forge.ArchiveMutations {
		raw := m.Make(forge.Chart("web", "1.2.3"))
		for kind, read := range readers {
			t.Run(m.Name+"/"+kind, func(t *testing.T) {
				start := time.Now()
				c, err := read(t.Context(), bytes.NewReader(raw), builtins.NewBudget(builtins.DefaultLimits()))
				refused(t, c, err, m.Code, raw)
				t.Log(err)
				if took := time.Since(start); took > time.Second {
					t.Errorf("took %v", took)
				}
			})
		}
	}
}

// refused asserts code, and that the caller learns the digest of raw.
func refused(t *testing.T, c *archive.Chart, err error, code builtins.Code, raw []byte) {
	t.Helper()
	if got := builtins.CodeOf(err); got != code {
		t.Fatalf("code is %s, want %s; chart %+v, error %v", got, code, c, err)
	}
	var refusal *archive.Refused
	if !errors.As(err, &refusal) {
		t.Fatalf("error is a %T", err)
	}
	if refusal.Digest != builtins.SHA256(raw) || refusal.Size != int64(len(raw)) {
		t.Errorf("refusal has digest %s and size %d of %d bytes", refusal.Digest, refusal.Size, len(raw))
	}
}

func TestReadChartFaults(t *testing.T) {
	v1 := func(chartYAML, requirements string) []byte {
		return forge.Archive(forge.Entry{Name: "web/Chart.yaml", Body: "name: web\nversion: 1.2.3\n" + chartYAML},
			forge.Entry{Name: "web/requirements.yaml", Body: requirements})
	}
	tests := map[string][]byte{
		"requirements.yaml overrides the name":    v1("", "name: evil\ndependencies: []\n"),
		"requirements.yaml beside dependencies":   v1("dependencies: [{name: a}]\n", "dependencies: [{name: b}]\n"),
		"requirements.yaml with a key twice":      v1("", "dependencies: []\ndependencies: []\n"),
		"requirements.yaml with null":             v1("", "dependencies: [null]\n"),
		"requirements.yaml with a name like true": v1("", "dependencies: [{name: on}]\n"),
	}
	for name, raw := range tests {
		t.Run(name, func(t *testing.T) {
			c, err := archive.Read(t.Context(), bytes.NewReader(raw), builtins.NewBudget(builtins.DefaultLimits()))
			refused(t, c, err, builtins.MalformedChart, raw)
			t.Log(err)
		})
	}
}

// An error of the source is the answer, whatever the bytes before it were.
func TestReadSourceErrors(t *testing.T) {
	valid := forge.Archive(with()...)
	cut := builtins.Errorf(builtins.Unavailable, "connection cut")
	swapped := builtins.Errorf(builtins.DigestMismatch, "not the blob that was named")
	tests := map[string]struct {
		bytes []byte
		err   error
	}{
		"N9 cut in the middle":            {valid[:len(valid)/2], cut},
		"N9 cut at the first byte":        {nil, cut},
		"mismatch at the end":             {valid, swapped},
		"mismatch after a damaged stream": {append([]byte("evil"), valid...), swapped},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			for _, wrap := range []func(io.Reader) io.Reader{func(r io.Reader) io.Reader { return r }, iotest.DataErrReader, iotest.OneByteReader} {
				r := wrap(io.MultiReader(bytes.NewReader(test.bytes), iotest.ErrReader(test.err)))
				if c, err := archive.Read(t.Context(), r, builtins.NewBudget(builtins.DefaultLimits())); !errors.Is(err, test.err) {
					t.Errorf("chart %+v, error %v", c, err)
				}
			}
		})
	}
}

func TestReadOddReaders(t *testing.T) {
	raw := forge.Archive(with(subcharts...)...)
	for name, wrap := range map[string]func(io.Reader) io.Reader{
		"one byte": iotest.OneByteReader, "half": iotest.HalfReader, "data with the end": iotest.DataErrReader,
	} {
		t.Run(name, func(t *testing.T) {
			c, err := archive.ReadContents(t.Context(), wrap(bytes.NewReader(raw)), builtins.NewBudget(builtins.DefaultLimits()))
			if err != nil || c.Digest != builtins.SHA256(raw) {
				t.Errorf("chart %+v, error %v", c, err)
			}
		})
	}
}

func TestReadCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	bomb, limits := zeros(t), builtins.DefaultLimits()
	limits.Archive, limits.ArchiveUnpacked, limits.ArchiveFile = 1<<40, 1<<50, 1<<50
	time.AfterFunc(50*time.Millisecond, cancel)
	start := time.Now()
	_, err := archive.ReadContents(ctx, bomb, builtins.NewBudget(limits))
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error is %v", err)
	}
	if took := time.Since(start); took > 500*time.Millisecond {
		t.Errorf("ended after %v", took)
	}
}

// zeros is an archive with a file of zeros that never ends.
func zeros(t testing.TB, before ...forge.Entry) io.Reader {
	t.Helper()
	var b bytes.Buffer
	w, err := gzip.NewWriterLevel(&b, gzip.BestSpeed)
	if err != nil {
		t.Fatal(err)
	}
	flushed := func(raw []byte) []byte {
		if _, err := w.Write(raw); err != nil {
			t.Fatal(err)
		}
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
		defer b.Reset()
		return bytes.Clone(b.Bytes())
	}
	var head []byte
	for _, e := range before {
		head = append(head, e.Bytes()...)
	}
	head = append(head, forge.Entry{Name: "web/zeros", Size: 5 << 30}.Bytes()...)
	mebibyte := make([]byte, 1<<20)
	// Once the window holds nothing but zeros, each mebibyte compresses to the same bytes.
	start := append(flushed(head), flushed(mebibyte)...)
	return io.MultiReader(bytes.NewReader(start), &again{bytes: flushed(mebibyte)})
}

// again repeats bytes for ever.
type again struct {
	bytes []byte
	at    int
}

func (a *again) Read(p []byte) (int, error) {
	n := copy(p, a.bytes[a.at:])
	a.at = (a.at + n) % len(a.bytes)
	return n, nil
}

// What is vendored and no chart has a digest to be judged by; whatever else is
// wrong is an error as ever.
func TestReadVendored(t *testing.T) {
	bad := string(forge.Archive(forge.Chart("db", "1.0.0")...)) + "tamper\n"
	outer := func(extra ...forge.Entry) []byte {
		return forge.Archive(forge.Chart("web", "1.2.3", append(extra, forge.Entry{Name: "templates/bom.yaml", Body: "\uFEFFa: b\n"})...)...)
	}
	read := func(raw []byte) (*archive.Chart, error) {
		return archive.ReadVendored(t.Context(), bytes.NewReader(raw), builtins.NewBudget(builtins.DefaultLimits()))
	}
	raw := outer(forge.Entry{Name: "charts/db-1.0.0.tgz", Body: bad})
	c, err := read(raw)
	if err != nil {
		t.Fatal(err)
	}
	sub := c.Subcharts[0]
	if builtins.CodeOf(sub.Refused) != builtins.AmbiguousArchive || sub.Digest != builtins.SHA256([]byte(bad)) || sub.Size != int64(len(bad)) {
		t.Errorf("subchart is %+v: %v", sub.Chart, sub.Refused)
	}
	for _, f := range c.Files {
		if f.Path == "templates/bom.yaml" && f.Digest != builtins.SHA256([]byte("a: b\n")) {
			t.Errorf("digest of a file is with its byte order mark")
		}
	}
	if _, err := archive.ReadContents(t.Context(), bytes.NewReader(raw), builtins.NewBudget(builtins.DefaultLimits())); builtins.CodeOf(err) != builtins.AmbiguousArchive {
		t.Errorf("ReadContents: %v", err)
	}
	if _, err := read(outer(forge.Entry{Name: "charts/db/values.yaml", Body: "x"})); builtins.CodeOf(err) != builtins.NotAChart {
		t.Errorf("folder that is no chart: %v", err)
	}
	limits := builtins.DefaultLimits()
	limits.ArchiveFile = int64(len(bad)) - 1
	if _, err := archive.ReadVendored(t.Context(), bytes.NewReader(raw), builtins.NewBudget(limits)); builtins.CodeOf(err) != builtins.TooLarge {
		t.Errorf("over the limit: %v", err)
	}
	if _, err := read(raw[:len(raw)-20]); builtins.CodeOf(err) != builtins.NotAChart {
		t.Errorf("cut: %v", err)
	}
}
