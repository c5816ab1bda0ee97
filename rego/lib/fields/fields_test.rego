package lib.fields_test

import data.lib.fields

_resource := {"spec": {"text": "web", "list": [1], "members": {"a": 1}, "number": 1, "off": false}}

_anything := [null, 1, true, "x", [], {}, [1], {"spec": 1}, {"spec": null}, {"spec": []}]

test_read_by_type if {
	fields.text(_resource, ["spec", "text"]) == "web"
	fields.items(_resource, ["spec", "list"]) == [1]
	fields.members(_resource, ["spec", "members"]) == {"a": 1}
	fields.at(_resource, ["spec", "number"]) == 1
}

test_other_types_are_empty if {
	every value in _anything {
		fields.text(value, ["spec", "text"]) == ""
		fields.items(value, ["spec", "text"]) == []
		fields.members(value, ["spec", "text"]) == {}
		fields.at(value, ["spec", "text"]) == null
	}
}

test_long_list_is_not_read if {
	count(fields.items({"list": numbers.range(1, 64)}, ["list"])) == 64
	fields.items({"list": numbers.range(1, 65)}, ["list"]) == []
}

test_used if {
	every name in ["text", "list", "members", "number"] {
		fields.used(_resource, ["spec", name])
	}
	every name in ["off", "other"] {
		fields.used(_resource, ["spec", name]) == false
	}
	every nothing in [null, false, 0, "", [], {}] {
		fields.used({"a": nothing}, ["a"]) == false
	}
}

_shape := {"string": [["text"]], "array": [["list"]], "object": [["members"]]}

test_right_types_have_no_faults if {
	fields.faults(_resource.spec, "spec", _shape) == []
	fields.faults({}, "spec", _shape) == []
	fields.faults({"text": null}, "spec", _shape) == []
}

test_faults[name] if {
	some name, case in {
		"number": {"value": {"text": 1.1}, "want": "spec.text is a number, want a string"},
		"boolean": {"value": {"text": true}, "want": "spec.text is a boolean, want a string"},
		"list": {"value": {"text": ["web"]}, "want": "spec.text is a list, want a string"},
		"object": {"value": {"list": {}}, "want": "spec.list is an object, want a list"},
		"string": {"value": {"members": "x"}, "want": "spec.members is a string, want an object"},
		"giant": {"value": {"text": concat("", [_kilobyte, _kilobyte, _kilobyte, _kilobyte, "x"])}, "want": "spec.text has 4097 characters, at most 4096 are read"},
		"template": {"value": {"text": "{{ .name }}"}, "want": "spec.text holds a template, so it is not known yet"},
		"variable": {"value": {"text": "v${version}"}, "want": "spec.text holds a template, so it is not known yet"},
		"long list": {"value": {"list": numbers.range(1, 65)}, "want": "spec.list holds 65 items, at most 64 are read"},
	}
	fields.faults(case.value, "spec", _shape) == [{"via": regex.find_n(`^\S+`, case.want, 1)[0], "why": case.want}]
}

_kilobyte := concat("", [letter | some _ in numbers.range(1, 1024); letter := "a"])

test_no_object if {
	fields.faults(null, "spec", _shape) == [{"via": "spec", "why": "spec is missing, want an object"}]
	fields.faults([], "", _shape) == [{"via": "", "why": "the object is a list, want an object"}]
}

test_paths if {
	fields.join("", "spec") == "spec"
	fields.join("spec", "a.b") == "spec.a.b"
	fields.item("spec.list", 2) == "spec.list[2]"
}

test_quote if {
	fields.quote("we\u0431\n") == `"we\u0431\n"`
	fields.quote(_kilobyte) == sprintf(`"%s"…`, [substring(_kilobyte, 0, 64)])
}
