#!/usr/bin/env bash
# The audit log, verified by somebody else: a verifier in Go (tests/clients/verifier) that has nothing of ours, over a log that
# is made up and over one that a real run with kills has left. `make peers` calls this; alone it builds what it needs.
#
# What cannot be installed is told as "not run" and fails nothing. The last line is `N passed, N failed`.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1

readonly ENTRIES=100000 MUTATIONS=10000

# shellcheck source=tests/clients/common.sh
. tests/clients/common.sh
trap 'rm -rf "$work"' EXIT

have_verifier() {
  command -v go >/dev/null || return 1
  (cd tests/clients/verifier && GOFLAGS=-mod=readonly attempt 240 go build -o "$work/verifier" .)
}

# verify NAME FOLDER: all of it, and each of the changes.
verify() {
  timeout --kill-after=5 150 "$work/verifier" -mutations "$MUTATIONS" -limit 100s "$2" >"$work/verifier.log" 2>&1
  local ended=$?
  echo "-- $1"
  grep '^ ' "$work/verifier.log"
  count "$work/verifier.log"
  if [ "$ended" != 0 ] && ! grep -q '^FAIL ' "$work/verifier.log"; then
    fail "$1: the verifier ended with $ended" "$work/verifier.log"
  fi
}

# A log of the crate that makes proofs, without a service.
made_up() {
  local write=$built/examples/write_log
  attempt 300 "${CARGO:-cargo}" build --quiet --package latchkey-transparency --features testing --example write_log || {
    fail "a log is made up" "$work/attempt.log"
    return
  }
  check "a log of $ENTRIES entries is made up" 60 "$write" "$work/made-up" "$ENTRIES"
  verify "a log that is made up" "$work/made-up"
}

# A log of three replicas and audit, whose leaders are killed while entries are written: all of them, or as many as a slow
# machine writes in its time.
real() {
  [ -x "$built/latchkey-cluster" ] || attempt 400 "${CARGO:-cargo}" build --quiet --package latchkey-cluster || {
    fail "the cluster's program is built" "$work/attempt.log"
    return
  }
  check "a run with leader kills leaves a log that is whole" 400 \
    "$built/latchkey-cluster" audit --entries "$ENTRIES" --kills 3 --seconds 150 --keep "$work/real"
  [ -e "$work/real/log/checkpoint" ] && verify "a log of a real run" "$work/real"
}

if have_verifier; then
  check "the verifier believes each key for its time alone" 120 go test -C tests/clients/verifier ./...
  made_up
  real
elif ! command -v go >/dev/null || grep -qE 'dial tcp|i/o timeout|proxy|lookup ' "$work/attempt.log"; then
  # Modules that cannot be fetched are the network's fault; code that does not compile is ours.
  not_run "the verifier: Go or its modules cannot be had"
else
  fail "the verifier compiles" "$work/attempt.log"
fi

echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
