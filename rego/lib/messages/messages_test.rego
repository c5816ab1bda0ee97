package lib.messages_test

import data.lib.messages

_long := concat("", [letter | some _ in numbers.range(1, 1000); letter := "ä"])

test_line_breaks_are_spaces if {
	every parts in [["a\nb", "", "c"], ["", "a\nb", "c"], ["", "", "a\nb c"], ["a\n", "b", "\nc"]] {
		text := messages.text(parts[0], parts[1], parts[2])
		not contains(text, "\n")
		contains(text, "a")
		contains(text, "b")
	}
}

test_parts_stand_in_order if {
	messages.text("spec.chart", "oci://h.example/web:1.2.3", "no signature") == "spec.chart: oci://h.example/web:1.2.3: no signature"
}

test_what_is_empty_is_left_out if {
	messages.text("", "", "no chart") == "no chart"
	messages.text("spec", null, "no chart") == "spec: no chart"
	messages.text(null, null, null) == ""
}

test_other_values_are_written if {
	messages.text(["a"], {"b": 1}, 17) == `["a"]: {"b": 1}: 17`
	messages.text(true, {1}, false) == "true: {1}: false"
}

test_one_printable_line if {
	messages.text("a\nb", "\u001b[31mred\u0000", "x\u202ey\u00a0z\r\n") == "a b: [31mred: x y z"
	messages.text("über", "Käse", "日本語 ✓") == "über: Käse: 日本語 ✓"
}

test_long_parts_are_cut if {
	line := messages.text(_long, _long, "the reason")
	endswith(line, ": the reason")
	contains(line, "ä…: ä")
	count(line) == ((64 + 112) + 2) + count(": the reason")
	count(messages.text(_long, _long, _long)) == 256
	endswith(messages.text("", "", _long), "ä…")
	count(messages.text("", "", _long)) == 256
}

_digest := "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"

# The longest name of a chart that is common is seen whole, with its digest.
test_digest_is_seen if {
	ref := concat("", ["oci://registry.example.com/charts/web@", _digest])
	contains(messages.text("spec.sources[1]", ref, "no signature"), concat("", [_digest, ": no signature"]))
}

test_violation if {
	source := {"via": "spec.chart", "kind": "oci", "ref": "oci://H.example:443/web:1.2.3", "pin": "version", "why": ""}
	messages.violation(source, "no_signature", "rejected", "nobody signed", {"ticket": "T-1", "code": "ok"}) == {
		"msg": "spec.chart: oci://h.example/web:1.2.3: nobody signed (no_signature)",
		"details": {"via": "spec.chart", "ref": "oci://h.example/web:1.2.3", "code": "no_signature", "outcome": "rejected", "ticket": "T-1"},
	}
}

test_repository_in_a_violation if {
	source := {"via": "spec", "ref": {"repository": "https://h.example/", "name": "web", "version": "1.2.3"}}
	messages.violation(source, "c", "o", "r", {}).msg == "spec: https://h.example#web@1.2.3: r (c)"
}

# Who reads the message alone sees that it was no rejection.
test_undecided_violation if {
	violation := messages.violation({"via": "spec", "ref": null}, "unavailable", "undecided", "the registry answered 503", {})
	violation.msg == "spec: the registry answered 503 (undecided: unavailable)"
}

test_long_violation_has_its_code if {
	violation := messages.violation({"via": "spec", "ref": null}, "no_signature", "rejected", _long, {})
	endswith(violation.msg, "… (no_signature)")
	count(violation.msg) == 256
}

test_violation_shows_no_secret if {
	every ref in ["https://user:hunter2@h.example/web.tgz", "https://h.example/web.tgz?token=hunter2", {"repository": "https://u:hunter2@h.example", "name": "web", "version": "1.2.3"}] {
		not contains(json.marshal(messages.violation({"via": "spec", "ref": ref}, "c", "o", "r", {})), "hunter2")
	}
}

test_archive_in_a_violation_is_short if {
	source := {"via": "spec", "ref": {"archive": base64.encode(_long)}}
	count(json.marshal(messages.violation(source, "c", "o", "r", {}))) < 512
}

# Whatever it is given: an undefined part would lose the violation.
test_violation_of_other_shapes if {
	shapes := [null, 17, "text", [], {}, true, {"via": null}, {"via": 17, "ref": [1]}, {"via": {"a": 1}, "ref": {"b": 2}}, {"ref": null}]
	every shape in shapes {
		violation := messages.violation(shape, shape, shape, "the reason", shape)
		contains(violation.msg, "the reason")
		object.keys(violation.details) & {"via", "ref", "code", "outcome"} == {"via", "ref", "code", "outcome"}
	}
}
