"""Orders about to be signed: sample orders, what a card says it is about, ratings for clients that asked for them."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from cds.appropriateness import (
    APPROPRIATE,
    NO_CRITERIA_APPLY,
    NOT_APPROPRIATE,
    UNDETERMINED,
    is_advanced_imaging,
    rating,
)
from cds.cards import cards
from fhir_profiles.samples import load_order, order_names
from hooks.pama import CONSULTATION, CONSULTED, RATING, RATINGS
from tests import cli_rig
from tests import records as r
from tests.cli_rig import Cli
from tests.jwks_rig import PUBLIC_URL, bearer, registered, token
from tests.service_rig import call, changed, path_of, running, searchset
from tests.validation import parse_r4, validate_r4

cli = cli_rig.cli

EARLY = "fhir_profiles/examples/18-early-mri-order.json"
EMERGENCY = "fhir_profiles/examples/01-cauda-equina.json"
STENOSIS = "fhir_profiles/examples/06-stenosis-claudication.json"
OSTEOPOROSIS = "fhir_profiles/examples/19-traction-osteoporosis.json"
SPASM = "fhir_profiles/examples/09-isolated-spasm.json"
AT = "2026-11-20T12:00:00Z"

# Sample order: chart -> criteria of the order-safety cards it brings.
STORIES = {
    "mri-lumbar": {EARLY: {"imaging-without-red-flag"}, EMERGENCY: {"emergency-outstanding"}, STENOSIS: set()},
    "mri-whole-spine": {EMERGENCY: {"emergency-outstanding"}, SPASM: set()},
    "ct-lumbar": {EARLY: {"imaging-without-red-flag"}, STENOSIS: set()},
    "xray-lumbar": {EARLY: {"imaging-without-red-flag"}, STENOSIS: set()},
    "physical-therapy": {EMERGENCY: {"emergency-outstanding"}, SPASM: set()},
    "spinal-traction": {"fhir_profiles/examples/14-osteoporotic-fracture.json": {"traction-caution"}, SPASM: set()},
    "epidural-injection": {EMERGENCY: {"emergency-outstanding"}, SPASM: set()},
    "spinal-surgery": {SPASM: {"surgery-for-isolated-spasm", "surgery-before-conservative"}, STENOSIS: set()},
    "spinal-fusion": {STENOSIS: {"fusion-without-instability"}, EMERGENCY: {"emergency-outstanding"}},
    "spine-surgeon-referral": {SPASM: {"surgery-for-isolated-spasm"}, STENOSIS: set()},
}


def test_every_sample_order_has_its_story() -> None:
    assert set(STORIES) == set(order_names())


@pytest.mark.parametrize("name", STORIES)
def test_a_sample_order_is_valid(name: str) -> None:
    order = load_order(name)
    assert validate_r4(order) == []
    parse_r4(order)
    assert (order["id"], order["status"]) == (name, "draft")


@pytest.mark.parametrize(("name", "chart"), [(name, chart) for name, told in STORIES.items() for chart in told])
def test_a_sample_order_tells_its_story(name: str, chart: str, cli: Cli) -> None:
    bundle = json.loads(Path(chart).read_text())
    bundle["entry"] = [each for each in bundle["entry"] if each["resource"]["resourceType"] != "ServiceRequest"]
    told = cli("evaluate", "-", "--order", name, "--at", AT, "--json", stdin=json.dumps(bundle).encode())
    cards = told.json["cards"]
    assert {id_ for card in cards for id_ in _criteria(card)} == STORIES[name][chart]
    for card in cards:
        assert card["extension"]["davinci-crd.associated-resource"] == [{"reference": f"ServiceRequest/{name}"}]


def _criteria(card: Mapping[str, Any]) -> list[str]:
    shown = card["extension"]["org.example.backpain-cds.evaluation"]
    return [each["id"] for each in shown["criteria"]]


def test_an_order_from_a_file_is_put_into_the_chart(cli: Cli) -> None:
    file = cli.file(load_order("spinal-traction") | {"id": "mine", "status": "active"}, "order.json")
    told = cli(
        "evaluate", "fhir_profiles/examples/19-traction-osteoporosis.json", "--order", file, "--at", AT, "--json"
    )
    (card,) = told.json["cards"]
    named = [each["reference"] for each in card["extension"]["davinci-crd.associated-resource"]]
    assert "ServiceRequest/mine" in named
    assert len(named) == 2  # the chart has an order of its own


@pytest.mark.parametrize(
    ("content", "said"),
    [("{", "not JSON"), ('{"resourceType": "Condition"}', "no FHIR ServiceRequest"), (None, "no sample order")],
)
def test_an_order_that_is_none(cli: Cli, content: str | None, said: str) -> None:
    file = cli.file(content, "order.json") if content is not None else "no-such-order"
    told = cli("evaluate", EARLY, "--order", file)
    assert told.code == 2
    assert said in told.err


def test_an_order_is_not_put_into_a_request(cli: Cli) -> None:
    told = cli("evaluate", cli.file(call("order-sign")), "--order", "mri-lumbar")
    assert told.code == 2
    assert "context.draftOrders" in told.err


# --- ratings -------------------------------------------------------------------------------------------

MRI = r.draft("mri-lumbar")
SINCE_A_WEEK, SINCE_A_YEAR = r.back_pain(7), r.back_pain(365)
CANCER = r.condition("malignancy-history", 900)
SCIATICA = r.observation("radicular-pain", True)
SCORE_5, SCORE_7 = r.observation("pain-score", 5, "{score}"), r.observation("pain-score", 7, "{score}")
HERNIATION, HERNIATION_A_YEAR = r.condition("disc-herniation", 7), r.condition("disc-herniation", 365)
STROKE = r.observation("one-sided-weakness-or-numbness", True)
CLOUDED = r.observation("altered-consciousness", True)
SADDLE = r.observation("saddle-anesthesia", True)
WEAK_LEG = r.observation("leg-weakness", True)
RAISED = r.observation("crp", 12, "mg/L")
NSAID = r.medicine("nsaid", 300)
RATED = {
    "early, nothing found": (NOT_APPROPRIATE, "imaging-without-red-flag", (SINCE_A_WEEK,)),
    "early, cancer before": (APPROPRIATE, "cancer-history", (SINCE_A_WEEK, CANCER)),
    "pain for a year, nothing found but its length": (NO_CRITERIA_APPLY, "", (SINCE_A_YEAR,)),
    "no word on when it began": (UNDETERMINED, "", (r.back_pain(None),)),
    # Leg pain and compression wait for weeks, for the surgeon's view and so for the imaging.
    "early, leg pain": (NOT_APPROPRIATE, "imaging-without-red-flag", (SINCE_A_WEEK, SCIATICA, SCORE_5)),
    "leg pain for a year": (APPROPRIATE, "significant-radicular-pain", (SINCE_A_YEAR, SCIATICA, SCORE_5)),
    "leg pain since nobody knows when": (UNDETERMINED, "", (r.back_pain(None), SCIATICA, SCORE_5)),
    "early, severe leg pain": (APPROPRIATE, "severe-radicular-pain", (SINCE_A_WEEK, SCIATICA, SCORE_7)),
    "early, compression": (NOT_APPROPRIATE, "imaging-without-red-flag", (SINCE_A_WEEK, HERNIATION, SCIATICA)),
    "compression for a year": (APPROPRIATE, "neural-compression", (SINCE_A_YEAR, HERNIATION_A_YEAR, SCIATICA)),
    "early, compression of the cord": (
        APPROPRIATE,
        "possible-cord-compression",
        (SINCE_A_WEEK, r.condition("cord-compression-myelopathy", 7)),
    ),
    "early, compression of the cord known for long": (
        APPROPRIATE,
        "neural-compression",
        (SINCE_A_WEEK, SCIATICA, SCORE_5, r.condition("cord-compression-myelopathy", 365)),
    ),
    "early, leg pain with a damaged root": (
        APPROPRIATE,
        "nerve-root-damage",
        (SINCE_A_WEEK, SCIATICA, SCORE_5, WEAK_LEG),
    ),
    # A weak flag decides nothing, alone or beside what does.
    "early, a weak flag": (NOT_APPROPRIATE, "imaging-without-red-flag", (SINCE_A_WEEK, RAISED)),
    "a weak flag beside a damaged root": (APPROPRIATE, "nerve-root-damage", (SINCE_A_WEEK, RAISED, SCIATICA, WEAK_LEG)),
    "weak flags beside a course that failed": (
        APPROPRIATE,
        "failed-conservative-treatment",
        (SINCE_A_YEAR, SCORE_5, RAISED, NSAID),
    ),
    # A stroke is no reason for an MRI of the spine, nor does imaging then wait for anything.
    "early, perhaps a stroke": (NO_CRITERIA_APPLY, "", (SINCE_A_WEEK, STROKE)),
    "early, clouded": (NO_CRITERIA_APPLY, "", (SINCE_A_WEEK, CLOUDED)),
    "perhaps a stroke, and a numb saddle": (APPROPRIATE, "cauda-equina", (SINCE_A_WEEK, STROKE, SADDLE)),
}
CHILD = "2016-05-03"
CHILDREN = {
    "early, nothing beside": (NO_CRITERIA_APPLY, "", (SINCE_A_WEEK,)),
    "pain for more than four weeks": (APPROPRIATE, "child-back-pain", (r.back_pain(29),)),
    "pain at night": (APPROPRIATE, "night-pain", (SINCE_A_WEEK, r.observation("night-pain", True))),
}


@pytest.mark.parametrize("situation", RATED)
def test_rating(situation: str) -> None:
    expected, criterion, facts = RATED[situation]
    check_rated(expected, criterion, facts)


@pytest.mark.parametrize("situation", CHILDREN)
def test_rating_for_a_child(situation: str) -> None:
    check_rated(*CHILDREN[situation], born=CHILD)


def check_rated(expected: str, criterion: str, facts: tuple[dict[str, Any], ...], **chart: Any) -> None:
    """Rated so, and as the cards have it: those about orders, and those that suggest imaging or a surgeon's view.

    A weak red flag alone brings an MRI onto a card too, but the card about early imaging does not give way to it.
    """
    judged = r.judge(*facts, hook="order-sign", drafts=[MRI], **chart)
    assert rating(judged.evaluation, judged.evaluation.chart.drafts[0]) == (expected, criterion)
    assert ("imaging-without-red-flag" in judged.cards()) is (expected == NOT_APPROPRIATE)
    told = cards(r.judge(*facts, **chart).evaluation, "patient-view")
    strong = [card for card in told if card.indicator != "info"]
    offered = any(offer.kind.startswith("mri-") for card in strong for offer in card.suggestions)
    surgeon = any(card.group == "surgical-referral" for card in told)
    assert (offered or surgeon) is (expected == APPROPRIATE)


@pytest.mark.parametrize(
    ("kind", "given"),
    [
        ("xray-lumbar", None),
        ("ct-lumbar", NOT_APPROPRIATE),
        ("mri-whole-spine", NO_CRITERIA_APPLY),
        ("physical-therapy", None),
    ],
)
def test_advanced_imaging_alone_is_rated(kind: str, given: str | None) -> None:
    evaluation = r.judge(SINCE_A_WEEK, hook="order-sign", drafts=[r.draft(kind)]).evaluation
    (draft,) = evaluation.chart.drafts
    assert is_advanced_imaging(draft) is (given is not None)
    assert given is None or rating(evaluation, draft)[0] == given


@pytest.mark.parametrize("facts", [(SINCE_A_WEEK,), (SINCE_A_WEEK, CANCER)])
def test_nothing_is_rated_for_a_patient_who_has_died(facts: tuple[dict[str, Any], ...]) -> None:
    died = {"resourceType": "Patient", "id": r.PATIENT_ID, "birthDate": "1976-08-12", "deceasedBoolean": True}
    evaluation = r.judge(*facts, hook="order-sign", drafts=[MRI], patient=died).evaluation
    assert rating(evaluation, evaluation.chart.drafts[0]) == (UNDETERMINED, "")


def test_nothing_is_rated_while_data_are_missing() -> None:
    evaluation = r.judge(SINCE_A_WEEK, hook="order-sign", drafts=[MRI], missing=("Observation",)).evaluation
    assert rating(evaluation, evaluation.chart.drafts[0]) == (UNDETERMINED, "")


def test_a_criterion_that_is_off_rates_nothing() -> None:
    evaluation = r.judge(
        SINCE_A_WEEK, hook="order-sign", drafts=[MRI], disabled=frozenset(("imaging-without-red-flag",))
    ).evaluation
    assert rating(evaluation, evaluation.chart.drafts[0]) == (UNDETERMINED, "")


def imaging_call() -> dict[str, Any]:
    """An order-sign call with an early MRI, rated once before and with empty values, and one that is no imaging."""
    before = [{"url": "http://example.org/kept", "valueString": "x"}, {"url": RATING, "valueString": "old"}]
    empty = {"reasonCode": [], "note": [{"text": ""}]}
    orders = searchset(
        {**MRI, "id": "mri", "extension": [*before, {}], **empty}, {**r.draft("physical-therapy"), "id": "therapy"}
    )
    request = call("order-sign", draftOrders={**orders, "type": "collection"})
    return changed(request, "prefetch.conditions", searchset(SINCE_A_WEEK))


@pytest.mark.parametrize(
    ("pama", "where"),
    [
        ("{mechanism = 'G0000'}", lambda answer: answer["systemActions"]),
        ("{mechanism = 'G0000', place = 'extension'}", lambda answer: answer["extension"]["systemActions"]),
    ],
)
def test_a_client_that_asked_gets_ratings(tmp_path: Path, pama: str, where: Any) -> None:
    with running(tmp_path, config=registered(tmp_path) + f"\npama = {pama}") as server:
        path = path_of("order-sign")
        answer = server.http.post(path, json=imaging_call(), headers=bearer(token(PUBLIC_URL + path))).json()
    (action,) = where(answer)
    assert action["type"] == "update"
    resource = action["resource"]
    given = {each["url"]: each for each in resource["extension"]}
    assert given[RATING]["valueCodeableConcept"]["coding"] == [{"system": RATINGS, "code": "not-appropriate"}]
    assert given[CONSULTED]["valueString"] == "G0000"
    assert given[CONSULTATION]["valueUri"].startswith("urn:uuid:")
    assert "http://example.org/kept" in given
    assert {k: v for k, v in resource.items() if k != "extension"} == {**MRI, "id": "mri"}
    assert validate_r4(resource) == []


def test_other_clients_get_none(tmp_path: Path) -> None:
    with running(tmp_path, config=registered(tmp_path)) as server:
        path = path_of("order-sign")
        answer = server.http.post(path, json=imaging_call(), headers=bearer(token(PUBLIC_URL + path))).json()
    assert set(answer) == {"cards"}
    assert answer["cards"]
