package demo_test

import data.demo

_object(spec) := {"apiVersion": "helm.cattle.io/v1", "kind": "HelmChart", "metadata": {"name": "web"}, "spec": spec}

_web := _object({"repo": "https://charts.example.com", "chart": "web", "version": "1.2.3"})

_in(folder) := _object({"chart": sprintf("oci://registry.example.com/%s/web", [folder]), "version": "1.2.3"})

_mock_report(_, _) := {"verified": false, "code": "no_provenance", "reason": "web-1.2.3.tgz has no .prov"}

_mock_unsigned(_, _) := {"verified": false, "code": "no_signature", "reason": "web has no signature"}

# Only signatures that were asked for with the options of their folder count.
_mock_verify(ref, opts) if {
	ref == "oci://registry.example.com/release/web:1.2.3"
	opts == demo.signatures.release
}

test_signed_admitted if {
	count(demo.deny) == 0 with input as _web
		with helm.verify_prov as true
		with chart.lock_ok as true
		with chart.lock_ok_report as {"verified": true, "code": "ok", "reason": "verified"}
}

test_unsigned_denied if {
	demo.deny == {"no_provenance: web-1.2.3.tgz has no .prov"} with input as _web
		with helm.verify_prov as false
		with helm.verify_prov_report as _mock_report
}

test_tampered_dependency_denied if {
	demo.deny == {"dependency_tampered: charts/common is another"} with input as _web
		with helm.verify_prov as true
		with chart.lock_ok as false
		with chart.lock_ok_report as {"verified": false, "code": "dependency_tampered", "reason": "charts/common is another"}
}

test_oci_reference_built if {
	demo._ref == "oci://registry.example.com/charts/web:1.2.3" with input as _in("charts")
}

test_oci_signed_admitted if {
	count(demo.deny) == 0 with input as _in("release")
		with cosign.verify as _mock_verify
		with cosign.verify_report as {"verified": true, "code": "ok", "reason": "verified"}
		with chart.lock_ok as true
		with chart.lock_ok_report as {"verified": true, "code": "ok", "reason": "verified"}
}

# Nothing else makes up for a signature that is missing.
test_oci_unsigned_denied if {
	demo.deny == {"no_signature: web has no signature"} with input as _in("pipeline")
		with cosign.verify as _mock_verify
		with cosign.verify_report as _mock_unsigned
		with helm.verify_prov as true
}

test_inline_chart_denied if {
	demo.deny == {"no_verdict: the object names no chart that this policy can read"} with input as _object({
		"chart": "oci://registry.example.com/charts/web", "version": "1.2.3", "chartContent": "H4sI",
	})
		with helm.verify_prov as true
		with chart.lock_ok as true
}

test_unreadable_denied if {
	demo.deny == {"no_verdict: the object names no chart that this policy can read"} with input as _object({})
}
