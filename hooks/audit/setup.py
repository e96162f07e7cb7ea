"""The audit of one server: folder, key and the process that files before the workers start, a spool in each of them."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError

from hooks.audit.filing import Filer
from hooks.audit.identifiers import Identifiers, load_key, make_key
from hooks.audit.process import FilingProcess, Task
from hooks.audit.spool import FOLDER, Spool
from hooks.audit.trail import Audit
from hooks.errors import LedgerUnavailable, SettingsError
from hooks.ledger.database import ledger_url, open_ledger
from hooks.log import log_alarm
from hooks.pipeline import Site
from hooks.settings import Settings


@contextmanager
def kept_audit(settings: Settings, folder: Path) -> Iterator[FilingProcess]:
    """What has to be there while workers run, and after the last one what they left is filed.

    folder: what the workers share. Raises SettingsError where nothing can be kept.
    """
    try:
        (folder / FOLDER).mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise SettingsError(f"data_dir: {folder / FOLDER}: {error.strerror}; it should be writable") from None
    make_key(folder)
    identifiers_of(settings, folder)
    filing = FilingProcess(Task(str(folder), ledger_url(settings, folder), settings.log_level))
    try:
        yield filing
    finally:
        filing.end()
        _file_rest(settings, folder)


def identifiers_of(settings: Settings, folder: Path) -> Identifiers:
    """How this site names users and patients. Raises SettingsError without a usable key."""
    return Identifiers(load_key(folder), plain=settings.audit.identifiers == "plain")


def open_audit(site: Site, folder: Path, release: str, clock: Callable[[], datetime]) -> Audit:
    """The audit of one worker. Raises SettingsError without a usable key."""
    settings = site.settings
    spool = Spool(folder / FOLDER, settings.audit.spool_mib * 2**20)
    return Audit(spool, identifiers_of(settings, folder), site, release, clock)


def _file_rest(settings: Settings, folder: Path) -> None:
    """What cannot be filed now waits for the next start."""
    ledger = open_ledger(ledger_url(settings, folder))
    try:
        Filer(folder / FOLDER, ledger, identifiers_of(settings, folder).chain_key).file()
    except (LedgerUnavailable, SQLAlchemyError, OSError, SettingsError) as error:
        log_alarm("audit-not-filed", error=type(error).__name__)
    finally:
        ledger.close()
