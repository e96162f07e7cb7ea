"""The tables move from release to release: forward only, once, whoever comes first (reliability.md, row 36)."""

from importlib.resources import as_file, files

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, text

from hooks.errors import SettingsError
from hooks.ledger.database import open_ledger, revision

PATIENCE_SECONDS = 60.0
"""How long one server waits while another one moves the tables."""

_LOCK = 0x6261636B  # any number that nobody else uses in the database


def migrate(url: str) -> str:
    """Bring the database up to date, and make it when it is not there; its revision before, "" for none.

    Raises LedgerUnavailable, and SettingsError for tables of a newer release.
    """
    ledger = open_ledger(url, PATIENCE_SECONDS, create=True)
    try:
        with ledger.upgrading() as engine:
            return upgrade(engine)
    finally:
        ledger.close()


def upgrade(engine: Engine) -> str:
    """The same for an engine at hand. All in one transaction, so that a crash leaves the tables as they were."""
    with engine.begin() as connection:
        if connection.dialect.name == "postgresql":  # SQLite has its lock from the beginning of the transaction
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
        before = revision(connection)
        with as_file(files("hooks.ledger") / "migrations") as folder:
            config = Config()
            config.set_main_option("script_location", str(folder))
            config.attributes["connection"] = connection
            _check_known(before, config)
            command.upgrade(config, "head")
    return before or ""


def _check_known(found: str | None, config: Config) -> None:
    scripts = ScriptDirectory.from_config(config)
    known = [script.revision for script in scripts.walk_revisions()]
    if found and found not in known:
        raise SettingsError(
            f"database_url: the tables are of revision {found}, which this release does not know (it goes up to "
            f"{known[0]}): a newer release made them. It should be that release, or a backup from before"
        )
