# METADATA
# title: Exemptions
# description: |
#   Looks for what lifts a violation: an exemption in the parameters of a policy, or a signed token in an annotation
#   of the object. Both are bound to a namespace, a chart and a digest, and both expire. What does not hold in
#   every part does not count.
package lib.exemptions

import future.keywords.not

import data.lib.patterns
import data.lib.refs

# METADATA
# title: What lifts a violation
# description: |
#   What lifts the violation of an object by one of its sources, as lib.releases gives them, with the digest that
#   is deployed, "" if that is unknown. Found or not, the answer has the same fields: found, by ("exemption" or
#   "break-glass"), reason, ticket, expires, and why: what is there and does not count, and what is wrong with it.
#
#   options.exemptions is a list of {"namespace", "chart", "digest", "reason", "expires"}: the namespace, "" for an
#   object that is in none; a pattern of lib.patterns; sha256:… or the word "any"; a sentence; a time as in RFC 3339.
#   options.break_glass is {"key", "algorithm"}: a public key as PEM or JWKS, and the one algorithm that it is for. The
#   annotation chartseal.dev/break-glass then may hold a compact JWS with the claims aud "chartseal", namespace,
#   chart (the location of the chart), digest, exp and ticket.
find(resource, source, digest, options) := _found("exemption", exemption.reason, "", exemption.expires) if {
	subject := _subject(resource, source, digest)
	exemption := [one | some one in _list(options); _exemption_fault(one, subject) == ""][0]
} else := _found("break-glass", "break-glass", claims.ticket, _time(claims.exp)) if {
	subject := _subject(resource, source, digest)
	_token_fault(resource, subject, options) == ""
	claims := _claims(_token(resource))
} else := object.union(_found("", "", "", ""), {"found": false, "why": concat("; ", whys)}) if {
	subject := _subject(resource, source, digest)
	about := {fault | some one in _list(options); _concerns(one, subject); fault := _exemption_fault(one, subject)}
	whys := about | ({_token_fault(resource, subject, options)} - {"there is no token"})
}

_found(by, reason, ticket, expires) := {"found": true, "by": by, "reason": reason, "ticket": ticket, "expires": expires, "why": ""}

_subject(resource, source, digest) := {
	"namespace": _at(resource, ["metadata", "namespace"], ""),
	"location": refs.location(_at(source, ["ref"], null)),
	"digest": digest,
}

_at(value, path, missing) := object.get(value, path, missing) if {
	is_object(value)
} else := missing

# Exemptions

_list(options) := list if {
	list := _at(options, ["exemptions"], [])
	is_array(list)
} else := []

_exemption_fault(one, subject) := "an exemption is malformed" if {
	not _exemption(one)
} else := "an exemption is for another namespace or chart" if {
	not _concerns(one, subject)
} else := sprintf("the exemption of %s expired at %s", [one.chart, one.expires]) if {
	time.parse_rfc3339_ns(one.expires) <= time.now_ns()
} else := sprintf("the exemption of %s is for the digest %s", [one.chart, one.digest]) if {
	not one.digest in {"any", subject.digest}
} else := ""

_concerns(one, _) if not _exemption(one)

_concerns(one, subject) if {
	one.namespace == subject.namespace
	patterns.matches(one.chart, subject.location)
}

_exemption(one) if {
	{"namespace": namespace, "chart": pattern, "digest": digest, "reason": reason, "expires": expires} = one
	is_string(namespace)
	patterns.valid(pattern)
	_digest(digest)
	_sentence(reason)
	_moment(expires)
}

_digest(digest) if digest == "any"

_digest(digest) if {
	is_string(digest)
	regex.match(`^sha256:[0-9a-f]{64}$`, digest)
}

_sentence(text) if {
	is_string(text)
	trim_space(text) != ""
}

# RFC 3339 with the days that months have, so that reading it never fails.
_moment(text) if {
	is_string(text)
	regex.match(concat("", ["^(?:", concat("|", _dates), ")", _clock, "$"]), text)
}

_dates := [
	`20[0-9]{2}-(?:0[1-9]|1[0-2])-(?:0[1-9]|1[0-9]|2[0-8])`,
	`20[0-9]{2}-(?:0[13-9]|1[0-2])-(?:29|30)`,
	`20[0-9]{2}-(?:0[13578]|1[02])-31`,
	`20(?:[02468][048]|[13579][26])-02-29`,
]

_clock := `T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]{1,9})?(?:Z|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])`

# Tokens

# Nothing, if there is none.
_token(resource) := _at(resource, ["metadata", "annotations", "chartseal.dev/break-glass"], null)

_token_fault(resource, subject, options) := "there is no token" if {
	_token(resource) == null
} else := "break-glass is not set up: a token counts only with options.break_glass, a key and the algorithm that it is for" if {
	not _setup(options)
} else := "the break-glass token is no compact JWS of its algorithm, in at most 4096 characters, with the number exp" if {
	not _well_formed(_token(resource), options.break_glass.algorithm)
} else := sprintf("the break-glass token expired at %s", [_time(_claims(_token(resource)).exp)]) if {
	_claims(_token(resource)).exp * 1000000000 <= time.now_ns()
} else := "the break-glass token is forged, for another audience, or not yet valid" if {
	not _verified(_token(resource), options.break_glass)
} else := _claims_fault(_claims(_token(resource)), subject)

_setup(options) if {
	{"key": key, "algorithm": algorithm} = _at(options, ["break_glass"], null)
	is_string(key)

	# No secret that is shared: whoever reads the parameters could sign.
	algorithm in {"ES256", "ES384", "ES512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "EdDSA"}
}

# Nothing that nests, points elsewhere or asks to be understood stands in a header.
_well_formed(token, algorithm) if {
	is_string(token)
	count(token) <= 4096
	regex.match(`^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$`, token)
	parts := split(token, ".")
	every part in parts {
		count(part) % 4 != 1
	}
	header := _json(parts[0])
	header.alg == algorithm
	object.keys(header) - {"alg", "typ", "kid"} == set()
	every value in header {
		is_string(value)
	}
	_timely(_json(parts[1]))
}

# Numbers that are times, so that no comparison with one fails.
_timely(claims) if {
	is_object(claims)
	every name in {"exp"} | ({"nbf", "iat"} & object.keys(claims)) {
		is_number(claims[name])
		claims[name] > 0
		claims[name] < 9223372036
	}
}

_json(part) := json.unmarshal(text) if {
	text := base64url.decode(part)
	json.is_valid(text)
}

_claims(token) := _json(split(token, ".")[1])

# The claims are those that were read before: no other text was signed.
_verified(token, break_glass) if {
	constraints := {"cert": break_glass.key, "alg": break_glass.algorithm, "aud": "chartseal", "time": time.now_ns()}
	[true, header, claims] = io.jwt.decode_verify(token, constraints)
	header.alg == break_glass.algorithm
	claims == _claims(token)
}

_claims_fault(claims, subject) := "the break-glass token has no ticket" if {
	not _sentence(claims.ticket)
} else := sprintf("the break-glass token is for namespace %v, not %v", [_brief(claims, "namespace"), subject.namespace]) if {
	not _same(claims, "namespace", {subject.namespace})
} else := sprintf("the break-glass token is for %v, not %v", [_brief(claims, "chart"), subject.location]) if {
	not _same(claims, "chart", {subject.location} - {""})
} else := sprintf("the break-glass token is for the digest %v, not %v", [_brief(claims, "digest"), subject.digest]) if {
	not _same(claims, "digest", {"any", subject.digest} - {""})
} else := ""

_same(claims, name, wanted) if {
	is_string(claims[name])
	claims[name] in wanted
}

_brief(claims, name) := substring(json.marshal(object.get(claims, name, null)), 0, 128)

_time(seconds) := time.format([floor(seconds) * 1000000000, "UTC", "RFC3339"])
