"""The server process as a client on the network meets it (rows 2, 3, 33, 42, 43, 55; R134, R170 to R174)."""

import json
import signal
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from hooks.app import MAX_BODY
from hooks.server import is_loopback, warn_if_open
from hooks.settings import Settings
from tests.jwks_rig import PUBLIC_URL, bearer, registered, token
from tests.patience import PATIENCE
from tests.records import condition
from tests.service_rig import EXTENSION, JSON, Server, call, changed, expressions, groups, path_of, patient, running

URL = path_of("patient-view")
CANARY = "Zyx0wvu"  # stands wherever a request has text


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("server")) as started:
        yield started


def ask(server: Server, request: dict | None = None) -> httpx.Response:
    return server.http.post(URL, json=request or call())


def head(length: str = "", path: str = URL) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: localhost", f"Content-Type: {JSON}", length or "Content-Length: 100"]
    return "\r\n".join([*lines, "", ""]).encode()


def status_of(connection: socket.socket) -> int:
    return int(connection.recv(4096).split(b" ", 2)[1])


# --- what a call looks like ------------------------------------------------------------------------------


def test_a_call_over_the_network(server: Server):
    answer = ask(server, call("patient-view", condition("cauda-equina-syndrome", date="2100-01-01")))
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert not any(character.isdigit() for character in answer.headers.get("server", ""))
    assert isinstance(answer.json()["cards"], list)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 200),
        ("GET", "/livez", 200),
        ("GET", "/readyz", 200),
        ("GET", "/version", 200),
        ("HEAD", "/cds-services", 200),
        ("GET", "/cds-services", 200),
        ("POST", "/cds-services", 405),
        ("GET", URL, 405),
        ("POST", "/cds-services/nope", 404),
        ("GET", "/nope", 404),
        ("GET", "/%ff%fe/%00", 404),
        ("GET", "/cds-services?patient=1", 200),
        ("POST", URL, 400),
    ],
)
def test_every_answer_is_json_with_the_usual_headers(server: Server, method: str, path: str, status: int):
    answer = server.http.request(method, path)
    assert answer.status_code == status
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["x-request-id"]
    assert answer.headers["content-type"] in ("application/json", "application/fhir+json")
    if method != "HEAD":
        answer.json()


def test_r134_a_hundred_patients_at_once_stay_apart(server: Server):
    def asked(number: int) -> tuple[int, set[str]]:
        mine = {**condition("osteoporosis"), "id": f"mine-{number}", "subject": {"reference": f"Patient/p{number}"}}
        request = call("patient-view", mine)
        for entry in request["prefetch"]["conditions"]["entry"]:
            entry["resource"]["subject"] = {"reference": f"Patient/p{number}"}
        request["context"]["patientId"] = f"p{number}"
        answer = ask(server, changed(request, "prefetch.patient", patient(id=f"p{number}"))).json()
        criteria = [each for card in answer["cards"] for each in card["extension"][EXTENSION]["criteria"]]
        return number, {fact["reference"] for each in criteria for fact in each.get("evidence", ())}

    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(asked, range(100)))
    assert all(cited == {f"Condition/mine-{number}"} for number, cited in answers)


# --- cross-origin calls ----------------------------------------------------------------------------------

ORIGIN = "https://sandbox.cds-hooks.org"
PREFLIGHT = {"Origin": ORIGIN, "Access-Control-Request-Method": "POST"}


@pytest.mark.parametrize("path", ["/cds-services", URL, URL + "/feedback"])
def test_r170_r171_preflight(server: Server, path: str):
    answer = server.http.options(path, headers=PREFLIGHT)
    assert answer.status_code == 204
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    assert {"authorization", "content-type"} <= set(answer.headers["access-control-allow-headers"].split(", "))
    assert {"GET", "POST"} <= set(answer.headers["access-control-allow-methods"].split(", "))
    assert "access-control-allow-credentials" not in answer.headers


@pytest.mark.parametrize("body", [b"{", json.dumps(call()).encode(), b""])
def test_r172_r174_the_answers_carry_the_origin_too(server: Server, body: bytes):
    answer = server.http.post(URL, content=body, headers={"Origin": ORIGIN, "Content-Type": JSON})
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    assert "Origin" in answer.headers["vary"]


def test_r173_each_client_has_its_own_origins(tmp_path: Path):
    """A preflight cannot say who will call; the answer to a call can."""
    ours, theirs = "https://ours.example.org", "https://theirs.example.org"
    other = f'\n[[clients]]\nissuer = "other"\njwks_file = "keys.json"\ncors_origins = ["{theirs}"]'
    config = registered(tmp_path, f'cors_origins = ["{ORIGIN}"]', cors_origins=[ours]) + other
    with running(tmp_path, config=config) as strict:
        for origin, allowed in ((ORIGIN, True), (ours, True), (theirs, False)):
            preflight = strict.http.options(URL, headers={**PREFLIGHT, "Origin": origin})
            assert preflight.headers["access-control-allow-origin"] == origin
            answer = strict.http.post(URL, json=call(), headers={"Origin": origin, **bearer(token(PUBLIC_URL + URL))})
            assert answer.status_code == 200
            assert ("access-control-allow-origin" in answer.headers) is allowed


def test_r173_elsewhere_only_listed_origins_may_call(tmp_path: Path):
    config = f'cors_origins = ["{ORIGIN}"]\n{registered(tmp_path)}'
    with running(tmp_path, config=config) as strict:
        for origin, allowed in ((ORIGIN, True), ("https://evil.example.org", False), ("null", False)):
            preflight = strict.http.options(URL, headers={**PREFLIGHT, "Origin": origin})
            answer = strict.http.get("/cds-services", headers={"Origin": origin})
            assert ("access-control-allow-origin" in preflight.headers) is allowed
            assert ("access-control-allow-origin" in answer.headers) is allowed
            assert answer.status_code == 200
            assert "Origin" in answer.headers["vary"]


# --- slow, large and lying clients -----------------------------------------------------------------------


def test_two_hundred_slow_clients_keep_nobody_waiting(server: Server):
    slow = [server.connect() for _ in range(200)]
    try:
        for connection in slow:
            connection.sendall(head())
        for _ in range(3):
            for connection in slow:
                connection.sendall(b" ")
            assert ask(server).status_code == 200
        assert server.http.get("/livez").status_code == 200
    finally:
        for connection in slow:
            connection.close()


def test_a_declared_length_beyond_the_limit_is_refused_unread(server: Server):
    with server.connect() as connection:
        connection.sendall(head(f"Content-Length: {MAX_BODY + 1}"))
        assert status_of(connection) == 413


@pytest.mark.parametrize("length", ["-1", "1e9", "99999999999999999999999999", "10, 20"])
def test_a_length_that_is_none_is_refused(server: Server, length: str):
    with server.connect() as connection:
        connection.sendall(head(f"Content-Length: {length}"))
        assert status_of(connection) in (400, 413)
    assert ask(server).status_code == 200


def test_chunks_without_end_are_cut_off(server: Server):
    chunk = b"%x\r\n" % 65_536 + b" " * 65_536 + b"\r\n"
    sent = 0
    with server.connect() as connection:
        connection.sendall(head("Transfer-Encoding: chunked"))
        try:
            while sent < 2**30:
                connection.sendall(chunk)
                sent += len(chunk)
        except OSError:
            pass
    assert MAX_BODY - 2**20 < sent < 10 * MAX_BODY
    assert ask(server).status_code == 200


def test_a_chunked_call_is_answered(server: Server):
    body = json.dumps(call()).encode()
    parts = (body[start : start + 100] for start in range(0, len(body), 100))
    assert server.http.post(URL, content=parts, headers={"Content-Type": JSON}).status_code == 200


def test_a_client_that_goes_away_leaves_no_trace(server: Server):
    for _ in range(20):
        with server.connect() as connection:
            connection.sendall(head() + b'{"hook":')
    assert ask(server).status_code == 200


def test_garbage_instead_of_http(server: Server):
    with server.connect() as connection:
        connection.sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 20 + b"\r\n\r\n")
        assert connection.recv(4096)[:12] in (b"HTTP/1.1 400", b"")
    assert ask(server).status_code == 200


# --- life and death --------------------------------------------------------------------------------------


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_it_stops_cleanly(tmp_path: Path, stop: signal.Signals):
    with running(tmp_path, workers=2) as started:
        assert ask(started).status_code == 200
        started.process.send_signal(stop)
        assert started.process.wait(timeout=PATIENCE) == 0
        with pytest.raises(ConnectionRefusedError):
            started.connect()
    assert "Traceback" not in started.log


def test_what_is_being_sent_is_answered_before_it_stops(tmp_path: Path):
    body = json.dumps(call()).encode()
    with running(tmp_path) as started, started.connect() as connection:
        connection.sendall(head(f"Content-Length: {len(body)}") + body[:100])
        assert ask(started).status_code == 200
        started.process.send_signal(signal.SIGTERM)
        connection.sendall(body[100:])
        assert status_of(connection) == 200
        assert started.process.wait(timeout=PATIENCE) == 0


@pytest.mark.parametrize("config", ["treshold = 1", 'concepts_dir = "nowhere"', "a ="])
def test_a_bad_configuration_stops_the_start(tmp_path: Path, config: str):
    with pytest.raises(RuntimeError, match="SettingsError"), running(tmp_path, config=config):
        pass


# --- what is logged --------------------------------------------------------------------------------------


def test_r59_row_33_nothing_of_the_patient_is_logged(tmp_path: Path):
    text = {**condition("osteoporosis"), "id": CANARY}
    text["code"]["text"] = CANARY
    good = changed(call("patient-view", text), "prefetch.patient", patient(name=[{"family": CANARY}]))
    good = changed(good, "fhirAuthorization", {"access_token": CANARY, "token_type": CANARY})
    good = changed(good, "context.userId", f"Practitioner/{CANARY}")
    bad = [
        changed(good, "context.patientId", f"{CANARY} {CANARY}"),
        changed(good, "context.patientId", CANARY),
        changed(good, "hook", CANARY),
        changed(good, "prefetch.conditions", CANARY),
        changed(good, "prefetch.conditions.entry", {CANARY: CANARY}),
        changed(good, CANARY, {CANARY: [CANARY]}),
        changed(good, "hookInstance", CANARY),
    ]
    headers = {"Authorization": f"Bearer {CANARY}", "X-Request-Id": CANARY, "User-Agent": CANARY, "Origin": CANARY}
    with running(tmp_path, config='log_level = "debug"') as started:
        started.http.headers.update(headers)
        for request in (good, *bad):
            started.http.post(URL, json=request)
        started.http.post(URL, content=f'{{"hook": "{CANARY}'.encode())
        started.http.get(f"/{CANARY}?{CANARY}")
        started.http.post(f"/cds-services/{CANARY}", json=good)
    lines = [json.loads(line) for line in started.log.splitlines() if line.startswith("{")]
    assert len(lines) == len(bad) + 4
    assert CANARY not in started.log
    first = lines[0]
    assert set(first) == {
        "time", "level", "request", "service", "event", "status", "ms", "unreadable", "foreign", "missing", "criteria",
    }  # fmt: skip
    assert first["status"] == 200
    assert "fracture-risk" in first["criteria"]


def test_errors_over_the_network_say_what_is_wrong(server: Server):
    answer = ask(server, changed(call(), "hookInstance", "x"))
    assert (answer.status_code, expressions(answer)) == (400, ["hookInstance"])
    assert groups(ask(server).json())


# --- warnings at the start -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", True),
        ("localhost", True),
        ("::1", True),
        ("127.8.9.1", True),
        ("0.0.0.0", False),
        ("::", False),
        ("10.0.0.1", False),
        ("ehr.example.org", False),
        ("", False),
    ],
)
def test_what_only_this_machine_can_reach(host: str, expected: bool):
    assert is_loopback(host) is expected


def test_what_others_can_reach_is_said_loudly(capsys: pytest.CaptureFixture):
    def said(host: str, **settings: Any) -> str:
        warn_if_open(host, Settings(**settings))
        return capsys.readouterr().err

    assert said("127.0.0.1", development=True) == ""
    assert said("127.0.0.1", data_dir=Path("data")) == ""
    assert "no data_dir" in said("127.0.0.1")
    assert "not encrypted" in said("0.0.0.0", data_dir=Path("data"))
    assert "development" not in said("0.0.0.0")
    assert "development = true" in said("0.0.0.0", development=True)
