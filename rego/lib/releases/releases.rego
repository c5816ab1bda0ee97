# METADATA
# title: Releases
# description: What Kubernetes objects say about charts that are to be installed, whichever installer reads them.
package lib.releases

import data.lib.argocd
import data.lib.entries
import data.lib.fields
import data.lib.flux
import data.lib.k3s
import data.lib.sveltos

# METADATA
# title: Kinds
# description: The objects that name charts, as constraints match them.
kinds := [kind | some known in [flux.kinds, argocd.kinds, sveltos.kinds, k3s.kinds]; some kind in known]

# METADATA
# title: Sources
# description: An entry for each place from which the installer could take a chart, understood or not, with via, kind, ref, pin and why. What is not understood has the kind unknown; nothing is left out.
sources(resource) := flux.sources(resource) if _group(resource) in flux.groups

else := argocd.sources(resource) if _group(resource) in argocd.groups

else := sveltos.sources(resource) if _group(resource) in sveltos.groups

else := k3s.sources(resource) if _group(resource) in k3s.groups

else := [_unknown(resource)]

# METADATA
# title: Refs
# description: The references of the sources that have one.
refs(resource) := [source.ref | some source in sources(resource); source.ref != null]

# METADATA
# title: Repositories
# description: The addresses in objects that say where charts are and not which, as via and url.
repositories(resource) := flux.repositories(resource) if _group(resource) in flux.groups

else := []

# METADATA
# title: Insecure
# description: Every field that weakens the transport, as via and why, also of the object that an indirect source leads to.
insecure(resource) := flux.insecure(resource) if _group(resource) in flux.groups

else := argocd.insecure(resource) if _group(resource) in argocd.groups

else := sveltos.insecure(resource) if _group(resource) in sveltos.groups

else := k3s.insecure(resource) if _group(resource) in k3s.groups

else := []

# The group of an apiVersion with a version behind it; constraints match groups.
_group(resource) := split(fields.text(resource, ["apiVersion"]), "/")[0] if {
	contains(fields.text(resource, ["apiVersion"]), "/")
} else := ""

_unknown(resource) := entries.unknown("", sprintf("the object is %s, want an object", [fields.named_type(resource)])) if {
	not is_object(resource)
} else := entries.unknown("kind", sprintf("%s %s names no chart that is understood", [
	fields.quote(fields.text(resource, ["apiVersion"])),
	fields.quote(fields.text(resource, ["kind"])),
]))
