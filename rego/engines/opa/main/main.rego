# METADATA
# title: Continuous integration
# description: >-
#   Judges Kubernetes objects and admission reviews outside of a cluster by the
#   policies that are loaded, as the constraints in data.constraints would.
package main

import future.keywords.not

# METADATA
# title: Deny
# description: Why the input is refused, as {"msg", "details", "policy", "constraint"}.
deny contains finding if some finding in _found(_all, "deny")

# METADATA
# title: Warn
# description: What the input is let through with.
warn contains finding if some finding in _found(_all, "warn")

# METADATA
# title: Dry run
# description: What would be refused if it were enforced.
dryrun contains finding if some finding in _found(_all, "dryrun")

# METADATA
# title: Judged
# description: Whether any policy judged the input at all.
judged := _judged(_all)

# METADATA
# title: Results
# description: The same for each of the documents of {"documents"}, in their order.
results := [{
	"deny": _found([outcome], "deny"),
	"warn": _found([outcome], "warn"),
	"dryrun": _found([outcome], "dryrun"),
	"judged": _judged([outcome]),
} |
	some outcome in _all
]

# METADATA
# title: Policies
# description: The names of the policies that are loaded.
policies contains name if {
	some name
	data.policies[name].kinds
}

# A policy that does not say what it judges judges all.
policies contains name if {
	some name
	data.policies[name].violation with input as {}
}

# Outcomes: for each document, what each policy finds in each of its objects.

_all := [_outcome(document) | some document in _documents]

default _documents := [{}]

_documents := [input] if not _several

_documents := input.documents if _several

_several if {
	is_array(input.documents)
	not input.kind
}

_outcome(document) := [{"action": action, "judged": judged_by, "finding": finding} |
	some review in _reviews(document)
	some [action, judged_by, finding] in _judgements(review)
]

_found(outcomes, action) := {entry.finding |
	some outcome in outcomes
	some entry in outcome
	entry.action == action
	entry.finding != null
}

_judged(outcomes) := true in {entry.judged | some outcome in outcomes; some entry in outcome}

# Reviews.

_reviews(document) := array.concat(_itself(document), [review | some item in _items(document); some review in _itself(item)])

_itself(document) := [document.request] if {
	document.kind == "AdmissionReview"
	is_object(document.request)
} else := [] if {
	_called_list(document)
} else := [_review(document)]

_review(resource) := {
	"object": resource,
	"kind": {"group": _group(resource), "version": _version(resource), "kind": object.get(resource, "kind", "")},
	"name": _text(resource, ["metadata", "name"]),
	"namespace": _text(resource, ["metadata", "namespace"]),
} if is_object(resource)

else := {"object": resource, "kind": {"group": "", "version": "", "kind": ""}, "name": "", "namespace": ""}

# kubectl applies what a list holds, and lists may hold lists. To it whatever has
# items is a list, to others what is called one.
_called_list(document) if {
	_list(document)
	endswith(document.kind, "List")
}

_list(document) if {
	is_string(document.kind)
	is_array(document.items)
}

_items(document) := [_of_kind(item, path, document) |
	walk(document, [path, item])
	_itemised(path)
] if {
	_list(document)
} else := []

# What an item lacks of a kind it has of the list that it is in.
_of_kind(item, path, document) := object.union(item, {"apiVersion": object.get(list, "apiVersion", ""), "kind": trim_suffix(list.kind, "List")}) if {
	is_object(item)
	count({"apiVersion", "kind"} & object.keys(item)) == 0
	list := object.get(document, array.slice(path, 0, count(path) - 2), {})
	is_string(list.kind)
} else := item

_itemised(path) if {
	count(path) > 0
	every i, step in path { _step(i, step) }
	is_number(path[count(path) - 1])
}

_step(i, "items") if i % 2 == 0

_step(i, step) if {
	i % 2 == 1
	is_number(step)
}

_group(resource) := parts[0] if {
	parts := split(_text(resource, ["apiVersion"]), "/")
	count(parts) == 2
} else := ""

_version(resource) := parts[count(parts) - 1] if {
	parts := split(_text(resource, ["apiVersion"]), "/")
}

_text(resource, path) := text if {
	is_object(resource)
	text := object.get(resource, path, "")
	is_string(text)
} else := ""

# Judgements: [action, whether a policy judged, finding or null].

_judgements(review) := array.concat(
	[judgement |
		some name in _unbound
		_of_kinds(_kinds(name), review)
		some judgement in _judgements_of(name, "", {}, _default_action(name), review)
	],
	[judgement | some key, constraint in _constraints; some judgement in _constrained(key, constraint, review)],
)

# Without constraints, every policy judges, and has no parameters.
_unbound := policies if {
	count(_constraints) == 0
} else := set()

# What is no collection of constraints is one that cannot be read.
default _constraints := {}

_constraints := data.constraints if _collection(data.constraints)

_constraints := {"constraints": data.constraints} if not _collection(data.constraints)

_collection(value) if is_object(value)

_collection(value) if is_array(value)

_default_action("exemptions_in_use") := "warn"

_default_action(name) := "deny" if name != "exemptions_in_use"

_constrained(key, constraint, review) := [["deny", false, finding]] if {
	finding := {
		"msg": sprintf("constraint %v: %s (invalid_parameters)", [_named(key, constraint), _unusable(constraint)]),
		"details": {"code": "invalid_parameters", "outcome": "rejected", "via": "constraint", "ref": ""},
		"policy": "",
		"constraint": _named(key, constraint),
	}
} else := [] if {
	_unmatched(_match(constraint), review)
} else := [] if {
	not _filled(_match(constraint), "kinds")
	not _of_kinds(_kinds(_policy(constraint)), review)
} else := _judgements_of(
	_policy(constraint),
	_named(key, constraint),
	_object(object.get(constraint, ["spec", "parameters"], {})),
	_action(constraint),
	review,
)

# Why a constraint cannot be used. What a cluster would drop or refuse, it does
# not mean to say in vain.
_unusable(constraint) := reason if {
	not _policy(constraint)
	kind := object.get(_object(constraint), "kind", "?")
	reason := sprintf("no policy is of kind %v; correct the kind, add the policy, or leave the constraint out", [kind])
} else := sprintf("spec holds %s; what a policy demands lies in spec.parameters", [concat(", ", sort(_strange(constraint)))]) if {
	count(_strange(constraint)) > 0
}

_strange(constraint) := object.keys(_object(object.get(_object(constraint), "spec", {}))) - {"match", "parameters", "enforcementAction", "scopedEnforcementActions"}

# A constraint that says which kinds it is about is about them, as in a cluster;
# of one that does not, the policy knows.
_match(constraint) := object.get(_object(constraint), ["spec", "match"], {})

_object(value) := value if is_object(value)

else := {}

# What carries no name of its own goes by the key under which it was loaded.
_named(_, constraint) := constraint.metadata.name if is_string(constraint.metadata.name)

_named(key, constraint) := sprintf("%v", [key]) if not is_string(constraint.metadata.name)

_policy(constraint) := sort({name | some name in policies; _kind_of(name) == constraint.kind})[0]

# trusted_charts is the policy of the kind TrustedCharts.
_kind_of(name) := concat("", [concat("", [upper(substring(part, 0, 1)), substring(part, 1, -1)]) | some part in split(name, "_")])

_judgements_of(name, constraint, parameters, action, review) := array.concat([[action, true, null]], [[action, true, finding] |
	some violation in _violations(name, review, parameters)
	finding := {
		"msg": _message(violation),
		"details": object.get(_object(violation), "details", {}),
		"policy": name,
		"constraint": constraint,
	}
])

# A policy that finds nothing has an empty set of violations; one that has none
# at all says nothing about anything.
default _violations(_, _, _) := {{"msg": "the policy has no rule named violation"}}

_violations(name, review, parameters) := violations if {
	violations := data.policies[name].violation with input as {"review": review, "parameters": parameters}
		with data.inventory as _inventory
}

_message(violation) := violation.msg if is_string(violation.msg)

else := sprintf("%v", [violation])

# Enforcement.

_action(constraint) := action if {
	action := object.get(constraint, ["spec", "enforcementAction"], "deny")
	action in ["deny", "warn", "dryrun"]
} else := action if {
	constraint.spec.enforcementAction == "scoped"
	action := [scoped | some scoped in ["deny", "warn", "dryrun"]; scoped in _scoped(constraint)][0]
} else := "deny"

# A point of enforcement that objects on their way into a cluster pass.
_scoped(constraint) := {scoped.action |
	some scoped in constraint.spec.scopedEnforcementActions
	some point in scoped.enforcementPoints
	point.name in ["*", "gator.gatekeeper.sh", "validation.gatekeeper.sh"]
}

# Match, as Gatekeeper does it. An object is left out only where something says
# so; what cannot be read says nothing.

_of_kinds(kinds, review) if {
	some kind in kinds
	_kind_matches(kind, review)
}

default _kinds(_) := [{}]

_kinds(name) := data.policies[name].kinds if is_array(data.policies[name].kinds)

_kind_matches(kind, _) if not is_object(kind)

_kind_matches(kind, review) if {
	is_object(kind)
	_lists(kind, "kinds", object.get(review, ["kind", "kind"], ""))
	_lists(kind, "apiGroups", object.get(review, ["kind", "group"], ""))
}

_lists(kind, field, value) if {
	some listed in ["*", value]
	listed in object.get(kind, field, ["*"])
}

_lists(kind, field, _) if object.get(kind, field, ["*"]) == []

_lists(kind, field, _) if not is_array(object.get(kind, field, ["*"]))

_lists(_, _, value) if _template(value)

# What is filled in on the way to a cluster may become any kind, of any group, in
# any namespace.
_template(text) if {
	is_string(text)
	some opening in ["${", "{{"]
	contains(text, opening)
}

default _unmatched(_, _) := false

_unmatched(match, review) if {
	_filled(match, "kinds")
	not _of_kinds(match.kinds, review)
}

_unmatched(match, review) if {
	_filled(match, "namespaces")
	_namespace(review) != ""
	not _any_wildcard(match.namespaces, _namespace(review))
}

_unmatched(match, review) if {
	_namespace(review) != ""
	_any_wildcard(match.excludedNamespaces, _namespace(review))
}

_unmatched(match, review) if {
	is_string(match.name)
	match.name != ""
	not _wildcard(match.name, _text(review, ["object", "metadata", "name"]))
	not _generated(match.name, _text(review, ["object", "metadata", "generateName"]))
}

_unmatched(match, review) if {
	match.scope == "Cluster"
	not _is_namespace(review)
	_namespace(review) != ""
}

_unmatched(match, review) if {
	match.scope == "Namespaced"
	_of_cluster(review)
}

_unmatched(match, review) if _selects_none(match.labelSelector, review)

_unmatched(match, review) if {
	_is_namespace(review)
	_selects_none(match.namespaceSelector, review)
}

# A namespace that nobody has seen may well be one that is selected.
_unmatched(match, review) if {
	not _is_namespace(review)
	count(_namespaces(review)) > 0
	every namespace in _namespaces(review) { _selects_not(match.namespaceSelector, _labels(namespace)) }
}

_unmatched(match, _) if match.source == "Generated"

# A list that holds what is none of its kind says nothing, either.
_filled(match, field) if {
	is_array(match[field])
	count(match[field]) > 0
	types := {type_name(item) | some item in match[field]}
	count(types - {"string", "object"}) == 0
}

_is_namespace(review) if {
	review.kind.kind == "Namespace"
	review.kind.group == ""
}

_of_cluster(review) if _is_namespace(review)

# A file may leave the namespace to whoever applies it, a request may not.
_of_cluster(review) if {
	review.operation
	_namespace(review) == ""
}

# Where the namespace is not known yet, none is.
_namespace(review) := "" if _template(_written(review))

else := _written(review)

# The namespace of a namespace is the one that it is.
_written(review) := _text(review, ["object", "metadata", "name"]) if _is_namespace(review)

else := _text(review, ["namespace"]) if _text(review, ["namespace"]) != ""

else := _text(review, ["object", "metadata", "namespace"])

# Others may call their own kinds Namespace.
_namespaces(review) := {namespace |
	_namespace(review) != ""
	some version in object.keys(_inventory.cluster)
	split(version, "#")[0] == "v1"
	namespace := _inventory.cluster[version].Namespace[_namespace(review)]
}

default _labels(_) := {}

_labels(resource) := resource.metadata.labels if is_object(resource.metadata.labels)

_any_wildcard(patterns, text) if {
	some pattern in patterns
	is_string(pattern)
	_wildcard(pattern, text)
}

_wildcard(text, text)

_wildcard(pattern, text) if {
	startswith(pattern, "*")
	endswith(text, trim_prefix(pattern, "*"))
}

_wildcard(pattern, text) if {
	endswith(pattern, "*")
	startswith(text, trim_suffix(pattern, "*"))
}

_wildcard(pattern, text) if {
	startswith(pattern, "*")
	endswith(pattern, "*")
	contains(text, trim_suffix(trim_prefix(pattern, "*"), "*"))
}

# What is named later is named by what it begins with.
_generated(pattern, prefix) if {
	endswith(pattern, "*")
	_wildcard(pattern, prefix)
}

# An object is selected as what it was, too: a label that is taken away does not
# take it out of sight.
_selects_none(selector, review) if {
	_selects_not(selector, _labels(review.object))
	not is_object(review.oldObject)
}

_selects_none(selector, review) if {
	_selects_not(selector, _labels(review.object))
	_selects_not(selector, _labels(review.oldObject))
}

# Whether a selector tells these labels from those that it selects.
_selects_not(selector, labels) if {
	some label, value in selector.matchLabels
	not labels[label] == value
}

_selects_not(selector, labels) if {
	some expression in selector.matchExpressions
	_fails(expression.operator, expression, labels)
}

_fails("In", expression, labels) if {
	is_array(expression.values)
	not labels[expression.key] in expression.values
}

_fails("NotIn", expression, labels) if labels[expression.key] in expression.values

_fails("Exists", expression, labels) if not expression.key in object.keys(labels)

_fails("DoesNotExist", expression, labels) if expression.key in object.keys(labels)

# Inventory: what is in the cluster, as far as data.inventory tells, and all
# documents of this run. What is there more than once is there under several
# versions, of which each counts.

default _known := {}

_known := data.inventory

_inventory := object.union_n([{"cluster": {}, "namespace": {}}, _known, {"cluster": _cluster, "namespace": _by_namespace}])

_resources := [review.object |
	some document in _documents
	some review in _reviews(document)
	_text(review, ["object", "metadata", "name"]) != ""
]

_by_namespace := object.union_n([{namespace: {version: {kind: {name: resource}}}} |
	some i, resource in _resources
	[namespace, kind, name] := _place(resource)
	version := _told(i, resource)
])

# What names no namespace may be of the cluster, too.
_cluster := object.union_n([{version: {kind: {name: resource}}} |
	some i, resource in _resources
	_text(resource, ["metadata", "namespace"]) == ""
	[_, kind, name] := _place(resource)
	version := _told(i, resource)
])

_place(resource) := [namespace, resource.kind, resource.metadata.name] if {
	is_string(resource.kind)
	namespace := [text | some text in [_text(resource, ["metadata", "namespace"]), "default"]; text != ""][0]
}

_told(i, resource) := resource.apiVersion if {
	is_string(resource.apiVersion)
	not _told_before(i, resource)
} else := sprintf("%v#%d", [resource.apiVersion, i])

# No version of an API has the sign that tells them apart.
_told_before(_, resource) if contains(resource.apiVersion, "#")

_told_before(i, resource) if _first[_place(resource)] < i

_told_before(_, resource) if {
	[namespace, kind, name] := _place(resource)
	_known.namespace[namespace][resource.apiVersion][kind][name]
}

_told_before(_, resource) if {
	[_, kind, name] := _place(resource)
	_known.cluster[resource.apiVersion][kind][name]
}

# Of two for one place the second one wins, so they stand from last to first.
_first := object.union_n([{place: i} |
	some i in numbers.range(count(_resources) - 1, 0)
	place := _place(_resources[i])
])
