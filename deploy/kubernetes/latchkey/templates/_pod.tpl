{{- /* What all pods have in common. */ -}}

{{- /* latchkey.podSecurity (list ROOT COMPONENT) */ -}}
{{- define "latchkey.podSecurity" -}}
{{- $writesSecrets := and (eq (index . 1) "rotation") (gt (len (index . 0).Values.rotation.secretNamespaces) 0) -}}
# Only who puts new secrets into Secrets gets a token.
automountServiceAccountToken: {{ $writesSecrets }}
enableServiceLinks: false
serviceAccountName: {{ include "latchkey.name" (index . 0) }}{{ if $writesSecrets }}-rotation{{ end }}
securityContext:
  runAsNonRoot: true
  runAsUser: 65532
  runAsGroup: 65532
  # Secrets come as root:65532, mode 0440: read by this group, written by nobody.
  fsGroup: 65532
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile: { type: RuntimeDefault }
{{- with (index . 0).Values.image.pullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "latchkey.containerSecurity" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  privileged: false
  capabilities: { drop: [ALL] }
{{- end -}}

{{- /* latchkey.mounts (list SECRETS): what a service's `secrets` name, beside what all have. */ -}}
{{- define "latchkey.mounts" -}}
- { name: settings, mountPath: /etc/latchkey, readOnly: true }
- { name: kek, mountPath: /run/secrets/kek, readOnly: true }
- { name: tls, mountPath: /run/secrets/tls, readOnly: true }
{{- range index . 0 }}
- { name: secret-{{ .name }}, mountPath: /run/secrets/{{ .name }}, readOnly: true }
{{- end }}
{{- end -}}

{{- /* latchkey.volumes (list ROOT WHO SECRETS): WHO is replica-1, issuance and so on. */ -}}
{{- define "latchkey.volumes" -}}
{{- $name := include "latchkey.name" (index . 0) -}}
- name: settings
  configMap: { name: {{ $name }}-{{ index . 1 }} }
- name: kek
  secret: { secretName: {{ (index . 0).Values.kek.secretName }}, defaultMode: 0440 }
- name: tls
  secret: { secretName: {{ $name }}-{{ index . 1 }}-tls, defaultMode: 0440 }
{{- range index . 2 }}
- name: secret-{{ .name }}
  secret: { secretName: {{ .secretName }}, defaultMode: 0440 }
{{- end }}
{{- end -}}

{{- /* latchkey.probes (dict ready NAME start SECONDS): the health names, on the port of the metrics, which asks for no certificate
     there. The kubelet's own gRPC probe cannot speak TLS at all. */ -}}
{{- define "latchkey.probes" -}}
startupProbe:
  httpGet: { path: /health, port: metrics, scheme: HTTPS }
  periodSeconds: 2
  timeoutSeconds: 2
  failureThreshold: {{ max 5 (div (int .start) 2) }}
# The process alone: a replica without a leader is to be left in peace, and killing it would help nobody.
livenessProbe:
  httpGet: { path: /health, port: metrics, scheme: HTTPS }
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
readinessProbe:
  httpGet: { path: /health{{ with .ready }}/{{ . }}{{ end }}, port: metrics, scheme: HTTPS }
  periodSeconds: 2
  timeoutSeconds: 2
  failureThreshold: 2
# The time until whoever balances load has heard that this pod ends. Without a shell.
lifecycle:
  preStop: { sleep: { seconds: 5 } }
{{- end -}}

{{- define "latchkey.tls" }}
[tls]
certificate_file = "/run/secrets/tls/tls.crt"
key_file = "/run/secrets/tls/tls.key"
trust_file = "/run/secrets/tls/ca.crt"
trust_domain = {{ .Values.cluster.trustDomain | quote }}
client_certificates = {{ .Values.clientCertificates | quote }}

[telemetry]
log_format = {{ .Values.telemetry.logFormat | quote }}
log_filter = {{ .Values.telemetry.logFilter | quote }}
{{- with .Values.telemetry.otlpEndpoint }}
otlp_endpoint = {{ . | quote }}
{{- end }}
{{- end -}}
