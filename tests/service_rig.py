"""A hook call as an EHR would send it, and the service that answers: in this process, or as a server of its own."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime
from functools import cache
from os import killpg
from pathlib import Path
from typing import Any

import httpx
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from hooks.app import App, create_app
from hooks.services import SEARCH_KEYS, SERVICES
from hooks.settings import Settings
from tests.patience import PATIENCE, until
from tests.records import AT, PATIENT_ID, back_pain, draft, encounter, knowledge

ROOT = Path(__file__).parent.parent
INSTANCE = "d1577c69-dfbe-44ad-ba6d-3e05e953b2ea"
INTAKE_URL = "https://intake.example.org/launch"
JSON = "application/json"
HOOKS = [service.hook for service in SERVICES.values()]
FILES = b"hooks.audit.process"
"""In the command line of the process that files the audit."""
EXTENSION = "org.example.backpain-cds.evaluation"


def path_of(hook: str) -> str:
    return f"/cds-services/back-pain-{hook}"


def searchset(*resources: Mapping[str, Any]) -> dict[str, Any]:
    return {"resourceType": "Bundle", "type": "searchset", "entry": [{"resource": each} for each in resources]}


def patient(**elements: Any) -> dict[str, Any]:
    return {"resourceType": "Patient", "id": PATIENT_ID, "gender": "female", "birthDate": "1976-08-12", **elements}


def call(hook: str = "patient-view", *resources: Mapping[str, Any], **context: Any) -> dict[str, Any]:
    """A complete hook call for a patient with back pain and the given resources; each search has its key."""
    found = {
        key: [each for each in (back_pain(), *resources) if each["resourceType"] == kind]
        for key, kind in SEARCH_KEYS.items()
    }
    prefetch: dict[str, Any] = {"patient": patient()}
    needed: dict[str, Any] = {"userId": "Practitioner/dr1", "patientId": PATIENT_ID}
    if hook == "encounter-start":
        needed["encounterId"] = "e1"
        prefetch["encounter"] = encounter("back-pain")
    if hook.startswith("order-"):
        traction = draft("spinal-traction")
        needed["draftOrders"] = {**searchset(traction), "type": "collection"}
        needed |= {"selections": [f"ServiceRequest/{traction['id']}"]} if hook == "order-select" else {}
    prefetch |= {key: searchset(*entries) if entries else None for key, entries in found.items()}
    return {"hook": hook, "hookInstance": INSTANCE, "context": needed | context, "prefetch": prefetch}


def changed(request: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """The request with another value at a dotted path; `...` takes the member away."""
    copy = json.loads(json.dumps(request))
    *way, last = path.split(".")
    place = copy
    for step in way:
        place = place[step]
    if value is ...:
        del place[last]
    else:
        place[last] = value
    return copy


@cache
def app(settings: Settings = Settings(intake_url=INTAKE_URL), at: datetime = AT) -> App:  # noqa: B008
    """The application, at a fixed instant."""
    return create_app(settings, knowledge(), clock=lambda: at)


def client(**settings: Any) -> FlaskClient:
    return app(Settings(intake_url=INTAKE_URL, **settings)).test_client()


def post(request: Any, hook: str = "", **settings: Any) -> TestResponse:
    """POST a call to the service of its hook (or of another)."""
    body = request if isinstance(request, bytes) else json.dumps(request).encode()
    return client(**settings).post(path_of(hook or request["hook"]), data=body, content_type=JSON)


def expressions(response: Any) -> list[str]:
    """What the issues of an OperationOutcome point at."""
    answer = response.get_json() if isinstance(response, TestResponse) else response.json()
    assert answer["resourceType"] == "OperationOutcome"
    assert all(issue["severity"] and issue["code"] and issue["diagnostics"] for issue in answer["issue"])
    return [expression for issue in answer["issue"] for expression in issue.get("expression", [])]


def groups(answer: Mapping[str, Any]) -> dict[str, str]:
    """Group -> indicator of the cards of an answer."""
    return {card["extension"][EXTENSION]["group"]: card["indicator"] for card in answer["cards"]}


class Server:
    """A server process. log: what it wrote, readable once it has stopped."""

    def __init__(self, port: int, process: subprocess.Popen, log_file: Path) -> None:
        self.port = port
        self.process = process
        self.url = f"http://127.0.0.1:{port}"
        self.http = httpx.Client(base_url=self.url, timeout=PATIENCE)
        self._log_file = log_file

    @property
    def log(self) -> str:
        return self._log_file.read_text("utf-8")

    @property
    def workers(self) -> list[int]:
        """Process ids of those that answer calls; others file the audit, or keep track of shared memory."""
        others = (FILES, b"resource_tracker")
        return [each for each in children(self.process.pid) if not any(name in command(each) for name in others)]

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE)


def children(process: int) -> list[int]:
    """None where there is no such process, or no /proc."""
    try:
        return [int(child) for child in Path(f"/proc/{process}/task/{process}/children").read_text().split()]
    except OSError:
        return []


def command(process: int) -> bytes:
    """Its command line; none of a process that is no more."""
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes()
    except OSError:
        return b""


@contextmanager
def running(folder: Path, workers: int = 1, config: str | None = None, probe: str = "/readyz") -> Iterator[Server]:
    """A server on a free port, when its probe answers; stopped at the end."""
    port = free_port()
    settings = folder / "settings.toml" if config is not None else None
    if settings:
        at_once = "" if "[operations]" in (config or "") else "\n[operations]\ndrain_seconds = 0\n"
        settings.write_text((config or "") + at_once, "utf-8")
    start = f"from pathlib import Path; from hooks.server import serve; serve('127.0.0.1', {port}, {workers}, "
    start += f"Path({str(settings)!r}))" if settings else "None)"
    log_file = folder / f"server-{port}.log"
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    with log_file.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", start], stdout=log, stderr=log, env=environ, start_new_session=True
        )
    server = Server(port, process, log_file)
    try:
        await_ready(server, probe=probe)
        await_listening(server, workers)
        yield server
    finally:
        server.http.close()
        process.terminate()
        process.wait(timeout=PATIENCE)
        end_orphans(process.pid)


def end_orphans(session: int) -> None:
    """Workers outlive a server that was killed; they lead nobody's session and would stay for ever."""
    with suppress(ProcessLookupError):
        killpg(session, signal.SIGKILL)


def await_ready(server: Server, probe: str = "/readyz") -> None:
    """Poll until it says yes; a server that ends before is a failure."""

    def is_ready() -> bool:
        if server.process.poll() is not None:
            raise RuntimeError(f"the server is not ready:\n{server.log}")
        try:
            return server.http.get(probe).status_code == 200
        except httpx.TransportError:
            return False

    until(is_ready)


def await_listening(server: Server, workers: int) -> None:
    """Poll until all workers listen: the first one that does is ready, and others may still be loading."""
    until(lambda: _listeners(server.port) >= workers)


def _listeners(port: int) -> int:
    """Sockets of this machine that listen there (Linux)."""
    table = (line.split() for line in Path("/proc/net/tcp").read_text("ascii").splitlines()[1:])
    return sum(local.endswith(f":{port:04X}") and state == "0A" for _, local, _, state, *_ in table)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def call_from(bundle: Mapping[str, Any], hook: str) -> dict[str, Any]:
    """A hook call for the one patient of a Bundle, every search filled from it."""
    resources = [entry["resource"] for entry in bundle["entry"]]
    person = next(each for each in resources if each["resourceType"] == "Patient")
    request = call(hook, *(each for each in resources if each.get("status") != "draft"))
    for entries in (value["entry"] for key, value in request["prefetch"].items() if key in SEARCH_KEYS and value):
        entries[:] = [entry for entry in entries if entry["resource"] in resources]
    request["prefetch"]["patient"] = person
    request["context"]["patientId"] = person["id"]
    if hook.startswith("order-"):
        drafts = [each for each in resources if each.get("status") == "draft"]
        request["context"]["draftOrders"] = searchset(*drafts)
    if hook == "encounter-start":
        visit = next(each for each in resources if each["resourceType"] == "Encounter")
        request["prefetch"]["encounter"] = visit
        request["context"]["encounterId"] = visit["id"]
    return request
