"""An audit in tests: of an application in this process, or of a server's ledger from outside."""

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from werkzeug.test import TestResponse

from hooks.app import App, create_app
from hooks.audit.filing import Filer
from hooks.audit.identifiers import make_key
from hooks.audit.query import Question, Row, find
from hooks.audit.setup import identifiers_of
from hooks.audit.spool import FOLDER, Spool
from hooks.audit.trail import Audit
from hooks.auth import ADMISSION, Admission
from hooks.clients import Client
from hooks.ledger.database import Ledger, open_ledger, sqlite_url
from hooks.ledger.migrate import migrate
from hooks.settings import Settings
from tests.records import AT, knowledge
from tests.service_rig import JSON, path_of

RELEASE = "9.9.9"


@cache
def _application(settings: Settings) -> tuple[App, list[datetime]]:
    """And its clock. One at a time has an audit, for making one takes longer than most tests."""
    clock = [AT]
    return create_app(settings, knowledge(), clock=lambda: clock[0]), clock


class Kept:
    """An application with an audit. What it keeps is filed when a test says so."""

    def __init__(self, folder: Path, url: str = "", settings: Settings | None = None, at: datetime = AT) -> None:
        self.settings = settings or Settings()
        self.folder = folder
        (folder / FOLDER).mkdir(exist_ok=True)
        make_key(folder)
        self.identifiers = identifiers_of(self.settings, folder)
        self.url = url or sqlite_url(folder / "ledger.sqlite3")
        migrate(self.url)
        self.app, self._clock = _application(self.settings)
        self.spool = Spool(folder / FOLDER, self.settings.audit.spool_mib * 2**20)
        self.app.audit = Audit(self.spool, self.identifiers, self.app.site, RELEASE, lambda: self.at)
        self.client = self.app.test_client()
        self.at = at

    @property
    def at(self) -> datetime:
        """What the clock says."""
        return self._clock[0]

    @at.setter
    def at(self, at: datetime) -> None:
        self._clock[0] = at

    @contextmanager
    def ledger(self) -> Iterator[Ledger]:
        with closing(open_ledger(self.url)) as opened:
            yield opened

    def post(self, request: Any, issuer: str = "", tenant: str = "", path: str = "") -> TestResponse:
        """A call, of the client with that issuer where one is given."""
        body = request if isinstance(request, bytes) else json.dumps(request).encode()
        path = path or path_of(request["hook"])
        admission = Admission(Client(issuer) if issuer else None, issuer=issuer, tenant=tenant)
        return self.client.post(path, data=body, content_type=JSON, environ_overrides={ADMISSION: admission})

    def file(self) -> int:
        self.spool.turn()
        with self.ledger() as ledger:
            return Filer(self.folder / FOLDER, ledger, self.identifiers.chain_key).file()

    def rows(self) -> list[Row]:
        """All rows, in the order in which they were filed."""
        self.file()
        with self.ledger() as ledger:
            return rows(ledger)


def rows(ledger: Ledger, **question: Any) -> list[Row]:
    with ledger.read() as connection:
        return sorted(find(connection, Question(**question)), key=lambda row: (row["day"], row["position"]))
