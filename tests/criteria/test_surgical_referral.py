"""Worked examples of the surgical-referral criteria and of the card they open (catalogue, section 6)."""

import pytest

from cds.answers import MET, NOT_MET, UNKNOWN
from tests.criteria import each, row
from tests.records import back_pain, condition, form, judge, medicine, observation, order, own, procedure


def score(value, days_ago=1):
    return observation("pain-score", value, "{score}", days_ago=days_ago)


def grade(value, days_ago=1, site=None):
    site = {"bodySite": {"text": site}} if site else {}
    return observation("muscle-strength-grade", value, "{score}", days_ago=days_ago, **site)


def walks(meters, days_ago=1):
    return observation("walking-distance", meters, "m", days_ago=days_ago)


def cobb(degrees, days_ago):
    return observation("cobb-angle", degrees, "deg", days_ago=days_ago)


def herniation(days_ago=10, **elements):
    return condition("disc-herniation", days_ago, **elements)


def sciatica(days_ago=10, **elements):
    return condition("sciatica-radiculopathy", days_ago, code=("http://snomed.info/sct", "23056005"), **elements)


EXAMPLES = {
    "failed-conservative-treatment": {
        "onset and treatment exactly three months ago": row(MET, back_pain(90), medicine("nsaid", 90)),
        "onset a day too late": row(NOT_MET, back_pain(89), medicine("nsaid", 89)),
        "treatment a day too late": row(NOT_MET, back_pain(200), medicine("nsaid", 89)),
        "treated that long by physical therapy": row(MET, back_pain(120), procedure("physical-therapy", 100)),
        "therapy only planned": row(UNKNOWN, back_pain(120), procedure("physical-therapy", 100, "preparation")),
        "relief stated last week": row(
            NOT_MET, back_pain(120), medicine("nsaid", 100), form({"significant-relief": True}, 7)
        ),
        "relief denied last week": row(
            MET, back_pain(120), medicine("nsaid", 100), form({"significant-relief": False}, 7)
        ),
        "pain down by 30 percent": row(NOT_MET, back_pain(120), medicine("nsaid", 100), score(10, 110), score(7)),
        "pain down by less": row(MET, back_pain(120), medicine("nsaid", 100), score(10, 110), score(8)),
        "nothing tried, as said on the form": row(
            NOT_MET, back_pain(120), form({"conservative-treatment-tried": False})
        ),
        "treatment not recorded": row(UNKNOWN, back_pain(120)),
        "onset not recorded": row(UNKNOWN, condition("back-pain", None), medicine("nsaid", 100)),
        "no back problem": row(NOT_MET, medicine("nsaid", 100)),
        "medicines not available": row(UNKNOWN, back_pain(120), missing=["MedicationRequest"]),
        "observations not available, so no telling of relief": row(
            UNKNOWN, back_pain(120), medicine("nsaid", 100), missing=["Observation"]
        ),
    },
    "significant-radicular-pain": {
        "score at the limit": row(MET, sciatica(), score(4)),
        "score below it": row(NOT_MET, sciatica(), score(3)),
        "newest score counts": row(NOT_MET, sciatica(), score(8, 5), score(3)),
        "score a day too old": row(UNKNOWN, sciatica(), score(8, 91)),
        "no score, moderate diagnosis": row(MET, sciatica(severity="moderate")),
        "no score, mild diagnosis": row(NOT_MET, sciatica(severity="mild")),
        "low score beside a severe diagnosis": row(MET, sciatica(severity="severe"), score(2)),
        "radicular pain by the form": row(MET, back_pain(), form({"radicular-pain": True}), score(6)),
        "radicular pain denied": row(NOT_MET, back_pain(), form({"radicular-pain": False}), score(9)),
        "radicular pain not recorded": row(UNKNOWN, back_pain(), score(9)),
        "severity not recorded": row(UNKNOWN, sciatica()),
        "conditions not available": row(UNKNOWN, form({"radicular-pain": False}), score(9), missing=["Condition"]),
    },
    "nerve-root-damage": {
        "grade 4": row(MET, back_pain(), grade(4)),
        "grade 4 a day too old": row(UNKNOWN, back_pain(), grade(4, 91)),
        "full power": row(NOT_MET, back_pain(), grade(5)),
        "one muscle weak, another full": row(MET, back_pain(), grade(4, site="left"), grade(5, site="right")),
        "was weak, is full": row(NOT_MET, back_pain(), grade(4, 30), grade(5)),
        "old foot drop": row(MET, back_pain(), condition("foot-drop-leg-paresis", 4000)),
        "sciatica with sensory change": row(MET, sciatica(), form({"leg-sensory-change": True})),
        "sciatica with numb limbs": row(MET, sciatica(), form({"limb-sensation-loss": True})),
        "weakness without radicular pain": row(UNKNOWN, back_pain(), form({"leg-weakness": True})),
        "full power, yet weakness stated": row(UNKNOWN, back_pain(), grade(5), form({"leg-weakness": True})),
        "weakness and sensory change both denied": row(
            NOT_MET, sciatica(), form({"leg-weakness": False, "leg-sensory-change": False})
        ),
        "only weakness denied": row(UNKNOWN, sciatica(), form({"leg-weakness": False})),
        "nothing recorded": row(UNKNOWN, back_pain()),
        "full power, but conditions not available": row(UNKNOWN, grade(5), missing=["Condition"]),
    },
    "neurogenic-claudication": {
        "walks exactly the limit, with stenosis": row(MET, condition("spinal-stenosis"), walks(200)),
        "walks a meter further": row(NOT_MET, condition("spinal-stenosis"), walks(201)),
        "short walk with radicular pain": row(MET, sciatica(), walks(150)),
        "short walk, cause not known": row(UNKNOWN, back_pain(), walks(50)),
        "diagnosed, yet walks far": row(MET, condition("neurogenic-claudication"), walks(900)),
        "short walk, a day too old": row(UNKNOWN, condition("spinal-stenosis"), walks(50, 91)),
        "short walk once, a long one since": row(NOT_MET, condition("spinal-stenosis"), walks(50, 30), walks(900)),
        "in yards": row(MET, condition("spinal-stenosis"), observation("walking-distance", 218, "[yd_i]")),
        "in feet, unit in words only": row(
            UNKNOWN, condition("spinal-stenosis"), observation("walking-distance", 300, "feet")
        ),
        "by the form": row(MET, condition("spinal-stenosis"), form({"walking-distance": 120})),
        "nothing recorded": row(UNKNOWN, condition("spinal-stenosis")),
        "long walk, but conditions not available": row(UNKNOWN, walks(900), missing=["Condition"]),
    },
    "progressive-scoliosis": {
        "five degrees in four years": row(MET, condition("scoliosis"), cobb(20, 1460), cobb(25, 5)),
        "four degrees": row(NOT_MET, condition("scoliosis"), cobb(20, 1460), cobb(24, 5)),
        "earlier angle older than five years": row(UNKNOWN, condition("scoliosis"), cobb(10, 1900), cobb(25, 5)),
        "said to progress": row(
            MET, condition("scoliosis"), form({"scoliosis-progression": True}), cobb(20, 400), cobb(20, 5)
        ),
        "said not to progress": row(NOT_MET, condition("scoliosis"), form({"scoliosis-progression": False})),
        "denied, yet measured": row(
            MET, condition("scoliosis"), form({"scoliosis-progression": False}), cobb(20, 400), cobb(26, 5)
        ),
        "measured once": row(UNKNOWN, condition("scoliosis"), cobb(25, 5)),
        "rising angle without scoliosis": row(NOT_MET, back_pain(), cobb(20, 400), cobb(30, 5)),
        "conditions not available": row(UNKNOWN, cobb(20, 400), cobb(30, 5), missing=["Condition"]),
    },
    "neural-compression": {
        "herniation with radicular pain": row(MET, herniation(), form({"radicular-pain": True})),
        "herniation with weakness": row(MET, herniation(), form({"leg-weakness": True})),
        "stenosis with claudication": row(MET, condition("spinal-stenosis"), walks(100)),
        "herniation, nothing else asked": row(UNKNOWN, herniation()),
        "herniation, all denied": row(
            NOT_MET,
            herniation(code=("http://hl7.org/fhir/sid/icd-10-cm", "M51.26")),
            form(
                {
                    "radicular-pain": False,
                    "leg-weakness": False,
                    "limb-sensation-loss": False,
                    "leg-sensory-change": False,
                    "saddle-anesthesia": False,
                    "paralysis": False,
                    "progressive-neurological-deficit": False,
                }
            ),
            walks(900),
        ),
        "herniation resolved": row(NOT_MET, back_pain(), herniation(status="resolved"), form({"radicular-pain": True})),
        "old cord compression": row(MET, condition("cord-compression-myelopathy", 2000)),
        "no such diagnosis": row(NOT_MET, back_pain(), form({"radicular-pain": True})),
        "conditions not available": row(UNKNOWN, form({"radicular-pain": True}), missing=["Condition"]),
    },
    "mechanical-instability": {
        "pattern with spondylolisthesis": row(
            MET,
            condition("spondylolisthesis", 900),
            form({"pain-worse-with-activity": True, "pain-relieved-by-rest": True}),
        ),
        "pattern with instability by an old answer": row(
            MET,
            back_pain(),
            form({"spinal-instability": True}, 900),
            form({"pain-worse-with-activity": True, "pain-relieved-by-rest": True}),
        ),
        "pattern without known instability": row(
            UNKNOWN, back_pain(), form({"pain-worse-with-activity": True, "pain-relieved-by-rest": True})
        ),
        "not relieved by rest": row(
            NOT_MET,
            condition("spondylolisthesis"),
            form({"pain-worse-with-activity": True, "pain-relieved-by-rest": False}),
        ),
        "half the pattern asked": row(
            UNKNOWN, condition("spondylolisthesis"), form({"pain-worse-with-activity": True})
        ),
        "pattern stated too long ago": row(
            UNKNOWN,
            condition("spondylolisthesis"),
            form({"pain-worse-with-activity": True, "pain-relieved-by-rest": True}, 91),
        ),
    },
    "degenerative-cause": {
        "spasm, degeneration, treatment failed": row(
            MET, condition("back-spasm", 120), condition("degenerative-spine", 900), medicine("nsaid", 100)
        ),
        "treatment not long enough": row(
            NOT_MET, condition("back-spasm", 120), condition("degenerative-spine", 900), medicine("nsaid", 80)
        ),
        "treatment not recorded": row(UNKNOWN, condition("back-spasm", 120), condition("degenerative-spine", 900)),
        "no spasm": row(NOT_MET, back_pain(120), condition("degenerative-spine"), medicine("nsaid", 100)),
        "no such diagnosis": row(NOT_MET, condition("back-spasm", 120), medicine("nsaid", 100)),
        "conditions not available": row(
            UNKNOWN, form({"back-spasm": True}), medicine("nsaid", 100), missing=["Condition"]
        ),
    },
}


@pytest.mark.parametrize(("criterion", "example"), each(EXAMPLES))
def test_example(criterion, example):
    answer = example.judged().answer(criterion)
    assert answer.status == example.expected, answer.reason


OPENING = {
    "radicular pain early goes on the information card": (
        {"information": "info"},
        (sciatica(41), score(5)),
    ),
    "radicular pain after six weeks opens the surgical card": (
        {"surgical-referral": "info"},
        (sciatica(42), score(5)),
    ),
    "severe pain opens it at once": (
        {"surgical-referral": "info", "red-flag": "warning"},
        (sciatica(5), score(7)),
    ),
    "onset not recorded: information": (
        {"information": "info"},
        (sciatica(None), score(5)),
    ),
    "nerve root damage is a warning": (
        {"surgical-referral": "warning"},
        (sciatica(5), grade(4)),
    ),
    "a walk of a hundred meters is a warning": (
        {"surgical-referral": "warning"},
        (condition("spinal-stenosis", 5), walks(100)),
    ),
    "a walk of a hundred and one is none": (
        {"surgical-referral": "info"},
        (condition("spinal-stenosis", 5), walks(101)),
    ),
    "cord compression opens it before any wait": (
        {"surgical-referral": "info"},
        (back_pain(5), condition("cord-compression-myelopathy", 200)),
    ),
    "a spasm on its own closes it though treatment failed": (
        {"information": "info", "red-flag": "info"},
        (condition("back-spasm", 100), medicine("nsaid", 100), score(5)),
    ),
}


@pytest.mark.parametrize(("cards", "record"), OPENING.values(), ids=OPENING)
def test_opening(cards, record):
    shown = judge(*record).cards()
    shown.pop("not-assessed")
    assert shown == cards


def test_early_compression_keeps_its_own_group():
    judged = judge(sciatica(5), score(5))
    assert judged.on_card("information") == ("significant-radicular-pain",)


def test_progressive_scoliosis_speaks_without_a_back_problem_when_its_evidence_is_new():
    assert judge(condition("scoliosis", 900), cobb(20, 400), cobb(26, 5)).cards() == {"surgical-referral": "info"}
    assert judge(condition("scoliosis", 900), cobb(20, 400), cobb(26, 91)).cards() == {}


def test_a_disabled_criterion_opens_nothing():
    assert "surgical-referral" in judge(sciatica(50), score(5)).cards()
    judged = judge(sciatica(50), score(5), disabled=["significant-radicular-pain"])
    assert "surgical-referral" not in judged.cards()


def test_a_referral_to_orthopedics_for_the_knee_makes_nothing_current():
    old = back_pain(2000)
    knee = order("spine-surgeon-referral", 5, reasonCode=[{"coding": [{"system": "urn:x", "code": "knee"}]}])
    assert not judge(old, knee).evaluation.back_problem.current
    assert judge(old, order("spine-surgeon-referral", 5)).evaluation.back_problem.current


def test_an_own_coded_observation_counts_like_the_form():
    assert (
        judge(sciatica(), observation("leg-sensory-change", True, code=own("leg-sensory-change"))).status(
            "nerve-root-damage"
        )
        == MET
    )
