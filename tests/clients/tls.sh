#!/usr/bin/env bash
# TLS as operators meet it: three replicas and issuance as processes with certificates from `latchkey pki`, the command line,
# grpcurl, openssl and sslyze against them. Each bad certificate is refused with a log line that says why, and certificates
# are replaced every two seconds under load. `make peers` calls this with our binaries in $LATCHKEY_BUILT.
#
# What cannot be installed is told as "not run" and fails nothing. The last line is `N passed, N failed`.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1

readonly GRPCURL=v1.9.3 SSLYZE=6.3.1 DOMAIN=latchkey.example
# How long certificates are replaced under load.
readonly SECONDS_OF_LOAD=${SECONDS_OF_LOAD:-20}

# shellcheck source=tests/clients/common.sh
. tests/clients/common.sh
pids=()
pki=$work/pki
own=$work/certificates

finish() {
  for pid in "${pids[@]}"; do kill -KILL "$pid" 2>/dev/null; done
  wait 2>/dev/null
  rm -rf "$work"
}
trap finish EXIT

latchkey() { env -u LATCHKEY_KEY_FILE HOME="$work" "$built/latchkey" "$@"; }

# The addresses: `0` to `9` of $base.
at() { echo "127.0.0.1:$((base + $1))"; }

# tls_settings ROLE: of a process.
tls_settings() {
  cat <<END
[tls]
certificate_file = "$own/$1.pem"
key_file = "$own/$1.key"
trust_file = "$own/trust.pem"
trust_domain = "$DOMAIN"
END
}

replica_settings() {
  local id=$1
  cat <<END
listen = "$(at "${id}0")"
metrics_listen = "0.0.0.0:$((base + id * 10 + 9))"
kek_file = "$work/kek"
[node]
id = $id
region = "region-$id"
data_folder = "$work/replica-$id"
[raft]
listen = "$(at "${id}1")"
$(tls_settings "replica-$id")
END
  local member
  for member in 1 2 3; do
    cat <<END
[[members]]
id = $member
region = "region-$member"
api_address = "localhost:$((base + member * 10))"
raft_address = "localhost:$((base + member * 10 + 1))"
END
  done
}

certificates() {
  latchkey pki init --trust-domain "$DOMAIN" --folder "$pki" &&
    for role in replica/1 replica/2 replica/3 issuance client/me; do
      latchkey pki issue --folder "$pki" --role "$role" --host localhost --host 127.0.0.1 --out "$own" || return 1
    done
}

# run NAME COMMAND...: in the background, its log in $work/NAME.log.
run() {
  local name=$1
  shift
  "$@" >"$work/$name.log" 2>&1 &
  pids+=($!)
}

start_cluster() {
  local id cluster
  base=$(free_base)
  for id in 1 2 3; do replica_settings "$id" >"$work/replica-$id.toml"; done
  cat >"$work/issuance.toml" <<END
listen = "$(at 0)"
metrics_listen = "$(at 9)"
kek_file = "$work/kek"
registry_endpoints = ["localhost:$((base + 10))", "localhost:$((base + 20))", "localhost:$((base + 30))"]
$(tls_settings issuance)
END
  cluster=$("$built/latchkey-validation" --config "$work/replica-1.toml" init --bootstrap-file "$work/root.key") || return 1
  for id in 2 3; do
    "$built/latchkey-validation" --config "$work/replica-$id.toml" init --cluster "$cluster" || return 1
  done
  for id in 1 2 3; do run "replica-$id" "$built/latchkey-validation" --config "$work/replica-$id.toml"; done
  run issuance "$built/latchkey-issuance" --config "$work/issuance.toml"
  export LATCHKEY_KEY_FILE=$work/root.key
  for _ in $(seq 150); do
    call tenant create acme >"$work/tenant.log" 2>&1 && return 0
    sleep 0.2
  done
  cat "$work/tenant.log" "$work/replica-1.log"
  return 1
}

# call ARGUMENT...: the command line over TLS, as root and client/me.
call() {
  HOME=$work "$built/latchkey" --key-file "$work/root.key" --issuance-address "localhost:$base" \
    --validation-address "localhost:$((base + 10))" --tls-trust "$own/trust.pem" \
    --tls-certificate "$own/client-me.pem" --tls-key "$own/client-me.key" "$@"
}

make_key() {
  call keyspace create acme/orders --environment production --prefix acme_live --allowed-permission orders:read &&
    call key create acme/orders --display-name k --permission orders:read --key-text-file "$work/valid.key"
}

validate() { call validate "$work/valid.key" --keyspace acme/orders; }

# Whatever a host of names and no certificate may learn: nothing in plain text, nothing below TLS 1.3.
openssl_says() {
  local port=$((base + $1))
  shift
  openssl s_client -connect "127.0.0.1:$port" -CAfile "$own/trust.pem" -alpn h2 "$@" </dev/null 2>&1
}

speaks_tls_13_alone() {
  local port told
  for port in 0 10 11; do
    told=$(openssl_says "$port" -tls1_3)
    grep -q 'New, TLSv1.3' <<<"$told" && grep -q 'ALPN protocol: h2' <<<"$told" && grep -q 'Verify return code: 0' <<<"$told" ||
      { echo "$port: $told" && return 1; }
    told=$(openssl_says "$port" -tls1_2)
    grep -qi 'alert protocol version\|alert handshake failure' <<<"$told" || { echo "$port: $told" && return 1; }
  done
}

have_sslyze() {
  [ -x "$tools/sslyze/bin/sslyze" ] && return 0
  python3 -m venv "$tools/sslyze" && timeout 180 "$tools/sslyze/bin/pip" install --quiet --disable-pip-version-check "sslyze==$SSLYZE"
}

# Its words: which versions and suites it was given, and no session that is taken up again.
sslyze_agrees() {
  local port told
  for port in 0 10; do
    "$tools/sslyze/bin/sslyze" --sslv2 --sslv3 --tlsv1 --tlsv1_1 --tlsv1_2 --tlsv1_3 --early_data \
      --json_out="$work/sslyze.json" "127.0.0.1:$((base + port))" >"$work/sslyze.log" 2>&1
    told=$(python3 - "$work/sslyze.json" <<'END'
import json, sys
result = json.load(open(sys.argv[1]))["server_scan_results"][0]["scan_result"]
accepted = {}
for name in ["ssl_2_0", "ssl_3_0", "tls_1_0", "tls_1_1", "tls_1_2", "tls_1_3"]:
    scan = result[name + "_cipher_suites"]
    suites = [suite["cipher_suite"]["name"] for suite in (scan["result"] or {}).get("accepted_cipher_suites", [])]
    if suites:
        accepted[name] = sorted(suites)
print(json.dumps(accepted))
END
)
    echo "port $port: $told"
    [ "$told" = '{"tls_1_3": ["TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"]}' ] || return 1
  done
}

# bad NAME SAN FROM UNTIL CA: a certificate for a client, by openssl, in $work/NAME.pem.
bad() {
  local name=$1 san=$2 from=$3 until=$4 ca=$5
  : >"$work/index" && rm -f "$work/index.attr"
  cat >"$work/ca.conf" <<END
[ca]
default_ca = own
[own]
database = $work/index
new_certs_dir = $work
rand_serial = yes
default_md = sha256
policy = any
x509_extensions = leaf
[any]
commonName = supplied
[leaf]
subjectAltName = $san
extendedKeyUsage = clientAuth
END
  openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN="$name" -keyout "$work/$name.key" \
    -out "$work/$name.csr" 2>/dev/null &&
    openssl ca -batch -notext -config "$work/ca.conf" -cert "$ca.pem" -keyfile "$ca.key" -in "$work/$name.csr" \
      -startdate "$from" -enddate "$until" -out "$work/$name.pem" 2>"$work/bad.log"
}

# refused NAME PORT LOG REASON: whoever shows $work/NAME.pem is refused, and the log says why.
refused() {
  local name=$1 port=$2 log=$3 reason=$4 before told shown=()
  [ "$name" = none ] || shown=(-cert "$work/$name.pem" -key "$work/$name.key")
  before=$(grep -c "reason=\"$reason\"" "$work/$log.log")
  # With TLS 1.3 a client hears after its own part of the handshake.
  told=$( (sleep 1) | openssl s_client -connect "127.0.0.1:$((base + port))" -CAfile "$own/trust.pem" -alpn h2 "${shown[@]}" 2>&1)
  if ! grep -q 'alert' <<<"$told"; then echo "openssl was let in: $told" && return 1; fi
  if [ "$(grep -c "reason=\"$reason\"" "$work/$log.log")" -le "$before" ]; then
    echo "no line with reason=$reason in the log of $log:" && grep 'TLS handshake' "$work/$log.log" | tail -n 5
    return 1
  fi
  grep "reason=\"$reason\"" "$work/$log.log" | tail -n 1
}

# As Unix time plus seconds, the way openssl reads it.
moment() { date -u -d "now $1" +%Y%m%d%H%M%SZ; }

refusals() {
  local id="URI:spiffe://$DOMAIN"
  latchkey pki init --trust-domain "$DOMAIN" --folder "$work/foreign" >/dev/null 2>&1
  bad expired "$id/client/me" "$(moment '-3 days')" "$(moment '-1 days')" "$pki/root" &&
    bad early "$id/client/me" "$(moment '+1 days')" "$(moment '+3 days')" "$pki/root" &&
    bad foreign "$id/client/me" "$(moment '-1 days')" "$(moment '+1 days')" "$work/foreign/root" &&
    bad two "$id/client/me,$id/audit" "$(moment '-1 days')" "$(moment '+1 days')" "$pki/root" &&
    bad nobody "DNS:localhost" "$(moment '-1 days')" "$(moment '+1 days')" "$pki/root" &&
    bad elsewhere "URI:spiffe://elsewhere.example/client/me" "$(moment '-1 days')" "$(moment '+1 days')" "$pki/root" &&
    bad me "$id/client/me" "$(moment '-1 days')" "$(moment '+1 days')" "$pki/root" || {
    fail "bad certificates can be made" "$work/bad.log"
    return
  }
  passes "no certificate is refused" refused none 0 issuance no_certificate
  passes "one that has ended is refused" refused expired 0 issuance expired
  passes "one that has not begun is refused" refused early 0 issuance not_yet_valid
  passes "one of a foreign root is refused" refused foreign 0 issuance unknown_issuer
  passes "one with two ids is refused" refused two 10 replica-1 id
  passes "one without an id is refused" refused nobody 10 replica-1 id
  passes "one of another trust domain is refused" refused elsewhere 10 replica-1 trust_domain
  passes "a client is refused where replicas speak" refused me 11 replica-1 role
  passes "TLS 1.2 is told in the log" grep -q 'reason="tls_version"' "$work/issuance.log"
}

# A client with a certificate is none of ours: the internal service is closed to it.
internal_is_closed() {
  local told
  told=$(grpcurl -cacert "$own/trust.pem" -cert "$own/client-me.pem" -key "$own/client-me.key" \
    "localhost:$((base + 10))" latchkey.internal.v1.RegistryService/Introduce 2>&1)
  grep -q Unauthenticated <<<"$told" || { echo "$told" && return 1; }
  # Nor has a process of ours the word of another: issuance's certificate is no replica's.
  grep -q 'none of ours' "$work/replica-1.log"
}

grpcurl_validates() {
  local told
  told=$(grpcurl -cacert "$own/trust.pem" -cert "$own/client-me.pem" -key "$own/client-me.key" \
    -H "authorization: Bearer $(cat "$work/root.key")" -d "{\"key_text\": \"$(cat "$work/valid.key")\"}" \
    "localhost:$((base + 10))" latchkey.v1.ValidationService/ValidateKey 2>&1)
  grep -q '"outcome": "VALID"\|OUTCOME_VALID' <<<"$told" || { echo "$told" && return 1; }
}

# scrape PATH OPTION...: the status of a GET at the port of replica 1's metrics, which is not on loopback.
scrape() {
  local path=$1
  shift
  curl --silent --max-time 5 --output /dev/null --write-out '%{http_code}' --cacert "$own/trust.pem" "$@" \
    "https://localhost:$((base + 19))$path"
}

# Numbers need a certificate of the trust domain, whether it serves needs none, and plain text gets nothing.
metrics_are_guarded() {
  local own_pair=(--cert "$own/client-me.pem" --key "$own/client-me.key")
  [ "$(scrape /metrics "${own_pair[@]}")" = 200 ] || { echo "no metrics with a certificate" && return 1; }
  [ "$(scrape /metrics)" = 403 ] || { echo "metrics without a certificate" && return 1; }
  [ "$(scrape /health)" = 200 ] || { echo "no health without a certificate" && return 1; }
  ! curl --silent --max-time 5 "http://localhost:$((base + 19))/metrics" >/dev/null || { echo "metrics in plain text" && return 1; }
  curl --silent --cacert "$own/trust.pem" "${own_pair[@]}" "https://localhost:$((base + 19))/metrics" |
    grep 'latchkey_tls_certificate_ends_seconds{certificate="own"}'
}

# load NAME: validations, each with a connection of its own, until $work/stop is there. Prints `asked failed`.
load() {
  local asked=0 failed=0
  while [ ! -e "$work/stop" ]; do
    asked=$((asked + 1))
    validate >"$work/load-$1.log" 2>&1 || { failed=$((failed + 1)) && cp "$work/load-$1.log" "$work/load-failed.log"; }
  done
  echo "$asked $failed" >"$work/load-$1.count"
}

replaced_under_load() {
  local rounds=0 until=$((SECONDS + SECONDS_OF_LOAD)) asked=0 failed=0 one two loads=()
  rm -f "$work/stop"
  for one in 1 2; do load "$one" & loads+=($!); done
  while [ "$SECONDS" -lt "$until" ]; do
    # Without client/me: whoever reads a pair in the instant of its change is no server's concern.
    latchkey pki renew "$own"/replica-*.pem "$own/issuance.pem" --folder "$pki" >"$work/renew.log" 2>&1 || { cat "$work/renew.log" && return 1; }
    rounds=$((rounds + 1))
    sleep 2
  done
  touch "$work/stop"
  wait "${loads[@]}"
  for one in 1 2; do
    read -r two one <"$work/load-$one.count"
    asked=$((asked + two)) failed=$((failed + one))
  done
  [ "$failed" = 0 ] && [ "$rounds" -gt 3 ] || { cat "$work/load-failed.log" && return 1; }
  for one in replica-1 replica-2 replica-3 issuance; do
    [ "$(grep -c 'shows a new certificate' "$work/$one.log")" -ge 3 ] || { echo "$one took up none" && return 1; }
  done
  # Writes need the replicas to reach each other anew.
  call tenant create "after-$RANDOM" || return 1
  echo "$rounds rounds of new certificates for four processes under $asked calls, $failed failed"
}

have_grpcurl() {
  command -v grpcurl >/dev/null && return 0
  command -v go >/dev/null && GOBIN=$tools/bin timeout 240 go install "github.com/fullstorydev/grpcurl/cmd/grpcurl@$GRPCURL"
}

# passes NAME FUNCTION...: as `check`, of what is a function here; the last line that it prints is its figure.
passes() {
  local name=$1 told
  shift
  if told=$("$@" 2>&1); then
    passed=$((passed + 1))
    echo "ok   $name"
    [ -z "$told" ] || tail -n 1 <<<"$told" | cut -c 1-240 | sed 's/^/     /'
  else
    echo "$told" >"$work/passes.log"
    fail "$name" "$work/passes.log"
  fi
}

openssl_tells() {
  passes "openssl is given TLS 1.3 and h2, and refused TLS 1.2" speaks_tls_13_alone
  if have_sslyze >"$work/sslyze-install.log" 2>&1; then
    passes "sslyze finds TLS 1.3 alone, and two suites" sslyze_agrees
  else
    not_run "sslyze, which cannot be installed"
  fi
}

base=
passes "latchkey pki makes a root and five certificates" certificates
start_cluster >"$work/start.log" 2>&1
if [ -s "$work/tenant.log" ] && call tenant list >/dev/null 2>&1; then
  passes "a key is made over TLS" make_key
  passes "a key is validated over TLS" validate
  openssl_tells
  refusals
  if have_grpcurl; then
    passes "grpcurl with a client certificate validates a key" grpcurl_validates
    passes "a client's certificate does not open the internal service" internal_is_closed
  else
    not_run "grpcurl, which cannot be installed"
  fi
  if command -v curl >/dev/null; then
    passes "off loopback the metrics need a certificate, and health needs none" metrics_are_guarded
  else
    not_run "metrics over TLS, for want of curl"
  fi
  passes "certificates are replaced every two seconds under load and no call fails" replaced_under_load
else
  fail "three replicas and issuance start with certificates" "$work/start.log"
fi
echo "$passed passed, $failed failed"
((failed == 0))
