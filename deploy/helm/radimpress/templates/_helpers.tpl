{{- define "radimpress.name" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name | trunc 40 | trimSuffix "-" }}{{ else }}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 40 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "radimpress.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "radimpress.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{ include "radimpress.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "radimpress.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default (printf "%s%s" .Chart.AppVersion (ternary "-cuda" "" (gt (int .Values.gpus) 0))) }}
{{- end }}
{{- end }}

{{- /* One for each vLLM, by its own name: which of them holds which adapter is the servers' business. */}}
{{- define "radimpress.vllm.urls" -}}
{{- $found := list }}
{{- range $at := until (int .Values.vllm.replicas) }}
{{- $found = append $found (printf "http://%s-vllm-%d.%s-vllm.%s.svc:8000" (include "radimpress.name" $) $at (include "radimpress.name" $) $.Release.Namespace) }}
{{- end }}
{{- toJson $found }}
{{- end }}

{{- define "radimpress.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "radimpress.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{- /* Every setting, for servers and for whoever works on their registry. */}}
{{- define "radimpress.environment" -}}
- name: RADIMPRESS_LISTEN
  value: 0.0.0.0:50051
- name: RADIMPRESS_METRICS_LISTEN
  value: 0.0.0.0:9464
- name: RADIMPRESS_SERVER_NAME
  valueFrom: {fieldRef: {fieldPath: metadata.name}}
- name: RADIMPRESS_REGISTRY
  value: {{ .Values.registry | quote }}
- name: RADIMPRESS_BUNDLES
  value: {{ .Values.bundles.url | default "/var/lib/radimpress/bundles" | quote }}
{{- if .Values.bundles.url }}
- name: RADIMPRESS_BUNDLE_CACHE
  value: /var/lib/radimpress/copies
{{- end }}
- name: RADIMPRESS_AUDIT
  value: /var/lib/radimpress/audit
- name: RADIMPRESS_TLS_CERTIFICATE
  value: /run/radimpress/tls/tls.crt
- name: RADIMPRESS_TLS_KEY
  value: /run/radimpress/tls/tls.key
{{- if .Values.secrets.tokens }}
- name: RADIMPRESS_TOKENS
  value: /run/radimpress/tokens/tokens.toml
{{- end }}
{{- if .Values.secrets.trusted }}
- name: RADIMPRESS_TRUSTED_KEYS
  value: {{ include "radimpress.paths" (list "trusted" .Values.secrets.trustedKeys) | quote }}
{{- end }}
{{- if .Values.secrets.seal }}
- name: RADIMPRESS_FEEDBACK_KEYS
  value: {{ include "radimpress.paths" (list "seal" .Values.secrets.sealKeys) | quote }}
{{- end }}
{{- if .Values.secrets.engine }}
- name: RADIMPRESS_ENGINE_TOKEN
  value: /run/radimpress/engine/token
{{- end }}
{{- if .Values.vllm.enabled }}
- name: RADIMPRESS_ENGINE
  value: vllm
- name: RADIMPRESS_ENGINE_URLS
  value: {{ include "radimpress.vllm.urls" . | quote }}
- name: RADIMPRESS_CONTEXT
  value: {{ .Values.vllm.contextTokens | quote }}
- name: RADIMPRESS_BATCH
  value: {{ min 256 (mul .Values.vllm.sequences .Values.vllm.replicas) | quote }}
- name: RADIMPRESS_RESIDENT
  value: {{ .Values.vllm.adapters | quote }}
{{- end }}
{{- range $name, $value := .Values.settings }}
- name: RADIMPRESS_{{ upper $name }}
  value: {{ (kindIs "string" $value | ternary $value (toJson $value)) | quote }}
{{- end }}
{{- if .Values.secrets.database }}
- name: PGPASSWORD
  valueFrom: {secretKeyRef: {name: {{ .Values.secrets.database }}, key: password}}
{{- end }}
{{- end }}

{{- define "radimpress.paths" -}}
{{- $folder := index . 0 }}{{ $found := list }}
{{- range index . 1 }}{{ $found = append $found (printf "/run/radimpress/%s/%s" $folder .) }}{{ end }}
{{- toJson $found }}
{{- end }}

{{- define "radimpress.environmentFrom" -}}
{{- if .Values.secrets.environment }}
envFrom:
  - secretRef: {name: {{ .Values.secrets.environment }}}
{{- end }}
{{- end }}

{{- define "radimpress.mounts" -}}
- {name: state, mountPath: /var/lib/radimpress}
- {name: temporary, mountPath: /tmp}
{{- if .Values.bundles.claim }}
- {name: bundles, mountPath: /var/lib/radimpress/bundles}
{{- end }}
{{- range $name := list "tls" "tokens" "trusted" "seal" "engine" }}
{{- if index $.Values.secrets $name }}
- {name: {{ $name }}, mountPath: /run/radimpress/{{ $name }}, readOnly: true}
{{- end }}
{{- end }}
{{- end }}

{{- define "radimpress.volumes" -}}
- name: temporary
  emptyDir: {sizeLimit: 1Gi}
{{- if .Values.bundles.claim }}
- name: bundles
  persistentVolumeClaim: {claimName: {{ .Values.bundles.claim }}}
{{- end }}
{{- range $name := list "tls" "tokens" "trusted" "seal" "engine" }}
{{- with index $.Values.secrets $name }}
- name: {{ $name }}
  secret: {secretName: {{ . }}, defaultMode: 0440}
{{- end }}
{{- end }}
{{- end }}

{{- /* What every pod has, whoever it is. */}}
{{- define "radimpress.pod" -}}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  {{- include "radimpress.podSecurity" . | nindent 2 }}
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- end }}
