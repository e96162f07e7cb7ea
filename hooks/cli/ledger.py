"""What the commands that look after the ledger have in common, and the three that only do that."""

import argparse
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import quote

from hooks.cli.site import settings_of
from hooks.cli.terminal import Terminal, Unusable
from hooks.errors import LedgerUnavailable, SettingsError
from hooks.ledger.database import URL_VARIABLE, Ledger, ledger_url, open_ledger
from hooks.ledger.migrate import PATIENCE_SECONDS, migrate
from hooks.ledger.retention import forget
from hooks.ledger.schema import REVISION
from hooks.settings import Settings


def url_of(settings: Settings) -> str:
    """Where a site's ledger is. Raises Unusable where it would be gone with the server."""
    if settings.data_dir or settings.database_url or os.environ.get(URL_VARIABLE):
        return ledger_url(settings, settings.data_dir or Path())
    raise Unusable(f"there is no ledger: the configuration should name data_dir or database_url, or {URL_VARIABLE} it")


@contextmanager
def opened(settings: Settings) -> Iterator[Ledger]:
    """The ledger of a site, with the patience of a person. What is wrong with it becomes Unusable."""
    with _explained():
        ledger = open_ledger(url_of(settings), PATIENCE_SECONDS)
        try:
            yield ledger
        finally:
            ledger.close()


def run(args: argparse.Namespace, terminal: Terminal) -> int:
    """Run `migrate`, `retention` or `backup`."""
    settings = settings_of(args.config)
    return {"migrate": _migrate, "retention": _retention, "backup": _backup}[args.command](args, settings, terminal)


def _migrate(args: argparse.Namespace, settings: Settings, terminal: Terminal) -> int:
    with _explained():
        before = migrate(url_of(settings))
    terminal.show(f"The tables are of revision {REVISION}" + (", as before." if before == REVISION else "."))
    return 0


def _retention(args: argparse.Namespace, settings: Settings, terminal: Terminal) -> int:
    with opened(settings) as ledger:
        gone = forget(ledger, settings.retention, terminal.clock())
    kept = f"kept: calls {settings.retention.audit_days} days, feedback {settings.retention.feedback_days} days"
    terminal.show(f"Deleted {gone['call']} calls with their cards and {gone['feedback']} reports ({kept}).")
    return 0


def _backup(args: argparse.Namespace, settings: Settings, terminal: Terminal) -> int:
    source = url_of(settings)
    target = Path(args.file)
    if not source.startswith("sqlite:"):
        raise Unusable("the ledger is in PostgreSQL: back it up with pg_dump or as the whole server is backed up")
    with opened(settings) as ledger, ledger.read():
        _copy(Path(ledger.url.database or ""), target)
    terminal.show(f"The ledger is in {target}.")
    return 0


def _copy(source: Path, target: Path) -> None:
    """A copy as of one instant, while the service goes on writing; whole, or not there at all."""
    part = target.with_name(f".{target.name}.part")
    try:
        part.unlink(missing_ok=True)
        os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        try:
            _fill(source, part)
            os.link(part, target)  # unlike a rename it does not replace what is there
        finally:
            part.unlink()
    except OSError as error:
        raise Unusable(f"{target} cannot be made: {error.strerror}; it should be a new file") from None
    except sqlite3.Error as error:
        raise Unusable(f"the ledger cannot be copied: {error}") from None


def _fill(source: Path, part: Path) -> None:
    address = f"file:{quote(str(source))}?mode=ro"
    with closing(sqlite3.connect(address, uri=True)) as ledger, closing(sqlite3.connect(part)) as copy:
        ledger.backup(copy)
        copy.execute("PRAGMA journal_mode = DELETE")  # one file, whatever happens to it next
        ((found,),) = copy.execute("PRAGMA integrity_check").fetchall()[:1]
    if found != "ok":
        raise Unusable("the ledger is damaged: its copy fails SQLite's integrity check")
    with part.open("rb") as file:
        os.fsync(file.fileno())


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except SettingsError as error:
        raise Unusable(str(error)) from None
    except LedgerUnavailable as error:
        raise Unusable(f"the ledger cannot be used: {error.cause}") from None
