"""Asks a Prometheus that scrapes Latchkey every query of every dashboard, and whether its rules are in order.

ask.py ADDRESS RATE_INTERVAL SECONDS: data may take so many seconds to come, since recorded series are of recorded series.
Prints `ok` and `FAIL` lines as the other clients do.
"""

import sys
import time

from grafana import Prometheus, dashboards, may_be_empty, panels, query

FAILED = []


def check(name, found):
    """A sentence, and what is wrong with it."""
    print(f"{'FAIL' if found else 'ok  '} observability: {name}")
    for line in found:
        print(f"     {line}")
    FAILED.extend(found)


def ask(prometheus, rate_interval):
    """Which queries are refused, which have no data, how many there are."""
    refused, empty, asked = [], [], 0
    for dashboard in dashboards():
        for panel in panels(dashboard):
            for target in panel["targets"]:
                asked += 1
                place = f"{dashboard['title']} / {panel['title']} {target['refId']}"
                try:
                    answer = prometheus.get("query", query=query(target, rate_interval))["result"]
                except RuntimeError as error:
                    refused.append(f"{place}: {error}")
                    continue
                if not answer and not may_be_empty(panel):
                    empty.append(f"{place}: {target['expr']}")
    return refused, empty, asked


def is_wrong(alert):
    """Whether it fires, and not for slowness: how fast a build machine is, is not ours to prove."""
    labels = alert["labels"]
    slow = labels.get("slo", "").endswith("-latency") or labels["alertname"] == "LatchkeyDiskSlow"
    return alert["state"] == "firing" and not slow


def rules(prometheus):
    """Which rules Prometheus could not evaluate, which it has not yet, which alerts fire, and how many rules there are."""
    all_rules = [rule for group in prometheus.get("rules")["groups"] for rule in group["rules"]]
    bad = [f"{rule['name']}: {rule.get('lastError', '')}" for rule in all_rules if rule["health"] == "err"]
    waiting = [rule["name"] for rule in all_rules if rule["health"] == "unknown"]
    firing = [rule["name"] for rule in all_rules for alert in rule.get("alerts", ()) if is_wrong(alert)]
    return bad, waiting, firing, len(all_rules)


def main():
    """All of it, until all have data or the time is over."""
    prometheus, rate_interval, ends = Prometheus(sys.argv[1]), sys.argv[2], time.monotonic() + float(sys.argv[3])
    while True:
        refused, empty, asked = ask(prometheus, rate_interval)
        bad, waiting, firing, number = rules(prometheus)
        if refused or bad or not (empty or waiting) or time.monotonic() > ends:
            break
        time.sleep(2)
    check(f"Prometheus understands all {asked} queries of the dashboards", refused)
    check("every panel has data, but for those that say why they may have none", empty)
    check(f"Prometheus evaluates all {number} rules", bad + [f"{name}: not yet" for name in waiting])
    check("no alert fires over a cluster that is well", firing)
    choices = prometheus.get("series", **{"match[]": 'up{job=~"latchkey.*"}'})
    check("the clusters to choose from", [] if any("cluster" in choice for choice in choices) else ["there is none"])
    sys.exit(bool(FAILED))


main()
