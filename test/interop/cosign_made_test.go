// SPDX-License-Identifier: Apache-2.0

package interop_test

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/chartseal/chartseal/builtins"
	"github.com/chartseal/chartseal/test/forge"
	"github.com/chartseal/chartseal/test/registry"
	"github.com/chartseal/chartseal/test/vsig"
)

// A made chart is one in a registry whose signatures the test makes itself:
// what real cosign would need a network or a build for. Cosign is the oracle.
type made struct {
	t      *testing.T
	srv    *registry.Server
	digest string
}

func newMade(t *testing.T) *made {
	m := &made{t: t, srv: registry.New(t)}
	m.digest = m.srv.PushChart("charts/web", "1.2.3", forge.Archive(forge.Chart("web", "1.2.3")...), nil)
	return m
}

func (m *made) ref() string { return "oci://" + m.srv.Host() + "/charts/web:1.2.3" }
func (m *made) at() string  { return m.srv.Host() + "/charts/web@" + m.digest }

func (m *made) blob(mediaType string, raw []byte) ocispec.Descriptor {
	return ocispec.Descriptor{MediaType: mediaType, Digest: digest.Digest(m.srv.PushBlob("charts/web", raw)), Size: int64(len(raw))}
}

func (m *made) push(tag string, manifest ocispec.Manifest) {
	m.t.Helper()
	manifest.SchemaVersion, manifest.MediaType = 2, ocispec.MediaTypeImageManifest
	raw, err := json.Marshal(manifest)
	if err != nil {
		m.t.Fatal(err)
	}
	m.srv.PushManifest("charts/web", tag, manifest.MediaType, raw)
}

// layer stores the signature as the .sig image does.
func (m *made) layer(sig *vsig.Signature) {
	payload, annotations := sig.Layer()
	layer := m.blob("application/vnd.dev.cosign.simplesigning.v1+json", payload)
	layer.Annotations = annotations
	config := m.blob(ocispec.MediaTypeImageConfig, []byte(`{"architecture":"","os":"","config":{},"rootfs":{"type":"layers","diff_ids":["`+string(layer.Digest)+`"]}}`))
	m.push(strings.Replace(m.digest, ":", "-", 1)+".sig", ocispec.Manifest{Config: config, Layers: []ocispec.Descriptor{layer}})
}

// referrer stores the signature as a bundle.
func (m *made) referrer(sig *vsig.Signature) {
	const mediaType = "application/vnd.dev.sigstore.bundle.v0.3+json"
	chart := m.srv.Manifest("charts/web", m.digest)
	m.push("", ocispec.Manifest{
		ArtifactType: mediaType, Config: m.blob("application/vnd.oci.empty.v1+json", []byte("{}")),
		Layers:      []ocispec.Descriptor{m.blob(mediaType, sig.Bundle("0.3"))},
		Subject:     &ocispec.Descriptor{MediaType: ocispec.MediaTypeImageManifest, Digest: digest.Digest(m.digest), Size: int64(len(chart))},
		Annotations: map[string]string{"dev.sigstore.bundle.content": "dsse-envelope", "dev.sigstore.bundle.predicateType": vsig.SignPredicate},
	})
}

// agree holds our verdict and each cosign's against the one that is wanted.
func (m *made) agree(want bool, opts map[string]any, oracles ...command) {
	m.t.Helper()
	if rep := verifyCosign(m.t, m.srv, m.ref(), opts); rep.Verified != want || rep.Outcome == builtins.Undecided {
		m.t.Errorf("ours is %s: %s, want verified %v", rep.Code, rep.Reason, want)
	}
	for _, oracle := range oracles {
		oracle.args = append(append([]string{"verify"}, oracle.args...), m.at())
		if _, err := oracle.run(); (err == nil) != want {
			m.t.Errorf("want verified %v: %v", want, err)
		}
	}
}

// TestRSAWithSHA512 is about a signature that no cosign makes and all verify.
func TestRSAWithSHA512(t *testing.T) {
	v2, v3 := tool(t, "cosign2"), tool(t, "cosign3")
	key, err := rsa.GenerateKey(rand.Reader, 3072)
	if err != nil {
		t.Fatal(err)
	}
	signer := &vsig.Signer{Key: key, Hash: crypto.SHA512}
	public := write(t, filepath.Join(folder(t), "rsa.pub"), signer.PublicKey())
	m := newMade(t)
	m.layer(signer.Simple(m.srv.Host()+"/charts/web", m.digest, nil))
	for algorithm, want := range map[string]bool{"sha512": true, "sha256": false} {
		args := []string{"--key", public, "--insecure-ignore-tlog", "--signature-digest-algorithm", algorithm}
		m.agree(want, map[string]any{"public_key": string(signer.PublicKey()), "digest_algorithm": algorithm},
			command{path: v2, args: args}, command{path: v3, args: append([]string{"--new-bundle-format=false"}, args...)})
	}
	t.Run("as a bundle", func(t *testing.T) {
		m := newMade(t)
		m.referrer(signer.Statement(m.digest, vsig.SignPredicate, nil))
		m.agree(true, map[string]any{"public_key": string(signer.PublicKey()), "digest_algorithm": "sha512"})
		m.agree(false, map[string]any{"public_key": string(signer.PublicKey())})
	})
}

// TestKeylessOffline has certificates, logs and timestamps of a sigstore that
// exists in the test alone, in both forms.
func TestKeylessOffline(t *testing.T) {
	v2, v3 := tool(t, "cosign2"), tool(t, "cosign3")
	const subject, issuer = "https://ci.example.com/org/web/.github/workflows/release.yml@refs/heads/main", "https://issuer.example.com"
	vs := vsig.New(time.Now().Add(-time.Hour))
	foreign := vsig.New(vs.At)
	signer := vs.Keyless(vsig.Leaf{Subject: subject, Issuer: issuer})
	for _, tt := range []struct {
		name    string
		store   func(*made)
		oracles []command
	}{
		{".sig", func(m *made) { m.layer(signer.Simple("x", m.digest, nil).Log(vs.Rekor, vs.At)) },
			[]command{{path: v2}, {path: v3, args: []string{"--new-bundle-format=false"}}}},
		{"bundle", func(m *made) { m.referrer(signer.Statement(m.digest, vsig.SignPredicate, nil).Log(vs.Rekor, vs.At)) },
			[]command{{path: v2, args: []string{"--new-bundle-format"}}, {path: v3}}},
		{"bundle, log v2", func(m *made) {
			m.referrer(signer.Statement(m.digest, vsig.SignPredicate, nil).LogV2(vs.RekorV2).Stamp(vs, vs.At))
		}, []command{{path: v3, args: []string{"--use-signed-timestamps"}}}},
	} {
		for _, ask := range []struct {
			name, subject string
			root          []byte
			want          bool
		}{
			{"as it is", subject, vs.Root(), true},
			{"another identity", subject + "s", vs.Root(), false},
			{"another sigstore", subject, foreign.Root(), false},
		} {
			t.Run(tt.name+", "+ask.name, func(t *testing.T) {
				m := newMade(t)
				tt.store(m)
				root := write(t, filepath.Join(folder(t), "root.json"), ask.root)
				var oracles []command
				for _, oracle := range tt.oracles {
					oracle.args = append([]string{"--offline", "--trusted-root", root, "--certificate-identity", ask.subject, "--certificate-oidc-issuer", issuer}, oracle.args...)
					oracles = append(oracles, oracle)
				}
				m.agree(ask.want, map[string]any{
					"identities": []any{map[string]any{"issuer": issuer, "subject": ask.subject}}, "trusted_root": string(ask.root),
				}, oracles...)
			})
		}
	}
}
