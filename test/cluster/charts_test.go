// SPDX-License-Identifier: Apache-2.0

package cluster_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"encoding/base64"
	"encoding/json"
	"os"
	"path"
	"strconv"
	"strings"
	"testing"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
	godigest "github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/provenance"

	"github.com/chartseal/chartseal/builtins"
	lock "github.com/chartseal/chartseal/builtins/chart"
	"github.com/chartseal/chartseal/test/registry"
	"github.com/chartseal/chartseal/test/vsig"
)

// A signer signs charts for a registry and for a repository.
type signer struct {
	key *vsig.Signer
	pgp *openpgp.Entity
}

func newSigner(t testing.TB, name string) *signer {
	t.Helper()
	entity, err := openpgp.NewEntity(name, "", name+"@example.com", &packet.Config{Algorithm: packet.PubKeyAlgoEdDSA})
	must(t, err)
	return &signer{vsig.WithKey(vsig.SeededKey(name)), entity}
}

// trust is what a trust directory holds to trust the signer by the name platform.
func (s *signer) trust(t testing.TB) map[string][]byte {
	t.Helper()
	var ring bytes.Buffer
	must(t, s.pgp.Serialize(&ring))
	return map[string][]byte{"keyrings/platform.gpg": ring.Bytes(), "keys/platform.pub": s.key.PublicKey()}
}

// charts are a registry and a chart repository at one address.
type charts struct {
	t                  testing.TB
	server             *registry.Server
	platform, stranger *signer
	words              map[string]string // what manifests say, and what is meant here
}

func newCharts(t testing.TB, server *registry.Server) *charts {
	c := &charts{t: t, server: server, platform: newSigner(t, "platform"), stranger: newSigner(t, "stranger"), words: map[string]string{
		"registry.example.com": server.Host(), "charts.example.com": server.Host(),
	}}
	web := c.publish("platform/web", "1.2.3", c.platform)
	unsigned := c.publish("platform/unsigned", "1.2.3", nil)
	c.publish("platform/foreign", "1.2.3", c.stranger)
	c.publish("platform/exempt", "1.2.3", nil)
	c.publish("platform/expired", "1.2.3", nil)
	c.publish("elsewhere/web", "1.2.3", c.platform)
	c.tamper("platform/tampered", "1.2.3")
	c.words["MANIFEST_OF_WEB"], c.words["MANIFEST_OF_UNSIGNED"] = web.manifest, unsigned.manifest
	c.words["CONTENT_OF_WEB"], c.words["CONTENT_OF_UNSIGNED"] = base64.StdEncoding.EncodeToString(web.archive), base64.StdEncoding.EncodeToString(unsigned.archive)
	c.words["sha256:ARCHIVE_OF_WEB"] = builtins.SHA256(web.archive)
	c.words["BREAK_GLASS_KEY"] = strconv.Quote(string(breakGlass.PublicKey()))
	return c
}

// breakGlass signs tokens for emergencies.
var breakGlass = vsig.WithKey(vsig.SeededKey("break glass"))

// signingKey is the private key of a signer.
func signingKey(s *vsig.Signer) *ecdsa.PrivateKey {
	var key crypto.Signer = s.Key
	return key.(*ecdsa.PrivateKey)
}

// real gives manifests as they are meant here.
func (c *charts) real(text string) string {
	for word, meant := range c.words {
		text = strings.ReplaceAll(text, word, meant)
	}
	return text
}

type published struct {
	archive  []byte
	manifest string // digest
}

// publish pushes a chart to the registry and adds it to the repository, signed
// by a signer, or by nobody.
func (c *charts) publish(repo, version string, by *signer) published {
	c.t.Helper()
	return c.release(repo, version, c.pack(path.Base(repo), version, "", ""), by)
}

// publishReleased publishes what else samples name: a chart that needs another,
// and the digest that they write for one.
func (c *charts) publishReleased() {
	c.t.Helper()
	c.publish("other/unsigned", "1.2.3", nil)
	c.publish("platform/twice", "1.2.3", c.platform)
	base := c.pack("base", "1.0.0", "", "")
	c.release("platform/base", "1.0.0", base, c.platform)
	c.release("platform/app", "2.0.0", c.pack("app", "2.0.0", base, "oci://registry.example.com/platform"), c.platform)
	c.words["sha256:"+strings.Repeat("1", 64)] = c.words["MANIFEST_OF_WEB"]
}

// tamper publishes a chart with the provenance of another archive.
func (c *charts) tamper(repo, version string) {
	c.t.Helper()
	archive, prov := c.provenance(c.pack(path.Base(repo), version, "", ""), c.platform)
	c.server.AddChart(path.Dir(repo), append(archive, 0), prov)
}

// release publishes a packed chart.
func (c *charts) release(repo, version, file string, by *signer) published {
	c.t.Helper()
	archive, prov := c.provenance(file, by)
	p := published{archive, c.server.PushChart(repo, version, archive, prov)}
	c.server.AddChart(path.Dir(repo), archive, prov)
	if by != nil {
		c.sign(repo, p.manifest, by)
	}
	return p
}

// provenance gives the archive, and what Helm writes beside it.
func (c *charts) provenance(file string, by *signer) (archive, prov []byte) {
	c.t.Helper()
	archive, err := os.ReadFile(file)
	must(c.t, err)
	if by == nil {
		return archive, nil
	}
	text, err := (&provenance.Signatory{Entity: by.pgp}).ClearSign(file)
	must(c.t, err)
	return archive, []byte(text)
}

// pack makes an archive with what it needs in it, which is locked.
func (c *charts) pack(name, version, needed, repository string) (file string) {
	c.t.Helper()
	packed := &chart.Chart{
		Metadata:  &chart.Metadata{APIVersion: "v2", Name: name, Version: version, Type: "application"},
		Templates: []*chart.File{{Name: "templates/configmap.yaml", Data: []byte("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: web\n")}},
	}
	if needed != "" {
		dependency, err := loader.LoadFile(needed)
		must(c.t, err)
		packed.AddDependency(dependency)
		packed.Metadata.Dependencies = []*chart.Dependency{{Name: dependency.Name(), Version: dependency.Metadata.Version, Repository: repository}}
		packed.Lock = &chart.Lock{Dependencies: packed.Metadata.Dependencies, Digest: lock.HashReq(packed.Metadata.Dependencies, packed.Metadata.Dependencies)}
	}
	file, err := chartutil.Save(packed, c.t.TempDir())
	must(c.t, err)
	return file
}

// sign pushes a signature as cosign does with a key.
func (c *charts) sign(repo, manifest string, by *signer) {
	c.t.Helper()
	blob := func(mediaType string, raw []byte) ocispec.Descriptor {
		return ocispec.Descriptor{MediaType: mediaType, Digest: godigest.Digest(c.server.PushBlob(repo, raw)), Size: int64(len(raw))}
	}
	payload, annotations := by.key.Simple("registry.example.com/"+repo, manifest, nil).Layer()
	layer := blob("application/vnd.dev.cosign.simplesigning.v1+json", payload)
	layer.Annotations = annotations
	raw, err := json.Marshal(ocispec.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest,
		Config: blob(ocispec.MediaTypeImageConfig, []byte("{}")), Layers: []ocispec.Descriptor{layer},
	})
	must(c.t, err)
	c.server.PushManifest(repo, strings.Replace(manifest, ":", "-", 1)+".sig", ocispec.MediaTypeImageManifest, raw)
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
