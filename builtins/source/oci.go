// SPDX-License-Identifier: Apache-2.0

package source

import (
	"context"
	"io"
	"io/fs"

	"github.com/chartseal/chartseal/builtins"
	"github.com/chartseal/chartseal/builtins/chartref"
)

// resolveOCI reads the one manifest that everything after is about. A tag and
// a digest must lead to the same one; then what the tag gave already is what
// the digest names.
func (c *Client) resolveOCI(ctx context.Context, ref chartref.Ref) (builtins.Artifact, error) {
	repo, err := c.repository(ctx, ref.Host, ref.OCIPath)
	if err != nil {
		return nil, err
	}
	chart, err := repo.chartOf(ctx, ref)
	if err != nil {
		return nil, err
	}
	return chart.unlessNone()
}

// chartOf is what a reference into the repository leads to, be it a chart or not.
func (r *repository) chartOf(ctx context.Context, ref chartref.Ref) (*ociChart, error) {
	m, err := r.resolve(ctx, ref)
	if err != nil {
		return nil, err
	}
	if ref.Digest != "" && ref.Digest != m.digest {
		return nil, builtins.Errorf(builtins.DigestMismatch, "tag %s is %s, the reference says %s", ref.Tag, m.digest, ref.Digest)
	}
	chart, err := r.chart(m)
	if err != nil {
		return &ociChart{repo: r, digest: m.digest, notChart: err}, nil
	}
	r.keep(m)
	if limit := r.client.config.Limits.Archive; chart.chart.Size > limit {
		return nil, builtins.Errorf(builtins.TooLarge, "the chart has %d bytes, at most %d are read", chart.chart.Size, limit)
	}
	return &ociChart{repo: r, digest: m.digest, chart: chart}, nil
}

// unlessNone is the chart, or the error that it is none.
func (a *ociChart) unlessNone() (builtins.Artifact, error) {
	if a.notChart != nil {
		return nil, &builtins.NotChartError{Artifact: a, Err: a.notChart}
	}
	return a, nil
}

func (r *repository) resolve(ctx context.Context, ref chartref.Ref) (manifest, error) {
	if ref.Tag == "" {
		return r.named(ctx, ref.Digest, r.client.config.Limits.Manifest)
	}
	m, _, err := r.tagged(ctx, ref.Tag)
	return m, err
}

// An ociChart is a chart in a registry, or what is there in place of one.
type ociChart struct {
	repo     *repository
	digest   string
	chart    chartManifest
	notChart error
	looked   *places // for its signatures, if that is done already
}

var _ builtins.Registered = (*ociChart)(nil)

func (a *ociChart) limits() builtins.Limits { return a.repo.client.config.Limits }

func (a *ociChart) Info() builtins.ArtifactInfo {
	return builtins.ArtifactInfo{Digest: a.digest, ArchiveDigest: a.chart.chart.Digest}
}

func (a *ociChart) Open(ctx context.Context) (io.ReadCloser, error) {
	if a.notChart != nil {
		return nil, a.notChart
	}
	return a.repo.blob(ctx, a.chart.chart, a.limits().Archive)
}

func (a *ociChart) Dir() (fs.FS, bool) { return nil, false }

func (a *ociChart) Provenance(ctx context.Context) ([]byte, error) {
	if a.chart.provenance == nil {
		return nil, builtins.Errorf(builtins.NotFound, "manifest %s has no provenance layer", a.digest)
	}
	return a.repo.small(ctx, *a.chart.provenance, a.limits().Provenance)
}

func (a *ociChart) Beside(context.Context, string, int64) ([]byte, error) {
	return nil, builtins.Errorf(builtins.NotFound, "nothing lies beside a chart in a registry")
}

func (a *ociChart) Config(ctx context.Context) ([]byte, error) {
	if a.notChart != nil {
		return nil, a.notChart
	}
	return a.repo.small(ctx, a.chart.config, a.limits().Metadata)
}

func (a *ociChart) Close() error { return nil }
