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
	m, err := repo.resolve(ctx, ref)
	if err != nil {
		return nil, err
	}
	if ref.Digest != "" && ref.Digest != m.digest {
		return nil, builtins.Errorf(builtins.DigestMismatch, "tag %s is %s, the reference says %s", ref.Tag, m.digest, ref.Digest)
	}
	chart, err := repo.chart(m)
	if err != nil {
		return nil, &builtins.NotChartError{Artifact: &ociChart{repo: repo, digest: m.digest, notChart: err}, Err: err}
	}
	repo.keep(m)
	if limit := c.config.Limits.Archive; chart.chart.Size > limit {
		return nil, builtins.Errorf(builtins.TooLarge, "the chart has %d bytes, at most %d are read", chart.chart.Size, limit)
	}
	return &ociChart{repo: repo, digest: m.digest, chart: chart}, nil
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
