package lib.releases_test

import data.lib.entries_test
import data.lib.refs
import data.lib.releases

_web := {"repository": "https://charts.example.com", "name": "web", "version": "1.2.3"}

_sourced := {"kind": "HelmRepository", "name": "stable"}

_source := {"repoURL": "https://charts.example.com", "chart": "web", "targetRevision": "1.2.3"}

_profile := {"helmCharts": [{
	"repositoryURL": "https://charts.example.com",
	"repositoryName": "stable",
	"chartName": "stable/web",
	"chartVersion": "1.2.3",
}]}

_named := {"repo": "https://charts.example.com", "chart": "web", "version": "1.2.3"}

_crossplane := {"forProvider": {"chart": _web}}

_proxy := {"repoURL": "https://charts.example.com", "chartName": "web", "version": "1.2.3"}

_sync := {"sourceType": "helm", "helm": _named}

# Objects that name one good chart, more than once where they can, with every
# field that is read and has a good value.
_good := {
	"helm.toolkit.fluxcd.io HelmRelease": {"chart": {"spec": {"chart": "web", "version": "1.2.3", "sourceRef": object.union(_sourced, {"namespace": "shop"})}}},
	"helm.toolkit.fluxcd.io HelmRelease by chartRef": {"chartRef": {"kind": "HelmChart", "name": "web", "namespace": "shop"}},
	"source.toolkit.fluxcd.io HelmChart": {"chart": "web", "version": "1.2.3", "sourceRef": _sourced},
	"source.toolkit.fluxcd.io OCIRepository": {
		"url": "oci://registry.example.com/charts/web",
		"ref": {"tag": "1.2.3", "digest": entries_test.digest},
		"layerSelector": {"mediaType": "application/vnd.cncf.helm.chart.content.v1.tar+gzip", "operation": "copy"},
	},
	"argoproj.io Application": {"source": _source, "sources": [_source]},
	"argoproj.io Application by registry": {"source": {"repoURL": "oci://registry.example.com/charts/web", "path": ".", "targetRevision": "1.2.3"}},
	"argoproj.io ApplicationSet": {"template": {"spec": {"source": _source}}, "generators": [{"list": {"template": {"spec": {"source": _source}}}}]},
	"config.projectsveltos.io ClusterProfile": _profile,
	"config.projectsveltos.io Profile": _profile,
	"config.projectsveltos.io ClusterSummary": {"clusterProfileSpec": _profile},
	"config.projectsveltos.io ClusterPromotion": {"profileSpec": _profile},
	"helm.cattle.io HelmChart": _named,
	"fleet.cattle.io Bundle": {"helm": _named, "targets": [{"helm": _named}]},
	"fleet.cattle.io HelmOp": {"helm": _named, "targets": [{"helm": _named}]},
	"fleet.cattle.io BundleDeployment": {"options": {"helm": _named}, "stagedOptions": {"helm": _named}, "helmChartOptions": {}},
	"helm.crossplane.io Release": _crossplane,
	"helm.m.crossplane.io Release": _crossplane,
	"addons.cluster.x-k8s.io HelmChartProxy": _proxy,
	"addons.cluster.x-k8s.io HelmReleaseProxy": _proxy,
	"kappctrl.k14s.io App": {"fetch": [{"helmChart": {"name": "web", "version": "1.2.3", "repository": {"url": "https://charts.example.com"}}}]},
	"configsync.gke.io RootSync": _sync,
	"configsync.gke.io RepoSync": _sync,
}

_objects := {name: resource |
	some name, spec in _good
	[group, kind] := array.slice(split(name, " "), 0, 2)
	resource := {"apiVersion": sprintf("%s/v1", [group]), "kind": kind, "metadata": {"name": "web", "namespace": "shop"}, "spec": spec}
}

# Objects that hold charts of which nothing is known by name.
_unnamed := {
	"fleet.cattle.io Content": {"apiVersion": "fleet.cattle.io/v1alpha1", "kind": "Content", "content": "dGVzdA=="},
	"fleet.cattle.io GitRepo": {"apiVersion": "fleet.cattle.io/v1alpha1", "kind": "GitRepo", "spec": {"repo": "https://git.example.com"}},
}

_inventory := {"namespace": {"shop": {"source.toolkit.fluxcd.io/v1": {
	"HelmRepository": {"stable": {"spec": {"url": "https://charts.example.com", "type": "default"}}},
	"HelmChart": {"web": {"spec": {"chart": "web", "version": "1.2.3", "sourceRef": _sourced}}},
}}}}

_odd := [null, 1, true, [], {}, "", "x"]

test_good_objects[name] if {
	some name, resource in _objects
	list := releases.sources(resource) with data.inventory as _inventory
	count(list) > 0
	every entry in list {
		entries_test.well_formed(entry)
		refs.parse(entry.ref).ok
	}
	releases.refs(resource) == [entry.ref | some entry in list] with data.inventory as _inventory
	releases.insecure(resource) == [] with data.inventory as _inventory
}

test_unnamed_objects[name] if {
	some name, resource in _unnamed
	entries_test.refused(releases.sources(resource), releases.sources(resource)[0].via, "")
	releases.refs(resource) == []
}

# Every kind that constraints match is among the objects here, and no other is.
test_kinds if {
	matched := {sprintf("%s %s", [group, kind]) |
		some known in releases.kinds
		some group in known.apiGroups
		some kind in known.kinds
	}
	here := {concat(" ", array.slice(split(name, " "), 0, 2)) | some name in object.keys(object.union(_objects, _unnamed))}
	matched == here
}

# Paths of a value, without the root.
_paths(value) := [path |
	walk(value, [path, _])
	count(path) > 0
]

_put(value, path, other) := json.patch(value, [{"op": "replace", "path": [sprintf("%v", [key]) | some key in path], "value": other}])

# Objects that are read by the same lines as another are left out of what takes long.
_distinct := object.remove(_objects, [
	"config.projectsveltos.io Profile", "config.projectsveltos.io ClusterPromotion",
	"fleet.cattle.io HelmOp", "addons.cluster.x-k8s.io HelmReleaseProxy", "configsync.gke.io RepoSync",
])

# An object with one field of its spec replaced, beside what stood there.
_mutants(name) := [{"resource": _put(_objects[name], path, other), "path": path, "was": was, "is": other} |
	walk(_objects[name].spec, [below, was])
	count(below) > 0
	path := array.concat(["spec"], below)
	some other in _odd
]

# Whatever stands in a field, there is an entry, and each has the full shape.
# What has the wrong type is told and not taken for absent.
_survived(mutants) if {
	count(mutants) > 0
	every mutant in mutants {
		_total(mutant.resource)
		_told(mutant)
	}
}

_total(resource) if {
	list := releases.sources(resource)
	count(list) > 0
	every entry in list {
		entries_test.well_formed(entry)
	}
	_listed(releases.insecure(resource), {"via", "why"})
	_listed(releases.repositories(resource), {"via", "url"})
}

_listed(list, names) if {
	every entry in list {
		object.keys(entry) == names
		every value in entry {
			is_string(value)
		}
	}
}

_told(mutant) if type_name(mutant.is) in {type_name(mutant.was), "null"}

# A template that lacks a spec lays nothing over that of the set, and options for
# the download count as soon as they are there.
_told(mutant) if mutant.path[1] in ["generators", "helmChartOptions"]

_told(mutant) if {
	some entry in releases.sources(mutant.resource)
	entry.ref == null
}

test_anything_in_flux_release if _survived(_mutants("helm.toolkit.fluxcd.io HelmRelease")) with data.inventory as _inventory

test_anything_in_flux_release_by_reference if _survived(_mutants("helm.toolkit.fluxcd.io HelmRelease by chartRef")) with data.inventory as _inventory

test_anything_in_flux_helm_chart if _survived(_mutants("source.toolkit.fluxcd.io HelmChart")) with data.inventory as _inventory

test_anything_in_flux_artifact if _survived(_mutants("source.toolkit.fluxcd.io OCIRepository"))

test_anything_in_application if _survived(_mutants("argoproj.io Application"))

test_anything_in_application_by_registry if _survived(_mutants("argoproj.io Application by registry"))

test_anything_in_application_set if _survived(_mutants("argoproj.io ApplicationSet"))

test_anything_in_cluster_profile if _survived(_mutants("config.projectsveltos.io ClusterProfile"))

test_anything_in_cluster_summary if _survived(_mutants("config.projectsveltos.io ClusterSummary"))

test_anything_in_k3s if _survived(_mutants("helm.cattle.io HelmChart"))

test_anything_in_bundle if _survived(_mutants("fleet.cattle.io Bundle"))

test_anything_in_bundle_deployment if _survived(_mutants("fleet.cattle.io BundleDeployment"))

test_anything_in_crossplane if _survived(_mutants("helm.crossplane.io Release"))

test_anything_in_clusterapi if _survived(_mutants("addons.cluster.x-k8s.io HelmChartProxy"))

test_anything_in_carvel if _survived(_mutants("kappctrl.k14s.io App"))

test_anything_in_configsync if _survived(_mutants("configsync.gke.io RootSync"))

test_anything_in_content if {
	every other in _odd {
		_total(_put(_unnamed["fleet.cattle.io Content"], ["content"], other))
		_total(_put(_unnamed["fleet.cattle.io GitRepo"], ["spec"], other))
	}
}

# The API server takes null for absent, and so do we.
test_null_is_absent[name] if {
	some name, resource in _distinct
	_nulls_are_absent(resource) with data.inventory as _inventory
}

_nulls_are_absent(resource) if {
	every path in _paths(resource.spec) {
		_absent(resource, array.concat(["spec"], path))
	}
}

_absent(_, path) if is_number(path[count(path) - 1])

_absent(resource, path) if {
	without := json.patch(resource, [{"op": "remove", "path": [sprintf("%v", [key]) | some key in path]}])
	releases.sources(without) == releases.sources(_put(resource, path, null))
}

# Fields in which other things than charts by name are taken.
_further := {
	"helm.toolkit.fluxcd.io HelmRelease": ["chartRef", "chart/spec/verify"],
	"source.toolkit.fluxcd.io OCIRepository": ["ref/semver", "ref/semverFilter", "insecure", "verify"],
	"argoproj.io Application": ["sourceHydrator", "source/kustomize", "source/plugin", "source/directory", "source/path", "source/ref", "source/helm"],
	"argoproj.io ApplicationSet": ["templatePatch", "template/spec/sources", "generators/0/list/template/spec/sources"],
	"config.projectsveltos.io ClusterProfile": ["kustomizationRefs", "helmCharts/0/options", "helmCharts/0/registryCredentialsConfig", "helmCharts/1"],
	"helm.cattle.io HelmChart": ["chartContent", "jobImage", "plainHTTP"],
	"fleet.cattle.io Bundle": ["resources", "contentsId", "kustomize", "targets/1", "helmOpOptions"],
	"fleet.cattle.io BundleDeployment": ["options/kustomize", "deploymentID", "stagedDeploymentID"],
	"helm.crossplane.io Release": ["forProvider/chart/url", "forProvider/chart/digest", "forProvider/plainHTTP"],
	"addons.cluster.x-k8s.io HelmChartProxy": ["options", "tlsConfig"],
	"kappctrl.k14s.io App": ["fetch/0/git", "fetch/0/path", "fetch/0/inline", "fetch/1"],
	"configsync.gke.io RootSync": ["git", "oci"],
}

_survived_further(name) if {
	count(_further[name]) > 0
	every field in _further[name] {
		every other in _odd {
			_total(_added(_objects[name], sprintf("spec/%s", [field]), other))
		}
	}
}

test_further_fields_of_flux_release if _survived_further("helm.toolkit.fluxcd.io HelmRelease")

test_further_fields_of_flux_artifact if _survived_further("source.toolkit.fluxcd.io OCIRepository")

test_further_fields_of_application if _survived_further("argoproj.io Application")

test_further_fields_of_application_set if _survived_further("argoproj.io ApplicationSet")

test_further_fields_of_cluster_profile if _survived_further("config.projectsveltos.io ClusterProfile")

test_further_fields_of_k3s if _survived_further("helm.cattle.io HelmChart")

test_further_fields_of_bundle if _survived_further("fleet.cattle.io Bundle")

test_further_fields_of_bundle_deployment if _survived_further("fleet.cattle.io BundleDeployment")

test_further_fields_of_crossplane if _survived_further("helm.crossplane.io Release")

test_further_fields_of_clusterapi if _survived_further("addons.cluster.x-k8s.io HelmChartProxy")

test_further_fields_of_carvel if _survived_further("kappctrl.k14s.io App")

test_further_fields_of_configsync if _survived_further("configsync.gke.io RootSync")

_added(resource, path, value) := json.patch(resource, [{"op": "add", "path": path, "value": value}])

test_anything_in_operations if {
	application := _objects["argoproj.io Application"]
	every path in ["", "/sync", "/sync/source", "/sync/sources", "/sync/sources/0", "/sync/revision", "/sync/revisions", "/sync/revisions/0", "/sync/manifests"] {
		every other in _odd {
			operation := {"sync": {"source": _source, "sources": [_source], "revision": "1.2.3", "revisions": ["1.2.3"]}}
			_total(_added(object.union(application, {"operation": operation}), sprintf("operation%s", [path]), other))
		}
	}
}

test_anything_in_inventory[path] if {
	some path in ["namespace", "namespace/shop", "namespace/shop/source.toolkit.fluxcd.io~1v1", "spec", "spec/url", "spec/type"]
	every other in _odd {
		every kind in ["HelmRelease", "HelmRelease by chartRef"] {
			release := _objects[sprintf("helm.toolkit.fluxcd.io %s", [kind])]
			list := releases.sources(release) with data.inventory as _spoilt(path, other)
			count(list) > 0
			every entry in list {
				entries_test.well_formed(entry)
			}
		}
	}
}

_spoilt(path, other) := json.patch(_inventory, [{"op": "replace", "path": path, "value": other}]) if startswith(path, "namespace")

else := json.patch(_inventory, [{
	"op": "replace",
	"path": sprintf("namespace/shop/source.toolkit.fluxcd.io~1v1/HelmRepository/stable/%s", [path]),
	"value": other,
}])

test_no_objects[type] if {
	some value in [null, 1, true, "x", []]
	type := type_name(value)
	entries_test.refused(releases.sources(value), "", "want an object")
	releases.refs(value) == []
	releases.insecure(value) == []
	releases.repositories(value) == []
}

test_unknown_objects[name] if {
	some name, resource in {
		"no members": {},
		"Pod": {"apiVersion": "v1", "kind": "Pod"},
		"group without version": {"apiVersion": "argoproj.io", "kind": "Application"},
		"group in another case": {"apiVersion": "ArgoProj.io/v1alpha1", "kind": "Application"},
		"group with more before it": {"apiVersion": "x.argoproj.io/v1alpha1", "kind": "Application"},
		"version is a number": {"apiVersion": 1, "kind": "Application"},
		"kind is a list": {"apiVersion": "v1", "kind": ["Application"]},
	}
	entries_test.refused(releases.sources(resource), "kind", "names no chart that is understood")
}

test_unknown_kind_of_known_group[group] if {
	some known in releases.kinds
	some group in known.apiGroups
	entries_test.refused(releases.sources({"apiVersion": sprintf("%s/v1", [group]), "kind": "Foo", "spec": {}}), "kind", "that is understood")
}

test_objects_without_spec[name] if {
	some name, resource in _objects
	list := releases.sources(object.remove(resource, ["spec"]))
	count(list) > 0
	releases.refs(object.remove(resource, ["spec"])) == []
}

test_records if {
	record := {"apiVersion": "v1", "kind": "Secret", "type": "helm.sh/release.v1"}
	entries_test.refused(releases.sources(record), "data.release", "no digest")
}

test_objects_that_say_where if {
	repository := {"apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "HelmRepository", "spec": {"url": "https://charts.example.com", "insecure": true}}
	releases.sources(repository) == []
	releases.repositories(repository) == [{"via": "spec.url", "url": "https://charts.example.com"}]
	releases.insecure(repository) == [{"via": "spec.insecure", "why": "spec.insecure is set"}]
	credential := {
		"apiVersion": "v1", "kind": "Secret", "metadata": {"labels": {"argocd.argoproj.io/secret-type": "repository"}},
		"stringData": {"url": "registry.example.com", "insecure": "true"},
	}
	releases.repositories(credential) == [{"via": "data.url", "url": "registry.example.com"}]
	releases.insecure(credential) == [{"via": "data.insecure", "why": "data.insecure is set"}]
}

# What an object says about itself is no reason to take anything from it.
test_claims_change_nothing[name] if {
	some name, resource in _objects
	claims := {
		"metadata": {"annotations": {"verified": "true"}, "labels": {"chart-verification": "verified"}},
		"status": {"conditions": [{"type": "SourceVerified", "status": "True"}]},
	}
	want := releases.sources(resource) with data.inventory as _inventory
	want == releases.sources(object.union(resource, claims)) with data.inventory as _inventory
}

# A giant text in any field is told by its length alone.
test_giant_text[name] if {
	some name, path in {
		"helm.cattle.io HelmChart": ["spec", "chart"],
		"argoproj.io Application": ["spec", "sources", "0", "repoURL"],
		"config.projectsveltos.io ClusterProfile": ["spec", "helmCharts", "0", "chartVersion"],
		"source.toolkit.fluxcd.io OCIRepository": ["spec", "ref", "tag"],
		"kappctrl.k14s.io App": ["spec", "fetch", "0", "helmChart", "name"],
	}
	list := releases.sources(_put(_objects[name], path, _giant))
	some entry in list
	entry.ref == null
	contains(entry.why, "has 5000 characters, at most 4096 are read")
	count(json.marshal(list)) < 1024
}

_giant := concat("", [letter | some _ in numbers.range(1, 5000); letter := "a"])
