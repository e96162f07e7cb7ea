"""Every criterion answered for one chart (catalogue, section 6)."""

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

import cds.criteria  # noqa: F401  (enters the criteria into the catalogue)
from cds.answers import Answer, unknown
from cds.back_problem import Onset, back_problem, is_current, onset
from cds.case import Case
from cds.catalogue import Criterion, Group, in_group
from cds.facts import Chart, Evidence
from cds.limits import Limits
from cds.unrecorded import answers_of_silence

CATALOGUE_VERSION = "2.6"
CATALOGUE: tuple[Criterion, ...] = in_group(*Group)
"""All criteria in the order of the catalogue."""
_IDS = tuple(entry.id for entry in CATALOGUE)
SWITCHED_OFF = unknown("Switched off at this site")


class BackProblem(NamedTuple):
    """What made the service speak: since when (None: not known), whether it is current, on which evidence."""

    onset: Onset | None
    current: bool
    evidence: tuple[Evidence, ...]


class Evaluation(NamedTuple):
    """What the record says at one instant. answers: criterion id -> answer, all of them, in catalogue order."""

    case: Case
    answers: Mapping[str, Answer]
    back_problem: BackProblem | None

    def told(self, id_: str) -> Answer:
        """What may be told of a criterion: of one that is switched off only that."""
        return SWITCHED_OFF if id_ in self.case.switched_off else self.answers[id_]

    @property
    def chart(self) -> Chart:
        return self.case.chart

    @property
    def at(self) -> datetime:
        return self.case.at


def evaluate(
    chart: Chart,
    at: datetime,
    zone: ZoneInfo,
    limits: Limits,
    disabled: frozenset[str] = frozenset(),
    switched_off: frozenset[str] = frozenset(),
) -> Evaluation:
    """Answer every criterion for the chart as of `at` (aware), with days counted in `zone`.

    disabled: criteria that the site left out; they are answered, because others rest on them, but never shown.
    switched_off: criteria whose answers nobody is to see for now; answers name them as not assessed.
    """
    case = Case(chart, at.astimezone(zone), limits, disabled | switched_off, switched_off - disabled)
    case.answers.update(answers_of_silence(case))
    for entry in CATALOGUE:
        if entry.id not in case.answers:
            entry.rule(case)
    answers = {id_: case.answers[id_] for id_ in _IDS}
    problem = back_problem(case)
    found = BackProblem(onset(case), is_current(case), problem.evidence) if problem.met else None
    return Evaluation(case, answers, found)
