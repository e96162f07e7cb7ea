"""Catalogue, section 3: what makes the service speak, since when, and whether the back problem is current."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import pytest

from tests.criteria import Row, row
from tests.records import (
    ago,
    back_pain,
    coded,
    condition,
    encounter,
    form,
    judge,
    medicine,
    observation,
    order,
    own,
    procedure,
    resource,
    statement,
)

ICD, SNOMED = "http://hl7.org/fhir/sid/icd-10-cm", "http://snomed.info/sct"
SETS = (
    "back-pain",
    "back-spasm",
    "sciatica-radiculopathy",
    "disc-herniation",
    "spinal-stenosis",
    "spondylolysis-spondylolisthesis",
    "spinal-instability",
    "cauda-equina-syndrome",
    "spinal-neoplasm",
    "metastasis-bone",
    "infection-spinal",
    "vertebral-fracture",
    "cord-compression-myelopathy",
)
GENERAL = (
    "cancer-history",
    "unexplained-weight-loss",
    "intentional-weight-loss",
    "fever",
    "infection-signs",
    "immunosuppression",
    "iv-drug-use",
    "recent-trauma",
)
TODAY_3, TODAY_4 = "2022-11-21", "2022-11-20"  # births of a child of 3 and of one who turns 4 today
OLD = back_pain(400)


def said(finding: str, value: Any = True, days_ago: int | None = 1, **elements: Any) -> dict[str, Any]:
    """An Observation of the finding in our own code."""
    return observation(finding, value, days_ago=days_ago, code=own(finding), **elements)


def period(start: int, end: int | None = None) -> dict[str, str]:
    return {"start": ago(start), **({} if end is None else {"end": ago(end)})}


def report(concept: str, days_ago: int, **elements: Any) -> dict[str, Any]:
    return resource(
        "DiagnosticReport", status="final", code=coded(concept), effectiveDateTime=ago(days_ago), **elements
    )


def visit(reason: dict[str, Any]) -> dict[str, Any]:
    """The context's Encounter, for the reason that this resource states."""
    reference = {"reference": f"{reason['resourceType']}/{reason['id']}"}
    return {**encounter("back-pain", reasonReference=[reference]), "reasonCode": []}


def each(examples: Mapping[str, Row]) -> list[Any]:
    return [pytest.param(example, id=situation) for situation, example in examples.items()]


# --- is there one? ---

PRESENT = {
    **{f"active {concept}, however old": row(True, condition(concept, 2000)) for concept in SETS},
    "nothing recorded": row(False),
    "neck pain": row(False, condition("back-pain", code=(ICD, "M54.2"))),
    "radiculopathy of the neck": row(False, condition("sciatica-radiculopathy", code=(ICD, "M54.12"))),
    "stenosis of the neck": row(False, condition("spinal-stenosis", code=(ICD, "M48.02"))),
    "thoracic pain": row(True, condition("back-pain", code=(ICD, "M54.6"))),
    "scoliosis alone": row(False, condition("scoliosis")),
    "degenerative spine alone": row(False, condition("degenerative-spine")),
    "back pain resolved": row(False, back_pain(status="resolved")),
    "back pain refuted": row(False, back_pain(status=None, verification="refuted")),
    "back pain suspected": row(True, back_pain(verification="provisional")),
    "back pain in relapse": row(True, back_pain(status="relapse")),
    "back pain as an encounter diagnosis without any status or date": row(
        True,
        condition(
            "back-pain",
            None,
            status=None,
            verification=None,
            category=[{"coding": [{"code": "encounter-diagnosis"}]}],
        ),
    ),
    **{
        f"{finding} said on the last day of the window": row(True, said(finding, days_ago=90))
        for finding in ("back-pain", "back-spasm", "radicular-pain")
    },
    "back pain said a day too early": row(False, said("back-pain", days_ago=91)),
    "back pain said, in a site's shorter window": row(False, said("back-pain", days_ago=31), symptom_window_days=30),
    "back pain, standard-coded Observation": row(True, observation("back-pain", True)),
    "back pain on our form": row(True, form({"back-pain": True})),
    "back pain denied": row(False, form({"back-pain": False})),
    "back pain said, then denied": row(False, said("back-pain", days_ago=20), form({"back-pain": False})),
    "back pain diagnosed, then denied": row(True, back_pain(), form({"back-pain": False})),
    "pain into the leg, diagnosed": row(True, condition("radicular-pain", code=(SNOMED, "11679003"))),
    "any other finding": row(False, form({"night-pain": True, "cancer-history": True, "leg-weakness": True})),
    "the visit's coded reason": row(True, encounter=encounter("back-pain")),
    "the visit's coded reason, structural": row(True, encounter=encounter("spinal-stenosis")),
    "the visit's coded reason, pain into the leg": row(
        True, encounter={**encounter("radicular-pain"), "reasonCode": [coded("radicular-pain", (SNOMED, "11679003"))]}
    ),
    "the visit's reason is another": row(False, encounter=encounter("scoliosis")),
    "the visit was cancelled": row(False, encounter=encounter("back-pain", status="cancelled")),
    "the visit was entered in error": row(False, encounter=encounter("back-pain", status="entered-in-error")),
    "another patient's visit": row(False, encounter=encounter("back-pain", subject={"reference": "Patient/p2"})),
    # Within the emergency window some findings are enough by themselves.
    "saddle anesthesia said on the last day": row(True, said("saddle-anesthesia", days_ago=90)),
    "saddle anesthesia said a day too early": row(False, said("saddle-anesthesia", days_ago=91)),
    "saddle anesthesia diagnosed on the last day": row(True, condition("saddle-anesthesia", 90)),
    "saddle anesthesia diagnosed a day too early": row(False, condition("saddle-anesthesia", 91)),
    "saddle anesthesia denied": row(False, form({"saddle-anesthesia": False})),
    **{
        f"{bladder} with {leg}": row(True, form({bladder: True, leg: True}))
        for bladder in ("urinary-retention", "bladder-control-loss", "bowel-control-loss")
        for leg in ("leg-weakness", "limb-sensation-loss")
    },
    "retention alone": row(False, form({"urinary-retention": True})),
    "loss of bladder and bowel control alone": row(
        False, form({"bladder-control-loss": True, "bowel-control-loss": True})
    ),
    "numb limbs alone": row(False, form({"limb-sensation-loss": True})),
    "retention with a tingling leg": row(False, form({"urinary-retention": True, "leg-sensory-change": True})),
    "retention with weakness denied": row(False, form({"urinary-retention": True, "leg-weakness": False})),
    "retention with weakness, both on the last day": row(
        True, said("urinary-retention", days_ago=90), said("leg-weakness", days_ago=90)
    ),
    "retention with weakness, the weakness a day too old": row(
        False, said("urinary-retention", days_ago=90), said("leg-weakness", days_ago=91)
    ),
    "long-standing retention with a new weakness": row(
        False, condition("urinary-retention", 400), said("leg-weakness")
    ),
    "new retention with a long-standing weakness": row(
        False, said("urinary-retention"), condition("leg-weakness", 400)
    ),
    "a child of 3 that is not dry, with weak legs": row(
        False, form({"bladder-control-loss": True, "bowel-control-loss": True, "leg-weakness": True}), born=TODAY_3
    ),
    "a child of 3 with retention and weak legs": row(
        True, form({"urinary-retention": True, "leg-weakness": True}), born=TODAY_3
    ),
    "a child of 3 with saddle anesthesia": row(True, form({"saddle-anesthesia": True}), born=TODAY_3),
    **{
        f"{finding} with weak legs, on the fourth birthday": row(
            True, form({finding: True, "leg-weakness": True}), born=TODAY_4
        )
        for finding in ("bladder-control-loss", "bowel-control-loss")
    },
    "not dry, with weak legs, birth date unknown": row(
        True, form({"bladder-control-loss": True, "leg-weakness": True}), born=None
    ),
}


@pytest.mark.parametrize("example", each(PRESENT))
def test_there_is_a_back_problem(example):
    problem = example.judged().evaluation.back_problem
    assert (problem is not None) is example.expected
    assert problem is None or problem.evidence


@pytest.mark.parametrize("hook", ["patient-view", "encounter-start"])
def test_without_a_back_problem_there_are_no_cards(hook):
    record = form({"night-pain": True, "altered-consciousness": True}), condition("malignancy-active")
    assert judge(*record, hook=hook).cards() == {}
    assert judge(*record, back_pain(), hook=hook).cards()


def test_without_a_back_problem_only_progressive_scoliosis_opens_a_card():
    found = judge(condition("scoliosis", 900), form({"scoliosis-progression": True, "night-pain": True}))
    assert found.evaluation.back_problem is None
    assert list(found.cards()) == ["surgical-referral"]


# --- since when? ---


class Since(NamedTuple):
    text: str
    stated: bool = True  # by an onset[x], not a recordedDate


ONSET = {
    "one Condition": row(Since(ago(10)), back_pain(10)),
    "the earliest of the symptoms": row(
        Since(ago(50)), back_pain(10), condition("sciatica-radiculopathy", 50), condition("back-spasm", 30)
    ),
    "a symptom before an older structure": row(Since(ago(10)), back_pain(10), condition("disc-herniation", 400)),
    "a structure alone": row(Since(ago(400)), condition("disc-herniation", 400)),
    "the earliest of the structures": row(
        Since(ago(700)), condition("disc-herniation", 400), condition("vertebral-fracture", 700)
    ),
    "a symptom resolved": row(Since(ago(10)), back_pain(10), back_pain(400, status="resolved")),
    "scoliosis and wear are not in the sets": row(
        Since(ago(400)),
        condition("spinal-stenosis", 400),
        condition("scoliosis", 900),
        condition("degenerative-spine", 900),
    ),
    "a month": row(Since("2026-03"), back_pain(date="2026-03")),
    "only recorded": row(Since(ago(10), stated=False), back_pain(None, recordedDate=ago(10))),
    "recorded after it began": row(Since(ago(60)), back_pain(60, recordedDate=ago(10))),
    "of a Condition never dated": row(None, back_pain(None)),
    "from a finding": row(None, form({"back-pain": True})),
    "from the visit": row(None, encounter=encounter("back-pain")),
    "from a finding and a structure": row(
        Since(ago(400)), form({"back-pain": True}), condition("spinal-stenosis", 400)
    ),
}


@pytest.mark.parametrize("example", each(ONSET))
def test_onset(example):
    onset = example.judged().evaluation.back_problem.onset
    assert onset == example.expected or Since(onset.when.text, onset.stated) == example.expected


# --- is it current? The back pain of OLD began 400 days ago and nobody closed it. ---

CT, XRAY = "ct-lumbar", "xray-lumbar"

CURRENT = {
    "an old problem, nothing since": row(False, OLD),
    "it started on the last day of the window": row(True, back_pain(90)),
    "it started a day too early": row(False, back_pain(91)),
    "a site's shorter window": row(False, back_pain(31), symptom_window_days=30),
    "recorded on the last day of the window": row(True, back_pain(400, recordedDate=ago(90))),
    "recorded a day too early": row(False, back_pain(400, recordedDate=ago(91))),
    "never dated": row(True, back_pain(None)),
    "in a month that reaches into the window": row(True, back_pain(date="2026-08")),
    "in a month before it": row(False, back_pain(date="2026-07")),
    "a new diagnosis of the sets": row(True, OLD, condition("disc-herniation", 10)),
    "a new diagnosis of the sets, resolved since": row(False, OLD, condition("disc-herniation", 10, status="resolved")),
    **{f"new {concept}": row(False, OLD, condition(concept, 10)) for concept in ("scoliosis", "degenerative-spine")},
    "the visit's reason": row(True, OLD, encounter=encounter("back-pain")),
    "the visit's referenced reason": row(True, OLD, encounter=visit(OLD)),
    "a visit for something else": row(False, OLD, encounter=encounter("dehydration")),
    "our form on the last day": row(True, OLD, form({"night-pain": False}, days_ago=90)),
    "our form a day too early": row(False, OLD, form({"night-pain": False}, days_ago=91)),
    "our form, about fever only": row(True, OLD, form({"fever": False})),
    "our form, nothing answered": row(False, OLD, {**form({}), "item": [{"linkId": "night-pain"}]}),
    "our form, not finished": row(False, OLD, form({"night-pain": False}, status="in-progress")),
    "a form of somebody else": row(
        False, OLD, {**form({"night-pain": False}), "questionnaire": "https://other.example.org/Questionnaire/q"}
    ),
    "a finding said": row(True, OLD, said("gait-disturbance")),
    "a finding denied on the last day": row(True, OLD, said("leg-weakness", False, days_ago=90)),
    "a finding denied a day too early": row(False, OLD, said("leg-weakness", False, days_ago=91)),
    "a finding measured": row(True, OLD, observation("walking-distance", 900, "m")),
    "a muscle grade": row(True, OLD, said("muscle-strength-grade", 5)),
    "a finding asked, not known": row(False, OLD, said("leg-weakness", "unsure")),
    "a finding said, never dated": row(True, OLD, said("leg-weakness", days_ago=None)),
    "a finding denied, never dated": row(False, OLD, said("leg-weakness", False, days_ago=None)),
    "a finding refuted as a diagnosis": row(
        False, OLD, condition("leg-weakness", 10, status=None, verification="refuted")
    ),
    "a distance without its unit": row(False, OLD, observation("walking-distance", 900)),
    "a finding over a period that reaches into the window": row(
        True, OLD, said("leg-weakness", days_ago=None, effectivePeriod=period(200, 90))
    ),
    "a finding over a period before it": row(
        False, OLD, said("leg-weakness", days_ago=None, effectivePeriod=period(200, 91))
    ),
    "a finding over a period without end": row(
        True, OLD, said("leg-weakness", days_ago=None, effectivePeriod=period(200))
    ),
    **{f"{finding} said, which is general": row(False, OLD, said(finding)) for finding in GENERAL},
    "temperature taken": row(False, OLD, observation("body-temperature", 36.8, "Cel")),
    "pain of 4": row(True, OLD, observation("pain-score", 4, "{score}")),
    "pain of 3": row(False, OLD, observation("pain-score", 3, "{score}")),
    "pain of 4 a day too early": row(False, OLD, observation("pain-score", 4, "{score}", days_ago=91)),
    "pain of 4 where a site begins at 5": row(False, OLD, observation("pain-score", 4, "{score}"), pain_moderate=5),
    **{
        f"{concept} ordered": row(True, OLD, order(concept, 90))
        for concept in ("mri-lumbar", "mri-whole-spine", CT, XRAY, "physical-therapy", "spinal-traction")
    },
    **{f"{concept} done": row(True, OLD, procedure(concept, 90)) for concept in ("mri-lumbar", CT, XRAY)},
    **{f"{concept} reported": row(True, OLD, report(concept, 90)) for concept in ("mri-lumbar", CT, XRAY)},
    "imaging ordered a day too early": row(False, OLD, order("mri-lumbar", 91)),
    "imaging reported a day too early": row(False, OLD, report("mri-lumbar", 91)),
    "imaging reported in error": row(False, OLD, {**report("mri-lumbar", 5), "status": "entered-in-error"}),
    "imaging drafted": row(False, OLD, order("mri-lumbar", status="draft")),
    "imaging revoked": row(False, OLD, order("mri-lumbar", status="revoked")),
    "imaging proposed": row(False, OLD, order("mri-lumbar", intent="proposal")),
    "imaging not to be done": row(False, OLD, order("mri-lumbar", doNotPerform=True)),
    "imaging ordered the day after tomorrow": row(False, OLD, order("mri-lumbar", -2)),
    "imaging of the neck": row(
        False, OLD, {**report("mri-lumbar", 10), "code": coded("mri-lumbar", ("http://loinc.org", "24935-9"))}
    ),
    "imaging ordered lately for next month": row(True, OLD, order("mri-lumbar", 5, occurrenceDateTime="2026-12-20")),
    **{
        f"{concept} given": row(True, OLD, procedure(concept, 90))
        for concept in ("physical-therapy", "spinal-traction", "epidural-injection", "spinal-surgery", "spinal-fusion")
    },
    "therapy a day too early": row(False, OLD, procedure("physical-therapy", 91)),
    "therapy not done": row(False, OLD, procedure("physical-therapy", 5, status="not-done")),
    "therapy over a period that reaches into the window": row(
        True, OLD, procedure("physical-therapy", None, performedPeriod=period(200, 90))
    ),
    "therapy over a period before it": row(
        False, OLD, procedure("physical-therapy", None, performedPeriod=period(200, 91))
    ),
    "therapy still going on": row(
        True, OLD, procedure("physical-therapy", None, status="in-progress", performedPeriod=period(200))
    ),
    "a referral to a spine surgeon": row(True, OLD, order("spine-surgeon-referral", 90)),
    "a referral to a spine surgeon a day too early": row(False, OLD, order("spine-surgeon-referral", 91)),
    "a referral for the back": row(True, OLD, order("spine-surgeon-referral", reasonCode=[coded("spinal-stenosis")])),
    "a referral to the same surgeons for something else": row(
        False, OLD, order("spine-surgeon-referral", reasonCode=[coded("kidney-disease")])
    ),
    "medicines alone": row(
        False,
        OLD,
        medicine("nsaid", 5),
        medicine("muscle-relaxant", 5),
        medicine("analgesic", 5),
        statement("nsaid", 5),
    ),
    "Conditions not available": row(True, form({"back-pain": True}, days_ago=60), missing=("Condition",)),
    "Observations not available": row(True, OLD, missing=("Observation",)),
    "other searches not available": row(False, OLD, missing=("QuestionnaireResponse", "Procedure", "ServiceRequest")),
}


@pytest.mark.parametrize("example", each(CURRENT))
def test_it_is_current(example):
    assert example.judged().evaluation.back_problem.current is example.expected


# --- and what follows ---

SCOLIOSIS = condition("scoliosis", 2000)


def cobb(degrees: float, days_ago: int) -> dict[str, Any]:
    return observation("cobb-angle", degrees, "deg", days_ago=days_ago)


QUIET = {
    "nothing met": row((), OLD),
    "a current problem asks what is missing": row(("not-assessed",), back_pain(90)),
    "an old red flag": row((), OLD, condition("malignancy-history", 2000)),
    "a red flag started long ago, recorded on the last day": row(
        ("red-flag",), OLD, condition("malignancy-history", 2000, recordedDate=ago(90))
    ),
    "a red flag recorded a day too early": row((), OLD, condition("malignancy-history", 2000, recordedDate=ago(91))),
    "a red flag never dated": row(("red-flag",), OLD, condition("malignancy-history", None)),
    "a red flag said again": row(("red-flag",), OLD, condition("malignancy-history", 2000), said("iv-drug-use")),
    "painkillers are no new evidence": row((), OLD, medicine("nsaid", 45), medicine("analgesic", 400)),
    "other medicines are": row(("red-flag",), OLD, medicine("immunosuppressant", 45)),
    "other medicines of long ago": row((), OLD, medicine("immunosuppressant", 400)),
    "old compression": row((), condition("disc-herniation", 400), condition("sciatica-radiculopathy", 400)),
    "an old spasm that persists": row((), condition("back-spasm", 400)),
    "a new lack of potassium beside an old spasm": row(
        ("information",), condition("back-spasm", 400), observation("potassium", 3.1, "mmol/L")
    ),
    "an emergency always speaks": row(("emergency",), OLD, condition("altered-consciousness", 5)),
    "a curve measured again, no back problem": row(("surgical-referral",), SCOLIOSIS, cobb(15, 400), cobb(22, 90)),
    "a curve last measured long ago, no back problem": row((), SCOLIOSIS, cobb(15, 400), cobb(22, 91)),
}


@pytest.mark.parametrize("example", each(QUIET))
def test_cards_of_an_old_problem(example):
    assert tuple(example.judged().cards()) == example.expected
