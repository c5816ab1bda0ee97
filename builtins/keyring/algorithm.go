// SPDX-License-Identifier: Apache-2.0

package keyring

import (
	"fmt"
	"strings"

	"github.com/ProtonMail/go-crypto/openpgp/packet"
)

// Algorithm names a key's algorithm the way gpg does.
func Algorithm(k *packet.PublicKey) string {
	switch k.PubKeyAlgo {
	case packet.PubKeyAlgoRSA, packet.PubKeyAlgoRSASignOnly:
		bits, _ := k.BitLength()
		return fmt.Sprintf("rsa%d", bits)
	case packet.PubKeyAlgoDSA:
		bits, _ := k.BitLength()
		return fmt.Sprintf("dsa%d", bits)
	case packet.PubKeyAlgoEdDSA, packet.PubKeyAlgoEd25519, packet.PubKeyAlgoEd448:
		curve, _ := k.Curve()
		return strings.Replace(string(curve), "Curve", "ed", 1)
	case packet.PubKeyAlgoECDSA:
		curve, _ := k.Curve()
		return strings.ToLower(strings.Replace(string(curve), "P", "nistp", 1))
	case packet.PubKeyAlgoMldsa65Ed25519:
		return "mldsa65+ed25519"
	case packet.PubKeyAlgoMldsa87Ed448:
		return "mldsa87+ed448"
	}
	return fmt.Sprintf("algorithm %d", k.PubKeyAlgo)
}

// Weak says whether no signature by a key counts, whatever it signed: the
// library's policy has the floor, for RSA 2047 bits.
func Weak(k *packet.PublicKey) bool {
	var floor *packet.Config
	if floor.RejectPublicKeyAlgorithm(k.PubKeyAlgo) {
		return true
	}
	if bits, rsa := RSABits(k); rsa {
		return bits < int(floor.MinimumRSABits())
	}
	curve, _ := k.Curve()
	return floor.RejectCurve(curve)
}

// RSABits is the size of an RSA key, 0 if that cannot be read.
func RSABits(k *packet.PublicKey) (bits int, rsa bool) {
	if k.PubKeyAlgo != packet.PubKeyAlgoRSA && k.PubKeyAlgo != packet.PubKeyAlgoRSASignOnly {
		return 0, false
	}
	length, _ := k.BitLength()
	return int(length), true
}
