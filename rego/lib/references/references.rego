# METADATA
# title: References
# description: Tells sources that name a chart from those that cannot be held against anything.
package lib.references

import data.lib.refs

# METADATA
# title: Finding
# description: >-
#   What is found about a source before anything is asked about the chart: the code
#   is "named" if it names one, "ok" if its content is in the object and listed,
#   and otherwise says why there is nothing to judge.
default finding(_, _) := {"code": "no_reference", "reason": "it cannot be read"}

finding(source, listed) := {"code": "named", "reason": ""} if {
	source.kind != "inline"
	source.ref != null
	refs.parse(source.ref).ok
} else := {"code": "ok", "reason": ""} if {
	source.kind == "inline"
	source.digest in listed
} else := {"code": "inline_not_listed", "reason": sprintf("its content is in the object; list %s in options.inline to allow it", [source.digest])} if {
	source.kind == "inline"
	source.digest != ""
} else := {"code": "inline_not_listed", "reason": "its content is in the object, and cannot be decoded"} if {
	source.kind == "inline"
} else := {"code": "no_reference", "reason": source.why} if {
	source.ref == null
} else := {"code": "invalid_reference", "reason": refs.parse(source.ref).reason}
