# METADATA
# title: Parameters
# description: Reads what an administrator wrote into a constraint, and holds it against a schema, so that a slip of the pen never opens a policy.
package lib.parameters

# METADATA
# title: Options
# description: >-
#   What stands below parameters.options of a policy's input; {} if nothing does.
default options(_) := {}

options(document) := document.parameters.options

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

# METADATA
# title: Schema of names
# description: A list of one word or more.
names := {"type": "array", "minItems": 1, "items": word}

# METADATA
# title: Schema of a word
# description: A string that says something.
word := {"type": "string", "minLength": 1}

# METADATA
# title: Schema of inline digests
# description: The sha256 of contents that may stand in an object itself.
inline := {"type": "array", "items": {"type": "string", "pattern": "^sha256:[0-9a-f]{64}$"}}

# METADATA
# title: Schema of exemptions
# description: Charts that are let through for a while, each with a reason and an end.
exemptions := {
	"type": "array",
	"items": {
		"type": "object",
		"additionalProperties": false,
		"required": ["namespace", "chart", "digest", "reason", "expires"],
		"properties": {
			"namespace": word,
			"chart": word,
			"digest": {"type": "string", "pattern": "^(any|sha256:[0-9a-f]{64})$"},
			"reason": word,
			"ticket": word,
			"expires": {"type": "string", "format": "date-time"},
		},
	},
}

# METADATA
# title: Schema of break-glass
# description: The key that signs tokens which let a chart through at once.
break_glass := {
	"type": "object",
	"additionalProperties": false,
	"required": ["key", "algorithm"],
	"properties": {
		"key": word,
		"algorithm": {"enum": ["ES256", "ES384", "ES512", "EdDSA", "PS256", "PS384", "PS512", "RS256", "RS384", "RS512"]},
	},
}
