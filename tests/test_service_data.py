"""Data that is there, missing, or of somebody else (R64 to R68, R78; catalogue, section 2 rules 1 and 10)."""

from typing import Any

import pytest

from hooks.services import SEARCH_KEYS
from tests.records import condition
from tests.service_rig import EXTENSION, HOOKS, call, changed, expressions, groups, patient, post, searchset

OUTCOME = {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "exception"}]}
EMPTY = {"resourceType": "Bundle", "type": "searchset", "total": 0}
EMERGENCY = condition("cauda-equina-syndrome", days_ago=2)


def without(request: dict, *keys: str) -> dict:
    return {**request, "prefetch": {key: value for key, value in request["prefetch"].items() if key not in keys}}


@pytest.mark.parametrize("value", [..., None, OUTCOME, EMPTY, searchset(), "p1", 5, [], {"resourceType": "Person"}])
@pytest.mark.parametrize("hook", HOOKS)
def test_r64_without_a_patient_it_is_412(hook: str, value: Any):
    answer = post(changed(call(hook), "prefetch.patient", value))
    assert answer.status_code == 412
    assert expressions(answer) == ["prefetch.patient"]


@pytest.mark.parametrize("prefetch", [..., None, {}])
def test_r64_without_prefetch_each_key_is_named(prefetch: Any):
    answer = post(changed(call("encounter-start"), "prefetch", prefetch))
    assert answer.status_code == 412
    keys = ["patient", "encounter", *SEARCH_KEYS]
    assert expressions(answer) == [f"prefetch.{key}" for key in keys]
    assert [issue["severity"] for issue in answer.get_json()["issue"]] == ["error"] + ["warning"] * (len(keys) - 1)


@pytest.mark.parametrize("hook", HOOKS)
def test_r78_with_nothing_but_the_patient_it_is_412(hook: str):
    answer = post(without(call(hook), *SEARCH_KEYS))
    assert answer.status_code == 412
    assert expressions(answer) == [f"prefetch.{key}" for key in SEARCH_KEYS]


def test_r78_failed_searches_are_no_data_either():
    request = call()
    for key in SEARCH_KEYS:
        request = changed(request, f"prefetch.{key}", OUTCOME)
    assert post(request).status_code == 412


@pytest.mark.parametrize("key", SEARCH_KEYS)
def test_r66_r67_one_search_that_is_missing_or_failed_is_told(key: str):
    for request in (without(call(), key), changed(call(), f"prefetch.{key}", OUTCOME)):
        answer = post(request)
        assert answer.status_code == 200
        assert groups(answer.get_json())["not-assessed"] == "info"


@pytest.mark.parametrize("value", [None, EMPTY, {**EMPTY, "entry": []}])
@pytest.mark.parametrize("key", SEARCH_KEYS)
def test_r65_r68_an_empty_search_is_complete(key: str, value: Any):
    request = changed(call("patient-view", EMERGENCY), f"prefetch.{key}", value)
    answer = post(request)
    assert answer.status_code == 200
    assert ("emergency" in groups(answer.get_json())) == (key != "conditions")


def test_r78_one_search_that_came_is_enough_to_answer():
    request = without(call("patient-view", EMERGENCY), *(key for key in SEARCH_KEYS if key != "conditions"))
    answer = post(request)
    assert answer.status_code == 200
    assert groups(answer.get_json())["emergency"] == "critical"


def test_r80_no_back_problem_is_an_empty_list_of_cards():
    answer = post(changed(call(), "prefetch.conditions", None))
    assert (answer.status_code, answer.get_json()) == (200, {"cards": []})


def test_the_patient_must_be_the_one_of_the_context():
    answer = post(changed(call(), "prefetch.patient", patient(id="p2")))
    assert answer.status_code == 400
    assert expressions(answer) == ["prefetch.patient"]


def test_a_merged_patient_is_412():
    link = [{"type": "replaced-by", "other": {"reference": "Patient/p9"}}]
    answer = post(changed(call(), "prefetch.patient", patient(link=link)))
    assert answer.status_code == 412
    assert expressions(answer) == ["prefetch.patient"]
    assert "p9" not in answer.text


def test_an_absent_encounter_matters_only_where_it_is_asked_for():
    start = post(without(call("encounter-start"), "encounter")).get_json()
    assert "not-assessed" in groups(start)


def test_selections_say_which_draft_is_judged():
    request = call("order-select", condition("osteoporosis"))
    met = [card["extension"][EXTENSION]["criteria"][0]["id"] for card in post(request).get_json()["cards"]]
    assert met == ["traction-caution"]
    assert post(changed(request, "context.selections", ["ServiceRequest/other"])).get_json() == {"cards": []}
    assert groups(post(changed(request, "context.selections", ...)).get_json()) == {"order-safety": "warning"}


@pytest.mark.parametrize("hook", HOOKS)
def test_r134_answers_cite_only_what_was_sent(hook: str):
    answer = post(call(hook, EMERGENCY, condition("osteoporosis"))).get_json()
    cited = {
        fact["reference"]
        for card in answer["cards"]
        for criterion in card["extension"][EXTENSION]["criteria"]
        for fact in criterion.get("evidence", [])
    }
    assert all(not reference.startswith("Patient/") or reference == "Patient/p1" for reference in cited)


def test_r133_r137_the_same_call_twice_is_the_same_but_for_uuids():
    first, second = (post(call("patient-view", EMERGENCY)).get_json() for _ in range(2))
    assert [card["uuid"] for card in first["cards"]] != [card["uuid"] for card in second["cards"]]
    assert _without_uuids(first) == _without_uuids(second)


def _without_uuids(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_uuids(child) for key, child in value.items() if key != "uuid"}
    return [_without_uuids(child) for child in value] if isinstance(value, list) else value
