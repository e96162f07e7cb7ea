"""The HTTP face: URLs, status codes and the log line of each call (R1, R11, R41 to R60)."""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from types import TracebackType
from typing import Any

import msgspec
from flask import Flask, Response, current_app, g, request
from werkzeug.exceptions import HTTPException, NotFound, ServiceUnavailable, UnsupportedMediaType

from cds.evaluation import CATALOGUE_VERSION
from fhir_profiles.terminology import Knowledge
from fhir_profiles.transparency import load_transparency
from hooks.alarm import Alarm
from hooks.audit.trail import Audit, Unaudited
from hooks.auth import ADMISSION, NOBODY
from hooks.clerk import FILING, Filing
from hooks.clients import Client
from hooks.cors import Origins, OuterHeaders
from hooks.counters import Counters
from hooks.criteria_pages import add_criteria
from hooks.criteria_view import View
from hooks.discovery import discovery_document
from hooks.errand import ERRAND, Errand, plan
from hooks.errors import (
    ISSUE_CODES,
    DataMissing,
    Issue,
    RequestError,
    Unauthenticated,
    operation_outcome,
)
from hooks.feedback import parse_feedback
from hooks.fhir_api import fhir_api
from hooks.fhir_package import published
from hooks.intake.blueprint import BELOW, intake
from hooks.intake.desk import Desk
from hooks.intake.pages import busy_page
from hooks.log import NOT_FETCHED, REPORTED, log_call, log_crash
from hooks.openapi import openapi_document
from hooks.pipeline import Answered, Caller, Site, answer, load_site
from hooks.random_ids import random_uuid
from hooks.readiness import Readiness
from hooks.release import release_version
from hooks.repeats import recall_for
from hooks.request import parse_request
from hooks.review import ReviewAlarm
from hooks.services import SERVICES, Service
from hooks.settings import Settings
from hooks.switchboard import Switchboard
from hooks.tracing import describe, span
from hooks.web import add_pages
from hooks.workbench.blueprint import workbench

MAX_BODY = 10 * 1024 * 1024
_ACCEPTED = frozenset(("application/json", "application/fhir+json", "application/json+fhir"))
_PRIVATE = {"Cache-Control": "no-store"}
_SAID = {
    405: "this URL does not take this method: Allow names those it takes",
    408: "the body did not arrive in time",
    413: f"the body is larger than {MAX_BODY // 2**20} MiB",
    500: "the service failed: its log has the kind of fault under the X-Request-Id of this answer",
    503: "too much is being sent at this moment: try again in a second",
}
_SERVICE_PATH = "/cds-services/"
_encode = msgspec.json.encode
_BUSY = _encode(operation_outcome((Issue(ISSUE_CODES[503], _SAID[503]),)))
_BUSY_HEADERS = [*_PRIVATE.items(), ("Content-Type", "application/fhir+json"), ("Retry-After", "1")]

Clock = Callable[[], datetime]


class App(Flask):
    """Flask, but its log of a crash holds no content: an exception's text may quote the request.

    audit: what keeps each hook call; desk: what the intake form works with; both set by whoever has a folder for them.
    """

    site: Site
    switches: Switchboard
    audit: Audit | Unaudited = Unaudited()
    readiness: Readiness
    counters: Counters
    outer: OuterHeaders
    busy: Alarm
    desk: Desk | None = None
    busy_form: Response | None = None

    def say_busy(self, origin: str | None, path: str) -> tuple[int, list[tuple[str, str]], bytes]:
        """Status, headers and body for a call that is one too many, of which nothing else is looked at.

        The log has a line a minute for all of them; the audit a row each, without caller or patient: nobody looked.
        """
        self.counters.refused()
        self.busy.sound()
        request_id = str(random_uuid())
        service_id = path.removeprefix(_SERVICE_PATH)
        if service_id in SERVICES:
            self.audit.record_busy(request_id, service_id)
        headers = self.outer.headers(request_id, origin)
        if self.busy_form and path.startswith(BELOW):  # a person has just answered questions
            return 503, [*self.busy_form.headers, *headers], self.busy_form.get_data()
        return 503, [*_BUSY_HEADERS, *headers], _BUSY

    def log_exception(self, exc_info: tuple[type, BaseException, TracebackType] | tuple[None, None, None]) -> None:
        log_crash(request.environ, exc_info)


def utc_now() -> datetime:
    """The clock, to the second that answers show."""
    return datetime.now(UTC).replace(microsecond=0)


def create_app(
    settings: Settings,
    knowledge: Knowledge | None = None,
    clock: Clock = utc_now,
    new_uuid: Callable[[], Any] = random_uuid,
    switches: Switchboard | None = None,
) -> App:
    """The WSGI application of one site. switches: those that hold, by default as the switch file says.

    Raises KnowledgeError for lists of codes that cannot be used, SettingsError for a switch file that cannot.
    """
    app = App("hooks", static_folder=None)
    app.config.update(MAX_CONTENT_LENGTH=MAX_BODY, PROPAGATE_EXCEPTIONS=False)
    app.site = load_site(settings, knowledge)
    app.switches = switches or Switchboard(settings)
    app.readiness = Readiness(settings.may_fetch)
    app.counters = Counters()
    app.busy = Alarm("calls-refused")
    _add_services(app, clock, new_uuid)
    _add_feedback(app, clock)
    _add_pages(app)
    _add_entrance(app, clock, new_uuid)
    add_pages(app, settings.public_url, settings.workbench)
    if settings.intake.is_on:
        app.register_blueprint(intake(clock, new_uuid, app.switches.states))
        with app.app_context():
            app.busy_form = busy_page()
    add_criteria(app, View(app.site, release_version()), app.switches.states, clock)
    publish = partial(published, settings, app.site.knowledge, release_version())
    app.register_blueprint(fhir_api(publish, settings.public_url))
    app.register_error_handler(RequestError, _refused)
    app.register_error_handler(HTTPException, _failed)
    app.outer = app.wsgi_app = OuterHeaders(app.wsgi_app, _origins(settings), new_uuid)
    return app


def _origins(settings: Settings) -> Origins:
    """Whose web pages may call; in development anybody's."""
    clients = {client.issuer: client.cors_origins for client in settings.clients}
    return Origins(settings.cors_origins, clients, settings.development)


def _add_services(app: App, clock: Clock, new_uuid: Callable[[], Any]) -> None:
    discovery = discovery_document(app.site.knowledge)
    review = ReviewAlarm(load_transparency().review, app.site.settings.zone)
    must_say = _must_say(app.site.settings)

    @app.get("/cds-services")
    def discover() -> Response:
        _caller()
        response = _json(discovery, headers={"Cache-Control": "no-cache"})
        response.add_etag()
        return response.make_conditional(request)

    @app.post("/cds-services/<service_id>")
    def call(service_id: str) -> Response:
        g.service = service = _service(service_id)
        client = _caller(must_say)
        errand = g.errand = request.environ.get(ERRAND) or Errand()
        if errand.request is None and _is_sent(errand, service, app, client, clock):
            return Response(status=202)  # nobody sees it: this is called again with what was fetched
        states = app.switches.states(client.issuer if client else "")
        at = clock()
        review.check(at)
        caller = Caller(states, errand.acknowledged, client.pama if client else None)
        given = _answer(errand, service, app.site, at, new_uuid, caller)
        app.audit.record(request.environ, service.id, 200, errand.request, given)
        app.counters.call(request.environ, service.id, 200, given)
        log_call(request.environ, service.id, 200, given)
        return _json(given.body, headers=_PRIVATE)


def _add_feedback(app: App, clock: Clock) -> None:
    must_say = _must_say(app.site.settings)

    @app.post("/cds-services/<service_id>/feedback")
    def feedback(service_id: str) -> Response:
        """200 says that all of it is committed (R148; row 35)."""
        g.service = service = _service(service_id)
        client = _caller(must_say)
        filing = request.environ.get(FILING) or Filing()
        if not filing.rows:
            _check_headers()
            issuer = client.issuer if client else ""
            filing.rows = parse_feedback(request.get_data(cache=False), issuer, service.id, clock())
            if FILING in request.environ:
                return Response(status=202)  # nobody sees it: this is called again when the rows are kept
        if filing.error:
            raise filing.error
        request.environ[REPORTED] = len(filing.rows)
        app.counters.call(request.environ, service.id, 200)
        app.counters.feedback([row["outcome"] for row in filing.rows])
        log_call(request.environ, service.id, 200)
        return _json(b"{}", headers=_PRIVATE)


def _add_pages(app: App) -> None:
    release = {"release": release_version(), "catalogue": CATALOGUE_VERSION, "knowledge": app.site.knowledge.version}
    pages = {
        "/livez": {"status": "live"},
        "/version": release,
    }
    for path, page in pages.items():
        body = _encode(page)
        app.add_url_rule(path, path, lambda body=body: _json(body, headers=_PRIVATE))

    @app.get("/readyz")
    def readyz() -> Response:
        """For whoever sends the calls: whether to send them here (row 43)."""
        page = app.readiness.page()
        return _json(_encode(page), 503 if "missing" in page else 200, headers=_PRIVATE)

    document = openapi_document(release_version(), MAX_BODY, bool(app.site.settings.clients))
    app.add_url_rule("/openapi.json", "openapi", lambda: _json(document, headers=_PRIVATE))


def _add_entrance(app: App, clock: Clock, new_uuid: Callable[[], Any]) -> None:
    """`/`: for programs where to go on; for people the workbench, where the site has it."""
    ways = _encode({"service": "backpain-cds", "discovery": "/cds-services", "version": "/version"})

    def entrance() -> Response:
        return _json(ways, headers=_PRIVATE)

    if app.site.settings.workbench:
        app.register_blueprint(workbench(clock, new_uuid, app.switches.states, entrance))
    else:
        app.add_url_rule("/", "/", entrance)


def _service(service_id: str) -> Service:
    service = SERVICES.get(service_id)
    if service is None:
        raise NotFound("there is no such service: GET /cds-services lists those there are")
    return service


def _must_say(settings: Settings) -> bool:
    """Whether a caller has to say who it is."""
    return bool(settings.clients) and not settings.development


def _caller(required: bool = False) -> Client | None:
    """Who calls, as the gate before the application found out; None for nobody, unless that is not enough (R150).

    Raises what the gate has against a token that was sent, and Unauthenticated.
    """
    admission = request.environ.get(ADMISSION, NOBODY)
    if admission.error:
        raise admission.error
    if required and admission.client is None:
        raise Unauthenticated("no-token")
    return admission.client


def _is_sent(errand: Errand, service: Service, app: App, client: Client | None, clock: Clock) -> bool:
    """Read the call; whether something is to be fetched or looked up for it, and somebody there who does that."""
    site = app.site
    _check_headers()
    errand.body = errand.body or request.get_data(cache=False)  # which copies it several times over
    errand.request = parse_request(errand.body, service)
    listed = client.fhir_servers if client else site.settings.fhir_servers
    plan(errand, site.templates[service.id], listed, site.settings.development)
    tenant = request.environ.get(ADMISSION, NOBODY).tenant
    errand.recall = recall_for(client, tenant, errand.request, service, app.audit.identifiers, clock())
    return errand.is_open and ERRAND in request.environ


def _answer(
    errand: Errand, service: Service, site: Site, at: datetime, new_uuid: Callable[[], Any], caller: Caller
) -> Answered:
    request.environ[NOT_FETCHED] = errand.failed
    try:
        with span("evaluate") as made:
            describe(made, service=service.id)
            return answer(errand.body, errand.request, service, site, at, new_uuid, caller)
    except DataMissing as missing:
        if errand.turned_away:
            raise ServiceUnavailable(retry_after=1) from None
        raise DataMissing(*missing.issues, *errand.remarks) from None


def _check_headers() -> None:
    """JSON, not compressed; a missing Content-Type is taken for JSON (R49)."""
    if request.headers.get("Content-Encoding", "identity").strip().lower() not in ("", "identity"):
        raise UnsupportedMediaType("Content-Encoding is not supported: send the JSON uncompressed")
    if request.mimetype and request.mimetype not in _ACCEPTED:
        raise UnsupportedMediaType("Content-Type should be application/json")
    if request.mimetype_params.get("charset", "utf-8").lower() not in ("utf-8", "utf8"):
        raise UnsupportedMediaType("charset should be utf-8")


def _refused(error: RequestError) -> Response:
    return _outcome(error.status, error.issues, error.headers, error.reason)


def _failed(error: HTTPException) -> Response:
    """404, 405, 413 and the like, and 500, of which nothing is said but where to look."""
    status = error.code or 500
    said = _SAID.get(status) or error.description or error.name
    response = _outcome(status, (Issue(ISSUE_CODES.get(status, "processing"), said),))
    for name, value in error.get_headers():
        if name in ("Allow", "Retry-After"):
            response.headers[name] = value
    return response


def _outcome(
    status: int, issues: tuple[Issue, ...], headers: tuple[tuple[str, str], ...] = (), reason: str = ""
) -> Response:
    service = g.get("service")
    service_id = service.id if service else ""
    if _is_hook_call():
        errand = g.get("errand") or Errand()
        current_app.audit.record(request.environ, service_id, status, errand.request, reason=reason or issues[0].code)
    current_app.counters.call(request.environ, service_id, status)
    log_call(request.environ, service_id, status, reason=reason)
    own = {**_PRIVATE, "Content-Type": "application/fhir+json", **dict(headers)}
    return _json(_encode(operation_outcome(issues)), status, own)


def _is_hook_call() -> bool:
    """Whether it was meant to be one: the audit has those that never became any."""
    path = request.path
    return request.method == "POST" and path.startswith("/cds-services/") and not path.endswith("/feedback")


def _json(body: bytes, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(body, status, {"Content-Type": "application/json", **(headers or {})})
