# METADATA
# title: k3s
# description: Where the Helm controller of k3s and RKE2 takes charts from.
package lib.k3s

import data.lib.entries
import data.lib.fields
import data.lib.refs

# METADATA
# title: Kinds
# description: The objects that name charts.
kinds := [{"apiGroups": groups, "kinds": ["HelmChart"]}]

# METADATA
# title: Groups
# description: The API groups that are read here.
groups := ["helm.cattle.io"]

# METADATA
# title: Sources
# description: An entry for each place from which a chart could be taken. A HelmChartConfig has none, since it holds values only.
sources(resource) := _release(resource) if fields.text(resource, ["kind"]) == "HelmChart"

else := [] if fields.text(resource, ["kind"]) == "HelmChartConfig"

else := [entries.unknown("kind", "kind is none of k3s that is understood")]

# METADATA
# title: Repositories
# description: None; a HelmChart names its repository together with the chart.
repositories(_) := []

# METADATA
# title: Insecure
# description: The fields that weaken the transport.
insecure(resource) := entries.weakened(resource, "", {"spec": {"insecureSkipTLSVerify", "plainHTTP", "authPassCredentials"}})

_release(resource) := entries.first([
	entries.faults(resource, "", {"object": [["spec"]]}),
	_content_faults(resource),
	entries.faults(fields.members(resource, ["spec"]), "spec", _shape),
	array.concat(_entries(resource), _job(resource)),
])

_shape := {"string": [["chart"], ["version"], ["repo"], ["jobImage"]]}

# Content is no text that anyone shows, so its length is the API server's business.
_content_faults(resource) := [entries.unknown("spec.chartContent", sprintf("spec.chartContent is %s, want a string", [type])) |
	content := fields.at(resource, ["spec", "chartContent"])
	content != null
	not is_string(content)
	type := fields.named_type(content)
]

_entries(resource) := array.concat(_content(resource), _named(resource)) if {
	fields.used(resource, ["spec", "chart"])
	fields.used(resource, ["spec", "chartContent"])
} else := _content(resource) if {
	fields.used(resource, ["spec", "chartContent"])
} else := _named(resource)

_content(resource) := [entry |
	digest := entries.digest(fields.text(resource, ["spec", "chartContent"]))
	fields.used(resource, ["spec", "chartContent"])
	entry := entries.inline("spec.chartContent", digest, "spec.chartContent holds a chart without a reference")
]

# A chart is a name, a URL, or oci:// and a repository.
_named(resource) := [_registry(resource)] if {
	startswith(fields.text(resource, ["spec", "chart"]), "oci://")
} else := [_archive(resource)] if {
	contains(fields.text(resource, ["spec", "chart"]), "://")
} else := [_indexed(resource)]

_registry(resource) := _ambiguous if {
	fields.used(resource, ["spec", "repo"])
} else := entries.unknown("spec.chart", sprintf("spec.version %s is not one exact version", [fields.quote(version)])) if {
	version := fields.text(resource, ["spec", "version"])
	not refs.exact_version(version)
} else := entries.artifact({
	"via": "spec.chart",
	"repository": fields.text(resource, ["spec", "chart"]),
	"tag": fields.text(resource, ["spec", "version"]),
	"digest": "",
	"fields": {"repository": "spec.chart", "tag": "spec.version", "digest": "spec.version"},
})

_archive(resource) := _ambiguous if {
	fields.used(resource, ["spec", "repo"])
} else := entries.unknown("spec.chart", "spec.chart is served by the API server itself") if {
	contains(fields.text(resource, ["spec", "chart"]), "%{")
} else := entries.archive("spec.chart", "spec.chart", fields.text(resource, ["spec", "chart"]))

# Without a repository the job looks in its own image.
_indexed(resource) := entries.unknown(
	"spec.repo",
	sprintf("spec.repo %s is no repository with an index, want https://", [fields.quote(repository)]),
) if {
	repository := fields.text(resource, ["spec", "repo"])
	not strings.any_prefix_match(repository, ["https://", "http://"])
} else := entries.named({
	"via": "spec.chart",
	"repository": fields.text(resource, ["spec", "repo"]),
	"name": fields.text(resource, ["spec", "chart"]),
	"version": fields.text(resource, ["spec", "version"]),
	"fields": {"repository": "spec.repo", "name": "spec.chart", "version": "spec.version"},
})

_ambiguous := entries.unknown("spec.repo", "spec.repo stands beside a chart that has an address of its own")

_job(resource) := [entries.unknown("spec.jobImage", "spec.jobImage runs in place of Helm") |
	fields.used(resource, ["spec", "jobImage"])
]
