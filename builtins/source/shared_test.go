// SPDX-License-Identifier: Apache-2.0

package source_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/chartseal/chartseal/builtins"
	"github.com/chartseal/chartseal/builtins/chartref"
	"github.com/chartseal/chartseal/builtins/source"
	"github.com/chartseal/chartseal/test/registry"
)

const (
	bundleType        = "application/vnd.dev.sigstore.bundle.v0.3+json"
	simpleSigningType = "application/vnd.dev.cosign.simplesigning.v1+json"
)

// signatures are two, each stored in its own way: nobody looks inside.
var signatures = []string{"a bundle", "a payload"}

// newSigned is a world whose chart has a bundle and a .sig tag.
func newSigned(t testing.TB, opts ...registry.Option) *world {
	w := newWorld(t, opts...)
	m := ocispec.Manifest{
		MediaType: ocispec.MediaTypeImageManifest, ArtifactType: bundleType,
		Config: w.blob(ocispec.MediaTypeEmptyJSON, "{}"), Layers: []ocispec.Descriptor{w.blob(bundleType, signatures[0])},
		Subject: &ocispec.Descriptor{MediaType: ocispec.MediaTypeImageManifest, Digest: digest.Digest(w.digest), Size: 1},
	}
	w.push("", m)
	m = ocispec.Manifest{MediaType: ocispec.MediaTypeImageManifest, Config: w.blob(ocispec.MediaTypeImageConfig, "{}"),
		Layers: []ocispec.Descriptor{w.blob(simpleSigningType, signatures[1])}}
	w.push(strings.Replace(w.digest, ":", "-", 1)+".sig", m)
	return w
}

func (w *world) blob(mediaType, text string) ocispec.Descriptor {
	return ocispec.Descriptor{MediaType: mediaType, Digest: digest.Digest(w.PushBlob("charts/web", []byte(text))), Size: int64(len(text))}
}

func (w *world) push(tag string, m ocispec.Manifest) {
	m.SchemaVersion = 2
	raw, err := json.Marshal(m)
	if err != nil {
		panic(err)
	}
	w.PushManifest("charts/web", tag, m.MediaType, raw)
}

// everything is all that a chart's small parts are, as text.
func everything(ctx context.Context, client builtins.Source, ref chartref.Ref) (string, error) {
	a, err := client.Resolve(ctx, ref)
	if err != nil {
		return "", err
	}
	defer a.Close()
	config, err := a.Config(ctx)
	if err != nil {
		return "", err
	}
	prov, err := a.Provenance(ctx)
	if err != nil {
		return "", err
	}
	all := fmt.Sprintf("%s %s %s", a.Info().Digest, config, prov)
	for _, place := range a.(builtins.Registered).Signed(ctx, chartref.Ref{}).Places {
		all += fmt.Sprintf(" %s %v", place.Name, place.Err)
		for _, s := range place.Signatures {
			all += fmt.Sprintf(" %s%s %v", s.Bundle, s.Payload, s.Err)
		}
	}
	return all, nil
}

// A fake is a Shared in memory that others can write to.
type fake struct {
	mu     sync.Mutex
	values map[string][]byte
	puts   int
	get    func(ctx context.Context, key string) ([]byte, bool) // in place of values
	put    func()                                               // before values
}

func (f *fake) Get(ctx context.Context, key string) ([]byte, bool) {
	if f.get != nil {
		return f.get(ctx, key)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	value, ok := f.values[key]
	return value, ok
}

func (f *fake) Put(key string, value []byte) {
	if f.put != nil {
		f.put()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.values == nil {
		f.values = map[string][]byte{}
	}
	f.puts++
	f.values[key] = value
}

func (f *fake) keys() []string { return slices.Sorted(maps.Keys(f.values)) }

// replica is a client that has not been asked yet.
func (w *world) replica(t testing.TB, shared source.Shared, edits ...func(*source.Config)) *source.Client {
	replica := func(c *source.Config) { c.CacheBytes, c.Shared, c.SharedWait = 1<<20, shared, time.Minute }
	return newClient(t, insecure(w.Server), append([]func(*source.Config){replica}, edits...)...)
}

// asked is everything of the chart, and how many requests that took.
func (w *world) asked(t testing.TB, client builtins.Source, ref chartref.Ref) (string, int) {
	t.Helper()
	w.Forget()
	all, err := everything(t.Context(), client, ref)
	if err != nil {
		t.Fatal(err)
	}
	return all, len(w.Requests())
}

const (
	cold     = 8 // manifest, config, provenance, two lists, a bundle's manifest, bundle and payload
	fromList = 3 // what only the registry can say: manifest and two lists
	inShared = 5 // the rest
)

func TestSharedRequests(t *testing.T) {
	t.Parallel()
	w := newSigned(t)
	for name, ref := range map[string]chartref.Ref{"tag": w.byTag(t), "digest": w.byDigest(t)} {
		t.Run(name, func(t *testing.T) {
			shared := new(fake)
			alone, n := w.asked(t, w.replica(t, nil), ref)
			if n != cold {
				t.Errorf("alone: %d requests, want %d", n, cold)
			}
			for _, s := range signatures {
				if !strings.Contains(alone, s) {
					t.Errorf("%q lacks %q", alone, s)
				}
			}
			for i, want := range []int{cold, fromList, fromList} {
				got, n := w.asked(t, w.replica(t, shared), ref)
				if got != alone || n != want || shared.puts != inShared {
					t.Errorf("replica %d: %d requests, want %d; %d stored, want %d; got %q, alone %q", i, n, want, shared.puts, inShared, got, alone)
				}
			}
		})
	}
}

// TestSharedWithoutMemory has the second question go to the shared cache too.
func TestSharedWithoutMemory(t *testing.T) {
	t.Parallel()
	w := newSigned(t)
	client := w.replica(t, new(fake), func(c *source.Config) { c.CacheBytes = 0 })
	for _, want := range []int{cold, fromList} {
		if _, n := w.asked(t, client, w.byDigest(t)); n != want {
			t.Errorf("%d requests, want %d", n, want)
		}
	}
}

// TestSharedKeys are digests in a view that nobody can read, and their values
// are what has those digests.
func TestSharedKeys(t *testing.T) {
	t.Parallel()
	w := newSigned(t)
	shared := new(fake)
	w.asked(t, w.replica(t, shared), w.byTag(t))
	text := regexp.MustCompile(`^chartseal:1:[0-9a-f]{64}:(sha256:[0-9a-f]{64})$`)
	for _, key := range shared.keys() {
		match := text.FindStringSubmatch(key)
		if match == nil || match[1] != builtins.SHA256(shared.values[key]) {
			t.Errorf("%s is %q", key, shared.values[key])
		}
	}
	for _, digest := range []string{w.digest, builtins.SHA256(archive)} {
		if strings.Contains(strings.Join(shared.keys(), " "), digest) {
			t.Errorf("%s is shared, and is the registry's to tell", digest)
		}
	}
}

// TestSharedIsNotBelieved changes what is in the cache in ways that a hostile
// or broken server may. Each is a miss, and is put right.
func TestSharedIsNotBelieved(t *testing.T) {
	t.Parallel()
	w := newSigned(t)
	shared := new(fake)
	want, _ := w.asked(t, w.replica(t, shared), w.byTag(t))
	honest := maps.Clone(shared.values)
	other := []byte(`{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json"}`)
	for name, change := range map[string]func([]byte) []byte{
		"one byte flipped": func(b []byte) []byte { return flipped(slices.Clone(b)) },
		"one byte less":    func(b []byte) []byte { return b[1:] },
		"one byte more":    func(b []byte) []byte { return append(slices.Clone(b), '\n') },
		"same length":      func(b []byte) []byte { return make([]byte, len(b)) },
		"another manifest": func([]byte) []byte { return other },
		"empty":            func([]byte) []byte { return []byte{} },
		"nothing":          func([]byte) []byte { return nil },
		"huge":             func([]byte) []byte { return make([]byte, 8<<20) },
	} {
		t.Run(name, func(t *testing.T) {
			for key, value := range honest {
				shared.values[key] = change(value)
			}
			if got, n := w.asked(t, w.replica(t, shared), w.byTag(t)); got != want || n != cold {
				t.Errorf("%d requests, want %d; got %q, want %q", n, cold, got, want)
			}
			if diff := cmp.Diff(honest, shared.values); diff != "" {
				t.Errorf("not overwritten: %s", diff)
			}
			if got, n := w.asked(t, w.replica(t, shared), w.byTag(t)); got != want || n != fromList {
				t.Errorf("put right: %d requests, want %d; got %q, want %q", n, fromList, got, want)
			}
		})
	}
}

// TestSharedKeepsOutages is about a registry that fails: what is shared makes
// no verdict of that, neither for what was listed nor for what was not.
func TestSharedKeepsOutages(t *testing.T) {
	t.Parallel()
	w := newSigned(t)
	shared := new(fake)
	want, _ := w.asked(t, w.replica(t, shared), w.byDigest(t))
	for name, rule := range map[string]registry.Rule{
		"registry down": {Status: 503}, "manifest denied": {Path: "/v2/*/manifests/sha256:*", Status: 401}, "manifest gone": {Path: "/v2/*/manifests/sha256:*", Status: 404},
	} {
		t.Run(name, func(t *testing.T) {
			client := w.replica(t, shared)
			remove := w.Rule(rule)
			_, err := everything(t.Context(), client, w.byDigest(t))
			wantCode(t, err, map[int]builtins.Code{503: builtins.Unavailable, 401: builtins.Denied, 404: builtins.NotFound}[rule.Status])
			remove()
			if got, n := w.asked(t, client, w.byDigest(t)); got != want || n != fromList {
				t.Errorf("after it: %d requests, want %d; got %q, want %q", n, fromList, got, want)
			}
		})
	}
}

// TestSharedViews has the cache hold nothing for those who may see another
// repository or have other credentials.
func TestSharedViews(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		other func(w *world) (hosts listed, ref string)
		want  int
	}{
		"the same": {func(w *world) (listed, string) {
			return insecure(w.Server).with(w.Server, "robot", "word"), "charts/web"
		}, 1},
		"another repository": {func(w *world) (listed, string) {
			w.PushChart("charts/copy", "1.2.3", archive, prov)
			return insecure(w.Server).with(w.Server, "robot", "word"), "charts/copy"
		}, 2},
		"other credentials": {func(w *world) (listed, string) {
			return insecure(w.Server).with(w.Server, "robot", "other"), "charts/web"
		}, 2},
		"no credentials": {func(w *world) (listed, string) { return insecure(w.Server), "charts/web" }, 2},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t) // open to anybody, so that only the cache can tell the views apart
			shared := new(fake)
			with := func(hosts listed, repo string) int {
				w.Forget()
				client := newClient(t, hosts, func(c *source.Config) { c.Shared, c.SharedWait = shared, time.Minute })
				got, err := readConfig(t.Context(), client, reference(t, "oci://"+w.Host()+"/"+repo+":1.2.3"))
				wantBytes(t, got, err, []byte("{}"))
				return len(w.Requests())
			}
			if n := with(insecure(w.Server).with(w.Server, "robot", "word"), "charts/web"); n != 2 {
				t.Fatalf("%d requests, want 2", n)
			}
			if n := with(tt.other(w)); n != tt.want {
				t.Errorf("%d requests, want %d", n, tt.want)
			}
			for _, key := range shared.keys() {
				if strings.Contains(key, "word") || strings.Contains(key, "web") {
					t.Errorf("key %s tells too much", key)
				}
			}
		})
	}
}

// TestSharedSizes shares nothing that takes long to move.
func TestSharedSizes(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ size, puts int }{
		"as much as may be": {2 << 20, 1}, "one byte more": {2<<20 + 1, 0}, "nothing": {0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			large := strings.Repeat("x", tt.size)
			w.PushChart("charts/web", "1.2.3", archive, prov, func(p *registry.Push) {
				p.Manifest.Config = p.Blob(registry.ConfigMediaType, []byte(large))
			})
			shared := new(fake)
			for range 2 {
				client := w.replica(t, shared, limits(func(l *builtins.Limits) { l.Metadata = 4 << 20 }))
				got, err := readConfig(t.Context(), client, w.byTag(t))
				if err != nil || string(got) != large {
					t.Errorf("got %d bytes, %v, want %d", len(got), err, tt.size)
				}
			}
			if shared.puts != tt.puts {
				t.Errorf("stored %d times, want %d", shared.puts, tt.puts)
			}
		})
	}
	t.Run("more than the limit", func(t *testing.T) {
		w := newWorld(t)
		shared := new(fake)
		_, err := readProv(t.Context(), w.replica(t, shared), w.byTag(t))
		wantCode(t, err, builtins.OK)
		_, err = readProv(t.Context(), w.replica(t, shared, limits(func(l *builtins.Limits) { l.Provenance = int64(len(prov)) - 1 })), w.byTag(t))
		wantCode(t, err, builtins.TooLarge)
	})
}

// TestSharedFaults are implementations that do not keep their promise.
func TestSharedFaults(t *testing.T) {
	t.Parallel()
	w := newSigned(t)
	want, _ := w.asked(t, w.replica(t, nil), w.byTag(t))
	ended := make(chan struct{})
	t.Cleanup(func() { close(ended) })
	for name, shared := range map[string]*fake{
		"get panics":       {get: func(context.Context, string) ([]byte, bool) { panic("get") }},
		"put panics":       {put: func() { panic("put") }},
		"get never ends":   {get: func(context.Context, string) ([]byte, bool) { <-ended; return nil, false }},
		"get until it may": {get: func(ctx context.Context, _ string) ([]byte, bool) { <-ctx.Done(); return nil, true }},
	} {
		t.Run(name, func(t *testing.T) {
			within(t, time.Second, func() {
				client := w.replica(t, shared, func(c *source.Config) { c.SharedWait = 0 })
				if got, n := w.asked(t, client, w.byTag(t)); got != want || n != cold {
					t.Errorf("%d requests, want %d; got %q, want %q", n, cold, got, want)
				}
			})
		})
	}
	t.Run("cancelled meanwhile", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		shared := &fake{get: func(context.Context, string) ([]byte, bool) { cancel(); <-ended; return nil, false }}
		_, err := everything(ctx, w.replica(t, shared), w.byTag(t))
		if err == nil {
			t.Error("a cancelled question is answered")
		}
	})
}
