package lib.clusterapi_test

import data.lib.clusterapi
import data.lib.entries_test

_proxy(over) := {"kind": "HelmChartProxy", "spec": object.union({"repoURL": "https://charts.example.com", "chartName": "web", "version": "1.2.3"}, over)}

_web := {"repository": "https://charts.example.com", "name": "web", "version": "1.2.3"}

test_proxies[kind] if {
	some kind in ["HelmChartProxy", "HelmReleaseProxy"]
	clusterapi.sources(object.union(_proxy({}), {"kind": kind})) == [{"via": "spec", "kind": "http", "ref": _web, "pin": "version", "why": ""}]
}

test_registry if {
	entries_test.refs(clusterapi.sources(_proxy({"repoURL": "oci://registry.example.com/charts"}))) == ["oci://registry.example.com/charts/web:1.2.3"]
}

test_defaults if {
	entries_test.refs(clusterapi.sources(_proxy({"options": {"dependencyUpdate": false}}))) == [_web]
}

test_refused[name] if {
	some name, case in {
		"updates": {"over": {"options": {"dependencyUpdate": true}}, "via": "spec.options.dependencyUpdate", "why": "spec.options.dependencyUpdate"},
		"no version": {"over": {"version": ""}, "via": "spec", "why": "version is missing"},
		"version is a number": {"over": {"version": 1}, "via": "spec.version", "why": "is a number"},
		"name": {"over": {"chartName": "oci://evil.example/web"}, "via": "spec", "why": "chartName"},
		"repository": {"over": {"repoURL": ""}, "via": "spec", "why": "repoURL is missing"},
		"options": {"over": {"options": "x"}, "via": "spec.options", "why": "is a string"},
	}
	entries_test.refused(clusterapi.sources(_proxy(case.over)), case.via, case.why)
}

test_spec_of_other_types if {
	entries_test.refused(clusterapi.sources({"kind": "HelmChartProxy", "spec": []}), "spec", "is a list")
	entries_test.refused(clusterapi.sources({"kind": "HelmChartProxy"}), "spec", "repoURL is missing")
}

test_other_kinds if {
	entries_test.refused(clusterapi.sources({"kind": "ClusterResourceSet"}), "kind", "is none of Cluster API")
	clusterapi.repositories(_proxy({})) == []
}

test_insecure if {
	clusterapi.insecure(_proxy({"tlsConfig": {"insecureSkipTLSVerify": true}})) == [{
		"via": "spec.tlsConfig.insecureSkipTLSVerify",
		"why": "spec.tlsConfig.insecureSkipTLSVerify is set",
	}]
	clusterapi.insecure(_proxy({})) == []
}
