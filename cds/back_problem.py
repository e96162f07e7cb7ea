"""The back problem: whether there is one, since when, and whether it is current (catalogue, section 3)."""

from collections.abc import Iterable
from typing import NamedTuple

from cds.answers import MET, NOT_MET, Answer, all_of, any_of, met, not_met, unknown
from cds.case import CONDITIONS, OBSERVATIONS, STATED, Case, once
from cds.concepts import BOOLEAN_FINDINGS, NUMERIC_FINDINGS
from cds.facts import Diagnosis, Evidence, When
from cds.numbers import at_least

SYMPTOM_SETS = ("back-pain", "back-spasm", "sciatica-radiculopathy")
STRUCTURAL_SETS = (
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
BACK_SETS = (*SYMPTOM_SETS, *STRUCTURAL_SETS)
BACK_FINDINGS = ("back-pain", "back-spasm", "radicular-pain")

GENERAL_FINDINGS = frozenset(
    (
        "cancer-history",
        "unexplained-weight-loss",
        "intentional-weight-loss",
        "fever",
        "infection-signs",
        "immunosuppression",
        "iv-drug-use",
        "recent-trauma",
    )
)
"""Findings that say nothing about the back: stating one does not make an old back problem current."""

SPINAL_IMAGING = ("mri-lumbar", "mri-whole-spine", "ct-lumbar", "xray-lumbar")
SPINE_CARE = ("physical-therapy", "spinal-traction", "epidural-injection", "spinal-surgery")

CONTINENT_FROM_YEARS = 4
"""Loss of bladder or bowel control says nothing below this age (section 6, cauda-equina)."""


class Onset(NamedTuple):
    """Since when. stated: by an onset[x], not a recordedDate."""

    when: When
    stated: bool
    evidence: Evidence


@once
def back_problem(case: Case) -> Answer:
    """Whether this service speaks at all; without one nothing recorded is `not-met` "no back problem"."""
    found = any_of(
        case.diagnosis(*BACK_SETS),
        *(case.finding(name) for name in BACK_FINDINGS),
        _visit(case),
        _cauda_equina_symptoms(case),
    )
    if found.status is MET:
        return found
    return case.unless_lacking(STATED | {"Encounter"}, not_met("no back problem"))


def _visit(case: Case) -> Answer:
    visit = case.chart.visit
    given = visit is not None and not visit.reasons.isdisjoint((*BACK_SETS, *BACK_FINDINGS))
    return met(visit.evidence) if given else not_met("not the reason of the visit")


def _cauda_equina_symptoms(case: Case) -> Answer:
    window = case.limits.emergency_window_days
    return any_of(
        case.new_finding("saddle-anesthesia", window),
        all_of(
            any_of(
                case.new_finding("urinary-retention", window),
                control_loss(case, "bladder-control-loss"),
                control_loss(case, "bowel-control-loss"),
            ),
            any_of(case.new_finding("leg-weakness", window), case.new_finding("limb-sensation-loss", window)),
        ),
    )


def control_loss(case: Case, name: str) -> Answer:
    """New loss of bladder or bowel control; below four years of age as if not stated (no birth date: counts)."""
    if case.age is not None and case.age[1] < CONTINENT_FROM_YEARS:
        return unknown("control not expected under 4 years of age")
    return case.new_finding(name, case.limits.emergency_window_days)


@once
def onset(case: Case) -> Onset | None:
    """The earliest start among active symptom diagnoses, only without any among the structural ones.

    Several starts of different precision: the earliest lies between the earliest first and the earliest last day.
    """
    diagnoses = case.active(*SYMPTOM_SETS) or case.active(*STRUCTURAL_SETS)
    dated = [d for d in diagnoses if d.start is not None]
    if not dated:
        return None
    chosen = min(dated, key=lambda d: (d.start.last, d.start.first, not d.start_recorded, d.evidence))
    start = chosen.start._replace(first=min(d.start.first for d in dated))
    return Onset(start, chosen.start_recorded, chosen.evidence)


def since_at_least(case: Case, days: int) -> Answer:
    """Onset at least so many days ago; an onset that is not recorded is unknown."""
    begun = onset(case)
    if begun is None:
        return unknown("onset not recorded")
    status = case.started_at_least(begun.when, days)
    if status is NOT_MET:
        return case.unless_lacking(frozenset((CONDITIONS,)), not_met(f"less than {days} days", begun.evidence))
    return met(begun.evidence) if status is MET else unknown("onset not exact", begun.evidence)


@once
def is_current(case: Case) -> bool:
    """Whether the back problem is what is going on now, not a diagnosis that nobody closed."""
    if case.chart.missing & {CONDITIONS, OBSERVATIONS} or _visit(case).met:
        return True
    window = case.limits.symptom_window_days
    return (
        any(_recent(case, diagnosis, window) for diagnosis in case.active(*BACK_SETS))
        or any(case.within(form.when, window) for form in case.chart.forms)
        or any(case.within(when, window) for when in _observed(case))
        or case.any_measured("pain-score", window, at_least(case.limits.pain_moderate)).met
        or any(day is not None and case.today - day <= window for day in _care(case))
    )


def _recent(case: Case, diagnosis: Diagnosis, window: int) -> bool:
    """Started or recorded in the window, or without any date."""
    return any(case.within(when, window) for when in (diagnosis.start, diagnosis.recorded) if when) or not (
        diagnosis.start or diagnosis.recorded
    )


def _observed(case: Case) -> Iterable[When | None]:
    """When Observations state a finding of the back, yes or no or a value; an undated no says nothing."""
    chart = case.chart
    for name in BOOLEAN_FINDINGS:
        if name not in GENERAL_FINDINGS:
            for s in chart.statements.get(name, ()):
                if s.observed and (s.present or s.when is not None):
                    yield s.when
    for name in NUMERIC_FINDINGS:
        if name != "pain-score":
            yield from (m.when for m in chart.measurements.get(name, ()) if m.observed and m.value is not None)


def _care(case: Case) -> Iterable[int | None]:
    """The days of spinal imaging, treatment or a spine referral, ordered, done or reported; periods by their end."""
    chart = case.chart
    for concept in (*SPINAL_IMAGING, *SPINE_CARE):
        yield from (treatment.evidence.latest for treatment in chart.treatments.get(concept, ()))
        yield from (report.evidence.latest for report in chart.reports.get(concept, ()))
    for order in case.orders(*SPINAL_IMAGING, *SPINE_CARE, "spine-surgeon-referral"):
        if order.about_back:
            yield order.evidence.latest
