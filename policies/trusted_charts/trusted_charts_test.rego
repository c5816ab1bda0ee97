package policies.trusted_charts_test

import data.policies.trusted_charts

_digest := "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"

_other := "sha256:60303ae22b998861bce3b28f33eec1be758a213c86c93c076dbe9f558c11c752"

_signed := {"check": "helm.verify_prov", "options": {"keyrings": ["platform"]}}

_cosigned := {"check": "cosign.verify", "options": {"public_keys": ["platform"]}}

_locked := {"check": "chart.lock_ok", "options": {"content": ["lock"]}}

_rule(charts, require) := {"charts": charts, "require": require}

_options := {"rules": [_rule(["oci://registry.example.com/charts/*", "https://charts.example.com/*"], {"all_of": [_signed]})]}

_ruled(rules) := object.union(_options, {"rules": rules})

_review(resource, options) := {"review": {"object": resource, "operation": "CREATE"}, "parameters": {"options": options}}

_k3s(spec) := {"apiVersion": "helm.cattle.io/v1", "kind": "HelmChart", "metadata": {"name": "web", "namespace": "shop"}, "spec": spec}

_web := _k3s({"chart": "oci://registry.example.com/charts/web", "version": "1.2.3"})

_web_ref := "oci://registry.example.com/charts/web:1.2.3"

_archive := _k3s({"chart": "web", "repo": "https://charts.example.com", "version": "1.2.3"})

_pinned(digest) := {
	"apiVersion": "source.toolkit.fluxcd.io/v1",
	"kind": "OCIRepository",
	"metadata": {"name": "web", "namespace": "shop"},
	"spec": {
		"url": "oci://registry.example.com/charts/web",
		"ref": {"digest": digest},
		"layerSelector": {"mediaType": "application/vnd.cncf.helm.chart.content.v1.tar+gzip", "operation": "copy"},
	},
}

_argo(charts) := {
	"apiVersion": "argoproj.io/v1alpha1",
	"kind": "Application",
	"metadata": {"name": "shop", "namespace": "argocd"},
	"spec": {"sources": [{"repoURL": "registry.example.com/charts", "chart": name, "targetRevision": "1.2.3"} | some name in charts]},
}

# Reports.

_report := {
	"verified": true, "outcome": "verified", "code": "ok", "reason": "verified", "ref": "", "digest": _digest,
	"chart": {"name": "web", "version": "1.2.3", "digest": ""}, "signers": [], "dependencies": [], "findings": [], "checks": [], "trust": "",
}

_failed(outcome, code, reason) := object.union(_report, {"verified": false, "outcome": outcome, "code": code, "reason": reason, "digest": ""})

_unsigned := _failed("rejected", "no_provenance", "web-1.2.3.tgz has no .prov")

_silent := _failed("undecided", "unavailable", "the provider gave no verdict")

mock_verified(requests) := {request: _report | some request in requests}

mock_rejected(requests) := {request: _unsigned | some request in requests}

mock_undecided(requests) := {request: _silent | some request in requests}

mock_nothing(_) := {}

mock_moved(requests) := {request: object.union(_report, {"digest": digest}) |
	some request in requests
	digest := {"helm.verify_prov": _digest, "cosign.verify": _other}[request.check]
}

# Signed by one way only, and nobody knows about the other.
mock_signed(requests) := {request: report |
	some request in requests
	report := {"helm.verify_prov": _report, "cosign.verify": _silent, "chart.lock_ok": _unsigned}[request.check]
}

mock_evil_rejected(requests) := {request: report |
	some request in requests
	report := {true: _unsigned, false: _report}[contains(request.ref, "evil")]
}

mock_without_digest(requests) := {request: object.union(_report, {"digest": ""}) | some request in requests}

mock_malformed(requests) := {request: object.union(_report, {"digest": 7, "dependencies": "none"}) | some request in requests}

mock_contradictory(requests) := {request: object.union(_report, {"outcome": "rejected"}) | some request in requests}

mock_wordless(requests) := {request: object.union(_unsigned, {"code": null, "reason": 7}) | some request in requests}

mock_dependent(requests) := {request: object.union(_report, {"dependencies": dependencies}) |
	some request in requests
	dependencies := [
		{"name": "base", "version": "1.0.0", "repository": "oci://registry.example.com/charts"},
		{"name": "db", "version": "1.0.0", "repository": "https://charts.example.com/stable"},
		{"name": "inner", "version": "1.0.0", "repository": ""},
		{"name": "local", "version": "1.0.0", "repository": "file://../local"},
	]
}

_codes(violations) := {violation.details.code | some violation in violations}

# Verified charts.

test_verified_allowed if {
	every resource in [_web, _archive, _pinned(_digest), _argo(["web", "api"])] {
		trusted_charts.violation == set() with input as _review(resource, _options)
			with data.lib.engine.results as mock_verified
	}
}

test_unsigned_denied if {
	violations := trusted_charts.violation with input as _review(_web, _options)
		with data.lib.engine.results as mock_rejected
	some violation in violations
	count(violations) == 1
	contains(violation.msg, "helm.verify_prov: web-1.2.3.tgz has no .prov")
	violation.details == {
		"via": "spec.chart", "ref": _web_ref, "code": "no_provenance", "outcome": "rejected",
		"charts": ["oci://registry.example.com/charts/*", "https://charts.example.com/*"],
		"checks": [{"check": "helm.verify_prov", "outcome": "rejected", "code": "no_provenance", "reason": "web-1.2.3.tgz has no .prov", "digest": ""}],
	}
}

test_no_verdict_denied if {
	every mock in ["undecided", "nothing"] {
		violations := _under(mock)
		count(violations) == 1
		some violation in violations
		violation.details.code == "unavailable"
		violation.details.outcome == "undecided"
	}
}

_under("undecided") := violations if {
	violations := trusted_charts.violation with input as _review(_web, _options) with data.lib.engine.results as mock_undecided
}

_under("nothing") := violations if {
	violations := trusted_charts.violation with input as _review(_web, _options) with data.lib.engine.results as mock_nothing
}

test_bad_second_source_denied if {
	violations := trusted_charts.violation with input as _review(_argo(["web", "evil"]), _options)
		with data.lib.engine.results as mock_evil_rejected
	{violation.details.via | some violation in violations} == {"spec.sources[1]"}
}

test_contradictory_report_denied if {
	violations := trusted_charts.violation with input as _review(_web, _options)
		with data.lib.engine.results as mock_contradictory
	{[violation.details.code, violation.details.outcome] | some violation in violations} == {["unavailable", "undecided"]}
}

test_wordless_report_denied if {
	violations := trusted_charts.violation with input as _review(_web, _options)
		with data.lib.engine.results as mock_wordless
	{violation.details.outcome | some violation in violations} == {"rejected"}
}

# Parameters.

test_parameters_without_schema_denied if {
	violations := trusted_charts.violation with input as _review(_web, _options)
		with data.lib.engine.results as mock_verified
		with data.lib.schemas.trusted_charts as {}
	_codes(violations) == {"invalid_parameters"}
}

test_parameters_without_expression_allowed if {
	trusted_charts.violation == set() with input as _review(_web, _options)
		with data.lib.engine.results as mock_verified
		with data.lib.schemas.trusted_charts as {"schema": data.lib.schemas.trusted_charts.schema}
}

test_no_parameters_denied if {
	every parameters in [{}, {"options": {}}, {"options": null}, {"options": {"rules": []}}] {
		violations := trusted_charts.violation with input as {"review": {"object": _web}, "parameters": parameters}
			with data.lib.engine.results as mock_verified
		_codes(violations) == {"invalid_parameters"}
	}
	violations := trusted_charts.violation with input as {"review": {"object": _web}}
		with data.lib.engine.results as mock_verified
	_codes(violations) == {"invalid_parameters"}
}

test_misspelt_parameter_named if {
	violations := trusted_charts.violation with input as _review(_web, object.union(_options, {"inlin": []}))
		with data.lib.engine.results as mock_verified
	some violation in violations
	count(violations) == 1
	contains(violation.msg, "inlin")
	violation.details.via == "parameters"
}

test_wrong_rule_denied if {
	every rule in [
		{"charts": ["oci://registry.example.com/**"]},
		{"charts": [], "require": {"all_of": [_signed]}},
		{"charts": ["oci://registry.example.com/**"], "require": {}},
		{"charts": ["oci://registry.example.com/**"], "require": {"all_of": []}},
		{"charts": ["oci://registry.example.com/**"], "require": {"all_of": [_signed], "any_of": [_cosigned]}},
		{"charts": ["oci://registry.example.com/**"], "require": {"all_of": ["helm.verify_prov"]}},
		{"charts": ["oci://registry.example.com/**"], "require": {"all_of": [{"check": "helm.verify_prov"}]}},
		{"charts": ["oci://registry.example.com/**"], "require": {"all_of": [_signed]}, "digest": "optional"},
		{"charts": ["registry.example.com"], "require": {"all_of": [_signed]}},
		{"charts": ["oci://registry.example.com/**"], "require": {"all_of": [_locked]}, "dependencies": ["charts"]},
		{"charts": ["oci://registry.example.com/**"], "require": {"all_of": [_signed]}, "dependencies": []},
		{"charts": ["oci://registry.example.com/**"], "require": {"any_of": [_signed, _locked]}, "dependencies": ["bundled"]},
	] {
		violations := trusted_charts.violation with input as _review(_web, _ruled([rule]))
			with data.lib.engine.results as mock_verified
		_codes(violations) == {"invalid_parameters"}
	}
}

# Sources.

test_unreadable_resource_denied if {
	every resource in [
		{},
		_k3s({}),
		_k3s({"chart": 7}),
		_k3s({"chart": ["oci://registry.example.com/charts/web"], "version": "1.2.3"}),
		_k3s({"chart": "oci://registry.example.com/charts/web", "version": 1.2}),
		{"apiVersion": "helm.cattle.io/v1", "kind": "HelmChart", "spec": null},
		{"apiVersion": "example.com/v1", "kind": "Chart", "spec": {"chart": "web"}},
		_argo([]),
	] {
		violations := trusted_charts.violation with input as _review(resource, _options)
			with data.lib.engine.results as mock_verified
		count(violations) > 0
		{violation.details.outcome | some violation in violations} == {"rejected"}
	}
	every resource in [null, "web", [_web], 7] {
		violations := trusted_charts.violation with input as _review(resource, _options)
			with data.lib.engine.results as mock_verified
		count(violations) > 0
	}
}

test_no_source_denied if {
	violations := trusted_charts.violation with input as _review(_web, _options)
		with data.lib.engine.results as mock_verified
		with data.lib.releases.sources as []
	_codes(violations) == {"no_chart"}
}

test_invalid_reference_denied if {
	violations := trusted_charts.violation with input as _review(_web, _options)
		with data.lib.engine.results as mock_verified
		with data.lib.releases.sources as [{"via": "spec", "kind": "oci", "ref": "oci://registry.example.com//web", "pin": "version", "why": ""}]
	_codes(violations) == {"invalid_reference"}
}

test_unfathomable_source_denied if {
	violations := trusted_charts.violation with input as _review(_web, _options)
		with data.lib.engine.results as mock_verified
		with data.lib.releases.sources as [{"via": "spec", "kind": "oci", "ref": _web_ref, "pin": "version", "why": ""}]
		with data.lib.references.finding as null
	{[violation.details.code, violation.details.outcome] | some violation in violations} == {["internal", "undecided"]}
}

test_inline_denied_unless_listed if {
	resource := _k3s({"chartContent": base64.encode("archive")})
	digest := concat(":", ["sha256", crypto.sha256("archive")])
	violations := trusted_charts.violation with input as _review(resource, _options)
		with data.lib.engine.results as mock_verified
	_codes(violations) == {"inline_not_listed"}
	some violation in violations
	contains(violation.msg, digest)
	trusted_charts.violation == set() with input as _review(resource, object.union(_options, {"inline": [digest]}))
		with data.lib.engine.results as mock_rejected
}

test_insecure_transport_denied if {
	resource := _k3s({"chart": "oci://registry.example.com/charts/web", "version": "1.2.3", "plainHTTP": true})
	violations := trusted_charts.violation with input as _review(resource, _options)
		with data.lib.engine.results as mock_verified
	{[violation.details.code, violation.details.via] | some violation in violations} == {["insecure_transport", "spec.plainHTTP"]}
}

# Rules.

test_no_rule_denied if {
	resource := _k3s({"chart": "oci://registry.example.com/charts-evil/web", "version": "1.2.3"})
	violations := trusted_charts.violation with input as _review(resource, _options)
		with data.lib.engine.results as mock_verified
	_codes(violations) == {"no_rule"}
	some violation in violations
	contains(violation.msg, "oci://registry.example.com/charts-evil/web")
	contains(violation.msg, "options.rules")
}

# Each scheme has a rule of its own, or none.
test_other_scheme_has_no_rule if {
	resource := _k3s({"chart": "web", "repo": "https://charts.example.com", "version": "1.2.3"})
	violations := trusted_charts.violation with input as _review(resource, _ruled([_rule(["oci://**"], {"all_of": [_signed]})]))
		with data.lib.engine.results as mock_verified
	count(violations) > 0
}

test_ambiguous_rules_denied if {
	rules := [
		_rule(["oci://registry.example.com/*/web"], {"all_of": [_cosigned]}),
		_rule(["oci://*.example.com/charts/web"], {"all_of": [_signed]}),
	]
	every pair in [rules, [rules[0], rules[0]]] {
		count(trusted_charts._faults) == 0 with input as _review(_web, _ruled(pair))
	}
	violations := trusted_charts.violation with input as _review(_web, _ruled([rules[0], rules[0]]))
		with data.lib.engine.results as mock_verified
	_codes(violations) == {"ambiguous_rules"}
	some violation in violations
	contains(violation.msg, "\"oci://registry.example.com/*/web\"")
}

test_most_specific_rule_counts if {
	rules := [
		_rule(["oci://registry.example.com/**"], {"all_of": [_locked]}),
		_rule(["oci://registry.example.com/charts/web", "oci://registry.example.com/charts/api"], {"all_of": [_signed]}),
	]
	trusted_charts.violation == set() with input as _review(_web, _ruled(rules))
		with data.lib.engine.results as mock_signed
	trusted_charts._requests == {{"check": "helm.verify_prov", "opts": {"keyrings": ["platform"]}, "ref": _web_ref}} with input as _review(_web, _ruled(rules))
		with data.lib.engine.results as mock_signed
}

_required(require, mocked) := violations if {
	mocked == "signed"
	violations := trusted_charts.violation with input as _review(_web, _ruled([_rule(["oci://registry.example.com/**"], require)]))
		with data.lib.engine.results as mock_signed
}

_outcomes(require) := {violation.details.outcome | some violation in _required(require, "signed")}

test_all_of_needs_all if {
	_outcomes({"all_of": [_signed]}) == set()
	_outcomes({"all_of": [_signed, _cosigned]}) == {"undecided"}
	_outcomes({"all_of": [_signed, _locked]}) == {"rejected"}
	_outcomes({"all_of": [_cosigned, _locked]}) == {"rejected"}
}

test_any_of_needs_one if {
	_outcomes({"any_of": [_cosigned, _signed, _locked]}) == set()
	_outcomes({"any_of": [_cosigned]}) == {"undecided"}
	_outcomes({"any_of": [_locked]}) == {"rejected"}
	_outcomes({"any_of": [_locked, _cosigned]}) == {"undecided"}
}

test_code_is_of_what_decides if {
	_codes(_required({"all_of": [_cosigned, _locked]}, "signed")) == {"no_provenance"}
	_codes(_required({"any_of": [_locked, _cosigned]}, "signed")) == {"unavailable"}
}

# Digests.

test_required_digest_denied_for_version if {
	rules := [object.union(_options.rules[0], {"digest": "required"})]
	violations := trusted_charts.violation with input as _review(_web, _ruled(rules))
		with data.lib.engine.results as mock_verified
	_codes(violations) == {"digest_required"}
	trusted_charts.violation == set() with input as _review(_pinned(_digest), _ruled(rules))
		with data.lib.engine.results as mock_verified
}

test_other_digest_than_pinned_denied if {
	violations := trusted_charts.violation with input as _review(_pinned(_other), _options)
		with data.lib.engine.results as mock_verified
	_codes(violations) == {"digest_mismatch"}
	some violation in violations
	contains(violation.details.checks[0].reason, _digest)
	contains(violation.details.checks[0].reason, _other)
}

test_checks_that_saw_different_charts_denied if {
	rules := [_rule(["oci://registry.example.com/**"], {"all_of": [_signed, _cosigned]})]
	violations := trusted_charts.violation with input as _review(_web, _ruled(rules))
		with data.lib.engine.results as mock_moved
	_codes(violations) == {"digest_mismatch"}
	any_of := [_rule(["oci://registry.example.com/**"], {"any_of": [_signed, _cosigned]})]
	_codes(trusted_charts.violation) == {"digest_mismatch"} with input as _review(_web, _ruled(any_of))
		with data.lib.engine.results as mock_moved
}

test_report_without_digest_denied if {
	_codes(trusted_charts.violation) == {"digest_mismatch"} with input as _review(_web, _options)
		with data.lib.engine.results as mock_without_digest
	_codes(trusted_charts.violation) == {"digest_mismatch"} with input as _review(_web, _options)
		with data.lib.engine.results as mock_malformed
}

# Dependencies.

_depending(dependencies) := violations if {
	rule := object.union(_rule(["oci://registry.example.com/**"], {"all_of": [_locked]}), dependencies)
	violations := trusted_charts.violation with input as _review(_web, _ruled([rule]))
		with data.lib.engine.results as mock_dependent
}

test_dependencies_of_allowed_repositories_allowed if {
	_depending({"dependencies": ["oci://registry.example.com/charts", "https://charts.example.com", "bundled"]}) == set()
}

test_dependencies_of_other_repositories_denied if {
	every dependencies, names in {
		["oci://registry.example.com/charts", "https://charts.example.com"]: {"inner", "local"},
		["oci://registry.example.com/charts", "bundled"]: {"db"},
		["https://charts.example.com/stable", "oci://registry.example.com/chart", "bundled"]: {"base"},
	} {
		violations := _depending({"dependencies": dependencies})
		_codes(violations) == {"dependency_denied"}
		some violation in violations
		every name in names { contains(violation.details.checks[0].reason, name) }
	}
}

test_dependencies_denied_where_none_are_allowed if {
	_codes(_depending({})) == {"dependency_denied"}
	_codes(_depending({"dependencies": []})) == {"dependency_denied"}
}

test_unreadable_dependencies_denied if {
	rule := _rule(["oci://registry.example.com/**"], {"all_of": [_locked]})
	violations := trusted_charts.violation with input as _review(_pinned(_digest), _ruled([rule]))
		with data.lib.engine.results as mock_unreadable_dependencies
	_codes(violations) == {"dependency_denied"}
}

test_misshapen_dependency_denied if {
	rule := object.union(_rule(["oci://registry.example.com/**"], {"all_of": [_locked]}), {"dependencies": ["bundled"]})
	violations := trusted_charts.violation with input as _review(_pinned(_digest), _ruled([rule]))
		with data.lib.engine.results as mock_misshapen_dependencies
	_codes(violations) == {"dependency_denied"}
}

mock_misshapen_dependencies(requests) := {request: object.union(_report, {"dependencies": ["base", {"name": "a", "repository": 7}, {"name": "b"}]}) |
	some request in requests
}

mock_unreadable_dependencies(requests) := {request: object.union(_report, {"dependencies": "none"}) | some request in requests}

# Bounds.

_many(n) := _argo([sprintf("web%d", [i]) | some i in numbers.range(1, n)])

_both := _ruled([_rule(["oci://registry.example.com/**"], {"all_of": [_signed, _cosigned]})])

test_too_many_requests_denied if {
	count(trusted_charts._requests) == 64 with input as _review(_many(32), _both)
	trusted_charts.violation == set() with input as _review(_many(2), _both)
		with data.lib.engine.results as mock_verified
	violations := trusted_charts.violation with input as _review(_many(33), _both)
		with data.lib.engine.results as mock_verified
	_codes(violations) == {"too_many"}
	some violation in violations
	contains(violation.msg, "66")
	violation.details.requests == 66
}

test_too_many_sources_denied if {
	violations := trusted_charts.violation with input as _review(_many(65), _options)
		with data.lib.engine.results as mock_verified
	count(violations) == 1
	some violation in violations
	contains(violation.msg, "65")
}

test_nothing_asked_where_too_many if {
	trusted_charts._reports == {} with input as _review(_many(33), _both)
		with data.lib.engine.results as mock_verified
}

# Operations.

test_update_judged_like_create if {
	review := {"review": {"object": _web, "oldObject": _web, "operation": "UPDATE"}, "parameters": {"options": _options}}
	_codes(trusted_charts.violation) == {"no_provenance"} with input as review
		with data.lib.engine.results as mock_rejected
}

test_deletion_not_judged if {
	review := {"review": {"object": _web, "oldObject": _web, "operation": "DELETE"}, "parameters": {}}
	trusted_charts.violation == set() with input as review
		with data.lib.engine.results as mock_rejected
}

test_update_of_deleted_not_judged if {
	leaving := object.union(_web, {"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}})
	trusted_charts.violation == set() with input as {"review": {"object": leaving, "oldObject": leaving, "operation": "UPDATE"}, "parameters": {"options": _options}}
		with data.lib.engine.results as mock_rejected
	changed := object.union(leaving, {"spec": {"chart": "oci://registry.example.com/charts/evil"}})
	_codes(trusted_charts.violation) == {"no_provenance"} with input as {"review": {"object": changed, "oldObject": leaving, "operation": "UPDATE"}, "parameters": {"options": _options}}
		with data.lib.engine.results as mock_rejected
}

# What an object says about itself is no proof.
test_claims_ignored if {
	claiming := object.union(_web, {
		"metadata": {"annotations": {"chartseal.dev/verified": "true"}, "labels": {"verified": "true"}},
		"status": {"verified": true},
	})
	_codes(trusted_charts.violation) == {"no_provenance"} with input as _review(claiming, _options)
		with data.lib.engine.results as mock_rejected
}

# Exemptions.

_exempting(change) := object.union(_options, {"exemptions": [object.union(
	{
		"namespace": "shop", "chart": "oci://registry.example.com/charts/web", "digest": "any",
		"reason": "moving to signed charts", "expires": "2099-01-01T00:00:00Z",
	},
	change,
)]})

test_exempt_allowed if {
	trusted_charts.violation == set() with input as _review(_web, _exempting({}))
		with data.lib.engine.results as mock_rejected
	trusted_charts.violation == set() with input as _review(_pinned(_digest), _exempting({"digest": _digest}))
		with data.lib.engine.results as mock_undecided
}

test_other_exemption_denied if {
	every change in [
		{"namespace": "other"},
		{"chart": "oci://registry.example.com/charts/api"},
		{"digest": _other},
		{"expires": "2020-01-01T00:00:00Z"},
	] {
		_codes(trusted_charts.violation) == {"no_provenance"} with input as _review(_web, _exempting(change))
			with data.lib.engine.results as mock_rejected
	}
}

# Of a version, the digest is the one that every check saw.
test_digest_of_exemption_is_the_one_seen if {
	rules := [_rule(["oci://registry.example.com/**"], {"all_of": [_signed, _locked]})]
	options := object.union(_exempting({"digest": _digest}), {"rules": rules})
	trusted_charts.violation == set() with input as _review(_web, options)
		with data.lib.engine.results as mock_signed
	moved := object.union(_exempting({"digest": _digest}), {"rules": [_rule(["oci://registry.example.com/**"], {"all_of": [_signed, _cosigned]})]})
	_codes(trusted_charts.violation) == {"digest_mismatch"} with input as _review(_web, moved)
		with data.lib.engine.results as mock_moved
}

# Whoever carries a token is told why it does not help.
test_token_without_key_denied if {
	carrying := object.union(_web, {"metadata": {"annotations": {"chartseal.dev/break-glass": "a.b.c"}}})
	violations := trusted_charts.violation with input as _review(carrying, _options)
		with data.lib.engine.results as mock_rejected
	_codes(violations) == {"no_provenance"}
	some violation in violations
	contains(violation.msg, "break-glass is not set up")
}

test_exemption_lifts_insecure_transport_of_whole if {
	resource := _k3s({"chart": "oci://registry.example.com/charts/web", "version": "1.2.3", "plainHTTP": true})
	trusted_charts.violation == set() with input as _review(resource, _exempting({}))
		with data.lib.engine.results as mock_rejected
}

test_nothing_without_reference_exempt if {
	resource := object.union(_k3s({"chartContent": base64.encode("archive")}), {})
	_codes(trusted_charts.violation) == {"inline_not_listed"} with input as _review(resource, _exempting({}))
		with data.lib.engine.results as mock_verified
}

test_kinds_told if {
	"HelmRelease" in trusted_charts.kinds[_].kinds
}
