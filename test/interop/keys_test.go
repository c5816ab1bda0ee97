// SPDX-License-Identifier: Apache-2.0

package interop_test

import (
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
)

// A home is a GNUPGHOME: an agent, secret keys and a keybox.
type home struct {
	dir string
	gpg string
}

var homes struct {
	sync.Mutex
	all []string
}

func newHome(t testing.TB) home {
	t.Helper()
	h := home{dir: folder(t), gpg: gnupg(t, "gpg")}
	homes.Lock()
	defer homes.Unlock()
	homes.all = append(homes.all, h.dir)
	return h
}

// endAgents ends the agent of every home.
func endAgents() {
	for _, dir := range homes.all {
		_ = exec.Command("gpgconf", "--homedir", dir, "--kill", "gpg-agent").Run()
	}
}

func (h home) command(stdin []byte, args ...string) command {
	always := []string{"--homedir", h.dir, "--batch", "--no-tty", "--yes", "--quiet", "--pinentry-mode", "loopback", "--passphrase", ""}
	return command{dir: h.dir, stdin: stdin, path: h.gpg, args: append(always, args...)}
}

func (h home) run(t testing.TB, stdin []byte, args ...string) []byte {
	t.Helper()
	return h.command(stdin, args...).must(t)
}

// at makes gpg believe that it is then, "20240105T000000".
func at(then string, args ...string) []string {
	return append([]string{"--faked-system-time", then + "!"}, args...)
}

var fingerprintLine = regexp.MustCompile(`(?m)^fpr:::::::::([0-9A-F]+):`)

// fingerprints are those of a user's keys, the primary's first.
func (h home) fingerprints(t testing.TB, user string) []string {
	t.Helper()
	var all []string
	for _, m := range fingerprintLine.FindAllSubmatch(h.run(t, nil, "--with-colons", "--list-keys", user), -1) {
		all = append(all, string(m[1]))
	}
	return all
}

// A key signs charts.
type key struct {
	name        string
	home        home
	user        string
	fingerprint string // the primary's
	signing     string // of the key that signs, as gpg wants it
	public      []byte // its home's keys in binary form, as they were then
	secret      string // file with the secret key, for helm package --sign
}

// newKey generates a key with gpg; usage is "sign", or "cert" for a primary
// that only certifies, which then gets a signing subkey.
func newKey(t testing.TB, name, algorithm, usage string) key {
	t.Helper()
	return newKeyAt(t, newHome(t), name, algorithm, usage, "", "never")
}

func newKeyAt(t testing.TB, h home, name, algorithm, usage, then, expires string) key {
	t.Helper()
	k := key{name: name, home: h, user: name + " <" + strings.ReplaceAll(name, " ", ".") + "@example.com>"}
	generate := []string{"--quick-gen-key", k.user, algorithm, usage, expires}
	if then != "" {
		generate = at(then, generate...)
	}
	h.run(t, nil, generate...)
	primary := h.fingerprints(t, k.user)[0]
	if usage == "cert" {
		h.run(t, nil, "--quick-add-key", primary, "ed25519", "sign", "never")
	}
	all := h.fingerprints(t, k.user)
	k.fingerprint, k.signing = primary, all[len(all)-1]
	k.public = k.export(t)
	k.secret = write(t, filepath.Join(h.dir, "secret.gpg"), h.run(t, nil, "--export-secret-keys"))
	return k
}

// A ring is the public half of keys in one of the forms that gpg writes.
type ring struct {
	name    string
	content []byte
	helm    acceptance // of charts by this key
}

func (k key) rings(t testing.TB) []ring {
	return []ring{
		{"binary", k.public, both},
		{"armored", k.home.run(t, nil, "--export", "--armor"), onlyV4},
		{"keybox", read(t, filepath.Join(k.home.dir, "pubring.kbx")), onlyV4},
	}
}

// export gives the home's keys as they are now.
func (k key) export(t testing.TB) []byte { return k.home.run(t, nil, "--export") }

// clearsign is gpg's cleartext signature of a text, by exactly this key.
func (k key) clearsign(t testing.TB, text []byte, args ...string) []byte {
	t.Helper()
	always := []string{"--digest-algo", "SHA512", "--local-user", k.signing + "!"}
	return k.home.run(t, text, append(append(always, args...), "--clearsign")...)
}

// text is what a cleartext signature is about, as gpg gives it.
func (k key) text(t testing.TB, prov []byte) []byte {
	t.Helper()
	// gpg exits 2 over armor without checksum, as Helm writes it.
	out, _ := k.home.command(prov, "--decrypt").run()
	if len(out) == 0 {
		t.Fatal("gpg finds no text in the provenance file")
	}
	return out
}
