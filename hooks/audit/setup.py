"""The audit of one server: its folder and key before the workers start, one spool and one filing thread in each."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from threading import Event, Thread

from sqlalchemy.exc import SQLAlchemyError

from hooks.audit.filing import Filer
from hooks.audit.identifiers import Identifiers, load_key, make_key
from hooks.audit.spool import FOLDER, Spool
from hooks.audit.trail import Alarm, Audit
from hooks.errors import LedgerUnavailable, SettingsError
from hooks.ledger.database import Ledger, ledger_url, open_ledger
from hooks.log import log_alarm
from hooks.pipeline import Site
from hooks.settings import Settings

FILING_SECONDS = 1.0
"""How long a row waits before it is filed, when the ledger is there."""


@contextmanager
def kept_audit(settings: Settings, folder: Path) -> Iterator[None]:
    """What has to be there while workers run, and after the last one what they left is filed.

    folder: what the workers share. Raises SettingsError where nothing can be kept.
    """
    try:
        (folder / FOLDER).mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise SettingsError(f"data_dir: {folder / FOLDER}: {error.strerror}; it should be writable") from None
    make_key(folder)
    identifiers_of(settings, folder)
    try:
        yield
    finally:
        _file_rest(settings, folder)


def identifiers_of(settings: Settings, folder: Path) -> Identifiers:
    """How this site names users and patients. Raises SettingsError without a usable key."""
    return Identifiers(load_key(folder), plain=settings.audit.identifiers == "plain")


def open_audit(site: Site, folder: Path, release: str, clock: Callable[[], datetime], ledger: Ledger) -> Audit:
    """The audit of one worker, which files what it keeps from now on. Raises SettingsError without a usable key."""
    settings = site.settings
    identifiers = identifiers_of(settings, folder)
    spool = Spool(folder / FOLDER, settings.audit.spool_mib * 2**20)
    filer = Filer(folder / FOLDER, ledger, identifiers.chain_key)
    FilingThread(spool, filer, FILING_SECONDS).start()
    return Audit(spool, identifiers, site, release, clock)


def _file_rest(settings: Settings, folder: Path) -> None:
    """What cannot be filed now waits for the next start."""
    ledger = open_ledger(ledger_url(settings, folder))
    try:
        Filer(folder / FOLDER, ledger, identifiers_of(settings, folder).chain_key).file()
    except (LedgerUnavailable, SQLAlchemyError, OSError, SettingsError) as error:
        log_alarm("audit-not-filed", error=type(error).__name__)
    finally:
        ledger.close()


class FilingThread(Thread):
    """Files a worker's rows, and those that others left; whoever comes first does it for all."""

    def __init__(self, spool: Spool, filer: Filer, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(name="audit", daemon=True)
        self._spool = spool
        self._filer = filer
        self._seconds = seconds
        self._ended = Event()
        self._alarm = Alarm("audit-not-filed", clock)
        self._aside = Alarm("audit-rows-aside", clock)

    def run(self) -> None:
        while not self._ended.wait(self._seconds):
            self.file()

    def end(self) -> None:
        """Stop after the round at hand."""
        self._ended.set()

    def file(self) -> None:
        """One round. Whatever is wrong is told in the log, and the next round tries again."""
        try:
            self._spool.turn()
            self._filer.file()
        except (LedgerUnavailable, SQLAlchemyError, OSError) as error:
            self._alarm.sound(error=type(error).__name__, waiting=self._waiting())
        if self._filer.aside:
            self._aside.sound(rows=self._filer.aside)

    def _waiting(self) -> int | None:
        try:
            return self._spool.measure()
        except OSError:
            return None
