# METADATA
# title: Parameters of trusted charts
# description: The JSON schema of parameters.options, in one piece, since it is read for every object.
package lib.schemas.trusted_charts

# METADATA
# title: Schema
# description: What parameters.options may hold.
schema := {
	"type": "object",
	"additionalProperties": false,
	"required": ["rules"],
	"properties": {
		"rules": {
			"type": "array",
			"minItems": 1,
			"items": {
				"type": "object",
				"additionalProperties": false,
				"required": ["charts", "require"],
				"properties": {
					"charts": {"type": "array", "minItems": 1, "items": {"type": "string", "pattern": "^[!#-\\[\\]-~]+$"}},
					"require": {
						"type": "object",
						"additionalProperties": false,
						"minProperties": 1,
						"maxProperties": 1,
						"patternProperties": {
							"^(all|any)_of$": {
								"type": "array",
								"minItems": 1,
								"items": {
									"type": "object",
									"additionalProperties": false,
									"required": ["check", "options"],
									"properties": {"check": {"enum": ["chart.lock_ok", "cosign.verify", "helm.verify_prov"]}, "options": {"type": "object"}},
								},
							},
						},
					},
					"dependencies": {"type": "array", "items": {"type": "string", "minLength": 1}},
					"digest": {"enum": ["required", "any"]},
				},
			},
		},
		"inline": {"type": "array", "items": {"type": "string", "pattern": "^sha256:[0-9a-f]{64}$"}},
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
