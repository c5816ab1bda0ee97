# METADATA
# title: Trusted charts
# description: >-
#   Every chart that an object names lies where a rule allows it, and is verified
#   as that rule demands, down to the digest that is deployed.
# custom:
#   version: 1.0.0
#   created: "2026-11-26T00:00:00Z"
#   short_name: trusted_charts
#   solution: >-
#     Sign the chart as the rule for its repository demands, or add a rule to the
#     constraint; name it by one exact version or, where the object can, by digest.
package policies.trusted_charts

import future.keywords.not

import data.lib.admission
import data.lib.engine
import data.lib.exemptions
import data.lib.messages
import data.lib.parameters
import data.lib.patterns
import data.lib.references
import data.lib.refs
import data.lib.releases
import data.lib.repositories
import data.lib.schemas.trusted_charts

# METADATA
# title: Kinds
# description: The objects that this policy judges.
kinds := releases.kinds

# METADATA
# title: Violations
# description: One for each chart that is not trusted, and for whatever makes that impossible to tell.
violation contains messages.violation(_parameters, "invalid_parameters", "rejected", fault, {}) if {
	admission.judged(input)
	some fault in _faults
}

violation contains messages.violation(_whole, "no_chart", "rejected", "it names no chart that can be verified", {}) if {
	_judged
	count(_sources) == 0
}

violation contains messages.violation(_whole, "too_many", "rejected", reason, {"requests": count(_requests)}) if {
	_judged
	count(_requests) > _most
	reason := sprintf("%d verifications are needed, at most %d are made; split the object", [count(_requests), _most])
}

violation contains messages.violation(source, finding.code, finding.outcome, reason, finding.details) if {
	_judged
	count(_requests) <= _most
	some source, finding in _findings
	finding.code != "ok"
	not _exempt(source)
	reason := concat("; ", [text | some text in [_exemption(source).why, finding.reason]; text != ""])
}

violation contains messages.violation(_field(weakness.via), "insecure_transport", "rejected", weakness.why, {}) if {
	_judged
	some weakness in releases.insecure(_object)
	not _exempt_whole
}

# One provider call takes no more.
_most := 64

_judged if {
	admission.judged(input)
	count(_faults) == 0
}

_object := admission.object_of(input)

_sources := releases.sources(_object)

_parameters := _field("parameters")

_whole := _field("object")

_field(via) := {"via": via, "kind": "unknown", "ref": null}

# Parameters.

_options := parameters.options(input)

_faults := _misfits if {
	count(_misfits) > 0
} else := (_invalid_patterns | _invalid_repositories) | _unproven_dependencies

default _misfits := {"options: there is no schema to hold them against"}

_misfits := set() if {
	regex.match(trusted_charts.usual, json.marshal(_options))
} else := parameters.faults(_options, trusted_charts.schema)

_invalid_patterns := set() if {
	regex.match(_plain, json.marshal([rule.charts | some rule in _options.rules]))
} else := {sprintf("options.rules.%d.charts: %q: %s", [i, pattern, patterns.fault(pattern)]) |
	some i, rule in _options.rules
	some pattern in rule.charts
	patterns.fault(pattern) != ""
}

# Most patterns are right at a glance, and all are looked at for each object.
_plain := `^\[(?:\[(?:"(?:oci|https)://(?:\*\.)?(?:[a-z0-9]+[.-])+[a-z]+(?:/(?:\*|[a-z0-9]+(?:[._-][a-z0-9]+)*))*/(?:\*\*?|[a-z0-9]+)",?)*\],?)*\]$`

_invalid_repositories := {sprintf("options.rules.%d.dependencies: %q is neither a repository nor the word bundled", [i, repository]) |
	some i, rule in _options.rules
	some repository in rule.dependencies
	repository != "bundled"
	not repositories.valid(repository)
}

# Nothing but this check sees dependencies, and only where it must succeed.
_unproven_dependencies := {sprintf("options.rules.%d.dependencies: all_of does not require chart.lock_ok", [i]) |
	some i, rule in _options.rules
	rule.dependencies
	not "chart.lock_ok" in {item.check | some item in object.get(rule.require, "all_of", [])}
}

# Sources.

_findings := {source: _finding(source) | some source in _sources}

# What is found about a source. Where nothing is, nothing is trusted.
default _finding(_) := {
	"code": "internal", "outcome": "undecided", "details": {}, "digest": "",
	"reason": "nothing could be found out about it",
}

_finding(source) := {"code": first.code, "outcome": "rejected", "reason": first.reason, "details": {}, "digest": ""} if {
	first := _first(source)
	first.code != "named"
}

_finding(source) := _finding_of_named(source) if _first(source).code == "named"

_first(source) := references.finding(source, object.get(_options, "inline", []))

_finding_of_named(source) := _finding_by(source, rule) if {
	count(_rules(source)) == 1
	some rule in _rules(source)
} else := _refused("no_rule", reason) if {
	count(_rules(source)) == 0
	reason := sprintf("no rule is for %s; add one to options.rules, or name a chart of a repository that has one", [refs.location(source.ref)])
} else := _refused("ambiguous_rules", reason) if {
	count(_rules(source)) > 1
	reason := sprintf("the patterns %s of different rules match %s, and none is more specific", [_listed(_patterns(source)), refs.location(source.ref)])
}

_finding_by(source, rule) := _refused("digest_required", "its rule demands a digest; name it by @sha256:…") if {
	rule.digest == "required"
	_pinned(source) == ""
} else := _verdict(source, rule)

_refused(code, reason) := {"code": code, "outcome": "rejected", "reason": reason, "details": {}, "digest": ""}

# The digest that a reference pins; "" if it pins none.
_pinned(source) := refs.parse(source.ref).digest

# Rules.

# The most specific patterns for a source: more than one if none of them wins.
_patterns(source) := patterns.best(_charts, _locations[source.ref])

_locations := {source.ref: refs.location(source.ref) | some source in _sources}

_charts contains pattern if some pattern in _options.rules[_].charts

# A set of rules by their positions, since equal rules are two all the same.
_rules(source) := {i: rule |
	some i, rule in _options.rules
	some pattern in rule.charts
	pattern in _patterns(source)
}

_listed(texts) := concat(", ", sort([sprintf("%q", [text]) | some text in texts]))

_required(rule) := array.concat(object.get(rule.require, "all_of", []), object.get(rule.require, "any_of", []))

# Verdicts.

_requests := {_request(source, item) |
	some source in _sources
	some item in _wanted(source)
}

# The checks that a source needs: none where they would change nothing.
default _wanted(_) := []

_wanted(source) := _required(rule) if {
	source.kind != "inline"
	count(_rules(source)) == 1
	some rule in _rules(source)
}

_request(source, item) := {"check": item.check, "opts": item.options, "ref": source.ref}

default _reports := {}

_reports := engine.results(_requests) if {
	count(_requests) > 0
	count(_requests) <= _most
}

# The verdict on a source, from the reports that its rule asks for.
_verdict(source, rule) := finding if {
	judgements := [_judgement(source, rule, item) | some item in _required(rule)]
	outcome := _outcome(rule.require, [judgement.outcome | some judgement in judgements])
	digests := {judgement.digest | some judgement in judgements; judgement.digest != ""}
	finding := object.union(_conclusion(judgements, outcome, digests), {
		"digest": _deployed(source, digests),
		"details": {"charts": rule.charts, "checks": judgements},
	})
}

_conclusion(judgements, outcome, digests) := {"code": codes[0], "outcome": outcome, "reason": reason} if {
	outcome != "verified"
	codes := [judgement.code | some judgement in judgements; judgement.outcome == outcome]
	reason := concat("; ", [_told(judgement) | some judgement in judgements; judgement.outcome != "verified"])
} else := {"code": "digest_mismatch", "outcome": "rejected", "reason": reason} if {
	count(digests) > 1
	reason := sprintf("the checks saw different charts: %s", [concat(", ", sort(digests))])
} else := {"code": "ok", "outcome": "verified", "reason": ""}

_told(judgement) := sprintf("%s: %s", [judgement.check, judgement.reason])

# The digest that an exemption may name: what is pinned, or else what all saw.
_deployed(source, digests) := _pinned(source) if {
	_pinned(source) != ""
} else := digest if {
	count(digests) == 1
	some digest in digests
} else := ""

# Of all, each must succeed; of any, one. Undecided is what could still succeed.
_outcome(require, outcomes) := "verified" if {
	require.all_of
	every outcome in outcomes { outcome == "verified" }
} else := "verified" if {
	require.any_of
	"verified" in outcomes
} else := "rejected" if {
	require.all_of
	"rejected" in outcomes
} else := "undecided" if {
	"undecided" in outcomes
} else := "rejected"

# What one report says of a source. It proves the very chart that is deployed,
# or nothing.
_judgement(source, rule, item) := object.union(verdict, {"check": item.check, "digest": _text(report, "digest")}) if {
	report := object.get(_reports, _request(source, item), {})
	verdict := _judgement_of(source, rule, item, report)
}

_judgement_of(source, rule, item, report) := {"outcome": "rejected", "code": "digest_mismatch", "reason": reason} if {
	_verified(report)
	reason := _other_digest(_text(report, "digest"), _pinned(source))
} else := {"outcome": "rejected", "code": "dependency_denied", "reason": reason} if {
	_verified(report)
	reason := _denied_dependencies(report, rule, item)
} else := {"outcome": "verified", "code": "ok", "reason": ""} if {
	_verified(report)
} else := {"outcome": "rejected", "code": _text(report, "code"), "reason": _text(report, "reason")} if {
	report.verified == false
	report.outcome == "rejected"
} else := {"outcome": "undecided", "code": code, "reason": reason} if {
	report.outcome == "undecided"
	code := _text(report, "code")
	reason := _text(report, "reason")
} else := {"outcome": "undecided", "code": "unavailable", "reason": "no verdict"}

_verified(report) if {
	report.verified == true
	report.outcome == "verified"
}

_other_digest(seen, _) := "the report names no digest" if seen == ""

_other_digest(seen, pinned) := sprintf("verified is %s, the reference pins %s", [seen, pinned]) if {
	seen != ""
	pinned != ""
	seen != pinned
}

_denied_dependencies(report, rule, item) := reason if {
	item.check == "chart.lock_ok"
	denied := [_dependency(dependency) | some dependency in report.dependencies; not _allowed(dependency, rule)]
	count(denied) > 0
	reason := sprintf("no repository of options.rules.dependencies has %s", [concat(", ", denied)])
}

_denied_dependencies(report, _, item) := "its dependencies cannot be read" if {
	item.check == "chart.lock_ok"
	not is_array(report.dependencies)
}

_allowed(dependency, rule) if repositories.cover(object.get(rule, "dependencies", []), dependency.repository)

# What lies in the chart itself is as trustworthy as the chart.
_allowed(dependency, rule) if {
	"bundled" in object.get(rule, "dependencies", [])
	regex.match(`^(?:file://.*)?$`, _text(dependency, "repository"))
	is_string(dependency.repository)
}

_dependency(dependency) := sprintf("%s from %q", [_text(dependency, "name"), _text(dependency, "repository")])

_text(report, field) := value if {
	value := report[field]
	is_string(value)
} else := ""

# Exemptions.

_exempt(source) if _exemption(source).found == true

_exempt_whole if {
	count(_sources) > 0
	every source in _sources { _exempt(source) }
}

# Nothing is exempt that nobody can name.
_exemption(source) := {"found": false, "why": ""} if {
	source.ref == null
} else := exemptions.find(_object, source, _finding(source).digest, _options) if {
	_exemptible
} else := {"found": false, "why": ""}

_exemptible if _options.exemptions

_exemptible if _object.metadata.annotations["chartseal.dev/break-glass"]
