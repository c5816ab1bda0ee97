// SPDX-License-Identifier: Apache-2.0

package cosign

import (
	"bytes"
	"context"
	"crypto"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/chartseal/chartseal/builtins"
	"github.com/chartseal/chartseal/builtins/archive"
	"github.com/chartseal/chartseal/builtins/chartref"
)

// Verify is the check cosign.verify.
var Verify = builtins.Define("cosign.verify", doc, builtins.Signatures{}, verifyCheck)

const doc = `Verifies the sigstore signatures of a Helm chart, as cosign makes them.

The chart is verified if trusted keys or identities signed the digest of its
manifest in a registry or, for an archive that is in none, the archive itself.
Bundles attached to the manifest, bundles beside an archive and cosign's older
.sig images count alike. Signatures by others, and those that do not verify, do
no harm beside good ones. Nothing but the chart's own registry is contacted.`

// VerifyOptions are the options of cosign.verify.
type VerifyOptions struct {
	PublicKeys          []string          `json:"public_keys" doc:"Names of public keys that may have signed. With public_key, all count."`
	PublicKey           *string           `json:"public_key" doc:"An inline public key, as PEM: ECDSA on P-256, P-384 or P-521, Ed25519, or RSA of at least 2048 bits."`
	Identities          []Identity        `json:"identities" doc:"Who may have signed without a key of their own. Any one suffices. Excludes keys."`
	TrustedRoot         *string           `json:"trusted_root" doc:"Name of a trusted root, or inline the text of a trusted_root.json. Identities, logs and timestamps need one."`
	TransparencyLog     string            `json:"transparency_log" doc:"required (default with identities): a log must prove that it has the signature. if_present: entries that are there must hold. skip (default with keys)."`
	Timestamp           string            `json:"timestamp" doc:"required: a timestamp authority must prove the time. if_present (default): timestamps that are there must hold. Identities need a time in any case, from a log or from here."`
	PredicateType       string            `json:"predicate_type" doc:"A statement is a signature only with this predicate type. Default https://sigstore.dev/cosign/sign/v1."`
	SCT                 string            `json:"sct" doc:"required (default with identities): the certificate must prove that it is in a certificate log. skip."`
	Annotations         map[string]string `json:"annotations" doc:"Annotations that must be in what was signed."`
	MatchReference      bool              `json:"match_reference" doc:"Whether the signed reference must be the repository that was asked for. Default false, so that copies in mirrors verify. Bundles sign no reference."`
	DigestAlgorithm     string            `json:"digest_algorithm" doc:"sha256, sha384 or sha512: the hash of the signature, in place of the one that goes with the key."`
	SignatureRepository *string           `json:"signature_repository" doc:"Repository (oci://host/path) that holds the signatures, if it is not the chart's own."`
	Bundle              *string           `json:"bundle" doc:"Path or URL of the bundle of an archive that is in no registry, or its text. Default beside the archive, with .sigstore.json."`
	Threshold           *int              `json:"threshold" doc:"How many different keys or identities must have signed. Default 1."`
	Chart               builtins.Expected `json:"chart" doc:"Name and version that the chart must have, in place of those that the reference asks for."`
}

func verifyCheck(env *builtins.Env, opts VerifyOptions) (builtins.Judge, error) {
	p, err := opts.plan(env)
	if err != nil {
		return nil, err
	}
	return p.judge, nil
}

// judge finds the chart and its signatures, verifies them, and holds the chart
// against what was asked for.
func (p *plan) judge(ctx context.Context, ref chartref.Ref, rep *builtins.Report) error {
	rep.Trust = p.trust
	artifact, err := p.resolve(ctx, ref)
	if err != nil {
		return err
	}
	defer artifact.Close()
	p.announce(rep)
	if registered, ok := artifact.(builtins.Registered); ok {
		return p.judgeRegistered(ctx, registered, ref, rep)
	}
	return p.judgeArchive(ctx, artifact, ref, rep)
}

// resolve gives also what a registry holds that is no chart: whoever signed it
// belongs into the report.
func (p *plan) resolve(ctx context.Context, ref chartref.Ref) (builtins.Artifact, error) {
	resolve := p.env.Source.Resolve
	if p.elsewhere.Host == "" {
		resolve = func(ctx context.Context, ref chartref.Ref) (builtins.Artifact, error) {
			return builtins.ResolveSigned(ctx, p.env.Source, ref)
		}
	}
	artifact, err := resolve(ctx, ref)
	var other *builtins.NotChartError
	if errors.As(err, &other) {
		return other.Artifact, nil
	}
	return artifact, err
}

// announce makes visible what is not looked at.
func (p *plan) announce(rep *builtins.Report) {
	if p.policy.log == skip {
		rep.Skip("transparency log", "transparency_log is skip, the default with keys")
	}
	if p.policy.keyless() && !p.policy.sct {
		rep.Skip("certificate log", "sct is skip")
	}
}

func (p *plan) judgeRegistered(ctx context.Context, artifact builtins.Registered, ref chartref.Ref, rep *builtins.Report) error {
	if p.bundle != "" {
		rep.Skip("bundle", "a chart in a registry has its signatures there")
	}
	info := artifact.Info()
	rep.Digest, rep.Chart.Digest = info.Digest, info.ArchiveDigest
	return p.env.Once(ctx, ref, rep, func(ctx context.Context) (time.Duration, error) {
		found := artifact.Signed(ctx, p.elsewhere)
		return found.Fresh, p.judgeSigned(ctx, found, ref, rep)
	})
}

func (p *plan) judgeSigned(ctx context.Context, found builtins.Signed, ref chartref.Ref, rep *builtins.Report) error {
	rep.Chart.Name, rep.Chart.Version = builtins.Clip(found.Name), builtins.Clip(found.Version)
	votes := newBallot(rep)
	subject := Subject{Digest: rep.Digest, Repository: repositoryOf(ref)}
	for _, place := range found.Places {
		votes.fail(place)
		for _, stored := range place.Signatures {
			if err := ctx.Err(); err != nil {
				return builtins.Errorf(builtins.Timeout, "judging signatures: %w", err)
			}
			votes.add(stored.Digest, func() (builtins.Signer, error) { return p.verifyStored(ctx, stored, subject) })
		}
	}
	if err := votes.decide(p.threshold); err != nil {
		return rep.Step("signatures", err)
	}
	rep.Pass("signatures", votes.summary())
	if err := rep.Step("chart", found.Unnamed); err != nil {
		return err
	}
	return rep.Step("requested chart", p.checkChart(ref, found.Name, found.Version))
}

func repositoryOf(ref chartref.Ref) string {
	oci, _ := ref.OCIRef()
	return oci.Host + "/" + oci.OCIPath
}

func (p *plan) verifyStored(ctx context.Context, stored builtins.StoredSignature, subject Subject) (builtins.Signer, error) {
	if stored.Err != nil {
		return builtins.Signer{}, stored.Err
	}
	defer p.env.Span(ctx, "crypto.verify")()
	if stored.Bundle != nil {
		return p.policy.VerifyBundle(stored.Bundle, subject)
	}
	return p.policy.VerifySimpleSigning(ctx, stored.Payload, stored.Annotations, subject)
}

func (p *plan) judgeArchive(ctx context.Context, artifact builtins.Artifact, ref chartref.Ref, rep *builtins.Report) error {
	if p.elsewhere.Host != "" {
		rep.Skip("signature_repository", "an archive has its bundle beside it")
	}
	if artifact.Info().Directory {
		return builtins.Errorf(builtins.NoSignature, "a chart directory has no signature; package it")
	}
	a, bundle, err := p.fetch(ctx, artifact)
	if err != nil {
		return rep.Step("signatures", err)
	}
	rep.Digest, rep.Chart.Digest = a.digest, a.digest
	rep.Chart.Name, rep.Chart.Version = builtins.Clip(a.name), builtins.Clip(a.version)

	votes := newBallot(rep)
	votes.add(builtins.SHA256(bundle), func() (builtins.Signer, error) {
		defer p.env.Span(ctx, "crypto.verify")()
		return p.policy.VerifyBundle(bundle, a.subject())
	})
	if err := votes.decide(p.threshold); err != nil {
		return rep.Step("signatures", err)
	}
	rep.Pass("signatures", votes.summary())
	if err := rep.Step("chart", a.unreadable); err != nil {
		return err
	}
	return rep.Step("requested chart", p.checkChart(ref, a.name, a.version))
}

// checkChart binds what was asked for: otherwise a validly signed 1.0.0 serves
// as 2.0.0.
func (p *plan) checkChart(ref chartref.Ref, name, version string) error {
	wantName, wantVersion := p.chart.Of(ref)
	if wantName != "" && name != wantName {
		return builtins.Errorf(builtins.NameMismatch, "signed chart is %q, asked for is %q", builtins.Clip(name), builtins.Clip(wantName))
	}
	if wantVersion != "" && !chartref.SameVersion(version, wantVersion) {
		return builtins.Errorf(builtins.VersionMismatch, "signed chart has version %q, asked for is %q", builtins.Clip(version), builtins.Clip(wantVersion))
	}
	return nil
}

// A signedArchive is an archive that is in no registry.
type signedArchive struct {
	digest        string
	sums          map[crypto.Hash][]byte
	content       []byte // only if a key needs it
	name, version string
	unreadable    error // why it is no chart
}

func (a signedArchive) subject() Subject {
	return Subject{Digest: a.digest, Sums: a.sums, Content: a.content}
}

// fetch gets the bundle, then the archive, one after the other: who held one
// connection while waiting for the next could wait for himself.
func (p *plan) fetch(ctx context.Context, artifact builtins.Artifact) (a signedArchive, bundle []byte, err error) {
	if bundle, err = p.bundleOf(ctx, artifact); err != nil {
		return a, nil, err
	}
	body, err := artifact.Open(ctx)
	if err != nil {
		return a, nil, err
	}
	defer body.Close()
	a, err = p.read(ctx, body, BlobHash(bundle))
	return a, bundle, err
}

// bundleOf reads the bundle. Only a chart that is there is reported as unsigned.
func (p *plan) bundleOf(ctx context.Context, artifact builtins.Artifact) (raw []byte, err error) {
	switch {
	case p.bundle == "":
		raw, err = artifact.Beside(ctx, ".sigstore.json", p.env.Limits.Bundle)
	case strings.HasPrefix(strings.TrimSpace(p.bundle), "{"):
		return []byte(p.bundle), nil
	default:
		raw, err = p.env.Source.Fetch(ctx, p.bundle, p.env.Limits.Bundle)
	}
	if builtins.CodeOf(err) != builtins.NotFound {
		return raw, err
	}
	body, missing := artifact.Open(ctx)
	if missing != nil {
		return nil, missing
	}
	body.Close()
	return nil, builtins.Errorf(builtins.NoSignature, "%w", err)
}

// read takes in one pass what has to be known of the archive. That it is no
// good chart is for later: who signed it is still of interest.
func (p *plan) read(ctx context.Context, body io.Reader, hash crypto.Hash) (signedArchive, error) {
	sum, content := hash.New(), new(bytes.Buffer)
	body = io.TeeReader(body, sum)
	if p.policy.needsContent() {
		body = io.TeeReader(body, content)
	}
	var a signedArchive
	chart, err := archive.Read(ctx, body, p.env.Budget)
	var refused *archive.Refused
	switch {
	case errors.As(err, &refused):
		a.digest, a.unreadable = refused.Digest, refused
	case err != nil:
		return signedArchive{}, err
	default:
		a.digest, a.name, a.version = chart.Digest, chart.Metadata.Name, chart.Metadata.Version
	}
	sha256, err := hex.DecodeString(strings.TrimPrefix(a.digest, "sha256:"))
	if err != nil {
		return signedArchive{}, fmt.Errorf("digest %s: %w", a.digest, err)
	}
	a.sums, a.content = map[crypto.Hash][]byte{hash: sum.Sum(nil), crypto.SHA256: sha256}, content.Bytes()
	return a, nil
}
