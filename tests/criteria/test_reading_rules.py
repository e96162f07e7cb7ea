"""Catalogue, section 2: how the record is read, rule by rule, shown on criteria simple enough to see the rule.

`night-pain` is a plain finding (unknown when nothing is said), `limb-sensation-loss` one of the emergency
findings (they know "long-standing"), `spinal-neoplasm` and `cancer-history` rows where silence is `not-met`.
"""

import json
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from cds.answers import MET, NOT_MET, UNKNOWN
from cds.evaluation import Evaluation, evaluate
from cds.limits import Limits
from fhir_profiles.errors import PatientMissing
from fhir_profiles.reading import read_chart
from fhir_profiles.record import Gathered, gather_bundle
from tests.criteria import each, row
from tests.records import (
    AT,
    FORM,
    PATIENT_ID,
    ago,
    back_pain,
    bundle,
    coded,
    condition,
    draft,
    encounter,
    form,
    judge,
    knowledge,
    medicine,
    observation,
    own,
    procedure,
    resource,
    statement,
)

ICD, SNOMED, LOINC = "http://hl7.org/fhir/sid/icd-10-cm", "http://snomed.info/sct", "http://loinc.org"
YES_NO = "http://terminology.hl7.org/CodeSystem/v2-0136"
NULL_FLAVOR = "http://terminology.hl7.org/CodeSystem/v3-NullFlavor"
INTERPRETATION = "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation"
ABSENT = "http://terminology.hl7.org/CodeSystem/data-absent-reason"
RANGE_TYPE = "http://terminology.hl7.org/CodeSystem/referencerange-meaning"
SITE = ZoneInfo("UTC")

AWAKE = "night-pain"
NUMB = "limb-sensation-loss"
TUMOR = "spinal-neoplasm"


# --- short ways to say what the rows need ---


def said(finding: str, value: Any = True, days_ago: int | None = 1, **elements: Any) -> dict[str, Any]:
    """An Observation of the finding in our own code."""
    return observation(finding, value, days_ago=days_ago, code=own(finding), **elements)


def awake(value: Any = True, days_ago: int | None = 1, **elements: Any) -> dict[str, Any]:
    return said(AWAKE, value, days_ago, **elements)


def numb(days_ago: int | None = None, **elements: Any) -> dict[str, Any]:
    """An active Condition: numbness of the limbs."""
    return condition(NUMB, days_ago, **elements)


def tumor(status: str | None = "active", **elements: Any) -> dict[str, Any]:
    return condition(TUMOR, 10, status=status, **elements)


def refuted(concept: str, days_ago: int | None = None, **elements: Any) -> dict[str, Any]:
    return condition(concept, days_ago, status=None, verification="refuted", **elements)


def without(element: str, whole: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in whole.items() if key != element}


def subject(**reference: Any) -> dict[str, Any]:
    """A positive answer about that subject."""
    return awake(subject=reference)


LOCAL = ("https://ehr.example.org/local", "L1")


def many(*codings: tuple[str, str]) -> dict[str, Any]:
    return {"coding": [{"system": system, "code": code} for system, code in codings]}


def at_time(time: str, finding: str = AWAKE, value: bool = True) -> dict[str, Any]:
    return said(finding, value, date=time)


def period(start: int | None, end: int | None) -> dict[str, str]:
    return {name: ago(days) for name, days in (("start", start), ("end", end)) if days is not None}


def part(concept: str, own_code: bool = True, **value: Any) -> dict[str, Any]:
    """An examination of some kind, with the finding as a component."""
    component = {"code": coded(concept, own(concept) if own_code else None), **value}
    return resource(
        "Observation", status="final", code={"text": "Examination"}, effectiveDateTime=ago(1), component=[component]
    )


def assertion(system: str, code: str, *finding: tuple[str, str]) -> dict[str, Any]:
    value = many(*(finding or [own(AWAKE)]))
    return observation(AWAKE, code=(system, code), valueCodeableConcept=value)


def answered(answer: dict[str, Any]) -> dict[str, Any]:
    """Our form with that answer to "pain at night"."""
    return {**form({}), "item": [{"linkId": AWAKE, "answer": [answer]}]}


def grouped(link: str, *items: dict[str, Any]) -> dict[str, Any]:
    return {"linkId": link, "item": list(items)}


def read_as(code: str) -> list[dict[str, Any]]:
    return [many((INTERPRETATION, code))]


def lab(concept: str, value: Any, unit: str | None, read: str | None = None, **elements: Any) -> dict[str, Any]:
    """A laboratory value; read: its interpretation."""
    return observation(concept, value, unit, interpretation=read_as(read) if read else None, **elements)


def normal_range(low: float | None = None, high: float | None = None, kind: str | None = None) -> list[dict[str, Any]]:
    limits = {name: {"value": value} for name, value in (("low", low), ("high", high)) if value is not None}
    return [{**limits, **({"type": many((RANGE_TYPE, kind))} if kind else {})}]


def walks(distance: float, unit: str | None = "m", **elements: Any) -> dict[str, Any]:
    return observation("walking-distance", distance, unit, **elements)


def hurts(score: float, unit: str | None = "{score}", days_ago: int = 1, **elements: Any) -> dict[str, Any]:
    return observation("pain-score", score, unit, days_ago=days_ago, **elements)


def warm(temperature: float, unit: str | None = "Cel", **elements: Any) -> dict[str, Any]:
    return observation("body-temperature", temperature, unit, **elements)


STENOSIS = condition("spinal-stenosis", 400)
SCIATICA = condition("sciatica-radiculopathy")
SPASM = condition("back-spasm")
IDENTIFIED = {
    "resourceType": "Patient",
    "id": PATIENT_ID,
    "birthDate": "1976-08-12",
    "identifier": [{"system": "https://ehr.example.org/mrn", "value": "4711"}],
}
NO_BLADDER_SIGNS = {"urinary-retention": False, "bladder-control-loss": False, "bowel-control-loss": False}
YES = [
    (YES_NO, "Y"),
    (LOINC, "LA33-6"),
    (LOINC, "LA9633-4"),
    *((SNOMED, code) for code in ("373066001", "52101004", "10828004", "410515003")),
]
NO = [
    (YES_NO, "N"),
    (LOINC, "LA32-8"),
    (LOINC, "LA9634-2"),
    *((SNOMED, code) for code in ("373067005", "2667000", "260385009", "410516002")),
]


# --- the tables: rule -> criterion -> situation ---

RULES = {
    "1 whose": {
        AWAKE: {
            "a reference relative to the server": row(MET, subject(reference="Patient/p1")),
            "a versioned reference": row(MET, subject(reference="Patient/p1/_history/2")),
            "absolute, on the request's server": row(MET, subject(reference="https://ehr.example.org/fhir/Patient/p1")),
            "absolute, versioned": row(MET, subject(reference="https://ehr.example.org/fhir/Patient/p1/_history/2")),
            "the same id on another server": row(
                UNKNOWN, subject(reference="https://other.example.org/fhir/Patient/p1")
            ),
            "another patient": row(UNKNOWN, subject(reference="Patient/p2")),
            "a urn:uuid that resolves to nobody": row(
                UNKNOWN, subject(reference="urn:uuid:0b0c0d0e-0000-4000-8000-000000000001")
            ),
            "no subject": row(MET, without("subject", awake())),
            "one of the patient's identifiers": row(
                MET,
                subject(identifier={"system": "https://ehr.example.org/mrn", "value": "4711"}),
                patient=IDENTIFIED,
            ),
            "somebody else's identifier": row(
                UNKNOWN,
                subject(identifier={"system": "https://ehr.example.org/mrn", "value": "4712"}),
                patient=IDENTIFIED,
            ),
            "the same number in another system": row(
                UNKNOWN,
                subject(identifier={"system": "https://other.example.org/mrn", "value": "4711"}),
                patient=IDENTIFIED,
            ),
            "another patient's denial does not count either": row(
                MET, awake(days_ago=5), awake(False, subject={"reference": "Patient/p2"})
            ),
            "another patient's form": row(UNKNOWN, form({AWAKE: True}, subject={"reference": "Patient/p2"})),
        },
        "cancer-history": {
            "another patient's diagnosis": row(
                NOT_MET, condition("malignancy-active", subject={"reference": "Patient/p2"})
            ),
        },
        "immunosuppression": {
            "another patient's medicine": row(
                NOT_MET, medicine("immunosuppressant", subject={"reference": "Patient/p2"})
            ),
        },
    },
    "2 left out": {
        AWAKE: {
            **{f"{status} Observation": row(MET, awake(status=status)) for status in ("final", "amended", "corrected")},
            "preliminary Observation": row(MET, awake(status="preliminary")),
            **{
                f"{status} Observation": row(UNKNOWN, awake(status=status))
                for status in ("registered", "cancelled", "entered-in-error", "unknown")
            },
            "a denial entered in error leaves the older yes": row(
                MET, awake(days_ago=5), awake(False, status="entered-in-error")
            ),
            **{f"{status} form": row(MET, form({AWAKE: True}, status=status)) for status in ("completed", "amended")},
            **{
                f"{status} form": row(UNKNOWN, form({AWAKE: True}, status=status))
                for status in ("in-progress", "entered-in-error", "stopped")
            },
            "dated exactly 24 hours ahead": row(MET, at_time("2026-11-21T12:00:00Z")),
            "dated a minute more than 24 hours ahead": row(UNKNOWN, at_time("2026-11-21T12:01:00Z")),
            "dated tomorrow, to the day": row(MET, at_time("2026-11-21")),
            "dated the day after tomorrow": row(UNKNOWN, at_time("2026-11-22")),
            "dated next month": row(UNKNOWN, at_time("2026-12")),
        },
        "cancer-history": {
            "Condition entered in error": row(NOT_MET, condition("malignancy-active", verification="entered-in-error")),
            "Condition that begins the day after tomorrow": row(
                NOT_MET, condition("malignancy-active", date="2026-11-22")
            ),
        },
        "immunosuppression": {
            **{
                f"MedicationRequest of intent {intent}": row(MET, {**medicine("immunosuppressant"), "intent": intent})
                for intent in ("original-order", "reflex-order", "filler-order", "instance-order")
            },
            **{
                f"MedicationRequest of intent {intent}": row(
                    NOT_MET, {**medicine("immunosuppressant"), "intent": intent}
                )
                for intent in ("proposal", "plan")
            },
            "MedicationRequest not to be given": row(NOT_MET, medicine("immunosuppressant", doNotPerform=True)),
            "MedicationRequest to be given": row(MET, medicine("immunosuppressant", doNotPerform=False)),
            **{
                f"{status} MedicationStatement": row(NOT_MET, statement("immunosuppressant", status=status))
                for status in ("not-taken", "intended", "unknown", "entered-in-error")
            },
            "active MedicationStatement": row(MET, statement("immunosuppressant")),
        },
        "persistent-after-compression-treatment": {
            "completed Procedure": row(MET, STENOSIS, procedure("spinal-surgery", 60)),
            **{
                f"{status} Procedure": row(UNKNOWN, STENOSIS, procedure("spinal-surgery", 60, status=status))
                for status in ("preparation", "not-done", "unknown", "entered-in-error")
            },
        },
    },
    "3 active": {
        TUMOR: {
            **{f"clinicalStatus {status}": row(MET, tumor(status)) for status in ("active", "recurrence", "relapse")},
            **{
                f"clinicalStatus {status}": row(NOT_MET, tumor(status))
                for status in ("inactive", "remission", "resolved")
            },
            "no clinicalStatus": row(MET, tumor(None)),
            "no clinicalStatus, abated": row(NOT_MET, tumor(None, abatementDateTime=ago(3))),
            "no clinicalStatus, abated at an age now past": row(
                NOT_MET, tumor(None, abatementAge={"value": 45, "code": "a"})
            ),
            "no clinicalStatus, abated over a period now past": row(NOT_MET, tumor(None, abatementPeriod=period(9, 3))),
            "no clinicalStatus, abatement expected": row(MET, tumor(None, abatementDateTime="2027-02-01")),
            "active wins over an abatement date": row(MET, tumor("active", abatementDateTime=ago(3))),
            **{
                f"verificationStatus {verification}": row(MET, tumor(verification=verification))
                for verification in ("confirmed", "provisional", "differential", "unconfirmed")
            },
            "no verificationStatus": row(MET, tumor(verification=None)),
            "refuted": row(NOT_MET, tumor(verification="refuted")),
        },
        AWAKE: {
            "refuted is a recorded no": row(NOT_MET, refuted(AWAKE, recordedDate=ago(3))),
            "refuted after the yes": row(NOT_MET, awake(days_ago=5), refuted(AWAKE, recordedDate=ago(3))),
            "refuted before the yes": row(MET, awake(days_ago=5), refuted(AWAKE, recordedDate=ago(10))),
            "refuted counts from recordedDate, not onset": row(
                NOT_MET, awake(days_ago=5), refuted(AWAKE, 10, recordedDate=ago(3))
            ),
            "refuted without recordedDate counts from onset": row(NOT_MET, awake(days_ago=5), refuted(AWAKE, 3)),
            "refuted, last day of the window": row(NOT_MET, refuted(AWAKE, recordedDate=ago(90))),
            "refuted, a day too old": row(UNKNOWN, refuted(AWAKE, recordedDate=ago(91))),
            "refuted, never dated": row(UNKNOWN, refuted(AWAKE)),
            "a resolved Condition says nothing of today": row(UNKNOWN, condition(AWAKE, status="resolved")),
        },
    },
    "4 start": {
        NUMB: {
            "onset decides, not when it was recorded": row(NOT_MET, numb(91, recordedDate=ago(5))),
            "onset period, started in the window": row(MET, numb(onsetPeriod=period(90, 5))),
            "onset period, started before it": row(NOT_MET, numb(onsetPeriod=period(91, 5))),
            "onset at this year's age": row(MET, numb(onsetAge={"value": 50, "code": "a"})),
            "onset at last year's age": row(NOT_MET, numb(onsetAge={"value": 49, "code": "a"})),
            "onset at an age, birth date unknown, recorded long ago": row(
                NOT_MET, numb(onsetAge={"value": 50, "code": "a"}, recordedDate=ago(91)), born=None
            ),
            "only recorded, on the last day of the window": row(MET, numb(recordedDate=ago(90))),
            "only recorded, a day too old": row(NOT_MET, numb(recordedDate=ago(91))),
            "onset in words, recorded long ago": row(NOT_MET, numb(onsetString="spring", recordedDate=ago(91))),
        },
        AWAKE: {
            "Observation with an instant": row(MET, awake(days_ago=None, effectiveInstant=f"{ago(90)}T08:00:00Z")),
            "Observation with an instant too old": row(
                UNKNOWN, awake(days_ago=None, effectiveInstant=f"{ago(91)}T08:00:00Z")
            ),
            "Observation only issued": row(MET, awake(days_ago=None, issued=f"{ago(90)}T08:00:00Z")),
            "Observation only issued, too long ago": row(UNKNOWN, awake(days_ago=None, issued=f"{ago(91)}T08:00:00Z")),
            "issued lately but made long ago": row(UNKNOWN, awake(days_ago=91, issued=f"{ago(1)}T08:00:00Z")),
            "the end of a period makes it the newest": row(
                MET, awake(days_ago=None, effectivePeriod=period(30, 3)), awake(False, days_ago=10)
            ),
            "a period that ended before the denial": row(
                NOT_MET, awake(days_ago=None, effectivePeriod=period(30, 20)), awake(False, days_ago=10)
            ),
            "form of the last day of the window": row(MET, form({AWAKE: True}, days_ago=90)),
            "form a day too old": row(UNKNOWN, form({AWAKE: True}, days_ago=91)),
        },
    },
    "5 partial dates": {
        NUMB: {
            "a month that reaches into the window": row(MET, numb(date="2026-08")),
            "a month before the window": row(NOT_MET, numb(date="2026-07")),
            "this year": row(MET, numb(date="2026")),
            "last year": row(NOT_MET, numb(date="2025")),
            "undated active Condition": row(MET, numb()),
            "undated positive Observation": row(MET, said(NUMB, days_ago=None)),
            "undated yes on our form": row(MET, without("authored", form({NUMB: True}))),
            "undated no on our form": row(UNKNOWN, without("authored", form({NUMB: False}))),
            "undated denial": row(UNKNOWN, said(NUMB, False, days_ago=None)),
            "undated denial against a dated yes": row(MET, said(NUMB, days_ago=80), said(NUMB, False, days_ago=None)),
        },
        AWAKE: {
            "Observation of a month that reaches into the window": row(MET, awake(date="2026-08")),
            "Observation of a month before it": row(UNKNOWN, awake(date="2026-07")),
        },
        "persistent-spasm": {
            "a month wholly longer ago": row(MET, condition("back-spasm", date="2026-09")),
            "a month that may or may not be long enough ago": row(UNKNOWN, condition("back-spasm", date="2026-10")),
            "a month not long enough ago at its earliest": row(NOT_MET, condition("back-spasm", date="2026-11")),
            "this year": row(UNKNOWN, condition("back-spasm", date="2026")),
            "last year": row(MET, condition("back-spasm", date="2025")),
            "at last year's age": row(MET, condition("back-spasm", None, onsetAge={"value": 49, "code": "a"})),
            "at this year's age": row(UNKNOWN, condition("back-spasm", None, onsetAge={"value": 50, "code": "a"})),
            "undated: how long is not known": row(UNKNOWN, condition("back-spasm", None)),
        },
        "balance-loss": {
            # At the evaluation instant it is already the 21st in Auckland; its sudden window begins on 22 October.
            "no zone: the site's day, too old": row(
                UNKNOWN, at_time("2026-10-21T23:30:00", "balance-loss"), zone="Pacific/Auckland"
            ),
            "no zone: the site's day, in the window": row(
                MET, at_time("2026-10-22T00:30:00", "balance-loss"), zone="Pacific/Auckland"
            ),
            "with a zone: the same clock time is the site's next day": row(
                MET, at_time("2026-10-21T23:30:00Z", "balance-loss"), zone="Pacific/Auckland"
            ),
            "no zone: within 24 hours ahead there": row(
                MET, at_time("2026-11-22T00:30:00", "balance-loss"), zone="Pacific/Auckland"
            ),
            "no zone: more than 24 hours ahead here": row(UNKNOWN, at_time("2026-11-22T00:30:00", "balance-loss")),
        },
    },
    "6 findings": {
        AWAKE: {
            "active Condition": row(MET, condition(AWAKE)),
            "yes, standard code": row(MET, observation(AWAKE, True)),
            "no, standard code": row(NOT_MET, observation(AWAKE, False)),
            "yes, our code": row(MET, awake()),
            "no, our code": row(NOT_MET, awake(False)),
            "our code beside a local one": row(MET, {**awake(), "code": many(LOCAL, own(AWAKE))}),
            "our code's letters in another system": row(UNKNOWN, observation(AWAKE, True, code=(LOCAL[0], AWAKE))),
            **{f"coded yes {code}": row(MET, awake((system, code))) for system, code in YES},
            **{f"coded no {code}": row(NOT_MET, awake((system, code))) for system, code in NO},
            "asked, not known": row(UNKNOWN, awake((NULL_FLAVOR, "ASKU"))),
            "not known leaves the older yes": row(MET, awake(days_ago=5), awake((NULL_FLAVOR, "UNK"))),
            "yes as free text": row(UNKNOWN, awake("yes")),
            "yes as the text of a concept": row(UNKNOWN, awake(None, valueCodeableConcept={"text": "Yes"})),
            "no value": row(MET, awake(None)),
            "no value and a reason for it": row(
                UNKNOWN,
                awake(None, dataAbsentReason=many((ABSENT, "asked-unknown"))),
            ),
            "no value, interpreted as positive": row(MET, awake(None, interpretation=read_as("POS"))),
            "no value, interpreted as negative": row(NOT_MET, awake(None, interpretation=read_as("NEG"))),
            "asserted as the value, LOINC 75325-1": row(MET, assertion(LOINC, "75325-1")),
            "asserted as the value, SNOMED 404684003": row(MET, assertion(SNOMED, "404684003")),
            "asserted as the value, ASSERTION": row(
                MET, assertion("http://terminology.hl7.org/CodeSystem/v3-ActCode", "ASSERTION")
            ),
            "asserted under a code beside a local one": row(
                MET, {**assertion(*LOCAL), "code": many(LOCAL, (LOINC, "75325-1"))}
            ),
            "the value of something that asserts nothing": row(UNKNOWN, assertion(*LOCAL)),
            "something else asserted": row(UNKNOWN, assertion(LOINC, "75325-1", own("gait-disturbance"))),
            "a component that says yes": row(MET, part(AWAKE, valueBoolean=True)),
            "a component that says no": row(NOT_MET, part(AWAKE, valueBoolean=False)),
            "a component, standard-coded": row(MET, part(AWAKE, own_code=False, valueCodeableConcept=many(YES[0]))),
            "a component without a value": row(UNKNOWN, part(AWAKE)),
            "form, yes": row(MET, form({AWAKE: True})),
            "form, no": row(NOT_MET, form({AWAKE: False})),
            "form, coded yes": row(MET, answered({"valueCoding": {"system": LOINC, "code": "LA33-6"}})),
            "form, coded no": row(NOT_MET, answered({"valueCoding": {"system": LOINC, "code": "LA32-8"}})),
            "form, asked but not known": row(
                UNKNOWN, answered({"valueCoding": {"system": NULL_FLAVOR, "code": "ASKU"}})
            ),
            "form, free text": row(UNKNOWN, answered({"valueString": "yes"})),
            "form, question left open": row(UNKNOWN, {**form({}), "item": [{"linkId": AWAKE}]}),
            "form, in a group of a group": row(
                MET, {**form({}), "item": [grouped("outer", grouped("inner", *form({AWAKE: True})["item"]))]}
            ),
            "form of a stated version": row(MET, {**form({AWAKE: True}), "questionnaire": f"{FORM}|1.0.0"}),
            "somebody else's form": row(
                UNKNOWN, {**form({AWAKE: True}), "questionnaire": "https://other.example.org/Questionnaire/red-flags"}
            ),
        },
        "severe-radicular-pain": {
            "a score as a component": row(MET, SCIATICA, part("pain-score", own_code=False, valueInteger=8)),
        },
        "neurogenic-claudication": {
            "walking distance": row(MET, STENOSIS, walks(150)),
            "the distance of a six-minute walk": row(
                UNKNOWN, STENOSIS, {**walks(150), "code": coded("walking-distance", None, (LOINC, "64098-7"))}
            ),
        },
        "cauda-equina": {
            "incontinence, kind not stated": row(MET, condition("bladder-control-loss", code=(ICD, "R32"))),
            "incontinence, also coded as stress": row(
                UNKNOWN, {**condition("bladder-control-loss"), "code": many((ICD, "R32"), (ICD, "N39.3"))}
            ),
            "incontinence, also coded as stress in SNOMED CT": row(
                UNKNOWN,
                {**condition("bladder-control-loss"), "code": many((SNOMED, "165232002"), (SNOMED, "60241006"))},
            ),
            "incontinence asserted, also coded as stress": row(
                UNKNOWN, assertion(LOINC, "75325-1", (ICD, "R32"), (ICD, "N39.3"))
            ),
            "retention, also coded as hesitancy, which excludes nothing": row(
                MET, {**condition("urinary-retention"), "code": many((SNOMED, "267064002"), (ICD, "R39.11"))}
            ),
        },
        "paralysis": {
            "paraplegia": row(MET, condition("paralysis", code=(ICD, "G82.2"))),
            "also coded one-sided, excluded by prefix": row(
                UNKNOWN, {**condition("paralysis"), "code": many((ICD, "G82.2"), (ICD, "G81.1"))}
            ),
        },
    },
    "7 which counts": {
        AWAKE: {
            "no answer removes a diagnosis": row(MET, condition(AWAKE, 60), form({AWAKE: False})),
            "no Observation removes a diagnosis": row(MET, condition(AWAKE, 60), awake(False)),
            "another Condition, refuted, does not remove it": row(
                MET, condition(AWAKE, 60), refuted(AWAKE, recordedDate=ago(1))
            ),
            "once resolved it no longer speaks against the answer": row(
                NOT_MET, condition(AWAKE, 60, status="resolved"), form({AWAKE: False})
            ),
            "newer no": row(NOT_MET, awake(days_ago=5), awake(False, days_ago=3)),
            "newer yes": row(MET, awake(False, days_ago=5), awake(days_ago=3)),
            "a later no on the same day": row(
                MET, at_time("2026-11-19T08:00:00Z"), at_time("2026-11-19T10:00:00Z", value=False)
            ),
            "a form's no after an Observation's yes": row(NOT_MET, awake(days_ago=5), form({AWAKE: False})),
            "a form's no on the day of an Observation's yes": row(
                MET, awake(days_ago=1), form({AWAKE: False}, days_ago=1)
            ),
            "refuted on the day of the yes": row(MET, awake(days_ago=3), refuted(AWAKE, recordedDate=ago(3))),
            "a later form replaces the answer of the same day": row(
                NOT_MET,
                form({AWAKE: True}, date="2026-11-19T08:00:00Z"),
                form({AWAKE: False}, date="2026-11-19T10:00:00Z"),
            ),
            "an earlier form of the same day does not": row(
                MET,
                form({AWAKE: True}, date="2026-11-19T10:00:00Z"),
                form({AWAKE: False}, date="2026-11-19T08:00:00Z"),
            ),
            "two forms of one day, which is later not said": row(
                MET, form({AWAKE: True}, date="2026-11-19"), form({AWAKE: False}, date="2026-11-19")
            ),
            "a later form that does not ask": row(
                MET,
                form({AWAKE: True}, date="2026-11-19T08:00:00Z"),
                form({"gait-disturbance": False}, date="2026-11-19T10:00:00Z"),
            ),
            "a later form that does not know": row(
                MET,
                form({AWAKE: True}, days_ago=2),
                answered({"valueCoding": {"system": NULL_FLAVOR, "code": "ASKU"}}),
            ),
        },
    },
    "8 windows": {
        AWAKE: {
            "yes on the last day of the window": row(MET, awake(days_ago=90)),
            "yes a day too old": row(UNKNOWN, awake(days_ago=91)),
            "no on the last day of the window": row(NOT_MET, awake(False, days_ago=90)),
            "no a day too old": row(UNKNOWN, awake(False, days_ago=91)),
            "a site's shorter window, its last day": row(MET, awake(days_ago=30), symptom_window_days=30),
            "a site's shorter window, a day too old": row(UNKNOWN, awake(days_ago=31), symptom_window_days=30),
            "an active Condition, whatever its start": row(MET, condition(AWAKE, 400)),
        },
        NUMB: {
            "Condition started on the last day of the window": row(MET, numb(90)),
            "Condition started before it: long-standing": row(NOT_MET, numb(91)),
            "one long-standing Condition and a new one": row(MET, numb(400), numb(5)),
            "standard-coded Observation by itself": row(MET, observation(NUMB, True)),
            "standard-coded Observation beside a Condition in the window": row(MET, numb(90), observation(NUMB, True)),
            "standard-coded Observation beside a long-standing Condition": row(
                NOT_MET, numb(91), observation(NUMB, True)
            ),
            "standard-coded Observation after a Condition long resolved": row(
                MET, condition(NUMB, 400, status="resolved"), observation(NUMB, True)
            ),
            "our Observation beside a long-standing Condition: new or worse": row(MET, numb(400), said(NUMB)),
            "our form beside a long-standing Condition: new or worse": row(MET, numb(400), form({NUMB: True})),
            "our code asserted beside a long-standing Condition": row(
                MET, numb(400), assertion(LOINC, "75325-1", own(NUMB))
            ),
            "our Observation too old beside a long-standing Condition": row(
                NOT_MET, numb(400), said(NUMB, days_ago=91)
            ),
            "our Observation of a period that reaches into the window": row(
                MET, said(NUMB, days_ago=None, effectivePeriod=period(100, 5))
            ),
            "our form says no beside a long-standing Condition": row(NOT_MET, numb(400), form({NUMB: False})),
            "Observation a day too old": row(UNKNOWN, said(NUMB, days_ago=91)),
            "a site's emergency window": row(NOT_MET, numb(31), emergency_window_days=30),
        },
        "balance-loss": {
            "sudden Condition on the last day": row(MET, condition("balance-loss", 30)),
            "sudden Condition a day too old: long-standing": row(NOT_MET, condition("balance-loss", 31)),
            "yes on the last day": row(MET, said("balance-loss", days_ago=30)),
            "yes a day too old": row(UNKNOWN, said("balance-loss", days_ago=31)),
        },
        "cancer-history": {"said ten years ago": row(MET, said("cancer-history", days_ago=3650))},
        "immunosuppression": {"said ten years ago": row(MET, said("immunosuppression", days_ago=3650))},
        "iv-drug-use": {
            "yes ten years ago": row(MET, said("iv-drug-use", days_ago=3650)),
            "no ten years ago": row(NOT_MET, said("iv-drug-use", False, days_ago=3650)),
        },
        "mechanical-instability": {
            "the pattern now, instability said ten years ago": row(
                MET,
                form({"pain-worse-with-activity": True, "pain-relieved-by-rest": True}),
                said("spinal-instability", days_ago=3650),
            ),
        },
    },
    "9 numbers": {
        "fever-or-infection": {
            "38.0 Cel": row(MET, warm(38.0)),
            "37.9 Cel": row(NOT_MET, warm(37.9)),
            "100.4 degrees Fahrenheit are 38.0": row(MET, warm(100.4, "[degF]")),
            "100.3 degrees Fahrenheit": row(NOT_MET, warm(100.3, "[degF]")),
            "no unit": row(UNKNOWN, warm(39.5, None)),
            "a unit of something else": row(UNKNOWN, warm(39.5, "kg")),
            "no unit: it may have been a fever, though another is normal": row(UNKNOWN, warm(39.5, None), warm(36.8)),
            "interpretation is not read outside the laboratory": row(NOT_MET, warm(37.5, interpretation=read_as("H"))),
            "below 38.0, by how much not said": row(NOT_MET, warm(38.0, comparator="<")),
            "above 37, by how much not said": row(UNKNOWN, warm(37.0, comparator=">")),
        },
        "unexplained-weight-loss": {
            "5 % lost, in pounds": row(
                MET, observation("body-weight", 200, "[lb_av]", 60), observation("body-weight", 190, "[lb_av]", 1)
            ),
            "4.5 % lost, in pounds": row(
                NOT_MET, observation("body-weight", 200, "[lb_av]", 60), observation("body-weight", 191, "[lb_av]", 1)
            ),
            "from kilograms to pounds, 7 % lost": row(
                MET, observation("body-weight", 100, "kg", 60), observation("body-weight", 205, "[lb_av]", 1)
            ),
            "from kilograms to pounds, 2 % lost": row(
                NOT_MET, observation("body-weight", 100, "kg", 60), observation("body-weight", 216, "[lb_av]", 1)
            ),
        },
        "neurogenic-claudication": {
            "656 feet are 199.9 m": row(MET, STENOSIS, walks(656, "[ft_i]")),
            "657 feet are 200.3 m": row(NOT_MET, STENOSIS, walks(657, "[ft_i]")),
            "218 yards are 199.3 m": row(MET, STENOSIS, walks(218, "[yd_i]")),
            "219 yards are 200.3 m": row(NOT_MET, STENOSIS, walks(219, "[yd_i]")),
            "no unit": row(UNKNOWN, STENOSIS, walks(150, None)),
            "our form's whole number is in meters": row(MET, STENOSIS, form({"walking-distance": 200})),
            "our form's decimal is in meters": row(NOT_MET, STENOSIS, form({"walking-distance": 200.5})),
            "less than 200 m": row(MET, STENOSIS, walks(200, comparator="<")),
            "200 m at most": row(MET, STENOSIS, walks(200, comparator="<=")),
            "less than 300 m may be either": row(UNKNOWN, STENOSIS, walks(300, comparator="<")),
            "more than 200 m": row(NOT_MET, STENOSIS, walks(200, comparator=">")),
            "200 m at least may be either": row(UNKNOWN, STENOSIS, walks(200, comparator=">=")),
        },
        "severe-radicular-pain": {
            "score 7 as an integer": row(MET, SCIATICA, without("valueQuantity", hurts(7, valueInteger=7))),
            **{f"score 7 in {unit!r}": row(MET, SCIATICA, hurts(7, unit)) for unit in (None, "1", "{score}", "{#}")},
            "score in millimeters": row(UNKNOWN, SCIATICA, hurts(70, "mm")),
            "score 7 in millimeters": row(UNKNOWN, SCIATICA, hurts(7, "mm")),
            "our form's score": row(MET, SCIATICA, form({"pain-score": 7})),
            "score 10, the worst there is": row(MET, SCIATICA, hurts(10)),
            "score 11 is none": row(UNKNOWN, SCIATICA, hurts(11)),
            "score 11 is none: the older decides": row(NOT_MET, SCIATICA, hurts(5, days_ago=3), hurts(11)),
            "score -1 is none": row(UNKNOWN, SCIATICA, hurts(-1)),
            "7 or more": row(MET, SCIATICA, hurts(7, comparator=">=")),
            "less than 7": row(NOT_MET, SCIATICA, hurts(7, comparator="<")),
            "interpreted as normal, which is for the laboratory": row(
                MET, SCIATICA, hurts(8, interpretation=read_as("N"))
            ),
        },
        "severe-motor-weakness": {
            "grade 0": row(MET, said("muscle-strength-grade", 0)),
            "grade 6 is none": row(UNKNOWN, said("muscle-strength-grade", 6)),
            "grade -1 is none": row(UNKNOWN, said("muscle-strength-grade", -1)),
        },
        "raised-inflammatory-markers": {
            "CRP 1.1 mg/dL is 11 mg/L": row(MET, lab("crp", 1.1, "mg/dL")),
            "CRP 0.9 mg/dL is 9 mg/L": row(NOT_MET, lab("crp", 0.9, "mg/dL")),
            "CRP 0.02 g/L is 20 mg/L": row(MET, lab("crp", 0.02, "g/L")),
            "WBC 12 in 10*9/L": row(MET, lab("wbc", 12, "10*9/L")),
            "WBC 12 in 10*3/uL": row(MET, lab("wbc", 12, "10*3/uL")),
            "WBC 10 in 10*3/uL": row(NOT_MET, lab("wbc", 10, "10*3/uL")),
            "CRP below 3 mg/L": row(NOT_MET, lab("crp", 3, "mg/L", comparator="<")),
            "CRP below 10 mg/L": row(NOT_MET, lab("crp", 10, "mg/L", comparator="<")),
            "CRP above 5 mg/L may be either": row(UNKNOWN, lab("crp", 5, "mg/L", comparator=">")),
            "CRP above 200 mg/L": row(MET, lab("crp", 200, "mg/L", comparator=">")),
            **{f"ESR 15 read as {read}": row(MET, lab("esr", 15, "mm/h", read)) for read in ("H", "HH", "HU", ">")},
            **{f"ESR 15 read as {read}, abnormal": row(MET, lab("esr", 15, "mm/h", read)) for read in ("A", "AA")},
            "CRP 5 read as A, abnormal": row(MET, lab("crp", 5, "mg/L", "A")),
            "WBC 9 read as A, which may be too few": row(NOT_MET, lab("wbc", 9, "10*9/L", "A")),
            "WBC 12 read as A: its value decides": row(MET, lab("wbc", 12, "10*9/L", "A")),
            "ESR 60 read as N, normal": row(NOT_MET, lab("esr", 60, "mm/h", "N")),
            "WBC 2 read as L, too few": row(NOT_MET, lab("wbc", 2, "10*9/L", "L")),
            "no value, read as H": row(MET, lab("crp", None, None, "H")),
            "ESR 35 within its own range": row(NOT_MET, lab("esr", 35, "mm/h", referenceRange=normal_range(0, 40))),
            "ESR 18 above its own range": row(MET, lab("esr", 18, "mm/h", referenceRange=normal_range(0, 15))),
            "ESR 18 above its own range of type normal": row(
                MET, lab("esr", 18, "mm/h", referenceRange=normal_range(0, 15, "normal"))
            ),
            "ESR 18 above a range of another type": row(
                NOT_MET, lab("esr", 18, "mm/h", referenceRange=normal_range(0, 15, "treatment"))
            ),
            "ESR 18 above its range, yet read as N": row(
                NOT_MET, lab("esr", 18, "mm/h", "N", referenceRange=normal_range(0, 15))
            ),
        },
        "low-potassium": {
            "3.4 mmol/L": row(MET, SPASM, lab("potassium", 3.4, "mmol/L")),
            "3.4 mEq/L": row(MET, SPASM, lab("potassium", 3.4, "mEq/L")),
            "3.6 mEq/L": row(NOT_MET, SPASM, lab("potassium", 3.6, "mEq/L")),
            "13.3 mg/dL are 3.4 mmol/L": row(MET, SPASM, lab("potassium", 13.3, "mg/dL")),
            "14.1 mg/dL are 3.6 mmol/L": row(NOT_MET, SPASM, lab("potassium", 14.1, "mg/dL")),
            "no unit": row(UNKNOWN, SPASM, lab("potassium", 3.1, None)),
            **{
                f"3.8 read as {read}": row(MET, SPASM, lab("potassium", 3.8, "mmol/L", read))
                for read in ("L", "LL", "LU", "<")
            },
            "3.3 read as N, normal": row(NOT_MET, SPASM, lab("potassium", 3.3, "mmol/L", "N")),
            "5.9 read as H, raised": row(NOT_MET, SPASM, lab("potassium", 5.9, "mmol/L", "H")),
            "3.8 read as A, which says not which way": row(NOT_MET, SPASM, lab("potassium", 3.8, "mmol/L", "A")),
            "3.6 below its own range": row(
                MET, SPASM, lab("potassium", 3.6, "mmol/L", referenceRange=normal_range(3.8, 5.2))
            ),
            "3.3 within its own range": row(
                NOT_MET, SPASM, lab("potassium", 3.3, "mmol/L", referenceRange=normal_range(3.2, 5.2))
            ),
        },
        "low-calcium": {
            "2.1 mmol/L are 8.4 mg/dL": row(MET, SPASM, lab("calcium-total", 2.1, "mmol/L")),
            "2.2 mmol/L are 8.8 mg/dL": row(NOT_MET, SPASM, lab("calcium-total", 2.2, "mmol/L")),
        },
    },
    "10 not available": {
        "cancer-history": {
            "nothing found, everything searched": row(NOT_MET),
            **{
                f"nothing found, {kind} missing": row(UNKNOWN, missing=(kind,))
                for kind in ("Condition", "Observation", "QuestionnaireResponse")
            },
            "nothing found, a search it does not need missing": row(
                NOT_MET, missing=("MedicationRequest", "Procedure")
            ),
            "found, another search missing": row(
                MET, condition("malignancy-active"), missing=("Observation", "QuestionnaireResponse")
            ),
        },
        "immunosuppression": {
            **{
                f"nothing found, {kind} missing": row(UNKNOWN, missing=(kind,))
                for kind in ("MedicationRequest", "MedicationStatement")
            },
            "found, a search missing": row(
                MET, medicine("immunosuppressant"), missing=("MedicationStatement", "Condition")
            ),
        },
        AWAKE: {
            **{
                f"denied, {kind} missing": row(UNKNOWN, awake(False), missing=(kind,))
                for kind in ("Condition", "QuestionnaireResponse")
            },
            "denied on the form, Observations missing": row(UNKNOWN, form({AWAKE: False}), missing=("Observation",)),
            "denied, medicines missing": row(
                NOT_MET, awake(False), missing=("MedicationRequest", "MedicationStatement")
            ),
            "said, Conditions missing": row(MET, awake(), missing=("Condition",)),
        },
        NUMB: {
            "long-standing, forms missing": row(UNKNOWN, numb(91), missing=("QuestionnaireResponse",)),
        },
        "isolated-spasm": {
            **{
                f"{kind} missing, so that absence is not known": row(UNKNOWN, *given, missing=(kind,))
                for kind, given in {
                    "Condition": [said("back-spasm")],
                    "Observation": [SPASM],
                    "QuestionnaireResponse": [SPASM],
                }.items()
            },
        },
    },
    "11 combining": {
        "cauda-equina": {
            "any of: one yes, the others not known": row(MET, form({"saddle-anesthesia": True})),
            "any of: one yes, the others no": row(MET, form({"saddle-anesthesia": True, **NO_BLADDER_SIGNS})),
            "any of: all no": row(NOT_MET, form({"saddle-anesthesia": False, **NO_BLADDER_SIGNS})),
            "any of: all no but one not known": row(UNKNOWN, form(NO_BLADDER_SIGNS)),
        },
        "mechanical-instability": {
            "all of: all yes": row(
                MET, form({"pain-worse-with-activity": True, "pain-relieved-by-rest": True, "spinal-instability": True})
            ),
            "all of: one no, the others not known": row(NOT_MET, form({"pain-relieved-by-rest": False})),
            "all of: one no, the others yes": row(
                NOT_MET,
                form({"pain-worse-with-activity": True, "pain-relieved-by-rest": False, "spinal-instability": True}),
            ),
            "all of: one not known, the others yes": row(
                UNKNOWN, form({"pain-worse-with-activity": True, "spinal-instability": True})
            ),
        },
        "isolated-spasm": {
            "none of: nothing else assessed": row(MET, SPASM),
            "none of: one is met": row(NOT_MET, SPASM, form({"saddle-anesthesia": True})),
            "none of: medicines missing do not block": row(
                MET, SPASM, missing=("MedicationRequest", "MedicationStatement")
            ),
        },
    },
    "12 absence": {
        **{
            criterion: {"nothing recorded, which says no": row(NOT_MET)}
            for criterion in (
                "spinal-neoplasm",
                "immunosuppression",
                "spinal-infection",
                "inflammatory-arthropathy",
                "fracture-risk",
            )
        },
        **{
            criterion: {"nothing recorded, which says nothing": row(UNKNOWN)}
            for criterion in (
                "progressive-neurological-deficit",
                "one-sided-deficit",
                "paralysis",
                "altered-consciousness",
                "balance-loss",
                "limb-sensation-loss",
                "iv-drug-use",
                "gait-disturbance",
                "night-pain",
                "raised-inflammatory-markers",
                "significant-radicular-pain",
            )
        },
        "cauda-equina": {
            "nothing recorded": row(UNKNOWN),
            "one long-standing, the others denied, the syndrome not coded": row(
                NOT_MET,
                condition("urinary-retention", 400),
                form({"saddle-anesthesia": False, "bladder-control-loss": False, "bowel-control-loss": False}),
            ),
            "one long-standing, the others not asked": row(UNKNOWN, condition("urinary-retention", 400)),
            "the syndrome long-standing, the four denied": row(
                NOT_MET,
                condition("cauda-equina-syndrome", 400),
                form({"saddle-anesthesia": False, **NO_BLADDER_SIGNS}),
            ),
        },
        "fever-or-infection": {
            "nothing recorded": row(UNKNOWN),
            "both denied, temperature not taken, no infection coded": row(
                NOT_MET, form({"fever": False, "infection-signs": False})
            ),
        },
        "nerve-root-damage": {
            "nothing recorded": row(UNKNOWN),
            "both denied, no grade, no foot drop coded": row(
                NOT_MET, form({"leg-weakness": False, "leg-sensory-change": False})
            ),
        },
    },
    "13 own finding settles": {
        "severe-motor-weakness": {
            "leg weakness denied, no grade": row(NOT_MET, form({"leg-weakness": False})),
            "leg weakness denied, yet grade 3": row(
                MET, form({"leg-weakness": False}), said("muscle-strength-grade", 3)
            ),
        },
        "progressive-neurological-deficit": {
            "denied, no grade": row(NOT_MET, form({"progressive-neurological-deficit": False})),
            "denied, one grade": row(
                NOT_MET, form({"progressive-neurological-deficit": False}), said("muscle-strength-grade", 4)
            ),
            "denied, yet the grades fall": row(
                MET,
                form({"progressive-neurological-deficit": False}),
                said("muscle-strength-grade", 5, days_ago=20),
                said("muscle-strength-grade", 4),
            ),
        },
        "unexplained-weight-loss": {
            "denied, weighed once": row(
                NOT_MET, form({"unexplained-weight-loss": False}), observation("body-weight", 70, "kg")
            ),
            "denied, yet the weights fall": row(
                MET,
                form({"unexplained-weight-loss": False}),
                observation("body-weight", 80, "kg", 60),
                observation("body-weight", 70, "kg"),
            ),
        },
        "progressive-scoliosis": {
            "denied, measured once": row(
                NOT_MET,
                condition("scoliosis", 2000),
                form({"scoliosis-progression": False}),
                observation("cobb-angle", 20, "deg"),
            ),
            "denied, yet the angle rose": row(
                MET,
                condition("scoliosis", 2000),
                form({"scoliosis-progression": False}),
                observation("cobb-angle", 20, "deg", 400),
                observation("cobb-angle", 26, "deg"),
            ),
        },
    },
}


@pytest.mark.parametrize(
    ("criterion", "example"),
    [param for rule, examples in RULES.items() for param in each(examples, f"rule {rule}, ")],
)
def test_rule(criterion, example):
    assert example.judged().status(criterion) == example.expected


# --- what the rules promise beside a status ---


def judged_bundle(*entries: dict[str, Any], hook: str = "patient-view") -> Evaluation:
    """A FHIR Bundle given to the command line."""
    source = json.dumps({"resourceType": "Bundle", "type": "collection", "entry": list(entries)}).encode()
    chart = read_chart(gather_bundle(source, hook, AT, SITE), AT, SITE, knowledge())
    return evaluate(chart, AT, SITE, Limits())


def judged_prefetch(conditions: bytes) -> Evaluation:
    """A call whose search for Conditions gave that."""
    gathered = Gathered(
        patient_id=PATIENT_ID,
        fhir_server="https://ehr.example.org/fhir",
        encounter_id="",
        patient=json.dumps(IDENTIFIED).encode(),
        bundles={"Condition": [conditions], "Observation": [], "QuestionnaireResponse": []},
        encounter=None,
        drafts=None,
        selections=None,
        missing=frozenset(),
    )
    return evaluate(read_chart(gathered, AT, SITE, knowledge()), AT, SITE, Limits())


HERE = "https://ehr.example.org/fhir/Patient/p1"
SELF = "urn:uuid:5b0c0d0e-0000-4000-8000-000000000001"
OUTCOME = {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "processing"}]}
VISIT = without("subject", encounter("back-pain", status="finished"))


@pytest.mark.parametrize("full_url", [HERE, SELF])
def test_subject_equal_to_the_full_url_of_the_patient_counts(full_url):
    patient = {"fullUrl": full_url, "resource": IDENTIFIED}
    assert judged_bundle(patient, {"resource": subject(reference=full_url)}).answers[AWAKE].status == MET


def test_subject_equal_to_another_full_url_does_not_count():
    patient = {"fullUrl": HERE, "resource": IDENTIFIED}
    other = {"fullUrl": SELF, "resource": {"resourceType": "Device", "id": "d1"}}
    assert judged_bundle(patient, other, {"resource": subject(reference=SELF)}).answers[AWAKE].status == UNKNOWN


def test_resources_of_others_are_counted():
    others = [subject(reference="Patient/p2"), form({AWAKE: True}, subject={"reference": "Patient/p2"})]
    assert judge(awake(), *others).evaluation.chart.foreign == 2


@pytest.mark.parametrize("deceased", [{"deceasedBoolean": True}, {"deceasedDateTime": "2026-10-01"}])
def test_a_deceased_patient_gets_no_cards(deceased):
    record = back_pain(), form({"saddle-anesthesia": True, AWAKE: True})
    assert judge(*record, patient={**IDENTIFIED, **deceased}).cards() == {}


def test_a_patient_said_to_be_alive_gets_cards():
    record = back_pain(), form({"saddle-anesthesia": True})
    assert "emergency" in judge(*record, patient={**IDENTIFIED, "deceasedBoolean": False}).cards()


@pytest.mark.parametrize("verification", ["provisional", "differential", "unconfirmed"])
def test_evidence_says_that_a_diagnosis_is_not_certain(verification):
    answer = judge(tumor(verification=verification)).answer(TUMOR)
    assert verification in f"{answer.reason} {answer.facts}".casefold()


def test_reason_says_that_the_start_was_not_recorded():
    assert "start not recorded" in judge(numb(recordedDate=ago(5))).answer(NUMB).reason


def test_reason_does_not_say_so_of_a_recorded_start():
    assert "start not recorded" not in judge(numb(5)).answer(NUMB).reason


def test_reason_says_long_standing():
    assert "long-standing" in judge(numb(91)).answer(NUMB).reason


def test_reason_says_that_a_unit_was_not_understood():
    assert "unit not understood" in judge(warm(39.5, None)).answer("fever-or-infection").reason


def test_reason_says_none_recorded():
    assert "none recorded" in judge().answer("cancer-history").reason.casefold()


@pytest.mark.parametrize(
    ("kind", "words"),
    [("Condition", "conditions not available"), ("Observation", "observations not available")],
)
def test_reason_says_what_was_not_available(kind, words):
    assert words in judge(missing=[kind]).answer("cancer-history").reason.casefold()


@pytest.mark.parametrize(
    ("searched", "status"),
    [
        pytest.param(bundle([]), NOT_MET, id="an empty Bundle is a search without result"),
        pytest.param(b"null", NOT_MET, id="null is a search without result"),
        pytest.param(json.dumps(OUTCOME).encode(), UNKNOWN, id="an OperationOutcome in its place is none"),
        pytest.param(bundle([{"resource": OUTCOME}]), UNKNOWN, id="an OperationOutcome as an entry is none"),
        pytest.param(
            bundle([{"resource": OUTCOME, "search": {"mode": "outcome"}}]), NOT_MET, id="a remark about the search"
        ),
        pytest.param(
            bundle([{"resource": OUTCOME, "search": {"mode": "match"}}]), UNKNOWN, id="an OperationOutcome as a match"
        ),
    ],
)
def test_what_a_search_gave(searched, status):
    assert judged_prefetch(searched).answers["spinal-neoplasm"].status == status


def test_a_bundle_is_a_complete_record():
    answers = judged_bundle({"resource": IDENTIFIED}).answers
    assert {answers[criterion].status for criterion in ("cancer-history", "immunosuppression", TUMOR)} == {NOT_MET}


def test_a_bundle_without_a_patient_is_refused():
    with pytest.raises(PatientMissing):
        judged_bundle({"resource": awake()})


def test_draft_orders_of_a_bundle_are_those_of_an_order_hook():
    record = [{"resource": IDENTIFIED}, {"resource": SPASM}, {"resource": draft("spinal-surgery")}]
    criterion = "surgery-for-isolated-spasm"
    assert judged_bundle(*record, hook="order-sign").answers[criterion].status == MET
    assert judged_bundle(*record[:2], hook="order-sign").answers[criterion].status == NOT_MET


@pytest.mark.parametrize("status", ["planned", "arrived", "triaged", "in-progress", "onleave"])
def test_single_open_encounter_of_a_bundle_is_the_contexts(status):
    visit = {**VISIT, "status": status}
    assert judged_bundle({"resource": IDENTIFIED}, {"resource": visit}).back_problem


@pytest.mark.parametrize(
    ("visits", "is_context"),
    [
        pytest.param([VISIT], False, id="finished, without a period"),
        pytest.param([{**VISIT, "period": period(1, -1)}], True, id="finished, yet its period holds the instant"),
        pytest.param([{**VISIT, "period": period(9, 2)}], False, id="finished, its period over"),
        pytest.param(
            [{**VISIT, "status": "in-progress"}, {**VISIT, "id": "e2", "status": "in-progress"}], False, id="two"
        ),
    ],
)
def test_which_encounter_of_a_bundle_is_the_contexts(visits, is_context):
    entries = [{"resource": visit} for visit in visits]
    assert bool(judged_bundle({"resource": IDENTIFIED}, *entries).back_problem) is is_context
