// SPDX-License-Identifier: Apache-2.0

package trust

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"

	"github.com/chartseal/chartseal/builtins/keyring"
)

func checkKeyring(raw []byte) error {
	ring, err := keyring.Parse(raw)
	if err != nil {
		return err
	}
	if ring.Len() == 0 {
		return errors.New("keyring holds no key")
	}
	return nil
}

// checkPublicKey wants one PEM block with a public key of a kind that the
// checks accept, and nothing beside it.
func checkPublicKey(raw []byte) error {
	if n := bytes.Count(raw, []byte("-----BEGIN ")); n != 1 {
		return fmt.Errorf("file has %d PEM blocks, want one", n)
	}
	block, rest := pem.Decode(raw)
	if block == nil || !bytes.HasPrefix(bytes.TrimSpace(raw), []byte("-----BEGIN ")) || len(bytes.TrimSpace(rest)) > 0 {
		return errors.New("file is not just one PEM block")
	}
	key, err := parsePublicKey(block)
	if err != nil {
		return err
	}
	return checkStrength(key)
}

func parsePublicKey(block *pem.Block) (key crypto.PublicKey, err error) {
	switch block.Type {
	case "PUBLIC KEY":
		key, err = x509.ParsePKIXPublicKey(block.Bytes)
	case "RSA PUBLIC KEY":
		key, err = x509.ParsePKCS1PublicKey(block.Bytes)
	default:
		err = fmt.Errorf("PEM block is %q, want PUBLIC KEY", block.Type)
	}
	return key, err
}

func checkStrength(key crypto.PublicKey) error {
	const minRSA = 2048
	switch key := key.(type) {
	case ed25519.PublicKey:
		return nil
	case *rsa.PublicKey:
		if bits := key.N.BitLen(); bits < minRSA {
			return fmt.Errorf("RSA key has %d bits, at least %d are needed", bits, minRSA)
		}
		return nil
	case *ecdsa.PublicKey:
		switch key.Curve {
		case elliptic.P256(), elliptic.P384(), elliptic.P521():
			return nil
		}
		return fmt.Errorf("ECDSA key is on %s, want P-256, P-384 or P-521", key.Params().Name)
	}
	return fmt.Errorf("public key is a %T, want ECDSA, Ed25519 or RSA", key)
}

// CheckTrustedRoot wants a JSON object that names somebody to trust, as every
// file under roots/ must. What it
// says of them is for the verifier, which knows the versions of the format.
func CheckTrustedRoot(raw []byte) error {
	var root struct {
		CertificateAuthorities []json.RawMessage `json:"certificateAuthorities"`
		TimestampAuthorities   []json.RawMessage `json:"timestampAuthorities"`
		Logs                   []json.RawMessage `json:"tlogs"`
		CertificateLogs        []json.RawMessage `json:"ctlogs"`
	}
	if err := json.Unmarshal(raw, &root); err != nil {
		return fmt.Errorf("trusted root is not JSON of its format: %w", err)
	}
	if len(root.CertificateAuthorities)+len(root.TimestampAuthorities)+len(root.Logs)+len(root.CertificateLogs) == 0 {
		return errors.New("trusted root names no authority and no log")
	}
	return nil
}
