"""The dashboards of deploy/observability, as a program reads them, and what a Prometheus answers."""

import json
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

DASHBOARDS = Path(__file__).resolve().parents[3] / "deploy/observability/dashboards"


def dashboards():
    """Each dashboard, as Grafana would load it."""
    order = ["validation", "writes", "keys", "processes"]
    found = sorted(DASHBOARDS.glob("*.json"), key=lambda path: order.index(path.stem))
    return [json.loads(path.read_text()) for path in found]


def panels(dashboard):
    """The panels that ask something; rows only stand between them."""
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


def may_be_empty(panel):
    """A panel that says what to show instead of data need not have any."""
    return "noValue" in panel["fieldConfig"]["defaults"]


def query(target, rate_interval):
    """What Grafana would send, with all clusters chosen."""
    return target["expr"].replace("$__rate_interval", rate_interval).replace("$cluster", ".*")


class Prometheus:
    """One that runs."""

    def __init__(self, address):
        self.address = address.rstrip("/")

    def get(self, path, **parameters):
        """The `data` of an answer; its own words where it refuses."""
        url = f"{self.address}/api/v1/{path}?{urllib.parse.urlencode(parameters, doseq=True)}"
        try:
            with urllib.request.urlopen(url, timeout=20) as response:
                return json.load(response)["data"]
        except urllib.error.HTTPError as error:
            body = error.read().decode()
            raise RuntimeError(json.loads(body).get("error", body) if body.startswith("{") else body) from None
