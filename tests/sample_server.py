"""A FHIR server with the sample patients, for a client that brings none: `python -m tests.sample_server`.

The CDS Hooks Sandbox is such a client: pages of any origin may ask. It reads and searches, in memory, on loopback;
the dates are moved to the day it starts. A patient's id is the name of the chart, `01-cauda-equina`.
"""

import argparse
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl

from fhir_profiles import samples
from hooks.cli.ehr import Chart

BASE = "/fhir"
_CAPABILITIES = {
    "resourceType": "CapabilityStatement",
    "status": "active",
    "kind": "instance",
    "fhirVersion": "4.0.1",
    "format": ["json"],
    "rest": [{"mode": "server"}],
}
_NOT_FOUND = {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "not-found"}]}
_HEADERS = {
    "Content-Type": "application/fhir+json",
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Headers": "authorization, content-type",
    "Access-Control-Allow-Methods": "GET, POST, OPTIONS",
}
Charts = dict[str, Chart]


def charts(today: datetime) -> Charts:
    """The sample charts by the ids of their patients. today: aware."""
    return {name: _chart(name, today) for name in samples.names()}


def answer(of: Charts, query: str) -> dict[str, Any] | None:
    """What FHIR says to `metadata`, `Patient`, a read, a search by `_id` or for one patient's; None: not there."""
    if query == "metadata":
        return _CAPABILITIES
    if query == "Patient":
        return _searchset([chart.patient for chart in of.values()])
    kind, is_search, parameters = query.partition("?")
    if not is_search:
        return _read(of, query)
    asked = dict(parse_qsl(parameters))
    if "_id" in asked:
        return _searchset([found for each in asked["_id"].split(",") if (found := _read(of, f"{kind}/{each}"))])
    chart = of.get(asked.get("patient", asked.get("subject", "")).removeprefix("Patient/"))
    return chart and chart.query(query)


def _read(of: Charts, query: str) -> dict[str, Any] | None:
    return next((found for chart in of.values() if (found := chart.query(query))), None)


def _searchset(found: list[dict[str, Any]]) -> dict[str, Any]:
    entries = [{"resource": each} for each in found]
    return {"resourceType": "Bundle", "type": "searchset", "total": len(entries), "entry": entries}


def _chart(name: str, today: datetime) -> Chart:
    """The ids of the charts overlap, those of a server may not: each begins with the number of its chart."""
    chart = Chart(samples.shifted(samples.load(name), today))
    moved = {}
    for resource in chart.resources:
        own = name if resource is chart.patient else f"{name[:2]}.{resource['id']}"
        moved[f"{resource['resourceType']}/{resource['id']}"] = f"{resource['resourceType']}/{own}"
        resource["id"] = own
    _point(chart.resources, moved)
    return chart


def _point(node: Any, moved: Mapping[str, str]) -> None:
    """References within node to where the resources are now."""
    if isinstance(node, dict):
        if node.get("reference") in moved:
            node["reference"] = moved[node["reference"]]
        node = node.values()
    elif not isinstance(node, list):
        return
    for child in node:
        _point(child, moved)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __init__(self, of: Charts, *connection: Any) -> None:
        self._charts = of
        super().__init__(*connection)

    def do_OPTIONS(self) -> None:
        self._send(200, b"")

    def do_GET(self) -> None:
        self._answer(self.path)

    def do_POST(self) -> None:
        form = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        self._answer(f"{self.path.removesuffix('/_search')}?{form}")

    def _answer(self, target: str) -> None:
        base, _, query = target.partition(f"{BASE}/")
        found = None if base else answer(self._charts, query)
        self._send(200 if found else 404, json.dumps(found or _NOT_FOUND).encode())

    def _send(self, status: int, body: bytes) -> None:
        self.send_response(status)
        for name, value in _HEADERS.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Nothing: a line for each search would only hide the lines that say where it listens."""


def server(port: int, today: datetime) -> ThreadingHTTPServer:
    """Bound to loopback, not yet serving. port: 0 for any that is free."""
    return ThreadingHTTPServer(("127.0.0.1", port), partial(_Handler, charts(today)))


def main() -> None:
    parser = argparse.ArgumentParser(description="A FHIR server with the sample patients.")
    parser.add_argument("--port", type=int, default=8090)
    with server(parser.parse_args().port, datetime.now(UTC)) as listening:
        print(f"http://127.0.0.1:{listening.server_port}{BASE}", flush=True)
        listening.serve_forever()


if __name__ == "__main__":
    main()
