// SPDX-License-Identifier: Apache-2.0

package registry_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"go.uber.org/goleak"
	"helm.sh/helm/v3/pkg/chart"
	"oras.land/oras-go/v2/content"
	"oras.land/oras-go/v2/registry/remote"
	"oras.land/oras-go/v2/registry/remote/auth"
	"sigs.k8s.io/yaml"

	"github.com/chartseal/chartseal/test/registry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// web is a packed chart.
func web(t *testing.T, version string) []byte {
	t.Helper()
	meta, err := yaml.Marshal(&chart.Metadata{
		APIVersion: "v2", Name: "web", Version: version, Description: "a web server",
		Home: "https://example.com", Sources: []string{"https://git.example.com/web"},
		Maintainers: []*chart.Maintainer{{Name: "Ann", Email: "ann@example.com"}, {Name: "Bob"}},
		Annotations: map[string]string{"team": "web", "org.opencontainers.image.title": "not web"},
	})
	if err != nil {
		t.Fatal(err)
	}
	var archive bytes.Buffer
	zipped := gzip.NewWriter(&archive)
	packed := tar.NewWriter(zipped)
	header := &tar.Header{Name: "web/Chart.yaml", Mode: 0o644, Size: int64(len(meta))}
	if err := errors.Join(packed.WriteHeader(header), write(packed, meta), packed.Close(), zipped.Close()); err != nil {
		t.Fatal(err)
	}
	return archive.Bytes()
}

func write(w io.Writer, b []byte) error {
	_, err := w.Write(b)
	return err
}

// client makes connections of its own, which end with the test.
func client(t *testing.T, transport *http.Transport) *http.Client {
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: 10 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse
	}}
}

// get is status, header and body of a GET; err is what stopped the reading.
func get(t *testing.T, c *http.Client, url string, header ...string) (int, http.Header, []byte, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := c.Do(req)
	if err != nil {
		return 0, nil, nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return resp.StatusCode, resp.Header, body, err
}

func sha(b []byte) string {
	sum := sha256.Sum256(b)
	return "sha256:" + hex.EncodeToString(sum[:])
}

func TestPushChartIsWhatHelmPushWrites(t *testing.T) {
	srv := registry.New(t)
	archive, prov := web(t, "1.2.3+b.1"), []byte("provenance")
	digest := srv.PushChart("charts/web", "1.2.3+b.1", archive, prov)
	body := srv.Manifest("charts/web", "1.2.3_b.1")
	if got := sha(body); got != digest {
		t.Errorf("digest is %s, manifest has %s", digest, got)
	}
	if bytes.Contains(body, []byte(`"schemaVersion":2,"mediaType"`)) {
		t.Error("body has a mediaType, helm push writes none")
	}
	var m ocispec.Manifest
	if err := json.Unmarshal(body, &m); err != nil {
		t.Fatal(err)
	}
	if len(m.Layers) != 2 || m.Layers[0].Digest >= m.Layers[1].Digest {
		t.Errorf("layers are not two sorted by digest: %v", m.Layers)
	}
	want := map[string]string{
		"org.opencontainers.image.title": "web", "org.opencontainers.image.version": "1.2.3+b.1",
		"org.opencontainers.image.description": "a web server", "org.opencontainers.image.url": "https://example.com",
		"org.opencontainers.image.source": "https://git.example.com/web", "org.opencontainers.image.created": "2024-01-02T03:04:05Z",
		"org.opencontainers.image.authors": "Ann (ann@example.com), Bob", "team": "web",
	}
	if diff := cmp.Diff(want, m.Annotations); diff != "" {
		t.Error(diff)
	}
	if again := srv.PushChart("charts/web", "again", archive, prov); again != digest {
		t.Errorf("the same chart has digest %s, then %s", digest, again)
	}
}

func TestPushChartEdited(t *testing.T) {
	srv := registry.New(t)
	srv.PushChart("charts/web", "1.2.3", web(t, "1.2.3"), nil, func(p *registry.Push) {
		p.Manifest.Layers = append(p.Manifest.Layers, p.Blob(registry.ChartMediaType, []byte("second")))
	})
	var m ocispec.Manifest
	if err := json.Unmarshal(srv.Manifest("charts/web", "1.2.3"), &m); err != nil || len(m.Layers) != 2 {
		t.Fatalf("got %d layers and %v, want 2", len(m.Layers), err)
	}
	status, _, body, _ := get(t, client(t, &http.Transport{}), srv.URL()+"/v2/charts/web/blobs/"+sha([]byte("second")))
	if status != 200 || string(body) != "second" {
		t.Errorf("added blob: status %d, body %q", status, body)
	}
}

func repository(t *testing.T, srv *registry.Server, credential auth.Credential) *remote.Repository {
	t.Helper()
	repo, err := remote.NewRepository(srv.Host() + "/charts/web")
	if err != nil {
		t.Fatal(err)
	}
	repo.PlainHTTP = true
	repo.Client = &auth.Client{
		Client:     client(t, &http.Transport{}),
		Credential: auth.StaticCredential(srv.Host(), credential),
	}
	return repo
}

// TestRealClient pushes, resolves, pulls, lists and deletes with oras.
func TestRealClient(t *testing.T) {
	user := auth.Credential{Username: "ann", Password: "secret"}
	for name, opts := range map[string][]registry.Option{
		"anonymous":         nil,
		"no referrers API":  {registry.WithoutReferrers()},
		"basic":             {registry.WithBasic("ann", "secret")},
		"token":             {registry.WithToken("ann", "secret")},
		"token for anybody": {registry.WithToken("", "")},
	} {
		t.Run(name, func(t *testing.T) {
			srv := registry.New(t, opts...)
			repo := repository(t, srv, user)
			ctx := t.Context()
			archive := web(t, "1.2.3")
			digest := srv.PushChart("charts/web", "1.2.3", archive, nil)
			desc, err := repo.Resolve(ctx, "1.2.3")
			if err != nil || desc.Digest.String() != digest {
				t.Fatalf("resolved %s and %v, want %s", desc.Digest, err, digest)
			}
			signature := content.NewDescriptorFromBytes("application/x", []byte("signature"))
			if err := repo.Push(ctx, signature, bytes.NewReader([]byte("signature"))); err != nil {
				t.Fatal(err)
			}
			pushReferrer(t, repo, desc, signature)
			var types []string
			err = repo.Referrers(ctx, desc, "", func(all []ocispec.Descriptor) error {
				for _, d := range all {
					types = append(types, d.ArtifactType)
				}
				return nil
			})
			if err != nil || cmp.Diff([]string{"application/vnd.test"}, types) != "" {
				t.Errorf("referrers are %q and %v", types, err)
			}
			var tags []string
			if err := repo.Tags(ctx, "", func(page []string) error { tags = append(tags, page...); return nil }); err != nil || tags[0] != "1.2.3" {
				t.Errorf("tags are %q and %v", tags, err)
			}
			if err := repo.Delete(ctx, desc); err != nil {
				t.Error(err)
			}
			if _, err := repo.Resolve(ctx, "1.2.3"); err == nil {
				t.Error("deleted chart still resolves")
			}
		})
	}
}

func pushReferrer(t *testing.T, repo *remote.Repository, subject, layer ocispec.Descriptor) {
	t.Helper()
	m := ocispec.Manifest{
		MediaType: ocispec.MediaTypeImageManifest, ArtifactType: "application/vnd.test",
		Config: ocispec.DescriptorEmptyJSON, Layers: []ocispec.Descriptor{layer}, Subject: &subject,
	}
	m.SchemaVersion = 2
	body, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	desc := content.NewDescriptorFromBytes(ocispec.MediaTypeImageManifest, body)
	if err := repo.Push(t.Context(), desc, bytes.NewReader(body)); err != nil {
		t.Fatal(err)
	}
}

func TestWrongCredentials(t *testing.T) {
	for name, opt := range map[string]registry.Option{
		"basic": registry.WithBasic("ann", "secret"),
		"token": registry.WithToken("ann", "secret"),
	} {
		t.Run(name, func(t *testing.T) {
			srv := registry.New(t, opt)
			srv.PushChart("charts/web", "1.2.3", web(t, "1.2.3"), nil)
			repo := repository(t, srv, auth.Credential{Username: "ann", Password: "guess"})
			if _, err := repo.Resolve(t.Context(), "1.2.3"); err == nil {
				t.Error("resolved with a wrong password")
			}
		})
	}
}

func TestForeignRealm(t *testing.T) {
	srv := registry.New(t, registry.WithToken("", ""), registry.WithRealm("https://evil.example.com/token"))
	status, header, _, _ := get(t, client(t, &http.Transport{}), srv.URL()+"/v2/charts/web/manifests/1.2.3")
	want := `Bearer realm="https://evil.example.com/token",service="registry",scope="repository:charts/web:pull,push"`
	if got := header.Get("WWW-Authenticate"); status != 401 || got != want {
		t.Errorf("status %d, challenge %s, want %s", status, got, want)
	}
}

func TestChartRepository(t *testing.T) {
	srv := registry.New(t)
	one, two := web(t, "1.0.0"), web(t, "2.0.0")
	srv.AddChart("stable", one, []byte("prov"))
	srv.AddChart("stable", two, nil)
	c := client(t, &http.Transport{})
	_, header, index, _ := get(t, c, srv.URL()+"/stable/index.yaml")
	for _, want := range []string{"web-1.0.0.tgz", "web-2.0.0.tgz", "digest: " + strings.TrimPrefix(sha(two), "sha256:")} {
		if !bytes.Contains(index, []byte(want)) {
			t.Errorf("index lacks %s:\n%s", want, index)
		}
	}
	if status, _, _, _ := get(t, c, srv.URL()+"/stable/index.yaml", "If-None-Match", header.Get("ETag")); status != 304 {
		t.Errorf("status %d for what is known already, want 304", status)
	}
	srv.EditIndex("stable", func(i *registry.Index) { i.Entries["web"][1].URLs[0] = "web-1.0.0.tgz" })
	if status, _, _, _ := get(t, c, srv.URL()+"/stable/index.yaml", "If-None-Match", header.Get("ETag")); status != 200 {
		t.Errorf("status %d for a changed index, want 200", status)
	}
	_, _, body, _ := get(t, c, srv.URL()+"/stable/web-1.0.0.tgz")
	if !bytes.Equal(body, one) {
		t.Error("archive differs")
	}
	srv.RemoveFile("stable/web-1.0.0.tgz.prov")
	if status, _, _, _ := get(t, c, srv.URL()+"/stable/web-1.0.0.tgz.prov"); status != 404 {
		t.Errorf("status %d for a removed file, want 404", status)
	}
}

func TestRules(t *testing.T) {
	honest := []byte("honest body")
	for name, test := range map[string]struct {
		rule   registry.Rule
		status int
		body   string
		err    error
	}{
		"status":            {registry.Rule{Status: 503}, 503, "", nil},
		"body":              {registry.Rule{Body: []byte("<html>")}, 200, "<html>", nil},
		"repeated":          {registry.Rule{Body: []byte("ab"), Repeat: 3}, 200, "ababab", nil},
		"redirect":          {registry.Rule{Redirect: "https://other.example.com/"}, 307, "", nil},
		"edited":            {registry.Rule{Edit: bytes.ToUpper}, 200, "HONEST BODY", nil},
		"trickled":          {registry.Rule{Trickle: registry.Trickle{Bytes: 4, Every: time.Millisecond}}, 200, "honest body", nil},
		"cut":               {registry.Rule{CutAfter: 6}, 200, "honest", io.ErrUnexpectedEOF},
		"reset in the body": {registry.Rule{CutAfter: 6, Reset: true}, 200, "honest", syscall.ECONNRESET},
		"other method":      {registry.Rule{Method: "PUT", Status: 503}, 200, "honest body", nil},
		"other path":        {registry.Rule{Path: "/v2/*", Status: 503}, 200, "honest body", nil},
		"path":              {registry.Rule{Path: "/a*.txt", Status: 503}, 503, "", nil},
		"second call":       {registry.Rule{Nth: 2, Status: 503}, 200, "honest body", nil},
		"handler":           {registry.Rule{Handler: func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(418) }}, 418, "", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := registry.New(t)
			srv.AddFile("a/b.txt", honest)
			srv.Rule(test.rule)
			status, _, body, err := get(t, client(t, &http.Transport{}), srv.URL()+"/a/b.txt")
			if status != test.status || string(body) != test.body || !errors.Is(err, test.err) {
				t.Errorf("got %d %q %v, want %d %q %v", status, body, err, test.status, test.body, test.err)
			}
		})
	}
}

func TestRuleOrderAndRemoval(t *testing.T) {
	srv := registry.New(t)
	srv.AddFile("f", []byte("x"))
	c := client(t, &http.Transport{})
	remove := srv.Rule(registry.Rule{Nth: 1, Status: 500})
	srv.Rule(registry.Rule{Status: 429, Header: map[string]string{"Retry-After": "3600"}})
	var got []int
	var retry string
	for range 2 {
		status, header, _, _ := get(t, c, srv.URL()+"/f")
		got, retry = append(got, status), header.Get("Retry-After")
	}
	remove()
	srv.Honest()
	status, _, _, _ := get(t, c, srv.URL()+"/f")
	if diff := cmp.Diff([]int{500, 429, 200}, append(got, status)); diff != "" || retry != "3600" {
		t.Errorf("Retry-After %q; %s", retry, diff)
	}
}

func TestRuleHeader(t *testing.T) {
	srv := registry.New(t)
	srv.AddFile("f", []byte("x"))
	srv.Rule(registry.Rule{Header: map[string]string{"ETag": "", "Content-Type": "text/html"}})
	_, header, _, _ := get(t, client(t, &http.Transport{}), srv.URL()+"/f")
	if header.Get("ETag") != "" || header.Get("Content-Type") != "text/html" {
		t.Errorf("header is %v", header)
	}
}

// TestCloseEndsWhatHangs: no rule keeps a server or a client from ending.
func TestCloseEndsWhatHangs(t *testing.T) {
	for name, rule := range map[string]registry.Rule{
		"hang":    {Hang: true},
		"delay":   {Delay: time.Hour},
		"trickle": {Trickle: registry.Trickle{Bytes: 1, Every: time.Hour}},
		"endless": {Body: make([]byte, 1<<16), Repeat: -1},
	} {
		t.Run(name, func(t *testing.T) {
			srv := registry.New(t)
			srv.AddFile("f", []byte("some bytes"))
			srv.Rule(rule)
			ended := make(chan error)
			c := client(t, &http.Transport{})
			go func() {
				resp, err := c.Get(srv.URL() + "/f")
				if err == nil {
					_, err = io.Copy(io.Discard, resp.Body)
					_ = resp.Body.Close()
				}
				ended <- err
			}()
			for srv.Count("GET", "/f") == 0 {
				time.Sleep(time.Millisecond)
			}
			srv.Close()
			if err := <-ended; err == nil {
				t.Error("the answer was complete")
			}
		})
	}
}

func TestReset(t *testing.T) {
	srv := registry.New(t)
	srv.Rule(registry.Rule{Reset: true})
	if _, _, _, err := get(t, client(t, &http.Transport{}), srv.URL()+"/f"); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("got %v, want a reset", err)
	}
}

func TestLog(t *testing.T) {
	srv := registry.New(t)
	c := client(t, &http.Transport{})
	_, _, _, _ = get(t, c, srv.URL()+"/v2/a/blobs/x?q=1", "Authorization", "Bearer canary")
	_, _, _, _ = get(t, c, srv.URL()+"/v2/a/manifests/1")
	if n := srv.Count("GET", "/v2/*/blobs/*"); n != 1 {
		t.Errorf("counted %d requests for blobs, want 1", n)
	}
	first := srv.Requests()[0]
	if first.Query != "q=1" || first.Host != srv.Host() || first.Header.Get("Authorization") != "Bearer canary" {
		t.Errorf("logged %+v", first)
	}
	srv.Forget()
	if n := srv.Count("", ""); n != 0 {
		t.Errorf("counted %d requests after Forget, want 0", n)
	}
	if open, peak := srv.Connections(); open != 1 || peak != 1 {
		t.Errorf("%d connections are open, at most %d were, want 1 and 1", open, peak)
	}
}

func TestTLS(t *testing.T) {
	ca, other := registry.NewCA(), registry.NewCA()
	past := time.Now().Add(-time.Minute)
	for name, test := range map[string]struct {
		server *tls.Config
		ok     bool
	}{
		"good":       {ca.Config("reg.example.com"), true},
		"other CA":   {other.Config("reg.example.com"), false},
		"other name": {ca.Config("elsewhere.example.com"), false},
		"expired":    {ca.ConfigUntil(past, "reg.example.com"), false},
	} {
		t.Run(name, func(t *testing.T) {
			srv := registry.New(t, registry.On("127.0.0.9"), registry.WithTLS(test.server))
			srv.AddFile("f", []byte("x"))
			dns := registry.NewNet()
			dns.Name("reg.example.com", "203.0.113.7")
			dns.Route("203.0.113.7:443", srv)
			c := client(t, &http.Transport{DialContext: dns.DialContext, TLSClientConfig: &tls.Config{RootCAs: ca.Pool()}})
			status, _, _, err := get(t, c, "https://reg.example.com/f")
			if (err == nil && status == 200) != test.ok {
				t.Errorf("status %d, %v; want success %v", status, err, test.ok)
			}
		})
	}
}

func TestNet(t *testing.T) {
	srv := registry.New(t)
	dns := registry.NewNet()
	dns.Name("rebind.example.com", "203.0.113.7")
	dns.Name("rebind.example.com", "169.254.169.254")
	dns.Route("203.0.113.7:80", srv)
	ctx := t.Context()
	dial := func(address string) error {
		conn, err := dns.DialContext(ctx, "tcp", address)
		if err == nil {
			_ = conn.Close()
		}
		return err
	}
	for _, test := range []struct {
		address string
		want    error
	}{
		{"rebind.example.com:80", nil},
		{"rebind.example.com:80", syscall.ECONNREFUSED},
		{"192.0.2.1:80", syscall.ECONNREFUSED},
		{srv.Addr(), nil},
	} {
		if err := dial(test.address); !errors.Is(err, test.want) {
			t.Errorf("dialling %s: %v, want %v", test.address, err, test.want)
		}
	}
	want := []string{"203.0.113.7:80", "169.254.169.254:80", "192.0.2.1:80", srv.Addr()}
	if diff := cmp.Diff(want, dns.Dialed()); diff != "" || dns.Lookups("rebind.example.com") != 2 {
		t.Errorf("%d lookups; %s", dns.Lookups("rebind.example.com"), diff)
	}
	var unknown *net.DNSError
	if _, err := dns.LookupNetIP(context.Background(), "ip", "nobody.example.com"); !errors.As(err, &unknown) || !unknown.IsNotFound {
		t.Errorf("unknown name gives %v", err)
	}
}
