# METADATA
# title: Admission
# description: Reads the review of an object, wherever it comes from, and knows which of them nobody is to judge.
package lib.admission

# METADATA
# title: Object
# description: The object under review; {} if there is none.
default object_of(_) := {}

object_of(document) := document.review.object if is_object(document.review.object)

# METADATA
# title: Judged
# description: >-
#   Whether a review is to be judged: all are but two. Nothing comes by a
#   DELETE. An UPDATE of an object that is being deleted and stays what it was
#   only lets it go; were it refused, its finalizers could never be removed.
default judged(_) := true

judged(document) := false if document.review.operation == "DELETE"

judged(document) := false if {
	document.review.operation == "UPDATE"
	_deleted(document.review.object)
	_deleted(document.review.oldObject)
	_content(document.review.object) == _content(document.review.oldObject)
}

# The API server alone sets this field.
_deleted(resource) if {
	is_string(resource.metadata.deletionTimestamp)
	resource.metadata.deletionTimestamp != ""
}

# Everything but what controllers write while they take an object down: some
# kinds keep more than their spec beside it, and by labels it is told what is in
# a namespace.
_content(resource) := [
	object.remove(resource, ["metadata", "status"]),
	object.get(resource, ["metadata", "labels"], {}),
]
