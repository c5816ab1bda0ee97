// SPDX-License-Identifier: Apache-2.0

package cosign_test

import (
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"encoding/pem"
	"math/big"
	"net/url"
	"testing"
	"time"

	"github.com/sigstore/sigstore-go/pkg/root"

	"github.com/chartseal/chartseal/builtins"
	"github.com/chartseal/chartseal/builtins/cosign"
)

// A certificate that nobody issued can hold a key of any size; no work is
// spent on one that is too large.
func TestGiantKeyIsRefusedUnused(t *testing.T) {
	trusted, err := root.NewTrustedRootFromJSON(shared.vs.Root())
	if err != nil {
		t.Fatal(err)
	}
	policy, err := cosign.NewPolicy(cosign.VerifyOptions{
		Identities: []cosign.Identity{{Issuer: issuer, Subject: subject}}, DigestAlgorithm: "sha256",
	}, nil, trusted, builtins.DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	for bytes, want := range map[int]builtins.Code{2048 / 8: builtins.BadSignature, 8192 / 8: builtins.BadSignature, 64 << 10: builtins.WeakAlgorithm} {
		payload, annotations := selfMade(t, bytes)
		started := time.Now()
		_, err := policy.VerifySimpleSigning(t.Context(), payload, annotations, fuzzed)
		if got := builtins.CodeOf(err); got != want {
			t.Errorf("key of %d bytes: %v, want %s", bytes, err, want)
		}
		if took := time.Since(started); took > time.Second {
			t.Errorf("key of %d bytes took %v", bytes, took)
		}
	}
}

// selfMade is a signature by a certificate that names the wanted identity and
// has an RSA key of so many bytes.
func selfMade(t *testing.T, bytes int) (payload []byte, annotations map[string]string) {
	t.Helper()
	modulus := make([]byte, bytes)
	rand.Read(modulus)
	modulus[0] |= 0x80
	modulus[bytes-1] |= 1
	uri, err := url.Parse(subject)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: at, NotAfter: at.Add(time.Hour), URIs: []*url.URL{uri},
		ExtraExtensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 57264, 1, 1}, Value: []byte(issuer)}},
		ExtKeyUsage:     []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning},
	}
	key := &rsa.PublicKey{N: new(big.Int).SetBytes(modulus), E: 1<<31 - 1}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key, newKey(elliptic.P256()))
	if err != nil {
		t.Fatal(err)
	}
	signature := make([]byte, bytes)
	signature[bytes-1] = 7
	return []byte("{}"), map[string]string{
		"dev.cosignproject.cosign/signature": base64.StdEncoding.EncodeToString(signature),
		"dev.sigstore.cosign/certificate":    string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
	}
}
