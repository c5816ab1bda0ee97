// SPDX-License-Identifier: Apache-2.0

package helm

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"strings"

	"golang.org/x/sync/semaphore"
	"helm.sh/helm/v3/pkg/chart"

	"github.com/chartseal/chartseal/builtins"
	"github.com/chartseal/chartseal/builtins/archive"
	"github.com/chartseal/chartseal/builtins/chartref"
)

// VerifyProv is the check helm.verify_prov.
var VerifyProv = builtins.Define("helm.verify_prov", doc, builtins.Signatures{}, verifyProv)

const doc = `Verifies the provenance file (.prov) of a Helm chart.

The chart is verified if trusted PGP keys signed a provenance file that binds
all of: the bytes of the archive, its metadata, its file name, and the name and
version that were asked for. The provenance file is the one beside the archive,
or in the same OCI manifest. Whatever is missing, ambiguous or differs rejects
the chart; what could not be fetched leaves it undecided.`

// VerifyProvOptions are the options of helm.verify_prov.
type VerifyProvOptions struct {
	Keyrings          []string           `json:"keyrings" doc:"Names of keyrings whose keys may have signed. With keyring, both count."`
	Keyring           *string            `json:"keyring" doc:"An inline keyring: armored, or in base64 if it is binary or a keybox."`
	Revoked           *string            `json:"revoked" doc:"An inline keyring of keys that are never accepted, as primary key or as subkey."`
	RevokedKeyrings   []string           `json:"revoked_keyrings" doc:"Names of keyrings of keys that are never accepted."`
	RepositoryKeyring *RepositoryKeyring `json:"repository_keyring" doc:"Use only the keys that the chart's repository publishes and a root key has signed. Excludes keyrings and keyring."`
	Signers           []string           `json:"signers" doc:"Full fingerprints of primary keys. If given, only these may have signed; a subkey counts as its primary key."`
	Threshold         *int               `json:"threshold" doc:"How many different primary keys must have signed. Default 1."`
	KeyTime           string             `json:"key_time" doc:"now (default): a key must be valid now and when it signed. signing: when it signed, which is its holder's word."`
	Provenance        *string            `json:"provenance" doc:"Path or URL of the provenance file, or its text, if it is not beside the archive."`
	Chart             builtins.Expected  `json:"chart" doc:"Name and version that the chart must have, in place of those that the reference asks for."`
}

// RepositoryKeyring is the option repository_keyring.
type RepositoryKeyring struct {
	RootKeyrings []string `json:"root_keyrings" doc:"Names of keyrings whose keys may have signed the repository's keyring."`
	RootKeyring  *string  `json:"root_keyring" doc:"An inline keyring whose keys may have signed it."`
	URL          string   `json:"url" doc:"Where the keyring is; its detached signature is there too, with .sig. Default pubkeys.pgp beside index.yaml."`
}

func verifyProv(env *builtins.Env, opts VerifyProvOptions) (builtins.Judge, error) {
	p, err := opts.plan(env)
	if err != nil {
		return nil, err
	}
	return p.judge, nil
}

// judge fetches chart and provenance, looks up the keys, and verifies.
func (p *plan) judge(ctx context.Context, ref chartref.Ref, rep *builtins.Report) error {
	rep.Trust = p.trustDigest()
	artifact, err := p.env.Source.Resolve(ctx, ref)
	if err != nil {
		return err
	}
	defer artifact.Close()
	rep.Digest = artifact.Info().Digest
	subject, prov, err := p.fetch(ctx, artifact, rep)
	if err != nil {
		return err
	}
	subject.Name, subject.Version = p.chart.Of(ref)
	trust, err := p.trustFor(ctx, artifact, rep)
	if err != nil {
		return err
	}
	claim, err := p.parse(prov)
	if rep.Step("provenance file", err) != nil {
		return err
	}
	defer p.env.Span(ctx, "crypto.verify")()
	_, err = claim.verify(subject, trust, p.env.Now, rep)
	return err
}

// fetch gets the provenance, then the archive, one after the other: who held
// one connection while waiting for the next could wait for himself.
func (p *plan) fetch(ctx context.Context, artifact builtins.Artifact, rep *builtins.Report) (s Subject, prov []byte, err error) {
	info := artifact.Info()
	inline := info == builtins.ArtifactInfo{}
	switch {
	case info.Directory:
		return s, nil, builtins.Errorf(builtins.NoProvenance, "a chart directory has no provenance; package it")
	case inline && p.provenance == "":
		return s, nil, builtins.Errorf(builtins.NoProvenance, "an inline archive has nothing beside it: give its provenance by the option provenance")
	}
	s.FileName = info.FileName
	if prov, err = p.provenanceOf(ctx, artifact); err != nil {
		return s, nil, rep.Step("provenance file", err)
	}
	fact, known := p.known(info)
	if !known {
		if fact, err = p.readArchive(ctx, artifact); err != nil {
			return s, nil, rep.Step("archive", err)
		}
	}
	s.Digest, s.Metadata, s.unreadable = fact.digest, fact.metadata, fact.unreadable
	config, err := artifact.Config(ctx)
	if err != nil {
		return s, nil, rep.Step("registry config", err)
	}
	if config != nil {
		s.Config, s.badConfig = p.parseConfig(config)
	}
	describe(rep, s)
	return s, prov, nil
}

func (p *plan) readArchive(ctx context.Context, artifact builtins.Artifact) (chartFact, error) {
	body, err := artifact.Open(ctx)
	if err != nil {
		return chartFact{}, err
	}
	defer body.Close()
	return p.read(ctx, body)
}

func describe(rep *builtins.Report, s Subject) {
	rep.Chart.Digest = s.Digest
	if rep.Digest == "" {
		rep.Digest = s.Digest
	}
	if s.Metadata != nil {
		rep.Chart.Name, rep.Chart.Version = builtins.Clip(s.Metadata.Name), builtins.Clip(s.Metadata.Version)
	}
}

// provenanceOf reads the provenance. Only a chart that is there is reported as
// unsigned.
func (p *plan) provenanceOf(ctx context.Context, artifact builtins.Artifact) (prov []byte, err error) {
	switch where := p.provenance; {
	case where == "":
		prov, err = artifact.Provenance(ctx)
	case strings.HasPrefix(where, beginMessage):
		return []byte(where), nil
	default:
		prov, err = p.env.Source.Fetch(ctx, where, p.env.Limits.Provenance)
	}
	if builtins.CodeOf(err) != builtins.NotFound {
		return prov, err
	}
	body, missing := artifact.Open(ctx)
	if missing != nil {
		return nil, missing
	}
	body.Close()
	return nil, builtins.Errorf(builtins.NoProvenance, "%w", err)
}

// parse is [ParseProvenance], once for the same text.
func (p *plan) parse(prov []byte) (*Unverified, error) {
	return builtins.Remember(p.env, "helm/provenance", builtins.SHA256(prov), builtins.Weigh, func() (*Unverified, error) {
		return ParseProvenance(prov, p.env.Limits)
	})
}

// parseConfig reads the JSON of a registry config as Helm's loader would read
// the same as YAML. It is written anew first: what JSON may escape, as half of
// a surrogate pair, YAML may not.
func (p *plan) parseConfig(config []byte) (*chart.Metadata, error) {
	return builtins.Remember(p.env, "helm/config", builtins.SHA256(config), builtins.Weigh, func() (*chart.Metadata, error) {
		var values map[string]any
		if err := builtins.DecodeStrictAs("values", config, &values); err != nil {
			return nil, err
		}
		plain, err := json.Marshal(values)
		if err != nil {
			return nil, err
		}
		return archive.ParseMetadata(plain)
	})
}

// chartFact is what has to be known of an archive.
type chartFact struct {
	digest     string
	metadata   *chart.Metadata
	unreadable error // why there are no metadata
}

// known is the chart that an OCI manifest names, if it was read before. For an
// archive behind a URL a digest proves nothing about what the URL serves now.
func (p *plan) known(info builtins.ArtifactInfo) (chartFact, bool) {
	if info.Digest == "" || info.ArchiveDigest == "" || p.env.Facts == nil {
		return chartFact{}, false
	}
	fact, ok := p.env.Facts.Load(chartKind, info.ArchiveDigest)
	if !ok {
		return chartFact{}, false
	}
	return fact.(chartFact), true
}

const (
	chartKind = "helm/chart"
	// smallArchive is how much of an archive is held, to hash it before it is
	// unpacked. Hardly any chart is larger.
	smallArchive = 8 << 20
	// tinyArchive is how much of any number of archives is held.
	tinyArchive = 1 << 20
)

// held bounds how many small archives that are not tiny are held at once. One
// more is unpacked as it comes, known or not: that takes time, not memory.
var held = semaphore.NewWeighted(16)

// hold reads what may be held of an archive; whole says whether that is all of
// it, and release that it is held no more.
func hold(body io.Reader, room int64) (head []byte, whole bool, release func(), err error) {
	release = func() {}
	tiny := min(tinyArchive, room)
	head, err = io.ReadAll(io.LimitReader(body, tiny+1))
	if err != nil || int64(len(head)) <= tiny {
		return head, err == nil, release, err
	}
	if room == tiny || !held.TryAcquire(1) {
		return head, false, release, nil
	}
	release = func() { held.Release(1) }
	rest, err := io.ReadAll(io.LimitReader(body, room-tiny))
	head = append(head, rest...)
	return head, int64(len(head)) <= room, release, err
}

// read reads an archive to its end. A small one that was read before is only hashed.
func (p *plan) read(ctx context.Context, body io.Reader) (chartFact, error) {
	if p.env.Facts == nil {
		return p.unpack(ctx, body)
	}
	head, whole, release, err := hold(body, min(smallArchive, p.env.Budget.Fetchable()))
	defer release()
	if err != nil {
		return chartFact{}, err
	}
	if !whole {
		return p.learn(ctx, io.MultiReader(bytes.NewReader(head), body))
	}
	if fact, ok := p.env.Facts.Load(chartKind, builtins.SHA256(head)); ok {
		return fact.(chartFact), p.env.Budget.Fetch(len(head))
	}
	return p.learn(ctx, bytes.NewReader(head))
}

// learn remembers what it unpacks, unless a limit ended that: the next one who
// asks may have a larger budget left.
func (p *plan) learn(ctx context.Context, body io.Reader) (chartFact, error) {
	fact, err := p.unpack(ctx, body)
	if err == nil && !builtins.Exceeds(fact.unreadable) {
		p.env.Facts.Store(chartKind, fact.digest, fact, builtins.Weigh(fact))
	}
	return fact, err
}

// unpack keeps apart what was read and is no good chart: whether those are the
// signed bytes comes first.
func (p *plan) unpack(ctx context.Context, body io.Reader) (chartFact, error) {
	c, err := archive.Read(ctx, body, p.env.Budget)
	if refused := (*archive.Refused)(nil); errors.As(err, &refused) {
		return chartFact{digest: refused.Digest, unreadable: refused}, nil
	}
	if err != nil {
		return chartFact{}, err
	}
	return chartFact{digest: c.Digest, metadata: c.Metadata}, nil
}
