# METADATA
# title: Entries
# description: Makes the entries of lib.releases, alike for every installer. An entry says where a chart is taken from, or why that is not known. Hosts and paths are lib.refs' business; here no reference is made of parts that do not belong into it.
package lib.entries

import data.lib.fields
import data.lib.refs

# METADATA
# title: Unreadable
# description: An entry without reference, of any kind.
unreadable(via, kind, why) := {"via": via, "kind": kind, "ref": null, "pin": "none", "why": why}

# METADATA
# title: Unknown
# description: An entry for what is not understood, or leads to something else than the charts that are named.
unknown(via, why) := unreadable(via, "unknown", why)

# METADATA
# title: Inline
# description: An entry for content that stands in the object. The digest is that of its bytes; empty, if they are not known.
inline(via, digest, why) := object.union(unreadable(via, "inline", why), {"digest": digest})

# METADATA
# title: Faults
# description: An entry for each field below value that has not the type that shape gives for it.
faults(value, via, shape) := [unknown(fault.via, fault.why) | some fault in fields.faults(value, via, shape)]

# METADATA
# title: First
# description: The first of some lists of entries that has any; so that nothing is built of fields with faults.
first(lists) := found if {
	found := [list | some list in lists; list != []][0]
} else := []

# METADATA
# title: All
# description: The entries of all lists, in order.
all(lists) := [entry | some list in lists; some entry in list]

# METADATA
# title: Named
# description: The entry for a chart by repository, name and version, in a registry or behind an index. A place has via, repository, name and version, and in fields what they are called there.
named(place) := {"via": place.via, "kind": _kind(place.repository), "ref": _named_ref(place), "pin": "version", "why": ""} if {
	_joins(place)
} else := {"via": place.via, "kind": _kind(place.repository), "ref": null, "pin": pin(place.version), "why": named_fault(place)}

# METADATA
# title: Named fault
# description: Why repository, name and version name no chart; empty if they do.
named_fault(place) := "" if {
	_joins(place)
} else := why if {
	why := [fault |
		some fault in [
			_address_fault(place.fields.repository, place.repository),
			_name_fault(place.fields.name, place.name),
			_version_fault(place.fields.version, place.version),
		]
		fault != ""
	][0]
}

# METADATA
# title: Artifact
# description: The entry for an artifact in a registry. A place has via, repository (oci://…), tag and digest, and in fields what they are called there. With neither, it is whatever is latest.
artifact(place) := {"via": place.via, "kind": "oci", "ref": ref, "pin": pin, "why": why} if {
	why := _artifact_fault(place)
	pin := _artifact_pin(place)
	ref := _artifact_ref(place, why)
}

# METADATA
# title: Parts
# description: Repository, tag and digest of a reference into a registry; what a reference lacks is empty. Whether they are any good is not decided here.
parts(ref) := [repository, tag, digest] if {
	named := split(ref, "@")
	digest := concat("@", array.slice(named, 1, count(named)))
	segments := split(named[0], "/")
	last := split(segments[count(segments) - 1], ":")
	tag := concat(":", array.slice(last, 1, count(last)))
	repository := concat("/", array.concat(array.slice(segments, 0, count(segments) - 1), [last[0]]))
}

# METADATA
# title: Archive
# description: The entry for the URL of an archive. It counts as a version if its file has the name that helm package gives.
archive(via, field, url) := {"via": via, "kind": "http", "ref": url, "pin": _archive_pin(url), "why": ""} if {
	regex.match(`^https?://[^/?#]+/[^?#]+`, url)
} else := unreadable(via, "unknown", sprintf("%s %s is no URL of an archive", [field, fields.quote(url)]))

# METADATA
# title: Weakened
# description: The fields of value that weaken the transport, all that are set, even in the wrong shape. Places give their names by the dotted path of the object that holds them.
weakened(value, via, places) := [{"via": place, "why": sprintf("%s is set", [place])} |
	some path, names in places
	members := fields.members(value, split(path, "."))
	some name in (object.keys(members) & names)
	fields.used(members, [name])
	place := fields.join(via, sprintf("%s.%s", [path, name]))
]

# METADATA
# title: Pin
# description: What holds a version to one chart.
pin(version) := "version" if refs.exact_version(version)

else := "none"

# METADATA
# title: Digest
# description: The sha256 of what is encoded in base64; empty if nothing is, or not in the one encoding of its bytes.
digest(encoded) := sprintf("sha256:%s", [crypto.sha256(decoded)]) if {
	encoded != ""
	base64.is_valid(encoded)
	decoded := base64.decode(encoded)
	base64.encode(decoded) == encoded
} else := ""

_kind(repository) := "oci" if startswith(repository, "oci://")

else := "http" if _http(repository)

else := "unknown"

_http(repository) if strings.any_prefix_match(repository, ["https://", "http://"])

_named_ref(place) := sprintf("%s/%s:%s", [trim_suffix(place.repository, "/"), place.name, place.version]) if {
	startswith(place.repository, "oci://")
} else := {"repository": place.repository, "name": place.name, "version": place.version}

# Whether a reference can be made of three parts that each stay what they are.
_joins(place) if {
	_address(place.repository)
	_name(place.name)
	refs.exact_version(place.version)
}

# A tag or a digest in the address of a registry would become part of a path, or
# of another reference than the installer builds.
_address(address) if _http(address)

_address(address) if regex.match(`^oci://[^/@?#]+(/[^:@?#]*)?$`, address)

_address_fault(_, address) := "" if _address(address)

_address_fault(field, "") := sprintf("%s is missing", [field])

_address_fault(field, address) := sprintf("%s %s holds more than a repository", [field, fields.quote(address)]) if {
	startswith(address, "oci://")
	not _address(address)
}

_address_fault(field, address) := sprintf(
	"%s %s is no address of a chart repository, want oci://, https:// or http://",
	[field, fields.quote(address)],
) if {
	not _kind(address) in {"oci", "http"}
	address != ""
}

_name_fault(field, "") := sprintf("%s is missing", [field])

_name_fault(field, name) := sprintf("%s %s is no chart name", [field, fields.quote(name)]) if {
	name != ""
	not _name(name)
}

_name_fault(_, name) := "" if _name(name)

_name(name) if {
	regex.match(`^[a-zA-Z0-9._-]+$`, name)
	not name in {".", ".."}
}

_version_fault(field, version) := "" if refs.exact_version(version)

else := sprintf("%s is missing, so the latest is taken", [field]) if version == ""

else := sprintf("%s %s is not one exact version", [field, fields.quote(version)])

# Most are as they should be, and this says so in one go.
_artifact_fault(place) := "" if {
	form := `^oci://[^/@?# ]+(?:/[^:@?# ]*)? (?:[a-zA-Z0-9_][a-zA-Z0-9._-]*)? (?:sha256:[0-9a-f]{64})?$`
	regex.match(form, concat(" ", [place.repository, place.tag, place.digest]))
	_moving_fault(place) == ""
} else := why if {
	why := [fault |
		some fault in [
			_repository_fault(place.fields.repository, place.repository),
			_tag_fault(place.fields.tag, place.tag),
			_digest_fault(place.fields.digest, place.digest),
			_moving_fault(place),
		]
		fault != ""
	][0]
} else := ""

_repository_fault(field, repository) := _address_fault(field, repository) if startswith(repository, "oci://")

else := sprintf("%s %s is no repository in a registry, want oci://", [field, fields.quote(repository)])

_tag_fault(field, tag) := "" if regex.match(`^([a-zA-Z0-9_][a-zA-Z0-9._-]*)?$`, tag)

else := "" if refs.exact_version(tag)

else := sprintf("%s %s is no tag", [field, fields.quote(tag)])

_digest_fault(field, digest) := "" if regex.match(`^(sha256:[0-9a-f]{64})?$`, digest)

else := sprintf("%s %s is not sha256: and 64 lower-case hexadecimal digits", [field, fields.quote(digest)])

_moving_fault(place) := sprintf("%s is missing or latest, so another artifact may be taken tomorrow", [place.fields.tag]) if {
	place.digest == ""
	lower(place.tag) in {"", "latest"}
} else := ""

_artifact_pin(place) := "digest" if regex.match(`^sha256:[0-9a-f]{64}$`, place.digest)

else := pin(place.tag)

# Both stand in the reference where both are given: then they must agree.
_artifact_ref(place, "") := concat("", [trim_suffix(place.repository, "/"), _behind(":", place.tag), _behind("@", place.digest)])

_artifact_ref(_, why) := null if why != ""

_behind(_, "") := ""

_behind(separator, text) := concat("", [separator, text]) if text != ""

_archive_pin(url) := "version" if {
	words := split(regex.find_n(`[^/]+\.tgz$`, split(url, "?")[0], 1)[0], "-")
	count(words) <= _max_words
	some i, _ in words
	i > 0
	refs.exact_version(trim_suffix(concat("-", array.slice(words, i, count(words))), ".tgz"))
} else := "none"

_max_words := 16
