#!/usr/bin/env bash
# What deploy/observability says, against the real thing: promtool over rules, their tests and the scrape configurations; then
# a Prometheus that `latchkey dev --observe` starts, asked every query of every dashboard. `make peers` calls this with its tools
# on PATH and our binaries in $LATCHKEY_BUILT; alone it finds both.
#
# What cannot be installed is told as "not run" and fails nothing. The last line is `N passed, N failed`.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1

readonly OBSERVABILITY=deploy/observability
# Grafana's own reading of a dashboard, from those who write Grafana.
readonly GRAFANA_SDK='grafana-foundation-sdk==1769699998!10.1.0'

# shellcheck source=tests/clients/common.sh
. tests/clients/common.sh

# Ends the one process that this started, and with it its Prometheus; and removes what they wrote.
finish() {
  stop_service
  rm -rf "$work"
}
trap finish EXIT

# Debian's package, unpacked and not installed: that would start a Prometheus which nobody asked for.
have_prometheus() {
  command -v prometheus >/dev/null && command -v promtool >/dev/null && return 0
  command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null || return 1
  mkdir -p "$tools/bin" "$tools/prometheus"
  for _ in 1 2 3; do
    (cd "$tools/prometheus" && timeout 120 apt-get download -qq prometheus) >/dev/null 2>&1 && break
    timeout 120 apt-get update -qq >/dev/null 2>&1
  done
  dpkg-deb -x "$tools"/prometheus/prometheus_*.deb "$tools/prometheus" 2>/dev/null || return 1
  ln -sf "$tools/prometheus/usr/bin/prometheus" "$tools/prometheus/usr/bin/promtool" "$tools/bin/"
  prometheus --version >/dev/null 2>&1
}

have_grafana_sdk() {
  python3 -c 'import grafana_foundation_sdk' 2>/dev/null && return 0
  [ -x "$tools/python/bin/pip" ] || python3 -m venv "$tools/python" >/dev/null 2>&1 || return 1
  timeout 120 "$tools/python/bin/pip" install --quiet --disable-pip-version-check "$GRAFANA_SDK" >/dev/null 2>&1
}

# Something of everything that a panel shows, again and again until it is ended.
traffic() {
  local key
  . "$work/dev/env"
  latchkey tenant create watched >/dev/null
  latchkey keyspace create watched/orders --prefix watched_live --environment production >/dev/null
  while :; do
    key=$(latchkey -o name key create watched/orders --key-text-file "$work/orders.key")
    for _ in 1 2 3; do latchkey validate "$work/orders.key"; done
    latchkey key rotate "$key" --overlap 1h --key-text-file "$work/new.key"
    latchkey key revoke "$key" --reason unused
    latchkey validate "$work/orders.key"
    latchkey key list watched/orders
    rm -f "$work/orders.key" "$work/new.key"
  done >/dev/null 2>&1
}

watched() {
  if ! start_dev --observe; then
    fail "latchkey dev --observe starts" "$work/err.log"
    return
  fi
  local address watcher
  address=$(sed -n 's|^Prometheus watches.*\(http://[0-9.:]*\)/alerts$|\1|p' "$work/out.log")
  watcher=$(pgrep -P "$service" -x prometheus)
  if [ -z "$address" ] || [ -z "$watcher" ]; then
    fail "latchkey dev --observe starts Prometheus and says where" "$work/out.log"
    return
  fi
  check "latchkey dev --observe: promtool accepts the configuration that it wrote" 30 \
    promtool check config "$work/dev/observe/prometheus.yml"
  # Of the linter's rules one is not ours: `_count` is how OpenTelemetry names a number of things.
  check "promtool check metrics: what latchkey dev shows" 30 sh -c \
    "found=\$(curl -sf http://127.0.0.1:$((base + 19))/metrics | promtool check metrics 2>&1 | grep -v 'process_.*\"_count\" suffix')
     echo \"\$found\"; [ -z \"\$found\" ]"
  # Everything each second: recorded series of recorded series would else take minutes to come.
  sed -i 's/\(scrape_interval\|evaluation_interval\|scrape_timeout\): .*/\1: 1s/' "$work/dev/observe/prometheus.yml"
  sed -i 's/interval: .*/interval: 1s/' "$work"/dev/observe/rules/*.yml
  kill -HUP "$watcher"
  traffic &
  local caller=$!
  timeout --kill-after=5 120 python3 tests/clients/observability/ask.py "$address" 10s 90 >"$work/ask.log" 2>&1
  local ended=$?
  cat "$work/ask.log"
  passed=$((passed + $(grep -c '^ok ' "$work/ask.log")))
  failed=$((failed + $(grep -c '^FAIL ' "$work/ask.log")))
  if [ "$ended" != 0 ] && ! grep -q '^FAIL ' "$work/ask.log"; then
    fail "observability: it ended with $ended" "$work/ask.log"
  fi
  check "the dashboards can be drawn" 60 \
    python3 tests/clients/observability/draw.py "$address" 10s 1 "$work/dashboards.svg"
  kill "$caller" 2>/dev/null
  wait "$caller" 2>/dev/null
  stop_service
  check "Prometheus ends with latchkey dev" 5 sh -c "! kill -0 $watcher 2>/dev/null"
}

check "the dashboards are as make.py writes them" 30 python3 "$OBSERVABILITY/dashboards/make.py" --check
if have_grafana_sdk; then
  check "the dashboards, read by Grafana's own model" 60 python3 -c '
import sys
sys.path.insert(0, "tests/clients/observability")
from grafana import dashboards
from grafana_foundation_sdk.models.dashboard import Dashboard
for found in dashboards():
    assert len(Dashboard.from_json(found).panels) == len(found["panels"]), found["title"]
'
else
  not_run "the dashboards, read by Grafana's own model: grafana-foundation-sdk cannot be installed"
fi
if have_prometheus; then
  check "promtool check rules" 30 promtool check rules "$OBSERVABILITY"/rules/*.yml
  check "promtool check config" 30 promtool check config "$OBSERVABILITY/prometheus.yml"
  check "promtool test rules: each objective" 240 promtool test rules "$OBSERVABILITY/tests/slo.yml"
  check "promtool test rules: each symptom" 240 promtool test rules "$OBSERVABILITY/tests/symptoms.yml"
  check "promtool test rules: certificates" 240 promtool test rules "$OBSERVABILITY/tests/certificates.yml"
  check "promtool test rules: rotation" 240 promtool test rules "$OBSERVABILITY/tests/rotation.yml"
  check "promtool test rules: checkpoints" 240 promtool test rules "$OBSERVABILITY/tests/checkpoints.yml"
  check "promtool test rules: exports" 240 promtool test rules "$OBSERVABILITY/tests/exports.yml"
  check "promtool test rules: usage" 240 promtool test rules "$OBSERVABILITY/tests/usage.yml"
  check "promtool test rules: regions and backups" 240 promtool test rules "$OBSERVABILITY/tests/regions.yml"
  watched
else
  not_run "promtool and a Prometheus: Debian's package cannot be had"
fi

echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
