# METADATA
# title: Parameters of engine verification
# description: The JSON schema of parameters.options.
package lib.schemas.engine_verification

import data.lib.parameters

# METADATA
# title: Schema
# description: What parameters.options may hold. Whatever may be trusted is listed.
schema := {
	"type": "object",
	"additionalProperties": false,
	"anyOf": [{"required": ["identities"]}, {"required": ["keys"]}, {"required": ["keyrings"]}],
	"properties": {
		"identities": {"type": "array", "minItems": 1, "items": _identity},
		"keys": {"type": "array", "minItems": 1, "items": _key},
		"keyrings": {"type": "array", "minItems": 1, "items": _secret},
		"exemptions": parameters.exemptions,
		"break_glass": parameters.break_glass,
	},
}

_identity := {
	"type": "object",
	"additionalProperties": false,
	"required": ["issuer", "subject"],
	"properties": {"issuer": parameters.word, "subject": parameters.word},
}

_secret := {
	"type": "object",
	"additionalProperties": false,
	"required": ["namespace", "name"],
	"properties": {"namespace": parameters.word, "name": parameters.word},
}

_key := object.union(_secret, {"properties": {"provider": {"enum": ["cosign", "notation"]}}})
