// SPDX-License-Identifier: Apache-2.0

package helm_test

import (
	"crypto"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp/packet"
	"helm.sh/helm/v3/pkg/provenance"
	"pgregory.net/rapid"

	"github.com/chartseal/chartseal/builtins"
	"github.com/chartseal/chartseal/test/forge"
)

// helmAccepts asks Helm's own verifier, whose clock is the wall clock.
func helmAccepts(t testing.TB, dir string, s *scene) error {
	t.Helper()
	files := map[string][]byte{"web-1.0.0.tgz": s.archive, "web-1.0.0.tgz.prov": []byte(s.provenance()), "ring": s.rings["team"]}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	signatory, err := provenance.NewFromKeyring(filepath.Join(dir, "ring"), "")
	if err != nil {
		return err
	}
	_, err = signatory.Verify(filepath.Join(dir, "web-1.0.0.tgz"), filepath.Join(dir, "web-1.0.0.tgz.prov"))
	return err
}

// The dates of generated keys and signatures are around the wall clock, since
// Helm knows no other.
var today = time.Now().Truncate(time.Second)

// daysFromToday is mostly the usual day, now and then another.
func daysFromToday(t *rapid.T, label string, usual int) time.Time {
	if rarely(t, "unusual day "+label) {
		usual = rapid.SampledFrom([]int{-40, -20, -10, -1, 1}).Draw(t, label)
	}
	return today.AddDate(0, 0, usual)
}

// rarely is true often enough for each pair of faults to meet.
func rarely(t *rapid.T, label string) bool { return rapid.IntRange(0, 9).Draw(t, label) == 9 }

// drawKey makes a key, what signs with it, and the copies of it in a ring.
func drawKey(t *rapid.T) (signer *forge.Key, ring []byte) {
	spec := forge.KeySpec{
		Algorithm:   rapid.SampledFrom([]string{"ed25519", "p256", "ed25519-v6", "rsa2048"}).Draw(t, "algorithm"),
		Created:     daysFromToday(t, "created", -40),
		Lifetime:    rapid.SampledFrom([]time.Duration{0, 0, 5 * day, 100 * day}).Draw(t, "lifetime"),
		CertifyOnly: rarely(t, "certify"),
	}
	if rarely(t, "weak") {
		spec.Algorithm = "rsa1024"
	}
	k := forge.NewKey(spec)
	signer = k
	if rapid.Bool().Draw(t, "subkey") {
		k, signer = k.WithSubkey(forge.SubkeySpec{
			Created: daysFromToday(t, "subkey created", -20), Bound: daysFromToday(t, "subkey bound", -20),
			Encrypts: rarely(t, "encrypts"), Uncrossed: rarely(t, "uncrossed"),
			Lifetime: rapid.SampledFrom([]time.Duration{0, 0, 5 * day}).Draw(t, "subkey lifetime"),
		})
	}
	stale := k
	switch rapid.IntRange(0, 6).Draw(t, "history") {
	case 0:
		why := rapid.SampledFrom([]packet.ReasonForRevocation{packet.NoReason, packet.KeySuperseded, packet.KeyCompromised, packet.KeyRetired}).Draw(t, "reason")
		k = k.Revoked(&why, daysFromToday(t, "revoked", -1))
	case 1: // with a stale copy besides, Helm would go by whichever comes first
		spec.Certified, spec.Lifetime = daysFromToday(t, "renewed", -5), 200*day
		k = k.Renewed(spec)
		stale = k
	}
	ring = k.Public()
	switch rapid.IntRange(0, 3).Draw(t, "copies") {
	case 0:
		ring = append(stale.Public(), ring...)
	case 1:
		ring = append(ring, stale.Public()...)
	}
	return signer, ring
}

var textMutations = map[string]func(*scene){
	"other sum":     func(s *scene) { s.sum = "sha256:" + strings.Repeat("0", 64) },
	"upper case":    func(s *scene) { s.sum = strings.ToUpper(s.sum) },
	"other file":    func(s *scene) { s.file = "web-1.0.1.tgz" },
	"second file":   func(s *scene) { s.text = s.signedText() + "  a: sha256:00\n" },
	"other name":    func(s *scene) { s.metadata = strings.Replace(s.metadata, "web", "db", 1) },
	"three parts":   func(s *scene) { s.text = s.signedText() + "...\n" },
	"trailing dots": func(s *scene) { s.text = s.signedText() + "...\nx: y" },
	"blank ends":    func(s *scene) { s.text = strings.ReplaceAll(s.signedText(), "web\n", "web\n\n") },
}

var fileMutations = map[string]func(string) string{
	"CRLF":       func(p string) string { return strings.ReplaceAll(p, "\n", "\r\n") },
	"blanks":     func(p string) string { return strings.ReplaceAll(p, "web\n", "web  \n") },
	"escape":     func(p string) string { return strings.Replace(p, "name:", "- name:", 1) },
	"header":     func(p string) string { return strings.Replace(p, "Hash:", "Comment:", 1) },
	"hash":       func(p string) string { return strings.Replace(p, "SHA512", "SHA1", 1) },
	"no hash":    func(p string) string { return strings.Replace(p, "Hash: SHA512\n", "", 1) },
	"front":      func(p string) string { return "text\n" + p },
	"back":       func(p string) string { return p + "text" },
	"twice":      func(p string) string { return p + p },
	"letter":     func(p string) string { return strings.Replace(p, "made", "Made", 1) },
	"bare CR":    func(p string) string { return strings.Replace(p, "made", "\rmade", 1) },
	"no newline": strings.TrimSpace,
	"checksum":   func(p string) string { return strings.Replace(p, "\n-----END", "\n=AAAA\n-----END", 1) },
}

func draw[T any](t *rapid.T, label string, from map[string]T) T {
	return from[rapid.SampledFrom(slices.Sorted(maps.Keys(from))).Draw(t, label)]
}

// What we accept, Helm accepts. The scenes avoid what is meant to differ:
// armored and keybox rings, key_time signing, and a bad signature beside a
// good one; and the renewal of a key after a stale copy of it.
func TestWhatWeAcceptHelmAccepts(t *testing.T) {
	dir := t.TempDir()
	var both, neither, stricter int
	rapid.Check(t, func(r *rapid.T) {
		s := newScene()
		s.now = time.Now()
		k, ring := drawKey(r)
		spec := forge.SignatureSpec{
			At:   daysFromToday(r, "signed", -10),
			Hash: rapid.SampledFrom([]crypto.Hash{crypto.SHA512, crypto.SHA256}).Draw(r, "hash"),
		}
		if rarely(r, "sha1") && k.Private.Version == 4 {
			spec.Hash = crypto.SHA1
		}
		if rarely(r, "short-lived") {
			spec.Lifetime = day
		}
		if rarely(r, "binary") {
			spec.Type = forge.Binary
		}
		s.sign = signedBy(k, spec)
		s.rings["team"] = append(bob.Public(), ring...)
		if rarely(r, "other text") {
			draw(r, "text", textMutations)(s)
		}
		if rapid.Bool().Draw(r, "other file") {
			s.edit = draw(r, "file", fileMutations)
		}
		prov := s.provenance() // signed once: ECDSA differs each time
		s.edit = func(string) string { return prov }

		rep, err := s.call(t), helmAccepts(t, dir, s)
		switch {
		case rep.Verified && err != nil:
			r.Fatalf("we accept, Helm says %v\n%s", err, prov)
		case rep.Verified:
			both++
		case err == nil:
			stricter++
		default:
			neither++
		}
	})
	t.Logf("both accept %d, neither %d, only Helm %d", both, neither, stricter)
	if both == 0 || neither == 0 || stricter == 0 {
		t.Error("the scenes do not tell verifiers apart")
	}
}

// The rows of the catalogue that Helm refuses are refused by us too; our
// catalogue and Helm's verdict on it differ only in what we refuse besides.
func TestHelmOnTheTwins(t *testing.T) {
	now := time.Now()
	for _, mutate := range []change{
		func(*scene) {}, trusted(sub, withSub), trusted(v6Signer, v6Signer), trusted(rsaSigner, rsaSigner), trusted(newSigner, newSigner), trusted(bob, alice),
		keywords, requirements("db", "name: db, version: 2.0.0"),
	} {
		s := newScene()
		s.now = now
		mutate(s)
		prov := s.provenance()
		s.edit = func(string) string { return prov }
		s.want(t, builtins.OK)
		if err := helmAccepts(t, t.TempDir(), s); err != nil {
			t.Error(fmt.Errorf("helm: %w", err))
		}
	}
}
