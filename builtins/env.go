// SPDX-License-Identifier: Apache-2.0

package builtins

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"slices"
	"time"

	"github.com/chartseal/chartseal/builtins/chartref"
)

// An Env is all that a check may touch of the world.
type Env struct {
	Now    time.Time // the one moment that verdicts are about
	Source Source
	Trust  Trust
	Facts  Facts // what was found out before; may be nil
	Limits Limits
	Budget *Budget      // of the archives that a call reads; nil stands for a fresh one
	Log    *slog.Logger // for panics only; nil is silent

	// NamedTrust refuses trust material that stands in the options themselves:
	// where these come from the keys of a provider, only names are trusted.
	NamedTrust bool

	// Trace is called where a part of a check begins that is worth measuring,
	// and what it gives where that ends; nil measures nothing.
	Trace func(ctx context.Context, name string) (end func())

	call call // set by [Builtin.Call]
}

// Span begins a part of a check, which the function that it gives ends.
func (env *Env) Span(ctx context.Context, name string) (end func()) {
	if env.Trace == nil {
		return func() {}
	}
	return env.Trace(ctx, name)
}

// A Source gives bytes by reference. Every method honours the context and the
// limits, and fails with one of these codes: NotFound for an answered absence,
// SourceDenied, DigestMismatch, TooLarge, TooMany, NotAChart and MalformedIndex
// for what was decided, Denied, Unavailable and Timeout for what was not.
type Source interface {
	// Allowing is the same source, contacting only hosts in allow (names
	// without port). Nil allows every host that the configuration does.
	Allowing(allow []string) Source
	// Resolve finds the chart that ref names. A tag is resolved once, here.
	// What a registry holds in place of a chart is a [*NotChartError]; a
	// chart in a registry is a [Registered].
	Resolve(ctx context.Context, ref chartref.Ref) (Artifact, error)
	// Fetch reads a small file at a URL or local path, whole, at most limit bytes.
	Fetch(ctx context.Context, location string, limit int64) ([]byte, error)
}

// An Artifact is the chart that a reference led to. After [Source.Resolve]
// everything is about the same content: a moved tag or index changes nothing.
type Artifact interface {
	// Info says what is known before the archive is read.
	Info() ArtifactInfo
	// Open starts reading the archive. An absent one is NotFound here; bytes
	// that differ from the digest that names them end the reading with
	// DigestMismatch. A directory is NotAChart.
	Open(ctx context.Context) (io.ReadCloser, error)
	// Dir is the chart directory, opened beneath its root, for a directory.
	Dir() (fs.FS, bool)
	// Provenance reads the .prov that belongs to the archive: the file beside
	// it or the provenance layer. An absent one is NotFound.
	Provenance(ctx context.Context) ([]byte, error)
	// Beside reads the file that lies beside the archive under the archive's
	// name with suffix. An OCI chart has none: NotFound.
	Beside(ctx context.Context, suffix string, limit int64) ([]byte, error)
	// Config reads the OCI config blob, the registry's copy of the chart's
	// metadata; nil for a chart that is in no registry.
	Config(ctx context.Context) ([]byte, error)
	// Close ends what is still open.
	Close() error
}

// ArtifactInfo is what is known of an artifact before its archive is read.
type ArtifactInfo struct {
	Digest        string // the manifest's for an OCI chart, else ""
	ArchiveDigest string // that the bytes must have: OCI layer or index entry; "" if nothing names it
	FileName      string // base name as stored; "" in a registry or inline
	Directory     bool
	Repository    string // URL of the chart repository; "" if none is known
}

// Trust gives trust material by name. A name that is unknown fails with
// InvalidOptions: the policy's author chose it.
type Trust interface {
	Keyring(name string) (Material, error)
	PublicKey(name string) (Material, error)
	TrustedRoot(name string) (Material, error)
}

// Material is trust material as its owner wrote it.
type Material struct {
	Name   string // in the trust store; "" if inline
	Raw    []byte
	Digest string // sha256:<hex> of Raw
}

// Inline is material that stands in the options themselves. It is refused
// where only named trust is permitted.
func (env *Env) Inline(raw []byte) (Material, error) {
	if env.NamedTrust {
		return Material{}, errors.New("trust stands in the options themselves, and here it is given by name only: put it into the trust directory")
	}
	return InlineMaterial(raw), nil
}

// InlineMaterial is material without a name, from the options or fetched.
func InlineMaterial(raw []byte) Material { return Material{Raw: raw, Digest: SHA256(raw)} }

// SHA256 is the digest of b as it is written everywhere: sha256:<hex>.
func SHA256(b []byte) string {
	sum := sha256.Sum256(b)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// TrustDigest is one digest for all the material that a verdict rests on, in
// whatever order it was named.
func TrustDigest(materials ...Material) string {
	var digests []string
	for _, m := range materials {
		digests = append(digests, m.Digest)
	}
	slices.Sort(digests)
	h := sha256.New()
	for _, d := range slices.Compact(digests) {
		io.WriteString(h, d+"\n")
	}
	return "sha256:" + hex.EncodeToString(h.Sum(nil))
}
