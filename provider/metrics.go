// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"cmp"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/chartseal/chartseal/builtins"
)

// metrics are what a provider counts. Labels have values from closed sets: no
// reference, subject or error text is among them.
type metrics struct {
	verifications *prometheus.CounterVec
	verification  *prometheus.HistogramVec
	requests      *prometheus.CounterVec
	request       prometheus.Histogram
	keys          prometheus.Histogram
	refused       *prometheus.CounterVec
}

// Buckets are those of 0.5 ms to 10 s; who reads native histograms gets these
// as well.
func histogram(name, help string) prometheus.HistogramOpts {
	return prometheus.HistogramOpts{
		Name: name, Help: help,
		Buckets:                     []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 1.5, 2.5, 5, 10},
		NativeHistogramBucketFactor: 1.1, NativeHistogramMaxBucketNumber: 100, NativeHistogramMinResetDuration: time.Hour,
	}
}

func newMetrics(register prometheus.Registerer, p *Provider) *metrics {
	if register == nil {
		register = prometheus.NewRegistry()
	}
	m := &metrics{
		verifications: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "chartseal_verifications_total", Help: "Checks that were made, by what they found."}, []string{"builtin", "outcome", "code"}),
		verification:  prometheus.NewHistogramVec(histogram("chartseal_verification_duration_seconds", "Time until a key had its verdict, made anew or remembered."), []string{"builtin", "cache"}),
		requests:      prometheus.NewCounterVec(prometheus.CounterOpts{Name: "chartseal_provider_requests_total", Help: "Requests of Gatekeeper, by HTTP status."}, []string{"code"}),
		request:       prometheus.NewHistogram(histogram("chartseal_provider_request_duration_seconds", "Time until a request had its answer.")),
		keys:          prometheus.NewHistogram(prometheus.HistogramOpts{Name: "chartseal_provider_keys_per_request", Help: "Distinct keys of a request.", Buckets: []float64{0, 1, 2, 4, 8, 16, 32, 64}}),
	}
	m.refused = prometheus.NewCounterVec(prometheus.CounterOpts{Name: "chartseal_clients_refused_total", Help: "Connections that were not answered, by what is wrong with the client's certificate."}, []string{"reason"})
	register.MustRegister(m.refused, m.verifications, m.verification, m.requests, m.request, m.keys,
		counter("chartseal_shed_total", "Checks refused because too many waited.", func() int64 { return p.schedule.shed.Load() }),
		counter("chartseal_panics_total", "Checks that panicked.", builtins.Panics),
		gauge("chartseal_inflight", "Checks under way.", func() float64 { running, _ := p.schedule.load(); return float64(running) }),
		gauge("chartseal_waiting", "Checks that wait for their turn.", func() float64 { _, waiting := p.schedule.load(); return float64(waiting) }),
		gauge("chartseal_config_generation", "Configurations and trust directories that were taken since the start.", func() float64 { return float64(p.Generation()) }),
	)
	return m
}

func counter(name, help string, value func() int64) prometheus.Collector {
	return prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help}, func() float64 { return float64(value()) })
}

func gauge(name, help string, value func() float64) prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, value)
}

// verified counts a check that was made.
func (m *metrics) verified(check string, rep builtins.Report) {
	m.verifications.WithLabelValues(check, string(rep.Outcome), string(rep.Code)).Inc()
}

// duration is where it is counted how long keys of a check waited.
func (m *metrics) duration(check, cache string) prometheus.Observer {
	return m.verification.WithLabelValues(cmp.Or(check, "none"), cache)
}

func (m *metrics) asked(status, keys int, took time.Duration) {
	m.requests.WithLabelValues(strconv.Itoa(status)).Inc()
	m.request.Observe(took.Seconds())
	m.keys.Observe(float64(keys))
}
