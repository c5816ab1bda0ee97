package policies.exemptions_in_use_test

import data.lib.schemas
import data.policies.exemptions_in_use

_digest := "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"

_exemption := {
	"namespace": "shop", "chart": "oci://registry.example.com/charts/web", "digest": "any",
	"reason": "moving to signed charts", "expires": "2099-01-01T00:00:00Z",
}

_options := {"exemptions": [_exemption]}

_key := {"break_glass": {"key": "-----BEGIN PUBLIC KEY-----", "algorithm": "ES256"}}

_review(resource, options) := {"review": {"object": resource, "operation": "CREATE"}, "parameters": {"options": options}}

_web := {
	"apiVersion": "helm.cattle.io/v1",
	"kind": "HelmChart",
	"metadata": {"name": "web", "namespace": "shop"},
	"spec": {"chart": "oci://registry.example.com/charts/web", "version": "1.2.3"},
}

_pinned := {
	"apiVersion": "source.toolkit.fluxcd.io/v1",
	"kind": "OCIRepository",
	"metadata": {"name": "web", "namespace": "shop"},
	"spec": {
		"url": "oci://registry.example.com/charts/web",
		"ref": {"digest": _digest},
		"layerSelector": {"mediaType": "application/vnd.cncf.helm.chart.content.v1.tar+gzip", "operation": "copy"},
	},
}

# Claims in a token that nobody signed: {"digest": _digest}.
_token(claims) := concat(".", [base64url.encode_no_pad(`{"alg":"ES256"}`), base64url.encode_no_pad(json.marshal(claims)), "c2ln"])

_carrying(token) := object.union(_web, {"metadata": {"annotations": {"chartseal.dev/break-glass": token}}})

_codes(resource, options) := {violation.details.code |
	violations := exemptions_in_use.violation with input as _review(resource, options)
	some violation in violations
}

# Stands in for a token that is valid for one digest.
mock_token(_, _, digest, options) := {"found": true, "by": "break-glass", "reason": "outage", "ticket": "OPS-1", "expires": "2099-01-01T00:00:00Z", "why": ""} if {
	digest == _digest
	options.break_glass
} else := {"found": false, "by": "", "reason": "", "ticket": "", "expires": "", "why": "the token is about another digest"}

mock_none(_, _, _, _) := {"found": false, "by": "", "reason": "", "ticket": "", "expires": "", "why": ""}

# Exemptions.

test_exemption_reported if {
	violations := exemptions_in_use.violation with input as _review(_web, _options)
	some violation in violations
	count(violations) == 1
	contains(violation.msg, "moving to signed charts")
	contains(violation.msg, "2099-01-01T00:00:00Z")
	contains(violation.msg, "no ticket")
	violation.details.code == "exemption"
	violation.details.via == "spec.chart"
	violation.details.expires == "2099-01-01T00:00:00Z"
}

test_no_exemption_silent if {
	every change in [{"namespace": "other"}, {"chart": "oci://registry.example.com/charts/api"}, {"expires": "2020-01-01T00:00:00Z"}] {
		_codes(_web, {"exemptions": [object.union(_exemption, change)]}) == set()
	}
}

# No report tells which digest a version has, so the exemption may be in use.
test_exemption_of_digest_reported_for_version if {
	options := {"exemptions": [object.union(_exemption, {"digest": _digest})]}
	_codes(_web, options) == {"exemption"}
	_codes(_pinned, options) == {"exemption"}
}

test_exemption_of_other_digest_silent if {
	options := {"exemptions": [object.union(_exemption, {"digest": replace(_digest, "9f", "00")})]}
	_codes(_pinned, options) == set()
}

test_nothing_without_reference_reported if {
	_codes(object.union(_web, {"spec": {"version": 7}}), _options) == set()
	_codes(_carrying(_token({})), _options) == {"break_glass_invalid"} with data.lib.releases.sources as [{"via": "spec", "kind": "git", "ref": null, "pin": "none", "why": "git"}]
}

# Break-glass.

test_token_reported if {
	violations := exemptions_in_use.violation with input as _review(_carrying(_token({"digest": _digest})), _key)
		with data.lib.exemptions.find as mock_token
	some violation in violations
	count(violations) == 1
	violation.details.code == "break_glass"
	contains(violation.msg, "OPS-1")
}

test_token_for_digest_that_is_pinned_reported if {
	resource := object.union(_pinned, {"metadata": {"annotations": {"chartseal.dev/break-glass": _token({"digest": "any"})}}})
	violations := exemptions_in_use.violation with input as _review(resource, _key)
		with data.lib.exemptions.find as mock_token
	{violation.details.code | some violation in violations} == {"break_glass"}
}

test_token_that_does_not_count_reported if {
	every token in [_token({}), _token({"digest": "any"}), _token({"digest": 7}), "text", "", "a.b.c", "a.bcdef.c", "a.bc.d", 7] {
		violations := exemptions_in_use.violation with input as _review(_carrying(token), _key)
			with data.lib.exemptions.find as mock_token
		{[violation.details.code, violation.details.via] | some violation in violations} == {["break_glass_invalid", "metadata.annotations"]}
	}
}

test_token_without_use_reported if {
	violations := exemptions_in_use.violation with input as _review(_carrying(_token({})), _key)
		with data.lib.exemptions.find as mock_none
	some violation in violations
	contains(violation.msg, "no chart that it could be about")
}

# Parameters and shapes.

test_parameters_without_schema_denied if {
	_codes(object.remove(_web, ["spec"]), _options) == set()
	_codes(object.remove(_web, ["spec"]), _options) == set() with data.lib.schemas.exemptions_in_use as {"schema": data.lib.schemas.exemptions_in_use.schema}
	_codes(object.remove(_web, ["spec"]), _options) == {"invalid_parameters"} with data.lib.schemas.exemptions_in_use as {}
}

test_no_parameters_denied if {
	every parameters in [{}, {"options": {}}, null] {
		violations := exemptions_in_use.violation with input as {"review": {"object": _web}, "parameters": parameters}
		{violation.details.code | some violation in violations} == {"invalid_parameters"}
	}
	violations := exemptions_in_use.violation with input as {"review": {"object": _web}}
	{violation.details.code | some violation in violations} == {"invalid_parameters"}
}

test_wrong_parameters_denied if {
	every options in [{"exemption": []}, {"exemptions": {}}, {"exemptions": [object.remove(_exemption, ["expires"])]}, {"break_glass": {"key": "a"}}] {
		_codes(_web, options) == {"invalid_parameters"}
	}
}

# Whatever cannot be read uses nothing, and the other policies deny it.
test_unreadable_resource_denied if {
	every resource in [null, "web", 7, [], {}] {
		_codes(resource, _options) == set()
	}
	_codes({"metadata": {"annotations": {"chartseal.dev/break-glass": 7}}}, _options) == {"break_glass_invalid"}
}

# No verdict is asked for here; a token without one is told.
test_no_verdict_denied if {
	_codes(_carrying(_token({"digest": _digest})), _key) == {"break_glass_invalid"}
}

test_deletion_not_judged if {
	violations := exemptions_in_use.violation with input as {"review": {"object": _web, "operation": "DELETE"}}
	violations == set()
}

test_kinds_told if {
	"HelmRelease" in exemptions_in_use.kinds[_].kinds
}

# One exemption serves in the constraints of every policy.
test_exemptions_alike_everywhere if {
	every name in ["trusted_charts", "pinned_charts", "allowed_sources", "engine_verification"] {
		every field in ["exemptions", "break_glass"] {
			schemas[name].schema.properties[field] == schemas.exemptions_in_use.schema.properties[field]
		}
	}
}

test_exemption_lacks_nothing if {
	every field in object.keys(_exemption) {
		_codes(_web, {"exemptions": [object.remove(_exemption, [field])]}) == {"invalid_parameters"}
	}
}

test_exemption_without_end_or_digest_denied if {
	every change in [{"expires": "never"}, {"expires": "2099-01-01"}, {"digest": ""}, {"digest": "sha256:abc"}, {"chart": ""}, {"until": "2099"}] {
		_codes(_web, {"exemptions": [object.union(_exemption, change)]}) == {"invalid_parameters"}
	}
}

# A token that whoever reads the constraint could sign proves nothing.
test_symmetric_break_glass_denied if {
	_codes(_web, {"break_glass": {"key": "secret", "algorithm": "HS256"}}) == {"invalid_parameters"}
	_codes(_web, _key) == set()
}
