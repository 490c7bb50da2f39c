{{- define "bjr.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Of (list . component): never changes, because selectors cannot. */}}
{{- define "bjr.selector" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: {{ default $root.Chart.Name $root.Values.nameOverride | trunc 50 | trimSuffix "-" }}
app.kubernetes.io/instance: {{ $root.Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end -}}

{{- define "bjr.labels" -}}
{{- $root := index . 0 -}}
{{ include "bjr.selector" . }}
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "bjr.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}{{ .repository }}@{{ .digest }}{{- else -}}{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}{{- end -}}
{{- end -}}
{{- end -}}

{{- define "bjr.secretName" -}}
{{- .Values.secret.existing | default (include "bjr.fullname" .) -}}
{{- end -}}

{{- define "bjr.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- .Values.serviceAccount.name | default (include "bjr.fullname" .) -}}
{{- else -}}
{{- .Values.serviceAccount.name | default "default" -}}
{{- end -}}
{{- end -}}

{{/* What values alone cannot say: a mistake is told before anything is installed. */}}
{{- define "bjr.check" -}}
{{- if and .Values.mysql.enabled .Values.database.host -}}
{{- fail "database.host names a server of yours: set mysql.enabled=false as well" -}}
{{- end -}}
{{- if not (or .Values.mysql.enabled .Values.database.host) -}}
{{- fail "mysql.enabled is false: database.host has to name a server" -}}
{{- end -}}
{{- if and .Values.redisServer.enabled .Values.redis.host -}}
{{- fail "redis.host names a server of yours: set redisServer.enabled=false as well" -}}
{{- end -}}
{{- if not (or .Values.redisServer.enabled .Values.redis.host) -}}
{{- fail "redisServer.enabled is false: redis.host has to name a server" -}}
{{- end -}}
{{- if and .Values.database.host (not .Values.secret.existing) -}}
{{- fail "A database of yours has a password of its own: secret.existing has to name a secret with it" -}}
{{- end -}}
{{- if and .Values.ingress.enabled (not .Values.ingress.host) -}}
{{- fail "ingress.enabled: ingress.host is missing" -}}
{{- end -}}
{{- $own := list "DRAIN_TIMEOUT_SECONDS" "KILL_GRACE_SECONDS" "WORKER_CONCURRENCY" "STATE_DIRECTORY" "JOB_USER" "JOB_UID_BASE" "WEB_CONCURRENCY" "TRUSTED_PROXIES" "PORT" "METRICS_PORT" "METRICS_BIND_ADDRESS" "NODE_ENV" "BJR_DATABASE" "BJR_DATABASE_HOST" "BJR_DATABASE_PORT" "BJR_DATABASE_USERNAME" "REDIS_HOST" "REDIS_PORT" "REDIS_DB" -}}
{{- $secrets := list "SECRET_KEY_BASE" "BJR_DATABASE_PASSWORD" "REDIS_PASSWORD" "INITIAL_ROOT_PASSWORD" "INITIAL_ADMIN_PASSWORD" "LEGACY_DATABASE_URL" -}}
{{- range $settings := list .Values.settings .Values.api.settings .Values.worker.settings -}}
{{- range $name := keys $settings -}}
{{- if has $name $own -}}{{- fail (printf "settings.%s: this chart has a value of its own for it" $name) -}}{{- end -}}
{{- if has $name $secrets -}}{{- fail (printf "settings.%s: belongs into the secret (secret.existing)" $name) -}}{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Of (list . names): environment variables from the secret. What only a first start needs, or not every Redis, may be missing. */}}
{{- define "bjr.fromSecret" -}}
{{- $root := index . 0 -}}
{{- range index . 1 }}
- name: {{ . }}
  valueFrom:
    secretKeyRef:
      name: {{ include "bjr.secretName" $root }}
      key: {{ . }}
      {{- if or (hasPrefix "INITIAL_" .) (and (eq . "REDIS_PASSWORD") (not $root.Values.redisServer.enabled)) }}
      optional: true
      {{- end }}
{{- end }}
{{- end -}}

{{/* Of (list . settings): environment variables that all of BJR's containers have, and those given. */}}
{{- define "bjr.environment" -}}
{{- $root := index . 0 -}}
{{- $name := include "bjr.fullname" $root -}}
{{- with $root.Values }}
{{ include "bjr.fromSecret" (list $root (list "BJR_DATABASE_PASSWORD" "REDIS_PASSWORD")) }}
- { name: METRICS_BIND_ADDRESS, value: "0.0.0.0" }
- { name: METRICS_PORT, value: "9464" }
- { name: BJR_DATABASE, value: {{ .database.name | quote }} }
- { name: BJR_DATABASE_HOST, value: {{ .database.host | default (printf "%s-mysql" $name) | quote }} }
- { name: BJR_DATABASE_PORT, value: {{ ternary 3306 .database.port .mysql.enabled | quote }} }
- { name: BJR_DATABASE_USERNAME, value: {{ .database.username | quote }} }
- { name: REDIS_HOST, value: {{ .redis.host | default (printf "%s-redis" $name) | quote }} }
- { name: REDIS_PORT, value: {{ ternary 6379 .redis.port .redisServer.enabled | quote }} }
- { name: REDIS_DB, value: {{ .redis.db | quote }} }
{{- end }}
{{- range $key, $value := merge dict (index . 1) $root.Values.settings }}
{{- /* Helm reads 1048576 from a file as 1.048576e+06. */}}
- { name: {{ $key }}, value: {{ ternary (int64 $value) $value (kindIs "float64" $value) | toString | quote }} }
{{- end }}
{{- end -}}

{{/*
Each pod brings the database up to date before it begins, one at a time by a lock in the database. Not a hook: before an
install there is no bundled MySQL yet, and after it the install would wait for pods that wait for the hook. Not a job: it
could not be changed by whoever applies rendered manifests.
*/}}
{{- define "bjr.migrate" -}}
- name: migrate
  image: {{ include "bjr.image" . }}
  imagePullPolicy: {{ .Values.image.pullPolicy }}
  args: [migrate]
  env:
    {{- include "bjr.environment" (list . dict) | nindent 4 }}
    {{- include "bjr.fromSecret" (list . (list "INITIAL_ROOT_PASSWORD" "INITIAL_ADMIN_PASSWORD")) | nindent 4 }}
  securityContext: {{- include "bjr.confined" . | nindent 4 }}
  resources: {{- toYaml .Values.api.resources | nindent 4 }}
  {{- with include "bjr.certificateMount" . }}
  volumeMounts: {{- . | nindent 4 }}
  {{- end }}
{{- end -}}

{{- define "bjr.confined" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
readOnlyRootFilesystem: true
allowPrivilegeEscalation: false
capabilities: { drop: [ALL] }
{{- end -}}

{{/* Alive is about the process alone: that the database is away must not restart a pod. Ready is about its work. */}}
{{- define "bjr.probes" -}}
startupProbe:
  httpGet: { path: /livez, port: metrics }
  periodSeconds: 2
  failureThreshold: 60
livenessProbe:
  httpGet: { path: /livez, port: metrics }
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
readinessProbe:
  httpGet: { path: /readyz, port: metrics }
  periodSeconds: 5
  timeoutSeconds: 4
  failureThreshold: 2
{{- end -}}

{{/* Of (list . values component): what pods of both kinds have. */}}
{{- define "bjr.pod" -}}
{{- $root := index . 0 -}}
{{- $component := index . 2 -}}
serviceAccountName: {{ include "bjr.serviceAccountName" $root }}
automountServiceAccountToken: false
# A service named `redis` in the namespace would set REDIS_PORT to tcp://….
enableServiceLinks: false
{{- with $root.Values.image.pullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: kubernetes.io/hostname
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels: {{- include "bjr.selector" (list $root $component) | nindent 8 }}
{{- with index . 1 }}
{{- with .nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "bjr.certificateMount" -}}
{{- if .Values.certificates.configMap -}}
- { name: certificates, mountPath: /etc/bjr/certificates, readOnly: true }
{{- end -}}
{{- end -}}

{{- define "bjr.certificateVolume" -}}
{{- if .Values.certificates.configMap -}}
- name: certificates
  configMap: { name: {{ .Values.certificates.configMap }} }
{{- end -}}
{{- end -}}
