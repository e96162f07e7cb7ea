"""What goes wrong after somebody has answered: they are told what to do, and nothing that they said is lost."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from http.cookies import SimpleCookie
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlencode

import html5lib
import httpx
import msgspec
import pytest
from flask import Response
from werkzeug.datastructures import ImmutableMultiDict

from fhir_profiles.intake_answers import observations, questionnaire_response, submission_id
from hooks import aside
from hooks.app import create_app
from hooks.errors import Unavailable
from hooks.fhir_client import FhirClient
from hooks.gateway import Gateway
from hooks.intake.blueprint import BELOW
from hooks.intake.desk import SHEET_SECONDS, Desk, Login, Session, Sheet
from hooks.intake.options import IntakeOptions, IntakeServer
from hooks.intake.outward import send
from hooks.intake.record import Access, person
from hooks.intake.sealed import PIECE, Cookies, Sealer, kept
from hooks.intake.smart import Denied, Granted, exchange
from hooks.intake.writing import UNREACHABLE, Outcome, write_answers
from hooks.outbound import parse_base
from hooks.settings import Settings
from tests.records import knowledge
from tests.service_rig import path_of
from tests.test_service_gateway import Call

KEY = b"k" * 64
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
BASE = "http://127.0.0.1:9/fhir"
PAGE = "A" * 22
FORM = knowledge().questionnaire
LINKS = [item["linkId"] for item in FORM["item"][0]["item"]]

Handler = Callable[[httpx.Request], httpx.Response]


def no_server(request: httpx.Request) -> httpx.Response:
    raise AssertionError(f"{request.url} was asked")


def client_of(handler: Handler) -> FhirClient:
    """A client that reaches nothing but the handler."""
    client = FhirClient()
    client.http = httpx.AsyncClient(transport=httpx.MockTransport(handler), headers=client.http.headers)
    return client


class Service:
    """The application as a worker has it, and somebody who is signed in and has the form before them."""

    def __init__(self, handler: Handler = no_server, receive_seconds: float = 5.0) -> None:
        settings = Settings(development=True, intake=IntakeOptions(True, (), True))
        self.app = create_app(settings, knowledge(), clock=lambda: NOW)
        self.app.desk = self.desk = Desk(client_of(handler), KEY)
        self.gateway = Gateway(self.app, 100_000, receive_seconds, open_below=BELOW)

    def post(self, *answers: str, sheet: str | None = None, chunks: int = 1, stalls: bool = False) -> Call:
        """Yes to those questions. sheet: in place of the form that was asked."""
        session = Session(PAGE, BASE, "p1", "token", "", "", int(NOW.timestamp()) + 300)
        put = Sheet(PAGE, "f" * 32, BASE, "p1", "Maria Example", LINKS, {})
        fields = {"sheet": self.desk.sheets.seal(put, NOW) if sheet is None else sheet}
        body = urlencode(fields | {f"answer.{link}": "yes" for link in answers}).encode()
        cookie = f"intake.0={self.desk.sessions.seal(session, NOW)}"
        sent = Call(body * chunks, stalls=stalls, content_type="application/x-www-form-urlencoded", cookie=cookie)
        sent.scope.path = f"/intake/s/{PAGE}"
        asyncio.run(self.gateway.__rsgi__(sent.scope, sent))
        return sent


def page_of(answer: tuple[int, list[tuple[str, str]], bytes], status: int) -> str:
    """A page for people, whatever the status."""
    told, headers, content = answer
    assert told == status
    assert dict(headers)["Content-Type"] == "text/html; charset=utf-8"
    assert "frame-ancestors" in dict(headers)["Content-Security-Policy"]
    html5lib.HTMLParser(strict=True).parse(content)
    return content.decode()


ANSWERED = 'name="answer.saddle-anesthesia" value="yes" checked'
ADVICE = "go to an emergency department now"


# --- a service that has too much to do, or fails -----------------------------------------------------------


def test_a_worker_that_can_do_no_more_gives_the_answers_back(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(aside, "AT_ONCE", 0)
    monkeypatch.setattr(aside, "SPARE", 0)
    html = page_of(Service().post("saddle-anesthesia").answer, 503)
    assert ANSWERED in html
    assert "Numb saddle area" in html
    assert ADVICE in html
    assert "the service is busy" in html


def test_those_who_only_look_leave_room_for_those_who_save(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(aside, "AT_ONCE", 0)
    html = page_of(Service(lambda _: httpx.Response(500)).post("saddle-anesthesia").answer, 502)
    assert ANSWERED in html
    assert "did not reply" in html


def test_answers_that_are_turned_away_unread_get_advice_for_any():
    service = Service()
    service.gateway.turns = SimpleNamespace(are_promised=True)
    sent = service.post("saddle-anesthesia")
    html = page_of(sent.answer, 503)
    assert "Nothing was saved yet" in html
    assert ADVICE in html
    assert "call your emergency number now" in html
    assert {"Retry-After", "X-Request-Id", "Cache-Control"} <= set(dict(sent.answer[1]))


def test_programs_that_are_turned_away_get_json():
    status, headers, body = Service().app.say_busy(None, path_of("patient-view"))
    assert (status, dict(headers)["Content-Type"]) == (503, "application/fhir+json")
    assert json.loads(body)["resourceType"] == "OperationOutcome"


@pytest.mark.parametrize(
    ("post", "status"), [({"chunks": 2000}, 413), ({"stalls": True}, 408)], ids=["too large", "cut off"]
)
def test_answers_that_did_not_arrive_get_advice_for_any(post: dict[str, Any], status: int):
    html = page_of(Service(receive_seconds=0.05).post("saddle-anesthesia", **post).answer, status)
    assert "could not be looked at here" in html
    assert ADVICE in html


def fails(*_: Any) -> Callable[[], Awaitable[Any]]:
    async def fail() -> None:
        raise KeyError("a fault of ours")

    return fail


def test_a_fault_of_ours_loses_nothing(monkeypatch: pytest.MonkeyPatch):
    service = Service()
    monkeypatch.setattr(service.desk, "submitting", fails)
    html = page_of(service.post("paralysis").answer, 500)
    assert "call your emergency number now" in html
    assert '<input type="hidden" name="answer.paralysis" value="yes">' in html
    assert '<input type="hidden" name="sheet" value="gAAAA' in html
    assert "Save again" in html


@pytest.mark.parametrize("sheet", ["", "of an older key"])
def test_a_form_that_cannot_be_taken_still_says_what_to_do(sheet: str):
    html = page_of(Service().post("saddle-anesthesia", sheet=sheet).answer, 400)
    assert "This form cannot be taken" in html
    assert ADVICE in html
    assert "Please get help" not in page_of(Service().post("fever", sheet=sheet).answer, 400)


# --- servers that answer with something else ---------------------------------------------------------------


def written(reply: Any) -> Outcome:
    """What becomes of an answer and a number when that is the reply to the transaction."""
    answers = {"saddle-anesthesia": True, "pain-score": 7}
    submission = submission_id("form", answers)
    response = questionnaire_response(FORM, answers, "p1", "2026-11-20T12:00:00Z", submission)

    def numbers(reference: str) -> list[dict[str, Any]]:
        return observations(FORM, answers, "p1", "2026-11-20T12:00:00Z", submission, reference)

    def answer(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, content=reply) if isinstance(reply, bytes) else httpx.Response(200, json=reply)

    return asyncio.run(write_answers(client_of(answer), Access(BASE, "p1", "token", ""), response, numbers))


def entries(*responses: Any) -> dict[str, Any]:
    return {"resourceType": "Bundle", "entry": [{"response": each} for each in responses]}


@pytest.mark.parametrize(
    "reply",
    [
        {"resourceType": "Bundle", "entry": None},
        {"resourceType": "OperationOutcome"},
        entries("created", "created"),
        entries({"location": 7}, {"location": 8}),
        entries({}),
        {"entry": {}},
        {"entry": [None, 1]},
        [],
        None,
        b"<html>",
        b"",
    ],
    ids=str,
)
def test_a_reply_that_says_nothing_is_no_success_and_no_crash(reply: Any):
    outcome = written(reply)
    assert outcome.problem == UNREACHABLE
    assert outcome.saved == []


@pytest.mark.parametrize(
    "response", [None, {}, {"location": None}, {"status": "201 Created", "location": "Observation"}]
)
def test_what_a_transaction_did_counts_though_it_does_not_say_where(response: Any):
    outcome = written(entries({"location": "QuestionnaireResponse/q1/_history/1"}, response))
    assert outcome.problem == ""
    assert [each["resourceType"] for each in outcome.saved] == ["QuestionnaireResponse", "Observation"]
    assert outcome.saved[0]["id"] == "q1"
    assert outcome.saved[1]["id"]


TOKEN = {"access_token": "t", "token_type": "Bearer", "patient": "p1", "expires_in": 600}


def exchanged(status: int, told: Any) -> Granted:
    server = IntakeServer(parse_base(BASE), "c1")
    client = client_of(lambda _: httpx.Response(status, json=told))
    return asyncio.run(exchange(client, server, f"{BASE}/token", "http://127.0.0.1/cb", "code", "verifier"))


@pytest.mark.parametrize(
    ("stated", "usable"),
    [(10**9, 3600), ("x", 300), (None, 300), (-5, 300), ("600", 600), ("900.0", 900), (900.5, 900), ([1], 300),
     ("9" * 5000, 300), (True, 300)],
)  # fmt: skip
def test_no_token_is_kept_longer_than_an_hour_however_its_life_is_stated(stated: Any, usable: int):
    assert exchanged(200, TOKEN | {"expires_in": stated}).seconds == usable


@pytest.mark.parametrize(
    ("status", "told", "reason"),
    [
        (400, {"error": "invalid_grant", "error_description": "<b>"}, "invalid_grant"),
        (200, {"error": "invalid_client"}, "invalid_client"),
        (400, {"error": "something-of-theirs"}, "refused"),
        (400, {"error": {"code": 1}}, "refused"),
        (400, {}, "no-bearer-token"),
        (200, [], "no-bearer-token"),
        (200, TOKEN | {"access_token": "té"}, "no-bearer-token"),
        (200, TOKEN | {"access_token": "t\r\nX: y"}, "no-bearer-token"),
        (200, TOKEN | {"patient": "p1&_include=*"}, "no-patient"),
        (200, TOKEN | {"patient": "../Patient"}, "no-patient"),
        (200, TOKEN | {"patient": "p" * 129}, "no-patient"),
    ],
)
def test_a_token_response_that_gives_no_access(status: int, told: Any, reason: str):
    with pytest.raises(Denied) as denied:
        exchanged(status, told)
    assert denied.value.reason == reason


def test_a_token_server_that_fails_is_away():
    with pytest.raises(Unavailable, match="http-503"):
        exchanged(503, {})


def test_answers_are_asked_for_uncompressed():
    """What is inflated has its size only afterwards."""
    asked: list[httpx.Headers] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.headers)
        return httpx.Response(200)

    asyncio.run(send(client_of(answer), "GET", BASE, {"Accept": "application/json"}))
    assert asked[0].get_list("accept-encoding") == ["identity"]


# --- what lies in the browser ------------------------------------------------------------------------------


class Browser:
    """Its cookies."""

    def __init__(self) -> None:
        self.jar: dict[str, str] = {}

    def take(self, response: Response) -> None:
        for header in response.headers.getlist("Set-Cookie"):
            ((name, morsel),) = SimpleCookie(header.replace("; Partitioned", "")).items()
            self.jar[name] = morsel.value
            if morsel["max-age"] == "0":
                del self.jar[name]


@pytest.mark.parametrize("embedded", [False, True])
def test_a_shorter_seal_takes_the_place_of_a_longer_one(embedded: bool):
    browser, cookies = Browser(), Cookies("/intake/s/x", embedded)
    for sealed in ("a" * (PIECE + 1), "b" * 20, "c" * 3 * PIECE):
        response = Response()
        assert cookies.keep(response, "intake", sealed, 60)
        browser.take(response)
        assert kept(ImmutableMultiDict(browser.jar), "intake") == sealed
    response = Response()
    cookies.drop(response, "intake")
    browser.take(response)
    assert browser.jar == {}


def test_what_an_older_release_sealed_is_not_opened():
    older = msgspec.defstruct("Login", [("state", str)])
    sealed = Sealer(KEY, older, 600).seal(older("s"), NOW)
    assert Sealer(KEY, Login, 600).open(sealed, NOW) is None


def test_answers_wait_as_long_as_the_form_itself_is_taken():
    desk = Desk(client_of(no_server), KEY)
    sheet = Sheet(PAGE, "f", BASE, "p1", "Maria", LINKS, {}, values={"fever": "yes"})
    sealed = desk.sheets.seal(sheet, NOW)
    assert desk.sheets.open(sealed, NOW + timedelta(seconds=SHEET_SECONDS)) == sheet
    with create_app(Settings(), knowledge()).test_request_context(
        "/", headers={"Cookie": f"intake-answers.0={sealed}"}
    ):
        assert desk.waiting(PAGE, NOW) == sheet
        assert desk.waiting("B" * 22, NOW) is None


# --- whose form it is --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("patient", "shown"),
    [
        ({"name": [{"text": "Ma\u202eria\u200b  \x07Example\n"}], "birthDate": "1976-08-12"},
         "Ma ria Example, born 1976-08-12"),
        ({"name": [{"text": "\u200b"}, {"family": "Sample", "given": ["Sam"]}]}, "Sam Sample"),
        ({"name": [{"text": "\u2066\u2069"}], "birthDate": "\u202e2176-80-21"}, "Name not recorded, born 2176-80-21"),
        ({"name": [{"text": "x" * 5000}], "birthDate": "1976-08-12 and so on"}, f"{'x' * 200}, born 1976-08-12"),
        ({}, "Name not recorded"),
    ],
)  # fmt: skip
def test_a_name_is_one_short_visible_line(patient: dict[str, Any], shown: str):
    assert person(SimpleNamespace(patient=json.dumps(patient).encode())) == shown
