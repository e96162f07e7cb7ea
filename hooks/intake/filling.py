"""The form's page: what it asks, what becomes of the answers, and what comes back when something goes wrong."""

import secrets
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from flask import Blueprint, Response, current_app, request
from werkzeug.exceptions import ServiceUnavailable

from cds.evaluation import Evaluation
from fhir_profiles.errors import RecordError
from fhir_profiles.intake_answers import submission_id
from fhir_profiles.record import Gathered
from hooks.aside import awaited
from hooks.errors import RequestError, Unavailable
from hooks.intake.answers import LONGEST, PREFIX, Filled, read_answers, urgent
from hooks.intake.desk import (
    PAGES,
    SESSION,
    SHEET_SECONDS,
    WAITING,
    Session,
    Sheet,
    Submitted,
    cookies_for,
    own_url,
    server_of,
    the_desk,
)
from hooks.intake.options import LAUNCH
from hooks.intake.pages import page, said
from hooks.intake.posted import SHEET, advice, advice_on_posted, posted, the_form
from hooks.intake.questions import criteria_asked, parts, recorded, wanted
from hooks.intake.record import judged, person, with_answers
from hooks.intake.writing import EXPIRED, REFUSED, UNREACHABLE
from hooks.log import log_event
from hooks.pipeline import Site
from hooks.states import States
from hooks.workbench.cards import card_view

ANOTHER, BUSY = "another", "busy"
_STATUS = {EXPIRED: 401, ANOTHER: 409, REFUSED: 502, UNREACHABLE: 502, BUSY: 503, "wrong": 422, "nothing": 422}
_SAME_SITE = ("same-origin", "none", "")


def add_form(
    pages: Blueprint, clock: Callable[[], datetime], new_uuid: Callable[[], Any], states: Callable[[], States]
) -> None:
    """states: of the criteria, in force for everybody."""

    @pages.get("/intake/s/<id_>")
    def form(id_: str) -> Response:
        return _asked(id_, clock(), states())

    @pages.post("/intake/s/<id_>")
    def submit(id_: str) -> Response:
        return _submitted(id_, clock(), new_uuid, states())


def _asked(id_: str, now: datetime, states: States) -> Response:
    desk = the_desk()
    session = desk.session(id_, now)
    if sheet := desk.waiting(id_, now):
        return _back(sheet, session, now)
    if session is None:
        return said("signed-out")
    server = server_of(session.base)
    try:
        record = awaited(desk.reading(session.access))
        evaluation, _ = judged(record, current_app.site, now, states)
    except (Unavailable, TimeoutError) as failure:
        log_event("intake-record", reason=str(failure) or "timeout")
        return said("signed-out" if str(failure) == "expired" else "no-record", server)
    except (RecordError, RequestError):
        return said("wrong-record", server)
    return _begin(session, record, evaluation, now)


def _begin(session: Session, record: Gathered, evaluation: Evaluation, now: datetime) -> Response:
    form = the_form()
    links = wanted(form, criteria_asked(session.asked, evaluation), evaluation.back_problem is not None)
    remarks, values = recorded(form, evaluation.chart, now)
    remarks = {link: remark for link, remark in remarks.items() if link in links}
    who = person(record)
    sheet = Sheet(session.id, secrets.token_hex(16), session.base, session.patient, who, links, remarks)
    return _page(sheet, values, {}, "", now)


def _submitted(id_: str, now: datetime, new_uuid: Callable[[], Any], states: States) -> Response:
    desk = the_desk()
    sheet = desk.sheets.open(request.form.get(SHEET, ""), now)
    is_own = request.headers.get("Sec-Fetch-Site", "") in _SAME_SITE
    if sheet is None or sheet.session != id_ or not is_own:
        return said("no-sheet", **advice_on_posted())
    filled = read_answers(the_form(), sheet.links, posted())
    session = desk.session(id_, now)
    problem = _problem(filled, sheet, session)
    if problem or session is None:
        return _again(sheet, filled, problem, now)
    submission = submission_id(sheet.form, filled.answers)
    if sheet.sent and submission != sheet.sent:  # what failed may be there all the same: this is another one
        sheet.form = sheet.sent
        submission = submission_id(sheet.form, filled.answers)
    try:
        submitted = awaited(desk.submitting(session.access, filled.answers, submission, now), writes=True)
    except ServiceUnavailable:
        return _again(sheet, filled, BUSY, now)
    except TimeoutError:
        return _again(sheet, filled, UNREACHABLE, now, submission)
    if submitted.outcome.problem:
        return _again(sheet, filled, submitted.outcome.problem, now, submission)
    return _thanks(sheet, session, filled, submitted, now, new_uuid, states)


def _problem(filled: Filled, sheet: Sheet, session: Session | None) -> str:
    """Why nothing is to be written."""
    if filled.problems:
        return "wrong"
    if not filled.answers:
        return "nothing"
    if session is None:
        return EXPIRED
    return "" if _is_of(session, sheet) else ANOTHER


def _is_of(session: Session, sheet: Sheet) -> bool:
    return (session.base, session.patient) == (sheet.base, sheet.patient)


def _again(sheet: Sheet, filled: Filled, problem: str, now: datetime, sent: str = "") -> Response:
    """The page with all that was filled in."""
    sheet.sent = sent or sheet.sent
    if problem in (EXPIRED, ANOTHER) and "sign-in" in request.form:
        return _sent_to_sign_in(sheet, filled, now)
    return _page(sheet, filled.values, filled.problems, problem, now, urgent(the_form(), filled.answers))


def _sent_to_sign_in(sheet: Sheet, filled: Filled, now: datetime) -> Response:
    """The answers wait in a cookie of their page: a sign-in in another tab would be of no use to a page in a frame."""
    sheet.values = {link: value[:LONGEST] for link, value in filled.values.items()}
    response = _waiting(sheet, filled)
    if not urgent(the_form(), filled.answers):  # else it is to be read first
        response.headers["Refresh"] = f"0; url={_sign_in(sheet)}"
    cookies, sealed = cookies_for(PAGES + sheet.session, server_of(sheet.base)), the_desk().sheets.seal(sheet, now)
    cookies.keep(response, WAITING, sealed, SHEET_SECONDS)
    return response


def _waiting(sheet: Sheet, filled: Filled) -> Response:
    view = {"who": sheet.who, "sign_in": _sign_in(sheet), **advice(urgent(the_form(), filled.answers))}
    return page("waiting", view, server_of(sheet.base), _STATUS[EXPIRED])


def _sign_in(sheet: Sheet) -> str:
    return f"{own_url()}{LAUNCH}?{urlencode({'iss': sheet.base, 'again': sheet.session})}"


def _back(sheet: Sheet, session: Session | None, now: datetime) -> Response:
    """The page with the answers that waited, once somebody is signed in."""
    filled = read_answers(the_form(), sheet.links, {PREFIX + link: value for link, value in sheet.values.items()})
    if session is None:
        return _waiting(sheet, filled)
    sheet.values = {}
    problem = "back" if _is_of(session, sheet) else ANOTHER
    return _page(sheet, filled.values, filled.problems, problem, now, urgent(the_form(), filled.answers))


def _page(
    sheet: Sheet,
    values: Mapping[str, str],
    problems: Mapping[str, str],
    problem: str,
    now: datetime,
    signs: list[str] | None = None,
) -> Response:
    view = {
        "who": sheet.who,
        "parts": parts(the_form(), sheet.links, sheet.remarks, values, problems),
        "sheet": the_desk().sheets.seal(sheet, now),
        "problem": problem,
        **advice(signs or []),
    }
    return page("form", view, server_of(sheet.base), _STATUS.get(problem, 200))


def _thanks(
    sheet: Sheet,
    session: Session,
    filled: Filled,
    submitted: Submitted,
    now: datetime,
    new_uuid: Callable[[], Any],
    states: States,
) -> Response:
    """What was saved, what to do about it, and the cards as they are now."""
    cards, outcome = None, submitted.outcome
    if submitted.record is not None:
        cards = _cards(with_answers(submitted.record, outcome.saved), now, new_uuid, states)
    view = {
        "who": sheet.who,
        "page": PAGES + sheet.session,
        "cards": cards,
        "count": len(filled.answers),
        "unsaved": [each["code"]["text"] for each in outcome.unsaved],
        **advice(urgent(the_form(), filled.answers)),
    }
    response = page("thanks", view, server_of(sheet.base))
    _renew(response, session, now)
    return response


def _renew(response: Response, session: Session, now: datetime) -> None:
    """Nothing waits any more. And a browser that keeps the filled-in page for "back" forgets it as its cookie changes:
    sent from there unchanged, old answers would be those that are there already, and later ones would stay in force."""
    cookies, left = cookies_for(PAGES + session.id, server_of(session.base)), session.until - int(now.timestamp())
    cookies.keep(response, SESSION, the_desk().sessions.seal(session, now), left)
    cookies.drop(response, WAITING)


def _cards(record: Gathered, now: datetime, new_uuid: Callable[[], Any], states: States) -> list[Any] | None:
    """None where the record cannot be judged: no cards would read as "nothing found"."""
    site: Site = current_app.site
    try:
        evaluation, shown = judged(record, site, now, states)
    except (RecordError, RequestError):
        return None
    response = site.responder.response(shown, evaluation, new_uuid)
    return [card_view(card) for card in response["cards"]]
