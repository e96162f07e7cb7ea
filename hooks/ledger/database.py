"""The ledger's database: SQLite in a file of its own, or PostgreSQL by URL (reliability.md, rows 35 and 36).

What was committed is there after a crash: SQLite writes through (WAL, synchronous FULL), PostgreSQL waits for its log.
Whatever is wrong with the database is a LedgerUnavailable, within seconds, so that nobody waits for it for long.
"""

import logging
import os
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import msgspec
from sqlalchemy import URL, Connection, Engine, Table, create_engine, event, make_url, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import ArgumentError, DataError, DBAPIError, DisconnectionError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import QueuePool

from hooks.errors import LedgerUnavailable, SettingsError
from hooks.ledger.schema import REVISION

if TYPE_CHECKING:
    from hooks.settings import Settings

URL_VARIABLE = "BACKPAIN_CDS_DATABASE_URL"
FILE = "ledger.sqlite3"
PATIENCE_SECONDS = 2.0
"""How long a call waits for a connection, for a lock, and for one statement."""

_PRAGMAS = ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON", "secure_delete = ON")
_JSON = {"json_serializer": lambda value: msgspec.json.encode(value).decode(), "json_deserializer": msgspec.json.decode}
logging.getLogger("sqlalchemy.engine").setLevel(logging.WARNING)  # below, it writes out every row that it reads

_OF_THE_CALLER = (IntegrityError, DataError)  # a row that cannot be: the database is well


class Ledger:
    """The database as one process sees it: threads may share it, processes may not. Connects when it is first used."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._reading = engine.execution_options(only_reads=True)
        self._is_current = False

    @property
    def url(self) -> URL:
        """Where it is."""
        return self._engine.url

    def __str__(self) -> str:
        """Its URL without the password."""
        return self._engine.url.render_as_string(hide_password=True)

    @contextmanager
    def begin(self) -> Iterator[Connection]:
        """One transaction that may write: committed when the block ends well, and else nothing of it happened.

        Raises LedgerUnavailable; when that comes from the commit itself, the rows may be there all the same.
        """
        with _told_as_unavailable():
            if not self._is_current:
                self._bring_up_to_date()
            with self._engine.begin() as connection:
                yield connection

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """One transaction that only reads; it neither waits for those that write nor keeps them waiting."""
        with _told_as_unavailable(), self._reading.connect() as connection:
            if not self._is_current:
                self._check_revision(connection)
            yield connection

    @contextmanager
    def upgrading(self) -> Iterator[Engine]:
        """What migrations run on; raises LedgerUnavailable as everything here does."""
        with _told_as_unavailable():
            yield self._engine

    def close(self) -> None:
        """Let go of every connection; the next use connects anew."""
        self._engine.dispose()

    def _bring_up_to_date(self) -> None:
        """Where the start could not, because the database was away then."""
        with self._engine.connect() as connection:
            self._is_current = revision(connection) == REVISION
        if not self._is_current:
            from hooks.ledger.migrate import upgrade  # Alembic takes long to import and is hardly ever needed here

            try:
                upgrade(self._engine)
            except SettingsError as error:  # of a newer release
                raise LedgerUnavailable("schema", str(error)) from None
            self._is_current = True

    def _check_revision(self, connection: Connection) -> None:
        found = revision(connection)
        if found != REVISION:
            raise LedgerUnavailable("schema", f"its tables are of revision {found or 'none'}, wanted is {REVISION}")
        self._is_current = True


def open_ledger(url: str, patience: float = PATIENCE_SECONDS, create: bool = False) -> Ledger:
    """The ledger at `sqlite:////absolute/file` or `postgresql://user:password@host/database`.

    patience: seconds for a connection, a lock, a statement. create: make the file of SQLite when there is none.
    Raises SettingsError for a URL that cannot be one; whether anybody is there shows when it is used.
    """
    return Ledger(open_engine(url, patience, create))


def open_engine(url: str, patience: float = PATIENCE_SECONDS, create: bool = False) -> Engine:
    """What `open_ledger` rests on."""
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise SettingsError(_not_a_url()) from None
    if parsed.get_backend_name() == "sqlite" and parsed.database:
        return _sqlite(parsed, patience, create)
    if parsed.get_backend_name() == "postgresql":
        return _postgresql(parsed.set(drivername="postgresql+psycopg"), patience)
    raise SettingsError(_not_a_url())


def ledger_url(settings: "Settings", folder: Path, environ: Mapping[str, str] = os.environ) -> str:
    """Where a site's ledger is: the environment, the configuration, else a file in `folder`."""
    return environ.get(URL_VARIABLE) or settings.database_url or sqlite_url(folder / FILE)


def sqlite_url(file: Path) -> str:
    """The URL of a file."""
    return f"sqlite:///{file.absolute()}"


def insert_new(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Add rows; one that is there already, by any of its keys, stays as it is."""
    if rows:
        insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
        connection.execute(insert(table).on_conflict_do_nothing(), list(rows))


def revision(connection: Connection) -> str | None:
    """The revision of the tables that are there; None where there are none."""
    if not connection.dialect.has_table(connection, "alembic_version"):
        return None
    return connection.scalar(text("SELECT version_num FROM alembic_version"))


@contextmanager
def _told_as_unavailable() -> Iterator[None]:
    try:
        yield
    except _OF_THE_CALLER:
        raise
    except DBAPIError as error:
        raise LedgerUnavailable("database", str(error.orig)) from None
    except (PoolTimeout, DisconnectionError) as error:
        raise LedgerUnavailable("connection", str(error)) from None


def _sqlite(url: URL, patience: float, create: bool) -> Engine:
    """`create`: otherwise a file that was taken away stays away, and is not silently replaced by an empty one.

    What SQLite puts beside the file is readable by whom the file is: nobody else.
    """
    file = Path(url.database or "")
    source = f"file:{quote(str(file.absolute()))}?mode={'rwc' if create else 'rw'}"

    def connect() -> sqlite3.Connection:
        if create:
            with suppress(OSError):  # it is there, or SQLite says next what is wrong
                os.close(os.open(file, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        made = sqlite3.connect(source, timeout=patience, isolation_level=None, check_same_thread=False, uri=True)
        try:
            _prepare(made, patience)
        except BaseException:
            made.close()
            raise
        return made

    engine = create_engine(
        url, creator=connect, poolclass=QueuePool, pool_size=2, pool_timeout=patience, hide_parameters=True, **_JSON
    )
    event.listen(engine, "begin", _begin)
    event.listen(engine, "connect", lambda _, record: record.info.update(file=_identity(file)))
    event.listen(engine, "checkout", lambda _, record, __: _check_identity(record, file))
    return engine


def _prepare(made: sqlite3.Connection, patience: float) -> None:
    """For the change to WAL SQLite itself does not wait, when several open a new file at once."""
    end = time.monotonic() + patience
    for pragma in _PRAGMAS:
        while True:
            try:
                made.execute(f"PRAGMA {pragma}")
                break
            except sqlite3.OperationalError as error:
                if "locked" not in str(error) or time.monotonic() >= end:
                    raise
                time.sleep(0.01)


def _begin(connection: Connection) -> None:
    """A transaction that will write takes its turn at once: one that has read first could not wait for it."""
    only_reads = connection.get_execution_options().get("only_reads", False)
    connection.exec_driver_sql("BEGIN" if only_reads else "BEGIN IMMEDIATE")


def _identity(file: Path) -> tuple[int, int] | None:
    try:
        status = file.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _check_identity(record: Any, file: Path) -> None:
    """A connection that has a moved or deleted file open could still write to it, for nobody to read."""
    if record.info["file"] != _identity(file):
        raise DisconnectionError("the file of the database is not the one that was opened")


def _postgresql(url: URL, patience: float) -> Engine:
    milliseconds = int(patience * 1000)
    options = {
        "synchronous_commit": "on",
        "statement_timeout": milliseconds,
        "lock_timeout": milliseconds,
        "idle_in_transaction_session_timeout": 10 * milliseconds,
        "timezone": "UTC",
    }
    arguments = {
        "connect_timeout": max(2, round(patience)),  # psycopg takes no less
        "options": " ".join(f"-c {name}={value}" for name, value in options.items()),
        "application_name": "backpain-cds",
        "tcp_user_timeout": 2 * milliseconds,
    }
    try:
        return create_engine(
            url,
            connect_args=arguments,
            pool_size=2,
            max_overflow=1,
            pool_timeout=patience,
            pool_pre_ping=True,
            hide_parameters=True,
            **_JSON,
        )
    except ModuleNotFoundError:
        raise SettingsError(
            "database_url: for PostgreSQL psycopg should be installed: pip install 'backpain-cds[postgresql]'"
        ) from None


def _not_a_url() -> str:
    """Without the URL: it may hold a password."""
    return (
        f"database_url (or {URL_VARIABLE}): it should be sqlite:////absolute/path/of/file or "
        "postgresql://user:password@host:5432/database"
    )
