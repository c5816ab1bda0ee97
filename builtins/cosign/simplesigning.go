// SPDX-License-Identifier: Apache-2.0

package cosign

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	cosignlib "github.com/sigstore/cosign/v2/pkg/cosign"
	cosignbundle "github.com/sigstore/cosign/v2/pkg/cosign/bundle"
	"github.com/sigstore/cosign/v2/pkg/oci/static"
	commonpb "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	rekorpb "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"
	"github.com/sigstore/sigstore-go/pkg/bundle"
	"github.com/sigstore/sigstore-go/pkg/tlog"
	"github.com/sigstore/sigstore-go/pkg/verify"

	"github.com/chartseal/chartseal/builtins"
)

// The type that a simple signing payload of cosign has.
const simpleSigningType = "cosign container image signature"

// VerifySimpleSigning verifies a signature as cosign v1 and v2 store it: a
// signed payload with annotations. It says who signed the subject. It fails
// with
//
//   - MalformedBundle for annotations that cannot be read, TooMany,
//   - UntrustedSigner, IdentityMismatch, WeakAlgorithm, BadSignature,
//     TransparencyLog, Timestamp, Certificate: see [Policy],
//   - PayloadMismatch if the payload is of another type, about another digest
//     or, where that is wanted, about another reference, or names a member
//     twice,
//   - AnnotationMismatch.
func (p *Policy) VerifySimpleSigning(ctx context.Context, payload []byte, annotations map[string]string, subject Subject) (signer builtins.Signer, err error) {
	defer readable(&err)
	s, err := p.parseSimpleSigning(payload, annotations)
	if err != nil {
		return builtins.Signer{}, err
	}
	if !p.keyless() {
		s.leaf = nil // nobody signed this annotation, and keys need no certificate
	}
	e, err := newEntity(s)
	if err != nil {
		return builtins.Signer{}, malformed("%w", err)
	}
	e.payload = payload
	e.about = func() error { return p.checkClaims(payload, subject) }
	if signer, err = p.judge(e); err != nil {
		return builtins.Signer{}, err
	}
	if err := p.askCosign(ctx, s, e, subject); err != nil {
		return builtins.Signer{}, builtins.Errorf(builtins.BadSignature, "cosign: %w", err)
	}
	return signer, nil
}

// A simpleSigning is a signature whose annotations are read. To sigstore-go it
// is a signature of a message, which is the payload.
type simpleSigning struct {
	payload   []byte
	signature []byte
	text      string // of the signature, as it stands
	leaf      *x509.Certificate
	leafPEM   []byte
	chainPEM  []byte
	promise   *cosignbundle.RekorBundle
	entry     *tlog.Entry
	stamp     *cosignbundle.RFC3161Timestamp
}

func (p *Policy) parseSimpleSigning(payload []byte, annotations map[string]string) (*simpleSigning, error) {
	s := &simpleSigning{payload: payload, text: annotations[static.SignatureAnnotationKey]}
	for _, part := range []struct {
		name  string
		parse func(*simpleSigning, string) error
	}{
		{static.SignatureAnnotationKey, (*simpleSigning).parseSignature},
		{static.CertificateAnnotationKey, (*simpleSigning).parseLeaf},
		{static.ChainAnnotationKey, p.parseChain},
		{static.BundleAnnotationKey, (*simpleSigning).parsePromise},
		{static.RFC3161TimestampAnnotationKey, (*simpleSigning).parseStamp},
	} {
		text, ok := annotations[part.name]
		if !ok && part.name != static.SignatureAnnotationKey || text == "" {
			continue
		}
		if err := part.parse(s, text); err != nil {
			return nil, builtins.Errorf(orMalformed(err), "annotation %s: %w", part.name, err)
		}
	}
	if len(s.signature) == 0 {
		return nil, malformed("layer has no annotation %s", static.SignatureAnnotationKey)
	}
	return s, nil
}

func orMalformed(err error) builtins.Code {
	if code := builtins.CodeOf(err); code != builtins.Internal {
		return code
	}
	return builtins.MalformedBundle
}

// decodeBase64 reads the one way of writing that cosign writes.
func decodeBase64(text string) ([]byte, error) {
	if strings.ContainsAny(text, "\r\n") {
		return nil, errors.New("base64 has a line break in it")
	}
	return base64.StdEncoding.Strict().DecodeString(text)
}

func (s *simpleSigning) parseSignature(text string) (err error) {
	s.signature, err = decodeBase64(text)
	return err
}

func (s *simpleSigning) parseLeaf(text string) error {
	certs, err := parseCertificates(text)
	if err != nil {
		return err
	}
	if len(certs) != 1 {
		return fmt.Errorf("has %d certificates, want 1", len(certs))
	}
	s.leaf, s.leafPEM = certs[0], []byte(text)
	return nil
}

// parseChain reads the chain only to see that it is one: which authorities
// count is for the trusted root to say.
func (p *Policy) parseChain(s *simpleSigning, text string) error {
	if err := atMost(p.limits.ChainCertificates, strings.Count(text, "-----BEGIN "), "certificates"); err != nil {
		return err
	}
	_, err := parseCertificates(text)
	s.chainPEM = []byte(text)
	return err
}

func parseCertificates(text string) ([]*x509.Certificate, error) {
	var certs []*x509.Certificate
	rest := []byte(text)
	for len(bytes.TrimSpace(rest)) > 0 {
		block, after := pem.Decode(rest)
		if block == nil || block.Type != "CERTIFICATE" || !bytes.HasPrefix(bytes.TrimSpace(rest), []byte("-----BEGIN ")) {
			return nil, errors.New("is not PEM of certificates and nothing else")
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		certs, rest = append(certs, cert), after
	}
	return certs, nil
}

// parsePromise reads a log entry with the log's promise. Cosign logs this kind
// of signature as a hashedrekord; an entry of another kind is not about it.
func (s *simpleSigning) parsePromise(text string) error {
	s.promise = new(cosignbundle.RekorBundle)
	if err := decodeJSON(text, s.promise); err != nil {
		return err
	}
	encoded, ok := s.promise.Payload.Body.(string)
	if !ok {
		return fmt.Errorf("body is a %T, want base64", s.promise.Payload.Body)
	}
	body, err := decodeBase64(encoded)
	if err != nil {
		return fmt.Errorf("body: %w", err)
	}
	logID, err := hex.DecodeString(s.promise.Payload.LogID)
	if err != nil {
		return fmt.Errorf("log ID: %w", err)
	}
	s.entry, err = tlog.ParseTransparencyLogEntry(&rekorpb.TransparencyLogEntry{
		LogIndex: s.promise.Payload.LogIndex, LogId: &commonpb.LogId{KeyId: logID}, IntegratedTime: s.promise.Payload.IntegratedTime,
		KindVersion:      &rekorpb.KindVersion{Kind: "hashedrekord", Version: "0.0.1"},
		InclusionPromise: &rekorpb.InclusionPromise{SignedEntryTimestamp: s.promise.SignedEntryTimestamp}, CanonicalizedBody: body,
	})
	if err != nil {
		return err
	}
	return s.checkEntry()
}

// checkEntry makes sure of what cosign's library takes for granted.
func (s *simpleSigning) checkEntry() error {
	if err := tlog.ValidateEntry(s.entry); err != nil {
		return err
	}
	if _, _, ok := s.entry.GetHashedRekordDigest(); !ok || s.entry.IsRekorV2() || s.entry.PublicKey() == nil {
		return builtins.Errorf(builtins.TransparencyLog, "log entry is not of a signature that names its key")
	}
	if len(s.promise.SignedEntryTimestamp) == 0 {
		return builtins.Errorf(builtins.TransparencyLog, "log entry comes without the log's promise")
	}
	return nil
}

func (s *simpleSigning) parseStamp(text string) error {
	s.stamp = new(cosignbundle.RFC3161Timestamp)
	if err := decodeJSON(text, s.stamp); err != nil {
		return err
	}
	if len(s.stamp.SignedRFC3161Timestamp) == 0 {
		return errors.New("has no timestamp")
	}
	return nil
}

func decodeJSON(text string, into any) error {
	if err := builtins.UniqueMembers([]byte(text)); err != nil {
		return fmt.Errorf("members %w", err)
	}
	return json.Unmarshal([]byte(text), into)
}

// HasInclusionPromise says whether there is a log entry: it has one, or is refused.
func (s *simpleSigning) HasInclusionPromise() bool { return s.entry != nil }

// HasInclusionProof is false: the format has none.
func (s *simpleSigning) HasInclusionProof() bool { return false }

// Version is that of the bundles whose rules for hashes fit.
func (s *simpleSigning) Version() (string, error) { return "v0.3", nil }

func (s *simpleSigning) SignatureContent() (verify.SignatureContent, error) {
	sum := sha256.Sum256(s.payload)
	return bundle.NewMessageSignature(sum[:], "SHA2_256", s.signature), nil
}

func (s *simpleSigning) VerificationContent() (verify.VerificationContent, error) {
	if s.leaf == nil {
		return &bundle.PublicKey{}, nil
	}
	return bundle.NewCertificate(s.leaf), nil
}

func (s *simpleSigning) TlogEntries() ([]*tlog.Entry, error) {
	if s.entry == nil {
		return nil, nil
	}
	return []*tlog.Entry{s.entry}, nil
}

func (s *simpleSigning) Timestamps() ([][]byte, error) {
	if s.stamp == nil {
		return nil, nil
	}
	return [][]byte{s.stamp.SignedRFC3161Timestamp}, nil
}

// checkClaims reads the names as they are written, see [parseStatement].
func (p *Policy) checkClaims(payload []byte, subject Subject) error {
	o, err := parseObject(payload)
	if err != nil {
		return builtins.Errorf(builtins.PayloadMismatch, "signed payload: %w", err)
	}
	critical := o.object("critical")
	if kind := critical.text("type"); kind != simpleSigningType {
		return builtins.Errorf(builtins.PayloadMismatch, "signed type is %q, want %q", builtins.Clip(kind), simpleSigningType)
	}
	if digest := critical.object("image").text("docker-manifest-digest"); digest != subject.Digest {
		return builtins.Errorf(builtins.PayloadMismatch, "signature is of %q, the chart is %s", builtins.Clip(digest), subject.Digest)
	}
	reference := critical.object("identity").text("docker-reference")
	if p.matchReference && reference != subject.Repository {
		return builtins.Errorf(builtins.PayloadMismatch, "signed reference is %q, asked for is %q", builtins.Clip(reference), subject.Repository)
	}
	return p.checkAnnotations(o.object("optional"))
}

func (p *Policy) checkAnnotations(signed object) error {
	for _, name := range slices.Sorted(maps.Keys(p.annotations)) {
		if got, ok := signed[name].(string); !ok || got != p.annotations[name] {
			return builtins.Errorf(builtins.AnnotationMismatch, "annotation %q is %s in what was signed, want %q", builtins.Clip(name), shown(signed[name]), builtins.Clip(p.annotations[name]))
		}
	}
	return nil
}

func shown(v any) string {
	switch v := v.(type) {
	case nil:
		return "absent"
	case string:
		return fmt.Sprintf("%q", builtins.Clip(v))
	}
	return fmt.Sprintf("a %T", v)
}

// askCosign has the last word on what has passed all that is above. With the
// time proven it never looks at the clock, and offline never at the network.
func (p *Policy) askCosign(ctx context.Context, s *simpleSigning, e *entity, subject Subject) error {
	need, err := p.demand(e)
	if err != nil {
		return err
	}
	opts := []static.Option{static.WithBundle(s.promise), static.WithRFC3161Timestamp(s.stamp)}
	check := &cosignlib.CheckOpts{
		TrustedMaterial: p.root, Offline: true, ClaimVerifier: cosignlib.SimpleClaimVerifier,
		Annotations: anyValues(p.annotations), IgnoreSCT: !p.sct, IgnoreTlog: !need.log, UseSignedTimestamps: need.stamp,
	}
	if p.keyless() {
		check.Identities = p.identities.cosign
		opts = append(opts, static.WithCertChain(s.leafPEM, s.chainPEM))
	} else {
		check.SigVerifier = e.verifier
	}
	sig, err := static.NewSignature(s.payload, s.text, opts...)
	if err != nil {
		return err
	}
	digest, err := v1.NewHash(subject.Digest)
	if err != nil {
		return err
	}
	_, err = cosignlib.VerifyImageSignature(ctx, sig, digest, check)
	return err
}

func anyValues(m map[string]string) map[string]any {
	values := map[string]any{}
	for k, v := range m {
		values[k] = v
	}
	return values
}
