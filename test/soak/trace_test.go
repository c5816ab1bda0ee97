// SPDX-License-Identifier: Apache-2.0

package soak

import (
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	trace "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// A receiver takes traces by OTLP over http.
type receiver struct {
	*httptest.Server
	mu    sync.Mutex
	spans []*trace.Span
	text  string // of all that arrived
}

func newReceiver(t testing.TB) *receiver {
	c := &receiver{}
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		var export collector.ExportTraceServiceRequest
		if err != nil || proto.Unmarshal(body, &export) != nil || r.URL.Path != "/v1/traces" {
			t.Errorf("%s got %d bytes that are no traces, %v", r.URL.Path, len(body), err)
			return
		}
		c.take(&export)
		w.Header().Set("Content-Type", "application/x-protobuf")
	}))
	t.Cleanup(c.Close)
	return c
}

func (c *receiver) take(export *collector.ExportTraceServiceRequest) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.text += export.String()
	for _, resource := range export.ResourceSpans {
		for _, scope := range resource.ScopeSpans {
			c.spans = append(c.spans, scope.Spans...)
		}
	}
}

// of gives the spans of a trace, by id.
func (c *receiver) of(traceID string) map[string]*trace.Span {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := map[string]*trace.Span{}
	for _, span := range c.spans {
		if hex.EncodeToString(span.TraceId) == traceID {
			all[string(span.SpanId)] = span
		}
	}
	return all
}

// path is the names of a span and those above it, up to the caller's.
func path(spans map[string]*trace.Span, span *trace.Span) string {
	parent, known := spans[string(span.ParentSpanId)]
	if !known {
		return hex.EncodeToString(span.ParentSpanId) + " > " + span.Name
	}
	return path(spans, parent) + " > " + span.Name
}

const (
	callersTrace = "4bf92f3577b34da6a3ce929d0e0e4736"
	callersSpan  = "00f067aa0ba902b7"
)

// A request with a traceparent is one trace below its caller's span, from the
// request to each call of a registry, without queries and secrets.
func TestTraces(t *testing.T) {
	c := newReceiver(t)
	p := newPlace(t)
	keys := p.registry.push("web", 1)
	r := p.start("OTEL_EXPORTER_OTLP_ENDPOINT="+c.URL, "OTEL_BSP_SCHEDULE_DELAY=50")
	g := p.gatekeeper(r)
	query := keyOf("http://" + p.registry.host() + "/stable/web-1.2.3.tgz?token=" + canaryQuery)
	a, err := g.tryWith(t.Context(), map[string]string{"traceparent": "00-" + callersTrace + "-" + callersSpan + "-01"}, keys[0], query)
	must(t, err)
	if a.outcomes()["verified"] != 1 {
		t.Fatalf("answer is %s", a.raw)
	}
	request := callersSpan + " > provider.request"
	key := request + " > key.verify"
	wanted := []string{request, key, key + " > registry.resolve", key + " > registry.blob", key + " > crypto.verify"}
	paths := map[string]int{}
	eventually(t, "the spans", func() bool {
		clear(paths)
		spans := c.of(callersTrace)
		for _, span := range spans {
			paths[path(spans, span)]++
		}
		for _, want := range wanted {
			if paths[want] == 0 {
				return false
			}
		}
		return true
	})
	t.Log(paths)
	if strings.Contains(c.text, canaryQuery) || !strings.Contains(c.text, "charts/web:1.0.0") {
		t.Errorf("attributes are %s", c.text)
	}
	var logged bool
	r.signal(15)
	r.code()
	for _, span := range c.of(callersTrace) {
		if strings.HasPrefix(span.Name, "registry.") && span.Kind != trace.Span_SPAN_KIND_CLIENT {
			t.Errorf("%s is of kind %s", span.Name, span.Kind)
		}
		logged = true
	}
	if !logged {
		t.Error("no spans")
	}
}

// Without the variable there are no traces, and the caller's id is not made up.
func TestNoTraces(t *testing.T) {
	c := newReceiver(t)
	p := newPlace(t)
	keys := p.registry.push("web", 1)
	r := p.start("OTEL_BSP_SCHEDULE_DELAY=50")
	_, err := p.gatekeeper(r).tryWith(t.Context(), map[string]string{"traceparent": "00-" + callersTrace + "-" + callersSpan + "-01"}, keys[0])
	must(t, err)
	r.signal(15)
	if code := r.code(); code != 0 || len(c.spans) > 0 {
		t.Errorf("ended with %d and %d spans", code, len(c.spans))
	}
}
