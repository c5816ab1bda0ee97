# METADATA
# title: Parameters of exemptions in use
# description: The JSON schema of parameters.options, in one piece, since it is read for every object.
package lib.schemas.exemptions_in_use

# METADATA
# title: Schema
# description: What parameters.options may hold, the same as in the constraints whose exemptions are to be seen.
schema := {
	"type": "object",
	"additionalProperties": false,
	"anyOf": [{"required": ["exemptions"]}, {"required": ["break_glass"]}],
	"properties": {
		"exemptions": {
			"type": "array",
			"items": {
				"type": "object",
				"additionalProperties": false,
				"required": ["namespace", "chart", "digest", "reason", "expires"],
				"properties": {
					"namespace": {"type": "string"},
					"chart": {"type": "string", "minLength": 1},
					"digest": {"type": "string", "pattern": "^(any|sha256:[0-9a-f]{64})$"},
					"reason": {"type": "string", "minLength": 1},
					"expires": {
						"type": "string",
						"format": "date-time",
						"pattern": "^20[0-9]{2}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\\.[0-9]+)?(Z|[+-][0-9]{2}:[0-9]{2})$",
					},
				},
			},
		},
		"break_glass": {
			"type": "object",
			"additionalProperties": false,
			"required": ["key", "algorithm"],
			"properties": {
				"key": {"type": "string", "minLength": 1},
				"algorithm": {
					"enum": ["ES256", "ES384", "ES512", "EdDSA", "PS256", "PS384", "PS512", "RS256", "RS384", "RS512"],
				},
			},
		},
	},
}
