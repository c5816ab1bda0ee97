package lib.references_test

import data.lib.references

_digest := "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"

_inline(digest) := {"via": "spec.chartContent", "kind": "inline", "ref": null, "pin": "digest", "why": "content", "digest": digest}

_source(ref) := {"via": "spec.source", "kind": "oci", "ref": ref, "pin": "version", "why": "a git source"}

test_reference_named if {
	references.finding(_source("oci://registry.example.com/charts/web:1.2.3"), []) == {"code": "named", "reason": ""}
}

test_listed_inline_ok if {
	references.finding(_inline(_digest), [_digest]) == {"code": "ok", "reason": ""}
}

test_inline_not_listed if {
	finding := references.finding(_inline(_digest), [])
	finding.code == "inline_not_listed"
	contains(finding.reason, _digest)
}

# An empty digest is no digest, whatever is listed.
test_undecodable_inline_not_listed if {
	references.finding(_inline(""), [_digest]) == {"code": "inline_not_listed", "reason": "its content is in the object, and cannot be decoded"}
}

test_no_reference_told if {
	references.finding(_source(null), []) == {"code": "no_reference", "reason": "a git source"}
}

test_invalid_reference_told if {
	finding := references.finding(_source("oci://Registry example/web"), [])
	finding.code == "invalid_reference"
	finding.reason != ""
}

test_unreadable_source_names_nothing if {
	every source in [null, "web", {}, {"kind": "oci"}, {"ref": null}, {"ref": 7}, {"kind": "inline"}] {
		not references.finding(source, []).code in ["ok", "named"]
	}
}
