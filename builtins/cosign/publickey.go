// SPDX-License-Identifier: Apache-2.0

package cosign

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/sigstore/sigstore/pkg/cryptoutils"
	"github.com/sigstore/sigstore/pkg/signature"

	"github.com/chartseal/chartseal/builtins"
)

// The sizes of RSA keys that may sign. A certificate is its author's work until
// its chain is proven, and the time that a key takes grows with its square.
const (
	minRSABits = 2048
	maxRSABits = 8192
)

// A PublicKey is a key that may sign.
type PublicKey struct {
	Name        string // in the trust store; "" if inline
	Fingerprint string // sha256:<hex> of its PKIX form
	Algorithm   string // "ecdsa-p256", "ed25519", "rsa3072"
	Key         crypto.PublicKey
}

// ParsePublicKey reads a key written as PEM: exactly one block with nothing
// around it, holding an ECDSA key on P-256, P-384 or P-521, an Ed25519 key, or
// an RSA key of at least 2048 bits.
//
// A reference to a key that lies elsewhere, as cosign takes them, is refused:
// a file, URL, environment variable, Kubernetes Secret or KMS. Such a key
// belongs into a file of the trust store.
func ParsePublicKey(raw []byte) (*PublicKey, error) {
	if scheme := keyScheme(string(raw)); scheme != "" {
		return nil, elsewhere(scheme)
	}
	block, rest := pem.Decode(raw)
	switch {
	case block == nil || !bytes.HasPrefix(bytes.TrimSpace(raw), []byte("-----BEGIN ")):
		return nil, errors.New("a public key is written as PEM and starts with -----BEGIN PUBLIC KEY-----")
	case len(bytes.TrimSpace(rest)) > 0:
		return nil, errors.New("more follows the first PEM block; name further keys in public_keys")
	case strings.Contains(block.Type, "PRIVATE KEY"):
		return nil, fmt.Errorf("the PEM block is a %s; only public keys belong into policies", builtins.Clip(block.Type))
	}
	key, err := cryptoutils.UnmarshalPEMToPublicKey(raw)
	if err != nil {
		return nil, fmt.Errorf("reading the PEM block %q: %w", builtins.Clip(block.Type), err)
	}
	return describe(key)
}

// keyScheme is the scheme of a key reference like k8s://namespace/secret.
func keyScheme(s string) string {
	scheme, _, found := strings.Cut(s, "://")
	if !found || len(scheme) > 32 || strings.ContainsAny(scheme, " \n-") {
		return ""
	}
	return scheme
}

func elsewhere(scheme string) error {
	return fmt.Errorf("a key reference like %q is not followed; put the public key into the trust store and name it in public_keys", scheme+"://…")
}

func describe(key crypto.PublicKey) (*PublicKey, error) {
	algorithm, err := algorithmOf(key)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(der)
	return &PublicKey{Key: key, Algorithm: algorithm, Fingerprint: "sha256:" + hex.EncodeToString(sum[:])}, nil
}

func algorithmOf(key crypto.PublicKey) (string, error) {
	switch key := key.(type) {
	case *ecdsa.PublicKey:
		switch key.Curve {
		case elliptic.P256():
			return "ecdsa-p256", nil
		case elliptic.P384():
			return "ecdsa-p384", nil
		case elliptic.P521():
			return "ecdsa-p521", nil
		}
		return "", errors.New("an ECDSA key must be on P-256, P-384 or P-521")
	case ed25519.PublicKey:
		return "ed25519", nil
	case *rsa.PublicKey:
		if bits := key.N.BitLen(); bits < minRSABits || bits > maxRSABits {
			return "", fmt.Errorf("an RSA key has %d bits, want %d to %d", bits, minRSABits, maxRSABits)
		}
		return fmt.Sprintf("rsa%d", key.N.BitLen()), nil
	}
	return "", fmt.Errorf("a %T is none of the keys that may sign: ECDSA, Ed25519, RSA", key)
}

// hashes are the values of the option digest_algorithm.
var hashes = map[string]crypto.Hash{"sha256": crypto.SHA256, "sha384": crypto.SHA384, "sha512": crypto.SHA512}

// defaultHash is the hash that cosign takes for this kind of key.
func defaultHash(key crypto.PublicKey) crypto.Hash {
	switch key := key.(type) {
	case *ecdsa.PublicKey:
		switch key.Curve {
		case elliptic.P384():
			return crypto.SHA384
		case elliptic.P521():
			return crypto.SHA512
		}
	case ed25519.PublicKey:
		return crypto.SHA512
	}
	return crypto.SHA256
}

// newVerifier checks signatures of key over a whole message; hash 0 is the
// default one. With Ed25519, which has but one hash, a signature counts
// prehashed, as cosign makes it, or plain, as it used to be made.
func newVerifier(key crypto.PublicKey, hash crypto.Hash) (signature.Verifier, error) {
	if hash == 0 {
		hash = defaultHash(key)
	}
	edKey, ok := key.(ed25519.PublicKey)
	if !ok {
		return signature.LoadVerifier(key, hash)
	}
	if hash != crypto.SHA512 {
		return nil, errors.New("an Ed25519 key signs with sha512 only")
	}
	prehashed, err := signature.LoadED25519phVerifier(edKey)
	if err != nil {
		return nil, err
	}
	plain, err := signature.LoadED25519Verifier(edKey)
	return &ed25519Verifier{prehashed, plain}, err
}

// newDigestVerifier checks signatures of key over a message of which only the
// digest is known. Plain Ed25519 knows no such thing: its verifier would
// ignore the digest and verify the empty message.
func newDigestVerifier(key crypto.PublicKey, hash crypto.Hash) (signature.Verifier, error) {
	verifier, err := newVerifier(key, hash)
	if both, ok := verifier.(*ed25519Verifier); ok {
		return both.ED25519phVerifier, err
	}
	return verifier, err
}

type ed25519Verifier struct {
	*signature.ED25519phVerifier
	plain *signature.ED25519Verifier
}

func (v *ed25519Verifier) VerifySignature(sig, message io.Reader, opts ...signature.VerifyOption) error {
	s, err := io.ReadAll(sig)
	if err != nil {
		return err
	}
	m, err := io.ReadAll(message)
	if err != nil {
		return err
	}
	if v.plain.VerifySignature(bytes.NewReader(s), bytes.NewReader(m)) == nil {
		return nil
	}
	return v.ED25519phVerifier.VerifySignature(bytes.NewReader(s), bytes.NewReader(m), opts...)
}
