// SPDX-License-Identifier: Apache-2.0

package main

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/pem"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"golang.org/x/crypto/x509roots/fallback/bundle"
)

const (
	module = "github.com/chartseal/chartseal"
	user   = "65532:65532" // nonroot, as distroless has it
)

// A build is what all images of one run have in common.
type build struct {
	out, version, revision string
	platforms              []string
}

// layout builds the image of one command for every platform, and writes it
// with its documents into a layout of its own.
func (b *build) layout(command string) (v1.Hash, error) {
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	var attached []v1.Image
	for _, text := range b.platforms {
		platform, err := v1.ParsePlatform(text)
		if err != nil {
			return v1.Hash{}, err
		}
		binary, err := b.compile(command, platform)
		if err != nil {
			return v1.Hash{}, err
		}
		image, err := b.image(command, platform, binary)
		if err != nil {
			return v1.Hash{}, err
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: image, Descriptor: v1.Descriptor{Platform: platform}})
		documents, err := b.documents(command, image, binary)
		if err != nil {
			return v1.Hash{}, err
		}
		attached = append(attached, documents...)
	}
	return b.write(command, index, attached)
}

// compile builds a static binary and gives its path.
func (b *build) compile(command string, platform *v1.Platform) (string, error) {
	path := filepath.Join(b.out, "binaries", fmt.Sprintf("%s_%s_%s", command, platform.OS, platform.Architecture))
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w -X main.version="+b.version, "-o", path, "./cmd/"+command)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS="+platform.OS, "GOARCH="+platform.Architecture)
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building for %s: %w: %s", platform, err, out)
	}
	return path, nil
}

// image is one platform's: one layer that is the same for the same binary.
func (b *build) image(command string, platform *v1.Platform, binary string) (v1.Image, error) {
	content, err := rootFS(command, binary)
	if err != nil {
		return nil, err
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(content)), nil },
		tarball.WithMediaType(types.OCILayer))
	if err != nil {
		return nil, err
	}
	image, err := mutate.AppendLayers(mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON), layer)
	if err != nil {
		return nil, err
	}
	config, err := image.ConfigFile()
	if err != nil {
		return nil, err
	}
	config = config.DeepCopy()
	config.OS, config.Architecture = platform.OS, platform.Architecture
	config.Config.Entrypoint, config.Config.User, config.Config.WorkingDir = []string{"/" + command}, user, "/"
	config.Config.Labels = b.labels(command)
	return mutate.ConfigFile(image, config)
}

// labels are those that the OCI image specification names.
func (b *build) labels(command string) map[string]string {
	return map[string]string{
		"org.opencontainers.image.title":    command,
		"org.opencontainers.image.version":  b.version,
		"org.opencontainers.image.revision": b.revision,
		"org.opencontainers.image.source":   "https://" + module,
		"org.opencontainers.image.licenses": "Apache-2.0",
	}
}

// rootFS is the tar archive of what the image holds. A working directory that
// anybody may write to is left to whoever mounts one.
func rootFS(command, binary string) ([]byte, error) {
	program, err := os.ReadFile(binary)
	if err != nil {
		return nil, err
	}
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	for _, file := range []struct {
		path    string
		mode    int64
		content []byte
	}{
		{"etc/", 0o755, nil},
		{"etc/passwd", 0o644, []byte("root:x:0:0:root:/:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/:/sbin/nologin\n")},
		{"etc/group", 0o644, []byte("root:x:0:\nnonroot:x:65532:\n")},
		{"etc/ssl/", 0o755, nil},
		{"etc/ssl/certs/", 0o755, nil},
		{"etc/ssl/certs/ca-certificates.crt", 0o644, authorities()},
		{command, 0o755, program},
	} {
		header := &tar.Header{Name: file.path, Mode: file.mode, Size: int64(len(file.content)), ModTime: time.Unix(0, 0), Typeflag: tar.TypeReg}
		if strings.HasSuffix(file.path, "/") {
			header.Typeflag = tar.TypeDir
		}
		if err := w.WriteHeader(header); err != nil {
			return nil, err
		}
		if _, err := w.Write(file.content); err != nil {
			return nil, err
		}
	}
	return archive.Bytes(), w.Close()
}

// authorities are those of the Go project's bundle, Mozilla's, which comes by
// go.sum and not from the machine that builds.
func authorities() []byte {
	var out bytes.Buffer
	for root := range bundle.Roots() {
		_ = pem.Encode(&out, &pem.Block{Type: "CERTIFICATE", Bytes: root.Certificate})
	}
	return out.Bytes()
}

// write makes the layout anew: the index first, then what is attached.
func (b *build) write(command string, index v1.ImageIndex, attached []v1.Image) (v1.Hash, error) {
	dir := filepath.Join(b.out, command)
	if err := os.RemoveAll(dir); err != nil {
		return v1.Hash{}, err
	}
	path, err := layout.Write(dir, empty.Index)
	if err != nil {
		return v1.Hash{}, err
	}
	if err := path.AppendIndex(index, layout.WithAnnotations(map[string]string{"org.opencontainers.image.ref.name": b.version})); err != nil {
		return v1.Hash{}, err
	}
	for _, document := range attached {
		if err := path.AppendImage(document); err != nil {
			return v1.Hash{}, err
		}
	}
	return index.Digest()
}

// attach makes an artifact that names image as its subject.
func attach(image v1.Image, artifactType string, content []byte) (v1.Image, error) {
	subject, err := descriptor(image)
	if err != nil {
		return nil, err
	}
	document := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.MediaType(artifactType))
	document, err = mutate.AppendLayers(document, static.NewLayer(content, types.MediaType(artifactType)))
	if err != nil {
		return nil, err
	}
	return mutate.Subject(document, subject).(v1.Image), nil
}

func descriptor(image v1.Image) (v1.Descriptor, error) {
	digest, err := image.Digest()
	if err != nil {
		return v1.Descriptor{}, err
	}
	size, err := image.Size()
	return v1.Descriptor{MediaType: types.OCIManifestSchema1, Digest: digest, Size: size}, err
}

// push pushes a layout: the image of all platforms under its tags, and what is
// attached to it by digest.
func push(ctx context.Context, dir, ref, version string, plain bool) (v1.Hash, error) {
	var options []name.Option
	if plain {
		options = append(options, name.Insecure)
	}
	repo, err := name.NewRepository(ref, options...)
	if err != nil {
		return v1.Hash{}, err
	}
	index, attached, err := read(dir)
	if err != nil {
		return v1.Hash{}, err
	}
	with := []remote.Option{remote.WithContext(ctx), remote.WithAuthFromKeychain(authn.DefaultKeychain)}
	for _, tag := range tags(version) {
		if err := remote.WriteIndex(repo.Tag(tag), index, with...); err != nil {
			return v1.Hash{}, err
		}
	}
	for _, document := range attached {
		digest, err := document.Digest()
		if err != nil {
			return v1.Hash{}, err
		}
		if err := remote.Write(repo.Digest(digest.String()), document, with...); err != nil {
			return v1.Hash{}, err
		}
	}
	return index.Digest()
}

// read is what [build.write] wrote.
func read(dir string) (index v1.ImageIndex, attached []v1.Image, err error) {
	all, err := layout.ImageIndexFromPath(dir)
	if err != nil {
		return nil, nil, err
	}
	manifest, err := all.IndexManifest()
	if err != nil {
		return nil, nil, err
	}
	for _, d := range manifest.Manifests {
		if d.MediaType.IsIndex() {
			if index, err = all.ImageIndex(d.Digest); err != nil {
				return nil, nil, err
			}
			continue
		}
		document, err := all.Image(d.Digest)
		if err != nil {
			return nil, nil, err
		}
		attached = append(attached, document)
	}
	if index == nil {
		return nil, nil, fmt.Errorf("layout %s holds no image", dir)
	}
	return index, attached, nil
}

// tags are 1.2.3 and 1.2. A version before its release has but its own.
func tags(version string) []string {
	parts := strings.Split(version, ".")
	if len(parts) != 3 || strings.ContainsAny(version, "-+") {
		return []string{strings.ReplaceAll(version, "+", "_")}
	}
	return []string{version, strings.Join(parts[:2], ".")}
}
