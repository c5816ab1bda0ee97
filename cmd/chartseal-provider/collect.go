// SPDX-License-Identifier: Apache-2.0

package main

import (
	"github.com/maypok86/otter/v2/stats"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/chartseal/chartseal/builtins/source"
)

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(name, help, labels, nil)
}

// What is asked of those who know it when somebody scrapes. Counters begin anew
// with a changed configuration, as they do with a restart.
var (
	descGood        = desc("chartseal_config_last_reload_successful", "1 if what the files hold now is what is used, 0 if something earlier still is.")
	descGoodAt      = desc("chartseal_config_last_reload_success_timestamp_seconds", "When configuration, trust and certificates were last found good.")
	descCertificate = desc("chartseal_certificate_not_after_timestamp_seconds", "When the serving certificate expires.")
	descKey         = desc("chartseal_trust_key_not_after_timestamp_seconds", "When the key in the trust directory expires that does so first; absent if none will.")
	descHits        = desc("chartseal_cache_hits_total", "Look-ups that found something.", "cache")
	descMisses      = desc("chartseal_cache_misses_total", "Look-ups that found nothing.", "cache")
	descEvictions   = desc("chartseal_cache_evictions_total", "Entries that had to make room.", "cache")
	descBytes       = desc("chartseal_cache_bytes", "Memory that is taken.", "cache")
	descQueueFull   = desc("chartseal_registry_queue_full_total", "Requests not sent because too many waited for their host.")
	descLeftAlone   = desc("chartseal_registry_left_alone_total", "Requests not sent because their host does not answer.")
	descOpened      = desc("chartseal_registry_circuits_opened_total", "Hosts that began to be left alone.")
	descClosed      = desc("chartseal_registry_circuits_closed_total", "Hosts that answered again.")
)

// Describe and Collect make l a collector.
func (l *live) Describe(all chan<- *prometheus.Desc) { prometheus.DescribeByCollect(l, all) }

// Collect gives what is true now.
func (l *live) Collect(all chan<- prometheus.Metric) {
	now := l.now.Load()
	gauge := func(d *prometheus.Desc, value float64) {
		all <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value)
	}
	good := 0.0
	if l.good.Load() {
		good = 1
	}
	gauge(descGood, good)
	gauge(descGoodAt, float64(l.goodAt.Load()))
	gauge(descCertificate, float64(l.tls.NotAfter().Unix()))
	if !now.expiry.IsZero() {
		gauge(descKey, float64(now.expiry.Unix()))
	}
	collectRequests(all, now.client.Stats())
	for name, remembered := range map[string]func() (stats.Stats, uint64){
		"verdicts": l.provider.Remembered, "content": now.client.Remembered,
		"facts": func() (stats.Stats, uint64) { return source.Remembered(now.facts) },
	} {
		collectCache(all, name, remembered)
	}
}

func collectRequests(all chan<- prometheus.Metric, s source.Stats) {
	for d, value := range map[*prometheus.Desc]int64{
		descQueueFull: s.QueueFull, descLeftAlone: s.LeftAlone, descOpened: s.CircuitOpened, descClosed: s.CircuitClosed,
	} {
		all <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(value))
	}
}

func collectCache(all chan<- prometheus.Metric, name string, remembered func() (stats.Stats, uint64)) {
	s, bytes := remembered()
	for d, value := range map[*prometheus.Desc]uint64{descHits: s.Hits, descMisses: s.Misses, descEvictions: s.Evictions} {
		all <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(value), name)
	}
	all <- prometheus.MustNewConstMetric(descBytes, prometheus.GaugeValue, float64(bytes), name)
}
