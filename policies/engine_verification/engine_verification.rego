# METADATA
# title: Engine verification
# description: >-
#   Flux and Sveltos verify themselves what they install, each time that they fetch
#   it, by no other keys and identities than the constraint lists.
# custom:
#   version: 1.0.0
#   created: "2026-11-26T00:00:00Z"
#   short_name: engine_verification
#   solution: >-
#     Set verify (Flux) or signatureVerification, for HTTP repositories
#     provenanceVerification (Sveltos), with an identity, key or keyring that the
#     constraint lists, word for word.
package policies.engine_verification

import future.keywords.not

import data.lib.admission
import data.lib.exemptions
import data.lib.fields
import data.lib.messages
import data.lib.parameters
import data.lib.refs
import data.lib.releases
import data.lib.schemas.engine_verification

# METADATA
# title: Kinds
# description: The objects of installers that can verify.
kinds := [
	{"apiGroups": ["helm.toolkit.fluxcd.io"], "kinds": ["HelmRelease"]},
	{"apiGroups": ["source.toolkit.fluxcd.io"], "kinds": ["HelmChart", "OCIRepository"]},
	{"apiGroups": ["config.projectsveltos.io"], "kinds": ["ClusterProfile", "Profile", "ClusterSummary", "ClusterPromotion"]},
]

# METADATA
# title: Violations
# description: One for each chart that its installer would not verify as listed.
violation contains messages.violation(_field("parameters"), "invalid_parameters", "rejected", fault, {}) if {
	admission.judged(input)
	some fault in _faults
}

violation contains messages.violation(_field("object"), "no_chart", "rejected", "it names no chart whose verification could be told", {}) if {
	_judged
	count(_places) == 0
}

violation contains messages.violation(_field(place.via), "verification", "rejected", reason, {}) if {
	_judged
	some place in _places
	not _verified(place)
	not _exempt(place)
	reason := concat("; ", array.concat(_uncounted(place), [_fault(place)]))
}

_judged if {
	admission.judged(input)
	count(_faults) == 0
}

_object := admission.object_of(input)

_options := parameters.options(input)

default _faults := {"options: there is no schema to hold them against"}

_faults := set() if {
	regex.match(engine_verification.usual, json.marshal(_options))
} else := parameters.faults(_options, engine_verification.schema)

_field(via) := {"via": via, "kind": "unknown", "ref": null}

# Places, each of which must be verified: {"via", "engine", "of"}.

_places contains {"via": "spec.chart.spec", "engine": "flux", "of": _spec.chart.spec} if {
	_is("helm.toolkit.fluxcd.io", "HelmRelease")
	_spec.chart.spec
}

# The source that it leads to is judged by itself.
_places contains {"via": "spec.chartRef", "engine": "flux source", "of": _spec.chartRef} if {
	_is("helm.toolkit.fluxcd.io", "HelmRelease")
	_spec.chartRef
}

_places contains {"via": "spec", "engine": "flux", "of": _spec} if {
	_is("source.toolkit.fluxcd.io", "HelmChart")
}

_places contains {"via": "spec", "engine": "flux oci", "of": _spec} if {
	_is("source.toolkit.fluxcd.io", "OCIRepository")
}

_places contains {"via": sprintf("%s.helmCharts[%v]", [via, i]), "engine": "sveltos", "of": of} if {
	some kind, via in _profiles
	_is("config.projectsveltos.io", kind)
	some i, of in _charts(via)
	not _uninstalled(of)
}

# More than anyone reads is one place, of which nothing can be read.
_charts(via) := ["too many"] if {
	count(_charts_at(via)) > fields.max_items
} else := _charts_at(via)

_charts_at(via) := object.get(_object, array.concat(split(via, "."), ["helmCharts"]), [])

_profiles := {
	"ClusterProfile": "spec",
	"Profile": "spec",
	"ClusterSummary": "spec.clusterProfileSpec",
	"ClusterPromotion": "spec.profileSpec",
}

_uninstalled(of) if of.helmChartAction == "Uninstall"

default _spec := {}

_spec := _object.spec

_is(group, kind) if {
	_object.kind == kind
	is_string(_object.apiVersion)
	split(_object.apiVersion, "/")[0] == group
}

# Verification.

_verified(place) if _fault(place) == ""

# Why the installer would not verify what is here; "" if it would.
default _fault(_) := "its verification cannot be read"

_fault(place) := _fault_of_release(place.of) if place.engine == "flux source"

_fault(place) := _fault_of_chart(place.of) if place.engine == "flux"

_fault(place) := _flux(_setting(place.of, "verify")) if place.engine == "flux oci"

_fault(place) := _fault_of_profile(place.of) if place.engine == "sveltos"

_fault_of_release(reference) := "" if {
	reference.kind in ["OCIRepository", "HelmChart"]
} else := "Flux verifies what an OCIRepository or a HelmChart leads to, and nothing else"

_fault_of_chart(spec) := _flux(_setting(spec, "verify")) if {
	spec.sourceRef.kind == "HelmRepository"
} else := "Flux verifies charts of an OCI HelmRepository, and of no other source"

_fault_of_profile(release) := _signature(_setting(release, "signatureVerification")) if {
	startswith(_url(release), "oci://")
} else := _provenance(_setting(release, "provenanceVerification")) if {
	startswith(_url(release), "https://")
} else := "Sveltos verifies charts of oci:// and https:// repositories, and of no others"

default _url(_) := ""

_url(release) := release.repositoryURL if is_string(release.repositoryURL)

# What is no object sets nothing.
default _setting(_, _) := {}

_setting(place, field) := place[field] if is_object(place[field])

_flux(verify) := "verify is not set" if {
	verify == {}
} else := unknown if {
	unknown := _unknown(verify, {"provider", "secretRef", "matchOIDCIdentity"})
} else := "secretRef names more than a Secret beside the object, and Flux looks nowhere else" if {
	is_object(verify.secretRef)
	object.keys(verify.secretRef) != {"name"}
} else := _keys(verify, object.get(verify, "provider", "cosign"), _namespace) if {
	verify.secretRef
} else := _identities(verify) if {
	object.get(verify, "provider", "cosign") == "cosign"
} else := sprintf("provider %v has no secretRef", [verify.provider])

_signature(verification) := "signatureVerification is not set" if {
	verification == {}
} else := unknown if {
	unknown := _unknown(verification, {"provider", "secretRef", "matchOIDCIdentity"})
} else := _keys(verification, "cosign", "") if {
	verification.provider == "PublicKey"
} else := _identities(verification) if {
	verification.provider == "Keyless"
} else := "provider is neither PublicKey nor Keyless"

_provenance(verification) := "provenanceVerification is not set" if {
	verification == {}
} else := unknown if {
	unknown := _unknown(verification, {"keyringSecretRef"})
} else := "" if {
	_named(verification.keyringSecretRef, "") in _listed("keyrings")
} else := sprintf("keyringSecretRef %s is not in options.keyrings", [_shown(verification.keyringSecretRef, "")])

_unset(value) if value == []

_unset(value) if value == null

# A setting that we do not know may weaken those that we do.
_unknown(settings, known) := sprintf("%s is not understood", [concat(", ", sort(unknown))]) if {
	unknown := object.keys(settings) - known
	count(unknown) > 0
}

_keys(settings, provider, namespace) := "" if {
	secret := _named(settings.secretRef, namespace)
	some key in object.get(_options, "keys", [])
	object.get(key, "provider", "cosign") == provider
	secret == object.remove(key, ["provider"])
	_no_other_identities(settings)
} else := "it names identities that are not listed in options.identities" if {
	not _no_other_identities(settings)
} else := sprintf("secretRef %s is not in options.keys for %v", [_shown(object.get(settings, "secretRef", null), namespace), provider])

_no_other_identities(settings) if _unset(object.get(settings, "matchOIDCIdentity", []))

_no_other_identities(settings) if _identities(settings) == ""

# Any one of the identities suffices, so each must be listed.
_identities(settings) := "it takes any identity; set matchOIDCIdentity" if {
	_unset(object.get(settings, "matchOIDCIdentity", []))
} else := "" if {
	is_array(settings.matchOIDCIdentity)
	every identity in settings.matchOIDCIdentity { identity in _listed("identities") }
} else := "matchOIDCIdentity has an identity that is not listed in options.identities, word for word"

_listed(field) := object.get(_options, field, [])

# The Secret that a reference leads to. Without a namespace, it lies in that of
# the object or, for Sveltos, in one that no object tells.
_named(reference, namespace) := {"name": reference.name, "namespace": place} if {
	is_object(reference)
	place := object.get(reference, "namespace", namespace)
	place != ""
}

default _shown(_, _) := "(none)"

_shown(reference, namespace) := sprintf("%v/%v", [object.get(reference, "namespace", namespace), reference.name]) if {
	is_object(reference)
}

default _namespace := ""

_namespace := _object.metadata.namespace

# Exemptions.

_sources(place) := [source |
	some source in releases.sources(_object)
	_within(source.via, place.via)
]

_within(via, via)

_within(via, place) if startswith(via, concat("", [place, "."]))

_exempt(place) if {
	count(_sources(place)) > 0
	every source in _sources(place) { _exemption(source).found == true }
}

# Nothing is exempt that nobody can name.
_exemption(source) := {"found": false, "why": ""} if {
	source.ref == null
} else := exemptions.find(_object, source, refs.parse(source.ref).digest, _options)

# Why an exemption that is there does not count.
_uncounted(place) := sort({why |
	some source in _sources(place)
	why := _exemption(source).why
	why != ""
})
