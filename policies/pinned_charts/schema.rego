# METADATA
# title: Parameters of pinned charts
# description: The JSON schema of parameters.options.
package lib.schemas.pinned_charts

import data.lib.parameters

# METADATA
# title: Schema
# description: What parameters.options may hold.
schema := {
	"type": "object",
	"additionalProperties": false,
	"properties": {
		"digest": {"enum": ["required", "any"]},
		"inline": parameters.inline,
		"exemptions": parameters.exemptions,
		"break_glass": parameters.break_glass,
	},
}
