# METADATA
# title: Verified charts
# description: Denies an object whose data does not name verified charts alone, a reference a word.
package policies.verified_charts

import data.lib.engine

violation contains {"msg": sprintf("%v: %v", [ref, report.reason]), "details": details} if {
	some ref in _refs
	report := _reports[_request(ref)]
	report.verified != true
	details := {"ref": ref, "code": report.code, "outcome": report.outcome, "trust": report.trust}
}

violation contains {"msg": sprintf("%v: no report", [ref])} if {
	some ref in _refs
	not _request(ref) in object.keys(_reports)
}

violation contains {"msg": "no chart reference found in this object"} if count(_refs) == 0

_request(ref) := {"check": "helm.verify_prov", "opts": _options, "ref": ref}

default _reports := {}

_reports := engine.results({_request(ref) | some ref in _refs})

default _refs := set()

_refs := {ref | some ref in split(input.review.object.data, " "); ref != ""}

default _options := {}

_options := input.parameters.options
