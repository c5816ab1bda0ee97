# METADATA
# title: Signed by whom we trust
# description: A HelmChart is admitted only if the very chart that it asks for was signed, by whoever may sign where it lies, and every dependency in it is the one that was pinned.
# custom:
#   short_name: demo
#   solution: Run `chartseal lock write`, then sign with `helm package --sign` and a key of the web team, or with `cosign sign` where the registry asks for it.
package demo

import future.keywords.not

# METADATA
# description: Whose provenance counts. The keyring lies in the trust store, under keyrings/.
provenance := {"keyrings": ["web-team"]}

# METADATA
# description: Whose signatures by cosign count, in these folders of a registry.
signatures := {
	"release": {"public_keys": ["release"]},
	"pipeline": {
		"identities": [{
			"issuer": "https://issuer.example.com",
			"subject": "https://ci.example.com/org/web/release.yml@refs/heads/main",
		}],
		"trusted_root": "demo",
	},
}

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
	_signed
	chart.lock_ok(_ref, dependency_options)
}

_signed if {
	not signatures[_folder]
	helm.verify_prov(_ref, provenance)
}

_signed if cosign.verify(_ref, signatures[_folder])

# What refused the chart or, if nothing did, what was checked last.
default _report := {}

_report := chart.lock_ok_report(_ref, dependency_options) if _signed

else := _signature_report

_signature_report := helm.verify_prov_report(_ref, provenance) if not signatures[_folder]

_signature_report := cosign.verify_report(_ref, signatures[_folder])

# k3s names a chart by repository, name and version, or by one OCI reference.
# Of an object that also holds a chart inline, it would run that.
_ref := {"repository": input.spec.repo, "name": input.spec.chart, "version": input.spec.version} if {
	not input.spec.chartContent
}

_ref := sprintf("%s:%s", [input.spec.chart, input.spec.version]) if {
	not input.spec.repo
	not input.spec.chartContent
	startswith(input.spec.chart, "oci://")
}

# oci://host/…/folder/chart:version
_folder := segments[count(segments) - 2] if {
	is_string(_ref)
	segments := split(_ref, "/")
}

_unreadable := "the object names no chart that this policy can read"
