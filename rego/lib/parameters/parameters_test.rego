package lib.parameters_test

import data.lib.parameters

_schema := {
	"type": "object",
	"additionalProperties": false,
	"required": ["charts"],
	"properties": {"charts": parameters.names, "inline": parameters.inline, "exemptions": parameters.exemptions, "break_glass": parameters.break_glass},
}

test_options_read if {
	parameters.options({"parameters": {"options": {"a": 1}}}) == {"a": 1}
}

test_no_options_empty if {
	every document in [{}, {"parameters": {}}, {"parameters": null}, null, "x", {"parameters": []}] {
		parameters.options(document) == {}
	}
}

test_options_of_another_type_kept if {
	parameters.options({"parameters": {"options": false}}) == false
}

test_fitting_options_faultless if {
	parameters.faults({"charts": ["web"]}, _schema) == set()
}

test_missing_option_named if {
	parameters.faults({}, _schema) == {"options: charts is required"}
}

test_misspelt_option_named if {
	parameters.faults({"charts": ["web"], "inlin": []}, _schema) == {"options: Additional property inlin is not allowed"}
}

test_wrong_type_named if {
	parameters.faults({"charts": ["web", 1]}, _schema) == {"options.charts.1: Invalid type. Expected: string, given: integer"}
}

test_no_object_named if {
	every options, name in {"text": "string", 7: "number", true: "boolean", false: "boolean", ["list"]: "array", null: "null"} {
		parameters.faults(options, _schema) == {sprintf("options is of type %s, want an object", [name])}
	}
}

test_unreadable_schema_faulty if {
	parameters.faults({}, {"type": 7}) == {"options: the schema cannot be read"}
}

_exemption := {
	"namespace": "shop",
	"chart": "oci://registry.example.com/charts/web",
	"digest": "any",
	"reason": "migration",
	"expires": "2030-01-01T00:00:00Z",
}

_exempting(exemption) := parameters.faults({"charts": ["web"], "exemptions": [exemption]}, _schema)

test_exemption_fits if {
	_exempting(_exemption) == set()
	_exempting(object.union(_exemption, {"ticket": "OPS-1"})) == set()
}

test_exemption_lacks_nothing if {
	every field in object.keys(_exemption) {
		_exempting(object.remove(_exemption, [field])) == {sprintf("options.exemptions.0: %s is required", [field])}
	}
}

test_exemption_without_end_refused if {
	_exempting(object.union(_exemption, {"expires": "never"})) == {"options.exemptions.0.expires: Does not match format 'date-time'"}
}

test_exemption_of_short_digest_refused if {
	count(_exempting(object.union(_exemption, {"digest": "sha256:abc"}))) == 1
}

test_break_glass_fits if {
	parameters.faults({"charts": ["web"], "break_glass": {"key": "PEM", "algorithm": "ES256"}}, _schema) == set()
}

# A token that whoever reads the constraint could sign proves nothing.
test_symmetric_break_glass_refused if {
	count(parameters.faults({"charts": ["web"], "break_glass": {"key": "secret", "algorithm": "HS256"}}, _schema)) > 0
}
