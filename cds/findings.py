"""Which findings make an emergency or a fracture risk, one by one, for the words and dates on a card.

The criteria answer whether; a card also names the telling part. Everything asked here is a part of the criterion.
"""

from collections.abc import Callable, Iterable
from typing import NamedTuple

from cds.answers import NOT_MET, Answer, any_of, met
from cds.back_problem import control_loss
from cds.case import Case
from cds.catalogue import CRITERIA, Group
from cds.criteria.emergency import strength_lost
from cds.criteria.red_flag import STEROID_DAYS, cancer_history, spinal_neoplasm
from cds.facts import Diagnosis, Evidence
from cds.numbers import at_most
from cds.signs import new_neurological_sign
from cds.wording import bracketed, dated, named, short

Parts = Iterable[tuple[str, Answer]]


class Finding(NamedTuple):
    """A finding that is there, in our words, with its resources, newest first."""

    words: str
    evidence: tuple[Evidence, ...]


def findings(case: Case, id_: str) -> list[Finding]:
    """The findings that make a met criterion; the criterion itself where it has no parts."""
    key = f"findings of {id_}"
    if key not in case.memo:
        parts = _PARTS[id_](case) if id_ in _PARTS else ()
        found = [Finding(words, answer.evidence) for words, answer in parts if answer.met]
        case.memo[key] = found or [Finding(short(id_), case.answers[id_].evidence)]
    return case.memo[key]


def diagnosed(case: Case, ids: Iterable[str]) -> list[Diagnosis]:
    """The Conditions among the findings of met criteria."""
    found = {fact for id_ in ids for finding in findings(case, id_) for fact in finding.evidence}
    return [diagnosis for named in case.chart.diagnoses.values() for diagnosis in named if diagnosis.evidence in found]


def telling(case: Case, ids: Iterable[str]) -> list[str]:
    """For a summary: what was found under each criterion, with its date, each thing once."""
    return list(dict.fromkeys(text for id_ in ids for text in _told(case, id_)))


def _told(case: Case, id_: str) -> list[str]:
    """An emergency is told finding by finding, with its beginning; elsewhere once, and a date in brackets will do."""
    year = case.at.year
    if CRITERIA[id_].group is Group.EMERGENCY:
        return [f"{finding.words}{dated(finding.evidence[0], year)}" for finding in findings(case, id_)]
    if id_ in _PARTS:
        first = findings(case, id_)[0]
        return [f"{first.words}{bracketed(first.evidence[0], year)}"]
    return [named(case, id_)]


def _cauda_equina(case: Case) -> Parts:
    window = case.limits.emergency_window_days
    yield "urinary retention", case.new_finding("urinary-retention", window)
    yield "saddle anesthesia", case.new_finding("saddle-anesthesia", window)
    yield "loss of bladder control", control_loss(case, "bladder-control-loss")
    yield "loss of bowel control", control_loss(case, "bowel-control-loss")
    yield "listed as a condition", case.new_diagnosis("cauda-equina-syndrome", within=window)


def _progressive_deficit(case: Case) -> Parts:
    """Strength is lost by the newest grade; the earlier one is no sign of anything yet."""
    yield (
        "progressive neurological deficit",
        case.new_finding("progressive-neurological-deficit", case.limits.emergency_window_days),
    )
    fall = strength_lost(case)
    yield "falling leg strength", met(fall.evidence[0]) if fall.met else fall


def _motor_weakness(case: Case) -> Parts:
    limits = case.limits
    graded = case.newest_per_site("muscle-strength-grade", limits.emergency_window_days, at_most(limits.weakness_grade))
    yield f"leg strength of grade {limits.weakness_grade:g} or less", graded
    yield "foot drop", case.new_diagnosis("foot-drop-leg-paresis", within=limits.emergency_window_days)


def _cord_compression(case: Case) -> Parts:
    window = case.limits.emergency_window_days
    yield "listed as a condition", case.new_diagnosis("cord-compression-myelopathy", within=window, silence=NOT_MET)
    if any_of(cancer_history(case), spinal_neoplasm(case)).met:
        yield "cancer with a new neurological sign", new_neurological_sign(case)
    if any_of(spinal_neoplasm(case), case.diagnosis("malignancy-active", silence=NOT_MET)).met:
        yield "cancer with a new gait disturbance", case.new_finding("gait-disturbance", window)


def _fracture_risk(case: Case) -> Parts:
    yield "vertebral fracture", case.diagnosis("vertebral-fracture", silence=NOT_MET)
    yield (
        "recent trauma",
        case.finding("recent-trauma", conditions_within=case.limits.symptom_window_days, silence=NOT_MET),
    )
    yield "osteoporosis", case.ever_diagnosed("osteoporosis")
    yield "long corticosteroid treatment", case.medicine("systemic-corticosteroid", begun_days_ago=STEROID_DAYS)


_PARTS: dict[str, Callable[[Case], Parts]] = {
    "cauda-equina": _cauda_equina,
    "progressive-neurological-deficit": _progressive_deficit,
    "severe-motor-weakness": _motor_weakness,
    "possible-cord-compression": _cord_compression,
    "fracture-risk": _fracture_risk,
}
