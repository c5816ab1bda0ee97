package lib.entries_test

import data.lib.entries

digest := "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"

# What tests of installers ask of lists of entries.

refs(list) := [entry.ref | some entry in list; entry.ref != null]

refused(list, via, why) if {
	some entry in list
	well_formed(entry)
	entry.ref == null
	entry.via == via
	contains(entry.why, why)
}

well_formed(entry) if {
	object.keys(object.remove(entry, ["digest"])) == {"via", "kind", "ref", "pin", "why"}
	entry.kind in {"oci", "http", "git", "inline", "indirect", "unknown"}
	entry.pin in {"digest", "version", "none"}
	is_string(entry.via)
	_referred(entry)
	_digested(entry)
}

_referred(entry) if {
	entry.ref == null
	is_string(entry.why)
	entry.why != ""
}

_referred(entry) if {
	type_name(entry.ref) in {"string", "object"}
	entry.why == ""
	entry.kind in {"oci", "http"}
}

_digested(entry) if {
	entry.kind != "inline"
	not "digest" in object.keys(entry)
}

_digested(entry) if {
	entry.kind == "inline"
	regex.match(`^(sha256:[0-9a-f]{64})?$`, entry.digest)
}

_place(changed) := object.union(
	{
		"via": "spec",
		"repository": "https://charts.example.com",
		"name": "web",
		"version": "1.2.3",
		"fields": {"repository": "repo", "name": "name", "version": "version"},
	},
	changed,
)

test_named_by_index if {
	entries.named(_place({})) == {
		"via": "spec",
		"kind": "http",
		"ref": {"repository": "https://charts.example.com", "name": "web", "version": "1.2.3"},
		"pin": "version",
		"why": "",
	}
}

test_named_by_registry[address] if {
	some address, want in {
		"oci://registry.example.com/charts": "oci://registry.example.com/charts/web:1.2.3",
		"oci://registry.example.com/charts/": "oci://registry.example.com/charts/web:1.2.3",
		"oci://registry.example.com:5000": "oci://registry.example.com:5000/web:1.2.3",
	}
	entry := entries.named(_place({"repository": address}))
	well_formed(entry)
	entry.kind == "oci"
	entry.ref == want
}

# What follows would else make a good reference of a bad address, or another one.
test_bad_addresses[address] if {
	some address, why in {
		"": "repo is missing",
		"charts.example.com": "is no address of a chart repository",
		"ftp://charts.example.com": "is no address of a chart repository",
		"OCI://registry.example.com": "is no address of a chart repository",
		"git::https://charts.example.com": "is no address of a chart repository",
		"oci://": "holds more than a repository",
		"oci:///charts": "holds more than a repository",
		"oci://registry.example.com/charts:1.0": "holds more than a repository",
		"oci://registry.example.com/charts@sha256:00": "holds more than a repository",
		"oci://registry.example.com/charts?x=": "holds more than a repository",
		"oci://registry.example.com/charts#": "holds more than a repository",
		"oci://registry.example.com?x": "holds more than a repository",
	}
	refused([entries.named(_place({"repository": address}))], "spec", why)
}

test_bad_names[name] if {
	some name in ["a/b", "/web", "web/", ".", "..", "../web", "oci://registry.example.com/web", "https://evil.example/web-1.2.3.tgz", "web:1", "web@1", "we b", "web\n", "we\u0431", `a\b`, "%2e"]
	refused([entries.named(_place({"name": name}))], "spec", "is no chart name")
}

test_name_missing if refused([entries.named(_place({"name": ""}))], "spec", "name is missing")

test_bad_versions[version] if {
	some version in [
		"*", "1", "1.2", "1.2.x", "^1.2.3", "~1.2.3", ">0-0", ">=1.2.3", "1.2.3 - 2.0.0", "1.2.3 || 2.0.0", "=1.2.3", "latest",
		" 1.2.3", "1.2.3 ", "1.2.3\n", " ", "1e3", "01.2.3", "1.2.3-01", "vv1.2.3", "V1.2.3", "1.2.3_b", "1.2.3+", "1.2.3-",
		"1.2.3@sha256:00", "1.2.3:1", "1.2.3/x", "HEAD",
	]
	entry := entries.named(_place({"version": version}))
	entry.pin == "none"
	refused([entry], "spec", "is not one exact version")
}

test_version_missing if refused([entries.named(_place({"version": ""}))], "spec", "version is missing, so the latest is taken")

test_good_versions[version] if {
	some version in ["1.2.3", "v1.2.3", "0.0.0", "1.2.3-rc.1", "1.2.3+b.1", "1.2.3-a-b.0a+001"]
	entries.named(_place({"version": version})).pin == "version"
}

_artifact(changed) := entries.artifact(object.union(
	{
		"via": "spec",
		"repository": "oci://registry.example.com/charts/web",
		"tag": "",
		"digest": "",
		"fields": {"repository": "url", "tag": "tag", "digest": "digest"},
	},
	changed,
))

test_artifacts[ref] if {
	some ref, case in {
		"oci://registry.example.com/charts/web:1.2.3": {"tag": "1.2.3", "pin": "version"},
		"oci://registry.example.com/charts/web:1.2.3+b": {"tag": "1.2.3+b", "pin": "version"},
		"oci://registry.example.com/charts/web:stable": {"tag": "stable", "pin": "none"},
		sprintf("oci://registry.example.com/charts/web@%s", [digest]): {"digest": digest, "pin": "digest"},
		sprintf("oci://registry.example.com/charts/web:1.2.3@%s", [digest]): {"tag": "1.2.3", "digest": digest, "pin": "digest"},
		sprintf("oci://registry.example.com/charts/web:latest@%s", [digest]): {"tag": "latest", "digest": digest, "pin": "digest"},
	}
	entry := _artifact(case)
	well_formed(entry)
	entry.ref == ref
	entry.pin == case.pin
}

test_bad_artifacts[name] if {
	some name, case in {
		"neither": {"over": {}, "why": "tag is missing or latest"},
		"latest": {"over": {"tag": "latest"}, "why": "tag is missing or latest"},
		"Latest": {"over": {"tag": "Latest"}, "why": "tag is missing or latest"},
		"digest in tag": {"over": {"tag": sprintf("1.2.3@%s", [digest])}, "why": "is no tag"},
		"tag with +": {"over": {"tag": "stable+1"}, "why": "is no tag"},
		"range": {"over": {"tag": ">=1.2.3"}, "why": "is no tag"},
		"upper case": {"over": {"digest": upper(digest)}, "why": "is not sha256:"},
		"sha512": {"over": {"digest": "sha512:00"}, "why": "is not sha256:"},
		"short": {"over": {"tag": "1.2.3", "digest": substring(digest, 0, 70)}, "why": "is not sha256:"},
		"tag behind": {"over": {"digest": sprintf("%s:1.2.3", [digest])}, "why": "is not sha256:"},
		"index": {"over": {"repository": "https://registry.example.com/web", "tag": "1.2.3"}, "why": "is no repository in a registry"},
		"no repository": {"over": {"repository": "", "tag": "1.2.3"}, "why": "is no repository in a registry"},
		"tag in repository": {"over": {"repository": "oci://registry.example.com/web:1.0.0", "digest": digest}, "why": "holds more than a repository"},
	}
	entry := _artifact(case.over)
	entry.kind == "oci"
	refused([entry], "spec", case.why)
}

test_archives[url] if {
	some url, pin in {
		"https://charts.example.com/web-1.2.3.tgz": "version",
		"https://charts.example.com/a/web-v1.2.3-rc.1+b.tgz?token=x": "version",
		"https://charts.example.com/web-latest.tgz": "none",
		"https://charts.example.com/web-1.2.3.tgz/web.tgz": "none",
		"https://charts.example.com/web.tgz?web-1.2.3.tgz": "none",
	}
	entry := entries.archive("spec", "url", url)
	well_formed(entry)
	entry.ref == url
	entry.pin == pin
}

test_no_archives[url] if {
	some url in ["", "https://charts.example.com", "https://charts.example.com/", "ftp://charts.example.com/a.tgz", "web", "git::https://h/a", "https:///a.tgz", "https://h?/a.tgz", "HTTPS://h/a.tgz"]
	refused([entries.archive("spec", "url", url)], "spec", "is no URL of an archive")
}

test_parts[ref] if {
	some ref, want in {
		"oci://h:5000/a/web:1.2.3": ["oci://h:5000/a/web", "1.2.3", ""],
		"oci://h:5000/a/web": ["oci://h:5000/a/web", "", ""],
		"oci://h/web:1@sha256:00": ["oci://h/web", "1", "sha256:00"],
		"oci://h/web@x@y:z": ["oci://h/web", "", "x@y:z"],
		"": ["", "", ""],
	}
	entries.parts(ref) == want
}

test_digest if {
	entries.digest("dGVzdA==") == digest
	every encoded in ["dGVzdA", "dGVzdB==", "dGVz\ndA==", "%", "dGVzdA==="] {
		entries.digest(encoded) == ""
	}
}

test_inline if {
	entry := entries.inline("spec", entries.digest("dGVzdA=="), "why")
	well_formed(entry)
	entry.digest == digest
}

test_first_of_lists if {
	entries.first([[], [1], [2]]) == [1]
	entries.first([[], []]) == []
	entries.all([[1], [], [2]]) == [1, 2]
}

test_weakened if {
	places := {"spec": {"insecure", "plainHTTP"}, "spec.tls": {"skip"}}
	entries.weakened({"spec": {"insecure": true}}, "a", places) == [{"via": "a.spec.insecure", "why": "a.spec.insecure is set"}]
	entries.weakened({"spec": {"tls": {"skip": 1}}}, "", places) == [{"via": "spec.tls.skip", "why": "spec.tls.skip is set"}]
	count(entries.weakened({"spec": {"insecure": "false"}}, "", places)) == 1
	every value in [{"spec": {"insecure": false}}, {"spec": {"other": true}}, {"spec": ["insecure"]}, {"insecure": true}, 1] {
		entries.weakened(value, "", places) == []
	}
}

test_faults if refused(entries.faults({"a": 1}, "spec", {"string": [["a"]]}), "spec.a", "is a number, want a string")
