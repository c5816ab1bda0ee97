// SPDX-License-Identifier: Apache-2.0

package archive_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/klauspost/compress/gzip"

	"github.com/chartseal/chartseal/builtins"
	"github.com/chartseal/chartseal/builtins/archive"
	"github.com/chartseal/chartseal/test/forge"
)

// large is a chart archive of about size bytes that does not compress.
func large(t testing.TB, size int) []byte {
	t.Helper()
	random := rand.NewChaCha8([32]byte{})
	var extra []forge.Entry
	for i := range size / (5 * mib) {
		body := make([]byte, 5*mib)
		if _, err := random.Read(body); err != nil {
			t.Fatal(err)
		}
		extra = append(extra, forge.Entry{Name: fmt.Sprintf("files/%d.bin", i), Body: string(body)})
	}
	var b bytes.Buffer
	w, err := gzip.NewWriterLevel(&b, gzip.NoCompression)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(forge.Tar(with(extra...)...)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// typical is a chart archive that compresses as templates do, unpacking to about size bytes.
func typical(size int) []byte {
	random := rand.New(rand.NewChaCha8([32]byte{}))
	words := []string{"metadata:", "  name: ", "{{ .Release.Name }}", "spec:", "replicas: ", "\n", "  - ", "image: ", "{{- include ", " . | nindent 4 }}"}
	var extra []forge.Entry
	for i := range size / (64 << 10) {
		var b bytes.Buffer
		for b.Len() < 64<<10 {
			b.WriteString(words[random.IntN(len(words))])
			fmt.Fprint(&b, random.IntN(1000))
		}
		extra = append(extra, forge.Entry{Name: fmt.Sprintf("templates/%d.yaml", i), Body: b.String()})
	}
	return forge.Archive(with(extra...)...)
}

// The raw cost of hashing and unpacking stands beside that of reading.
func BenchmarkRead(b *testing.B) {
	for name, raw := range map[string][]byte{
		"small": forge.Archive(with()...), "typical 48 MiB unpacked": typical(48 * mib), "random 50 MiB": large(b, 50*mib),
	} {
		for kind, read := range readers {
			b.Run(name+"/"+kind, func(b *testing.B) {
				measure(b, raw, func() error {
					_, err := read(b.Context(), bytes.NewReader(raw), builtins.NewBudget(builtins.DefaultLimits()))
					return err
				})
			})
		}
		b.Run(name+"/raw sha256", func(b *testing.B) {
			measure(b, raw, func() error { sha256.Sum256(raw); return nil })
		})
		b.Run(name+"/raw gunzip", func(b *testing.B) { measure(b, raw, func() error { return gunzip(raw) }) })
	}
}

func measure(b *testing.B, raw []byte, f func() error) {
	b.SetBytes(int64(len(raw)))
	b.ReportAllocs()
	for b.Loop() {
		if err := f(); err != nil {
			b.Fatal(err)
		}
	}
}

func gunzip(raw []byte) error {
	r, err := gzip.NewReader(bytes.NewReader(raw))
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, r)
	return err
}

func BenchmarkParseMetadata(b *testing.B) {
	raw := []byte(forge.ChartYAML("web", "1.2.3", "keywords: [a, b, c]", "maintainers: [{name: a}]",
		"dependencies: [{name: db, version: 1.x, repository: https://charts.example.com}]", ""))
	measure(b, raw, func() error {
		_, err := archive.ParseMetadata(raw)
		return err
	})
}
