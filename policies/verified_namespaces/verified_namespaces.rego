# METADATA
# title: Verified namespaces
# description: >-
#   Every namespace carries the label chart-verification=required, by which
#   trusted_charts can be scoped, unless it is listed.
# custom:
#   version: 1.0.0
#   created: "2026-11-26T00:00:00Z"
#   short_name: verified_namespaces
#   solution: >-
#     Label the namespace chart-verification=required, or list it in
#     options.excluded of the constraint.
package policies.verified_namespaces

import future.keywords.not

import data.lib.admission
import data.lib.messages
import data.lib.parameters
import data.lib.schemas.verified_namespaces

# METADATA
# title: Kinds
# description: The objects that this policy judges.
kinds := [{"apiGroups": [""], "kinds": ["Namespace"]}]

# METADATA
# title: Violations
# description: One for a namespace in which charts would not be verified.
violation contains messages.violation(_field("parameters"), "invalid_parameters", "rejected", fault, {}) if {
	admission.judged(input)
	some fault in _faults
}

violation contains messages.violation(_field("object"), "no_namespace", "rejected", "it is no namespace that can be read", {}) if {
	_judged
	not _namespace
}

violation contains messages.violation(_field("metadata.labels"), "not_labelled", "rejected", reason, {"namespace": _name}) if {
	_judged
	_namespace
	not _excepted
	not _required
	reason := sprintf("namespace %s lacks chart-verification=required; set it, or list the namespace in options.excluded", [_name])
}

# Gatekeeper asks nothing about a namespace with this label, nor about what is in
# it. It is seen where objects are judged before they reach a cluster.
violation contains messages.violation(_field("metadata.labels"), "ignored_namespace", "rejected", reason, {"namespace": _name}) if {
	_judged
	_namespace
	not _excepted
	_ignored in object.keys(_labels)
	reason := sprintf("namespace %s carries %s, with which Gatekeeper judges nothing in it; remove it", [_name, _ignored])
}

_ignored := "admission.gatekeeper.sh/ignore"

_judged if {
	admission.judged(input)
	count(_faults) == 0
}

_object := admission.object_of(input)

_options := parameters.options(input)

default _faults := {"options: there is no schema to hold them against"}

_faults := set() if {
	regex.match(verified_namespaces.usual, json.marshal(_options))
} else := parameters.faults(_options, verified_namespaces.schema)

_field(via) := {"via": via, "kind": "unknown", "ref": null}

_namespace if {
	_object.kind == "Namespace"
	_object.apiVersion == "v1"
}

# Where the API server is to choose the name, none is listed.
default _name := ""

_name := _object.metadata.name if is_string(_object.metadata.name)

default _labels := {}

_labels := _object.metadata.labels if is_object(_object.metadata.labels)

_required if _labels["chart-verification"] == "required"

_excepted if _name in object.get(_options, "excluded", [])

_excepted if {
	some exemption in object.get(_options, "exemptions", [])
	exemption.namespace == _name
	time.parse_rfc3339_ns(exemption.expires) > time.now_ns()
}
