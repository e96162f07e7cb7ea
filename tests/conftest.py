"""What every test shares: how Hypothesis looks for counterexamples, and the databases."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from playwright.sync_api import Browser

from hooks.ledger.database import sqlite_url
from tests.browser_rig import chromium
from tests.postgres_rig import Postgres, postgres_server

# A shared, slow machine is no counterexample; a failure prints what reproduces it. A change is judged by the same
# examples wherever that is; new ones are looked for with ARGS=--hypothesis-profile=search.
SLOW = [HealthCheck.too_slow]
settings.register_profile("search", deadline=None, print_blob=True, suppress_health_check=SLOW)
settings.register_profile("backpain-cds", settings.get_profile("search"), derandomize=True)
settings.load_profile("backpain-cds")


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """One PostgreSQL server for all tests: each takes a database of its own."""
    with postgres_server() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database of either kind."""
    if request.param == "sqlite":
        return sqlite_url(tmp_path / "ledger.sqlite3")
    return request.getfixturevalue("postgres").emptied()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Headless Chromium."""
    with chromium() as launched:
        yield launched
