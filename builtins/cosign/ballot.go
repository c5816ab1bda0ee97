// SPDX-License-Identifier: Apache-2.0

package cosign

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/chartseal/chartseal/builtins"
)

// A ballot counts signatures, in whatever order they come.
type ballot struct {
	rep      *builtins.Report
	signers  []builtins.Signer // one of each
	failures []error           // why others do not count
	places   []error           // why there may be more
}

func newBallot(rep *builtins.Report) *ballot { return &ballot{rep: rep} }

// fail records that a place could not be read to its end.
func (b *ballot) fail(place builtins.SignaturePlace) {
	if place.Err != nil {
		b.places = append(b.places, builtins.Errorf(builtins.CodeOf(place.Err), "%s: %w", place.Name, place.Err))
	}
}

// add counts one signature. One that could not be fetched is as a place that
// gave no answer.
func (b *ballot) add(digest string, verify func() (builtins.Signer, error)) {
	signer, err := verify()
	if err == nil {
		b.signers = append(b.signers, signer)
		return
	}
	err = builtins.Errorf(builtins.CodeOf(err), "signature %s: %w", digest, err)
	if builtins.CodeOf(err).Outcome() == builtins.Undecided {
		b.places = append(b.places, err)
		return
	}
	b.failures = append(b.failures, err)
}

// progress are the codes of signatures that do not count, the nearest to one
// that does last. Whether it is somebody's whom nobody asked for comes first.
var progress = []builtins.Code{
	builtins.NoSignature, builtins.MalformedBundle, builtins.TooLarge, builtins.TooMany, builtins.DigestMismatch,
	builtins.UntrustedSigner, builtins.IdentityMismatch,
	builtins.WeakAlgorithm, builtins.BadSignature,
	builtins.TransparencyLog, builtins.Timestamp, builtins.Certificate,
	builtins.PayloadMismatch, builtins.AnnotationMismatch,
}

// decide says whether enough different signers have signed. If not, it is the
// code of, in this order: a place that gave no answer, one that cannot be
// read, the threshold if anybody signed, the signature that came nearest to
// counting, and NoSignature.
func (b *ballot) decide(threshold int) error {
	b.distinct()
	b.rep.Evidence = builtins.Signatures{Signers: b.signers}
	b.mention()
	if len(b.signers) >= threshold {
		return nil
	}
	for _, undecided := range []bool{true, false} {
		for _, err := range b.places {
			if (builtins.CodeOf(err).Outcome() == builtins.Undecided) == undecided {
				return err
			}
		}
	}
	switch {
	case len(b.signers) > 0:
		return builtins.Errorf(builtins.Threshold, "%d different signers, want %d", len(b.signers), threshold)
	case len(b.failures) > 0:
		return b.failures[0]
	}
	return builtins.Errorf(builtins.NoSignature, "no signature is stored anywhere")
}

// distinct keeps one signature of each signer, the earliest, and puts
// everything into an order that does not depend on who answered first.
func (b *ballot) distinct() {
	slices.SortFunc(b.signers, func(x, y builtins.Signer) int {
		return cmp.Or(cmp.Compare(signerID(x), signerID(y)), cmp.Compare(x.SignedAt, y.SignedAt), cmp.Compare(x.Claims.RunURL, y.Claims.RunURL))
	})
	b.signers = slices.CompactFunc(b.signers, func(x, y builtins.Signer) bool { return signerID(x) == signerID(y) })
	for _, errs := range [][]error{b.failures, b.places} {
		slices.SortFunc(errs, func(x, y error) int {
			return cmp.Or(nearness(y)-nearness(x), cmp.Compare(x.Error(), y.Error()))
		})
	}
}

func nearness(err error) int { return slices.Index(progress, builtins.CodeOf(err)) }

// signerID tells keys apart by fingerprint and identities by issuer and subject.
func signerID(s builtins.Signer) string {
	return fmt.Sprintf("%s %s %q %q", s.Kind, s.Fingerprint, s.Issuer, s.Subject)
}

// maxMentioned is how many signatures that do not count the report names.
const maxMentioned = 5

// mention says of signatures that do not count why that is.
func (b *ballot) mention() {
	for i, err := range b.failures {
		if i == maxMentioned {
			b.rep.Skip("signature", fmt.Sprintf("%d more do not count", len(b.failures)-i))
			return
		}
		b.rep.Skip("signature", string(builtins.CodeOf(err))+": "+err.Error())
	}
}

func (b *ballot) summary() string {
	return fmt.Sprintf("%d different signers", len(b.signers))
}
