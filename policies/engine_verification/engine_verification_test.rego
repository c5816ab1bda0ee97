package policies.engine_verification_test

import data.policies.engine_verification

_ci := {"issuer": "^https://issuer\\.example\\.com$", "subject": "^https://ci\\.example\\.com/org/web/.*$"}

_key := {"namespace": "shop", "name": "cosign-key"}

_keyring := {"namespace": "platform", "name": "keyring"}

_options := {"identities": [_ci], "keys": [_key, object.union(_key, {"namespace": "platform"})], "keyrings": [_keyring]}

_review(resource, options) := {"review": {"object": resource, "operation": "CREATE"}, "parameters": {"options": options}}

_codes(resource, options) := {violation.details.code |
	violations := engine_verification.violation with input as _review(resource, options)
	some violation in violations
}

_reasons(resource) := {violation.msg |
	violations := engine_verification.violation with input as _review(resource, _options)
	some violation in violations
}

# Flux.

_artifact(spec) := {
	"apiVersion": "source.toolkit.fluxcd.io/v1",
	"kind": "OCIRepository",
	"metadata": {"name": "web", "namespace": "shop"},
	"spec": object.union({"url": "oci://registry.example.com/charts/web", "ref": {"tag": "1.2.3"}}, spec),
}

_chart_of(kind, spec) := {
	"apiVersion": "source.toolkit.fluxcd.io/v1",
	"kind": "HelmChart",
	"metadata": {"name": "web", "namespace": "shop"},
	"spec": object.union({"chart": "web", "version": "1.2.3", "sourceRef": {"kind": kind, "name": "charts"}}, spec),
}

_release(version, spec) := {
	"apiVersion": sprintf("helm.toolkit.fluxcd.io/%s", [version]),
	"kind": "HelmRelease",
	"metadata": {"name": "web", "namespace": "shop"},
	"spec": spec,
}

_templated(verify) := {"chart": {"spec": object.union({"chart": "web", "sourceRef": {"kind": "HelmRepository", "name": "charts"}}, verify)}}

_keyless := {"verify": {"provider": "cosign", "matchOIDCIdentity": [_ci]}}

_keyed := {"verify": {"provider": "cosign", "secretRef": {"name": "cosign-key"}}}

test_verified_by_flux_allowed if {
	every verify in [_keyless, _keyed, {"verify": {"secretRef": {"name": "cosign-key"}, "matchOIDCIdentity": [_ci]}}] {
		_codes(_artifact(verify), _options) == set()
		_codes(_chart_of("HelmRepository", verify), _options) == set()
		every version in ["v2", "v2beta2", "v2beta1"] {
			_codes(_release(version, _templated(verify)), _options) == set()
		}
	}
}

test_verified_by_notation_allowed_where_listed if {
	verify := {"verify": {"provider": "notation", "secretRef": {"name": "notation"}}}
	_codes(_artifact(verify), _options) == {"verification"}
	_codes(_artifact(verify), {"keys": [{"provider": "notation", "namespace": "shop", "name": "notation"}]}) == set()
	_codes(_artifact(_keyed), {"keys": [{"provider": "notation", "namespace": "shop", "name": "cosign-key"}]}) == {"verification"}
}

test_unverified_by_flux_denied if {
	every verify in [
		{}, {"verify": {}}, {"verify": null}, {"verify": true},
		{"verify": {"provider": "cosign"}},
		{"verify": {"provider": "cosign", "matchOIDCIdentity": []}},
		{"verify": {"provider": "cosign", "matchOIDCIdentity": null}},
		{"verify": {"provider": "cosign", "matchOIDCIdentity": [{"issuer": ".*", "subject": ".*"}]}},
		{"verify": {"provider": "cosign", "matchOIDCIdentity": [_ci, {"issuer": ".*", "subject": ".*"}]}},
		{"verify": {"provider": "cosign", "matchOIDCIdentity": _ci}},
		{"verify": {"provider": "notation", "matchOIDCIdentity": [_ci]}},
		{"verify": {"provider": "none"}},
		{"verify": {"provider": 7}},
		{"verify": {"secretRef": {"name": "tenant-key"}}},
		{"verify": {"secretRef": {}}},
		{"verify": {"secretRef": {"name": "cosign-key", "namespace": "shop"}}},
		{"verify": {"secretRef": {"name": "cosign-key"}, "matchOIDCIdentity": [{"issuer": ".*", "subject": ".*"}]}},
		{"verify": {"provider": "cosign", "matchOIDCIdentity": [_ci], "insecureIgnoreTlog": true}},
	] {
		_codes(_artifact(verify), _options) == {"verification"}
		_codes(_chart_of("HelmRepository", verify), _options) == {"verification"}
		_codes(_release("v2", _templated(verify)), _options) == {"verification"}
	}
}

# A Secret of that name elsewhere is another key.
test_key_of_other_namespace_denied if {
	resource := object.union(_artifact(_keyed), {"metadata": {"namespace": "other"}})
	_codes(resource, _options) == {"verification"}
	_codes(object.remove(resource, ["metadata"]), _options) == {"verification"}
}

# Flux knows no namespace there, so it takes the Secret that lies beside the object.
test_key_said_to_be_of_other_namespace_denied if {
	verify := {"verify": {"secretRef": {"name": "cosign-key", "namespace": "shop"}}}
	resource := object.union(_artifact(verify), {"metadata": {"namespace": "other"}})
	_codes(resource, _options) == {"verification"}
	_codes(object.union(resource, {"spec": {"verify": {"matchOIDCIdentity": null}}}), _options) == {"verification"}
}

test_no_identity_beside_a_key_allowed if {
	every none in [[], null] {
		_codes(_artifact({"verify": {"secretRef": {"name": "cosign-key"}, "matchOIDCIdentity": none}}), _options) == set()
	}
}

# Flux takes verify there, and does nothing with it.
test_source_that_flux_does_not_verify_denied if {
	every kind in ["GitRepository", "Bucket", "", 7] {
		_codes(_chart_of(kind, _keyless), _options) == {"verification"}
	}
}

test_release_of_source_left_to_it if {
	every kind in ["OCIRepository", "HelmChart"] {
		_codes(_release("v2", {"chartRef": {"kind": kind, "name": "web"}}), _options) == set()
	}
	_codes(_release("v2", {"chartRef": {"kind": "ExternalArtifact", "name": "web"}}), _options) == {"verification"}
	_codes(_release("v2", {"chartRef": "web"}), _options) == {"verification"}
	_codes(_release("v2", object.union({"chartRef": {"kind": "OCIRepository", "name": "web"}}, _templated({}))), _options) == {"verification"}
}

test_release_without_chart_denied if {
	every spec in [{}, {"chart": {}}, null] {
		_codes(_release("v2", spec), _options) == {"no_chart"}
	}
}

# Sveltos.

_profile(charts) := {
	"apiVersion": "config.projectsveltos.io/v1beta1",
	"kind": "ClusterProfile",
	"metadata": {"name": "web"},
	"spec": {"helmCharts": charts},
}

_from(url, verification) := object.union({"repositoryURL": url, "repositoryName": "charts", "chartName": "web", "chartVersion": "1.2.3"}, verification)

_registry := "oci://registry.example.com/charts"

_repository := "https://charts.example.com"

_sveltos_keyless := {"signatureVerification": {"provider": "Keyless", "matchOIDCIdentity": [_ci]}}

_sveltos_keyed := {"signatureVerification": {"provider": "PublicKey", "secretRef": {"namespace": "platform", "name": "cosign-key"}}}

_sveltos_ring := {"provenanceVerification": {"keyringSecretRef": {"namespace": "platform", "name": "keyring"}}}

test_verified_by_sveltos_allowed if {
	charts := [_from(_registry, _sveltos_keyless), _from(_registry, _sveltos_keyed), _from(_repository, _sveltos_ring)]
	_codes(_profile(charts), _options) == set()
	_codes(object.union(_profile(charts), {"kind": "Profile"}), _options) == set()
	summary := {"apiVersion": "config.projectsveltos.io/v1beta1", "kind": "ClusterSummary", "spec": {"clusterProfileSpec": {"helmCharts": charts}}}
	_codes(summary, _options) == set()
	promotion := {"apiVersion": "config.projectsveltos.io/v1beta1", "kind": "ClusterPromotion", "spec": {"profileSpec": {"helmCharts": charts}}}
	_codes(promotion, _options) == set()
}

test_more_charts_than_are_read_denied if {
	installed := _from(_registry, _sveltos_keyed)
	few := {"apiVersion": "config.projectsveltos.io/v1beta1", "kind": "Profile", "spec": {"helmCharts": [installed | some _ in numbers.range(1, 64)]}}
	many := {"apiVersion": "config.projectsveltos.io/v1beta1", "kind": "Profile", "spec": {"helmCharts": [installed | some _ in numbers.range(1, 65)]}}
	_codes(few, _options) == set()
	_codes(many, _options) == {"verification"}
}

test_unverified_by_sveltos_denied if {
	every release in [
		_from(_registry, {}),
		_from(_registry, {"signatureVerification": {}}),
		_from(_registry, {"signatureVerification": true}),
		_from(_registry, {"signatureVerification": {"provider": "Keyless"}}),
		_from(_registry, {"signatureVerification": {"provider": "Keyless", "matchOIDCIdentity": [{"issuer": ".*", "subject": ".*"}]}}),
		_from(_registry, {"signatureVerification": {"provider": "PublicKey"}}),
		_from(_registry, {"signatureVerification": {"provider": "PublicKey", "secretRef": {"name": "cosign-key"}}}),
		_from(_registry, {"signatureVerification": {"provider": "PublicKey", "secretRef": {"namespace": "tenant", "name": "cosign-key"}}}),
		_from(_registry, {"signatureVerification": {"provider": "Other"}}),
		_from(_registry, {"signatureVerification": {"provider": "Keyless", "matchOIDCIdentity": [_ci], "rekorURL": "https://evil.example"}}),
		_from(_registry, _sveltos_ring),
		_from(_repository, {}),
		_from(_repository, {"provenanceVerification": {}}),
		_from(_repository, {"provenanceVerification": {"keyringSecretRef": {"namespace": "tenant", "name": "keyring"}}}),
		_from(_repository, {"provenanceVerification": {"keyringSecretRef": {"namespace": "platform", "name": "keyring"}, "strategy": "lax"}}),
		_from(_repository, _sveltos_keyed),
		_from("http://charts.example.com", _sveltos_ring),
		_from("ocirepository://shop/web/", _sveltos_keyed),
		_from("gitrepository://shop/web/charts", object.union(_sveltos_ring, _sveltos_keyed)),
		_from(7, _sveltos_keyed),
		"text",
		null,
	] {
		_codes(_profile([release]), _options) == {"verification"}
	}
}

test_bad_second_chart_named if {
	violations := engine_verification.violation with input as _review(_profile([_from(_registry, _sveltos_keyless), _from(_registry, {})]), _options)
	{violation.details.via | some violation in violations} == {"spec.helmCharts[1]"}
}

# Sveltos fetches nothing to take a chart away.
test_uninstalled_chart_not_judged if {
	_codes(_profile([_from(_registry, _sveltos_keyless), _from(_registry, {"helmChartAction": "Uninstall"})]), _options) == set()
	_codes(_profile([_from(_registry, {"helmChartAction": "Uninstall"})]), _options) == {"no_chart"}
}

# Parameters and shapes.

test_parameters_without_schema_denied if {
	_codes(_artifact(_keyed), {"keys": [_key]}) == set()
	_codes(_artifact(_keyed), {"keys": [_key]}) == set() with data.lib.schemas.engine_verification as {"schema": data.lib.schemas.engine_verification.schema}
	_codes(_artifact(_keyed), {"keys": [_key]}) == {"invalid_parameters"} with data.lib.schemas.engine_verification as {}
}

test_no_parameters_denied if {
	every parameters in [{}, {"options": {}}, {"options": {"identities": []}}, null] {
		violations := engine_verification.violation with input as {"review": {"object": _artifact(_keyless)}, "parameters": parameters}
		{violation.details.code | some violation in violations} == {"invalid_parameters"}
	}
	violations := engine_verification.violation with input as {"review": {"object": _artifact(_keyless)}}
	{violation.details.code | some violation in violations} == {"invalid_parameters"}
}

test_wrong_parameters_denied if {
	every options in [{"identity": [_ci]}, {"identities": [{"issuer": "a"}]}, {"keys": [{"name": "a"}]}, {"keys": [object.union(_key, {"provider": "gpg"})]}] {
		_codes(_artifact(_keyless), options) == {"invalid_parameters"}
	}
}

test_what_is_not_listed_not_trusted if {
	_codes(_artifact(_keyless), {"keys": [_key]}) == {"verification"}
	_codes(_artifact(_keyed), {"identities": [_ci]}) == {"verification"}
	_codes(_profile([_from(_repository, _sveltos_ring)]), {"identities": [_ci]}) == {"verification"}
}

test_unreadable_resource_denied if {
	every resource in [
		null, "web", 7, [], {},
		{"apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "HelmRepository", "spec": {}},
		{"apiVersion": "config.projectsveltos.io/v1beta1", "kind": "ClusterProfile"},
		_profile([]), _profile("charts"), _profile({}),
	] {
		_codes(resource, _options) == {"no_chart"}
	}
	_codes({"apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "OCIRepository"}, _options) == {"verification"}
	_codes({"apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "OCIRepository", "spec": "web"}, _options) == {"verification"}
}

# No verdict is asked for here; what cannot be told is not verified.
test_no_verdict_denied if {
	engine_verification._fault({"engine": "another"}) == "its verification cannot be read"
	_codes(_artifact({"verify": [_ci]}), _options) == {"verification"}
}

test_message_names_remedy if {
	_reasons(_artifact({})) == {"spec: verify is not set (verification)"}
}

# Operations and exemptions.

test_deletion_not_judged if {
	violations := engine_verification.violation with input as {"review": {"object": _artifact({}), "operation": "DELETE"}}
	violations == set()
}

_exempting(change) := object.union(_options, {"exemptions": [object.union(
	{
		"namespace": "shop", "chart": "oci://registry.example.com/charts/web", "digest": "any",
		"reason": "signing comes next week", "expires": "2099-01-01T00:00:00Z",
	},
	change,
)]})

_selected := {"layerSelector": {"mediaType": "application/vnd.cncf.helm.chart.content.v1.tar+gzip", "operation": "copy"}}

test_exempt_allowed if {
	_codes(_artifact(_selected), _exempting({})) == set()
}

test_other_exemption_denied if {
	every change in [{"namespace": "other"}, {"chart": "oci://registry.example.com/charts/api"}, {"expires": "2020-01-01T00:00:00Z"}] {
		_codes(_artifact(_selected), _exempting(change)) == {"verification"}
	}
}

# The exempt chart of a profile exempts no other one.
test_exemption_of_neighbour_denied if {
	profile := object.union(
		_profile([
			_from(_registry, {}),
			object.union(_from(_registry, {}), {"chartName": "evil"}),
		]),
		{"kind": "Profile", "metadata": {"namespace": "shop"}},
	)
	violations := engine_verification.violation with input as _review(profile, _exempting({}))
	{violation.details.via | some violation in violations} == {"spec.helmCharts[1]"}
}

test_nothing_without_reference_exempt if {
	_codes(_artifact({}), _exempting({})) == {"verification"}
}

test_kinds_told if {
	"ClusterProfile" in engine_verification.kinds[_].kinds
}
