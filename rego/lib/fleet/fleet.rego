# METADATA
# title: Fleet
# description: Where Fleet takes charts from, in bundles and in what it derives from them.
package lib.fleet

import data.lib.entries
import data.lib.fields
import data.lib.refs

# METADATA
# title: Kinds
# description: The objects that name charts.
kinds := [{"apiGroups": groups, "kinds": ["Bundle", "HelmOp", "BundleDeployment", "Content", "GitRepo"]}]

# METADATA
# title: Groups
# description: The API groups that are read here.
groups := ["fleet.cattle.io"]

# METADATA
# title: Sources
# description: An entry for each place from which a chart could be taken.
sources(resource) := _bundle(resource) if fields.text(resource, ["kind"]) in ["Bundle", "HelmOp"]

else := _deployment(resource) if fields.text(resource, ["kind"]) == "BundleDeployment"

else := _content(resource) if fields.text(resource, ["kind"]) == "Content"

else := [entries.unreadable("spec", "git", "spec: a folder in git holds nothing that chart tools sign")] if {
	fields.text(resource, ["kind"]) == "GitRepo"
} else := [entries.unknown("kind", "kind is none of Fleet that is understood")]

# METADATA
# title: Repositories
# description: None; bundles name their repositories together with the charts.
repositories(_) := []

# METADATA
# title: Insecure
# description: The fields that weaken the transport.
insecure(resource) := entries.weakened(resource, "", {
	"spec": {"insecureSkipTLSVerify"},
	"spec.helmOpOptions": {"insecureSkipTLSVerify"},
	"spec.helmChartOptions": {"insecureSkipTLSVerify"},
})

_bundle(resource) := entries.first([
	entries.faults(resource, "", {"object": [["spec"]]}),
	entries.faults(fields.members(resource, ["spec"]), "spec", _bundle_shape),
	entries.all([
		_release(fields.members(resource, ["spec", "helm"]), "spec.helm"),
		_targets(resource),
		_tools(fields.members(resource, ["spec"]), "spec"),
		_resources(resource),
		_elsewhere(resource, "spec.contentsId"),
	]),
	[entries.unknown("spec.helm", "spec.helm names no chart")],
])

_bundle_shape := {
	"array": [["targets"], ["resources"]],
	"object": [["helm"]],
	"string": [["contentsId"], ["helm", "chart"], ["helm", "repo"], ["helm", "version"]],
}

# A release, if it names anything.
_release(release, via) := [_entry(release, via)] if {
	some field in ["chart", "repo", "version"]
	fields.used(release, [field])
} else := []

# What a target says of a release is laid over what the bundle says.
_targets(resource) := [entry |
	some i, target in fields.items(resource, ["spec", "targets"])
	some entry in _target(fields.members(resource, ["spec", "helm"]), target, fields.item("spec.targets", i))
]

_target(base, target, via) := entries.first([
	entries.faults(target, via, _target_shape),
	array.concat(_overridden(base, fields.members(target, ["helm"]), fields.join(via, "helm")), _tools(target, via)),
])

_target_shape := {"object": [["helm"]], "string": [["helm", "chart"], ["helm", "repo"], ["helm", "version"]]}

_overridden(base, release, via) := [_entry(merged, via)] if {
	some field in ["chart", "repo", "version"]
	fields.used(release, [field])
	merged := {name: value |
		some name in ["chart", "repo", "version"]
		value := [text | some text in [fields.text(release, [name]), fields.text(base, [name]), ""]; text != ""][0]
	}
} else := []

_tools(options, via) := [entries.unknown(place, sprintf("%s can inflate charts that are not named", [place])) |
	place := fields.join(via, "kustomize")
	fields.used(options, ["kustomize", "dir"])
]

# A chart is a name in a repository, oci:// and a repository in either field, or
# an address for go-getter, of which only plain archives are read.
_entry(release, via) := entries.unknown(via, "chart and repo are both addresses") if {
	contains(fields.text(release, ["chart"]), "://")
	fields.used(release, ["repo"])
} else := _registry(release, via, "chart") if {
	startswith(fields.text(release, ["chart"]), "oci://")
} else := _registry(release, via, "repo") if {
	startswith(fields.text(release, ["repo"]), "oci://")
	not fields.used(release, ["chart"])
} else := _archive(via, fields.text(release, ["chart"])) if {
	contains(fields.text(release, ["chart"]), ":")
} else := entries.inline(via, "", "chart without repo is a folder among the resources") if {
	not fields.used(release, ["repo"])
	fields.used(release, ["chart"])
} else := entries.named({
	"via": via,
	"repository": fields.text(release, ["repo"]),
	"name": fields.text(release, ["chart"]),
	"version": fields.text(release, ["version"]),
	"fields": {"repository": "repo", "name": "chart", "version": "version"},
})

_registry(release, via, field) := entries.unreadable(
	via, "oci",
	sprintf("version %s is not one exact version", [fields.quote(version)]),
) if {
	version := fields.text(release, ["version"])
	not refs.exact_version(version)
} else := entries.artifact({
	"via": via,
	"repository": fields.text(release, [field]),
	"tag": fields.text(release, ["version"]),
	"digest": "",
	"fields": {"repository": field, "tag": "version", "digest": "version"},
})

_archive(via, address) := entries.archive(via, "chart", address) if {
	regex.match(`^https?://[^?#]+\.(tgz|tar\.gz)$`, address)
} else := entries.unknown(via, sprintf("chart %s is no URL of an archive, want https://….tgz", [fields.quote(address)]))

_resources(resource) := [entry |
	some i, file in fields.items(resource, ["spec", "resources"])
	entry := _file(file, fields.item("spec.resources", i))
]

_file(file, via) := entries.inline(via, _file_digest(file), sprintf("%s holds a file without a reference", [via]))

# What is packed cannot be unpacked here, so its bytes are not known.
_file_digest(file) := entries.digest(fields.text(file, ["content"])) if {
	fields.at(file, ["encoding"]) == "base64"
} else := entries.digest(base64.encode(fields.text(file, ["content"]))) if {
	is_string(fields.at(file, ["content"]))
	not fields.used(file, ["encoding"])
} else := ""

_elsewhere(resource, via) := [entries.unreadable(via, "indirect", sprintf("%s leads to content that stands elsewhere", [via])) |
	fields.used(resource, split(via, "."))
]

_deployment(resource) := entries.first([
	entries.faults(resource, "", {"object": [["spec"]]}),
	entries.faults(fields.members(resource, ["spec"]), "spec", _deployment_shape),
	entries.all([
		_options(fields.members(resource, ["spec", "options"]), "spec.options"),
		_options(fields.members(resource, ["spec", "stagedOptions"]), "spec.stagedOptions"),
		_deployed(resource),
	]),
	[entries.unknown("spec.options.helm", "spec.options.helm names no chart")],
])

_deployment_shape := {
	"object": [["options"], ["options", "helm"], ["stagedOptions"], ["stagedOptions", "helm"]],
	"string": [
		["options", "helm", "chart"],
		["options", "helm", "repo"],
		["options", "helm", "version"],
		["stagedOptions", "helm", "chart"],
		["stagedOptions", "helm", "repo"],
		["stagedOptions", "helm", "version"],
	],
}

_options(options, via) := array.concat(
	_release(fields.members(options, ["helm"]), fields.join(via, "helm")),
	_tools(options, via),
)

# Fleet fetches the chart itself only with options for it; else it deploys the
# content that the id leads to, whatever the chart is called.
_deployed(resource) := [] if fields.at(resource, ["spec", "helmChartOptions"]) != null

else := array.concat(_elsewhere(resource, "spec.deploymentID"), _elsewhere(resource, "spec.stagedDeploymentID"))

_content(resource) := [entries.inline("content", digest, "content holds a bundle without a reference") |
	digest := entries.digest(fields.text(resource, ["content"]))
]
