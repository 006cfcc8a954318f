#!/usr/bin/env bash
# What deploy/ offers, read by those who will run it: helm and the schemas of Kubernetes, the library under Docker compose,
# systemd, nft. None of them needs a daemon or starts anything. Then the runbooks are run. `make peers` calls this with its tools on
# PATH and our binaries in $LATCHKEY_BUILT; alone it finds both.
#
# What cannot be installed is told as "not run" and fails nothing. The last line is `N passed, N failed`.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1

readonly HELM=v3.20.2 COMPOSE=v2.16.2 KUBERNETES_VALIDATE=1.37.0
# The oldest that the chart is for, and the newest whose schemas are there.
readonly KUBERNETES=(1.31.0 1.37.0)
readonly CHART=deploy/kubernetes/latchkey

# shellcheck source=tests/clients/common.sh
. tests/clients/common.sh
trap 'rm -rf "$work"' EXIT

# go_tool NAME PACKAGE: a program of Go under a name of ours.
go_tool() {
  [ -x "$tools/bin/$1" ] && return 0
  command -v go >/dev/null && GOBIN=$work/go attempt 300 go install "$2" && mv "$work"/go/* "$tools/bin/$1"
}

have_kubernetes_validate() {
  [ -x "$tools/python/bin/kubernetes-validate" ] && return 0
  [ -x "$tools/python/bin/pip" ] || attempt 60 python3 -m venv "$tools/python" || return 1
  attempt 120 "$tools/python/bin/pip" install --quiet --disable-pip-version-check "kubernetes-validate==$KUBERNETES_VALIDATE"
}

# Debian's, unpacked and not installed: that would change the rules of this machine.
have_nft() {
  command -v nft >/dev/null && return 0
  local folder=$tools/nft
  if [ ! -x "$folder/usr/sbin/nft" ]; then
    command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null || return 1
    mkdir -p "$folder"
    for _ in 1 2 3; do
      (cd "$work" && timeout 60 apt-get download -qq nftables libnftables1 libnftnl11 libjansson4 libmnl0 libxtables12 \
        libedit2 libbsd0) >/dev/null 2>&1 && break
      timeout 120 apt-get update -qq >/dev/null 2>&1
    done
    local package
    for package in "$work"/*.deb; do dpkg-deb -x "$package" "$folder" 2>/dev/null || return 1; done
  fi
  nft() { LD_LIBRARY_PATH=$(echo "$tools"/nft/usr/lib/*-linux-gnu) "$tools/nft/usr/sbin/nft" "$@"; }
}

chart() { "$tools/bin/helm" template prod "$CHART" --namespace keys --kube-version "${KUBERNETES[0]}" "$@"; }

# refused NAME TEXT VALUES...: what is wrong is told before anything is made.
refused() {
  local name=$1 text=$2
  shift 2
  if chart "$@" >"$work/check.log" 2>&1 || ! grep -qF -- "$text" "$work/check.log"; then
    fail "helm refuses $name with: $text" "$work/check.log"
  else
    passed=$((passed + 1))
    echo "ok   helm refuses $name and says what to do"
  fi
}

kubernetes() {
  go_tool helm "helm.sh/helm/v3/cmd/helm@$HELM" || { not_run "helm, and all of the chart: it cannot be installed"; return; }
  local example version rendered name
  check "helm lint" 60 "$tools/bin/helm" lint --strict "$CHART" --values deploy/kubernetes/examples/three-zones.yaml
  have_kubernetes_validate || not_run "kubernetes-validate: it cannot be installed"
  for example in three-zones north-of-three-regions sinks-and-stores founding; do
    rendered=$work/$example.yaml
    case $example in
      founding) chart --set image.tag=0.1.0 ;;
      # It comes on top of a cluster.
      sinks-and-stores) chart --values deploy/kubernetes/examples/three-zones.yaml --values "deploy/kubernetes/examples/$example.yaml" ;;
      *) chart --values "deploy/kubernetes/examples/$example.yaml" ;;
    esac >"$rendered" 2>"$work/check.log" || { fail "helm template: $example" "$work/check.log"; continue; }
    check "helm template, $example: what the chart promises" 30 \
      "$tools/python/bin/python" tests/clients/deploy/promises.py "$rendered" "$example"
    [ -x "$tools/python/bin/kubernetes-validate" ] || continue
    for version in "${KUBERNETES[@]}"; do
      check "kubernetes-validate --strict $version: $example" 60 \
        "$tools/python/bin/kubernetes-validate" --strict --quiet --kubernetes-version "$version" "$rendered"
    done
  done
  name=deploy/kubernetes/examples/three-zones.yaml
  refused "a release without an image" "image: neither tag nor digest is given"
  refused "an id that is given twice" "the id 1 is given twice" --values "$name" --set replicas[1].id=1
  refused "a founder that is not there" "cluster.foundedBy: 7 is none" --set image.tag=0.1.0 --set cluster.foundedBy=7
  refused "an even number of founders" "expected an odd number" --values "$name" --set cluster.id= \
    --set replicas[3].id=4 --set replicas[3].region=east
  refused "a region that is no word" "/replicas/0/region" --values "$name" --set-string 'replicas[0].region=Not A Word'
  refused "a folder of secrets that has another use" "/audit/secrets/0/name" --values "$name" \
    --set audit.secrets[0].name=kek --set audit.secrets[0].secretName=mine
  check "helm template: the key of checkpoints can be changed for another" 30 sh -c \
    "'$tools/bin/helm' template prod '$CHART' --kube-version ${KUBERNETES[0]} --values '$name' \
       --set audit.checkpointKey.file=next.key \
       --set audit.checkpointKey.previous=checkpoint.key >'$work/keys.yaml'
     grep -q 'checkpoint_key_file = \"/var/lib/latchkey/next.key\"' '$work/keys.yaml' &&
     grep -q 'checkpoint_key_file_previous = \"/var/lib/latchkey/checkpoint.key\"' '$work/keys.yaml'"
  refused "a key of checkpoints among the entries" "/audit/checkpointKey/file" --values "$name" \
    --set audit.checkpointKey.file=audit/next.key
  refused "the right to write Secrets for who needs none" "secretNamespaces" --values "$name" --set issuance.secretNamespaces[0]=orders
  refused "a value that nobody knows" "replicaCount" --values "$name" --set replicaCount=3
}

compose() {
  go_tool compose-spec "github.com/compose-spec/compose-go/v2/cmd@$COMPOSE" ||
    { not_run "the compose file: the compose library cannot be installed"; return; }
  check "compose: the file as compose reads it" 30 sh -c \
    "'$tools/bin/compose-spec' --format json deploy/compose/compose.yaml >'$work/compose.json'"
  check "compose: what the file promises" 30 "$tools/python/bin/python" tests/clients/deploy/promises.py "$work/compose.json" compose
}

# Without it audit signs nothing; where it is a volume's, what was signed last lies beside it.
signs() {
  local file
  for file in deploy/systemd/latchkey-audit.service deploy/compose/settings/audit.toml deploy/kubernetes/latchkey/templates/settings.yaml; do
    check "$file: audit has a key for checkpoints where it may write" 5 grep -Eq 'checkpoint_key_file *= *"?(/var/lib|%S)/' "$file"
  done
}

# The units under a root of their own, with the distribution's beside them and programs of the right names.
units() {
  command -v systemd-analyze >/dev/null && [ -d /usr/lib/systemd/system ] || { not_run "systemd: it is not here"; return; }
  local root=$work/root name
  mkdir -p "$root/etc/systemd/system" "$root/usr/bin" "$root/usr/lib/systemd"
  cp -r deploy/systemd/. "$root/etc/systemd/system/"
  cp -a /usr/lib/systemd/system "$root/usr/lib/systemd/system"
  for name in validation issuance rotation audit; do install -m 755 /bin/true "$root/usr/bin/latchkey-$name"; done
  for name in validation issuance rotation audit; do
    check "systemd-analyze verify latchkey-$name" 30 sh -c \
      "found=\$(systemd-analyze verify --man=no --root='$root' latchkey-$name.service 2>&1 | grep latchkey)
       echo \"\$found\"; [ -z \"\$found\" ]"
    # 0 is a process that can do nothing at all, 10 one that may do everything.
    check "systemd-analyze security latchkey-$name: exposed by 1.5 of 10 at most" 30 sh -c \
      "systemd-analyze security --root='$root' --offline=true --threshold=15 --no-pager latchkey-$name.service 2>&1"
  done
  systemd-analyze security --root="$root" --offline=true --no-pager latchkey-validation.service 2>/dev/null | sed -n 's/^.*Overall/     overall/p'
}

# What the sources take from outside of their crate is in what a container's build is given.
container() {
  check "Dockerfile: it is given all that the sources include" 30 "$tools/python/bin/python" tests/clients/deploy/context.py
}

firewall() {
  have_nft || { not_run "nft: it cannot be had"; return; }
  # Without the right to ask the kernel, nft cannot even check.
  if ! printf 'table inet latchkey_probe {\n}\n' | nft --check --file - 2>/dev/null; then
    not_run "nft: the kernel cannot be asked here"
    return
  fi
  if nft --check --file deploy/nftables/latchkey.nft >"$work/check.log" 2>&1; then
    passed=$((passed + 1))
    echo "ok   nft --check deploy/nftables/latchkey.nft"
  else
    fail "nft --check deploy/nftables/latchkey.nft" "$work/check.log"
  fi
}

# Our programs read the settings that compose and the chart give them: they get as far as to look for their certificates.
settings() {
  [ -x "$built/latchkey-validation" ] || { not_run "the settings: nothing is built"; return; }
  local file program
  mkdir -p "$work/settings"
  cp deploy/compose/settings/*.toml "$work/settings/"
  for file in three-zones north-of-three-regions sinks-and-stores; do
    [ ! -s "$work/$file.yaml" ] || "$tools/python/bin/python" - "$work/$file.yaml" "$work/settings/$file" <<'PYTHON'
import sys, yaml
with open(sys.argv[1], encoding="utf-8") as file:
    for one in yaml.safe_load_all(file):
        if one and one["kind"] == "ConfigMap":
            name = one["metadata"]["name"].removeprefix("prod-latchkey-")
            with open(f"{sys.argv[2]}-{name}.toml", "w", encoding="utf-8") as settings:
                settings.write(one["data"]["settings.toml"])
PYTHON
  done
  for file in "$work"/settings/*.toml; do
    case $file in
      *replica*) program=latchkey-validation ;;
      *issuance*) program=latchkey-issuance ;;
      *rotation*) program=latchkey-rotation ;;
      *) program=latchkey-audit ;;
    esac
    timeout 10 "$built/$program" --config "$file" >"$work/check.log" 2>&1
    if grep -q 'the certificates cannot be had' "$work/check.log"; then
      passed=$((passed + 1))
      echo "ok   $program takes the settings $(basename "$file")"
    else
      fail "$program takes the settings $(basename "$file")" "$work/check.log"
    fi
  done
}

# The runbooks of deploy/README.md, as they stand there, against clusters of our binaries.
runbooks() {
  if [ ! -x "$built/latchkey-validation" ] || [ ! -x "$built/latchkey" ]; then
    not_run "the runbooks: nothing is built"
    return
  fi
  timeout --kill-after=10 600 python3 tests/clients/runbooks.py --bin "$built" >"$work/runbooks.log" 2>&1
  local ended=$?
  grep -E '^(ok|FAIL|not run|     )' "$work/runbooks.log"
  passed=$((passed + $(grep -c '^ok ' "$work/runbooks.log")))
  failed=$((failed + $(grep -c '^FAIL ' "$work/runbooks.log")))
  if [ "$ended" != 0 ] && ! grep -q '^FAIL ' "$work/runbooks.log"; then
    fail "runbooks: they ended with $ended" "$work/runbooks.log"
  fi
}

kubernetes
compose
signs
units
container
firewall
settings
runbooks

echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
