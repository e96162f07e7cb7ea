"""Worked examples of the order-safety criteria (catalogue, section 6)."""

import pytest

from cds.answers import MET, NOT_MET, UNKNOWN
from tests.criteria import each, row
from tests.criteria.test_surgical_referral import cobb, grade, sciatica, score
from tests.records import back_pain, condition, draft, form, judge, medicine, observation, procedure

SADDLE = form({"saddle-anesthesia": True})


def of_history(concept, **elements):
    return condition(concept, 900, **elements)


def ordered(status, *record, drafts, **given):
    return row(status, *record, drafts=drafts, hook="order-sign", **given)


MRI = [draft("mri-lumbar")]
TRACTION = [draft("spinal-traction")]
SURGERY = [draft("spinal-surgery")]
FUSION = [draft("spinal-fusion")]
REFERRAL = [draft("spine-surgeon-referral")]

EXAMPLES = {
    "emergency-outstanding": {
        "routine by default": ordered(MET, back_pain(), SADDLE, drafts=[draft("physical-therapy")]),
        "routine in words": ordered(MET, back_pain(), SADDLE, drafts=[draft("mri-lumbar", priority="routine")]),
        "urgent": ordered(NOT_MET, back_pain(), SADDLE, drafts=[draft("mri-lumbar", priority="urgent")]),
        "stat": ordered(NOT_MET, back_pain(), SADDLE, drafts=[draft("mri-lumbar", priority="stat")]),
        "one urgent, one routine": ordered(
            MET, back_pain(), SADDLE, drafts=[draft("mri-lumbar", priority="stat"), draft("spinal-traction")]
        ),
        "no emergency": ordered(NOT_MET, back_pain(), drafts=MRI),
        "a blood test": ordered(NOT_MET, back_pain(), SADDLE, drafts=[draft("crp-order")]),
        "no order": ordered(NOT_MET, back_pain(), SADDLE, drafts=[]),
        "emergency not known for want of conditions": ordered(UNKNOWN, drafts=MRI, missing=["Condition"]),
        "emergency by what is at hand": ordered(MET, SADDLE, drafts=MRI, missing=["Condition"]),
    },
    "traction-caution": {
        "osteoporosis": ordered(MET, back_pain(), of_history("osteoporosis"), drafts=TRACTION),
        "osteoporosis said to be resolved": ordered(
            MET, back_pain(), of_history("osteoporosis", status="resolved"), drafts=TRACTION
        ),
        "osteoporosis refuted": ordered(
            NOT_MET, back_pain(), of_history("osteoporosis", verification="refuted"), drafts=TRACTION
        ),
        "active malignancy": ordered(MET, back_pain(), of_history("malignancy-active"), drafts=TRACTION),
        "malignancy in the past": ordered(
            NOT_MET, back_pain(), of_history("malignancy-active", status="resolved"), drafts=TRACTION
        ),
        "spinal infection": ordered(MET, of_history("infection-spinal"), drafts=TRACTION),
        "systemic infection": ordered(MET, back_pain(), condition("infection-active-systemic"), drafts=TRACTION),
        "vertebral fracture": ordered(MET, of_history("vertebral-fracture"), drafts=TRACTION),
        "cord compression": ordered(MET, of_history("cord-compression-myelopathy"), drafts=TRACTION),
        "nothing of the kind": ordered(NOT_MET, back_pain(), drafts=TRACTION),
        "another order": ordered(NOT_MET, back_pain(), of_history("osteoporosis"), drafts=MRI),
        "conditions not available": ordered(UNKNOWN, drafts=TRACTION, missing=["Condition"]),
    },
    "surgery-for-isolated-spasm": {
        "surgery": ordered(MET, condition("back-spasm"), drafts=SURGERY),
        "surgeon's referral": ordered(MET, condition("back-spasm"), drafts=REFERRAL),
        "a referral for the knee": ordered(
            NOT_MET,
            condition("back-spasm"),
            drafts=[draft("spine-surgeon-referral", reasonCode=[{"coding": [{"system": "urn:x", "code": "k"}]}])],
        ),
        "a spasm with sciatica": ordered(NOT_MET, condition("back-spasm"), sciatica(), drafts=SURGERY),
        "imaging": ordered(NOT_MET, condition("back-spasm"), drafts=MRI),
        "observations not available": ordered(
            UNKNOWN, condition("back-spasm"), drafts=SURGERY, missing=["Observation"]
        ),
    },
    "surgery-before-conservative": {
        "treated for two months": ordered(MET, back_pain(60), medicine("nsaid", 60), drafts=SURGERY),
        "treated for three months": ordered(NOT_MET, back_pain(90), medicine("nsaid", 90), drafts=SURGERY),
        "said not to be tried": ordered(
            MET, back_pain(90), form({"conservative-treatment-tried": False}), drafts=SURGERY
        ),
        "treatment not recorded": ordered(UNKNOWN, back_pain(90), drafts=SURGERY),
        "an emergency": ordered(NOT_MET, back_pain(60), medicine("nsaid", 60), SADDLE, drafts=SURGERY),
        "a strong red flag": ordered(
            NOT_MET, back_pain(60), medicine("nsaid", 60), form({"night-pain": True}), drafts=SURGERY
        ),
        "a weak red flag": ordered(
            MET,
            back_pain(60),
            medicine("nsaid", 60),
            of_history("inflammatory-arthropathy"),
            drafts=SURGERY,
        ),
        "nerve root damage": ordered(NOT_MET, back_pain(60), medicine("nsaid", 60), grade(4), drafts=SURGERY),
        "progressive scoliosis": ordered(
            NOT_MET,
            back_pain(60),
            medicine("nsaid", 60),
            of_history("scoliosis"),
            cobb(20, 400),
            cobb(30, 5),
            drafts=SURGERY,
        ),
        "fusion is surgery": ordered(MET, back_pain(60), medicine("nsaid", 60), drafts=FUSION),
        "a referral is not": ordered(NOT_MET, back_pain(60), medicine("nsaid", 60), drafts=REFERRAL),
        "responses not available": ordered(
            UNKNOWN, back_pain(60), medicine("nsaid", 60), drafts=SURGERY, missing=["QuestionnaireResponse"]
        ),
    },
    "fusion-without-instability": {
        "stenosis": ordered(MET, of_history("spinal-stenosis"), drafts=FUSION),
        "surgery other than fusion": ordered(NOT_MET, of_history("spinal-stenosis"), drafts=SURGERY),
        "no stenosis": ordered(NOT_MET, back_pain(), drafts=FUSION),
        "spondylolisthesis": ordered(
            NOT_MET, of_history("spinal-stenosis"), of_history("spondylolisthesis"), drafts=FUSION
        ),
        "instability by an old answer": ordered(
            NOT_MET, of_history("spinal-stenosis"), form({"spinal-instability": True}, 900), drafts=FUSION
        ),
        "instability denied": ordered(
            MET, of_history("spinal-stenosis"), form({"spinal-instability": False}), drafts=FUSION
        ),
        "bone metastasis": ordered(
            NOT_MET, of_history("spinal-stenosis"), of_history("metastasis-bone"), drafts=FUSION
        ),
        "vertebral fracture": ordered(
            NOT_MET, of_history("spinal-stenosis"), of_history("vertebral-fracture"), drafts=FUSION
        ),
        "spinal infection": ordered(
            NOT_MET, of_history("spinal-stenosis"), of_history("infection-spinal"), drafts=FUSION
        ),
        "conditions not available": ordered(UNKNOWN, drafts=FUSION, missing=["Condition"]),
    },
    "imaging-without-red-flag": {
        "forty-one days": ordered(MET, back_pain(41), drafts=MRI),
        "forty-two days": ordered(NOT_MET, back_pain(42), drafts=MRI),
        "only recorded lately": ordered(UNKNOWN, condition("back-pain", None, recordedDate="2026-11-10"), drafts=MRI),
        "a month that may be either": ordered(UNKNOWN, condition("back-pain", None, date="2026-10"), drafts=MRI),
        "computed tomography": ordered(MET, back_pain(), drafts=[draft("ct-lumbar")]),
        "X-ray": ordered(MET, back_pain(), drafts=[draft("xray-lumbar")]),
        "a weak flag": ordered(MET, back_pain(), of_history("inflammatory-arthropathy"), drafts=MRI),
        "a strong flag": ordered(NOT_MET, back_pain(), form({"night-pain": True}), drafts=MRI),
        "an emergency": ordered(NOT_MET, back_pain(), SADDLE, drafts=MRI),
        "a surgical card is open": ordered(NOT_MET, sciatica(5), score(7), grade(5), drafts=MRI),
        "radicular pain early is none": ordered(MET, sciatica(5), score(5), drafts=MRI),
        "seventeen years": ordered(NOT_MET, back_pain(), drafts=MRI, born="2008-11-21"),
        "eighteen years today": ordered(MET, back_pain(), drafts=MRI, born="2008-11-20"),
        "age not known": ordered(UNKNOWN, back_pain(), drafts=MRI, born=None),
        "spinal surgery within a year": ordered(NOT_MET, back_pain(), procedure("spinal-surgery", 365), drafts=MRI),
        "spinal surgery before that": ordered(MET, back_pain(), procedure("spinal-surgery", 366), drafts=MRI),
        "procedures not available": ordered(UNKNOWN, back_pain(), drafts=MRI, missing=["Procedure"]),
        "whole spine": ordered(NOT_MET, back_pain(), drafts=[draft("mri-whole-spine")]),
        "no order": ordered(NOT_MET, back_pain(), drafts=[]),
    },
}


@pytest.mark.parametrize(("criterion", "example"), each(EXAMPLES))
def test_example(criterion, example):
    answer = example.judged().answer(criterion)
    assert answer.status == example.expected, answer.reason


def test_the_order_hooks_return_order_safety_cards_only():
    judged = judge(back_pain(), SADDLE, of_history("osteoporosis"), hook="order-sign", drafts=TRACTION)
    assert judged.cards() == {"emergency-outstanding": "critical", "traction-caution": "warning"}


def test_without_such_an_order_the_reason_says_so():
    assert judge(back_pain(), hook="order-sign").answer("traction-caution").reason == "no such order"


def test_a_patient_who_has_died_gets_no_card():
    patient = {"resourceType": "Patient", "id": "p1", "deceasedBoolean": True}
    assert judge(back_pain(), SADDLE, patient=patient).cards() == {}
    assert judge(back_pain(), SADDLE, patient=patient, hook="order-sign", drafts=MRI).cards() == {}


def test_an_undated_observation_of_an_emergency_counts():
    record = back_pain(), observation("saddle-anesthesia", True, days_ago=None)
    assert judge(*record, hook="order-sign", drafts=MRI).status("emergency-outstanding") == MET
