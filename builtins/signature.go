// SPDX-License-Identifier: Apache-2.0

package builtins

import (
	"context"
	"time"

	"github.com/chartseal/chartseal/builtins/chartref"
)

// A Registered is an [Artifact] in a registry, where signatures can be
// attached to it.
type Registered interface {
	Artifact
	// Signed looks at once through every place where signatures of the
	// artifact are kept, and answers for each. They lie in the artifact's own
	// repository or, if that is not the zero Ref, in another one.
	Signed(ctx context.Context, elsewhere chartref.Ref) Signed
}

// ResolveSigned is [Source.Resolve] for who will ask for signatures, which some
// sources look for at the same time.
func ResolveSigned(ctx context.Context, from Source, ref chartref.Ref) (Artifact, error) {
	if both, ok := from.(interface {
		ResolveSigned(context.Context, chartref.Ref) (Artifact, error)
	}); ok {
		return both.ResolveSigned(ctx, ref)
	}
	return from.Resolve(ctx, ref)
}

// Signed is an artifact by name, with the signatures that were found.
type Signed struct {
	// Name and Version are the chart's, from the manifest's annotations or,
	// where these do not say, from its config. Unnamed is why they are not
	// known, among others NotAChart.
	Name, Version string
	Unnamed       error

	Places []SignaturePlace
	// Fresh is for how long what the places list may still serve; not positive
	// if they are to be asked again each time.
	Fresh time.Duration
}

// A SignaturePlace is one of the places where signatures are kept.
type SignaturePlace struct {
	Name       string // "referrers", "fallback tag", ".sig tag"
	Signatures []StoredSignature
	Err        error // why it could not be listed; nil for a place that has nothing
}

// A StoredSignature is a signature as it is stored: a sigstore bundle, or a
// signed payload with the annotations of its layer.
type StoredSignature struct {
	Digest      string // of the blob that holds it
	Bundle      []byte
	Payload     []byte
	Annotations map[string]string

	// Err says instead why it could not be read, with the codes of [Source]
	// and MalformedBundle.
	Err error
}

// A NotChartError is the NotAChart of [Source.Resolve] for what a registry
// holds. Its Artifact is resolved, and can have signatures like any other.
type NotChartError struct {
	Artifact Registered
	Err      error
}

func (e *NotChartError) Error() string { return e.Err.Error() }

// Unwrap gives the error with the code.
func (e *NotChartError) Unwrap() error { return e.Err }
