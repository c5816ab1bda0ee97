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

# A condition in the body is what OPA finds a rule by.
_sources(group, resource) := flux.sources(resource) if group == "helm.toolkit.fluxcd.io"

_sources(group, resource) := flux.sources(resource) if group == "source.toolkit.fluxcd.io"

_sources(group, resource) := argocd.sources(resource) if group == "argoproj.io"

_sources(group, resource) := sveltos.sources(resource) if group == "config.projectsveltos.io"

_sources(group, resource) := k3s.sources(resource) if group == "helm.cattle.io"

_sources(group, resource) := fleet.sources(resource) if group == "fleet.cattle.io"

_sources(group, resource) := crossplane.sources(resource) if group == "helm.crossplane.io"

_sources(group, resource) := crossplane.sources(resource) if group == "helm.m.crossplane.io"

_sources(group, resource) := clusterapi.sources(resource) if group == "addons.cluster.x-k8s.io"

_sources(group, resource) := carvel.sources(resource) if group == "kappctrl.k14s.io"

_sources(group, resource) := configsync.sources(resource) if group == "configsync.gke.io"

_insecure(group, resource) := flux.insecure(resource) if group == "helm.toolkit.fluxcd.io"

_insecure(group, resource) := flux.insecure(resource) if group == "source.toolkit.fluxcd.io"

_insecure(group, resource) := argocd.insecure(resource) if group == "argoproj.io"

_insecure(group, resource) := sveltos.insecure(resource) if group == "config.projectsveltos.io"

_insecure(group, resource) := k3s.insecure(resource) if group == "helm.cattle.io"

_insecure(group, resource) := fleet.insecure(resource) if group == "fleet.cattle.io"

_insecure(group, resource) := crossplane.insecure(resource) if group == "helm.crossplane.io"

_insecure(group, resource) := crossplane.insecure(resource) if group == "helm.m.crossplane.io"

_insecure(group, resource) := clusterapi.insecure(resource) if group == "addons.cluster.x-k8s.io"

# Constraints match groups, and so do we; every version has the same shape here.
_group(resource) := concat("", [parts[0] |
	parts := split(fields.text(resource, ["apiVersion"]), "/")
	count(parts) > 1
])

_unknown(resource) := entries.unknown("", sprintf("the object is %s, want an object", [fields.named_type(resource)])) if {
	not is_object(resource)
} else := entries.unknown("kind", sprintf("%s %s names no chart that is understood", [
	fields.quote(fields.text(resource, ["apiVersion"])),
	fields.quote(fields.text(resource, ["kind"])),
]))
