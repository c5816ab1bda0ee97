package policies.verified_namespaces_test

import data.policies.verified_namespaces

_namespace(name, labels) := {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}

_required := {"chart-verification": "required"}

_codes(resource, options) := {violation.details.code |
	violations := verified_namespaces.violation with input as {"review": {"object": resource}, "parameters": {"options": options}}
	some violation in violations
}

test_labelled_allowed if {
	_codes(_namespace("shop", _required), {}) == set()
}

test_not_labelled_denied if {
	every labels in [{}, null, {"chart-verification": "off"}, {"chart-verification": "Required"}, {"chart-verification": true}, {"chart_verification": "required"}, "required"] {
		_codes(_namespace("shop", labels), {}) == {"not_labelled"}
	}
}

test_message_names_namespace_and_remedy if {
	violations := verified_namespaces.violation with input as {"review": {"object": _namespace("shop", {})}, "parameters": {}}
	some violation in violations
	contains(violation.msg, "namespace shop lacks chart-verification=required")
	violation.details.namespace == "shop"
}

test_excluded_allowed if {
	_codes(_namespace("kube-system", {}), {"excluded": ["kube-system"]}) == set()
	_codes(_namespace("kube-system-2", {}), {"excluded": ["kube-system"]}) == {"not_labelled"}
}

test_generated_name_judged if {
	resource := {"apiVersion": "v1", "kind": "Namespace", "metadata": {"generateName": "kube-system"}}
	_codes(resource, {"excluded": ["kube-system"]}) == {"not_labelled"}
}

# With this label Gatekeeper would not even be asked.
test_ignored_denied if {
	labels := object.union(_required, {"admission.gatekeeper.sh/ignore": "yes"})
	_codes(_namespace("shop", labels), {}) == {"ignored_namespace"}
	_codes(_namespace("shop", labels), {"excluded": ["shop"]}) == set()
}

test_label_taken_away_denied if {
	violations := verified_namespaces.violation with input as {
		"review": {"operation": "UPDATE", "object": _namespace("shop", {}), "oldObject": _namespace("shop", _required)},
		"parameters": {},
	}
	{violation.details.code | some violation in violations} == {"not_labelled"}
}

test_deletion_not_judged if {
	violations := verified_namespaces.violation with input as {"review": {"operation": "DELETE", "object": _namespace("shop", {})}}
	violations == set()
}

# Parameters and shapes.

# Nothing has to be said for the label to be demanded.
test_parameters_without_schema_denied if {
	_codes(_namespace("shop", _required), {}) == set()
	_codes(_namespace("shop", _required), {}) == set() with data.lib.schemas.verified_namespaces as {"schema": data.lib.schemas.verified_namespaces.schema}
	_codes(_namespace("shop", _required), {}) == {"invalid_parameters"} with data.lib.schemas.verified_namespaces as {}
}

test_no_parameters_denied if {
	violations := verified_namespaces.violation with input as {"review": {"object": _namespace("shop", {})}}
	{violation.details.code | some violation in violations} == {"not_labelled"}
}

test_wrong_parameters_denied if {
	every options in [null, [], {"exclude": ["shop"]}, {"excluded": "shop"}, {"excluded": [7]}, {"exemptions": [{"namespace": "shop"}]}] {
		_codes(_namespace("shop", _required), options) == {"invalid_parameters"}
	}
}

test_unreadable_resource_denied if {
	every resource in [null, "shop", 7, [], {}, {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "shop", "labels": _required}}, {"apiVersion": "example.com/v1", "kind": "Namespace"}] {
		_codes(resource, {}) == {"no_namespace"}
	}
}

# No verdict is asked for here; a namespace that says nothing is not verified.
test_no_verdict_denied if {
	_codes({"apiVersion": "v1", "kind": "Namespace"}, {}) == {"not_labelled"}
}

# Exemptions.

_exempting(change) := {"exemptions": [object.union({"namespace": "shop", "reason": "moving in", "expires": "2099-01-01T00:00:00Z"}, change)]}

test_exempt_allowed if {
	_codes(_namespace("shop", {}), _exempting({})) == set()
	_codes(_namespace("shop", {}), _exempting({"ticket": "OPS-1", "expires": "2099-01-01T00:00:00.5+01:00"})) == set()
}

test_other_exemption_denied if {
	every change in [{"namespace": "other"}, {"expires": "2020-01-01T00:00:00Z"}] {
		_codes(_namespace("shop", {}), _exempting(change)) == {"not_labelled"}
	}
	every expires in ["never", "2099-01-01", "9999-12-31T00:00:00Z", "2099-02-30T00:00:00Z", "2099-01-01T24:00:00Z"] {
		_codes(_namespace("shop", {}), _exempting({"expires": expires})) == {"invalid_parameters"}
	}
}

test_kinds_told if {
	"Namespace" in verified_namespaces.kinds[_].kinds
}
