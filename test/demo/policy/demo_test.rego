package demo_test

import data.demo

_object(spec) := {"apiVersion": "helm.cattle.io/v1", "kind": "HelmChart", "metadata": {"name": "web"}, "spec": spec}

_web := _object({"repo": "https://charts.example.com", "chart": "web", "version": "1.2.3"})

_mock_report(_, _) := {"verified": false, "code": "no_provenance", "reason": "web-1.2.3.tgz has no .prov"}

test_signed_admitted if {
	count(demo.deny) == 0 with input as _web
		with helm.verify_prov as true
		with helm.verify_prov_report as {"verified": true, "code": "ok", "reason": "verified"}
}

test_unsigned_denied if {
	demo.deny == {"no_provenance: web-1.2.3.tgz has no .prov"} with input as _web
		with helm.verify_prov as false
		with helm.verify_prov_report as _mock_report
}

test_oci_reference_built if {
	demo._ref == "oci://registry.example.com/charts/web:1.2.3" with input as _object({"chart": "oci://registry.example.com/charts/web", "version": "1.2.3"})
}

test_unreadable_denied if {
	demo.deny == {"no_verdict: the object names no chart that this policy can read"} with input as _object({})
}
