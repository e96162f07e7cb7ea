"""Since when an emergency has been going on: an order from before it does not settle it (catalogue, section 8).

A criterion rests on the newest statement of a finding, but a finding that somebody records again has not begun again.
"""

from collections.abc import Iterable, Iterator, Sequence

from cds.answers import MET, NOT_MET
from cds.case import Case
from cds.facts import Measurement, Statement
from cds.findings import diagnosed, findings
from cds.numbers import Judge, at_most, judge_or_unknown
from cds.signs import REDUCED_POWER

_STATED = {
    "cauda-equina": ("urinary-retention", "saddle-anesthesia", "bladder-control-loss", "bowel-control-loss"),
    "progressive-neurological-deficit": ("progressive-neurological-deficit",),
    "limb-sensation-loss": ("limb-sensation-loss",),
    "balance-loss": ("balance-loss",),
    "one-sided-deficit": ("one-sided-weakness-or-numbness",),
    "paralysis": ("paralysis",),
    "altered-consciousness": ("altered-consciousness",),
    "possible-cord-compression": (
        "leg-weakness",
        "limb-sensation-loss",
        "saddle-anesthesia",
        "paralysis",
        "progressive-neurological-deficit",
        "gait-disturbance",
    ),
}
"""Findings by which a criterion may be met."""
_SUDDEN = frozenset(("balance-loss", "one-sided-deficit", "paralysis", "altered-consciousness"))


def first_day(case: Case, ids: Sequence[str]) -> int | None:
    """The day (ordinal) on which the earliest finding had surely begun; None when none is dated."""
    diagnoses = (diagnosis.start.last for diagnosis in diagnosed(case, ids) if diagnosis.start is not None)
    return min((*diagnoses, *(day for id_ in ids for day in _days(case, id_))), default=None)


def _days(case: Case, id_: str) -> Iterator[int]:
    """When its findings began by what was stated and graded."""
    found = {fact for finding in findings(case, id_) for fact in finding.evidence}
    limits = case.limits
    window = limits.sudden_window_days if id_ in _SUDDEN else limits.emergency_window_days
    for name in _STATED.get(id_, ()):
        if any(fact.evidence in found for fact in (*case.active(name), *case.chart.statements.get(name, ()))):
            yield from _stated_since(case, name, window)
    for grades in _by_site(case, window):
        if any(grade.evidence in found for grade in grades):
            yield from _graded_since(grades, _weak(case, id_, grades))


def _stated_since(case: Case, name: str, window: int) -> Iterator[int]:
    """The first days of the statements that stand: those that a later denial withdrew have begun anew since."""
    statements = case.chart.statements.get(name, ())
    denied = max((s.when.first for s in statements if not s.present and s.when is not None), default=0)
    long_standing = any(not case.within(d.start, window) for d in case.active(name))
    for statement in statements:
        if statement.when is None or not _is_new(case, statement, window, long_standing):
            continue
        if statement.present and statement.when.last >= denied:
            yield max((statement.began or statement.when).last, denied)


def _is_new(case: Case, statement: Statement, window: int, long_standing: bool) -> bool:
    """In the window, and not of something older (rule 8)."""
    began_lately = case.within(statement.began, window) and not long_standing
    return case.within(statement.when, window) and (statement.own or began_lately)


def _by_site(case: Case, window: int) -> Iterable[Sequence[Measurement]]:
    sites: dict[str, list[Measurement]] = {}
    for grade in case.measured("muscle-strength-grade", window):
        sites.setdefault(grade.site, []).append(grade)
    return sites.values()


def _weak(case: Case, id_: str, grades: Sequence[Measurement]) -> Judge:
    """Which grades of a muscle make the criterion: lost strength is below the best grade by one."""
    if id_ == "severe-motor-weakness":
        return at_most(case.limits.weakness_grade)
    if id_ == "possible-cord-compression":
        return at_most(REDUCED_POWER)
    exact = (g.value for g in grades if g.value is not None and g.when is not None and not g.comparator)
    return at_most(max(exact, default=0) - 1)


def _graded_since(grades: Sequence[Measurement], weak: Judge) -> Iterator[int]:
    """The days of the weak grades after the last better one."""
    judged = [(judge_or_unknown(weak, grade), grade) for grade in grades if grade.when is not None]
    better = max((grade.order for status, grade in judged if status is NOT_MET), default=())
    yield from (grade.when.last for status, grade in judged if status is MET and grade.order >= better)
