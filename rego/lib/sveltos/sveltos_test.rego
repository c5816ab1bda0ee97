package lib.sveltos_test

import data.lib.entries_test
import data.lib.sveltos

_release := {
	"repositoryURL": "https://charts.example.com",
	"repositoryName": "stable",
	"chartName": "stable/web",
	"chartVersion": "1.2.3",
	"helmChartAction": "Install",
}

_profile(release) := {"apiVersion": "config.projectsveltos.io/v1beta1", "kind": "ClusterProfile", "spec": {"helmCharts": [release]}}

_changed(path, value) := json.patch(_profile(_release), [{"op": "add", "path": path, "value": value}])

_web := {"repository": "https://charts.example.com", "name": "web", "version": "1.2.3"}

test_profile if {
	sveltos.sources(_profile(_release)) == [{"via": "spec.helmCharts[0]", "kind": "http", "ref": _web, "pin": "version", "why": ""}]
}

test_every_kind[kind] if {
	some kind, spec in {
		"Profile": {"helmCharts": [_release]},
		"ClusterSummary": {"clusterProfileSpec": {"helmCharts": [_release]}},
		"ClusterPromotion": {"profileSpec": {"helmCharts": [_release]}},
	}
	entries_test.refs(sveltos.sources({"kind": kind, "spec": spec})) == [_web]
}

test_spellings[name] if {
	some name, case in {
		"without repository": {"over": {"chartName": "web"}, "want": _web},
		"registry": {"over": {"repositoryURL": "oci://registry.example.com/charts"}, "want": "oci://registry.example.com/charts/web:1.2.3"},
		"registry without repository": {"over": {"repositoryURL": "oci://registry.example.com/charts", "chartName": "web"}, "want": "oci://registry.example.com/charts/web:1.2.3"},
		"no repository name": {"over": {"repositoryName": "", "chartName": "web"}, "want": _web},
	}
	entries_test.refs(sveltos.sources(_profile(object.union(_release, case.over)))) == [case.want]
}

test_refused[name] if {
	some name, case in {
		"template": {"path": "spec/helmCharts/0/chartVersion", "value": "{{ .Cluster.metadata.labels.v }}", "via": "spec.helmCharts[0].chartVersion", "why": "chartVersion holds a template"},
		"template in name": {"path": "spec/helmCharts/0/chartName", "value": "{{x}}", "via": "spec.helmCharts[0].chartName", "why": "template"},
		"template in repository": {"path": "spec/helmCharts/0/repositoryURL", "value": "https://{{x}}", "via": "spec.helmCharts[0].repositoryURL", "why": "template"},
		"git": {"path": "spec/helmCharts/0/repositoryURL", "value": "gitrepository://flux/web/charts", "via": "spec.helmCharts[0]", "why": "repositoryURL leads to a folder"},
		"artifact": {"path": "spec/helmCharts/0/repositoryURL", "value": "ocirepository://flux/web/charts", "via": "spec.helmCharts[0]", "why": "repositoryURL leads to a folder"},
		"bucket": {"path": "spec/helmCharts/0/repositoryURL", "value": "bucket://flux/web/charts", "via": "spec.helmCharts[0]", "why": "repositoryURL leads to a folder"},
		"range": {"path": "spec/helmCharts/0/chartVersion", "value": ">=1.0.0", "via": "spec.helmCharts[0]", "why": "chartVersion"},
		"no version": {"path": "spec/helmCharts/0/chartVersion", "value": null, "via": "spec.helmCharts[0]", "why": "chartVersion is missing"},
		"version is a number": {"path": "spec/helmCharts/0/chartVersion", "value": 1.1, "via": "spec.helmCharts[0].chartVersion", "why": "is a number"},
		"foreign repository": {"path": "spec/helmCharts/0/chartName", "value": "evil/web", "via": "spec.helmCharts[0]", "why": "chartName"},
		"address in name": {"path": "spec/helmCharts/0/chartName", "value": "stable/oci://evil.example/web", "via": "spec.helmCharts[0]", "why": "chartName"},
		"slash without a repository's name": {"path": "spec/helmCharts/0", "value": object.union(_release, {"repositoryName": "", "chartName": "/web"}), "via": "spec.helmCharts[0]", "why": "chartName"},
		"no repository": {"path": "spec/helmCharts/0/repositoryURL", "value": "", "via": "spec.helmCharts[0]", "why": "repositoryURL is missing"},
		"no object": {"path": "spec/helmCharts/0", "value": "web", "via": "spec.helmCharts[0]", "why": "is a string, want an object"},
		"no list": {"path": "spec/helmCharts", "value": {"web": _release}, "via": "spec.helmCharts", "why": "is an object, want a list"},
		"empty list": {"path": "spec/helmCharts", "value": [], "via": "spec.helmCharts", "why": "spec.helmCharts names no chart"},
		"no charts": {"path": "spec", "value": {}, "via": "spec.helmCharts", "why": "spec.helmCharts names no chart"},
		"no spec": {"path": "spec", "value": null, "via": "spec", "why": "spec is missing"},
		"spec is a number": {"path": "spec", "value": 1, "via": "spec", "why": "is a number"},
		"second": {"path": "spec/helmCharts/1", "value": {"chartName": "evil"}, "via": "spec.helmCharts[1]", "why": "repositoryURL is missing"},
		"updates": {"path": "spec/helmCharts/0/options", "value": {"dependencyUpdate": true}, "via": "spec.helmCharts[0].options.dependencyUpdate", "why": "dependencyUpdate fetches"},
		"kustomization": {"path": "spec/kustomizationRefs", "value": [{"kind": "ConfigMap", "name": "x"}], "via": "spec.kustomizationRefs", "why": "spec.kustomizationRefs can inflate"},
		"kustomization is a string": {"path": "spec/kustomizationRefs", "value": "x", "via": "spec.kustomizationRefs", "why": "is a string"},
	}
	entries_test.refused(sveltos.sources(_changed(case.path, case.value)), case.via, case.why)
}

test_defaults if {
	release := object.union(_release, {"options": {"dependencyUpdate": false}})
	entries_test.refs(sveltos.sources(_profile(release))) == [_web]
}

test_hundred if {
	many := [_release | some _ in numbers.range(1, 100)]
	entries_test.refused(sveltos.sources(_changed("spec/helmCharts", many)), "spec.helmCharts", "holds 100 items, at most 64 are read")
	count(entries_test.refs(sveltos.sources(_changed("spec/helmCharts", array.slice(many, 0, 64))))) == 64
}

test_other_kinds if {
	entries_test.refused(sveltos.sources({"kind": "EventTrigger"}), "kind", "is none of Sveltos")
	sveltos.insecure({"kind": "EventTrigger"}) == []
	sveltos.repositories(_profile(_release)) == []
}

test_insecure if {
	weak := object.union(_release, {"registryCredentialsConfig": {"plainHTTP": true}})
	sveltos.insecure(_profile(weak)) == [{
		"via": "spec.helmCharts[0].registryCredentialsConfig.plainHTTP",
		"why": "spec.helmCharts[0].registryCredentialsConfig.plainHTTP is set",
	}]
	sveltos.insecure(_profile(_release)) == []
	sveltos.insecure(_profile(1)) == []
}
