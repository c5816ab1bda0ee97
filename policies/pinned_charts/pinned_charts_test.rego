package policies.pinned_charts_test

import data.policies.pinned_charts

_digest := "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"

_review(resource, options) := {"review": {"object": resource, "operation": "CREATE"}, "parameters": {"options": options}}

_k3s(spec) := {"apiVersion": "helm.cattle.io/v1", "kind": "HelmChart", "metadata": {"name": "web", "namespace": "shop"}, "spec": spec}

_versioned(version) := _k3s({"chart": "oci://registry.example.com/charts/web", "version": version})

_flux(ref) := {
	"apiVersion": "source.toolkit.fluxcd.io/v1",
	"kind": "OCIRepository",
	"metadata": {"name": "web", "namespace": "shop"},
	"spec": {
		"url": "oci://registry.example.com/charts/web",
		"ref": ref,
		"layerSelector": {"mediaType": "application/vnd.cncf.helm.chart.content.v1.tar+gzip", "operation": "copy"},
	},
}

_source(ref, pin) := {"via": "spec", "kind": "oci", "ref": ref, "pin": pin, "why": ""}

_codes(resource, options) := {violation.details.code |
	violations := pinned_charts.violation with input as _review(resource, options)
	some violation in violations
}

_of(source, options) := {violation.details.code |
	violations := pinned_charts.violation with input as _review({}, options) with data.lib.releases.sources as [source]
	some violation in violations
}

# Pinned charts.

test_exact_version_allowed if {
	every version in ["1.2.3", "v1.2.3", "1.2.3-rc.1", "1.2.3+build.5"] {
		_codes(_versioned(version), {}) == set()
	}
	_codes(_k3s({"chart": "web", "repo": "https://charts.example.com", "version": "1.2.3"}), {}) == set()
}

test_digest_allowed if {
	_codes(_flux({"digest": _digest}), {}) == set()
	_codes(_flux({"digest": _digest, "tag": "1.2.3"}), {}) == set()
}

# Whatever could be another chart tomorrow.
test_loose_version_denied if {
	every version in ["", "1", "1.2", "1.x", "*", "latest", ">0-0", "^1.2.3", "1.2.3 - 2.0.0", " 1.2.3", "1.2.3 ", "01.2.3", "1e3"] {
		count(_codes(_versioned(version), {})) == 1
	}
	every ref in [{}, {"tag": "latest"}, {"semver": "1.x"}, {"semver": "1.2.3"}] {
		count(_codes(_flux(ref), {})) == 1
	}
}

test_version_of_another_type_denied if {
	every version in [1.1, 1000, true, ["1.2.3"], {"a": "1.2.3"}] {
		_codes(_versioned(version), {}) == {"no_reference"}
	}
}

test_tag_beside_digest_held_to_the_same if {
	_of(_source(sprintf("oci://registry.example.com/charts/web:1.2.3@%s", [_digest]), "digest"), {}) == set()
	_of(_source(sprintf("oci://registry.example.com/charts/web:1.2.3_a@%s", [_digest]), "digest"), {}) == set()
	_of(_source(sprintf("oci://registry.example.com/charts/web:latest@%s", [_digest]), "digest"), {}) == {"not_pinned"}
}

# The reference decides, whatever is said about it.
test_claimed_pin_denied if {
	_of(_source("oci://registry.example.com/charts/web:latest", "digest"), {}) == {"not_pinned"}
	_of(_source("oci://registry.example.com/charts/web", "version"), {}) == {"invalid_reference"}
	_of(_source("oci://registry.example.com/charts/web:1.2.3", "none"), {}) == {"not_pinned"}
	_of(_source("oci://registry.example.com/charts/web:1.2.3", "perhaps"), {}) == {"not_pinned"}
	_of(_source("oci://registry.example.com/charts/web:1.2.3", "version"), {}) == set()
}

test_digest_required if {
	_codes(_versioned("1.2.3"), {"digest": "required"}) == {"digest_required"}
	_codes(_flux({"digest": _digest}), {"digest": "required"}) == set()
	_codes(_versioned("1.2.3"), {"digest": "any"}) == set()
}

test_invalid_reference_denied if {
	_of(_source("oci://registry.example.com//web:1.2.3", "version"), {}) == {"invalid_reference"}
}

test_unfathomable_source_denied if {
	violations := pinned_charts.violation with input as _review(_versioned("1.2.3"), {}) with data.lib.references.finding as null
	{violation.details.code | some violation in violations} == {"not_pinned"}
}

# Parameters and shapes.

# Nothing has to be said for exact versions to be demanded.
test_parameters_without_schema_denied if {
	_codes(_versioned("1.2.3"), {}) == set()
	_codes(_versioned("1.2.3"), {}) == set() with data.lib.schemas.pinned_charts as {"schema": data.lib.schemas.pinned_charts.schema}
	_codes(_versioned("1.2.3"), {}) == {"invalid_parameters"} with data.lib.schemas.pinned_charts as {}
}

test_no_parameters_denied if {
	every parameters in [{}, {"options": {}}] {
		violations := pinned_charts.violation with input as {"review": {"object": _versioned("1.x")}, "parameters": parameters}
		count(violations) == 1
	}
	violations := pinned_charts.violation with input as {"review": {"object": _versioned("1.x")}}
	count(violations) == 1
}

test_wrong_parameters_denied if {
	every options in [null, [], "x", {"digests": "required"}, {"digest": true}, {"digest": "sometimes"}, {"inline": "sha256"}] {
		_codes(_versioned("1.2.3"), options) == {"invalid_parameters"}
	}
}

test_unreadable_resource_denied if {
	every resource in [null, "web", 7, [], {}, _k3s({}), _k3s({"chart": 7}), {"apiVersion": "helm.cattle.io/v1", "kind": "HelmChart"}] {
		count(_codes(resource, {})) > 0
	}
}

# No verdict is asked for here; where no source is told, none is pinned.
test_no_verdict_denied if {
	violations := pinned_charts.violation with input as _review(_versioned("1.2.3"), {}) with data.lib.releases.sources as []
	{violation.details.code | some violation in violations} == {"no_chart"}
}

test_inline_denied_unless_listed if {
	resource := _k3s({"chartContent": base64.encode("archive")})
	_codes(resource, {}) == {"inline_not_listed"}
	_codes(resource, {"inline": [concat(":", ["sha256", crypto.sha256("archive")])]}) == set()
}

test_message_names_field_and_remedy if {
	violations := pinned_charts.violation with input as _review(_flux({"tag": "latest"}), {})
	some violation in violations
	startswith(violation.msg, "spec")
	violation.details.outcome == "rejected"
}

# Operations and exemptions.

test_deletion_not_judged if {
	violations := pinned_charts.violation with input as {"review": {"object": _versioned("1.x"), "operation": "DELETE"}}
	violations == set()
}

_exempting(change) := {"exemptions": [object.union(
	{
		"namespace": "shop", "chart": "oci://registry.example.com/charts/web", "digest": "any",
		"reason": "moving to exact versions", "expires": "2099-01-01T00:00:00Z",
	},
	change,
)]}

test_exempt_allowed if {
	_codes(_versioned("1.2.3"), object.union({"digest": "required"}, _exempting({}))) == set()
}

test_other_exemption_denied if {
	every change in [{"namespace": "other"}, {"digest": _digest}, {"expires": "2020-01-01T00:00:00Z"}] {
		_codes(_versioned("1.2.3"), object.union({"digest": "required"}, _exempting(change))) == {"digest_required"}
	}
}

test_nothing_without_reference_exempt if {
	_codes(_versioned(1.2), _exempting({})) == {"no_reference"}
}

test_kinds_told if {
	"Application" in pinned_charts.kinds[_].kinds
}
