// SPDX-License-Identifier: Apache-2.0

package main

import (
	"archive/tar"
	"encoding/json"
	"errors"
	"io"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// TestImage builds the provider's image, pushes it, pulls it, and runs what is
// in it.
func TestImage(t *testing.T) {
	t.Chdir("../..")
	b := &build{out: t.TempDir(), version: "1.2.3", revision: strings.Repeat("0", 40), platforms: []string{"linux/" + runtime.GOARCH}}
	digest, err := b.layout("chartseal-provider")
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(registry.New(registry.WithReferrersSupport(true)))
	t.Cleanup(server.Close)
	host := strings.TrimPrefix(server.URL, "http://")
	pushed, err := push(t.Context(), filepath.Join(b.out, "chartseal-provider"), host+"/chartseal/chartseal-provider", b.version, true)
	if err != nil || pushed != digest {
		t.Fatalf("pushed %s, built %s: %v", pushed, digest, err)
	}
	repo := must(name.NewRepository(host + "/chartseal/chartseal-provider"))
	for _, tag := range []string{"1.2.3", "1.2"} {
		if got := must(remote.Get(repo.Tag(tag))).Digest; got != digest {
			t.Errorf("tag %s is %s, want %s", tag, got, digest)
		}
	}
	image := must(must(remote.Get(repo.Digest(digest.String()))).Image())

	t.Run("config", func(t *testing.T) {
		config := must(image.ConfigFile()).Config
		if config.User != user || strings.Join(config.Entrypoint, " ") != "/chartseal-provider" || config.Labels["org.opencontainers.image.version"] != "1.2.3" {
			t.Errorf("got %+v", config)
		}
	})
	t.Run("runs", func(t *testing.T) {
		dir := unpack(t, image)
		out, err := exec.Command(filepath.Join(dir, "chartseal-provider"), "version").CombinedOutput()
		if err != nil || !strings.Contains(string(out), "1.2.3") {
			t.Errorf("%v: %s", err, out)
		}
		if pem, err := os.ReadFile(filepath.Join(dir, "etc/ssl/certs/ca-certificates.crt")); err != nil || strings.Count(string(pem), "BEGIN CERTIFICATE") < 100 {
			t.Errorf("%d bytes of authorities, %v", len(pem), err)
		}
	})
	t.Run("documents", func(t *testing.T) {
		subject := must(image.Digest())
		referrers := must(must(remote.Referrers(repo.Digest(subject.String()))).IndexManifest())
		documents := map[string]map[string]any{}
		for _, d := range referrers.Manifests {
			artifact := must(remote.Image(repo.Digest(d.Digest.String())))
			raw := must(io.ReadAll(must(must(artifact.Layers())[0].Compressed())))
			var content map[string]any
			if err := json.Unmarshal(raw, &content); err != nil {
				t.Fatal(err)
			}
			documents[d.ArtifactType] = content
		}
		if bill := documents[sbomType]; bill["bomFormat"] != "CycloneDX" || !strings.Contains(string(must(json.Marshal(bill))), "github.com/ProtonMail/go-crypto") {
			t.Errorf("SBOM: %.200v", bill)
		}
		statement := documents[provenanceType]
		if !strings.Contains(string(must(json.Marshal(statement["subject"]))), subject.Hex) {
			t.Errorf("provenance is about %v, want %s", statement["subject"], subject)
		}
	})
	t.Run("the same again", func(t *testing.T) {
		again, err := b.layout("chartseal-provider")
		if err != nil || again != digest {
			t.Errorf("built again: %s, %v; want %s", again, err, digest)
		}
	})
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func unpack(t *testing.T, image v1.Image) string {
	t.Helper()
	dir := t.TempDir()
	content := mutate.Extract(image)
	defer content.Close()
	for r := tar.NewReader(content); ; {
		header, err := r.Next()
		if errors.Is(err, io.EOF) {
			return dir
		}
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, header.Name)
		if header.Typeflag == tar.TypeDir {
			err = os.MkdirAll(path, 0o755)
		} else if err = os.MkdirAll(filepath.Dir(path), 0o755); err == nil {
			err = os.WriteFile(path, must(io.ReadAll(r)), os.FileMode(header.Mode))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}
