// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"crypto/rand"
	"encoding/json"
	"os"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
	specs "github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/chartseal/chartseal/test/registry"
	"github.com/chartseal/chartseal/test/vsig"
)

const (
	bundleType = "application/vnd.dev.sigstore.bundle.v0.3+json"
	simpleType = "application/vnd.dev.cosign.simplesigning.v1+json"
)

// A sigstore is an instance of the demo's own, and who signs with cosign: the
// owner of the release key, the pipeline that the policy trusts, and one of
// the same name in a fork.
type sigstore struct {
	*vsig.Sigstore
	release, pipeline, fork *vsig.Signer
	simple                  *vsig.Signature // the last one that the release key made
}

func newSigstore() *sigstore {
	vs := vsig.New(time.Now())
	return &sigstore{
		Sigstore: vs, release: vsig.WithKey(vsig.SeededKey(rand.Text())),
		pipeline: pipelineOf(vs, "org"), fork: pipelineOf(vs, "fork"),
	}
}

func pipelineOf(vs *vsig.Sigstore, owner string) *vsig.Signer {
	return vs.Keyless(vsig.Leaf{
		Issuer:  "https://issuer.example.com",
		Subject: "https://ci.example.com/" + owner + "/web/release.yml@refs/heads/main",
	})
}

// A shelf is where a chart is in the registry.
type shelf struct {
	srv          *registry.Server
	repo, digest string
}

// withKey signs as cosign v2 does with --key: into the tag .sig.
func (s *sigstore) withKey(at shelf) {
	s.simple = s.release.Simple(at.srv.Host()+"/"+at.repo, at.digest, nil)
	at.image(s.simple)
}

// copied puts a signature there that was made for the chart before.
func (s *sigstore) copied(at shelf) { at.image(s.simple) }

// byPipeline signs as cosign v3 does without a key: into a bundle, with an
// entry in the log.
func (s *sigstore) byPipeline(at shelf) { s.keyless(s.pipeline, at) }

func (s *sigstore) byFork(at shelf) { s.keyless(s.fork, at) }

func (s *sigstore) keyless(signer *vsig.Signer, at shelf) {
	at.refer(signer.Statement(at.digest, vsig.SignPredicate, nil).Log(s.Rekor, s.At).Bundle("0.3"))
}

// beside signs an archive as cosign sign-blob does, for those who ask about it
// without a registry.
func (s *sigstore) beside(archive string) error {
	raw, err := os.ReadFile(archive)
	if err != nil {
		return err
	}
	return os.WriteFile(archive+".sigstore.json", s.release.Blob(raw).Bundle("0.3"), 0o644)
}

// image pushes a signature as the image that cosign makes of it.
func (at shelf) image(sig *vsig.Signature) {
	payload, annotations := sig.Layer()
	layer := at.blob(simpleType, payload)
	layer.Annotations = annotations
	at.push(strings.Replace(at.digest, ":", "-", 1)+".sig", ocispec.Manifest{
		Config: at.blob(ocispec.MediaTypeImageConfig, []byte("{}")), Layers: []ocispec.Descriptor{layer},
	})
}

// refer pushes a bundle that refers to the chart.
func (at shelf) refer(bundle []byte) {
	size := int64(len(at.srv.Manifest(at.repo, at.digest)))
	at.push("", ocispec.Manifest{
		ArtifactType: bundleType,
		Config:       at.blob(ocispec.MediaTypeEmptyJSON, []byte("{}")),
		Layers:       []ocispec.Descriptor{at.blob(bundleType, bundle)},
		Subject:      &ocispec.Descriptor{MediaType: ocispec.MediaTypeImageManifest, Digest: digest.Digest(at.digest), Size: size},
	})
}

func (at shelf) blob(mediaType string, raw []byte) ocispec.Descriptor {
	return ocispec.Descriptor{MediaType: mediaType, Digest: digest.Digest(at.srv.PushBlob(at.repo, raw)), Size: int64(len(raw))}
}

func (at shelf) push(tag string, m ocispec.Manifest) {
	m.Versioned, m.MediaType = specs.Versioned{SchemaVersion: 2}, ocispec.MediaTypeImageManifest
	raw, err := json.Marshal(m)
	if err != nil {
		panic(err) // a manifest of ours is JSON
	}
	at.srv.PushManifest(at.repo, tag, m.MediaType, raw)
}
