package lib.refs_test

import data.lib.refs

# That the answers are chartref's is shown in Go, for many more references.

_digest := "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"

test_tag_and_digest if {
	refs.parse(concat("", ["OCI://Registry.Example.com:443/charts/web:1.2.3+b.7@", _digest])) == {
		"ok": true,
		"reason": "",
		"ref": concat("", ["oci://registry.example.com/charts/web:1.2.3_b.7@", _digest]),
		"kind": "oci",
		"scheme": "oci",
		"host": "registry.example.com",
		"path": ["charts", "web"],
		"tag": "1.2.3_b.7",
		"digest": _digest,
		"name": "web",
		"version": "1.2.3+b.7",
	}
}

test_tag_or_digest if {
	tagged := refs.parse("oci://h.example:5000/web:latest")
	[tagged.tag, tagged.digest, tagged.version, tagged.host] == ["latest", "", "", "h.example:5000"]
	pinned := refs.parse(concat("", ["oci://h.example/web@", _digest]))
	[pinned.tag, pinned.digest, pinned.version] == ["", _digest, ""]
	not refs.parse("oci://h.example/web").ok
	not refs.parse("oci://h.example/web@sha256:00").ok
	not refs.parse("oci://h.example/web:1@sha256:00").ok
	not refs.parse("oci://h.example/web:1.2+b").ok
}

test_archive_url if {
	refs.parse("HTTPS://Charts.example.com:443/a%20b/c%2Dd/web.tgz?token=x") == {
		"ok": true,
		"reason": "",
		"ref": "https://charts.example.com/a%20b/c%2Dd/web.tgz?…",
		"kind": "url",
		"scheme": "https",
		"host": "charts.example.com",
		"path": ["a%20b", "c-d", "web.tgz"],
		"tag": "",
		"digest": "",
		"name": "",
		"version": "",
	}
}

test_chart_in_a_repository if {
	refs.parse({"repository": "https://h.example/stable/", "name": "web", "version": "v1.2.3"}) == {
		"ok": true,
		"reason": "",
		"ref": "https://h.example/stable#web@v1.2.3",
		"kind": "repository",
		"scheme": "https",
		"host": "h.example",
		"path": ["stable", "web"],
		"tag": "",
		"digest": "",
		"name": "web",
		"version": "v1.2.3",
	}
	refs.parse({"repository": "oci://h.example/charts", "name": "web", "version": "1.2.3"}).ok
	refs.parse({"repository": "https://h.example/charts", "name": "Web", "version": "1.2.3"}).ok
	not refs.parse({"repository": "oci://h.example/charts", "name": "Web", "version": "1.2.3"}).ok
	not refs.parse({"repository": "oci://h.example/%61", "name": "web", "version": "1.2.3"}).ok
}

_local := {
	"web-1.2.3.tgz": "web-1.2.3.tgz",
	"./charts//web/": "charts/web",
	"../../a": "../../a",
	"..": "..",
	".": ".",
	"/": "/",
	"/../a/./b": "/a/b",
	"inline:sha256:00": "./inline:sha256:00",
	"file:///a%20b/web.tgz": "/a b/web.tgz",
	"Käse web.tgz": "Käse web.tgz",
}

test_local_paths if {
	every ref, want in _local {
		parsed := refs.parse(ref)
		[parsed.ok, parsed.kind, parsed.ref, parsed.host, parsed.path] == [true, "path", want, "", []]
	}
}

test_inline_archive if {
	parsed := refs.parse({"archive": "dGVzdA=="})
	[parsed.kind, parsed.ref] == ["inline", concat("", ["inline:", _digest])]
	refs.location({"archive": "dGVzdA=="}) == ""
}

test_hosts_have_one_form if {
	hosts := {
		"H.Example:443": "h.example",
		"h.example:80": "h.example:80",
		"localhost": "localhost",
		"reg_1.internal": "reg_1.internal",
		"1.example.com": "1.example.com",
		"127.0.0.1:65535": "127.0.0.1:65535",
		"[2001:DB8::0001]:443": "[2001:db8::1]",
		"[::FFFF:1.2.3.4]": "[::ffff:1.2.3.4]",
		"[::1.2.3.4]:8443": "[::102:304]:8443",
	}
	every host, want in hosts {
		refs.parse(sprintf("https://%s/web.tgz", [host])).host == want
	}
}

test_what_is_no_host if {
	hosts := ["", "127.1", "0x7f.0x1", "2130706433", "256.1.1.1", "[127.0.0.1]", "[fe80::1%eth0]", "[::1]x", "h.example:", "h.example:0", "h.example:65536", "h.example:123456", "h.example.", "-h.example", "exаmple.com", "\u212Aube.example"]
	every host in hosts {
		refs.parse(sprintf("https://%s/web.tgz", [host])).reason in {"host is missing", "host is no DNS name or IP address, with a port from 1 to 65535 or without"}
	}
}

_letters(n) := concat("", [letter | some _ in numbers.range(1, n); letter := "a"])

# A reference of each fault beside a part of its reason.
_faults := [
	["", "is empty"],
	[_letters(4097), "more than 4096 bytes"],
	[concat("", [_letters(4095), "ä"]), "more than 4096 bytes"],
	["a\nb", "unprintable"],
	["oci:/h.example/web:1", "lacks a slash"],
	["a/../b", "after the name of a folder"],
	["file://h.example/a", "file URL"],
	["file:///", "file URL"],
	["ftp://h.example/a", "scheme"],
	["https:///a", "host is missing"],
	["https://user:hunter2@h.example/a", "userinfo"],
	["https://h.example/a#b", "fragment"],
	["https://h.example/a?ä", "query holds"],
	["https://h.example", "names no archive"],
	["https://h.example/?a", "names no archive"],
	["https://h.example/a//b", "path has"],
	["https://h.example/a/../b", "path has"],
	["https://h.example/a%2fb", "path has"],
	["https://h.example/a%zz", "path has"],
	["https://h.example/a%7f", "path has"],
	["https://h.example/%ff", "path has"],
	["oci://h.example/web:1?a", "query"],
	["oci://h.example/web:1#a", "fragment"],
	["oci://h.example/web@sha512:00", "digest"],
	["oci://h.example/Web:1", "repository"],
	["oci://h.example", "repository"],
	["oci://h.example/web", "neither a tag nor a digest"],
	["oci://h.example/web:.1", "tag"],
	[null, "is null"],
	[17, "is a number"],
	[true, "is a boolean"],
	[["a"], "is a list"],
	[{"a"}, "is a list"],
	[{}, "has no repository"],
	[{"repository": "https://h.example", "name": "web"}, "has no version"],
	[{"archive": "YQ==", "name": "web"}, "beside other members"],
	[{"archive": 17}, "archive of the reference object is a number"],
	[{"archive": ""}, "base64"],
	[{"archive": "YQ"}, "base64"],
	[{"archive": "YR=="}, "base64"],
	[{"archive": "YQ==\n"}, "base64"],
	[{"more": 1}, "has the member \"more\""],
	[{1: 2}, "has the member that is no text"],
	[{"repository": "https://h.example", "name": 17, "version": "1.2.3"}, "name of the reference object is a number"],
	[{"repository": "https://h.example", "name": "a/b", "version": "1.2.3"}, "name \"a/b\" is no chart name"],
	[{"repository": "https://h.example", "name": "..", "version": "1.2.3"}, "no chart name"],
	[{"repository": "https://h.example", "name": _letters(251), "version": "1.2.3"}, "no chart name"],
	[{"repository": "https://h.example", "name": "web", "version": "^1.2.3"}, "version \"^1.2.3\" is not one exact version"],
	[{"repository": "https://h.example", "name": "web", "version": concat("", ["1.2.3-", _letters(251)])}, "longer than 256"],
	[{"repository": "h.example", "name": "web", "version": "1.2.3"}, "repository: URL has another scheme"],
	[{"repository": "https://h.example?a", "name": "web", "version": "1.2.3"}, "repository: URL has a query"],
	[{"repository": "https://u@h.example", "name": "web", "version": "1.2.3"}, "repository: userinfo"],
	[{"repository": "https://h.example/a//", "name": "web", "version": "1.2.3"}, "repository: path has"],
	[{"repository": "oci://h.example", "name": "Web", "version": "1.2.3"}, "none that a registry can hold"],
]

test_faults if {
	every fault in _faults {
		parsed := refs.parse(fault[0])
		[parsed.ok, parsed.kind, parsed.host, refs.location(fault[0])] == [false, "invalid", "", ""]
		contains(parsed.reason, fault[1])
		count(parsed.ref) <= 256
	}
}

# What is shown of a reference that is none.
_redacted := {
	"https://user:hunter2@h.example/web.tgz": "https://…@h.example/web.tgz",
	"https://user:hunter2@h.example/web.tgz?x": "https://…",
	"https://h.example:x/web.tgz?token=hunter2": "https://h.example:x/web.tgz?…",
	"user:hunter2@h.example/?u=https://x/": "…://…",
	"https:/user:hunter2@h.example": "https:/…",
	"ftp://h.example/a\u0000b": "ftp://h.example/a b",
}

test_no_secret_is_shown if {
	every ref, want in _redacted {
		refs.parse(ref).ref == want
		not contains(refs.parse(ref).reason, "hunter2")
	}
}

test_location if {
	refs.location("oci://H.example/charts/web:1.2.3") == "oci://h.example/charts/web"
	refs.location("https://h.example/a/web.tgz?x") == "https://h.example/a/web.tgz"
	refs.location({"repository": "oci://h.example/charts", "name": "web", "version": "1.2.3"}) == "oci://h.example/charts/web"
	refs.location({"repository": "https://h.example", "name": "web", "version": "1.2.3"}) == "https://h.example/web"
	refs.location("web.tgz") == ""
	refs.location(17) == ""
}

# Or a path could be spelt in another way to meet a weaker rule.
test_one_location_for_all_spellings if {
	every spelling in ["critical/web.tgz", "critica%6c/web.tgz", "critica%6C/web%2Etgz", "%63ritical/%77eb.tgz"] {
		refs.location(sprintf("https://h.example/%s", [spelling])) in {"https://h.example/critical/web.tgz", ""}
	}
	refs.location("https://h.example/a+b@c%2Bd%40e%20f") == refs.location("https://h.example/a%2Bb%40c+d@e%20f")
	refs.location("https://h.example/%C3%A9") == refs.location("https://h.example/%c3%a9")
	refs.location("https://h.example/a%20b") != refs.location("https://h.example/a+b")
	refs.location("https://h.example/%25%32%30") != refs.location("https://h.example/%20")
}

test_exact_versions if {
	every version in ["0.0.0", "1.2.3", "v1.2.3", "1.2.3-0", "1.2.3-a.b-c.0a", "1.2.3+001", "1.2.3---", "1.2.3-rc.1+b.7"] {
		refs.exact_version(version)
	}
	every version in ["", "1", "1.2", "vv1.2.3", "V1.2.3", "01.2.3", "1.2.3-01", "1.2.3-", "1.2.3+", "1.2.x", "^1.2.3", ">0-0", "*", "latest", " 1.2.3", "1.2.3\n", "1.2.3_b", 1.2, 17, null, [], {}] {
		refs.exact_version(version) == false
	}
}

test_addresses if {
	refs.url("HTTPS://Charts.example.com:443/stable/") == {"ok": true, "reason": "", "scheme": "https", "host": "charts.example.com", "path": ["stable"]}
	refs.url("oci://h.example") == {"ok": true, "reason": "", "scheme": "oci", "host": "h.example", "path": []}
	refs.url("oci://h.example/") == refs.url("oci://h.example")
	refs.url("oci://h.example/charts/").path == ["charts"]
}

test_what_is_no_address if {
	addresses := {
		"": "scheme",
		"h.example": "scheme",
		"file:///a": "scheme",
		"https://": "host is missing",
		"https://u:p@h.example": "userinfo",
		"https://h.example:x": "host is no",
		"https://h.example?a": "query",
		"https://h.example#a": "fragment",
		"https://h.example//": "path has",
		"https://h.example/a/..": "path has",
		"https://h.example/a b": "path has",
		"oci://h.example/Charts": "path has",
		17: "is a number",
		null: "is null",
	}
	every address, reason in addresses {
		site := refs.url(address)
		[site.ok, site.scheme, site.host, site.path] == [false, "", "", []]
		contains(site.reason, reason)
	}
}
