# METADATA
# title: Argo CD
# description: Where Argo CD takes charts from, in Applications, in an operation that is asked for, and in the templates of ApplicationSets.
package lib.argocd

import data.lib.entries
import data.lib.fields
import data.lib.refs

# METADATA
# title: Kinds
# description: The objects that name charts.
kinds := [{"apiGroups": groups, "kinds": ["Application", "ApplicationSet"]}]

# METADATA
# title: Groups
# description: The API groups that are read here.
groups := ["argoproj.io"]

# METADATA
# title: Sources
# description: An entry for each place from which a chart could be taken, also where another place wins over it today.
sources(resource) := _application(resource) if fields.text(resource, ["kind"]) == "Application"

else := _set(resource) if fields.text(resource, ["kind"]) == "ApplicationSet"

else := [entries.unknown("kind", "kind is none of Argo CD that is understood")]

# METADATA
# title: Credential
# description: Whether an object is a Secret in which Argo CD reads how to reach a repository.
credential(resource) if {
	fields.text(resource, ["apiVersion"]) == "v1"
	fields.text(resource, ["kind"]) == "Secret"
	fields.text(resource, ["metadata", "labels", "argocd.argoproj.io/secret-type"]) in _credentials
} else := false

# METADATA
# title: Repositories
# description: The address in a Secret of a repository. Applications name their repositories together with the charts.
repositories(resource) := [{"via": "data.url", "url": _secret(resource, "url")}] if credential(resource)

else := []

# METADATA
# title: Insecure
# description: The fields that weaken the transport.
insecure(resource) := [{"via": via, "why": sprintf("%s is set", [via])} |
	some name in ["insecure", "insecureIgnoreHostKey", "insecureOCIForceHttp"]
	not _secret(resource, name) in {"", "false"}
	via := fields.join("data", name)
] if {
	credential(resource)
} else := [entry |
	some place in _all_places(resource)
	some entry in entries.weakened(place.source, place.via, {"helm": {"passCredentials"}})
]

_credentials := {"repository", "repository-write", "repo-creds", "repo-write-creds"}

# Members of a Secret stand as text or in base64. What cannot be read is shown as
# it is, and is no address.
_secret(resource, name) := fields.text(resource, ["stringData", name]) if fields.used(resource, ["stringData", name])

else := base64.decode(fields.text(resource, ["data", name])) if base64.is_valid(fields.text(resource, ["data", name]))

else := fields.text(resource, ["data", name])

_all_places(resource) := array.concat(
	_places(_at(resource, "spec"), "spec"),
	_places(_at(resource, "operation.sync"), "operation.sync"),
) if {
	fields.text(resource, ["kind"]) == "Application"
} else := array.concat(_places(_at(resource, "spec.template.spec"), "spec.template.spec"), [place |
	some template in _generated(resource)
	some place in _places(template.spec, template.via)
]) if {
	fields.text(resource, ["kind"]) == "ApplicationSet"
} else := []

_at(resource, via) := fields.at(resource, split(via, "."))

# The sources below spec, each with the revision that it asks for itself.
_places(spec, via) := array.concat(
	[{"via": fields.join(via, "source"), "source": source, "among": false} |
		source := fields.at(spec, ["source"])
		source != null
	],
	[{"via": fields.item(fields.join(via, "sources"), i), "source": source, "among": true} |
		some i, source in fields.items(spec, ["sources"])
	],
)

_application(resource) := entries.first([
	entries.faults(resource, "", {"object": [["spec"], ["operation"]]}),
	array.concat(
		_spec(fields.members(resource, ["spec"]), "spec"),
		_operation(resource),
	),
])

# The entries of an Application's spec; one at least.
_spec(spec, via) := entries.first([
	_declared(spec, via),
	[entries.unknown(via, sprintf("%s names no chart", [via]))],
])

_declared(spec, via) := entries.all([
	entries.faults(spec, via, {"array": [["sources"]]}),
	[entry | some place in _places(spec, via); some entry in _entries(place)],
	_hydrator(spec, via),
])

_hydrator(spec, via) := [entries.unreadable(place, "git", sprintf("%s deploys from git", [place])) |
	place := fields.join(via, "sourceHydrator")
	fields.at(spec, ["sourceHydrator"]) != null
]

_shape := {"string": [["repoURL"], ["chart"], ["targetRevision"], ["path"], ["ref"]], "object": [["helm"]]}

_entries(place) := entries.first([
	entries.faults(place.source, place.via, _shape),
	[entry | not _values_only(place); some entry in array.concat(_tools(place), [_entry(place)])],
])

# A source with a ref only feeds value files to the others. Beside a path, a chart
# or a tool it is deployed as well.
_values_only(place) if {
	place.among
	fields.used(place.source, ["ref"])
	every field in array.concat(["path", "chart", "helm"], _tool_fields) {
		fields.at(place.source, [field]) in {null, ""}
	}
}

_tool_fields := ["kustomize", "plugin", "directory"]

_tools(place) := [entries.unknown(via, sprintf("%s makes something else of it than Helm does", [via])) |
	some field in (object.keys(fields.members(place, ["source"])) & {name | some name in _tool_fields})
	fields.at(place.source, [field]) != null
	via := fields.join(place.via, field)
]

_entry(place) := _charted(place) if fields.used(place.source, ["chart"])

else := _registry(place) if startswith(fields.text(place.source, ["repoURL"]), "oci://")

else := entries.unknown(place.via, "repoURL is missing") if not fields.used(place.source, ["repoURL"])

else := entries.unreadable(place.via, "git", "repoURL with a path and without oci:// is a folder in git, or a chart if a Secret says so")

# A chart is in a repository with an index or, without a scheme, in a registry.
_charted(place) := entries.unknown(place.via, "chart stands beside a repoURL with oci://, which does not use it") if {
	startswith(fields.text(place.source, ["repoURL"]), "oci://")
} else := entries.unknown(place.via, "chart and path are both set") if {
	fields.used(place.source, ["path"])
} else := entries.named({
	"via": place.via,
	"repository": _repository(fields.text(place.source, ["repoURL"])),
	"name": fields.text(place.source, ["chart"]),
	"version": fields.text(place.source, ["targetRevision"]),
	"fields": {"repository": "repoURL", "name": "chart", "version": "targetRevision"},
})

_repository("") := ""

_repository(address) := address if contains(address, "://")

_repository(address) := concat("", ["oci://", address]) if {
	address != ""
	not contains(address, "://")
}

_registry(place) := entries.unreadable(place.via, "oci", "path is a folder of the artifact, want .") if {
	fields.text(place.source, ["path"]) != "."
} else := entries.unreadable(
	place.via, "oci",
	sprintf("targetRevision %s is neither one exact version nor a digest", [fields.quote(revision)]),
) if {
	revision := fields.text(place.source, ["targetRevision"])
	not refs.exact_version(revision)
	not startswith(revision, "sha256:")
} else := entries.artifact({
	"via": place.via,
	"repository": fields.text(place.source, ["repoURL"]),
	"tag": _unless_digest(fields.text(place.source, ["targetRevision"])),
	"digest": _if_digest(fields.text(place.source, ["targetRevision"])),
	"fields": {"repository": "repoURL", "tag": "targetRevision", "digest": "targetRevision"},
})

_if_digest(revision) := revision if startswith(revision, "sha256:")

else := ""

_unless_digest(revision) := revision if not startswith(revision, "sha256:")

else := ""

# What an operation asks for is deployed once, whatever the spec says.
_operation(resource) := [] if fields.at(resource, ["operation"]) == null

else := entries.first([
	entries.faults(fields.members(resource, ["operation"]), "operation", {"object": [["sync"]]}),
	entries.faults(fields.members(resource, ["operation", "sync"]), "operation.sync", _sync_shape),
	entries.all([
		_declared(fields.members(resource, ["operation", "sync"]), "operation.sync"),
		_manifests(resource),
		_revision(resource),
		_revisions(resource),
	]),
])

_sync_shape := {"object": [["source"]], "array": [["sources"], ["revisions"]], "string": [["revision"]]}

_manifests(resource) := [entries.unknown("operation.sync.manifests", "operation.sync.manifests are deployed in place of any chart") |
	fields.used(resource, ["operation", "sync", "manifests"])
]

_revision(resource) := [] if {
	not fields.used(resource, ["operation", "sync", "revision"])
} else := [entries.unknown("operation.sync.revision", "operation.sync.revision is about no source, or about several")] if {
	_single(resource) == {}
} else := [entry |
	place := {"via": "operation.sync.revision", "source": _single(resource), "among": false}
	some entry in _entries(_revised(place, fields.text(resource, ["operation", "sync", "revision"])))
]

# The one source that a revision is about; none where there are several.
_single(resource) := fields.members(resource, ["operation", "sync", "source"]) if {
	fields.used(resource, ["operation", "sync", "source"])
} else := fields.members(resource, ["spec", "source"]) if {
	not fields.used(resource, ["spec", "sources"])
} else := {}

_revised(place, "") := place

_revised(place, revision) := object.union(place, {"source": object.union(place.source, {"targetRevision": revision})}) if revision != ""

_revisions(resource) := [entry |
	some i, revision in fields.items(resource, ["operation", "sync", "revisions"])
	some entry in _revision_entries(_several(resource), i, revision)
]

_several(resource) := fields.items(resource, ["operation", "sync", "sources"]) if {
	fields.used(resource, ["operation", "sync", "sources"])
} else := fields.items(resource, ["spec", "sources"])

_revision_entries(several, i, revision) := [entries.unknown(
	_revisions_item(i),
	sprintf("%s is %s, want a string", [_revisions_item(i), fields.named_type(revision)]),
)] if {
	not is_string(revision)
} else := _entries(_revised({"via": _revisions_item(i), "source": several[i], "among": true}, revision)) if {
	is_object(several[i])
} else := [entries.unknown(_revisions_item(i), sprintf("%s is about no source", [_revisions_item(i)]))]

_revisions_item(i) := fields.item("operation.sync.revisions", i)

_set(resource) := entries.first([
	entries.faults(resource, "", {"object": [["spec"]]}),
	entries.faults(fields.members(resource, ["spec"]), "spec", {"object": [["template"], ["template", "spec"]], "array": [["generators"]]}),
	entries.all([
		_spec(fields.members(resource, ["spec", "template", "spec"]), "spec.template.spec"),
		_generated_entries(_generated(resource)),
		_patch(resource),
	]),
])

# Templates of generators are laid over that of the set. Argo CD has generators
# within generators within generators, and no more; what else a generator holds
# are data, and may be long.
_generated(resource) := [{"via": _path(member.via), "spec": spec} |
	some member in array.concat(array.concat(outer, middle), inner)
	spec := fields.at(member.of, ["template", "spec"])
	spec != null
] if {
	outer := _generators(fields.items(resource, ["spec", "generators"]), "")
	middle := _within(outer)
	inner := _within(middle)
}

_within(members) := [member |
	some outer in members
	is_array(outer.of.generators)
	some member in _generators(outer.of.generators, sprintf("%s.generators", [outer.via]))
]

_generators(generators, via) := [{"via": sprintf("%s[%d].%s", [via, i, name]), "of": of} |
	some i, generator in generators
	is_object(generator)
	some name, of in generator
	is_object(of)
]

_generated_entries(templates) := [entry | some template in templates; some entry in _declared(template.spec, template.via)] if {
	count(templates) <= fields.max_items
} else := [entries.unknown(
	"spec.generators",
	sprintf("spec.generators hold %d templates, at most %d are read", [count(templates), fields.max_items]),
)]

# Members of generators have any name, so a path may be any text.
_path(steps) := sprintf("spec.generators%s.template.spec", [steps]) if {
	count(steps) <= 256
	regex.match(`^[a-zA-Z0-9.\[\]]+$`, steps)
} else := "spec.generators"

_patch(resource) := [entries.unknown("spec.templatePatch", "spec.templatePatch can name other charts") |
	fields.used(resource, ["spec", "templatePatch"])
]
