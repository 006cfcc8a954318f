"""One call of this client, as one trace through issuance, the leader, every replica and audit, seen by the receiver of the
OpenTelemetry Collector. Prints `ok` or `FAIL` for each check.
"""

import json
import os
import pathlib
import sys
import time
import uuid

import grpc
from latchkey.v1 import directory_service_pb2 as directory_pb
from latchkey.v1 import directory_service_pb2_grpc as directory_grpc
from latchkey.v1 import issuance_service_pb2 as issuance_pb
from latchkey.v1 import issuance_service_pb2_grpc as issuance_grpc
from latchkey.v1 import keyspace_pb2, tenant_pb2

FOLDER = pathlib.Path(os.environ["LATCHKEY_CLUSTER"])
BASE = int(os.environ["LATCHKEY_CLUSTER_BASE"])
RECEIVED = pathlib.Path(os.environ["LATCHKEY_RECEIVED"])
PATIENCE_SECONDS = 60
REPLICAS = 3
CALLS = "rpc.server.call.duration"


def attributes(holder):
    return {one["key"]: next(iter(one["value"].values()), None) for one in holder.get("attributes", [])}


def received(signal, scopes, items):
    """All that has come of a signal, each with what its process says of itself."""
    for line in RECEIVED.read_text().splitlines():
        for batch in json.loads(line).get(signal, []):
            process = attributes(batch.get("resource", {}))
            for scope in batch.get(scopes, []):
                for item in scope.get(items, []):
                    yield process, item


def spans_of(trace):
    found = [(process, span) for process, span in received("resourceSpans", "scopeSpans", "spans") if span["traceId"] == trace]
    return found, {
        "issuance": any(span["name"] == "latchkey.v1.IssuanceService/CreateKey" for _, span in found),
        "leader": any(span["name"] == "latchkey.internal.v1.RegistryService/Propose" for _, span in found),
        "every replica": len({process["service.instance.id"] for process, span in found if span["name"] == "apply"}) == REPLICAS,
        "audit": any(span["name"] == "store entry" and process["service.name"] == "latchkey-audit" for process, span in found),
    }


def make_key(trace, span):
    text = (FOLDER / "secrets/root.key").read_text().strip()
    root = [("authorization", f"Bearer {text}")]
    channel = grpc.insecure_channel(f"127.0.0.1:{BASE}")
    directory, issuance = directory_grpc.DirectoryServiceStub(channel), issuance_grpc.IssuanceServiceStub(channel)
    tenant = f"trace-t{uuid.uuid4().hex[:7]}"
    request = directory_pb.CreateTenantRequest(tenant_id=tenant, tenant=tenant_pb2.Tenant(), request_id=str(uuid.uuid4()))
    directory.CreateTenant(request, metadata=root, timeout=15)
    keyspace = keyspace_pb2.Keyspace(prefix=f"{tenant[-8:]}_live", environment="production")
    request = directory_pb.CreateKeyspaceRequest(
        parent=f"tenants/{tenant}", keyspace_id="live", keyspace=keyspace, request_id=str(uuid.uuid4())
    )
    directory.CreateKeyspace(request, metadata=root, timeout=15)
    request = issuance_pb.CreateKeyRequest(parent=f"tenants/{tenant}/keyspaces/live", request_id=str(uuid.uuid4()))
    traced = [*root, ("traceparent", f"00-{trace}-{span}-01")]
    return issuance.CreateKey(request, metadata=traced, timeout=15).key_text


def check(name, holds, told=""):
    print("ok  " if holds else "FAIL", "trace:", name, "" if holds else told, flush=True)
    return holds


def main():
    trace, span = uuid.uuid4().hex, uuid.uuid4().hex[:16]
    key_text = make_key(trace, span)
    ends = time.monotonic() + PATIENCE_SECONDS
    while True:
        found, parts = spans_of(trace)
        # A push of metrics comes each 15 s.
        metrics = {item["name"] for _, item in received("resourceMetrics", "scopeMetrics", "metrics")}
        if (all(parts.values()) and CALLS in metrics) or time.monotonic() > ends:
            break
        time.sleep(0.2)
    told = sorted((process["service.name"], span["name"]) for process, span in found)
    whole = [check(f"{part} is in the caller's trace", holds, told) for part, holds in parts.items()]
    known = {one["spanId"] for _, one in found} | {span}
    whole.append(check("each span has its parent in it", all(one["parentSpanId"] in known for _, one in found), told))
    whole.append(check("metrics are pushed", CALLS in metrics, sorted(metrics)))
    logs = [one["body"]["stringValue"] for _, one in received("resourceLogs", "scopeLogs", "logRecords") if "body" in one]
    whole.append(check("log records come", "serves" in logs, logs[:5]))
    secret = key_text.rsplit("_", 1)[1]
    whole.append(check("no key text is in what was exported", secret not in RECEIVED.read_text()))
    return 0 if all(whole) else 1


if __name__ == "__main__":
    sys.exit(main())
