#!/usr/bin/env bash
# Entries of the audit log, usage and the access log as others take them: the four services with a sink of each kind, and behind
# these what others wrote.
# rsyslog over TLS from Debian, the receiver of the OpenTelemetry Collector, the reference library of Standard Webhooks, both
# SDKs of CloudEvents and the JSON schema in one of them, the fields of ECS as Elastic publishes them, the schema of OCSF, and
# aiosmtpd for notices. `make peers` calls this with our binaries in $LATCHKEY_BUILT.
#
# Nobody publishes an Elasticsearch in a registry that this machine may ask, and the ClickHouse that PyPI has (chdb, embedded) takes
# half a GiB of disk, too much for each run: for these two stands a server of ours that judges what it is sent
# (tests/clients/export/receive.py). The forms that tests of crates/export keep were read by chdb 4.4.0, into the tables of
# deploy/README.md.
#
# What cannot be installed is told as "not run" and fails nothing. The last line is `N passed, N failed`.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1

# The schemas come with these: OCSF 1.8.0 (Apache-2.0) in ocsf-json-schema (MIT), ECS 9.4.0 (Apache-2.0) in @elastic/ecs.
readonly PYTHON=(ocsf-json-schema==1.2.0 cloudevents==2.2.0 standardwebhooks==1.1.0 jsonschema==4.26.0 aiosmtpd==1.4.6)
readonly NPM=(@elastic/ecs@9.4.0 cloudevents@10.0.0)

# shellcheck source=tests/clients/common.sh
. tests/clients/common.sh
pids=()
cluster=$work/cluster
npm=$tools/export

finish() {
  deploy/local/cluster.sh destroy --folder "$cluster" --base "$base" --bin "$built" >/dev/null 2>&1
  for pid in "${pids[@]}"; do kill -TERM "$pid" 2>/dev/null; done
  wait 2>/dev/null
  rm -rf "$work"
}
trap finish EXIT

have_python() {
  [ -e "$tools/python/export" ] && return 0
  command -v python3 >/dev/null || return 1
  [ -x "$tools/python/bin/pip" ] || attempt 60 python3 -m venv "$tools/python" || return 1
  attempt 180 "$tools/python/bin/pip" install --quiet --disable-pip-version-check "${PYTHON[@]}" && touch "$tools/python/export"
}

have_npm() {
  [ -e "$npm/complete" ] && return 0
  command -v npm >/dev/null && attempt 180 npm install --silent --no-audit --no-fund --prefix "$npm" "${NPM[@]}" &&
    touch "$npm/complete"
}

have_rsyslog() {
  local module=/usr/lib/x86_64-linux-gnu/rsyslog/lmnsd_ossl.so
  command -v rsyslogd >/dev/null && [ -e "$module" ] && return 0
  command -v apt-get >/dev/null && [ "$(id -u)" = 0 ] || return 1
  attempt 120 apt-get update -qq
  DEBIAN_FRONTEND=noninteractive attempt 200 apt-get install -y -qq --no-install-recommends rsyslog rsyslog-openssl
}

have_collector() {
  [ -x "$tools/bin/latchkey-collector" ] && return 0
  command -v go >/dev/null &&
    (cd tests/clients/collector && GOFLAGS=-mod=readonly attempt 300 go build -o "$tools/bin/latchkey-collector" .)
}

# A root and a certificate for 127.0.0.1, of openssl.
certificates() {
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj "/CN=export root" \
    -keyout "$work/ca.key" -out "$work/ca.pem" >/dev/null 2>&1 &&
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=127.0.0.1" -keyout "$work/server.key" \
      -out "$work/server.csr" >/dev/null 2>&1 &&
    printf 'subjectAltName=IP:127.0.0.1\n' >"$work/san" &&
    openssl x509 -req -days 2 -in "$work/server.csr" -CA "$work/ca.pem" -CAkey "$work/ca.key" -CAcreateserial \
      -extfile "$work/san" -out "$work/server.pem" >/dev/null 2>&1
}

# The driver of OpenSSL: that of GnuTLS ends at TLS 1.2 in Debian, which we do not speak.
rsyslog() {
  cat >"$work/rsyslog.conf" <<END
global(defaultNetstreamDriver="ossl" workDirectory="$work" parser.escapeControlCharactersOnReceive="off" maxMessageSize="64k"
  defaultNetstreamDriverCAFile="$work/ca.pem" defaultNetstreamDriverCertFile="$work/server.pem"
  defaultNetstreamDriverKeyFile="$work/server.key")
module(load="imtcp" streamDriver.name="ossl" streamDriver.mode="1" streamDriver.authMode="anon")
template(name="parsed" type="list" option.jsonf="on") {
  property(outname="pri" name="pri" format="jsonf")
  property(outname="version" name="protocol-version" format="jsonf")
  property(outname="time" name="timereported" dateFormat="rfc3339" format="jsonf")
  property(outname="host" name="hostname" format="jsonf")
  property(outname="app" name="app-name" format="jsonf")
  property(outname="msgid" name="msgid" format="jsonf")
  property(outname="sd" name="structured-data" format="jsonf")
  property(outname="msg" name="msg" format="jsonf")
}
input(type="imtcp" port="$1" address="127.0.0.1" ruleset="all")
ruleset(name="all") { action(type="omfile" file="$work/syslog.jsonl" template="parsed") }
END
  rsyslogd -n -f "$work/rsyslog.conf" -i "$work/rsyslog.pid" >"$work/rsyslog.log" 2>&1 &
  pids+=($!)
}

# The sinks, as an operator writes them.
sinks() {
  cat <<END

[[sink]]
name = "elk"
kind = "elasticsearch"
url = "https://127.0.0.1:$((base + 41))/es"
ca_file = "$work/ca.pem"
token_file = "$work/token"

[[sink]]
name = "events"
kind = "http"
url = "https://127.0.0.1:$((base + 41))/single"
ca_file = "$work/ca.pem"
batch_entries_max = 1
signing_key_files = ["$work/webhook.new", "$work/webhook.old", "$work/webhook.private"]

[[sink]]
name = "events-binary"
kind = "http"
url = "https://127.0.0.1:$((base + 41))/binary"
ca_file = "$work/ca.pem"
binary = true

[[sink]]
name = "events-batch"
kind = "http"
url = "https://127.0.0.1:$((base + 41))/batch"
ca_file = "$work/ca.pem"

[[sink]]
name = "warehouse"
kind = "clickhouse"
url = "https://127.0.0.1:$((base + 41))/clickhouse"
ca_file = "$work/ca.pem"
table = "audit.entries"

[[sink]]
name = "files"
kind = "file"
folder = "$work/files"
format = "ocsf"
rotate_bytes = 4096

[[sink]]
name = "dead"
kind = "http"
url = "https://127.0.0.1:1/path?token=hidden"

[[sink]]
name = "usage-files"
kind = "file"
stream = "usage"
folder = "$work/usage"

[[sink]]
name = "usage-warehouse"
kind = "clickhouse"
stream = "usage"
url = "https://127.0.0.1:$((base + 41))/clickhouse-usage"
ca_file = "$work/ca.pem"
table = "latchkey.usage"

[[sink]]
name = "access-elk"
kind = "elasticsearch"
stream = "access"
url = "https://127.0.0.1:$((base + 41))/es-access"
ca_file = "$work/ca.pem"
token_file = "$work/token"

[[sink]]
name = "access-files"
kind = "file"
stream = "access"
folder = "$work/access"
format = "ocsf"

[[sink]]
name = "access-events"
kind = "http"
stream = "access"
url = "https://127.0.0.1:$((base + 41))/access-events"
ca_file = "$work/ca.pem"
END
  cat <<END

[notices]
enabled = true
smtp_server = "127.0.0.1:$((base + 44))"
smtp_starttls = true
from = "latchkey@example.com"
operators = ["ops@example.com"]
sink_behind_after_s = 10
ca_file = "$work/ca.pem"
END
  if [ -n "$rsyslog" ]; then
    printf '\n[[sink]]\nname = "siem"\nkind = "syslog"\nserver = "127.0.0.1:%s"\nca_file = "%s"\n' "$((base + 42))" "$work/ca.pem"
  fi
  if [ -n "$collector" ]; then
    printf '\n[[sink]]\nname = "collector"\nkind = "otlp"\nurl = "http://127.0.0.1:%s"\n' "$((base + 43))"
  fi
}

base=$(free_base)
rsyslog=
collector=
if ! have_python; then
  not_run "exports: Python's packages cannot be installed"
  echo "$passed passed, $failed failed"
  exit 0
fi
if ! certificates; then
  not_run "exports: openssl cannot be run"
  echo "$passed passed, $failed failed"
  exit 0
fi
mkdir -p "$work/files" "$work/usage" "$work/access" "$work/received"
umask 077
printf 'c2VjcmV0\n' >"$work/token"
for name in new old; do printf 'whsec_%s\n' "$(head -c 32 /dev/urandom | base64)" >"$work/webhook.$name"; done
printf 'whsk_%s\n' "$(head -c 32 /dev/urandom | base64)" >"$work/webhook.private"
python3 tests/clients/export/receive.py "$((base + 41))" "$work" >"$work/receive.log" 2>&1 &
pids+=($!)
if have_rsyslog; then
  rsyslog=yes
  rsyslog "$((base + 42))"
else
  not_run "exports: rsyslog cannot be installed"
fi
if have_collector; then
  collector=yes
  "$tools/bin/latchkey-collector" "$((base + 43))" "$work/otlp.jsonl" >"$work/collector.log" 2>&1 &
  pids+=($!)
else
  not_run "exports: the collector's receiver cannot be built"
fi

cluster() { deploy/local/cluster.sh "$@" --folder "$cluster" --base "$base" --bin "$built"; }
if cluster start >"$work/start.log" 2>&1 && cluster stop audit >>"$work/start.log" 2>&1; then
  sinks >>"$cluster/settings/audit.toml"
  cluster start audit >>"$work/start.log" 2>&1 || fail "exports: audit starts with a sink of each kind" "$cluster/audit.log"
else
  fail "exports: the four services start" "$work/start.log"
fi
if [ "$failed" = 0 ]; then
  npm_folder=
  if have_npm; then npm_folder=$npm; else not_run "exports: the types of ECS and the schema of CloudEvents cannot be installed"; fi
  LATCHKEY_WORK=$work LATCHKEY_CLUSTER=$cluster EXPORT_NPM=$npm_folder EXPORT_RSYSLOG=$rsyslog EXPORT_COLLECTOR=$collector \
    timeout --kill-after=5 120 python3 tests/clients/export/check.py >"$work/exported.log" 2>&1
  ended=$?
  count "$work/exported.log"
  if [ "$ended" != 0 ] && ! grep -q '^FAIL ' "$work/exported.log"; then
    fail "exports: it ended with $ended" "$work/exported.log"
  fi
fi
echo "$passed passed, $failed failed"
((failed == 0))
