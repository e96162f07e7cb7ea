"""Laws of reading: nothing that is sent makes it fail, and what cannot be trusted says nothing (reliability.md, 3a)."""

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cds.facts import Chart
from fhir_profiles.errors import RecordError
from fhir_profiles.record import gather_bundle
from tests.reading_builders import (
    AT,
    UTC_ZONE,
    allergy,
    bundle,
    chart,
    code,
    codeable,
    condition,
    day,
    encoded,
    encounter,
    observation,
    order,
    own,
    patient,
    prescription,
    procedure,
    quantity,
    report,
    resource,
    response,
    statement,
    study,
)
from tests.validation import parse_r4

SUBJECT = {"reference": "Patient/p1", "identifier": {"system": "urn:h", "value": "7"}}
DOSES = [{"text": "daily", "route": code("non-systemic-routes")}]
META = {"lastUpdated": "2026-11-19T10:00:00Z"}
FINAL = codeable("http://terminology.hl7.org/CodeSystem/condition-ver-status", "confirmed")

# One of each type, with every element that is read.
RICH: dict[str, dict] = {
    "Condition": condition(
        "disc-herniation",
        meta=META,
        subject=SUBJECT,
        verificationStatus=FINAL,
        severity=codeable("http://snomed.info/sct", "24484000"),
        onsetDateTime=day(40),
        abatementDateTime=day(-30),
        recordedDate=day(30),
    ),
    "Condition with ages": condition(
        subject=SUBJECT, onsetAge=quantity(50, "a"), abatementAge=quantity(50, "a"), recordedDate=day(3)
    ),
    "Condition with periods": condition(
        subject=SUBJECT, onsetPeriod={"start": day(9), "end": day(3)}, abatementPeriod={"start": day(2), "end": day(1)}
    ),
    "Observation": observation(
        meta=META,
        subject=SUBJECT,
        code={"coding": [*own("night-pain")["coding"], *own("fever")["coding"]], "text": "Signs"},
        issued="2026-11-19T10:00:00Z",
        valueCodeableConcept=codeable("http://snomed.info/sct", "373066001"),
        category=[codeable("urn:c", "survey")],
        component=[
            {"code": own("pain-score"), "valueInteger": 3},
            {"code": own("limping"), "valueBoolean": False},
        ],
    ),
    "Observation of the laboratory": observation(
        code=code("crp"),
        meta=META,
        subject=SUBJECT,
        effectiveDateTime=None,
        effectivePeriod={"start": day(3), "end": day(2)},
        valueQuantity=quantity(18, "mg/L", comparator=">"),
        interpretation=[codeable("urn:i", "H")],
        referenceRange=[{"low": quantity(1, "mg/L"), "high": quantity(5, "mg/L"), "type": codeable("urn:t", "normal")}],
        bodySite=codeable("urn:b", "arm"),
    ),
    "QuestionnaireResponse": response(night_pain={"valueBoolean": True}, pain_score={"valueInteger": 4})
    | {"subject": SUBJECT, "meta": META},
    "MedicationRequest": prescription(subject=SUBJECT, dosageInstruction=DOSES),
    "MedicationRequest by reference": prescription(
        subject=SUBJECT,
        medicationReference={"reference": "#m"},
        contained=[resource("Medication", id="m", code=code("nsaid"))],
    ),
    "MedicationStatement": statement(
        subject=SUBJECT, effectivePeriod={"start": day(9), "end": day(2)}, dateAsserted=day(1), dosage=DOSES
    ),
    "Procedure": procedure(subject=SUBJECT, performedDateTime=None, performedPeriod={"start": day(9), "end": day(2)}),
    "ServiceRequest": order(
        "spine-surgeon-referral",
        subject=SUBJECT,
        priority="stat",
        occurrenceTiming={"event": [day(1)], "repeat": {"boundsPeriod": {"start": day(1)}}},
        reasonCode=[code("back-pain")],
        reasonReference=[{"reference": "Condition/x"}],
    ),
    "DiagnosticReport": report(subject=SUBJECT, issued="2026-11-19T10:00:00Z"),
    "ImagingStudy": study(subject=SUBJECT),
    "AllergyIntolerance": allergy(
        patient=SUBJECT,
        clinicalStatus=codeable("urn:s", "active"),
        verificationStatus=FINAL,
        recordedDate=day(3),
    ),
}

JSON_VALUES: dict[str, Any] = {
    "null": None,
    "boolean": True,
    "number": 7,
    "fraction": -1.5e300,
    "string": "x",
    "list": [],
    "list of null": [None],
    "list of numbers": [7],
    "object": {"x": 1},
}


def paths(value: Any, at: tuple = ()) -> Iterator[tuple]:
    """Where each element and each item of a list is."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield (*at, key)
        yield from paths(inner, (*at, key))


def replaced(value: Any, path: tuple, new: Any) -> Any:
    changed = copy.deepcopy(value)
    inner = changed
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = new
    return changed


def removed(value: Any, path: tuple) -> Any:
    changed = copy.deepcopy(value)
    inner = changed
    for key in path[:-1]:
        inner = inner[key]
    del inner[path[-1]]
    return changed


def element(value: Any, path: tuple) -> Any:
    for key in path:
        value = value[key]
    return value


def kind_of(value: Any) -> str:
    return "number" if isinstance(value, int | float) and not isinstance(value, bool) else type(value).__name__


def facts(read: Chart) -> Chart:
    return read._replace(unreadable={}, foreign=0)


@pytest.mark.parametrize("name", RICH)
def test_an_element_of_another_json_type_says_nothing(name):
    """The resource then counts as not had, or is read as if the element were not there."""
    given = RICH[name]
    absent, not_had = facts(chart()), frozenset((given["resourceType"],))
    for path in paths(given):
        without = facts(chart(removed(given, path)))
        for value in JSON_VALUES.values():
            if kind_of(value) != kind_of(element(given, path)):
                read = chart(replaced(given, path, value))
                assert facts(read) in (absent, absent._replace(missing=not_had), without), (path, value)


@pytest.mark.parametrize("name", RICH)
def test_a_search_of_which_nothing_could_be_read_was_not_had(name):
    """As from a server of another FHIR version; one resource that can be read shows that the version is right."""
    given = RICH[name]
    unreadable = {**given, "id": 7}
    assert chart(unreadable, {**unreadable, "status": 8}).missing == {given["resourceType"]}
    assert chart(unreadable, {**given, "id": "readable"}).missing == frozenset()


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)
places = st.sampled_from([(name, path) for name, given in RICH.items() for path in paths(given)])


@given(place=places, value=json_values)
@settings(max_examples=300)
def test_any_json_anywhere_is_survived(place, value):
    name, path = place
    read = chart(replaced(RICH[name], path, value), condition("back-spasm", id="other"))
    assert read.diagnoses["back-spasm"]


texts = json_values.map(lambda value: json.dumps(value).encode()) | st.binary(max_size=40)


@given(source=texts)
@settings(max_examples=200)
def test_any_bytes_are_survived_wherever_they_come(source):
    assert chart(bundles={"Condition": [source]}).missing <= {"Condition"}
    assert chart(encounter=source).visit is None or source
    assert chart(drafts=source).drafts == []
    with pytest.raises(RecordError):
        chart(patient=source)
    with pytest.raises(RecordError):
        gather_bundle(source, "order-sign", AT, UTC_ZONE)


@given(entries=st.lists(json_values, max_size=4))
@settings(max_examples=100)
def test_any_entries_are_survived(entries):
    source = encoded({"resourceType": "Bundle", "entry": [*entries, {"resource": condition()}]})
    assert chart(bundles={"Condition": [source]}).diagnoses
    assert chart(drafts=source).drafts == []


def test_nesting_without_end_is_survived():
    deep = b'{"resourceType":"Bundle","entry":[{"resource":' + b'{"item":[' * 100_000
    assert chart(bundles={"Observation": [deep]}).missing == {"Observation"}
    item: dict = {"linkId": "night-pain", "answer": [{"valueBoolean": True}]}
    for _ in range(90):  # as deep as a request may be
        item = {"linkId": "group", "item": [item]}
    assert chart(response() | {"item": [item]}).statements["night-pain"]


@pytest.mark.parametrize("name", RICH)
def test_what_r4_allows_is_read(name):
    given = RICH[name]
    assert parse_r4(given)
    for path in [(), *(path for path in paths(given) if path != ("resourceType",))]:
        smaller = removed(given, path) if path else given
        try:
            parse_r4(smaller)
        except ValueError:
            continue
        assert chart(smaller).unreadable == {}, path


@given(order=st.permutations(range(len(RICH) + 3)))
@settings(max_examples=40)
def test_the_order_of_resources_does_not_matter(order):
    resources = [each | {"id": f"r{number}"} for number, each in enumerate(RICH.values())]
    resources += [
        response(day(3), id="early", fever={"valueBoolean": True}),
        response(day(3), id="late", fever={"valueBoolean": False}),
        RICH["Condition"] | {"id": "r0", "meta": {"lastUpdated": "2026-11-18T10:00:00Z"}, "severity": None},
    ]
    read, shuffled = chart(*resources), chart(*(resources[index] for index in order))
    assert sorted_facts(shuffled) == sorted_facts(read)


@given(places=st.lists(st.integers(0, 8), min_size=1, max_size=8))
@settings(max_examples=60)
def test_the_findings_of_others_have_no_effect(places):
    others = list(RICH.values())
    record = [condition(id="mine"), response(day(1), id="form", fever={"valueBoolean": False})]
    alone = facts(chart(*record))
    for number, place in enumerate(places):
        somebody = {"reference": f"Patient/p{number + 2}"}
        foreign = others[(place + number) % len(others)] | {"subject": somebody, "id": f"foreign{number}"}
        if foreign["resourceType"] == "AllergyIntolerance":
            foreign["patient"] = somebody
        record.insert(place % len(record), foreign)
    read = chart(*record)
    assert facts(read) == alone
    assert read.foreign == len(places)


def sorted_facts(read: Chart) -> dict[str, Any]:
    """The chart without the order of its lists."""
    return {name: in_order(value) for name, value in facts(read)._asdict().items()}


def in_order(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: in_order(inner) for key, inner in value.items()}
    return sorted(map(repr, value)) if type(value) is list else value


def test_every_place_of_the_encounter_and_the_patient_is_survived():
    visit = encounter(
        subject=SUBJECT,
        period={"start": day(0)},
        reasonCode=[code("back-pain")],
        reasonReference=[{"reference": "Condition/c1"}],
    )
    for path in paths(visit):
        for value in JSON_VALUES.values():
            assert chart(encounter=replaced(visit, path, value)).missing <= {"Encounter"}
    person = patient(identifier=[{"system": "urn:h", "value": "7"}], link=[{"type": "seealso"}], deceasedBoolean=False)
    for path in paths(person):
        for value in JSON_VALUES.values():
            if path not in (("id",), ("resourceType",)):
                assert chart(condition(), patient=replaced(person, path, value)).diagnoses
    draft = bundle(order(status="draft", subject=SUBJECT, reasonCode=[code("back-pain")]))
    for path in paths(draft):
        for value in JSON_VALUES.values():
            assert len(chart(drafts=replaced(draft, path, value)).drafts) <= 1
