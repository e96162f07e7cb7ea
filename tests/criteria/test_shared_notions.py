"""Catalogue, section 7: radicular pain, neurological sign, conservative treatment and significant relief.

Each notion is shown on a criterion that is otherwise decided: `significant-radicular-pain` with a moderate score,
`neural-compression` with a herniation, `pain-over-4-weeks` with pain since 60 days.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cds.answers import MET, NOT_MET, UNKNOWN
from tests.criteria import Row, each, row
from tests.records import (
    ago,
    back_pain,
    coded,
    condition,
    form,
    medicine,
    observation,
    order,
    own,
    procedure,
    statement,
)

ICD, SNOMED, RXNORM = (
    "http://hl7.org/fhir/sid/icd-10-cm",
    "http://snomed.info/sct",
    "http://www.nlm.nih.gov/research/umls/rxnorm",
)


def said(finding: str, value: Any = True, days_ago: int | None = 1) -> dict[str, Any]:
    """An Observation of the finding in our own code."""
    return observation(finding, value, days_ago=days_ago, code=own(finding))


def hurts(score: float, days_ago: int = 1) -> dict[str, Any]:
    return observation("pain-score", score, "{score}", days_ago=days_ago)


def grade(value: int, days_ago: int = 1) -> dict[str, Any]:
    return said("muscle-strength-grade", value, days_ago)


def period(start: int, end: int | None = None) -> dict[str, str]:
    return {"start": ago(start), **({} if end is None else {"end": ago(end)})}


# --- radicular pain ---

SORE = hurts(5)

RADICULAR_PAIN = {
    "significant-radicular-pain": {
        "a score alone": row(UNKNOWN, SORE),
        "said": row(MET, SORE, said("radicular-pain")),
        "said a day too early": row(UNKNOWN, SORE, said("radicular-pain", days_ago=91)),
        "said, standard-coded": row(MET, SORE, observation("radicular-pain", True)),
        "denied": row(NOT_MET, SORE, form({"radicular-pain": False})),
        "diagnosed as such, long ago": row(MET, SORE, condition("radicular-pain", 400, code=(SNOMED, "11679003"))),
        "active radiculopathy, however old": row(
            MET, SORE, condition("sciatica-radiculopathy", 400, code=(SNOMED, "128196005"))
        ),
        "radiculopathy resolved": row(UNKNOWN, SORE, condition("sciatica-radiculopathy", status="resolved")),
        "radiculopathy, then denied": row(
            MET, SORE, condition("sciatica-radiculopathy", code=(SNOMED, "128196005")), form({"radicular-pain": False})
        ),
        "radiculopathy of the neck": row(UNKNOWN, SORE, condition("sciatica-radiculopathy", code=(ICD, "M54.12"))),
        "herniation with radiculopathy": row(
            MET, SORE, condition("disc-herniation-with-radiculopathy", code=(SNOMED, "202735001"))
        ),
        "herniation": row(UNKNOWN, SORE, condition("disc-herniation")),
        "said to get worse": row(MET, SORE, form({"radicular-pain-worsening": True})),
        "said to get worse, the pain itself denied": row(
            MET, SORE, form({"radicular-pain": False, "radicular-pain-worsening": True})
        ),
        "said not to get worse": row(UNKNOWN, SORE, form({"radicular-pain-worsening": False})),
    },
}


# --- neurological sign ---

HERNIATION = condition("disc-herniation", 400)
CANCER = condition("malignancy-history", 2000)
SIGNS = (
    "leg-weakness",
    "limb-sensation-loss",
    "leg-sensory-change",
    "saddle-anesthesia",
    "paralysis",
    "progressive-neurological-deficit",
)
OTHER_SIGNS = (
    "gait-disturbance",
    "balance-loss",
    "one-sided-weakness-or-numbness",
    "altered-consciousness",
)
DENIED = dict.fromkeys((*SIGNS, "radicular-pain", "radicular-pain-worsening"), False)
STRIDE = observation("walking-distance", 900, "m")

NEUROLOGICAL_SIGN = {
    "neural-compression": {
        "none assessed": row(UNKNOWN, HERNIATION),
        **{f"{sign} said": row(MET, HERNIATION, said(sign)) for sign in SIGNS},
        "said on the last day of the window": row(MET, HERNIATION, said("leg-sensory-change", days_ago=90)),
        "said a day too early": row(UNKNOWN, HERNIATION, said("leg-sensory-change", days_ago=91)),
        "diagnosed, however old": row(MET, HERNIATION, condition("leg-sensory-change", 400)),
        "grade 4": row(MET, HERNIATION, grade(4)),
        "grade 5": row(UNKNOWN, HERNIATION, grade(5)),
        "grade 4 a day too old": row(UNKNOWN, HERNIATION, grade(4, days_ago=91)),
        "grade 4, then 5": row(UNKNOWN, HERNIATION, grade(4, days_ago=20), grade(5)),
        "foot drop, however old": row(MET, HERNIATION, condition("foot-drop-leg-paresis", 400)),
        "foot drop resolved": row(UNKNOWN, HERNIATION, condition("foot-drop-leg-paresis", status="resolved")),
        **{f"{finding} is no such sign": row(UNKNOWN, HERNIATION, said(finding)) for finding in OTHER_SIGNS},
        "all denied, no grade and no foot drop coded": row(NOT_MET, HERNIATION, form(DENIED), STRIDE),
        "all denied, grade 5": row(NOT_MET, HERNIATION, form(DENIED), STRIDE, grade(5)),
        "all denied, yet grade 4": row(MET, HERNIATION, form(DENIED), STRIDE, grade(4)),
        "all denied but one": row(MET, HERNIATION, form({**DENIED, "paralysis": True}), STRIDE),
    },
    "possible-cord-compression": {
        "in an emergency row: started on the last day": row(MET, CANCER, condition("leg-weakness", 90)),
        "in an emergency row: long-standing": row(UNKNOWN, CANCER, condition("leg-weakness", 91)),
        "in an emergency row: said on the last day": row(MET, CANCER, said("saddle-anesthesia", days_ago=90)),
        "in an emergency row: said a day too early": row(UNKNOWN, CANCER, said("saddle-anesthesia", days_ago=91)),
        "in an emergency row: grade 4 on the last day": row(MET, CANCER, grade(4, days_ago=90)),
        "in an emergency row: grade 4 a day too old": row(UNKNOWN, CANCER, grade(4, days_ago=91)),
        "in an emergency row: new foot drop": row(MET, CANCER, condition("foot-drop-leg-paresis", 90)),
        "in an emergency row: old foot drop": row(UNKNOWN, CANCER, condition("foot-drop-leg-paresis", 91)),
        "in an emergency row: old weakness, new or worse by our form": row(
            MET, CANCER, condition("leg-weakness", 400), form({"leg-weakness": True})
        ),
    },
}


# --- conservative treatment: with pain since 60 days, begun at least 28 days ago or not ---

PAIN = back_pain(60)


def lasting(*treatments: dict[str, Any], **given: Any) -> Row:
    return row(MET, PAIN, *treatments, **given)


def uncounted(*treatments: dict[str, Any], **given: Any) -> Row:
    """Nothing that counts: whether anything was tried is not recorded."""
    return row(UNKNOWN, PAIN, *treatments, **given)


def shorter(*treatments: dict[str, Any], **given: Any) -> Row:
    return row(NOT_MET, PAIN, *treatments, **given)


def begun(days_ago: int) -> dict[str, dict[str, Any]]:
    """A treatment of each kind that began so many days ago."""
    start = ago(days_ago)
    return {
        "nsaid prescribed": medicine("nsaid", days_ago),
        "muscle relaxant prescribed": medicine("muscle-relaxant", days_ago),
        "analgesic prescribed": medicine("analgesic", days_ago),
        "nsaid taken": statement("nsaid", days_ago),
        "analgesic taken over a period": statement("analgesic", None, effectivePeriod=period(days_ago)),
        "muscle relaxant taken, date asserted": statement("muscle-relaxant", None, dateAsserted=start),
        "physical therapy": procedure("physical-therapy", days_ago),
        "traction": procedure("spinal-traction", days_ago),
        "epidural injection": procedure("epidural-injection", days_ago),
        "physical therapy in progress": procedure(
            "physical-therapy", None, status="in-progress", performedPeriod=period(days_ago)
        ),
        "physical therapy ordered, completed": order("physical-therapy", days_ago, status="completed"),
        "physical therapy ordered, its date past": order("physical-therapy", 50, occurrenceDateTime=start),
        "injection ordered, its period begun": order("epidural-injection", 50, occurrencePeriod=period(days_ago)),
        "traction ordered, completed on a date": order(
            "spinal-traction", 50, status="completed", occurrenceDateTime=start
        ),
    }


def by_reference(reference: str) -> dict[str, Any]:
    """A prescription that names its medicine by reference."""
    whole = {**medicine("nsaid"), "medicationReference": {"reference": reference}}
    return {key: value for key, value in whole.items() if key != "medicationCodeableConcept"}


def tried(days_ago: int = 0, weeks: float | None = None) -> dict[str, Any]:
    """Our form: conservative treatment tried, for so many weeks."""
    answers = {"conservative-treatment-tried": True, "conservative-treatment-weeks": weeks}
    return form({finding: value for finding, value in answers.items() if value is not None}, days_ago)


WITHIN_OCTOBER = datetime(2026, 10, 29, 12, tzinfo=UTC)
NOT_TRIED = form({"conservative-treatment-tried": False})

CONSERVATIVE_TREATMENT = {
    "pain-over-4-weeks": {
        "none recorded": uncounted(),
        **{f"{kind}, 28 days ago": lasting(given) for kind, given in begun(28).items()},
        **{f"{kind}, 27 days ago": shorter(given) for kind, given in begun(27).items()},
        "nsaid prescribed, never dated": uncounted(medicine("nsaid", None)),
        "physical therapy, never dated": uncounted(procedure("physical-therapy", None)),
        "nsaid prescribed by a contained Medication": lasting(
            {**by_reference("#m1"), "contained": [{"resourceType": "Medication", "id": "m1", "code": coded("nsaid")}]}
        ),
        "nsaid prescribed by a Medication of the record": lasting(
            by_reference("Medication/m1"), {"resourceType": "Medication", "id": "m1", "code": coded("nsaid")}
        ),
        "prescribed by a Medication that is not there": uncounted(by_reference("Medication/m1")),
        "aspirin": uncounted(medicine("nsaid", code=(RXNORM, "1191"))),
        "spinal surgery": uncounted(procedure("spinal-surgery", 45)),
        **{
            f"{status} prescription": lasting(medicine("nsaid", status=status))
            for status in ("active", "completed", "stopped", "on-hold")
        },
        **{
            f"{status} prescription": uncounted(medicine("nsaid", status=status))
            for status in ("draft", "cancelled", "entered-in-error", "unknown")
        },
        **{
            f"{status} statement": lasting(statement("nsaid", status=status))
            for status in ("active", "completed", "stopped", "on-hold")
        },
        **{
            f"{status} statement": uncounted(statement("nsaid", status=status))
            for status in ("not-taken", "intended", "unknown", "entered-in-error")
        },
        **{
            f"{status} therapy": uncounted(procedure("physical-therapy", 45, status=status))
            for status in ("preparation", "not-done", "on-hold", "stopped", "unknown", "entered-in-error")
        },
        "therapy ordered, not known to have taken place": uncounted(order("physical-therapy", 45)),
        "therapy ordered for next week": uncounted(order("physical-therapy", 45, occurrenceDateTime=ago(-7))),
        **{
            f"{status} order of therapy, its date past": uncounted(
                order("physical-therapy", 50, status=status, occurrenceDateTime=ago(45))
            )
            for status in ("draft", "on-hold", "revoked", "entered-in-error")
        },
        "therapy proposed, its date past": uncounted(
            order("physical-therapy", 50, intent="proposal", occurrenceDateTime=ago(45))
        ),
        "the earliest counts": lasting(medicine("nsaid", 10), procedure("physical-therapy", 40)),
        "of a month not long enough ago": shorter(
            procedure("physical-therapy", None, performedPeriod={"start": "2026-11"})
        ),
        "of a month that may be long enough ago": uncounted(
            procedure("physical-therapy", None, performedPeriod={"start": "2026-10"})
        ),
        "of a month that began 28 days ago": uncounted(
            procedure("physical-therapy", None, performedPeriod={"start": "2026-10"}), at=WITHIN_OCTOBER
        ),
        "of a month that began 27 days ago": shorter(
            procedure("physical-therapy", None, performedPeriod={"start": "2026-10"}),
            at=WITHIN_OCTOBER - timedelta(days=1),
        ),
        "tried for 4 weeks": lasting(tried(weeks=4)),
        "tried for 3 weeks": shorter(tried(weeks=3)),
        "tried for 3 weeks, said a week ago": lasting(tried(7, weeks=3)),
        "tried for 3 weeks, said 6 days ago": shorter(tried(6, weeks=3)),
        "tried, no weeks, said 28 days ago": lasting(tried(28)),
        "tried, no weeks, said 27 days ago": uncounted(tried(27)),
        "tried, by an Observation": lasting(said("conservative-treatment-tried", days_ago=28)),
        "tried, never dated": uncounted(said("conservative-treatment-tried", days_ago=None)),
        "tried, said twice by Observations: the earlier counts": lasting(
            said("conservative-treatment-tried", days_ago=28), said("conservative-treatment-tried")
        ),
        "tried, said twice on forms: the earlier counts": lasting(tried(28), tried(0)),
        "tried for 4 weeks, then again for 1": lasting(tried(0, weeks=1), tried(25, weeks=4)),
        "not tried": shorter(NOT_TRIED),
        "not tried, yet a medicine": lasting(NOT_TRIED, medicine("nsaid")),
        "not tried, only aspirin": shorter(NOT_TRIED, medicine("nsaid", code=(RXNORM, "1191"))),
        "pain of this year, sciatica since 40 days": row(
            MET, back_pain(date="2026"), condition("sciatica-radiculopathy", 40), medicine("nsaid", 35)
        ),
        "pain of this year, sciatica since 10 days": row(
            UNKNOWN, back_pain(date="2026"), condition("sciatica-radiculopathy", 10), medicine("nsaid", 35)
        ),
        "begun 30 days before the pain": lasting(medicine("nsaid", 90)),
        "begun 31 days before the pain": uncounted(medicine("nsaid", 91)),
        "begun for another pain, and again for this": shorter(medicine("nsaid", 400), medicine("nsaid", 20)),
        "tried for 12 weeks, 24 days before the pain": lasting(tried(weeks=12)),
        "tried for 13 weeks, 31 days before the pain": uncounted(tried(weeks=13)),
        "not tried, Observations not available": uncounted(NOT_TRIED, missing=("Observation",)),
        "not tried, medicines not available": uncounted(NOT_TRIED, missing=("MedicationRequest",)),
        "begun 20 days ago, Procedures not available": uncounted(medicine("nsaid", 20), missing=("Procedure",)),
        "begun 45 days ago, other treatments not available": lasting(
            medicine("nsaid"), missing=("Procedure", "ServiceRequest", "MedicationStatement")
        ),
    },
    "failed-conservative-treatment": {
        "tried, said long ago, which never expires": row(MET, back_pain(200), tried(100)),
        "weeks said long ago never expire": row(MET, back_pain(300), tried(200, weeks=10)),
    },
}


# --- significant relief: treated since 45 days, so that only relief is open ---

TREATED = medicine("nsaid", 45)
LONG = back_pain(200), medicine("nsaid", 150)


def unrelieved(*said_since: dict[str, Any], **given: Any) -> Row:
    return row(MET, PAIN, TREATED, *said_since, **given)


def relieved(*said_since: dict[str, Any], **given: Any) -> Row:
    return row(NOT_MET, PAIN, TREATED, *said_since, **given)


def relief(value: bool, days_ago: int = 1) -> dict[str, Any]:
    return said("significant-relief", value, days_ago)


RELIEF = {
    "pain-over-4-weeks": {
        "nothing said": unrelieved(),
        "said to be relieved": relieved(relief(True)),
        "said to be relieved, on our form": relieved(form({"significant-relief": True})),
        "said not to be relieved": unrelieved(relief(False)),
        "relieved, then no more": unrelieved(relief(True, 20), relief(False, 5)),
        "relieved on the last day of the window": row(NOT_MET, *LONG, relief(True, 90)),
        "relieved a day too early": row(MET, *LONG, relief(True, 91)),
        "relieved on the day it began": relieved(relief(True, 60)),
        "relieved the day before it began": unrelieved(relief(True, 61)),
        "scores fallen by 30 %": relieved(hurts(10, 40), hurts(7)),
        "scores fallen by 20 %": unrelieved(hurts(10, 40), hurts(8)),
        "scores fallen by 40 %, a site asks for 50": unrelieved(hurts(10, 40), hurts(6), relief_percent=50),
        "fallen from the highest, not the first": relieved(hurts(6, 50), hurts(10, 40), hurts(7)),
        "fallen and risen again": unrelieved(hurts(8, 40), hurts(3, 20), hurts(7)),
        "one score": unrelieved(hurts(2)),
        "the highest was before it began": unrelieved(hurts(10, 61), hurts(8, 40), hurts(6)),
        "the highest was on the day it began": relieved(hurts(10, 60), hurts(8, 40), hurts(6)),
        "scores have no window": row(NOT_MET, *LONG, hurts(8, 190), hurts(4, 150)),
        "a score that is none": unrelieved(hurts(11, 40), hurts(7)),
        "said to be relieved, scores not fallen since": unrelieved(relief(True, 20), hurts(8, 10), hurts(8, 5)),
        "said to be relieved after scores that had not fallen": relieved(hurts(8, 10), hurts(8, 5), relief(True)),
        "said again after the scores": relieved(relief(False, 30), hurts(8, 40), hurts(8, 25), relief(True, 20)),
        "scores fallen, then said not to be relieved": unrelieved(hurts(8, 40), hurts(4, 20), relief(False, 5)),
        "said not to be relieved, scores fallen since": relieved(relief(False, 30), hurts(8, 40), hurts(4, 20)),
        **{
            f"nothing said, {kind} not available": row(UNKNOWN, PAIN, TREATED, missing=(kind,))
            for kind in ("Observation", "QuestionnaireResponse")
        },
        "said on our form to be relieved, newer Observations not available": row(
            UNKNOWN, PAIN, TREATED, form({"significant-relief": True}), missing=("Observation",)
        ),
        "said to be relieved, newer forms not available": row(
            UNKNOWN, PAIN, TREATED, relief(True), missing=("QuestionnaireResponse",)
        ),
        "scores fallen, newer forms not available": row(
            UNKNOWN, PAIN, TREATED, hurts(10, 40), hurts(5), missing=("QuestionnaireResponse",)
        ),
        "nothing said, Procedures not available": unrelieved(missing=("Procedure",)),
    },
}


@pytest.mark.parametrize(
    ("criterion", "example"),
    [
        *each(RADICULAR_PAIN, "radicular pain, "),
        *each(NEUROLOGICAL_SIGN, "neurological sign, "),
        *each(CONSERVATIVE_TREATMENT, "conservative treatment, "),
        *each(RELIEF, "relief, "),
    ],
)
def test_notion(criterion, example):
    assert example.judged().status(criterion) == example.expected


def test_reason_names_the_treatment_that_was_counted():
    old = {**medicine("nsaid", 400), "medicationCodeableConcept": coded("nsaid") | {"text": "Naproxen, last year"}}
    new = {**medicine("nsaid", 45), "medicationCodeableConcept": coded("nsaid") | {"text": "Ibuprofen"}}
    reason = row(MET, PAIN, old, new).judged().answer("pain-over-4-weeks").reason
    assert "Ibuprofen" in reason
    assert "Naproxen" not in reason


def test_reason_says_that_relief_is_not_known():
    answer = row(UNKNOWN, PAIN, TREATED, missing=("Observation",)).judged().answer("pain-over-4-weeks")
    assert "observations not available" in answer.reason.casefold()
