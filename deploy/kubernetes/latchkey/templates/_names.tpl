{{- /* Names, labels and addresses. */ -}}

{{- define "latchkey.name" -}}
{{- printf "%s-latchkey" .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{- define "latchkey.image" -}}
{{- with .Values.image -}}
{{ if .digest }}{{ .repository }}@{{ .digest }}{{ else }}{{ .repository }}:{{ .tag }}{{ end }}
{{- end -}}
{{- end -}}

{{- /* latchkey.selector (list ROOT COMPONENT): what never changes, since selectors may not. */ -}}
{{- define "latchkey.selector" -}}
app.kubernetes.io/name: latchkey
app.kubernetes.io/instance: {{ (index . 0).Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end -}}

{{- define "latchkey.labels" -}}
{{ include "latchkey.selector" . }}
app.kubernetes.io/version: {{ (index . 0).Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ (index . 0).Release.Service }}
helm.sh/chart: {{ printf "%s-%s" (index . 0).Chart.Name (index . 0).Chart.Version }}
{{- end -}}

{{- /* latchkey.host (list ROOT REPLICA): the name of a replica's one pod, which it keeps for its life. */ -}}
{{- define "latchkey.host" -}}
{{- $name := include "latchkey.name" (index . 0) -}}
{{- printf "%s-replica-%v-0.%s-replicas.%s.svc" $name (index . 1).id $name (index . 0).Release.Namespace -}}
{{- end -}}

{{- define "latchkey.address" -}}
{{- default (printf "%s:7720" (include "latchkey.host" .)) (index . 1).address -}}
{{- end -}}

{{- define "latchkey.raftAddress" -}}
{{- default (printf "%s:7721" (include "latchkey.host" .)) (index . 1).raftAddress -}}
{{- end -}}
