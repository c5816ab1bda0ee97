# METADATA
# title: Exemptions in use
# description: >-
#   Every object that an exemption or a break-glass token covers is reported, with
#   ticket and end, and so is a token that does not count.
# custom:
#   version: 1.0.0
#   created: "2026-11-26T00:00:00Z"
#   short_name: exemptions_in_use
#   solution: >-
#     Make the exemption needless before it ends: sign the chart, pin it, or take it
#     from an allowed repository, and take the exemption or the annotation away.
package policies.exemptions_in_use

import future.keywords.not

import data.lib.admission
import data.lib.exemptions
import data.lib.messages
import data.lib.parameters
import data.lib.refs
import data.lib.releases
import data.lib.schemas.exemptions_in_use

# METADATA
# title: Kinds
# description: The objects that this policy judges.
kinds := releases.kinds

# METADATA
# title: Violations
# description: One for each exemption that covers a chart, and for a token that covers none.
violation contains messages.violation(_field("parameters"), "invalid_parameters", "rejected", fault, {}) if {
	admission.judged(input)
	some fault in _faults
}

violation contains messages.violation(source, _codes[use.by], "rejected", _told(use), _details(use)) if {
	_judged
	some source in _sources
	some use in _uses(source)
}

violation contains messages.violation(_field("metadata.annotations"), "break_glass_invalid", "rejected", why, {}) if {
	_judged
	_token
	not "break-glass" in {use.by | some source in _sources; some use in _uses(source)}
	some why in _whys
}

_codes := {"exemption": "exemption", "break-glass": "break_glass"}

_judged if {
	admission.judged(input)
	count(_faults) == 0
}

_object := admission.object_of(input)

_sources := releases.sources(_object)

_options := parameters.options(input)

default _faults := {"options: there is no schema to hold them against"}

_faults := set() if {
	regex.match(exemptions_in_use.usual, json.marshal(_options))
} else := parameters.faults(_options, exemptions_in_use.schema)

_field(via) := {"via": via, "kind": "unknown", "ref": null}

_told(use) := sprintf("exempt by %s until %v (%v): %v", [use.by, use.expires, _ticket(use), use.reason])

default _ticket(_) := "no ticket"

_ticket(use) := use.ticket if use.ticket != ""

_details(use) := object.filter(use, ["by", "reason", "ticket", "expires"])

# Uses.

# Both are looked for, since either would do. No report is asked for here: where
# nothing is pinned, every exemption is tried for the digest that it is about.
_uses(source) := {use |
	source.ref != null
	some try in array.concat(_exemptions(source), _tokens(source))
	use := exemptions.find(_object, source, try.digest, try.options)
	use.found == true
}

_exemptions(source) := [{"digest": digest, "options": object.filter(_options, ["exemptions"])}] if {
	digest := refs.parse(source.ref).digest
	digest != ""
} else := [{"digest": exemption.digest, "options": {"exemptions": [exemption]}} |
	some exemption in object.get(_options, "exemptions", [])
]

_tokens(source) := [{"digest": digest, "options": object.filter(_options, ["break_glass"])} |
	_token
	some digest in _digests(source)
]

_digests(source) := {refs.parse(source.ref).digest} if {
	refs.parse(source.ref).digest != ""
} else := {"", _claimed}

_token := _object.metadata.annotations["chartseal.dev/break-glass"]

# What a token claims serves for looking; the token is verified when it is found.
default _claimed := ""

_claimed := claims.digest if {
	is_string(_token)
	regex.match(`^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$`, _token)
	part := split(_token, ".")[1]
	count(part) % 4 != 1
	json.is_valid(base64url.decode(part))
	claims := json.unmarshal(base64url.decode(part))
	is_string(claims.digest)
}

_whys := _reasons if {
	count(_reasons) > 0
} else := {"a break-glass token is there, and no chart that it could be about"}

_reasons := {why |
	some source in _sources
	source.ref != null
	why := exemptions.find(_object, source, refs.parse(source.ref).digest, object.filter(_options, ["break_glass"])).why
	why != ""
}
