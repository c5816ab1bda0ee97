// SPDX-License-Identifier: Apache-2.0

package inventory

import (
	"crypto"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"

	"github.com/chartseal/chartseal/builtins"
	"github.com/chartseal/chartseal/builtins/cosign"
)

// A PublicKey is one file of keys/. Its fingerprint is the sha256 of the key in
// its PKIX form, as in reports.
type PublicKey struct {
	Source
	Fingerprint string    `json:"fingerprint"`
	Algorithm   string    `json:"algorithm"`
	Warnings    []Warning `json:"warnings,omitempty"`
}

func publicKeyOf(source Source, raw []byte) PublicKey {
	fingerprint, algorithm, warnings := describePEM(raw)
	return PublicKey{source, fingerprint, algorithm, warnings}
}

func describePEM(raw []byte) (fingerprint, algorithm string, warnings []Warning) {
	key, err := cosign.ParsePublicKey(raw)
	if err != nil {
		return "", "", []Warning{{Unusable, builtins.Printable(err.Error())}}
	}
	if rsa, ok := key.Key.(*rsa.PublicKey); ok {
		warnings = short(rsa.N.BitLen())
	}
	return key.Fingerprint, key.Algorithm, warnings
}

// describeKey is [describePEM] for a key that a trusted root names.
func describeKey(key crypto.PublicKey) (fingerprint, algorithm string, warnings []Warning) {
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return "", "", []Warning{{Unusable, builtins.Printable(err.Error())}}
	}
	return describePEM(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}
