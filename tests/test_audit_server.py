"""The audit of a real server: as many rows as calls, whatever happens to workers or to the ledger (rows 37 and 38)."""

import json
import os
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from hooks.app import MAX_BODY
from hooks.audit.chain import check
from hooks.audit.identifiers import Identifiers, load_key
from hooks.audit.query import Row
from hooks.audit.spool import FOLDER, waiting
from hooks.ledger.database import open_ledger
from tests.audit_rig import rows
from tests.jwks_rig import ISSUER, PUBLIC_URL, bearer, registered, token
from tests.patience import until
from tests.postgres_rig import Postgres
from tests.records import PATIENT_ID, condition
from tests.service_rig import FILES, JSON, Server, call, changed, children, command, path_of, running

PATH = path_of("patient-view")
OTHER = "https://other.example.org"
EMERGENCY = condition("cauda-equina-syndrome", date="2026-11-18", id="c1", meta={"versionId": "3"})
GOOD = json.dumps(call("patient-view", EMERGENCY)).encode()

Sent = dict[str, int]
"""X-Request-Id -> status of the answer."""


@contextmanager
def audited(folder: Path, database_url: str, workers: int = 2, audit: str = "") -> Iterator[Server]:
    """A server whose clients are ISSUER and OTHER, with the same keys."""
    (folder / "data").mkdir(exist_ok=True)
    config = registered(folder, 'data_dir = "data"', f'database_url = "{database_url}"', rate_per_second=1000)
    config += f'\n[[clients]]\nissuer = "{OTHER}"\njwks_file = "keys.json"\nrate_per_second = 1000\n[audit]\n{audit}'
    with running(folder, workers, config) as server:
        yield server


def post(server: Server, body: bytes, path: str = PATH, iss: str = ISSUER, **headers: str) -> httpx.Response:
    authorization = {} if iss == "" else bearer(token(PUBLIC_URL + path, iss=iss))
    return server.http.post(path, content=body, headers={"Content-Type": JSON, **authorization, **headers})


def found(database_url: str) -> list[Row]:
    with closing(open_ledger(database_url)) as ledger:
        return rows(ledger)


def broken(folder: Path, database_url: str) -> list[str]:
    key = Identifiers(load_key(folder / "data", {})).chain_key
    with closing(open_ledger(database_url)) as ledger, ledger.read() as connection:
        return [id_ for day in check(connection, key) for id_ in day.broken]


# --- a scripted day ------------------------------------------------------------------------------------


def day(server: Server) -> Iterator[httpx.Response]:
    """Calls of all kinds, one after the other."""
    for number in range(12):
        yield post(server, GOOD, iss=OTHER if number % 3 == 0 else ISSUER)
    yield post(server, GOOD, iss="")
    yield post(server, GOOD, Authorization="Bearer nonsense")
    yield post(server, GOOD, Authorization=f"Bearer {token(PUBLIC_URL + PATH, exp=-500)}")
    yield post(server, GOOD, Authorization=f"Bearer {token(PUBLIC_URL + PATH, iss='https://nobody.example.org')}")
    yield post(server, b"{")
    yield post(server, json.dumps(changed(call(), "context.patientId", ...)).encode())
    yield post(server, json.dumps(changed(call(), "prefetch.patient", ...)).encode())
    yield post(server, GOOD, path="/cds-services/none")
    yield post(server, GOOD, **{"Content-Type": "text/plain"})
    yield post(server, b" " * (MAX_BODY + 1))


def elsewhere(server: Server) -> None:
    """What is no hook call has no row."""
    for path in ("/", "/readyz", "/version", "/cds-services", "/nowhere", PATH):
        server.http.get(path)
    server.http.post("/readyz")
    report = {"feedback": [{"card": str(uuid4()), "outcome": "accepted", "outcomeTimestamp": "2026-11-20T12:00:00Z"}]}
    post(server, json.dumps(report).encode(), path=f"{PATH}/feedback")


def test_a_day_has_as_many_rows_as_calls(tmp_path: Path, database_url: str):
    with audited(tmp_path, database_url) as server:
        answers = list(day(server))
        elsewhere(server)
    sent = {answer.headers["X-Request-Id"]: answer.status_code for answer in answers}
    assert Counter(sent.values()) == {200: 12, 401: 4, 400: 2, 412: 1, 404: 1, 415: 1, 413: 1}
    kept = found(database_url)
    assert {row["id"]: row["status"] for row in kept} == sent
    assert broken(tmp_path, database_url) == []
    assert waiting(tmp_path / "data" / FOLDER) == 0
    shown = {card["uuid"]: row["id"] for row in kept for card in row["cards"]}
    for answer in answers:
        for card in answer.json().get("cards", ()):
            assert shown.pop(card["uuid"]) == answer.headers["X-Request-Id"]
    assert shown == {}
    assert {row["reason"] for row in kept if row["status"] == 401} >= {"no-token", "expired"}
    check_clients_are_apart(kept, Identifiers(load_key(tmp_path / "data", {})))


def check_clients_are_apart(kept: list[Row], identifiers: Identifiers) -> None:
    """The same patient id at another client is another patient; whose token was not believed is known all the same."""
    answered = Counter((row["issuer"], row["patient_key"]) for row in kept if row["status"] == 200)
    assert answered == {
        (ISSUER, identifiers.patient(ISSUER, "", PATIENT_ID)): 8,
        (OTHER, identifiers.patient(OTHER, "", PATIENT_ID)): 4,
    }
    refused = Counter((row["issuer"], row["patient_key"]) for row in kept if row["status"] == 401)
    assert refused == {("", ""): 3, (ISSUER, ""): 1}


# --- workers die ---------------------------------------------------------------------------------------


def load(server: Server, calls: int, sent: Sent | None = None) -> Sent:
    """Those that were answered."""
    sent = {} if sent is None else sent
    for _ in range(calls):
        try:
            answer = post(server, GOOD)
        except httpx.TransportError:
            continue
        sent[answer.headers["X-Request-Id"]] = answer.status_code
    return sent


def test_the_death_of_a_worker_loses_no_answered_call(tmp_path: Path, database_url: str):
    sent: Sent = {}
    with audited(tmp_path, database_url) as server, ThreadPoolExecutor(4) as pool:
        workers = server.workers
        loads = [pool.submit(load, server, 60, sent) for _ in range(4)]
        for answered, worker in zip((20, 60), workers, strict=True):
            until(lambda answered=answered: len(sent) > answered)
            os.kill(worker, signal.SIGKILL)
        for each in loads:
            each.result()
    kept = {row["id"]: row["status"] for row in found(database_url)}
    assert len(sent) > 60
    assert {id_: kept.get(id_) for id_ in sent} == sent
    assert broken(tmp_path, database_url) == []


def test_what_a_killed_server_left_is_filed_by_the_next(tmp_path: Path):
    url = f"sqlite:///{tmp_path}/data/ledger.sqlite3"
    with audited(tmp_path, url, workers=1) as server:
        sent = load(server, 5)
        os.killpg(server.process.pid, signal.SIGKILL)
        server.process.wait(20)
    with audited(tmp_path, url, workers=1) as server:
        until(lambda: len(found(url)) == 5)
        sent |= load(server, 2)
    kept = found(url)
    assert {row["id"]: row["status"] for row in kept} == sent
    assert len({row["patient_key"] for row in kept}) == 1, "the key is another one"
    assert broken(tmp_path, url) == []


# --- the process that files ---------------------------------------------------------------------------


def filing(server: Server) -> int:
    """Its process id; 0 while there is none."""
    return next((each for each in children(server.process.pid) if FILES in command(each)), 0)


def test_the_process_that_files_is_started_again_when_it_dies(tmp_path: Path):
    url = f"sqlite:///{tmp_path}/data/ledger.sqlite3"
    with audited(tmp_path, url) as server:
        load(server, 2)
        until(lambda: len(found(url)) == 2)
        os.kill(filing(server), signal.SIGKILL)
        load(server, 2)
        until(lambda: len(found(url)) == 4)
    assert '"alarm":"filing-ended","code":-9' in server.log


def test_the_process_that_files_ends_with_the_last_of_server_and_workers(tmp_path: Path):
    url = f"sqlite:///{tmp_path}/data/ledger.sqlite3"
    with audited(tmp_path, url) as server:
        load(server, 2)
        until(lambda: len(found(url)) == 2)
        files = filing(server)
        for each in (signal.SIGINT, signal.SIGTERM):  # sent to all processes of the server: they are for the server
            os.kill(files, each)
        load(server, 2)
        until(lambda: len(found(url)) == 4)
        assert filing(server) == files
        for each in (server.process.pid, *server.workers):
            os.kill(each, signal.SIGKILL)
        until(lambda: FILES not in command(files))


# --- the ledger is away --------------------------------------------------------------------------------


@contextmanager
def away(url: str, postgres: Callable[[], Postgres]) -> Iterator[None]:
    """The ledger cannot be reached for the block."""
    if url.startswith("sqlite"):
        file = Path(url.removeprefix("sqlite:///"))
        file.rename(file.with_suffix(".away"))
        yield
        file.with_suffix(".away").rename(file)
    else:
        postgres().stop()
        yield
        postgres().start()


def test_while_the_ledger_is_away_calls_are_answered_and_their_rows_wait(
    tmp_path: Path, database_url: str, request: pytest.FixtureRequest
):
    with audited(tmp_path, database_url) as server:
        sent = load(server, 3)
        until(lambda: len(found(database_url)) == 3)
        with away(database_url, lambda: request.getfixturevalue("postgres")):
            missed = load(server, 6)
            assert set(missed.values()) == {200}
            until(lambda: "audit-not-filed" in server.log)
        until(lambda: len(found(database_url)) == 9)
        sent |= missed | load(server, 3)
    assert {row["id"]: row["status"] for row in found(database_url)} == sent
    assert broken(tmp_path, database_url) == []
