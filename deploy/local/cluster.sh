#!/usr/bin/env bash
# The four services as processes of their own on loopback: three replicas of validation, one each of issuance, rotation and
# audit. To try what a kill does, and as an example of the order of steps.
set -euo pipefail

usage() {
  cat <<'TEXT'
cluster.sh COMMAND [NAME] [--folder DIR] [--base PORT] [--bin DIR] [--tls]

  start [NAME]        build, make secrets and data folders on the first time, start what does not run, wait until it serves,
                      and leave a file for shells, DIR/env, after which the command line speaks to this cluster as root
  stop [NAME]         end all, or one, letting calls in progress end
  status              tell what runs
  kill NAME           end one at once, as a crash would: replica-1, replica-2, replica-3, issuance, rotation or audit
  later NAME REGION   settings for a replica that comes later, such as replica-4: DIR/settings/NAME.toml
  destroy             stop, then remove the folder, secrets and data

  --folder DIR   where secrets, settings, data, logs and process ids lie   (.latchkey-dev/cluster, or $CLUSTER_FOLDER)
  --base PORT    issuance; replica N at + 10 + 100 (N - 1), rotation at +20, audit at +30   (7710, or $CLUSTER_BASE)
  --bin DIR      where the binaries lie                                    (built by cargo, or $CLUSTER_BIN)
  --tls          on the first start: a root and certificates, as between machines; DIR/pki and DIR/tls
TEXT
}

# The examples beside this file name their paths from the top of the repository.
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
examples=deploy/local
# Not LATCHKEY_..., which the services take for settings.
folder=${CLUSTER_FOLDER:-.latchkey-dev/cluster}
base=${CLUSTER_BASE:-7710}
bin=${CLUSTER_BIN:-}
tls=
# Within which the certificates name who shows them.
trust_domain=latchkey.local
seconds_max=30
# How long the other services may take until they have found the leader.
seconds_well_max=10
# In the order in which they start; they end the other way round.
names=(replica-1 replica-2 replica-3 issuance rotation audit)

die() {
  echo "cluster.sh: $*" >&2
  exit 1
}

port() { echo $((base + 10 + 100 * ($1 - 1) + $2)); }

# The settings of NAME as a file of their own: those of the example, with this folder and these ports.
render() {
  local name=$1 settings=$folder/settings/$1.toml
  [ -f "$settings" ] && return
  mkdir -p "$folder/settings"
  perl -pe "s{\\.latchkey-dev/cluster}{$folder}g; s{127\\.0\\.0\\.1:(\\d+)}{'127.0.0.1:' . (\$1 + $base - 7710)}ge" \
    "$examples/$name.toml" >"$settings"
  if [ -d "$folder/pki" ]; then
    certify "$name"
    printf '%s\n' "" "[tls]" "certificate_file = \"$folder/tls/$name.pem\"" "key_file = \"$folder/tls/$name.key\"" \
      "trust_file = \"$folder/tls/trust.pem\"" "trust_domain = \"$trust_domain\"" >>"$settings"
  fi
}

# A certificate for NAME: replica-2 is replica/2, all others are who they are.
certify() {
  local role=$1
  [[ $role != replica-* ]] || role=replica/${role#replica-}
  "$bin/latchkey" pki issue --folder "$folder/pki" --role "$role" --host 127.0.0.1 --out "$folder/tls" 2>>"$folder/pki.log" ||
    die "no certificate for $1, see $folder/pki.log: $(tail -n 3 "$folder/pki.log")"
}

# The root, once, and what the command line shows.
certificates() {
  [ -n "$tls" ] && [ ! -d "$folder/pki" ] || return 0
  [ ! -d "$folder/settings" ] || die "$folder was made without --tls; destroy it first"
  [ -x "$bin/latchkey" ] || die "--tls needs latchkey in $bin"
  mkdir -p "$folder/tls"
  "$bin/latchkey" pki init --trust-domain "$trust_domain" --folder "$folder/pki" 2>>"$folder/pki.log" ||
    die "no root, see $folder/pki.log: $(tail -n 3 "$folder/pki.log")"
  certify client/operator
}

# The same of a replica that the cluster did not begin with: the example of the first, without members.
render_later() {
  local name=$1 region=$2 number=${1#replica-} settings=$folder/settings/$1.toml
  [[ $name =~ ^replica-[1-9][0-9]*$ ]] || die "later: expected a name such as replica-4, found \"$name\""
  [ -n "$region" ] || die "later: expected a region behind $name"
  [ ! -f "$settings" ] || die "later: $name has settings already, $settings; an id is never used again"
  render replica-1
  perl -pe "
    exit if /begins with/;
    s{replica-1}{$name}g; s{^# Replica 1 of three}{# Replica $number, which came later,};
    s{^id = .*}{id = $number}; s{^region = .*}{region = \"$region\"};
    s{127\\.0\\.0\\.1:(\\d+)}{'127.0.0.1:' . (\$1 + 100 * ($number - 1))}ge" "$folder/settings/replica-1.toml" >"$settings.part"
  # What stands behind the members.
  sed -n '/^\[telemetry\]/,$p' "$folder/settings/replica-1.toml" >>"$settings.part"
  mv "$settings.part" "$settings"
  if [ -d "$folder/pki" ]; then
    sed -i "s#tls/replica-1#tls/$name#" "$settings"
    certify "$name"
  fi
  echo "$settings"
}

# service NAME ARGUMENTS...: fills `command` with what runs the service.
service() {
  local name=$1 program
  shift
  case $name in
    replica-*) program=latchkey-validation ;;
    *) program=latchkey-$name ;;
  esac
  render "$name"
  command=("$bin/$program" --config "$folder/settings/$name.toml" "$@")
}

# The process id of NAME, if the process that we started under it still runs.
running() {
  local file=$folder/$1.pid pid runs
  [ -f "$file" ] || return 1
  pid=$(<"$file")
  runs=$(tr "\0" " " 2>/dev/null <"/proc/$pid/cmdline")
  # A number that another program got since is not ours to end. One just begun is this shell still, until it is the program.
  [[ $runs == *"$folder/settings/$1.toml"* || $runs == "$(tr "\0" " " <"/proc/$$/cmdline")" ]] && echo "$pid"
}

initialise() {
  local cluster number
  [ -f "$folder/cluster.id" ] && return
  mkdir -p "$folder"
  mkdir -m 700 "$folder/secrets" 2>/dev/null || die "$folder is half made; run destroy first"
  # The first replica founds the cluster: it makes the KEK and the cluster's secret, and writes the text of root's first key.
  service replica-1 init --bootstrap-file "$folder/secrets/root.key"
  cluster=$("${command[@]}")
  for number in 2 3; do
    service "replica-$number" init --cluster "$cluster"
    "${command[@]}" >/dev/null
  done
  echo "$cluster" >"$folder/cluster.id"
}

# all NAME: NAME, or where there is none, whatever has a folder or needs none: replicas that came later too.
all() {
  local settings name
  if [ -n "$1" ]; then
    [ -f "$folder/settings/$1.toml" ] || die "$1 is not known; one of: $(all '' | xargs)"
    echo "$1"
    return
  fi
  printf '%s\n' "${names[@]:0:3}"
  for settings in "$folder"/settings/replica-*.toml; do
    name=$(basename "$settings" .toml)
    if [[ " ${names[*]} " != *" $name "* ]] && [ -d "$folder/$name" ]; then echo "$name"; fi
  done
  printf '%s\n' "${names[@]:3}"
}

start() {
  local name which
  if [ -z "$bin" ]; then
    cargo build --quiet --package latchkey-validation --package latchkey-issuance --package latchkey-rotation \
      --package latchkey-audit --package latchkey
    bin=${CARGO_TARGET_DIR:-target}/debug
  fi
  certificates
  for name in "${names[@]}"; do render "$name"; done
  initialise
  mapfile -t which < <(all "${1:-}")
  ((${#which[@]} > 0)) || exit 1
  for name in "${which[@]}"; do
    if running "$name" >/dev/null; then continue; fi
    service "$name"
    nohup "${command[@]}" </dev/null >"$folder/$name.log" 2>&1 &
    echo $! >"$folder/$name.pid"
  done
  for name in "${which[@]}"; do wait_until_serving "$name"; done
  [ -z "${1:-}" ] || return 0
  write_env
  wait_until_well
  status
  echo "root's key: $folder/secrets/root.key"
  echo "to use it:  . $folder/env"
}

# What `latchkey dev` leaves for its cluster.
write_env() {
  local key_file path
  printf -v key_file %q "$(realpath "$folder")/secrets/root.key"
  {
    echo "# Written by each start of cluster.sh. For a shell: . THIS FILE"
    echo "export LATCHKEY_ISSUANCE_ADDRESS=127.0.0.1:$base"
    echo "export LATCHKEY_VALIDATION_ADDRESS=127.0.0.1:$(port 1 0)"
    echo "export LATCHKEY_ROTATION_ADDRESS=127.0.0.1:$((base + 20))"
    echo "export LATCHKEY_AUDIT_ADDRESS=127.0.0.1:$((base + 30))"
    echo "export LATCHKEY_KEY_FILE=$key_file"
    if [ -d "$folder/pki" ]; then
      printf -v path %q "$(realpath "$folder")/tls"
      echo "export LATCHKEY_TLS_TRUST=$path/trust.pem LATCHKEY_TLS_CERTIFICATE=$path/client-operator.pem"
      echo "export LATCHKEY_TLS_KEY=$path/client-operator.key"
    fi
    if [ -x "$bin/latchkey" ]; then
      printf -v path %q "$(realpath "$bin")"
      # Once, however often a shell takes it.
      echo "case \":\$PATH:\" in *:$path:*) ;; *) export PATH=$path:\"\$PATH\" ;; esac"
    fi
  } >"$folder/env"
}

# All serve now; the services that hold no data may not have found the leader yet, which only the command line asks them.
wait_until_well() {
  local ends=$((SECONDS + seconds_well_max))
  [ -x "$bin/latchkey" ] || return 0
  # shellcheck disable=SC1091 # it was just written
  until (. "$folder/env" && unset LATCHKEY_PROFILE && "$bin/latchkey" doctor) >"$folder/doctor.log" 2>&1; do
    # A cluster that is not well is there to be looked at.
    ((SECONDS < ends)) || { cat "$folder/doctor.log" >&2 && return 0; }
    sleep 0.2
  done
}

# A replica tells its health in its log when it changes; a load balancer would ask grpc.health.v1. One that leads can write
# before it validates.
wait_until_serving() {
  local ends=$((SECONDS + seconds_max)) said
  # The others tell when they listen; they find the replicas by themselves.
  local await=(' serves')
  [[ $1 == replica-* ]] && await=('probe="latchkey.write" serving=true' 'probe="latchkey.validate" serving=true')
  for said in "${await[@]}"; do until grep -q "$said" "$folder/$1.log"; do
    running "$1" >/dev/null || die "$1 ended, see $folder/$1.log: $(tail -n 3 "$folder/$1.log")"
    ((SECONDS < ends)) || die "$1 does not serve after $seconds_max s, see $folder/$1.log"
    sleep 0.1
  done; done
}

stop() {
  local at name pid ends which
  mapfile -t which < <(all "${1:-}")
  for ((at = ${#which[@]} - 1; at >= 0; at--)); do
    name=${which[at]}
    pid=$(running "$name") || continue
    kill -TERM "$pid"
    ends=$((SECONDS + seconds_max))
    while running "$name" >/dev/null; do
      ((SECONDS < ends)) || die "$name (process $pid) does not end"
      sleep 0.1
    done
    rm -f "$folder/$name.pid"
    echo "$name ended"
  done
}

status() {
  local name pid address
  for name in $(all ''); do
    address=$(sed -n 's/^listen = "\(.*\)"/\1/p' "$folder/settings/$name.toml" | head -n 1)
    if pid=$(running "$name"); then echo "$name runs on $address, process $pid"; else echo "$name does not run"; fi
  done
}

kill_one() {
  local pid
  [ -n "${1:-}" ] || die "kill which of them? one of: $(all '' | xargs)"
  pid=$(running "$1") || die "$1 does not run"
  kill -KILL "$pid"
  echo "$1 (process $pid) is killed; start brings it back"
}

destroy() {
  stop
  # Only what looks like ours is removed.
  [ -d "$folder/secrets" ] || die "$folder is no folder of this script"
  rm -rf "$folder"
}

task=${1:-help}
shift || true
which=
region=
while (($# > 0)); do
  case $1 in
    --folder) folder=${2:?--folder needs a value} && shift 2 ;;
    --base) base=${2:?--base needs a value} && shift 2 ;;
    --bin) bin=${2:?--bin needs a value} && shift 2 ;;
    --tls) tls=yes && shift ;;
    [a-z]*) if [ -z "$which" ]; then which=$1; else region=$1; fi && shift ;;
    *) usage >&2 && exit 2 ;;
  esac
done

case $task in
  start) start "$which" ;;
  stop) stop "$which" ;;
  later) render_later "$which" "$region" ;;
  status) status ;;
  kill) kill_one "$which" ;;
  destroy) destroy ;;
  help | --help | -h) usage ;;
  *) usage >&2 && exit 2 ;;
esac
