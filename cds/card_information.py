"""The information card: prompt review, contributing causes, conservative care (catalogue, section 6)."""

from cds.answers import NOT_MET
from cds.back_problem import onset
from cds.case import MEDICINES, Case
from cds.catalogue import Source
from cds.findings import telling
from cds.outline import Outline
from cds.signs import neurological_sign
from cds.surgical_card import EARLY
from cds.triage import Section
from cds.wording import summarized

OLDER_YEARS = 65
"""From this age an anti-inflammatory asks for caution (section 6, conservative text)."""
DAYS_PER_WEEK = 7

SPASM_IS_NOT_SURGICAL = (
    "A back spasm on its own is not a surgical problem. What helps first: staying active rather than long bed rest, "
    "ice and compression early on, later heat or cold as it suits. On whether lying down eases it the sources differ."
)
MEDICINES_FOR_SPASM = (
    "Among medicines, an anti-inflammatory and a muscle relaxant together did better than the anti-inflammatory alone."
)
CORRECTABLE = {
    "low-potassium": "Low potassium can make a muscle cramp; consider looking for its cause and correcting it.",
    "low-calcium": "Low calcium can make a muscle cramp; consider looking for its cause and correcting it.",
    "dehydration": "Too little fluid makes spasms more likely; consider rehydration.",
}
REVIEW = {
    "persistent-after-compression-treatment": (
        "Consider a prompt review: symptoms of a herniation or stenosis came back or lasted although it was treated."
    ),
    "persistent-spasm": "Consider a prompt review: a spasm that lasts deserves a look for its cause.",
}
SPASM_SOURCES = (Source.LASER_SPINE_RELIEF, Source.DRORACLE_ETIOLOGY, Source.ACP_2017)
EARLY_SOURCES = (Source.CLEVELAND_CLINIC_SURGERY,)


def outline(case: Case, section: Section) -> Outline:
    ids = section.criteria
    spasm, early = "isolated-spasm" in ids, not set(EARLY).isdisjoint(ids)
    return Outline(
        summary=summarized("For information", telling(case, ids)),
        notes=(*(_early(case, ids) if early else ()), *(conservative_care(case) if spasm else ())),
        options=tuple(text for table in (REVIEW, CORRECTABLE) for id_, text in table.items() if id_ in ids),
        sources=(*(SPASM_SOURCES if spasm else ()), *(EARLY_SOURCES if early else ())),
    )


def _early(case: Case, ids: tuple[str, ...]) -> list[str]:
    """Pressure on a nerve, or only pain that may come of it, in the weeks in which surgery can wait."""
    days, begun = case.limits.surgery_wait_days, onset(case)
    what = "Compression" if "neural-compression" in ids else "Radicular pain"
    early = begun is not None and case.started_at_least(begun.when, days) is NOT_MET
    sooner = (
        "if pain, weakness or numbness gets worse"
        if neurological_sign(case).met
        else "if the pain gets worse or weakness or numbness appears"
    )
    return [
        f"{what}{', early' if early else ''}: surgery is a last resort. Consider conservative care first, and a second "
        f"look about {days // DAYS_PER_WEEK} weeks after the onset, sooner {sooner}."
    ]


def conservative_care(case: Case) -> list[str]:
    """What helps a spasm, with cautions for what is on record; nothing on medicines for a child or an unknown age."""
    if case.age is None:
        return [SPASM_IS_NOT_SURGICAL, "The age is not recorded, so nothing is said here about medicines."]
    if case.age[0] < case.limits.child_age_years:
        return [SPASM_IS_NOT_SURGICAL]
    found, unchecked = cautions(case), _unchecked(case)
    caution = f"Caution with an anti-inflammatory, for what is on record: {', '.join(found)}." if found else ""
    return [SPASM_IS_NOT_SURGICAL, MEDICINES_FOR_SPASM, *filter(None, (caution, unchecked))]


def cautions(case: Case) -> list[str]:
    """Reasons on record to be careful with an anti-inflammatory."""
    _, oldest = case.age or (0, 0)
    allergies = case.chart.allergies.get("nsaid-allergy")
    on_record = (
        ("anticoagulant", case.medicine("anticoagulant").met),
        ("pregnancy", case.diagnosis("pregnancy").met),
        ("kidney disease", case.diagnosis("kidney-disease").met),
        ("heart failure", case.diagnosis("heart-failure").met),
        ("peptic ulcer or gastrointestinal bleeding", case.diagnosis("peptic-ulcer-gi-bleed").met),
        ("NSAID allergy", bool(allergies) or case.diagnosis("nsaid-allergy").met),
        (f"age {OLDER_YEARS} or over", oldest >= OLDER_YEARS),
    )
    return [words for words, found in on_record if found]


def _unchecked(case: Case) -> str:
    """Searches without which a caution may have been missed."""
    missing = case.lacking(MEDICINES | {"Condition", "AllergyIntolerance"})
    return f"Not all cautions could be checked: {missing.phrase}." if missing is not None else ""
