# METADATA
# title: Parameters of trusted charts
# description: The JSON schema of parameters.options.
package lib.schemas.trusted_charts

import data.lib.parameters

# METADATA
# title: Schema
# description: What parameters.options may hold.
schema := {
	"type": "object",
	"additionalProperties": false,
	"required": ["rules"],
	"properties": {
		"rules": {"type": "array", "minItems": 1, "items": _rule},
		"inline": parameters.inline,
		"exemptions": parameters.exemptions,
		"break_glass": parameters.break_glass,
	},
}

_rule := {
	"type": "object",
	"additionalProperties": false,
	"required": ["charts", "require"],
	"properties": {
		"charts": parameters.names,
		"require": {
			"type": "object",
			"additionalProperties": false,
			"minProperties": 1,
			"maxProperties": 1,
			"properties": {"all_of": _checks, "any_of": _checks},
		},
		"dependencies": {"type": "array", "items": parameters.word},
		"digest": {"enum": ["required", "any"]},
	},
}

_checks := {
	"type": "array",
	"minItems": 1,
	"items": {
		"type": "object",
		"additionalProperties": false,
		"required": ["check", "options"],
		"properties": {
			"check": {"type": "string", "pattern": "^[a-z_]+\\.[a-z_]+$"},
			"options": {"type": "object"},
		},
	},
}
