"""What one worker has for the form, and what the form remembers, all of it in the browser."""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import msgspec
from flask import current_app, request
from werkzeug.exceptions import ServiceUnavailable

from fhir_profiles.intake_answers import Answers, observations, questionnaire_response
from fhir_profiles.record import Gathered
from hooks.audit.identifiers import LEAST_KEY
from hooks.clients import LOOPBACK
from hooks.errors import Unavailable
from hooks.fetch import Fetcher
from hooks.fhir_client import FhirClient
from hooks.intake.options import IntakeServer
from hooks.intake.record import READ_SECONDS, Access, read_record
from hooks.intake.sealed import Cookies, Sealer, kept
from hooks.intake.writing import Outcome, write_answers
from hooks.log import log_event
from hooks.pipeline import Site
from hooks.respond import instant

LOGIN_SECONDS = 600
SESSION_SECONDS = 3600
SHEET_SECONDS = 12 * 3600
SESSION, WAITING = "intake", "intake-answers"
"""Names of cookies: of who is signed in to a page, and of answers that wait until somebody is again."""
PAGES = "/intake/s/"


class Login(msgspec.Struct):
    """A sign-in under way. iss: the server as the launch named it; again: the page that waits for it, if any."""

    state: str
    iss: str
    token_url: str
    verifier: str
    again: str = ""


class Session(msgspec.Struct):
    """Somebody who may see and answer one form. id: of the page; until: POSIX seconds."""

    id: str
    base: str
    patient: str
    token: str
    scope: str
    asked: str
    until: int

    @property
    def access(self) -> Access:
        return Access(self.base, self.patient, self.token, self.scope)


class Sheet(msgspec.Struct):
    """A form as it was put before somebody: it comes back with the answers, and nobody else can make one.

    form: a random id; sent: of the submission that failed, "" before any; values: as filled in, while they wait for
    somebody to sign in again.
    """

    session: str
    form: str
    base: str
    patient: str
    who: str
    links: list[str]
    remarks: dict[str, str]
    sent: str = ""
    values: dict[str, str] = {}


class Submitted(NamedTuple):
    """record: as it was after writing, None where it could not be read."""

    outcome: Outcome
    record: Gathered | None


class Desk:
    """key: the site's secret."""

    def __init__(self, client: FhirClient, key: bytes) -> None:
        if len(key) < LEAST_KEY:
            raise ValueError(f"key: it should have at least {LEAST_KEY} octets")
        self.client = client
        self.fetcher = Fetcher(client, READ_SECONDS)
        self.logins = Sealer(key, Login, LOGIN_SECONDS)
        self.sessions = Sealer(key, Session, SESSION_SECONDS)
        self.sheets = Sealer(key, Sheet, SHEET_SECONDS)

    def session(self, id_: str, now: datetime) -> Session | None:
        """The session of that page, None when nobody is signed in, or no longer."""
        found = self.sessions.open(kept(request.cookies, SESSION), now)
        return found if found and found.id == id_ and found.until > now.timestamp() else None

    def waiting(self, id_: str, now: datetime) -> Sheet | None:
        """The form of that page that came back for want of a sign-in, with its values."""
        found = self.sheets.open(kept(request.cookies, WAITING), now)
        return found if found and found.session == id_ else None

    def reading(self, access: Access) -> Callable[[], Awaitable[Gathered]]:
        site: Site = current_app.site
        return lambda: read_record(self.fetcher, site, access, site.settings.development)

    def submitting(
        self, access: Access, answers: Answers, submission: str, now: datetime
    ) -> Callable[[], Awaitable[Submitted]]:
        """Write the answers, then read the record that they are now part of."""
        form = current_app.site.knowledge.questionnaire
        authored, read = instant(now), self.reading(access)
        response = questionnaire_response(form, answers, access.patient, authored, submission)

        def numbers(reference: str) -> list[dict[str, Any]]:
            return observations(form, answers, access.patient, authored, submission, reference)

        async def submit() -> Submitted:
            outcome = await write_answers(self.client, access, response, numbers)
            log_event("intake", saved=len(outcome.saved), unsaved=len(outcome.unsaved), reason=outcome.reason)
            if outcome.problem:
                return Submitted(outcome, None)
            try:
                return Submitted(outcome, await read())
            except Unavailable:
                return Submitted(outcome, None)

        return submit


def the_desk() -> Desk:
    """Raises 503 where the application is not served by a worker."""
    if current_app.desk is None:
        raise ServiceUnavailable
    return current_app.desk


def own_url() -> str:
    """The URL of this service as the browser knows it; a header decides only on one's own machine."""
    settings = current_app.site.settings
    host = request.host
    if settings.development and host.rpartition(":")[0] in LOOPBACK:
        return f"http://{host}"
    return settings.public_url.rstrip("/")


def own_root() -> str:
    return urlsplit(own_url()).path


def cookies_for(path: str, server: IntakeServer | None) -> Cookies:
    """server: in the frames of whose pages they have to work."""
    return Cookies(own_root() + path, bool(server and server.embedded_in))


def usable_until(seconds: int, now: datetime) -> int:
    """A token is not used in its last seconds: it would run out on the way."""
    return int((now + timedelta(seconds=max(seconds - 10, 0))).timestamp())


def server_of(base: str) -> IntakeServer | None:
    return current_app.site.settings.intake.server(base)
