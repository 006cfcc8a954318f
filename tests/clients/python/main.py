"""A Python client from generated code, with the retry policy that we ship. Prints `ok` or `FAIL` for each check."""

import os
import pathlib
import sys
import traceback
import uuid
import zlib

import grpc
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_status import rpc_status
from latchkey.v1 import common_pb2 as common
from latchkey.v1 import directory_service_pb2 as directory_pb
from latchkey.v1 import directory_service_pb2_grpc as directory_grpc
from latchkey.v1 import identity_pb2, keyspace_pb2, owner_pb2, tenant_pb2
from latchkey.v1 import issuance_service_pb2 as issuance_pb
from latchkey.v1 import issuance_service_pb2_grpc as issuance_grpc
from latchkey.v1 import validation_service_pb2 as validation_pb
from latchkey.v1 import validation_service_pb2_grpc as validation_grpc

WORK = pathlib.Path(os.environ["LATCHKEY_WORK"])
BASE = int(os.environ["LATCHKEY_BASE"])
OPTIONS = [("grpc.service_config", pathlib.Path("proto/retry.json").read_text())]
ISSUANCE = grpc.insecure_channel(f"127.0.0.1:{BASE}", options=OPTIONS)
VALIDATION = grpc.insecure_channel(f"127.0.0.1:{BASE + 10}", options=OPTIONS)
KEYSPACE = "tenants/python/keyspaces/orders"
MANAGEMENT = "tenants/system/keyspaces/management"


class As:
    """Every method of the public services in the name of one identity."""

    def __init__(self, key_text=None):
        self.metadata = [("authorization", f"Bearer {key_text}")] if key_text else []
        self.stubs = [
            issuance_grpc.IssuanceServiceStub(ISSUANCE),
            directory_grpc.DirectoryServiceStub(ISSUANCE),
            validation_grpc.ValidationServiceStub(VALIDATION),
        ]

    def __getattr__(self, method):
        call = next(getattr(stub, method) for stub in self.stubs if hasattr(stub, method))
        return lambda request: call(request, metadata=self.metadata, timeout=20)


def remember(key_text):
    """Notes what must not be found anywhere later, and passes it on."""
    with open(WORK / "secrets", "a", encoding="ascii") as secrets:
        secrets.write(key_text + "\n")
    return key_text


def refusal(call):
    """The code, the reason, and the fields that an error names."""
    try:
        answer = call()
    except grpc.RpcError as error:
        reason, fields = None, []
        for detail in rpc_status.from_call(error).details:
            info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
            if detail.Unpack(info):
                assert info.domain == "latchkey", info
                reason = info.reason
            elif detail.Unpack(bad):
                fields = [violation.field for violation in bad.field_violations]
                assert all(violation.description for violation in bad.field_violations), bad
        return error.code().name, reason, fields
    raise AssertionError(f"it should be refused: {answer}")


def key_request(**fields):
    return issuance_pb.CreateKeyRequest(**{"parent": KEYSPACE, "permissions": ["orders:read"], **fields})


def world(root):
    """Everything that can be listed, as bytes without the revision of the reading."""
    seen = {}

    def note(resources):
        for resource in resources:
            resource.ClearField("revision")
            seen[resource.name] = resource.SerializeToString(deterministic=True)
        return [resource.name for resource in resources]

    for tenant in note(root.ListTenants(directory_pb.ListTenantsRequest()).tenants):
        note(root.ListOwners(directory_pb.ListOwnersRequest(parent=tenant)).owners)
        note(root.ListIdentities(directory_pb.ListIdentitiesRequest(parent=tenant)).identities)
        for keyspace in note(root.ListKeyspaces(directory_pb.ListKeyspacesRequest(parent=tenant)).keyspaces):
            note(root.ListKeys(issuance_pb.ListKeysRequest(parent=keyspace)).keys)
    return seen


def tenant_with_keyspace(root, tenant, prefix):
    root.CreateTenant(directory_pb.CreateTenantRequest(tenant_id=tenant, tenant=tenant_pb2.Tenant()))
    keyspace = keyspace_pb2.Keyspace(prefix=prefix, environment="production", allowed_permissions=["orders:*"])
    return root.CreateKeyspace(
        directory_pb.CreateKeyspaceRequest(parent=f"tenants/{tenant}", keyspace_id="orders", keyspace=keyspace)
    ).name


def validate(caller, key_text, query="orders:read", **fields):
    return caller.ValidateKey(
        validation_pb.ValidateKeyRequest(key_text=key_text, permission_query=query, **fields)
    )


class Checks:
    """In this order, since each builds on those before it. Each is named by what it proves."""

    def __init__(self):
        self.root = As(remember((WORK / "dev/secrets/root.key").read_text().strip()))

    def a_tenant_a_keyspace_and_an_owner_are_made(self):
        assert tenant_with_keyspace(self.root, "python", "py_live") == KEYSPACE
        owner = directory_pb.CreateOwnerRequest(parent="tenants/python", owner_id="shop", owner=owner_pb2.Owner())
        self.owner = self.root.CreateOwner(owner).name

    def a_key_is_made_and_its_text_is_shown(self):
        self.made = self.root.CreateKey(key_request(owner=self.owner, metadata={"team": "checkout"}))
        self.text = remember(self.made.key_text)
        assert self.text.startswith("py_live_") and len(self.text) <= 72, len(self.text)
        assert all(region.visible for region in self.made.regions), self.made.regions
        shown = self.root.GetKey(issuance_pb.GetKeyRequest(name=self.made.key.name))
        assert shown.owner == self.owner and self.text not in str(shown)

    def it_is_valid_for_what_it_permits(self):
        answer = validate(self.root, self.text)
        assert answer.outcome == common.OUTCOME_VALID, answer
        assert (answer.key, answer.version) == (self.made.key.name, self.made.version), answer
        assert answer.owner == self.owner and answer.metadata["team"] == "checkout", answer
        fresh = common.Consistency(
            at_least_as_fresh=common.Consistency.AtLeastAsFresh(revision=self.made.revision)
        )
        assert validate(self.root, self.text, consistency=fresh).outcome == common.OUTCOME_VALID

    def it_is_refused_for_what_it_does_not_permit(self):
        answer = validate(self.root, self.text, "orders:write")
        assert answer.outcome == common.OUTCOME_INSUFFICIENT_PERMISSIONS, answer
        assert answer.key and not answer.permissions, answer

    def a_text_with_a_slip_is_malformed(self):
        slip = self.text[:-1] + ("0" if self.text[-1] != "0" else "1")
        answer = validate(self.root, slip)
        assert answer.outcome == common.OUTCOME_MALFORMED and not answer.key, answer

    def a_retry_gets_the_same_key_and_text(self):
        request = key_request(request_id=str(uuid.uuid4()))
        first = self.root.CreateKey(request)
        remember(first.key_text)
        before = world(self.root)
        again = self.root.CreateKey(request)
        assert again.replayed and (again.key_text, again.version) == (first.key_text, first.version)
        assert world(self.root) == before
        self.used = request.request_id

    def a_validator_of_another_tenant_sees_what_was_never_made(self):
        theirs = tenant_with_keyspace(self.root, "stranger", "str_live")
        grant = common.Grant(duty=common.DUTY_VALIDATOR, scope="tenants/stranger")
        identity = self.root.CreateIdentity(
            directory_pb.CreateIdentityRequest(
                parent="tenants/stranger", identity_id="gate", identity=identity_pb2.Identity(grants=[grant])
            )
        ).name
        made = self.root.CreateKey(issuance_pb.CreateKeyRequest(parent=MANAGEMENT, owner=identity))
        gate = As(remember(made.key_text))
        own = self.root.CreateKey(key_request(parent=theirs))
        assert validate(gate, remember(own.key_text)).outcome == common.OUTCOME_VALID

        def answer(key_text):
            found = validate(gate, key_text)
            found.decision_basis.ClearField("age")
            return found.outcome, found.SerializeToString(deterministic=True)

        unknown = answer(with_checksum(self.text[: -(16 + 1 + 32 + 6)] + "0" * 16 + "_" + "a" * 32))
        assert unknown[0] == common.OUTCOME_NOT_FOUND, unknown
        assert answer(self.text) == unknown
        assert answer(with_checksum(self.text[:-38] + "b" * 32)) == unknown
        denied = refusal(lambda: gate.GetKey(issuance_pb.GetKeyRequest(name=self.made.key.name)))
        assert denied[:2] == ("PERMISSION_DENIED", "PERMISSION_DENIED"), denied

    def whoever_shows_no_identity_is_told_so(self):
        found = refusal(lambda: As().ListTenants(directory_pb.ListTenantsRequest()))
        assert found == ("UNAUTHENTICATED", "IDENTITY_MISSING", []), found
        found = refusal(lambda: validate(As(self.text), self.text))
        assert found == ("UNAUTHENTICATED", "IDENTITY_UNKNOWN", []), found

    def bad_requests_are_told_by_code_reason_and_field_and_change_nothing(self):
        before = world(self.root)
        invalid = lambda *fields: ("INVALID_ARGUMENT", "FIELD_INVALID", list(fields))
        revoke = {"name": self.made.key.name, "reason": common.REVOCATION_REASON_OTHER}
        create = lambda **fields: self.root.CreateKey(key_request(**fields))
        table = {
            "a missing field": (lambda: create(parent=""), invalid("parent")),
            "two mistakes": (lambda: create(parent="", owner="x"), invalid("parent", "owner")),
            "metadata too large": (lambda: create(metadata={"note": "x" * 5000}), invalid("metadata")),
            "33 pairs": (lambda: create(metadata={f"k{at}": "" for at in range(33)}), invalid("metadata")),
            "no permission": (lambda: create(permissions=["or*ders"]), invalid("permissions[0]")),
            "no network": (lambda: create(networks=["10.0.0.0/8", "10.0.0.0/33"]), invalid("networks[1]")),
            "a past expiry": (
                lambda: create(expire_time=Timestamp(seconds=1_000_000_000)),
                ("FAILED_PRECONDITION", "EXPIRY_PAST", []),
            ),
            "no lifetime": (lambda: create(lifetime=Duration()), invalid("lifetime")),
            "beyond the keyspace": (
                lambda: create(permissions=["billing:read"]),
                ("FAILED_PRECONDITION", "PERMISSION_NOT_ALLOWED", []),
            ),
            "a reused request_id": (
                lambda: create(request_id=self.used, display_name="other"),
                ("ALREADY_EXISTS", "REQUEST_ID_REUSED", []),
            ),
            "no request_id": (lambda: create(request_id="1"), invalid("request_id")),
            "a stale etag": (
                lambda: self.root.RevokeKey(issuance_pb.RevokeKeyRequest(etag="stale", **revoke)),
                ("ABORTED", "ETAG_MISMATCH", []),
            ),
            "no reason": (
                lambda: self.root.RevokeKey(issuance_pb.RevokeKeyRequest(name=self.made.key.name)),
                invalid("reason"),
            ),
            "a wrong page token": (
                lambda: self.root.ListKeys(issuance_pb.ListKeysRequest(parent=KEYSPACE, page_token="zz")),
                ("INVALID_ARGUMENT", "PAGE_TOKEN_INVALID", ["page_token"]),
            ),
            "half a query": (lambda: validate(self.root, self.text, "orders:read and"), invalid("permission_query")),
            "no such keyspace": (
                lambda: create(parent="tenants/python/keyspaces/none"),
                ("NOT_FOUND", "NOT_FOUND", []),
            ),
        }
        wrong = {what: (found, expected) for what, (call, expected) in table.items() if (found := refusal(call)) != expected}
        assert not wrong, wrong
        assert world(self.root) == before

    def a_revoked_key_is_refused_at_once(self):
        request = issuance_pb.RevokeKeyRequest(
            name=self.made.key.name, reason=common.REVOCATION_REASON_COMPROMISED, request_id=str(uuid.uuid4())
        )
        revoked = self.root.RevokeKey(request)
        assert revoked.immediate and list(revoked.versions) == [self.made.version], revoked
        assert all(region.WhichOneof("acceptance") == "stop_time" for region in revoked.regions), revoked
        assert validate(self.root, self.text).outcome == common.OUTCOME_REVOKED
        # The same revocation, where validation serves it without issuance.
        again = issuance_grpc.IssuanceServiceStub(VALIDATION).RevokeKey(
            request, metadata=self.root.metadata, timeout=20
        )
        assert again.replayed and again.revision == revoked.revision, again

    def a_batch_is_made_whole_or_not_at_all(self):
        before = world(self.root)
        items = [issuance_pb.CreateKeyRequest(permissions=["orders:read"]) for _ in range(20)]
        bad = issuance_pb.BatchCreateKeysRequest(parent=KEYSPACE, requests=items)
        bad.requests[19].permissions[0] = "billing:read"
        assert refusal(lambda: self.root.BatchCreateKeys(bad))[1] == "PERMISSION_NOT_ALLOWED"
        assert world(self.root) == before
        made = self.root.BatchCreateKeys(issuance_pb.BatchCreateKeysRequest(parent=KEYSPACE, requests=items))
        items = [
            validation_pb.BatchValidateKeysItem(
                id=str(at), request=validation_pb.ValidateKeyRequest(key_text=remember(one.key_text))
            )
            for at, one in enumerate(made.keys)
        ]
        results = self.root.BatchValidateKeys(validation_pb.BatchValidateKeysRequest(items=items)).results
        assert [result.response.outcome for result in results] == [common.OUTCOME_VALID] * 20, results

    def pages_stay_whole_while_keys_are_made(self):
        there = {key.name for key in self.root.ListKeys(issuance_pb.ListKeysRequest(parent=KEYSPACE)).keys}
        seen, token = [], ""
        while True:
            page = self.root.ListKeys(
                issuance_pb.ListKeysRequest(parent=KEYSPACE, page_size=5, page_token=token)
            )
            seen += [key.name for key in page.keys]
            token = page.next_page_token
            if not token:
                break
            remember(self.root.CreateKey(key_request()).key_text)
        assert seen == sorted(set(seen)) and there <= set(seen), seen

    def health_is_told_to_anybody(self):
        health = health_pb2_grpc.HealthStub(VALIDATION)
        for name in ("", "latchkey.validate", "latchkey.write"):
            answer = health.Check(health_pb2.HealthCheckRequest(service=name), timeout=5)
            assert answer.status == health_pb2.HealthCheckResponse.SERVING, name


def with_checksum(text):
    """Adds the checksum of a key text: CRC-32/ISO-HDLC of all before it, in 6 base62 digits."""
    number, digits = zlib.crc32(text.encode()), ""
    alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    for _ in range(6):
        number, digit = divmod(number, 62)
        digits = alphabet[digit] + digits
    return text + digits


def main() -> int:
    checks, failed = Checks(), 0
    for name in [name for name in vars(Checks) if not name.startswith("_")]:
        try:
            getattr(checks, name)()
            print(f"ok   python: {name.replace('_', ' ')}", flush=True)
        except Exception as error:  # whatever a check raises is its failure
            failed += 1
            print(f"FAIL python: {name.replace('_', ' ')}: {error!r}"[:1500], flush=True)
            traceback.print_exc()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
