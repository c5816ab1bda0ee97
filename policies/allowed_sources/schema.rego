# METADATA
# title: Parameters of allowed sources
# description: The JSON schema of parameters.options.
package lib.schemas.allowed_sources

import data.lib.parameters

# METADATA
# title: Schema
# description: What parameters.options may hold. Nothing is allowed over plain HTTP.
schema := {
	"type": "object",
	"additionalProperties": false,
	"required": ["repositories"],
	"properties": {
		"repositories": {"type": "array", "minItems": 1, "items": {"type": "string", "pattern": "^(oci|https)://"}},
		"inline": parameters.inline,
		"exemptions": parameters.exemptions,
		"break_glass": parameters.break_glass,
	},
}
