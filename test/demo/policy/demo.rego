# METADATA
# title: Signed by the web team
# description: A HelmChart is admitted only if the web team signed the very chart that it asks for, and every dependency in it is the one that was pinned.
# custom:
#   short_name: demo
#   solution: Package the chart with `helm package --sign` and a key of the web team, after `chartseal lock write`.
package demo

import future.keywords.not

# METADATA
# description: Whose signature counts. The keyring lies in the trust store, under keyrings/.
options := {"keyrings": ["web-team"]}

# METADATA
# description: What proves the bytes of dependencies. Pins do, since the chart that has them is signed.
dependency_options := {"content": ["lock"]}

# METADATA
# description: Why the object is refused; empty if it is not.
deny contains sprintf("%s: %s", [object.get(_report, "code", "no_verdict"), object.get(_report, "reason", _unreadable)]) if {
	not _admitted
}

# METADATA
# description: What was found out about the chart, for people and for the table.
summary := {"admitted": count(deny) == 0, "report": _report}

_admitted if {
	helm.verify_prov(_ref, options)
	chart.lock_ok(_ref, dependency_options)
}

# What refused the chart or, if nothing did, what was checked last.
default _report := {}

_report := chart.lock_ok_report(_ref, dependency_options) if helm.verify_prov(_ref, options)

else := helm.verify_prov_report(_ref, options)

# k3s names a chart by repository, name and version, or by one OCI reference.
_ref := {"repository": input.spec.repo, "name": input.spec.chart, "version": input.spec.version}

_ref := sprintf("%s:%s", [input.spec.chart, input.spec.version]) if {
	not input.spec.repo
	startswith(input.spec.chart, "oci://")
}

_unreadable := "the object names no chart that this policy can read"
