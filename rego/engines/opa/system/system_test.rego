package system_test

import data.system

_request := {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {"uid": "7", "operation": "CREATE", "object": {}}}

_answer(denials, warnings) := response if {
	response := system.main.response with input as _request
		with data.main.policies as {"trusted_charts"}
		with data.main.deny as denials
		with data.main.warn as warnings
}

test_nothing_found_allowed if {
	_answer(set(), set()) == {"uid": "7", "allowed": true, "warnings": []}
}

test_denial_refused if {
	denials := {
		{"msg": "no", "policy": "trusted_charts", "constraint": ""},
		{"msg": "never", "policy": "trusted_charts", "constraint": "platform"},
	}
	_answer(denials, set()) == {
		"uid": "7", "allowed": false, "warnings": [],
		"status": {"code": 403, "message": "[platform] never\n[trusted_charts] no"},
	}
}

test_warning_allowed if {
	_answer(set(), {{"msg": "soon", "policy": "exemptions_in_use", "constraint": ""}}) == {
		"uid": "7",
		"allowed": true,
		"warnings": ["[exemptions_in_use] soon"],
	}
}

test_no_policy_refused if {
	response := system.main.response with input as _request with data.main.policies as set()
	not response.allowed
	response.status.message == "no policy is loaded"
}

test_no_review_refused if {
	every document in [null, {}, {"kind": "AdmissionReview"}, {"kind": "AdmissionReview", "request": {"uid": 7}}, {"kind": "Pod", "request": {"uid": "7"}}] {
		response := system.main.response with input as document with data.main.policies as {"trusted_charts"} with data.main.deny as set()
		not response.allowed
		is_string(response.uid)
		response.status.message == "the request is no AdmissionReview"
	}
}
