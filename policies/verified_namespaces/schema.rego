# METADATA
# title: Parameters of verified namespaces
# description: The JSON schema of parameters.options, in one piece, since it is read for every object.
package lib.schemas.verified_namespaces

# METADATA
# title: Schema
# description: What parameters.options may hold.
schema := {
	"type": "object",
	"additionalProperties": false,
	"properties": {
		"excluded": {"type": "array", "minItems": 1, "items": {"type": "string", "minLength": 1}},
		"exemptions": {
			"type": "array",
			"items": {
				"type": "object",
				"additionalProperties": false,
				"required": ["namespace", "reason", "expires"],
				"properties": {
					"namespace": {"type": "string", "minLength": 1},
					"reason": {"type": "string", "minLength": 1},
					"ticket": {"type": "string", "minLength": 1},
					"expires": {
						"type": "string",
						"format": "date-time",
						"pattern": "^20[0-9]{2}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\\.[0-9]+)?(Z|[+-][0-9]{2}:[0-9]{2})$",
					},
				},
			},
		},
	},
}
