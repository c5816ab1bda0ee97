# METADATA
# title: Signed by the web team
# description: A HelmChart is admitted only if the web team signed the very chart that it asks for.
# custom:
#   short_name: demo
#   solution: Package the chart with `helm package --sign` and a key of the web team.
package demo

import future.keywords.not

# METADATA
# description: Whose signature counts. The keyring lies in the trust store, under keyrings/.
options := {"keyrings": ["web-team"]}

# METADATA
# description: Why the object is refused; empty if it is not.
deny contains sprintf("%s: %s", [object.get(_report, "code", "no_verdict"), object.get(_report, "reason", _unreadable)]) if {
	not _signed
}

# METADATA
# description: What was found out about the chart, for people and for the table.
summary := {"admitted": count(deny) == 0, "report": _report}

_signed if helm.verify_prov(_ref, options)

default _report := {}

_report := helm.verify_prov_report(_ref, options)

# k3s names a chart by repository, name and version, or by one OCI reference.
_ref := {"repository": input.spec.repo, "name": input.spec.chart, "version": input.spec.version}

_ref := sprintf("%s:%s", [input.spec.chart, input.spec.version]) if {
	not input.spec.repo
	startswith(input.spec.chart, "oci://")
}

_unreadable := "the object names no chart that this policy can read"
