// SPDX-License-Identifier: Apache-2.0

package helm_test

import (
	"crypto"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp/packet"

	"github.com/chartseal/chartseal/builtins"
	"github.com/chartseal/chartseal/builtins/source"
	"github.com/chartseal/chartseal/test/forge"
)

type change func(*scene)

func replaced(old, new string) change {
	return func(s *scene) {
		edit := s.edit
		s.edit = func(prov string) string {
			if edit != nil {
				prov = edit(prov)
			}
			if !strings.Contains(prov, old) {
				panic(fmt.Sprintf("no %q in %s", old, prov))
			}
			return strings.Replace(prov, old, new, 1)
		}
	}
}

func edited(edit func(string) string) change { return func(s *scene) { s.edit = edit } }

func option(name string, value any) change { return func(s *scene) { s.opts[name] = value } }

func signing(k *forge.Key, spec forge.SignatureSpec) change {
	return func(s *scene) { s.sign = signedBy(k, spec) }
}

// trusted signs with a key that is in the keyring as trusted has it.
func trusted(by *forge.Key, as ...*forge.Key) change {
	return func(s *scene) {
		s.sign = signedBy(by, forge.SignatureSpec{})
		s.rings["team"] = bob.Public()
		for _, k := range as {
			s.rings["team"] = append(s.rings["team"], k.Public()...)
		}
	}
}

func all(changes ...change) change {
	return func(s *scene) {
		for _, c := range changes {
			c(s)
		}
	}
}

func signatures(more ...func(string) [][]byte) change {
	return func(s *scene) {
		s.sign = func(text string) (all [][]byte) {
			for _, sign := range more {
				all = append(all, sign(text)...)
			}
			return all
		}
	}
}

func at(d time.Duration) forge.SignatureSpec { return forge.SignatureSpec{At: forge.Epoch.Add(d)} }

func now(d time.Duration) change { return func(s *scene) { s.now = forge.Epoch.Add(d) } }

func reason(r packet.ReasonForRevocation) *packet.ReasonForRevocation { return &r }

const day = 24 * time.Hour

var (
	expiring           = forge.NewKey(forge.KeySpec{Lifetime: 10 * day})
	certifier          = forge.NewKey(forge.KeySpec{CertifyOnly: true})
	withSub, sub       = certifier.WithSubkey(forge.SubkeySpec{})
	withCrypt, crypt   = certifier.WithSubkey(forge.SubkeySpec{Encrypts: true})
	withLoose, loose   = certifier.WithSubkey(forge.SubkeySpec{Uncrossed: true})
	withShort, short   = certifier.WithSubkey(forge.SubkeySpec{Lifetime: 10 * day})
	expiringWith, exSb = expiring.WithSubkey(forge.SubkeySpec{})

	withReboundShort, reboundShort = certifier.WithSubkey(forge.SubkeySpec{Lifetime: 20 * day, Bound: forge.Epoch.Add(9 * day)})

	rsaSigner = forge.NewKey(forge.KeySpec{Algorithm: "rsa2048"})
	v6Signer  = forge.NewKey(forge.KeySpec{Algorithm: "ed25519-v6"})
	newSigner = forge.NewKey(forge.KeySpec{Algorithm: "new-ed25519"})
)

func badSignature(text string) [][]byte {
	return [][]byte{bob.Sign("not "+text, forge.SignatureSpec{})}
}

// catalogue is section P of the catalogue of attacks: a change to a scene that
// verifies, and the code. A twin is the harmless change that comes closest.
var catalogue = []struct {
	name string
	bad  change
	code builtins.Code
	twin change
}{
	{"P1 no provenance", func(s *scene) {
		s.served = source.Map{webRef + ".prov": {Err: builtins.Errorf(builtins.NotFound, "404")}}
	}, builtins.NoProvenance, nil},
	{"P1 outage", func(s *scene) {
		s.served = source.Map{webRef + ".prov": {Err: builtins.Errorf(builtins.Unavailable, "503")}}
	}, builtins.Unavailable, nil},
	{"P1 denied", func(s *scene) {
		s.served = source.Map{webRef + ".prov": {Err: builtins.Errorf(builtins.Denied, "403")}}
	}, builtins.Denied, nil},
	{"P1 no chart", func(s *scene) { s.served = source.Map{webRef: {Err: builtins.Errorf(builtins.NotFound, "404")}} }, builtins.NotFound, nil},
	{"P1 directory", func(s *scene) { s.ref = "./web"; s.served = source.Map{"web": {Dir: fstest.MapFS{}}} }, builtins.NoProvenance, nil},
	{"P2 empty", edited(func(string) string { return "" }), builtins.MalformedProvenance, nil},
	{"P2 HTML", edited(func(string) string { return "<html>not found</html>" }), builtins.MalformedProvenance, nil},
	{"P3 cut", func(s *scene) { s.archive = s.archive[:len(s.archive)-1] }, builtins.DigestMismatch, nil},
	{"P3 empty archive", func(s *scene) { s.archive = []byte{} }, builtins.DigestMismatch, nil},
	{"P3 other chart", func(s *scene) { s.archive = forge.Archive(forge.Chart("web", "1.0.0")...) }, builtins.DigestMismatch, nil},
	{"P4 trusted user ID, other key", signing(mallory, forge.SignatureSpec{}), builtins.UntrustedSigner, nil},
	{"P5 not one of the signers", option("signers", []string{bob.Fingerprint()}), builtins.UntrustedSigner, option("signers", []string{strings.ToLower(alice.Fingerprint())})},
	{"P5 subkey of none of the signers", all(trusted(sub, withSub), option("signers", []string{bob.Fingerprint()})), builtins.UntrustedSigner, all(trusted(sub, withSub), option("signers", []string{certifier.Fingerprint()}))},
	{"P6 index leads to an older chart", served("https://charts.example.com#web@2.0.0"), builtins.VersionMismatch, served("https://charts.example.com#web@1.0.0")},
	{"P6 index leads to another chart", served("https://charts.example.com#db@1.0.0"), builtins.NameMismatch, nil},
	{"P6 tag leads to an older chart", served("oci://reg.example.com/charts/web:2.0.0"), builtins.VersionMismatch, served("oci://reg.example.com/charts/web:1.0.0")},
	{"P6 other version expected", option("chart", map[string]string{"version": "2.0.0"}), builtins.VersionMismatch, option("chart", map[string]string{"name": "web", "version": "1.0.0"})},
	{"P6 tag with a v leads to an older chart", served("oci://reg.example.com/charts/web:v1.0.1"), builtins.VersionMismatch, served("oci://reg.example.com/charts/web:v1.0.0")},
	{"P6 tag with other build metadata", served("oci://reg.example.com/charts/web:v1.0.0_a"), builtins.VersionMismatch, served("oci://reg.example.com/charts/web:v1.0.0")},
	{"P6 other version with a v expected", option("chart", map[string]string{"version": "v1.0.1"}), builtins.VersionMismatch, option("chart", map[string]string{"version": "v1.0.0"})},
	{"P6 other name expected", option("chart", map[string]string{"name": "db"}), builtins.NameMismatch, nil},
	{"P7 signed another name", func(s *scene) { s.metadata = strings.Replace(s.metadata, "name: web", "name: db", 1) }, builtins.NameMismatch, nil},
	{"P7 signed another version", func(s *scene) { s.metadata = strings.Replace(s.metadata, "1.0.0", "1.0.1", 1) }, builtins.VersionMismatch, nil},
	{"P8 signed another description", func(s *scene) { s.metadata = strings.Replace(s.metadata, "made for tests", "made", 1) }, builtins.MetadataMismatch,
		func(s *scene) {
			s.metadata = "version: 1.0.0\n# a comment\nname: \"web\"\n\ndescription: 'made for tests'\napiVersion: v2"
		}},
	{"P8 signed other dependencies", func(s *scene) { s.metadata += "\ndependencies: [{name: db, version: 1.0.0, repository: ''}]" }, builtins.MetadataMismatch, nil},
	{"P8 v1, other requirements", requirements("db", "name: cache, version: 2.0.0"), builtins.MetadataMismatch, requirements("db", "name: db, version: 2.0.0")},
	{"P8 v1, no signed requirements", all(requirements("db", ""), func(s *scene) { s.metadata = strings.Replace(s.metadata, "made", "not made", 1) }), builtins.MetadataMismatch, requirements("db", "")},
	{"P9 renamed to another version", renamed("web-2.0.0.tgz"), builtins.VersionMismatch, renamed("web-1.0.0.tgz")},
	{"P9 renamed to another name", renamed("other-1.0.0.tgz"), builtins.NameMismatch, nil},
	{"P9 renamed to something", renamed("web.tgz"), builtins.NameMismatch, nil},
	{"P10 second file", func(s *scene) { s.text = s.signedText() + "  evil-1.0.0.tgz: sha256:" + strings.Repeat("0", 64) + "\n" }, builtins.MalformedProvenance, nil},
	{"P10 the same file twice", func(s *scene) { s.text = s.signedText() + "  web-1.0.0.tgz: " + s.sum + "\n" }, builtins.MalformedProvenance, nil},
	{"P10 images too", func(s *scene) { s.text = s.signedText() + "images: {a: b}\n" }, builtins.MalformedProvenance, nil},
	{"P10 no files", func(s *scene) { s.text = s.metadata + "\n...\nfiles: {}\n" }, builtins.MalformedProvenance, nil},
	{"P10 files is null", func(s *scene) { s.text = s.metadata + "\n...\nfiles:\n" }, builtins.MalformedProvenance, nil},
	{"P11 path", func(s *scene) { s.file = "dir/web-1.0.0.tgz" }, builtins.NameMismatch, nil},
	{"P12 third document", func(s *scene) { s.text = s.signedText() + "...\nfiles: {}\n" }, builtins.MalformedProvenance, nil},
	{"P12 third document after dashes", func(s *scene) { s.text = s.signedText() + "---\nfiles: {}\n" }, builtins.MalformedProvenance, nil},
	{"P12 one document", func(s *scene) { s.text = s.metadata + "\n" }, builtins.MalformedProvenance, nil},
	{"P13 text before", edited(func(p string) string { return "hello\n" + p }), builtins.MalformedProvenance, nil},
	{"P13 empty line before", edited(func(p string) string { return "\n" + p }), builtins.MalformedProvenance, nil},
	{"P13 text after", edited(func(p string) string { return p + "hello\n" }), builtins.MalformedProvenance, edited(func(p string) string { return p + "\n\n" })},
	{"P13 second block", edited(func(p string) string { return p + p }), builtins.MalformedProvenance, edited(func(p string) string { return strings.TrimSpace(p) })},
	{"P13 text in the signature block", replaced("\n-----END", "\n=AAAA\nhello\n-----END"), builtins.MalformedProvenance, replaced("\n-----END", "\n=AAAA\n-----END")},
	{"P14 NotDashEscaped", replaced("Hash: SHA512", "NotDashEscaped: yes"), builtins.MalformedProvenance, replaced("SHA512", "MD5")},
	{"P14 Comment", replaced("Hash: SHA512", "Comment: hi"), builtins.MalformedProvenance, replaced("Hash: SHA512\n", "")},
	{"P14 unknown hash", replaced("SHA512", "SHA-512"), builtins.MalformedProvenance, replaced("SHA512", "sha256, SHA512")},
	{"P15 changed letter", replaced("name: web", "name: wab"), builtins.BadSignature, edited(func(p string) string { return strings.ReplaceAll(p, "\n", "\r\n") })},
	{"P15 changed blanks inside", replaced("name: web", "name:  web"), builtins.BadSignature, edited(func(p string) string { return strings.ReplaceAll(p, "web\n", "web \t\n") })},
	{"P15 dash without escape", replaced("name: web", "-name: web"), builtins.MalformedProvenance, replaced("name: web", "- name: web")},
	{"P15 carriage return inside", replaced("name: web", "name: \rweb"), builtins.MalformedProvenance, nil},
	{"P15 list in the metadata", all(keywords, replaced("- - first", "- - other")), builtins.BadSignature, keywords},
	{"P16 SHA-1", signing(alice, forge.SignatureSpec{Hash: crypto.SHA1}), builtins.WeakAlgorithm, signing(alice, forge.SignatureSpec{Hash: crypto.SHA256})},
	{"P16 RSA-1024", trustedNew("rsa1024"), builtins.WeakAlgorithm, trusted(rsaSigner, rsaSigner)},
	{"P16 DSA", trustedNew("dsa"), builtins.WeakAlgorithm, nil},
	{"P16 secp256k1", trustedNew("secp256k1"), builtins.WeakAlgorithm, trusted(bob, alice)},
	{"P16 strong subkey of a weak key", func(s *scene) {
		k, sub := forge.NewKey(forge.KeySpec{Algorithm: "rsa1024"}).WithSubkey(forge.SubkeySpec{})
		trusted(sub, k)(s)
	}, builtins.WeakAlgorithm, trusted(sub, withSub)},
	{"P17 expired since", all(trusted(expiring, expiring), now(11*day)), builtins.KeyExpired, all(trusted(expiring, expiring), now(11*day), option("key_time", "signing"))},
	{"P17 expired, then signed", all(trusted(expiring, expiring), now(12*day), signing(expiring, at(11*day)), option("key_time", "signing")), builtins.KeyExpired, all(trusted(expiring, expiring), now(9*day), signing(expiring, at(8*day)))},
	{"P17 subkey expired since", all(trusted(short, withShort), now(11*day)), builtins.KeyExpired, all(trusted(short, withShort), now(11*day), option("key_time", "signing"))},
	{"P17 primary of the subkey expired since", all(trusted(exSb, expiringWith), now(11*day)), builtins.KeyExpired, all(trusted(exSb, expiringWith), now(9*day))},
	{"P17 renewed and expired again", all(trusted(expiring, expiring.Renewed(forge.KeySpec{Lifetime: 20 * day, Certified: forge.Epoch.Add(9 * day)})), now(21*day)), builtins.KeyExpired,
		all(trusted(expiring, expiring.Renewed(forge.KeySpec{Lifetime: 20 * day, Certified: forge.Epoch.Add(9 * day)})), now(19*day))},
	{"P17 renewed subkey, expired again", all(trusted(reboundShort, withReboundShort), now(21*day)), builtins.KeyExpired, all(trusted(reboundShort, withReboundShort), now(19*day))},
	{"P18 dated ahead", all(now(day), signing(alice, at(day+61*time.Second))), builtins.BadSignature, all(now(day), signing(alice, at(day+60*time.Second)))},
	{"P18 older than its key", signing(alice, at(-time.Second)), builtins.BadSignature, signing(alice, at(0))},
	{"P18 signature expired", all(now(2*day), signing(alice, forge.SignatureSpec{Lifetime: day})), builtins.BadSignature, all(now(day/2), signing(alice, forge.SignatureSpec{Lifetime: day}))},
	{"P18 critical notation", signing(alice, notation(true)), builtins.BadSignature, signing(alice, notation(false))},
	{"P19 revoked", trusted(alice, alice.Revoked(nil, forge.Epoch.Add(2*time.Hour))), builtins.KeyRevoked, nil},
	{"P19 compromised later", all(trusted(alice, alice.Revoked(reason(packet.KeyCompromised), forge.Epoch.Add(2*time.Hour))), option("key_time", "signing")), builtins.KeyRevoked, nil},
	{"P19 retired later", trusted(alice, alice.Revoked(reason(packet.KeyRetired), forge.Epoch.Add(2*time.Hour))), builtins.KeyRevoked,
		all(trusted(alice, alice.Revoked(reason(packet.KeyRetired), forge.Epoch.Add(2*time.Hour))), option("key_time", "signing"))},
	{"P19 retired before", all(trusted(alice, alice.Revoked(reason(packet.KeyRetired), forge.Epoch.Add(time.Minute))), option("key_time", "signing")), builtins.KeyRevoked, nil},
	{"P19 subkey revoked", trusted(sub, withSub.RevokedSubkey(sub, nil, forge.Epoch.Add(2*time.Hour))), builtins.KeyRevoked, trusted(sub, withSub)},
	{"P19 primary of the subkey revoked", trusted(sub, withSub.Revoked(nil, forge.Epoch.Add(2*time.Hour))), builtins.KeyRevoked, nil},
	{"P19 revoked by the policy", option("revoked", alice.ArmoredPublic()), builtins.KeyRevoked, option("revoked", bob.ArmoredPublic())},
	{"P19 revoked by a named keyring", all(option("revoked_keyrings", []string{"gone"}), func(s *scene) { s.rings["gone"] = alice.Public() }), builtins.KeyRevoked, nil},
	{"P19 subkey revoked by the policy", all(trusted(sub, withSub), option("revoked", base64.StdEncoding.EncodeToString(withSub.Public()))), builtins.KeyRevoked, all(trusted(sub, withSub), option("revoked", alice.ArmoredPublic()))},
	{"P20 stale copy first", trusted(alice, alice, alice.Revoked(nil, forge.Epoch.Add(2*time.Hour))), builtins.KeyRevoked, trusted(alice, alice, alice)},
	{"P20 revoked copy first", trusted(alice, alice.Revoked(nil, forge.Epoch.Add(2*time.Hour)), alice), builtins.KeyRevoked, nil},
	{"P20 revoked copy in another ring", all(option("keyrings", []string{"team", "old"}), func(s *scene) { s.rings["old"] = alice.Revoked(nil, forge.Epoch.Add(2*time.Hour)).Public() }), builtins.KeyRevoked,
		all(option("keyrings", []string{"team", "old"}), func(s *scene) { s.rings["old"] = alice.Public() })},
	{"P20 revocation certificate at the end", func(s *scene) { s.rings["team"] = append(s.rings["team"], alice.Revocation(nil, forge.Epoch)...) }, builtins.KeyRevoked,
		func(s *scene) { s.rings["team"] = append(s.rings["team"], bob.Revocation(nil, forge.Epoch)...) }},
	{"P21 encryption subkey", trusted(crypt, withCrypt), builtins.UntrustedSigner, trusted(sub, withSub)},
	{"P21 subkey without cross-certification", trusted(loose, withLoose), builtins.UntrustedSigner, nil},
	{"P21 certify-only primary", trusted(certifier, withSub), builtins.UntrustedSigner, nil},
	{"P23 bad signature alone", signatures(badSignature), builtins.BadSignature, signatures(badSignature, signedBy(alice, forge.SignatureSpec{}))},
	{"P23 unknown signer alone", signatures(signedBy(mallory, forge.SignatureSpec{})), builtins.UntrustedSigner, signatures(signedBy(mallory, forge.SignatureSpec{}), signedBy(alice, forge.SignatureSpec{}))},
	{"P24 17 signatures", signatures(times(17, signedBy(alice, forge.SignatureSpec{}))...), builtins.TooMany, signatures(times(16, signedBy(alice, forge.SignatureSpec{}))...)},
	{"P25 nested signatures", signatures(raw(forge.NestedSignature(10_000))), builtins.BadSignature, nil},
	{"P25 one nested signature", signatures(raw(forge.NestedSignature(2))), builtins.BadSignature, nil},
	{"P25 packet of 4 GiB", signatures(raw([]byte{0xc2, 255, 255, 255, 255, 255, 4, 1, 22, 10})), builtins.BadSignature, nil},
	{"P25 partial length", signatures(raw([]byte{0xc2, 0xf0, 4, 1, 22, 10})), builtins.BadSignature, nil},
	{"P25 no signature", signatures(), builtins.MalformedProvenance, nil},
	{"P25 another packet", signatures(raw(alice.Public())), builtins.BadSignature, nil},
	{"P26 binary signature", all(func(s *scene) { s.text = strings.TrimSuffix(s.signedText(), "\n") }, binary), builtins.BadSignature, func(s *scene) { s.text = strings.TrimSuffix(s.signedText(), "\n") }},
	{"P27 one key twice", all(option("threshold", 2), signatures(signedBy(alice, forge.SignatureSpec{}), signedBy(alice, forge.SignatureSpec{}))), builtins.Threshold,
		all(option("threshold", 2), signatures(signedBy(alice, forge.SignatureSpec{}), signedBy(bob, forge.SignatureSpec{})))},
	{"P27 primary and its subkey", all(primaryAndSubkey, option("threshold", 2)), builtins.Threshold, primaryAndSubkey},
	{"P28 sum in upper case", func(s *scene) { s.sum = "sha256:" + strings.ToUpper(s.sum[7:]) }, builtins.MalformedProvenance, nil},
	{"P28 sum without prefix", func(s *scene) { s.sum = s.sum[7:] }, builtins.MalformedProvenance, nil},
	{"P28 sum of 63 digits", func(s *scene) { s.sum = s.sum[:len(s.sum)-1] }, builtins.MalformedProvenance, nil},
	{"P29 detached signature", edited(func(p string) string { return p[strings.Index(p, "-----BEGIN PGP SIGNATURE"):] }), builtins.MalformedProvenance, nil},
	{"P29 bundle", edited(func(string) string { return `{"mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json"}` }), builtins.MalformedProvenance, nil},
	{"P30 one byte over", edited(padded(1<<20 + 1)), builtins.TooLarge, edited(padded(1 << 20))},
	{"P32 signature of the keyring absent", publishing(nil), builtins.UntrustedSigner, publishing(rootSigned(root))},
	{"P32 signature by another key", publishing(rootSigned(mallory)), builtins.UntrustedSigner, publishing([]byte(forge.Armor("SIGNATURE", rootSigned(root))))},
	{"P32 signature of something else", publishing(root.Sign("else", forge.SignatureSpec{Type: forge.Binary})), builtins.BadSignature, nil},
	{"P32 text signature", publishing(root.Sign(string(published), forge.SignatureSpec{})), builtins.BadSignature, nil},
	{"P32 empty signature", publishing([]byte{}), builtins.UntrustedSigner, nil},
	{"P32 outage of the signature", all(publishing(rootSigned(root)), failing(pubURL+".sig", builtins.Unavailable)), builtins.Unavailable, nil},
	{"P32 outage of the keyring", all(publishing(rootSigned(root)), failing(pubURL, builtins.Unavailable)), builtins.Unavailable, nil},
	{"P32 keyring absent", all(publishing(rootSigned(root)), failing(pubURL, builtins.NotFound)), builtins.UntrustedSigner, nil},
	{"P32 only the repository's keys", all(publishing(rootSigned(root)), signing(bob, forge.SignatureSpec{})), builtins.UntrustedSigner, nil},
	{"P32 the root key is none of them", all(publishing(rootSigned(root)), signing(root, forge.SignatureSpec{})), builtins.UntrustedSigner, nil},
	{"P32 no repository", all(publishing(rootSigned(root)), func(s *scene) { s.ref = "web-1.0.0.tgz" }), builtins.UntrustedSigner,
		all(publishing(rootSigned(root)), func(s *scene) { s.ref = "web-1.0.0.tgz"; repositoryKeyring(s)["url"] = pubURL })},
	{"P32 root key revoked by the policy", all(publishing(rootSigned(root)), option("revoked", root.ArmoredPublic())), builtins.KeyRevoked, nil},

	{"config differs", inRegistry(strings.Replace(config, "made", "not made", 1)), builtins.MetadataMismatch, inRegistry(config)},
	{"config of another chart", inRegistry(strings.Replace(config, "web", "db", 1)), builtins.NameMismatch, nil},
	{"config is no JSON", inRegistry("{"), builtins.MetadataMismatch, nil},
	{"signed and no chart", func(s *scene) { s.archive = []byte("signed nonsense"); s.sum = builtins.SHA256(s.archive) }, builtins.NotAChart, nil},
	{"provenance elsewhere absent", option("provenance", "https://elsewhere.example.com/x.prov"), builtins.NoProvenance, func(s *scene) {
		s.opts["provenance"] = "https://elsewhere.example.com/x.prov"
		s.served = source.Map{webRef + ".prov": {Err: builtins.Errorf(builtins.NotFound, "404")}, "https://elsewhere.example.com/x.prov": {Data: []byte(s.provenance())}}
	}},
	{"provenance inline", func(s *scene) { s.opts["provenance"] = s.provenance() + "x" }, builtins.MalformedProvenance, func(s *scene) { s.opts["provenance"] = s.provenance() }},
	{"other key of version 6", trusted(v6Signer), builtins.UntrustedSigner, trusted(v6Signer, v6Signer)},
	{"other key of the new algorithm", trusted(newSigner), builtins.UntrustedSigner, trusted(newSigner, newSigner)},
}

func served(ref string) change {
	return func(s *scene) {
		file := source.MapFile{Data: s.archive, Prov: []byte(s.provenance()), FileName: s.file}
		if strings.HasPrefix(ref, "oci:") {
			file.Digest, file.FileName = builtins.SHA256([]byte("manifest")), ""
		}
		s.ref, s.served = ref, source.Map{ref: file}
	}
}

const config = `{"name":"web","version":"1.0.0","apiVersion":"v2","description":"made for tests"}`

func inRegistry(config string) change {
	return func(s *scene) {
		s.ref = "oci://reg.example.com/charts/web:1.0.0"
		s.served = source.Map{s.ref: {Data: s.archive, Prov: []byte(s.provenance()), Digest: builtins.SHA256([]byte("manifest")), Config: []byte(config)}}
	}
}

func renamed(file string) change {
	return func(s *scene) { s.ref = "https://charts.example.com/" + file }
}

// requirements makes an apiVersion v1 chart of the scene's, whose dependencies
// stand in a file of their own, and signs others.
func requirements(inside, signed string) change {
	return func(s *scene) {
		metadata := "apiVersion: v1\nname: web\nversion: 1.0.0\ndescription: made for tests"
		s.archive = forge.Archive(forge.Beneath("web",
			forge.Entry{Name: "Chart.yaml", Body: metadata + "\n"},
			forge.Entry{Name: "requirements.yaml", Body: "dependencies:\n- {name: " + inside + ", version: 2.0.0, repository: 'https://charts.example.com'}\n"},
			forge.Entry{Name: "templates/x.yaml", Body: "a: b\n"})...)
		s.sum, s.metadata = builtins.SHA256(s.archive), metadata
		if signed != "" {
			s.metadata += "\ndependencies:\n- {" + signed + ", repository: 'https://charts.example.com'}"
		}
	}
}

func keywords(s *scene) {
	s.archive = forge.Archive(forge.Beneath("web", forge.Entry{Name: "Chart.yaml", Body: forge.ChartYAML("web", "1.0.0", "keywords: [first, second]")})...)
	s.sum, s.metadata = builtins.SHA256(s.archive), s.metadata+"\nkeywords:\n- first\n- second"
}

func trustedNew(algorithm string) change {
	return func(s *scene) {
		k := forge.NewKey(forge.KeySpec{Algorithm: algorithm})
		spec := forge.SignatureSpec{Hash: crypto.SHA256}
		s.sign, s.rings["team"] = signedBy(k, spec), k.Public()
	}
}

func notation(critical bool) forge.SignatureSpec {
	return forge.SignatureSpec{Mutate: func(sig *packet.Signature) {
		sig.Notations = append(sig.Notations, &packet.Notation{Name: "x@example.com", Value: []byte("y"), IsCritical: critical, IsHumanReadable: true})
	}}
}

// binary signs the very bytes that a text signature covers, under the other type.
func binary(s *scene) {
	s.sign = func(text string) [][]byte {
		return [][]byte{alice.Sign(strings.ReplaceAll(text, "\n", "\r\n"), forge.SignatureSpec{Type: forge.Binary})}
	}
}

func primaryAndSubkey(s *scene) {
	whole, sub := alice.WithSubkey(forge.SubkeySpec{})
	trusted(sub, whole)(s)
	signatures(signedBy(alice, forge.SignatureSpec{}), signedBy(sub, forge.SignatureSpec{}))(s)
}

func times[T any](n int, v T) []T { return slices.Repeat([]T{v}, n) }

func raw(packets ...[]byte) func(string) [][]byte { return func(string) [][]byte { return packets } }

// padded fills a provenance with empty lines to a size.
func padded(size int) func(string) string {
	return func(prov string) string { return prov + strings.Repeat("\n", size-len(prov)) }
}

var (
	root      = forge.NewKey(forge.KeySpec{UserID: "Root <root@example.com>"})
	published = alice.Public()
)

func rootSigned(k *forge.Key) []byte {
	return k.Sign(string(published), forge.SignatureSpec{Type: forge.Binary})
}

func repositoryKeyring(s *scene) map[string]any { return s.opts["repository_keyring"].(map[string]any) }

// publishing has the repository publish alice's key with a signature on it, nil for none.
func publishing(signature []byte) change {
	return func(s *scene) {
		s.opts = map[string]any{"repository_keyring": map[string]any{"root_keyrings": []string{"root"}}}
		s.rings = map[string][]byte{"root": root.Public()}
		s.served = source.Map{
			pubURL: {Data: published},
			webRef: {Data: s.archive, Repository: "https://charts.example.com"},
		}
		if signature != nil {
			s.served[pubURL+".sig"] = source.MapFile{Data: signature}
		}
	}
}

func failing(url string, code builtins.Code) change {
	return func(s *scene) { s.served[url] = source.MapFile{Err: builtins.Errorf(code, "no answer")} }
}

func TestCatalogue(t *testing.T) {
	for _, test := range catalogue {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			twin := newScene()
			if test.twin != nil {
				test.twin(twin)
			}
			rep := twin.want(t, builtins.OK)
			if len(signers(rep)) == 0 {
				t.Error("verified without a signer")
			}
			bad := newScene()
			test.bad(bad)
			if rep := bad.want(t, test.code); rep.Reason == "" || rep.Reason == "verified" {
				t.Errorf("reason is %q", rep.Reason)
			}
		})
	}
}
