# METADATA
# title: Allowed sources
# description: >-
#   Every chart that an object names, and every address where an object says that
#   charts lie, is in a repository that the constraint lists, and reached over
#   HTTPS.
# custom:
#   version: 1.0.0
#   created: "2026-11-26T00:00:00Z"
#   short_name: allowed_sources
#   solution: >-
#     Take the chart from a listed repository, or add the repository to
#     options.repositories of the constraint.
package policies.allowed_sources

import future.keywords.not

import data.lib.admission
import data.lib.exemptions
import data.lib.fields
import data.lib.messages
import data.lib.parameters
import data.lib.references
import data.lib.refs
import data.lib.releases
import data.lib.repositories
import data.lib.schemas.allowed_sources

# METADATA
# title: Kinds
# description: The objects that this policy judges, those among them that only say where charts lie.
kinds := array.concat(releases.kinds, [{"apiGroups": ["source.toolkit.fluxcd.io"], "kinds": ["HelmRepository"]}])

# METADATA
# title: Violations
# description: One for each chart and each address outside the listed repositories, and for each way there that anyone can listen on.
violation contains messages.violation(_field("parameters"), "invalid_parameters", "rejected", fault, {}) if {
	admission.judged(input)
	some fault in _faults
}

violation contains messages.violation(_field("object"), "no_chart", "rejected", "it names no chart and no repository", {}) if {
	_judged
	count(_sources) == 0
	count(_addresses) == 0
}

violation contains _denial(source) if {
	_judged
	some source in _sources
	not _allowed(source)
	not _exempt(source)
}

violation contains messages.violation(_field(address.via), "source_denied", "rejected", reason, {}) if {
	_judged
	some address in _addresses
	not _secure_and_listed(address.url)
	not _exempt_whole
	reason := sprintf("%s is in no listed repository; %s", [_shown(address.url), _advice(address.url)])
}

violation contains messages.violation(_field(weakness.via), "insecure_transport", "rejected", weakness.why, {}) if {
	_judged
	some weakness in releases.insecure(_object)
	not _exempt_whole
}

_judged if {
	admission.judged(input)
	count(_faults) == 0
}

_object := admission.object_of(input)

_sources := releases.sources(_object)

_addresses := releases.repositories(_object)

_options := parameters.options(input)

_faults := _misfits if {
	count(_misfits) > 0
} else := {sprintf("options.repositories.%d: %q is no repository", [i, repository]) |
	some i, repository in _options.repositories
	not repositories.valid(repository)
}

default _misfits := {"options: there is no schema to hold them against"}

_misfits := set() if {
	regex.match(allowed_sources.usual, json.marshal(_options))
} else := parameters.faults(_options, allowed_sources.schema)

_field(via) := {"via": via, "kind": "unknown", "ref": null}

_allowed(source) if _finding(source).code == "ok"

_denial(source) := messages.violation(source, finding.code, "rejected", reason, {}) if {
	finding := _finding(source)
	reason := concat("; ", [text | some text in [_exemption(source).why, finding.reason]; text != ""])
}

# What is found about a source. Where nothing is, nothing is allowed.
default _finding(_) := {"code": "source_denied", "reason": "nothing could be found out about it"}

_finding(source) := _first(source) if _first(source).code != "named"

_finding(source) := _finding_of_named(source) if _first(source).code == "named"

_first(source) := references.finding(source, object.get(_options, "inline", []))

_finding_of_named(source) := {"code": "ok", "reason": ""} if {
	repositories.hold(_options.repositories, refs.location(source.ref))
} else := {
	"code": "source_denied",
	"reason": sprintf("%s is in no listed repository; %s", [location, _advice(location)]),
} if {
	location := refs.location(source.ref)
}

# Who is told to list what cannot be listed makes a constraint that denies all.
_advice(address) := "plain HTTP cannot be listed, so take it over HTTPS" if {
	is_string(address)
	startswith(address, "http://")
} else := "list one that holds it in options.repositories to allow it"

# Of an address that may hold a password nothing is shown.
_shown(url) := fields.quote(url) if {
	regex.match(`[@?#]`, url)
} else := url

# Listed repositories have a scheme that nobody can listen on.
_secure_and_listed(url) if repositories.cover(_options.repositories, url)

_exempt(source) if _exemption(source).found == true

_exempt_whole if {
	count(_sources) > 0
	every source in _sources { _exempt(source) }
}

# Nothing is exempt that nobody can name.
_exemption(source) := {"found": false, "why": ""} if {
	source.ref == null
} else := exemptions.find(_object, source, refs.parse(source.ref).digest, _options)
