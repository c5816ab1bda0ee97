// SPDX-License-Identifier: Apache-2.0

package cosign

import (
	"bytes"
	"crypto"
	"encoding/hex"
	"fmt"

	bundlepb "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	commonpb "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	"github.com/sigstore/sigstore-go/pkg/bundle"
	"github.com/sigstore/sigstore-go/pkg/verify"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/chartseal/chartseal/builtins"
)

// VerifyBundle verifies a sigstore bundle, of version 0.1 to 0.3, and says who
// signed the subject. It fails with
//
//   - NoSignature for what is a good bundle, perhaps, but no signature of a
//     chart: a statement with another predicate type, or a message signature
//     of something in a registry,
//   - MalformedBundle, TooMany,
//   - UntrustedSigner, IdentityMismatch, WeakAlgorithm, BadSignature,
//     TransparencyLog, Timestamp, Certificate: see [Policy],
//   - PayloadMismatch if something else was signed, or if a reference is
//     wanted, which bundles do not sign,
//   - AnnotationMismatch.
func (p *Policy) VerifyBundle(raw []byte, subject Subject) (signer builtins.Signer, err error) {
	defer readable(&err)
	b, err := p.parseBundle(raw)
	if err != nil {
		return builtins.Signer{}, err
	}
	e, err := newEntity(b)
	if err != nil {
		return builtins.Signer{}, malformed("%w", err)
	}
	if err := p.concern(e, subject); err != nil {
		return builtins.Signer{}, err
	}
	return p.judge(e)
}

// BlobHash is the hash by which a bundle names the archive that it is about;
// SHA-256 if it is about a statement, or unreadable.
func BlobHash(raw []byte) crypto.Hash {
	var pb bundlepb.Bundle
	if protojson.Unmarshal(raw, &pb) != nil {
		return crypto.SHA256
	}
	switch pb.GetMessageSignature().GetMessageDigest().GetAlgorithm() {
	case commonpb.HashAlgorithm_SHA2_384:
		return crypto.SHA384
	case commonpb.HashAlgorithm_SHA2_512:
		return crypto.SHA512
	}
	return crypto.SHA256
}

// readable turns a panic into MalformedBundle: here the bytes of whoever may
// write to a registry meet parsers that are not ours, and one such signature
// must not keep the good one beside it from counting.
func readable(err *error) {
	if r := recover(); r != nil {
		*err = malformed("a part is missing in a way that no reader expects: %v", r)
	}
}

func malformed(format string, args ...any) error {
	return builtins.Errorf(builtins.MalformedBundle, format, args...)
}

func (p *Policy) parseBundle(raw []byte) (*bundle.Bundle, error) {
	pb := new(bundlepb.Bundle)
	if err := protojson.Unmarshal(raw, pb); err != nil {
		return nil, malformed("bundle is not JSON of its format: %w", err)
	}
	if err := p.checkCounts(pb.GetVerificationMaterial()); err != nil {
		return nil, err
	}
	if err := checkProofs(pb); err != nil {
		return nil, err
	}
	b, err := bundle.NewBundle(pb)
	if err != nil {
		return nil, malformed("%w", err)
	}
	return b, checkContent(pb)
}

func (p *Policy) checkCounts(m *bundlepb.VerificationMaterial) error {
	for _, c := range []struct {
		what  string
		n     int
		limit int64
	}{
		{"log entries", len(m.GetTlogEntries()), p.limits.LogEntries},
		{"timestamps", len(m.GetTimestampVerificationData().GetRfc3161Timestamps()), p.limits.LogEntries},
		{"certificates", len(m.GetX509CertificateChain().GetCertificates()), p.limits.ChainCertificates},
	} {
		if err := atMost(c.limit, c.n, c.what); err != nil {
			return err
		}
	}
	return nil
}

func atMost(limit int64, n int, what string) error {
	if int64(n) > limit {
		return builtins.Errorf(builtins.TooMany, "signature has %d %s, at most %d are read", n, what, limit)
	}
	return nil
}

// checkProofs tells a log entry without proof from a bundle that cannot be
// read: from version 0.2 on, a promise alone does not do.
func checkProofs(pb *bundlepb.Bundle) error {
	entries := pb.GetVerificationMaterial().GetTlogEntries()
	version, err := (&bundle.Bundle{Bundle: pb}).Version()
	if err != nil || version != "v0.2" && version != "v0.3" || len(entries) == 0 {
		return nil
	}
	for _, entry := range entries {
		if entry.GetInclusionProof() != nil {
			return nil
		}
	}
	return builtins.Errorf(builtins.TransparencyLog, "no log entry comes with a proof that it is in the log")
}

func checkContent(pb *bundlepb.Bundle) error {
	if envelope := pb.GetDsseEnvelope(); envelope != nil {
		if n := len(envelope.GetSignatures()); n != 1 {
			return malformed("envelope has %d signatures, want 1", n)
		}
		return nil
	}
	digest := pb.GetMessageSignature().GetMessageDigest()
	hash := map[commonpb.HashAlgorithm]crypto.Hash{
		commonpb.HashAlgorithm_SHA2_256: crypto.SHA256, commonpb.HashAlgorithm_SHA2_384: crypto.SHA384, commonpb.HashAlgorithm_SHA2_512: crypto.SHA512,
	}[digest.GetAlgorithm()]
	if hash == 0 || len(digest.GetDigest()) != hash.Size() {
		return malformed("message signature names no digest of the message")
	}
	return nil
}

// concern says what the bundle must be about, and refuses early what cannot
// count, however well it is signed.
func (p *Policy) concern(e *entity, subject Subject) error {
	if message := e.content.MessageSignatureContent(); message != nil {
		return p.concernBlob(e, message, subject)
	}
	envelope := e.content.EnvelopeContent().RawEnvelope()
	payload, err := envelope.DecodeB64Payload()
	if err != nil {
		return malformed("envelope: %w", err)
	}
	if e.digest, err = subject.artifact(); err != nil {
		return builtins.Errorf(builtins.PayloadMismatch, "digest %q of the subject is not one: %w", builtins.Clip(subject.Digest), err)
	}
	statement, unread := parseStatement(payload)
	if unread == nil && statement.predicateType != p.predicateType {
		return builtins.Errorf(builtins.NoSignature, "statement has predicate type %q, a signature has %q", builtins.Clip(statement.predicateType), builtins.Clip(p.predicateType))
	}
	e.about = func() error {
		if unread != nil {
			return builtins.Errorf(builtins.PayloadMismatch, "signed statement: %w", unread)
		}
		return p.checkStatement(statement, subject)
	}
	return nil
}

func (p *Policy) concernBlob(e *entity, message verify.MessageSignatureContent, subject Subject) error {
	if subject.inRegistry() {
		return builtins.Errorf(builtins.NoSignature, "bundle signs a file, a chart in a registry is signed by a statement")
	}
	hash := map[string]crypto.Hash{"SHA2_256": crypto.SHA256, "SHA2_384": crypto.SHA384, "SHA2_512": crypto.SHA512}[message.DigestAlgorithm()]
	sum := subject.Sums[hash]
	if len(sum) == 0 || !bytes.Equal(sum, message.Digest()) {
		return builtins.Errorf(builtins.PayloadMismatch, "bundle is about a file with %s %s, the archive has %s", hash, hex.EncodeToString(message.Digest()), hex.EncodeToString(sum))
	}
	e.digest = verify.ArtifactDigest{Algorithm: message.DigestAlgorithm(), Digest: sum}
	e.payload = subject.Content
	e.about = func() error {
		if err := p.noReference(); err != nil {
			return err
		}
		return p.checkAnnotations(nil)
	}
	return nil
}

// A statement is what an in-toto statement says of its subjects.
type statement struct {
	predicateType string
	subjects      []any
}

// parseStatement reads the names as they are written: a reader that takes
// other case for the same name could be shown another statement.
func parseStatement(payload []byte) (statement, error) {
	o, err := parseObject(payload)
	if err != nil {
		return statement{}, err
	}
	switch kind := o.text("_type"); kind {
	case "https://in-toto.io/Statement/v1", "https://in-toto.io/Statement/v0.1":
	default:
		return statement{}, fmt.Errorf("type is %q, not that of an in-toto statement", builtins.Clip(kind))
	}
	subjects, _ := o["subject"].([]any)
	return statement{predicateType: o.text("predicateType"), subjects: subjects}, nil
}

// checkStatement wants one of the subjects to be ours and to have the
// annotations.
func (p *Policy) checkStatement(s statement, subject Subject) error {
	if err := atMost(p.limits.Subjects, len(s.subjects), "subjects"); err != nil {
		return err
	}
	ours := subjectsWith(s.subjects, subject.Digest)
	if len(ours) == 0 {
		return builtins.Errorf(builtins.PayloadMismatch, "none of the %d signed subjects has digest %s", len(s.subjects), subject.Digest)
	}
	if err := p.noReference(); err != nil {
		return err
	}
	var err error
	for _, o := range ours {
		if err = p.checkAnnotations(o.object("annotations")); err == nil {
			return nil
		}
	}
	return err
}

func subjectsWith(subjects []any, digest string) []object {
	var with []object
	for _, s := range subjects {
		o, _ := s.(map[string]any)
		if "sha256:"+object(o).object("digest").text("sha256") == digest {
			with = append(with, o)
		}
	}
	return with
}

// noReference rejects a bundle where a signed reference is wanted.
func (p *Policy) noReference() error {
	if p.matchReference {
		return builtins.Errorf(builtins.PayloadMismatch, "match_reference wants the signed reference, and a bundle signs none")
	}
	return nil
}
