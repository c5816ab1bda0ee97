// SPDX-License-Identifier: Apache-2.0

package source

import (
	"bytes"
	"context"
	"io"
	"io/fs"
	"path"
	"strings"

	"github.com/chartseal/chartseal/builtins"
	"github.com/chartseal/chartseal/builtins/chartref"
)

// A Map is a source in memory, for tests. Its keys are references in their
// canonical form, and the URLs and paths of files:
//
//	source.Map{
//		"web-1.2.3.tgz":      {Data: archive},
//		"web-1.2.3.tgz.prov": {Data: prov},
//		"oci://reg.example.com/charts/web:1.2.3": {Data: archive, Prov: prov, Digest: digest, Config: config},
//		"https://charts.example.com#web@1.2.3":   {Data: archive, Prov: prov, FileName: "web-1.2.3.tgz", Repository: "https://charts.example.com"},
//		"https://charts.example.com/pubkeys.pgp": {Data: keys},
//		"https://down.example.com/web-1.2.3.tgz": {Err: builtins.Errorf(builtins.Unavailable, "down")},
//	}
//
// What it does not have is NotFound. [builtins.DefaultLimits] hold.
type Map map[string]MapFile

var _ builtins.Source = Map(nil)

// A MapFile is what a reference leads to, or a file.
type MapFile struct {
	Data   []byte
	Prov   []byte // else the file whose key ends in .prov
	Dir    fs.FS  // for a chart directory
	Digest string // of the manifest, for an OCI chart
	Config []byte // for an OCI chart

	ArchiveDigest string // that Data is held against; for an OCI chart, by default Data's own
	FileName      string // by default the last element of the key, unless there is a Digest
	Repository    string

	Err error // of Resolve and Fetch
}

// Allowing is m: nothing is contacted.
func (m Map) Allowing([]string) builtins.Source { return m }

// Resolve finds the file whose key is ref's canonical form.
func (m Map) Resolve(ctx context.Context, ref chartref.Ref) (builtins.Artifact, error) {
	if err := ref.Err(); err != nil {
		return nil, builtins.Errorf(builtins.InvalidReference, "%w", err)
	}
	file, err := m.lookup(ctx, ref.String())
	if err != nil {
		return nil, err
	}
	return &mapArtifact{files: m, key: ref.String(), MapFile: file}, nil
}

// Fetch reads the file at location.
func (m Map) Fetch(ctx context.Context, location string, limit int64) ([]byte, error) {
	file, err := m.lookup(ctx, location)
	if err != nil {
		return nil, err
	}
	return readAll(atMost(bytes.NewReader(file.Data), limit, location))
}

func (m Map) lookup(ctx context.Context, key string) (MapFile, error) {
	if ctx.Err() != nil {
		return MapFile{}, builtins.Errorf(builtins.Timeout, "looking up %s: %w", key, ctx.Err())
	}
	file, ok := m[key]
	if !ok {
		return MapFile{}, builtins.Errorf(builtins.NotFound, "there is no %q", builtins.Clip(key))
	}
	return file, file.Err
}

type mapArtifact struct {
	MapFile
	files Map
	key   string
}

func (a *mapArtifact) Info() builtins.ArtifactInfo {
	info := builtins.ArtifactInfo{
		Digest: a.Digest, ArchiveDigest: a.ArchiveDigest, FileName: a.FileName,
		Directory: a.MapFile.Dir != nil, Repository: a.Repository,
	}
	if a.Digest != "" && info.ArchiveDigest == "" {
		info.ArchiveDigest = builtins.SHA256(a.Data)
	}
	if a.Digest == "" && info.FileName == "" && !strings.HasPrefix(a.key, "inline:") {
		info.FileName = path.Base(a.key)
	}
	return info
}

func (a *mapArtifact) Open(context.Context) (io.ReadCloser, error) {
	if a.MapFile.Dir != nil {
		return nil, builtins.Errorf(builtins.NotAChart, "%q is a directory, not an archive", builtins.Clip(a.key))
	}
	limit := builtins.DefaultLimits().Archive
	named := pin{digest: a.Info().ArchiveDigest, by: "the map"}
	return newHashed(atMost(bytes.NewReader(a.Data), limit, a.key), io.NopCloser(nil), named.judge), nil
}

func (a *mapArtifact) Dir() (fs.FS, bool) { return a.MapFile.Dir, a.MapFile.Dir != nil }

func (a *mapArtifact) Provenance(ctx context.Context) ([]byte, error) {
	limit := builtins.DefaultLimits().Provenance
	if a.Prov == nil {
		return a.Beside(ctx, ".prov", limit)
	}
	return readAll(atMost(bytes.NewReader(a.Prov), limit, a.key+".prov"))
}

func (a *mapArtifact) Beside(ctx context.Context, suffix string, limit int64) ([]byte, error) {
	if a.Digest != "" || a.MapFile.Dir != nil {
		return nil, builtins.Errorf(builtins.NotFound, "nothing lies beside %q", builtins.Clip(a.key))
	}
	return a.files.Fetch(ctx, a.key+suffix, limit)
}

func (a *mapArtifact) Config(context.Context) ([]byte, error) { return a.MapFile.Config, nil }

func (a *mapArtifact) Close() error { return nil }
