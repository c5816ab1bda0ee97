package lib.admission_test

import data.lib.admission

_object := {
	"kind": "Application",
	"metadata": {"name": "web", "deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": ["a"]},
	"spec": {"source": {"chart": "web"}},
	"operation": {"sync": {}},
	"status": {"health": "Healthy"},
}

_update(change) := {"review": {"operation": "UPDATE", "oldObject": _object, "object": object.union(_object, change)}}

test_object_read if {
	admission.object_of({"review": {"object": _object}}) == _object
}

test_no_object_empty if {
	every document in [{}, null, {"review": {}}, {"review": {"object": null}}, {"review": {"object": "web"}}, {"review": 1}] {
		admission.object_of(document) == {}
	}
}

test_create_and_update_judged if {
	every operation in ["CREATE", "UPDATE", "CONNECT", "", "delete", null, 1] {
		admission.judged({"review": {"operation": operation, "object": {}}})
	}
}

test_review_without_operation_judged if {
	every document in [{}, null, {"review": {"object": _object}}] {
		admission.judged(document)
	}
}

test_delete_not_judged if {
	not admission.judged({"review": {"operation": "DELETE", "object": _object}})
}

test_update_of_deleted_not_judged if {
	not admission.judged(_update({"status": {"health": "Missing"}}))
	not admission.judged(_update({"metadata": {"finalizers": []}}))
}

test_changed_update_of_deleted_judged if {
	admission.judged(_update({"spec": {"source": {"chart": "evil"}}}))
	admission.judged(_update({"operation": {"sync": {"source": {"chart": "evil"}}}}))
	admission.judged(_update({"content": "H4sI"}))
	admission.judged(_update({"metadata": {"labels": {"chart-verification": "off"}}}))
}

test_update_claiming_deletion_judged if {
	document := _update({})
	admission.judged(json.patch(document, [{"op": "remove", "path": "/review/oldObject/metadata/deletionTimestamp"}]))
	admission.judged(json.patch(document, [{"op": "remove", "path": "/review/object/metadata/deletionTimestamp"}]))
	admission.judged(json.patch(document, [{"op": "replace", "path": "/review/operation", "value": "CREATE"}]))
	admission.judged(json.patch(document, [
		{"op": "replace", "path": "/review/object/metadata/deletionTimestamp", "value": ""},
		{"op": "replace", "path": "/review/oldObject/metadata/deletionTimestamp", "value": ""},
	]))
}

test_update_without_old_object_judged if {
	admission.judged(json.patch(_update({}), [{"op": "remove", "path": "/review/oldObject"}]))
}
