# METADATA
# title: Admission webhook
# description: Answers the API server, where the server of OPA is its webhook.
package system

import future.keywords.not

import data.main as judge

# METADATA
# title: Main
# description: >-
#   The answer to an AdmissionReview. What cannot be read is refused, and so is
#   everything while no policy is loaded.
main := {
	"apiVersion": "admission.k8s.io/v1",
	"kind": "AdmissionReview",
	"response": object.union({"uid": _uid, "allowed": _allowed, "warnings": _warnings}, _status),
}

default _allowed := false

_allowed if count(_reasons) == 0

_status := {"status": {"code": 403, "message": concat("\n", sort(_reasons))}} if {
	not _allowed
} else := {}

_reasons contains "the request is no AdmissionReview" if not _request

_reasons contains "no policy is loaded" if count(judge.policies) == 0

_reasons contains _line(finding) if some finding in judge.deny

_warnings := sort({_line(finding) | some finding in judge.warn})

_line(finding) := sprintf("[%s] %s", [finding.constraint, finding.msg]) if finding.constraint != ""

else := sprintf("[%s] %s", [finding.policy, finding.msg])

default _uid := ""

_uid := input.request.uid if is_string(input.request.uid)

_request if {
	input.kind == "AdmissionReview"
	is_object(input.request)
	_uid != ""
}
