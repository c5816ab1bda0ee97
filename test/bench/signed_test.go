// SPDX-License-Identifier: Apache-2.0

package bench_test

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"
	"oras.land/oras-go/v2"
	"oras.land/oras-go/v2/registry/remote"

	"github.com/chartseal/chartseal/test/forge"
	"github.com/chartseal/chartseal/test/registry"
	"github.com/chartseal/chartseal/test/vsig"
)

// signedRepo is where all charts are.
const signedRepo = "charts/web"

// A shelf is charts in the real registry: digests of those that one key
// signed, the first by cosign itself, and of those that it did not.
type shelf struct {
	host     string
	counting *counting
	signed   []string
	refused  map[string]string
	key      *vsig.Signer
}

// newShelf makes so many signed charts, with the key in the trust directory.
func newShelf(b testing.TB, n int) *shelf {
	b.Helper()
	s := &shelf{host: distribution(b), key: vsig.WithKey(vsig.SeededKey("release"))}
	s.counting = newCounting(b, s.host)
	stranger := vsig.WithKey(vsig.SeededKey("stranger"))
	desk := registry.New(b) // where charts and signatures are made, to be copied
	for i := range n {
		s.signed = append(s.signed, pushVersion(desk, fmt.Sprint("1.0.", i)))
		if i > 0 {
			storeSignature(b, desk, s.signed[i], s.key.Simple(s.host+"/"+signedRepo, s.signed[i], nil))
		}
	}
	unsigned, strange, copied := pushVersion(desk, "2.0.0"), pushVersion(desk, "2.0.1"), pushVersion(desk, "2.0.2")
	storeSignature(b, desk, strange, stranger.Simple(s.host+"/"+signedRepo, strange, nil))
	storeSignature(b, desk, copied, s.key.Simple(s.host+"/"+signedRepo, s.signed[0], nil))
	s.refused = map[string]string{"unsigned": unsigned, "signed by a stranger": strange, "with the signature of another": copied}
	s.copyFrom(b, desk)
	write(b, filepath.Join("trust", "keys", "web.pub"), s.key.PublicKey())
	s.cosign(b, s.signed[0])
	return s
}

func pushVersion(desk *registry.Server, version string) string {
	return desk.PushChart(signedRepo, version, forge.Archive(forge.Chart("web", version)...), nil)
}

// storeSignature writes the .sig image that cosign v2 writes.
func storeSignature(b testing.TB, desk *registry.Server, digest string, sig *vsig.Signature) {
	b.Helper()
	payload, annotations := sig.Layer()
	layer := pushed(desk, "application/vnd.dev.cosign.simplesigning.v1+json", payload)
	layer.Annotations = annotations
	image := ocispec.Manifest{
		MediaType: ocispec.MediaTypeImageManifest, Layers: []ocispec.Descriptor{layer},
		Config: pushed(desk, ocispec.MediaTypeImageConfig, fmt.Appendf(nil, `{"architecture":"","os":"","config":{},"rootfs":{"type":"layers","diff_ids":[%q]}}`, layer.Digest)),
	}
	image.SchemaVersion = 2
	raw, err := json.Marshal(image)
	if err != nil {
		b.Fatal(err)
	}
	desk.PushManifest(signedRepo, signatureTag(digest), image.MediaType, raw)
}

func pushed(desk *registry.Server, mediaType string, raw []byte) ocispec.Descriptor {
	return ocispec.Descriptor{MediaType: mediaType, Digest: digest.Digest(desk.PushBlob(signedRepo, raw)), Size: int64(len(raw))}
}

func signatureTag(digest string) string { return strings.Replace(digest, ":", "-", 1) + ".sig" }

// copyFrom copies every tag, some at a time.
func (s *shelf) copyFrom(b testing.TB, desk *registry.Server) {
	b.Helper()
	from, to := repository(b, desk.Host()), repository(b, s.host)
	group, ctx := errgroup.WithContext(context.Background())
	group.SetLimit(8)
	err := from.Tags(ctx, "", func(tags []string) error {
		for _, tag := range tags {
			group.Go(func() error {
				_, err := oras.Copy(ctx, from, tag, to, tag, oras.DefaultCopyOptions)
				return err
			})
		}
		return nil
	})
	if copied := group.Wait(); err != nil || copied != nil {
		b.Fatalf("copying charts: %v, %v", err, copied)
	}
}

func repository(b testing.TB, host string) *remote.Repository {
	b.Helper()
	repo, err := remote.NewRepository(host + "/" + signedRepo)
	if err != nil {
		b.Fatal(err)
	}
	repo.PlainHTTP = true
	return repo
}

// cosign signs with the real one and the same key.
func (s *shelf) cosign(b testing.TB, digest string) {
	b.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(s.key.Key)
	if err != nil {
		b.Fatal(err)
	}
	write(b, "web.pem", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	for _, args := range [][]string{
		{"import-key-pair", "--key", "web.pem", "--output-key-prefix", "web", "--yes"},
		{"sign", "--key", "web.key", "--tlog-upload=false", "--yes", s.host + "/" + signedRepo + "@" + digest},
	} {
		cmd := exec.Command(tool(b, "cosign2"), args...)
		cmd.Dir, cmd.Env = workspace, []string{"COSIGN_PASSWORD=", "HOME=" + workspace}
		if out, err := cmd.CombinedOutput(); err != nil {
			b.Fatalf("cosign %s: %v: %s", args[0], err, out)
		}
	}
}

// distribution runs the real registry until the benchmark ends.
func distribution(b testing.TB) string {
	b.Helper()
	host := freeAddress(b)
	write(b, "registry.yaml", fmt.Appendf(nil, "version: 0.1\nlog:\n  level: error\n  accesslog: {disabled: true}\nstorage:\n  filesystem: {rootdirectory: %s}\nhttp:\n  addr: %s\n", filepath.Join(workspace, "registry"), host))
	background(b, exec.Command(tool(b, "registry"), "serve", filepath.Join(workspace, "registry.yaml")))
	awaitDial(b, host)
	return host
}

func freeAddress(b testing.TB) string {
	b.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// background runs a process until the benchmark, or whoever calls stop, ends it.
func background(b testing.TB, cmd *exec.Cmd) (stop func()) {
	b.Helper()
	cmd.Dir = workspace
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	var once sync.Once
	stop = func() {
		once.Do(func() {
			_ = cmd.Process.Kill()
			_ = cmd.Wait() // it was killed
		})
	}
	b.Cleanup(stop)
	return stop
}

func awaitDial(b testing.TB, address string) {
	b.Helper()
	for range 600 {
		if conn, err := net.Dial("tcp", address); err == nil {
			conn.Close()
			return
		}
		time.Sleep(25 * time.Millisecond)
	}
	b.Fatalf("nobody listens at %s", address)
}

// counting is the registry under another host, where requests are counted.
// Nothing that is timed goes through it.
type counting struct {
	host string
	mu   sync.Mutex
	seen []*http.Request
}

func newCounting(b testing.TB, host string) *counting {
	b.Helper()
	c := &counting{}
	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: host})
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c.mu.Lock()
		c.seen = append(c.seen, r)
		c.mu.Unlock()
		proxy.ServeHTTP(w, r)
	}))
	b.Cleanup(srv.Close)
	c.host = srv.Listener.Addr().String()
	return c
}

// take gives what arrived since it was last called, by method and kind of path.
func (c *counting) take(digest string) map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	counts := map[string]int{}
	for _, r := range c.seen {
		counts[r.Method+" "+kindOf(signedRepo, digest, r.URL.Path)]++
	}
	c.seen = nil
	return counts
}
