// SPDX-License-Identifier: Apache-2.0

package chart_test

import (
	"bytes"
	"crypto/sha256"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/klauspost/compress/gzip"

	"github.com/chartseal/chartseal/builtins"
	"github.com/chartseal/chartseal/builtins/chart"
	"github.com/chartseal/chartseal/builtins/chartref"
	"github.com/chartseal/chartseal/test/forge"
)

// BenchmarkLockOK checks a directory with 6 MiB of archives that gzip cannot
// shrink, each pinned, beside what hashing and unpacking cost by themselves.
func BenchmarkLockOK(b *testing.B) {
	noise := make([]byte, 2<<20)
	_, _ = rand.NewChaCha8([32]byte{}).Read(noise) // never fails
	deps := []dep{common, on("cache", "1.x.x", stable, "1.0.0"), db}
	w := newWorld(b, deps...)
	var archives []byte
	for _, d := range deps {
		archive := subchart(d.Name, d.locked, forge.Entry{Name: "files/noise", Body: string(noise)})
		w.files["charts/"+d.Name+"-"+d.locked+".tgz"] = string(archive)
		archives = append(archives, archive...)
	}
	w.pin(b)
	env, ref, opts := w.env(), chartref.Parse("web"), w.opts(b)
	b.Run("check", func(b *testing.B) {
		measure(b, archives, func() { read(b, chart.LockOK.Call(b.Context(), env, ref, opts)).want(b, builtins.OK, "", "") })
	})
	b.Run("raw sha256", func(b *testing.B) { measure(b, archives, func() { sha256.Sum256(archives) }) })
	b.Run("raw gunzip", func(b *testing.B) {
		measure(b, archives, func() {
			r, err := gzip.NewReader(bytes.NewReader(archives))
			if err == nil {
				_, err = io.Copy(io.Discard, r)
			}
			if err != nil {
				b.Fatal(err)
			}
		})
	})
}

func measure(b *testing.B, raw []byte, f func()) {
	b.SetBytes(int64(len(raw)))
	b.ReportAllocs()
	for b.Loop() {
		f()
	}
}
