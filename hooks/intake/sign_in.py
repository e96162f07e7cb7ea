"""From a launch to a signed-in page (SMART App Launch 2): nothing is fetched from a server that is not listed."""

import hashlib
import re
import secrets
from collections.abc import Callable
from datetime import datetime

from flask import Blueprint, Response, current_app, redirect, request

from hooks.aside import awaited
from hooks.errors import Unavailable
from hooks.intake.desk import (
    LOGIN_SECONDS,
    PAGES,
    SESSION,
    Desk,
    Login,
    Session,
    cookies_for,
    own_root,
    own_url,
    server_of,
    the_desk,
    usable_until,
)
from hooks.intake.options import LAUNCH, IntakeServer
from hooks.intake.pages import page, said
from hooks.intake.sealed import kept
from hooks.intake.smart import Denied, Granted, authorization_url, discover, exchange
from hooks.log import log_event

CALLBACK = "/intake/callback"
_ID = re.compile(r"[A-Za-z0-9_-]{22}")
_LONGEST = 4096


def add_sign_in(pages: Blueprint, clock: Callable[[], datetime]) -> None:
    @pages.get("/intake")
    @pages.get("/intake/")
    def choose() -> Response:
        return page("choose", {"servers": current_app.site.settings.intake.servers}, None)

    @pages.get(LAUNCH)
    def launch() -> Response:
        return _launched(clock())

    @pages.get(CALLBACK)
    def callback() -> Response:
        return _called_back(clock())


def _launched(now: datetime) -> Response:
    iss, launched = request.args.get("iss", ""), request.args.get("launch", "")
    server = server_of(iss)
    again = request.args.get("again", "")
    again = again if _ID.fullmatch(again) else ""
    if not iss or server is None or len(launched) > _LONGEST:
        return said("unlisted" if iss else "no-iss")
    desk = the_desk()
    development = current_app.site.settings.development
    try:
        endpoints = awaited(lambda: discover(desk.client, server, development))
    except (Unavailable, TimeoutError) as failure:
        return _failed(server, "not-smart", failure, again)
    state, verifier = secrets.token_urlsafe(32), secrets.token_urlsafe(64)
    login = Login(state, iss, endpoints.token, verifier, again)
    to = authorization_url(server, endpoints, own_url() + CALLBACK, iss, launched, state, verifier)
    response = _sent_on(to)
    sealed = desk.logins.seal(login, now)
    cookies_for(CALLBACK, server).keep(response, _login_name(state), sealed, LOGIN_SECONDS)
    return response


def _called_back(now: datetime) -> Response:
    """The sign-in belongs to the browser that began it, by its state; each can be used once (RFC 6749, 10.12)."""
    desk = the_desk()
    state = request.args.get("state", "")
    login = desk.logins.open(kept(request.cookies, _login_name(state)), now)
    server = server_of(login.iss) if login else None
    if login is None or server is None or not secrets.compare_digest(login.state.encode(), state.encode()):
        return said("wrong-state")
    if code := request.args.get("code", ""):
        response = _signed_in(desk, server, login, code, now)
    else:
        denied = request.args.get("error", "") == "access_denied"
        response = _failed(server, "access_denied" if denied else "denied", Denied("no-code"), login.again)
    cookies_for(CALLBACK, server).drop(response, _login_name(state))
    return response


def _signed_in(desk: Desk, server: IntakeServer, login: Login, code: str, now: datetime) -> Response:
    back_at = own_url() + CALLBACK
    try:
        granted = awaited(lambda: exchange(desk.client, server, login.token_url, back_at, code, login.verifier))
    except Denied as denied:
        return _failed(server, denied.reason, denied, login.again)
    except (Unavailable, TimeoutError) as failure:
        return _failed(server, "denied", failure, login.again)
    return _begun(desk, server, login, granted, now)


def _begun(desk: Desk, server: IntakeServer, login: Login, granted: Granted, now: datetime) -> Response:
    """A session of its own for each launch: two charts open in two tabs never meet. It ends with its token."""
    id_ = login.again or secrets.token_urlsafe(16)
    until = usable_until(granted.seconds, now)
    session = Session(id_, str(server.base), granted.patient, granted.token, granted.scope, granted.asked, until)
    response = _sent_on(own_root() + PAGES + id_)
    sealed = desk.sessions.seal(session, now)
    if not cookies_for(PAGES + id_, server).keep(response, SESSION, sealed, granted.seconds):
        return _failed(server, "too-large", Denied("token-too-large"), login.again)
    return response


def _sent_on(to: str) -> Response:
    """The URL that leads here may hold a code: it is neither kept nor passed on."""
    response = redirect(to, 303)
    response.headers.update({"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"})
    return response


def _failed(server: IntakeServer, code: str, why: Exception, again: str) -> Response:
    """again: the page whose answers wait, "" for none. Only that page knows whether an emergency is among them."""
    log_event("intake-sign-in", reason=code if isinstance(why, Denied) else str(why) or type(why).__name__)
    return said(code, server, back=PAGES + again, unsure=True) if again else said(code, server)


def _login_name(state: str) -> str:
    """Each sign-in has a cookie of its own, so that several can be under way."""
    return "intake-login-" + hashlib.sha256(state.encode()).hexdigest()[:16]
