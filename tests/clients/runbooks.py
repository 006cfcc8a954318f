"""Runs the runbooks of deploy/README.md as they stand there, against clusters on loopback, and checks what they promise.

A runbook is a heading `### Runbook: NAME` with blocks of `sh`. Behind a command stands what it promises:

    command            #: TEXT             its output contains TEXT
    command            #: exit N           it ends with N
    command            #: within 30s TEXT  the same command, again and again, contains TEXT within so long; or `exit N`

A command that promises nothing has to end with 0. Before each runbook but the first one, the first one is run: it makes the
cluster. The folder and the ports of the manual are replaced by others, and nothing else. Prints `ok`, `FAIL` or `not run`.

Usage: runbooks.py [--bin FOLDER] [--list] [NAME...]
"""

import argparse
import concurrent.futures
import os
import pathlib
import random
import re
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
MANUAL = ROOT / "deploy/README.md"
FOLDER = ".latchkey-dev/cluster"
PORT = 7710
# What one runbook may take. It is a bound, not a judgement.
SECONDS_MAX = 200
# They wait for leases and elections most of their time.
AT_ONCE = 3
# Ports that somebody of us looks for, or has.
TAKEN, TAKING = set(), threading.Lock()

# Runbooks that fill a disk get one of their own, in a namespace of mounts that goes with them.
SMALL_DISK = {"Full disk": "700m"}

PRELUDE = r"""
# Made from deploy/README.md. Each command is evaluated in this one shell, so that what one sets the next one sees.
trap 'deploy/local/cluster.sh stop >/dev/null 2>&1' EXIT
step() {
  local line=$1 kind=$2 what=$3 seconds=${4:-0} command code ends
  command=$(cat)
  ends=$((SECONDS + seconds))
  while :; do
    eval "$command" >"$OUTPUT" 2>&1 </dev/null
    code=$?
    case $kind in
      plain) [ "$code" = 0 ] && return ;;
      text) [ "$code" = 0 ] && grep -qF -- "$what" "$OUTPUT" && return ;;
      exit) [ "$code" = "$what" ] && return ;;
      within) grep -qF -- "$what" "$OUTPUT" && return ;;
    esac
    ((SECONDS < ends)) || break
    sleep 0.2
  done
  echo "line $line: $command"
  case $kind in
    plain) echo "expected exit code 0, found $code" ;;
    exit) echo "expected exit code $what, found $code" ;;
    *) echo "expected: $what (exit code $code)" ;;
  esac
  tail -n 30 "$OUTPUT"
  exit 1
}
set -u
"""


def runbooks():
    """Name, and the commands with the number of their line in the manual."""
    name, block, found = None, None, {}
    for number, line in enumerate(MANUAL.read_text().splitlines(), 1):
        if line.startswith("#") and block is None:
            name = line.removeprefix("### Runbook: ") if line.startswith("### Runbook: ") else None
            if name:
                found[name] = []
        elif name and line.startswith("```"):
            block = True if block is None and line == "```sh" else None
        elif name and block:
            found[name].append((number, line))
    return found


def steps(lines):
    """Whole commands: a line that ends with a backslash, opens a quote or begins a loop goes on in the next one."""
    text, begins = "", 0
    for number, line in lines:
        if not text and (not line.strip() or line.lstrip().startswith("# ")):
            continue
        begins = begins or number
        text += ("\n" if text else "") + line
        command, _, promise = text.partition("#:")
        if command.rstrip().endswith("\\"):
            continue
        if subprocess.run(["bash", "-n"], input=command, text=True, capture_output=True, check=False).returncode != 0:
            continue
        yield begins, command.strip(), promise.strip()
        text, begins = "", 0
    assert not text, f"line {begins}: a command without its end"


def script(lines, folder, base):
    made = []
    for number, command, promise in steps(lines):
        kind, what, seconds = "plain", "", ""
        if match := re.fullmatch(r"(?:within (\d+)s )?exit (\d+)", promise):
            kind, seconds, what = "exit", match[1] or "", match[2]
        elif match := re.fullmatch(r"within (\d+)s (.+)", promise):
            kind, seconds, what = "within", match[1], match[2]
        elif promise:
            kind, what = "text", promise
        made.append(f"step {number} {kind} {shlex.quote(what)} {seconds} <<'COMMAND'\n{command}\nCOMMAND\n")
    text = "".join(made).replace(FOLDER, str(folder))
    return re.sub(r"127\.0\.0\.1:(\d{4})", lambda found: f"127.0.0.1:{int(found[1]) - PORT + base}", text)


def free_base():
    while True:
        base = random.randrange(20000, 40000, 500)
        with TAKING:
            if base in TAKEN:
                continue
            TAKEN.add(base)
        ports = [base + offset + port for offset in (0, 100, 200, 300, 400) for port in (0, 9, 10, 11, 19, 20, 29, 30, 39)]
        try:
            for port in ports:
                with socket.socket() as one:
                    one.bind(("127.0.0.1", port))
            return base
        except OSError:
            continue


def may_mount():
    """Whether a disk of our own can be had: root's right, and not in every container."""
    probe = "mount -t tmpfs -o size=1m tmpfs /mnt"
    return subprocess.run(["unshare", "--mount", "--propagation", "private", "sh", "-c", probe], capture_output=True, check=False).returncode == 0


def run(name, lines, binaries):
    if name in SMALL_DISK and not may_mount():
        print(f"not run: runbook: {name}: no disk of its own can be mounted here")
        return True
    began = time.monotonic()
    work = pathlib.Path(tempfile.mkdtemp(prefix="latchkey-runbook-"))
    folder, base = work / "cluster", free_base()
    environment = {key: value for key, value in os.environ.items() if not key.startswith("LATCHKEY_")}
    environment |= {
        "CLUSTER_FOLDER": str(folder), "CLUSTER_BASE": str(base), "CLUSTER_BIN": str(binaries),
        "OUTPUT": str(work / "output"), "HOME": str(work), "PATH": f"{binaries}:{os.environ['PATH']}",
    }
    (work / "script").write_text(PRELUDE + script(lines, folder, base))
    command = ["bash", str(work / "script")]
    if size := SMALL_DISK.get(name):
        folder.mkdir()
        mount = f"mount -t tmpfs -o size={size} tmpfs {folder} && exec bash {work / 'script'}"
        command = ["unshare", "--mount", "--propagation", "private", "bash", "-c", mount]
    try:
        ended = subprocess.run(
            command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, errors="replace", timeout=SECONDS_MAX, check=False)
        said, right = ended.stdout, ended.returncode == 0
    except subprocess.TimeoutExpired as error:
        said, right = f"it took over {SECONDS_MAX} s\n{error.stdout or ''}", False
    finally:
        # What each process said last, before it is gone.
        found = sorted(folder.glob("*.log")) if folder.exists() else []
        logs = {log: "; ".join(log.read_text(errors="replace").splitlines()[-3:]) for log in found}
        for task in ("stop", "destroy"):
            subprocess.run(["deploy/local/cluster.sh", task], cwd=ROOT, env=environment, capture_output=True, check=False)
    promises = sum(1 for _ in steps(lines))
    told = [f"{'ok  ' if right else 'FAIL'} runbook: {name} ({promises} commands, {time.monotonic() - began:.0f} s)"]
    if not right:
        told += ["     " + line for line in said.strip().splitlines()]
        for log in logs:
            told.append(f"     {log.name}: {logs[log]}")
    print("\n".join(told), flush=True)
    shutil.rmtree(work, ignore_errors=True)
    return right


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--bin", type=pathlib.Path, default=ROOT / "target/debug")
    arguments.add_argument("--list", action="store_true")
    arguments.add_argument("names", nargs="*")
    given = arguments.parse_args()
    found = runbooks()
    first = next(iter(found))
    unknown = [name for name in given.names if name not in found]
    if unknown:
        sys.exit(f"no runbook {unknown[0]!r}; there are: {', '.join(found)}")
    if given.list:
        print("\n".join(found))
        return
    binaries = given.bin.resolve()
    commands = {name: found[first] if name == first else found[first] + found[name] for name in given.names or found}
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        right = list(pool.map(lambda name: run(name, commands[name], binaries), commands))
    sys.exit(not all(right))


main()
