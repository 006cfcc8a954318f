# What the scripts of this folder share; sourced, from the top of the repository. A script has `$work`, a folder that goes with it,
# `$built` and `$tools`, and counts in `$passed` and `$failed`. It stands alone, or is called by `make peers` with our binaries in
# $LATCHKEY_BUILT.

tools=$PWD/.cache/tools
built=${LATCHKEY_BUILT:-$(realpath -m "${CARGO_TARGET_DIR:-target}")/debug}
# To the services each variable of that beginning is a setting.
unset LATCHKEY_BUILT
export PATH=$tools/python/bin:$tools/bin:$tools/node_modules/.bin:$PATH
mkdir -p "$tools/bin"
work=$(mktemp -d)
service=
passed=0
failed=0

# Ends `latchkey dev`, where it runs.
stop_service() {
  [ -n "$service" ] || return 0
  kill -TERM "$service" 2>/dev/null
  wait "$service" 2>/dev/null
  service=
}

# attempt SECONDS COMMAND...: three tries, quiet unless all fail.
attempt() {
  local seconds=$1
  shift
  for _ in 1 2 3; do
    timeout --kill-after=5 "$seconds" "$@" >"$work/attempt.log" 2>&1 && return 0
  done
  tail -n 5 "$work/attempt.log"
  return 1
}

not_run() { echo "not run: $1"; }

# check NAME SECONDS COMMAND...: passes if the command does, in its time.
check() {
  local name=$1 seconds=$2
  shift 2
  if timeout --kill-after=5 "$seconds" "$@" >"$work/check.log" 2>&1; then
    passed=$((passed + 1))
    echo "ok   $name"
  else
    fail "$name" "$work/check.log"
  fi
}

# fail NAME LOG: what is wrong without any check.
fail() {
  failed=$((failed + 1))
  echo "FAIL $1"
  tail -n 40 "$2" | sed 's/^/     /'
}

# count FILE: adds what a client with checks of its own has counted. It prints `ok` and `FAIL` lines as this does.
count() {
  grep -E '^(ok|FAIL) ' "$1"
  passed=$((passed + $(grep -c '^ok ' "$1")))
  failed=$((failed + $(grep -c '^FAIL ' "$1")))
}

# Ports that lie apart as the manuals say, and are free now. Others look for ports too, so a start is tried again.
free_base() {
  local base offset
  while :; do
    base=$((20000 + RANDOM % 20000))
    for offset in 0 9 10 11 19 20 29 30 31 39 110 111 119 210 211 219; do
      (exec 3<>"/dev/tcp/127.0.0.1/$((base + offset))") 2>/dev/null && continue 2
    done
    echo "$base"
    return
  done
}

# start_dev OPTION...: starts `latchkey dev`, and returns once it serves, from `$base` on.
start_dev() {
  for _ in 1 2 3; do
    base=$(free_base)
    "$built/latchkey" dev --data "$work/dev" --listen-base "$base" "$@" >"$work/out.log" 2>"$work/err.log" &
    service=$!
    for _ in $(seq 400); do
      grep -q '^Ctrl-C' "$work/out.log" && return 0
      kill -0 "$service" 2>/dev/null || break
      sleep 0.1
    done
    stop_service
  done
  return 1
}
