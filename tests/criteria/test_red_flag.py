"""Worked examples of the red-flag criteria and of the card they open (catalogue, section 6, red-flag)."""

import pytest

from cds.answers import MET, NOT_MET, UNKNOWN
from tests.criteria import Row, each, row
from tests.records import (
    ago,
    back_pain,
    coded,
    condition,
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

SNOMED = "http://snomed.info/sct"
LOINC = "http://loinc.org"
ICD = "http://hl7.org/fhir/sid/icd-10-cm"
RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"
INTERPRETATION = "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation"
RANGE_MEANING = "http://terminology.hl7.org/CodeSystem/referencerange-meaning"
ORAL = ("https://ehr.example.org/routes", "by-mouth")  # any route that the catalogue does not exempt
CHILD = "2020-02-02"  # six years old
CHILD_SIGNS = ("night-pain", "fever", "reduced-range-of-motion", "irritability", "localized-tenderness", "limping")


def says(finding, days_ago=1):
    return form({finding: True}, days_ago)


def denies(*findings, days_ago=1):
    return form(dict.fromkeys(findings, False), days_ago)


def weighs(kilograms, days_ago=1, unit="kg"):
    return observation("body-weight", kilograms, unit, days_ago=days_ago)


def temperature(value, days_ago=1, unit="Cel", **elements):
    return observation("body-temperature", value, unit, days_ago=days_ago, **elements)


def score(value, days_ago=1, unit="{score}"):
    return observation("pain-score", value, unit, days_ago=days_ago)


def sciatica(days_ago=10, **elements):
    return condition("sciatica-radiculopathy", days_ago, **elements)


def lab(concept, value, unit, days_ago=3, interpretation=None, high=None, meaning=None, **elements):
    """A laboratory value; high: (upper limit, its unit) of its own range, meaning: the range's type."""
    if interpretation:
        elements["interpretation"] = [{"coding": [{"system": INTERPRETATION, "code": interpretation}]}]
    if high:
        limit, limit_unit = high
        quantity = {"value": limit, "unit": limit_unit, "code": limit_unit}
        given = {"high": {**quantity, "system": "http://unitsofmeasure.org"}}
        if meaning:
            given["type"] = {"coding": [{"system": RANGE_MEANING, "code": meaning}]}
        elements["referenceRange"] = [given]
    return observation(concept, value, unit, days_ago=days_ago, **elements)


def crp(value, days_ago=3, unit="mg/L", **elements):
    return lab("crp", value, unit, days_ago, **elements)


def esr(value, days_ago=3, **elements):
    return lab("esr", value, "mm/h", days_ago, **elements)


def wbc(value, days_ago=3, **elements):
    return lab("wbc", value, "10*9/L", days_ago, **elements)


def contained(concept):
    """A request whose medicine is a contained Medication."""
    return resource(
        "MedicationRequest",
        status="active",
        intent="order",
        authoredOn=ago(100),
        contained=[{"resourceType": "Medication", "id": "m", "code": coded(concept)}],
        medicationReference={"reference": "#m"},
    )


def one_finding(finding: str) -> dict[str, Row]:
    """What holds of each red flag that is one finding, without a window of its own."""
    return {
        "an active condition counts whatever its start": row(MET, condition(finding, 2000)),
        "condition resolved": row(UNKNOWN, condition(finding, 5, status="resolved")),
        "condition, denied since: the diagnosis stands": row(MET, condition(finding, 5), denies(finding)),
        "condition refuted": row(
            NOT_MET, condition(finding, 5, verification="refuted", status=None, recordedDate=ago(2))
        ),
        "observed on the first day of the window": row(MET, observation(finding, True, days_ago=90)),
        "observed a day before the window": row(UNKNOWN, observation(finding, True, days_ago=91)),
        "observed by our code": row(MET, observation(finding, True, code=own(finding))),
        "observed absent": row(NOT_MET, observation(finding, False)),
        "observed absent, a day before the window": row(UNKNOWN, observation(finding, False, days_ago=91)),
        "said on the form on the first day of the window": row(MET, says(finding, 90)),
        "said on the form a day before the window": row(UNKNOWN, says(finding, 91)),
        "denied on the form": row(NOT_MET, denies(finding)),
        "observed, denied since": row(NOT_MET, observation(finding, True, days_ago=5), denies(finding)),
        "denied, observed since": row(MET, denies(finding, days_ago=5), observation(finding, True)),
        "nothing recorded": row(UNKNOWN),
        "denied, conditions not available": row(UNKNOWN, denies(finding), missing=["Condition"]),
        "denied, observations not available": row(UNKNOWN, denies(finding), missing=["Observation"]),
        "observed absent, forms not available": row(
            UNKNOWN, observation(finding, False), missing=["QuestionnaireResponse"]
        ),
        "a shorter window of the site": row(UNKNOWN, says(finding, 31), symptom_window_days=30),
    }


EXAMPLES = {
    "cancer-history": {
        "active cancer": row(MET, condition("malignancy-active", 20)),
        "cancer resolved long ago": row(MET, condition("malignancy-active", 5000, status="resolved")),
        "cancer in remission": row(MET, condition("malignancy-active", 900, status="remission")),
        "cancer suspected": row(MET, condition("malignancy-active", 20, verification="provisional")),
        "cancer refuted": row(
            NOT_MET,
            condition("malignancy-active", 20, verification="refuted", status=None, recordedDate=ago(5)),
        ),
        "cancer entered in error": row(
            NOT_MET, condition("malignancy-active", 20, verification="entered-in-error", status=None)
        ),
        "cancer by ICD-10-CM prefix": row(MET, condition("malignancy-active", 20, code=(ICD, "C50.911"))),
        "bone metastasis": row(MET, condition("metastasis-bone", 20)),
        "history of cancer": row(MET, condition("malignancy-history", 900)),
        "history of melanoma": row(MET, condition("malignancy-history", 900, code=(ICD, "Z85.820"))),
        "history of another skin cancer": row(NOT_MET, condition("malignancy-history", 900, code=(ICD, "Z85.828"))),
        "skin cancer other than melanoma": row(NOT_MET, condition("malignancy-active", 20, code=(ICD, "C44.91"))),
        "carcinoma in situ": row(NOT_MET, condition("malignancy-active", 20, code=(ICD, "D05.10"))),
        "cancer in the family": row(NOT_MET, condition("malignancy-history", 20, code=(ICD, "Z80.3"))),
        "said on a form of many years ago": row(MET, says("cancer-history", 4000)),
        "observed by our code": row(MET, observation("cancer-history", True, days_ago=400, code=own("cancer-history"))),
        "said once, denied since": row(NOT_MET, says("cancer-history", 400), denies("cancer-history")),
        "cancer resolved, denied since": row(
            MET, condition("malignancy-active", 5000, status="resolved"), denies("cancer-history")
        ),
        "denied": row(NOT_MET, denies("cancer-history")),
        "nothing recorded": row(NOT_MET),
        "nothing recorded, conditions not available": row(UNKNOWN, missing=["Condition"]),
        "nothing recorded, observations not available": row(UNKNOWN, missing=["Observation"]),
        "nothing recorded, forms not available": row(UNKNOWN, missing=["QuestionnaireResponse"]),
        "nothing recorded, medicines not available": row(NOT_MET, missing=["MedicationRequest", "MedicationStatement"]),
        "active cancer, forms not available": row(
            MET, condition("malignancy-active", 20), missing=["QuestionnaireResponse", "Observation"]
        ),
    },
    "spinal-neoplasm": {
        "tumor of the spine, however old": row(MET, condition("spinal-neoplasm", 3000)),
        "benign tumor of the spine": row(MET, condition("spinal-neoplasm", 20, code=(SNOMED, "92407004"))),
        "bone metastasis": row(MET, condition("metastasis-bone", 20)),
        "cancer elsewhere": row(NOT_MET, condition("malignancy-active", 20)),
        "tumor removed": row(NOT_MET, condition("spinal-neoplasm", 900, status="resolved")),
        "tumor refuted": row(NOT_MET, condition("spinal-neoplasm", 20, verification="refuted", status=None)),
        "nothing recorded": row(NOT_MET),
        "nothing recorded, conditions not available": row(UNKNOWN, missing=["Condition"]),
    },
    "unexplained-weight-loss": {
        "diagnosed on the first day of the window": row(MET, condition("unexplained-weight-loss", 365)),
        "diagnosed a day before the window": row(UNKNOWN, condition("unexplained-weight-loss", 366)),
        "diagnosis resolved": row(UNKNOWN, condition("unexplained-weight-loss", 20, status="resolved")),
        "observed on the first day of the window": row(MET, observation("unexplained-weight-loss", True, days_ago=365)),
        "observed a day before the window": row(UNKNOWN, observation("unexplained-weight-loss", True, days_ago=366)),
        "said on the form": row(MET, says("unexplained-weight-loss", 365)),
        "denied on the form": row(NOT_MET, denies("unexplained-weight-loss")),
        "loss of weight, intent not stated": row(
            UNKNOWN, condition("unexplained-weight-loss", 20, code=(SNOMED, "89362005"))
        ),
        "cachexia": row(UNKNOWN, condition("unexplained-weight-loss", 20, code=(ICD, "R64"))),
        "weight fallen by exactly five percent": row(MET, weighs(80, 200), weighs(76)),
        "weight fallen by less": row(NOT_MET, weighs(80, 200), weighs(76.1)),
        "fallen from the highest, not from the first": row(MET, weighs(80, 300), weighs(90, 200), weighs(85.5)),
        "fallen and regained": row(NOT_MET, weighs(90, 300), weighs(80, 200), weighs(88)),
        "weight risen": row(NOT_MET, weighs(80, 200), weighs(90)),
        "highest on the first day of the window": row(MET, weighs(80, 365), weighs(70)),
        "highest a day before the window": row(UNKNOWN, weighs(80, 366), weighs(70)),
        "newest ninety days ago": row(MET, weighs(80, 200), weighs(70, 90)),
        "newest older than that": row(UNKNOWN, weighs(80, 200), weighs(70, 91)),
        "weighed once": row(UNKNOWN, weighs(70)),
        "pounds against kilograms": row(MET, weighs(80, 200), weighs(167.5, unit="[lb_av]")),
        "unit not stated": row(UNKNOWN, weighs(80, 200), weighs(70, unit=None)),
        "a larger fall asked for by the site": row(NOT_MET, weighs(80, 200), weighs(74), weight_loss_percent=10),
        "fallen, loss denied": row(MET, weighs(80, 200), weighs(70), denies("unexplained-weight-loss")),
        "stable, loss said": row(MET, weighs(80, 200), weighs(80), says("unexplained-weight-loss")),
        "eighteen today": row(MET, weighs(80, 200), weighs(70), born="2008-11-20"),
        "eighteen tomorrow": row(UNKNOWN, weighs(80, 200), weighs(70), born="2008-11-21"),
        "under eighteen, loss said": row(MET, says("unexplained-weight-loss"), born="2015-01-01"),
        "fallen, birth date not known": row(UNKNOWN, weighs(80, 200), weighs(70), born=None),
        "meant, said after the highest weight": row(
            NOT_MET, weighs(80, 200), weighs(70), says("intentional-weight-loss", 100)
        ),
        "meant, said on the day of the highest weight": row(
            NOT_MET, weighs(80, 200), weighs(70), says("intentional-weight-loss", 200)
        ),
        "meant, said before the highest weight": row(
            MET, weighs(80, 200), weighs(70), says("intentional-weight-loss", 201)
        ),
        "meant, by a diet begun before the highest weight": row(
            MET, weighs(80, 200), weighs(70), condition("intentional-weight-loss", 300)
        ),
        "meant, by a diet begun since": row(
            NOT_MET, weighs(80, 200), weighs(70), condition("intentional-weight-loss", 100)
        ),
        "meant as said, denied since": row(
            MET,
            weighs(80, 200),
            weighs(70),
            says("intentional-weight-loss", 100),
            denies("intentional-weight-loss"),
        ),
        "meant, by a diet on record": row(
            NOT_MET, weighs(80, 200), weighs(70), observation("intentional-weight-loss", days_ago=100)
        ),
        "not meant": row(MET, weighs(80, 200), weighs(70), denies("intentional-weight-loss")),
        "loss said, meant as said later": row(
            NOT_MET, says("unexplained-weight-loss", 100), says("intentional-weight-loss", 50)
        ),
        "loss said anew after it was meant": row(
            MET, says("intentional-weight-loss", 100), says("unexplained-weight-loss", 50)
        ),
        "loss diagnosed, meant as said later, said anew since": row(
            MET,
            condition("unexplained-weight-loss", 300),
            says("intentional-weight-loss", 100),
            says("unexplained-weight-loss", 50),
        ),
        "weights explained, loss said after the explanation": row(
            MET,
            weighs(80, 200),
            weighs(70),
            says("intentional-weight-loss", 100),
            says("unexplained-weight-loss", 50),
        ),
        "pregnant since the highest weight": row(NOT_MET, weighs(80, 200), weighs(70), condition("pregnancy", 100)),
        "pregnancy since the highest weight, over": row(
            NOT_MET, weighs(80, 200), weighs(70), condition("pregnancy", 100, status="resolved")
        ),
        "loss said, pregnant since": row(NOT_MET, says("unexplained-weight-loss", 100), condition("pregnancy", 50)),
        "stomach operated since the highest weight": row(
            NOT_MET, weighs(80, 200), weighs(70), procedure("bariatric-surgery", 150)
        ),
        "stomach operation as a condition": row(
            NOT_MET, weighs(80, 200), weighs(70), condition("bariatric-surgery", 150)
        ),
        "stomach operated long before": row(MET, weighs(80, 200), weighs(70), procedure("bariatric-surgery", 900)),
        "stomach operation not done": row(
            MET, weighs(80, 200), weighs(70), procedure("bariatric-surgery", 150, "not-done")
        ),
        "fallen, forms not available": row(UNKNOWN, weighs(80, 200), weighs(70), missing=["QuestionnaireResponse"]),
        "fallen, procedures not available": row(UNKNOWN, weighs(80, 200), weighs(70), missing=["Procedure"]),
        "fallen, conditions not available": row(UNKNOWN, weighs(80, 200), weighs(70), missing=["Condition"]),
        "stable, forms not available": row(UNKNOWN, weighs(80, 200), weighs(80), missing=["QuestionnaireResponse"]),
        "denied, observations not available": row(UNKNOWN, denies("unexplained-weight-loss"), missing=["Observation"]),
        "nothing recorded": row(UNKNOWN),
    },
    "fever-or-infection": {
        "temperature at the limit": row(MET, temperature(38.0)),
        "temperature below the limit": row(NOT_MET, temperature(37.9)),
        "Fahrenheit at the limit": row(MET, temperature(100.4, unit="[degF]")),
        "Fahrenheit below the limit": row(NOT_MET, temperature(100.3, unit="[degF]")),
        "unit not stated": row(UNKNOWN, temperature(39, unit=None)),
        "measured on the first day of the window": row(MET, temperature(39, 14)),
        "measured a day before the window": row(UNKNOWN, temperature(39, 15)),
        "normal, a day before the window": row(UNKNOWN, temperature(36.8, 15)),
        "any temperature counts, not the newest": row(MET, temperature(38.5, 10), temperature(36.8)),
        "measured in this month, no more known": row(MET, temperature(39, date="2026-11")),
        "raised, day not known": row(MET, temperature(39, None)),
        "normal, day not known": row(UNKNOWN, temperature(36.8, None)),
        "below the limit by its comparator": row(NOT_MET, temperature(38, comparator="<")),
        "a higher limit of the site": row(NOT_MET, temperature(38.2), fever_celsius=38.5),
        "fever said on the first day of the window": row(MET, says("fever", 14)),
        "fever said a day before the window": row(UNKNOWN, says("fever", 15)),
        "signs of infection said on the first day of the window": row(MET, says("infection-signs", 14)),
        "signs of infection said a day before the window": row(UNKNOWN, says("infection-signs", 15)),
        "fever said, temperature normal": row(MET, says("fever"), temperature(36.8)),
        "fever observed by its standard code": row(MET, observation("fever", True)),
        "fever denied, signs of infection not asked": row(UNKNOWN, denies("fever")),
        "signs of infection denied, fever not asked": row(UNKNOWN, denies("infection-signs")),
        "both denied": row(NOT_MET, denies("fever", "infection-signs")),
        "both denied, a day before the window": row(UNKNOWN, denies("fever", "infection-signs", days_ago=15)),
        "both denied, temperature raised": row(MET, denies("fever", "infection-signs"), temperature(38.5)),
        "fever denied, temperature normal": row(NOT_MET, denies("fever"), temperature(36.8)),
        "fever diagnosed on the first day of the window": row(MET, condition("fever", 90)),
        "fever diagnosed a day before the window": row(UNKNOWN, condition("fever", 91)),
        "chills diagnosed": row(MET, condition("infection-signs", 30, code=(ICD, "R68.83"))),
        "fever resolved": row(UNKNOWN, condition("fever", 30, status="resolved")),
        "fever caused by a medicine": row(UNKNOWN, condition("fever", 30, code=(ICD, "R50.2"))),
        "fever coded as caused by a medicine too": row(
            UNKNOWN, {**condition("fever", 5), "code": coded("fever", (ICD, "R50.9"), (ICD, "R50.2"))}
        ),
        "systemic infection on the first day of the window": row(MET, condition("infection-active-systemic", 365)),
        "systemic infection a day before the window": row(UNKNOWN, condition("infection-active-systemic", 366)),
        "systemic infection over": row(UNKNOWN, condition("infection-active-systemic", 30, status="resolved")),
        "systemic infection, both denied": row(
            MET, condition("infection-active-systemic", 30), denies("fever", "infection-signs")
        ),
        "infection of the urinary tract": row(UNKNOWN, condition("uti", 5, code=(ICD, "N39.0"))),
        "infection of the spine, however old": row(MET, condition("infection-spinal", 2000)),
        "infection of the spine healed": row(UNKNOWN, condition("infection-spinal", 2000, status="resolved")),
        "normal, conditions not available": row(UNKNOWN, temperature(36.8), missing=["Condition"]),
        "normal, forms not available": row(UNKNOWN, temperature(36.8), missing=["QuestionnaireResponse"]),
        "both denied, observations not available": row(
            UNKNOWN, denies("fever", "infection-signs"), missing=["Observation"]
        ),
        "raised, conditions not available": row(MET, temperature(38.5), missing=["Condition"]),
        "nothing recorded": row(UNKNOWN),
    },
    "immunosuppression": {
        "condition, however old": row(MET, condition("immunosuppression-condition", 4000)),
        "condition resolved": row(NOT_MET, condition("immunosuppression-condition", 400, status="resolved")),
        "medicine by mouth": row(MET, medicine("immunosuppressant", route=ORAL)),
        "medicine, route not stated": row(MET, medicine("immunosuppressant")),
        **{
            f"medicine by the {name} route": row(NOT_MET, medicine("immunosuppressant", route=(SNOMED, route)))
            for name, route in {
                "topical": "6064005",
                "respiratory": "447694001",
                "nasal": "46713006",
                "ophthalmic": "54485002",
                "otic": "10547007",
            }.items()
        },
        "medicine as a statement": row(MET, statement("immunosuppressant")),
        "medicine contained in its request": row(MET, contained("immunosuppressant")),
        "corticosteroid": row(MET, medicine("systemic-corticosteroid")),
        "clinical drug": row(MET, medicine("prednisone", code=(RXNORM, "312617"))),
        "medicine stopped": row(NOT_MET, medicine("immunosuppressant", status="stopped")),
        "medicine on hold is not active": row(NOT_MET, medicine("immunosuppressant", status="on-hold")),
        "medicine completed": row(NOT_MET, medicine("immunosuppressant", status="completed")),
        "medicine planned": row(NOT_MET, {**medicine("immunosuppressant"), "intent": "plan"}),
        "medicine not to be given": row(NOT_MET, medicine("immunosuppressant", doNotPerform=True)),
        "said years ago": row(MET, says("immunosuppression", 4000)),
        "observed by our code": row(MET, observation("immunosuppression", True, code=own("immunosuppression"))),
        "denied, medicine active": row(MET, denies("immunosuppression"), medicine("immunosuppressant")),
        "denied": row(NOT_MET, denies("immunosuppression")),
        "nothing recorded": row(NOT_MET),
        "nothing recorded, requests not available": row(UNKNOWN, missing=["MedicationRequest"]),
        "nothing recorded, statements not available": row(UNKNOWN, missing=["MedicationStatement"]),
        "nothing recorded, conditions not available": row(UNKNOWN, missing=["Condition"]),
        "condition, medicines not available": row(
            MET,
            condition("immunosuppression-condition"),
            missing=["MedicationRequest", "MedicationStatement"],
        ),
    },
    "iv-drug-use": {
        "diagnosed": row(MET, condition("iv-drug-use", 400)),
        "injected in the past": row(MET, condition("iv-drug-use", 4000, code=(SNOMED, "416479009"))),
        "social history, never expiring": row(
            MET,
            observation("iv-drug-use", days_ago=4000, category=[{"coding": [{"code": "social-history"}]}]),
        ),
        "social history, as the value of an assertion": row(
            MET, observation("assertion", (SNOMED, "226034001"), code=(LOINC, "75325-1"))
        ),
        "said years ago": row(MET, says("iv-drug-use", 4000)),
        "said once, denied since": row(NOT_MET, says("iv-drug-use", 400), denies("iv-drug-use")),
        "diagnosed, denied since: the diagnosis stands": row(MET, condition("iv-drug-use", 400), denies("iv-drug-use")),
        "denied years ago": row(NOT_MET, denies("iv-drug-use", days_ago=4000)),
        "use of opioids, route not stated": row(UNKNOWN, condition("iv-drug-use", 30, code=(ICD, "F11.20"))),
        "never injected is not the finding": row(UNKNOWN, observation("iv-drug-use", code=(SNOMED, "413096007"))),
        "nothing recorded": row(UNKNOWN),
        "denied, conditions not available": row(UNKNOWN, denies("iv-drug-use"), missing=["Condition"]),
    },
    "pain-over-4-weeks": {
        "onset and treatment just long enough": row(MET, back_pain(29), medicine("nsaid", 28)),
        "onset four weeks ago to the day": row(NOT_MET, back_pain(28), medicine("nsaid", 28)),
        "treatment a day too short": row(NOT_MET, back_pain(29), medicine("nsaid", 27)),
        "treatment from thirty days before the onset": row(MET, back_pain(29), medicine("nsaid", 59)),
        "treatment from before that: for something else": row(UNKNOWN, back_pain(29), medicine("nsaid", 60)),
        "treatment not recorded": row(UNKNOWN, back_pain(60)),
        "treatment stated not tried": row(NOT_MET, back_pain(60), denies("conservative-treatment-tried")),
        "stated not tried, yet a medicine on record": row(
            MET, back_pain(60), denies("conservative-treatment-tried"), medicine("nsaid", 40)
        ),
        "stated not tried, requests not available": row(
            UNKNOWN, back_pain(60), denies("conservative-treatment-tried"), missing=["MedicationRequest"]
        ),
        "treated by statement": row(MET, back_pain(60), statement("muscle-relaxant", 40)),
        "treated by physical therapy": row(MET, back_pain(60), procedure("physical-therapy", 40)),
        "therapy ordered, begun": row(MET, back_pain(60), order("physical-therapy", 50, occurrenceDateTime=ago(40))),
        "therapy ordered, not known to have begun": row(UNKNOWN, back_pain(60), order("physical-therapy", 40)),
        "medicine only drafted": row(UNKNOWN, back_pain(60), medicine("nsaid", 40, status="draft")),
        "four weeks of treatment, by the form": row(
            MET,
            back_pain(60),
            form({"conservative-treatment-tried": True, "conservative-treatment-weeks": 4}, 0),
        ),
        "three weeks of treatment, by the form": row(
            NOT_MET,
            back_pain(60),
            form({"conservative-treatment-tried": True, "conservative-treatment-weeks": 3}, 0),
        ),
        "treatment of a length not stated, said lately": row(
            UNKNOWN, back_pain(60), says("conservative-treatment-tried", 27)
        ),
        "treatment of a length not stated, said four weeks ago": row(
            MET, back_pain(60), says("conservative-treatment-tried", 28)
        ),
        "relief said": row(NOT_MET, back_pain(60), medicine("nsaid", 40), says("significant-relief")),
        "relief denied": row(MET, back_pain(60), medicine("nsaid", 40), denies("significant-relief")),
        "relief said before the window": row(
            MET, back_pain(200), medicine("nsaid", 180), says("significant-relief", 91)
        ),
        "relief said before the onset": row(MET, back_pain(50), medicine("nsaid", 40), says("significant-relief", 60)),
        "relief said, pain as high as ever since": row(
            MET, back_pain(60), medicine("nsaid", 40), score(8, 50), says("significant-relief", 20), score(8)
        ),
        "pain down by 30 percent": row(NOT_MET, back_pain(60), medicine("nsaid", 40), score(10, 50), score(7)),
        "pain down by less": row(MET, back_pain(60), medicine("nsaid", 40), score(10, 50), score(7.1)),
        "pain down from what it was before the onset": row(
            MET, back_pain(60), medicine("nsaid", 40), score(10, 70), score(7, 50), score(7)
        ),
        "onset not stated, recorded long ago": row(MET, back_pain(None, recordedDate=ago(60)), medicine("nsaid", 40)),
        "onset by month, surely long ago": row(MET, condition("back-pain", date="2026-09"), medicine("nsaid", 45)),
        "onset by month, perhaps too recent": row(
            UNKNOWN, condition("back-pain", date="2026-10"), medicine("nsaid", 45)
        ),
        "onset not known": row(UNKNOWN, condition("back-pain", None), medicine("nsaid", 45)),
        "back pain known from the form only": row(UNKNOWN, says("back-pain", 60), medicine("nsaid", 45)),
        "the earliest onset counts": row(MET, sciatica(60), back_pain(10), medicine("nsaid", 40)),
        "back problem resolved": row(NOT_MET, back_pain(60, status="resolved"), medicine("nsaid", 40)),
        "no back problem": row(NOT_MET, medicine("nsaid", 45)),
        "onset and treatment long enough, observations not available": row(
            UNKNOWN, back_pain(60), medicine("nsaid", 40), missing=["Observation"]
        ),
        "onset and treatment long enough, forms not available": row(
            UNKNOWN, back_pain(60), medicine("nsaid", 40), missing=["QuestionnaireResponse"]
        ),
        "treatment too short as far as known, requests not available": row(
            UNKNOWN, back_pain(60), procedure("physical-therapy", 20), missing=["MedicationRequest"]
        ),
        "treatment long enough, requests not available": row(
            MET, back_pain(60), procedure("physical-therapy", 40), missing=["MedicationRequest"]
        ),
        "a longer persistence asked for by the site": row(
            NOT_MET, back_pain(40), medicine("nsaid", 40), persistent_pain_days=42
        ),
    },
    "night-pain": one_finding("night-pain"),
    "severe-radicular-pain": {
        "sciatica with a severe score": row(MET, sciatica(), score(7)),
        "sciatica with a score just below": row(NOT_MET, sciatica(), score(6)),
        "a higher limit of the site": row(NOT_MET, sciatica(), score(7), pain_severe=8),
        "radicular pain said, severe score": row(MET, says("radicular-pain"), score(8)),
        "radicular pain said before the window, severe score": row(UNKNOWN, says("radicular-pain", 91), score(8)),
        "herniated disc with radiculopathy, severe score": row(
            MET, condition("disc-herniation-with-radiculopathy"), score(8)
        ),
        "herniated disc, radicular pain not recorded": row(UNKNOWN, condition("disc-herniation"), score(8)),
        "sciatica resolved, severe score": row(UNKNOWN, sciatica(status="resolved"), score(8)),
        "radicular pain denied, severe score": row(NOT_MET, denies("radicular-pain"), score(9)),
        "radicular pain not recorded, severe score": row(UNKNOWN, score(9)),
        "sciatica, pain not scored": row(UNKNOWN, sciatica()),
        "sciatica of severe degree": row(MET, sciatica(severity="severe")),
        "sciatica of moderate degree": row(NOT_MET, sciatica(severity="moderate")),
        "herniated disc with radiculopathy of severe degree": row(
            MET, condition("disc-herniation-with-radiculopathy", severity="severe")
        ),
        "sciatica once severe and resolved, now mild": row(
            NOT_MET, sciatica(400, severity="severe", status="resolved"), sciatica(severity="mild")
        ),
        "sciatica of moderate degree, scored before the window": row(
            NOT_MET, sciatica(severity="moderate"), score(7, 91)
        ),
        "sciatica of mild degree, severe score": row(MET, sciatica(severity="mild"), score(7)),
        "sciatica of severe degree, low score": row(MET, sciatica(severity="severe"), score(3)),
        "radicular pain worsening": row(MET, says("radicular-pain-worsening")),
        "radicular pain worsening, low score": row(MET, says("radicular-pain-worsening"), score(3)),
        "sciatica not worsening, low score": row(NOT_MET, sciatica(), denies("radicular-pain-worsening"), score(3)),
        "sciatica not worsening, pain not scored": row(UNKNOWN, sciatica(), denies("radicular-pain-worsening")),
        "score risen by two": row(MET, sciatica(), score(3, 20), score(5)),
        "score risen by one": row(NOT_MET, sciatica(), score(4, 20), score(5)),
        "risen above the lowest, not above the last": row(MET, sciatica(), score(2, 40), score(4, 20), score(4)),
        "risen and fallen again": row(NOT_MET, sciatica(), score(2, 40), score(6, 20), score(3)),
        "lowest on the first day of the window": row(MET, sciatica(), score(2, 90), score(4)),
        "lowest a day before the window": row(NOT_MET, sciatica(), score(2, 91), score(4)),
        "severe once, moderate since": row(NOT_MET, sciatica(), score(9, 20), score(5)),
        "severe on the first day of the window": row(MET, sciatica(), score(7, 90)),
        "severe a day before the window": row(UNKNOWN, sciatica(), score(7, 91)),
        "two scores on one day: the worse": row(MET, sciatica(), score(8), score(3)),
        "severe, day not known": row(MET, sciatica(), score(8, None)),
        "low, day not known": row(UNKNOWN, sciatica(), score(3, None)),
        "scored on the form": row(MET, form({"radicular-pain": True, "pain-score": 7})),
        "scored by LOINC, no unit": row(MET, sciatica(), observation("pain", code=(LOINC, "72514-3"), valueInteger=7)),
        "a visual scale of a hundred": row(
            UNKNOWN, sciatica(), observation("pain-score", 8, "{score}", code=(LOINC, "38214-3"))
        ),
        "a score above ten": row(UNKNOWN, sciatica(), score(11)),
        "sciatica, radicular pain denied, severe score": row(MET, sciatica(), denies("radicular-pain"), score(8)),
        "low score, forms not available": row(UNKNOWN, sciatica(), score(3), missing=["QuestionnaireResponse"]),
        "moderate degree, observations not available": row(
            UNKNOWN, sciatica(severity="moderate"), missing=["Observation"]
        ),
        "severe degree, observations not available": row(MET, sciatica(severity="severe"), missing=["Observation"]),
        "radicular pain denied, conditions not available": row(
            UNKNOWN, denies("radicular-pain"), missing=["Condition"]
        ),
        "nothing recorded": row(UNKNOWN),
    },
    "gait-disturbance": {
        **one_finding("gait-disturbance"),
        "gait coded where limps are": row(UNKNOWN, condition("gait-disturbance", 5, code=(ICD, "R26.89"))),
        "a limp": row(UNKNOWN, condition("limping", 5)),
    },
    "spinal-infection": {
        "infection of the spine, however old": row(MET, condition("infection-spinal", 2000)),
        "discitis, unconfirmed": row(
            MET, condition("infection-spinal", 5, code=(SNOMED, "2304001"), verification="unconfirmed")
        ),
        "healed": row(NOT_MET, condition("infection-spinal", 2000, status="resolved")),
        "of the neck": row(NOT_MET, condition("infection-spinal", 5, code=(ICD, "M46.22"))),
        "infection elsewhere": row(NOT_MET, condition("infection-active-systemic", 5)),
        "nothing recorded": row(NOT_MET),
        "nothing recorded, conditions not available": row(UNKNOWN, missing=["Condition"]),
    },
    "raised-inflammatory-markers": {
        "CRP above the default limit": row(MET, crp(10.1)),
        "CRP at the default limit": row(NOT_MET, crp(10)),
        "CRP in mg/dL": row(MET, crp(1.1, unit="mg/dL")),
        "CRP below the limit by its comparator": row(NOT_MET, crp(10, comparator="<")),
        "CRP below no useful limit": row(UNKNOWN, crp(20, comparator="<")),
        "CRP above the limit by its comparator": row(MET, crp(100, comparator=">")),
        "CRP in a unit not understood": row(UNKNOWN, crp(100, unit="nmol/L")),
        "CRP on the first day of the window": row(MET, crp(20, 30)),
        "CRP a day before the window": row(UNKNOWN, crp(20, 31)),
        "CRP raised, day not known": row(MET, crp(20, None)),
        "CRP normal, day not known": row(UNKNOWN, crp(5, None)),
        "CRP raised once, normal since": row(NOT_MET, crp(50, 10), crp(5)),
        "CRP normal once, raised since": row(MET, crp(5, 10), crp(50)),
        "CRP raised once, not to be judged since": row(UNKNOWN, crp(50, 10), crp(50, unit="nmol/L")),
        "ESR of a woman of fifty above her limit": row(MET, esr(31)),
        "ESR of a woman of fifty at her limit": row(NOT_MET, esr(30)),
        "ESR of a man of fifty above his limit": row(MET, esr(25.2), sex="male"),
        "ESR of a man of fifty at his limit": row(NOT_MET, esr(25), sex="male"),
        "ESR at fifty, sex not known": row(MET, esr(26), sex="unknown"),
        "ESR of a woman of twenty above the general limit": row(MET, esr(21), born="2006-01-01"),
        "ESR of a woman of twenty at the general limit": row(NOT_MET, esr(20), born="2006-01-01"),
        "ESR of an age not known": row(UNKNOWN, esr(35), born=None),
        "WBC above the limit": row(MET, wbc(11.1)),
        "WBC at the limit": row(NOT_MET, wbc(11)),
        "WBC of a child above the limit of adults": row(NOT_MET, wbc(15), born=CHILD),
        "WBC of a child above the limit of children": row(MET, wbc(15.1), born=CHILD),
        "WBC above the limit of adults, eighteen tomorrow": row(NOT_MET, wbc(12), born="2008-11-21"),
        "WBC above the limit of adults, eighteen today": row(MET, wbc(12), born="2008-11-20"),
        "WBC above the limit of adults only, age not known": row(UNKNOWN, wbc(13), born=None),
        "WBC above either limit, age not known": row(MET, wbc(16), born=None),
        "WBC in thousands a microliter": row(MET, lab("wbc", 12, "10*3/uL")),
        "high by interpretation, value low": row(MET, crp(2, interpretation="H")),
        "critically high by interpretation": row(MET, wbc(2, interpretation="HH")),
        "normal by interpretation, value high": row(NOT_MET, crp(50, interpretation="N")),
        "interpretation wins over the range": row(NOT_MET, crp(50, interpretation="N", high=(5, "mg/L"))),
        "high by interpretation, no value": row(MET, crp(None, interpretation="H")),
        "abnormal CRP is a raised one": row(MET, crp(2, interpretation="A")),
        "abnormal WBC is not": row(NOT_MET, wbc(9, interpretation="A")),
        "low WBC": row(NOT_MET, wbc(2, interpretation="L")),
        "above its own range": row(MET, crp(6, high=(5, "mg/L"))),
        "within its own range": row(NOT_MET, crp(20, high=(25, "mg/L"))),
        "at the top of its own range": row(NOT_MET, crp(5, high=(5, "mg/L"))),
        "its own range of type normal": row(MET, crp(6, high=(5, "mg/L"), meaning="normal")),
        "a range of another type does not count": row(NOT_MET, crp(6, high=(5, "mg/L"), meaning="treatment")),
        "its own range in another unit": row(NOT_MET, crp(12, high=(2, "mg/dL"))),
        "one raised, the others normal": row(MET, crp(5), esr(40), wbc(8)),
        "all normal": row(NOT_MET, crp(5), esr(10), wbc(8)),
        "one normal, one not to be judged": row(UNKNOWN, crp(5), lab("wbc", 20, "%")),
        "one raised, one not to be judged": row(MET, crp(50), lab("wbc", 20, "%")),
        "a limit of the site": row(MET, crp(6), crp_mg_l=5),
        "a longer window of the site": row(MET, crp(50, 45), lab_window_days=60),
        "none measured": row(UNKNOWN),
        "observations not available": row(UNKNOWN, missing=["Observation"]),
    },
    "inflammatory-arthropathy": {
        "on record, however old": row(MET, condition("inflammatory-arthropathy", 5000)),
        "by ICD-10-CM": row(MET, condition("inflammatory-arthropathy", 50, code=(ICD, "M45.6"))),
        "resolved": row(NOT_MET, condition("inflammatory-arthropathy", 500, status="resolved")),
        "relapsed": row(MET, condition("inflammatory-arthropathy", 500, status="relapse")),
        "status not stated, not abated": row(MET, condition("inflammatory-arthropathy", 500, status=None)),
        "status not stated, abated": row(
            NOT_MET, condition("inflammatory-arthropathy", 500, status=None, abatementDateTime=ago(100))
        ),
        "nothing recorded": row(NOT_MET),
        "nothing recorded, conditions not available": row(UNKNOWN, missing=["Condition"]),
    },
    "child-back-pain": {
        "eighteen tomorrow": row(MET, back_pain(), born="2008-11-21"),
        "eighteen today": row(NOT_MET, back_pain(), born="2008-11-20"),
        "a child without a back problem": row(NOT_MET, born=CHILD),
        "a child with neck pain": row(NOT_MET, condition("back-pain", 5, code=(ICD, "M54.2")), born=CHILD),
        "a child with back pain by the form": row(MET, says("back-pain"), born=CHILD),
        "born in a month that leaves it open": row(UNKNOWN, back_pain(), born="2008-11"),
        "born in a month that settles it": row(MET, back_pain(), born="2008-12"),
        "birth date not known": row(UNKNOWN, back_pain(), born=None),
        "birth date not known, no back problem": row(NOT_MET, born=None),
        "another age of the site": row(NOT_MET, back_pain(), born="2009-11-21", child_age_years=16),
        "a child, conditions not available": row(UNKNOWN, born=CHILD, missing=["Condition"]),
        "a child with back pain by the form, conditions not available": row(
            MET, says("back-pain"), born=CHILD, missing=["Condition"]
        ),
    },
    "child-spinal-infection": {
        **{
            f"limping and {sign}": row(MET, back_pain(), form({"limping": True, sign: True}), born=CHILD)
            for sign in CHILD_SIGNS
            if sign != "limping"
        },
        "two years old today": row(MET, back_pain(), form(dict.fromkeys(CHILD_SIGNS, True)), born="2024-11-20"),
        "two years old tomorrow": row(NOT_MET, back_pain(), form(dict.fromkeys(CHILD_SIGNS, True)), born="2024-11-21"),
        "thirteen tomorrow": row(MET, back_pain(), form(dict.fromkeys(CHILD_SIGNS, True)), born="2013-11-21"),
        "thirteen today": row(NOT_MET, back_pain(), form(dict.fromkeys(CHILD_SIGNS, True)), born="2013-11-20"),
        "birth date not known": row(UNKNOWN, back_pain(), form(dict.fromkeys(CHILD_SIGNS, True)), born=None),
        "no back problem": row(NOT_MET, form(dict.fromkeys(CHILD_SIGNS, True)), born=CHILD),
        "one sign, the others not asked": row(UNKNOWN, back_pain(), says("limping"), born=CHILD),
        "nothing asked": row(UNKNOWN, back_pain(), born=CHILD),
        "one sign, all others absent": row(
            NOT_MET,
            back_pain(),
            form({sign: sign == "limping" for sign in CHILD_SIGNS}),
            temperature(36.8),
            crp(5),
            born=CHILD,
        ),
        "one sign, markers not measured, the rest absent": row(
            UNKNOWN,
            back_pain(),
            form({sign: sign == "limping" for sign in CHILD_SIGNS}),
            temperature(36.8),
            born=CHILD,
        ),
        "all absent, markers not measured": row(
            NOT_MET, back_pain(), denies(*CHILD_SIGNS), temperature(36.8), born=CHILD
        ),
        "low-grade temperature": row(MET, back_pain(), says("limping"), temperature(37.5), born=CHILD),
        "temperature below that": row(UNKNOWN, back_pain(), says("limping"), temperature(37.4), born=CHILD),
        "low-grade temperature on the first day of its window": row(
            MET, back_pain(), says("limping"), temperature(37.5, 14), born=CHILD
        ),
        "low-grade temperature a day before its window": row(
            UNKNOWN, back_pain(), says("limping"), temperature(37.5, 15), born=CHILD
        ),
        "fever and its temperature are one sign": row(UNKNOWN, back_pain(), says("fever"), temperature(39), born=CHILD),
        "raised markers": row(MET, back_pain(), says("limping"), crp(20), born=CHILD),
        "signs as diagnoses": row(
            MET, back_pain(), condition("irritability", 5), condition("localized-tenderness", 5), born=CHILD
        ),
        "one sign, all others absent, observations not available": row(
            UNKNOWN,
            back_pain(),
            form({sign: sign == "limping" for sign in CHILD_SIGNS}),
            born=CHILD,
            missing=["Observation"],
        ),
        "two signs, conditions not available": row(
            MET,
            form({"back-pain": True, "limping": True, "night-pain": True}),
            born=CHILD,
            missing=["Condition"],
        ),
    },
    "fracture-risk": {
        "injured on the first day of the window": row(MET, condition("recent-trauma", 90)),
        "injured a day before the window": row(NOT_MET, condition("recent-trauma", 91)),
        "injured, day not known": row(MET, condition("recent-trauma", None)),
        "fall said on the first day of the window": row(MET, says("recent-trauma", 90)),
        "fall observed": row(MET, observation("recent-trauma", True, code=own("recent-trauma"))),
        "fall denied": row(NOT_MET, denies("recent-trauma")),
        "strain of a muscle": row(NOT_MET, condition("strain", 5, code=(ICD, "S39.012A"))),
        "later encounter for an old fracture": row(MET, condition("vertebral-fracture", 5, code=(ICD, "S32.010D"))),
        "sequela of an old fracture": row(NOT_MET, condition("vertebral-fracture", 5, code=(ICD, "S32.010S"))),
        "osteoporosis": row(MET, condition("osteoporosis", 4000)),
        "osteoporosis resolved": row(MET, condition("osteoporosis", 4000, status="resolved")),
        "osteoporosis refuted": row(NOT_MET, condition("osteoporosis", 400, verification="refuted", status=None)),
        "osteoporosis entered in error": row(
            NOT_MET, condition("osteoporosis", 400, verification="entered-in-error", status=None)
        ),
        "osteopenia": row(NOT_MET, condition("osteopenia", 400, code=(ICD, "M85.80"))),
        "vertebral fracture, however old": row(MET, condition("vertebral-fracture", 2000)),
        "vertebral fracture healed": row(NOT_MET, condition("vertebral-fracture", 2000, status="resolved")),
        "corticosteroid for ninety days": row(MET, medicine("systemic-corticosteroid", 90)),
        "corticosteroid for a day less": row(NOT_MET, medicine("systemic-corticosteroid", 89)),
        "corticosteroid since a month that leaves it open": row(
            UNKNOWN, {**medicine("systemic-corticosteroid"), "authoredOn": "2026-08"}
        ),
        "corticosteroid since a day not known": row(UNKNOWN, medicine("systemic-corticosteroid", None)),
        "corticosteroid by statement": row(MET, statement("systemic-corticosteroid", 90)),
        "corticosteroid stopped": row(NOT_MET, medicine("systemic-corticosteroid", 200, status="stopped")),
        "corticosteroid on the skin": row(NOT_MET, medicine("systemic-corticosteroid", 200, route=(SNOMED, "6064005"))),
        "another immunosuppressant": row(NOT_MET, medicine("immunosuppressant", 200)),
        "nothing recorded": row(NOT_MET),
        "nothing recorded, conditions not available": row(UNKNOWN, missing=["Condition"]),
        "nothing recorded, medicines not available": row(UNKNOWN, missing=["MedicationRequest"]),
        "osteoporosis, medicines not available": row(MET, condition("osteoporosis"), missing=["MedicationRequest"]),
    },
}


@pytest.mark.parametrize(("criterion", "example"), [*each(EXAMPLES)])
def test_example(criterion, example):
    answer = example.judged().answer(criterion)
    assert answer.status == example.expected
    assert answer.reason
    assert answer.evidence or answer.status != MET


# Situation -> the card's indicator (none: no card), its criteria, and what is on record beside new back pain.
OPENING = {
    "no flag": (None, set(), []),
    "a single strong flag": ("warning", {"night-pain"}, [says("night-pain")]),
    "an inflammatory arthropathy is weak": (
        "info",
        {"inflammatory-arthropathy"},
        [condition("inflammatory-arthropathy", 900)],
    ),
    "pain for more than four weeks is weak": (
        "info",
        {"pain-over-4-weeks"},
        [condition("back-spasm", 60), medicine("nsaid", 40)],
    ),
    "CRP just below five times the limit is weak": ("info", {"raised-inflammatory-markers"}, [crp(49.9)]),
    "CRP at five times the limit is strong": ("warning", {"raised-inflammatory-markers"}, [crp(50)]),
    "CRP just below five times its own limit is weak": (
        "info",
        {"raised-inflammatory-markers"},
        [crp(24.9, high=(5, "mg/L"))],
    ),
    "CRP at five times its own limit is strong": (
        "warning",
        {"raised-inflammatory-markers"},
        [crp(25, high=(5, "mg/L"))],
    ),
    "CRP high at five times a wider limit of its own is weak": (
        "info",
        {"raised-inflammatory-markers"},
        [crp(60, high=(15, "mg/L"))],
    ),
    "CRP high by interpretation, value below five times the limit": (
        "info",
        {"raised-inflammatory-markers"},
        [crp(30, interpretation="H")],
    ),
    "CRP high by interpretation, value at five times the limit": (
        "warning",
        {"raised-inflammatory-markers"},
        [crp(50, interpretation="H")],
    ),
    "CRP high by interpretation, no value": (
        "info",
        {"raised-inflammatory-markers"},
        [crp(None, interpretation="HH")],
    ),
    "CRP above five times the limit by its comparator": (
        "warning",
        {"raised-inflammatory-markers"},
        [crp(100, comparator=">")],
    ),
    "ESR below five times the limit of a woman of fifty": (
        "info",
        {"raised-inflammatory-markers"},
        [esr(149)],
    ),
    "ESR at five times the limit of a woman of fifty": (
        "warning",
        {"raised-inflammatory-markers"},
        [esr(150)],
    ),
    "CRP strong once, weak since": ("info", {"raised-inflammatory-markers"}, [crp(80, 20), crp(20)]),
    "CRP strong, day not known": ("warning", {"raised-inflammatory-markers"}, [crp(80, None)]),
    "one marker weak, another strong": ("warning", {"raised-inflammatory-markers"}, [wbc(12), crp(80)]),
    "weak flags together stay weak": (
        "info",
        {"inflammatory-arthropathy", "raised-inflammatory-markers", "pain-over-4-weeks"},
        [
            condition("inflammatory-arthropathy", 900),
            crp(20),
            condition("back-spasm", 60),
            medicine("nsaid", 40),
        ],
    ),
    "a weak flag beside a strong one": (
        "warning",
        {"inflammatory-arthropathy", "cancer-history"},
        [condition("inflammatory-arthropathy", 900), condition("malignancy-history", 900)],
    ),
    "what is unknown or not met is not on it": (
        "warning",
        {"iv-drug-use"},
        [form({"iv-drug-use": True, "night-pain": False}), condition("back-spasm", 3)],
    ),
}


@pytest.mark.parametrize(("indicator", "criteria", "record"), OPENING.values(), ids=OPENING)
@pytest.mark.parametrize("hook", ["patient-view", "encounter-start"])
def test_card(hook, indicator, criteria, record):
    judged = judge(back_pain(), *record, hook=hook)
    assert judged.cards().get("red-flag") == indicator
    assert set(judged.on_card("red-flag")) == criteria


def test_flags_without_a_back_problem_open_no_card():
    flags = says("night-pain"), crp(80), condition("malignancy-active", 20), condition("osteoporosis", 20)
    assert judge(*flags).cards() == {}
    assert judge(*flags, back_pain()).cards()["red-flag"] == "warning"


def test_a_child_with_back_pain_is_a_strong_flag():
    assert judge(back_pain(), born=CHILD).cards()["red-flag"] == "warning"
    assert "red-flag" not in judge(back_pain(), born="2000-01-01").cards()


def test_an_emergency_card_leaves_the_red_flags_in_place():
    cards = judge(back_pain(), condition("malignancy-history", 900), says("saddle-anesthesia")).cards()
    assert (cards["emergency"], cards["red-flag"]) == ("critical", "warning")


def test_a_disabled_flag_neither_opens_the_card_nor_makes_it_a_warning():
    record = back_pain(), condition("inflammatory-arthropathy", 900), says("night-pain")
    assert judge(*record, disabled=["night-pain"]).cards()["red-flag"] == "info"
    both = ["night-pain", "inflammatory-arthropathy"]
    assert "red-flag" not in judge(*record, disabled=both).cards()
