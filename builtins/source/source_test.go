// SPDX-License-Identifier: Apache-2.0

package source_test

import (
	"context"
	"io"
	"maps"
	"testing"
	"time"

	"github.com/chartseal/chartseal/builtins"
	"github.com/chartseal/chartseal/builtins/chartref"
	"github.com/chartseal/chartseal/builtins/source"
	"github.com/chartseal/chartseal/test/registry"
)

// The archive and provenance that are fetched here: nobody looks inside.
var (
	archive = []byte("the archive of web 1.2.3, as far as anybody here cares")
	prov    = []byte("the provenance of web 1.2.3")
)

// listed are hosts as a configuration lists them.
type listed map[string]source.Registry

// insecure lists servers that speak http.
func insecure(servers ...*registry.Server) listed {
	hosts := listed{}
	for _, s := range servers {
		hosts[s.Host()] = source.Registry{Insecure: true}
	}
	return hosts
}

// secure lists servers that speak https.
func secure(servers ...*registry.Server) listed {
	hosts := listed{}
	for _, s := range servers {
		hosts[s.Host()] = source.Registry{}
	}
	return hosts
}

func (l listed) and(more listed) listed {
	both := maps.Clone(l)
	maps.Copy(both, more)
	return both
}

func (l listed) with(s *registry.Server, username, password string) listed {
	both := maps.Clone(l)
	r := both[s.Host()]
	r.Username, r.Password = username, password
	both[s.Host()] = r
	return both
}

func newClient(t testing.TB, hosts listed, edits ...func(*source.Config)) *source.Client {
	t.Helper()
	config := source.Config{
		Registries: func(host string) (source.Registry, bool) { r, ok := hosts[host]; return r, ok },
		Limits:     builtins.DefaultLimits(),
		LocalPaths: true,
	}
	config.Limits.Connect = builtins.Duration(10 * time.Second) // for busy machines
	for _, edit := range edits {
		edit(&config)
	}
	client, err := source.New(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

func limits(edit func(*builtins.Limits)) func(*source.Config) {
	return func(c *source.Config) { edit(&c.Limits) }
}

func trusting(ca *registry.CA) func(*source.Config) {
	return func(c *source.Config) { c.RootCAs = ca.Pool() }
}

func through(dns *registry.Net) func(*source.Config) {
	return func(c *source.Config) { c.Resolver, c.Dialer = dns, dns }
}

func reference(t testing.TB, v any) chartref.Ref {
	t.Helper()
	ref := chartref.FromValue(v)
	if err := ref.Err(); err != nil {
		t.Fatalf("reference %v: %v", v, err)
	}
	return ref
}

func entryOf(repository, name, version string) map[string]any {
	return map[string]any{"repository": repository, "name": name, "version": version}
}

type reading func(context.Context, builtins.Source, chartref.Ref) ([]byte, error)

// readArchive resolves ref and reads its archive to the end.
func readArchive(ctx context.Context, src builtins.Source, ref chartref.Ref) ([]byte, error) {
	a, err := src.Resolve(ctx, ref)
	if err != nil {
		return nil, err
	}
	defer a.Close()
	body, err := a.Open(ctx)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	return io.ReadAll(body)
}

func readProv(ctx context.Context, src builtins.Source, ref chartref.Ref) ([]byte, error) {
	a, err := src.Resolve(ctx, ref)
	if err != nil {
		return nil, err
	}
	defer a.Close()
	return a.Provenance(ctx)
}

func readConfig(ctx context.Context, src builtins.Source, ref chartref.Ref) ([]byte, error) {
	a, err := src.Resolve(ctx, ref)
	if err != nil {
		return nil, err
	}
	defer a.Close()
	return a.Config(ctx)
}

func wantCode(t testing.TB, err error, want builtins.Code) {
	t.Helper()
	if got := builtins.CodeOf(err); got != want {
		t.Errorf("code is %s, want %s: %v", got, want, err)
	}
}

func wantBytes(t testing.TB, got []byte, err error, want []byte) {
	t.Helper()
	if err != nil || string(got) != string(want) {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
}

// within fails if do takes longer than d and what a busy machine may add: it
// tells an answer from a hang.
func within(t testing.TB, d time.Duration, do func()) {
	t.Helper()
	start := time.Now()
	do()
	if took := time.Since(start); took > d+2*time.Second {
		t.Errorf("took %s, want at most about %s", took, d)
	}
}

// A world has one chart, web 1.2.3, in a registry and in a repository.
type world struct {
	*registry.Server
	digest string // of the manifest
}

func newWorld(t testing.TB, opts ...registry.Option) *world {
	t.Helper()
	w := &world{Server: registry.New(t, opts...)}
	w.digest = w.PushChart("charts/web", "1.2.3", archive, prov)
	w.AddFile("stable/web-1.2.3.tgz", archive)
	w.AddFile("stable/web-1.2.3.tgz.prov", prov)
	w.AddFile("stable/index.yaml", indexOf("web-1.2.3.tgz", ""))
	return w
}

// indexOf is an index with web 1.2.3 at a URL, with the digest of the archive
// unless another one is given.
func indexOf(url, digest string) []byte {
	if digest == "" {
		digest = builtins.SHA256(archive)[len("sha256:"):]
	}
	return []byte("apiVersion: v1\nentries:\n  web:\n  - name: web\n    version: 1.2.3\n    digest: " + digest +
		"\n    urls:\n    - " + url + "\ngenerated: \"2024-01-02T03:04:05Z\"\n")
}

func (w *world) byTag(t testing.TB) chartref.Ref {
	return reference(t, "oci://"+w.Host()+"/charts/web:1.2.3")
}

func (w *world) byDigest(t testing.TB) chartref.Ref {
	return reference(t, "oci://"+w.Host()+"/charts/web@"+w.digest)
}

func (w *world) byURL(t testing.TB) chartref.Ref {
	return reference(t, w.URL()+"/stable/web-1.2.3.tgz")
}

func (w *world) byEntry(t testing.TB) chartref.Ref {
	return reference(t, entryOf(w.URL()+"/stable", "web", "1.2.3"))
}

// everyWay are the ways over the network to the one chart.
func (w *world) everyWay(t testing.TB) map[string]chartref.Ref {
	return map[string]chartref.Ref{
		"tag": w.byTag(t), "digest": w.byDigest(t), "url": w.byURL(t), "repository": w.byEntry(t),
		"registry as repository": reference(t, entryOf("oci://"+w.Host()+"/charts", "web", "1.2.3")),
	}
}

func TestEveryWayLeadsToTheChart(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	client := newClient(t, insecure(w.Server))
	for name, ref := range w.everyWay(t) {
		t.Run(name, func(t *testing.T) {
			got, err := readArchive(t.Context(), client, ref)
			wantBytes(t, got, err, archive)
			got, err = readProv(t.Context(), client, ref)
			wantBytes(t, got, err, prov)
		})
	}
}

func TestInfo(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	client := newClient(t, insecure(w.Server))
	layer := builtins.SHA256(archive)
	for name, want := range map[string]builtins.ArtifactInfo{
		"tag":        {Digest: w.digest, ArchiveDigest: layer},
		"digest":     {Digest: w.digest, ArchiveDigest: layer},
		"url":        {FileName: "web-1.2.3.tgz"},
		"repository": {FileName: "web-1.2.3.tgz", ArchiveDigest: layer, Repository: w.URL() + "/stable"},
	} {
		a, err := client.Resolve(t.Context(), w.everyWay(t)[name])
		if err != nil {
			t.Fatal(err)
		}
		if got := a.Info(); got != want {
			t.Errorf("%s: info is %+v, want %+v", name, got, want)
		}
	}
}

// Requests are the product: a chart by tag is its manifest and its layer, by
// digest the same, and nothing is asked twice.
func TestRequests(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	client := newClient(t, insecure(w.Server))
	for name, want := range map[string]int{"tag": 2, "digest": 2, "url": 1, "repository": 2} {
		w.Forget()
		if _, err := readArchive(t.Context(), client, w.everyWay(t)[name]); err != nil {
			t.Fatal(err)
		}
		if got := len(w.Requests()); got != want {
			t.Errorf("%s takes %d requests, want %d: %v", name, got, want, w.Requests())
		}
	}
}

func TestConfigBlob(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	client := newClient(t, insecure(w.Server))
	got, err := readConfig(t.Context(), client, w.byTag(t))
	wantBytes(t, got, err, []byte("{}"))
	got, err = readConfig(t.Context(), client, w.byURL(t))
	wantBytes(t, got, err, nil)
}

func TestBeside(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.AddFile("stable/web-1.2.3.tgz.sigstore.json", []byte("{}"))
	client := newClient(t, insecure(w.Server))
	a, err := client.Resolve(t.Context(), reference(t, w.URL()+"/stable/web-1.2.3.tgz?token=1"))
	if err != nil {
		t.Fatal(err)
	}
	got, err := a.Beside(t.Context(), ".sigstore.json", 100)
	wantBytes(t, got, err, []byte("{}"))
	if last := w.Requests()[0]; last.Query != "token=1" {
		t.Errorf("query is %q, want it kept", last.Query)
	}
	_, err = a.Beside(t.Context(), ".sigstore.json", 1)
	wantCode(t, err, builtins.TooLarge)
	_, err = a.Beside(t.Context(), ".none", 100)
	wantCode(t, err, builtins.NotFound)
	a, err = client.Resolve(t.Context(), w.byTag(t))
	if err != nil {
		t.Fatal(err)
	}
	_, err = a.Beside(t.Context(), ".sigstore.json", 100)
	wantCode(t, err, builtins.NotFound)
}

// What changes after the first reading is another archive.
func TestOneArtifactIsOneContent(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	client := newClient(t, insecure(w.Server))
	a, err := client.Resolve(t.Context(), w.byURL(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []builtins.Code{builtins.OK, builtins.OK, builtins.DigestMismatch} {
		body, err := a.Open(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		_, err = io.ReadAll(body)
		wantCode(t, err, want)
		body.Close()
		if w.Count("GET", "*.tgz") == 2 {
			w.AddFile("stable/web-1.2.3.tgz", []byte("another archive"))
		}
	}
}

func TestFetch(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	client := newClient(t, insecure(w.Server))
	got, err := client.Fetch(t.Context(), w.URL()+"/stable/web-1.2.3.tgz.prov", 100)
	wantBytes(t, got, err, prov)
	for location, want := range map[string]builtins.Code{
		w.URL() + "/none":                     builtins.NotFound,
		"http://203.0.113.7/x":                builtins.SourceDenied,
		"oci://" + w.Host() + "/charts/web:1": builtins.SourceDenied,
		"https://user:word@example.com/x":     builtins.InvalidReference,
		"/nowhere/at/all":                     builtins.NotFound,
	} {
		_, err := client.Fetch(t.Context(), location, 100)
		wantCode(t, err, want)
	}
	_, err = client.Fetch(t.Context(), w.URL()+"/stable/web-1.2.3.tgz.prov", int64(len(prov))-1)
	wantCode(t, err, builtins.TooLarge)
}

// A client that was closed is still good for verdicts, and keeps no connection.
func TestClosed(t *testing.T) {
	w := newWorld(t)
	client := newClient(t, insecure(w.Server))
	view := client.Allowing([]string{"127.0.0.1"})
	for _, closed := range []bool{false, true} {
		if closed {
			client.Close()
		}
		for _, from := range []builtins.Source{client, view} {
			got, err := readArchive(t.Context(), from, w.byTag(t))
			wantBytes(t, got, err, archive)
		}
		if open, _ := w.Connections(); open == 0 && !closed {
			t.Error("no connection is kept while it might serve")
		}
	}
	for range 500 {
		if open, _ := w.Connections(); open == 0 {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Error("a connection is kept that serves nobody")
}

func TestNewWantsTime(t *testing.T) {
	t.Parallel()
	if _, err := source.New(source.Config{}); err == nil {
		t.Error("a client without time to connect was made")
	}
}

func TestAllowing(t *testing.T) {
	t.Parallel()
	w, other := newWorld(t), newWorld(t, registry.On("127.0.0.9"))
	client := newClient(t, insecure(w.Server, other.Server))
	for _, c := range []struct {
		name  string
		allow []string
		want  builtins.Code
	}{
		{"nil is any host", nil, builtins.OK},
		{"the host", []string{"127.0.0.1"}, builtins.OK},
		{"none", []string{}, builtins.SourceDenied},
		{"another host", []string{"127.0.0.9"}, builtins.SourceDenied},
		{"the host with its port is no host", []string{w.Host()}, builtins.SourceDenied},
	} {
		for way, ref := range w.everyWay(t) {
			t.Run(c.name+" "+way, func(t *testing.T) {
				w.Forget()
				_, err := readArchive(t.Context(), client.Allowing(c.allow), ref)
				wantCode(t, err, c.want)
				if c.want != builtins.OK && len(w.Requests()) > 0 {
					t.Errorf("arrived: %v", w.Requests())
				}
			})
		}
	}
	t.Run("a redirect elsewhere", func(t *testing.T) {
		w.Rule(registry.Rule{Path: "/elsewhere.tgz", Redirect: other.URL() + "/stable/web-1.2.3.tgz"})
		ref := reference(t, w.URL()+"/elsewhere.tgz")
		_, err := readArchive(t.Context(), client.Allowing([]string{"127.0.0.1"}), ref)
		wantCode(t, err, builtins.SourceDenied)
		_, err = readArchive(t.Context(), client.Allowing([]string{"127.0.0.1", "127.0.0.9"}), ref)
		wantCode(t, err, builtins.OK)
	})
	t.Run("a view of a view", func(t *testing.T) {
		narrow := client.Allowing([]string{"127.0.0.9"}).Allowing([]string{"127.0.0.1", "127.0.0.9"})
		_, err := readArchive(t.Context(), narrow, w.byURL(t))
		wantCode(t, err, builtins.SourceDenied)
		_, err = readArchive(t.Context(), narrow, other.byURL(t))
		wantCode(t, err, builtins.OK)
	})
}

func TestOnlyListed(t *testing.T) {
	t.Parallel()
	ca := registry.NewCA()
	w := newWorld(t, registry.WithTLS(ca.Config("charts.example.com", "other.example.com")))
	dns := registry.NewNet()
	for _, name := range []string{"charts.example.com", "other.example.com"} {
		dns.Name(name, "10.0.0.7")
	}
	dns.Route("10.0.0.7:443", w.Server)
	for _, c := range []struct {
		host       string
		onlyListed bool
		want       builtins.Code
	}{
		{"charts.example.com", true, builtins.OK},
		{"other.example.com", true, builtins.SourceDenied},
		{"other.example.com", false, builtins.OK},
	} {
		client := newClient(t, listed{"charts.example.com": {}}, trusting(ca), through(dns),
			func(config *source.Config) { config.OnlyListed = c.onlyListed })
		_, err := readArchive(t.Context(), client, reference(t, "https://"+c.host+"/stable/web-1.2.3.tgz"))
		wantCode(t, err, c.want)
	}
}
