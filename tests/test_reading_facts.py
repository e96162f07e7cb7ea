"""What each resource states (catalogue, section 2 rules 3 to 9; sections 7 and 8)."""

from dataclasses import replace
from datetime import date
from zoneinfo import ZoneInfo

import pytest

from cds.concepts import BOOLEAN_FINDINGS, NUMERIC_FINDINGS
from fhir_profiles.read_codes import read_code
from fhir_profiles.read_orders import BACK_CONCEPTS
from fhir_profiles.reading import read_chart
from tests.reading_builders import (
    AT,
    LOINC,
    SNOMED,
    UTC_ZONE,
    allergy,
    chart,
    code,
    codeable,
    condition,
    day,
    gathered,
    knowledge,
    laboratory,
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
    rows,
    statement,
    study,
)

TODAY = AT.date().toordinal()


def diagnosis(concept: str = "back-pain", given: dict | None = None, **elements):
    (only,) = chart(condition(concept, **elements) if given is None else given).diagnoses[concept]
    return only


# --- Conditions --------------------------------------------------------------------------------------------


def status(value: str, system: str = "http://terminology.hl7.org/CodeSystem/condition-clinical") -> dict:
    return codeable(system, value)


@pytest.mark.parametrize(
    ("elements", "active"),
    **rows(
        {
            "active": ({"clinicalStatus": status("active")}, True),
            "recurrence": ({"clinicalStatus": status("recurrence")}, True),
            "relapse": ({"clinicalStatus": status("relapse")}, True),
            "inactive": ({"clinicalStatus": status("inactive")}, False),
            "remission": ({"clinicalStatus": status("remission")}, False),
            "resolved": ({"clinicalStatus": status("resolved")}, False),
            "not one of the codes": ({"clinicalStatus": status("chronic")}, False),
            "a system spelled otherwise": ({"clinicalStatus": status("active", "urn:other")}, True),
            "the HL7 code beside a local one": (
                {"clinicalStatus": {"coding": [{"system": "urn:x", "code": "A"}, *status("active")["coding"]]}},
                True,
            ),
            "no status": ({"clinicalStatus": None}, True),
            "a status in words": ({"clinicalStatus": {"text": "gone"}}, True),
            "abated": ({"clinicalStatus": None, "abatementDateTime": day(1)}, False),
            "abated today": ({"clinicalStatus": None, "abatementDateTime": day(0)}, False),
            "to abate tomorrow": ({"clinicalStatus": None, "abatementDateTime": day(-1)}, True),
            "abated at an age": ({"clinicalStatus": None, "abatementAge": quantity(30, "a")}, False),
            "abated, in words": ({"clinicalStatus": None, "abatementString": "in spring"}, False),
            "abated in a period": ({"clinicalStatus": None, "abatementPeriod": {"end": day(3)}}, False),
            "abating until tomorrow": ({"clinicalStatus": None, "abatementPeriod": {"end": day(-1)}}, True),
            "the status wins": ({"clinicalStatus": status("active"), "abatementDateTime": day(9)}, True),
        }
    ),
)
def test_an_active_condition(elements, active):
    assert diagnosis(**elements).active is active


@pytest.mark.parametrize("returned", ["recurrence", "relapse"])
def test_a_problem_that_came_back(returned):
    assert diagnosis(clinicalStatus=status(returned)).recurring
    assert not diagnosis().recurring


@pytest.mark.parametrize(
    ("verification", "display"),
    [
        ("confirmed", "Low back pain"),
        ("provisional", "Low back pain (provisional)"),
        ("differential", "Low back pain (differential)"),
        ("unconfirmed", "Low back pain (unconfirmed)"),
    ],
)
def test_a_suspicion_counts_and_says_so(verification, display):
    given = code("back-pain") | {"text": "Low back pain"}
    assert diagnosis(code=given, verificationStatus=status(verification)).evidence.display == display


def test_a_condition_entered_in_error_says_nothing():
    read = chart(condition("urinary-retention", verificationStatus=status("entered-in-error")))
    assert not read.diagnoses
    assert not read.statements


@pytest.mark.parametrize(
    ("dates", "said"),
    [
        ({"recordedDate": day(2), "onsetDateTime": day(40)}, day(2)),
        ({"onsetDateTime": day(40)}, day(40)),
        ({}, None),
    ],
)
def test_a_refuted_condition_is_a_recorded_negative(dates, said):
    read = chart(condition("urinary-retention", verificationStatus=status("refuted"), **dates))
    assert not read.diagnoses
    (only,) = read.statements["urinary-retention"]
    assert (only.present, only.own, only.observed) == (False, False, False)
    assert (only.when.text if only.when else None) == said
    assert only.evidence.display.endswith("(refuted)")


def test_a_refuted_condition_that_is_no_finding_says_nothing():
    assert not chart(condition("spinal-stenosis", verificationStatus=status("refuted"))).statements


def test_a_condition_stands_under_all_its_concepts():
    read = chart(condition("disc-herniation-with-radiculopathy"))
    assert {"disc-herniation-with-radiculopathy", "disc-herniation"} <= set(read.diagnoses)
    assert "cancer-history" in chart(condition("malignancy-history")).diagnoses


def test_an_excluding_code_beside_a_right_one():
    listed = code("bladder-control-loss")["coding"]
    icd = "http://hl7.org/fhir/sid/icd-10-cm"
    assert diagnosis("bladder-control-loss", code={"coding": listed})
    assert not chart(condition(code={"coding": [*listed, {"system": icd, "code": "N39.3"}]})).diagnoses


@pytest.mark.parametrize(
    ("elements", "first", "relation", "date_shown"),
    **rows(
        {
            "a day": ({"onsetDateTime": "2026-11-01"}, "2026-11-01", "since", "2026-11-01"),
            "a month": ({"onsetDateTime": "2026-10"}, "2026-10-01", "since", "2026-10"),
            "a period": (
                {"onsetPeriod": {"start": "2026-11-01", "end": "2026-11-05"}},
                "2026-11-01",
                "since",
                "2026-11-01",
            ),
            "an age": ({"onsetAge": quantity(50, "a")}, "2026-08-12", "since", "2026"),
            "only recorded": ({"recordedDate": "2026-11-02"}, "2026-11-02", "recorded", "2026-11-02"),
            "in words": (
                {"onsetString": "spring", "recordedDate": "2026-11-02"},
                "2026-11-02",
                "recorded",
                "2026-11-02",
            ),
            "a range of ages": (
                {"onsetRange": {"low": quantity(40)}, "recordedDate": "2026-11-02"},
                "2026-11-02",
                "recorded",
                "2026-11-02",
            ),
            "over an age": (
                {"onsetAge": quantity(40, "a", comparator=">"), "recordedDate": "2026-11-02"},
                "2026-11-02",
                "recorded",
                "2026-11-02",
            ),
            "null with a sibling": (
                {"onsetDateTime": None, "_onsetDateTime": {"extension": []}, "recordedDate": "2026-11-02"},
                "2026-11-02",
                "recorded",
                "2026-11-02",
            ),
        }
    ),
)
def test_the_start_of_a_condition(elements, first, relation, date_shown):
    read = diagnosis(**elements)
    assert read.start.first == date.fromisoformat(first).toordinal()
    assert read.start_recorded is (relation == "since")
    assert (read.evidence.relation, read.evidence.date) == (relation, date_shown)


def test_an_age_without_a_birth_date_does_not_say_when():
    (read,) = chart(condition(onsetAge=quantity(40, "a")), patient=patient(birthDate=None)).diagnoses["back-pain"]
    assert read.start is None


def test_an_undated_condition():
    read = diagnosis()
    assert (read.start, read.recorded, read.start_recorded) == (None, None, False)
    assert (read.evidence.date, read.evidence.latest) == ("", None)


@pytest.mark.parametrize(
    ("elements", "latest"),
    [
        ({"onsetDateTime": day(40)}, 40),
        ({"onsetDateTime": day(40), "recordedDate": day(3)}, 3),
        ({"onsetDateTime": day(3), "recordedDate": day(40)}, 3),
        ({"onsetDateTime": "2026"}, 0),
    ],
)
def test_how_new_a_condition_is_as_evidence(elements, latest):
    assert diagnosis(**elements).evidence.latest == TODAY - latest


@pytest.mark.parametrize(
    ("value", "severity"),
    [("24484000", "severe"), ("6736007", "moderate"), ("255604002", "mild"), ("1", "")],
)
def test_severity(value, severity):
    assert diagnosis(severity=codeable(SNOMED, value)).severity == severity
    assert diagnosis().severity == ""


# --- how evidence is shown ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "codings", "shown"),
    **rows(
        {
            "text first": ("Sore back", "Low back pain", "Sore back"),
            "then a display": (None, "Low back pain", "Low back pain"),
            "then our title": (None, None, knowledge().value_sets["back-pain"].title),
            "nothing visible": ("\u200b \u202e", None, knowledge().value_sets["back-pain"].title),
            "controls and marks": ("Sore\u202e\r\n\tback\u200b\x07 ", None, "Sore back"),
            "other scripts stay": ("Rückenschmerz 腰痛", None, "Rückenschmerz 腰痛"),
            "too long": ("x" * 5000, None, "x" * 200),
        }
    ),
)
def test_display(text, codings, shown):
    given = code("back-pain")
    given["coding"][0] |= {"display": codings} if codings else {}
    assert diagnosis(code=given | ({"text": text} if text else {})).evidence.display == shown


def test_each_keeps_its_own_words_for_one_code():
    first, second = (code("back-pain") | {"text": text} for text in ("Sore back", "Stiff back"))
    found = chart(condition(id="1", code=first), condition(id="2", code=second), condition(id="3", code=first))
    assert [each.evidence.display for each in found.diagnoses["back-pain"]] == ["Sore back", "Stiff back", "Sore back"]


def test_a_code_means_what_the_knowledge_at_hand_says():
    call = gathered(condition())
    assert read_chart(call, AT, UTC_ZONE, knowledge()).diagnoses
    assert not read_chart(call, AT, UTC_ZONE, replace(knowledge(), _tables={})).diagnoses
    assert read_chart(call, AT, UTC_ZONE, knowledge()).diagnoses


def test_a_long_display_keeps_its_qualification():
    given = code("back-pain") | {"text": "x" * 300}
    shown = diagnosis(code=given, verificationStatus=status("provisional")).evidence.display
    assert len(shown) <= 200
    assert shown.endswith("(provisional)")


def test_references():
    def reference(entry: dict) -> str:
        (only,) = chart(entry).diagnoses["back-pain"]
        return only.evidence.reference

    assert reference(condition()) == "Condition/c1"
    assert reference({"fullUrl": "urn:uuid:7", "resource": condition(id=None)}) == "urn:uuid:7"
    assert reference(condition(id=None)) == "Condition"


# --- findings of Observations ------------------------------------------------------------------------------


def stated(given: dict, finding: str = "night-pain") -> bool | None:
    """What the record states of a finding: yes, no, nothing."""
    found = {each.present for each in chart(given).statements.get(finding, ())}
    return found.pop() if found else None


YES = [
    ("http://terminology.hl7.org/CodeSystem/v2-0136", "Y"),
    (LOINC, "LA33-6"),
    (LOINC, "LA9633-4"),
    (SNOMED, "373066001"),
    (SNOMED, "52101004"),
    (SNOMED, "10828004"),
    (SNOMED, "410515003"),
]
NO = [
    ("http://terminology.hl7.org/CodeSystem/v2-0136", "N"),
    (LOINC, "LA32-8"),
    (LOINC, "LA9634-2"),
    (SNOMED, "373067005"),
    (SNOMED, "2667000"),
    (SNOMED, "260385009"),
    (SNOMED, "410516002"),
]


@pytest.mark.parametrize(("coding", "said"), [(c, True) for c in YES] + [(c, False) for c in NO])
def test_coded_answers(coding, said):
    assert stated(observation(valueCodeableConcept=codeable(*coding))) is said
    assert stated(response(night_pain={"valueCoding": codeable(*coding)["coding"][0]})) is said


ABSENT_BY_EXTENSION = {"extension": [{"url": "urn:data-absent-reason", "valueCode": "unknown"}]}


@pytest.mark.parametrize(
    ("elements", "said"),
    **rows(
        {
            "true": ({"valueBoolean": True}, True),
            "false": ({"valueBoolean": False}, False),
            "no value at all": ({}, True),
            "no value, positive": ({"interpretation": [codeable("urn:i", "POS")]}, True),
            "no value, negative": ({"interpretation": [codeable("urn:i", "NEG")]}, False),
            "a value beside an interpretation": (
                {"valueBoolean": True, "interpretation": [codeable("urn:i", "NEG")]},
                True,
            ),
            "absent, with a reason": ({"dataAbsentReason": {"text": "not asked"}}, None),
            "a boolean that is only an extension": ({"valueBoolean": None, "_valueBoolean": ABSENT_BY_EXTENSION}, None),
            "words": ({"valueString": "yes"}, None),
            "words that are only an extension": ({"_valueString": ABSENT_BY_EXTENSION}, None),
            "unknown": ({"valueCodeableConcept": codeable(SNOMED, "261665006")}, None),
            "an answer in words": ({"valueCodeableConcept": {"text": "Yes"}}, None),
            "yes and no at once": (
                {"valueCodeableConcept": {"coding": [*codeable(*YES[0])["coding"], *codeable(*NO[0])["coding"]]}},
                None,
            ),
            "the finding itself as the value": ({"valueCodeableConcept": own("night-pain")}, True),
            "a number": ({"valueInteger": 1}, None),
            "a quantity": ({"valueQuantity": quantity(3)}, None),
            "a time": ({"valueDateTime": "2026"}, None),
            "a clock time": ({"valueTime": "10:00:00"}, None),
            "a period": ({"valuePeriod": {}}, None),
            "a range": ({"valueRange": {}}, None),
            "a ratio": ({"valueRatio": {}}, None),
            "a trace": ({"valueSampledData": {}}, None),
        }
    ),
)
def test_what_an_observation_states(elements, said):
    assert stated(observation(**elements)) is said


@pytest.mark.parametrize(
    "assertion",
    [(LOINC, "75325-1"), (SNOMED, "404684003"), ("http://terminology.hl7.org/CodeSystem/v3-ActCode", "ASSERTION")],
)
def test_an_assertion_names_the_finding(assertion):
    assert stated(observation(code=codeable(*assertion), valueCodeableConcept=own("night-pain"))) is True
    assert stated(observation(code=codeable(*assertion), valueCodeableConcept=code("back-pain")), "back-pain") is True


def test_another_code_with_a_finding_as_its_value_asserts_nothing():
    assert stated(observation(code=codeable(LOINC, "29308-4"), valueCodeableConcept=own("night-pain"))) is None


def test_social_history_that_names_injecting():
    injecting = observation(code=codeable(LOINC, "11343-1"), valueCodeableConcept=code("iv-drug-use"))
    social = [codeable("http://terminology.hl7.org/CodeSystem/observation-category", "social-history")]
    assert stated(injecting | {"category": social}, "iv-drug-use") is True
    assert stated(injecting, "iv-drug-use") is None


@pytest.mark.parametrize(
    ("component", "said"),
    **rows(
        {
            "yes": ({"valueBoolean": True}, True),
            "no": ({"valueBoolean": False}, False),
            "without a value": ({}, None),
            "absent, with a reason": ({"dataAbsentReason": {"text": "x"}}, None),
            "not understood": ({"valueBoolean": True, "modifierExtension": [{"url": "x"}]}, None),
        }
    ),
)
def test_a_component(component, said):
    panel = observation(code=codeable(LOINC, "8716-3"), component=[{"code": own("night-pain")} | component])
    assert stated(panel) is said


def test_a_component_may_assert():
    component = {"code": codeable(LOINC, "75325-1"), "valueCodeableConcept": own("night-pain")}
    assert stated(observation(code=codeable(LOINC, "8716-3"), component=[component])) is True


def test_a_diagnosis_as_an_observation_states_nothing():
    assert not chart(observation(code=code("spinal-stenosis"))).statements
    for finding in ("back-pain", "back-spasm", "spinal-instability", "immunosuppression"):
        assert stated(observation(code=code(finding)), finding) is True
    assert stated(observation(code=code("malignancy-active")), "cancer-history") is True


def test_our_own_code_is_told_apart():
    (mine,) = chart(observation("urinary-retention")).statements["urinary-retention"]
    (theirs,) = chart(observation(code=code("urinary-retention"))).statements["urinary-retention"]
    assert (mine.own, theirs.own) == (True, False)
    assert (mine.observed, theirs.observed) == (True, True)


def test_a_recorded_negative_says_so():
    (read,) = chart(observation(valueBoolean=False, code=own("night-pain") | {"text": "Pain at night"})).statements[
        "night-pain"
    ]
    assert read.evidence.display == "Pain at night: no"


@pytest.mark.parametrize(
    ("elements", "began", "newest", "evidence"),
    **rows(
        {
            "a day": ({"effectiveDateTime": day(5)}, 5, 5, ("on", day(5))),
            "an instant": ({"effectiveInstant": f"{day(5)}T10:00:00Z"}, 5, 5, ("on", day(5))),
            "issued": ({"issued": f"{day(5)}T10:00:00Z"}, 5, 5, ("on", day(5))),
            "the effective date before issued": (
                {"effectiveDateTime": day(7), "issued": f"{day(5)}T10:00:00Z"},
                7,
                7,
                ("on", day(7)),
            ),
            "a period": ({"effectivePeriod": {"start": day(9), "end": day(2)}}, 9, 2, ("since", day(9))),
            "a period still open": ({"effectivePeriod": {"start": day(9)}}, 9, 0, ("since", day(9))),
            "a timing and issued": (
                {"effectiveTiming": {"event": [day(9)]}, "issued": f"{day(5)}T10:00:00Z"},
                5,
                5,
                ("on", day(5)),
            ),
        }
    ),
)
def test_when_an_observation_was_made(elements, began, newest, evidence):
    (read,) = chart(observation(**{"effectiveDateTime": None} | elements)).statements["night-pain"]
    assert (read.began.first, read.when.last) == (TODAY - began, TODAY - newest)
    assert (read.evidence.relation, read.evidence.date) == evidence
    assert read.evidence.latest == TODAY - newest


def test_a_period_without_a_beginning_began_at_any_time_before_its_end():
    (read,) = chart(observation(effectiveDateTime=None, effectivePeriod={"end": day(2)})).statements["night-pain"]
    assert (read.began.first, read.began.last, read.when.last) == (1, TODAY - 2, TODAY - 2)


def test_a_period_that_ends_before_it_begins_is_unreadable():
    given = observation(effectiveDateTime=None, effectivePeriod={"start": day(2), "end": day(9)})
    assert chart(given).unreadable == {"Observation": 1}


def test_an_undated_observation():
    (read,) = chart(observation(effectiveDateTime=None)).statements["night-pain"]
    assert (read.when, read.began, read.evidence.latest) == (None, None, None)


def test_the_days_are_those_of_the_site():
    given = observation(effectiveDateTime="2026-11-18T23:30:00Z")
    (read,) = chart(given, zone=ZoneInfo("Europe/Berlin")).statements["night-pain"]
    assert read.evidence.date == "2026-11-19"


# --- numbers -----------------------------------------------------------------------------------------------


def measured(given: dict, concept: str):
    found = chart(given).measurements.get(concept, ())
    return found[0] if found else None


@pytest.mark.parametrize(
    ("elements", "value", "problem", "shown"),
    **rows(
        {
            "with a unit": ({"valueQuantity": quantity(18, "mg/L")}, 18, "", "18 mg/L"),
            "converted, shown as recorded": ({"valueQuantity": quantity(1.8, "mg/dL")}, 18, "", "1.8 mg/dL"),
            "below a limit": ({"valueQuantity": quantity(5, "mg/L", comparator="<")}, 5, "", "<5 mg/L"),
            "no unit": ({"valueQuantity": quantity(18)}, None, "unit not understood", "18"),
            "another unit": ({"valueQuantity": quantity(18, "furlong")}, None, "unit not understood", "18 furlong"),
            "the code decides": (
                {"valueQuantity": {"value": 18, "unit": "mg per L", "code": "mg/L"}},
                18,
                "",
                "18 mg per L",
            ),
            "a strange comparator": (
                {"valueQuantity": quantity(5, "mg/L", comparator="~")},
                None,
                "comparator not understood",
                "5 mg/L",
            ),
            "a unit that hides": (
                {"valueQuantity": quantity(5, "mg\u202e/L" * 50)},
                None,
                "unit not understood",
                "5 " + ("mg /L" * 6),
            ),
        }
    ),
)
def test_a_laboratory_value(elements, value, problem, shown):
    read = measured(laboratory("crp", **elements), "crp")
    assert (read.value, read.problem) == (value, problem)
    assert read.evidence.display.endswith(f" {shown}")


def test_the_comparator_is_kept():
    for comparator in ("<", "<=", ">=", ">"):
        given = laboratory("crp", valueQuantity=quantity(5, "mg/L", comparator=comparator))
        assert measured(given, "crp").comparator == comparator
    assert measured(laboratory("crp", 5, "mg/L"), "crp").comparator == ""


@pytest.mark.parametrize(
    "elements",
    [
        {"valueString": "18 mg/L"},
        {"valueCodeableConcept": {"text": "raised"}},
        {"valueQuantity": {"unit": "mg/L"}},
        {"dataAbsentReason": {"text": "clotted"}},
        {},
    ],
)
def test_what_is_no_number(elements):
    assert measured(laboratory("crp", **elements), "crp") is None


@pytest.mark.parametrize(
    ("concept", "flags", "judgement"),
    [
        *(("crp", [flag], "raised") for flag in ("H", "HH", "HU", ">", "A", "AA")),
        *(("esr", [flag], "raised") for flag in ("A", "AA")),
        *(("wbc", [flag], "") for flag in ("A", "AA", "S", "POS")),
        *(("potassium", [flag], "lowered") for flag in ("L", "LL", "LU", "<")),
        ("calcium-total", ["N"], "normal"),
        ("wbc", ["N", "H"], "raised"),
        ("crp", ["A", "L"], "lowered"),
        ("crp", [], ""),
        ("body-temperature", ["H"], ""),
        ("pain-score", ["H"], ""),
    ],
)
def test_what_the_laboratory_says(concept, flags, judgement):
    units = {"wbc": "10*9/L", "crp": "mg/L", "esr": "mm/h", "potassium": "mmol/L", "calcium-total": "mg/dL"}
    unit = units.get(concept, "Cel" if concept == "body-temperature" else "{score}")
    read = measured(laboratory(concept, 9, unit, interpretation=[codeable("urn:i", flag) for flag in flags]), concept)
    assert read.judgement == judgement


def test_a_judgement_without_a_number_counts():
    read = measured(laboratory("crp", interpretation=[codeable("urn:i", "H")], valueString="high"), "crp")
    assert (read.value, read.judgement, read.problem) == (None, "raised", "value not recorded")


@pytest.mark.parametrize(
    ("ranges", "limits"),
    **rows(
        {
            "both": ([{"low": quantity(1, "mg/L"), "high": quantity(5, "mg/L")}], (1, 5)),
            "converted": ([{"high": quantity(0.5, "mg/dL")}], (None, 5)),
            "without a unit: that of the value": ([{"high": quantity(5)}], (None, 5)),
            "a unit that is not understood": ([{"high": quantity(5, "furlong")}], (None, None)),
            "of type normal": ([{"high": quantity(7), "type": codeable("urn:t", "normal")}], (None, 7)),
            "of another type": ([{"high": quantity(7), "type": codeable("urn:t", "therapeutic")}], (None, None)),
            "the normal one of several": (
                [{"high": quantity(9), "type": codeable("urn:t", "therapeutic")}, {"high": quantity(5)}],
                (None, 5),
            ),
            "the one for everybody": (
                [{"high": quantity(9), "appliesTo": [{"text": "men"}]}, {"high": quantity(5)}],
                (None, 5),
            ),
            "in words": ([{"text": "up to 5"}], (None, None)),
            "none": (None, (None, None)),
        }
    ),
)
def test_the_laboratory_s_own_range(ranges, limits):
    read = measured(laboratory("crp", 18, "mg/L", referenceRange=ranges), "crp")
    assert (read.low, read.high) == limits


def test_a_range_is_for_laboratory_values_only():
    given = laboratory("body-temperature", 38, "Cel", referenceRange=[{"high": quantity(37, "Cel")}])
    assert measured(given, "body-temperature").high is None


@pytest.mark.parametrize(
    ("elements", "value"),
    **rows(
        {
            "integer": ({"valueInteger": 7}, 7),
            "no unit": ({"valueQuantity": quantity(7)}, 7),
            "unit 1": ({"valueQuantity": quantity(7.5, "1")}, 7.5),
            "a score": ({"valueQuantity": quantity(7, "{score}")}, 7),
            "a count": ({"valueQuantity": quantity(7, "{#}")}, 7),
            "lowest": ({"valueInteger": 0}, 0),
            "highest": ({"valueInteger": 10}, 10),
            "too high": ({"valueInteger": 11}, None),
            "too low": ({"valueInteger": -1}, None),
        }
    ),
)
def test_pain_scores(elements, value):
    read = measured(observation("pain-score", **elements), "pain-score")
    assert (read.value if read else None) == value


@pytest.mark.parametrize(("grade", "counts"), [(0, True), (5, True), (5.5, False), (-1, False)])
def test_grades_of_strength(grade, counts):
    given = observation("muscle-strength-grade", valueQuantity=quantity(grade))
    assert (measured(given, "muscle-strength-grade") is not None) is counts


def test_a_distance_without_a_unit_is_not_understood():
    assert measured(observation("walking-distance", valueInteger=100), "walking-distance").problem


def test_muscle_and_side():
    def site(value: dict | None) -> str:
        given = observation("muscle-strength-grade", valueInteger=4, bodySite=value)
        return measured(given, "muscle-strength-grade").site

    two = [{"system": "urn:m", "code": "quad"}, {"system": "urn:m", "code": "left"}]
    assert site({"coding": two}) == site({"coding": two[::-1]}) == "urn:m|left,urn:m|quad"
    assert site({"text": " Left Quadriceps "}) == "left quadriceps"
    assert site(None) == ""


def test_a_number_in_a_component():
    component = {"code": code("body-temperature"), "valueQuantity": quantity(38.5, "Cel")}
    panel = observation(code=codeable(LOINC, "85353-1"), component=[component])
    assert measured(panel, "body-temperature").value == 38.5


def test_what_makes_a_measurement_newer():
    given = laboratory("crp", 5, "mg/L", issued="2026-11-19T10:00:00Z", meta={"lastUpdated": "2026-11-19T11:00:00Z"})
    moment, issued, updated = measured(given, "crp").order
    assert updated - issued == 3600
    assert moment == issued + 14 * 3600 - 1  # the effective date is a whole day
    assert measured(laboratory("crp", 5, "mg/L", effectiveDateTime=None), "crp").order == (0, 0, 0)


def test_one_bad_date_takes_back_all_that_an_observation_said():
    given = observation(code={"coding": [*own("night-pain")["coding"], *own("pain-score")["coding"]]}, issued="now")
    read = chart(given)
    assert read.unreadable == {"Observation": 1}
    assert not read.statements


# --- our form ----------------------------------------------------------------------------------------------

YES_ANSWER, NO_ANSWER = {"valueBoolean": True}, {"valueBoolean": False}


def test_only_our_form_is_read():
    given = response(night_pain=YES_ANSWER)
    assert stated(given) is True
    assert stated(given | {"questionnaire": given["questionnaire"] + "|2.0"}) is True
    assert stated(given | {"questionnaire": given["questionnaire"] + "-other"}) is None
    assert stated(given | {"questionnaire": None}) is None


@pytest.mark.parametrize("finding", BOOLEAN_FINDINGS)
def test_each_finding_can_be_answered(finding):
    (read,) = chart(response(**{finding: YES_ANSWER})).statements[finding]
    assert (read.present, read.own, read.observed) == (True, True, False)
    assert read.evidence.reference == "QuestionnaireResponse/q1"


def test_nested_answers():
    leaf = {"linkId": "night-pain", "answer": [YES_ANSWER]}
    nested = response(fever=NO_ANSWER)
    nested["item"] = [{"linkId": "group", "item": [{"linkId": "fever", "answer": [NO_ANSWER | {"item": [leaf]}]}]}]
    assert stated(nested) is True
    assert stated(nested, "fever") is False


@pytest.mark.parametrize(
    ("answers", "said"),
    **rows(
        {
            "none": ([], None),
            "in words": ([{"valueString": "yes"}], None),
            "a yes among several": ([NO_ANSWER, YES_ANSWER], True),
            "unknown": ([{"valueCoding": {"system": SNOMED, "code": "261665006"}}], None),
            "not understood": ([YES_ANSWER | {"modifierExtension": [{"url": "x"}]}], None),
            "null": ([{"valueBoolean": None}], None),
        }
    ),
)
def test_answers(answers, said):
    assert stated(response(night_pain=answers)) is said


def test_an_item_that_is_not_understood_is_passed_over():
    given = response(night_pain=YES_ANSWER, fever=YES_ANSWER)
    given["item"][0]["modifierExtension"] = [{"url": "x"}]
    assert stated(given) is None
    assert stated(given, "fever") is True


@pytest.mark.parametrize(
    ("first", "second", "said"),
    **rows(
        {
            "a later no": ((day(9), YES_ANSWER), (day(1), NO_ANSWER), False),
            "a later yes": ((day(9), NO_ANSWER), (day(1), YES_ANSWER), True),
            "later on the same day": (
                ("2026-11-19T09:00:00Z", YES_ANSWER),
                ("2026-11-19T10:00:00Z", NO_ANSWER),
                False,
            ),
            "at the same time": ((day(1), YES_ANSWER), (day(1), NO_ANSWER), True),
            "later, both ahead of our clock": (
                ("2026-11-20T13:00:00Z", YES_ANSWER),
                ("2026-11-20T14:00:00Z", NO_ANSWER),
                False,
            ),
            "later without an answer": ((day(9), YES_ANSWER), (day(1), {"valueString": "?"}), True),
            "undated": ((None, YES_ANSWER), (day(300), NO_ANSWER), False),
        }
    ),
)
@pytest.mark.parametrize("turned", [False, True])
def test_the_later_answer_replaces_the_earlier(first, second, said, turned):
    forms = [response(first[0], id="q1", fever=first[1]), response(second[0], id="q2", fever=second[1])]
    statements = chart(*(forms[::-1] if turned else forms)).statements["fever"]
    assert [each.present for each in statements] == [said]


def test_each_yes_to_having_tried_treatment_counts_until_a_no():
    def tried(*answers: tuple[int, dict]) -> list[tuple[bool, str]]:
        forms = [response(day(ago), id=f"q{ago}", conservative_treatment_tried=answer) for ago, answer in answers]
        return [(each.present, each.evidence.date) for each in chart(*forms).statements["conservative-treatment-tried"]]

    assert tried((90, YES_ANSWER), (1, YES_ANSWER)) == [(True, day(90)), (True, day(1))]
    assert tried((90, YES_ANSWER), (1, NO_ANSWER)) == [(False, day(1))]
    assert tried((90, YES_ANSWER), (30, NO_ANSWER), (1, YES_ANSWER)) == [(True, day(1))]


@pytest.mark.parametrize(
    ("finding", "answer", "value"),
    [
        ("pain-score", {"valueInteger": 7}, 7),
        ("pain-score", {"valueDecimal": 7.5}, 7.5),
        ("pain-score", {"valueInteger": 11}, None),
        ("walking-distance", {"valueInteger": 150}, 150),
        ("walking-distance", {"valueQuantity": quantity(150)}, 150),
        ("walking-distance", {"valueQuantity": quantity(0.15, "km")}, 150),
        ("cobb-angle", {"valueDecimal": 23.5}, 23.5),
        ("conservative-treatment-weeks", {"valueInteger": 8}, 8),
        ("muscle-strength-grade", {"valueInteger": 4}, 4),
        ("pain-score", {"valueString": "7"}, None),
    ],
)
def test_numeric_answers_are_in_the_unit_of_the_form(finding, answer, value):
    read = measured(response(**{finding: answer}), finding)
    assert (read.value if read else None) == value
    assert read is None or not read.observed


def test_an_answered_form():
    (form,) = chart(response(fever=NO_ANSWER)).forms
    assert (form.when.text, form.evidence.reference) == (day(1), "QuestionnaireResponse/q1")
    assert not chart(response()).forms
    assert not chart(response(fever=[])).forms
    assert not chart(response(something=YES_ANSWER)).forms


# --- medicines ---------------------------------------------------------------------------------------------


def medicine(given: dict, concept: str = "nsaid", *others: dict):
    found = chart(given, *others).medicines.get(concept, ())
    return found[0] if found else None


@pytest.mark.parametrize(
    ("state", "active", "counted"),
    [
        ("active", True, True),
        ("completed", False, True),
        ("stopped", False, True),
        ("on-hold", False, True),
        (None, False, False),
    ],
)
def test_the_status_of_a_medicine(state, active, counted):
    for given in (prescription(status=state), statement(status=state)):
        assert medicine(given)[:2] == (active, counted)


def test_the_start_of_a_medicine():
    assert medicine(prescription()).start.text == day(10)
    taken = statement(effectivePeriod={"start": day(9)}, dateAsserted=day(3))
    assert medicine(taken).start.text == day(9)
    assert medicine(statement(effectiveDateTime=day(9), dateAsserted=day(3))).start.text == day(9)
    assert medicine(statement(dateAsserted=day(3))).start.text == day(3)
    assert medicine(statement()).start is None


def test_how_new_a_medicine_is_as_evidence():
    steroid = statement("systemic-corticosteroid", effectivePeriod={"start": day(200)})
    fact = medicine(steroid, "systemic-corticosteroid").evidence
    assert (fact.relation, fact.date, fact.latest, fact.renews) == ("since", day(200), TODAY, True)
    ended = statement("systemic-corticosteroid", effectivePeriod={"start": day(200), "end": day(150)})
    assert medicine(ended, "systemic-corticosteroid").evidence.latest == TODAY - 150


@pytest.mark.parametrize("concept", ["nsaid", "muscle-relaxant", "analgesic"])
def test_pain_medicines_are_never_new_evidence(concept):
    assert not medicine(prescription(concept), concept).evidence.renews


def test_pain_scores_are_never_new_evidence():
    assert not measured(observation("pain-score", valueInteger=3), "pain-score").evidence.renews
    assert measured(laboratory("crp", 5, "mg/L"), "crp").evidence.renews


TOPICAL, ORAL = code("non-systemic-routes"), codeable(SNOMED, "26643006")


@pytest.mark.parametrize(
    ("routes", "systemic"),
    [([], True), ([None], True), ([TOPICAL], False), ([ORAL], True), ([TOPICAL, ORAL], True), ([TOPICAL, None], False)],
)
def test_routes(routes, systemic):
    doses = [{"route": route} if route else {"text": "daily"} for route in routes]
    assert medicine(prescription(dosageInstruction=doses)).systemic is systemic
    assert medicine(statement(dosage=doses)).systemic is systemic


MEDICATION = {"id": "med1", "code": code("nsaid")}


@pytest.mark.parametrize(
    ("reference", "others", "found"),
    **rows(
        {
            "contained": ("#med1", [], True),
            "in the record": ("Medication/med1", [resource("Medication", **MEDICATION)], True),
            "absolute": (
                "https://ehr.example.org/fhir/Medication/med1",
                [resource("Medication", **MEDICATION)],
                True,
            ),
            "by fullUrl": (
                "urn:uuid:5",
                [{"fullUrl": "urn:uuid:5", "resource": resource("Medication", code=code("nsaid"))}],
                True,
            ),
            "not sent": ("Medication/med2", [resource("Medication", **MEDICATION)], False),
            "a mistake": (
                "Medication/med1",
                [resource("Medication", **MEDICATION, status="entered-in-error")],
                False,
            ),
            "another type of that id": ("Medication/c1", [condition()], False),
        }
    ),
)
def test_a_medicine_by_reference(reference, others, found):
    given = prescription(medicationReference={"reference": reference})
    if reference.startswith("#"):
        given["contained"] = [resource("Medication", **MEDICATION)]
    assert (medicine(given, "nsaid", *others) is not None) is found


def test_contained_resources_of_other_types_do_no_harm():
    given = prescription(medicationReference={"reference": "#med1"})
    given["contained"] = [
        resource("PractitionerRole", id="x", code=[{"text": "doctor"}]),
        resource("Medication", **MEDICATION),
    ]
    assert medicine(given)


@pytest.mark.parametrize("broken", [7, "nsaid", [code("nsaid")], {"coding": [None]}, {"coding": [{"code": 7}]}])
def test_a_contained_medicine_that_cannot_be_read_is_counted(broken):
    contained = [resource("Medication", id="m", code=broken)]
    read = chart(prescription(medicationReference={"reference": "#m"}, contained=contained))
    assert (read.medicines, read.unreadable) == ({}, {"MedicationRequest": 1})


@pytest.mark.parametrize(
    "broken", [laboratory("crp", 18, "mg/L", interpretation=[None]), study(procedureCode=[code("mri-lumbar"), None])]
)
def test_a_null_among_codes_cannot_be_trusted(broken):
    read = chart(broken)
    assert (read.measurements, read.reports) == ({}, {})
    assert read.unreadable == {broken["resourceType"]: 1}


# --- procedures, orders, reports, allergies ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "completed", "counted"),
    [("completed", True, True), ("in-progress", False, True), ("stopped", False, False), ("on-hold", False, False)],
)
def test_the_status_of_a_procedure(state, completed, counted):
    (read,) = chart(procedure(status=state)).treatments["physical-therapy"]
    assert (read.completed, read.counted) == (completed, counted)


@pytest.mark.parametrize(
    ("elements", "start", "end"),
    [
        ({"performedDateTime": day(20)}, 20, 20),
        ({"performedPeriod": {"start": day(90), "end": day(20)}}, 90, 20),
        ({"performedPeriod": {"start": day(90)}}, 90, 0),
    ],
)
def test_when_a_procedure_was_done(elements, start, end):
    (read,) = chart(procedure(**{"performedDateTime": None} | elements)).treatments["physical-therapy"]
    assert (read.start.first, read.end.last) == (TODAY - start, TODAY - end)
    assert read.evidence.latest == TODAY - end


def test_an_undated_procedure():
    (read,) = chart(procedure(performedDateTime=None, performedString="in spring")).treatments["physical-therapy"]
    assert (read.start, read.end) == (None, None)


@pytest.mark.parametrize(
    ("priority", "urgent"), [("stat", True), ("asap", True), ("urgent", True), ("routine", False), (None, False)]
)
def test_urgency(priority, urgent):
    (read,) = chart(order(priority=priority)).orders["mri-lumbar"]
    assert read.urgent is urgent


@pytest.mark.parametrize(
    ("elements", "begun", "happened"),
    **rows(
        {
            "none": ({}, 5, False),
            "a day": ({"occurrenceDateTime": day(2)}, 2, True),
            "a period": ({"occurrencePeriod": {"start": day(3), "end": day(1)}}, 3, True),
            "to come": ({"occurrenceDateTime": day(-20)}, 0, False),
            "repeated within bounds": ({"occurrenceTiming": {"repeat": {"boundsPeriod": {"start": day(3)}}}}, 3, True),
            "events": ({"occurrenceTiming": {"event": [day(1), day(4), None]}}, 4, True),
            "a timing in words": ({"occurrenceTiming": {"code": {"text": "weekly"}}}, 5, False),
        }
    ),
)
def test_when_an_order_is_carried_out(elements, begun, happened):
    (read,) = chart(order("physical-therapy", **elements)).orders["physical-therapy"]
    assert (read.begun.first, read.has_occurrence) == (TODAY - begun, happened)
    assert read.placed.text == day(5)


BACK, KNEE = code("spinal-stenosis"), codeable(SNOMED, "239873007")


@pytest.mark.parametrize(
    ("elements", "about_back"),
    **rows(
        {
            "no reason": ({}, True),
            "in words": ({"reasonCode": [{"text": "knee"}]}, True),
            "not chosen yet": ({"reasonCode": [{"coding": []}]}, True),
            "the back": ({"reasonCode": [BACK]}, True),
            "the knee": ({"reasonCode": [KNEE]}, False),
            "both": ({"reasonCode": [KNEE, BACK]}, True),
            "scoliosis": ({"reasonCode": [code("scoliosis")]}, True),
            "a finding of the leg": ({"reasonCode": [own("leg-weakness")]}, True),
            "a general finding": ({"reasonCode": [own("fever")]}, False),
            "a back problem referred to": ({"reasonReference": [{"reference": "Condition/back"}]}, True),
            "a knee problem referred to": ({"reasonReference": [{"reference": "Condition/knee"}]}, False),
            "a back problem observed": ({"reasonReference": [{"reference": "Observation/o1"}]}, True),
            "a contained one": ({"reasonReference": [{"reference": "#k"}]}, False),
            "something that was not sent": ({"reasonReference": [{"reference": "Condition/x"}]}, True),
        }
    ),
)
def test_what_a_referral_is_about(elements, about_back):
    record = [
        condition(id="back"),
        condition(id="knee", code=KNEE),
        observation(code=codeable(LOINC, "75325-1"), valueCodeableConcept=own("leg-weakness")),
    ]
    given = order("spine-surgeon-referral", contained=[resource("Condition", id="k", code=KNEE)], **elements)
    (read,) = chart(given, *record).orders["spine-surgeon-referral"]
    assert read.about_back is about_back
    (draft,) = chart(*record, drafts={"resourceType": "Bundle", "entry": [{"resource": given}]}).drafts
    assert draft.about_back is about_back


def test_other_orders_are_what_they_say():
    (read,) = chart(order(reasonCode=[KNEE])).orders["mri-lumbar"]
    assert read.about_back


def test_the_reasons_for_a_spine_referral_are_known_concepts():
    assert set(knowledge().value_sets) >= BACK_CONCEPTS
    assert set(BOOLEAN_FINDINGS + NUMERIC_FINDINGS) - BACK_CONCEPTS >= {"fever", "cancer-history", "pain-score"}


@pytest.mark.parametrize(
    ("given", "done"),
    [
        (report(), True),
        (report(status="corrected"), True),
        (report(status="amended"), True),
        (report(status="preliminary"), False),
        (report(status="registered"), False),
        (study(), True),
        (study(status="registered"), False),
        (observation(code=code("mri-lumbar")), True),
        (observation(code=code("mri-lumbar"), status="preliminary"), False),
    ],
)
def test_what_was_done(given, done):
    (read,) = chart(given).reports["mri-lumbar"]
    assert read.done is done


def test_a_result_shows_that_the_test_was_done():
    assert chart(laboratory("esr", 45, "mm/h")).reports["esr-order"]
    assert not chart(laboratory("esr", dataAbsentReason={"text": "lost"})).reports


@pytest.mark.parametrize(
    ("elements", "when"),
    [
        ({"effectiveDateTime": day(3), "issued": f"{day(1)}T10:00:00Z"}, day(3)),
        ({"effectivePeriod": {"start": day(4), "end": day(3)}}, day(3)),
        ({"issued": f"{day(1)}T10:00:00Z"}, day(1)),
    ],
)
def test_the_date_of_a_report(elements, when):
    (read,) = chart(report(**{"effectiveDateTime": None} | elements)).reports["mri-lumbar"]
    assert read.when.text == when


@pytest.mark.parametrize(
    ("given", "counts"),
    **rows(
        {
            "an allergy to the group": (allergy(), True),
            "an allergy to one medicine of it": (allergy("nsaid"), True),
            "to something else": (allergy("muscle-relaxant"), False),
            "active": (allergy(clinicalStatus=status("active")), True),
            "inactive": (allergy(clinicalStatus=status("inactive")), False),
            "resolved": (allergy(clinicalStatus=status("resolved")), False),
            "refuted": (allergy(verificationStatus=status("refuted")), False),
            "a mistake": (allergy(verificationStatus=status("entered-in-error")), False),
            "unconfirmed": (allergy(verificationStatus=status("unconfirmed")), True),
        }
    ),
)
def test_allergies(given, counts):
    assert bool(chart(given).allergies) is counts


def test_words_written_beside_a_code_are_not_kept_for_the_next_chart():
    known = knowledge()
    usual = b'{"coding":[{"system":"http://snomed.info/sct","code":"279039007","display":"Low back pain"}]}'
    written = usual[:-1] + b',"text":"Low back pain since the quarrel with her brother"}'
    assert read_code(usual, known) is read_code(usual, known)
    assert read_code(written, known) is not read_code(written, known)
    assert read_code(written, known).shown == "Low back pain since the quarrel with her brother"
    assert read_code(written, known).concepts == read_code(usual, known).concepts == {"back-pain"}
    assert read_code(usual.replace(b'"}]', b'"}],"text":"Backache"'), known).shown == "Backache"
