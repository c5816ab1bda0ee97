package lib.argocd_test

import data.lib.argocd
import data.lib.entries_test

_source := {"repoURL": "https://charts.example.com", "chart": "web", "targetRevision": "1.2.3"}

_web := {"repository": "https://charts.example.com", "name": "web", "version": "1.2.3"}

_registry := {"repoURL": "oci://registry.example.com/charts/web", "path": ".", "targetRevision": entries_test.digest}

_evil := {"repoURL": "https://evil.example", "chart": "web", "targetRevision": "1.2.3"}

_pinned := sprintf("oci://registry.example.com/charts/web@%s", [entries_test.digest])

_application(spec) := {"apiVersion": "argoproj.io/v1alpha1", "kind": "Application", "spec": spec}

_of(source) := _application({"source": source})

_sync(spec, sync) := object.union(_application(spec), {"operation": {"sync": sync}})

_set(spec) := {"apiVersion": "argoproj.io/v1alpha1", "kind": "ApplicationSet", "spec": spec}

_vias(list) := [entry.via | some entry in list]

test_application if {
	argocd.sources(_of(_source)) == [{"via": "spec.source", "kind": "http", "ref": _web, "pin": "version", "why": ""}]
}

test_spellings[name] if {
	some name, case in {
		"index": {"source": _source, "ref": _web, "pin": "version", "kind": "http"},
		"registry without scheme": {
			"source": {"repoURL": "registry.example.com/charts", "chart": "web", "targetRevision": "1.2.3"},
			"ref": "oci://registry.example.com/charts/web:1.2.3",
			"pin": "version",
			"kind": "oci",
		},
		"registry by version": {
			"source": object.union(_registry, {"targetRevision": "1.2.3"}),
			"ref": "oci://registry.example.com/charts/web:1.2.3",
			"pin": "version",
			"kind": "oci",
		},
		"registry by digest": {"source": _registry, "ref": _pinned, "pin": "digest", "kind": "oci"},
		"values beside": {"source": object.union(_source, {"helm": {"valueFiles": ["a.yaml"]}}), "ref": _web, "pin": "version", "kind": "http"},
	}
	argocd.sources(_of(case.source)) == [{"via": "spec.source", "kind": case.kind, "ref": case.ref, "pin": case.pin, "why": ""}]
}

test_refused[name] if {
	some name, case in {
		"registry and chart": {"source": object.union(_source, {"repoURL": "oci://registry.example.com/charts"}), "via": "spec.source", "why": "chart stands beside a repoURL"},
		"chart and path": {"source": object.union(_source, {"path": "."}), "via": "spec.source", "why": "chart and path"},
		"path": {"source": {"repoURL": "registry.example.com", "path": "charts/web", "targetRevision": "1.2.3"}, "via": "spec.source", "why": "repoURL with a path"},
		"git": {"source": {"repoURL": "https://git.example.com/web.git", "path": "chart"}, "via": "spec.source", "why": "repoURL with a path"},
		"empty chart": {"source": object.union(_source, {"chart": ""}), "via": "spec.source", "why": "repoURL with a path"},
		"chart is a path": {"source": object.union(_source, {"chart": "a/web"}), "via": "spec.source", "why": "chart \"a/web\" is no chart name"},
		"chart is a number": {"source": object.union(_source, {"chart": 1}), "via": "spec.source.chart", "why": "is a number"},
		"range": {"source": object.union(_source, {"targetRevision": "1.*"}), "via": "spec.source", "why": "targetRevision"},
		"no revision": {"source": object.remove(_source, ["targetRevision"]), "via": "spec.source", "why": "targetRevision is missing"},
		"digest by index": {"source": object.union(_source, {"targetRevision": entries_test.digest}), "via": "spec.source", "why": "targetRevision"},
		"revision is a number": {"source": object.union(_source, {"targetRevision": 1.10}), "via": "spec.source.targetRevision", "why": "is a number"},
		"no repository": {"source": object.remove(_source, ["repoURL"]), "via": "spec.source", "why": "repoURL is missing"},
		"no repository and no chart": {"source": {"path": "."}, "via": "spec.source", "why": "repoURL is missing"},
		"empty": {"source": {}, "via": "spec.source", "why": "repoURL is missing"},
		"ssh": {"source": object.union(_source, {"repoURL": "ssh://git.example.com/web"}), "via": "spec.source", "why": "repoURL"},
		"folder of an artifact": {"source": object.union(_registry, {"path": "charts/web"}), "via": "spec.source", "why": "path is a folder"},
		"no path": {"source": object.remove(_registry, ["path"]), "via": "spec.source", "why": "path"},
		"latest": {"source": object.union(_registry, {"targetRevision": "latest"}), "via": "spec.source", "why": "targetRevision"},
		"partial version": {"source": object.union(_registry, {"targetRevision": "1.2"}), "via": "spec.source", "why": "targetRevision"},
		"registry without revision": {"source": object.remove(_registry, ["targetRevision"]), "via": "spec.source", "why": "targetRevision"},
		"short digest": {"source": object.union(_registry, {"targetRevision": "sha256:00"}), "via": "spec.source", "why": "targetRevision"},
		"registry with tag": {"source": object.union(_registry, {"repoURL": "oci://registry.example.com/charts/web:1.0.0"}), "via": "spec.source", "why": "repoURL"},
		"kustomize": {"source": object.union(_source, {"kustomize": {}}), "via": "spec.source.kustomize", "why": "kustomize"},
		"plugin": {"source": object.union(_source, {"plugin": {"name": "x"}}), "via": "spec.source.plugin", "why": "plugin"},
		"directory": {"source": object.union(_source, {"directory": {"recurse": true}}), "via": "spec.source.directory", "why": "directory"},
		"template": {"source": object.union(_source, {"repoURL": "https://{{x}}"}), "via": "spec.source.repoURL", "why": "template"},
		"a string": {"source": "web", "via": "spec.source", "why": "is a string, want an object"},
		"ref alone, with no other source": {"source": {"repoURL": "https://git.example.com/values.git", "ref": "values"}, "via": "spec.source", "why": "repoURL"},
		"null": {"source": null, "via": "spec", "why": "spec names no chart"},
	}
	entries_test.refused(argocd.sources(_of(case.source)), case.via, case.why)
}

# Sources win over the source, yet a change of one field would turn that round.
test_bad_sources_beside_good_source if {
	list := argocd.sources(_application({"source": _source, "sources": [_source, object.union(_evil, {"chart": "../evil"})]}))
	_vias(list) == ["spec.source", "spec.sources[0]", "spec.sources[1]"]
	entries_test.refused(list, "spec.sources[1]", "chart")
}

test_every_source_is_there if {
	list := argocd.sources(_application({"source": _source, "sources": [_registry, _evil]}))
	[ref | some ref in entries_test.refs(list)] == [_web, _pinned, object.union(_web, {"repository": "https://evil.example"})]
}

test_values_only if {
	values := {"repoURL": "https://git.example.com/values.git", "targetRevision": "main", "ref": "values"}
	_vias(argocd.sources(_application({"sources": [_source, values]}))) == ["spec.sources[0]"]
	entries_test.refused(argocd.sources(_application({"sources": [values]})), "spec", "spec names no chart")
}

test_ref_that_deploys[name] if {
	some name, over in {"path": {"path": "web"}, "chart": {"chart": "../web"}, "plugin": {"plugin": {}}, "helm": {"helm": {}}}
	values := object.union({"repoURL": "https://git.example.com/values.git", "ref": "values"}, over)
	list := argocd.sources(_application({"sources": [_source, values]}))
	"spec.sources[1]" in _vias(list)
	entries_test.refused(list, "spec.sources[1]", "")
}

test_shapes_refused[name] if {
	some name, case in {
		"sources is an object": {"spec": {"sources": {"a": _source}}, "via": "spec.sources", "why": "is an object, want a list"},
		"item is null": {"spec": {"sources": [null]}, "via": "spec.sources[0]", "why": "is missing, want an object"},
		"empty list": {"spec": {"sources": []}, "via": "spec", "why": "names no chart"},
		"nothing": {"spec": {}, "via": "spec", "why": "names no chart"},
		"no spec": {"spec": null, "via": "spec", "why": "names no chart"},
		"spec is a list": {"spec": [], "via": "spec", "why": "is a list"},
		"hydrator": {"spec": {"source": _source, "sourceHydrator": {"drySource": {}}}, "via": "spec.sourceHydrator", "why": "spec.sourceHydrator deploys from git"},
		"hydrator of another type": {"spec": {"source": _source, "sourceHydrator": 1}, "via": "spec.sourceHydrator", "why": "git"},
	}
	entries_test.refused(argocd.sources(_application(case.spec)), case.via, case.why)
}

test_hundred if {
	list := argocd.sources(_application({"source": _source, "sources": [_source | some _ in numbers.range(1, 100)]}))
	entries_test.refused(list, "spec.sources", "holds 100 items")
}

test_operations[name] if {
	some name, case in {
		"revision": {"spec": {"source": _source}, "sync": {"revision": "2.0.0"}, "via": "operation.sync.revision", "version": "2.0.0"},
		"same revision": {"spec": {"source": _source}, "sync": {"revision": "1.2.3"}, "via": "operation.sync.revision", "version": "1.2.3"},
		"source": {"spec": {"source": _source}, "sync": {"source": object.union(_source, {"targetRevision": "2.0.0"})}, "via": "operation.sync.source", "version": "2.0.0"},
		"sources": {"spec": {"source": _source}, "sync": {"sources": [object.union(_source, {"targetRevision": "2.0.0"})]}, "via": "operation.sync.sources[0]", "version": "2.0.0"},
		"revisions": {"spec": {"sources": [_source]}, "sync": {"revisions": ["2.0.0"]}, "via": "operation.sync.revisions[0]", "version": "2.0.0"},
		"empty revision": {"spec": {"sources": [_source]}, "sync": {"revisions": [""]}, "via": "operation.sync.revisions[0]", "version": "1.2.3"},
		"revision of its own source": {"spec": {"source": _registry}, "sync": {"source": _source, "revision": "2.0.0"}, "via": "operation.sync.revision", "version": "2.0.0"},
		"revisions of its own sources": {"spec": {"source": _registry}, "sync": {"sources": [_source], "revisions": ["2.0.0"]}, "via": "operation.sync.revisions[0]", "version": "2.0.0"},
	}
	some entry in argocd.sources(_sync(case.spec, case.sync))
	entry.via == case.via
	entry.ref == object.union(_web, {"version": case.version})
}

test_operation_without_effect if {
	count(argocd.sources(_sync({"source": _source}, {"prune": true, "manifests": [], "revision": ""}))) == 1
}

# What an automatic sync asks for, since tags are resolved by then.
test_operation_by_digest if {
	list := argocd.sources(_sync({"source": object.union(_registry, {"targetRevision": "1.2.3"})}, {"revision": entries_test.digest}))
	entries_test.refs(list) == ["oci://registry.example.com/charts/web:1.2.3", _pinned]
}

test_operations_refused[name] if {
	some name, case in {
		"manifests": {"sync": {"manifests": ["kind: Pod"]}, "via": "operation.sync.manifests", "why": "operation.sync.manifests"},
		"manifests is a string": {"sync": {"manifests": "kind: Pod"}, "via": "operation.sync.manifests", "why": "operation.sync.manifests"},
		"range": {"sync": {"revision": "2.x"}, "via": "operation.sync.revision", "why": "targetRevision"},
		"revision is a number": {"sync": {"revision": 2}, "via": "operation.sync.revision", "why": "is a number"},
		"revisions is a string": {"sync": {"revisions": "2.0.0"}, "via": "operation.sync.revisions", "why": "is a string"},
		"no source to revise": {"sync": {"revisions": ["2.0.0"]}, "via": "operation.sync.revisions[0]", "why": "is about no source"},
		"no string": {"sync": {"sources": [_source], "revisions": [2]}, "via": "operation.sync.revisions[0]", "why": "is a number"},
		"no object to revise": {"sync": {"sources": [1], "revisions": ["2.0.0"]}, "via": "operation.sync.revisions[0]", "why": "is about no source"},
		"bad source": {"sync": {"source": {"repoURL": "https://git.example.com"}}, "via": "operation.sync.source", "why": "repoURL"},
		"source is a string": {"sync": {"source": "web"}, "via": "operation.sync.source", "why": "is a string"},
		"second source": {"sync": {"sources": [_source, {}]}, "via": "operation.sync.sources[1]", "why": "repoURL is missing"},
		"sync is a list": {"sync": [], "via": "operation.sync", "why": "is a list"},
	}
	list := argocd.sources(_sync({"source": _source}, case.sync))
	entries_test.refused(list, case.via, case.why)
	_web in entries_test.refs(list)
}

test_revision_of_several if {
	list := argocd.sources(_sync({"source": _source, "sources": [_source]}, {"revision": "2.0.0"}))
	entries_test.refused(list, "operation.sync.revision", "about no source, or about several")
}

test_operation_is_no_object if {
	entries_test.refused(argocd.sources(object.union(_of(_source), {"operation": "sync"})), "operation", "is a string")
}

test_set if {
	argocd.sources(_set({"template": {"spec": {"source": _source}}})) == [{"via": "spec.template.spec.source", "kind": "http", "ref": _web, "pin": "version", "why": ""}]
}

test_set_with_generators if {
	spec := {
		"template": {"spec": {"sources": [_source]}},
		"generators": [{"list": {"elements": [{"a": 1, "template": {"spec": {"source": 1}}}], "template": {"metadata": {}, "spec": {"destination": {}, "project": ""}}}}],
	}
	_vias(argocd.sources(_set(spec))) == ["spec.template.spec.sources[0]"]
}

test_sets_refused[name] if {
	good := {"template": {"spec": {"source": _source}}}
	some name, case in {
		"template": {"over": {"template": {"spec": {"source": object.union(_source, {"targetRevision": "{{ .version }}"})}}}, "via": "spec.template.spec.source.targetRevision", "why": "template"},
		"fast template": {"over": {"template": {"spec": {"source": object.union(_source, {"chart": "{{name}}"})}}}, "via": "spec.template.spec.source.chart", "why": "template"},
		"patch": {"over": {"templatePatch": "spec: {}"}, "via": "spec.templatePatch", "why": "spec.templatePatch"},
		"patch is a list": {"over": {"templatePatch": [1]}, "via": "spec.templatePatch", "why": "spec.templatePatch"},
		"generator": {
			"over": {"generators": [{"list": {"template": {"spec": {"source": {"targetRevision": "2.0.0"}}}}}]},
			"via": "spec.generators[0].list.template.spec.source",
			"why": "repoURL is missing",
		},
		"nested generator": {
			"over": {"generators": [{}, {"matrix": {"generators": [{"git": {"template": {"spec": {"sources": [1]}}}}]}}]},
			"via": "spec.generators[1].matrix.generators[0].git.template.spec.sources[0]",
			"why": "is a number",
		},
		"spec of a generator": {"over": {"generators": [{"list": {"template": {"spec": "x"}}}]}, "via": "spec.generators[0].list.template.spec", "why": "is a string"},
		"many templates": {
			"over": {"generators": [{"merge": {"generators": [{"list": {"template": {"spec": {"source": _source}}}} | some _ in numbers.range(1, 65)]}}]},
			"via": "spec.generators",
			"why": "hold 65 templates",
		},
		"template below any name": {
			"over": {"generators": [{"a\nb": {"template": {"spec": {"source": {}}}}}]},
			"via": "spec.generators.source",
			"why": "repoURL is missing",
		},
		"generators is an object": {"over": {"generators": {}}, "via": "spec.generators", "why": "is an object"},
		"template is a string": {"over": {"template": "x"}, "via": "spec.template", "why": "is a string"},
		"no template": {"over": {"template": null}, "via": "spec.template.spec", "why": "names no chart"},
	}
	entries_test.refused(argocd.sources(_set(object.union(good, case.over))), case.via, case.why)
}

test_set_without_spec if {
	entries_test.refused(argocd.sources(_set(null)), "spec.template.spec", "names no chart")
	entries_test.refused(argocd.sources(_set(1)), "spec", "is a number")
}

test_generator_that_names_another if {
	spec := {"template": {"spec": {"source": _source}}, "generators": [{"list": {"template": {"spec": {"source": _evil}}}}]}
	{ref.repository | some ref in entries_test.refs(argocd.sources(_set(spec)))} == {"https://charts.example.com", "https://evil.example"}
}

test_generators_within_generators_named if {
	template := {"spec": {"source": _evil}}
	every generator in [
		{"matrix": {"template": template, "generators": []}},
		{"matrix": {"generators": [{}, 1, {"list": 1, "git": {"template": template}}]}},
		{"merge": {"generators": [{"matrix": {"generators": [{"list": {"template": template}}]}}]}},
	] {
		spec := {"template": {"spec": {"source": _source}}, "generators": [{"list": {"generators": 1}}, generator]}
		{ref.repository | some ref in entries_test.refs(argocd.sources(_set(spec)))} == {"https://charts.example.com", "https://evil.example"}
	}
}

test_other_kinds if {
	entries_test.refused(argocd.sources({"kind": "Workflow"}), "kind", "is none of Argo CD")
	argocd.insecure({"kind": "Workflow"}) == []
	argocd.repositories(_of(_source)) == []
}

test_insecure if {
	weak := object.union(_source, {"helm": {"passCredentials": true}})
	argocd.insecure(_of(weak)) == [{"via": "spec.source.helm.passCredentials", "why": "spec.source.helm.passCredentials is set"}]
	argocd.insecure(_of(_source)) == []
	[entry.via | some entry in argocd.insecure(_sync({"sources": [weak]}, {"source": weak}))] == ["spec.sources[0].helm.passCredentials", "operation.sync.source.helm.passCredentials"]
	generators := [{"list": {"template": {"spec": {"source": weak}}}}]
	[entry.via | some entry in argocd.insecure(_set({"template": {"spec": {"source": weak}}, "generators": generators}))] == [
		"spec.template.spec.source.helm.passCredentials",
		"spec.generators[0].list.template.spec.source.helm.passCredentials",
	]
}

_credential(over) := object.union(
	{"apiVersion": "v1", "kind": "Secret", "metadata": {"labels": {"argocd.argoproj.io/secret-type": "repository"}}},
	over,
)

test_credentials[name] if {
	some name, case in {
		"encoded": {"over": {"data": {"url": "aHR0cHM6Ly9jaGFydHMuZXhhbXBsZS5jb20="}}, "url": "https://charts.example.com"},
		"plain": {"over": {"stringData": {"url": "https://charts.example.com"}}, "url": "https://charts.example.com"},
		"plain wins": {"over": {"stringData": {"url": "https://charts.example.com"}, "data": {"url": "eA=="}}, "url": "https://charts.example.com"},
		"unreadable": {"over": {"data": {"url": "%"}}, "url": "%"},
		"absent": {"over": {}, "url": ""},
	}
	argocd.repositories(_credential(case.over)) == [{"via": "data.url", "url": case.url}]
}

test_insecure_credentials if {
	argocd.insecure(_credential({"data": {"insecure": "dHJ1ZQ=="}})) == [{"via": "data.insecure", "why": "data.insecure is set"}]
	argocd.insecure(_credential({"stringData": {"insecureOCIForceHttp": "true"}})) == [{"via": "data.insecureOCIForceHttp", "why": "data.insecureOCIForceHttp is set"}]
	argocd.insecure(_credential({"stringData": {"insecure": "false"}})) == []
}

test_other_secrets if {
	argocd.credential({"apiVersion": "v1", "kind": "Secret", "metadata": {}}) == false
	argocd.credential(_credential({"metadata": {"labels": {"argocd.argoproj.io/secret-type": "cluster"}}})) == false
}
