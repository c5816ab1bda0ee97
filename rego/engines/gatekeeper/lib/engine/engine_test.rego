package lib.engine_test

import data.lib.engine

_good := {"check": "helm.verify_prov", "opts": {"keyrings": ["web-team"]}, "ref": "oci://h.example/web:1.2.3"}

_bad := {"check": "helm.verify_prov", "opts": {"keyrings": ["web-team"]}, "ref": "oci://h.example/bad:1.2.3"}

_verified := {"verified": true, "outcome": "verified", "code": "ok", "reason": "verified"}

_rejected := {"verified": false, "outcome": "rejected", "code": "no_provenance", "reason": "no .prov"}

_undecided := {
	"verified": false,
	"outcome": "undecided",
	"code": "unavailable",
	"reason": "the provider gave no verdict",
	"ref": "",
	"digest": "",
	"chart": {"name": "", "version": "", "digest": ""},
	"signers": [],
	"dependencies": [],
	"findings": [],
	"checks": [],
	"trust": "",
}

# Every key is answered, in another order than asked for.
_answers({"provider": "chartseal", "keys": keys}) := {
	"responses": [[key, _about(key)] | some i, _ in keys; key := keys[(count(keys) - i) - 1]],
	"errors": [],
	"status_code": 200,
	"system_error": "",
}

_about(key) := _verified if key == json.marshal(_good)

_about(key) := _rejected if key != json.marshal(_good)

test_each_request_has_its_own_report if {
	reports := engine.results({_good, _bad}) with external_data as _answers
	reports == {_good: object.union(_undecided, _verified), _bad: object.union(_undecided, _rejected)}
}

test_one_report if {
	report := engine.result(_good.check, _good.ref, _good.opts) with external_data as _answers
	report == object.union(_undecided, _verified)
}

test_no_request_no_report if {
	every none in [set(), [], {}, null, 17, "text"] {
		engine.results(none) == {} with external_data as _answers
	}
}

test_requests_of_any_shape_are_answered if {
	requests := [null, 17, "text", [], {}, {"check": 1}, {"a", "b"}, {1: 2}, {"ref": {{1}: {2}}}]
	every request in requests {
		reports := engine.results({request, _good}) with external_data as _answers
		reports[request].verified == false
		reports[_good].verified == true
	}
}

# The provider says what the input has.
_says(_) := input

_reply(fault) := object.union({"responses": [[json.marshal(_good), _verified]], "errors": [], "system_error": ""}, fault)

# The valid twin of what follows.
test_answer_counts_beside_an_error_about_the_whole if {
	engine.results({_good})[_good].verified with input as _reply({"system_error": "another key is undecided"})
		with external_data as _says
}

test_answer_counts_beside_an_error_about_another_key if {
	engine.results({_good})[_good].verified with input as _reply({"errors": [[json.marshal(_bad), "no"]]})
		with external_data as _says
}

_faults := {
	"null lists": {"responses": null, "errors": null},
	"no answer": {"responses": []},
	"answer to another key": {"responses": [[json.marshal(_bad), _verified]]},
	"two answers": {"responses": [[json.marshal(_good), _verified], [json.marshal(_good), _rejected]]},
	"error and answer": {"errors": [[json.marshal(_good), "no"]]},
	"answer is text": {"responses": [[json.marshal(_good), "verified"]]},
	"answer is null": {"responses": [[json.marshal(_good), null]]},
	"answer without verdict": {"responses": [[json.marshal(_good), {"outcome": "verified"}]]},
	"verdict is text": {"responses": [[json.marshal(_good), {"verified": "true"}]]},
	"answer is no pair": {"responses": [json.marshal(_good), [json.marshal(_good)], 17]},
	"answers by key": {"responses": {json.marshal(_good): _verified}},
}

test_fault_is_undecided if {
	every fault in _faults {
		engine.results({_good}) == {_good: _undecided} with input as _reply(fault)
			with external_data as _says
	}
}

test_reply_of_another_shape_is_undecided if {
	every reply in [null, "text", 17, [], {}] {
		engine.results({_good}) == {_good: _undecided} with input as reply
			with external_data as _says
	}
}

# A call that fails is undefined, as reading an object as JSON text is.
test_failing_call_is_undecided if {
	engine.results({_good}) == {_good: _undecided} with external_data as json.unmarshal
}

# Nothing is answered but a call with two keys.
_answers_two({"provider": _, "keys": keys}) := {"responses": [[key, _verified] | some key in keys; count(keys) == 2], "errors": []}

test_one_call_for_all if {
	reports := engine.results({_good, _bad}) with external_data as _answers_two
	every report in reports {
		report.verified
	}
	not engine.results({_good})[_good].verified with external_data as _answers_two
}
