"""The sample charts: valid FHIR, whole in themselves, told by a story each, and movable in time."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_profiles import samples
from tests.validation import parse_r4, validate_r4

PACKAGE = Path(samples.__file__).parent
TODAY = datetime(2026, 11, 20, 12, tzinfo=UTC)
GROUPS = {"emergency", "red-flag", "surgical-referral", "information", "not-assessed", "order-safety"}
INDICATORS = {"info", "warning", "critical"}
each_chart = pytest.mark.parametrize("name", samples.names())


def resources(bundle: dict[str, Any]) -> list[dict[str, Any]]:
    return [entry["resource"] for entry in bundle["entry"]]


def only(bundle: dict[str, Any], resource_type: str) -> list[dict[str, Any]]:
    return [resource for resource in resources(bundle) if resource["resourceType"] == resource_type]


def elements(value: Any, name: str) -> Iterator[Any]:
    """Every value of the element of this name, at any depth."""
    if isinstance(value, dict):
        for key, child in value.items():
            if key == name:
                yield child
            yield from elements(child, name)
    elif isinstance(value, list):
        for child in value:
            yield from elements(child, name)


def bundle_with(**elements: Any) -> dict[str, Any]:
    return {"resourceType": "Bundle", "type": "collection", "timestamp": "2026-11-20T12:00:00Z", **elements}


# --- the charts ---


@each_chart
def test_chart_is_valid_fhir(name):
    chart = samples.load(name)
    assert validate_r4(chart) == []
    for resource in resources(chart):
        parse_r4(resource)


@each_chart
def test_every_reference_resolves_in_the_chart(name):
    chart = samples.load(name)
    known = {entry["fullUrl"] for entry in chart["entry"]}
    known |= {f"{resource['resourceType']}/{resource['id']}" for resource in resources(chart)}
    for resource in resources(chart):
        contained = {f"#{inner['id']}" for inner in resource.get("contained", [])}
        assert set(elements(resource, "reference")) <= known | contained


@each_chart
def test_ids_are_unique(name):
    full_urls = [entry["fullUrl"] for entry in samples.load(name)["entry"]]
    assert len(set(full_urls)) == len(full_urls)


@each_chart
def test_chart_is_of_one_patient_and_of_a_real_size(name):
    chart = samples.load(name)
    (patient,) = only(chart, "Patient")
    assert patient["name"][0]["family"]
    assert patient["name"][0]["given"]
    assert patient["identifier"]
    assert 12 <= len(chart["entry"]) <= 45
    assert datetime.fromisoformat(chart["timestamp"]) == TODAY


@each_chart
def test_nothing_happens_after_the_charts_today(name):
    chart = samples.load(name)
    happenings = ("onsetDateTime", "recordedDate", "effectiveDateTime", "authoredOn", "authored", "start")
    for happening in happenings:
        for text in elements(chart, happening):
            stamp = TODAY.strftime("%Y-%m-%dT%H:%M:%SZ")
            assert text <= stamp[: len(text)], happening


@each_chart
def test_answers_are_to_questions_of_the_form(name):
    questionnaire = json.loads((PACKAGE / "knowledge" / "questionnaire-red-flags.json").read_text("utf-8"))
    for response in only(samples.load(name), "QuestionnaireResponse"):
        assert response["questionnaire"] == questionnaire["url"]
        assert set(elements(response, "linkId")) <= set(elements(questionnaire["item"], "linkId"))


# --- the stories ---


def test_each_chart_has_its_story_and_its_line_in_the_table():
    stories = json.loads((PACKAGE / "examples" / "stories.json").read_text("utf-8"))
    table = (PACKAGE / "examples" / "README.md").read_text("utf-8")
    assert list(stories) == samples.names()
    assert re.findall(r"^\| \[([\w-]+)\]\(\1\.json\)", table, flags=re.MULTILINE) == samples.names()


@each_chart
def test_story_says_what_to_expect(name):
    story = samples.story(name)
    assert set(story) == {"title", "story", "hook", "backProblem", "current", "met", "notMet", "cards"}
    assert not set(story["met"]) & set(story["notMet"])
    assert story["backProblem"] or not story["current"]
    for group, shown in story["cards"].items():
        assert group in GROUPS
        assert set(shown.values() if group == "order-safety" else [shown]) <= INDICATORS


@each_chart
def test_order_hook_stories_have_a_draft_order_and_others_have_none(name):
    drafts = [order for order in only(samples.load(name), "ServiceRequest") if order["status"] == "draft"]
    assert bool(drafts) == (samples.story(name)["hook"] == "order-sign")


def test_unknown_names_are_answered_with_the_known_ones():
    with pytest.raises(LookupError, match=r"'99-nobody'.*01-cauda-equina"):
        samples.load("99-nobody")
    with pytest.raises(LookupError, match=r"'stories'.*01-cauda-equina"):
        samples.load("stories")
    with pytest.raises(LookupError, match=r"'99-nobody'.*01-cauda-equina"):
        samples.story("99-nobody")


def test_a_loaded_chart_is_the_callers_own():
    samples.load("01-cauda-equina")["entry"].clear()
    assert samples.load("01-cauda-equina")["entry"]


# --- moving a chart to another day ---

MOVED_45_DAYS = {
    "to the second": ("2026-11-18T22:30:00Z", "2027-01-02T22:30:00Z"),
    "in a zone of its own": ("2026-11-18T22:30:00.250-08:00", "2027-01-02T22:30:00.250-08:00"),
    "a day": ("2026-11-18", "2027-01-02"),
    "a month": ("2026-11", "2026-12"),
    "a year, nearly done": ("2026", "2026"),
    "no day of the calendar": ("2026-02-31", "2026-02-31"),
    "beyond the calendar": ("9999-12-31", "9999-12-31"),
    "words": ("last winter", "last winter"),
}


@pytest.mark.parametrize(("before", "after"), MOVED_45_DAYS.values(), ids=MOVED_45_DAYS)
def test_a_date_moves_in_its_own_precision(before, after):
    moved = samples.shifted(bundle_with(onsetDateTime=before), TODAY + timedelta(days=45))
    assert moved["onsetDateTime"] == after


def test_only_date_elements_move():
    still = {
        "identifier": {"value": "2026-11-20"},
        "coding": [{"code": "2026", "version": "2026-04"}],
        "valueString": "2026-11-20",
        "valueInteger": 2026,
        "text": "2026-11-20",
        "id": "2026-11-20",
        "code": "2026",
    }
    moved = samples.shifted(bundle_with(resource=still, birthDate="1983-04-17"), TODAY + timedelta(days=30))
    assert moved["resource"] == still
    assert moved["birthDate"] == "1983-05-17"


@pytest.mark.parametrize(
    "element",
    [
        *("birthDate", "deceasedDateTime", "onsetDateTime", "abatementDateTime", "recordedDate", "sent"),
        *("effectiveDateTime", "effectiveInstant", "issued", "valueDateTime", "valueDate", "lastUpdated"),
        *("authored", "authoredOn", "dateAsserted", "performedDateTime", "occurrenceDateTime", "started"),
        *("start", "end", "date", "dateTime", "event", "recorded", "lastOccurrence", "whenHandedOver"),
    ],
)
def test_every_date_element_moves(element):
    moved = samples.shifted(bundle_with(resource={element: "2026-11-20"}), TODAY + timedelta(days=2))
    assert moved["resource"] == {element: "2026-11-22"}


def test_dates_in_lists_and_extensions_move():
    deep = {
        "timing": {"event": ["2026-11-20"]},
        "_birthDate": {"extension": [{"valueDateTime": "2026-11-19"}]},
    }
    moved = samples.shifted(bundle_with(resource=deep), TODAY + timedelta(days=1))["resource"]
    assert moved["timing"]["event"] == ["2026-11-21"]
    assert moved["_birthDate"]["extension"] == [{"valueDateTime": "2026-11-20"}]


@pytest.mark.parametrize(
    ("to", "timestamp"),
    [
        (TODAY + timedelta(hours=23, minutes=59), "2026-11-20T12:00:00Z"),
        (TODAY + timedelta(hours=24), "2026-11-21T12:00:00Z"),
        (TODAY - timedelta(minutes=1), "2026-11-19T12:00:00Z"),
        (datetime.fromisoformat("2026-11-21T23:00:00+11:00"), "2026-11-21T12:00:00Z"),
    ],
    ids=["not a day later", "a day later", "a minute earlier", "a day later, told elsewhere"],
)
def test_whole_days_only_and_never_into_the_future(to, timestamp):
    assert samples.shifted(bundle_with(), to)["timestamp"] == timestamp


@given(days=st.integers(-20_000, 200_000), on=st.dates(date(1900, 1, 1), date(2027, 1, 1)))
def test_intervals_stay(days, on):
    moved = samples.shifted(bundle_with(recordedDate=on.isoformat()), TODAY + timedelta(days))
    distance = datetime.fromisoformat(moved["timestamp"]).date() - date.fromisoformat(moved["recordedDate"])
    assert distance == TODAY.date() - on


@each_chart
def test_moving_a_chart_changes_nothing_but_dates(name):
    chart = samples.load(name)
    moved = samples.shifted(chart, TODAY + timedelta(days=400))
    assert moved != chart
    assert chart == samples.load(name)
    assert shape(moved) == shape(chart)
    assert validate_r4(moved) == []
    assert samples.shifted(chart, TODAY) == chart


def shape(value: Any) -> str:
    """The JSON text with the digits of its dates blotted out: what must survive a move."""
    dates = r'"\d{4}(-\d\d(-\d\d)?)?(T[^"]*)?"'
    return re.sub(dates, lambda found: re.sub(r"\d", "0", found[0]), json.dumps(value))


@pytest.mark.parametrize("timestamp", [None, "yesterday", "2026-11-20", "2026-11-20T12:00:00"])
def test_a_chart_without_an_instant_cannot_be_moved(timestamp):
    with pytest.raises(ValueError, match=r"Bundle\.timestamp"):
        samples.shifted(bundle_with(timestamp=timestamp), TODAY)


def test_the_aim_needs_a_zone():
    with pytest.raises(ValueError, match="time zone"):
        samples.shifted(bundle_with(), datetime(2026, 11, 20))  # noqa: DTZ001
