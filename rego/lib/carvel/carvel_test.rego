package lib.carvel_test

import data.lib.carvel
import data.lib.entries_test

_app(fetch) := {"kind": "App", "spec": {"fetch": fetch, "template": [{"helmTemplate": {}}]}}

_named(over) := {"helmChart": object.union({"name": "web", "version": "1.2.3", "repository": {"url": "https://charts.example.com"}}, over)}

_web := {"repository": "https://charts.example.com", "name": "web", "version": "1.2.3"}

test_app if {
	carvel.sources(_app([_named({})])) == [{"via": "spec.fetch[0].helmChart", "kind": "http", "ref": _web, "pin": "version", "why": ""}]
	entries_test.refs(carvel.sources(_app([object.union(_named({}), {"path": "web", "git": null})]))) == [_web]
}

test_refused[name] if {
	some name, case in {
		"git": {"fetch": [_named({}), {"git": {"url": "https://git.example.com"}}], "via": "spec.fetch[1].git", "why": "spec.fetch[1].git"},
		"http": {"fetch": [{"http": {"url": "https://charts.example.com/web-1.2.3.tgz"}}], "via": "spec.fetch[0].http", "why": "something else"},
		"image": {"fetch": [{"image": {"url": "registry.example.com/web"}}], "via": "spec.fetch[0].image", "why": "something else"},
		"bundle": {"fetch": [{"imgpkgBundle": {"image": "registry.example.com/web"}}], "via": "spec.fetch[0].imgpkgBundle", "why": "something else"},
		"inline": {"fetch": [{"inline": {"paths": {"Chart.yaml": "name: web"}}}], "via": "spec.fetch[0].inline", "why": "holds files"},
		"two in one": {"fetch": [object.union(_named({}), {"git": {}})], "via": "spec.fetch[0].git", "why": "git"},
		"nothing": {"fetch": [{}], "via": "spec.fetch[0]", "why": "fetches nothing"},
		"no object": {"fetch": [1], "via": "spec.fetch[0]", "why": "is a number"},
		"no list": {"fetch": _named({}), "via": "spec.fetch", "why": "is an object"},
		"empty list": {"fetch": [], "via": "spec.fetch", "why": "names no chart"},
		"range": {"fetch": [_named({"version": ">1"})], "via": "spec.fetch[0].helmChart", "why": "version"},
		"no repository": {"fetch": [_named({"repository": null})], "via": "spec.fetch[0].helmChart", "why": "repository.url is missing"},
		"alias": {"fetch": [_named({"name": "stable/web"})], "via": "spec.fetch[0].helmChart", "why": "name"},
		"chart is a string": {"fetch": [{"helmChart": "web"}], "via": "spec.fetch[0].helmChart", "why": "is a string"},
		"version is a number": {"fetch": [_named({"version": 1})], "via": "spec.fetch[0].helmChart.version", "why": "is a number"},
	}
	entries_test.refused(carvel.sources(_app(case.fetch)), case.via, case.why)
}

test_spec_of_other_types if {
	entries_test.refused(carvel.sources({"kind": "App", "spec": 1}), "spec", "is a number")
	entries_test.refused(carvel.sources({"kind": "App"}), "spec.fetch", "names no chart")
}

test_other_kinds if {
	entries_test.refused(carvel.sources({"kind": "Foo"}), "kind", "is none of Carvel")
	carvel.repositories(_app([])) == []
	carvel.insecure(_app([])) == []
}
