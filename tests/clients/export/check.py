"""Makes entries of many kinds, waits until each sink has them, and lets what others wrote judge what came.

Prints a line `ok NAME` or `FAIL NAME` for each check.
"""

import base64
import collections
import datetime
import email
import glob
import json
import os
import re
import subprocess
import sys
import time

import jsonschema
from cloudevents.core.bindings.http import HTTPMessage, from_http_event
from cloudevents.core.formats.json import JSONFormat
from ocsf_json_schema import OcsfJsonSchemaEmbedded, get_ocsf_schema
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

WORK, CLUSTER, NPM = (os.environ[name] for name in ("LATCHKEY_WORK", "LATCHKEY_CLUSTER", "EXPORT_NPM"))
FAILED = []


def check(name, holds, told=""):
    print(f"{'ok  ' if holds else 'FAIL'} exports: {name}{'' if holds or not told else f': {told}'}", flush=True)
    if not holds:
        FAILED.append(name)


def latchkey(command, code=0):
    done = subprocess.run(["bash", "-c", f'. "{CLUSTER}/env"; unset LATCHKEY_PROFILE; {command}'], capture_output=True, text=True,
                          timeout=60, env={**os.environ, "HOME": WORK}, check=False)
    if code is not None and done.returncode != code:
        raise SystemExit(f"{command} ended with {done.returncode}: {done.stderr}")
    return done.stdout


def make_entries():
    for command in ("tenant create acme", "keyspace create acme/orders --prefix ord --environment live", "owner create acme/team --contact keys@example.com",
                    "role create acme/reader --permission orders:read", "identity create acme/ci --grant auditor:acme"):
        latchkey(f"latchkey {command}")
    for number in range(12):
        latchkey(f"latchkey key create acme/orders --owner team --display-name 'key {number} \"quoted\" ]'")
    listed = json.loads(latchkey("latchkey key list acme/orders --output json --limit 0"))
    keys = [key["name"] for key in listed["keys"]]
    latchkey(f"latchkey key revoke {keys[0]} --reason compromised --reason-text 'found in a log: \"a\\b]\" é' --yes", None)
    latchkey(f"latchkey key suspend {keys[1]} --reason-text why")
    latchkey(f"latchkey key rotate {keys[2]} --overlap 1h")
    latchkey(f"latchkey key create acme/orders --owner team --key-text-file {WORK}/own.key")
    latchkey(f"latchkey explain {WORK}/own.key --reason-text ticket", None)
    rotations = json.loads(latchkey("latchkey rotation list acme/orders --output json"))["rotations"]
    latchkey(f"latchkey rotation hold {rotations[0]['name']} --reason-text 'looked at'")


def use_keys():
    """Validations of two outcomes, which usage and the access log tell of."""
    latchkey(f"latchkey key create acme/orders --owner team --key-text-file {WORK}/gone.key")
    listed = json.loads(latchkey("latchkey key list acme/orders --output json --limit 0"))["keys"]
    newest = max(listed, key=lambda key: key["createTime"])["name"]
    latchkey(f"latchkey key revoke {newest} --reason unused --yes", None)
    uses = "; ".join([f"latchkey validate {WORK}/own.key"] * 5 + [f"latchkey validate {WORK}/gone.key"] * 3)
    latchkey(f"{uses}; true")
    return {"VALID": 5, "REVOKED": 3}


def calls(name):
    path = f"{WORK}/received/{name}.jsonl"
    if not os.path.exists(path):
        return []
    with open(path, encoding="utf-8") as file:
        found = [json.loads(line) for line in file]
    for call in found:
        call["body"] = base64.b64decode(call["body"])
        call["headers"] = {name.lower(): value for name, value in call["headers"].items()}
    return [call for call in found if call["status"] < 300]


def wait_for_sinks():
    """Until all but the dead one have all that there is now."""
    ends = time.monotonic() + 40
    while True:
        exports = json.loads(latchkey("latchkey audit exports --output json"))["exports"]
        alive = [export for export in exports if export["name"] != "dead" and export["stream"] == "entries"]
        if all(int(export.get("lagEntries", 0)) == 0 and int(export.get("nextSequence", 0)) > 20 for export in alive):
            return exports
        if time.monotonic() > ends:
            check("each sink has all entries", False, json.dumps(exports))
            return exports
        time.sleep(0.3)


def golden(name):
    """The records that the tests of crates/export keep: what this run has none of, such as a refusal, is among them."""
    with open(f"crates/export/tests/golden/{name}.json", encoding="utf-8") as file:
        return json.load(file)


def node(script):
    done = subprocess.run(["node", "-e", script], cwd=NPM, capture_output=True, text=True, timeout=60, check=False)
    return (done.stdout + done.stderr).strip()


def in_order(sequences, log):
    return list(dict.fromkeys(sequences)) == log


def documents_of(name):
    """What Elasticsearch was sent: the ids and the documents, repeats included."""
    return [(json.loads(lines[at])["create"]["_id"], json.loads(lines[at + 1]))
            for lines in (call["body"].decode().splitlines() for call in calls(name)) for at in range(0, len(lines), 2)]


def lines_of(folder, prefix):
    found = []
    for path in sorted(glob.glob(f"{WORK}/{folder}/{prefix}-*.jsonl")) + glob.glob(f"{WORK}/{folder}/{prefix}-*.open"):
        with open(path, encoding="utf-8") as file:
            found += [json.loads(line) for line in file]
    return found


def ecs(log):
    found = documents_of("es")
    check("elasticsearch has each entry, though it refused a call and a document", in_order(
        [document["event"]["sequence"] for _, document in found], log))
    if not NPM:
        return
    documents = [document for _, document in found + documents_of("es-access")] + golden("ecs") + golden("access-ecs")
    with open(f"{NPM}/documents.json", "w", encoding="utf-8") as file:
        json.dump(documents, file)
    told = node("""
        const {EcsFlat} = require('@elastic/ecs');
        const wrong = [];
        const judge = (name, value) => {
          const field = EcsFlat[name];
          const inner = !Array.isArray(value) && typeof value === 'object';
          if (!field && inner) { for (const key in value) judge(name + '.' + key, value[key]); return; }
          if (!field) { wrong.push('no field ' + name); return; }
          if (field.type === 'object') {
            if (Object.values(value).some(one => typeof one !== 'string')) wrong.push(name + ' has more than keywords');
            return;
          }
          if (Array.isArray(value) !== field.normalize.includes('array')) wrong.push(name + ': one or several?');
          for (const one of [value].flat()) {
            const fits = {long: Number.isInteger(one), date: !isNaN(Date.parse(one))}[field.type] ?? typeof one === 'string';
            if (!fits) wrong.push(name + ' is no ' + field.type);
            const allowed = field.allowed_values;
            if (allowed?.length && !allowed.some(({name}) => name === one)) wrong.push(name + ' cannot be ' + one);
          }
        };
        const judgeAll = document => { for (const name in document) judge(name, document[name]); };
        const documents = JSON.parse(require('fs').readFileSync('documents.json', 'utf8'));
        for (const document of documents) {
          judgeAll(document);
          const categories = EcsFlat['event.category'].allowed_values.filter(({name}) => document.event.category.includes(name));
          const types = categories.flatMap(one => one.expected_event_types);
          for (const type of document.event.type) if (!types.includes(type)) wrong.push(document.event.action + ' is ' + type);
        }
        const found = wrong.length;
        judgeAll({event: {nonsense: 1, kind: 'thing', sequence: 'x', category: 'iam'}});
        if (wrong.length !== found + 4) wrong.push('the judge does not judge');
        console.log(wrong.slice(0, found || wrong.length - 4).join('; '));
    """)
    check(f"{len(documents)} documents are of the fields, values and types that Elastic publishes", told == "", told[:600])


def ocsf(log):
    events, files = lines_of("files", "audit"), glob.glob(f"{WORK}/files/audit-*.*")
    check("files have each entry, in files that were rotated", in_order(
        [event["metadata"]["sequence"] for event in events], log) and len(files) > 2, len(files))
    events += lines_of("access", "access") + golden("ocsf") + golden("access-ocsf")
    schema = OcsfJsonSchemaEmbedded(get_ocsf_schema(version="1.8.0"))
    judges = {}
    wrong = []
    for event in events:
        if event["class_uid"] not in judges:
            name = schema.lookup_class_name_from_uid(event["class_uid"])
            judges[event["class_uid"]] = jsonschema.Draft202012Validator(schema.get_class_schema(class_name=name, profiles=[]))
        wrong += [f"{event['metadata']['event_code']}: {error.json_path}: {error.message[:200]}"
                  for error in judges[event["class_uid"]].iter_errors(event)]
    check(f"{len(events)} events of the classes {sorted(judges)} are valid by the schema of OCSF 1.8.0", not wrong, wrong[:3])
    broken = {**events[0], "severity_id": "high"}
    check("and one that is not is found", any(True for _ in judges[broken["class_uid"]].iter_errors(broken)))


def cloud_events(log):
    single, binary = calls("single"), calls("binary")
    secrets = {}
    for name in ("new", "old"):
        with open(f"{WORK}/webhook.{name}", encoding="utf-8") as file:
            secrets[name] = file.read().strip()
    for name, secret in secrets.items():
        for call in single:
            try:
                Webhook(secret).verify(call["body"], call["headers"])
            except WebhookVerificationError as error:
                check(f"Standard Webhooks verifies with the {name} secret", False, str(error))
                break
        else:
            check(f"Standard Webhooks verifies {len(single)} calls with the {name} secret", len(single) >= len(log))
    try:
        Webhook(secrets["new"]).verify(single[0]["body"] + b" ", single[0]["headers"])
        check("and refuses a body that was changed", False)
    except WebhookVerificationError:
        check("and refuses a body that was changed", True)
    check("an Ed25519 signature stands beside", all(" v1a," in call["headers"]["webhook-signature"] for call in single))
    # The cluster, the sequence, and the beginning of the leaf: another log of the cluster has the same sequences.
    ids = [re.fullmatch(r"[0-9a-f]{32}-(\d+)-[0-9a-f]{8}", call["headers"]["webhook-id"]) for call in single]
    check("webhooks have each entry once under an id of its own", all(ids) and in_order([int(one[1]) for one in ids], log))
    for name, found in (("structured", single), ("binary", binary)):
        events = [from_http_event(HTTPMessage(headers=call["headers"], body=call["body"]), JSONFormat()) for call in found]
        sequences = [int(event.get_extension("sequence")) for event in events]
        check(f"the Python SDK of CloudEvents reads each event of the {name} mode", in_order(sequences, log))
    batches = [event for call in calls("batch") for event in json.loads(call["body"])]
    check("batches have each event", in_order([int(event["sequence"]) for event in batches], log))
    if not NPM:
        return
    with open(f"{NPM}/events.json", "w", encoding="utf-8") as file:
        json.dump(batches + [json.loads(call["body"]) for call in single], file)
    script = """
        const {default: validate} = require('cloudevents/dist/schema/v1.js');
        const {CloudEvent} = require('cloudevents');
        const events = JSON.parse(require('fs').readFileSync('events.json', 'utf8'));
        for (const event of events) {
          if (!validate(event)) { console.log(JSON.stringify(validate.errors), JSON.stringify(event)); process.exit(1); }
          new CloudEvent(event, true);
        }
        if (validate({...events[0], source: ''})) { console.log('a wrong one is valid'); process.exit(1); }
        console.log(events.length);
    """
    told = node(script)
    check("events are valid by the JSON schema of CloudEvents", told == str(len(batches) + len(single)), told[:600])


def syslog(log):
    if not os.environ["EXPORT_RSYSLOG"]:
        return
    with open(f"{WORK}/syslog.jsonl", encoding="utf-8") as file:
        found = [json.loads("{" + line.strip().rstrip(",").strip("{}") + "}") for line in file if line.strip()]
    sequences = [int(re.search(r'latchkey@32473 sequence="(\d+)"', one["sd"]).group(1)) for one in found]
    check("rsyslog took each entry over TLS and parsed its structured data", in_order(sequences, log))
    check("it read version, name and message id", all(
        one["version"] == "1" and one["app"] == "latchkey" and one["msgid"] == one["msg"].strip().lstrip("\ufeff").split(" ")[0]
        for one in found), found[0])
    reasons = [one["sd"] for one in found if one["msgid"] == "key.revoked"]
    check("and what was escaped", any(r'found in a log: \"a\\b\]\" é' in sd for sd in reasons), reasons)


def otlp(log):
    if not os.environ["EXPORT_COLLECTOR"]:
        return
    records = []
    with open(f"{WORK}/otlp.jsonl", encoding="utf-8") as file:
        for line in file:
            for resource in json.loads(line).get("resourceLogs", []):
                records += [record for scope in resource["scopeLogs"] for record in scope["logRecords"]]
    sequences = []
    for record in records:
        attributes = {one["key"]: one["value"] for one in record["attributes"]}
        sequences.append(int(attributes["latchkey.sequence"]["intValue"]))
    check("the receiver of the OpenTelemetry Collector took each entry", in_order(sequences, log))


def warehouse(log):
    rows = [json.loads(line) for call in calls("clickhouse") for line in call["body"].splitlines()]
    check("rows for ClickHouse have each entry", in_order([int(row["sequence"]) for row in rows], log))


def once(rows):
    """Rows by their ids: what came twice counts once."""
    return list({row["id"]: row for row in rows}.values())


def moment(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))


def usage_rows():
    sent = [json.loads(line) for call in calls("clickhouse-usage") for line in call["body"].splitlines()]
    return {"usage as files": once(lines_of("usage", "usage")), "usage as rows for ClickHouse": once(sent)}


def minutes(rows):
    """Requests and denials of the keyspace by minute, from rows."""
    sums = collections.Counter()
    for row in rows:
        if row["keyspace"] == "tenants/acme/keyspaces/orders":
            minute = moment(row["minute"])
            sums[minute, "requests"] += row["requests"]
            sums[minute, "denials"] += row["denials"]
    return +sums


def asked_minutes():
    """The same, as QueryUsage tells it."""
    answer = json.loads(latchkey("latchkey usage acme/orders --step minute --since 1h --output json"))
    sums = collections.Counter()
    for point in (point for series in answer.get("series", []) for point in series["points"]):
        minute = moment(point["startTime"])
        sums[minute, "requests"] += int(point.get("requests", 0))
        sums[minute, "denials"] += int(point.get("denials", 0))
    return +sums


def usage(outcomes):
    """Until what was used is counted and sent: the sums of each minute are those of QueryUsage."""
    ends = time.monotonic() + 20
    while True:
        asked, sent = asked_minutes(), usage_rows()
        whole = sum(count for (_, what), count in asked.items() if what == "requests") >= sum(outcomes.values())
        if (whole and all(minutes(rows) == asked for rows in sent.values())) or time.monotonic() > ends:
            break
        time.sleep(0.3)
    check("QueryUsage tells each validation", whole, asked)
    for name, rows in sent.items():
        check(f"{name} has the sums of each minute that QueryUsage tells", minutes(rows) == asked, f"{minutes(rows)} {asked}")
        counted = collections.Counter()
        for row in rows:
            if row["keyspace"] == "tenants/acme/keyspaces/orders":
                counted.update(row["outcomes"])
        check(f"{name} has each outcome as often as it was", counted == outcomes, counted)
    tokens = [re.search("insert_deduplication_token=([^& ]+)", call["path"]) for call in calls("clickhouse-usage")]
    check("and each insert for ClickHouse has a token", tokens and all(tokens), tokens)


def access():
    """The lines that ListAccess shows, as Elasticsearch, files and a webhook have them."""
    def told(line):
        return line["kind"], line.get("outcome", ""), line.get("key", ""), int(line.get("count", 1)), moment(line["time"])

    def of_ecs(one):
        labels = one.get("labels", {})
        return (one["event"]["action"].upper(), one["event"].get("reason", ""), one.get("user", {}).get("id", ""),
                int(labels.get("count", 1)), moment(one["@timestamp"]))

    def of_ocsf(one):
        return (one["metadata"]["event_code"], one.get("status_code", ""), one.get("user", {}).get("uid", ""), one.get("count", 1),
                moment(one["metadata"]["original_time"]))

    ends = time.monotonic() + 15
    while True:
        lines = json.loads(latchkey("latchkey audit access acme/orders --output json --limit 0")).get("lines", [])
        expected = collections.Counter(told(line) for line in lines)
        documents = dict(documents_of("es-access"))
        events = {event["metadata"]["uid"]: event for event in lines_of("access", "access")}
        rows = once(json.loads(line) for call in calls("access-events") for line in call["body"].splitlines())
        ours = "tenants/acme/keyspaces/orders"
        sent = {
            "Elasticsearch": collections.Counter(of_ecs(one) for one in documents.values() if one["labels"].get("keyspace") == ours),
            "OCSF in files": collections.Counter(of_ocsf(one) for one in events.values() if one["unmapped"].get("keyspace") == ours),
            "lines to a webhook": collections.Counter(told(row) for row in rows if row.get("keyspace") == ours),
        }
        if (expected and all(found == expected for found in sent.values())) or time.monotonic() > ends:
            break
        time.sleep(0.3)
    denied = [line for line in expected.elements() if line[:2] == ("DENIED", "REVOKED")]
    check("ListAccess shows each denial", len(denied) == 3, expected)
    for name, found in sent.items():
        check(f"the access log is the same by {name}", found == expected, f"{found} {expected}")


def mails_to(address):
    path = f"{WORK}/received/mail.jsonl"
    if not os.path.exists(path):
        return []
    with open(path, encoding="utf-8") as file:
        return [mail for mail in map(json.loads, file) if mail["to"] == [address]]


def notices():
    ends = time.monotonic() + 30
    while not (mails_to("keys@example.com") and mails_to("ops@example.com")) and time.monotonic() < ends:
        time.sleep(0.2)
    told = [email.message_from_string(mail["text"]) for mail in mails_to("ops@example.com")]
    check("operators are told once that a sink is dead", len(told) == 1 and told[0]["subject"].startswith("the sink dead ")
          and "refused" in told[0].get_payload() and "token=hidden" not in told[0].as_string(), told)
    mails = mails_to("keys@example.com")
    check("aiosmtpd took one notice for the contact of the owner, by STARTTLS", len(mails) == 1 and mails[0]["tls"], mails)
    message = email.message_from_string(mails[0]["text"])
    check("and it reads as a message", "has a rotation that waits" in message["subject"] and not message.defects
          and "looked at" in message.get_payload(), mails[0]["text"])


def main():
    make_entries()
    outcomes = use_keys()
    exports = wait_for_sinks()
    last = max(int(export.get("nextSequence", 0)) for export in exports)
    log = list(range(last))
    dead = next(export for export in exports if export["name"] == "dead")
    check("a dead sink is told with its error, and stops nothing else", "refused" in dead.get("error", "") and int(dead["lagEntries"]) > 0,
          json.dumps(dead))
    with open(f"{CLUSTER}/audit.log", encoding="utf-8") as file:
        logged = file.read()
    hidden = "token=hidden" not in json.dumps(exports) + logged and dead["place"] == "https://127.0.0.1:1/path?***"
    check("and what its URL may hold as a secret is neither told nor logged", hidden and "dead" in logged, dead["place"])
    streams = {export["name"]: export["stream"] for export in exports}
    check("each sink tells what it is sent", streams["dead"] == "entries" and streams["usage-files"] == "usage"
          and streams["access-elk"] == "access", streams)
    # What replicas observed comes within seconds: it is waited for first, and judged with the rest.
    for part in (lambda _: usage(outcomes), lambda _: access(), ecs, ocsf, cloud_events, syslog, otlp, warehouse, lambda _: notices()):
        try:
            part(log)
        except Exception as error:  # what one part does not survive is its failure, not that of the others
            check(part.__name__, False, repr(error))
    sys.exit(1 if FAILED else 0)


main()
