// SPDX-License-Identifier: Apache-2.0

package cosign

import (
	"bytes"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"io"
	"math/big"
	"slices"
	"time"

	"github.com/sigstore/sigstore-go/pkg/bundle"
	"github.com/sigstore/sigstore-go/pkg/fulcio/certificate"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/tlog"
	"github.com/sigstore/sigstore-go/pkg/verify"
	"github.com/sigstore/sigstore/pkg/signature"

	"github.com/chartseal/chartseal/builtins"
)

// An entity is one signature, of whatever shape, as sigstore-go sees it.
type entity struct {
	verify.SignedEntity
	content  verify.SignatureContent
	material verify.VerificationContent
	payload  []byte                // that was signed itself; nil for an envelope, and for an archive of which only the digest is there
	digest   verify.ArtifactDigest // that an envelope or a message signature must be about
	about    func() error          // is what was signed about the subject, and all that was asked for?

	key      *PublicKey // that made the signature, once it is found
	verifier signature.Verifier
}

// newEntity fails for a signature that lacks one of its parts.
func newEntity(s verify.SignedEntity) (*entity, error) {
	content, err := s.SignatureContent()
	if err != nil {
		return nil, err
	}
	material, err := s.VerificationContent()
	return &entity{SignedEntity: s, content: content, material: material}, err
}

func (e *entity) artifact() verify.ArtifactPolicyOption {
	if e.payload != nil {
		return verify.WithArtifact(bytes.NewReader(e.payload))
	}
	return verify.WithArtifactDigest(e.digest.Algorithm, e.digest.Digest)
}

// blob says whether an archive was signed of which we have the digest only.
func (e *entity) blob() bool { return e.payload == nil && e.content.MessageSignatureContent() != nil }

// signedBy checks the signature alone: not the certificate, not what is said.
func (e *entity) signedBy(material verify.VerificationContent, trusted root.TrustedMaterial) error {
	switch {
	case e.payload != nil:
		return verify.VerifySignatureWithArtifacts(e.content, material, trusted, []io.Reader{bytes.NewReader(e.payload)})
	case e.blob():
		return verify.VerifySignatureWithArtifactDigests(e.content, material, trusted, []verify.ArtifactDigest{e.digest})
	}
	return verify.VerifySignature(e.content, material, trusted)
}

// signedWith is [entity.signedBy] for a bare key.
func (e *entity) signedWith(v signature.Verifier) error {
	return e.signedBy(&bundle.PublicKey{}, trustKey(v))
}

// trustKey trusts one key at any time. A signature's hint names its key without
// proof, so it is not asked.
func trustKey(v signature.Verifier) root.TrustedMaterial {
	key := root.NewExpiringKey(v, time.Time{}, time.Time{})
	return root.NewTrustedPublicKeyMaterial(func(string) (root.TimeConstrainedVerifier, error) { return key, nil })
}

// A demand is what must speak for one signature besides itself.
type demand struct{ log, stamp bool }

// demand reads the policy for one signature. What is there must hold, unless it
// is to be skipped; but timestamps are left aside where the root knows nobody
// who could have given them.
func (p *Policy) demand(e *entity) (demand, error) {
	entries, err := e.TlogEntries()
	if err != nil {
		return demand{}, builtins.Errorf(builtins.MalformedBundle, "reading the log entries: %w", err)
	}
	stamps, err := e.Timestamps()
	if err != nil {
		return demand{}, builtins.Errorf(builtins.MalformedBundle, "reading the timestamps: %w", err)
	}
	return demand{
		log:   p.log == required || p.log == ifPresent && len(entries) > 0,
		stamp: p.stamp == required || len(stamps) > 0 && p.root != nil && len(p.root.TimestampingAuthorities()) > 0,
	}, nil
}

// judge verifies one signature and says who made it. The verdict is sigstore-go's
// and, where that is content, ours on what it leaves to its callers.
func (p *Policy) judge(e *entity) (builtins.Signer, error) {
	if p.keyless() != (e.material.Certificate() != nil) {
		return builtins.Signer{}, builtins.Errorf(builtins.UntrustedSigner, "signed with %s, while %s are trusted", kindOf(e), p.trusts())
	}
	need, err := p.demand(e)
	if err != nil {
		return builtins.Signer{}, err
	}
	if p.keyless() {
		return p.judgeKeyless(e, need)
	}
	return p.judgeKey(e, need)
}

func kindOf(e *entity) string {
	if e.material.Certificate() != nil {
		return "a certificate"
	}
	return "a key"
}

func (p *Policy) trusts() string {
	if p.keyless() {
		return "identities"
	}
	return "keys"
}

// judgeKeyless fails with the code of the first of these that does not hold: the
// identity, the strength of the key, the signature, the log, the time, the
// certificate at that time, and what the signature is about.
func (p *Policy) judgeKeyless(e *entity, need demand) (builtins.Signer, error) {
	leaf := e.material.Certificate()
	summary, err := certificate.SummarizeCertificate(leaf)
	if err != nil {
		return builtins.Signer{}, builtins.Errorf(builtins.Certificate, "reading the certificate's names: %w", err)
	}
	if err := p.identities.match(summary); err != nil {
		return builtins.Signer{}, err
	}
	key, err := describe(leaf.PublicKey)
	if err != nil {
		return builtins.Signer{}, builtins.Errorf(builtins.WeakAlgorithm, "certificate: %w", err)
	}
	if err := p.checkHash(e, key); err != nil {
		return builtins.Signer{}, err
	}
	if !need.log && !need.stamp {
		return builtins.Signer{}, builtins.Errorf(builtins.Timestamp, "nothing trusted says when the certificate was used: no log entry that counts, no timestamp")
	}
	result, err := p.run(e, need, p.root, p.identities.policies())
	if err != nil {
		return builtins.Signer{}, p.explain(e, need, p.root, err)
	}
	if err := checkUsage(leaf); err != nil {
		return builtins.Signer{}, err
	}
	if err := e.about(); err != nil {
		return builtins.Signer{}, err
	}
	return builtins.Signer{
		Kind: "keyless", Algorithm: key.Algorithm, SignedAt: earliest(result.VerifiedTimestamps),
		Issuer: builtins.Clip(builtins.Printable(summary.Issuer)), Subject: builtins.Clip(builtins.Printable(summary.SubjectAlternativeName)), Claims: claims(summary),
	}, nil
}

// judgeKey fails likewise: the key, the log, the time, what it is about.
func (p *Policy) judgeKey(e *entity, need demand) (builtins.Signer, error) {
	if err := p.findKey(e); err != nil {
		return builtins.Signer{}, err
	}
	trusted := root.TrustedMaterialCollection{trustKey(e.verifier)}
	if p.root != nil {
		trusted = append(trusted, p.root)
	}
	result, err := p.run(e, need, trusted, []verify.PolicyOption{verify.WithKey()})
	if err != nil {
		return builtins.Signer{}, p.explain(e, need, trusted, err)
	}
	if err := e.about(); err != nil {
		return builtins.Signer{}, err
	}
	return builtins.Signer{
		Kind: "key", Name: e.key.Name, Fingerprint: e.key.Fingerprint, Algorithm: e.key.Algorithm, SignedAt: earliest(result.VerifiedTimestamps),
	}, nil
}

func (p *Policy) verifierOf(e *entity, key *PublicKey) (signature.Verifier, error) {
	if e.blob() {
		return newDigestVerifier(key.Key, p.hash)
	}
	verifier, err := newVerifier(key.Key, p.hash)
	return &remembering{Verifier: verifier}, err
}

// A remembering verifier does not repeat what held: about one signature of one
// message several libraries ask in turn.
type remembering struct {
	signature.Verifier
	signature, message []byte
}

func (r *remembering) VerifySignature(sig, message io.Reader, opts ...signature.VerifyOption) error {
	s, err := io.ReadAll(sig)
	if err != nil {
		return err
	}
	m, err := io.ReadAll(message)
	if err != nil {
		return err
	}
	if r.signature != nil && bytes.Equal(s, r.signature) && bytes.Equal(m, r.message) {
		return nil
	}
	if err := r.Verifier.VerifySignature(bytes.NewReader(s), bytes.NewReader(m), opts...); err != nil {
		return err
	}
	r.signature, r.message = s, m
	return nil
}

// checkHash holds a certificate's signature against the hash that was asked
// for; sigstore-go goes by the certificate alone.
func (p *Policy) checkHash(e *entity, key *PublicKey) error {
	if p.hash == 0 {
		return nil
	}
	verifier, err := p.verifierOf(e, key)
	if err == nil {
		err = e.signedWith(verifier)
	}
	if err != nil {
		return builtins.Errorf(builtins.BadSignature, "signature is none of %s with %s: %w", key.Algorithm, p.hash, err)
	}
	return nil
}

// run asks sigstore-go.
func (p *Policy) run(e *entity, need demand, trusted root.TrustedMaterial, whose []verify.PolicyOption) (*verify.VerificationResult, error) {
	verifier, err := verify.NewVerifier(trusted, p.verifierOptions(need)...)
	if err != nil {
		return nil, err
	}
	return verifier.Verify(e, verify.NewPolicy(e.artifact(), whose...))
}

func (p *Policy) verifierOptions(need demand) []verify.VerifierOption {
	options := []verify.VerifierOption{verify.WithoutStatementPredicate()}
	if need.log {
		options = append(options, verify.WithTransparencyLog(1))
	}
	if need.stamp {
		options = append(options, verify.WithSignedTimestamps(1))
	}
	switch {
	case !p.keyless() && !need.stamp:
		options = append(options, verify.WithNoObserverTimestamps())
	case p.keyless() && need.log:
		options = append(options, verify.WithObserverTimestamps(1))
	}
	if p.keyless() && p.sct {
		options = append(options, verify.WithSignedCertificateTimestamps(1))
	}
	return options
}

// findKey finds the trusted key that made the signature. If none did, it is
// UntrustedSigner; BadSignature if the signature can be of no key at all, is
// said to be of one of ours, or is of one of ours with another hash.
func (p *Policy) findKey(e *entity) error {
	var last error
	for _, key := range p.keys {
		verifier, err := p.verifierOf(e, key)
		if err != nil {
			return err
		}
		if last = e.signedWith(verifier); last == nil {
			e.key, e.verifier = key, verifier
			return nil
		}
	}
	if err := p.nearMiss(e); err != nil {
		return err
	}
	return builtins.Errorf(builtins.UntrustedSigner, "none of the %d trusted keys made the signature: %w", len(p.keys), last)
}

func (p *Policy) nearMiss(e *entity) error {
	if impossible(e.content.Signature()) {
		return builtins.Errorf(builtins.BadSignature, "signature is not one: it is empty, not positive, or followed by more")
	}
	for _, key := range p.keys {
		if hash := p.otherHash(e, key); hash != "" {
			return builtins.Errorf(builtins.BadSignature, "key %s made the signature with %s, digest_algorithm wants another", key.Fingerprint, hash)
		}
		if e.claimed(key) {
			return builtins.Errorf(builtins.BadSignature, "signature is said to be of key %s, and it is not", key.Fingerprint)
		}
	}
	return nil
}

// impossible says whether raw reads as an ECDSA signature that no key can
// make. What does not read as one may be of another kind of key.
func impossible(raw []byte) bool {
	var sig struct{ R, S *big.Int }
	rest, err := asn1.Unmarshal(raw, &sig)
	if err != nil {
		return len(raw) == 0
	}
	return len(rest) > 0 || sig.R.Sign() <= 0 || sig.S.Sign() <= 0
}

func (p *Policy) otherHash(e *entity, key *PublicKey) string {
	for name, hash := range hashes {
		verifier, err := newVerifier(key.Key, hash)
		if err == nil && !e.blob() && e.signedWith(verifier) == nil {
			return name
		}
	}
	return ""
}

// claimed says whether the signature names the key as its own: by its hint, or
// in its log entry. Nobody vouches for that.
func (e *entity) claimed(key *PublicKey) bool {
	if of := e.material.PublicKey(); of != nil && of.Hint() != "" {
		return of.Hint() == hint(key)
	}
	entries, err := e.TlogEntries()
	ours, ok := key.Key.(interface{ Equal(crypto.PublicKey) bool })
	return err == nil && ok && len(entries) > 0 && tlog.ValidateEntry(entries[0]) == nil && ours.Equal(entries[0].PublicKey())
}

// hint is how cosign names a key in a bundle.
func hint(key *PublicKey) string {
	der, err := x509.MarshalPKIXPublicKey(key.Key)
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(der)
	return base64.StdEncoding.EncodeToString(sum[:])
}

// explain finds what made sigstore-go refuse, and so the code. It asks the same
// library for each part in turn; cause is what it said of the whole.
func (p *Policy) explain(e *entity, need demand, trusted root.TrustedMaterial, cause error) error {
	// 1. The signature, by the key that it came with.
	if err := e.signedBy(e.material, trusted); err != nil {
		return builtins.Errorf(builtins.BadSignature, "%w", err)
	}
	// 2. The log, whatever its time says of the certificate.
	var times []time.Time
	if need.log {
		logged, err := verify.VerifyTlogEntry(&timeless{e}, trusted, 1, true)
		if err != nil {
			return builtins.Errorf(builtins.TransparencyLog, "%w", err)
		}
		for _, t := range logged {
			times = append(times, t.Time)
		}
	}
	// 3. The time.
	if need.stamp {
		stamped, err := verify.VerifySignedTimestampWithThreshold(e, trusted, 1)
		if err != nil {
			return builtins.Errorf(builtins.Timestamp, "%w", err)
		}
		for _, t := range stamped {
			times = append(times, t.Time)
		}
	}
	if p.keyless() && len(times) == 0 {
		return builtins.Errorf(builtins.Timestamp, "nothing trusted says when the certificate was used: the log entry has no time, and there is no timestamp")
	}
	// 4. The certificate at that time.
	if leaf := e.material.Certificate(); leaf != nil {
		if err := p.checkCertificate(leaf, times); err != nil {
			return err
		}
	}
	// 5. What was signed.
	if err := e.about(); err != nil {
		return err
	}
	return builtins.Errorf(builtins.BadSignature, "%w", cause)
}

// timeless is an entity whose log entries are not held against its certificate.
type timeless struct{ *entity }

func (t *timeless) VerificationContent() (verify.VerificationContent, error) {
	return anyTime{t.material}, nil
}

type anyTime struct{ verify.VerificationContent }

func (anyTime) ValidAtTime(time.Time, root.TrustedMaterial) bool { return true }

func (p *Policy) checkCertificate(leaf *x509.Certificate, times []time.Time) error {
	if err := checkUsage(leaf); err != nil {
		return err
	}
	for _, at := range times {
		if at.Before(leaf.NotBefore) || at.After(leaf.NotAfter) {
			return builtins.Errorf(builtins.Certificate, "signed at %s, certificate is valid from %s to %s", rfc3339(at), rfc3339(leaf.NotBefore), rfc3339(leaf.NotAfter))
		}
		chains, err := verify.VerifyLeafCertificate(at, leaf, p.root)
		if err != nil {
			return builtins.Errorf(builtins.Certificate, "no authority of the trusted root vouches for the certificate at %s: %w", rfc3339(at), err)
		}
		if !p.sct {
			continue
		}
		if err := verify.VerifySignedCertificateTimestamp(chains, 1, p.root); err != nil {
			return builtins.Errorf(builtins.Certificate, "certificate is in no log that the trusted root names: %w", err)
		}
	}
	return nil
}

// checkUsage wants a leaf that says it is one for signing code. Go lets a
// certificate that says nothing of its usage pass for any.
func checkUsage(leaf *x509.Certificate) error {
	switch {
	case leaf.IsCA:
		return builtins.Errorf(builtins.Certificate, "certificate is an authority's, not a signer's")
	case !slices.Contains(leaf.ExtKeyUsage, x509.ExtKeyUsageCodeSigning):
		return builtins.Errorf(builtins.Certificate, "certificate is not for signing code")
	}
	return nil
}

func earliest(stamps []verify.TimestampVerificationResult) string {
	if len(stamps) == 0 {
		return ""
	}
	first := slices.MinFunc(stamps, func(a, b verify.TimestampVerificationResult) int { return a.Timestamp.Compare(b.Timestamp) })
	return rfc3339(first.Timestamp)
}

func rfc3339(t time.Time) string { return t.UTC().Format(time.RFC3339) }
