// SPDX-License-Identifier: Apache-2.0

// Package cosign checks sigstore signatures of charts: bundles and simple
// signing, by keys and by identities. Whom to trust is always an argument, and
// nothing is fetched to find it out.
//
// The verdicts are those of sigstore-go and of cosign's own library. This
// package holds them together, adds what they leave to their callers, and says
// in a code what was wrong.
package cosign

import (
	"crypto"
	"crypto/ed25519"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/verify"

	"github.com/chartseal/chartseal/builtins"
)

// The values of the options transparency_log, timestamp and sct.
const (
	required  = "required"
	ifPresent = "if_present"
	skip      = "skip"
)

// DefaultPredicateType is that of a statement which is a signature and claims
// nothing else of its subject.
const DefaultPredicateType = "https://sigstore.dev/cosign/sign/v1"

// A Policy says whose signatures count, and what must speak for them. It
// serves any number of goroutines.
type Policy struct {
	keys           []*PublicKey // or
	identities     identities
	root           root.TrustedMaterial // nil only with keys
	hash           crypto.Hash          // 0 is the key's own
	log, stamp     string
	sct            bool
	predicateType  string
	annotations    map[string]string
	matchReference bool
	limits         builtins.Limits
}

// NewPolicy makes a policy of options, with the keys and the root that they
// name. It refuses
//
//   - neither keys nor identities, and both,
//   - an identity without issuer or without subject, and one given twice over,
//   - identities, a demand for a log or for a timestamp, without a root,
//   - a value that an option does not have.
func NewPolicy(o VerifyOptions, keys []*PublicKey, trusted root.TrustedMaterial, limits builtins.Limits) (*Policy, error) {
	ids, err := compileIdentities(o.Identities)
	if err != nil {
		return nil, err
	}
	p := &Policy{
		keys: keys, identities: ids, root: trusted, annotations: maps.Clone(o.Annotations),
		matchReference: o.MatchReference, predicateType: orElse(o.PredicateType, DefaultPredicateType), limits: limits,
	}
	if err := p.checkTrust(); err != nil {
		return nil, err
	}
	if err := p.decide(o); err != nil {
		return nil, err
	}
	return p, p.checkRoot()
}

func (p *Policy) checkTrust() error {
	switch nobody := len(p.identities.certificate) == 0; {
	case len(p.keys) == 0 && nobody:
		return fmt.Errorf("nobody is trusted: give public_keys, public_key or identities")
	case len(p.keys) > 0 && !nobody:
		return fmt.Errorf("keys and identities contradict, give one kind")
	}
	return nil
}

// decide takes each option that is one of a few words.
func (p *Policy) decide(o VerifyOptions) (err error) {
	defaultLog := skip
	if p.keyless() {
		defaultLog = required
	}
	if p.log, err = oneWord("transparency_log", o.TransparencyLog, defaultLog, required, ifPresent, skip); err != nil {
		return err
	}
	if p.stamp, err = oneWord("timestamp", o.Timestamp, ifPresent, required, ifPresent); err != nil {
		return err
	}
	sct, err := oneWord("sct", o.SCT, required, required, skip)
	if err != nil {
		return err
	}
	p.sct = sct == required
	algorithm, err := oneWord("digest_algorithm", o.DigestAlgorithm, "", slices.Sorted(maps.Keys(hashes))...)
	if err != nil {
		return err
	}
	p.hash = hashes[algorithm]
	for _, key := range p.keys {
		if _, err := newVerifier(key.Key, p.hash); err != nil {
			return fmt.Errorf("digest_algorithm %s: %w", algorithm, err)
		}
	}
	return nil
}

func oneWord(option, given, unset string, words ...string) (string, error) {
	if given == "" {
		return unset, nil
	}
	if !slices.Contains(words, given) {
		return "", fmt.Errorf("%s is %q, want one of %s", option, builtins.Clip(given), strings.Join(words, ", "))
	}
	return given, nil
}

// checkRoot refuses what could never be met: every signature would be rejected
// for the author's mistake.
func (p *Policy) checkRoot() error {
	switch {
	case p.root != nil:
		return nil
	case p.keyless():
		return fmt.Errorf("identities need a trusted_root, which says whose certificates count")
	case p.log != skip:
		return fmt.Errorf("transparency_log %s needs a trusted_root, which says which logs count", p.log)
	case p.stamp == required:
		return fmt.Errorf("timestamp %s needs a trusted_root, which says whose timestamps count", p.stamp)
	}
	return nil
}

func orElse(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

func (p *Policy) keyless() bool { return len(p.keys) == 0 }

// needsContent says whether one of the keys may have signed an archive as a
// whole, and not its digest.
func (p *Policy) needsContent() bool {
	return slices.ContainsFunc(p.keys, func(k *PublicKey) bool { _, ok := k.Key.(ed25519.PublicKey); return ok })
}

// A Subject is what must have been signed.
type Subject struct {
	Digest     string                 // sha256:<hex> of the manifest, or of an archive that is in no registry
	Repository string                 // "host/path" of a manifest; "" for an archive
	Sums       map[crypto.Hash][]byte // of an archive, by the hash that [BlobHash] asks for

	// Content is the archive itself. Only plain Ed25519 needs it, which signs no
	// digest; without it, such a signature is BadSignature.
	Content []byte
}

func (s Subject) inRegistry() bool { return s.Repository != "" }

// artifact is the subject as a statement names it.
func (s Subject) artifact() (verify.ArtifactDigest, error) {
	algorithm, hexDigest, _ := strings.Cut(s.Digest, ":")
	sum, err := hex.DecodeString(hexDigest)
	return verify.ArtifactDigest{Algorithm: algorithm, Digest: sum}, err
}
