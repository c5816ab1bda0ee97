package lib.records_test

import data.lib.entries_test
import data.lib.records

_secret := {
	"apiVersion": "v1",
	"kind": "Secret",
	"type": "helm.sh/release.v1",
	"metadata": {"name": "sh.helm.release.v1.web.v1", "labels": {"owner": "helm"}},
}

_map := object.union(object.remove(_secret, ["type"]), {"kind": "ConfigMap"})

test_records if {
	records.record(_secret)
	records.record(_map)
	records.record(object.union(_secret, {"metadata": {"name": "web", "labels": {"owner": "me"}}}))
	records.record(object.union(_secret, {"type": "Opaque"}))
}

test_no_records[name] if {
	some name, resource in {
		"another type": object.union(_secret, {"type": "Opaque", "metadata": {"name": "web"}}),
		"another owner": object.union(_map, {"metadata": {"labels": {"owner": "me"}}}),
		"another name": object.union(_map, {"metadata": {"name": "web"}}),
		"another kind": object.union(_secret, {"kind": "Pod"}),
		"another group": object.union(_secret, {"apiVersion": "example.com/v1"}),
		"no object": 1,
	}
	records.record(resource) == false
}

test_sources if {
	entries_test.refused(records.sources(_secret), "data.release", "no digest, no address and no signature")
}
