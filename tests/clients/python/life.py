"""The whole life of a key over the four services as processes of their own, each killed in turn between the steps.

Half of the steps are taken by this client and half by the command line. At the end the audit trail has to name all of it,
in order, with actor and reason, without a gap. Prints `ok` or `FAIL` for each check.
"""

import json
import os
import pathlib
import subprocess
import sys
import time
import traceback
import uuid

import grpc
from latchkey.v1 import audit_service_pb2 as audit_pb
from latchkey.v1 import audit_service_pb2_grpc as audit_grpc
from latchkey.v1 import common_pb2 as common
from latchkey.v1 import directory_service_pb2 as directory_pb
from latchkey.v1 import directory_service_pb2_grpc as directory_grpc
from latchkey.v1 import issuance_service_pb2 as issuance_pb
from latchkey.v1 import issuance_service_pb2_grpc as issuance_grpc
from latchkey.v1 import key_pb2, keyspace_pb2, owner_pb2, tenant_pb2
from latchkey.v1 import rotation_pb2
from latchkey.v1 import rotation_service_pb2 as rotation_pb
from latchkey.v1 import rotation_service_pb2_grpc as rotation_grpc
from latchkey.v1 import validation_service_pb2 as validation_pb
from latchkey.v1 import validation_service_pb2_grpc as validation_grpc

WORK = pathlib.Path(os.environ["LATCHKEY_WORK"])
FOLDER = pathlib.Path(os.environ["LATCHKEY_CLUSTER"])
BASE = int(os.environ["LATCHKEY_CLUSTER_BASE"])
BUILT = pathlib.Path(os.environ["LATCHKEY_BUILT"])
OPTIONS = [("grpc.service_config", pathlib.Path("proto/retry.json").read_text())]
KEYSPACE = "tenants/life/keyspaces/orders"
# How long a step may be refused while a service that was killed comes back and a leader is elected. Only a bound: the time
# that it took is nothing that is judged here.
PATIENCE_SECONDS = 60


def channel(offset):
    return grpc.insecure_channel(f"127.0.0.1:{BASE + offset}", options=OPTIONS)


ISSUANCE, ROTATION, AUDIT = channel(0), channel(20), channel(30)
REPLICAS = [channel(10), channel(110), channel(210)]
ROOT_KEY_FILE = FOLDER / "secrets/root.key"
ROOT = [("authorization", f"Bearer {ROOT_KEY_FILE.read_text().strip()}")]


def patiently(call, request):
    """Calls until it is answered: what is UNAVAILABLE, or was cut off by a kill, is asked again with the same request id."""
    ends = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return call(request, metadata=ROOT, timeout=15)
        except grpc.RpcError as error:
            again = error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)
            if not again or time.monotonic() > ends:
                raise
            time.sleep(0.1)


def command_line(*arguments, stdin=None):
    """Runs the command line as a person would, and reads its JSON."""
    ends = time.monotonic() + PATIENCE_SECONDS
    environment = {
        **os.environ,
        "LATCHKEY_ISSUANCE_ADDRESS": f"127.0.0.1:{BASE}",
        "LATCHKEY_VALIDATION_ADDRESS": f"127.0.0.1:{BASE + 10}",
        "LATCHKEY_ROTATION_ADDRESS": f"127.0.0.1:{BASE + 20}",
        "LATCHKEY_AUDIT_ADDRESS": f"127.0.0.1:{BASE + 30}",
        "LATCHKEY_KEY_FILE": str(ROOT_KEY_FILE),
    }
    while True:
        done = subprocess.run(
            [BUILT / "latchkey", "--output", "json", *arguments],
            input=stdin, env=environment, capture_output=True, text=True, timeout=60, check=False,
        )
        if done.returncode == 0:
            return json.loads(done.stdout)
        # 6: unavailable, try again.
        if done.returncode != 6 or time.monotonic() > ends:
            raise AssertionError(f"{arguments}: exit code {done.returncode}: {done.stderr}")
        time.sleep(0.1)


def cluster(*arguments):
    script = ["deploy/local/cluster.sh", *arguments, "--folder", FOLDER, "--base", str(BASE), "--bin", BUILT]
    # To a service each of these would be a setting that it does not know.
    keep = ("LATCHKEY_TELEMETRY__",)
    environment = {
        name: value for name, value in os.environ.items() if name.startswith(keep) or not name.startswith("LATCHKEY_")
    }
    done = subprocess.run(script, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, f"{arguments}: {done.stderr}"


def outcomes(text, revision):
    """What each replica answers, once it knows `revision`."""
    consistency = common.Consistency(at_least_as_fresh=common.Consistency.AtLeastAsFresh(revision=revision))
    request = validation_pb.ValidateKeyRequest(
        key_text=text, permission_query="orders:read", consistency=consistency,
        context=validation_pb.RequestContext(client_ip="10.0.0.1"),
    )
    answers = [patiently(validation_grpc.ValidationServiceStub(replica).ValidateKey, request) for replica in REPLICAS]
    return answers


def revision_of(shown):
    return common.Revision(epoch=int(shown["revision"]["epoch"]), index=int(shown["revision"]["index"]))


class Life:
    """In this order. Between two steps one service is killed, as a crash would, and started again."""

    victims = ["issuance", "replica-1", "rotation", "replica-2", "audit", "replica-3"]

    def __init__(self):
        self.issuance = issuance_grpc.IssuanceServiceStub(ISSUANCE)
        self.directory = directory_grpc.DirectoryServiceStub(ISSUANCE)
        self.rotation = rotation_grpc.RotationServiceStub(ROTATION)
        self.audit = audit_grpc.AuditServiceStub(AUDIT)
        self.turn = 0

    def kill_next(self):
        victim = self.victims[self.turn % len(self.victims)]
        self.turn += 1
        cluster("kill", victim)
        cluster("start")
        return victim

    def expect(self, text, outcome):
        for answer in outcomes(text, self.revision):
            assert answer.outcome == outcome, (common.Outcome.Name(answer.outcome), common.Outcome.Name(outcome))
        return answer

    def a_key_is_created_and_valid(self):
        request_ids = iter(str(uuid.uuid4()) for _ in range(9))
        patiently(self.directory.CreateTenant, directory_pb.CreateTenantRequest(
            tenant_id="life", tenant=tenant_pb2.Tenant(), request_id=next(request_ids)))
        keyspace = keyspace_pb2.Keyspace(prefix="life", environment="production")
        patiently(self.directory.CreateKeyspace, directory_pb.CreateKeyspaceRequest(
            parent="tenants/life", keyspace_id="orders", keyspace=keyspace, request_id=next(request_ids)))
        patiently(self.directory.CreateOwner, directory_pb.CreateOwnerRequest(
            parent="tenants/life", owner_id="shop", owner=owner_pb2.Owner(), request_id=next(request_ids)))
        made = patiently(self.issuance.CreateKey, issuance_pb.CreateKeyRequest(
            parent=KEYSPACE, owner="tenants/life/owners/shop", permissions=["orders:*"], request_id=next(request_ids)))
        self.key, self.old, self.revision = made.key.name, made.key_text, made.revision
        (WORK / "old").write_text(self.old)
        self.expect(self.old, common.OUTCOME_VALID)

    def a_rotation_leaves_both_texts_valid_with_a_hint_on_the_old(self):
        rotated = patiently(self.rotation.RotateKey, rotation_pb.RotateKeyRequest(
            name=self.key, reason_text="it is time", request_id=str(uuid.uuid4())))
        assert rotated.rotation.state == rotation_pb2.Rotation.STATE_OVERLAP, rotated.rotation
        self.rotated, self.new, self.revision = rotated.rotation.name, rotated.key_text, rotated.revision
        (WORK / "new").write_text(self.new)
        old, new = self.expect(self.old, common.OUTCOME_VALID), self.expect(self.new, common.OUTCOME_VALID)
        assert old.rotation.rotation == self.rotated and old.rotation.HasField("retire_time"), old
        assert not new.HasField("rotation") and old.permissions == new.permissions, new

    def completed_it_ends_the_old_text(self):
        shown = command_line("rotation", "complete", self.rotated, "--reason-text", "all have moved")
        assert shown["rotation"]["state"] == "COMPLETED", shown
        self.revision = revision_of(shown)
        self.expect(self.old, common.OUTCOME_EXPIRED)
        self.expect(self.new, common.OUTCOME_VALID)

    def suspended_it_is_refused(self):
        shown = patiently(self.issuance.SuspendKey, issuance_pb.SuspendKeyRequest(
            name=self.key, reason_text="a look at it", request_id=str(uuid.uuid4())))
        assert shown.key.state == key_pb2.Key.STATE_SUSPENDED, shown.key
        self.revision = shown.revision
        self.expect(self.new, common.OUTCOME_SUSPENDED)

    def resumed_it_is_valid_again(self):
        shown = command_line("key", "resume", self.key, "--reason-text", "nothing found")
        self.revision = revision_of(shown)
        self.expect(self.new, common.OUTCOME_VALID)

    def restricted_it_may_do_less(self):
        shown = patiently(self.issuance.RestrictKey, issuance_pb.RestrictKeyRequest(
            name=self.key, permissions=key_pb2.PermissionList(permissions=["orders:list"]), duration={"seconds": 3600},
            reason_text="only lists for now", request_id=str(uuid.uuid4())))
        self.revision = shown.revision
        self.expect(self.new, common.OUTCOME_INSUFFICIENT_PERMISSIONS)

    def revoked_it_is_dead(self):
        shown = command_line("key", "revoke", self.key, "--reason", "compromised", "--reason-text", "seen in a log")
        self.revision = revision_of(shown)
        self.expect(self.new, common.OUTCOME_REVOKED)
        self.expect(self.old, common.OUTCOME_REVOKED)

    def the_audit_trail_names_all_of_it(self):
        expected = [
            ("key.created", ""),
            ("rotation.started", "it is time"),
            ("rotation.completed", "all have moved"),
            ("key.suspended", "a look at it"),
            ("key.resumed", "nothing found"),
            ("key.restricted", "only lists for now"),
            ("key.revoked", "seen in a log"),
        ]
        ends = time.monotonic() + PATIENCE_SECONDS
        while True:
            listed = patiently(self.audit.ListEntries, audit_pb.ListEntriesRequest(filter=f'key = "{self.key}"'))
            found = [(entry.action, entry.reason_text) for entry in listed.entries]
            if found == expected or time.monotonic() > ends:
                break
            time.sleep(0.1)
        assert found == expected, found
        assert all(entry.actor.identity == "tenants/system/identities/root" for entry in listed.entries), listed
        assert listed.entries[-1].reason == common.REVOCATION_REASON_COMPROMISED, listed.entries[-1]

    def no_sequence_is_missing_or_twice(self):
        sequences, token = [], ""
        while True:
            page = patiently(self.audit.ListEntries, audit_pb.ListEntriesRequest(page_size=50, page_token=token))
            sequences += [entry.sequence for entry in page.entries]
            token = page.next_page_token
            if not token:
                break
        assert sequences == list(range(len(sequences))) and len(sequences) > 10, sequences

    def no_key_text_is_in_any_log(self):
        for log in FOLDER.glob("*.log"):
            text = log.read_text(errors="replace")
            assert self.old not in text and self.new not in text, log


def main():
    life = Life()
    for name, step in list(vars(Life).items()):
        if name in ("kill_next", "expect") or name.startswith("_") or not callable(step):
            continue
        said = "life: " + name.replace("_", " ")
        try:
            step(life)
            print("ok  ", said, flush=True)
            if not name.startswith(("no_", "the_")):
                print("     killed and started again:", life.kill_next(), flush=True)
        except Exception:  # Whatever it is, those that follow build on it.
            print("FAIL", said)
            traceback.print_exc(file=sys.stdout)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
