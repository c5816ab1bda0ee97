// SPDX-License-Identifier: Apache-2.0

package bench_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
)

// ed25519 is the algorithm of every key here.
var ed25519 = &packet.Config{Algorithm: packet.PubKeyAlgoEdDSA}

func newEntity(b testing.TB, name string) *openpgp.Entity {
	b.Helper()
	e, err := openpgp.NewEntity(name, "", name+"@example.com", ed25519)
	if err != nil {
		b.Fatal(err)
	}
	return e
}

// Rings in the trust directory, and their configuration.
const signerRing, thousandRing, strangerRing = "signer", "thousand", "stranger"

// writeTrust makes the signer's key, a ring in which 999 others come before
// it, a ring without it, and a configuration that knows them all.
func writeTrust(b testing.TB) {
	b.Helper()
	signer := newEntity(b, "signer")
	var others bytes.Buffer
	for i := range 999 {
		serialize(b, newEntity(b, fmt.Sprint("other", i)).Serialize, &others)
	}
	var public, secret bytes.Buffer
	serialize(b, func(w io.Writer) error { return signer.SerializePrivate(w, ed25519) }, &secret)
	serialize(b, signer.Serialize, &public)
	write(b, "secret.gpg", secret.Bytes())
	write(b, ringFile(strangerRing), others.Bytes())
	write(b, ringFile(signerRing), public.Bytes())
	write(b, ringFile(thousandRing), append(others.Bytes(), public.Bytes()...))
	write(b, "chartseal.yaml", []byte("trust:\n  directory: trust\n"))
}

func serialize(b testing.TB, to func(io.Writer) error, w io.Writer) {
	b.Helper()
	if err := to(w); err != nil {
		b.Fatal(err)
	}
}

func ringFile(name string) string { return filepath.Join("trust", "keyrings", name+".gpg") }

// writeChart packs and signs a chart with random files, of this many bytes
// each, with real Helm, and gives the archive's name.
func writeChart(b testing.TB, name string, files, size int) string {
	b.Helper()
	write(b, filepath.Join(name, "Chart.yaml"), fmt.Appendf(nil, "apiVersion: v2\nname: %s\nversion: 1.2.3\n", name))
	write(b, filepath.Join(name, "values.yaml"), []byte("replicas: 1\n"))
	random := rand.NewChaCha8([32]byte{})
	content := make([]byte, size)
	for i := range files {
		_, _ = random.Read(content) // never fails
		write(b, filepath.Join(name, "files", fmt.Sprint(i)), content)
	}
	sign := exec.Command(tool(b, "helm3"), "package", name, "--sign", "--key", "signer", "--keyring", "secret.gpg")
	sign.Dir = workspace
	if out, err := sign.CombinedOutput(); err != nil {
		b.Fatalf("signing %s: %v: %s", name, err, out)
	}
	return name + "-1.2.3.tgz"
}

// tamper gives a copy in a folder of its own in which one byte differs.
func tamper(b testing.TB, archive string) string {
	b.Helper()
	tampered := filepath.Join("tampered", archive)
	size := copyFile(b, archive, tampered)
	copyFile(b, archive+".prov", tampered+".prov")
	f, err := os.OpenFile(filepath.Join(workspace, tampered), os.O_RDWR, 0)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	var one [1]byte
	_, err = f.ReadAt(one[:], size/2)
	one[0] ^= 1
	_, wrote := f.WriteAt(one[:], size/2)
	if err := errors.Join(err, wrote); err != nil {
		b.Fatal(err)
	}
	return tampered
}

// copyFile copies by streaming: a child's memory is counted from that of its
// parent, so this process stays small.
func copyFile(b testing.TB, from, to string) int64 {
	b.Helper()
	write(b, to, nil)
	in, err := os.Open(filepath.Join(workspace, from))
	if err != nil {
		b.Fatal(err)
	}
	defer in.Close()
	out, err := os.OpenFile(filepath.Join(workspace, to), os.O_WRONLY, 0)
	if err != nil {
		b.Fatal(err)
	}
	size, err := io.Copy(out, in)
	if err := errors.Join(err, out.Close()); err != nil {
		b.Fatal(err)
	}
	return size
}

func write(b testing.TB, name string, content []byte) {
	b.Helper()
	path := filepath.Join(workspace, name)
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, content, 0o600)); err != nil {
		b.Fatal(err)
	}
}
