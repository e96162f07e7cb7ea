"""A small terminology server that can go wrong in many ways: a process of its own, real HTTP on loopback.

It knows a hierarchy of SNOMED CT and relations of RxNorm that the test gives it, and answers `ValueSet/$expand`: POST
with a ValueSet that lists codes or filters by `is-a` and by relations, GET with the URL of a value set. The base URL
says what is wrong: `/<fault>/fhir`. Codes that are not in the data are made up.
"""

import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

import httpx

from fhir_profiles import codes as c
from tests.patience import PATIENCE

ROOT = Path(__file__).parent.parent
TOKEN = "let-me-in"
LARGEST_PAGE = 3
"""Codes that the fault `small-pages` sends at most, whatever was asked for."""


class Asked(NamedTuple):
    """A request that the server got."""

    method: str
    target: str
    authorization: str
    body: str


class Rig:
    """The running server."""

    def __init__(self, port: int) -> None:
        self.origin = f"http://127.0.0.1:{port}"

    def base(self, fault: str = "good") -> str:
        return f"{self.origin}/{fault}/fhir"

    def requests(self) -> list[Asked]:
        return [Asked(*each) for each in httpx.get(f"{self.origin}/_log", trust_env=False, timeout=PATIENCE).json()]


@contextmanager
def tx_server(folder: Path, **data: Any) -> Iterator[Rig]:
    """children: SNOMED CT code -> its children; relations: name -> code -> codes that have it; displays; unknown:
    codes that it does not have; value_sets: URL -> [system, code] pairs."""
    file = folder / "tx-data.json"
    file.write_text(json.dumps(data), "utf-8")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.set_inheritable(True)
        port, handle = listener.getsockname()[1], listener.fileno()
        arguments = [sys.executable, "-m", "tests.tx_rig", str(handle), str(file)]
        process = subprocess.Popen(arguments, pass_fds=[handle], cwd=ROOT)
    try:
        yield Rig(port)
    finally:
        process.terminate()
        process.wait(timeout=PATIENCE)


class _Terms:
    """What the server knows."""

    def __init__(self, data: dict[str, Any]) -> None:
        self.children: dict[str, list[str]] = data.get("children", {})
        self.relations: dict[str, dict[str, list[str]]] = data.get("relations", {})
        self.displays: dict[str, str] = data.get("displays", {})
        self.unknown = set(data.get("unknown", ()))
        self.value_sets: dict[str, list[list[str]]] = data.get("value_sets", {})

    def of(self, value_set: dict[str, Any]) -> list[tuple[str, str]]:
        compose = value_set["compose"]
        out = {pair for group in compose.get("exclude", ()) for pair in self._group(group)}
        return sorted({pair for group in compose["include"] for pair in self._group(group)} - out)

    def at(self, url: str) -> list[tuple[str, str]] | None:
        _, found, root = url.partition("?fhir_vs=isa/")
        if found:
            return sorted((c.SNOMED, code) for code in self._below(root))
        return [tuple(pair) for pair in self.value_sets[url]] if url in self.value_sets else None

    def _group(self, group: dict[str, Any]) -> set[tuple[str, str]]:
        codes = {each["code"] for each in group.get("concept", ())}
        for each in group.get("filter", ()):
            if each["op"] == "is-a":
                codes |= self._below(each["value"])
            else:
                codes |= set(self.relations[each["property"]].get(each["value"].removeprefix("CUI:"), ()))
        return {(group["system"], code) for code in codes - self.unknown}

    def _below(self, root: str) -> set[str]:
        return {root}.union(*(self._below(child) for child in self.children.get(root, ())))


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    terms: _Terms
    log: list[Asked]

    def do_GET(self) -> None:
        if self.path == "/_log":
            self._send(self.log)
        elif self._is_let_in(b""):
            what = urlsplit(self.path)
            arguments = {name: values[0] for name, values in parse_qs(what.query).items()}
            if what.path.endswith("/metadata"):
                self._send({"resourceType": "CapabilityStatement", "software": {"name": "Terms", "version": "4.2"}})
            else:
                found = self.terms.at(arguments["url"])
                self._expansion(found, int(arguments["count"]), int(arguments["offset"]))

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self._is_let_in(body):
            parts = {part["name"]: part for part in json.loads(body)["parameter"]}
            found = self.terms.of(parts["valueSet"]["resource"])
            self._expansion(found, parts["count"]["valueInteger"], parts["offset"]["valueInteger"])

    @property
    def fault(self) -> str:
        return self.path.split("/")[1]

    def _is_let_in(self, body: bytes) -> bool:
        self.log.append(Asked(self.command, self.path, self.headers.get("Authorization", ""), body.decode()))
        if self.fault == "auth" and self.headers.get("Authorization") != f"Bearer {TOKEN}":
            self._outcome(401, "login", "who are you?")
            return False
        return True

    def _expansion(self, found: list[tuple[str, str]] | None, count: int, offset: int) -> None:
        if found is None:
            self._outcome(404, "not-found", "no such value set")
            return
        if self.fault in FAULTS:
            FAULTS[self.fault](self)
            return
        count = min(count, LARGEST_PAGE) if self.fault == "small-pages" else count
        page = found if self.fault == "all-at-once" else found[offset : offset + count]
        page = found[:count] if self.fault == "repeats" else page
        page = page[:-1] if self.fault == "sends-less" else page
        total = {} if self.fault in ("no-total", "all-at-once") else {"total": len(found)}
        contains = [self._entry(system, code) for system, code in page]
        version = {"name": "used-codesystem", "valueUri": f"{c.SNOMED}|http://snomed.info/sct/731000124108"}
        self._send({"resourceType": "ValueSet", "expansion": total | {"parameter": [version], "contains": contains}})

    def _entry(self, system: str, code: str) -> dict[str, str]:
        return {"system": system, "code": code, "display": self.terms.displays.get(code, f"display of {code}")}

    def _outcome(self, status: int, code: str, text: str) -> None:
        issue = {"severity": "error", "code": code, "diagnostics": text}
        self._send({"resourceType": "OperationOutcome", "issue": [issue]}, status)

    def _send(self, content: Any, status: int = 200, kind: str = "application/fhir+json", **headers: str) -> None:
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def _value_set(**expansion: Any) -> dict[str, Any]:
    return {"resourceType": "ValueSet", "expansion": expansion}


def _one(system: str = c.SNOMED, code: str = "900000000", **more: Any) -> dict[str, Any]:
    return _value_set(contains=[{"system": system, "code": code, **more}])


def _endless(at_once: int, pause: float) -> Callable[[_Handler], None]:
    """An answer that goes on as long as somebody reads it."""

    def send(handler: _Handler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", "application/fhir+json")
        handler.send_header("Content-Length", str(2**40))
        handler.end_headers()
        try:
            while True:
                handler.wfile.write(b" " * at_once)
                time.sleep(pause)
        except ConnectionError:
            handler.close_connection = True

    return send


def _cut_off(handler: _Handler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Type", "application/fhir+json")
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b"{")
    handler.close_connection = True


_TOO_COSTLY = {"url": "http://hl7.org/fhir/StructureDefinition/valueset-toocostly", "valueBoolean": True}

FAULTS: dict[str, Callable[[_Handler], None]] = {
    "too-costly": lambda it: it._outcome(422, "too-costly", "more than 1000 codes"),
    "500": lambda it: it._send(b"sorry", 500, "text/plain"),
    "html": lambda it: it._send(b"<html>Sign in</html>", kind="text/html"),
    "redirect": lambda it: it._send(b"", 307, Location=f"{it.path}/elsewhere"),
    "bundle": lambda it: it._send({"resourceType": "Bundle", "type": "searchset"}),
    "no-expansion": lambda it: it._send({"resourceType": "ValueSet"}),
    "null": lambda it: it._send(b"null"),
    "incomplete": lambda it: it._send(_value_set(contains=[], extension=[_TOO_COSTLY])),
    "limited": lambda it: it._send(_value_set(parameter=[{"name": "limitedExpansion", "valueBoolean": True}])),
    "bad-code": lambda it: it._send(_one(code="12 OR 1=1")),
    "long-display": lambda it: it._send(_one(display="x" * 1001)),
    "compressed": lambda it: it._send(b"\x1f\x8b", Content_Encoding="gzip"),
    "empty": lambda it: it._send(_value_set(total=0)),
    "huge": _endless(2**16, 0),
    "drip": _endless(1, 0.05),
    "cut-off": _cut_off,
}


def main(handle: str, data: str) -> None:
    _Handler.terms = _Terms(json.loads(Path(data).read_text("utf-8")))
    _Handler.log = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler, bind_and_activate=False)
    server.socket.close()
    server.socket = socket.socket(fileno=int(handle))
    server.serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
