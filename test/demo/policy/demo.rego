# METADATA
# title: Signed by whom we trust
# description: A HelmChart is admitted only if the very chart that it asks for was signed, by whoever may sign where it lies.
# custom:
#   short_name: demo
#   solution: Sign with `helm package --sign` and a key of the web team, or with `cosign sign` where the registry asks for it.
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
# description: Why the object is refused; empty if it is not.
deny contains sprintf("%s: %s", [object.get(_report, "code", "no_verdict"), object.get(_report, "reason", _unreadable)]) if {
	not _signed
}

# METADATA
# description: What was found out about the chart, for people and for the table.
summary := {"admitted": count(deny) == 0, "report": _report}

_signed if {
	not signatures[_folder]
	helm.verify_prov(_ref, provenance)
}

_signed if cosign.verify(_ref, signatures[_folder])

default _report := {}

_report := helm.verify_prov_report(_ref, provenance) if not signatures[_folder]

_report := cosign.verify_report(_ref, signatures[_folder])

# k3s names a chart by repository, name and version, or by one OCI reference.
_ref := {"repository": input.spec.repo, "name": input.spec.chart, "version": input.spec.version}

_ref := sprintf("%s:%s", [input.spec.chart, input.spec.version]) if {
	not input.spec.repo
	startswith(input.spec.chart, "oci://")
}

# oci://host/…/folder/chart:version
_folder := segments[count(segments) - 2] if {
	is_string(_ref)
	segments := split(_ref, "/")
}

_unreadable := "the object names no chart that this policy can read"
