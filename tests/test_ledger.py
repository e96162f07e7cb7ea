"""The ledger on both databases: transactions, instants, migrations, retention, and what goes wrong (rows 34 to 36)."""

import os
import resource
import sqlite3
import subprocess
import sys
import tracemalloc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta, timezone
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import delete, func, select, text

from hooks.errors import LedgerUnavailable, SettingsError
from hooks.feedback import MAX_COMMENT
from hooks.ledger.database import Ledger, insert_new, open_ledger, revision, sqlite_url
from hooks.ledger.migrate import migrate
from hooks.ledger.retention import forget
from hooks.ledger.schema import REVISION, call, card, change, feedback, metadata, stored_input
from hooks.ledger.tally import tally
from hooks.settings import Retention
from tests.feedback_rig import accepted, add_call, add_feedback, kept, ledger_at, overridden
from tests.records import AT
from tests.service_rig import ROOT

DAY = timedelta(days=1)


@pytest.fixture
def ledger(database_url: str) -> Iterator[Ledger]:
    with closing(ledger_at(database_url)) as opened:
        yield opened


def count(ledger: Ledger, table: Any) -> int:
    with ledger.read() as connection:
        return connection.scalar(select(func.count()).select_from(table))


# --- transactions ------------------------------------------------------------------------------------------


def test_a_transaction_is_all_or_nothing(ledger: Ledger):
    with pytest.raises(KeyError), ledger.begin() as connection:
        raise insert_new(connection, change, [switch("a")]) or KeyError
    assert count(ledger, change) == 0
    with ledger.begin() as connection:
        insert_new(connection, change, [switch("a"), switch("b"), switch("a")])
    with ledger.begin() as connection:
        insert_new(connection, change, [switch("b", who="other"), switch("c")])
        insert_new(connection, change, [])
    with ledger.read() as connection:
        rows = connection.execute(select(change.c.digest, change.c.who).order_by(change.c.id)).all()
    assert rows == [("a", "me"), ("b", "me"), ("c", "me")]


def switch(digest: str, who: str = "me", at: datetime = AT) -> dict[str, Any]:
    return {"at": at, "who": who, "why": "", "issuer": "", "criterion": "*", "state": "off", "digest": digest}


def test_instants_come_back_in_utc_to_the_microsecond(ledger: Ledger):
    at = datetime(2026, 3, 29, 2, 30, 0, 123_456, timezone(timedelta(hours=2)))
    with ledger.begin() as connection:
        insert_new(connection, change, [switch("a", at=at)])
    with ledger.read() as connection:
        found = connection.scalar(select(change.c.at).where(change.c.at == at))
    assert (found, found.tzinfo) == (at, UTC)


def test_an_instant_without_a_zone_is_a_mistake(ledger: Ledger):
    with pytest.raises(Exception, match="an instant has a time zone"), ledger.begin() as connection:
        insert_new(connection, change, [switch("a", at=AT.replace(tzinfo=None))])


def test_reading_and_writing_do_not_wait_for_each_other(ledger: Ledger):
    with ledger.begin() as writer:
        insert_new(writer, change, [switch("a")])
        assert count(ledger, change) == 0
    with ledger.read() as reader:
        assert reader.scalar(select(func.count()).select_from(change)) == 1
        with ledger.begin() as writer:
            insert_new(writer, change, [switch("b")])


def test_nobody_else_may_read_the_file(tmp_path: Path):
    """Nor what SQLite puts beside it."""
    before = os.umask(0o022)
    try:
        with closing(ledger_at(sqlite_url(tmp_path / "l"))) as ledger:
            add_feedback(ledger, overridden(overrideReason={"userComment": "about a patient"}))
            modes = {file.name: file.stat().st_mode & 0o777 for file in tmp_path.iterdir()}
    finally:
        os.umask(before)
    assert modes == dict.fromkeys(("l", "l-wal", "l-shm"), 0o600)


def test_sqlite_writes_through(tmp_path: Path):
    with closing(ledger_at(sqlite_url(tmp_path / "l"))) as ledger, ledger.read() as connection:
        found = [connection.scalar(text(f"PRAGMA {name}")) for name in ("journal_mode", "synchronous", "foreign_keys")]
    assert found == ["wal", 2, 1]


def test_postgresql_waits_for_its_log_and_not_for_ever(postgres):
    with closing(ledger_at(postgres.emptied())) as ledger, ledger.read() as connection:
        names = ("synchronous_commit", "statement_timeout", "lock_timeout")
        assert [connection.scalar(text(f"SHOW {name}")) for name in names] == ["on", "2s", "2s"]
        with pytest.raises(LedgerUnavailable), ledger.read() as other:
            other.execute(text("SELECT pg_sleep(10)"))


# --- migrations --------------------------------------------------------------------------------------------


def test_migrations_make_the_tables_of_the_schema(ledger: Ledger):
    with ledger.read() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, metadata) == []
        assert revision(connection) == REVISION


def test_migrating_twice_changes_nothing(database_url: str):
    assert [migrate(database_url) for _ in range(3)] == ["", REVISION, REVISION]


def test_servers_that_start_at_once_migrate_once(database_url: str):
    with ThreadPoolExecutor(4) as pool:
        before = list(pool.map(migrate, [database_url] * 4))
    assert sorted(before) == ["", REVISION, REVISION, REVISION]


def test_tables_of_a_newer_release_are_refused_and_left_alone(ledger: Ledger, database_url: str):
    with ledger.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(SettingsError, match="9999, which this release does not know"):
        migrate(database_url)
    with closing(open_ledger(database_url)) as fresh:
        for use in (fresh.begin, fresh.read):
            with pytest.raises(LedgerUnavailable) as unavailable, use():
                pass
            assert unavailable.value.reason == "ledger-schema"


def test_who_writes_first_makes_the_tables_where_the_start_could_not(postgres):
    with closing(open_ledger(postgres.emptied())) as ledger:
        with pytest.raises(LedgerUnavailable), ledger.read():
            pass
        with ledger.begin() as connection:
            insert_new(connection, change, [switch("a")])
        assert count(ledger, change) == 1


# --- retention ---------------------------------------------------------------------------------------------


def test_row_34_what_is_kept_long_enough_goes_by_kind(ledger: Ledger):
    """`AT` is the last day that is kept whole; more than one transaction's worth is older."""
    now, old = AT + 10 * DAY, AT - 1 * DAY
    for at in (old, AT):
        shown = add_call(ledger, "night-pain", at=at)
        with ledger.begin() as connection:
            call_id = connection.scalar(select(card.c.call_id).where(card.c.uuid == shown))
            insert_new(connection, stored_input, [{"call_id": call_id, "body": b"x"}])
            insert_new(connection, change, [switch(shown, at=at)])
    for first in range(0, 1200, 100):
        add_feedback(ledger, *(overridden(f"old {first + each}") for each in range(100)), received=old)
    add_feedback(ledger, overridden("new"), received=AT)
    assert forget(ledger, Retention(feedback_days=11, audit_days=11), now) == {"call": 0, "feedback": 0}
    assert forget(ledger, Retention(feedback_days=11, audit_days=10), now) == {"call": 1, "feedback": 0}
    assert [count(ledger, table) for table in (call, card, stored_input, change)] == [1, 1, 1, 2]
    assert forget(ledger, Retention(feedback_days=10, audit_days=10), now) == {"call": 0, "feedback": 1200}
    assert [row.card for row in kept(ledger)] == ["new"]


def test_whole_days_go(ledger: Ledger):
    midnight = datetime(2026, 11, 20, tzinfo=UTC)
    for at in (midnight - timedelta(microseconds=1), midnight, midnight + DAY / 2):
        add_feedback(ledger, overridden(str(at)), received=at)
    for now, left in ((midnight + DAY - timedelta(seconds=1), 3), (midnight + DAY, 2), (midnight + 2 * DAY, 0)):
        forget(ledger, Retention(feedback_days=1), now)
        assert len(kept(ledger)) == left


def test_a_worker_leaves_alone_what_another_one_is_deleting(postgres):
    with closing(ledger_at(postgres.emptied())) as ledger:
        add_feedback(ledger, *(overridden(name) for name in ("a", "b", "c")), received=AT)
        with ledger.begin() as other:
            other.execute(delete(feedback).where(feedback.c.card == "b"))
            gone = forget(ledger, Retention(feedback_days=1), AT + 3 * DAY)
        assert (gone["feedback"], kept(ledger)) == (2, [])


# --- what is counted ---------------------------------------------------------------------------------------


def test_figures_do_not_keep_the_comments(ledger: Ledger):
    octets = 0
    for first in range(0, 1000, 100):
        comments = [f"{first + each} {'x' * (MAX_COMMENT - 10)}" for each in range(100)]
        add_feedback(ledger, *(overridden(add_call(ledger, "night-pain"), overrideReason={"userComment": each})
                               for each in comments))  # fmt: skip
        octets += sum(map(len, comments))
    tally(ledger, None, None)  # once, so that what is kept for every later question is there
    tracemalloc.start()
    try:
        found = tally(ledger, None, None)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert found.criteria["night-pain"].reasons == {"comment only": 1000}
    assert peak < octets / 2


# --- what goes wrong ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    ["", "S3cret", "mysql://me:S3cret@host/db", "sqlite://", "postgresql://me:S3cret@host:port/db", "http://S3cret"],
)
def test_what_is_no_url_of_a_database_is_refused_without_repeating_it(url: str):
    with pytest.raises(SettingsError, match="database_url") as refused:
        open_ledger(url)
    assert "S3cret" not in str(refused.value)


def test_a_password_is_never_shown():
    with closing(open_ledger("postgresql://me:S3cret@127.0.0.1:1/db")) as ledger:
        assert str(ledger) == "postgresql+psycopg://me:***@127.0.0.1:1/db"
        with pytest.raises(LedgerUnavailable) as unavailable, ledger.begin():
            pass
    assert "S3cret" not in f"{unavailable.value!r} {unavailable.value.cause}"


def test_a_file_that_is_no_database(tmp_path: Path):
    (tmp_path / "l").write_bytes(b"no database" * 500)
    with pytest.raises(LedgerUnavailable):
        migrate(sqlite_url(tmp_path / "l"))


def test_a_file_that_is_gone_is_not_silently_replaced(tmp_path: Path):
    with closing(ledger_at(sqlite_url(tmp_path / "l"))) as ledger:
        (tmp_path / "l").rename(tmp_path / "away")
        with pytest.raises(LedgerUnavailable):
            add_feedback(ledger, accepted())
    assert not (tmp_path / "l").exists()


@contextmanager
def files_up_to(octets: int) -> Iterator[None]:
    """As on a disk that is full then."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (octets, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def is_taken(ledger: Ledger, number: int) -> bool:
    """Whether a batch of fifty is."""
    try:
        add_feedback(ledger, *(accepted(f"{number}-{each}") for each in range(50)))
    except LedgerUnavailable:
        return False
    return True


def test_row_36_a_full_disk_takes_whole_batches_or_none(tmp_path: Path):
    file = tmp_path / "l"
    with closing(ledger_at(sqlite_url(file))) as ledger:
        with files_up_to(file.stat().st_size + 256 * 1024):
            taken = sum(map(partial(is_taken, ledger), range(40)))
        assert 0 < taken < 40
        assert len(kept(ledger)) == 50 * taken
        add_feedback(ledger, accepted("there is room again"))
        assert len(kept(ledger)) == 50 * taken + 1
        with ledger.read() as connection:
            assert connection.scalar(text("PRAGMA integrity_check")) == "ok"


_AS_NOBODY = """
import os, sys
from hooks.errors import LedgerUnavailable
from hooks.ledger.database import open_ledger
ledger = open_ledger(sys.argv[1])
if os.geteuid() == 0:
    os.setgroups([]); os.setgid(65534); os.setuid(65534)
try:
    with ledger.begin():
        print("taken")
except LedgerUnavailable as unavailable:
    print(unavailable.reason)
"""


def test_row_36_a_file_that_may_only_be_read(tmp_path: Path):
    with closing(ledger_at(sqlite_url(tmp_path / "l"))):
        pass
    for place in (*tmp_path.iterdir(), tmp_path):
        place.chmod(0o555)
    for parent in tmp_path.parents[:3]:
        parent.chmod(parent.stat().st_mode | 0o055)
    done = subprocess.run(
        [sys.executable, "-c", _AS_NOBODY, sqlite_url(tmp_path / "l")],
        capture_output=True, text=True, cwd="/", env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    tmp_path.chmod(0o755)
    assert (done.stdout, done.stderr) == ("ledger-database\n", "")


def test_row_36_a_lock_that_is_held_is_waited_for_and_then_given_up(tmp_path: Path):
    url = sqlite_url(tmp_path / "l")
    with closing(ledger_at(url)), closing(sqlite3.connect(tmp_path / "l", isolation_level=None)) as holder:
        holder.execute("BEGIN IMMEDIATE")
        with closing(open_ledger(url, patience=0.05)) as impatient:
            with pytest.raises(LedgerUnavailable) as unavailable:
                add_feedback(impatient, accepted())
            assert "locked" in unavailable.value.cause
            holder.execute("ROLLBACK")
            add_feedback(impatient, accepted())


def test_postgresql_is_found_again_after_it_was_killed(postgres):
    with closing(ledger_at(postgres.emptied())) as ledger:
        add_feedback(ledger, accepted("before"))
        postgres.kill()
        try:
            with pytest.raises(LedgerUnavailable):
                add_feedback(ledger, accepted("meanwhile"))
        finally:
            postgres.start()
        add_feedback(ledger, accepted("after"))
        assert [row.card for row in kept(ledger)] == ["before", "after"]
        assert count(ledger, feedback) == 2
