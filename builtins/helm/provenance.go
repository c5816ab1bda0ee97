// SPDX-License-Identifier: Apache-2.0

// Package helm verifies Helm's provenance files: that a chart is the one, byte
// by byte and by name, that the holder of a trusted key has signed.
//
// [VerifyProvenance] is the verification itself: bytes and trust in, a
// [Provenance] or an error with a code out. [VerifyProv] is the check around
// it, helm.verify_prov.
package helm

import (
	"bytes"
	"regexp"
	"strings"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp/packet"
	"helm.sh/helm/v3/pkg/chart"

	"github.com/chartseal/chartseal/builtins"
	"github.com/chartseal/chartseal/builtins/archive"
	"github.com/chartseal/chartseal/builtins/chartref"
)

// A Subject is the chart that a provenance has to be about.
type Subject struct {
	Digest   string          // sha256:<hex> of the archive's bytes
	Metadata *chart.Metadata // read from the same bytes, as [archive.Read] does
	FileName string          // of the archive, "" where it has none
	Config   *chart.Metadata // the registry's copy of it, nil where there is none

	Name, Version string // what was asked for, "" for any

	unreadable, badConfig error // why there is no Metadata, no Config
}

// A Provenance is what trusted signers have said about a chart.
type Provenance struct {
	Metadata *chart.Metadata
	FileName string
	Digest   string
	Signers  []builtins.Signer
}

// VerifyProvenance decides whether prov is the provenance of subject, signed
// as trust demands, at the given time.
//
//   - If prov is not one cleartext-signed message over two strict YAML
//     documents, the code is MalformedProvenance; TooLarge and TooMany if it
//     or its signatures exceed limits.
//   - If too few signatures count, see the codes at [Trust] and below: a key
//     that is unknown, not listed, or not meant to sign is UntrustedSigner; an
//     expired one KeyExpired, a revoked one KeyRevoked; a signature or key
//     that is too weak WeakAlgorithm; any other fault of a signature
//     BadSignature; fewer signers than needed Threshold.
//   - If the bytes of the archive are not those that were signed, the code is
//     DigestMismatch.
//   - If the signed metadata differ from the chart's, or from the registry's
//     copy, the code is NameMismatch, VersionMismatch or MetadataMismatch.
//   - If the file name, signed or actual, is not name-version.tgz, or the
//     chart is not the one asked for, the code is NameMismatch or VersionMismatch.
func VerifyProvenance(subject Subject, prov []byte, trust Trust, limits builtins.Limits, at time.Time) (*Provenance, error) {
	claim, err := ParseProvenance(prov, limits)
	if err != nil {
		return nil, err
	}
	return claim.verify(subject, trust, at, new(builtins.Report))
}

// verify reports each step as it goes.
func (u *Unverified) verify(s Subject, trust Trust, at time.Time, rep *builtins.Report) (*Provenance, error) {
	signers, err := u.signed.signers(trust, at)
	if err != nil {
		return nil, rep.Step("provenance signature", err)
	}
	rep.Pass("provenance signature", signedBy(signers))
	rep.Evidence = builtins.Signatures{Signers: signers}
	for _, binding := range []struct {
		step string
		hold func(*Unverified, Subject) (skipped string, err error)
	}{
		{"archive digest", (*Unverified).bindDigest},
		{"chart metadata", (*Unverified).bindMetadata},
		{"registry config", (*Unverified).bindConfig},
		{"file name", (*Unverified).bindFileName},
		{"requested chart", (*Unverified).bindRequest},
	} {
		skipped, err := binding.hold(u, s)
		if skipped != "" {
			rep.Skip(binding.step, skipped)
		} else if rep.Step(binding.step, err) != nil {
			return nil, err
		}
	}
	return &Provenance{Metadata: u.Metadata, FileName: u.FileName, Digest: u.Digest, Signers: signers}, nil
}

func signedBy(signers []builtins.Signer) string {
	var by []string
	for _, s := range signers {
		by = append(by, s.Fingerprint+" at "+s.SignedAt)
	}
	return "signed by " + strings.Join(by, ", ")
}

// Unverified is what a provenance file says before anybody has looked at its
// signatures.
type Unverified struct {
	Metadata *chart.Metadata
	FileName string // the one in its sums
	Digest   string // sha256:<hex> of that file

	signed signed
}

// ParseProvenance reads a provenance file: one cleartext-signed message, with
// nothing around it, over the chart's metadata and the sum of one file, two
// strict YAML documents. The signatures are counted and not checked. All that
// it refuses is MalformedProvenance, but for a file above limits.Provenance,
// TooLarge, more than limits.ProvenanceSignatures signatures, TooMany, and a
// signature block that is not well framed, BadSignature.
func ParseProvenance(prov []byte, limits builtins.Limits) (*Unverified, error) {
	if int64(len(prov)) > limits.Provenance {
		return nil, builtins.Errorf(builtins.TooLarge, "provenance exceeds the limit of %d bytes", limits.Provenance)
	}
	message, err := parseCleartext(prov)
	if err != nil {
		return nil, err
	}
	signatures, err := splitSignatures(message.armor, limits.ProvenanceSignatures)
	if err != nil {
		return nil, err
	}
	if len(signatures) == 0 {
		return nil, malformed("provenance holds no signature")
	}
	metadata, sums, found := bytes.Cut(message.text, []byte("\n...\n"))
	if !found || bytes.Contains(sums, []byte("\n...\n")) {
		return nil, malformed("signed text is not two documents, metadata and sums")
	}
	u := &Unverified{signed: signed{message.signed, packet.SigTypeText, signatures}}
	if u.Metadata, err = archive.ParseMetadata(metadata); err != nil {
		return nil, malformed("signed metadata: %w", err)
	}
	if u.FileName, u.Digest, err = parseSums(sums); err != nil {
		return nil, err
	}
	return u, nil
}

var sha256Sum = regexp.MustCompile(`\Asha256:[0-9a-f]{64}\z`)

// parseSums reads `files: {name: sha256:<hex>}` with exactly one name. Helm
// writes no other member.
func parseSums(text []byte) (file, digest string, err error) {
	var sums map[string]map[string]string
	if err := archive.StrictYAML(text, &sums); err != nil {
		return "", "", malformed("signed sums: %w", err)
	}
	files, ok := sums["files"]
	if !ok || len(sums) != 1 || len(files) != 1 {
		return "", "", malformed("signed sums are not the sum of one file, and only that")
	}
	for name, sum := range files {
		if !sha256Sum.MatchString(sum) {
			return "", "", malformed("signed sum %q is not sha256: and 64 lower-case hexadecimal digits", builtins.Clip(sum))
		}
		file, digest = name, sum
	}
	return file, digest, nil
}

func (u *Unverified) bindDigest(s Subject) (skipped string, err error) {
	if s.Digest != u.Digest {
		return "", builtins.Errorf(builtins.DigestMismatch, "archive is %s, provenance says %s", s.Digest, u.Digest)
	}
	return "", nil
}

func (u *Unverified) bindMetadata(s Subject) (skipped string, err error) {
	if s.unreadable != nil {
		return "", s.unreadable
	}
	return "", compare(u.Metadata, s.Metadata, "signed", "in the archive")
}

func (u *Unverified) bindConfig(s Subject) (skipped string, err error) {
	switch {
	case s.badConfig != nil:
		return "", builtins.Errorf(builtins.MetadataMismatch, "registry config: %w", s.badConfig)
	case s.Config == nil:
		return "chart is in no registry", nil
	}
	return "", compare(s.Config, s.Metadata, "in the registry config", "in the archive")
}

// compare compares metadata as data. Those of an apiVersion v1 chart may come
// without dependencies: they are written in another file, and clients before
// Helm 3 did not sign them.
func compare(a, b *chart.Metadata, inA, inB string) error {
	if b.APIVersion == chart.APIVersionV1 && a.Dependencies == nil {
		without := *b
		without.Dependencies = nil
		b = &without
	}
	field, valueA, valueB := archive.DiffMetadata(a, b)
	code := builtins.MetadataMismatch
	switch {
	case field == "":
		return nil
	case a.Name != b.Name:
		code, field, valueA, valueB = builtins.NameMismatch, "name", a.Name, b.Name
	case a.Version != b.Version:
		code, field, valueA, valueB = builtins.VersionMismatch, "version", a.Version, b.Version
	}
	return builtins.Errorf(code, "%s is %q %s, %q %s", field, builtins.Clip(valueA), inA, builtins.Clip(valueB), inB)
}

func (u *Unverified) bindFileName(s Subject) (skipped string, err error) {
	if err := named(u.FileName, u.Metadata, "signed"); err != nil || s.FileName == "" {
		return "", err
	}
	return "", named(s.FileName, u.Metadata, "actual")
}

// named compares a file name with the one that Helm gives a chart. A file of
// the right name with another version in it claims another version.
func named(file string, m *chart.Metadata, which string) error {
	want := m.Name + "-" + m.Version + ".tgz"
	if file == want {
		return nil
	}
	code := builtins.NameMismatch
	if version, ok := strings.CutPrefix(strings.TrimSuffix(file, ".tgz"), m.Name+"-"); ok && chartref.Version(version) {
		code = builtins.VersionMismatch
	}
	return builtins.Errorf(code, "%s file name is %q, the signed chart's is %q", which, builtins.Clip(file), builtins.Clip(want))
}

func (u *Unverified) bindRequest(s Subject) (skipped string, err error) {
	switch {
	case s.Name == "" && s.Version == "":
		return "reference and options ask for no name or version", nil
	case s.Name != "" && s.Name != u.Metadata.Name:
		return "", builtins.Errorf(builtins.NameMismatch, "%q was asked for, the signed chart is %q", builtins.Clip(s.Name), builtins.Clip(u.Metadata.Name))
	case s.Version != "" && !chartref.SameVersion(u.Metadata.Version, s.Version):
		return "", builtins.Errorf(builtins.VersionMismatch, "version %q was asked for, the signed chart is %q", builtins.Clip(s.Version), builtins.Clip(u.Metadata.Version))
	case s.Version == "":
		return "the name is as asked for, and no version was asked for", nil
	}
	return "", nil
}
