"""The HTTP face: URLs, status codes and the log line of each call (R1, R11, R41 to R60)."""

from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from types import TracebackType
from typing import Any
from uuid import uuid4

import msgspec
from flask import Flask, Response, g, request
from werkzeug.exceptions import HTTPException, NotFound, UnsupportedMediaType

from cds.evaluation import CATALOGUE_VERSION
from fhir_profiles.terminology import Knowledge
from hooks.auth import ADMISSION, NOBODY
from hooks.clients import Client
from hooks.cors import OuterHeaders
from hooks.discovery import discovery_document
from hooks.errand import ERRAND, Errand, plan
from hooks.errors import ISSUE_CODES, DataMissing, Issue, RequestError, Unauthenticated, operation_outcome
from hooks.log import NOT_FETCHED, log_call, log_crash
from hooks.openapi import openapi_document
from hooks.pipeline import Answered, Site, answer, load_site
from hooks.request import parse_request
from hooks.services import SERVICES, Service
from hooks.settings import Settings

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
_encode = msgspec.json.encode

Clock = Callable[[], datetime]


class App(Flask):
    """Flask, but its log of a crash holds no content: an exception's text may quote the request."""

    site: Site

    def log_exception(self, exc_info: tuple[type, BaseException, TracebackType] | tuple[None, None, None]) -> None:
        log_crash(request.environ, exc_info)


def utc_now() -> datetime:
    """The clock, to the second that answers show."""
    return datetime.now(UTC).replace(microsecond=0)


def create_app(
    settings: Settings,
    knowledge: Knowledge | None = None,
    clock: Clock = utc_now,
    new_uuid: Callable[[], Any] = uuid4,
) -> App:
    """The WSGI application of one site. Raises KnowledgeError for lists of codes that cannot be used."""
    app = App("hooks", static_folder=None)
    app.config.update(MAX_CONTENT_LENGTH=MAX_BODY, PROPAGATE_EXCEPTIONS=False)
    app.site = load_site(settings, knowledge)
    _add_services(app, clock, new_uuid)
    _add_pages(app)
    app.register_error_handler(RequestError, _refused)
    app.register_error_handler(HTTPException, _failed)
    app.wsgi_app = OuterHeaders(app.wsgi_app, _origins(settings), new_uuid)
    return app


def _origins(settings: Settings) -> frozenset[str] | None:
    """Whose web pages may call: those of the site and of its clients; None for any, in development."""
    if settings.development:
        return None
    return frozenset(settings.cors_origins).union(*(client.cors_origins for client in settings.clients))


def _add_services(app: App, clock: Clock, new_uuid: Callable[[], Any]) -> None:
    discovery = discovery_document(app.site.knowledge)
    must_say = bool(app.site.settings.clients) and not app.site.settings.development

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
        errand = request.environ.get(ERRAND) or Errand()
        if errand.request is None and _is_sent(errand, service, app.site, client):
            return Response(status=202)  # nobody sees it: this is called again with what was fetched
        given = _answer(errand, service, app.site, clock(), new_uuid)
        log_call(request.environ, service.id, 200, given)
        return _json(given.body, headers=_PRIVATE)


def _add_pages(app: App) -> None:
    release = {"release": release_version(), "catalogue": CATALOGUE_VERSION, "knowledge": app.site.knowledge.version}
    pages = {
        "/": {"service": "backpain-cds", "discovery": "/cds-services", "version": "/version"},
        "/livez": {"status": "live"},
        "/readyz": {"status": "ready"},
        "/version": release,
    }
    for path, page in pages.items():
        body = _encode(page)
        app.add_url_rule(path, path, lambda body=body: _json(body, headers=_PRIVATE))
    document = openapi_document(release_version(), MAX_BODY, bool(app.site.settings.clients))
    app.add_url_rule("/openapi.json", "openapi", lambda: _json(document, headers=_PRIVATE))


def release_version() -> str:
    """The installed release; "unknown" when run from a folder that is not installed."""
    try:
        return version("backpain-cds")
    except PackageNotFoundError:
        return "unknown"


def _service(service_id: str) -> Service:
    service = SERVICES.get(service_id)
    if service is None:
        raise NotFound("there is no such service: GET /cds-services lists those there are")
    return service


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


def _is_sent(errand: Errand, service: Service, site: Site, client: Client | None) -> bool:
    """Read the call; whether something is to be fetched for it, and somebody there who does that."""
    _check_headers()
    errand.body = request.get_data(cache=False)
    errand.request = parse_request(errand.body, service)
    listed = client.fhir_servers if client else site.settings.fhir_servers
    return plan(errand, site.templates[service.id], listed, site.settings.development) and ERRAND in request.environ


def _answer(errand: Errand, service: Service, site: Site, at: datetime, new_uuid: Callable[[], Any]) -> Answered:
    request.environ[NOT_FETCHED] = errand.failed
    try:
        return answer(errand.body, errand.request, service, site, at, new_uuid)
    except DataMissing as missing:
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
    log_call(request.environ, service.id if service else "", status, reason=reason)
    own = {**_PRIVATE, "Content-Type": "application/fhir+json", **dict(headers)}
    return _json(_encode(operation_outcome(issues)), status, own)


def _json(body: bytes, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(body, status, {"Content-Type": "application/json", **(headers or {})})
