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
sources(resource) := known if {
	known := _sources(_group(resource), resource)
} else := records.sources(resource) if records.record(resource)

else := [_unknown(resource)]

# METADATA
# title: Refs
# description: The references of the sources that have one.
refs(resource) := [source.ref | some source in sources(resource); source.ref != null]

# METADATA
# title: Repositories
# description: The addresses in objects that say where charts come from and not which, as via and url.
repositories(resource) := flux.repositories(resource) if _group(resource) in flux.groups

else := argocd.repositories(resource)

# METADATA
# title: Insecure
# description: Every field that weakens the transport, as via and why, also of the object that an indirect source leads to.
insecure(resource) := known if {
	known := _insecure(_group(resource), resource)
} else := argocd.insecure(resource) if {
	argocd.credential(resource)
} else := []

_sources("helm.toolkit.fluxcd.io", resource) := flux.sources(resource)

_sources("source.toolkit.fluxcd.io", resource) := flux.sources(resource)

_sources("argoproj.io", resource) := argocd.sources(resource)

_sources("config.projectsveltos.io", resource) := sveltos.sources(resource)

_sources("helm.cattle.io", resource) := k3s.sources(resource)

_sources("fleet.cattle.io", resource) := fleet.sources(resource)

_sources("helm.crossplane.io", resource) := crossplane.sources(resource)

_sources("helm.m.crossplane.io", resource) := crossplane.sources(resource)

_sources("addons.cluster.x-k8s.io", resource) := clusterapi.sources(resource)

_sources("kappctrl.k14s.io", resource) := carvel.sources(resource)

_sources("configsync.gke.io", resource) := configsync.sources(resource)

_insecure("helm.toolkit.fluxcd.io", resource) := flux.insecure(resource)

_insecure("source.toolkit.fluxcd.io", resource) := flux.insecure(resource)

_insecure("argoproj.io", resource) := argocd.insecure(resource)

_insecure("config.projectsveltos.io", resource) := sveltos.insecure(resource)

_insecure("helm.cattle.io", resource) := k3s.insecure(resource)

_insecure("fleet.cattle.io", resource) := fleet.insecure(resource)

_insecure("helm.crossplane.io", resource) := crossplane.insecure(resource)

_insecure("helm.m.crossplane.io", resource) := crossplane.insecure(resource)

_insecure("addons.cluster.x-k8s.io", resource) := clusterapi.insecure(resource)

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
