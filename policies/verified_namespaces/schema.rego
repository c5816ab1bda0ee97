# METADATA
# title: Parameters of verified namespaces
# description: The JSON schema of parameters.options.
package lib.schemas.verified_namespaces

import data.lib.parameters

# METADATA
# title: Schema
# description: What parameters.options may hold.
schema := {
	"type": "object",
	"additionalProperties": false,
	"properties": {
		"excluded": parameters.names,
		"exemptions": {"type": "array", "items": _exemption},
	},
}

_exemption := {
	"type": "object",
	"additionalProperties": false,
	"required": ["namespace", "reason", "expires"],
	"properties": {
		"namespace": parameters.word,
		"reason": parameters.word,
		"ticket": parameters.word,
		"expires": {"type": "string", "format": "date-time"},
	},
}
