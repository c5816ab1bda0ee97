# METADATA
# title: Parameters
# description: Reads what an administrator wrote into a constraint, and holds it against a schema, so that a slip of the pen never opens a policy.
package lib.parameters

# METADATA
# title: Options
# description: >-
#   What stands below parameters.options of a policy's input; {} if nothing does.
#   What stands beside options instead is among them under a name that no schema
#   knows, so that it is told and not passed over. A cluster would have dropped it.
options(document) := document.parameters.options if {
	is_object(document.parameters)
	object.keys(document.parameters) == {"options"}
} else := object.union({name: true | some name in _beside(document)}, document.parameters.options) if {
	is_object(document.parameters.options)
} else := {name: true | some name in _beside(document)}

_beside(document) := {sprintf("(beside options) %s", [name]) |
	is_object(document.parameters)
	some name in (object.keys(document.parameters) - {"options"})
}

# METADATA
# title: Faults
# description: >-
#   What in options does not fit a schema, as texts that name the field; empty
#   if all does. Nothing fits a schema that cannot be read.
faults(options, schema) := {sprintf("options is of type %s, want an object", [type_name(options)])} if {
	not is_object(options)
} else := {sprintf("%s: %s", [_field(error.field), error.desc]) | some error in errors} if {
	[_, errors] := json.match_schema(options, schema)
} else := {"options: the schema cannot be read"}

# The root has a name of its own, which says nothing to whoever wrote the options.
_field(field) := "options" if field == "(Root)"

else := concat(".", ["options", field])
