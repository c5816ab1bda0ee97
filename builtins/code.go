// SPDX-License-Identifier: Apache-2.0

package builtins

import (
	"errors"
	"fmt"
)

// A Code says why a report says what it says. Codes are append-only: policies
// and clients compare them, so none is ever renamed or given a second meaning.
type Code string

const (
	// OK means that everything asked for was proven.
	OK Code = "ok"

	// InvalidReference means that the reference is not one: wrong type, unknown scheme, unsafe host or path.
	InvalidReference Code = "invalid_reference"
	// InvalidOptions means that the policy author's options are wrong, whatever the reference.
	InvalidOptions Code = "invalid_options"
	// SourceDenied means that a scheme, host, address or redirect target is not permitted here.
	SourceDenied Code = "source_denied"
	// NotFound means that the source answered and has no such chart or version.
	NotFound Code = "not_found"

	// NoProvenance means that the chart is there and its provenance file is not.
	NoProvenance Code = "no_provenance"
	// MalformedProvenance means that the .prov is not one cleartext block holding two strict YAML documents.
	MalformedProvenance Code = "malformed_provenance"
	// DigestMismatch means that bytes differ from the digest that names them.
	DigestMismatch Code = "digest_mismatch"
	// NameMismatch means that the chart's name differs between file, signature, content and request.
	NameMismatch Code = "name_mismatch"
	// VersionMismatch means that the chart's version differs between file, signature, content and request.
	VersionMismatch Code = "version_mismatch"
	// MetadataMismatch means that another field of the signed metadata differs from the chart's own.
	MetadataMismatch Code = "metadata_mismatch"

	// NoSignature means that every place answered and none holds a signature.
	NoSignature Code = "no_signature"
	// UntrustedSigner means that the signing key is unknown, not among the signers, or not allowed to sign.
	UntrustedSigner Code = "untrusted_signer"
	// BadSignature means that a signature is wrong, malformed, or dated outside what it or its key's creation allows.
	BadSignature Code = "bad_signature"
	// KeyExpired means that the signing key had expired at the time that counts.
	KeyExpired Code = "key_expired"
	// KeyRevoked means that the signing key is revoked, by its owner or by the policy.
	KeyRevoked Code = "key_revoked"
	// WeakAlgorithm means that an algorithm, hash, curve or key size is under the floor.
	WeakAlgorithm Code = "weak_algorithm"
	// IdentityMismatch means that a certificate names none of the accepted identities.
	IdentityMismatch Code = "identity_mismatch"
	// TransparencyLog means that a log entry is missing, unproven, or about another signature.
	TransparencyLog Code = "transparency_log"
	// Timestamp means that no trusted time proves when a signature was made.
	Timestamp Code = "timestamp"
	// Certificate means that a certificate's chain, usage, SCT or validity at signing time is wrong.
	Certificate Code = "certificate"
	// PayloadMismatch means that what was signed is about something else.
	PayloadMismatch Code = "payload_mismatch"
	// AnnotationMismatch means that a required annotation is absent from the signed payload or differs.
	AnnotationMismatch Code = "annotation_mismatch"
	// Threshold means that fewer distinct signers than required have signed.
	Threshold Code = "threshold"
	// MalformedBundle means that a signature bundle or annotation is unreadable.
	MalformedBundle Code = "malformed_bundle"

	// TooLarge means that something exceeds its limit of bytes.
	TooLarge Code = "too_large"
	// TooMany means that something exceeds its limit of items.
	TooMany Code = "too_many"
	// AmbiguousArchive means that an archive or directory can be read in two ways.
	AmbiguousArchive Code = "ambiguous_archive"
	// MalformedChart means that Chart.yaml or a lock is not strict YAML of the right shape.
	MalformedChart Code = "malformed_chart"
	// MalformedIndex means that a repository's index.yaml is not readable.
	MalformedIndex Code = "malformed_index"
	// NotAChart means that what was found is not exactly one Helm chart.
	NotAChart Code = "not_a_chart"

	// LockMissing means that a chart has dependencies and no lock.
	LockMissing Code = "lock_missing"
	// LockOutOfSync means that the lock does not follow from the chart's dependencies.
	LockOutOfSync Code = "lock_out_of_sync"
	// DependencyMissing means that a locked dependency is not vendored.
	DependencyMissing Code = "dependency_missing"
	// DependencyUndeclared means that a vendored chart is in no lock.
	DependencyUndeclared Code = "dependency_undeclared"
	// DependencyDuplicate means that one name and version is vendored in two places.
	DependencyDuplicate Code = "dependency_duplicate"
	// DependencyMismatch means that in the place of a locked dependency, by the name of file or chart, lies another chart or version.
	DependencyMismatch Code = "dependency_mismatch"
	// DependencyTampered means that evidence contradicts the bytes of a dependency.
	DependencyTampered Code = "dependency_tampered"
	// ContentUnverified means that no evidence proves the bytes of a dependency.
	ContentUnverified Code = "content_unverified"

	// Unavailable means that a source could not answer: 429, 5xx, DNS, TLS, a cut connection.
	Unavailable Code = "unavailable"
	// Denied means that a source answered 401 or 403.
	Denied Code = "denied"
	// Timeout means that a deadline of ours passed.
	Timeout Code = "timeout"
	// Internal means that a check failed in a way that is our fault; it is logged and counted.
	Internal Code = "internal"
)

// An Outcome is one of three: absence or contradiction is a rejection, an
// outage is not.
type Outcome string

// The outcomes.
const (
	Verified  Outcome = "verified"
	Rejected  Outcome = "rejected"
	Undecided Outcome = "undecided"
)

// Outcome is the outcome that c stands for.
func (c Code) Outcome() Outcome {
	switch c {
	case OK:
		return Verified
	case Unavailable, Denied, Timeout, Internal:
		return Undecided
	}
	return Rejected
}

// An Error is a failure with a code. Its text is safe to show: whoever makes
// one quotes foreign text with %q and puts no secret into it.
type Error struct {
	Code   Code
	Reason string
	err    error
}

func (e *Error) Error() string { return e.Reason }

// Unwrap gives the error that %w wrapped, if any.
func (e *Error) Unwrap() error { return e.err }

// Errorf makes an Error with code. A %w in format is kept for errors.Is, but
// never changes the code.
func Errorf(code Code, format string, args ...any) error {
	err := fmt.Errorf(format, args...)
	return &Error{Code: code, Reason: err.Error(), err: errors.Unwrap(err)}
}

// CodeOf is the code of err: that of the outermost [Error], OK for nil, and
// Internal for an error that nobody gave a code.
func CodeOf(err error) Code {
	if err == nil {
		return OK
	}
	var coded *Error
	if errors.As(err, &coded) {
		return coded.Code
	}
	return Internal
}
