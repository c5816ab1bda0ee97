# METADATA
# title: Flux
# description: Where Flux takes charts from, in every API version. What stands in another object is read from the inventory.
package lib.flux

import data.lib.entries
import data.lib.fields

# METADATA
# title: Kinds
# description: The objects that name charts.
kinds := [
	{"apiGroups": ["helm.toolkit.fluxcd.io"], "kinds": ["HelmRelease"]},
	{"apiGroups": ["source.toolkit.fluxcd.io"], "kinds": ["HelmChart", "OCIRepository"]},
]

# METADATA
# title: Groups
# description: The API groups that are read here.
groups := ["helm.toolkit.fluxcd.io", "source.toolkit.fluxcd.io"]

# METADATA
# title: Sources
# description: An entry for each place from which a chart could be taken. A HelmRepository has none, since it says where charts are and not which is taken.
sources(resource) := known if {
	known := _sources(fields.text(resource, ["kind"]), resource)
} else := [entries.unknown("kind", "kind is none of Flux that is understood")]

# METADATA
# title: Repositories
# description: The addresses in objects that say where charts are.
repositories(resource) := [{"via": "spec.url", "url": fields.text(resource, ["spec", "url"])}] if {
	fields.text(resource, ["kind"]) in ["HelmRepository", "OCIRepository"]
} else := []

# METADATA
# title: Insecure
# description: The fields that weaken the transport, also in the objects that an indirect source leads to.
insecure(resource) := known if {
	known := _insecure(fields.text(resource, ["kind"]), resource)
} else := []

_sources(kind, resource) := _release(resource) if kind == "HelmRelease"

_sources(kind, resource) := _helm_chart(resource, _namespace(resource)) if kind == "HelmChart"

_sources(kind, resource) := _artifact(resource) if kind == "OCIRepository"

_sources(kind, _) := [] if kind == "HelmRepository"

_sources(kind, _) := [_folder("spec", "GitRepository")] if kind == "GitRepository"

_sources(kind, _) := [_folder("spec", "Bucket")] if kind == "Bucket"

_sources(kind, _) := [entries.unreadable("spec.sourceRef", "indirect", _external)] if kind == "ExternalArtifact"

_insecure(kind, resource) := array.concat(
	_weakened_behind(resource, "spec.chart.spec.sourceRef", _namespace(resource)),
	_weakened_behind(resource, "spec.chartRef", _namespace(resource)),
) if {
	kind == "HelmRelease"
}

_insecure(kind, resource) := _weakened_behind(resource, "spec.sourceRef", _namespace(resource)) if kind == "HelmChart"

_insecure(kind, resource) := _weakened(resource) if kind in {"HelmRepository", "OCIRepository", "Bucket"}

_release(resource) := entries.first([
	entries.faults(resource, "", {"object": [["metadata"], ["spec"]], "string": [["metadata", "namespace"]]}),
	entries.faults(fields.members(resource, ["spec"]), "spec", _release_shape),
	entries.all([_template_entries(resource), _reference_entries(resource), _both(resource)]),
	[entries.unknown("spec", "spec has neither chart nor chartRef")],
])

_release_shape := {
	"object": [
		["chart"],
		["chart", "spec"],
		["chart", "spec", "sourceRef"],
		["chartRef"],
	],
	"string": [
		["chart", "spec", "chart"],
		["chart", "spec", "version"],
		["chart", "spec", "sourceRef", "kind"],
		["chart", "spec", "sourceRef", "name"],
		["chart", "spec", "sourceRef", "namespace"],
		["chartRef", "kind"],
		["chartRef", "name"],
		["chartRef", "namespace"],
	],
}

_template_entries(resource) := _from({
	"via": "spec.chart.spec",
	"name": fields.text(resource, ["spec", "chart", "spec", "chart"]),
	"version": fields.text(resource, ["spec", "chart", "spec", "version"]),
	"source": _target(resource, "spec.chart.spec.sourceRef", _namespace(resource)),
}) if {
	fields.at(resource, ["spec", "chart"]) != null
} else := []

_reference_entries(resource) := _behind(_target(resource, "spec.chartRef", _namespace(resource))) if {
	fields.at(resource, ["spec", "chartRef"]) != null
} else := []

_both(resource) := [entries.unknown("spec.chartRef", "spec.chart and spec.chartRef are both set")] if {
	fields.at(resource, ["spec", "chart"]) != null
	fields.at(resource, ["spec", "chartRef"]) != null
} else := []

_helm_chart(resource, namespace) := entries.first([
	entries.faults(resource, "", {"object": [["metadata"], ["spec"]], "string": [["metadata", "namespace"]]}),
	entries.faults(fields.members(resource, ["spec"]), "spec", _helm_chart_shape),
	_from({
		"via": "spec",
		"name": fields.text(resource, ["spec", "chart"]),
		"version": fields.text(resource, ["spec", "version"]),
		"source": object.union(_target(resource, "spec.sourceRef", namespace), {"namespace": namespace}),
	}),
])

_helm_chart_shape := {"object": [["sourceRef"]], "string": [["chart"], ["version"], ["sourceRef", "kind"], ["sourceRef", "name"]]}

# What a reference to another object leads to. Flux looks in the namespace of
# the object that refers, if the reference names none.
_target(resource, via, namespace) := {
	"via": via,
	"kind": fields.text(resource, array.concat(split(via, "."), ["kind"])),
	"name": fields.text(resource, array.concat(split(via, "."), ["name"])),
	"namespace": _or(fields.text(resource, array.concat(split(via, "."), ["namespace"])), namespace),
}

_or("", other) := other

_or(text, _) := text if text != ""

_namespace(resource) := _or(fields.text(resource, ["metadata", "namespace"]), "default")

# The entries for a chart by name and version from a source.
_from(place) := _from_repositories(place, _stored(place.source)) if {
	place.source.kind == "HelmRepository"
	place.source.name != ""
} else := [_folder(place.source.via, place.source.kind)] if {
	place.source.kind in _folders
} else := [_no_target(place.source)]

_from_repositories(place, repositories) := [entry |
	some repository in repositories
	some entry in _from_repository(place, repository)
] if {
	count(repositories) > 0
} else := [object.union(_not_stored(place.via, place.source), {"pin": entries.pin(place.version)})]

_from_repository(place, repository) := entries.first([
	_told(entries.faults(repository, "", _repository_shape), place.via, place.source),
	[entries.unknown(place.via, why) | some why in [_type_fault(repository, place.source)]; why != ""],
	[entries.named({
		"via": place.via,
		"repository": fields.text(repository, ["spec", "url"]),
		"name": place.name,
		"version": place.version,
		"fields": {
			"repository": sprintf("url of %s", [_title(place.source)]),
			"name": "chart",
			"version": "version",
		},
	})],
])

_repository_shape := {"object": [["spec"]], "string": [["spec", "url"], ["spec", "type"]]}

# Flux takes the client by the type, and refuses an address of the other one.
_type_fault(repository, source) := "" if {
	startswith(fields.text(repository, ["spec", "url"]), "oci://")
	fields.text(repository, ["spec", "type"]) == "oci"
} else := "" if {
	not startswith(fields.text(repository, ["spec", "url"]), "oci://")
	fields.text(repository, ["spec", "type"]) in {"", "default"}
} else := sprintf("type of %s does not go with its url", [_title(source)])

# The entries for what a chartRef leads to.
_behind(source) := _behind_stored(source, _stored(source)) if {
	source.kind in ["OCIRepository", "HelmChart"]
	source.name != ""
} else := [entries.unreadable(source.via, "indirect", _external)] if {
	source.kind == "ExternalArtifact"
} else := [_no_target(source)]

_behind_stored(source, stored) := [entry |
	some resource in stored
	some entry in _told(_entries_of(source, resource), source.via, source)
] if {
	count(stored) > 0
} else := [_not_stored(source.via, source)]

_entries_of(source, resource) := _artifact(resource) if source.kind == "OCIRepository"

else := _helm_chart(resource, source.namespace)

# Entries of another object, told by the one that leads there.
_told(told, via, source) := [object.union(entry, {"via": via, "why": why}) |
	some entry in told
	why := _why_of(source, entry.why)
]

_why_of(_, "") := ""

_why_of(source, why) := sprintf("%s: %s", [_title(source), why]) if why != ""

# OPA goes on within what it has called, and comes back at the end of a
# comprehension or a branch. Gatekeeper's stack is the smaller for it, and it
# copies it for every request.
_artifact(resource) := faults if {
	faults := array.concat(
		entries.faults(resource, "", {"object": [["spec"]]}),
		entries.faults(fields.members(resource, ["spec"]), "spec", _artifact_shape),
	)
	faults != []
} else := array.concat([entry | some entry in _layer_entries(resource)], [entry | entry := _artifact_entry(resource)])

_artifact_shape := {
	"object": [
		["ref"],
		["layerSelector"],
	],
	"string": [
		["url"],
		["ref", "digest"],
		["ref", "semver"],
		["ref", "semverFilter"],
		["ref", "tag"],
		["layerSelector", "mediaType"],
		["layerSelector", "operation"],
	],
}

# Flux takes the digest before the range, and the range before the tag.
# https://fluxcd.io/flux/components/source/ocirepositories/#reference
_artifact_entry(resource) := entries.unreadable("spec.ref.semver", "oci", "spec.ref.semver is a range, want spec.ref.digest") if {
	fields.text(resource, ["spec", "ref", "semver"]) != ""
	fields.text(resource, ["spec", "ref", "digest"]) == ""
} else := entries.artifact(object.union(
	{"via": "spec", "fields": _artifact_fields},
	{part: fields.text(resource, split(field, ".")) | some part, field in _artifact_fields},
))

_artifact_fields := {"repository": "spec.url", "tag": "spec.ref.tag", "digest": "spec.ref.digest"}

# Without a selector Flux takes the first layer, whatever it is, and unpacks it.
_layer_entries(resource) := [] if {
	fields.text(resource, ["spec", "layerSelector", "mediaType"]) == _chart_layer
	fields.text(resource, ["spec", "layerSelector", "operation"]) == "copy"
} else := [entries.unknown(
	"spec.layerSelector",
	sprintf("spec.layerSelector takes something else than the layer that is signed, want mediaType %s and operation copy", [_chart_layer]),
)]

_chart_layer := "application/vnd.cncf.helm.chart.content.v1.tar+gzip"

_folders := ["GitRepository", "Bucket"]

_folder(via, kind) := entries.unreadable(via, "git", sprintf("%s: a folder of a %s holds nothing that chart tools sign", [via, kind]))

_external := "the content of an ExternalArtifact stands only in its status"

_no_target(source) := entries.unknown(source.via, sprintf("%s.name is missing", [source.via])) if {
	source.name == ""
} else := entries.unknown(source.via, sprintf("%s.kind %s is not understood", [source.via, fields.quote(source.kind)]))

_not_stored(via, source) := entries.unreadable(via, "indirect", sprintf(
	"%s is not in the inventory; sync source.toolkit.fluxcd.io/v1 %s, or in CI review its file too",
	[_title(source), source.kind],
))

_title(source) := sprintf("%s %s/%s", [source.kind, source.namespace, source.name])

# One object may be there in several versions, and not all as new as each other:
# what any of them says counts.
_stored(source) := {resource |
	some version, _ in data.inventory.namespace[source.namespace]
	startswith(version, "source.toolkit.fluxcd.io/")
	resource := data.inventory.namespace[source.namespace][version][source.kind][source.name]
}

_weakened(resource) := entries.weakened(resource, "", {"spec": {"insecure", "passCredentials"}})

_weakened_behind(resource, via, namespace) := [{"via": via, "why": sprintf("%s: %s", [_title(source), entry.why])} |
	source := _target(resource, via, namespace)
	some stored in _stored(source)
	some entry in array.concat(_weakened(stored), _weakened_further(source, stored))
]

# A HelmChart leads to its repository.
_weakened_further(source, resource) := [{"via": "spec.sourceRef", "why": sprintf("%s: %s", [_title(further), entry.why])} |
	source.kind == "HelmChart"
	further := object.union(_target(resource, "spec.sourceRef", source.namespace), {"namespace": source.namespace})
	some stored in _stored(further)
	some entry in _weakened(stored)
]
