package lib.k3s_test

import data.lib.entries_test
import data.lib.k3s

_release(over) := {
	"apiVersion": "helm.cattle.io/v1",
	"kind": "HelmChart",
	"spec": object.union({"repo": "https://charts.example.com", "chart": "web", "version": "1.2.3"}, over),
}

_web := {"repository": "https://charts.example.com", "name": "web", "version": "1.2.3"}

test_named if {
	k3s.sources(_release({})) == [{"via": "spec.chart", "kind": "http", "ref": _web, "pin": "version", "why": ""}]
	entries_test.refs(k3s.sources(_release({"jobImage": "", "chartContent": ""}))) == [_web]
}

test_spellings[ref] if {
	some ref, over in {
		"oci://registry.example.com/charts/web:1.2.3": {"repo": "", "chart": "oci://registry.example.com/charts/web"},
		"https://charts.example.com/web-1.2.3.tgz": {"repo": null, "chart": "https://charts.example.com/web-1.2.3.tgz", "version": ""},
	}
	list := k3s.sources(_release(over))
	every entry in list {
		entries_test.well_formed(entry)
		entry.pin == "version"
	}
	entries_test.refs(list) == [ref]
}

test_refused[name] if {
	some name, case in {
		"range": {"over": {"version": "^1"}, "via": "spec.chart", "why": "spec.version"},
		"no version": {"over": {"version": ""}, "via": "spec.chart", "why": "spec.version is missing"},
		"version is a number": {"over": {"version": 1.10}, "via": "spec.version", "why": "is a number"},
		"no repository": {"over": {"repo": ""}, "via": "spec.repo", "why": "spec.repo"},
		"repository is a registry": {"over": {"repo": "oci://registry.example.com"}, "via": "spec.repo", "why": "spec.repo"},
		"alias": {"over": {"repo": "", "chart": "stable/web"}, "via": "spec.repo", "why": "spec.repo"},
		"path": {"over": {"chart": "../web"}, "via": "spec.chart", "why": "spec.chart"},
		"no chart": {"over": {"chart": ""}, "via": "spec.chart", "why": "spec.chart is missing"},
		"chart is a list": {"over": {"chart": ["web"]}, "via": "spec.chart", "why": "is a list"},
		"registry and repository": {"over": {"chart": "oci://registry.example.com/web"}, "via": "spec.repo", "why": "spec.repo"},
		"registry with tag": {"over": {"repo": "", "chart": "oci://registry.example.com/web:1.0.0"}, "via": "spec.chart", "why": "spec.chart"},
		"registry without version": {"over": {"repo": "", "chart": "oci://registry.example.com/web", "version": ""}, "via": "spec.chart", "why": "spec.version"},
		"registry with tag for version": {"over": {"repo": "", "chart": "oci://registry.example.com/web", "version": "stable"}, "via": "spec.chart", "why": "spec.version"},
		"URL and repository": {"over": {"chart": "https://evil.example/web-1.2.3.tgz"}, "via": "spec.repo", "why": "spec.repo"},
		"API server": {"over": {"repo": "", "chart": "https://%{KUBERNETES_API}%/static/charts/web-1.2.3.tgz"}, "via": "spec.chart", "why": "spec.chart is served by the API server"},
		"another scheme": {"over": {"repo": "", "chart": "ftp://evil.example/web-1.2.3.tgz"}, "via": "spec.chart", "why": "spec.chart"},
		"job image": {"over": {"jobImage": "evil.example/job"}, "via": "spec.jobImage", "why": "spec.jobImage runs"},
		"content": {"over": {"chartContent": "dGVzdA=="}, "via": "spec.chartContent", "why": "spec.chartContent"},
		"content is a number": {"over": {"chartContent": 1}, "via": "spec.chartContent", "why": "is a number, want a string"},
		"content is a list": {"over": {"chartContent": ["dGVzdA=="]}, "via": "spec.chartContent", "why": "is a list"},
	}
	entries_test.refused(k3s.sources(_release(case.over)), case.via, case.why)
}

# Both places count, though the content wins today.
test_content_beside_name if {
	list := k3s.sources(_release({"chartContent": "dGVzdA=="}))
	entries_test.refs(list) == [_web]
	[entry.digest | some entry in list; entry.kind == "inline"] == [entries_test.digest]
}

test_content_alone if {
	list := k3s.sources(_release({"chart": "", "repo": "", "chartContent": "dGVzdA=="}))
	[entry.digest | some entry in list] == [entries_test.digest]
}

test_content_that_is_none if {
	list := k3s.sources(_release({"chart": "", "chartContent": "%%%"}))
	[entry.digest | some entry in list] == [""]
}

test_spec_missing if {
	entries_test.refused(k3s.sources({"kind": "HelmChart"}), "spec.repo", "spec.repo")
	entries_test.refused(k3s.sources({"kind": "HelmChart", "spec": 1}), "spec", "is a number")
}

test_other_kinds if {
	k3s.sources({"kind": "HelmChartConfig", "spec": {"valuesContent": "a: 1"}}) == []
	entries_test.refused(k3s.sources({"kind": "Addon"}), "kind", "is none of k3s")
	k3s.repositories(_release({})) == []
}

test_insecure if {
	k3s.insecure(_release({"plainHTTP": true})) == [{"via": "spec.plainHTTP", "why": "spec.plainHTTP is set"}]
	count(k3s.insecure(_release({"insecureSkipTLSVerify": true}))) == 1
	k3s.insecure(_release({"plainHTTP": false})) == []
}
