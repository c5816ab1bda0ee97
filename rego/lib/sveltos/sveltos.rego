# METADATA
# title: Sveltos
# description: Where Sveltos takes charts from, in profiles and in what it derives from them.
package lib.sveltos

import data.lib.entries
import data.lib.fields

# METADATA
# title: Kinds
# description: The objects that name charts.
kinds := [{"apiGroups": groups, "kinds": ["ClusterProfile", "Profile", "ClusterSummary", "ClusterPromotion"]}]

# METADATA
# title: Groups
# description: The API groups that are read here.
groups := ["config.projectsveltos.io"]

# METADATA
# title: Sources
# description: An entry for each place from which a chart could be taken.
sources(resource) := entries.first([
	entries.faults(resource, "", {"object": [["spec"]]}),
	_profile(fields.at(resource, split(_via(resource), ".")), _via(resource)),
]) if {
	_via(resource) != ""
} else := [entries.unknown("kind", "kind is none of Sveltos that is understood")]

# METADATA
# title: Repositories
# description: None; profiles name charts together with their repositories.
repositories(_) := []

# METADATA
# title: Insecure
# description: The fields that weaken the transport.
insecure(resource) := [entry |
	via := sprintf("%s.helmCharts", [_via(resource)])
	some i, release in fields.items(resource, split(via, "."))
	some entry in entries.weakened(release, fields.item(via, i), _weak)
]

_weak := {
	"registryCredentialsConfig": {"insecureSkipTLSVerify", "plainHTTP"},
	"options": {"insecureSkipTLSVerify", "plainHTTP", "passCredentials", "passCredentialsAll"},
}

# Where a profile stands in an object of a kind; empty for other kinds.
_via(resource) := object.get(
	{
		"ClusterProfile": "spec",
		"Profile": "spec",
		"ClusterSummary": "spec.clusterProfileSpec",
		"ClusterPromotion": "spec.profileSpec",
	},
	fields.text(resource, ["kind"]), "",
)

_profile(profile, via) := entries.first([
	entries.faults(profile, via, {"array": [["helmCharts"], ["kustomizationRefs"]]}),
	array.concat(_releases(profile, via), _kustomizations(profile, via)),
	[entries.unknown(place, sprintf("%s names no chart", [place])) | place := fields.join(via, "helmCharts")],
])

_releases(profile, via) := [entry |
	some i, release in fields.items(profile, ["helmCharts"])
	some entry in _release(release, fields.item(fields.join(via, "helmCharts"), i))
]

_kustomizations(profile, via) := [entries.unknown(place, sprintf("%s can inflate charts that are not named", [place])) |
	place := fields.join(via, "kustomizationRefs")
	fields.used(profile, ["kustomizationRefs"])
]

_release(release, via) := entries.first([
	entries.faults(release, via, _shape),
	array.concat([_entry(release, via)], _updates(release, via)),
])

_shape := {
	"string": [
		["repositoryURL"],
		["repositoryName"],
		["chartName"],
		["chartVersion"],
	],
	"object": [
		["options"],
	],
}

_entry(release, via) := entries.unreadable(
	via, "indirect",
	"repositoryURL leads to a folder in what Flux fetched, which holds nothing that chart tools sign",
) if {
	strings.any_prefix_match(fields.text(release, ["repositoryURL"]), ["gitrepository://", "ocirepository://", "bucket://"])
} else := entries.named({
	"via": via,
	"repository": fields.text(release, ["repositoryURL"]),
	"name": _name(release),
	"version": fields.text(release, ["chartVersion"]),
	"fields": {"repository": "repositoryURL", "name": "chartName", "version": "chartVersion"},
})

# Helm's own spelling, repository/name, with the name that the profile gives the
# repository. Any other repository would be one that is not named here.
_name(release) := trim_prefix(fields.text(release, ["chartName"]), sprintf("%s/", [fields.text(release, ["repositoryName"])])) if {
	fields.used(release, ["repositoryName"])
} else := fields.text(release, ["chartName"])

_updates(release, via) := [entries.unknown(place, sprintf("%s fetches charts that are not named", [place])) |
	place := fields.join(via, "options.dependencyUpdate")
	fields.used(release, ["options", "dependencyUpdate"])
]
