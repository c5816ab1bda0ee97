// SPDX-License-Identifier: Apache-2.0

package vsig

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"time"

	"github.com/digitorus/timestamp"
	"github.com/secure-systems-lab/go-securesystemslib/dsse"
	bundlepb "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	commonpb "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	dssepb "github.com/sigstore/protobuf-specs/gen/pb-go/dsse"
	rekorpb "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"
	"google.golang.org/protobuf/encoding/protojson"
)

// SignPredicate is the predicate type of a statement that is a signature.
const SignPredicate = "https://sigstore.dev/cosign/sign/v1"

const intoto = "application/vnd.in-toto+json"

// A Signer signs with its key, as cosign does with keys of that kind. With a
// Certificate it is keyless.
type Signer struct {
	Key         crypto.Signer
	Certificate *x509.Certificate
	Chain       []*x509.Certificate // above the certificate
	Hash        crypto.Hash         // another than cosign's for this key
	Pure        bool                // Ed25519 without prehash
}

// WithKey is a signer with a bare key.
func WithKey(key crypto.Signer) *Signer { return &Signer{Key: key} }

// PublicKey is the signer's key as PEM.
func (s *Signer) PublicKey() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: pkixBytes(s.Key.Public())})
}

// pem is what a log shows of the signer.
func (s *Signer) pem() []byte {
	if s.Certificate != nil {
		return certificatePEM(s.Certificate)
	}
	return s.PublicKey()
}

func (s *Signer) hash() crypto.Hash {
	if s.Hash != 0 {
		return s.Hash
	}
	switch key := s.Key.Public().(type) {
	case *ecdsa.PublicKey:
		return map[int]crypto.Hash{256: crypto.SHA256, 384: crypto.SHA384, 521: crypto.SHA512}[key.Params().BitSize]
	case ed25519.PublicKey:
		return crypto.SHA512
	}
	return crypto.SHA256
}

// Sign signs a message.
func (s *Signer) Sign(message []byte) []byte {
	if s.Pure {
		return must(s.Key.Sign(rand.Reader, message, crypto.Hash(0)))
	}
	h := s.hash().New()
	h.Write(message)
	return must(s.Key.Sign(rand.Reader, h.Sum(nil), s.hash()))
}

// A Signature is a signature and all that speaks for it, not yet written down.
type Signature struct {
	Signer        *Signer
	Payload       []byte
	PayloadType   string // of an envelope; "" if the payload itself is signed
	MessageDigest []byte // what a blob bundle says the digest is
	Raw           []byte
	Entries       []*rekorpb.TransparencyLogEntry
	Stamps        [][]byte
}

func (sig *Signature) envelope() bool { return sig.PayloadType != "" }

// signed is what the signature is over.
func (sig *Signature) signed() []byte {
	if sig.envelope() {
		return dsse.PAE(sig.PayloadType, sig.Payload)
	}
	return sig.Payload
}

func (sig *Signature) hashName() string {
	return map[crypto.Hash]string{crypto.SHA256: "sha256", crypto.SHA384: "sha384", crypto.SHA512: "sha512"}[sig.Signer.hash()]
}

// Statement signs an in-toto statement about the subject with this digest
// ("sha256:…"), as cosign v3 does.
func (s *Signer) Statement(digest, predicateType string, annotations map[string]string) *Signature {
	subject := map[string]any{"digest": map[string]string{digest[:len("sha256")]: digest[len("sha256:"):]}}
	if annotations != nil {
		subject["annotations"] = annotations
	}
	return s.Envelope(must(json.Marshal(map[string]any{
		"_type": "https://in-toto.io/Statement/v1", "predicateType": predicateType, "predicate": map[string]any{}, "subject": []any{subject},
	})))
}

// Envelope signs any text as if it were a statement.
func (s *Signer) Envelope(payload []byte) *Signature {
	sig := &Signature{Signer: s, Payload: payload, PayloadType: intoto}
	sig.Raw = s.Sign(sig.signed())
	return sig
}

// Blob signs an archive itself, as cosign sign-blob does.
func (s *Signer) Blob(artifact []byte) *Signature {
	h := s.hash().New()
	h.Write(artifact)
	return &Signature{Signer: s, Payload: artifact, MessageDigest: h.Sum(nil), Raw: s.Sign(artifact)}
}

// Simple signs a simple signing payload, as cosign v1 and v2 do.
func (s *Signer) Simple(reference, digest string, optional map[string]string) *Signature {
	return s.Text(must(json.Marshal(map[string]any{
		"critical": map[string]any{
			"identity": map[string]string{"docker-reference": reference},
			"image":    map[string]string{"docker-manifest-digest": digest},
			"type":     "cosign container image signature",
		},
		"optional": optional,
	})))
}

// Text signs any text as if it were a simple signing payload.
func (s *Signer) Text(payload []byte) *Signature {
	return &Signature{Signer: s, Payload: payload, Raw: s.Sign(payload)}
}

// Log enters the signature into a log of version 1.
func (sig *Signature) Log(l *Log, at time.Time) *Signature {
	sig.Entries = append(sig.Entries, l.Enter(sig, at))
	return sig
}

// LogV2 enters the signature into a log of version 2.
func (sig *Signature) LogV2(l *Log) *Signature {
	sig.Entries = append(sig.Entries, l.EnterV2(sig))
	return sig
}

// Stamp adds a timestamp of the instance's authority.
func (sig *Signature) Stamp(s *Sigstore, at time.Time) *Signature {
	sum := sha256.Sum256(sig.Raw)
	stamp := timestamp.Timestamp{
		HashAlgorithm: crypto.SHA256, HashedMessage: sum[:], Time: at.UTC(),
		Policy: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 57264, 2},
	}
	sig.Stamps = append(sig.Stamps, must(stamp.CreateResponseWithOpts(s.stamp.Certificate, s.stamp.key, crypto.SHA256)))
	return sig
}

// Edit changes the signature on its way.
func (sig *Signature) Edit(edit func(*Signature)) *Signature {
	edit(sig)
	return sig
}

// Proto is the signature as a bundle of a version: "0.1", "0.2" or "0.3".
func (sig *Signature) Proto(version string) *bundlepb.Bundle {
	b := &bundlepb.Bundle{
		MediaType:            "application/vnd.dev.sigstore.bundle+json;version=" + version,
		VerificationMaterial: &bundlepb.VerificationMaterial{TlogEntries: sig.Entries},
	}
	if version == "0.3" {
		b.MediaType = "application/vnd.dev.sigstore.bundle.v0.3+json"
	}
	sig.describeSigner(b.VerificationMaterial, version)
	for _, stamp := range sig.Stamps {
		if b.VerificationMaterial.TimestampVerificationData == nil {
			b.VerificationMaterial.TimestampVerificationData = &bundlepb.TimestampVerificationData{}
		}
		data := b.VerificationMaterial.TimestampVerificationData
		data.Rfc3161Timestamps = append(data.Rfc3161Timestamps, &commonpb.RFC3161SignedTimestamp{SignedTimestamp: stamp})
	}
	if sig.envelope() {
		b.Content = &bundlepb.Bundle_DsseEnvelope{DsseEnvelope: &dssepb.Envelope{
			Payload: sig.Payload, PayloadType: sig.PayloadType, Signatures: []*dssepb.Signature{{Sig: sig.Raw}},
		}}
		return b
	}
	algorithm := map[string]commonpb.HashAlgorithm{"sha256": commonpb.HashAlgorithm_SHA2_256, "sha384": commonpb.HashAlgorithm_SHA2_384, "sha512": commonpb.HashAlgorithm_SHA2_512}[sig.hashName()]
	b.Content = &bundlepb.Bundle_MessageSignature{MessageSignature: &commonpb.MessageSignature{
		MessageDigest: &commonpb.HashOutput{Algorithm: algorithm, Digest: sig.MessageDigest}, Signature: sig.Raw,
	}}
	return b
}

func (sig *Signature) describeSigner(m *bundlepb.VerificationMaterial, version string) {
	cert := sig.Signer.Certificate
	switch {
	case cert == nil:
		sum := sha256.Sum256(pkixBytes(sig.Signer.Key.Public()))
		m.Content = &bundlepb.VerificationMaterial_PublicKey{PublicKey: &commonpb.PublicKeyIdentifier{Hint: base64.StdEncoding.EncodeToString(sum[:])}}
	case version == "0.3":
		m.Content = &bundlepb.VerificationMaterial_Certificate{Certificate: &commonpb.X509Certificate{RawBytes: cert.Raw}}
	default:
		m.Content = &bundlepb.VerificationMaterial_X509CertificateChain{X509CertificateChain: &commonpb.X509CertificateChain{
			Certificates: []*commonpb.X509Certificate{{RawBytes: cert.Raw}},
		}}
	}
}

// Bundle is the signature as the JSON of a bundle.
func (sig *Signature) Bundle(version string) []byte {
	return must(protojson.Marshal(sig.Proto(version)))
}

// Layer is the signature as a layer of the .sig manifest: the payload and the
// layer's annotations.
func (sig *Signature) Layer() (payload []byte, annotations map[string]string) {
	annotations = map[string]string{"dev.cosignproject.cosign/signature": base64.StdEncoding.EncodeToString(sig.Raw)}
	if sig.Signer.Certificate != nil {
		annotations["dev.sigstore.cosign/certificate"] = string(certificatePEM(sig.Signer.Certificate))
		annotations["dev.sigstore.cosign/chain"] = string(certificatePEM(sig.Signer.Chain...))
	}
	for _, entry := range sig.Entries {
		annotations["dev.sigstore.cosign/bundle"] = string(must(json.Marshal(map[string]any{
			"SignedEntryTimestamp": entry.GetInclusionPromise().GetSignedEntryTimestamp(),
			"Payload": map[string]any{
				"body": base64.StdEncoding.EncodeToString(entry.CanonicalizedBody), "integratedTime": entry.IntegratedTime,
				"logIndex": entry.LogIndex, "logID": hex.EncodeToString(entry.LogId.KeyId),
			},
		})))
	}
	for _, stamp := range sig.Stamps {
		annotations["dev.sigstore.cosign/rfc3161timestamp"] = string(must(json.Marshal(map[string]any{"SignedRFC3161Timestamp": stamp})))
	}
	return bytes.Clone(sig.Payload), annotations
}
