"""Nothing of a call reaches a log, and an error says nothing of it back (row 33, promise P10; R59, R166).

A marker stands in every text of a call: resources, ids, references, member names, headers, query and path. Real servers
get it on every path they have, with every logger of every library at DEBUG. To extend: add a scene.
"""

import base64
import json
import re
import select
import socket
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from hooks.app import MAX_BODY
from hooks.gateway import RECEIVED_AT_ONCE
from hooks.services import SERVICES
from tests.fhir_rig import FAULTS, fhir_server
from tests.jwks_rig import ISSUER, PUBLIC_URL, bearer, registered, signed
from tests.jwks_rig import token as jwt_for
from tests.patience import PATIENCE
from tests.records import condition
from tests.service_rig import HOOKS, JSON, Server, call, changed, free_port, path_of, patient, running
from tests.test_reading_properties import RICH, paths, replaced

MARK = "Canary7xQw9Zk"
ECHOED = {"access-control-allow-origin"}
"""Headers of an answer that repeat what was sent: in development any page may call."""

URL = path_of("patient-view")
_MEANING = {
    "resourceType", "system", "code", "unit", "comparator", "value", "status", "intent", "priority", "questionnaire",
    "linkId", "hook", "hookInstance", "gender", "type", "start", "end", "url",
}  # fmt: skip
_DATE = re.compile(r"\d{4}-\d\d")

EVERY_LOGGER = "import logging; logging.basicConfig(level=logging.DEBUG); logging.raiseExceptions = True\n"
CRASHES = """
import hooks.pipeline
def judge(gathered, *rest):
    try:
        raise KeyError(repr(gathered))
    except KeyError as error:
        raise ValueError(f"{gathered.patient_id} {gathered.fhir_server} {gathered!r}") from error
hooks.pipeline.judge = judge
"""


def token() -> str:
    """A JWT that nobody signed, with the mark in each part of it."""
    parts = ({"alg": "ES384", "kid": MARK, "typ": "JWT"}, {"iss": MARK, "sub": MARK, "jti": MARK, "tenant": MARK})
    head, claims = (base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts)
    return f"{head}.{claims}.{MARK}"


SOUGHT = {MARK.lower(), *(part.lower() for part in token().split("."))}
HEADERS = {
    "Content-Type": JSON,
    "Authorization": f"Bearer {token()}",
    "Origin": f"https://{MARK}.example.org",
    "User-Agent": MARK,
    "Referer": f"https://example.org/{MARK}",
    "Cookie": f"session={MARK}",
    "X-Request-Id": MARK,
    "X-Forwarded-For": MARK,
    "X-Forwarded-Host": MARK,
    "Forwarded": f"for={MARK}",
    "Traceparent": MARK,
    f"X-{MARK}": MARK,
}
POSTED = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "text/html"}
QUERY = f"?patient={MARK}&{MARK}"


def hits(said: str | bytes, *more: str) -> list[str]:
    """The marks in what was said, and which of `more`."""
    given = (said.decode("utf-8", "replace") if isinstance(said, bytes) else said).lower()
    return [mark for mark in (*SOUGHT, *more) if mark.lower() in given]


# --- calls full of marks -----------------------------------------------------------------------------------


def marked(value: Any, key: str = "") -> Any:
    """The same call with the mark in every text that need not be what it is."""
    if isinstance(value, dict):
        inner = {name: marked(child, name) for name, child in value.items()}
        return inner | ({MARK: MARK, "note": [{"text": MARK}]} if key != "prefetch" else {MARK: {MARK: MARK}})
    if isinstance(value, list):
        return [marked(child, key) for child in value]
    if not isinstance(value, str) or key in _MEANING or _DATE.match(value):
        return value
    if key in ("id", "patientId", "encounterId"):
        return f"{MARK}-{value}"
    if key == "userId" or re.fullmatch(r"[A-Z]\w+/[\w.-]+", value):
        return value.replace("/", f"/{MARK}-")
    return value if value.startswith(("#", "http")) else f"{MARK} {value}"


def marked_call(hook: str) -> dict[str, Any]:
    """A call that is answered with cards, made of marks otherwise."""
    rich = [resource | {"id": f"r{number}"} for number, resource in enumerate(RICH.values())]
    who = patient(name=[{"family": "x", "given": ["y"]}], address=[{"line": ["z"]}], telecom=[{"value": "1"}])
    request = call(hook, condition("cauda-equina-syndrome"), condition("osteoporosis"), *rich)
    request |= {
        "fhirServer": f"https://{MARK.lower()}.example.org/fhir",
        "fhirAuthorization": {
            "access_token": MARK,
            "token_type": "Bearer",
            "scope": MARK,
            "subject": MARK,
            "expires_in": 9,
        },
    }
    return marked(changed(request, "prefetch.patient", who))


def spoilt_calls() -> Iterator[bytes]:
    """Every third element replaced by the mark, and what is wrong with a call as a whole."""
    request = marked_call("patient-view")
    for place in list(paths(request))[::3]:
        yield json.dumps(replaced(request, place, MARK)).encode()
    for hook in HOOKS:
        given = marked_call(hook)
        for place in paths({key: value for key, value in given.items() if key != "prefetch"}):
            yield json.dumps(replaced(given, place, f"{MARK} \ud800")).encode()
            yield json.dumps(replaced(given, place, {MARK: [MARK]})).encode()
    for key in ("context", "prefetch", "hook", "hookInstance"):
        yield json.dumps(changed(request, key, ...)).encode()
    good = json.dumps(request).encode()
    yield from (good[: len(good) // 2], good.replace(MARK.encode(), b"\xff" + MARK.encode()), MARK.encode(), b"")
    yield b'{"hook": "%b", "%b": 1e999}' % (MARK.encode(), MARK.encode())
    yield b"[" * 200 + MARK.encode()


# --- servers whose every logger speaks ---------------------------------------------------------------------


@contextmanager
def talkative(folder: Path, at_start: str = "", config: str = "development = true") -> Iterator[Server]:
    """A server at DEBUG, its libraries too. at_start: Python that each of its processes runs before all else.

    At the end its metrics hold no mark.
    """
    port = free_port()
    (folder / "sitecustomize.py").write_text(EVERY_LOGGER + at_start, "utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(folder))
        operations = f"[operations]\nport = {port}\ndrain_seconds = 0\n"
        with running(folder, config=f'log_level = "debug"\n{config}\n{operations}') as server:
            server.http.headers.update(HEADERS)
            yield server
            assert hits(metrics(port)) == []


def metrics(port: int) -> bytes:
    """Once the calls are among them."""
    while b"\nbackpain_cds_calls_total{" not in (said := httpx.get(f"http://127.0.0.1:{port}/metrics").content):
        continue
    return said


class Heard:
    """What a scene got back: how often each status, and what said more than it should."""

    def __init__(self) -> None:
        self.statuses: Counter[int] = Counter()
        self.told: list[str] = []

    def answer(self, answer: httpx.Response) -> None:
        self.statuses[answer.status_code] += 1
        headers = [f"{name}: {value}" for name, value in answer.headers.items() if name not in ECHOED]
        if hits("\n".join(headers)) or (answer.status_code >= 400 and hits(answer.content)):
            self.told.append(f"{answer.status_code} {headers} {answer.text[:500]}")

    def raw(self, said: bytes) -> None:
        """An answer as it came over the connection; b"": none."""
        if said:
            self.statuses[int(said.split(b" ", 2)[1])] += 1
        kept = b"\r\n".join(line for line in said.split(b"\r\n") if line.split(b":")[0].lower().decode() not in ECHOED)
        if hits(kept):
            self.told.append(kept.decode("utf-8", "replace")[:500])


Scene = Callable[[Server, Heard], None]


def calls(server: Server, heard: Heard) -> None:
    for hook in HOOKS:
        answer = server.http.post(path_of(hook) + QUERY, json=marked_call(hook))
        assert answer.status_code == 200
        assert hits(answer.content), "the mark is to be where a card quotes the chart"
        heard.answer(answer)
    for body in spoilt_calls():
        heard.answer(server.http.post(URL + QUERY, content=body))


def headers(server: Server, heard: Heard) -> None:
    good = json.dumps(marked_call("patient-view")).encode()
    for spoilt in (
        {"Content-Type": MARK},
        {"Content-Type": f"text/{MARK}"},
        {"Content-Type": f"{JSON}; charset={MARK}"},
        {"Content-Encoding": MARK},
        {"Host": MARK},
        {"If-None-Match": MARK},
        {"Accept": MARK},
        {"Expect": MARK},
    ):
        heard.answer(server.http.post(URL, content=good, headers=spoilt))
        heard.answer(server.http.get("/cds-services" + QUERY, headers=spoilt))


def urls(server: Server, heard: Heard) -> None:
    for path in (
        f"/{MARK}",
        f"/cds-services/{MARK}",
        f"/cds-services/{MARK}/feedback",
        f"/%2e%2e/{MARK}%00%ff",
        f"//{MARK}",
    ):
        for method in ("GET", "POST", "PUT", "DELETE", "OPTIONS", "HEAD", MARK.upper()):
            heard.answer(server.http.request(method, path + QUERY, content=MARK if method == "POST" else None))
    for path in ("/", "/cds-services", "/livez", "/readyz", "/version", "/openapi.json", URL):
        for method in ("GET", "PUT", "OPTIONS"):
            heard.answer(server.http.request(method, path + QUERY))
    preflight = {"Access-Control-Request-Method": MARK, "Access-Control-Request-Headers": MARK}
    heard.answer(server.http.options(URL, headers=preflight))


def pages(server: Server, heard: Heard) -> None:
    """The workbench, to which people give charts, and the intake form."""
    patient_view = json.dumps(marked_call("patient-view"))
    shown = server.http.post("/?part=outcome", data={"patient": "own", "chart": patient_view}, headers=POSTED)
    assert shown.status_code == 200
    assert hits(shown.content), "the mark is to be where the page shows the chart"
    heard.answer(shown)
    for path in ("/?part=outcome", "/workbench/request.json?part=outcome"):
        for wrong in (
            {"chart": patient_view, MARK: MARK},
            {"chart": MARK},
            {"chart": json.dumps({"resourceType": "Patient", "id": MARK})},
            {"at": MARK},
            {"threshold.pain_severe": MARK},
            {"verdict": MARK, "without": MARK, "hook": MARK},
        ):
            heard.answer(server.http.post(path, data={"patient": "own"} | wrong, headers=POSTED))
    for path in (
        f"launch?iss=https://{MARK}.example.org&launch={MARK}",
        f"callback?code={MARK}&state={MARK}",
        f"s/{MARK}",
    ):
        heard.answer(server.http.get(f"/intake/{path}"))
    for field in ("sheet", "answer.saddle-anesthesia"):
        heard.answer(server.http.post(f"/intake/s/{MARK}", data={field: MARK, MARK: MARK}, headers=POSTED))


def head(length: int | str, more: str = "") -> bytes:
    lines = [f"POST {URL}{QUERY} HTTP/1.1", "Host: localhost", *(f"{name}: {value}" for name, value in HEADERS.items())]
    return "\r\n".join([*lines, f"Content-Length: {length}", more, "", ""]).replace("\r\n\r\n\r\n", "\r\n\r\n").encode()


def too_large(server: Server, heard: Heard) -> None:
    with server.connect() as connection:
        connection.sendall(head(MAX_BODY + 1) + MARK.encode())
        heard.raw(connection.recv(65_536))


def too_much_at_once(server: Server, heard: Heard) -> None:
    """Unfinished bodies until one worker holds no more."""
    part = (MARK.encode() * (MAX_BODY // len(MARK)))[: MAX_BODY - 1]
    waiting = [server.connect() for _ in range(RECEIVED_AT_ONCE // len(part) + 1)]
    try:
        with ThreadPoolExecutor(len(waiting)) as pool:
            list(pool.map(lambda connection: _offer(connection, head(MAX_BODY) + part), waiting))
        heard.raw(_first_answer(waiting))
    finally:
        for connection in waiting:
            connection.close()


def _offer(connection: socket.socket, said: bytes) -> None:
    """Whoever is refused may be hung up on before the whole is sent."""
    with suppress(ConnectionError):
        connection.sendall(said)


def _first_answer(connections: list[socket.socket]) -> bytes:
    for connection in select.select(connections, [], [], PATIENCE)[0]:
        with suppress(ConnectionError):
            if said := connection.recv(65_536):
                return said
    return b""


def never_finished(server: Server, heard: Heard) -> None:
    """A body that stops arriving, and one whose sender goes away."""
    with server.connect() as gone:
        gone.sendall(head(100) + MARK.encode())
    with server.connect() as connection:
        connection.sendall(head(100) + MARK.encode())
        heard.raw(connection.recv(65_536))


def bad_tokens() -> Iterator[tuple[str, dict[str, str]]]:
    """Authorization headers with one thing wrong each, with the mark where it may stand."""
    aud = PUBLIC_URL + URL
    for name, wrong in {
        "unknown issuer": {"iss": f"https://{MARK}.example.org"},
        "audience": {"aud": f"https://{MARK}.example.org{URL}"},
        "expired": {"exp": -100},
        "lives too long": {"exp": 9999},
        "from the future": {"iat": 900, "exp": 999},
        "no jti": {"jti": ...},
        "tenant": {"tenant": f"other {MARK}"},
        "claims": {"exp": MARK},
    }.items():
        yield name, bearer(sign(**{"aud": aud} | wrong))
    yield "signature", bearer(sign(aud, key="b"))
    yield "kid", bearer(sign(aud, header={"kid": MARK}))
    yield "jku", bearer(sign(aud, header={"jku": f"https://{MARK}.example.org/keys"}))
    yield "alg", bearer(sign(aud, header={"alg": "none"}))
    yield "crit", bearer(sign(aud, header={"crit": [MARK]}))
    yield "claims that are no object", bearer(signed(f'"{MARK}"'))
    yield "no JWT", bearer(MARK)
    yield "Basic", {"Authorization": f"Basic {MARK}"}
    yield "long", bearer(MARK * 2000)


def sign(aud: str, key: str = "a", header: dict[str, Any] | None = None, **claims: Any) -> str:
    return jwt_for(
        aud, key, header=header, **{"sub": MARK, "jti": f"{MARK}-{uuid4()}", "tenant": MARK, "nbf": 0} | claims
    )


def no_http(server: Server, heard: Heard) -> None:
    garbage = [
        f"{MARK}\r\n\r\n",
        f"GET /{MARK} HTTP/{MARK}\r\n\r\n",
        f"GET / HTTP/1.1\r\n{MARK} {MARK}\r\n\r\n",
        f"GET / HTTP/1.1\r\nHost: x\r\nX-Long: {MARK * 50_000}\r\n\r\n",
        f"POST {URL} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n{MARK}\r\n",
        head(MARK).decode(),
    ]
    for said in garbage:
        with server.connect() as connection:
            try:
                connection.sendall(said.encode())
                heard.raw(connection.recv(65_536))
            except ConnectionError:
                continue


# --- the tests ---------------------------------------------------------------------------------------------


def lines(log: str) -> list[dict[str, Any]]:
    """The log's own lines, one a call."""
    return [json.loads(line) for line in log.splitlines() if line.startswith("{")]


def play(folder: Path, scenes: tuple[Scene, ...], **server: Any) -> tuple[Heard, str]:
    """What came back and what was logged, once the server has stopped."""
    heard = Heard()
    with talkative(folder, **server) as started:
        for scene in scenes:
            scene(started, heard)
    return heard, started.log


def test_the_marks_would_be_found():
    request = json.dumps(marked_call("order-sign"))
    assert request.count(MARK) > 200
    assert hits(f"x{MARK.upper()}x".encode())
    assert all(hits(part) for part in token().split("."))
    assert not hits("canary")


def test_calls_leave_no_trace(tmp_path: Path):
    heard, log = play(tmp_path, (calls, headers, urls))
    assert heard.told == []
    assert hits(log) == []
    assert {200, 400, 404, 405, 412, 415} <= set(heard.statuses)
    logged = Counter(line["status"] for line in lines(log))
    assert {200, 400, 404, 405, 412, 415} <= set(logged), "nothing was logged: then nothing was shown"
    assert logged[400] == heard.statuses[400]
    assert {line.get("service", "") for line in lines(log)} == {"", *SERVICES}


def test_pages_leave_no_trace(tmp_path: Path):
    heard, log = play(tmp_path, (headers, pages))
    assert heard.told == []
    assert hits(log) == []
    assert {200, 400, 401, 403} <= set(heard.statuses)
    assert {400} <= {line.get("status") for line in lines(log)}


def test_what_never_becomes_a_call_leaves_no_trace(tmp_path: Path):
    heard, log = play(tmp_path, (too_large, too_much_at_once, never_finished, no_http))
    assert heard.told == []
    assert hits(log) == []
    assert {400, 408, 413, 503} <= set(heard.statuses)
    assert {408, 413, 503} <= {line["status"] for line in lines(log)}


def test_a_fault_of_ours_leaves_no_trace(tmp_path: Path):
    """Though the exception, and the one that caused it, quote the whole call."""

    def crash(server: Server, heard: Heard) -> None:
        for hook in HOOKS:
            heard.answer(server.http.post(path_of(hook), json=marked_call(hook)))

    heard, log = play(tmp_path, (crash,), at_start=CRASHES)
    assert heard.told == []
    assert hits(log) == []
    assert heard.statuses == {500: len(HOOKS)}
    crashes = [line for line in lines(log) if line["event"] == "crash"]
    assert {line["error"] for line in crashes} == {"ValueError"}


def test_tokens_leave_no_trace(tmp_path: Path):
    config = registered(tmp_path, tenants=[MARK], rate_per_second=1000)
    sent = [(name, headers["Authorization"].partition(" ")[2]) for name, headers in bad_tokens()]
    good = sign(PUBLIC_URL + URL)
    secrets = [part for _, text in [*sent, ("good", good)] for part in text.split(".") if len(part) > 20]

    def tokens(server: Server, heard: Heard) -> None:
        for _ in range(2):
            heard.answer(server.http.post(URL, json=marked_call("patient-view"), headers=bearer(good)))
        for name, text in sent:
            scheme = "Basic" if name == "Basic" else "Bearer"
            for path in (URL, "/cds-services"):
                heard.answer(server.http.request(
                    "POST" if path == URL else "GET", path, headers={"Authorization": f"{scheme} {text}"},
                    content=MARK if path == URL else None,
                ))  # fmt: skip

    heard, log = play(tmp_path, (tokens,), config=config)
    assert heard.told == []
    assert hits(log, *secrets) == []
    assert heard.statuses == {200: 1, 401: 1 + 2 * len(sent)}
    reasons = {line.get("reason") for line in lines(log)}
    assert len(reasons) > 10, "the log says why"


def test_keys_and_rates_leave_no_trace(tmp_path: Path):
    """A client whose keys cannot be had, and one that calls too often."""
    limited = registered(tmp_path, rate_per_second=0.01)
    dead = f'[[clients]]\nissuer = "https://dead.example.org"\njku = "http://127.0.0.1:{free_port()}/keys"'
    config = f"{limited.replace('development = false', 'development = true')}\n{dead}"

    def ask(server: Server, heard: Heard) -> None:
        for issuer in (ISSUER, ISSUER, "https://dead.example.org"):
            answer = server.http.post(
                URL, json=marked_call("patient-view"), headers=bearer(sign(PUBLIC_URL + URL, iss=issuer))
            )
            heard.answer(answer)

    heard, log = play(tmp_path, (ask,), config=config)
    assert heard.told == []
    assert hits(log) == []
    assert heard.statuses == {200: 1, 429: 1, 503: 1}


def test_feedback_leaves_no_trace(tmp_path: Path):
    """Also when it cannot be kept; what is kept stands in the columns that are for it."""
    url = f"{URL}/feedback"
    comment = {"reason": {"code": MARK, "system": MARK, "display": MARK}, "userComment": MARK}
    good = {
        "card": MARK,
        "outcome": "overridden",
        "outcomeTimestamp": "2026-11-20T12:00:00Z",
        "overrideReason": comment,
    }
    good |= {"acceptedSuggestions": [{"id": MARK}], MARK: MARK}
    file = tmp_path / "ledger.sqlite3"

    def reports(server: Server, heard: Heard) -> None:
        for item in (good, *(good | {name: MARK * 200} for name in good if name != MARK), MARK, {MARK: MARK}):
            heard.answer(server.http.post(url + QUERY, json={"feedback": [item], MARK: MARK}))
        away = file.rename(tmp_path / "away")
        heard.answer(server.http.post(url + QUERY, json={"feedback": [good | {"card": f"{MARK}-2"}]}))
        away.rename(file)

    heard, log = play(tmp_path, (reports,), config=f'development = true\ndatabase_url = "sqlite:///{file}"')
    assert heard.told == []
    assert hits(log) == []
    assert heard.statuses == {200: 1, 400: 7, 503: 1}
    with closing(sqlite3.connect(file)) as ledger:
        ledger.row_factory = sqlite3.Row
        (row,) = ledger.execute("SELECT * FROM feedback")
    kept = {name for name in row.keys() if hits(str(row[name]))}  # noqa: SIM118
    assert kept == {"card", "suggestions", "reason_code", "reason_system", "reason_display", "comment"}


def test_fetching_leaves_no_trace(tmp_path: Path):
    """Nor what a FHIR server says, nor the URLs it was asked by, whatever goes wrong there."""
    request = marked_call("patient-view")
    bundles = [value for value in request["prefetch"].values() if isinstance(value, dict) and "entry" in value]
    record = [entry["resource"] for bundle in bundles for entry in bundle["entry"]] + [request["prefetch"]["patient"]]
    del request["prefetch"]
    request["fhirAuthorization"] |= {"scope": "patient/*.read", "token_type": "Bearer", "access_token": f"{MARK}-token"}

    def fetch(base: str) -> httpx.Response:
        return server.http.post(URL + QUERY, json=request | {"fhirServer": base}, timeout=PATIENCE)

    heard = Heard()
    with fhir_server(tmp_path, *record) as rig, talkative(tmp_path) as server:
        wholly = [rig.base(fault) for fault in sorted(FAULTS)]
        partly = [rig.base(fault, "Condition") for fault in sorted(FAULTS)]
        nowhere = [f"http://127.0.0.1:{free_port()}/{MARK}", f"http://localhost.{MARK}.example.org/", f"http://{MARK}"]
        with ThreadPoolExecutor(16) as pool:
            for answer in pool.map(fetch, [*nowhere, *wholly, *partly]):
                heard.answer(answer)
        asked = rig.requests()
    assert any(MARK in each.target and MARK in each.headers["authorization"] for each in asked)
    assert heard.told == []
    assert hits(server.log) == []
    assert {200, 412} == set(heard.statuses)


KEPT_IN = {("call", "criteria")}
"""Where the ledger may name resources: the references of what was evidence."""


def test_the_audit_has_references_and_no_content(tmp_path: Path):
    """A dump of everything that the server kept: databases, spool, keys."""
    data = tmp_path / "data"
    data.mkdir()
    heard, _ = play(tmp_path, (calls, headers), config='development = true\ndata_dir = "data"')
    with closing(sqlite3.connect(data / "ledger.sqlite3")) as ledger:
        tables = [name for (name,) in ledger.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        kept = {table: list(_rows(ledger, table)) for table in tables}
    assert len(kept["call"]) > 100
    assert heard.told == []
    cells = ((table, name, value) for table, rows in kept.items() for row in rows for name, value in row.items())
    assert {(table, name) for table, name, value in cells if hits(str(value))} == KEPT_IN
    others = [file for file in data.rglob("*") if file.is_file() and not file.name.startswith("ledger.sqlite3")]
    assert [file for file in others if hits(file.read_bytes())] == []


def _rows(ledger: sqlite3.Connection, table: str) -> Iterator[dict[str, Any]]:
    cursor = ledger.execute(f'SELECT * FROM "{table}"')
    names = [column[0] for column in cursor.description]
    yield from (dict(zip(names, row, strict=True)) for row in cursor)
