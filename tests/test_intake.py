"""The parts of the intake form: what it asks, what it writes, whom it believes, what it seals."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cds.catalogue import CRITERIA, Group
from fhir_profiles.intake_answers import (
    Said,
    observations,
    questionnaire_response,
    questions,
    submission_id,
)
from hooks.errors import SettingsError
from hooks.intake.answers import PREFIX, read_answers, urgent
from hooks.intake.desk import Login, Session, Sheet
from hooks.intake.options import IntakeOptions, load_intake
from hooks.intake.outward import is_endpoint
from hooks.intake.questions import criteria_asked, limits_of, parts, wanted
from hooks.intake.sealed import Sealer
from hooks.intake.smart import Denied, _granted, scopes
from hooks.settings import load_settings
from hooks.worker import with_own_url
from tests.records import FORM, OWN, PATIENT_ID, Judged, back_pain, judge, knowledge, resource
from tests.validation import parse_r4, validate_r4

QUESTIONNAIRE = knowledge().questionnaire
ITEMS = {item["linkId"]: item for item in questions(QUESTIONNAIRE["item"])}
EMERGENCY = [item["linkId"] for item in QUESTIONNAIRE["item"][0]["item"]]
AUTHORED = "2026-11-20T11:00:00Z"
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
KEY = b"k" * 64
SDC = "http://hl7.org/fhir/uv/sdc/StructureDefinition/sdc-questionnaire-"


# --- which questions ---------------------------------------------------------------------------------------


def asked_for(*criteria: str) -> list[str]:
    return [link for link in wanted(QUESTIONNAIRE, criteria, has_back_problem=True) if link not in EMERGENCY]


@pytest.mark.parametrize(
    ("criterion", "questions"),
    [
        ("cauda-equina", []),
        ("night-pain", ["night-pain"]),
        ("fever-or-infection", ["fever", "infection-signs"]),
        ("severe-radicular-pain", ["pain-score", "radicular-pain", "radicular-pain-worsening"]),
        ("severe-motor-weakness", ["muscle-strength-grade"]),
        ("neurogenic-claudication", ["radicular-pain", "radicular-pain-worsening", "walking-distance"]),
        (
            "pain-over-4-weeks",
            ["pain-score", "conservative-treatment-tried", "conservative-treatment-weeks", "significant-relief"],
        ),
        (
            "child-spinal-infection",
            ["night-pain", "reduced-range-of-motion", "limping", "irritability", "fever", "localized-tenderness"],
        ),
    ],
)
def test_a_criterion_asks_what_it_reads(criterion: str, questions: list[str]):
    assert asked_for(criterion) == questions


def test_the_emergency_signs_come_first_whatever_was_asked_for():
    assert wanted(QUESTIONNAIRE, (), has_back_problem=True) == EMERGENCY
    assert wanted(QUESTIONNAIRE, ("night-pain",), has_back_problem=False) == [*EMERGENCY, "back-pain", "night-pain"]


def test_each_question_is_asked_for_some_criterion():
    all_asked = set(EMERGENCY).union(*map(asked_for, CRITERIA))
    assert set(ITEMS) - all_asked == {"muscle-tenderness"}, "no criterion reads that one"


@pytest.mark.parametrize(
    "context",
    [
        "night-pain,fever-or-infection",
        "night-pain,<script>,fever-or-infection,,night-pain",
        "x,night-pain,fever-or-infection",
    ],
)
def test_the_link_says_which_criteria(context: str):
    evaluation = judge(back_pain()).evaluation
    assert criteria_asked(context, evaluation) == ("night-pain", "fever-or-infection")


def test_without_a_link_those_that_are_open():
    open_ones = criteria_asked("nothing-we-know", judge(back_pain()).evaluation)
    assert {"cauda-equina", "night-pain", "significant-radicular-pain"} <= set(open_ones)
    assert {CRITERIA[id_].group for id_ in open_ones} == {Group.EMERGENCY, Group.RED_FLAG, Group.SURGICAL_REFERRAL}
    assert "night-pain" not in criteria_asked("", judge(back_pain(), disabled=["night-pain"]).evaluation)


def test_a_question_that_depends_stands_below_the_other():
    shown = parts(QUESTIONNAIRE, wanted(QUESTIONNAIRE, ("pain-over-4-weeks",), True), {}, {}, {})
    tried = next(each for part in shown for each in part.questions if each.link == "conservative-treatment-tried")
    assert [each.link for each in tried.depends] == ["conservative-treatment-weeks", "significant-relief"]


# --- what was filled in ------------------------------------------------------------------------------------


def filled(**posted: str) -> Any:
    return read_answers(QUESTIONNAIRE, ITEMS, {PREFIX + name.replace("_", "-"): each for name, each in posted.items()})


def test_answers_are_read():
    read = filled(fever="yes", night_pain="no", limping="unknown", pain_score=" 7 ", walking_distance="120,5")
    assert read.problems == {}
    assert read.answers == {
        "fever": True,
        "night-pain": False,
        "limping": Said.NOT_KNOWN,
        "pain-score": 7,
        "walking-distance": 120.5,
    }


@pytest.mark.parametrize("value", ["11", "-1", "7.5", "x", "nan", "inf", "1_0", "٧", "0x7", "7" * 21, "1e99"])
def test_a_number_that_is_none_is_a_problem(value: str):
    read = filled(pain_score=value)
    assert read.answers == {}
    assert "from 0 to 10" in read.problems["pain-score"]


@pytest.mark.parametrize("value", ["maybe", "true", "YES", "1"])
def test_only_what_the_page_offers_is_an_answer(value: str):
    assert filled(fever=value).problems


def test_what_the_page_did_not_ask_is_passed_over():
    read = read_answers(QUESTIONNAIRE, ["fever"], {PREFIX + "fever": "no", PREFIX + "saddle-anesthesia": "yes"})
    assert read.answers == {"fever": False}


def test_what_depends_counts_only_after_a_yes():
    given_up = filled(conservative_treatment_tried="no", conservative_treatment_weeks="12", significant_relief="no")
    assert given_up.answers == {"conservative-treatment-tried": False}
    assert given_up.values["conservative-treatment-weeks"] == "12", "it is still on the page"


def test_the_emergency_signs_among_the_answers():
    read = filled(paralysis="yes", saddle_anesthesia="yes", urinary_retention="unknown", fever="yes")
    assert urgent(QUESTIONNAIRE, read.answers) == ["saddle-anesthesia", "paralysis"]


# --- what is written ---------------------------------------------------------------------------------------


def numbers_of(item: dict[str, Any]) -> st.SearchStrategy[Any]:
    limits = limits_of(item)
    if item["type"] == "integer":
        return st.integers(int(limits.low or 0), int(limits.high or 100))
    return st.integers(0, 100).map(float)


ANSWERS = st.fixed_dictionaries(
    {},
    optional={
        link: (st.booleans() if item["type"] == "boolean" else numbers_of(item)) | st.just(Said.NOT_KNOWN)
        for link, item in ITEMS.items()
    },
).filter(bool)


def written(answers: dict[str, Any]) -> list[dict[str, Any]]:
    submission = submission_id("form", answers)
    response = questionnaire_response(QUESTIONNAIRE, answers, PATIENT_ID, AUTHORED, submission) | {"id": "r1"}
    given = QUESTIONNAIRE, answers, PATIENT_ID, AUTHORED, submission, "QuestionnaireResponse/r1"
    return [response, *(each | {"id": f"o{n}"} for n, each in enumerate(observations(*given)))]


@given(ANSWERS)
def test_what_the_form_writes_is_read_as_what_was_answered(answers: dict[str, Any]):
    resources = written(answers)
    for each in resources:
        assert validate_r4(each) == []
        parse_r4(each)
    chart = judge(*resources).evaluation.chart
    stated = {link: facts[-1].present for link, facts in chart.statements.items()}
    measured = {link: facts[-1].value for link, facts in chart.measurements.items()}
    assert stated == {link: each for link, each in answers.items() if isinstance(each, bool)}
    assert measured == {
        link: each for link, each in answers.items() if isinstance(each, int | float) and not isinstance(each, bool)
    }
    assert all(len(facts) == 2 for facts in chart.measurements.values()), "the answer and its Observation"


@given(ANSWERS, ANSWERS)
def test_only_the_same_answers_are_the_same_submission(some: dict[str, Any], others: dict[str, Any]):
    assert submission_id("form", some) == submission_id("form", dict(reversed(some.items())))
    assert submission_id("form", some) != submission_id("another", some)
    if some != others:
        assert submission_id("form", some) != submission_id("form", others)


def test_each_number_is_extracted_as_other_form_fillers_would():
    """observationExtract says of an item that its answer becomes an Observation with its code."""
    marked = {
        link
        for link, item in ITEMS.items()
        for each in item.get("extension", ())
        if each["url"] == f"{SDC}observationExtract" and each["valueBoolean"]
    }
    assert marked == {link for link, item in ITEMS.items() if item["type"] in ("integer", "decimal")}


def test_the_questionnaire_is_valid():
    assert validate_r4(QUESTIONNAIRE) == []
    parse_r4(QUESTIONNAIRE)


# --- forms of others ---------------------------------------------------------------------------------------


def of_another(items: list[dict[str, Any]], **elements: Any) -> Judged:
    response = resource(
        "QuestionnaireResponse", questionnaire=FORM, status="completed", authored="2026-11-20", item=items, **elements
    )
    assert validate_r4(response) == []
    return judge(back_pain(), response)


def item(link: str, **answer: Any) -> dict[str, Any]:
    return {"linkId": link, "text": "in whatever words", "answer": [answer]}


YES_NO = "http://terminology.hl7.org/CodeSystem/v2-0136"
SHAPES = {
    "flat": [item("night-pain", valueBoolean=True), item("pain-score", valueInteger=8)],
    "groups": [{"linkId": "g", "item": [{"linkId": "h", "item": [item("night-pain", valueBoolean=True)]},
                                        item("pain-score", valueDecimal=8.0)]}],
    "below an answer": [{"linkId": "q", "answer": [{"valueBoolean": True, "item": [
        item("night-pain", valueBoolean=True), item("pain-score", valueInteger=8)]}]}],
    "coded": [item("night-pain", valueCoding={"system": YES_NO, "code": "Y", "display": "Yes"}),
              item("pain-score", valueQuantity={"value": 8, "code": "{score}", "system": "http://unitsofmeasure.org"})],
    "with a definition": [item("night-pain", valueBoolean=True) | {"definition": f"{OWN}#night-pain"},
                          item("pain-score", valueQuantity={"value": 8})],
}  # fmt: skip


@pytest.mark.parametrize("shape", SHAPES)
def test_answers_from_other_fillers_count_the_same(shape: str):
    judged = of_another(SHAPES[shape])
    assert judged.status("night-pain") == "met"
    assert judged.evaluation.chart.measurements["pain-score"][0].value == 8


# --- whom it believes --------------------------------------------------------------------------------------


SERVER = {"fhir_server": "https://ehr.example.org/fhir", "client_id": "c1"}


def load(tmp_path: Path, *servers: dict[str, Any], development: bool = False, **environ: str) -> IntakeOptions:
    return load_intake({"servers": servers}, tmp_path, development, environ)


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"fhir_server": "https://u@ehr.example.org"}, "servers[0].fhir_server"),
        ({"fhir_server": "http://localhost/fhir"}, "should be https"),
        ({"secret_variable": "NOT_THERE"}, "no NOT_THERE"),
        ({"private_key_file": "none.pem"}, "cannot be read"),
        ({"private_key_file": "bad.pem"}, "an RSA private key"),
        ({"private_key_file": "bad.pem", "algorithm": "ES384"}, "an EC private key"),
        ({"private_key_file": "bad.pem", "secret_variable": "THERE"}, "one of them"),
    ],
)
def test_a_table_that_cannot_be_used_stops_the_start(tmp_path: Path, table: dict[str, str], said: str):
    (tmp_path / "bad.pem").write_text("no key")
    with pytest.raises(SettingsError) as raised:
        load(tmp_path, SERVER | table, THERE="s")
    assert said in str(raised.value)
    assert "'s'" not in str(raised.value)


def test_a_server_is_registered_once(tmp_path: Path):
    with pytest.raises(SettingsError, match="twice"):
        load(tmp_path, SERVER, SERVER | {"fhir_server": "https://EHR.example.org:443/fhir/"})


def test_only_listed_servers_and_in_development_those_of_this_machine(tmp_path: Path):
    closed, opened = (load(tmp_path, SERVER, development=each) for each in (False, True))
    assert closed.server("https://ehr.example.org/fhir/").client_id == "c1"
    for iss in ("https://ehr.example.org", "http://ehr.example.org/fhir", "https://ehr.example.org/fhir/x", "", "x"):
        assert opened.server(iss) is closed.server(iss) is None
    assert closed.server("http://127.0.0.1:8081/fhir") is None
    assert opened.server("http://127.0.0.1:8081/fhir").client_id == "backpain-cds-intake"


@pytest.mark.parametrize(
    ("config", "development", "is_on", "url"),
    [
        ("", False, False, ""),
        ("", True, True, ""),
        ('public_url = "https://x.example.org/cds/"\n[intake]', False, True, "https://x.example.org/cds/intake/launch"),
        ('public_url = "https://x.example.org"\nintake_url = "https://y.example.org"\n[intake]', False, True,
         "https://y.example.org"),
    ],
)  # fmt: skip
def test_the_form_is_there_when_it_is_configured(tmp_path: Path, config: str, development: bool, is_on: bool, url: str):
    (tmp_path / "site.toml").write_text(config)
    settings = load_settings(tmp_path / "site.toml", development)
    assert (settings.intake.is_on, settings.intake_url) == (is_on, url)


def test_on_ones_own_machine_the_card_leads_to_the_form():
    assert with_own_url(load_settings(None, True), 8080).intake_url == "http://localhost:8080/intake/launch"


@pytest.mark.parametrize(
    ("url", "closed", "development"),
    [
        ("https://ehr.example.org/oauth2/authorize?tenant=1", True, True),
        ("http://ehr.example.org/token", False, False),
        ("http://127.0.0.1:9/token", False, True),
        ("javascript:alert(1)", False, False),
        ("https://user@ehr.example.org/token", False, False),
        ("https://ehr.example.org/#x", False, False),
        ("https://0x7f000001/token", False, False),
        ("", False, False),
    ],
)
def test_endpoints_are_https(url: str, closed: bool, development: bool):
    assert (is_endpoint(url, False), is_endpoint(url, True)) == (closed, development)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"access_token": None}, "no-bearer-token"),
        ({"access_token": 7}, "no-bearer-token"),
        ({"token_type": "mac"}, "no-bearer-token"),
        ({"patient": ""}, "no-patient"),
        ({"patient": {"id": "p1"}}, "no-patient"),
    ],
)
def test_a_token_response_that_lacks_something(changes: dict[str, Any], reason: str):
    good = {"access_token": "t", "token_type": "bearer", "patient": "p1", "expires_in": 60}
    assert _granted(good).seconds == 60
    with pytest.raises(Denied, match=reason):
        _granted(good | changes)


@pytest.mark.parametrize(("stated", "usable"), [(10**9, 3600), ("x", 300), (None, 300), (-5, 300), ("600", 600)])
def test_no_token_is_kept_longer_than_an_hour(stated: Any, usable: int):
    told = {"access_token": "t", "token_type": "Bearer", "patient": "p1", "expires_in": stated}
    assert _granted(told).seconds == usable


def test_a_site_may_ask_for_other_scopes(tmp_path: Path):
    server = load(tmp_path, SERVER | {"scopes": ["user/*.rs"]}).servers[0]
    assert scopes(server, is_launched=True) == "launch user/*.rs"
    assert scopes(server, is_launched=False) == "launch/patient user/*.rs"


# --- what it seals -----------------------------------------------------------------------------------------


def login(**changes: str) -> Login:
    return Login(**{"state": "s" * 43, "iss": "https://x", "token_url": "https://y", "verifier": "v"} | changes)


def test_what_was_sealed_is_opened_for_a_while():
    sealer = Sealer(KEY, Login, 600)
    sealed = sealer.seal(login(), NOW)
    assert sealer.open(sealed, NOW + timedelta(seconds=600)) == login()
    assert sealer.open(sealed, NOW + timedelta(seconds=601)) is None
    assert Sealer(KEY, Login, 600).open(sealed, NOW) == login(), "by any worker"
    assert b"https" not in msgspec.json.encode(sealed)


def test_nothing_else_is_opened():
    sealer = Sealer(KEY, Login, 600)
    sealed = sealer.seal(login(), NOW)
    assert Sealer(b"j" * 64, Login, 600).open(sealed, NOW) is None
    for kind in (Session, Sheet):
        assert Sealer(KEY, kind, 600).open(sealed, NOW) is None
    for bad in (
        "",
        "x",
        "é",
        sealed[:-1],
        f"{sealed[:20]}{'B' if sealed[20] == 'A' else 'A'}{sealed[21:]}",
        json.dumps({"state": "x"}),
    ):
        assert sealer.open(bad, NOW) is None
