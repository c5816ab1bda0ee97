# METADATA
# title: Records
# description: What Helm leaves in the cluster about its releases. Whoever may write it may write anything, so it is a signal and no source.
package lib.records

import data.lib.entries
import data.lib.fields

# METADATA
# title: Record
# description: Whether an object is a release record, by its type or, for a ConfigMap, by its labels and name.
record(resource) if {
	fields.text(resource, ["apiVersion"]) == "v1"
	_recorded(resource, fields.text(resource, ["kind"]))
} else := false

# METADATA
# title: Sources
# description: An entry that says what a record does not.
sources(_) := [entries.unknown(
	"data.release",
	"a release record has no digest, no address and no signature, and its writer chose what it says",
)]

_recorded(resource, "Secret") if startswith(fields.text(resource, ["type"]), "helm.sh/release.")

_recorded(resource, kind) if {
	kind in ["Secret", "ConfigMap"]
	fields.text(resource, ["metadata", "labels", "owner"]) == "helm"
	startswith(fields.text(resource, ["metadata", "name"]), "sh.helm.release.")
}
