package lib.configsync_test

import data.lib.configsync
import data.lib.entries_test

_sync(over) := {
	"kind": "RootSync",
	"spec": object.union({"sourceType": "helm", "helm": {"repo": "https://charts.example.com", "chart": "web", "version": "1.2.3"}}, over),
}

_web := {"repository": "https://charts.example.com", "name": "web", "version": "1.2.3"}

test_syncs[kind] if {
	some kind in ["RootSync", "RepoSync"]
	configsync.sources(object.union(_sync({}), {"kind": kind})) == [{"via": "spec.helm", "kind": "http", "ref": _web, "pin": "version", "why": ""}]
}

test_registry if {
	entries_test.refs(configsync.sources(_sync({"helm": {"repo": "oci://registry.example.com/charts"}}))) == ["oci://registry.example.com/charts/web:1.2.3"]
}

test_refused[name] if {
	some name, case in {
		"git": {"over": {"sourceType": "git"}, "via": "spec.git", "why": "spec.git"},
		"default": {"over": {"sourceType": null}, "via": "spec.git", "why": "spec.git"},
		"artifact": {"over": {"sourceType": "oci"}, "via": "spec.sourceType", "why": `spec.sourceType "oci" is not helm`},
		"type is a number": {"over": {"sourceType": 1}, "via": "spec.sourceType", "why": "is a number"},
		"no version": {"over": {"helm": {"version": ""}}, "via": "spec.helm", "why": "version is missing"},
		"version is a number": {"over": {"helm": {"version": 1}}, "via": "spec.helm.version", "why": "is a number"},
		"range": {"over": {"helm": {"version": "1.2"}}, "via": "spec.helm", "why": "version"},
		"name": {"over": {"helm": {"chart": ".."}}, "via": "spec.helm", "why": "chart"},
		"helm is a list": {"over": {"helm": []}, "via": "spec.helm", "why": "is a list"},
		"no helm": {"over": {"helm": null}, "via": "spec.helm", "why": "repo is missing"},
	}
	entries_test.refused(configsync.sources(_sync(case.over)), case.via, case.why)
}

test_spec_of_other_types if {
	entries_test.refused(configsync.sources({"kind": "RootSync", "spec": 1}), "spec", "is a number")
	entries_test.refused(configsync.sources({"kind": "RootSync"}), "spec.git", "spec.git")
}

test_other_kinds if {
	entries_test.refused(configsync.sources({"kind": "Foo"}), "kind", "is none of Config Sync")
	configsync.repositories(_sync({})) == []
	configsync.insecure(_sync({})) == []
}
