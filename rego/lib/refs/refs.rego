# METADATA
# title: References
# description: Reads what names a chart, as builtins/chartref does, for policies that ask nobody. It answers whatever it is given.
package lib.refs

# METADATA
# title: A reference taken apart
# description: |
#   The parts of a reference, always the same ones, empty where they do not apply. What is no reference has
#   kind "invalid", a reason, and as ref a short printable form without the parts of a URL in which secrets stand.
parse(ref) := _text(ref) if {
	is_string(ref)
} else := _object(ref) if {
	is_object(ref)
} else := _invalid(_kind(ref), sprintf("reference is %s, want a string or an object", [_kind(ref)]))

# METADATA
# title: Where a chart lies
# description: |
#   scheme://host/segment/segment of what a reference names, for comparing: without tag, digest, version and query,
#   and with one spelling for each path. It is empty for what lies in a file, and for what is no reference.
location(ref) := _location(parse(ref))

# METADATA
# title: One exact version
# description: Whether a text is a version by Semantic Versioning 2.0.0, with a v before it or without.
default exact_version(_) := false

exact_version(text) if {
	is_string(text)
	regex.match(`^v?(?:0|[1-9][0-9]*)\.(?:0|[1-9][0-9]*)\.(?:0|[1-9][0-9]*)(?:-(?:0|[1-9][0-9]*|[0-9]*[a-zA-Z-][0-9a-zA-Z-]*)(?:\.(?:0|[1-9][0-9]*|[0-9]*[a-zA-Z-][0-9a-zA-Z-]*))*)?(?:\+[0-9a-zA-Z-]+(?:\.[0-9a-zA-Z-]+)*)?$`, text)
}

# METADATA
# title: An address taken apart
# description: |
#   The parts of an address that need not name a chart, such as a repository's, by the grammar of references.
#   Its path is the list of its segments, empty for a host alone.
url(text) := {"ok": true, "reason": "", "scheme": site.scheme, "host": site.host, "path": path} if {
	is_string(text)
	site := _site(text)
	path := _site_segments(site)
	_namespace(site)
} else := {"ok": false, "reason": _site_fault(text), "scheme": "", "host": "", "path": []}

# What is before the name of a chart in a registry must be a part of one.
_namespace(site) if {
	site.scheme != "oci"
} else if {
	site.path == ""
} else if _repository(substring(site.path, 1, -1))

_text(text) := ref if {
	ref := _oci(text)
} else := ref if {
	ref := _archive(text)
} else := ref if {
	ref := _file(text)
} else := ref if {
	ref := _local(text)
} else := _invalid(_redacted(text), _fault(text))

_location(parsed) := concat("", [parsed.scheme, "://", parsed.host, "/", concat("/", parsed.path)]) if {
	parsed.host != ""
} else := ""

# Registries

# What this matches is short and printable in all of its parts.
_oci(text) := {
	"ok": true,
	"reason": "",
	"ref": concat("", ["oci://", host, "/", repository, _pinned(tag, digest)]),
	"kind": "oci",
	"scheme": "oci",
	"host": host,
	"path": path,
	"tag": tag,
	"digest": digest,
	"name": path[count(path) - 1],
	"version": _tagged(tag),
} if {
	form := `^[oO][cC][iI]://([a-zA-Z0-9._:\[\]-]+)/([a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*)(?::([a-zA-Z0-9_][a-zA-Z0-9._+-]*))?(?:@(sha256:[0-9a-f]+))?$`
	[[_, authority, repository, written, digest]] := regex.find_all_string_submatch_n(form, text, 1)
	host := _host("oci", authority)
	count(host) + count(repository) < 255
	path := split(repository, "/")
	tag := _tag(written)
}

# A tag that is a version may be written with its +; registries have _.
_tag(written) := written if {
	not contains(written, "+")
	count(written) <= 128
} else := replace(written, "+", "_") if {
	exact_version(written)
	count(written) <= 128
}

# One of the two is there.
_pinned(tag, digest) := concat("", [":", tag]) if {
	digest == ""
	tag != ""
} else := concat("", ["@", digest]) if {
	tag == ""
	count(digest) == 71
} else := concat("", [":", tag, "@", digest]) if {
	tag != ""
	count(digest) == 71
}

_tagged(tag) := version if {
	version := replace(tag, "_", "+")
	exact_version(version)
} else := ""

# URLs

# Of a query nothing is known but that it is printable ASCII.
_archive(text) := {
	"ok": true,
	"reason": "",
	"ref": concat("", [scheme, "://", host, "/", path, _hidden(query)]),
	"kind": "url",
	"scheme": scheme,
	"host": host,
	"path": segments,
	"tag": "",
	"digest": "",
	"name": "",
	"version": "",
} if {
	form := `^([hH][tT][tT][pP][sS]?)://([a-zA-Z0-9._:\[\]-]+)/([a-zA-Z0-9._~!$&'()*+,;=:@%/-]+)(?:\?([!"$-~]*))?$`
	[[_, written, authority, path, query]] := regex.find_all_string_submatch_n(form, text, 1)
	count(text) <= 4096
	scheme := lower(written)
	host := _host(scheme, authority)
	segments := _segments(path)
}

_hidden("") := ""

_hidden(query) := "?…" if query != ""

# The segments of a path that has only such as every client, proxy and server
# reads alike. They are decoded, so that two spellings of a path are one.
_segments(path) := segments if {
	not contains(path, "%")
	not regex.match(`(?:^|/)\.?\.?(?:/|$)`, path)
	segments := split(path, "/")
} else := [_one_spelling(segment) | some segment in segments] if {
	regex.match(_escaped, path)
	not regex.match(`%(?:2[eEfF]|5[cC])`, path)
	decoded := _decoded(path)
	not regex.match(`(?:^|/)\.?\.?(?:/|$)`, decoded)
	_printable(decoded)
	segments := split(decoded, "/")
}

# Percent-encoding of UTF-8, and of nothing else.
_escaped := concat("|", [
	`^(?:[^%]`,
	`%[0-7][0-9a-fA-F]`,
	`%[cC][2-9a-fA-F]%[89abAB][0-9a-fA-F]`,
	`%[dD][0-9a-fA-F]%[89abAB][0-9a-fA-F]`,
	`%[eE]0%[abAB][0-9a-fA-F]%[89abAB][0-9a-fA-F]`,
	`%[eE][1-9a-cA-CeEfF]%[89abAB][0-9a-fA-F]%[89abAB][0-9a-fA-F]`,
	`%[eE][dD]%[89][0-9a-fA-F]%[89abAB][0-9a-fA-F]`,
	`%[fF]0%[9abAB][0-9a-fA-F]%[89abAB][0-9a-fA-F]%[89abAB][0-9a-fA-F]`,
	`%[fF][1-3]%[89abAB][0-9a-fA-F]%[89abAB][0-9a-fA-F]%[89abAB][0-9a-fA-F]`,
	`%[fF]4%8[0-9a-fA-F]%[89abAB][0-9a-fA-F]%[89abAB][0-9a-fA-F])*$`,
])

_decoded(path) := urlquery.decode(replace(path, "+", "%2B"))

_one_spelling(segment) := segment if {
	regex.match(`^[a-zA-Z0-9._~!$&'()*+,;=:@-]*$`, segment)
} else := replace(urlquery.encode(segment), "+", "%20")

# Hosts

# The one form of an authority: in lower case, without the default port.
_host(scheme, authority) := authority if {
	# Most are written so.
	regex.match(`^(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)+[a-z](?:[a-z0-9-]*[a-z0-9])?$`, authority)
	count(authority) <= 63
} else := concat("", [_address(lower(name)), _port(scheme, port)]) if {
	form := `^([a-zA-Z0-9._-]+|\[[0-9a-fA-F:.]+\])(?::([1-9][0-9]*))?$`
	[[_, name, port]] := regex.find_all_string_submatch_n(form, authority, 1)
}

_port(_, "") := ""

_port(scheme, port) := "" if {
	port == {"oci": "443", "https": "443", "http": "80"}[scheme]
} else := concat("", [":", port]) if {
	count(port) in {1, 2, 3, 4, 5}
	to_number(port) <= 65535
}

# Some resolvers take a name that ends in a number for an address.
_address(name) := name if {
	regex.match(`^(?:[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?\.)*[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?$`, name)
	not regex.match(`(?:^|\.)(?:[0-9]+|0x[0-9a-f]*)$`, name)
	_fits(name)
} else := name if {
	regex.match(`^(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])(?:\.(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])){3}$`, name)
} else := _ipv6(name)

_fits(name) if {
	count(name) <= 253
	every label in split(name, ".") {
		count(label) <= 63
	}
}

# As RFC 5952 writes it. An IPv4 address inside comes back as one alone.
_ipv6(name) := sprintf("[%s]", [_inside(split(merged, "/")[0])]) if {
	contains(name, ":")
	cidr := concat("", [trim(name, "[]"), "/128"])
	net.cidr_is_valid(cidr)
	some merged in net.cidr_merge([cidr])
}

_inside(address) := address if {
	contains(address, ":")
} else := concat("", ["::ffff:", address])

# Files

_file(text) := _path(path) if {
	regex.match(`^[fF][iI][lL][eE]:///[a-zA-Z0-9._~!$&'()*+,;=:@%/-]+$`, text)
	count(text) <= 4096
	escaped := trim_suffix(substring(text, 7, -1), "/")
	_segments(substring(escaped, 1, -1))
	path := _decoded(escaped)
}

_local(text) := _path(text) if {
	text != ""
	_printable(text)
	not _long(text)
	not contains(text, "://")
	not _slash_missing(text)
	not _returning(text)
}

# The text differs from that of an inline archive, whatever the file is called.
_path(text) := object.union(_nothing, {"ok": true, "kind": "path", "ref": shown}) if {
	shown := regex.replace(_cleaned(text), "^inline:", "./inline:")
}

_cleaned(path) := cleaned if {
	startswith(path, "/")
	cleaned := concat("/", array.concat([""], [name | some name in split(path, "/"); not name in {"", ".", ".."}]))
	cleaned != ""
} else := "/" if {
	startswith(path, "/")
} else := cleaned if {
	cleaned := concat("/", _names(path))
	cleaned != ""
} else := "."

_names(path) := [name | some name in split(path, "/"); not name in {"", "."}]

# A path that leads into a folder and back is refused: behind a symbolic link
# the way back leads elsewhere.
_returning(path) if {
	below := regex.replace(concat("/", array.concat(_names(path), [""])), `^(?:\.\./)*`, "/")
	contains(below, "/../")
}

_slash_missing(text) if regex.match(`^(?:[oO][cC][iI]|[hH][tT][tT][pP][sS]?):/(?:[^/]|$)`, text)

# Objects

_object(ref) := named if {
	{"repository": repository, "name": name, "version": version} = ref
	is_string(repository)
	is_string(name)
	is_string(version)
	named := _named(repository, name, version)
} else := inline if {
	{"archive": archive} = ref
	is_string(archive)
	inline := _inline(archive)
} else := _invalid(_described(ref), _object_fault(ref))

# Decoding forgives line breaks and stray bits; the text must come back.
_inline(archive) := object.union(_nothing, {"ok": true, "kind": "inline", "ref": shown}) if {
	archive != ""
	base64.is_valid(archive)
	bytes := base64.decode(archive)
	base64.encode(bytes) == archive
	shown := concat("", ["inline:sha256:", crypto.sha256(bytes)])
}

_named(repository, name, version) := {
	"ok": true,
	"reason": "",
	"ref": concat("", [site.scheme, "://", site.host, site.path, "#", name, "@", version]),
	"kind": "repository",
	"scheme": site.scheme,
	"host": site.host,
	"path": path,
	"tag": "",
	"digest": "",
	"name": name,
	"version": version,
} if {
	_chart_name(name)
	exact_version(version)
	count(version) <= 256
	site := _site(repository)
	_registered(site, name, version)
	path := array.concat(_site_segments(site), [name])
}

_chart_name(name) if {
	regex.match(`^[a-zA-Z0-9._-]+$`, name)
	count(name) <= 250
	not name in {".", ".."}
}

# A chart in a registry must be one that a reference into it can name.
_registered(site, name, version) if {
	site.scheme != "oci"
} else if {
	count(version) <= 128
	path := concat("/", [site.path, name])
	_repository(substring(path, 1, -1))
	count(site.host) + count(path) <= 255
}

_repository(path) if regex.match(`^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$`, path)

# Addresses

_site(text) := {"scheme": scheme, "host": host, "path": trim_suffix(path, "/")} if {
	form := `^([oO][cC][iI]|[hH][tT][tT][pP][sS]?)://([a-zA-Z0-9._:\[\]-]+)((?:/[a-zA-Z0-9._~!$&'()*+,;=:@%/-]*)?)$`
	[[_, written, authority, path]] := regex.find_all_string_submatch_n(form, text, 1)
	count(text) <= 4096
	scheme := lower(written)
	host := _host(scheme, authority)
}

_site_segments(site) := [] if {
	site.path == ""
} else := _segments(substring(site.path, 1, -1))

# What is no reference

_nothing := {
	"ok": false,
	"reason": "",
	"ref": "",
	"kind": "invalid",
	"scheme": "",
	"host": "",
	"path": [],
	"tag": "",
	"digest": "",
	"name": "",
	"version": "",
}

_invalid(text, reason) := object.union(_nothing, {"ref": _shown(text), "reason": reason})

# Where the parts of a URL cannot be told apart, all that might be a secret is left out.
_redacted(text) := concat("", [split(text, ":/")[0], ":/…"]) if {
	_slash_missing(text)
} else := "…://…" if {
	[scheme, _] := _cut(text)
	regex.match(`[@:/?#]`, scheme)
} else := concat("", [scheme, "://", _disclosed(rest)]) if {
	[scheme, rest] := _cut(text)
} else := text

_disclosed(rest) := "…" if {
	contains(rest, "@")
	regex.match(`[?#]`, rest)
} else := regex.replace(rest, `(?s)^.*@`, "…@") if {
	contains(rest, "@")
} else := regex.replace(rest, `(?s)[?#].*$`, "?…")

_cut(text) := [substring(text, 0, i), substring(text, i + 3, -1)] if {
	i := indexof(text, "://")
	i >= 0
}

# A printable form, in at most 256 characters.
_shown(text) := _clipped(regex.replace(substring(text, 0, 512), `[^\pL\pM\pN\pP\pS ]`, " "), 256)

_clipped(text, limit) := text if {
	count(text) <= limit
} else := concat("", [substring(text, 0, limit - 3), "…"])

_printable(text) if regex.match(`^[\pL\pM\pN\pP\pS ]*$`, text)

_long(text) if count(text) > 4096

_long(text) if count(hex.encode(text)) > 8192

_quoted(text) := sprintf("%q", [_clipped(_shown(text), 64)]) if {
	is_string(text)
} else := "that is no text"

_described(ref) := sprintf("object {%s}", [_clipped(concat(", ", names), 128)]) if {
	names := array.slice(sort([name | some name, _ in ref; is_string(name)]), 0, 8)
}

_kind(value) := kind if {
	kind := {"null": "null", "boolean": "a boolean", "number": "a number", "string": "a string", "object": "an object"}[type_name(value)]
} else := "a list"

# Reasons: the first that fits

_fault(text) := "reference is empty" if {
	text == ""
} else := "reference has more than 4096 bytes" if {
	_long(text)
} else := "reference holds an unprintable character" if {
	not _printable(text)
} else := "reference lacks a slash: want :// after its scheme" if {
	_slash_missing(text)
} else := "path has .. after the name of a folder, write it without" if {
	not contains(text, "://")
} else := "file URL is not file:///path, of plain segments" if {
	regex.match(`^[fF][iI][lL][eE]://`, text)
} else := "scheme before :// is unknown, want oci, https, http or file" if {
	not _address_parts(text)
} else := _url_fault(_address_parts(text))

# Nothing is quoted of what may be a password.
_url_fault([scheme, authority, rest]) := _authority_fault(authority) if {
	not _host(scheme, authority)
} else := "reference has a fragment" if {
	contains(rest, "#")
} else := _registry_fault(rest) if {
	scheme == "oci"
} else := "query holds a character that is not printable ASCII" if {
	regex.match(`^[^?]*\?.*[^!-~]`, rest)
} else := "URL names no archive: it ends with its host" if {
	regex.match(`^/?(?:\?|$)`, rest)
} else := _path_fault

_path_fault := "path has an empty or a dot segment, hides a slash, backslash or dot, or holds a character that a URL does not"

_authority_fault(authority) := "host is missing" if {
	authority == ""
} else := "userinfo stands before the host; credentials belong in the configuration" if {
	contains(authority, "@")
} else := "host is no DNS name or IP address, with a port from 1 to 65535 or without"

_registry_fault(rest) := "OCI reference has a query" if {
	contains(rest, "?")
} else := "digest is not sha256: and 64 lower-case hexadecimal digits" if {
	contains(rest, "@")
	not regex.match(`^[^@]*@sha256:[0-9a-f]{64}$`, rest)
} else := "OCI repository is not lower-case letters and digits with single separators between, at most 255 bytes with its host" if {
	not _repository(split(trim_prefix(split(rest, "@")[0], "/"), ":")[0])
} else := "OCI reference has neither a tag nor a digest" if {
	not regex.match(`[:@]`, rest)
} else := "tag is not 1 to 128 letters, digits, dots, hyphens and underscores, or the host and repository are longer than 255 bytes"

_address_parts(text) := [lower(parts[0][1]), parts[0][2], parts[0][3]] if {
	parts := regex.find_all_string_submatch_n(`^([oO][cC][iI]|[hH][tT][tT][pP][sS]?)://([^/?#]*)(.*)$`, text, 1)
}

_object_fault(ref) := "archive of the reference object is not standard base64 with padding, on one line" if {
	is_string(ref.archive)
	count(ref) == 1
} else := _named_fault(ref) if {
	{"repository": repository, "name": name, "version": version} = ref
	is_string(repository)
	is_string(name)
	is_string(version)
} else := _members_fault(ref)

_members_fault(ref) := sprintf("reference object has the member %s, want either archive, or repository, name and version", [_quoted(wrong[0])]) if {
	wrong := [name | some name, _ in ref; not name in {"archive", "repository", "name", "version"}]
} else := "reference object has archive beside other members" if {
	count(ref) > 1
	"archive" in object.keys(ref)
} else := sprintf("reference object has no %s", [missing[0]]) if {
	not "archive" in object.keys(ref)
	missing := [name | some name in ["repository", "name", "version"]; not name in object.keys(ref)]
} else := sprintf("%s of the reference object is %s, want a string", wrong[0]) if {
	wrong := [[name, _kind(value)] | some name, value in ref; not is_string(value)]
}

_named_fault(ref) := sprintf("name %s is no chart name: want letters, digits, dots, hyphens and underscores", [_quoted(ref.name)]) if {
	not _chart_name(ref.name)
} else := sprintf("version %s is not one exact version such as 1.2.3 or v1.2.3", [_quoted(ref.version)]) if {
	not exact_version(ref.version)
} else := "version is longer than 256 characters" if {
	count(ref.version) > 256
} else := sprintf("repository: %s", [_site_fault(ref.repository)]) if {
	not url(ref.repository).ok
} else := "chart in the repository is none that a registry can hold: lower-case letters and digits, at most 255 bytes with its host"

_site_fault(text) := sprintf("URL is %s, want a string", [_kind(text)]) if {
	not is_string(text)
} else := "URL has another scheme than oci, https or http" if {
	not _address_parts(text)
} else := _site_parts_fault(_address_parts(text))

_site_parts_fault([scheme, authority, rest]) := _authority_fault(authority) if {
	not _host(scheme, authority)
} else := "URL has a query or a fragment" if {
	regex.match(`[?#]`, rest)
} else := _path_fault
