// SPDX-License-Identifier: Apache-2.0

package vsig

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"time"

	"github.com/cyberphone/json-canonicalization/go/src/webpki.org/jsoncanonicalizer"
	commonpb "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	rekorpb "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"
	tilespb "github.com/sigstore/rekor-tiles/v2/pkg/generated/protobuf"
	rekornote "github.com/sigstore/rekor-tiles/v2/pkg/note"
	"github.com/sigstore/rekor/pkg/util"
	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/sigstore/sigstore/pkg/signature/options"
	"golang.org/x/mod/sumdb/note"
	"google.golang.org/protobuf/encoding/protojson"
)

// A Log is a transparency log. Its entries prove themselves: by a promise and
// an inclusion proof in a small tree.
type Log struct {
	host string
	key  *ecdsa.PrivateKey
}

// NewLog is a log that no root names.
func NewLog() *Log { return &Log{host: "rekor.elsewhere.example.com", key: newKey()} }

func (l *Log) url() string { return "https://" + l.host }

// Enter makes an entry as Rekor v1 does: a dsse entry for an envelope, else a
// hashedrekord, integrated at the given time.
func (l *Log) Enter(sig *Signature, at time.Time) *rekorpb.TransparencyLogEntry {
	kind, body := entryV1(sig)
	tle := &rekorpb.TransparencyLogEntry{
		LogIndex: 1, LogId: &commonpb.LogId{KeyId: keyID(l.key)},
		KindVersion:       &rekorpb.KindVersion{Kind: kind, Version: "0.0.1"},
		IntegratedTime:    at.Unix(),
		CanonicalizedBody: body,
	}
	tle.InclusionPromise = &rekorpb.InclusionPromise{SignedEntryTimestamp: l.promise(tle)}
	sibling, rootHash := tree(body)
	checkpoint := must(util.CreateAndSignCheckpoint(context.Background(), l.host, 1, 2, rootHash, l.signer()))
	tle.InclusionProof = proof(sibling, rootHash, string(checkpoint))
	return tle
}

// EnterV2 makes an entry as Rekor v2 does: a hashedrekord for anything, with
// a proof, without promise and without a time.
func (l *Log) EnterV2(sig *Signature) *rekorpb.TransparencyLogEntry {
	body := entryV2(sig)
	sibling, rootHash := tree(body)
	text := l.host + "\n2\n" + base64.StdEncoding.EncodeToString(rootHash) + "\n"
	noteSigner := must(rekornote.NewNoteSigner(context.Background(), l.host, l.signer()))
	checkpoint := must(note.Sign(&note.Note{Text: text}, noteSigner))
	return &rekorpb.TransparencyLogEntry{
		LogIndex: 1, LogId: &commonpb.LogId{KeyId: keyID(l.key)},
		KindVersion:       &rekorpb.KindVersion{Kind: "hashedrekord", Version: "0.0.2"},
		CanonicalizedBody: body,
		InclusionProof:    proof(sibling, rootHash, string(checkpoint)),
	}
}

func (l *Log) signer() signature.SignerVerifier {
	return must(signature.LoadECDSASignerVerifier(l.key, crypto.SHA256))
}

// promise is the signed entry timestamp.
func (l *Log) promise(tle *rekorpb.TransparencyLogEntry) []byte {
	payload := must(json.Marshal(map[string]any{
		"body": base64.StdEncoding.EncodeToString(tle.CanonicalizedBody), "integratedTime": tle.IntegratedTime,
		"logIndex": tle.LogIndex, "logID": hex.EncodeToString(tle.LogId.KeyId),
	}))
	sum := sha256.Sum256(must(jsoncanonicalizer.Transform(payload)))
	return must(ecdsa.SignASN1(rand.Reader, l.key, sum[:]))
}

// tree is a log of two leaves, of which the second is ours.
func tree(body []byte) (sibling, rootHash []byte) {
	leaf, other := sha256.Sum256(append([]byte{0}, body...)), sha256.Sum256([]byte("an older entry"))
	node := sha256.Sum256(append(append([]byte{1}, other[:]...), leaf[:]...))
	return other[:], node[:]
}

func proof(sibling, rootHash []byte, checkpoint string) *rekorpb.InclusionProof {
	return &rekorpb.InclusionProof{
		LogIndex: 1, TreeSize: 2, RootHash: rootHash, Hashes: [][]byte{sibling},
		Checkpoint: &rekorpb.Checkpoint{Envelope: checkpoint},
	}
}

func entryV1(sig *Signature) (kind string, body []byte) {
	if sig.envelope() {
		return "dsse", canonical("dsse", map[string]any{
			"envelopeHash": hashOf(must(json.Marshal(string(sig.Payload)))),
			"payloadHash":  hashOf(sig.Payload),
			"signatures":   []any{map[string]any{"signature": base64.StdEncoding.EncodeToString(sig.Raw), "verifier": base64.StdEncoding.EncodeToString(sig.Signer.pem())}},
		})
	}
	hash := hashOf(sig.Payload)
	if sig.MessageDigest != nil {
		hash = map[string]any{"algorithm": sig.hashName(), "value": hex.EncodeToString(sig.MessageDigest)}
	}
	return "hashedrekord", canonical("hashedrekord", map[string]any{
		"data":      map[string]any{"hash": hash},
		"signature": map[string]any{"content": base64.StdEncoding.EncodeToString(sig.Raw), "publicKey": map[string]any{"content": base64.StdEncoding.EncodeToString(sig.Signer.pem())}},
	})
}

func canonical(kind string, spec any) []byte {
	return must(json.Marshal(map[string]any{"apiVersion": "0.0.1", "kind": kind, "spec": spec}))
}

func hashOf(b []byte) map[string]any {
	sum := sha256.Sum256(b)
	return map[string]any{"algorithm": "sha256", "value": hex.EncodeToString(sum[:])}
}

func entryV2(sig *Signature) []byte {
	details := must(signature.GetDefaultAlgorithmDetails(sig.Signer.Key.Public(), options.WithED25519ph()))
	h := details.GetHashType().New()
	h.Write(sig.signed())
	entry := &tilespb.Entry{
		ApiVersion: "0.0.2", Kind: "hashedrekord",
		Spec: &tilespb.Spec{Spec: &tilespb.Spec_HashedRekordV002{HashedRekordV002: &tilespb.HashedRekordLogEntryV002{
			Data:      &commonpb.HashOutput{Algorithm: details.GetProtoHashType(), Digest: h.Sum(nil)},
			Signature: &tilespb.Signature{Content: sig.Raw, Verifier: verifierV2(sig.Signer, details.GetSignatureAlgorithm())},
		}}},
	}
	return must(jsoncanonicalizer.Transform(must(protojson.Marshal(entry))))
}

func verifierV2(s *Signer, details commonpb.PublicKeyDetails) *tilespb.Verifier {
	v := &tilespb.Verifier{KeyDetails: details, Verifier: &tilespb.Verifier_PublicKey{PublicKey: &tilespb.PublicKey{RawBytes: pkixBytes(s.Key.Public())}}}
	if s.Certificate != nil {
		v.Verifier = &tilespb.Verifier_X509Certificate{X509Certificate: &commonpb.X509Certificate{RawBytes: s.Certificate.Raw}}
	}
	return v
}

func certificatePEM(certs ...*x509.Certificate) []byte {
	var out []byte
	for _, c := range certs {
		out = append(out, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})...)
	}
	return out
}
