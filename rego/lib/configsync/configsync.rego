# METADATA
# title: Config Sync
# description: Where Config Sync takes charts from.
package lib.configsync

import data.lib.entries
import data.lib.fields

# METADATA
# title: Kinds
# description: The objects that name charts.
kinds := [{"apiGroups": groups, "kinds": _known}]

# METADATA
# title: Groups
# description: The API groups that are read here.
groups := ["configsync.gke.io"]

# METADATA
# title: Sources
# description: An entry for the place that is synced from. Without a type that is git.
sources(resource) := entries.first([
	entries.faults(resource, "", {"object": [["spec"]]}),
	entries.faults(fields.members(resource, ["spec"]), "spec", _shape),
	[_entry(resource, fields.text(resource, ["spec", "sourceType"]))],
]) if {
	fields.text(resource, ["kind"]) in _known
} else := [entries.unknown("kind", "kind is none of Config Sync that is understood")]

# METADATA
# title: Repositories
# description: None; the objects name their repository together with the chart.
repositories(_) := []

# METADATA
# title: Insecure
# description: None that concerns charts.
insecure(_) := []

_known := ["RootSync", "RepoSync"]

_shape := {"object": [["helm"]], "string": [["sourceType"], ["helm", "repo"], ["helm", "chart"], ["helm", "version"]]}

_entry(resource, "helm") := entries.named({
	"via": "spec.helm",
	"repository": fields.text(resource, ["spec", "helm", "repo"]),
	"name": fields.text(resource, ["spec", "helm", "chart"]),
	"version": fields.text(resource, ["spec", "helm", "version"]),
	"fields": {"repository": "repo", "name": "chart", "version": "version"},
})

_entry(_, type) := entries.unreadable("spec.git", "git", "spec.git: a folder in git holds nothing that chart tools sign") if {
	type in {"", "git"}
}

_entry(_, type) := entries.unknown("spec.sourceType", sprintf("spec.sourceType %s is not helm", [fields.quote(type)])) if {
	not type in {"", "git", "helm"}
}
