// SPDX-License-Identifier: Apache-2.0

package provider_test

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/chartseal/chartseal/builtins"
	"github.com/chartseal/chartseal/provider"
)

// nobody reads an answer.
type nobody struct{ header http.Header }

func (w nobody) Header() http.Header         { return w.header }
func (w nobody) Write(p []byte) (int, error) { return len(p), nil }
func (w nobody) WriteHeader(int)             {}

// BenchmarkWarm is a request whose verdicts are all remembered, without what
// TLS and HTTP take.
func BenchmarkWarm(b *testing.B) {
	for _, keys := range []int{1, 10, 64} {
		b.Run(fmt.Sprint(keys), func(b *testing.B) {
			p := provider.New(provider.Config{
				Checks: []*builtins.Builtin{newFake().builtin()}, Metrics: prometheus.NewRegistry(),
				Log: slog.New(slog.NewJSONHandler(io.Discard, nil)),
			}, basis())
			body := []byte(requestOf(manyKeys(keys)...))
			request := httptest.NewRequest(http.MethodPost, provider.Path, nil)
			w := nobody{http.Header{}}
			b.ReportAllocs()
			for b.Loop() {
				request.Body = io.NopCloser(bytes.NewReader(body))
				p.ServeHTTP(w, request)
			}
		})
	}
}
