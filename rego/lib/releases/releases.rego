# METADATA
# title: Releases
# description: What Kubernetes objects say about charts that are to be installed, whichever installer reads them.
package lib.releases

import data.lib.argocd
import data.lib.carvel
import data.lib.clusterapi
import data.lib.configsync
import data.lib.crossplane
import data.lib.entries
import data.lib.fields
import data.lib.fleet
import data.lib.flux
import data.lib.k3s
import data.lib.records
import data.lib.sveltos

# METADATA
# title: Kinds
# description: The objects that name charts, as constraints match them.
kinds := [kind |
	some known in [
		flux.kinds, argocd.kinds, sveltos.kinds, k3s.kinds, fleet.kinds,
		crossplane.kinds, clusterapi.kinds, carvel.kinds, configsync.kinds,
	]
	some kind in known
]

# METADATA
# title: Sources
# description: An entry for each place from which the installer could take a chart, understood or not, with via, kind, ref, pin and why. What is not understood has the kind unknown; nothing is left out.
sources(resource) := flux.sources(resource) if _group(resource) in flux.groups

else := argocd.sources(resource) if _group(resource) in argocd.groups

else := sveltos.sources(resource) if _group(resource) in sveltos.groups

else := k3s.sources(resource) if _group(resource) in k3s.groups

else := fleet.sources(resource) if _group(resource) in fleet.groups

else := crossplane.sources(resource) if _group(resource) in crossplane.groups

else := clusterapi.sources(resource) if _group(resource) in clusterapi.groups

else := carvel.sources(resource) if _group(resource) in carvel.groups

else := configsync.sources(resource) if _group(resource) in configsync.groups

else := records.sources(resource) if records.record(resource)

else := [_unknown(resource)]

# METADATA
# title: Refs
# description: The references of the sources that have one.
refs(resource) := [source.ref | some source in sources(resource); source.ref != null]

# METADATA
# title: Repositories
# description: The addresses in objects that say where charts come from and not which, as via and url.
repositories(resource) := flux.repositories(resource) if _group(resource) in flux.groups

else := argocd.repositories(resource) if argocd.credential(resource)

else := []

# METADATA
# title: Insecure
# description: Every field that weakens the transport, as via and why, also of the object that an indirect source leads to.
insecure(resource) := flux.insecure(resource) if _group(resource) in flux.groups

else := argocd.insecure(resource) if _group(resource) in argocd.groups

else := argocd.insecure(resource) if argocd.credential(resource)

else := sveltos.insecure(resource) if _group(resource) in sveltos.groups

else := k3s.insecure(resource) if _group(resource) in k3s.groups

else := fleet.insecure(resource) if _group(resource) in fleet.groups

else := crossplane.insecure(resource) if _group(resource) in crossplane.groups

else := clusterapi.insecure(resource) if _group(resource) in clusterapi.groups

else := []

# Constraints match groups, and so do we; every version has the same shape here.
_group(resource) := split(fields.text(resource, ["apiVersion"]), "/")[0] if {
	contains(fields.text(resource, ["apiVersion"]), "/")
} else := ""

_unknown(resource) := entries.unknown("", sprintf("the object is %s, want an object", [fields.named_type(resource)])) if {
	not is_object(resource)
} else := entries.unknown("kind", sprintf("%s %s names no chart that is understood", [
	fields.quote(fields.text(resource, ["apiVersion"])),
	fields.quote(fields.text(resource, ["kind"])),
]))
