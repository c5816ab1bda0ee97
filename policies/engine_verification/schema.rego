# METADATA
# title: Parameters of engine verification
# description: The JSON schema of parameters.options, in one piece, since it is read for every object.
package lib.schemas.engine_verification

# METADATA
# title: Schema
# description: What parameters.options may hold. Whatever may be trusted is listed.
schema := {
	"type": "object",
	"additionalProperties": false,
	"anyOf": [{"required": ["identities"]}, {"required": ["keys"]}, {"required": ["keyrings"]}],
	"properties": {
		"identities": {
			"type": "array",
			"minItems": 1,
			"items": {
				"type": "object",
				"additionalProperties": false,
				"required": ["issuer", "subject"],
				"properties": {"issuer": {"type": "string", "minLength": 1}, "subject": {"type": "string", "minLength": 1}},
			},
		},
		"keys": {
			"type": "array",
			"minItems": 1,
			"items": {
				"type": "object",
				"additionalProperties": false,
				"required": ["namespace", "name"],
				"properties": {
					"provider": {"enum": ["cosign", "notation"]},
					"namespace": {"type": "string", "minLength": 1},
					"name": {"type": "string", "minLength": 1},
				},
			},
		},
		"keyrings": {
			"type": "array",
			"minItems": 1,
			"items": {
				"type": "object",
				"additionalProperties": false,
				"required": ["namespace", "name"],
				"properties": {"namespace": {"type": "string", "minLength": 1}, "name": {"type": "string", "minLength": 1}},
			},
		},
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
