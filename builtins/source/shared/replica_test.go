// SPDX-License-Identifier: Apache-2.0

package shared_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/chartseal/chartseal/builtins"
	"github.com/chartseal/chartseal/builtins/chartref"
	"github.com/chartseal/chartseal/builtins/cosign"
	"github.com/chartseal/chartseal/builtins/source"
	"github.com/chartseal/chartseal/builtins/source/shared"
	"github.com/chartseal/chartseal/test/forge"
	"github.com/chartseal/chartseal/test/registry"
	"github.com/chartseal/chartseal/test/vsig"
)

// What a replica asks the registry for.
const (
	fromList = 3            // the tag, the referrers and the .sig tag
	inShared = 3            // the bundle's manifest, the bundle and a payload
	cold     = fromList + 3 // all of it
)

// A chart is in a registry, signed in both ways with one key.
type chart struct {
	t    testing.TB
	srv  *registry.Server
	ref  string
	key  *vsig.Signer
	want string // the report
}

const (
	repo       = "charts/web"
	bundleType = "application/vnd.dev.sigstore.bundle.v0.3+json"
	simpleType = "application/vnd.dev.cosign.simplesigning.v1+json"
)

func newChart(t testing.TB) *chart {
	t.Helper()
	c := &chart{t: t, srv: registry.New(t), key: vsig.WithKey(vsig.SeededKey("release"))}
	of := c.srv.PushChart(repo, "1.2.3", forge.Archive(forge.Chart("web", "1.2.3")...), nil)
	c.ref = "oci://" + c.srv.Host() + "/" + repo + ":1.2.3"
	bundle := c.key.Statement(of, vsig.SignPredicate, nil).Bundle("0.3")
	c.push("", ocispec.Manifest{
		ArtifactType: bundleType, Config: c.blob(ocispec.MediaTypeEmptyJSON, []byte("{}")), Layers: []ocispec.Descriptor{c.blob(bundleType, bundle)},
		Subject: &ocispec.Descriptor{MediaType: ocispec.MediaTypeImageManifest, Digest: digest.Digest(of), Size: 1},
	})
	payload, annotations := c.key.Simple(c.srv.Host()+"/"+repo, of, nil).Layer()
	layer := c.blob(simpleType, payload)
	layer.Annotations = annotations
	c.push(strings.Replace(of, ":", "-", 1)+".sig", ocispec.Manifest{
		Config: c.blob(ocispec.MediaTypeImageConfig, []byte("{}")), Layers: []ocispec.Descriptor{layer},
	})
	c.want = c.verify(nil, cold)
	return c
}

func (c *chart) blob(mediaType string, raw []byte) ocispec.Descriptor {
	return ocispec.Descriptor{MediaType: mediaType, Digest: digest.Digest(c.srv.PushBlob(repo, raw)), Size: int64(len(raw))}
}

func (c *chart) push(tag string, m ocispec.Manifest) {
	m.SchemaVersion, m.MediaType = 2, ocispec.MediaTypeImageManifest
	c.srv.PushManifest(repo, tag, m.MediaType, encode(m))
}

func encode(v any) []byte {
	raw, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return raw
}

// verify has a replica verify the chart for the first time, with so many
// requests of the registry, and gives its report.
func (c *chart) verify(cache source.Shared, requests int) string {
	c.t.Helper()
	c.srv.Forget()
	rep := c.ask(cache, c.key)
	if !rep.Verified {
		c.t.Errorf("%s: %s", rep.Code, rep.Reason)
	}
	if n := len(c.srv.Requests()); n != requests {
		c.t.Errorf("%d requests, want %d: %+v", n, requests, c.srv.Requests())
	}
	report := string(encode(rep))
	if c.want != "" && report != c.want {
		c.t.Errorf("report is %s, alone %s", report, c.want)
	}
	return report
}

func (c *chart) ask(cache source.Shared, key *vsig.Signer) builtins.Report {
	c.t.Helper()
	client, err := source.New(source.Config{
		Registries: func(host string) (source.Registry, bool) {
			return source.Registry{Insecure: true}, host == c.srv.Host()
		},
		Limits: builtins.DefaultLimits(), CacheBytes: 1 << 20, Shared: cache, SharedWait: time.Minute,
	})
	if err != nil {
		c.t.Fatal(err)
	}
	defer client.Close()
	env := &builtins.Env{Now: time.Now(), Source: client, Limits: builtins.DefaultLimits()}
	options := map[string]any{"public_key": string(key.PublicKey()), "threshold": 1}
	return cosign.Verify.Call(c.t.Context(), env, chartref.Parse(c.ref), encode(options))
}

// patient waits as long as a busy machine takes.
func patient(config shared.Config) shared.Config {
	config.Wait = time.Minute
	return config
}

// filled has a replica share the chart, and waits until it is stored.
func (c *chart) filled(s *server, cache *shared.Cache, password string) {
	c.t.Helper()
	c.verify(cache, cold)
	s.holds(inShared, password)
}

func (s *server) holds(n int64, password string) {
	s.t.Helper()
	hand := s.hand(password)
	until(s.t, "the values to be stored", func() bool { return hand.DBSize(s.t.Context()).Val() == n })
}
