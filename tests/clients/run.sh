#!/usr/bin/env bash
# Clients that others wrote, against `latchkey dev`: Python and Go from generated code, grpcurl by reflection, buf on the
# .proto files. `make peers` calls this with its tools on PATH and our binaries in $LATCHKEY_BUILT; alone it finds both.
#
# What cannot be installed is told as "not run" and fails nothing. The last line is `N passed, N failed`.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1

readonly BUF=1.75.0 GRPCURL=v1.9.3 PROTOC_GEN_GO=v1.36.11 PROTOC_GEN_GO_GRPC=v1.6.0
readonly GRPC_PYTHON=(grpcio==1.85.1 grpcio-tools==1.85.1 grpcio-status==1.85.1 grpcio-reflection==1.85.1
  grpcio-health-checking==1.85.1 googleapis-common-protos==1.76.0)
readonly SEALING_PYTHON=(pyhpke==0.6.5 cryptography==50.0.2)

# shellcheck source=tests/clients/common.sh
. tests/clients/common.sh
collector=

# Ends the processes that this started, and removes what they wrote.
finish() {
  stop_service
  [ -z "$collector" ] || kill "$collector" 2>/dev/null
  rm -rf "$work"
}
trap finish EXIT

have_python() {
  python3 -c 'import grpc_tools, grpc_status, grpc_health.v1' 2>/dev/null && return 0
  command -v python3 >/dev/null || return 1
  attempt 60 python3 -m venv "$tools/python" &&
    attempt 180 "$tools/python/bin/pip" install --quiet --disable-pip-version-check "${GRPC_PYTHON[@]}"
}

have_sealing() {
  python3 -c 'import pyhpke' 2>/dev/null && return 0
  [ -x "$tools/python/bin/pip" ] &&
    attempt 120 "$tools/python/bin/pip" install --quiet --disable-pip-version-check "${SEALING_PYTHON[@]}"
}

have_grpcurl() {
  command -v grpcurl >/dev/null && return 0
  command -v go >/dev/null && GOBIN=$tools/bin attempt 240 go install "github.com/fullstorydev/grpcurl/cmd/grpcurl@$GRPCURL"
}

have_buf() {
  command -v buf >/dev/null && return 0
  command -v npm >/dev/null && attempt 180 npm install --silent --no-audit --no-fund --prefix "$tools" "@bufbuild/buf@$BUF"
}

have_go_plugins() {
  command -v go >/dev/null || return 1
  [ -x "$tools/bin/protoc-gen-go" ] && [ -x "$tools/bin/protoc-gen-go-grpc" ] && return 0
  GOBIN=$tools/bin attempt 240 go install "google.golang.org/protobuf/cmd/protoc-gen-go@$PROTOC_GEN_GO" &&
    GOBIN=$tools/bin attempt 240 go install "google.golang.org/grpc/cmd/protoc-gen-go-grpc@$PROTOC_GEN_GO_GRPC"
}

start_service() {
  : >"$work/err.log"
  [ -x "$built/latchkey" ] || attempt 600 "${CARGO:-cargo}" build --quiet --package latchkey || {
    cp "$work/attempt.log" "$work/err.log"
    return 1
  }
  # At the finest level, so that the search for secrets has all that could ever be logged.
  start_dev --log "trace,openraft=debug"
}

python_client() {
  local stubs=$work/stubs
  mkdir -p "$stubs"
  check "python: stubs from proto/" 60 sh -c \
    "python3 -m grpc_tools.protoc -I proto --python_out='$stubs' --grpc_python_out='$stubs' \$(find proto/latchkey/v1 -name '*.proto')"
  LATCHKEY_WORK=$work LATCHKEY_BASE=$base PYTHONPATH=$stubs:$PWD/tests/clients/python timeout --kill-after=5 120 \
    python3 tests/clients/python/main.py >"$work/python.log" 2>&1
  local ended=$?
  count "$work/python.log"
  if [ "$ended" != 0 ] && ! grep -q '^FAIL ' "$work/python.log"; then
    fail "python: it ended with $ended" "$work/python.log"
  fi
}

# Key texts sealed to a recipient: HPKE and RSA-OAEP of a library that is not ours.
sealed_client() {
  LATCHKEY_WORK=$work LATCHKEY_BUILT=$built timeout --kill-after=5 120 \
    python3 tests/clients/python/sealed.py >"$work/sealed.log" 2>&1
  local ended=$?
  count "$work/sealed.log"
  if [ "$ended" != 0 ] && ! grep -q '^FAIL ' "$work/sealed.log"; then
    fail "sealed: it ended with $ended" "$work/sealed.log"
  fi
}

# The receiver of the OpenTelemetry Collector: about two minutes to build once, for two cores.
have_collector() {
  [ -x "$tools/bin/latchkey-collector" ] && return 0
  command -v go >/dev/null &&
    (cd tests/clients/collector && GOFLAGS=-mod=readonly attempt 300 go build -o "$tools/bin/latchkey-collector" .)
}

# The four services as processes of their own, each killed in turn, driven by Python and by the command line. What they tell
# of themselves goes to a collector, where there is one.
life_client() {
  local life=$work/life bases
  bases=$(free_base)
  mkdir -p "$life"
  if have_collector; then
    "$tools/bin/latchkey-collector" "$((bases + 50))" "$life/received" >"$work/collector.log" 2>&1 &
    collector=$!
    export LATCHKEY_TELEMETRY__OTLP_ENDPOINT=http://127.0.0.1:$((bases + 50))
  fi
  if ! timeout --kill-after=5 120 deploy/local/cluster.sh start --folder "$life/cluster" --base "$bases" --bin "$built" \
    >"$work/life.log" 2>&1; then
    fail "life: the four services start" "$work/life.log"
  else
    LATCHKEY_WORK=$life LATCHKEY_CLUSTER=$life/cluster LATCHKEY_CLUSTER_BASE=$bases LATCHKEY_BUILT=$built \
      PYTHONPATH=$work/stubs timeout --kill-after=5 300 python3 tests/clients/python/life.py >"$work/life.log" 2>&1
    local ended=$?
    count "$work/life.log"
    if [ "$ended" != 0 ] && ! grep -q '^FAIL ' "$work/life.log"; then
      fail "life: it ended with $ended" "$work/life.log"
    fi
    trace_client "$life" "$bases"
  fi
  deploy/local/cluster.sh destroy --folder "$life/cluster" --base "$bases" --bin "$built" >/dev/null 2>&1
  unset LATCHKEY_TELEMETRY__OTLP_ENDPOINT
}

# trace_client FOLDER BASE: one call as one trace, over the services that life_client started.
trace_client() {
  [ -n "$collector" ] || { not_run "trace: the collector's receiver cannot be built"; return; }
  LATCHKEY_CLUSTER=$1/cluster LATCHKEY_CLUSTER_BASE=$2 LATCHKEY_RECEIVED=$1/received PYTHONPATH=$work/stubs \
    timeout --kill-after=5 120 python3 tests/clients/python/trace.py >"$work/trace.log" 2>&1
  local ended=$?
  count "$work/trace.log"
  if [ "$ended" != 0 ] && ! grep -q '^FAIL ' "$work/trace.log"; then
    fail "trace: it ended with $ended" "$work/trace.log"
  fi
}

# The commands of the guide, as `latchkey dev` prints them: what a person pastes into a terminal.
grpcurl_client() {
  sed -n '/^call()/,/^Ctrl-C/p' "$work/out.log" | sed '$d' >"$work/guide.sh"
  check "grpcurl: the printed guide, by reflection" 60 bash tests/clients/guide.sh "$work/guide.sh" "$base"
  for address in "$base" "$((base + 10))"; do
    check "grpcurl: reflection at port +$((address - base)) lists and describes our services" 30 sh -c \
      "grpcurl -plaintext 127.0.0.1:$address list | grep -q latchkey.v1 &&
       grpcurl -plaintext 127.0.0.1:$address describe latchkey.v1.ValidateKeyRequest | grep -q permission_query"
  done
  check "grpcurl: an error tells its reason in words" 30 sh -c \
    "grpcurl -plaintext 127.0.0.1:$base latchkey.v1.DirectoryService/ListTenants 2>&1 | grep -q '\"reason\": \"IDENTITY_MISSING\"'"
  local name
  for name in "" latchkey.validate latchkey.write; do
    check "grpcurl: health of '$name'" 30 sh -c \
      "grpcurl -plaintext -d '{\"service\": \"$name\"}' 127.0.0.1:$((base + 10)) grpc.health.v1.Health/Check | grep -q '\"SERVING\"'"
  done
}

go_client() {
  local module=$work/go
  cp -r tests/clients/go "$module"
  check "go: stubs from proto/" 60 sh -c \
    "python3 -m grpc_tools.protoc -I proto --go_out='$module' --go_opt=module=latchkey.example \
       --go-grpc_out='$module' --go-grpc_opt=module=latchkey.example \$(find proto/latchkey/v1 -name '*.proto')"
  if ! (cd "$module" && GOFLAGS=-mod=mod attempt 180 go build -o client .); then
    # Modules that cannot be fetched are the network's fault; code that does not compile is ours.
    if grep -qE 'dial tcp|i/o timeout|proxy|lookup ' "$work/attempt.log"; then
      not_run "go: its modules cannot be fetched"
    else
      fail "go: the client compiles" "$work/attempt.log"
    fi
    return
  fi
  check "go: create, validate, refuse, revoke" 60 "$module/client" \
    -issuance "127.0.0.1:$base" -validation "127.0.0.1:$((base + 10))" -root-key "$work/dev/secrets/root.key"
}

if have_buf; then
  check "buf lint" 60 buf lint proto
  check "buf format" 60 buf format proto --exit-code --diff --path proto/latchkey
else
  not_run "buf"
fi

if ! start_service; then
  fail "latchkey dev starts" "$work/err.log"
  echo "$passed passed, $failed failed"
  exit 1
fi

if have_grpcurl; then grpcurl_client; else not_run "grpcurl"; fi
if have_python; then python_client && life_client; else not_run "python"; fi
if have_python && have_sealing; then sealed_client; else not_run "sealed: pyhpke"; fi
if have_python && have_go_plugins; then go_client; else not_run "go"; fi

# Whatever the clients were shown is looked for in all that the service wrote.
if [ -s "$work/secrets" ]; then
  stop_service
  check "no secret of $(wc -l <"$work/secrets") is in the data or in the log at trace" 60 \
    python3 tests/clients/python/canary.py "$work/secrets" "$work/dev/data" "$work/err.log" "$work/out.log"
fi

echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
