// SPDX-License-Identifier: Apache-2.0

// Package archive reads chart archives and chart directories: strictly, so
// that no two readers can see two charts in one archive; within limits that
// everything nested in an archive shares; and in one pass, so that memory does
// not grow with the archive.
//
// It is pure: bytes or a file system in, facts out. It refuses charts that
// Helm would load, when they are ambiguous or too much; of those it accepts,
// Helm reads the same metadata.
package archive

import (
	"context"
	"fmt"
	"io"
	"io/fs"

	"helm.sh/helm/v3/pkg/chart"

	"github.com/chartseal/chartseal/builtins"
)

// A Chart is what was read of a chart and of the charts in its charts/.
type Chart struct {
	Digest string // sha256:<hex> of the archive; "" for a directory
	Size   int64  // bytes of the archive; 0 for a directory

	// Metadata is what Helm makes of the chart: validated, with strings
	// sanitised, for apiVersion v1 with the dependencies of requirements.yaml.
	Metadata *chart.Metadata

	// Raw has those of the chart's own files that this project looks into, as
	// they stand: Chart.yaml, Chart.lock, requirements.yaml,
	// requirements.lock, chartseal.lock and .helmignore.
	Raw map[string][]byte

	// Ignored is what a directory's .helmignore hides from Helm. Outside of
	// charts/ nothing of it is here but a chartseal.lock, which is not Helm's.
	Ignored *Ignored

	// Files are the chart's own files, without those of its subcharts, sorted
	// by path. Nil unless contents were asked for.
	Files []File

	// Subcharts are the charts in charts/ that Helm would load, sorted by path.
	Subcharts []Subchart
}

// A File is a file of a chart.
type File struct {
	Path   string // from the chart's root, with slashes
	Digest string // sha256:<hex>, without a byte order mark: Helm drops one
	Size   int64
}

// A Subchart is a chart that lies in the charts/ of another. If it is an
// archive, Chart has the archive's size and, where contents were asked for,
// its digest.
type Subchart struct {
	Path string // from the outer chart's root: charts/db or charts/db-1.0.0.tgz
	*Chart

	// Refused says why an archive is no acceptable chart; then Chart has its
	// digest and size and no more. Only [ReadVendored] and [ReadDirVendored]
	// give such a one.
	Refused error
}

// Refused is the error for an archive whose bytes all arrived and whose
// content is not acceptable. It unwraps to the error with the code. The digest
// tells bytes that nobody signed from signed bytes that are no good chart.
type Refused struct {
	Digest string
	Size   int64
	Err    error
}

func (r *Refused) Error() string { return r.Err.Error() }

// Unwrap gives the reason.
func (r *Refused) Unwrap() error { return r.Err }

// Read reads a gzipped chart archive to its end, and draws all that it reads
// from budget.
//
// An error of r itself, a cancelled context, and an archive that is larger than
// what may be fetched (TooLarge) come first. Anything wrong with the content is a
// [*Refused]:
//
//   - AmbiguousArchive: paths that are there twice, also if only case or
//     Unicode normalisation differ; a second root; paths that are not plain
//     relative ones; links, devices, sparse files; bytes after the end.
//   - NotAChart: no gzipped tar, or one that is damaged or cut; no Chart.yaml
//     in the chart or in something in charts/.
//   - MalformedChart: what [ParseMetadata] refuses; requirements.yaml or
//     requirements.lock where apiVersion is not v1.
//   - TooLarge, TooMany: a limit is exceeded, or what was left of the budget.
func Read(ctx context.Context, r io.Reader, budget *builtins.Budget) (*Chart, error) {
	return readArchive(ctx, r, budget, metadataOnly)
}

// ReadContents is [Read] that also takes the digest of every file and of every
// archive in charts/, which costs about as much again.
func ReadContents(ctx context.Context, r io.Reader, budget *builtins.Budget) (*Chart, error) {
	return readArchive(ctx, r, budget, withContents)
}

// ReadVendored is [ReadContents] that goes on after an archive in charts/ whose
// content is not acceptable: what its bytes are can still be told, and whether
// they are the right ones. A limit exceeded ends it nevertheless.
func ReadVendored(ctx context.Context, r io.Reader, budget *builtins.Budget) (*Chart, error) {
	return readArchive(ctx, r, budget, vendored)
}

// ReadDir reads the chart directory that is the root of fsys, by the same
// rules. Links are refused, not followed; nothing but regular files is opened.
// What .helmignore hides is not there, as it is not for Helm, and costs nothing;
// in charts/ it is kept, for the caller to tell, but for Helm's locks and a
// requirements.yaml.
// The limits on unpacked bytes hold for the files read. An error of fsys is
// Unavailable.
func ReadDir(ctx context.Context, fsys fs.FS, budget *builtins.Budget) (*Chart, error) {
	return readDirectory(ctx, fsys, budget, metadataOnly)
}

// ReadDirContents is [ReadDir] that also takes the digest of every file and of
// every archive in charts/.
func ReadDirContents(ctx context.Context, fsys fs.FS, budget *builtins.Budget) (*Chart, error) {
	return readDirectory(ctx, fsys, budget, withContents)
}

// ReadDirVendored is to [ReadDirContents] what [ReadVendored] is to [ReadContents].
func ReadDirVendored(ctx context.Context, fsys fs.FS, budget *builtins.Budget) (*Chart, error) {
	return readDirectory(ctx, fsys, budget, vendored)
}

// An extent says how much of a chart is wanted.
type extent int

const (
	metadataOnly extent = iota
	withContents        // digests, too
	vendored            // and those of archives in charts/ that are no charts
)

func readArchive(ctx context.Context, r io.Reader, budget *builtins.Budget, wanted extent) (*Chart, error) {
	in := newStream(ctx, r, budget, true)
	defer in.close()
	c, err := newWalk(ctx, budget, wanted).archive(in, 0)
	// What is left matters only for the digest, and for an error of r: then
	// the content's fault may only be a consequence.
	if err := in.drain(); err != nil {
		return nil, err
	}
	digest, size := in.digest(), in.size
	if late(err) {
		return nil, err
	}
	if err != nil {
		return nil, &Refused{Digest: digest, Size: size, Err: err}
	}
	c.Digest, c.Size = digest, size
	return c, nil
}

func tooLarge(what string, limit int64) error {
	return builtins.Errorf(builtins.TooLarge, "%s exceeds the limit of %d bytes", what, limit)
}

func tooMany(what string, limit int64) error {
	return builtins.Errorf(builtins.TooMany, "%s exceeds the limit of %d", what, limit)
}

func ambiguous(format string, args ...any) error {
	return builtins.Errorf(builtins.AmbiguousArchive, format, args...)
}

func notAChart(format string, args ...any) error {
	return builtins.Errorf(builtins.NotAChart, format, args...)
}

// quoted is a foreign path as it may stand in a reason.
func quoted(path string) string { return fmt.Sprintf("%q", builtins.Clip(path)) }
