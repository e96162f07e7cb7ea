"""Each token is good for one call: the `jti` that were used, known to all workers and after a restart (R159, row 25).

A `jti` is kept as a digest until its token cannot be used any more. SQLite in WAL mode: what was written survives the
death of every process; the loss of power may take the last moments, of tokens that live for minutes.
"""

import hashlib
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hooks import rate

LOCK_SECONDS = 2.0
FILE = "trust.sqlite3"

_SETTINGS = "PRAGMA journal_mode = WAL", "PRAGMA synchronous = NORMAL"
_SCHEMA = "CREATE TABLE IF NOT EXISTS used (token BLOB PRIMARY KEY, until REAL NOT NULL) WITHOUT ROWID"
_INDEX = "CREATE INDEX IF NOT EXISTS used_until ON used (until)"
_TRIED = "CREATE TABLE IF NOT EXISTS tried (id INTEGER PRIMARY KEY, at INTEGER NOT NULL)"
_ENOUGH = 100  # rows forgotten at once, so that no call waits for a long backlog


def open_store(folder: Path) -> sqlite3.Connection:
    """What the workers of one server know together. Raises sqlite3.Error when it cannot be used."""
    store = sqlite3.connect(folder / FILE, timeout=LOCK_SECONDS, isolation_level=None)
    try:
        for statement in (*_SETTINGS, _SCHEMA, _INDEX, _TRIED, rate.SCHEMA):
            store.execute(statement)
    except sqlite3.Error:
        store.close()
        raise
    return store


def write_to_store(folder: Path) -> None:
    """Find out whether anything can be kept. Raises sqlite3.Error."""
    store = open_store(folder)
    try:
        store.execute("REPLACE INTO tried VALUES (1, unixepoch())")
    finally:
        store.close()


@contextmanager
def transaction(store: sqlite3.Connection) -> Iterator[None]:
    """All or nothing, and nobody else meanwhile."""
    store.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        store.execute("ROLLBACK")
        raise
    store.execute("COMMIT")


def use(store: sqlite3.Connection, issuer: str, jti: str, until: float, now: float) -> bool:
    """Note that a token is used; False when it was before. until: when it will have expired (seconds)."""
    store.execute(
        "DELETE FROM used WHERE token IN (SELECT token FROM used WHERE until < ? ORDER BY until LIMIT ?)",
        (now, _ENOUGH),
    )
    token = hashlib.sha256(f"{len(issuer)} {issuer} {jti}".encode()).digest()
    return store.execute("INSERT OR IGNORE INTO used VALUES (?, ?)", (token, until)).rowcount == 1
