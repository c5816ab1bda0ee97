package lib.parameters_test

import data.lib.parameters

_schema := {
	"type": "object",
	"additionalProperties": false,
	"required": ["charts"],
	"properties": {"charts": {"type": "array", "minItems": 1, "items": {"type": "string"}}},
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

test_beside_options_named if {
	options := parameters.options({"parameters": {"options": {"charts": ["web"]}, "digest": "required"}})
	parameters.faults(options, _schema) == {"options: Additional property (beside options) digest is not allowed"}
}

test_beside_no_options_named if {
	every given in [{"digest": 1}, {"digest": 1, "options": false}] {
		parameters.options({"parameters": given}) == {"(beside options) digest": true}
	}
}
