"""What goes out: cards, suggestions, links and the basis of each card (R1 to R8, R79 to R131; row 29)."""

import json
import re
from collections.abc import Iterator
from datetime import datetime
from functools import cache
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import pytest

from cds.card import Card, OrderChange, Suggestion
from cds.catalogue import CRITERIA, Group
from cds.evaluation import CATALOGUE
from cds.facts import DraftOrder, Evidence
from fhir_profiles import samples
from fhir_profiles.suggestions import Orders, referable, stat_order
from hooks.override_reasons import HL7_REASONS, OWN_REASONS, override_reasons
from hooks.respond import TOPIC_SYSTEM, TOPICS, Responder, criterion_json, evaluation_json, inert
from tests.records import condition, judge, knowledge
from tests.service_rig import EXTENSION, INTAKE_URL, app, call, call_from, changed, post
from tests.validation import parse_r4, validate_r4

CARD = {
    "uuid", "summary", "detail", "indicator", "source", "suggestions", "selectionBehavior", "overrideReasons",
    "links", "extension",
}  # fmt: skip
KINDS = (
    "mri-lumbar", "mri-whole-spine", "esr", "crp", "blood-count", "spine-surgeon-referral", "spine-review",
    "emergency-department-referral",
)  # fmt: skip
FACTS = (
    Evidence("Condition/c1", "Malignant neoplasm of breast", "2019-04-02"),
    Evidence("Observation/o1", "Pain 8", "2026-11-19"),
    Evidence("QuestionnaireResponse/q1", "Fever", "2026-11-19"),
    Evidence("Patient/p1", "Born 1976-08-12"),
    Evidence("urn:uuid:11111111-2222-4333-8444-555555555555", "Fever"),
    Evidence("Condition", "no id"),
    Evidence("Condition/<b>", "an id that is none"),
    Evidence("Condition/c1", "the same once more"),
)


# --- every sample chart over HTTP ------------------------------------------------------------------------


@cache
def answered() -> list[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Each sample chart with its story and the answer to its hook call, at the chart's own instant."""
    answers = []
    for name in samples.names():
        chart, story = samples.load(name), samples.story(name)
        at = datetime.fromisoformat(chart["timestamp"])
        client = app(at=at).test_client()
        answer = client.post(f"/cds-services/back-pain-{story['hook']}", json=call_from(chart, story["hook"]))
        assert answer.status_code == 200, answer.text
        answers.append((name, story, answer.get_json()))
    return answers


def all_cards() -> Iterator[dict[str, Any]]:
    for _, _, answer in answered():
        yield from answer["cards"]


def test_each_sample_gets_the_cards_of_its_story():
    for name, story, answer in answered():
        got: dict[str, Any] = {}
        for card in answer["cards"]:
            basis = card["extension"][EXTENSION]
            if basis["group"] == "order-safety":
                got.setdefault("order-safety", {})[basis["criteria"][0]["id"]] = card["indicator"]
            else:
                got[basis["group"]] = card["indicator"]
        assert got == story["cards"], name


def test_r3_to_r5_nothing_is_null_or_empty():
    for name, _, answer in answered():
        if answer["cards"]:
            assert_filled(answer, name)


def assert_filled(value: Any, place: str) -> None:
    assert value not in (None, "", [], {}), place
    for key, child in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        assert_filled(child, f"{place}.{key}")


def test_r82_to_r97_members_of_a_card():
    for card in all_cards():
        assert set(card) <= CARD
        assert {"uuid", "summary", "indicator", "source", "extension"} <= set(card)
        UUID(card["uuid"])
        assert len(card["summary"]) < 140
        assert "\n" not in card["summary"]
        assert card["indicator"] in ("info", "warning", "critical")
        assert card["source"]["label"]
        topic = card["source"]["topic"]
        assert topic["system"] == TOPIC_SYSTEM
        assert topic["code"] == card["extension"][EXTENSION]["group"] in TOPICS
        assert ("suggestions" in card) == ("selectionBehavior" in card)
        assert card.get("selectionBehavior", "any") == "any"


def test_r83_r102_uuids_are_unique():
    found = [card["uuid"] for card in all_cards()]
    found += [suggestion["uuid"] for card in all_cards() for suggestion in card.get("suggestions", ())]
    assert len(found) == len(set(found)) > 0


def test_r101_to_r115_suggestions():
    for suggestion in (each for card in all_cards() for each in card.get("suggestions", ())):
        assert set(suggestion) <= {"label", "uuid", "isRecommended", "actions"}
        (action,) = suggestion["actions"]
        assert action["description"]
        assert action["type"] in ("create", "update", "delete")
        if action["type"] == "delete":
            assert set(action) == {"type", "description", "resourceId"}
            assert re.fullmatch(r"ServiceRequest/[A-Za-z0-9.\-]+", action["resourceId"])
        else:
            assert validate_r4(action["resource"]) == []
            parse_r4(action["resource"])


def test_r116_r117_override_reasons():
    for card in all_cards():
        assert all(set(reason) == {"code", "system", "display"} for reason in card["overrideReasons"])


def test_the_basis_of_each_card_is_in_its_extension():
    ids = {criterion.id for criterion in CATALOGUE}
    for card in all_cards():
        basis = card["extension"][EXTENSION]
        assert basis["knowledge"] == knowledge().version
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", basis["at"])
        expected = "unknown" if basis["group"] == "not-assessed" else "met"
        for criterion in basis.get("criteria", ()):
            assert criterion["id"] in ids
            assert criterion["status"] == expected
            assert {"id", "group", "status", "title", "reason", "sources"} <= set(criterion)
            if expected == "met":
                assert criterion["evidence"]


# --- the responder, card by card -------------------------------------------------------------------------


def responder(intake_url: str = "", public_url: str = "") -> Responder:
    return Responder(Orders(knowledge()), "1+abc", intake_url, public_url)


def shown(card: Card, intake_url: str = "", public_url: str = "") -> dict[str, Any]:
    evaluation = judge(condition("malignancy-active")).evaluation
    uuids = iter(range(1, 1000))
    (out,) = responder(intake_url, public_url).response([card], evaluation, lambda: UUID(int=next(uuids)))["cards"]
    return out


NOT_ASSESSED = Card("not-assessed", "info", "Open", "Text", ("cauda-equina", "paralysis"), asks=True)


def test_r119_to_r127_the_intake_form_is_a_smart_link_without_patient_data():
    (link,) = shown(NOT_ASSESSED, INTAKE_URL)["links"]
    assert link == {
        "label": "Open the intake form",
        "url": INTAKE_URL,
        "type": "smart",
        "appContext": "cauda-equina,paralysis",
    }
    assert "links" not in shown(NOT_ASSESSED)
    assert "links" not in shown(NOT_ASSESSED._replace(asks=False), INTAKE_URL)


def test_r91_the_source_url_is_the_sites():
    assert shown(NOT_ASSESSED, public_url="https://cds.example.org/")["source"]["url"] == "https://cds.example.org/"
    assert "url" not in shown(NOT_ASSESSED)["source"]


def test_uuids_come_from_the_factory():
    assert shown(NOT_ASSESSED)["uuid"] == str(UUID(int=1))


def test_r104_only_the_emergency_card_recommends():
    offer = (Suggestion("mri-lumbar", "MRI", "stat", FACTS),)
    urgent = shown(Card("emergency", "critical", "S", "D", ("cauda-equina",), offer))
    usual = shown(Card("red-flag", "warning", "S", "D", ("cancer-history",), offer))
    assert urgent["suggestions"][0]["isRecommended"] is True
    assert "isRecommended" not in usual["suggestions"][0]


def draft_order(id_: str) -> DraftOrder:
    resource = {
        "resourceType": "ServiceRequest",
        "id": id_,
        "status": "draft",
        "intent": "order",
        "subject": {"reference": "Patient/p1"},
        "code": {"coding": [{}], "text": "Traction"},
        "reasonCode": [],
        "note": None,
    }
    return DraftOrder(frozenset({"spinal-traction"}), False, True, id_, resource, FACTS[0])


def changes(action: str, id_: str = "d1") -> list[dict[str, Any]]:
    change = OrderChange(action, "Change it", draft_order(id_))
    card = Card("order-safety", "info", "S", "D", ("traction-caution",), changes=(change,))
    return shown(card).get("suggestions", [])


def test_r111_r112_delete_names_the_draft():
    (suggestion,) = changes("delete")
    assert suggestion["actions"] == [{"type": "delete", "description": "Change it", "resourceId": "ServiceRequest/d1"}]


def test_r110_update_carries_the_whole_order_without_empty_values():
    (suggestion,) = changes("update")
    assert suggestion["actions"][0]["resource"] == {
        "resourceType": "ServiceRequest",
        "id": "d1",
        "status": "draft",
        "intent": "order",
        "subject": {"reference": "Patient/p1"},
        "code": {"text": "Traction"},
        "priority": "stat",
    }


@pytest.mark.parametrize("action", ["delete", "update"])
@pytest.mark.parametrize("id_", ["", "a b", "<b>"])
def test_a_draft_without_a_proper_id_cannot_be_changed(action: str, id_: str):
    assert changes(action, id_) == []


def test_the_draft_itself_is_left_as_it_is():
    order = draft_order("d1")
    stat_order(OrderChange("update", "", order))
    assert order.resource == draft_order("d1").resource


# --- suggested orders ------------------------------------------------------------------------------------


@pytest.mark.parametrize("priority", ["routine", "urgent", "stat"])
@pytest.mark.parametrize("kind", KINDS)
def test_r115_a_suggested_order_is_valid_r4(kind: str, priority: str):
    for reasons in ((), FACTS):
        request = Orders(knowledge()).service_request(Suggestion(kind, "Order", priority, reasons), "Patient/p1")
        assert validate_r4(request) == []
        parse_r4(request)
        assert (request["status"], request["intent"], request["priority"]) == ("draft", "proposal", priority)
        assert request["subject"] == {"reference": "Patient/p1"}
        assert request["code"]["text"]
        assert "insurance" not in request


def test_a_suggested_order_rests_on_its_evidence():
    request = Orders(knowledge()).service_request(Suggestion("crp", "CRP", "routine", FACTS), "Patient/p1")
    assert [each["reference"] for each in request["reasonReference"]] == ["Condition/c1", "Observation/o1"]
    assert [each["reference"] for each in request["supportingInfo"]] == [
        "QuestionnaireResponse/q1",
        "Patient/p1",
        "urn:uuid:11111111-2222-4333-8444-555555555555",
    ]


def test_two_calls_share_nothing():
    orders = Orders(knowledge())
    first = orders.service_request(Suggestion("crp", "CRP", "routine", FACTS), "Patient/p1")
    second = orders.service_request(Suggestion("crp", "CRP", "stat", ()), "Patient/p2")
    assert first["subject"] == {"reference": "Patient/p1"}
    assert set(second) == {"resourceType", "status", "intent", "code", "subject", "priority"}


@pytest.mark.parametrize(
    ("reference", "good"),
    [
        ("Condition/abc-1.2", True),
        ("https://ehr.example.org/fhir/Condition/1", True),
        ("urn:uuid:1", True),
        ("Condition", False),
        ("Condition/", False),
        ("Condition/a b", False),
        ("javascript:alert(1)", False),
        ("https://evil.example.org/<script>", False),
    ],
)
def test_what_can_be_referred_to(reference: str, good: bool):
    assert referable(reference) is good


# --- chart text ------------------------------------------------------------------------------------------

HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "[click](javascript:alert(1))",
    "<iframe src='data:text/html,x'>",
    "JaVaScRiPt :alert(1)",
    "</td><svg/onload=alert(1)>",
    "<!-- -->",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_r88_chart_text_is_inert_wherever_it_stands(text: str):
    hostile = condition("cauda-equina-syndrome", days_ago=1)
    hostile["code"]["text"] = text
    answer = post(call("patient-view", hostile))
    assert answer.status_code == 200
    strings = list(all_strings(answer.get_json()))
    assert any("alert" in each or "data" in each or "--" in each for each in strings) or text == "<!-- -->"
    assert not [each for each in strings if re.search(r"<[A-Za-z/!?]|javascript:|data:", each, re.IGNORECASE)]


def all_strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    for child in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from all_strings(child)


@pytest.mark.parametrize("text", ["CRP <5 mg/L", "a < b", "10:30", "MRI: normal", ""])
def test_usual_text_stays(text: str):
    assert inert(text) == text


def test_r121_r126_urls_are_https():
    for text in (each for card in all_cards() for each in all_strings(card) if "://" in each):
        assert all(urlsplit(url).scheme in ("https", "http") for url in re.findall(r"\S+://\S+", text))


# --- the command line's JSON -----------------------------------------------------------------------------


def test_the_whole_evaluation():
    evaluation = judge(condition("back-pain", days_ago=10), condition("osteoporosis")).evaluation
    said = evaluation_json(evaluation, {"cards": []}, frozenset({"night-pain"}))
    assert list(said) == ["patient", "at", "backProblem", "criteria", "cards"]
    assert (said["patient"], said["at"], said["cards"]) == ("Patient/p1", "2026-11-20T12:00:00Z", [])
    assert said["backProblem"]["onset"] == "2026-11-10"
    assert said["backProblem"]["current"] is True
    assert said["backProblem"]["evidence"]
    assert [each["id"] for each in said["criteria"]] == [each.id for each in CATALOGUE if each.id != "night-pain"]
    assert all(
        set(each) == set(criterion_json("fracture-risk", evaluation.answers["fracture-risk"]))
        for each in said["criteria"]
    )
    json.dumps(said)


def test_no_back_problem_is_null_and_an_unknown_onset_absent():
    assert evaluation_json(judge().evaluation, {"cards": []})["backProblem"] is None
    undated = judge(condition("back-pain", days_ago=None)).evaluation
    assert "onset" not in evaluation_json(undated, {"cards": []})["backProblem"]


# --- override reasons ------------------------------------------------------------------------------------


def test_each_group_of_cards_has_reasons_and_a_topic():
    groups = {
        str(group) for group in Group if group not in (Group.PROMPT_REVIEW, Group.CONTRIBUTING, Group.CONSERVATIVE)
    }
    for group in groups | {"information", "not-assessed"}:
        reasons = override_reasons(group)
        assert reasons
        assert {reason["system"] for reason in reasons} <= {HL7_REASONS, OWN_REASONS}
        assert len({reason["code"] for reason in reasons}) == len(reasons)
        assert TOPICS[group]


def test_every_criterion_can_be_written():
    evaluation = judge().evaluation
    assert {criterion_json(id_, answer)["id"] for id_, answer in evaluation.answers.items()} == set(CRITERIA)


def test_an_emergency_card_cannot_be_hidden_by_what_the_client_claims():
    request = changed(call("patient-view", condition("cauda-equina-syndrome", days_ago=1)), "at", "1999-01-01")
    assert post(request).get_json()["cards"][0]["indicator"] == "critical"
