// SPDX-License-Identifier: Apache-2.0

package source_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/chartseal/chartseal/builtins"
	"github.com/chartseal/chartseal/builtins/chartref"
	"github.com/chartseal/chartseal/builtins/source"
)

// write puts files below a new directory and returns it.
func write(t testing.TB, files map[string][]byte) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, content, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestLocalArchive(t *testing.T) {
	t.Parallel()
	dir := write(t, map[string][]byte{"web-1.2.3.tgz": archive, "web-1.2.3.tgz.prov": prov, "bare.tgz": archive, "empty.tgz": nil})
	if err := os.Symlink("web-1.2.3.tgz", filepath.Join(dir, "link.tgz")); err != nil {
		t.Fatal(err)
	}
	client := newClient(t, nil)
	for _, ref := range []string{dir + "/web-1.2.3.tgz", "file://" + dir + "/web-1.2.3.tgz"} {
		got, err := readArchive(t.Context(), client, reference(t, ref))
		wantBytes(t, got, err, archive)
		got, err = readProv(t.Context(), client, reference(t, ref))
		wantBytes(t, got, err, prov)
		a, err := client.Resolve(t.Context(), reference(t, ref))
		if err != nil {
			t.Fatal(err)
		}
		defer a.Close()
		if got, want := a.Info(), (builtins.ArtifactInfo{FileName: "web-1.2.3.tgz"}); got != want {
			t.Errorf("info is %+v, want %+v", got, want)
		}
	}
	got, err := readArchive(t.Context(), client, reference(t, dir+"/link.tgz"))
	wantBytes(t, got, err, archive)
	got, err = readArchive(t.Context(), client, reference(t, dir+"/empty.tgz"))
	wantBytes(t, got, err, nil)
	_, err = readProv(t.Context(), client, reference(t, dir+"/bare.tgz"))
	wantCode(t, err, builtins.NotFound)
}

func TestLocalLimits(t *testing.T) {
	t.Parallel()
	dir := write(t, map[string][]byte{"web.tgz": archive, "web.tgz.prov": prov})
	ref := reference(t, dir+"/web.tgz")
	for name, c := range map[string]struct {
		archive, prov int64
		want          builtins.Code
	}{
		"enough":            {int64(len(archive)), int64(len(prov)), builtins.OK},
		"one byte too many": {int64(len(archive)) - 1, int64(len(prov)) - 1, builtins.TooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			client := newClient(t, nil, limits(func(l *builtins.Limits) { l.Archive, l.Provenance = c.archive, c.prov }))
			_, err := readArchive(t.Context(), client, ref)
			wantCode(t, err, c.want)
			_, err = readProv(t.Context(), client, ref)
			wantCode(t, err, c.want)
			_, err = readArchive(t.Context(), client, chartref.Ref{Kind: chartref.Inline, Archive: archive})
			wantCode(t, err, c.want)
		})
	}
}

func TestDirectory(t *testing.T) {
	t.Parallel()
	dir := write(t, map[string][]byte{"web/Chart.yaml": []byte("name: web\n"), "secret": []byte("x")})
	if err := os.Symlink("../secret", filepath.Join(dir, "web", "link")); err != nil {
		t.Fatal(err)
	}
	a, err := newClient(t, nil).Resolve(t.Context(), reference(t, dir+"/web/"))
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	if got, want := a.Info(), (builtins.ArtifactInfo{FileName: "web", Directory: true}); got != want {
		t.Errorf("info is %+v, want %+v", got, want)
	}
	root, ok := a.Dir()
	if !ok {
		t.Fatal("it is no directory")
	}
	got, err := fs.ReadFile(root, "Chart.yaml")
	wantBytes(t, got, err, []byte("name: web\n"))
	for _, name := range []string{"link", "../secret"} {
		if _, err := fs.ReadFile(root, name); err == nil {
			t.Errorf("%s leads out of the directory", name)
		}
	}
	_, err = a.Open(t.Context())
	wantCode(t, err, builtins.NotAChart)
	_, err = a.Provenance(t.Context())
	wantCode(t, err, builtins.NotFound)
	_, err = a.Beside(t.Context(), ".sigstore.json", 100)
	wantCode(t, err, builtins.NotFound)
}

func TestInline(t *testing.T) {
	t.Parallel()
	client := newClient(t, nil)
	ref := chartref.Ref{Kind: chartref.Inline, Archive: archive}
	got, err := readArchive(t.Context(), client, ref)
	wantBytes(t, got, err, archive)
	_, err = readProv(t.Context(), client, ref)
	wantCode(t, err, builtins.NotFound)
}

func TestLocalPathsDenied(t *testing.T) {
	t.Parallel()
	dir := write(t, map[string][]byte{"web.tgz": archive, "web/Chart.yaml": nil})
	client := newClient(t, nil, func(c *source.Config) { c.LocalPaths = false })
	for _, ref := range []chartref.Ref{
		reference(t, dir+"/web.tgz"), reference(t, dir+"/web"), reference(t, dir+"/none"), reference(t, "file://"+dir+"/web.tgz"),
		{Kind: chartref.Inline, Archive: archive},
	} {
		_, err := client.Resolve(t.Context(), ref)
		wantCode(t, err, builtins.SourceDenied)
	}
	_, err := client.Fetch(t.Context(), dir+"/web.tgz", 100)
	wantCode(t, err, builtins.SourceDenied)
}

func TestA27SwappedFile(t *testing.T) {
	t.Parallel()
	second := bytes.Repeat([]byte("another archive"), 1000)
	dir := write(t, map[string][]byte{"a": archive, "b": second, "web.tgz": archive})
	done := make(chan struct{})
	swapped := make(chan struct{})
	go func() {
		defer close(swapped)
		for i := 0; ; i++ {
			select {
			case <-done:
				return
			default:
				tmp := filepath.Join(dir, "next")
				_ = os.Remove(tmp)
				_ = os.Link(filepath.Join(dir, "ab"[i%2:i%2+1]), tmp)
				_ = os.Rename(tmp, filepath.Join(dir, "web.tgz"))
			}
		}
	}()
	defer func() { close(done); <-swapped }()
	client := newClient(t, nil)
	for range 1000 {
		a, err := client.Resolve(t.Context(), reference(t, dir+"/web.tgz"))
		if err != nil {
			t.Fatal(err)
		}
		var digests []string
		for range 2 {
			body, err := a.Open(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			var b bytes.Buffer
			if _, err := b.ReadFrom(body); err != nil {
				t.Fatal(err)
			}
			digests = append(digests, builtins.SHA256(b.Bytes()))
		}
		a.Close()
		if digests[0] != digests[1] || (digests[0] != builtins.SHA256(archive) && digests[0] != builtins.SHA256(second)) {
			t.Fatalf("A27 read %v", digests)
		}
	}
}

func TestA29NotAFile(t *testing.T) {
	t.Parallel()
	dir := write(t, map[string][]byte{"web.tgz": archive, "web/values.yaml": nil, "~/web.tgz": archive, "unreadable.tgz": archive})
	for _, pipe := range []string{"pipe", "web.tgz.prov"} {
		if err := syscall.Mkfifo(filepath.Join(dir, pipe), 0o600); err != nil {
			t.Skipf("making a FIFO: %v", err)
		}
	}
	if err := os.Symlink("loop", filepath.Join(dir, "loop")); err != nil {
		t.Fatal(err)
	}
	client := newClient(t, nil)
	for name, c := range map[string]struct {
		path string
		want builtins.Code
	}{
		"twin":                      {dir + "/web.tgz", builtins.OK},
		"FIFO":                      {dir + "/pipe", builtins.NotAChart},
		"device":                    {"/dev/zero", builtins.NotAChart},
		"directory without a chart": {dir + "/web", builtins.NotAChart},
		"absent":                    {dir + "/none.tgz", builtins.NotFound},
		"below a file":              {dir + "/web.tgz/web.tgz", builtins.NotFound},
		"long":                      {dir + "/" + strings.Repeat("x", 300), builtins.NotFound},
		"tilde":                     {"~/web-1.2.3.tgz", builtins.NotFound},
		"variable":                  {"$HOME/web.tgz", builtins.NotFound},
		"star":                      {dir + "/*.tgz", builtins.NotFound},
		"loop of links":             {dir + "/loop", builtins.Unavailable},
	} {
		t.Run("A29 "+name, func(t *testing.T) {
			within(t, 0, func() {
				_, err := readArchive(t.Context(), client, reference(t, c.path))
				wantCode(t, err, c.want)
			})
		})
	}
	t.Run("A29 provenance is a FIFO", func(t *testing.T) {
		within(t, 0, func() {
			_, err := readProv(t.Context(), client, reference(t, dir+"/web.tgz"))
			wantCode(t, err, builtins.NotAChart)
		})
	})
	t.Run("A29 no permission", func(t *testing.T) {
		if os.Geteuid() == 0 {
			t.Skip("root may read everything")
		}
		if err := os.Chmod(filepath.Join(dir, "unreadable.tgz"), 0); err != nil {
			t.Fatal(err)
		}
		_, err := readArchive(t.Context(), client, reference(t, dir+"/unreadable.tgz"))
		wantCode(t, err, builtins.Denied)
	})
}

// What could not be found out is no verdict.
func TestDirectoryFaults(t *testing.T) {
	t.Parallel()
	for fault, want := range map[error]builtins.Code{
		fs.ErrNotExist: builtins.NotAChart,
		syscall.ENOENT: builtins.NotAChart,
		syscall.EACCES: builtins.Denied,
		syscall.EPERM:  builtins.Denied,
		syscall.EIO:    builtins.Unavailable,
		syscall.ESTALE: builtins.Unavailable,
		syscall.ELOOP:  builtins.Unavailable,
	} {
		wantCode(t, source.NoChartYAML("web", &fs.PathError{Op: "lstat", Path: "Chart.yaml", Err: fault}), want)
	}
}

func TestPathsThatWereMeantOtherwise(t *testing.T) {
	t.Parallel()
	client := newClient(t, nil)
	const hint = "begins with oci://"
	for path, hinted := range map[string]bool{
		"ghcr.io/org/charts/podinfo:6.5.0":   true,
		"localhost:5000/charts/web:1.2.3":    true,
		"reg.example.com/web@sha256:00":      true,
		"reg.example.com/charts/web":         true,
		"charts/web":                         false,
		"./reg.example.com/charts/web:1.2.3": true, // a path is cleaned
		"web-1.2.3.tgz":                      false,
		"/srv/reg.example.com/web:1.2.3":     false,
	} {
		_, err := client.Resolve(t.Context(), reference(t, path))
		wantCode(t, err, builtins.NotFound)
		if got := strings.Contains(err.Error(), hint); got != hinted {
			t.Errorf("%s: hint is %t, want %t: %v", path, got, hinted, err)
		}
	}
	dir := write(t, map[string][]byte{"web.tgz": archive, "web.tgz.prov": prov})
	_, err := readArchive(t.Context(), client, reference(t, dir+"/web.tgz.prov"))
	wantCode(t, err, builtins.NotAChart)
	_, err = readArchive(t.Context(), client, reference(t, dir+"/web.tgz"))
	wantCode(t, err, builtins.OK)
}
