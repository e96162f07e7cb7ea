"""Orders about to be signed: sample orders, what a card says it is about, ratings for clients that asked for them."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from cds.appropriateness import APPROPRIATE, NO_CRITERIA_APPLY, NOT_APPROPRIATE, UNDETERMINED, rating
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
RATED = {
    "early, nothing found": (NOT_APPROPRIATE, "imaging-without-red-flag", (SINCE_A_WEEK,)),
    "early, cancer before": (APPROPRIATE, "cancer-history", (SINCE_A_WEEK, CANCER)),
    "pain for a year, nothing found but its length": (NO_CRITERIA_APPLY, "", (SINCE_A_YEAR,)),
    "no word on when it began": (UNDETERMINED, "", (r.back_pain(None),)),
}


@pytest.mark.parametrize("situation", RATED)
def test_rating(situation: str) -> None:
    expected, criterion, facts = RATED[situation]
    evaluation = r.judge(*facts, hook="order-sign", drafts=[MRI]).evaluation
    (draft,) = evaluation.chart.drafts
    assert rating(evaluation, draft) == (expected, criterion)


def test_nothing_is_rated_while_data_are_missing() -> None:
    evaluation = r.judge(SINCE_A_WEEK, hook="order-sign", drafts=[MRI], missing=("Observation",)).evaluation
    assert rating(evaluation, evaluation.chart.drafts[0]) == (UNDETERMINED, "")


def test_a_criterion_that_is_off_rates_nothing() -> None:
    evaluation = r.judge(
        SINCE_A_WEEK, hook="order-sign", drafts=[MRI], disabled=frozenset(("imaging-without-red-flag",))
    ).evaluation
    assert rating(evaluation, evaluation.chart.drafts[0]) == (UNDETERMINED, "")


def imaging_call() -> dict[str, Any]:
    """An order-sign call with an early MRI, rated once before, and an order that is no imaging."""
    before = [{"url": "http://example.org/kept", "valueString": "x"}, {"url": RATING, "valueString": "old"}]
    orders = searchset({**MRI, "id": "mri", "extension": before}, {**r.draft("physical-therapy"), "id": "therapy"})
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
