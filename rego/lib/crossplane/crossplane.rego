# METADATA
# title: Crossplane
# description: Where Crossplane's provider for Helm takes charts from, in both of its groups.
package lib.crossplane

import data.lib.entries
import data.lib.fields

# METADATA
# title: Kinds
# description: The objects that name charts.
kinds := [{"apiGroups": groups, "kinds": ["Release"]}]

# METADATA
# title: Groups
# description: The API groups that are read here.
groups := ["helm.crossplane.io", "helm.m.crossplane.io"]

# METADATA
# title: Sources
# description: An entry for each place from which a chart could be taken, also for a name that a URL wins over.
sources(resource) := entries.first([
	entries.faults(resource, "", {"object": [["spec"], ["spec", "forProvider"], ["spec", "forProvider", "chart"]]}),
	entries.faults(_release(resource), _via, _shape),
	array.concat(_url(_release(resource)), _named(_release(resource))),
]) if {
	fields.text(resource, ["kind"]) == "Release"
} else := [entries.unknown("kind", "kind is none of Crossplane that is understood")]

# METADATA
# title: Repositories
# description: None; a Release names its repository together with the chart.
repositories(_) := []

# METADATA
# title: Insecure
# description: The fields that weaken the transport.
insecure(resource) := entries.weakened(resource, "", {
	"spec.forProvider": {"insecureSkipTLSVerify", "plainHTTP"},
	"spec.forProvider.chart": {"insecureSkipTLSVerify", "plainHTTP"},
})

_via := "spec.forProvider.chart"

_shape := {"string": [["repository"], ["name"], ["version"], ["url"], ["digest"]]}

_release(resource) := fields.members(resource, split(_via, "."))

_url(release) := [] if fields.text(release, ["url"]) == ""

else := [_url_entry(release, fields.text(release, ["url"]))]

# What lies in a registry has no file name; its reference holds tag or digest.
_url_entry(release, url) := entries.unreadable(_url_via, "oci", "digest stands beside a url, which may name another") if {
	startswith(url, "oci://")
	fields.used(release, ["digest"])
} else := entries.artifact({
	"via": _url_via,
	"repository": parts[0],
	"tag": parts[1],
	"digest": parts[2],
	"fields": {"repository": "url", "tag": "tag of url", "digest": "digest of url"},
}) if {
	startswith(url, "oci://")
	parts := entries.parts(url)
} else := entries.archive(_url_via, "url", url)

_url_via := "spec.forProvider.chart.url"

_named(release) := [] if {
	fields.used(release, ["url"])
	not fields.used(release, ["name"])
	not fields.used(release, ["repository"])
} else := [_pinned(release)] if {
	fields.used(release, ["digest"])
	startswith(fields.text(release, ["repository"]), "oci://")
} else := [entries.named(_place(release))]

# A digest stands alone or beside a version.
_pinned(release) := entries.unreadable(_via, "oci", fault) if {
	fault := entries.named_fault(object.union(_place(release), {"version": _version(release)}))
	fault != ""
} else := entries.artifact({
	"via": _via,
	"repository": sprintf("%s/%s", [trim_suffix(fields.text(release, ["repository"]), "/"), fields.text(release, ["name"])]),
	"tag": fields.text(release, ["version"]),
	"digest": fields.text(release, ["digest"]),
	"fields": {"repository": "repository", "tag": "version", "digest": "digest"},
})

_version(release) := fields.text(release, ["version"]) if fields.used(release, ["version"])

else := "0.0.0"

_place(release) := {
	"via": _via,
	"repository": fields.text(release, ["repository"]),
	"name": fields.text(release, ["name"]),
	"version": fields.text(release, ["version"]),
	"fields": {"repository": "repository", "name": "name", "version": "version"},
}
