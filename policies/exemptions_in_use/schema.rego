# METADATA
# title: Parameters of exemptions in use
# description: The JSON schema of parameters.options.
package lib.schemas.exemptions_in_use

import data.lib.parameters

# METADATA
# title: Schema
# description: What parameters.options may hold, the same as in the constraints whose exemptions are to be seen.
schema := {
	"type": "object",
	"additionalProperties": false,
	"anyOf": [{"required": ["exemptions"]}, {"required": ["break_glass"]}],
	"properties": {
		"exemptions": parameters.exemptions,
		"break_glass": parameters.break_glass,
	},
}
