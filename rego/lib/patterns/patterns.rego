# METADATA
# title: Patterns
# description: |
#   Says which charts a rule is about. A pattern is scheme://host[:port]/segment/…, in the one form that references
#   have: lower-case host, no default port. A * is one whole segment, and as first label of a host one label or
#   more; a ** at the end is one segment or more. Nothing else is special, and nothing is matched by its beginning.
package lib.patterns

import data.lib.refs

# METADATA
# title: A pattern or not
# description: Whether a text is a pattern. What is none matches nothing.
valid(pattern) if {
	is_string(pattern)
	_plain(pattern)
} else if {
	fault(pattern) == ""
} else := false

# METADATA
# title: What is wrong with a pattern
# description: A sentence for its author, empty for a pattern.
fault(pattern) := "a pattern is a string" if {
	not is_string(pattern)
} else := "" if {
	_plain(pattern)
} else := "want scheme://host/segment/… with scheme oci, https or http" if {
	not regex.match(`^(?:oci|https?)://[^/]*/.`, pattern)
} else := "want the host in lower case, without a default port or userinfo; *. may stand before a name of letters" if {
	not _host(pattern)
} else := "** stands at the end alone" if {
	regex.match(`/\*\*/`, pattern)
} else := "a segment is empty, is . or .., has a * beside other characters, or one that no reference has unescaped" if {
	not _segments(pattern)
} else := ""

# METADATA
# title: A chart that a pattern means
# description: Whether a location, as lib.refs gives it, is one that the pattern means.
matches(pattern, location) := pattern in _matching([pattern], location)

# METADATA
# title: The patterns that decide
# description: |
#   Of a collection of patterns those that match a location, and that no other one is more specific than. Read from
#   the left, a literal is more specific than *, and * than **.
best(patterns, location) := matching if {
	matching := _matching(patterns, location)
	count(matching) < 2
} else := {pattern | some pattern, rank in ranks; rank == highest} if {
	ranks := {pattern: _rank(split(pattern, "/")) | some pattern in _matching(patterns, location)}
	highest := max([rank | some rank in ranks])
}

# Most patterns are about other hosts, so that is asked first, and for all hosts
# that the location has in one.
_matching(patterns, location) := {pattern |
	_location(location)
	given := split(location, "/")
	hosts := _hosts(given[2])
	some pattern in patterns
	is_string(pattern)
	asked := split(pattern, "/")
	asked[2] in hosts
	asked[0] == given[0]
	_path_matches(array.slice(asked, 3, count(asked)), array.slice(given, 3, count(given)))
	valid(pattern)
}

# Most patterns are written so; no label of theirs is too long.
_plain(pattern) if {
	count(pattern) <= 71
	regex.match(`^(?:oci|https?)://(?:\*\.)?(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)+[a-z](?:[a-z0-9-]*[a-z0-9])?/(?:(?:[a-z0-9]+(?:[._-][a-z0-9]+)*|\*)/)*(?:[a-z0-9]+(?:[._-][a-z0-9]+)*|\*\*?)$`, pattern)
}

# The address that is left without the label * must be one, and no number.
_host(pattern) if {
	[[_, scheme, wild, host]] := regex.find_all_string_submatch_n(`^([a-z]+)://(\*\.)?([^/*]+)/`, pattern, 1)
	address := concat("", [scheme, "://", host])
	site := refs.url(address)
	address == concat("", [site.scheme, "://", site.host])
	_named(wild, host)
}

_named("", _) := true

_named("*.", host) if regex.match(`(?:^|\.)[a-z_][a-z0-9_-]*(?::[0-9]+)?$`, host)

# Of a registry only such segments match as a registry can have.
_segments(pattern) if {
	regex.match(`^https?://[^/]*(?:/(?:\*|[a-zA-Z0-9._~!$&'()+,;=:@-]+))*(?:/\*\*)?$`, pattern)
	not regex.match(`/\.\.?(?:/|$)`, pattern)
}

_segments(pattern) if {
	regex.match(`^oci://[^/]*(?:/(?:\*|[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*))*(?:/\*\*)?$`, pattern)
}

# References have no other locations.
_location(location) if {
	is_string(location)
	regex.match(`^(?:oci|https?)://[^/@]+(?:/[^/]+)+$`, location)
}

# A host as patterns may write it: itself, or * in place of its first labels.
_hosts(host) := {host} | {concat(".", array.concat(["*"], array.slice(labels, i, count(labels)))) |
	labels := split(host, ".")
	labels[0] != ""
	some i, _ in labels
	i > 0
}

_path_matches(asked, given) if {
	last := count(asked) - 1
	asked[last] == "**"
	count(given) > last
	_each_matches(array.slice(asked, 0, last), given)
} else if {
	count(asked) == count(given)
	_each_matches(asked, given)
}

_each_matches(asked, given) if {
	every i, segment in asked {
		segment in {"*", given[i]}
	}
}

# Lists compare from the left. Of hosts that begin with * and match, the one
# with more labels is the more specific.
_rank(parts) := array.concat([_host_rank(parts[2])], [_segment_rank(part) | some part in array.slice(parts, 3, count(parts))])

_host_rank(host) := count(split(host, ".")) if {
	startswith(host, "*.")
} else := 1000

_segment_rank("*") := 1

_segment_rank("**") := 0

_segment_rank(segment) := 2 if not segment in {"*", "**"}
