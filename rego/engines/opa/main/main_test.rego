package main_test

import data.main

# Policies that find the same in whatever they judge.
_policies := {
	"trusted_charts": {"kinds": [{"apiGroups": ["helm.cattle.io"], "kinds": ["HelmChart"]}], "violation": {{"msg": "untrusted", "details": {"code": "no_rule"}}}},
	"exemptions_in_use": {"kinds": [{"apiGroups": ["*"], "kinds": ["HelmChart"]}], "violation": {{"msg": "exempt"}}},
	"quiet_charts": {"kinds": [{"apiGroups": ["helm.cattle.io"], "kinds": ["*"]}], "violation": set()},
}

_untrusted := {"msg": "untrusted", "details": {"code": "no_rule"}, "policy": "trusted_charts", "constraint": ""}

_web := {"apiVersion": "helm.cattle.io/v1", "kind": "HelmChart", "metadata": {"name": "web", "namespace": "shop", "labels": {"app": "web"}}, "spec": {}}

_config := {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "web", "namespace": "shop"}}

_admission(object) := {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {
	"uid": "1",
	"operation": "CREATE",
	"kind": {"group": "helm.cattle.io", "version": "v1", "kind": "HelmChart"},
	"name": "web",
	"namespace": "shop",
	"object": object,
}}

_constraint(spec) := {"apiVersion": "constraints.gatekeeper.sh/v1beta1", "kind": "TrustedCharts", "metadata": {"name": "platform"}, "spec": spec}

_bound := {"msg": "untrusted", "details": {"code": "no_rule"}, "policy": "trusted_charts", "constraint": "platform"}

# Policies.

test_every_policy_judges_without_constraints if {
	main.deny == {_untrusted} with input as _web with data.policies as _policies
	main.warn == {{"msg": "exempt", "details": {}, "policy": "exemptions_in_use", "constraint": ""}} with input as _web with data.policies as _policies
	main.dryrun == set() with input as _web with data.policies as _policies
	main.judged with input as _web with data.policies as _policies
}

test_other_kinds_not_judged if {
	main.deny == set() with input as _config with data.policies as _policies
	main.judged == false with input as _config with data.policies as _policies
}

test_what_finds_nothing_judges if {
	document := object.union(_web, {"kind": "HelmChartConfig"})
	main.deny == set() with input as document with data.policies as _policies
	main.judged with input as document with data.policies as _policies
}

test_policy_without_kinds_judges_all if {
	policies := {"mine": {"violation": {{"msg": "no"}}}}
	main.deny == {{"msg": "no", "details": {}, "policy": "mine", "constraint": ""}} with input as _config with data.policies as policies
}

test_policy_without_violation_denies if {
	policies := {"mine": {"kinds": [{}]}}
	{finding.msg | some finding in main.deny} == {"the policy has no rule named violation"} with input as _config with data.policies as policies
}

test_violation_without_message_kept if {
	policies := {"mine": {"kinds": [{}], "violation": [{"code": 1}, "text"]}}
	{finding.msg | some finding in main.deny} == {"text", "{\"code\": 1}"} with input as _config with data.policies as policies
}

test_no_policy_no_judgement if {
	main.policies == set() with data.policies as {}
	main.judged == false with input as _web with data.policies as {}
}

# Documents.

test_no_input_not_judged if {
	main.judged == false with data.policies as _policies
	main.deny == set() with data.policies as _policies
}

test_what_is_no_object_not_judged if {
	every document in [null, "text", 1, [], {}, {"apiVersion": 1, "kind": 1, "metadata": {"name": 7}}, {"apiVersion": "a/b/c", "kind": "Pod", "metadata": 7}] {
		main.judged == false with input as document with data.policies as _policies
	}
}

test_review_judged if {
	main.deny == {_untrusted} with input as _admission(_web) with data.policies as _policies
}

# The API server tells the kind even where there is no object.
test_deletion_judged_by_kind if {
	main.judged with input as _admission(null) with data.policies as _policies
}

test_review_without_request_not_judged if {
	main.judged == false with input as {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview"} with data.policies as _policies
}

test_items_of_lists_judged if {
	every items in [[_web], [_config, _web], [{"kind": "List", "items": [_web]}], [{"kind": "HelmChartList", "items": [_config, _web]}]] {
		main.deny == {_untrusted} with input as {"apiVersion": "v1", "kind": "List", "items": items} with data.policies as _policies
	}
}

test_empty_list_not_judged if {
	main.judged == false with input as {"apiVersion": "v1", "kind": "List", "items": []} with data.policies as _policies
}

# What kubectl takes for a list, whatever it is called.
test_items_of_any_kind_judged if {
	main.deny == {_untrusted} with input as object.union(_config, {"items": [_web]}) with data.policies as _policies
	main.deny == {_untrusted} with input as object.union(_web, {"items": [_config]}) with data.policies as _policies
	main.deny == {_untrusted} with input as object.union(_config, {"items": [_admission(_web)]}) with data.policies as _policies
	main.deny == set() with input as object.union(_config, {"items": [_config, 7]}) with data.policies as _policies
	main.deny == set() with input as {"items": [_web]} with data.policies as _policies
}

test_item_has_the_kind_of_its_list if {
	list := {"apiVersion": "helm.cattle.io/v1", "kind": "HelmChartList"}
	item := {"metadata": {"name": "web"}}
	main.deny == {_untrusted} with input as object.union(list, {"items": [item]}) with data.policies as _policies
	main.deny == {_untrusted} with input as {"kind": "List", "items": [object.union(list, {"items": [item]})]} with data.policies as _policies
	main.deny == set() with input as object.union(list, {"items": [object.union(item, {"kind": "Pod"})]}) with data.policies as _policies
	main.deny == set() with input as {"kind": "HelmChartList", "items": [item]} with data.policies as _policies
}

test_documents_judged_in_order if {
	results := main.results with input as {"documents": [_config, _web, _config]} with data.policies as _policies
	[result.judged | some result in results] == [false, true, false]
	results[1].deny == {_untrusted}
	count(results[1].warn) == 1
	results[0] == {"deny": set(), "warn": set(), "dryrun": set(), "judged": false}
}

test_one_result_for_one_document if {
	results := main.results with input as _web with data.policies as _policies
	count(results) == 1
}

# An object of some installer may well have a field of that name.
test_object_with_documents_is_one if {
	document := object.union(_web, {"documents": []})
	main.deny == {_untrusted} with input as document with data.policies as _policies
}

# Constraints.

_with(spec) := {"c": _constraint(spec)}

test_constraint_binds_its_policy_alone if {
	main.deny == {_bound} with input as _web with data.policies as _policies with data.constraints as _with({})
	main.warn == set() with input as _web with data.policies as _policies with data.constraints as _with({})
}

test_constraint_outside_of_kinds_not_judged if {
	main.judged == false with input as _config with data.policies as _policies with data.constraints as _with({})
}

test_no_constraint_is_every_policy if {
	main.deny == {_untrusted} with input as _web with data.policies as _policies with data.constraints as {}
}

# What a cluster drops or refuses opens nothing here.
test_constraint_with_parameters_in_the_wrong_place_denies if {
	constraint := {"kind": "TrustedCharts", "metadata": {"name": "a"}, "spec": {"options": {"rules": []}, "parameter": {}}}
	findings := main.deny with input as _web with data.policies as _policies with data.constraints as {"c": constraint}
	{finding.msg | some finding in findings} == {"constraint a: spec holds options, parameter; what a policy demands lies in spec.parameters (invalid_parameters)"}
}

test_constraint_of_no_policy_denies if {
	every constraint in [{"kind": "TrustedChart", "metadata": {"name": "a"}}, {"kind": "trusted_charts"}, {}, "text", null] {
		findings := main.deny with input as _web with data.policies as _policies with data.constraints as {"c": constraint}
		count(findings) == 1
		some finding in findings
		contains(finding.msg, "no policy is of kind")
	}
}

test_unreadable_constraints_deny if {
	every constraints in ["TrustedCharts", 7, null, true] {
		findings := main.deny with input as _web with data.policies as _policies with data.constraints as constraints
		{finding.constraint | some finding in findings} == {"constraints"}
	}
}

test_list_of_constraints_binds if {
	main.deny == {_bound} with input as _web with data.policies as _policies with data.constraints as [_constraint({})]
}

# Of two names for one kind, one must win.
test_policies_of_one_kind_decided if {
	policies := {
		"trusted_charts": {"kinds": [{}], "violation": {{"msg": "no"}}},
		"trustedCharts": {"kinds": [{}], "violation": {{"msg": "never"}}},
	}
	{finding.policy | some finding in main.deny} == {"trustedCharts"} with input as _web
		with data.policies as policies
		with data.constraints as _with({})
}

test_unreadable_kinds_judge_all if {
	policies := {"mine": {"kinds": "HelmRelease", "violation": {{"msg": "no"}}}}
	count(main.deny) == 1 with input as _config with data.policies as policies
}

test_constraint_without_name_goes_by_its_key if {
	constraint := object.remove(_constraint({}), ["metadata"])
	{finding.constraint | some finding in main.deny} == {"c"} with input as _web
		with data.policies as _policies
		with data.constraints as {"c": constraint}
}

_acted(spec) := found if {
	found := {"deny": count(main.deny), "warn": count(main.warn), "dryrun": count(main.dryrun)} with input as _web
		with data.policies as _policies
		with data.constraints as _with(spec)
}

test_enforcement_action_kept if {
	every action in ["deny", "warn", "dryrun"] {
		_acted({"enforcementAction": action})[action] == 1
		sum([n | some n in _acted({"enforcementAction": action})]) == 1
	}
}

test_unknown_action_denies if {
	every action in ["", "Warn", "off", null, 1, ["warn"], "scoped"] {
		_acted({"enforcementAction": action}) == {"deny": 1, "warn": 0, "dryrun": 0}
	}
}

_scoped(actions) := {"enforcementAction": "scoped", "scopedEnforcementActions": [{"action": action, "enforcementPoints": points} |
	some action, names in actions
	points := [{"name": name} | some name in names]
]}

test_scoped_action_is_the_strictest_on_the_way_in if {
	_acted(_scoped({"warn": ["*"]})).warn == 1
	_acted(_scoped({"warn": ["gator.gatekeeper.sh"], "deny": ["audit.gatekeeper.sh"]})).warn == 1
	_acted(_scoped({"warn": ["*"], "deny": ["validation.gatekeeper.sh"]})).deny == 1
	_acted(_scoped({"dryrun": ["*"]})).dryrun == 1
}

# Match.

_applies(match, document) if {
	count(main.deny) == 1 with input as document
		with data.policies as {"trusted_charts": {"kinds": [{}], "violation": {{"msg": "no"}}}}
		with data.constraints as _with({"match": match})
}

_namespace(labels) := {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop", "labels": labels}}

test_match_of_kinds if {
	every kinds in [
		[], [{}],
		[{"apiGroups": ["*"], "kinds": ["*"]}],
		[{"apiGroups": ["helm.cattle.io"], "kinds": ["HelmChart"]}],
		[{"kinds": ["ConfigMap"]}, {"apiGroups": [], "kinds": ["HelmChart"]}],
	] {
		_applies({"kinds": kinds}, _web)
	}
	not _applies({"kinds": [{"apiGroups": [""], "kinds": ["HelmChart"]}]}, _web)
	not _applies({"kinds": [{"apiGroups": ["helm.cattle.io"], "kinds": ["HelmCharts"]}]}, _web)
	_applies({"kinds": [{"apiGroups": [""], "kinds": ["ConfigMap"]}]}, _config)
}

test_match_of_namespaces if {
	every namespace in ["shop", "sh*", "*op", "*ho*", "*"] {
		_applies({"namespaces": [namespace]}, _web)
		not _applies({"excludedNamespaces": [namespace]}, _web)
		not _applies({"excludedNamespaces": [namespace]}, _namespace({}))
	}
	every namespace in ["shopping", "s", "hop*", "*sh", "*x*"] {
		not _applies({"namespaces": [namespace]}, _web)
		_applies({"excludedNamespaces": [namespace]}, _web)
	}
}

# Nothing tells where it goes.
test_object_without_namespace_matches if {
	document := object.union(object.remove(_web, ["metadata"]), {"metadata": {"name": "web"}})
	_applies({"namespaces": ["other"]}, document)
	_applies({"excludedNamespaces": ["shop"]}, document)
	_applies({"namespaceSelector": {"matchLabels": {"a": "b"}}}, document)
	_applies({"scope": "Namespaced"}, document)
	_applies({"scope": "Cluster"}, document)
}

test_match_of_names if {
	_applies({"name": ""}, _web)
	_applies({"name": "web"}, _web)
	_applies({"name": "w*"}, _web)
	not _applies({"name": "other"}, _web)
	generated := object.union(object.remove(_web, ["metadata"]), {"metadata": {"generateName": "web-"}})
	_applies({"name": "web-*"}, generated)
	not _applies({"name": "web-1"}, generated)
}

test_match_of_scope if {
	_applies({"scope": "Namespaced"}, _web)
	not _applies({"scope": "Cluster"}, _web)
	_applies({"scope": "Cluster"}, _namespace({}))
	not _applies({"scope": "Namespaced"}, _namespace({}))
	_applies({"scope": "cluster"}, _web)
	cluster := {"kind": "AdmissionReview", "request": {"operation": "CREATE", "kind": {"kind": "ClusterProfile"}, "object": {}}}
	not _applies({"scope": "Namespaced"}, cluster)
	_applies({"scope": "Cluster"}, cluster)
}

test_match_of_source if {
	_applies({"source": "Original"}, _web)
	_applies({"source": "All"}, _web)
	not _applies({"source": "Generated"}, _web)
}

test_match_of_labels if {
	every selector in [
		{},
		{"matchLabels": {"app": "web"}},
		{"matchExpressions": [{"key": "app", "operator": "In", "values": ["web", "api"]}]},
		{"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["api"]}]},
		{"matchExpressions": [{"key": "tier", "operator": "NotIn", "values": ["api"]}]},
		{"matchExpressions": [{"key": "app", "operator": "Exists"}]},
		{"matchExpressions": [{"key": "tier", "operator": "DoesNotExist"}]},
	] {
		_applies({"labelSelector": selector}, _web)
	}
	every selector in [
		{"matchLabels": {"app": "api"}},
		{"matchLabels": {"tier": "web"}},
		{"matchLabels": {"app": "web", "tier": "web"}},
		{"matchExpressions": [{"key": "app", "operator": "In", "values": ["api"]}]},
		{"matchExpressions": [{"key": "tier", "operator": "In", "values": ["web"]}]},
		{"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["web"]}]},
		{"matchExpressions": [{"key": "tier", "operator": "Exists"}]},
		{"matchExpressions": [{"key": "app", "operator": "DoesNotExist"}]},
	] {
		not _applies({"labelSelector": selector}, _web)
	}
}

test_unreadable_match_applies if {
	every match in [
		null, "none", [],
		{"kinds": "HelmRelease"}, {"kinds": ["HelmRelease"]}, {"namespaces": "other"}, {"excludedNamespaces": "shop"}, {"name": 7},
		{"kinds": [{"apiGroups": "apps", "kinds": ["HelmChart"]}]}, {"kinds": [{"kinds": "Pod"}]}, {"namespaces": [7]},
		{"labelSelector": {"matchExpressions": [{"key": "app", "operator": "Is", "values": ["api"]}]}},
		{"labelSelector": {"matchExpressions": [{"key": "app", "operator": "In", "values": "api"}]}},
		{"labelSelector": "app=api"}, {"namespaceSelector": null},
	] {
		_applies(match, _web)
	}
}

# Flux, and whatever renders files, fills it in afterwards.
test_object_with_template_judged if {
	every change in [{"kind": "${KIND:=HelmChart}"}, {"apiVersion": "{{ .group }}/v1"}, {"apiVersion": "${GROUP:=helm.cattle.io/v1}", "kind": "{{kind}}"}] {
		main.judged with input as object.union(_web, change) with data.policies as _policies
		_applies({"kinds": [{"apiGroups": ["helm.cattle.io"], "kinds": ["HelmChart"]}]}, object.union(_web, change))
	}
	document := object.union(_web, {"metadata": {"namespace": "${SPACE:=shop}"}})
	_applies({"namespaces": ["shop"]}, document)
	_applies({"excludedNamespaces": ["$*"]}, document)
}

test_label_taken_away_applies if {
	match := {"labelSelector": {"matchLabels": {"app": "web"}}}
	bare := object.union(object.remove(_web, ["metadata"]), {"metadata": {"name": "web", "namespace": "shop"}})
	_applies(match, object.union(_admission(bare), {"request": {"operation": "UPDATE", "oldObject": _web}}))
	not _applies(match, object.union(_admission(bare), {"request": {"operation": "UPDATE", "oldObject": bare}}))
	not _applies(match, object.union(_admission(bare), {"request": {"oldObject": null}}))
}

_selecting := {"namespaceSelector": {"matchLabels": {"chart-verification": "required"}}}

_among(documents) := results[count(results) - 1].deny if {
	results := main.results with input as {"documents": documents}
		with data.policies as _policies
		with data.constraints as _with({"match": _selecting})
}

test_namespace_selector_reads_inventory if {
	_among([_namespace({"chart-verification": "required"}), _web]) == {_bound}
	_among([_namespace({}), _web]) == set()
	inventory := {"cluster": {"v1": {"Namespace": {"shop": _namespace({})}}}}
	main.deny == set() with input as _web
		with data.policies as _policies
		with data.constraints as _with({"match": _selecting})
		with data.inventory as inventory
}

test_namespace_selector_reads_namespaces if {
	_applies(_selecting, _namespace({"chart-verification": "required"}))
	not _applies(_selecting, _namespace({}))
}

test_unknown_namespace_applies if {
	_among([_web]) == {_bound}
}

test_other_kind_called_namespace_hides_nothing if {
	_among([object.union(_namespace({}), {"apiVersion": "example.com/v1"}), _web]) == {_bound}
	_among([object.union(_namespace({}), {"apiVersion": "example.com/v1"}), _namespace({}), _web]) == set()
}

# Where a namespace is told of twice, either may be what comes out.
test_namespace_told_twice_applies if {
	_among([_namespace({}), _namespace({"chart-verification": "required"}), _web]) == {_bound}
	_among([_namespace({"chart-verification": "required"}), _namespace({}), _web]) == {_bound}
}

# Inventory.

_inventory := inventory if {
	inventory := main._inventory with input as {"documents": [_web, _namespace({}), _web, {"kind": 7, "metadata": {"name": "x"}}, {}, null, "text"]}
		with data.inventory as {"namespace": {"shop": {"v1": {"Secret": {"a": {}}}}}}
}

test_documents_are_inventory if {
	_inventory.namespace.shop["helm.cattle.io/v1"].HelmChart.web == _web
	_inventory.cluster.v1.Namespace.shop == _namespace({})
	_inventory.namespace.shop.v1.Secret.a == {}
}

test_second_document_of_a_name_kept if {
	_inventory.namespace.shop["helm.cattle.io/v1#2"].HelmChart.web == _web
}

test_document_beside_that_of_the_cluster_kept if {
	known := {"namespace": {"shop": {"helm.cattle.io/v1": {"HelmChart": {"web": {"old": true}}}}}}
	inventory := main._inventory with input as _web with data.inventory as known
	inventory.namespace.shop["helm.cattle.io/v1"].HelmChart.web == {"old": true}
	inventory.namespace.shop["helm.cattle.io/v1#0"].HelmChart.web == _web
}

test_namespace_beside_that_of_the_cluster_kept if {
	known := {"cluster": {"v1": {"Namespace": {"shop": {"old": true}}}}}
	inventory := main._inventory with input as _namespace({}) with data.inventory as known
	inventory.cluster.v1.Namespace.shop == {"old": true}
	inventory.cluster["v1#0"].Namespace.shop == _namespace({})
}

test_no_version_hides_another if {
	first := object.union(_web, {"apiVersion": "helm.cattle.io/v1#1"})
	inventory := main._inventory with input as {"documents": [first, _web]}
	inventory.namespace.shop["helm.cattle.io/v1#1#0"].HelmChart.web == first
	inventory.namespace.shop["helm.cattle.io/v1#1"].HelmChart.web == _web
}
