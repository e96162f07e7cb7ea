"""Conservative treatment and relief (catalogue, section 7)."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from cds.answers import MET, NOT_MET, Answer, met, not_met, unknown
from cds.back_problem import onset
from cds.case import (
    CONDITIONS,
    MEDICATION_REQUESTS,
    MEDICATION_STATEMENTS,
    OBSERVATIONS,
    PROCEDURES,
    RESPONSES,
    SERVICE_REQUESTS,
    Case,
    once,
    standing,
)
from cds.facts import Evidence, Measurement, When

MEDICINES = ("nsaid", "muscle-relaxant", "analgesic")
THERAPIES = ("physical-therapy", "spinal-traction", "epidural-injection")
BEFORE_ONSET_DAYS = 30
"""Treatment that began longer before the onset was for something else."""

_STATED = frozenset((OBSERVATIONS, RESPONSES))
_NEEDED = _STATED | {MEDICATION_REQUESTS, MEDICATION_STATEMENTS, PROCEDURES, SERVICE_REQUESTS}
_LONG_AGO = 1


class Begun(NamedTuple):
    """One conservative treatment: the earliest and latest day on which it can have begun."""

    first: int
    last: int
    evidence: Evidence


@once
def begun(case: Case) -> list[Begun]:
    """What was begun for this back problem, by latest possible first day; undated treatments tell no length."""
    since = onset(case)
    earliest = since.when.first - BEFORE_ONSET_DAYS if since else _LONG_AGO
    found = (*_medicines(case), *_therapies(case), *_stated(case))
    return sorted(b for b in set(found) if b.last >= earliest) if found else []


def treated_at_least(case: Case, days: int) -> Answer:
    """Conservative treatment begun at least so many days ago.

    Begun later or stated as not tried is `not-met`; nothing recorded is unknown.
    """
    found = begun(case)
    long_enough = [b for b in found if case.today - b.last >= days]
    if long_enough:
        return met(min(long_enough, key=lambda b: (b.last, b.first, b.evidence)).evidence)
    if not case.chart.missing.isdisjoint(_NEEDED):
        return case.available(_NEEDED)
    if not found:
        return _not_tried(case)
    first = min(found, key=lambda b: (b.first, b.last, b.evidence))
    if case.today - first.first < days:
        return not_met(f"treated for less than {days} days", first.evidence)
    return unknown("length of treatment not recorded", first.evidence)


def _not_tried(case: Case) -> Answer:
    tried = case.finding("conservative-treatment-tried")
    if tried.status is NOT_MET:
        return tried
    return unknown(
        "conservative treatment not recorded" if tried.status is not MET else "length of treatment not recorded"
    )


def _medicines(case: Case) -> Iterator[Begun]:
    for concept in MEDICINES:
        for medicine in case.chart.medicines.get(concept, ()):
            if medicine.counted and medicine.start is not None:
                yield _on(medicine.start, medicine.evidence)


def _therapies(case: Case) -> Iterator[Begun]:
    yield from (_on(t.start, t.evidence) for t in case.treatments(*THERAPIES) if t.start is not None)
    yield from (_on(when, evidence) for when, evidence in ordered(case, *THERAPIES))


def ordered(case: Case, *concepts: str) -> Iterable[tuple[When, Evidence]]:
    """ServiceRequests that were carried out: completed, or active with an occurrence in the past."""
    for order in case.orders(*concepts):
        carried_out = order.status == "completed" or (
            order.status == "active"
            and order.has_occurrence
            and order.begun is not None
            and order.begun.first <= case.today
        )
        if carried_out and order.begun is not None:
            yield order.begun, order.evidence


def _stated(case: Case) -> Iterator[Begun]:
    """The form's yes, as a latest possible beginning, and its weeks, counted back from the answer."""
    statements = case.chart.statements.get("conservative-treatment-tried", ())
    if not standing(statements):
        return
    weeks = [m for m in case.chart.measurements.get("conservative-treatment-weeks", ()) if _exact(m)]
    lengths = {m.evidence.reference for m in weeks} | {m.when.last for m in weeks}
    for statement in statements:
        dated = statement.present and statement.when is not None
        if dated and lengths.isdisjoint((statement.evidence.reference, statement.when.last)):
            yield Begun(_LONG_AGO, statement.when.last, statement.evidence)
    for length in weeks:
        days = int(length.value * 7)
        yield Begun(length.when.first - days, length.when.last - days, length.evidence)


def _on(when: When, evidence: Evidence) -> Begun:
    return Begun(when.first, when.last, evidence)


@once
def no_significant_relief(case: Case) -> Answer:
    """Met unless relief is recorded since the onset: silence means no relief (the back problem is still active)."""
    relief = _relief(case)
    if relief is not None:  # since when, only Conditions can tell
        return case.unless_lacking(_STATED | {CONDITIONS}, not_met("significant relief", *relief))
    return case.unless_lacking(_STATED, Answer(MET))


def _relief(case: Case) -> tuple[Evidence, ...] | None:
    """Evidence of significant relief: the newer of the stated answer and the pain scores decides."""
    since = onset(case)
    first_day = since.when.first if since else _LONG_AGO
    scores = [m for m in case.chart.measurements.get("pain-score", ()) if _exact(m) and m.when.last >= first_day]
    stated = [
        s
        for s in case.chart.statements.get("significant-relief", ())
        if s.when is not None and s.when.last >= first_day and case.within(s.when, case.limits.symptom_window_days)
    ]
    score_day = max((m.when.last for m in scores), default=0)
    stated_day = max((s.when.last for s in stated), default=0)
    if stated and stated_day >= score_day:
        positive = standing(stated)
        return tuple(s.evidence for s in positive) or None
    return _fallen(case, scores) if scores else None


def _fallen(case: Case, scores: list[Measurement]) -> tuple[Evidence, ...] | None:
    """The newest score and the highest, when it lies `relief_percent` below; of several newest the highest."""
    latest = max(m.order for m in scores)
    newest = max((m for m in scores if m.order == latest), key=lambda m: (m.value, m.evidence))
    highest = max(scores, key=lambda m: (m.value, m.evidence))
    fallen = highest.value - newest.value
    enough = fallen > 0 and fallen * 100 >= case.limits.relief_percent * highest.value
    return (highest.evidence, newest.evidence) if enough else None


def _exact(measurement: Measurement) -> bool:
    return measurement.value is not None and not measurement.comparator and measurement.when is not None
