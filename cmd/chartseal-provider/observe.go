// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/chartseal/chartseal/builtins/config"
	"github.com/chartseal/chartseal/builtins/source"
)

// An observer counts, times and traces requests to registries.
type observer struct {
	requests *prometheus.CounterVec
	duration *prometheus.HistogramVec
	tracer   trace.Tracer // nil traces nothing
}

func newObserver(register prometheus.Registerer, from trace.TracerProvider) *observer {
	o := &observer{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "chartseal_registry_requests_total", Help: "Requests to registries and repositories, by what came of them."}, []string{"host", "method", "code"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "chartseal_registry_request_duration_seconds", Help: "Time of a request to a registry or repository, its body included.",
			Buckets: prometheus.ExponentialBuckets(.001, 2, 14), NativeHistogramBucketFactor: 1.1, NativeHistogramMaxBucketNumber: 100, NativeHistogramMinResetDuration: time.Hour,
		}, []string{"host"}),
	}
	if from != nil {
		o.tracer = from.Tracer("github.com/chartseal/chartseal/builtins/source")
	}
	register.MustRegister(o.requests, o.duration)
	return o
}

// watching is told of the requests that are made on one configuration.
func (o *observer) watching(c *config.Config) func(context.Context, source.Request) (context.Context, func(source.Result)) {
	return func(ctx context.Context, r source.Request) (context.Context, func(source.Result)) {
		host, began := label(c, r.Host), time.Now()
		span := trace.SpanFromContext(ctx)
		if o.tracer != nil {
			ctx, span = o.tracer.Start(ctx, "registry."+r.Kind, trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(attribute.String("server.address", host)))
		}
		return ctx, func(result source.Result) {
			o.requests.WithLabelValues(host, r.Method, string(result.Code)).Inc()
			o.duration.WithLabelValues(host).Observe(time.Since(began).Seconds())
			if o.tracer != nil {
				span.SetAttributes(attribute.Int("http.response.status_code", result.Status), attribute.Int64("http.response.body.size", result.Bytes))
				span.End()
			}
		}
	}
}

// label is the host as the configuration lists it, wildcards as they stand: who
// writes references chooses no labels.
func label(c *config.Config, host string) string {
	if r, listed := c.Registry(host); listed {
		return r.Host
	}
	return "other"
}
