# METADATA
# title: Pinned charts
# description: >-
#   Every chart that an object names is one exact version or one digest, so that
#   what is reviewed today is what is asked for tomorrow.
# custom:
#   version: 1.0.0
#   created: "2026-11-26T00:00:00Z"
#   short_name: pinned_charts
#   solution: >-
#     Replace the range, the empty version or latest by one exact version, as
#     1.2.3 and in quotes, or by the digest of the chart.
package policies.pinned_charts

import future.keywords.not

import data.lib.admission
import data.lib.exemptions
import data.lib.messages
import data.lib.parameters
import data.lib.references
import data.lib.refs
import data.lib.releases
import data.lib.schemas.pinned_charts

# METADATA
# title: Kinds
# description: The objects that this policy judges.
kinds := releases.kinds

# METADATA
# title: Violations
# description: One for each chart that could be another one tomorrow.
violation contains messages.violation(_field("parameters"), "invalid_parameters", "rejected", fault, {}) if {
	admission.judged(input)
	some fault in _faults
}

violation contains messages.violation(_field("object"), "no_chart", "rejected", "it names no chart that can be pinned", {}) if {
	_judged
	count(_sources) == 0
}

violation contains _denial(source) if {
	_judged
	some source in _sources
	not _pinned(source)
	not _exempt(source)
}

_judged if {
	admission.judged(input)
	count(_faults) == 0
}

_object := admission.object_of(input)

_sources := releases.sources(_object)

_options := parameters.options(input)

default _faults := {"options: there is no schema to hold them against"}

_faults := set() if {
	regex.match(pinned_charts.usual, json.marshal(_options))
} else := parameters.faults(_options, pinned_charts.schema)

_field(via) := {"via": via, "kind": "unknown", "ref": null}

_pinned(source) if _finding(source).code == "ok"

_denial(source) := messages.violation(source, finding.code, "rejected", reason, {}) if {
	finding := _finding(source)
	reason := concat("; ", [text | some text in [_exemption(source).why, finding.reason]; text != ""])
}

# What is found about a source. Where nothing is, nothing is pinned.
default _finding(_) := {"code": "not_pinned", "reason": "nothing could be found out about it"}

_finding(source) := _first(source) if _first(source).code != "named"

_finding(source) := _finding_of_named(source) if _first(source).code == "named"

_first(source) := references.finding(source, object.get(_options, "inline", []))

_finding_of_named(source) := {"code": "not_pinned", "reason": _loose(source)} if {
	_loose(source)
} else := {"code": "digest_required", "reason": "a version can move; name the digest, as @sha256:…"} if {
	object.get(_options, "digest", "any") == "required"
	_parsed(source).digest == ""
} else := {"code": "ok", "reason": ""} if {
	source.pin in ["version", "digest"]
}

_parsed(source) := refs.parse(source.ref)

# A tag is held to the same beside a digest: the digest decides, but people read
# the tag.
_loose(source) := sprintf("tag %q is no exact version", [_parsed(source).tag]) if {
	_parsed(source).tag != ""
	not _exact(_parsed(source).tag)
} else := "it names neither an exact version nor a digest" if {
	source.pin == "none"
}

# Registries have no + in a tag.
_exact(tag) if refs.exact_version(replace(tag, "_", "+"))

_exempt(source) if _exemption(source).found == true

# Nothing is exempt that nobody can name.
_exemption(source) := {"found": false, "why": ""} if {
	source.ref == null
} else := exemptions.find(_object, source, _parsed(source).digest, _options)
