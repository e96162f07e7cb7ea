"""The form's page: what it asks, what becomes of the answers, and what comes back when something goes wrong."""

import secrets
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from flask import Blueprint, Response, current_app, request

from cds.evaluation import Evaluation
from fhir_profiles.errors import RecordError
from fhir_profiles.intake_answers import questions, submission_id
from fhir_profiles.record import Gathered
from hooks.aside import awaited
from hooks.errors import RequestError, Unavailable
from hooks.intake.answers import CALL_AT_ONCE, Filled, read_answers, urgent
from hooks.intake.desk import Session, Sheet, Submitted, own_url, server_of, the_desk
from hooks.intake.options import LAUNCH
from hooks.intake.pages import page, said
from hooks.intake.questions import criteria_asked, parts, recorded, wanted
from hooks.intake.record import judged, person, with_answers
from hooks.intake.writing import EXPIRED, REFUSED, UNREACHABLE
from hooks.log import log_event
from hooks.pipeline import Site
from hooks.states import States
from hooks.workbench.cards import card_view

_STATUS = {EXPIRED: 401, "another": 409, REFUSED: 502, UNREACHABLE: 502, "wrong": 422, "nothing": 422}
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
    form = current_app.site.knowledge.questionnaire
    links = wanted(form, criteria_asked(session.asked, evaluation), evaluation.back_problem is not None)
    remarks, values = recorded(form, evaluation.chart, now)
    remarks = {link: remark for link, remark in remarks.items() if link in links}
    who = person(record)
    sheet = Sheet(session.id, secrets.token_hex(16), session.base, session.patient, who, links, remarks)
    return _page(sheet, values, {}, "", now)


def _submitted(id_: str, now: datetime, new_uuid: Callable[[], Any], states: States) -> Response:
    desk = the_desk()
    sheet = desk.sheets.open(request.form.get("sheet", ""), now)
    is_own = request.headers.get("Sec-Fetch-Site", "") in _SAME_SITE
    if sheet is None or sheet.session != id_ or not is_own:
        return said("no-sheet")
    form = current_app.site.knowledge.questionnaire
    filled = read_answers(form, sheet.links, _posted())
    session = desk.session(id_, now)
    problem = _problem(filled, sheet, session)
    if problem or session is None:
        return _again(sheet, filled, problem, now)
    submission = submission_id(sheet.form, filled.answers)
    if sheet.sent and submission != sheet.sent:  # what failed may be there all the same: this is another one
        sheet.form = sheet.sent
        submission = submission_id(sheet.form, filled.answers)
    try:
        submitted = awaited(desk.submitting(session.access, filled.answers, submission, now))
    except TimeoutError:
        return _again(sheet, filled, UNREACHABLE, now, submission)
    if submitted.outcome.problem:
        return _again(sheet, filled, submitted.outcome.problem, now, submission)
    return _thanks(sheet, filled, submitted, now, new_uuid, states)


def _posted() -> dict[str, str]:
    """Of fields with one name the first that is filled in: a number before its "don't know"."""
    return {name: next(filter(None, values), "") for name, values in request.form.lists()}


def _problem(filled: Filled, sheet: Sheet, session: Session | None) -> str:
    """Why nothing is to be written."""
    if filled.problems:
        return "wrong"
    if not filled.answers:
        return "nothing"
    if session is None:
        return EXPIRED
    return "" if (session.base, session.patient) == (sheet.base, sheet.patient) else "another"


def _again(sheet: Sheet, filled: Filled, problem: str, now: datetime, sent: str = "") -> Response:
    """The page with all that was filled in."""
    sheet.sent = sent or sheet.sent
    return _page(sheet, filled.values, filled.problems, problem, now, urgent(_form(), filled.answers))


def _page(
    sheet: Sheet,
    values: Mapping[str, str],
    problems: Mapping[str, str],
    problem: str,
    now: datetime,
    signs: list[str] | None = None,
) -> Response:
    desk = the_desk()
    again = urlencode({"iss": sheet.base, "again": sheet.session})
    view = {
        "who": sheet.who,
        "parts": parts(_form(), sheet.links, sheet.remarks, values, problems),
        "sheet": desk.sheets.seal(sheet, now),
        "problem": problem,
        "sign_in": f"{own_url()}{LAUNCH}?{again}",
        **_urgency(signs or []),
    }
    return page("form", view, server_of(sheet.base), _STATUS.get(problem, 200))


def _thanks(
    sheet: Sheet, filled: Filled, submitted: Submitted, now: datetime, new_uuid: Callable[[], Any], states: States
) -> Response:
    """What was saved, what to do about it, and the cards as they are now."""
    cards, outcome = None, submitted.outcome
    if submitted.record is not None:
        cards = _cards(with_answers(submitted.record, outcome.saved), now, new_uuid, states)
    view = {
        "who": sheet.who,
        "cards": cards,
        "count": len(filled.answers),
        "unsaved": [each["code"]["text"] for each in outcome.unsaved],
        **_urgency(urgent(_form(), filled.answers)),
    }
    return page("thanks", view, server_of(sheet.base))


def _cards(record: Gathered, now: datetime, new_uuid: Callable[[], Any], states: States) -> list[Any] | None:
    """None where the record cannot be judged: no cards would read as "nothing found"."""
    site: Site = current_app.site
    try:
        evaluation, shown = judged(record, site, now, states)
    except (RecordError, RequestError):
        return None
    response = site.responder.response(shown, evaluation, new_uuid)
    return [card_view(card) for card in response["cards"]]


def _urgency(signs: list[str]) -> dict[str, Any]:
    """signs: emergency questions answered with yes."""
    titles = {item["linkId"]: item["code"][0]["display"] for item in questions(_form()["item"])}
    return {"signs": [titles[sign] for sign in signs], "call": not CALL_AT_ONCE.isdisjoint(signs)}


def _form() -> dict[str, Any]:
    return current_app.site.knowledge.questionnaire
