package lib.crossplane_test

import data.lib.crossplane
import data.lib.entries_test

_named := {"repository": "https://charts.example.com", "name": "web", "version": "1.2.3"}

_registry := {"repository": "oci://registry.example.com/charts", "name": "web", "version": "1.2.3"}

_release(spec) := {"kind": "Release", "spec": {"forProvider": {"chart": spec}}}

test_named if {
	crossplane.sources(_release(_named)) == [{"via": "spec.forProvider.chart", "kind": "http", "ref": _named, "pin": "version", "why": ""}]
}

test_spellings[ref] if {
	some ref, case in {
		"oci://registry.example.com/charts/web:1.2.3": {"spec": _registry, "pin": "version"},
		sprintf("oci://registry.example.com/charts/web:1.2.3@%s", [entries_test.digest]): {"spec": object.union(_registry, {"digest": entries_test.digest}), "pin": "digest"},
		sprintf("oci://registry.example.com/charts/web@%s", [entries_test.digest]): {"spec": object.union(_registry, {"version": "", "digest": entries_test.digest}), "pin": "digest"},
		"https://charts.example.com/web-1.2.3.tgz": {"spec": {"url": "https://charts.example.com/web-1.2.3.tgz"}, "pin": "version"},
		"oci://registry.example.com/web:1.2.3": {"spec": {"url": "oci://registry.example.com/web:1.2.3"}, "pin": "version"},
		sprintf("oci://registry.example.com/web@%s", [entries_test.digest]): {"spec": {"url": sprintf("oci://registry.example.com/web@%s", [entries_test.digest])}, "pin": "digest"},
	}
	[entry] := crossplane.sources(_release(case.spec))
	entries_test.well_formed(entry)
	entry.ref == ref
	entry.pin == case.pin
}

# The URL wins today; the name would, were it taken away.
test_url_beside_name if {
	list := crossplane.sources(_release(object.union(_named, {"url": "https://evil.example/web-1.2.3.tgz"})))
	entries_test.refs(list) == ["https://evil.example/web-1.2.3.tgz", _named]
}

test_refused[name] if {
	some name, case in {
		"bad url beside name": {"spec": object.union(_named, {"url": "ftp://evil.example/web.tgz"}), "via": "spec.forProvider.chart.url", "why": "url"},
		"good url beside bad name": {"spec": object.union(_named, {"name": "../web", "url": "https://charts.example.com/web-1.2.3.tgz"}), "via": "spec.forProvider.chart", "why": "name"},
		"url without tag": {"spec": {"url": "oci://registry.example.com/web"}, "via": "spec.forProvider.chart.url", "why": "tag of url"},
		"url and digest": {"spec": {"url": "oci://registry.example.com/web:1.2.3", "digest": entries_test.digest}, "via": "spec.forProvider.chart.url", "why": "digest stands beside a url"},
		"range": {"spec": object.union(_named, {"version": ">=1"}), "via": "spec.forProvider.chart", "why": "version"},
		"range beside digest": {"spec": object.union(_registry, {"version": "1.x", "digest": entries_test.digest}), "via": "spec.forProvider.chart", "why": "version"},
		"short digest": {"spec": object.union(_registry, {"digest": "sha256:00"}), "via": "spec.forProvider.chart", "why": "digest"},
		"name beside digest": {"spec": object.union(_registry, {"name": "a/b", "digest": entries_test.digest}), "via": "spec.forProvider.chart", "why": "name"},
		"digest in version": {"spec": object.union(_registry, {"version": sprintf("1.2.3@%s", [entries_test.digest])}), "via": "spec.forProvider.chart", "why": "version"},
		"no version": {"spec": object.remove(_named, ["version"]), "via": "spec.forProvider.chart", "why": "version is missing"},
		"name is a number": {"spec": object.union(_named, {"name": 1}), "via": "spec.forProvider.chart.name", "why": "is a number"},
		"url is a list": {"spec": object.union(_named, {"url": ["https://evil.example/a.tgz"]}), "via": "spec.forProvider.chart.url", "why": "is a list"},
		"empty": {"spec": {}, "via": "spec.forProvider.chart", "why": "repository is missing"},
		"null": {"spec": null, "via": "spec.forProvider.chart", "why": "repository is missing"},
		"a string": {"spec": "web", "via": "spec.forProvider.chart", "why": "is a string"},
	}
	entries_test.refused(crossplane.sources(_release(case.spec)), case.via, case.why)
}

test_spec_of_other_types if {
	entries_test.refused(crossplane.sources({"kind": "Release", "spec": 1}), "spec", "is a number")
	entries_test.refused(crossplane.sources({"kind": "Release", "spec": {"forProvider": []}}), "spec.forProvider", "is a list")
	entries_test.refused(crossplane.sources({"kind": "Release"}), "spec.forProvider.chart", "repository is missing")
}

test_digest_by_index_pins_nothing if {
	[entry] := crossplane.sources(_release(object.union(_named, {"digest": entries_test.digest})))
	entry.pin == "version"
	entry.ref == _named
}

test_other_kinds if {
	entries_test.refused(crossplane.sources({"kind": "ProviderConfig"}), "kind", "is none of Crossplane")
	crossplane.repositories(_release(_named)) == []
}

test_insecure if {
	weak := {"kind": "Release", "spec": {"forProvider": {"chart": _named, "plainHTTP": true}}}
	crossplane.insecure(weak) == [{"via": "spec.forProvider.plainHTTP", "why": "spec.forProvider.plainHTTP is set"}]
	crossplane.insecure(_release(_named)) == []
}
