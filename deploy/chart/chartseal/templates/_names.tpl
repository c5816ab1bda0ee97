{{/* SPDX-License-Identifier: Apache-2.0 */}}

{{/* The full name: that of the release, with the chart's unless it has it already. */}}
{{- define "chartseal.name" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name | trunc 50 | trimSuffix "-" }}{{ else }}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 50 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "chartseal.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "chartseal.labels" -}}
{{ include "chartseal.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: chartseal
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "chartseal.image" -}}
{{ .Values.image.repository }}{{ with .Values.image.digest }}@{{ . }}{{ else }}:{{ .Values.image.tag | default .Chart.AppVersion }}{{ end }}
{{- end }}

{{/* The Secret with tls.crt and tls.key, whoever makes it. */}}
{{- define "chartseal.tlsSecret" -}}
{{- if eq .Values.tls.mode "existing" }}{{ required "tls.mode is existing: set tls.secret to the Secret with tls.crt and tls.key" .Values.tls.secret }}{{ else }}{{ .Values.tls.secret | default (printf "%s-certs" (include "chartseal.name" .)) }}{{ end }}
{{- end }}

{{- define "chartseal.url" -}}
https://{{ include "chartseal.name" . }}.{{ .Release.Namespace }}:{{ .Values.service.port }}/v1/check
{{- end }}

{{/* Ports of registries: those of the values, and those that hosts name. */}}
{{- define "chartseal.registryPorts" -}}
{{- $ports := list }}
{{- range .Values.networkPolicy.ports }}{{ $ports = append $ports (int .) }}{{ end }}
{{- range .Values.registries }}
{{- with regexFind ":[0-9]+$" .host }}{{ $ports = append $ports (trimPrefix ":" . | int) }}{{ end }}
{{- if and .insecure (not (regexMatch ":[0-9]+$" .host)) }}{{ $ports = append $ports 80 }}{{ end }}
{{- end }}
{{- $ports | uniq | sortAlpha | toJson }}
{{- end }}

{{/* bytes of a quantity of memory such as 256Mi, nine tenths of it */}}
{{- define "chartseal.memoryLimit" -}}
{{- $text := kindIs "string" . | ternary . (toString (int64 .)) }}
{{- $number := regexFind "^[0-9]+" $text | int64 }}
{{- $unit := regexReplaceAll "^[0-9]+" $text "" }}
{{- $units := dict "" 1 "k" 1000 "M" 1000000 "G" 1000000000 "Ki" 1024 "Mi" 1048576 "Gi" 1073741824 }}
{{- if not (hasKey $units $unit) }}{{ fail (printf "resources.limits.memory is %q, want a whole number with k, M, G, Ki, Mi, Gi or nothing behind it" $text) }}{{ end }}
{{- div (mul $number (get $units $unit) 9) 10 }}
{{- end }}

{{- define "chartseal.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "chartseal.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{/* milliseconds of a duration such as 1.5s or 500ms; any other is longer than all that Gatekeeper waits */}}
{{- define "chartseal.milliseconds" -}}
{{- if regexMatch "^[0-9.]+ms$" . }}{{ trimSuffix "ms" . }}{{ else if regexMatch "^[0-9.]+s$" . }}{{ mulf (trimSuffix "s" . | float64) 1000 }}{{ else }}1000000000{{ end }}
{{- end }}

{{/* The provider does not start unless each time is less than the next. */}}
{{- define "chartseal.times" -}}
{{- $last := "" }}{{ $lastName := "" }}
{{- range list
  (list "limits.silence" (.Values.limits.silence | default "500ms"))
  (list "limits.reference" (.Values.limits.reference | default "1.4s"))
  (list "gatekeeper.deadline" .Values.gatekeeper.deadline)
  (list "gatekeeper.providerTimeout" (printf "%ds" (int .Values.gatekeeper.providerTimeout)))
  (list "gatekeeper.webhookTimeout" (printf "%ds" (int .Values.gatekeeper.webhookTimeout)))
}}
{{- $name := index . 0 }}{{ $time := index . 1 }}
{{- if and $last (ge (include "chartseal.milliseconds" $last | float64) (include "chartseal.milliseconds" $time | float64)) }}
{{- fail (printf "\n%s is %s, and %s is %s: each time must be less than the next, or the provider does not start." $lastName $last $name $time) }}
{{- end }}
{{- $last = $time }}{{ $lastName = $name }}
{{- end }}
{{- end }}

{{/* What cannot be told by the schema. */}}
{{- define "chartseal.check" -}}
{{- include "chartseal.times" . }}
{{- if and (not .Values.clients.configMap) (eq .Values.clients.secret "gatekeeper-webhook-server-cert") (ne .Release.Namespace .Values.gatekeeper.namespace) }}
{{- fail (printf "\nGatekeeper's CA is in its namespace %s and cannot be mounted from %s.\nInstall there (--namespace %s), or copy ca.crt of the Secret gatekeeper-webhook-server-cert into a ConfigMap here and set clients.configMap." .Values.gatekeeper.namespace .Release.Namespace .Values.gatekeeper.namespace) }}
{{- end }}
{{- if and (eq .Values.tls.mode "own") (not .Values.clients.configMap) (eq .Values.clients.secret (include "chartseal.tlsSecret" .)) }}
{{- fail (printf "\ntls.secret and clients.secret are both %s: tls.secret would be written with certificates of the provider's own. Name another, or none." .Values.clients.secret) }}
{{- end }}
{{- if and (not .Values.clients.configMap) (not .Values.clients.secret) }}
{{- fail "\nclients.secret and clients.configMap are both empty: one must name the CA of Gatekeeper's certificate." }}
{{- end }}
{{- if and (eq .Values.tls.mode "existing") (not .Values.provider.caBundle) }}
{{- fail "\ntls.mode is existing: set provider.caBundle to the base64 of the CA that signed the certificate." }}
{{- end }}
{{- end }}
