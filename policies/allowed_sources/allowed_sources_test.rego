package policies.allowed_sources_test

import data.policies.allowed_sources

_options := {"repositories": ["oci://registry.example.com/charts", "https://charts.example.com"]}

_review(resource, options) := {"review": {"object": resource, "operation": "CREATE"}, "parameters": {"options": options}}

_k3s(spec) := {"apiVersion": "helm.cattle.io/v1", "kind": "HelmChart", "metadata": {"name": "web", "namespace": "shop"}, "spec": spec}

_registry(url) := _k3s({"chart": url, "version": "1.2.3"})

_repo(url) := _k3s({"chart": "web", "repo": url, "version": "1.2.3"})

_repository(spec) := {"apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "HelmRepository", "metadata": {"name": "charts", "namespace": "shop"}, "spec": spec}

_codes(resource, options) := {violation.details.code |
	violations := allowed_sources.violation with input as _review(resource, options)
	some violation in violations
}

# Sources.

test_listed_allowed if {
	every resource in [
		_registry("oci://registry.example.com/charts/web"),
		_registry("oci://registry.example.com/charts/team/web"),
		_registry("oci://REGISTRY.example.com/charts/web"),
		_registry("oci://registry.example.com:443/charts/web"),
		_repo("https://charts.example.com"),
		_repo("https://charts.example.com/stable"),
		_repository({"url": "https://charts.example.com"}),
		_repository({"url": "oci://registry.example.com/charts", "type": "oci"}),
	] {
		_codes(resource, _options) == set()
	}
}

test_other_host_denied if {
	every host in [
		"registry.example.com.evil.example", "evil.example", "registry-example.com", "registry.example.com:5000",
		"evil.example/registry.example.com", "127.0.0.1", "example.com",
	] {
		_codes(_registry(sprintf("oci://%s/charts/web", [host])), _options) == {"source_denied"}
	}
	every host in ["registry.example.com@evil.example", "registry.example.com.", "registry.exаmple.com", "registry%2eexample.com", "registry.example.com\\evil", ""] {
		count(_codes(_registry(sprintf("oci://%s/charts/web", [host])), _options)) == 1
	}
}

test_other_path_denied if {
	every path in ["charts-evil/web", "chart/web", "evil/charts/web", "web"] {
		_codes(_registry(sprintf("oci://registry.example.com/%s", [path])), _options) == {"source_denied"}
	}
	every path in ["charts/../evil/web", "charts//web", "charts/./web", "charts%2f..%2fevil/web", "Charts/web"] {
		count(_codes(_registry(sprintf("oci://registry.example.com/%s", [path])), _options)) == 1
	}
}

test_other_scheme_denied if {
	every url in ["http://charts.example.com", "oci://charts.example.com", "git://charts.example.com", "charts.example.com", "file:///charts"] {
		count(_codes(_repo(url), _options)) > 0
	}
	_codes(_registry("oci://registry.example.com/charts/web"), {"repositories": ["https://registry.example.com/charts"]}) == {"source_denied"}
}

test_message_names_location_and_remedy if {
	violations := allowed_sources.violation with input as _review(_registry("oci://evil.example/charts/web"), _options)
	some violation in violations
	contains(violation.msg, "oci://evil.example/charts/web is in no listed repository")
	contains(violation.msg, "options.repositories")
	violation.details.via == "spec.chart"
}

test_message_lists_no_plain_http if {
	every object in [_repo("http://charts.example.com"), _repository({"url": "http://charts.example.com"})] {
		violations := allowed_sources.violation with input as _review(object, _options)
		some violation in violations
		contains(violation.msg, "plain HTTP cannot be listed")
		not contains(violation.msg, "options.repositories")
	}
}

test_unfathomable_source_denied if {
	violations := allowed_sources.violation with input as _review(_registry("oci://registry.example.com/charts/web"), _options)
		with data.lib.references.finding as null
	{violation.details.code | some violation in violations} == {"source_denied"}
}

# Addresses.

test_unlisted_address_denied if {
	every url in ["https://evil.example", "http://charts.example.com", "https://charts.example.com.evil.example", "", 7, "oci://registry.example.com"] {
		_codes(_repository({"url": url}), _options) == {"source_denied"}
	}
}

test_insecure_transport_denied if {
	_codes(_repository({"url": "oci://registry.example.com/charts", "type": "oci", "insecure": true}), _options) == {"insecure_transport"}
	_codes(_repository({"url": "https://charts.example.com", "passCredentials": true}), _options) == {"insecure_transport"}
	_codes(_k3s({"chart": "web", "repo": "https://charts.example.com", "version": "1.2.3", "insecureSkipTLSVerify": true}), _options) == {"insecure_transport"}
}

test_password_in_address_not_told if {
	every url in ["https://user:hunter2@charts.example.org/x", "https://charts.example.org/x?token=hunter2", "oci://hunter2@registry.example.org"] {
		violations := allowed_sources.violation with input as _review(_repository({"url": url}), _options)
		count(violations) == 1
		not contains(json.marshal(violations), "hunter2")
	}
}

# Parameters and shapes.

test_parameters_without_schema_denied if {
	_codes(_repo("https://charts.example.com"), _options) == set()
	_codes(_repo("https://charts.example.com"), _options) == set() with data.lib.schemas.allowed_sources as {"schema": data.lib.schemas.allowed_sources.schema}
	_codes(_repo("https://charts.example.com"), _options) == {"invalid_parameters"} with data.lib.schemas.allowed_sources as {}
}

test_no_parameters_denied if {
	every parameters in [{}, {"options": {}}, {"options": {"repositories": []}}, null] {
		violations := allowed_sources.violation with input as {"review": {"object": _repo("https://charts.example.com")}, "parameters": parameters}
		{violation.details.code | some violation in violations} == {"invalid_parameters"}
	}
	violations := allowed_sources.violation with input as {"review": {"object": _repo("https://charts.example.com")}}
	{violation.details.code | some violation in violations} == {"invalid_parameters"}
}

test_wrong_parameters_denied if {
	every repository in ["http://charts.example.com", "charts.example.com", "https://", "https://charts.example.com//a", 7] {
		_codes(_repo("https://charts.example.com"), {"repositories": [repository]}) == {"invalid_parameters"}
	}
	_codes(_repo("https://charts.example.com"), object.union(_options, {"repository": []})) == {"invalid_parameters"}
}

test_unreadable_resource_denied if {
	every resource in [null, "web", 7, [], {}, _k3s({}), _k3s({"chart": 7}), _k3s({"repo": ["https://charts.example.com"]})] {
		count(_codes(resource, _options)) > 0
	}
}

# No verdict is asked for here; where no source is told, none is allowed.
test_no_verdict_denied if {
	violations := allowed_sources.violation with input as _review(_repo("https://charts.example.com"), _options) with data.lib.releases.sources as []
	{violation.details.code | some violation in violations} == {"no_chart"}
}

test_inline_denied_unless_listed if {
	resource := _k3s({"chartContent": base64.encode("archive")})
	_codes(resource, _options) == {"inline_not_listed"}
	_codes(resource, object.union(_options, {"inline": [concat(":", ["sha256", crypto.sha256("archive")])]})) == set()
}

# Operations and exemptions.

test_deletion_not_judged if {
	violations := allowed_sources.violation with input as {"review": {"object": _repo("https://evil.example"), "operation": "DELETE"}}
	violations == set()
}

_exempting(change) := object.union(_options, {"exemptions": [object.union(
	{
		"namespace": "shop", "chart": "oci://other.example.com/charts/web", "digest": "any",
		"reason": "moving to the registry", "expires": "2099-01-01T00:00:00Z",
	},
	change,
)]})

_elsewhere := _registry("oci://other.example.com/charts/web")

test_exempt_allowed if {
	_codes(_elsewhere, _exempting({})) == set()
	_codes(object.union(_elsewhere, {"spec": {"plainHTTP": true}}), _exempting({})) == set()
}

test_other_exemption_denied if {
	every change in [{"namespace": "other"}, {"chart": "oci://other.example.com/charts/api"}, {"expires": "2020-01-01T00:00:00Z"}] {
		_codes(_elsewhere, _exempting(change)) == {"source_denied"}
	}
}

test_nothing_without_reference_exempt if {
	_codes(_k3s({"chart": 7}), _exempting({})) == {"no_reference"}
	_codes(_repository({"url": "https://other.example.com"}), _exempting({})) == {"source_denied"}
}

test_kinds_told if {
	"HelmRepository" in allowed_sources.kinds[_].kinds
}
