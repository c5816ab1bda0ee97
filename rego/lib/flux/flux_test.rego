package lib.flux_test

import data.lib.entries_test
import data.lib.flux

_release := {
	"apiVersion": "helm.toolkit.fluxcd.io/v2",
	"kind": "HelmRelease",
	"metadata": {"name": "web", "namespace": "shop"},
	"spec": {"chart": {"spec": {
		"chart": "web",
		"version": "1.2.3",
		"sourceRef": {"kind": "HelmRepository", "name": "stable"},
	}}},
}

_referring(kind) := json.patch(_release, [
	{"op": "remove", "path": "spec/chart"},
	{"op": "add", "path": "spec/chartRef", "value": {"kind": kind, "name": "web"}},
])

_artifact := {
	"apiVersion": "source.toolkit.fluxcd.io/v1",
	"kind": "OCIRepository",
	"metadata": {"name": "web", "namespace": "shop"},
	"spec": {
		"url": "oci://registry.example.com/charts/web",
		"ref": {"digest": entries_test.digest},
		"layerSelector": {"mediaType": "application/vnd.cncf.helm.chart.content.v1.tar+gzip", "operation": "copy"},
	},
}

_helm_chart := {
	"apiVersion": "source.toolkit.fluxcd.io/v1",
	"kind": "HelmChart",
	"metadata": {"name": "web", "namespace": "shop"},
	"spec": {"chart": "web", "version": "1.2.3", "sourceRef": {"kind": "HelmRepository", "name": "stable"}},
}

_repository(spec) := {
	"apiVersion": "source.toolkit.fluxcd.io/v1",
	"kind": "HelmRepository",
	"metadata": {"name": "stable", "namespace": "shop"},
	"spec": spec,
}

_stored(version, kind, resource) := {"namespace": {"shop": {version: {kind: {resource.metadata.name: resource}}}}}

_indexed := _stored("source.toolkit.fluxcd.io/v1", "HelmRepository", _repository({"url": "https://charts.example.com"}))

_by_registry := _stored("source.toolkit.fluxcd.io/v1", "HelmRepository", _repository({"url": "oci://registry.example.com/charts", "type": "oci"}))

_pinned := sprintf("oci://registry.example.com/charts/web@%s", [entries_test.digest])

_web := {"repository": "https://charts.example.com", "name": "web", "version": "1.2.3"}

_changed(resource, path, value) := json.patch(resource, [{"op": "add", "path": path, "value": value}])

test_release_by_index if {
	flux.sources(_release) == [{"via": "spec.chart.spec", "kind": "http", "ref": _web, "pin": "version", "why": ""}] with data.inventory as _indexed
}

test_release_by_registry if {
	entries_test.refs(flux.sources(_release)) == ["oci://registry.example.com/charts/web:1.2.3"] with data.inventory as _by_registry
}

# An older version of the API names and means the same.
test_every_version[version] if {
	some version in ["v2", "v2beta1", "v2beta2"]
	some stored in ["source.toolkit.fluxcd.io/v1", "source.toolkit.fluxcd.io/v1beta1", "source.toolkit.fluxcd.io/v1beta2"]
	release := _changed(_release, "apiVersion", sprintf("helm.toolkit.fluxcd.io/%s", [version]))
	inventory := _stored(stored, "HelmRepository", _repository({"url": "https://charts.example.com", "type": "default"}))
	entries_test.refs(flux.sources(release)) == [_web] with data.inventory as inventory
}

# One object in two versions of which one is stale counts twice.
test_versions_that_differ if {
	other := _stored("source.toolkit.fluxcd.io/v1beta2", "HelmRepository", _repository({"url": "https://evil.example"}))
	list := flux.sources(_release) with data.inventory as object.union(_indexed, other)
	{ref.repository | some ref in entries_test.refs(list)} == {"https://charts.example.com", "https://evil.example"}
}

test_source_not_stored[name] if {
	some name, inventory in {
		"nothing": {},
		"no object": null,
		"another namespace": {"namespace": {"other": _indexed.namespace.shop}},
		"another group": _stored("example.com/v1", "HelmRepository", _repository({"url": "https://charts.example.com"})),
		"another kind": _stored("source.toolkit.fluxcd.io/v1", "Bucket", _repository({"url": "https://charts.example.com"})),
		"cluster": {"cluster": _indexed.namespace.shop},
	}
	list := flux.sources(_release) with data.inventory as inventory
	entries_test.refused(list, "spec.chart.spec", "HelmRepository shop/stable is not in the inventory; sync source.toolkit.fluxcd.io/v1 HelmRepository")
	list[0].kind == "indirect"
	list[0].pin == "version"
}

test_foreign_namespace if {
	release := _changed(_release, "spec/chart/spec/sourceRef/namespace", "other")
	list := flux.sources(release) with data.inventory as _indexed
	entries_test.refused(list, "spec.chart.spec", "HelmRepository other/stable is not in the inventory")
	entries_test.refs(flux.sources(release)) == [_web] with data.inventory as {"namespace": {"other": _indexed.namespace.shop}}
}

test_default_namespace if {
	release := json.patch(_release, [{"op": "remove", "path": "metadata/namespace"}])
	list := flux.sources(release) with data.inventory as _indexed
	entries_test.refused(list, "spec.chart.spec", "HelmRepository default/stable")
}

test_releases_refused[name] if {
	some name, case in {
		"version absent": {"path": "spec/chart/spec/version", "value": null, "via": "spec.chart.spec", "why": "version is missing"},
		"version default": {"path": "spec/chart/spec/version", "value": "*", "via": "spec.chart.spec", "why": `version "*" is not one`},
		"version range": {"path": "spec/chart/spec/version", "value": ">0-0", "via": "spec.chart.spec", "why": "version"},
		"version is a number": {"path": "spec/chart/spec/version", "value": 1.1, "via": "spec.chart.spec.version", "why": "is a number, want a string"},
		"version is a list": {"path": "spec/chart/spec/version", "value": ["1.2.3"], "via": "spec.chart.spec.version", "why": "is a list"},
		"version is true": {"path": "spec/chart/spec/version", "value": true, "via": "spec.chart.spec.version", "why": "is a boolean"},
		"chart is a path": {"path": "spec/chart/spec/chart", "value": "../evil", "via": "spec.chart.spec", "why": "chart \"../evil\" is no chart name"},
		"chart is an address": {"path": "spec/chart/spec/chart", "value": "oci://evil.example/web", "via": "spec.chart.spec", "why": "is no chart name"},
		"git": {"path": "spec/chart/spec/sourceRef/kind", "value": "GitRepository", "via": "spec.chart.spec.sourceRef", "why": "a folder of a GitRepository"},
		"bucket": {"path": "spec/chart/spec/sourceRef/kind", "value": "Bucket", "via": "spec.chart.spec.sourceRef", "why": "a folder of a Bucket"},
		"unknown source": {"path": "spec/chart/spec/sourceRef/kind", "value": "Foo", "via": "spec.chart.spec.sourceRef", "why": `sourceRef.kind "Foo" is not understood`},
		"source without kind": {"path": "spec/chart/spec/sourceRef/kind", "value": "", "via": "spec.chart.spec.sourceRef", "why": "sourceRef.kind"},
		"source without name": {"path": "spec/chart/spec/sourceRef/name", "value": "", "via": "spec.chart.spec.sourceRef", "why": "sourceRef.name is missing"},
		"no source": {"path": "spec/chart/spec/sourceRef", "value": null, "via": "spec.chart.spec.sourceRef", "why": "sourceRef.name is missing"},
		"chart is a string": {"path": "spec/chart", "value": "web", "via": "spec.chart", "why": "is a string, want an object"},
		"chart is empty": {"path": "spec/chart", "value": {}, "via": "spec.chart.spec.sourceRef", "why": "is missing"},
		"neither": {"path": "spec/chart", "value": null, "via": "spec", "why": "neither chart nor chartRef"},
		"no spec": {"path": "spec", "value": null, "via": "spec", "why": "neither chart nor chartRef"},
		"spec is a list": {"path": "spec", "value": [], "via": "spec", "why": "is a list, want an object"},
		"both": {"path": "spec/chartRef", "value": {"kind": "OCIRepository", "name": "web"}, "via": "spec.chartRef", "why": "spec.chart and spec.chartRef are both set"},
		"empty chartRef": {"path": "spec/chartRef", "value": {}, "via": "spec.chartRef", "why": "spec.chartRef.name is missing"},
		"namespace is a number": {"path": "metadata/namespace", "value": 1, "via": "metadata.namespace", "why": "is a number"},
	}
	list := flux.sources(_changed(_release, case.path, case.value)) with data.inventory as _indexed
	entries_test.refused(list, case.via, case.why)
}

test_stored_repositories_refused[name] if {
	some name, case in {
		"no object": {"resource": 1, "why": "the object is a number"},
		"spec is a list": {"resource": {"spec": []}, "why": "spec is a list"},
		"no spec": {"resource": {}, "why": "url of HelmRepository shop/stable is missing"},
		"url is a number": {"resource": {"spec": {"url": 1}}, "why": "HelmRepository shop/stable: spec.url is a number"},
		"no scheme": {"resource": {"spec": {"url": "charts.example.com"}}, "why": "url of HelmRepository shop/stable"},
		"registry without type": {"resource": {"spec": {"url": "oci://registry.example.com"}}, "why": "type of HelmRepository shop/stable does not go with its url"},
		"index with type oci": {"resource": {"spec": {"url": "https://charts.example.com", "type": "oci"}}, "why": "does not go with its url"},
		"unknown type": {"resource": {"spec": {"url": "https://charts.example.com", "type": "git"}}, "why": "does not go with its url"},
	}
	inventory := {"namespace": {"shop": {"source.toolkit.fluxcd.io/v1": {"HelmRepository": {"stable": case.resource}}}}}
	list := flux.sources(_release) with data.inventory as inventory
	entries_test.refused(list, "spec.chart.spec", case.why)
}

test_release_by_artifact if {
	inventory := _stored("source.toolkit.fluxcd.io/v1", "OCIRepository", _artifact)
	flux.sources(_referring("OCIRepository")) == [{"via": "spec.chartRef", "kind": "oci", "ref": _pinned, "pin": "digest", "why": ""}] with data.inventory as inventory
}

test_release_by_bad_artifact if {
	inventory := _stored("source.toolkit.fluxcd.io/v1", "OCIRepository", json.patch(_artifact, [{"op": "remove", "path": "spec/layerSelector"}]))
	list := flux.sources(_referring("OCIRepository")) with data.inventory as inventory
	entries_test.refused(list, "spec.chartRef", "OCIRepository shop/web: spec.layerSelector")
}

test_release_by_helm_chart if {
	inventory := object.union(_stored("source.toolkit.fluxcd.io/v1", "HelmChart", _helm_chart), _indexed)
	list := flux.sources(_referring("HelmChart")) with data.inventory as inventory
	list == [{"via": "spec.chartRef", "kind": "http", "ref": _web, "pin": "version", "why": ""}]
}

# What leads on to something that is not there is told by both names.
test_release_by_helm_chart_alone if {
	inventory := _stored("source.toolkit.fluxcd.io/v1", "HelmChart", _helm_chart)
	list := flux.sources(_referring("HelmChart")) with data.inventory as inventory
	entries_test.refused(list, "spec.chartRef", "HelmChart shop/web: HelmRepository shop/stable is not in the inventory")
}

test_references_refused[name] if {
	some name, case in {
		"OCIRepository": {"kind": "OCIRepository", "why": "OCIRepository shop/web is not in the inventory; sync source.toolkit.fluxcd.io/v1 OCIRepository"},
		"HelmChart": {"kind": "HelmChart", "why": "HelmChart shop/web is not in the inventory"},
		"ExternalArtifact": {"kind": "ExternalArtifact", "why": "stands only in its status"},
		"unknown": {"kind": "Foo", "why": `spec.chartRef.kind "Foo" is not understood`},
		"HelmRepository": {"kind": "HelmRepository", "why": "is not understood"},
		"a number": {"kind": 1, "why": "is a number"},
	}
	list := flux.sources(_referring(case.kind)) with data.inventory as _indexed
	some via in ["spec.chartRef", "spec.chartRef.kind"]
	entries_test.refused(list, via, case.why)
}

test_reference_in_foreign_namespace if {
	release := _changed(_referring("OCIRepository"), "spec/chartRef/namespace", "other")
	list := flux.sources(release) with data.inventory as _stored("source.toolkit.fluxcd.io/v1", "OCIRepository", _artifact)
	entries_test.refused(list, "spec.chartRef", "OCIRepository other/web is not in the inventory")
}

test_helm_chart if {
	flux.sources(_helm_chart) == [{"via": "spec", "kind": "http", "ref": _web, "pin": "version", "why": ""}] with data.inventory as _indexed
}

test_helm_charts_refused[name] if {
	some name, case in {
		"version": {"path": "spec/version", "value": "*", "via": "spec", "why": "version"},
		"version is a number": {"path": "spec/version", "value": 1, "via": "spec.version", "why": "is a number"},
		"git": {"path": "spec/sourceRef/kind", "value": "GitRepository", "via": "spec.sourceRef", "why": "a folder of a GitRepository"},
		"spec": {"path": "spec", "value": 1, "via": "spec", "why": "is a number"},
		"no spec": {"path": "spec", "value": {}, "via": "spec.sourceRef", "why": "is missing"},
	}
	list := flux.sources(_changed(_helm_chart, case.path, case.value)) with data.inventory as _indexed
	entries_test.refused(list, case.via, case.why)
}

# Flux makes HelmCharts in the namespace of their source; a field for another
# one is none that it reads.
test_helm_chart_keeps_to_its_namespace if {
	resource := _changed(_helm_chart, "spec/sourceRef/namespace", "other")
	entries_test.refs(flux.sources(resource)) == [_web] with data.inventory as _indexed
}

test_artifacts[name] if {
	some name, case in {
		"digest": {"ref": {"digest": entries_test.digest}, "want": _pinned, "pin": "digest"},
		"digest before semver": {"ref": {"digest": entries_test.digest, "semver": "*"}, "want": _pinned, "pin": "digest"},
		"digest and tag": {
			"ref": {"digest": entries_test.digest, "tag": "1.2.3"},
			"want": sprintf("oci://registry.example.com/charts/web:1.2.3@%s", [entries_test.digest]),
			"pin": "digest",
		},
		"version": {"ref": {"tag": "1.2.3"}, "want": "oci://registry.example.com/charts/web:1.2.3", "pin": "version"},
		"tag": {"ref": {"tag": "stable"}, "want": "oci://registry.example.com/charts/web:stable", "pin": "none"},
	}
	flux.sources(_changed(_artifact, "spec/ref", case.ref)) == [{"via": "spec", "kind": "oci", "ref": case.want, "pin": case.pin, "why": ""}]
}

test_artifacts_refused[name] if {
	some name, case in {
		"semver": {"path": "spec/ref", "value": {"semver": "1.2.3"}, "via": "spec.ref.semver", "why": "spec.ref.semver is a range"},
		"semver before tag": {"path": "spec/ref", "value": {"semver": ">=1.0.0", "tag": "1.2.3"}, "via": "spec.ref.semver", "why": "spec.ref.semver"},
		"filter": {"path": "spec/ref", "value": {"semver": "*", "semverFilter": ".*"}, "via": "spec.ref.semver", "why": "spec.ref.semver"},
		"filter alone": {"path": "spec/ref", "value": {"semverFilter": ".*"}, "via": "spec", "why": "spec.ref.tag is missing"},
		"no ref": {"path": "spec/ref", "value": null, "via": "spec", "why": "spec.ref.tag is missing"},
		"empty ref": {"path": "spec/ref", "value": {}, "via": "spec", "why": "spec.ref.tag is missing"},
		"latest": {"path": "spec/ref", "value": {"tag": "latest"}, "via": "spec", "why": "spec.ref.tag is missing or latest"},
		"upper-case digest": {"path": "spec/ref/digest", "value": upper(entries_test.digest), "via": "spec", "why": "spec.ref.digest"},
		"digest in tag": {"path": "spec/ref", "value": {"tag": sprintf("1.2.3@%s", [entries_test.digest])}, "via": "spec", "why": "spec.ref.tag"},
		"tag is a number": {"path": "spec/ref", "value": {"tag": 1.1}, "via": "spec.ref.tag", "why": "is a number"},
		"ref is a string": {"path": "spec/ref", "value": "latest", "via": "spec.ref", "why": "is a string"},
		"url with tag": {"path": "spec/url", "value": "oci://registry.example.com/charts/web:1.0.0", "via": "spec", "why": "spec.url"},
		"url is https": {"path": "spec/url", "value": "https://registry.example.com/charts/web", "via": "spec", "why": "spec.url"},
		"no url": {"path": "spec/url", "value": null, "via": "spec", "why": "spec.url"},
		"no selector": {"path": "spec/layerSelector", "value": null, "via": "spec.layerSelector", "why": "spec.layerSelector"},
		"empty selector": {"path": "spec/layerSelector", "value": {}, "via": "spec.layerSelector", "why": "spec.layerSelector"},
		"another layer": {"path": "spec/layerSelector/mediaType", "value": "application/vnd.cncf.helm.chart.provenance.v1.prov", "via": "spec.layerSelector", "why": "spec.layerSelector"},
		"extracted": {"path": "spec/layerSelector/operation", "value": "extract", "via": "spec.layerSelector", "why": "operation copy"},
		"default operation": {"path": "spec/layerSelector/operation", "value": "", "via": "spec.layerSelector", "why": "operation copy"},
		"selector is a list": {"path": "spec/layerSelector", "value": [], "via": "spec.layerSelector", "why": "is a list"},
		"spec is null": {"path": "spec", "value": null, "via": "spec", "why": "spec.url"},
		"spec is a string": {"path": "spec", "value": "x", "via": "spec", "why": "is a string"},
	}
	entries_test.refused(flux.sources(_changed(_artifact, case.path, case.value)), case.via, case.why)
}

test_other_kinds if {
	flux.sources(_repository({"url": "https://charts.example.com"})) == []
	entries_test.refused(flux.sources({"kind": "GitRepository"}), "spec", "a folder of a GitRepository")
	entries_test.refused(flux.sources({"kind": "Bucket"}), "spec", "a folder of a Bucket")
	entries_test.refused(flux.sources({"kind": "ExternalArtifact"}), "spec.sourceRef", "stands only in its status")
	entries_test.refused(flux.sources({"kind": "Foo"}), "kind", "is none of Flux that is understood")
	entries_test.refused(flux.sources({"kind": 1}), "kind", "is none of Flux that is understood")
}

test_repositories if {
	flux.repositories(_repository({"url": "https://charts.example.com"})) == [{"via": "spec.url", "url": "https://charts.example.com"}]
	flux.repositories(_artifact) == [{"via": "spec.url", "url": "oci://registry.example.com/charts/web"}]
	flux.repositories(_repository({"url": 1})) == [{"via": "spec.url", "url": ""}]
	flux.repositories(_release) == []
}

test_insecure_itself[name] if {
	some name, case in {
		"insecure": {"resource": _repository({"insecure": true}), "via": "spec.insecure"},
		"passCredentials": {"resource": _repository({"passCredentials": true}), "via": "spec.passCredentials"},
		"a string": {"resource": _repository({"insecure": "false"}), "via": "spec.insecure"},
		"artifact": {"resource": _changed(_artifact, "spec/insecure", true), "via": "spec.insecure"},
	}
	flux.insecure(case.resource) == [{"via": case.via, "why": sprintf("%s is set", [case.via])}]
}

test_secure if {
	flux.insecure(_repository({"insecure": false})) == []
	flux.insecure(_artifact) == []
	flux.insecure({"kind": "ExternalArtifact"}) == []
	flux.insecure(_release) == [] with data.inventory as _indexed
}

_weak := _stored("source.toolkit.fluxcd.io/v1", "HelmRepository", _repository({"insecure": true}))

test_insecure_behind if {
	want := "HelmRepository shop/stable: spec.insecure is set"
	flux.insecure(_release) == [{"via": "spec.chart.spec.sourceRef", "why": want}] with data.inventory as _weak
	flux.insecure(_helm_chart) == [{"via": "spec.sourceRef", "why": want}] with data.inventory as _weak
	artifact := _stored("source.toolkit.fluxcd.io/v1", "OCIRepository", _changed(_artifact, "spec/insecure", true))
	flux.insecure(_referring("OCIRepository")) == [{"via": "spec.chartRef", "why": "OCIRepository shop/web: spec.insecure is set"}] with data.inventory as artifact
	through := object.union(_weak, _stored("source.toolkit.fluxcd.io/v1", "HelmChart", _helm_chart))
	list := flux.insecure(_referring("HelmChart")) with data.inventory as through
	list == [{"via": "spec.chartRef", "why": sprintf("HelmChart shop/web: %s", [want])}]
}
