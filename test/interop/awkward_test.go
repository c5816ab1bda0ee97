// SPDX-License-Identifier: Apache-2.0

package interop_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chartseal/chartseal/builtins"
)

// Signatures and keys that gpg makes only when asked to.

var whenSigning = map[string]any{"key_time": "signing"}

// awkward is what gpg makes of one chart in every odd way, each with a twin
// that verifies.
var awkward = shared(func(t testing.TB) []matter {
	plain := helms(t)[0].sign(t, newChart(t, folder(t), "web", "1.0.0", "keywords:\n- one\n- two\n"), newKey(t, "plain", "rsa3072", "sign"))
	var all []matter
	for _, cases := range []func(testing.TB, signed) []matter{
		weak, transformed, detached, twoSigners, sameUserID, expired, postdated, revoked, revokedSubkey,
	} {
		all = append(all, cases(t, plain)...)
	}
	return all
})

// ask is a question about a chart with the ring as it is now.
func ask(name string, ring []byte, opts map[string]any, want builtins.Code) question {
	return question{name: name, ring: ring, opts: opts, want: want}
}

// verified is the same for a question that verifies, by these keys.
func verified(name string, ring []byte, opts map[string]any, by ...key) question {
	q := question{name: name, ring: ring, opts: opts, want: builtins.OK}
	for _, k := range by {
		q.signers = append(q.signers, k.fingerprint)
	}
	return q
}

func weak(t testing.TB, s signed) []matter {
	small, dsa := newKey(t, "RSA 1024", "rsa1024", "sign"), newKey(t, "DSA", "dsa2048", "sign")
	return []matter{
		newMatter(t, s.resign(t, s.by), verified("signed by gpg", s.by.public, nil, s.by), both),
		newMatter(t, s.resign(t, s.by, "--digest-algo", "SHA256"), verified("SHA-256", s.by.public, nil, s.by), both),
		newMatter(t, s.resign(t, s.by, "--digest-algo", "SHA1"), ask("P16 SHA-1", s.by.public, nil, builtins.WeakAlgorithm), both),
		newMatter(t, s.resign(t, small), ask("P16 RSA-1024", small.public, nil, builtins.WeakAlgorithm), both),
		newMatter(t, s.resign(t, dsa), ask("P16 DSA", dsa.public, nil, builtins.WeakAlgorithm), both),
	}
}

// transformed is one signature under the changes that cleartext signatures
// tolerate. Helm's parser takes them as gpg does.
func transformed(t testing.TB, s signed) []matter {
	var all []matter
	for name, prov := range map[string][]byte{
		"P15 CRLF":               bytes.ReplaceAll(s.prov, []byte("\n"), []byte("\r\n")),
		"P15 blanks at line end": inText(s.prov, func(line string) string { return line + " \t" }),
		"P15 needless dashes":    inText(s.prov, needlessDash),
	} {
		m := newMatter(t, s.with(s.label, s.by, prov), verified(name, s.by.public, nil, s.by), both)
		if before, after := canonical(t, s.by, s.prov), canonical(t, s.by, prov); before != after {
			t.Errorf("%s: gpgv gives the text %q, before the change %q", name, after, before)
		}
		all = append(all, m)
	}
	hidden := bytes.Replace(s.prov, []byte("Hash: SHA512"), []byte("NotDashEscaped: yes"), 1)
	return append(all, newMatter(t, s.with(s.label, s.by, hidden), ask("P14 NotDashEscaped", s.by.public, nil, builtins.MalformedProvenance), neither))
}

// inText changes each line of the signed text.
func inText(prov []byte, change func(string) string) []byte {
	head, rest, _ := bytes.Cut(prov, []byte("\n\n"))
	text, signature, _ := bytes.Cut(rest, []byte("\n-----BEGIN PGP SIGNATURE"))
	lines := strings.Split(string(text), "\n")
	for i := range lines {
		lines[i] = change(lines[i])
	}
	return fmt.Appendf(nil, "%s\n\n%s\n-----BEGIN PGP SIGNATURE%s", head, strings.Join(lines, "\n"), signature)
}

func needlessDash(line string) string {
	if strings.HasPrefix(line, "- ") || line == "" {
		return line
	}
	return "- " + line
}

// canonical is the signed text as gpgv gives it after it verified. Line ends
// are no part of what is signed, and gpgv leaves them as they are.
func canonical(t testing.TB, by key, prov []byte) string {
	t.Helper()
	dir := folder(t)
	ring := write(t, filepath.Join(dir, "ring.gpg"), by.public)
	in, out := write(t, filepath.Join(dir, "prov"), prov), filepath.Join(dir, "text")
	// Helm writes armor without checksum, over which gpgv exits 2: judge by status.
	status, _ := command{path: gnupg(t, "gpgv"), args: []string{"--homedir", dir, "--status-fd", "1", "--keyring", ring, "--output", out, in}}.run()
	if !bytes.Contains(status, []byte("[GNUPG:] VALIDSIG ")) {
		t.Errorf("gpgv finds no valid signature: %s", status)
	}
	text, err := os.ReadFile(out)
	if err != nil {
		t.Error(err)
	}
	return strings.ReplaceAll(string(text), "\r\n", "\n")
}

func detached(t testing.TB, s signed) []matter {
	signature := s.by.home.run(t, s.by.text(t, s.prov), "--local-user", s.by.signing, "--armor", "--detach-sign")
	return []matter{newMatter(t, s.with(s.label, s.by, signature), ask("P29 detached signature", s.by.public, nil, builtins.MalformedProvenance), neither)}
}

// twoSigners signs with two keys of one home, in one block.
func twoSigners(t testing.TB, s signed) []matter {
	h := newHome(t)
	first, second := newKeyAt(t, h, "first", "ed25519", "sign", "", "never"), newKeyAt(t, h, "second", "rsa3072", "sign", "", "never")
	signedTwice := s.resign(t, second, "--local-user", first.signing+"!")
	two := map[string]any{"threshold": 2}
	return []matter{
		newMatter(t, signedTwice, verified("two signers, threshold 2", second.public, two, first, second), both),
		newMatter(t, signedTwice, verified("two signers, one in the ring", first.public, nil, first), both),
		newMatter(t, signedTwice, ask("P27 two signers, one in the ring, threshold 2", append(bytes.Clone(first.public), s.by.public...), two, builtins.Threshold), both),
		newMatter(t, signedTwice, ask("P5 two signers, signers names neither", second.public, map[string]any{"signers": []string{s.by.fingerprint}}, builtins.UntrustedSigner), both),
	}
}

// sameUserID signs by a key that calls itself what a trusted key is called.
func sameUserID(t testing.TB, s signed) []matter {
	impostor := newKey(t, s.by.name, "rsa3072", "sign")
	resigned := s.resign(t, impostor)
	return []matter{
		newMatter(t, resigned, ask("P4 trusted user ID, unknown key", s.by.public, nil, builtins.UntrustedSigner), neither),
		newMatter(t, resigned, verified("its own ring", impostor.public, nil, impostor), both),
	}
}

// Dates as gpg takes them. The key's are of 2024, the last has not come yet.
const created, dayAfter, inTime, late, ahead = "20240101T000000", "20240102T000000", "20240105T000000", "20240301T000000", "20500101T000000"

// expired is a key of January 2024 that signs in its time and afterwards.
func expired(t testing.TB, s signed) []matter {
	k := newKeyAt(t, newHome(t), "expired", "ed25519", "sign", created, "never")
	good, tooLate := s.resign(t, k, at(inTime)...), s.resign(t, k, at(late)...)
	twin := newMatter(t, good, verified("not yet expired", k.public, nil, k), both)
	k.home.run(t, nil, at(dayAfter, "--quick-set-expire", k.fingerprint, "30d")...)
	ring := k.export(t)
	return []matter{
		twin,
		newMatter(t, good, ask("P17 key expired now", ring, nil, builtins.KeyExpired), neither),
		newMatter(t, good, verified("P17 key expired now, valid when signing", ring, whenSigning, k), neither),
		newMatter(t, tooLate, ask("signed after expiry", ring, whenSigning, builtins.KeyExpired), neither),
	}
}

func postdated(t testing.TB, s signed) []matter {
	return []matter{
		newMatter(t, s.resign(t, s.by, at(ahead)...), ask("P18 signed in the future", s.by.public, nil, builtins.BadSignature), neither),
	}
}

// revoked is a key of 2024 that is revoked, softly or not, after it signed.
func revoked(t testing.TB, s signed) []matter {
	var all []matter
	for _, reason := range []string{"superseded", "compromised"} {
		k := newKeyAt(t, newHome(t), reason, "ed25519", "sign", created, "never")
		good, stale := s.resign(t, k, at(inTime)...), k.public
		k.revoke(t, reason)
		ring := k.export(t)
		all = append(all,
			newMatter(t, good, verified("not yet revoked", stale, nil, k), both),
			newMatter(t, good, ask("P19 key revoked", ring, nil, builtins.KeyRevoked), neither),
			newMatter(t, good, ask("P20 unrevoked copy first", append(bytes.Clone(stale), ring...), nil, builtins.KeyRevoked), both),
			newMatter(t, good, ask("P20 revoked copy first", append(bytes.Clone(ring), stale...), nil, builtins.KeyRevoked), neither),
		)
		if reason == "superseded" {
			all = append(all, newMatter(t, good, verified("superseded after it signed", ring, whenSigning, k), neither))
		} else {
			all = append(all, newMatter(t, good, ask("compromised, whenever it signed", ring, whenSigning, builtins.KeyRevoked), neither))
		}
	}
	return all
}

// revoke revokes the primary key as compromised or superseded.
func (k key) revoke(t testing.TB, reason string) {
	t.Helper()
	answers := map[string]string{"compromised": "y\n1\n\ny\n", "superseded": "y\n2\n\ny\n"}
	command := home{k.home.dir, k.home.gpg}.command([]byte(answers[reason]), "--command-fd", "0", "--gen-revoke", k.fingerprint)
	command.args = without(command.args, "--batch")
	k.home.run(t, command.must(t), "--import")
}

// revokedSubkey revokes the subkey that signed; its primary stays.
func revokedSubkey(t testing.TB, s signed) []matter {
	k := newKey(t, "revoked subkey", "ed25519", "cert")
	good := s.resign(t, k)
	edit := k.home.command([]byte("key 1\nrevkey\ny\n1\n\ny\nsave\n"), "--command-fd", "0", "--edit-key", k.fingerprint)
	edit.args = without(edit.args, "--batch")
	edit.must(t)
	return []matter{
		newMatter(t, good, verified("subkey not yet revoked", k.public, nil, k), both),
		newMatter(t, good, ask("P19 subkey revoked", k.export(t), nil, builtins.KeyRevoked), neither),
	}
}

func without(args []string, not string) []string {
	var left []string
	for _, arg := range args {
		if arg != not {
			left = append(left, arg)
		}
	}
	return left
}
