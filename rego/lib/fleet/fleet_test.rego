package lib.fleet_test

import data.lib.entries_test
import data.lib.fleet

_named := {"repo": "https://charts.example.com", "chart": "web", "version": "1.2.3"}

_web := {"repository": "https://charts.example.com", "name": "web", "version": "1.2.3"}

_bundle(spec) := {"kind": "Bundle", "spec": spec}

_of(over) := _bundle({"helm": object.union(_named, over)})

test_bundles[kind] if {
	some kind in ["Bundle", "HelmOp"]
	fleet.sources({"kind": kind, "spec": {"helm": _named}}) == [{"via": "spec.helm", "kind": "http", "ref": _web, "pin": "version", "why": ""}]
}

test_spellings[name] if {
	some name, case in {
		"repository in a registry": {"over": {"repo": "oci://registry.example.com/charts"}, "ref": "oci://registry.example.com/charts/web:1.2.3"},
		"registry in chart": {"over": {"repo": "", "chart": "oci://registry.example.com/charts/web"}, "ref": "oci://registry.example.com/charts/web:1.2.3"},
		"registry in repo": {"over": {"repo": "oci://registry.example.com/charts/web", "chart": ""}, "ref": "oci://registry.example.com/charts/web:1.2.3"},
		"archive": {"over": {"repo": "", "chart": "https://charts.example.com/web-1.2.3.tgz", "version": ""}, "ref": "https://charts.example.com/web-1.2.3.tgz"},
	}
	entries_test.refs(fleet.sources(_of(case.over))) == [case.ref]
}

test_refused[name] if {
	some name, case in {
		"range": {"over": {"version": ">1"}, "via": "spec.helm", "why": "version"},
		"no version": {"over": {"version": ""}, "via": "spec.helm", "why": "version is missing"},
		"version is a number": {"over": {"version": 1.1}, "via": "spec.helm.version", "why": "is a number"},
		"template": {"over": {"version": "${ .v }"}, "via": "spec.helm.version", "why": "template"},
		"path": {"over": {"repo": ""}, "via": "spec.helm", "why": "chart without repo is a folder"},
		"two addresses": {"over": {"chart": "https://evil.example/web-1.2.3.tgz"}, "via": "spec.helm", "why": "chart and repo are both addresses"},
		"git": {"over": {"repo": "", "chart": "git::https://git.example.com/web.tgz"}, "via": "spec.helm", "why": "chart"},
		"scp": {"over": {"repo": "", "chart": "git@git.example.com:web"}, "via": "spec.helm", "why": "chart"},
		"no archive": {"over": {"repo": "", "chart": "https://charts.example.com/web"}, "via": "spec.helm", "why": "chart"},
		"query of go-getter": {"over": {"repo": "", "chart": "https://charts.example.com/web-1.2.3.tgz?archive=false"}, "via": "spec.helm", "why": "chart"},
		"bucket": {"over": {"repo": "", "chart": "s3::https://s3.example.com/web.tgz"}, "via": "spec.helm", "why": "chart"},
		"registry without version": {"over": {"repo": "", "chart": "oci://registry.example.com/web", "version": ""}, "via": "spec.helm", "why": "version"},
		"registry with tag": {"over": {"repo": "", "chart": "oci://registry.example.com/web:1.0.0"}, "via": "spec.helm", "why": "chart"},
		"no chart": {"over": {"chart": ""}, "via": "spec.helm", "why": "chart is missing"},
		"name": {"over": {"chart": "a/../web"}, "via": "spec.helm", "why": "chart"},
		"repo is a list": {"over": {"repo": []}, "via": "spec.helm.repo", "why": "is a list"},
	}
	entries_test.refused(fleet.sources(_of(case.over)), case.via, case.why)
}

test_specs_refused[name] if {
	some name, case in {
		"target": {"spec": {"helm": _named, "targets": [{}, {"helm": {"version": "*"}}]}, "via": "spec.targets[1].helm", "why": "version"},
		"repository of a target": {"spec": {"helm": _named, "targets": [{"helm": {"repo": "ftp://evil.example"}}]}, "via": "spec.targets[0].helm", "why": "repo"},
		"chart of a target": {"spec": {"helm": _named, "targets": [{"helm": {"chart": 1}}]}, "via": "spec.targets[0].helm.chart", "why": "is a number"},
		"target is a string": {"spec": {"helm": _named, "targets": ["x"]}, "via": "spec.targets[0]", "why": "is a string"},
		"targets is an object": {"spec": {"helm": _named, "targets": {}}, "via": "spec.targets", "why": "is an object"},
		"kustomize": {"spec": {"helm": _named, "kustomize": {"dir": "overlay"}}, "via": "spec.kustomize", "why": "spec.kustomize can inflate"},
		"kustomize of a target": {"spec": {"helm": _named, "targets": [{"kustomize": {"dir": "x"}}]}, "via": "spec.targets[0].kustomize", "why": "can inflate"},
		"resources": {"spec": {"helm": _named, "resources": [{"name": "a", "content": "x"}]}, "via": "spec.resources[0]", "why": "spec.resources[0] holds a file"},
		"resources is a string": {"spec": {"helm": _named, "resources": "x"}, "via": "spec.resources", "why": "is a string"},
		"content elsewhere": {"spec": {"helm": _named, "contentsId": "s-1"}, "via": "spec.contentsId", "why": "spec.contentsId leads"},
		"helm is a string": {"spec": {"helm": "web"}, "via": "spec.helm", "why": "is a string"},
		"nothing": {"spec": {}, "via": "spec.helm", "why": "names no chart"},
		"no spec": {"spec": null, "via": "spec.helm", "why": "names no chart"},
		"spec is a list": {"spec": [], "via": "spec", "why": "is a list"},
	}
	entries_test.refused(fleet.sources(_bundle(case.spec)), case.via, case.why)
}

test_targets if {
	targets := [{}, {"helm": {"version": "2.0.0"}}, {"helm": {"values": {}}}, {"helm": {"repo": "https://evil.example", "chart": "other"}}]
	list := fleet.sources(_bundle({"helm": _named, "targets": targets}))
	entries_test.refs(list) == [
		_web,
		object.union(_web, {"version": "2.0.0"}),
		{"repository": "https://evil.example", "name": "other", "version": "1.2.3"},
	]
	[entry.via | some entry in list] == ["spec.helm", "spec.targets[1].helm", "spec.targets[3].helm"]
}

test_files[name] if {
	some name, case in {
		"text": {"file": {"content": "test"}, "digest": entries_test.digest},
		"base64": {"file": {"content": "dGVzdA==", "encoding": "base64"}, "digest": entries_test.digest},
		"packed": {"file": {"content": "dGVzdA==", "encoding": "base64+gz"}, "digest": ""},
		"no content": {"file": {}, "digest": ""},
		"no object": {"file": 1, "digest": ""},
	}
	[entry] := fleet.sources(_bundle({"resources": [case.file]}))
	entries_test.well_formed(entry)
	entry.digest == case.digest
}

_deployment(over) := {"kind": "BundleDeployment", "spec": object.union({"options": {"helm": _named}, "helmChartOptions": {}, "deploymentID": "s-1:x"}, over)}

test_deployment if {
	fleet.sources(_deployment({})) == [{"via": "spec.options.helm", "kind": "http", "ref": _web, "pin": "version", "why": ""}]
	staged := _deployment({"stagedOptions": {"helm": object.union(_named, {"version": "2.0.0"})}})
	entries_test.refs(fleet.sources(staged)) == [_web, object.union(_web, {"version": "2.0.0"})]
}

test_deployments_refused[name] if {
	some name, case in {
		"content": {"over": {"helmChartOptions": null}, "via": "spec.deploymentID", "why": "spec.deploymentID leads"},
		"staged content": {"over": {"helmChartOptions": null, "stagedDeploymentID": "s-2:x"}, "via": "spec.stagedDeploymentID", "why": "spec.stagedDeploymentID leads"},
		"staged": {"over": {"stagedOptions": {"helm": {"chart": "x"}}}, "via": "spec.stagedOptions.helm", "why": "chart"},
		"version": {"over": {"options": {"helm": {"version": 1}}}, "via": "spec.options.helm.version", "why": "is a number"},
		"kustomize": {"over": {"options": {"kustomize": {"dir": "x"}}}, "via": "spec.options.kustomize", "why": "can inflate"},
		"options": {"over": {"options": []}, "via": "spec.options", "why": "is a list"},
		"nothing": {"over": {"options": null}, "via": "spec.options.helm", "why": "names no chart"},
	}
	entries_test.refused(fleet.sources(_deployment(case.over)), case.via, case.why)
}

test_deployment_of_other_types if {
	entries_test.refused(fleet.sources({"kind": "BundleDeployment", "spec": 1}), "spec", "is a number")
	entries_test.refused(fleet.sources({"kind": "BundleDeployment"}), "spec.options.helm", "names no chart")
}

test_content if {
	[entry.digest | some entry in fleet.sources({"kind": "Content", "content": "dGVzdA=="})] == [entries_test.digest]
	[entry.digest | some entry in fleet.sources({"kind": "Content", "content": 1})] == [""]
	entries_test.refused(fleet.sources({"kind": "Content"}), "content", "content holds a bundle")
}

test_other_kinds if {
	entries_test.refused(fleet.sources({"kind": "GitRepo"}), "spec", "a folder in git")
	entries_test.refused(fleet.sources({"kind": "Cluster"}), "kind", "is none of Fleet")
	fleet.repositories(_of({})) == []
}

test_insecure if {
	fleet.insecure({"kind": "HelmOp", "spec": {"insecureSkipTLSVerify": true}}) == [{"via": "spec.insecureSkipTLSVerify", "why": "spec.insecureSkipTLSVerify is set"}]
	count(fleet.insecure(_bundle({"helmOpOptions": {"insecureSkipTLSVerify": true}}))) == 1
	fleet.insecure(_of({})) == []
}
