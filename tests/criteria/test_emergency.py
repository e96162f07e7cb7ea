"""Worked examples of the emergency criteria and of the card they open (catalogue, section 6, emergency)."""

import pytest

from cds.answers import MET, NOT_MET, UNKNOWN
from tests.criteria import Row, each, row
from tests.records import ago, back_pain, coded, condition, form, judge, observation, own

SNOMED = "http://snomed.info/sct"
LOINC = "http://loinc.org"
ICD = "http://hl7.org/fhir/sid/icd-10-cm"
CAUDA_EQUINA = ("saddle-anesthesia", "urinary-retention", "bladder-control-loss", "bowel-control-loss")
CORD_SIGNS = (
    "saddle-anesthesia",
    "leg-weakness",
    "limb-sensation-loss",
    "paralysis",
    "progressive-neurological-deficit",
)


def says(finding, days_ago=1):
    return form({finding: True}, days_ago)


def denies(*findings, days_ago=1, **elements):
    return form(dict.fromkeys(findings, False), days_ago, **elements)


def own_observation(finding, value, days_ago=1):
    return observation(finding, value, days_ago=days_ago, code=own(finding))


def grade(value, days_ago=1, muscle=None, unit="{score}", **elements):
    """Power of a leg muscle; muscle: which one and on which side."""
    if muscle:
        coding = {"system": "https://ehr.example.org/muscles", "code": muscle}
        elements["bodySite"] = {"coding": [coding], "text": muscle}
    return observation("muscle-strength-grade", value, unit, days_ago=days_ago, **elements)


def years(age):
    return {"value": age, "unit": "a", "system": "http://unitsofmeasure.org", "code": "a"}


def one_finding(finding: str, window: int) -> dict[str, Row]:
    """What holds of each emergency criterion that is one finding, new within so many days."""
    return {
        "diagnosed on the first day of the window": row(MET, condition(finding, window)),
        "diagnosed a day before the window: long-standing": row(NOT_MET, condition(finding, window + 1)),
        "diagnosed, start not known": row(MET, condition(finding, None)),
        "diagnosed, since resolved": row(UNKNOWN, condition(finding, 5, status="resolved")),
        "diagnosed, then refuted": row(
            NOT_MET, condition(finding, 5, verification="refuted", status=None, recordedDate=ago(2))
        ),
        "diagnosed, denied since: the diagnosis stands": row(MET, condition(finding, 5), denies(finding)),
        "observed on the first day of the window": row(MET, observation(finding, True, days_ago=window)),
        "observed a day before the window": row(UNKNOWN, observation(finding, True, days_ago=window + 1)),
        "observed absent": row(NOT_MET, observation(finding, False)),
        "said on the form on the first day of the window": row(MET, says(finding, window)),
        "said on the form a day before the window": row(UNKNOWN, says(finding, window + 1)),
        "denied on the form": row(NOT_MET, denies(finding)),
        "denied a day before the window": row(UNKNOWN, denies(finding, days_ago=window + 1)),
        "observed, day not known": row(MET, observation(finding, True, days_ago=None)),
        "observed absent, day not known": row(UNKNOWN, observation(finding, False, days_ago=None)),
        "observed, denied since": row(NOT_MET, observation(finding, True, days_ago=5), denies(finding)),
        "denied, observed since": row(MET, denies(finding, days_ago=5), observation(finding, True)),
        "long-standing, now new or clearly worse": row(MET, condition(finding, window + 1), says(finding)),
        "long-standing, observed again by its standard code": row(
            NOT_MET, condition(finding, window + 1), observation(finding, True)
        ),
        "long-standing, observed again by our code": row(
            MET, condition(finding, window + 1), own_observation(finding, True)
        ),
        "long-standing, denied": row(NOT_MET, condition(finding, window + 1), denies(finding)),
        "nothing recorded": row(UNKNOWN),
        "denied, conditions not available": row(UNKNOWN, denies(finding), missing=["Condition"]),
        "denied, observations not available": row(UNKNOWN, denies(finding), missing=["Observation"]),
        "observed absent, forms not available": row(
            UNKNOWN, observation(finding, False), missing=["QuestionnaireResponse"]
        ),
        "long-standing, observations not available": row(
            UNKNOWN, condition(finding, window + 1), missing=["Observation"]
        ),
        "said on the form, all else not available": row(MET, says(finding), missing=["Condition", "Observation"]),
    }


EXAMPLES = {
    "cauda-equina": {
        "syndrome diagnosed on the first day of the window": row(MET, condition("cauda-equina-syndrome", 90)),
        "syndrome diagnosed a day before, findings not asked": row(UNKNOWN, condition("cauda-equina-syndrome", 91)),
        "syndrome diagnosed a day before, findings denied": row(
            NOT_MET, condition("cauda-equina-syndrome", 91), denies(*CAUDA_EQUINA)
        ),
        "syndrome new, findings denied": row(MET, condition("cauda-equina-syndrome", 5), denies(*CAUDA_EQUINA)),
        "syndrome suspected only": row(MET, condition("cauda-equina-syndrome", 5, verification="provisional")),
        "syndrome resolved": row(UNKNOWN, condition("cauda-equina-syndrome", 5, status="resolved")),
        "syndrome inactive, findings denied": row(
            NOT_MET, condition("cauda-equina-syndrome", 5, status="inactive"), denies(*CAUDA_EQUINA)
        ),
        "syndrome entered in error": row(
            UNKNOWN, condition("cauda-equina-syndrome", 5, verification="entered-in-error", status=None)
        ),
        "syndrome by ICD-10-CM": row(MET, condition("cauda-equina-syndrome", 5, code=(ICD, "G83.4"))),
        "sequela of an old injury": row(UNKNOWN, condition("cauda-equina-syndrome", 5, code=(ICD, "S34.3XXS"))),
        **{
            f"{finding} diagnosed on the first day of the window": row(MET, condition(finding, 90))
            for finding in CAUDA_EQUINA
        },
        **{
            f"{finding} long-standing, the others denied": row(
                NOT_MET, condition(finding, 91), denies(*(set(CAUDA_EQUINA) - {finding}))
            )
            for finding in CAUDA_EQUINA
        },
        **{
            f"{finding} not asked, the others denied": row(UNKNOWN, denies(*(set(CAUDA_EQUINA) - {finding})))
            for finding in CAUDA_EQUINA
        },
        **{
            f"{finding} said, the others denied": row(MET, form({asked: asked == finding for asked in CAUDA_EQUINA}))
            for finding in CAUDA_EQUINA
        },
        "diagnosed long ago and again lately": row(
            MET, condition("urinary-retention", 400), condition("urinary-retention", 10)
        ),
        "diagnosed without a start, recorded long ago": row(
            UNKNOWN, condition("urinary-retention", None, recordedDate=ago(91))
        ),
        "diagnosed without any date": row(MET, condition("urinary-retention", None)),
        "onset known by month, its last day in the window": row(MET, condition("urinary-retention", date="2026-08")),
        "onset known by month, its last day before the window": row(
            UNKNOWN, condition("urinary-retention", date="2026-07")
        ),
        "onset this year, no more known": row(MET, condition("urinary-retention", date="2026")),
        "onset last year, no more known": row(UNKNOWN, condition("urinary-retention", date="2025")),
        "onset at the present age": row(MET, condition("urinary-retention", None, onsetAge=years(50))),
        "onset at an earlier age": row(UNKNOWN, condition("urinary-retention", None, onsetAge=years(49))),
        "onset a period that began in the window": row(
            MET, condition("urinary-retention", None, onsetPeriod={"start": ago(90)})
        ),
        "onset a period that began before it": row(
            UNKNOWN, condition("urinary-retention", None, onsetPeriod={"start": ago(91), "end": ago(5)})
        ),
        "observed by our code on the first day of the window": row(MET, own_observation("saddle-anesthesia", True, 90)),
        "observed by our code a day before": row(UNKNOWN, own_observation("saddle-anesthesia", True, 91)),
        "observed by a standard code, coded yes": row(MET, observation("saddle-anesthesia", (LOINC, "LA33-6"))),
        "observed without a value": row(MET, observation("saddle-anesthesia")),
        "asked, answer not had": row(
            UNKNOWN, observation("saddle-anesthesia", dataAbsentReason={"coding": [{"code": "asked-unknown"}]})
        ),
        "asserted as the value of a finding": row(
            MET, observation("assertion", (SNOMED, "449813001"), code=(SNOMED, "404684003"))
        ),
        "the finding as the value of some other question": row(
            UNKNOWN, observation("other", (SNOMED, "449813001"), code=("https://ehr.example.org", "note"))
        ),
        "a component of an examination": row(
            MET,
            observation(
                "examination",
                code=("https://ehr.example.org", "neuro"),
                component=[{"code": coded("saddle-anesthesia"), "valueBoolean": True}],
            ),
        ),
        "a component without a value": row(
            UNKNOWN,
            observation(
                "examination",
                code=("https://ehr.example.org", "neuro"),
                component=[{"code": coded("saddle-anesthesia")}],
            ),
        ),
        "observation not yet final": row(UNKNOWN, observation("saddle-anesthesia", True, status="registered")),
        "observed on the last evening before the window": row(
            UNKNOWN, observation("saddle-anesthesia", True, date="2026-08-21T23:30:00Z")
        ),
        "the same instant, already the next day at the site": row(
            MET, observation("saddle-anesthesia", True, date="2026-08-21T23:30:00Z"), zone="Europe/Berlin"
        ),
        "saddle anesthesia gone, the others denied": row(
            NOT_MET, observation("saddle-anesthesia", True, days_ago=10), denies(*CAUDA_EQUINA)
        ),
        "yes and no on one day: the yes wins": row(MET, observation("saddle-anesthesia", True), denies(*CAUDA_EQUINA)),
        "yes on the form, no on the next form of the same day": row(
            NOT_MET,
            form({"saddle-anesthesia": True}, date="2026-11-19T08:00:00Z"),
            form(dict.fromkeys(CAUDA_EQUINA, False), date="2026-11-19T15:00:00Z"),
        ),
        "a diagnosis refuted since the observation, the others denied": row(
            NOT_MET,
            observation("urinary-retention", True, days_ago=10),
            condition("urinary-retention", 10, verification="refuted", status=None, recordedDate=ago(2)),
            denies("saddle-anesthesia", "bladder-control-loss", "bowel-control-loss"),
        ),
        "form not completed": row(UNKNOWN, form({"saddle-anesthesia": True}, status="in-progress")),
        "old incontinence, now new or clearly worse": row(
            MET, condition("bladder-control-loss", 400), says("bladder-control-loss")
        ),
        "old incontinence, observed again by its standard code, the others denied": row(
            NOT_MET,
            condition("bladder-control-loss", 400),
            observation("bladder-control-loss", True),
            denies("saddle-anesthesia", "urinary-retention", "bowel-control-loss"),
        ),
        "incontinence of a type not stated": row(MET, condition("bladder-control-loss", 5, code=(ICD, "R32"))),
        "stress incontinence": row(UNKNOWN, condition("stress", 5, code=(ICD, "N39.3"))),
        "incontinence coded as stress incontinence too": row(
            UNKNOWN,
            {**condition("bladder-control-loss", 5), "code": coded("wet", (ICD, "R32"), (ICD, "N39.3"))},
        ),
        "retention coded as caused by a medicine too": row(
            UNKNOWN,
            {**condition("urinary-retention", 5), "code": coded("full", (ICD, "R33.9"), (ICD, "R33.0"))},
        ),
        "wet on the third birthday's last day": row(UNKNOWN, says("bladder-control-loss"), born="2022-11-21"),
        "wet on the fourth birthday": row(MET, says("bladder-control-loss"), born="2022-11-20"),
        "soiled under four": row(UNKNOWN, condition("bowel-control-loss", 5), born="2022-11-21"),
        "soiled at four": row(MET, condition("bowel-control-loss", 5), born="2022-11-20"),
        "wet under four, the others denied: as if not stated": row(
            UNKNOWN, form({asked: asked == "bladder-control-loss" for asked in CAUDA_EQUINA}), born="2023-05-01"
        ),
        "retention under four": row(MET, says("urinary-retention"), born="2023-05-01"),
        "saddle anesthesia under four": row(MET, says("saddle-anesthesia"), born="2023-05-01"),
        "wet, three or four by the year of birth": row(MET, says("bladder-control-loss"), born="2022"),
        "wet, under four by the year of birth": row(UNKNOWN, says("bladder-control-loss"), born="2023"),
        "wet, birth date not known": row(MET, says("bladder-control-loss"), born=None),
        "all denied": row(NOT_MET, denies(*CAUDA_EQUINA)),
        "all denied a day before the window": row(UNKNOWN, denies(*CAUDA_EQUINA, days_ago=91)),
        "all denied, conditions not available": row(UNKNOWN, denies(*CAUDA_EQUINA), missing=["Condition"]),
        "all denied, observations not available": row(UNKNOWN, denies(*CAUDA_EQUINA), missing=["Observation"]),
        "all observed absent, forms not available": row(
            UNKNOWN,
            *(observation(finding, False) for finding in CAUDA_EQUINA),
            missing=["QuestionnaireResponse"],
        ),
        "all denied, medicines not available": row(
            NOT_MET, denies(*CAUDA_EQUINA), missing=["MedicationRequest", "MedicationStatement"]
        ),
        "said on the form, conditions not available": row(MET, says("urinary-retention"), missing=["Condition"]),
        "a shorter window of the site, on its first day": row(
            MET, condition("urinary-retention", 30), emergency_window_days=30
        ),
        "a shorter window of the site, a day before": row(
            UNKNOWN, condition("urinary-retention", 31), emergency_window_days=30
        ),
        "nothing recorded": row(UNKNOWN),
    },
    "progressive-neurological-deficit": {
        **{
            situation: example
            for situation, example in one_finding("progressive-neurological-deficit", 90).items()
            if "standard code" not in situation  # none exists
        },
        "power one grade lower": row(MET, grade(4, 20), grade(3)),
        "power less than one grade lower": row(NOT_MET, grade(4, 20), grade(3.5)),
        "power the same": row(NOT_MET, grade(3, 20), grade(3)),
        "power better": row(NOT_MET, grade(2, 20), grade(4)),
        "lower than the first, better than the last": row(MET, grade(5, 40), grade(3, 20), grade(4)),
        "lower than the last, better than the first": row(MET, grade(3, 40), grade(5, 20), grade(4)),
        "of two grades on the newest day the lower counts": row(MET, grade(4, 20), grade(4), grade(3)),
        "earlier grade of a day not known": row(UNKNOWN, grade(5, None), grade(3)),
        "fallen and fully regained": row(NOT_MET, grade(4, 40), grade(3, 20), grade(4)),
        "earlier grade on the first day of the window": row(MET, grade(4, 90), grade(3)),
        "earlier grade a day before the window": row(UNKNOWN, grade(4, 91), grade(3)),
        "graded once": row(UNKNOWN, grade(2)),
        "same muscle and side": row(MET, grade(4, 20, "left quadriceps"), grade(3, 1, "left quadriceps")),
        "same muscle, other side": row(UNKNOWN, grade(4, 20, "left quadriceps"), grade(3, 1, "right quadriceps")),
        "a muscle stated, then none": row(UNKNOWN, grade(4, 20, "left quadriceps"), grade(3)),
        "one muscle stable, another weaker": row(
            MET,
            grade(4, 20, "left quadriceps"),
            grade(4, 1, "left quadriceps"),
            grade(5, 20, "right quadriceps"),
            grade(4, 1, "right quadriceps"),
        ),
        "the weaker power on the later form": row(
            MET, form({"muscle-strength-grade": 4}, 20), form({"muscle-strength-grade": 3})
        ),
        "an impossible grade before": row(UNKNOWN, grade(6, 20), grade(4)),
        "power the same, deficit said to progress": row(
            MET, grade(4, 20), grade(4), says("progressive-neurological-deficit")
        ),
        "power lower, progress denied": row(MET, grade(4, 20), grade(3), denies("progressive-neurological-deficit")),
        "graded once, progress denied": row(NOT_MET, grade(3), denies("progressive-neurological-deficit")),
        "power the same, forms not available": row(UNKNOWN, grade(4, 20), grade(4), missing=["QuestionnaireResponse"]),
        "power lower, forms not available": row(MET, grade(4, 20), grade(3), missing=["QuestionnaireResponse"]),
    },
    "severe-motor-weakness": {
        "power at the limit": row(MET, grade(3)),
        "power above the limit": row(NOT_MET, grade(4)),
        "power a little above the limit": row(NOT_MET, grade(3.5)),
        "no power at all": row(MET, grade(0)),
        "at a lower limit of the site": row(MET, grade(2), weakness_grade=2),
        "above a lower limit of the site": row(NOT_MET, grade(3), weakness_grade=2),
        "graded on the first day of the window": row(MET, grade(3, 90)),
        "graded a day before the window": row(UNKNOWN, grade(3, 91)),
        "weak, day not known": row(MET, grade(2, None)),
        "full power, day not known": row(UNKNOWN, grade(5, None)),
        "full power, graded before the window": row(UNKNOWN, grade(5, 91)),
        "weak once, strong since": row(NOT_MET, grade(2, 30), grade(4)),
        "strong once, weak since": row(MET, grade(5, 30), grade(3)),
        "one leg strong, the other weak": row(MET, grade(5, 1, "left"), grade(2, 1, "right")),
        "one muscle weak, another strong since": row(MET, grade(2, 30, "quadriceps"), grade(5, 1, "calf")),
        "weak by an old form, strong by the latest examination": row(
            NOT_MET, form({"muscle-strength-grade": 3}, 20), grade(4)
        ),
        "two grades on one day: the weaker": row(MET, grade(2), grade(4)),
        "graded as an integer": row(MET, observation("muscle-strength-grade", valueInteger=3)),
        "graded in percent": row(UNKNOWN, grade(3, unit="%")),
        "above the scale": row(UNKNOWN, grade(6)),
        "below the scale": row(UNKNOWN, grade(-1)),
        "at most the limit": row(MET, grade(3, comparator="<=")),
        "more than the limit": row(NOT_MET, grade(3, comparator=">")),
        "graded on the form": row(MET, form({"muscle-strength-grade": 3})),
        "graded in a component": row(
            MET,
            observation(
                "examination",
                code=("https://ehr.example.org", "neuro"),
                component=[{"code": coded("muscle-strength-grade"), "valueInteger": 2}],
            ),
        ),
        "foot drop on the first day of the window": row(MET, condition("foot-drop-leg-paresis", 90)),
        "foot drop a day before the window": row(UNKNOWN, condition("foot-drop-leg-paresis", 91)),
        "foot drop without a date": row(MET, condition("foot-drop-leg-paresis", None)),
        "foot drop by ICD-10-CM prefix": row(MET, condition("foot-drop-leg-paresis", 5, code=(ICD, "M21.371"))),
        "foot drop resolved": row(UNKNOWN, condition("foot-drop-leg-paresis", 5, status="resolved")),
        "foot drop new, full power": row(MET, condition("foot-drop-leg-paresis", 5), grade(5)),
        "foot drop long-standing, power above the limit": row(
            NOT_MET, condition("foot-drop-leg-paresis", 400), grade(4)
        ),
        "foot drop long-standing, power at the limit": row(MET, condition("foot-drop-leg-paresis", 400), grade(3)),
        "foot drop new, weakness denied": row(MET, condition("foot-drop-leg-paresis", 5), denies("leg-weakness")),
        "foot drop observed, not diagnosed": row(UNKNOWN, observation("leg-weakness", True, code=(SNOMED, "6077001"))),
        "weak leg, not graded": row(UNKNOWN, says("leg-weakness")),
        "weak leg, power above the limit": row(NOT_MET, says("leg-weakness"), grade(4)),
        "long-standing weak leg": row(UNKNOWN, condition("leg-weakness", 400, code=(SNOMED, "300948004"))),
        "long-standing weak leg, denied since": row(
            UNKNOWN, condition("leg-weakness", 400, code=(SNOMED, "300948004")), denies("leg-weakness")
        ),
        "weak leg denied": row(NOT_MET, denies("leg-weakness")),
        "weak leg denied on the first day of the window": row(NOT_MET, denies("leg-weakness", days_ago=90)),
        "weak leg denied a day before the window": row(UNKNOWN, denies("leg-weakness", days_ago=91)),
        "weak leg denied, power at the limit": row(MET, denies("leg-weakness"), grade(3)),
        "weak leg denied, observations not available": row(UNKNOWN, denies("leg-weakness"), missing=["Observation"]),
        "full power, conditions not available": row(UNKNOWN, grade(5), missing=["Condition"]),
        "power at the limit, conditions not available": row(MET, grade(3), missing=["Condition"]),
        "nothing recorded": row(UNKNOWN),
    },
    "limb-sensation-loss": {
        **one_finding("limb-sensation-loss", 90),
        "long-standing, observed again by both codes": row(
            MET,
            condition("limb-sensation-loss", 91),
            {
                **observation("limb-sensation-loss", True),
                "code": coded("limb-sensation-loss", None, own("limb-sensation-loss")),
            },
        ),
        "a tingling leg is no loss": row(UNKNOWN, says("leg-sensory-change")),
        "numbness of a site not stated": row(UNKNOWN, condition("numb", 5, code=(ICD, "R20.0"))),
    },
    "balance-loss": {
        **one_finding("balance-loss", 30),
        "an unsteady gait": row(UNKNOWN, says("gait-disturbance")),
        "impaired balance": row(UNKNOWN, condition("balance", 5, code=(SNOMED, "387603000"))),
        "a longer window of the site": row(MET, says("balance-loss", 45), sudden_window_days=45),
        "the emergency window is another": row(UNKNOWN, says("balance-loss", 45), emergency_window_days=400),
    },
    "one-sided-deficit": {
        **one_finding("one-sided-weakness-or-numbness", 30),
        "sciatica": row(UNKNOWN, condition("sciatica-radiculopathy", 5)),
        "one weak leg": row(UNKNOWN, condition("leg-weakness", 5)),
        "hemiplegia by ICD-10-CM prefix": row(MET, condition("hemiplegia", 5, code=(ICD, "G81.91"))),
        "after an old stroke": row(UNKNOWN, condition("hemiplegia", 5, code=(ICD, "I69.351"))),
        "hemiplegia coded as after an old stroke too": row(
            UNKNOWN,
            {**condition("paralysis", 5), "code": coded("hemiplegia", (ICD, "G81.91"), (ICD, "I69.351"))},
        ),
    },
    "paralysis": {
        **one_finding("paralysis", 30),
        "hemiplegia is one-sided": row(UNKNOWN, condition("one-sided-weakness-or-numbness", 5)),
        "cauda equina syndrome": row(UNKNOWN, condition("cauda-equina-syndrome", 5, code=(ICD, "G83.4"))),
        "paraparesis": row(MET, condition("paraparesis", 5, code=(SNOMED, "1845001"))),
    },
    "altered-consciousness": {
        **one_finding("altered-consciousness", 30),
        "drowsy, as from a medicine": row(UNKNOWN, condition("drowsy", 5, code=(ICD, "R40.0"))),
        "delirium": row(MET, condition("delirium", 5, code=(SNOMED, "2776000"))),
        "dementia": row(UNKNOWN, condition("dementia", 5, code=(ICD, "F03"))),
    },
    "possible-cord-compression": {
        "diagnosed on the first day of the window": row(MET, condition("cord-compression-myelopathy", 90)),
        "diagnosed a day before the window": row(NOT_MET, condition("cord-compression-myelopathy", 91)),
        "diagnosed without a date": row(MET, condition("cord-compression-myelopathy", None)),
        "diagnosed, resolved": row(NOT_MET, condition("cord-compression-myelopathy", 5, status="resolved")),
        "long-standing, with cancer and signs not asked": row(
            UNKNOWN, condition("cord-compression-myelopathy", 91), condition("malignancy-history", 900)
        ),
        **{f"cancer and {sign}": row(MET, condition("malignancy-history", 900), says(sign)) for sign in CORD_SIGNS},
        "cancer and a sign on the first day of the window": row(
            MET, condition("malignancy-active", 900), observation("leg-weakness", True, days_ago=90)
        ),
        "cancer and a sign a day before the window": row(
            UNKNOWN, condition("malignancy-active", 900), observation("leg-weakness", True, days_ago=91)
        ),
        "cancer and paralysis past the sudden window": row(
            MET, condition("malignancy-active", 900), observation("paralysis", True, days_ago=60)
        ),
        "cancer and power below full": row(MET, condition("malignancy-active", 900), grade(4)),
        "cancer and full power, signs not asked": row(UNKNOWN, condition("malignancy-active", 900), grade(5)),
        "cancer and full power, signs denied": row(
            NOT_MET,
            condition("malignancy-active", 900),
            grade(5),
            denies(*CORD_SIGNS, "gait-disturbance"),
        ),
        "cancer, signs denied, power below full": row(
            MET, condition("malignancy-active", 900), grade(4), denies(*CORD_SIGNS, "gait-disturbance")
        ),
        "cancer and foot drop on the first day of the window": row(
            MET, condition("malignancy-history", 900), condition("foot-drop-leg-paresis", 90)
        ),
        "cancer and long-standing foot drop, the other signs denied": row(
            NOT_MET,
            condition("malignancy-history", 900),
            condition("foot-drop-leg-paresis", 91),
            denies(*(set(CORD_SIGNS) - {"leg-weakness"})),
        ),
        "cancer and a tingling leg": row(UNKNOWN, condition("malignancy-active", 900), says("leg-sensory-change")),
        "cancer and a tingling leg, the other signs denied": row(
            NOT_MET,
            condition("malignancy-history", 900),
            says("leg-sensory-change"),
            denies(*CORD_SIGNS, days_ago=2),
        ),
        "cancer, signs not asked": row(UNKNOWN, condition("malignancy-history", 900)),
        "cancer, signs denied": row(NOT_MET, condition("malignancy-history", 900), denies(*CORD_SIGNS)),
        "cancer, one sign not asked": row(UNKNOWN, condition("malignancy-history", 900), denies(*CORD_SIGNS[1:])),
        "cancer stated on the form, with a sign": row(MET, form({"cancer-history": True, "leg-weakness": True})),
        "cancer resolved, with a sign": row(
            MET, condition("malignancy-active", 900, status="resolved"), says("leg-weakness")
        ),
        "active cancer and an abnormal gait": row(MET, condition("malignancy-active", 900), says("gait-disturbance")),
        "active cancer and an abnormal gait before the window": row(
            UNKNOWN,
            condition("malignancy-active", 900),
            observation("gait-disturbance", True, days_ago=91),
        ),
        "active cancer, signs denied, gait not asked": row(
            UNKNOWN, condition("malignancy-active", 900), denies(*CORD_SIGNS)
        ),
        "past cancer and an abnormal gait, signs denied": row(
            NOT_MET,
            condition("malignancy-history", 900),
            says("gait-disturbance"),
            denies(*CORD_SIGNS, days_ago=2),
        ),
        "resolved cancer and an abnormal gait, signs denied": row(
            NOT_MET,
            condition("malignancy-active", 900, status="resolved"),
            says("gait-disturbance"),
            denies(*CORD_SIGNS, days_ago=2),
        ),
        "tumor of the spine and an abnormal gait": row(
            MET, condition("spinal-neoplasm", 900), says("gait-disturbance")
        ),
        "benign tumor of the spine and a sign": row(
            MET, condition("spinal-neoplasm", 900, code=(SNOMED, "92407004")), says("limb-sensation-loss")
        ),
        "sign, no cancer": row(NOT_MET, says("leg-weakness")),
        "sign, cancer denied": row(NOT_MET, form({"cancer-history": False, "leg-weakness": True})),
        "nothing recorded": row(NOT_MET),
        "nothing recorded, conditions not available": row(UNKNOWN, missing=["Condition"]),
        "cancer, signs denied, observations not available": row(
            UNKNOWN, condition("malignancy-history", 900), denies(*CORD_SIGNS), missing=["Observation"]
        ),
        "sign, no cancer among the conditions, forms not available": row(
            UNKNOWN, observation("leg-weakness", True), missing=["QuestionnaireResponse"]
        ),
        "cancer and sign on the form, conditions not available": row(
            MET, form({"cancer-history": True, "leg-weakness": True}), missing=["Condition"]
        ),
    },
}


@pytest.mark.parametrize(("criterion", "example"), [*each(EXAMPLES)])
def test_example(criterion, example):
    answer = example.judged().answer(criterion)
    assert answer.status == example.expected
    assert answer.reason
    assert answer.evidence or answer.status != MET


# Situation -> the emergency criteria on the card (none: no card), and the record.
OPENING = {
    "saddle anesthesia is a back problem of its own": ({"cauda-equina"}, [says("saddle-anesthesia")]),
    "retention alone is none": (set(), [says("urinary-retention")]),
    "retention with a weak leg is one": (
        {"cauda-equina"},
        [form({"urinary-retention": True, "leg-weakness": True})],
    ),
    "paralysis alone is none": (set(), [says("paralysis")]),
    "paralysis with back pain": ({"paralysis"}, [back_pain(), says("paralysis")]),
    "consciousness altered, with back pain": (
        {"altered-consciousness"},
        [back_pain(), says("altered-consciousness")],
    ),
    "several at once are on one card": (
        {"cauda-equina", "severe-motor-weakness", "possible-cord-compression"},
        [back_pain(), condition("malignancy-history", 900), says("urinary-retention"), grade(2)],
    ),
    "old incontinence beside new back pain": (set(), [back_pain(), condition("bladder-control-loss", 400)]),
    "a weak leg that nobody graded": (set(), [back_pain(), says("leg-weakness")]),
    "back pain alone": (set(), [back_pain()]),
}


@pytest.mark.parametrize(("criteria", "record"), OPENING.values(), ids=OPENING)
@pytest.mark.parametrize("hook", ["patient-view", "encounter-start"])
def test_card(hook, criteria, record):
    judged = judge(*record, hook=hook)
    assert set(judged.on_card("emergency")) == criteria
    assert judged.cards().get("emergency") == ("critical" if criteria else None)


def test_the_card_appears_though_the_back_problem_is_not_current():
    judged = judge(back_pain(1000), condition("paralysis", 20))
    assert not judged.evaluation.back_problem.current
    assert judged.cards() == {"emergency": "critical"}


def test_the_card_comes_before_all_others():
    record = back_pain(), condition("malignancy-active", 900), says("saddle-anesthesia")
    assert next(iter(judge(*record).cards())) == "emergency"


def test_a_disabled_criterion_opens_no_card():
    record = back_pain(), form({"saddle-anesthesia": True, "paralysis": True})
    assert judge(*record, disabled=["cauda-equina"]).on_card("emergency") == ("paralysis",)
    assert "emergency" not in judge(*record, disabled=["cauda-equina", "paralysis"]).cards()


def test_a_low_grade_of_a_muscle_opens_the_card_with_back_pain_only():
    assert judge(grade(2)).cards() == {}
    assert judge(back_pain(), grade(2)).on_card("emergency") == ("severe-motor-weakness",)
