# METADATA
# title: Mocks
# description: |
#   Stands in for lib.engine in the tests of a policy, which then need no key and no registry:
#   "with data.lib.engine.results as mocks.verified". Each gives every request a report, as the engine does.
package lib.mocks

import data.lib.refs

# METADATA
# title: Everything verifies
# description: |
#   Reports that say verified, each of the very chart that its request names. The digest is the one that is pinned, or
#   one that only this chart has.
verified(requests) := {request: _verified(request) | some request in requests}

# METADATA
# title: Nothing verifies
# description: Reports that say rejected, since no signer is trusted.
rejected(requests) := {request: report(_rejection(request)) | some request in requests}

# METADATA
# title: Nothing is decided
# description: Reports that say undecided, as when the provider is down.
undecided(requests) := {request: report(_outage(request)) | some request in requests}

# METADATA
# title: A report
# description: A report of full shape that says verified, with these of its fields replaced.
report(over) := object.union(_full, over) if {
	is_object(over)
} else := _full

_full := {
	"verified": true,
	"outcome": "verified",
	"code": "ok",
	"reason": "verified",
	"ref": "",
	"digest": "",
	"chart": {"name": "", "version": "", "digest": ""},
	"signers": [],
	"dependencies": [],
	"findings": [],
	"checks": [],
	"trust": "",
}

_verified(request) := report({"ref": parsed.ref, "digest": digest, "chart": {"name": parsed.name, "version": parsed.version, "digest": digest}}) if {
	parsed := _parsed(request)
	digest := _digest(parsed)
}

_rejection(request) := {
	"verified": false,
	"outcome": "rejected",
	"code": "untrusted_signer",
	"reason": "no signer is trusted",
	"ref": _parsed(request).ref,
}

_outage(request) := {
	"verified": false,
	"outcome": "undecided",
	"code": "unavailable",
	"reason": "the provider gave no verdict",
	"ref": _parsed(request).ref,
}

_parsed(request) := refs.parse(request.ref) if {
	is_object(request)
} else := refs.parse(null)

_digest(parsed) := parsed.digest if {
	parsed.digest != ""
} else := concat("", ["sha256:", crypto.sha256(parsed.ref)])
