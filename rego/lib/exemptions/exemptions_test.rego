package lib.exemptions_test

import data.lib.exemptions

# Keys of these tests alone.
_key := {"kty": "EC", "crv": "P-256", "x": "c82cxL7dOMicWs-lA3IgEF3PnNyxds7r5_TH0Hc0UtY", "y": "nbMk1hczxvt_Q_sR0U10DuokSjyAHuaMUxUi-hnHCuA", "d": "2wqKtGSgaw_3G1EbfmXvsf7JDlftGBM1T2NCn-ktAW4"}

_pem := "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEc82cxL7dOMicWs+lA3IgEF3PnNyx\nds7r5/TH0Hc0UtadsyTWFzPG+39D+xHRTXQO6iRKPIAe5oxTFSL6GccK4A==\n-----END PUBLIC KEY-----\n"

_other_key := {"kty": "EC", "crv": "P-256", "x": "wL6G-Sz9l9pgEjgz5i-Z2BWW21YnQLbs5pLZAYYKr5g", "y": "-AIXDuB4ZqEkUj0mdwGCVI3LoUis412yY7-YNPZGQMA", "d": "ZmQUKWF0vLaGjLRUr9erup1gt7Zex3Wpy3Tuvrt7ixk"}

_edwards_key := {"kty": "OKP", "crv": "Ed25519", "x": "IKLq9KMGhEtK7dvcwK0BMr2B-dwRfHsuEOSN-2v-sVw", "d": "66wtYXzzW4pvS8Aum4EWnUCKmqux7pbKYSFW09Mpw08"}

_now := time.parse_rfc3339_ns("2030-06-01T12:00:00Z")

_digest := "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"

_other_digest := "sha256:0000000000000000000000000000000000000000000000000000000000000000"

_source := {"via": "spec.chart", "kind": "oci", "ref": "oci://registry.example.com/charts/web:1.2.3", "pin": "version", "why": ""}

_object(annotations) := {"metadata": {"name": "web", "namespace": "shop", "annotations": annotations}}

_exemption := {"namespace": "shop", "chart": "oci://registry.example.com/charts/*", "digest": _digest, "reason": "moves in June", "expires": "2030-06-01T12:00:01Z"}

_none := {"found": false, "by": "", "reason": "", "ticket": "", "expires": "", "why": ""}

_find(resource, options) := answer if {
	answer := exemptions.find(resource, _source, _digest, options) with time.now_ns as _now
}

# Exemptions

test_nothing_there if {
	_find(_object({}), {}) == _none
	_find(_object({}), {"exemptions": []}) == _none
}

test_exemption_counts if {
	_find(_object({}), {"exemptions": [_exemption]}) == {
		"found": true,
		"by": "exemption",
		"reason": "moves in June",
		"ticket": "",
		"expires": "2030-06-01T12:00:01Z",
		"why": "",
	}
}

test_first_that_counts_is_given if {
	list := [object.union(_exemption, over) | some over in [{"namespace": "api"}, {"expires": "2029-01-01T00:00:00Z"}, {"digest": "any", "reason": "b"}, {"reason": "c"}]]
	_find(_object({}), {"exemptions": list}).reason == "b"
}

test_object_in_no_namespace if {
	resource := {"metadata": {"name": "web"}}
	_find(resource, {"exemptions": [object.union(_exemption, {"namespace": ""})]}).found
	not _find(resource, {"exemptions": [_exemption]}).found
	not _find({"metadata": {"namespace": null}}, {"exemptions": [object.union(_exemption, {"namespace": ""})]}).found
	not _find({"metadata": {"namespace": 17}}, {"exemptions": [object.union(_exemption, {"namespace": ""})]}).found
}

# One change each, beside what is said of it.
_changes := [
	[{"namespace": "shop2"}, ""],
	[{"namespace": ""}, ""],
	[{"chart": "oci://registry.example.com/*"}, ""],
	[{"chart": "oci://registry.example.com/charts/web2"}, ""],
	[{"chart": "oci://registry.example.com/charts/web:1.2.3"}, "an exemption is malformed"],
	[{"chart": "*"}, "an exemption is malformed"],
	[{"digest": _other_digest}, concat("", ["the exemption of oci://registry.example.com/charts/* is for the digest ", _other_digest])],
	[{"digest": "Any"}, "an exemption is malformed"],
	[{"digest": "*"}, "an exemption is malformed"],
	[{"digest": ""}, "an exemption is malformed"],
	[{"digest": "sha256:00"}, "an exemption is malformed"],
	[{"expires": "2030-06-01T12:00:00Z"}, "the exemption of oci://registry.example.com/charts/* expired at 2030-06-01T12:00:00Z"],
	[{"expires": "2030-06-01T13:59:59+02:00"}, "the exemption of oci://registry.example.com/charts/* expired at 2030-06-01T13:59:59+02:00"],
	[{"expires": "2031-01-01"}, "an exemption is malformed"],
	[{"expires": "2031-02-29T00:00:00Z"}, "an exemption is malformed"],
	[{"expires": "2031-06-31T00:00:00Z"}, "an exemption is malformed"],
	[{"expires": "2031-13-01T00:00:00Z"}, "an exemption is malformed"],
	[{"expires": "9999-01-01T00:00:00Z"}, "an exemption is malformed"],
	[{"expires": "never"}, "an exemption is malformed"],
	[{"expires": ""}, "an exemption is malformed"],
	[{"expires": 1940000000}, "an exemption is malformed"],
	[{"reason": " "}, "an exemption is malformed"],
	[{"reason": null}, "an exemption is malformed"],
	[{"namespace": ["shop"]}, "an exemption is malformed"],
	[{"chart": 17}, "an exemption is malformed"],
	[{"digest": 17}, "an exemption is malformed"],
	[{"more": true}, "an exemption is malformed"],
]

test_changed_exemption_does_not_count if {
	every change in _changes {
		_find(_object({}), {"exemptions": [object.union(_exemption, change[0])]}) == object.union(_none, {"why": change[1]})
	}
}

test_exemption_without_a_member_does_not_count if {
	every name, _ in _exemption {
		not _find(_object({}), {"exemptions": [object.remove(_exemption, [name])]}).found
	}
}

test_moments_that_there_are if {
	every expires in ["2032-02-29T00:00:00Z", "2031-12-31T23:59:59.999+14:00", "2031-06-30T00:00:00-05:00"] {
		_find(_object({}), {"exemptions": [object.union(_exemption, {"expires": expires})]}).expires == expires
	}
}

test_unknown_digest_is_none if {
	every digest in ["", null, 17, ["any"], "any2"] {
		not exemptions.find(_object({}), _source, digest, {"exemptions": [_exemption]}).found with time.now_ns as _now
		exemptions.find(_object({}), _source, digest, {"exemptions": [object.union(_exemption, {"digest": "any"})]}).found with time.now_ns as _now
	}
}

test_what_lies_nowhere_is_not_exempt if {
	open := object.union(_exemption, {"chart": "oci://registry.example.com/**", "digest": "any"})
	every source in [null, 17, {}, {"ref": null}, {"ref": 17}, {"ref": "web.tgz"}, {"ref": {"archive": "dGVzdA=="}}, {"ref": "oci://u@registry.example.com/charts/web:1"}] {
		not exemptions.find(_object({}), source, "", {"exemptions": [open]}).found with time.now_ns as _now
	}
}

# Tokens

_claims := {
	"aud": "chartseal",
	"namespace": "shop",
	"chart": "oci://registry.example.com/charts/web",
	"digest": _digest,
	"exp": 1906545601,
	"ticket": "OPS-17",
}

_glass := {"break_glass": {"key": _pem, "algorithm": "ES256"}}

_signed(claims) := io.jwt.encode_sign({"alg": "ES256", "typ": "JWT"}, claims, _key)

_showing(token) := _object({"chartseal.dev/break-glass": token})

test_token_counts if {
	_find(_showing(_signed(_claims)), _glass) == {
		"found": true,
		"by": "break-glass",
		"reason": "break-glass",
		"ticket": "OPS-17",
		"expires": "2030-06-01T12:00:01Z",
		"why": "",
	}
}

test_token_for_any_digest_counts if {
	_find(_showing(_signed(object.union(_claims, {"digest": "any"}))), _glass).found
}

test_token_counts_beside_an_exemption_that_does_not if {
	options := object.union(_glass, {"exemptions": [object.union(_exemption, {"expires": "2029-01-01T00:00:00Z"})]})
	_find(_showing(_signed(_claims)), options).by == "break-glass"
	_find(_showing("forged"), object.union(_glass, {"exemptions": [_exemption]})).by == "exemption"
}

test_token_by_keys_of_a_set if {
	key := object.union(object.remove(_key, ["d"]), {"kid": "a", "alg": "ES256"})
	other := object.union(object.remove(_other_key, ["d"]), {"kid": "b", "alg": "ES256"})
	options := {"break_glass": {"key": json.marshal({"keys": [other, key]}), "algorithm": "ES256"}}
	_find(_showing(io.jwt.encode_sign({"alg": "ES256", "kid": "a"}, _claims, _key)), options).found
	not _find(_showing(io.jwt.encode_sign({"alg": "ES256", "kid": "b"}, _claims, _key)), options).found
}

test_token_by_an_edwards_key if {
	options := {"break_glass": {"key": json.marshal({"keys": [object.remove(_edwards_key, ["d"])]}), "algorithm": "EdDSA"}}
	token := io.jwt.encode_sign({"alg": "EdDSA"}, _claims, _edwards_key)
	_find(_showing(token), options).found
	not _find(_showing(token), _glass).found
}

_unread := "the break-glass token is no compact JWS of its algorithm, in at most 4096 characters, with the number exp"

_unsigned := "the break-glass token is forged, for another audience, or not yet valid"

# One claim changed, beside what is said of it.
_changed_claims := [
	[{"aud": "others"}, _unsigned],
	[{"aud": ["others"]}, _unsigned],
	[{"aud": null}, _unsigned],
	[{"aud": 17}, _unsigned],
	[{"nbf": 1906545601}, _unsigned],
	[{"nbf": "x"}, _unread],
	[{"exp": 1906545600}, "the break-glass token expired at 2030-06-01T12:00:00Z"],
	[{"exp": 1.5}, "the break-glass token expired at 1970-01-01T00:00:01Z"],
	[{"exp": "1906545601"}, _unread],
	[{"exp": null}, _unread],
	[{"exp": true}, _unread],
	[{"exp": 0}, _unread],
	[{"exp": -1}, _unread],
	[{"exp": 1e300}, _unread],
	[{"ticket": ""}, "the break-glass token has no ticket"],
	[{"ticket": 17}, "the break-glass token has no ticket"],
	[{"namespace": "api"}, `the break-glass token is for namespace "api", not shop`],
	[{"namespace": "*"}, `the break-glass token is for namespace "*", not shop`],
	[{"namespace": ["shop"]}, `the break-glass token is for namespace ["shop"], not shop`],
	[{"namespace": 17}, "the break-glass token is for namespace 17, not shop"],
	[{"chart": "oci://registry.example.com/charts/*"}, `the break-glass token is for "oci://registry.example.com/charts/*", not oci://registry.example.com/charts/web`],
	[{"chart": "oci://registry.example.com/charts/web:1.2.3"}, `the break-glass token is for "oci://registry.example.com/charts/web:1.2.3", not oci://registry.example.com/charts/web`],
	[{"chart": null}, "the break-glass token is for null, not oci://registry.example.com/charts/web"],
	[{"digest": _other_digest}, sprintf("the break-glass token is for the digest %q, not %s", [_other_digest, _digest])],
	[{"digest": ""}, sprintf(`the break-glass token is for the digest "", not %s`, [_digest])],
	[{"digest": {"any": 1}}, sprintf(`the break-glass token is for the digest {"any":1}, not %s`, [_digest])],
]

test_token_without_a_claim_does_not_count if {
	every claim in ["namespace", "chart", "digest", "ticket", "exp", "aud"] {
		found := _find(_showing(_signed(object.remove(_claims, [claim]))), _glass)
		not found.found
		found.why != ""
	}
}

test_token_with_another_claim_does_not_count if {
	every change in _changed_claims {
		_find(_showing(_signed(object.union(_claims, change[0]))), _glass) == object.union(_none, {"why": change[1]})
	}
}

test_token_without_a_claim_does_not_count if {
	every name, _ in _claims {
		not _find(_showing(_signed(object.remove(_claims, [name]))), _glass).found
	}
}

test_token_for_an_unknown_digest if {
	every digest in ["", null, 17] {
		not exemptions.find(_showing(_signed(object.union(_claims, {"digest": ""}))), _source, digest, _glass).found with time.now_ns as _now
	}
}

test_token_for_a_chart_that_lies_nowhere if {
	every location in ["", "web.tgz", "./web.tgz"] {
		token := _signed(object.union(_claims, {"chart": location}))
		not exemptions.find(_showing(token), {"ref": "web.tgz"}, _digest, _glass).found with time.now_ns as _now
	}
}

_encoded(value) := base64url.encode_no_pad(json.marshal(value))

_parts := split(_signed(_claims), ".")

_bodies := [_encoded({"alg": "none"}), _encoded(_claims)]

# What is not signed by our key with our algorithm, beside what is said of it.
_forged := [
	[io.jwt.encode_sign({"alg": "ES256"}, _claims, _other_key), _unsigned],
	[concat(".", [_parts[0], _encoded(object.union(_claims, {"ticket": "x"})), _parts[2]]), _unsigned],
	[concat(".", [_parts[0], _parts[1], "AAAA"]), _unsigned],
	[concat(".", [_bodies[0], _bodies[1], ""]), _unread],
	[concat(".", [_bodies[0], _bodies[1], "AAAA"]), _unread],
	[io.jwt.encode_sign({"alg": "HS256"}, _claims, {"kty": "oct", "k": base64url.encode_no_pad(_pem)}), _unread],
	[io.jwt.encode_sign({"alg": "EdDSA"}, _claims, _edwards_key), _unread],
	[io.jwt.encode_sign({"alg": "ES256", "cty": "JWT"}, _claims, _key), _unread],
	[io.jwt.encode_sign({"alg": "ES256", "jku": "https://evil.example"}, _claims, _key), _unread],
	[io.jwt.encode_sign({"alg": "ES256", "kid": 17}, _claims, _key), _unread],
	[concat(".", [_encoded({"alg": ["ES256"]}), _bodies[1], _parts[2]]), _unread],
	[concat(".", [_encoded(["ES256"]), _bodies[1], _parts[2]]), _unread],
	[concat(".", [_parts[0], _encoded([1]), _parts[2]]), _unread],
	[concat(".", [_parts[0], base64url.encode_no_pad("{"), _parts[2]]), _unread],
	[concat(".", [_parts[0], _parts[1]]), _unread],
	[concat(".", array.concat(_parts, ["AAAA"])), _unread],
	[concat(".", [_parts[0], _parts[1], "A"]), _unread],
	[concat(" ", [_signed(_claims), ""]), _unread],
	[concat("", [_parts[0], ".", _parts[1], ".", _parts[2], "=="]), _unread],
	[concat("", [letter | some _ in numbers.range(1, 4097); letter := "a"]), _unread],
	["", _unread],
	["..", _unread],
	["valid", _unread],
	[17, _unread],
	[true, _unread],
	[[_signed(_claims)], _unread],
	[{"token": _signed(_claims)}, _unread],
]

test_forged_token_does_not_count if {
	every forgery in _forged {
		_find(_showing(forgery[0]), _glass) == object.union(_none, {"why": forgery[1]})
	}
}

_unset := "break-glass is not set up: a token counts only with options.break_glass, a key and the algorithm that it is for"

test_token_without_setup_does_not_count if {
	setups := [
		null, 17, [], {}, {"break_glass": null},
		{"break_glass": {"key": _pem}},
		{"break_glass": {"algorithm": "ES256"}},
		{"break_glass": {"key": _pem, "algorithm": "HS256"}},
		{"break_glass": {"key": _pem, "algorithm": "none"}},
		{"break_glass": {"key": _pem, "algorithm": ["ES256"]}},
		{"break_glass": {"key": [_pem], "algorithm": "ES256"}},
		{"break_glass": {"key": _pem, "algorithm": "ES256", "more": 1}},
	]
	every options in setups {
		_find(_showing(_signed(_claims)), options) == object.union(_none, {"why": _unset})
	}
}

# A key that is none verifies nothing.
test_token_by_no_key_does_not_count if {
	every key in ["", "key", "{}", `{"keys": []}`, "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"] {
		_find(_showing(_signed(_claims)), {"break_glass": {"key": key, "algorithm": "ES256"}}) == object.union(_none, {"why": _unsigned})
	}
}

test_objects_of_other_shapes if {
	shapes := [null, 17, "text", [], {}, {"metadata": null}, {"metadata": []}, {"metadata": "x"}, {"metadata": {"annotations": null}}, {"metadata": {"annotations": ["chartseal.dev/break-glass"]}}, {"metadata": {"annotations": "chartseal.dev/break-glass"}}]
	every shape in shapes {
		_find(shape, _glass) == _none
		_find(_object({}), shape) == _none
	}
	every list in [null, 17, "text", {}, [null], [17], [[]]] {
		not _find(_object({}), {"exemptions": list}).found
	}
}
