"""From the spool into the ledger, on both databases: each row once, in a chain that shows what was changed (37, 38)."""

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError

from hooks.audit.chain import DayChecked, check
from hooks.audit.entry import CardEntry, Entry, raw
from hooks.audit.filing import ASIDE, Filer
from hooks.audit.options import AuditOptions
from hooks.audit.process import Rounds
from hooks.audit.spool import FOLDER, Spool, ended_segments, waiting
from hooks.ledger.database import Ledger, open_engine, open_ledger
from hooks.ledger.migrate import migrate
from hooks.ledger.schema import stored_input
from hooks.settings import Settings
from tests.alarm_rig import Alarms, alarms  # noqa: F401
from tests.audit_rig import Kept, rows
from tests.records import condition
from tests.service_rig import ROOT, call

KEY = b"k" * 32
DAY = "2026-11-20"


@pytest.fixture
def ledger(database_url: str) -> Ledger:
    migrate(database_url)
    with closing(open_ledger(database_url)) as opened:
        yield opened


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / FOLDER
    made.mkdir()
    return made


def entry(number: int, day: str = DAY, **members: Any) -> Entry:
    id_ = f"00000000-0000-4000-8000-{number:012}"
    card = CardEntry(f"11111111-0000-4000-8000-{number:012}", "red-flag", "warning", ["night-pain"], "e" * 64)
    result = {"night-pain": {"status": "met", "state": "on", "evidence": ["Observation/ä|1"]}}
    made = Entry(id_, f"{day}T12:00:00+00:00", 200, 1.25, criteria=raw(result), cards=[card], user_key="u")
    return msgspec.structs.replace(made, **members)


def line(entry_: Entry) -> bytes:
    return msgspec.json.encode(entry_) + b"\n"


def spooled(folder: Path, *entries: Entry | bytes) -> None:
    spool = Spool(folder, 2**20)
    for each in entries:
        assert spool.append(each if isinstance(each, bytes) else line(each))
    spool.turn()


def ids(found: list[dict[str, Any]]) -> list[int]:
    return [int(row["id"][-12:]) for row in found]


@contextmanager
def files_of_at_most(octets: int) -> Iterator[None]:
    """No file of this process can grow beyond that: of what is written only so much is, and then there is an error."""
    usual = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (octets, usual[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, usual)


# --- the spool -----------------------------------------------------------------------------------------


def test_what_is_being_written_is_not_filed(folder: Path):
    spool = Spool(folder, 2**20)
    spool.append(b"1\n")
    with ended_segments(folder) as ended:
        assert ended == []
    spool.turn()
    spool.append(b"2\n")
    with ended_segments(folder) as ended:
        assert [segment.read_bytes() for segment in ended] == [b"1\n"]


def test_only_one_files_at_a_time(folder: Path):
    spooled(folder, b"1\n")
    with ended_segments(folder) as ended, ended_segments(folder) as others:
        assert (len(ended), others) == (1, [])


def test_the_segment_of_a_dead_worker_is_there_for_the_next(folder: Path):
    script = (
        "import sys, time; from pathlib import Path; from hooks.audit.spool import Spool\n"
        f"Spool(Path({str(folder)!r}), 2**20).append(b'last\\n'); print('kept', flush=True); time.sleep(60)"
    )
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, env=environ) as worker:
        assert worker.stdout.readline() == b"kept\n"
        with ended_segments(folder) as ended:
            assert ended == []
        worker.send_signal(signal.SIGKILL)
        worker.wait(20)
        with ended_segments(folder) as ended:
            assert [segment.read_bytes() for segment in ended] == [b"last\n"]


def test_the_spool_of_all_workers_together_is_bounded(folder: Path):
    one, other = Spool(folder, 100), Spool(folder, 100)
    assert one.append(b"x" * 59 + b"\n")
    other.turn()
    assert not other.append(b"y" * 49 + b"\n")
    assert other.append(b"y" * 39 + b"\n")
    assert waiting(folder) == 100
    one.turn()
    assert not one.append(b"\n")
    one.turn()
    with ended_segments(folder) as ended:
        ended[0].unlink()
    other.turn()
    assert other.append(b"y" * 49 + b"\n")


@pytest.mark.parametrize("most", [6, 9], ids=["nothing", "a part"])
def test_a_disk_that_takes_no_more_leaves_no_half_line(folder: Path, most: int):
    spool = Spool(folder, 2**20)
    spool.append(b"whole\n")
    with files_of_at_most(most):
        assert not spool.append(b"half\n")
    assert spool.append(b"after\n")
    spool.turn()
    with ended_segments(folder) as ended:
        assert [segment.read_bytes() for segment in ended] == [b"whole\nafter\n"]


def test_a_half_line_that_cannot_be_taken_back_spoils_no_other(folder: Path, monkeypatch: pytest.MonkeyPatch):
    def fail(*_: Any) -> None:
        raise OSError

    spool = Spool(folder, 2**20)
    spool.append(b"whole\n")
    with files_of_at_most(9), monkeypatch.context() as patch:
        patch.setattr(os, "ftruncate", fail)
        assert not spool.append(b"half\n")
    assert spool.append(b"after\n")
    spool.turn()
    with ended_segments(folder) as ended:
        assert [segment.read_bytes() for segment in ended] == [b"whole\nhal", b"after\n"]


def test_a_folder_that_is_gone_is_no_crash(folder: Path):
    spool = Spool(folder, 2**20)
    shutil.rmtree(folder)
    assert not spool.append(b"1\n")


# --- filing --------------------------------------------------------------------------------------------


def test_rows_are_filed_once_and_the_spool_is_empty_then(folder: Path, ledger: Ledger):
    spooled(folder, *map(entry, range(1, 251)))
    filer = Filer(folder, ledger, KEY)
    assert filer.file() == 250
    assert filer.file() == 0
    assert waiting(folder) == 0
    assert ids(rows(ledger)) == list(range(1, 251))
    first = rows(ledger)[0]
    assert first["criteria"]["night-pain"]["evidence"] == ["Observation/ä|1"]
    assert first["cards"][0]["criteria"] == ["night-pain"]


def test_what_was_committed_before_a_crash_is_not_filed_again(folder: Path, ledger: Ledger):
    """The death of a worker between the commit and the end of the segment."""
    spooled(folder, entry(1), entry(2))
    (segment,) = folder.glob("*.ndjson")
    kept = segment.read_bytes()
    Filer(folder, ledger, KEY).file()
    segment.write_bytes(kept + line(entry(3)) + line(entry(3)))
    assert Filer(folder, ledger, KEY).file() == 1
    assert ids(rows(ledger)) == [1, 2, 3]


def test_a_line_that_was_not_finished_was_no_answer(folder: Path, ledger: Ledger):
    spooled(folder, entry(1), line(entry(2))[:-9])
    assert Filer(folder, ledger, KEY).file() == 1
    assert not (folder / ASIDE).exists()


@pytest.mark.parametrize(
    "bad",
    [b"no json\n", b'{"id": 5}\n', b"\xff\n", line(entry(9, hook="x" * 50_000)), line(entry(9, cards=entry(1).cards))],
    ids=["text", "shape", "bytes", "long", "card of another"],
)
def test_a_row_that_no_ledger_takes_keeps_no_other_back(folder: Path, ledger: Ledger, bad: bytes, request: Any):
    spooled(folder, entry(1), bad, entry(2))
    Filer(folder, ledger, KEY).file()
    is_taken = "long" in request.node.name and ledger.url.get_backend_name() == "sqlite"
    assert ids(rows(ledger)) == ([1, 9, 2] if is_taken else [1, 2])
    assert is_taken or (folder / ASIDE).read_bytes().strip() == bad.strip()
    assert waiting(folder) == 0


def test_lines_put_aside_are_told_of_as_long_as_they_are_there(
    folder: Path,
    ledger: Ledger,
    alarms: Alarms,  # noqa: F811
):
    minutes = iter((0.0, 60.0, 120.0))
    rounds = Rounds(folder, Filer(folder, ledger, KEY), lambda: next(minutes))
    spooled(folder, b"{\n")
    rounds.file()
    rounds.file()
    (folder / ASIDE).unlink()
    rounds.file()
    assert [alarm["alarm"] for alarm in alarms] == ["audit-rows-aside"] * 2


def test_while_the_ledger_is_away_rows_wait(tmp_path: Path, folder: Path):
    url = f"sqlite:///{tmp_path}/ledger.sqlite3"
    ledger = open_ledger(url)
    spooled(folder, entry(1))
    filer = Filer(folder, ledger, KEY)
    with pytest.raises(Exception, match="cannot be stored"):
        filer.file()
    assert waiting(folder) > 0
    migrate(url)
    assert filer.file() == 1
    assert waiting(folder) == 0
    ledger.close()


def test_two_servers_of_one_ledger_make_one_chain(tmp_path: Path, ledger: Ledger, database_url: str):
    """Each has its own spool; their transactions meet."""
    folders = [tmp_path / "a", tmp_path / "b", tmp_path / "c"]
    for index, each in enumerate(folders):
        each.mkdir()
        for part in range(8):
            spooled(each, *(entry(index * 1000 + part * 10 + number) for number in range(10)))

    def file(each: Path) -> int:
        with closing(open_ledger(database_url, patience=20)) as own:
            return Filer(each, own, KEY).file()

    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(file, folders)) == [80] * 3
    assert [row["position"] for row in rows(ledger)] == list(range(1, 241))
    assert [day.broken for day in checked(ledger)] == [()]


def test_the_time_of_a_row_is_kept_on_both_databases(folder: Path, ledger: Ledger):
    spooled(folder, entry(1, at="2026-11-20T23:59:59+00:00"), entry(2, at="2026-11-21T00:00:00+00:00"))
    Filer(folder, ledger, KEY).file()
    assert [(row["day"], row["at"], row["position"]) for row in rows(ledger)] == [
        ("2026-11-20", "2026-11-20T23:59:59Z", 1),
        ("2026-11-21", "2026-11-21T00:00:00Z", 1),
    ]


# --- the chain -----------------------------------------------------------------------------------------


def checked(ledger: Ledger, key: bytes = KEY) -> list[DayChecked]:
    with ledger.read() as connection:
        return list(check(connection, key))


def filed(folder: Path, ledger: Ledger) -> None:
    for day in ("2026-11-19", DAY):
        offset = 100 if day == DAY else 0
        spooled(folder, *(entry(offset + number, day) for number in range(1, 6)))
    Filer(folder, ledger, KEY).file()


def test_a_chain_that_nobody_touched_is_whole(folder: Path, ledger: Ledger):
    filed(folder, ledger)
    days = checked(ledger)
    assert [(day.day, day.rows, day.broken) for day in days] == [("2026-11-19", 5, ()), (DAY, 5, ())]
    assert len({day.head for day in days}) == 2


def by_hand(url: str, *statements: str) -> None:
    """As somebody with all rights would do it, past the refusal of changes."""
    engine = open_engine(url)
    drop = "DROP TRIGGER {0}_stays" + (" ON {0}" if "postgresql" in url else "")
    with engine.begin() as connection:
        for table in ('"call"', '"card"'):
            connection.execute(text(drop.format(table).replace('"call"_', "call_").replace('"card"_', "card_")))
        for statement in statements:
            connection.execute(text(statement))
    engine.dispose()


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE call SET status = 400 WHERE id LIKE '%103'",
        "UPDATE call SET criteria = '{}' WHERE id LIKE '%103'",
        "UPDATE call SET patient_key = 'somebody' WHERE id LIKE '%103'",
        "UPDATE call SET latency_ms = 1.26 WHERE id LIKE '%103'",
        "UPDATE call SET at = '2026-11-20 12:00:01' WHERE id LIKE '%103'",
        "UPDATE card SET evidence = 'other' WHERE call_id LIKE '%103'",
        "DELETE FROM card WHERE call_id LIKE '%103'",
        "DELETE FROM call WHERE id LIKE '%102'",
    ],
)
def test_a_changed_row_is_found(folder: Path, ledger: Ledger, database_url: str, change: str):
    filed(folder, ledger)
    by_hand(database_url, change)
    before, changed = checked(ledger)
    assert before.broken == ()
    assert ids([{"id": id_} for id_ in changed.broken]) == [103]


def test_two_rows_that_changed_places_are_found(folder: Path, ledger: Ledger, database_url: str):
    filed(folder, ledger)
    by_hand(
        database_url,
        "UPDATE call SET position = 99 WHERE id LIKE '%102'",
        "UPDATE call SET position = 2 WHERE id LIKE '%103'",
        "UPDATE call SET position = 3 WHERE id LIKE '%102'",
    )
    assert checked(ledger)[1].broken


def test_without_the_key_nobody_can_make_a_chain(folder: Path, ledger: Ledger):
    filed(folder, ledger)
    assert [len(day.broken) for day in checked(ledger, b"another")] == [5, 5]


def test_a_day_that_is_to_be_forgotten_is_not_judged(folder: Path, ledger: Ledger, database_url: str):
    filed(folder, ledger)
    by_hand(database_url, "DELETE FROM call WHERE id LIKE '%001'")
    with ledger.read() as connection:
        assert [day.day for day in check(connection, KEY, DAY)] == [DAY]


@pytest.mark.parametrize("table", ["call", "card", "stored_input", "feedback", "change"])
def test_rows_are_never_changed(folder: Path, ledger: Ledger, database_url: str, table: str):
    """The database itself refuses, whoever asks."""
    spooled(folder, entry(1, input=b"{}"))
    Filer(folder, ledger, KEY).file()
    columns = {"call": "status = 1", "card": "indicator = ''", "stored_input": "body = ''"}
    with ledger.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO feedback (digest, received, issuer, service, card, outcome, outcome_at, suggestions,"
                " reason_code, reason_system, reason_display, comment) VALUES ('d', '2026-11-20 12:00:00', '', '', '',"
                " '', '2026-11-20 12:00:00', '[]', '', '', '', '')"
            )
        )
        connection.execute(
            text(
                "INSERT INTO change (at, who, why, issuer, criterion, state, digest)"
                " VALUES ('2026-11-20 12:00:00', '', '', '', '', '', 'd')"
            )
        )
    column = columns.get(table, "digest = 'other'")
    engine = open_engine(database_url)
    with pytest.raises(DBAPIError, match="never changed"), engine.begin() as connection:
        connection.execute(text(f"UPDATE {table} SET {column}"))
    engine.dispose()


# --- inputs --------------------------------------------------------------------------------------------


def test_inputs_are_not_kept_unless_asked_for(tmp_path: Path):
    kept = Kept(tmp_path)
    kept.post(call("patient-view", condition("cauda-equina-syndrome")))
    assert stored(kept) == []


def test_a_stored_input_has_no_token(tmp_path: Path):
    kept = Kept(tmp_path, settings=Settings(audit=AuditOptions(store_input=True)))
    request = call("patient-view", condition("cauda-equina-syndrome"))
    authorization = {"access_token": "secret-token", "token_type": "Bearer", "scope": "patient/*.read"}
    kept.post(request | {"fhirServer": "https://ehr.example.org/fhir", "fhirAuthorization": authorization})
    kept.post(b"{", path="/cds-services/back-pain-patient-view")
    (body,) = stored(kept)
    kept_request = json.loads(body)
    assert "fhirAuthorization" not in kept_request
    assert b"secret-token" not in body
    assert kept_request["prefetch"] == request["prefetch"]
    assert kept_request["context"] == request["context"]


def stored(kept: Kept) -> list[bytes]:
    kept.file()
    with kept.ledger() as ledger, ledger.read() as connection:
        return [zlib.decompress(body) for body in connection.scalars(select(stored_input.c.body))]
