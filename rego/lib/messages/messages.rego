# METADATA
# title: Messages
# description: Makes what a policy says to people one printable line, whatever foreign text is in it, and never loses it.
package lib.messages

import data.lib.refs

# METADATA
# title: One line
# description: |
#   "via: subject: reason" in at most 256 characters, without what is empty. Each part may be any value; what cannot
#   be printed becomes a space, and a part that is long is cut so that the reason is still seen.
text(via, subject, reason) := _clipped(_line(via, subject, reason), 256)

# Most are printable and short as they are, and are seen to be so at once.
_line(via, subject, reason) := line if {
	is_string(via)
	is_string(subject)
	is_string(reason)
	count(via) <= 64
	count(subject) <= 112
	count(reason) <= 512
	regex.match(`^[!-~]*$`, concat("", [via, subject]))
	regex.match(`^[!-~](?: ?[!-~])*$`, reason)
	line := concat(": ", [part | some part in [via, subject, reason]; part != ""])
} else := line if {
	parts := [_clipped(_printable(via), 64), _clipped(_printable(subject), 112), _printable(reason)]
	line := concat(": ", [part | some part in parts; part != ""])
}

# METADATA
# title: One violation
# description: |
#   A violation about one of the sources that lib.releases gives: its message, which ends with the code, and its
#   details with the fields via, ref, code and outcome, of which ref is the canonical text of the reference, ""
#   where there is none. What extra has besides stands beside them.
violation(source, code, outcome, reason, extra) := {"msg": _coded(_line(via, ref, reason), outcome, code), "details": details} if {
	via := _field(source, "via", "")
	ref := _canonical(_field(source, "ref", null))
	details := object.union(_details(extra), {"via": via, "ref": ref, "code": code, "outcome": outcome})
}

# The API server shows messages alone, and a code is what people look up.
_coded(line, outcome, code) := concat("", [_clipped(line, 256 - count(suffix)), suffix]) if {
	suffix := _suffix(outcome, code)
} else := _clipped(line, 256)

_suffix("undecided", code) := sprintf(" (undecided: %s)", [code]) if _is_code(code)

_suffix(outcome, code) := sprintf(" (%s)", [code]) if {
	outcome != "undecided"
	_is_code(code)
}

_is_code(code) if {
	is_string(code)
	regex.match(`^[a-z_]{1,64}$`, code)
}

_field(source, name, missing) := source[name] if {
	is_object(source)
} else := missing

_canonical(null) := ""

_canonical(ref) := refs.parse(ref).ref if ref != null

_details(extra) := extra if {
	is_object(extra)
} else := {}

# Only so much is looked at of what may be long.
_printable(value) := trim_space(regex.replace(substring(_written(value), 0, 512), `[^\pL\pM\pN\pP\pS ]`, " "))

_written(value) := value if {
	is_string(value)
} else := "" if {
	is_null(value)
} else := sprintf("%v", [value])

_clipped(line, limit) := line if {
	count(line) <= limit
} else := concat("", [substring(line, 0, limit - 1), "…"])
