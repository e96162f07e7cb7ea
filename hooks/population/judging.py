"""One chart's record evaluated, as the rows that become Parquet."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import msgspec

from cds.card import Card
from cds.evaluation import Evaluation
from fhir_profiles.errors import PatientMissing, PatientReplaced, RecordError
from fhir_profiles.terminology import Knowledge
from hooks.audit.identifiers import Identifiers
from hooks.pipeline import Site, judge, load_site
from hooks.population.charts import Line, View, gather_lines
from hooks.settings import Settings
from hooks.states import ON

NO_PATIENT, REPLACED, NO_RECORD = "no-patient", "replaced-patient", "no-record"
EVALUATED = "evaluated"
DISABLED = "disabled"


class Side(NamedTuple):
    """A configuration to evaluate under; travels to other processes and machines as it is."""

    settings: Settings
    knowledge: Knowledge
    states: Mapping[str, str]


class Task(NamedTuple):
    """What is done with each chart. sides: the configuration, and after it the one to compare with, if any."""

    view: View
    sides: tuple[Side, ...]
    identifiers: Identifiers


class CardRow(msgspec.Struct):
    group: str
    indicator: str
    criteria: tuple[str, ...]


class CriterionRow(msgspec.Struct):
    """state: on, silent, off, or disabled; the status is what the rule says, whatever the state.

    shown: whether a card is about it; evidence: how many resources decided.
    """

    criterion: str
    status: str
    state: str
    shown: bool
    evidence: int


class ChartRow(msgspec.Struct):
    """A chart under one configuration. side: its number in Task.sides; lines: what the export holds of it.

    unreadable, foreign_resources: resources that were skipped.
    """

    side: int
    patient: str
    lines: int
    unreadable: int
    foreign_resources: int
    back_problem: bool
    current: bool
    cards: list[CardRow]
    criteria: list[CriterionRow]


class Judge:
    """Evaluates charts one by one. problems: what could not be, counted, and how many could."""

    def __init__(self, task: Task) -> None:
        self.problems: Counter[str] = Counter()
        self._task = task
        self._sites = [load_site(side.settings, side.knowledge) for side in task.sides]

    def rows(self, lines: Sequence[Line]) -> Iterator[ChartRow]:
        """A row for each side; none for a chart that cannot be evaluated."""
        try:
            rows = [self._row(number, site, lines) for number, site in enumerate(self._sites)]
        except PatientMissing:
            self.problems[NO_PATIENT] += 1
        except PatientReplaced:
            self.problems[REPLACED] += 1
        except RecordError:
            self.problems[NO_RECORD] += 1
        else:
            self.problems[EVALUATED] += 1
            yield from rows

    def _row(self, number: int, site: Site, lines: Sequence[Line]) -> ChartRow:
        view, side = self._task.view, self._task.sides[number]
        bad_lines = self.problems if number == 0 else Counter()  # counted once, however many sides
        gathered = gather_lines(lines, view, side.settings.zone, bad_lines)
        evaluation, cards = judge(gathered, view.hook, site, view.at, side.states)
        chart, problem = evaluation.chart, evaluation.back_problem
        return ChartRow(
            side=number,
            patient=self._task.identifiers.patient("", "", gathered.patient_id),
            lines=len(lines),
            unreadable=sum(chart.unreadable.values()),
            foreign_resources=chart.foreign,
            back_problem=problem is not None,
            current=problem is not None and problem.current,
            cards=[CardRow(card.group, card.indicator, card.criteria) for card in cards],
            criteria=_criteria(evaluation, cards, side),
        )


def _criteria(evaluation: Evaluation, cards: Sequence[Card], side: Side) -> list[CriterionRow]:
    shown = {id_ for card in cards for id_ in card.criteria}
    disabled, states = side.settings.disabled, side.states
    return [
        CriterionRow(
            id_,
            answer.status,
            DISABLED if id_ in disabled else states.get(id_, ON),
            id_ in shown,
            len(answer.evidence),
        )
        for id_, answer in evaluation.answers.items()
    ]
