#!/usr/bin/env python3
"""Writes the dashboards beside this file; with --check, tells instead whether they are as this would write them.

A panel is a line here and sixty in Grafana's JSON. Whatever is the same for all stands below the tables, once. A panel that
may be empty, since what it shows need never happen, says so with `rare`: Grafana then shows that text instead of "No data",
and `make peers` demands data of all others.
"""

import json
import sys
from pathlib import Path

HERE = Path(__file__).parent
C = 'cluster=~"$cluster"'
RPC = "rpc_server_call_duration_seconds"
VALIDATE = 'rpc_method=~"latchkey.v1.ValidationService/(Batch)?ValidateKeys?"'
ONE = 'rpc_method="latchkey.v1.ValidationService/ValidateKey"'
WRITES = 'rpc_method=~"latchkey.v1.(Issuance|Rotation|Directory)Service/.*",rpc_method!~".*/(Get|List).*"'
FAILED = 'rpc_response_status_code=~"UNAVAILABLE|DEADLINE_EXCEEDED|INTERNAL|UNKNOWN|DATA_LOSS"'
MISSED = "cluster_slo:latchkey_missed"
BUDGET = "slo:latchkey_budget:ratio"


def rate(metric, by, more=""):
    """Per second, summed by some labels."""
    selector = ",".join(part for part in (C, more) if part)
    return f"sum by ({by}) (rate({metric}{{{selector}}}[$__rate_interval]))"


def quantiles(metric, more="", by=""):
    """The 50th and 99th percentile: a pair of queries."""
    grouped = f"{by}, le" if by else "le"
    legend = f" {{{{{by}}}}}" if by else ""
    return [
        (f"histogram_quantile({share}, {rate(metric + '_bucket', grouped, more)})", f"{name}{legend}")
        for share, name in ((0.5, "p50"), (0.99, "p99"))
    ]


def each(metric, legend="{{instance}}"):
    """As it is, a line for each process."""
    return [(f"{metric}{{{C}}}", legend)]


def panel(title, description, unit, queries, kind="timeseries", rare=None, width=None, **options):
    return {"title": title, "description": description, "unit": unit, "queries": queries, "kind": kind, "rare": rare,
            "width": width, "options": options}


def stat(title, description, unit, query, **options):
    return panel(title, description, unit, [(query, "{{cluster}}")], kind="stat", width=4, **options)


NONE_YET = "none in this time"

VALIDATION = [
    ("Objectives", [
        stat("Answered, 30 days", "Share of validations that were answered. The objective is 99.99 %.", "percentunit",
             f'1 - {MISSED}:ratio_rate30d{{{C},slo="validation-availability"}}', red_below=0.9999, decimals=4),
        stat("In time, 30 days", "Share of ValidateKey calls within 10 ms. The objective is 99.9 %.", "percentunit",
             f'1 - {MISSED}:ratio_rate30d{{{C},slo="validation-latency"}}', red_below=0.999, decimals=3),
        stat("Budget left", "What the worst objective has left of its 30 days. At 0 nothing may be missed any more.",
             "percentunit", f"min by (cluster) (1 - {MISSED}:ratio_rate30d{{{C}}} / on (slo) group_left {BUDGET})",
             red_below=0.1, decimals=1),
        stat("Replicas that answer", "Replicas that would answer a validation now.", "none",
             f"sum by (cluster) (latchkey_ready{{{C}}})", red_below=1),
        stat("Keys a second", "Keys validated, items of batches and streams included.", "ops",
             f"sum by (cluster) (rate(latchkey_validations_total{{{C}}}[$__rate_interval]))"),
        stat("Oldest freshness", "How long ago the replica that is worst off heard of a leader.", "s",
             f"max by (cluster) (latchkey_freshness_age_seconds{{{C}}})", red_above=2.5),
        panel("How fast the budgets burn", "Missed in the last hour, in multiples of what may be missed. 1 uses up the "
              "month's budget in a month; 14.4 pages.", "none",
              [(f"{MISSED}:ratio_rate1h{{{C}}} / on (slo) group_left {BUDGET}", "{{slo}}")], width=12, lines=(1, 6, 14.4)),
        panel("Budget left of 30 days", "Of each objective. Below 0 more was missed than may be.", "percentunit",
              [(f"1 - {MISSED}:ratio_rate30d{{{C}}} / on (slo) group_left {BUDGET}", "{{slo}}")], width=12),
    ]),
    ("Traffic", [
        panel("Keys validated, by outcome", "Each key counts, also in batches and streams. Every outcome is an answer.",
              "ops", [(rate("latchkey_validations_total", "outcome"), "{{outcome}}")], stacked=True),
        panel("Calls, by method", "Calls of ValidationService.", "reqps",
              [(rate(f"{RPC}_count", "rpc_method", 'rpc_method=~"latchkey.v1.ValidationService/.*"'), "{{rpc_method}}")]),
        panel("Calls that were not answered, by code", "What the objective of availability counts as missed.", "reqps",
              [(rate(f"{RPC}_count", "rpc_response_status_code", f"{VALIDATE},{FAILED}"), "{{rpc_response_status_code}}")],
              rare=NONE_YET),
    ]),
    ("Time", [
        panel("ValidateKey: time to answer", "From the head of the request to the answer, in the server. The objective's "
              "10 ms is the line.", "s",
              quantiles(RPC, ONE) + [(f"histogram_quantile(0.999, {rate(RPC + '_bucket', 'le', ONE)})", "p99.9")],
              lines=(0.01,)),
        panel("ValidateKey: where the calls lie", "Calls a second in each range of time.", "s",
              [(rate(RPC + "_bucket", "le", ONE), "{{le}}")], kind="heatmap"),
        panel("Batches: time to answer", "A batch takes as long as it is.", "s",
              quantiles(RPC, 'rpc_method="latchkey.v1.ValidationService/BatchValidateKeys"'), rare="no batches in this time"),
    ]),
    ("Freshness and what stands in the way", [
        panel("Age of the freshness lease", "Since when each replica has not heard of a leader. At a keyspace's "
              "staleness_max (5 s at least) it answers UNAVAILABLE.", "s", each("latchkey_freshness_age_seconds"), lines=(2.5, 5)),
        panel("Keys that could not be judged, by reason", "Neither valid nor invalid: the caller got UNAVAILABLE.", "ops",
              [(rate("latchkey_validations_undecided_total", "reason"), "{{reason}}")], rare=NONE_YET),
        panel("Calls refused since a process was full, by class", "Listings are refused first, revocations last.", "reqps",
              [(rate("latchkey_rpcs_shed_total", "class"), "{{class}}")], rare=NONE_YET),
    ]),
]

WRITING = [
    ("Now", [
        panel("Leader", "The replica that leads.", "none", [(f"latchkey_leader{{{C}}} == 1", "{{instance}}")], kind="stat",
              width=4, show="name"),
        stat("Term", "Rises by each election that somebody stands for.", "none", f"max by (cluster) (latchkey_term{{{C}}})"),
        stat("Voters", "Replicas that vote. A majority of them has to be up.", "none",
             f"max by (cluster) (latchkey_voters{{{C}}})"),
        stat("Writes answered, 30 days", "Share of changing calls that were answered. The objective is 99.9 %.", "percentunit",
             f'1 - {MISSED}:ratio_rate30d{{{C},slo="write-availability"}}', red_below=0.999, decimals=3),
        stat("Age of the quorum", "Since when no majority has answered the leader.", "s",
             f"max by (cluster) (latchkey_quorum_age_seconds{{{C}}})", red_above=1),
        stat("Slowest replica, behind by", "Records that the slowest replica has not confirmed.", "none",
             f"max by (cluster) (latchkey_replication_lag_records{{{C}}})", red_above=10000),
    ]),
    ("Writes", [
        panel("Proposals, by result", "Commands that the leader was asked to carry out. Refused is an answer of the state; "
              "unavailable is none.", "ops", [(rate("latchkey_proposals_total", "result"), "{{result}}")]),
        panel("Time of a proposal", "From the proposal to its answer: seal, sync of a majority, apply.", "s",
              quantiles("latchkey_propose_seconds")),
        panel("Proposals that wait", "For their answer, on the leader.", "none", each("latchkey_proposals_in_progress")),
        panel("Changing calls, by method", "Of issuance, rotation and directory.", "reqps",
              [(rate(f"{RPC}_count", "rpc_method", WRITES), "{{rpc_method}}")]),
        panel("Changing calls that were not answered, by code", "What the objective of writes counts as missed.", "reqps",
              [(rate(f"{RPC}_count", "rpc_response_status_code", f"{WRITES},{FAILED}"), "{{rpc_response_status_code}}")],
              rare=NONE_YET),
        panel("Time of changing calls", "As their callers see it, waiting for regions included.", "s", quantiles(RPC, WRITES)),
    ]),
    ("Raft", [
        panel("Who leads", "One line at 1; another one after an election.", "none", each("latchkey_leader"),
              kind="state-timeline"),
        panel("Leader changes in 15 minutes", "As each replica saw them. An election makes two: nobody, then somebody.", "none",
              [(f"increase(latchkey_leader_changes_total{{{C}}}[15m])", "{{instance}}")]),
        panel("Records applied", "A second, by each replica.", "ops",
              [(f"rate(latchkey_applied_index{{{C}}}[$__rate_interval])", "{{instance}}")]),
        panel("Behind the others", "Records that each replica has to apply until it is where the first one is.", "none",
              [(f"max by (cluster) (latchkey_applied_index{{{C}}}) - on (cluster) group_right latchkey_applied_index{{{C}}}",
                "{{instance}}")]),
        panel("Time of a sync", "One append to the log until it is durable. Each write waits for a majority of these.", "s",
              quantiles("latchkey_log_sync_seconds", by="instance")),
        panel("Time of an apply", "One batch applied and published to readers.", "s",
              quantiles("latchkey_apply_seconds", by="instance")),
    ]),
    ("Clocks and disks", [
        panel("Clocks", "Each wall clock against the median of the voters'. From 500 ms on a leader stands down.", "s",
              each("latchkey_clock_skew_seconds"), lines=(-0.5, 0.5)),
        panel("Log since the last snapshot", "Records that no snapshot has made superfluous.", "none",
              each("latchkey_log_records")),
        panel("Files", "Bytes of logs, rows, snapshots and segments.", "bytes",
              each("latchkey_data_bytes", "{{service}} {{instance}}")),
        panel("Disk left", "Under 256 MiB a leader refuses writes.", "bytes",
              each("latchkey_disk_free_bytes", "{{service}} {{instance}}")),
    ]),
]

KEYS = [
    ("Now", [
        stat("Keys", "In the state, revoked and expired ones included.", "none",
             f"max by (cluster) (latchkey_state_keys{{{C}}})"),
        stat("Confirmed in time, 30 days", "Share of revocations confirmed within 2.5 s. The objective is 99.9 %.",
             "percentunit", f'1 - {MISSED}:ratio_rate30d{{{C},slo="revocation-latency"}}', red_below=0.999, decimals=3),
        stat("Entries stored", "Entries that audit has made durable.", "none",
             f"max by (cluster) (latchkey_audit_entries{{{C}}})"),
        stat("Entries that wait", "For audit, in the replicas. At 900,000 management writes are refused.", "none",
             f"max by (cluster) (latchkey_outbox_entries{{{C}}})", red_above=500000),
        stat("Oldest that waits", "At 54 minutes management writes are refused.", "s",
             f"max by (cluster) (latchkey_outbox_oldest_seconds{{{C}}})", red_above=300),
        stat("Audit follows", "1 while entries come and are stored.", "none",
             f"min by (cluster) (latchkey_audit_follows{{{C}}})", red_below=1),
    ]),
    ("Keys", [
        panel("Calls of issuance", "By method.", "reqps",
              [(rate(f"{RPC}_count", "rpc_method", 'rpc_method=~"latchkey.v1.IssuanceService/.*"'), "{{rpc_method}}")]),
        panel("Calls of rotation", "By method.", "reqps",
              [(rate(f"{RPC}_count", "rpc_method", 'rpc_method=~"latchkey.v1.RotationService/.*"'), "{{rpc_method}}")],
              rare="no calls of rotation in this time"),
        panel("Calls that were refused, by code", "Of all management: what the caller has to change.", "reqps",
              [(rate(f"{RPC}_count", "rpc_response_status_code", 'rpc_method=~"latchkey.v1.*",rpc_response_status_code=~'
                     '"INVALID_ARGUMENT|NOT_FOUND|ALREADY_EXISTS|PERMISSION_DENIED|UNAUTHENTICATED|FAILED_PRECONDITION|ABORTED|'
                     'RESOURCE_EXHAUSTED"'), "{{rpc_response_status_code}}")], rare=NONE_YET),
        panel("Keys in the state", "As each replica counts them.", "none", each("latchkey_state_keys")),
    ]),
    ("Rotations", [
        panel("Rotations in progress", "By state. Held ones wait for a person, or for the old version to fall silent.", "none",
              [(f"sum by (state) (latchkey_rotations{{{C}}})", "{{state}}")], rare="nobody drives rotations", stacked=True),
        panel("Steps of rotations", "A second, by step and by what came of it.", "ops",
              [(rate("latchkey_rotation_steps_total", "step, result"), "{{step}} {{result}}")], rare=NONE_YET),
        panel("Keys written by the driver", "A second, and how many it may.", "ops",
              [(rate("latchkey_rotation_writes_total", "cluster"), "written"),
               (f"max by (cluster) (latchkey_rotation_writes_max{{{C}}})", "may be written")], rare="nobody drives rotations"),
        panel("Keys that are due", "And not being rotated, whoever is to do it.", "none",
              [(f"sum by (cluster) (latchkey_rotation_due_keys{{{C}}})", "{{cluster}}")], rare="nobody drives rotations"),
        panel("Keys that expire", "Living ones, within 1, 7 and 30 days; and those of which somebody has yet to be told.", "none",
              [(f"sum by (within) (latchkey_expiring_keys{{{C}}})", "within {{within}}"),
               (f"sum by (cluster) (latchkey_expiry_notices_owed{{{C}}})", "to be told")], rare="nobody drives rotations"),
        panel("Active versions by age", "Each counts with the least age that it is younger than.", "none",
              [(f"sum by (younger_than) (latchkey_version_ages{{{C}}})", "{{younger_than}}")], rare="nobody drives rotations",
              stacked=True),
        panel("Versions by state", "As whoever drives rotations counts them.", "none",
              [(f"sum by (state) (latchkey_versions{{{C}}})", "{{state}}")], rare="nobody drives rotations", stacked=True),
        panel("Failed deliveries and checks", "A second. After five tries a rotation is held.", "ops",
              [(rate("latchkey_rotation_delivery_failures_total", "what"), "{{what}}")], rare=NONE_YET),
        panel("Who drives", "1 on the process that drives rotations.", "none", each("latchkey_rotation_claim_held"),
              rare="nobody may drive rotations"),
    ]),
    ("Revocations", [
        panel("Revocations: until no replica accepts the key", "From the commit until each replica has reported, or its lease "
              "has ended. The objective's 2.5 s is the line.", "s", quantiles("latchkey_revocation_confirm_seconds"), lines=(2.5,)),
        panel("Revocations: until a replica's readers see it", "From the leader's stamp, by both wall clocks.", "s",
              quantiles("latchkey_revocation_propagation_seconds", by="instance")),
    ]),
    ("Audit", [
        panel("Entries stored", "A second.", "ops",
              [(f"rate(latchkey_audit_entries{{{C}}}[$__rate_interval])", "{{instance}}")]),
        panel("Entries that wait in the replicas", "Until audit has made them durable.", "none", each("latchkey_outbox_entries")),
        panel("How long audit has taken nothing", "While entries wait.", "s", each("latchkey_outbox_oldest_seconds")),
        panel("How far audit is behind", "Age of the last entry when it was stored.", "s", each("latchkey_audit_lag_seconds")),
        panel("Segments", "Bytes of audit's files.", "bytes", each("latchkey_audit_bytes")),
        panel("Refusals that were not recorded", "Refusals are recorded up to a bound, so that a flood does not fill the log.",
              "ops", [(rate("latchkey_refusals_dropped_total", "instance"), "{{instance}}")]),
    ]),
]

PROCESSES = [
    ("Now", [
        panel("Up", "1 where the last scrape was answered.", "none", [(f'up{{{C},job=~"latchkey.*"}}', "{{job}} {{instance}}")],
              kind="state-timeline", width=8),
        panel("What each serves", "1 while its health service says SERVING: validations, or writes.", "none",
              each("latchkey_serves", "{{probe}} {{instance}}"), kind="state-timeline", width=8),
        panel("Versions", "Processes of each version.", "none",
              [(f"count by (service_version) (target_info{{{C}}})", "{{service_version}}")], kind="stat", width=8, show="both"),
    ]),
    ("What they use", [
        panel("Processors", "Processor seconds a second: 1 is one processor, all the time.", "none",
              [(rate("process_cpu_time_seconds_total", "job, instance"), "{{job}} {{instance}}")]),
        panel("Memory", "Resident. A replica holds its whole state in it.", "bytes",
              each("process_memory_usage_bytes", "{{job}} {{instance}}")),
        panel("File descriptors", "Share of what the process may open. Each connection is one.", "percentunit",
              [(f"process_unix_file_descriptor_count{{{C}}} / latchkey_file_descriptors_max{{{C}}}", "{{job}} {{instance}}")]),
        panel("Threads", "Of each process.", "none", each("process_thread_count", "{{job}} {{instance}}")),
        panel("Up for", "Since when each process runs. A fall to 0 is a restart.", "s",
              each("process_uptime_seconds", "{{job}} {{instance}}")),
        panel("Time of a scrape", "What being watched costs.", "s",
              [(f'scrape_duration_seconds{{{C},job=~"latchkey.*"}}', "{{job}} {{instance}}")]),
    ]),
    ("What they answer", [
        panel("All calls, by service", "Raft, leases and proposals between services included.", "reqps",
              [(f'sum by (service) (label_replace(rate({RPC}_count{{{C}}}[$__rate_interval]), "service", "$1", "rpc_method", '
                '"(.*)/.*"))', "{{service}}")]),
        panel("All calls, by code", "Everything but OK is somebody's trouble; which, the other dashboards tell.", "reqps",
              [(rate(f"{RPC}_count", "rpc_response_status_code"), "{{rpc_response_status_code}}")]),
        panel("Slowest methods", "99th percentile of the ten slowest. Streams count until they end.", "s",
              [(f"topk(10, histogram_quantile(0.99, {rate(RPC + '_bucket', 'rpc_method, le')}))", "{{rpc_method}}")]),
    ]),
    ("What must not be", [
        panel("Panics", "Each is a bug.", "none",
              [(f"increase(latchkey_rpc_panics_total{{{C}}}[$__rate_interval])", "{{job}} {{instance}}")]),
        panel("Connections closed at once", "The listener had its full number.", "ops",
              [(f"rate(latchkey_connections_refused_total{{{C}}}[$__rate_interval])", "{{job}} {{instance}}")]),
        panel("Telemetry that was dropped", "No collector will see it.", "ops",
              [(rate("latchkey_telemetry_dropped_total", "signal, reason"), "{{signal}}: {{reason}}")], rare=NONE_YET),
    ]),
]

DASHBOARDS = [
    ("validation", "Latchkey: validation", "Whether keys are validated, how fast, and by what knowledge.", VALIDATION),
    ("writes", "Latchkey: writes and raft", "Whether changes are carried out, how fast, and by whom.", WRITING),
    ("keys", "Latchkey: keys and audit", "What is done with keys, how fast revocations reach everybody, and its audit.", KEYS),
    ("processes", "Latchkey: processes", "What each process uses, answers and refuses.", PROCESSES),
]

DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
HEIGHT = {"stat": 4}


def targets(queries, kind):
    made = []
    for index, (expr, legend) in enumerate(queries):
        target = {"refId": chr(ord("A") + index), "datasource": DATASOURCE, "expr": expr, "legendFormat": legend}
        if kind == "heatmap":
            target["format"] = "heatmap"
        if kind == "stat":
            target["instant"] = True
        if kind == "timeseries" and f"{RPC}_bucket" in expr:
            # Dots that lead to a trace, where Prometheus keeps exemplars.
            target["exemplar"] = True
        made.append(target)
    return made


def thresholds(options):
    steps = [{"color": "green", "value": None}]
    if "red_below" in options:
        steps = [{"color": "red", "value": None}, {"color": "green", "value": options["red_below"]}]
    if "red_above" in options:
        steps.append({"color": "red", "value": options["red_above"]})
    steps += [{"color": "red", "value": value} for value in options.get("lines", ())]
    return {"mode": "absolute", "steps": steps}


def grafana(found, number, place):
    kind, options = found["kind"], found["options"]
    defaults = {"unit": found["unit"], "thresholds": thresholds(options)}
    if "decimals" in options:
        defaults["decimals"] = options["decimals"]
    if found["rare"]:
        defaults["noValue"] = found["rare"]
    shown = {}
    if kind == "timeseries":
        defaults["min"] = None if any(value < 0 for value in options.get("lines", ())) or "left of" in found["title"] else 0
        defaults["custom"] = {
            "fillOpacity": 25 if options.get("stacked") else 0,
            "stacking": {"mode": "normal" if options.get("stacked") else "none"},
            "thresholdsStyle": {"mode": "dashed" if "lines" in options else "off"},
            "showPoints": "never",
        }
        shown = {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi", "sort": "desc"}}
    elif kind == "stat":
        shown = {"reduceOptions": {"calcs": ["lastNotNull"]}, "colorMode": "value", "graphMode": "area",
                 "textMode": {"name": "name", "both": "value_and_name"}.get(options.get("show"), "value")}
    elif kind == "state-timeline":
        shown = {"mergeValues": True, "showValue": "auto", "rowHeight": 0.8}
    elif kind == "heatmap":
        shown = {"calculate": False, "yAxis": {"unit": "s"}, "color": {"scheme": "Oranges", "mode": "scheme"}}
    return {
        "id": number, "type": kind, "title": found["title"], "description": found["description"], "gridPos": place,
        "datasource": DATASOURCE, "targets": targets(found["queries"], kind),
        "fieldConfig": {"defaults": {name: value for name, value in defaults.items() if value is not None}, "overrides": []},
        "options": shown,
    }


def panels(rows):
    made, y = [], 0
    for title, row in rows:
        made.append({"id": len(made) + 1, "type": "row", "title": title, "collapsed": False, "panels": [],
                     "gridPos": {"x": 0, "y": y, "w": 24, "h": 1}})
        y, x, height = y + 1, 0, 0
        # Rows of two and of four fill their line, all others are by threes.
        rest = sum(1 for found in row if found["width"] is None)
        for found in row:
            width = found["width"] or {1: 8, 2: 12, 4: 6}.get(rest, 8)
            if x + width > 24:
                y, x, height = y + height, 0, 0
            tall = HEIGHT.get(found["kind"], 8)
            # A line of one height, else panels below it would leave holes.
            height = max(height, tall)
            made.append(grafana(found, len(made) + 1, {"x": x, "y": y, "w": width, "h": tall}))
            x += width
        y += height
    return made


def variables():
    return [
        {"name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus"},
        {"name": "cluster", "label": "Cluster", "type": "query", "datasource": DATASOURCE, "refresh": 2, "includeAll": True,
         "multi": True, "allValue": ".*", "current": {"text": "All", "value": "$__all"},
         "query": {"qryType": 1, "query": 'label_values(up{job=~"latchkey.*"}, cluster)', "refId": "clusters"}},
    ]


def dashboard(name, title, description, rows):
    return {
        "uid": f"latchkey-{name}", "title": title, "description": description, "tags": ["latchkey"], "schemaVersion": 39,
        "editable": True, "graphTooltip": 1, "refresh": "10s", "time": {"from": "now-1h", "to": "now"}, "timezone": "browser",
        "links": [{"type": "dashboards", "tags": ["latchkey"], "title": "Latchkey", "asDropdown": False, "keepTime": True,
                   "includeVars": True}],
        "annotations": {"list": [{
            "name": "Alerts", "enable": True, "iconColor": "red", "datasource": DATASOURCE,
            "expr": f'ALERTS{{{C},alertstate="firing",alertname=~"Latchkey.*"}}', "titleFormat": "{{alertname}}",
        }]},
        "templating": {"list": variables()}, "panels": panels(rows),
    }


def main():
    differ = []
    for name, *rest in DASHBOARDS:
        path = HERE / f"{name}.json"
        text = json.dumps(dashboard(name, *rest), indent=1, ensure_ascii=False) + "\n"
        if sys.argv[1:] != ["--check"]:
            path.write_text(text)
        elif not path.exists() or path.read_text() != text:
            differ.append(path.name)
    if differ:
        sys.exit(f"not as make.py writes them: {', '.join(differ)}")


main()
