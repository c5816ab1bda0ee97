# METADATA
# title: Checks in Gatekeeper
# description: Asks the provider for reports, and gives one for each request, whatever comes back.
package lib.engine

# METADATA
# title: One report
# description: The report on one request.
result(check, ref, opts) := report if {
	request := {"check": check, "opts": opts, "ref": ref}
	report := results({request})[request]
}

# METADATA
# title: Reports by request
# description: The reports on a set of requests, by request. The provider is called once for all of them.
results(requests) := {request: report |
	reply := _reply([key | some key in {json.marshal(request) | some request in requests}])
	some request in requests
	report := _report(reply, request)
}

# A call that fails is like one that answers nothing.
default _reply(_) := {"responses": [], "errors": []}

_reply(keys) := external_data({"provider": "chartseal", "keys": keys})

# One answer, and no other about the same key, counts; neither what stands at
# the same position nor what else the reply says.
_report(reply, request) := object.union(_undecided, value) if {
	key := json.marshal(request)
	[value] = [answer | some [asked, answer] in reply.responses; asked == key]
	is_boolean(value.verified)
	not key in {failed | some [failed, _] in reply.errors}
} else := _undecided

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
