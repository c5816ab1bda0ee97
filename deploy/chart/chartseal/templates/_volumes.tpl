{{/* SPDX-License-Identifier: Apache-2.0 */}}

{{- define "chartseal.mounts" -}}
- {name: config, mountPath: /etc/chartseal/config, readOnly: true}
- {name: trust, mountPath: /etc/chartseal/trust, readOnly: true}
- {name: registries, mountPath: /etc/chartseal/registries, readOnly: true}
- {name: tls, mountPath: /etc/chartseal/tls, readOnly: true}
- {name: clients, mountPath: /etc/chartseal/clients, readOnly: true}
{{- with .Values.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* Of each Secret only the keys that are named: Gatekeeper's holds a CA's key. */}}
{{- define "chartseal.volumes" -}}
- name: config
  configMap: {name: {{ include "chartseal.name" . }}}
{{- $trust := concat (include "chartseal.trust" (list .Values.trust.keys "keys" "pub") | fromJsonArray) (include "chartseal.trust" (list .Values.trust.keyrings "keyrings" "") | fromJsonArray) (include "chartseal.trust" (list .Values.trust.roots "roots" "json") | fromJsonArray) }}
- name: trust
{{- if $trust }}
  projected:
    sources: {{- toYaml $trust | nindent 4 }}
{{- else }}
  emptyDir: {sizeLimit: 1Mi}
{{- end }}
- name: registries
{{- $registries := list }}
{{- range .Values.registries }}{{ with .pullSecret }}{{ $registries = append $registries . }}{{ end }}{{ end }}
{{- if $registries }}
  projected:
    sources:
    {{- range uniq $registries }}
    - secret:
        name: {{ . }}
        items: [{key: .dockerconfigjson, path: {{ . }}/config.json}]
    {{- end }}
{{- else }}
  emptyDir: {sizeLimit: 1Mi}
{{- end }}
- name: tls
  secret:
    secretName: {{ include "chartseal.tlsSecret" . }}
    items: [{key: tls.crt, path: tls.crt}, {key: tls.key, path: tls.key}]
- name: clients
{{- if .Values.clients.configMap }}
  configMap:
    name: {{ .Values.clients.configMap }}
    items: [{key: {{ .Values.clients.key }}, path: ca.crt}]
{{- else }}
  secret:
    secretName: {{ .Values.clients.secret }}
    items: [{key: {{ .Values.clients.key }}, path: ca.crt}]
{{- end }}
{{- with .Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* Sources of the trust directory: list, folder and extension; a keyring keeps the one of its key. */}}
{{- define "chartseal.trust" -}}
{{- $folder := index . 1 }}{{ $extension := index . 2 }}{{ $sources := list }}
{{- range index . 0 }}
{{- $path := printf "%s/%s.%s" $folder .name (default (ext .key | trimPrefix ".") $extension) }}
{{- $items := list (dict "key" .key "path" $path) }}
{{- if .secret }}{{ $sources = append $sources (dict "secret" (dict "name" .secret "items" $items)) }}
{{- else }}{{ $sources = append $sources (dict "configMap" (dict "name" .configMap "items" $items)) }}{{ end }}
{{- end }}
{{- toJson $sources }}
{{- end }}
