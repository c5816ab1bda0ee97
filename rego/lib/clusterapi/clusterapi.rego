# METADATA
# title: Cluster API
# description: Where the Helm add-on provider of Cluster API takes charts from.
package lib.clusterapi

import data.lib.entries
import data.lib.fields

# METADATA
# title: Kinds
# description: The objects that name charts.
kinds := [{"apiGroups": groups, "kinds": _known}]

# METADATA
# title: Groups
# description: The API groups that are read here.
groups := ["addons.cluster.x-k8s.io"]

# METADATA
# title: Sources
# description: An entry for each place from which a chart could be taken.
sources(resource) := entries.first([
	entries.faults(resource, "", {"object": [["spec"]]}),
	entries.faults(fields.members(resource, ["spec"]), "spec", _shape),
	array.concat([_entry(resource)], _updates(resource)),
]) if {
	fields.text(resource, ["kind"]) in _known
} else := [entries.unknown("kind", "kind is none of Cluster API that is understood")]

# METADATA
# title: Repositories
# description: None; proxies name their repository together with the chart.
repositories(_) := []

# METADATA
# title: Insecure
# description: The fields that weaken the transport.
insecure(resource) := entries.weakened(resource, "", {"spec.tlsConfig": {"insecureSkipTLSVerify"}})

_known := ["HelmChartProxy", "HelmReleaseProxy"]

_shape := {"object": [["options"]], "string": [["chartName"], ["repoURL"], ["version"]]}

_entry(resource) := entries.named({
	"via": "spec",
	"repository": fields.text(resource, ["spec", "repoURL"]),
	"name": fields.text(resource, ["spec", "chartName"]),
	"version": fields.text(resource, ["spec", "version"]),
	"fields": {"repository": "repoURL", "name": "chartName", "version": "version"},
})

_updates(resource) := [entries.unknown("spec.options.dependencyUpdate", "spec.options.dependencyUpdate fetches charts that are not named") |
	fields.used(resource, ["spec", "options", "dependencyUpdate"])
]
