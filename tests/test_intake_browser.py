"""The intake form in a real browser, between a real server and an EHR in a process of its own."""

import hashlib
import math
import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import html5lib
import httpx
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from playwright.sync_api import Browser, FrameLocator, Page, expect

from tests.browser_rig import Watched, barriers, opened
from tests.patience import PATIENCE
from tests.records import FORM, back_pain, condition, form
from tests.service_rig import EXTENSION, Server, call, path_of, patient, running
from tests.smart_rig import SECRET, TOKEN_SECONDS, Ehr, ehr
from tests.test_canary import EVERY_LOGGER
from tests.test_markdown import ATTACKS
from tests.validation import parse_r4, validate_r4

TODAY = datetime.now(UTC).date()
ASKED = "cauda-equina,severe-radicular-pain,night-pain,cancer-history"
EMERGENCIES = 11

PER_CHART = 18
TEXTS = [each for each in ATTACKS if each.isascii() or each.encode("utf-8", "ignore").decode() == each]
"""Half a character is no JSON, and a record with one is refused as a whole."""

# A page whose answer is not 2xx is told to the console too, and that alone is no fault.
_TOLD = re.compile(r"console: Failed to load resource: the server responded with a status of (4|5)\d\d")


def days_ago(days: int) -> str:
    return (TODAY - timedelta(days=days)).isoformat()


def person(id_: str, **elements: Any) -> dict[str, Any]:
    return {**patient(**elements), "id": id_}


def owned(resource: dict[str, Any], id_: str) -> dict[str, Any]:
    return resource | {"subject": {"reference": f"Patient/{id_}"}}


def records() -> list[dict[str, Any]]:
    """p1: back pain; a0, a1 and so on: text that attacks, wherever a record has text; p3: has answered before."""
    attacks = [TEXTS[start : start + PER_CHART] for start in range(0, len(TEXTS), PER_CHART)]
    return [
        person("p1", name=[{"family": "Example", "given": ["Maria"]}]),
        owned(back_pain(date=days_ago(10)), "p1"),
        *(each for number, texts in enumerate(attacks) for each in attacking(f"a{number}", texts)),
        person("p3", name=[{"use": "official", "text": "Sam Sample"}]),
        owned(back_pain(date=days_ago(10)), "p3"),
        owned(form({"cancer-history": False, "saddle-anesthesia": False, "pain-score": 4}, date=days_ago(2)), "p3"),
    ]


def attacking(id_: str, texts: list[str]) -> Iterator[dict[str, Any]]:
    """A patient with all of them for a name, as far as a name goes, and one each for a diagnosis that cards quote."""
    yield person(id_, name=[{"text": "".join(texts)}])
    for number, text in enumerate(texts):
        spiked = condition(("back-pain", "malignancy-active", "disc-herniation")[number % 3], date=days_ago(number + 1))
        spiked["code"]["text"] = spiked["code"]["coding"][0]["display"] = text
        yield owned(spiked, id_) | {"id": f"{id_}-{number}"}


@pytest.fixture(scope="module")
def key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory, key: rsa.RSAPrivateKey) -> Iterator[Ehr]:
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    with ehr(tmp_path_factory.mktemp("ehr"), records(), public.decode()) as started:
        yield started


@pytest.fixture(scope="module")
def registered(rig: Ehr) -> dict[str, str]:
    named = {fault: rig.base(fault) for fault in ("good", "secret", "signed")}
    return named | {"framed": rig.base(), "framed-expires": rig.base("expires")}


@pytest.fixture(scope="module")
def server(
    tmp_path_factory: pytest.TempPathFactory, rig: Ehr, registered: dict[str, str], key: rsa.RSAPrivateKey
) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("intake")
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "intake.pem").write_bytes(private)
    more = {
        "good": 'name = "General Hospital"',
        "secret": 'secret_variable = "INTAKE_TEST_SECRET"',
        "signed": 'private_key_file = "intake.pem"\nkey_id = "k1"',
        "framed-expires": f'embedded_in = ["{_elsewhere(rig)}"]',
        "framed": f'embedded_in = ["https://ehr.example.org", "{_elsewhere(rig)}"]',
    }
    tables = [
        f'[[intake.servers]]\nfhir_server = "{base}"\nclient_id = "backpain-cds-intake"\n{more[fault]}\n'
        for fault, base in registered.items()
    ]
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("INTAKE_TEST_SECRET", SECRET)
        patched.setenv("PYTHONPATH", str(folder))
        (folder / "sitecustomize.py").write_text(EVERY_LOGGER, "utf-8")
        with running(folder, workers=2, config="\n".join(['log_level = "debug"', *tables])) as started:
            yield started


def _elsewhere(rig: Ehr) -> str:
    """The EHR under another name, which to a browser is another site than the form."""
    return rig.origin.replace("127.0.0.1", "localhost")


@pytest.fixture
def watched(browser: Browser, server: Server, rig: Ehr) -> Iterator[Watched]:
    """A blank page; at the end it has asked nobody but server and EHR, and nothing in it went wrong."""
    with opened(browser, "about:blank") as page:
        yield page
        strangers = [url for url in page.strangers(server.url) if not url.startswith((rig.origin, "about:"))]
        assert strangers == []
        assert [fault for fault in page.faults if not _TOLD.match(fault)] == []


@pytest.fixture
def page(watched: Watched) -> Page:
    return watched.page


def launch(page: Page, server: Server, base: str, launched: str = f"p1~{ASKED}") -> None:
    page.goto(f"{server.url}/intake/launch?iss={base}&launch={launched}")


def sign_in(page: Page, server: Server, base: str, launched: str = f"p1~{ASKED}") -> None:
    launch(page, server, base, launched)
    page.get_by_role("link", name="Allow").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Questions about your back")


def answer(page: Page, link: str, words: str) -> None:
    page.locator(f"#question-{link} > .choices").get_by_text(words, exact=True).click()


def number(page: Page, link: str, value: str) -> None:
    page.locator(f"#question-{link} > .choices input:not([type])").fill(value)


def save(page: Page) -> None:
    page.get_by_role("button").click()


def fill(page: Page, saddle: str = "Yes") -> None:
    answer(page, "saddle-anesthesia", saddle)
    answer(page, "leg-weakness", "Don’t know")
    answer(page, "radicular-pain", "No")
    number(page, "pain-score", "7")


def said(response: dict[str, Any]) -> dict[str, Any]:
    """linkId -> answer of a QuestionnaireResponse."""
    found: dict[str, Any] = {}
    for item in response["item"]:
        found |= {item["linkId"]: item["answer"][0]} if "answer" in item else said(item)
    return found


# --- the way through -------------------------------------------------------------------------------------


def test_from_a_chart_to_the_cards(page: Page, server: Server, rig: Ehr):
    base = rig.base()
    sign_in(page, server, base)
    expect(page.locator(".who")).to_have_text("For Maria Example, born 1976-08-12")
    assert page.locator("fieldset").first.get_attribute("id") == "question-saddle-anesthesia"
    expect(page.locator(".soon")).to_be_hidden()
    fill(page)
    expect(page.locator(".soon")).to_be_visible()
    save(page)
    expect(page.get_by_role("heading", name="Answers saved")).to_be_visible()
    expect(page.get_by_role("alert")).to_contain_text("go to an emergency department now")
    expect(page.locator(".card.critical h3")).to_contain_text("Possible cauda equina syndrome")
    (response,) = rig.written(base, "QuestionnaireResponse")
    (pain,) = rig.written(base, "Observation")
    for each in (response, pain):
        assert validate_r4(each) == []
        parse_r4(each)
    unknown = {"extension": [{"url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason",
                              "valueCode": "asked-unknown"}]}  # fmt: skip
    assert said(response) == {
        "saddle-anesthesia": {"valueBoolean": True},
        "leg-weakness": {"_valueBoolean": unknown},
        "pain-score": {"valueInteger": 7},
        "radicular-pain": {"valueBoolean": False},
    }
    assert response["questionnaire"].startswith(FORM)
    assert response["subject"] == pain["subject"] == {"reference": "Patient/p1"}
    assert pain["derivedFrom"] == [{"reference": f"QuestionnaireResponse/{response['id']}"}]
    written = [each["path"] for each in rig.log(base) if each["method"] == "POST"]
    assert written == [f"{path}" for path in (_token_path(base), _path(base))], "one transaction"


def _path(base: str) -> str:
    return httpx.URL(base).path


def _token_path(base: str) -> str:
    return _path(base).removesuffix("/fhir") + "/token"


def test_a_sign_of_a_stroke_says_to_call(page: Page, server: Server, rig: Ehr):
    sign_in(page, server, rig.base())
    answer(page, "one-sided-weakness-or-numbness", "Yes")
    save(page)
    expect(page.get_by_role("alert")).to_contain_text("call your emergency number now")


def test_alone_with_a_choice_of_servers(page: Page, server: Server, rig: Ehr, registered: dict[str, str]):
    page.goto(f"{server.url}/intake/")
    page.get_by_role("link", name="General Hospital").click()
    page.get_by_role("link", name="Allow p1").click()
    expect(page.locator(".who")).to_contain_text("Maria Example")
    answer(page, "fever", "Yes")
    save(page)
    expect(page.locator(".card.warning")).to_contain_text("Fever")
    assert len(rig.written(registered["good"], "QuestionnaireResponse")) == 1
    authorized = next(each for each in rig.log(registered["good"]) if "/authorize" in each["path"])
    assert "launch%2Fpatient" in authorized["path"]
    assert "launch=" not in authorized["path"]


@pytest.mark.parametrize("fault", ["secret", "signed"])
def test_a_confidential_client(page: Page, server: Server, registered: dict[str, str], fault: str):
    sign_in(page, server, registered[fault])


def test_old_scopes_where_a_server_knows_no_others(page: Page, server: Server, rig: Ehr):
    base = rig.base("v1")
    sign_in(page, server, base)
    asked = next(httpx.URL(each["path"]).params["scope"] for each in rig.log(base) if "/authorize" in each["path"])
    assert "patient/QuestionnaireResponse.write" in asked.split()
    assert not re.search(r"\.c?rs\b", asked)


def test_the_card_leads_to_the_form(page: Page, server: Server, rig: Ehr):
    sent = server.http.post(path_of("patient-view"), json=call("patient-view")).json()
    card = next(each for each in sent["cards"] if each["extension"][EXTENSION]["group"] == "not-assessed")
    link = next(each for each in card["links"] if each["type"] == "smart")
    asked = link["appContext"].split(",")
    assert {each["id"] for each in card["extension"][EXTENSION]["criteria"]} == set(asked)
    assert link["url"] == f"http://localhost:{server.port}/intake/launch"
    page.goto(f"{server.url}/intake/launch?iss={rig.base()}&launch=p1~night-pain")
    page.get_by_role("link", name="Allow").click()
    assert page.locator("fieldset").count() == EMERGENCIES + 1
    expect(page.locator("#question-night-pain")).to_be_visible()


def test_without_criteria_it_asks_what_is_open_for_this_patient(page: Page, server: Server, rig: Ehr):
    sign_in(page, server, rig.base(), "p1")
    links = [each.get_attribute("id") for each in page.locator("fieldset").all()]
    assert {"question-night-pain", "question-gait-disturbance", "question-pain-score"} <= set(links)
    assert "question-cancer-history" not in links, "silence is an answer to it (A)"
    assert "question-irritability" not in links, "of a child"
    assert len(links) < 30


# --- what the record says already -------------------------------------------------------------------------


def test_only_what_lasts_is_filled_in(page: Page, server: Server, rig: Ehr):
    sign_in(page, server, rig.base(), f"p3~{ASKED}")
    recorded = f"In the record on {days_ago(2)}"
    expect(page.locator("#question-cancer-history")).to_contain_text(f"{recorded}: no")
    expect(page.locator("#question-cancer-history").get_by_label("No", exact=True)).to_be_checked()
    expect(page.locator("#question-saddle-anesthesia")).to_contain_text(f"{recorded}: no")
    assert page.locator("#question-saddle-anesthesia input:checked").count() == 0
    expect(page.locator("#question-pain-score")).to_contain_text(f"{recorded}: 4")
    expect(page.locator("#question-pain-score input:not([type])")).to_have_value("")


def test_a_question_that_depends_appears_with_a_yes_and_counts_only_then(page: Page, server: Server, rig: Ehr):
    base = rig.base()
    sign_in(page, server, base)
    worse = page.locator("#question-radicular-pain-worsening")
    expect(worse).to_be_hidden()
    answer(page, "radicular-pain", "Yes")
    answer(page, "radicular-pain-worsening", "Yes")
    answer(page, "radicular-pain", "No")
    expect(worse).to_be_hidden()
    save(page)
    expect(page.get_by_role("heading", name="Answers saved")).to_be_visible()
    assert said(*rig.written(base, "QuestionnaireResponse")) == {"radicular-pain": {"valueBoolean": False}}


@pytest.mark.parametrize("value", ["11", "-1", "seven", "1e400", "nan"])
def test_a_number_that_is_none_is_marked_and_nothing_is_written(page: Page, server: Server, rig: Ehr, value: str):
    base = rig.base()
    sign_in(page, server, base)
    fill(page, "No")
    number(page, "pain-score", value)
    save(page)
    expect(page.get_by_role("alert")).to_contain_text("Nothing was saved yet")
    expect(page.locator("#problem-pain-score")).to_contain_text("from 0 to 10")
    expect(page.locator("#question-pain-score input:not([type])")).to_have_value(value)
    expect(page.locator("#question-saddle-anesthesia").get_by_label("No", exact=True)).to_be_checked()
    assert rig.written(base, "QuestionnaireResponse") == []


def test_an_empty_form_is_not_sent(page: Page, server: Server, rig: Ehr):
    base = rig.base()
    sign_in(page, server, base)
    save(page)
    expect(page.get_by_role("alert")).to_contain_text("no question was answered")
    assert rig.written(base, "QuestionnaireResponse") == []


# --- launches that fail ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("no-smart", "cannot be signed in to"),
        ("http-endpoints", "cannot be signed in to"),
        ("other-state", "does not fit"),
        ("no-patient", "No patient was named"),
        ("mac-token", "did not work"),
        ("token-500", "did not work"),
        ("huge-token", "did not work"),
        ("no-record", "cannot be read"),
    ],
)
def test_a_launch_that_fails_says_so(page: Page, server: Server, rig: Ehr, fault: str, said: str):
    launch(page, server, rig.base(fault))
    if page.get_by_role("link", name="Allow").count():
        page.get_by_role("link", name="Allow").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text(said)
    assert barriers(page) == []


def test_declined(page: Page, server: Server, rig: Ehr):
    base = rig.base()
    launch(page, server, base)
    page.get_by_role("link", name="Deny").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("No access was given")
    assert page.locator("b").count() == 0
    assert [each for each in rig.log(base) if "/token" in each["path"]] == []


@pytest.mark.parametrize(
    ("iss", "title"),
    [
        ("", "Which record system?"),
        ("https://evil.example/fhir", "not registered"),
        ("http://169.254.169.254/latest", "not registered"),
        ("http://127.0.0.1@evil.example/fhir", "not registered"),
        ("javascript:alert(1)", "not registered"),
    ],
)
def test_a_server_that_is_not_listed_is_not_asked(page: Page, server: Server, iss: str, title: str):
    page.goto(f"{server.url}/intake/launch?iss={iss}&launch=x")
    expect(page.get_by_role("heading", level=1)).to_contain_text(title)


def test_a_code_works_once_and_in_its_own_browser(browser: Browser, page: Page, server: Server, rig: Ehr):
    launch(page, server, rig.base())
    back = page.get_by_role("link", name="Allow").get_attribute("href")
    with opened(browser, back) as stranger:
        expect(stranger.page.get_by_role("heading", level=1)).to_have_text("This sign-in does not fit")
    page.goto(back)
    expect(page.locator(".who")).to_contain_text("Maria")
    page.goto(back)
    expect(page.get_by_role("heading", level=1)).to_have_text("This sign-in does not fit")


def test_a_long_token_is_kept_in_pieces(page: Page, server: Server, rig: Ehr):
    base = rig.base("long-token")
    sign_in(page, server, base)
    fill(page)
    save(page)
    expect(page.get_by_role("heading", name="Answers saved")).to_be_visible()
    kept = [each for each in page.context.cookies(page.url) if each["name"].startswith("intake")]
    assert len(kept) > 1
    assert all(each["httpOnly"] and each["secure"] and each["sameSite"] == "Lax" for each in kept)


# --- writes that fail --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "said"),
    [("refuse-403", "did not accept"), ("refuse-422", "did not accept"), ("fail-500", "did not reply")],
)
def test_a_refused_write_loses_nothing(page: Page, server: Server, rig: Ehr, fault: str, said: str):
    base = rig.base(fault)
    sign_in(page, server, base)
    fill(page)
    save(page)
    expect(page.locator(".notice")).to_contain_text(said)
    expect(page.locator(".urgent")).to_contain_text("Numb saddle area")
    expect(page.locator("#question-saddle-anesthesia").get_by_label("Yes", exact=True)).to_be_checked()
    expect(page.locator("#question-leg-weakness").get_by_label("Don’t know")).to_be_checked()
    expect(page.locator("#question-pain-score input:not([type])")).to_have_value("7")
    assert rig.written(base, "QuestionnaireResponse") == []


def test_a_write_that_was_done_though_it_failed_is_not_done_twice(page: Page, server: Server, rig: Ehr):
    base = rig.base("stored-500")
    sign_in(page, server, base)
    fill(page)
    save(page)
    expect(page.locator(".notice")).to_contain_text("nothing will be saved twice")
    page.get_by_role("button", name="Save again").click()
    expect(page.get_by_role("heading", name="Answers saved")).to_be_visible()
    assert len(rig.written(base, "QuestionnaireResponse")) == len(rig.written(base, "Observation")) == 1


def test_an_answer_changed_after_a_failure_is_written_too(page: Page, server: Server, rig: Ehr):
    base = rig.base("stored-500")
    sign_in(page, server, base)
    fill(page, "No")
    save(page)
    answer(page, "saddle-anesthesia", "Yes")
    save(page)
    expect(page.locator(".card.critical")).to_be_visible()
    answers = [said(each)["saddle-anesthesia"]["valueBoolean"] for each in rig.written(base, "QuestionnaireResponse")]
    assert answers == [False, True]


def test_without_transactions_it_writes_one_by_one(page: Page, server: Server, rig: Ehr):
    base = rig.base("no-transaction")
    sign_in(page, server, base)
    fill(page)
    save(page)
    expect(page.get_by_role("heading", level=1)).to_have_text("Answers saved")
    (response,), (pain,) = rig.written(base, "QuestionnaireResponse"), rig.written(base, "Observation")
    assert pain["derivedFrom"] == [{"reference": f"QuestionnaireResponse/{response['id']}"}]


def test_what_was_saved_in_part_is_said(page: Page, server: Server, rig: Ehr):
    base = rig.base("only-answers")
    sign_in(page, server, base)
    fill(page)
    save(page)
    expect(page.get_by_role("heading", level=1)).to_have_text("Answers saved in part")
    expect(page.locator(".notice")).to_contain_text("Pain score")
    expect(page.locator(".card.critical")).to_be_visible()
    assert len(rig.written(base, "QuestionnaireResponse")) == 1


def test_signing_in_again_keeps_the_answers(page: Page, server: Server, rig: Ehr):
    base = rig.base("expires")
    sign_in(page, server, base)
    fill(page)
    save(page)
    expect(page.locator(".notice")).to_contain_text("the sign-in has expired")
    answer(page, "night-pain", "Yes")
    _sign_in_again(page, "Allow p2")
    expect(page.locator(".notice")).to_contain_text("you signed in for another patient")
    expect(page.locator(".urgent")).to_contain_text("Numb saddle area")
    assert rig.written(base, "QuestionnaireResponse") == []
    _sign_in_again(page, "Allow p1")
    expect(page.locator(".notice")).to_contain_text("not saved yet")
    expect(page.locator(".urgent")).to_contain_text("Numb saddle area")
    expect(page.locator("#question-pain-score input:not([type])")).to_have_value("7")
    save(page)
    expect(page.get_by_role("heading", level=1)).to_have_text("Answers saved")
    (response,) = rig.written(base, "QuestionnaireResponse")
    assert response["subject"] == {"reference": "Patient/p1"}
    assert said(response)["saddle-anesthesia"] == {"valueBoolean": True}
    assert said(response)["night-pain"] == {"valueBoolean": True}, "changed when it was known that a sign-in is needed"
    page.get_by_role("link", name="Change an answer").click()
    expect(page.locator(".notice")).to_have_count(0)


def _sign_in_again(page: Page | FrameLocator, whom: str, is_urgent: bool = True) -> None:
    """The advice stays until somebody goes on; without any the browser goes on by itself."""
    page.get_by_role("button", name="Sign in again").first.click()
    if is_urgent:
        expect(page.get_by_role("alert")).to_contain_text("go to an emergency department now")
        page.get_by_role("link", name="Sign in").click()
    page.get_by_role("link", name=whom).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Questions about your back")


def test_a_session_that_is_gone_keeps_the_answers_too(page: Page, server: Server, rig: Ehr):
    base = rig.base()
    sign_in(page, server, base)
    fill(page)
    page.context.clear_cookies()
    save(page)
    expect(page.locator(".notice")).to_contain_text("the sign-in has expired")
    expect(page.locator("#question-pain-score input:not([type])")).to_have_value("7")
    _sign_in_again(page, "Allow p1")
    save(page)
    expect(page.get_by_role("heading", level=1)).to_have_text("Answers saved")


def test_a_second_sign_in_that_fails_leads_back_to_the_answers(page: Page, server: Server, rig: Ehr):
    base = rig.base("expires")
    sign_in(page, server, base)
    fill(page)
    save(page)
    page.get_by_role("button", name="Sign in again").first.click()
    page.get_by_role("link", name="Sign in").click()
    page.get_by_role("link", name="Deny").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("No access was given")
    expect(page.get_by_role("alert")).to_contain_text("go to an emergency department now")
    page.context.clear_cookies(name=re.compile(r"^intake\."))
    page.get_by_role("link", name="Back to your answers").click()
    expect(page.get_by_role("alert")).to_contain_text("Numb saddle area")
    page.get_by_role("link", name="Sign in").click()
    page.get_by_role("link", name="Allow p1").click()
    save(page)
    expect(page.get_by_role("heading", level=1)).to_have_text("Answers saved")
    assert said(*rig.written(base, "QuestionnaireResponse"))["pain-score"] == {"valueInteger": 7}


def test_the_cookie_goes_when_the_token_does(page: Page, server: Server, rig: Ehr):
    sign_in(page, server, rig.base())
    (session,) = [each for each in page.context.cookies(page.url) if each["name"].startswith("intake")]
    assert 0 < session["expires"] - datetime.now(UTC).timestamp() <= TOKEN_SECONDS


# --- twice, back, and side by side -------------------------------------------------------------------------


def next_second() -> None:
    """Answers have their time to the second; of two in one second neither is the later one."""
    now = int(time.time())
    while int(time.time()) == now:
        time.sleep(0.02)


def test_a_double_click_writes_once(page: Page, server: Server, rig: Ehr):
    base = rig.base()
    sign_in(page, server, base)
    fill(page)
    page.get_by_role("button").dblclick()
    expect(page.get_by_role("heading", level=1)).to_have_text("Answers saved")
    page.reload()
    expect(page.get_by_role("heading", level=1)).to_have_text("Answers saved")
    assert len(rig.written(base, "QuestionnaireResponse")) == len(rig.written(base, "Observation")) == 1
    transactions = [each for each in rig.log(base) if each["method"] == "POST" and each["path"] == _path(base)]
    assert len(transactions) >= 2, "it was sent more than once"


def test_the_same_answers_at_the_same_time_on_both_workers_are_written_once(page: Page, server: Server, rig: Ehr):
    base = rig.base("no-transaction")
    sign_in(page, server, base)
    filled = {"sheet": sheet(page), "answer.saddle-anesthesia": "yes", "answer.pain-score": "7"}
    url, allowed = page.url, cookies(page)

    def send(_: int) -> int:
        return httpx.post(url, data=filled, headers=allowed, trust_env=False, timeout=PATIENCE).status_code

    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(send, range(4))) == [200] * 4
    assert len(rig.written(base, "QuestionnaireResponse")) == len(rig.written(base, "Observation")) == 1


def test_after_going_back_the_later_answer_counts(page: Page, server: Server, rig: Ehr):
    base = rig.base()
    sign_in(page, server, base)
    fill(page)
    save(page)
    expect(page.locator(".card.critical")).to_be_visible()
    page.go_back()
    expect(page.get_by_role("heading", level=1)).to_have_text("Questions about your back")
    for sign in ("saddle-anesthesia", "urinary-retention", "bladder-control-loss", "bowel-control-loss"):
        answer(page, sign, "No")
    next_second()
    save(page)
    expect(page.get_by_role("heading", level=1)).to_have_text("Answers saved")
    expect(page.locator(".card.critical")).to_have_count(0)
    assert len(rig.written(base, "QuestionnaireResponse")) == 2


def test_of_answers_changed_and_changed_back_the_last_ones_count(page: Page, server: Server, rig: Ehr):
    """The way to change them is a new form. The filled-in one is not kept for "back": the page's cookie is another."""
    base = rig.base()
    sign_in(page, server, base)
    answers, before = ("No", "Yes", "No"), cookies(page)
    for number, each in enumerate(answers, 1):
        answer(page, "saddle-anesthesia", each)
        next_second()
        save(page)
        expect(page.get_by_role("heading", level=1)).to_have_text("Answers saved")
        expect(page.locator(".card.critical")).to_have_count(1 if each == "Yes" else 0)
        assert len(rig.written(base, "QuestionnaireResponse")) == number
        assert cookies(page) != before
        before = cookies(page)
        page.get_by_role("link", name="Change an answer").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Questions about your back")
    written = [said(each)["saddle-anesthesia"]["valueBoolean"] for each in rig.written(base, "QuestionnaireResponse")]
    assert written == [False, True, False]


def test_two_charts_in_two_tabs_do_not_meet(page: Page, server: Server, rig: Ehr):
    base = rig.base()
    sign_in(page, server, base)
    other = page.context.new_page()
    sign_in(other, server, base, f"p3~{ASKED}")
    for each, value in ((page, "3"), (other, "8")):
        number(each, "pain-score", value)
        save(each)
        expect(each.get_by_role("heading", level=1)).to_have_text("Answers saved")
    scores = {each["subject"]["reference"]: each["valueQuantity"]["value"] for each in rig.written(base, "Observation")}
    assert scores == {"Patient/p1": 3, "Patient/p3": 8}


# --- people ------------------------------------------------------------------------------------------------


def test_with_the_keyboard_alone(page: Page, server: Server, rig: Ehr):
    base = rig.base()
    launch(page, server, base, "p1~night-pain")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Questions about your back")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    for _ in range(EMERGENCIES):
        page.keyboard.press("Tab")
        page.keyboard.press("Space")
        page.keyboard.press("ArrowRight")
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Save answers")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Answers saved")
    answers = said(*rig.written(base, "QuestionnaireResponse"))
    assert len(answers) == EMERGENCIES + 1
    assert answers["night-pain"] == {"valueBoolean": True}
    assert answers["saddle-anesthesia"] == {"valueBoolean": False}


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark"), (390, "light"), (1280, "dark")])
def test_nothing_keeps_anybody_out(browser: Browser, server: Server, rig: Ehr, width: int, scheme: str):
    with opened(browser, f"{server.url}/intake/", width, scheme) as watched:
        page = watched.page
        _is_fit(page)
        sign_in(page, server, rig.base("refuse-422"), "p3~pain-over-4-weeks,progressive-scoliosis")
        page.locator("details").evaluate_all("all => all.forEach((each) => { each.open = true; })")
        answer(page, "conservative-treatment-tried", "Yes")
        number(page, "conservative-treatment-weeks", "many")
        _is_fit(page)
        save(page)
        _is_fit(page)
        number(page, "conservative-treatment-weeks", "6,5")
        answer(page, "saddle-anesthesia", "Yes")
        save(page)
        _is_fit(page)
        sign_in(page, server, rig.base("only-answers"), f"p3~{ASKED}")
        fill(page)
        save(page)
        _is_fit(page)
        sign_in(page, server, rig.base("expires"), f"p3~{ASKED}")
        fill(page)
        save(page)
        _is_fit(page)
        page.get_by_role("button", name="Sign in again").first.click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Sign in again")
        _is_fit(page)
        page.get_by_role("link", name="Sign in").click()
        page.get_by_role("link", name="Deny").click()
        _is_fit(page)


def _is_fit(page: Page) -> None:
    assert barriers(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_each_page_is_valid_html(page: Page, server: Server, rig: Ehr):
    pages = [server.http.get("/intake/"), server.http.get("/intake/launch?iss=https://evil.example/fhir")]
    for fault in ("refuse-422", "only-answers"):
        sign_in(page, server, rig.base(fault), f"p3~{ASKED}")
        pages.append(httpx.get(page.url, headers=cookies(page), trust_env=False, timeout=PATIENCE))
        filled = {"sheet": sheet(page), "answer.saddle-anesthesia": "yes", "answer.pain-score": "7"}
        pages.append(httpx.post(page.url, data=filled, headers=cookies(page), trust_env=False, timeout=PATIENCE))
    assert [each.status_code for each in pages] == [200, 403, 200, 502, 200, 200]
    for each in pages:
        html5lib.HTMLParser(strict=True).parse(each.text)


def cookies(page: Page) -> dict[str, str]:
    """The header that the browser would send."""
    return {"Cookie": "; ".join(f"{each['name']}={each['value']}" for each in page.context.cookies(page.url))}


def sheet(page: Page) -> str:
    return page.locator("input[name=sheet]").get_attribute("value")


def test_text_of_a_record_stays_text(watched: Watched, server: Server, rig: Ehr):
    """Name, diagnoses (row 29): the name is cut, so not every attack is in one."""
    page, base, named = watched.page, rig.base(), ""
    for number in range(math.ceil(len(TEXTS) / PER_CHART)):
        sign_in(page, server, base, f"a{number}")
        named += page.locator(".who").inner_text()
        _is_inert(page)
        answer(page, "saddle-anesthesia", "Yes")
        save(page)
        expect(page.locator(".card.critical")).to_be_visible()
        _is_inert(page)
    assert "<script>alert(1)</script>" in named


def _is_inert(page: Page) -> None:
    active = (
        "script, iframe, object, embed, svg, img, base, meta[http-equiv], main [onerror], main [onload], "
        "main a[href]:not([href^='/intake/s/'])"
    )
    assert page.locator(active).count() == 0


# --- headers -----------------------------------------------------------------------------------------------


def test_only_its_own_page_can_send_answers(page: Page, server: Server, rig: Ehr):
    base = rig.base()
    sign_in(page, server, base)
    put, allowed = sheet(page), cookies(page)
    good = {"sheet": put, "answer.saddle-anesthesia": "yes"}

    def status(form: dict[str, str], url: str = page.url, **headers: str) -> int:
        sent = allowed | {name.replace("_", "-"): value for name, value in headers.items()}
        return httpx.post(url, data=form, headers=sent, trust_env=False, timeout=PATIENCE).status_code

    assert status({**good, "sheet": ""}) == 400
    assert status({**good, "sheet": f"{put[:-6]}AAAAA="}) == 400
    assert status(good, Sec_Fetch_Site="cross-site") == 400
    assert status(good, url=page.url[:-1] + ("A" if page.url[-1] != "A" else "B")) == 400
    assert status(good, Cookie="") == 401
    assert rig.written(base, "QuestionnaireResponse") == []
    assert status(good, Sec_Fetch_Site="same-origin") == 200


def test_a_cookie_opens_its_own_page_only(page: Page, server: Server, rig: Ehr):
    """Whoever could plant cookies still cannot use one sign-in or session for another."""
    sign_in(page, server, rig.base())
    elsewhere = f"{server.url}/intake/s/{'A' * 22}"
    assert httpx.get(elsewhere, headers=cookies(page), trust_env=False).status_code == 401
    launched = server.http.get("/intake/launch", params={"iss": rig.base(), "launch": "p1"})
    sealed = launched.headers["set-cookie"].partition("=")[2].partition(";")[0]
    state = "another"
    name = f"intake-login-{hashlib.sha256(state.encode()).hexdigest()[:16]}.0"
    asked = {"code": "c", "state": state}
    url = f"{server.url}/intake/callback"
    refused = httpx.get(url, params=asked, headers={"Cookie": f"{name}={sealed}"}, trust_env=False)
    assert refused.status_code == 400
    assert "does not fit" in refused.text


def test_no_frame_but_a_registered_one(server: Server, rig: Ehr, registered: dict[str, str]):
    for base, ancestors, same_site in (
        (rig.base(), "'none'", "SameSite=Lax"),
        (registered["framed"], f"https://ehr.example.org {_elsewhere(rig)}", "SameSite=None; Partitioned"),
    ):
        answer = server.http.get("/intake/launch", params={"iss": base, "launch": "p1"})
        assert answer.headers["set-cookie"].endswith(same_site)
        assert "Secure; HttpOnly" in answer.headers["set-cookie"]
        refused = _called_back(server, answer)
        assert f"frame-ancestors {ancestors}" in refused.headers["content-security-policy"]
        assert "script-src" not in refused.headers["content-security-policy"]
        assert refused.headers["content-security-policy"].startswith("default-src 'none';")


def test_within_the_chart_of_another_site(browser: Browser, server: Server, rig: Ehr, registered: dict[str, str]):
    app = f"{server.url}/intake/launch?" + urlencode({"iss": registered["framed"], "launch": "p1"})
    chart = f"{_elsewhere(rig)}/t0/good/chart?" + urlencode({"app": app})
    with opened(browser, chart) as watched:
        shown = watched.page.frame_locator("iframe")
        shown.get_by_role("link", name="Allow").click()
        shown.locator("#question-fever > .choices").get_by_text("Yes", exact=True).click()
        shown.get_by_role("button").click()
        expect(shown.get_by_role("heading", level=1)).to_have_text("Answers saved")
        assert watched.faults == []


def test_signing_in_again_within_the_chart_of_another_site(
    browser: Browser, server: Server, rig: Ehr, registered: dict[str, str]
):
    base = registered["framed-expires"]
    app = f"{server.url}/intake/launch?" + urlencode({"iss": base, "launch": "p1"})
    with opened(browser, f"{_elsewhere(rig)}/t0/good/chart?" + urlencode({"app": app})) as watched:
        shown = watched.page.frame_locator("iframe")
        shown.get_by_role("link", name="Allow").click()
        shown.locator("#question-fever > .choices").get_by_text("Yes", exact=True).click()
        shown.get_by_role("button").click()
        expect(shown.locator(".notice")).to_contain_text("the sign-in has expired")
        _sign_in_again(shown, "Allow p1", is_urgent=False)
        shown.get_by_role("button").click()
        expect(shown.get_by_role("heading", level=1)).to_have_text("Answers saved")
    (response,) = rig.written(base, "QuestionnaireResponse")
    assert said(response) == {"fever": {"valueBoolean": True}}


def test_not_within_a_chart_that_is_not_registered(browser: Browser, server: Server, rig: Ehr):
    app = f"{server.url}/intake/launch?" + urlencode({"iss": "https://evil.example/fhir"})
    with opened(browser, f"{rig.origin}/t0/good/chart?" + urlencode({"app": app})) as watched:
        expect(watched.page.frame_locator("iframe").get_by_role("heading", level=1)).to_have_count(0)
        assert any("frame-ancestors" in fault or "frame" in fault.lower() for fault in watched.faults)


def _called_back(server: Server, launched: httpx.Response) -> httpx.Response:
    """The end of a sign-in that was declined."""
    state = httpx.URL(launched.headers["location"]).params["state"]
    cookie = launched.headers["set-cookie"].partition(";")[0]
    declined = {"error": "access_denied", "state": state}
    return httpx.get(f"{server.url}/intake/callback", params=declined, headers={"Cookie": cookie}, trust_env=False)


def test_nothing_of_a_patient_is_in_urls_or_the_log(page: Page, watched: Watched, server: Server, rig: Ehr):
    base = rig.base()
    sign_in(page, server, base, f"p3~{ASKED}")
    fill(page)
    save(page)
    expect(page.get_by_role("heading", level=1)).to_have_text("Answers saved")
    asked = [each for each in rig.log(base) if each["token"]]
    tokens = {each["token"].removeprefix("Bearer ") for each in asked}
    assert len(tokens) == 1
    assert {each["method"] for each in asked} == {"GET", "POST"}
    own = [url for url in watched.requests if url.startswith(server.url) and "launch=" not in url]
    assert [url for url in own if re.search(r"[/=~]p3(?![\w-])|Sample|1976", url)] == [], "a random id may hold a p3"
    log = Path(server._log_file).read_text("utf-8")
    assert '"event":"intake"' in log
    assert '"level":"debug"' in log or "DEBUG:" in log, "every logger speaks"
    assert not re.search(r"Patient/|Sample|1976|gAAAA|saddle", log)
    assert not any(token in said for token in tokens for said in (log, *watched.requests))
