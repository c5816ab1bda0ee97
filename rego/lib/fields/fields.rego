# METADATA
# title: Fields
# description: Reads fields of objects whose shape nobody promised. Whatever stands there, every function answers.
package lib.fields

# METADATA
# title: Text
# description: The string at a path; empty if there is none.
text(value, path) := found if {
	is_object(value)
	found := object.get(value, path, "")
	is_string(found)
} else := ""

# METADATA
# title: Members
# description: The object at a path; empty if there is none.
members(value, path) := found if {
	is_object(value)
	found := object.get(value, path, {})
	is_object(found)
} else := {}

# METADATA
# title: Items
# description: The list at a path; empty if there is none, or if it is longer than anyone reads.
items(value, path) := found if {
	is_object(value)
	found := object.get(value, path, [])
	is_array(found)
	count(found) <= max_items
} else := []

# METADATA
# title: At
# description: What stands at a path; null if nothing does, as for the API server, which takes both alike.
at(value, path) := object.get(value, path, null) if is_object(value)

else := null

# METADATA
# title: Used
# description: Whether a field says anything, be it in the wrong shape. What is empty says what its absence says.
used(value, path) if {
	is_object(value)
	not object.get(value, path, null) in {null, false, 0, "", [], {}}
} else := false

# METADATA
# title: Max items
# description: More places in one list than this are not read one by one; the provider takes no more requests either.
max_items := 64

# METADATA
# title: Max text
# description: A longer text names no chart; chartref has the same limit.
max_text := 4096

# METADATA
# title: Faults
# description: What is wrong with the fields below value, as via and why. A shape gives the paths of strings, objects and arrays by the name of their type. A field that is absent has no fault.
faults(value, via, shape) := [] if _sound(value, shape)

else := [{"via": via, "why": sprintf("%s is %s, want an object", [_shown(via), named_type(value)])}] if {
	not is_object(value)
} else := [{"via": place, "why": sprintf("%s %s", [place, why])} |
	some type, paths in shape
	some path in paths
	why := _fault(object.get(value, path, null), type)
	place := join(via, concat(".", path))
]

# METADATA
# title: Join
# description: The dotted path of a field below a place.
join(via, path) := path if via == ""

else := sprintf("%s.%s", [via, path])

# METADATA
# title: Item
# description: The path of an item of a list.
item(via, index) := sprintf("%s[%d]", [via, index])

# METADATA
# title: Named type
# description: What a value is, for messages.
named_type(value) := object.get(_types, type_name(value), "unknown")

# METADATA
# title: Quote
# description: Foreign text for messages, on one line, short, with look-alikes of ASCII escaped. Of an address that may hold a password or a token nothing is shown.
quote(text) := `"…://…"` if {
	contains(text, "://")
	regex.match(`[@?#]`, text)
} else := sprintf("%+q", [text]) if {
	count(text) <= _max_quote
} else := sprintf("%+q…", [substring(text, 0, _max_quote)])

_max_quote := 64

_types := {
	"null": "missing",
	"boolean": "a boolean",
	"number": "a number",
	"string": "a string",
	"array": "a list",
	"object": "an object",
}

# Most objects are as they should be, and this says so in one go: short texts
# without a brace, objects, and short lists.
_sound(value, shape) if {
	is_object(value)
	written := json.marshal([text | some path in shape.string; text := object.get(value, path, "")])
	count(written) <= max_text
	regex.match(`^\[(?:"(?:[^"\\{]|\\.)*",?)*\]$`, written)
	[member | some path in shape.object; member := object.get(value, path, {}); not is_object(member)] == []
	[path | some path in shape.array; not _short(object.get(value, path, []))] == []
}

_short(list) if {
	is_array(list)
	count(list) <= max_items
}

_shown("") := "the object"

_shown(via) := via if via != ""

_fault(value, type) := sprintf("is %s, want %s", [named_type(value), _types[type]]) if {
	value != null
	type_name(value) != type
}

_fault(value, "string") := sprintf("has %d characters, at most %d are read", [count(value), max_text]) if {
	is_string(value)
	count(value) > max_text
}

# No chart is named with such text, and who fills it in does so later.
_fault(value, "string") := "holds a template, so it is not known yet" if {
	is_string(value)
	count(value) <= max_text
	some opening in ["{{", "${"]
	contains(value, opening)
}

_fault(value, "array") := sprintf("holds %d items, at most %d are read", [count(value), max_items]) if {
	is_array(value)
	count(value) > max_items
}
