"""The surgical-referral card: reasons to hear a spine surgeon, never an order (catalogue, section 6)."""

from cds.answers import any_of
from cds.back_problem import STRUCTURAL_SETS, onset
from cds.case import Case
from cds.catalogue import Source
from cds.criteria.surgical_referral import nerve_root_damage
from cds.findings import telling
from cds.markdown import recorded_date
from cds.numbers import at_most
from cds.outline import ROUTINE, URGENT, Outline, Wish
from cds.signs import INSTABILITY_DIAGNOSES, radicular_pain
from cds.triage import Section
from cds.wording import most_telling, summarized

TELLING = ("nerve-root-damage", "neurogenic-claudication", "neural-compression", "progressive-scoliosis")
DAYS_PER_MONTH = 30
COMPARED = {"": "", "<": "less than ", "<=": "at most "}
"""How a distance is put that is known to be short."""

DISCECTOMY = (
    "Herniation or sciatica: **discectomy** is what the sources tie to it. Figures to share: wound or deep infection "
    "in 2–3 %, injury of a nerve root in 1–2 %."
)
DECOMPRESSION = (
    "Stenosis: **decompression, such as laminectomy**. Decompression alone relieved symptoms about as well as "
    "decompression with fusion, and leaves the joint mobile."
)
CORD = "Pressure on the cord: **decompression** to free it."
STABILIZATION = "Instability: **stabilization**, such as fusion."
SCOLIOSIS = "Progressive scoliosis is among the reasons to discuss surgery; which procedure is for the surgeon to say."
RECOVERY = "After surgery: usually 1–4 days in hospital, and about 6 weeks before strenuous activity."
NON_SPECIFIC = (
    "No structural or nerve-root cause is on record. Surgery rarely helps non-specific back pain; exercise, "
    "rehabilitation and attention to psychological factors come first."
)


def outline(case: Case, section: Section) -> Outline:
    structural = has_structural_record(case)
    kind = "spine-surgeon-referral" if structural else "spine-review"
    lead = "Reasons to discuss a spine surgeon" if structural else "Reasons to discuss a spine review"
    return Outline(
        summary=summarized(lead, telling(case, most_telling(section.criteria, TELLING))),
        notes=(*_walking(case, section), *(_surgery(case, section.criteria) if structural else (NON_SPECIFIC,))),
        wishes=(Wish(kind, URGENT if section.indicator == "warning" else ROUTINE),),
        sources=(Source.DECOMPRESSION_OVERVIEW, *((Source.CLEVELAND_CLINIC_SURGERY,) if structural else ())),
    )


def has_structural_record(case: Case) -> bool:
    """Whether anything of structure or nerve root is on record; without it the pain is non-specific."""
    return any_of(
        case.diagnosis(*STRUCTURAL_SETS, "degenerative-spine", "scoliosis"),
        case.finding("spinal-instability"),
        radicular_pain(case),
        nerve_root_damage(case),
    ).met


def families(case: Case, ids: tuple[str, ...]) -> list[str]:
    """The procedure families that the sources tie to what is on record, as something to discuss."""
    on_record = (
        (DISCECTOMY, any_of(case.diagnosis("disc-herniation"), radicular_pain(case))),
        (DECOMPRESSION, case.diagnosis("spinal-stenosis")),
        (CORD, case.diagnosis("cord-compression-myelopathy")),
        (STABILIZATION, any_of(case.diagnosis(*INSTABILITY_DIAGNOSES), case.finding("spinal-instability"))),
    )
    found = [text for text, answer in on_record if answer.met]
    if "progressive-scoliosis" in ids:
        found.append(SCOLIOSIS)
    return [*found, RECOVERY] if found and found != [SCOLIOSIS] else found


def _walking(case: Case, section: Section) -> list[str]:
    """The walking distance, where nothing but it makes the card a warning."""
    if section.indicator != "warning" or "nerve-root-damage" in section.criteria:
        return []
    window, limit = case.limits.symptom_window_days, case.limits.claudication_severe_m
    found = case.newest("walking-distance", window, at_most(limit)).evidence
    walked = [m for m in case.measured("walking-distance", window) if m.evidence in found]
    if not walked or "neurogenic-claudication" in case.hidden:
        return []
    shortest = min(walked, key=lambda m: (m.value, m.evidence))
    day = f" ({recorded_date(shortest.evidence.date)})" if shortest.evidence.date else ""
    distance = f"{COMPARED[shortest.comparator]}{shortest.value:g} m"
    return [f"Walks {distance}{day}. A distance of {limit:g} m or less is what makes this card a warning."]


def _surgery(case: Case, ids: tuple[str, ...]) -> list[str]:
    """What the sources say of surgery; not for non-specific pain, which it rarely helps."""
    return [*families(case, ids), *_timing(case, ids)]


def _timing(case: Case, ids: tuple[str, ...]) -> list[str]:
    if "failed-conservative-treatment" not in ids:
        return []
    limits = case.limits
    return [
        f"The sources speak of {limits.conservative_min_days // DAYS_PER_MONTH} to "
        f"{limits.conservative_full_days // DAYS_PER_MONTH} months of conservative treatment, and of about "
        f"{limits.surgery_timing_days // DAYS_PER_MONTH} months after the onset as a good time for surgery "
        f"where it has not helped.{_since(case)}"
    ]


def _since(case: Case) -> str:
    begun = onset(case)
    if begun is None:
        return ""
    day = recorded_date(begun.when.text)
    return (
        f" This back problem is recorded since {day}."
        if begun.stated
        else f" When this back problem began is not on record; it was recorded {day}."
    )
