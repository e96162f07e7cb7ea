"""Promise P11 in small: `python -m tests.crash --kills 200` has it in full size, for both databases."""

from pathlib import Path

from hooks.ledger.database import sqlite_url
from tests.crash import crash
from tests.postgres_rig import Postgres


def test_p11_sqlite(tmp_path: Path):
    found, _ = crash(2, tmp_path, sqlite_url(tmp_path / "ledger.sqlite3"))
    assert found.acknowledged > 0
    assert found.is_well, found


def test_p11_postgresql(tmp_path: Path, postgres: Postgres):
    found, _ = crash(4, tmp_path, postgres.emptied(), postgres)
    assert found.acknowledged > 0
    assert found.is_well, found
