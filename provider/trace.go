// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"context"
	"net/http"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/chartseal/chartseal/builtins"
)

// tracing makes the spans provider.request, key.verify and crypto.verify. A nil
// one makes none and costs nothing.
type tracing struct{ tracer trace.Tracer }

func newTracing(from trace.TracerProvider) *tracing {
	if from == nil {
		return nil
	}
	return &tracing{from.Tracer("github.com/chartseal/chartseal/provider")}
}

// request begins the span of a request, below the one that its headers name
// (W3C Trace Context).
func (t *tracing) request(r *http.Request) (context.Context, func(keys int)) {
	if t == nil {
		return r.Context(), func(int) {}
	}
	ctx := propagation.TraceContext{}.Extract(r.Context(), propagation.HeaderCarrier(r.Header))
	ctx, span := t.tracer.Start(ctx, "provider.request", trace.WithSpanKind(trace.SpanKindServer))
	return ctx, func(keys int) {
		span.SetAttributes(attribute.Int("chartseal.keys", keys))
		span.End()
	}
}

// key begins the span of a check, below that of the request that asked first.
// The check outlives the request, and so may its span.
func (t *tracing) key(ctx context.Context, f *flight) (context.Context, func(builtins.Report)) {
	if t == nil {
		return ctx, func(builtins.Report) {}
	}
	ctx, span := t.tracer.Start(trace.ContextWithSpanContext(ctx, f.request.span), "key.verify")
	return ctx, func(rep builtins.Report) {
		span.SetAttributes(
			attribute.String("chartseal.builtin", f.question.check.Name), attribute.String("chartseal.ref", builtins.Clip(rep.Ref)),
			attribute.String("chartseal.digest", rep.Digest), attribute.String("chartseal.outcome", string(rep.Outcome)),
			attribute.String("chartseal.code", string(rep.Code)))
		span.End()
	}
}

// within is what checks call where they begin something worth measuring.
func (t *tracing) within() func(context.Context, string) func() {
	if t == nil {
		return nil
	}
	return func(ctx context.Context, name string) func() {
		_, span := t.tracer.Start(ctx, name)
		return func() { span.End() }
	}
}

// traceOf is the id of the trace that ctx belongs to, "" for none.
func traceOf(ctx context.Context) string {
	if id := trace.SpanContextFromContext(ctx).TraceID(); id.IsValid() {
		return id.String()
	}
	return ""
}
