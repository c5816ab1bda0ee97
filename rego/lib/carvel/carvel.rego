# METADATA
# title: Carvel
# description: Where kapp-controller takes charts from.
package lib.carvel

import data.lib.entries
import data.lib.fields

# METADATA
# title: Kinds
# description: The objects that name charts.
kinds := [{"apiGroups": groups, "kinds": ["App"]}]

# METADATA
# title: Groups
# description: The API groups that are read here.
groups := ["kappctrl.k14s.io"]

# METADATA
# title: Sources
# description: An entry for each place from which a chart could be taken.
sources(resource) := entries.first([
	entries.faults(resource, "", {"array": [["spec", "fetch"]], "object": [["spec"]]}),
	[entry |
		some i, fetch in fields.items(resource, ["spec", "fetch"])
		some entry in _fetched(fetch, fields.item("spec.fetch", i))
	],
	[entries.unknown("spec.fetch", "spec.fetch names no chart")],
]) if {
	fields.text(resource, ["kind"]) == "App"
} else := [entries.unknown("kind", "kind is none of Carvel that is understood")]

# METADATA
# title: Repositories
# description: None; an App names its repositories together with the charts.
repositories(_) := []

# METADATA
# title: Insecure
# description: None; an App cannot weaken the transport.
insecure(_) := []

_fetched(fetch, via) := entries.first([
	entries.faults(fetch, via, {"object": [["helmChart"]]}),
	[entry | some key, value in fetch; value != null; some entry in _by_key(key, value, fields.join(via, key))],
	[entries.unknown(via, sprintf("%s fetches nothing that is understood", [via]))],
])

_by_key("helmChart", release, via) := entries.first([
	entries.faults(release, via, {"object": [["repository"]], "string": [["name"], ["version"], ["repository", "url"]]}),
	[entries.named({
		"via": via,
		"repository": fields.text(release, ["repository", "url"]),
		"name": fields.text(release, ["name"]),
		"version": fields.text(release, ["version"]),
		"fields": {"repository": "repository.url", "name": "name", "version": "version"},
	})],
])

_by_key("git", _, via) := [entries.unreadable(via, "git", sprintf("%s: a folder in git holds nothing that chart tools sign", [via]))]

_by_key("inline", _, via) := [entries.inline(via, "", sprintf("%s holds files without a reference", [via]))]

# Where in the result of this step, and not what is fetched.
_by_key("path", _, _) := []

_by_key(key, _, via) := [entries.unknown(via, "it fetches something else than a chart by name")] if {
	not key in {"helmChart", "git", "inline", "path"}
}
