"""Worked examples of prompt review, contributing causes and conservative care (catalogue, section 6)."""

import pytest

from cds.answers import MET, NOT_MET, UNKNOWN
from tests.criteria import each, row
from tests.criteria.test_surgical_referral import cobb, grade, herniation, score
from tests.records import back_pain, condition, form, judge, medicine, observation, order, procedure


def spasm(days_ago=5, **elements):
    return condition("back-spasm", days_ago, **elements)


def potassium(value, days_ago=3, unit="mmol/L", **elements):
    return observation("potassium", value, unit, days_ago=days_ago, **elements)


def calcium(value, days_ago=3, unit="mg/dL"):
    return observation("calcium-total", value, unit, days_ago=days_ago)


def flagged(code):
    return [{"coding": [{"code": code}]}]


EXAMPLES = {
    "persistent-after-compression-treatment": {
        "six weeks after the first treatment": row(MET, herniation(100), procedure("physical-therapy", 42)),
        "a day less": row(NOT_MET, herniation(100), procedure("physical-therapy", 41)),
        "recurred, treated yesterday": row(
            MET, herniation(100, status="recurrence"), procedure("epidural-injection", 1)
        ),
        "relapse": row(MET, herniation(100, status="relapse"), procedure("spinal-surgery", 10)),
        "treated before the diagnosis": row(UNKNOWN, herniation(30), procedure("physical-therapy", 60)),
        "diagnosis undated, any treatment counts": row(
            MET, condition("spinal-stenosis", None), procedure("spinal-traction", 60)
        ),
        "by an order that was carried out": row(
            MET, herniation(100), order("physical-therapy", 60, status="completed")
        ),
        "by an order not yet carried out": row(UNKNOWN, herniation(100), order("physical-therapy", 60)),
        "no treatment recorded": row(UNKNOWN, herniation(100)),
        "no such diagnosis": row(NOT_MET, back_pain(100), procedure("physical-therapy", 60)),
        "procedures not available": row(UNKNOWN, herniation(100), missing=["Procedure"]),
        "conditions not available": row(UNKNOWN, procedure("physical-therapy", 60), missing=["Condition"]),
    },
    "persistent-spasm": {
        "twenty-nine days": row(MET, spasm(29)),
        "twenty-eight days": row(NOT_MET, spasm(28)),
        "start within a month that may be either": row(UNKNOWN, spasm(None, date="2026-10")),
        "undated": row(UNKNOWN, spasm(None)),
        "known only from the form": row(UNKNOWN, form({"back-spasm": True})),
        "denied on the form": row(NOT_MET, back_pain(), form({"back-spasm": False})),
        "no spasm": row(NOT_MET, back_pain(100)),
        "resolved": row(NOT_MET, back_pain(), spasm(100, status="resolved")),
    },
    "low-potassium": {
        "below the limit": row(MET, spasm(), potassium(3.4)),
        "at the limit": row(NOT_MET, spasm(), potassium(3.5)),
        "below, but within the laboratory's own range": row(
            NOT_MET, spasm(), potassium(3.4, referenceRange=[{"low": {"value": 3.3}, "high": {"value": 5.1}}])
        ),
        "above, but the laboratory says low": row(MET, spasm(), potassium(3.6, interpretation=flagged("L"))),
        "below, but the laboratory says normal": row(NOT_MET, spasm(), potassium(3.4, interpretation=flagged("N"))),
        "newest counts": row(NOT_MET, spasm(), potassium(3.0, 10), potassium(4.0, 2)),
        "on the last day of the window": row(MET, spasm(), potassium(3.0, 30)),
        "a day too old": row(UNKNOWN, spasm(), potassium(3.0, 31)),
        "in mEq/L": row(MET, spasm(), potassium(3.4, unit="meq/L")),
        "in an unknown unit": row(UNKNOWN, spasm(), potassium(3.4, unit="furlong")),
        "without a unit": row(UNKNOWN, spasm(), potassium(3.4, unit=None)),
        "diagnosed lately": row(MET, spasm(), condition("hypokalemia", 30)),
        "diagnosed long ago": row(UNKNOWN, spasm(), condition("hypokalemia", 31)),
        "less than 3.4": row(MET, spasm(), potassium(3.4, comparator="<")),
        "more than 3.4": row(UNKNOWN, spasm(), potassium(3.4, comparator=">")),
        "no spasm": row(NOT_MET, back_pain(), potassium(3.0)),
        "not measured": row(UNKNOWN, spasm()),
        "preliminary counts": row(MET, spasm(), potassium(3.0, status="preliminary")),
        "cancelled does not": row(UNKNOWN, spasm(), potassium(3.0, status="cancelled")),
    },
    "low-calcium": {
        "below the limit": row(MET, spasm(), calcium(8.4)),
        "at the limit": row(NOT_MET, spasm(), calcium(8.5)),
        "in mmol/L, below": row(MET, spasm(), calcium(2.12, unit="mmol/L")),
        "in mmol/L, above": row(NOT_MET, spasm(), calcium(2.13, unit="mmol/L")),
        "diagnosed lately": row(MET, spasm(), condition("hypocalcemia", 3)),
        "not measured": row(UNKNOWN, spasm()),
        "no spasm": row(NOT_MET, back_pain(), calcium(8)),
        "observations not available": row(UNKNOWN, spasm(), missing=["Observation"]),
    },
    "dehydration": {
        "diagnosed in the window": row(MET, spasm(), condition("dehydration", 30)),
        "diagnosed before it": row(NOT_MET, spasm(), condition("dehydration", 31)),
        "resolved": row(NOT_MET, spasm(), condition("dehydration", 3, status="resolved")),
        "none recorded": row(NOT_MET, spasm()),
        "no spasm": row(NOT_MET, back_pain(), condition("dehydration", 3)),
        "conditions not available": row(UNKNOWN, form({"back-spasm": True}), missing=["Condition"]),
    },
    "isolated-spasm": {
        "spasm and nothing else": row(MET, spasm()),
        "by the form": row(MET, form({"back-spasm": True})),
        "with plain back pain": row(MET, spasm(), back_pain()),
        "with a weak flag": row(MET, spasm(), condition("inflammatory-arthropathy", 900)),
        "with a strong flag": row(NOT_MET, spasm(), form({"night-pain": True})),
        "with an emergency": row(NOT_MET, spasm(), form({"saddle-anesthesia": True})),
        "with failed treatment only": row(MET, spasm(120), medicine("nsaid", 100), score(5)),
        "with nerve root damage": row(NOT_MET, spasm(), grade(4)),
        "with a structural cause": row(NOT_MET, spasm(), condition("degenerative-spine", 900)),
        "with a structural cause that is history": row(
            MET, spasm(), condition("spinal-stenosis", 900, status="resolved")
        ),
        "with radicular pain": row(NOT_MET, spasm(), form({"radicular-pain": True})),
        "with progressive scoliosis": row(NOT_MET, spasm(), condition("scoliosis", 900), cobb(20, 400), cobb(30, 5)),
        "no spasm": row(NOT_MET, back_pain()),
        "responses not available": row(UNKNOWN, spasm(), missing=["QuestionnaireResponse"]),
        "medicines not available do not block": row(MET, spasm(), missing=["MedicationRequest"]),
        "conditions not available, but an emergency is met": row(
            NOT_MET,
            form({"back-spasm": True, "saddle-anesthesia": True}),
            missing=["Condition"],
        ),
    },
}


@pytest.mark.parametrize(("criterion", "example"), each(EXAMPLES))
def test_example(criterion, example):
    answer = example.judged().answer(criterion)
    assert answer.status == example.expected, answer.reason


def test_one_information_card_holds_them_all():
    judged = judge(spasm(40), potassium(3.0), condition("dehydration", 3))
    assert judged.cards()["information"] == "info"
    assert judged.on_card("information") == (
        "persistent-spasm",
        "low-potassium",
        "dehydration",
        "isolated-spasm",
    )
