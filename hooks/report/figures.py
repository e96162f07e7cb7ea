"""What a committee's report counts, wherever the calls come from: an audit, or a population that was replayed.

Counts only: no patient, no evidence, no free text.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, NamedTuple

from cds.answers import MET
from cds.catalogue import Group
from cds.evaluation import CATALOGUE
from cds.triage import NOT_ASSESSED, ORDER_HOOKS

CHARTS, ORDERS = "charts", "orders"
"""Kinds of calls: a chart was opened or a visit began; an order was selected or signed."""
INDICATORS = ("critical", "warning", "info")
"""Most urgent first."""
ACCEPTED, OVERRIDDEN, UNANSWERED = "accepted", "overridden", ""
"""What became of a card. Nobody reports a card that was not looked at, so unanswered is not ignored."""

_ABOUT_ORDERS = frozenset(entry.id for entry in CATALOGUE if entry.group == Group.ORDER_SAFETY)
_ELSEWHERE = {CHARTS: _ABOUT_ORDERS, ORDERS: frozenset(entry.id for entry in CATALOGUE) - _ABOUT_ORDERS}
"""What calls of a kind cannot show; a criterion of an older release is counted wherever it was."""


class Card(NamedTuple):
    """A card that was shown. criteria: ids; outcome: by the last report on it; reason: code of an override, or ""."""

    group: str
    indicator: str
    criteria: Sequence[str]
    outcome: str = UNANSWERED
    reason: str = ""


class Call(NamedTuple):
    """A call that was answered, on a day of the site. criteria: id -> `status` and `state`, as in the audit.

    missing: searches whose results were not had; suppressed: cards that were not repeated; unreadable, foreign:
    resources that could not be read, or were of another patient.
    """

    day: date
    hook: str
    criteria: Mapping[str, Mapping[str, Any]]
    cards: Sequence[Card] = ()
    missing: Collection[str] = ()
    suppressed: int = 0
    unreadable: int = 0
    foreign: int = 0

    @property
    def kind(self) -> str:
        return ORDERS if self.hook in ORDER_HOOKS else CHARTS


@dataclass
class Figures:
    """The counts. A criterion is counted in the calls that could show it: those about orders in calls about orders.

    calls: (kind, day). loudest: (kind, indicator of the most urgent card, "" without a card) of each call.
    patients: all of them. answers: (criterion, state, status, day), a call each. patients_met: (criterion, state), a
    patient each. cards: (kind, group, indicator, day). outcomes: (group, outcome) of each card. told: (criterion,
    outcome) of each card that says it is met. reasons: (criterion, code) of overridden ones. missing: search, a call
    each. suppressed: cards. unreadable, foreign: calls with such resources.
    """

    calls: Counter[tuple[str, date]] = field(default_factory=Counter)
    loudest: Counter[tuple[str, str]] = field(default_factory=Counter)
    patients: int = 0
    answers: Counter[tuple[str, str, str, date]] = field(default_factory=Counter)
    patients_met: Counter[tuple[str, str]] = field(default_factory=Counter)
    cards: Counter[tuple[str, str, str, date]] = field(default_factory=Counter)
    outcomes: Counter[tuple[str, str]] = field(default_factory=Counter)
    told: Counter[tuple[str, str]] = field(default_factory=Counter)
    reasons: Counter[tuple[str, str]] = field(default_factory=Counter)
    missing: Counter[str] = field(default_factory=Counter)
    suppressed: int = 0
    unreadable: int = 0
    foreign: int = 0

    def add_patient(self, calls: Iterable[Call]) -> None:
        """All calls about one patient."""
        met: set[tuple[str, str]] = set()
        for call in calls:
            self._add_call(call)
            met |= self._add_answers(call)
        self.patients += 1
        self.patients_met.update(met)

    def _add_call(self, call: Call) -> None:
        kind = call.kind
        self.calls[kind, call.day] += 1
        self.loudest[kind, _loudest(call.cards)] += 1
        self.missing.update(call.missing)
        self.suppressed += call.suppressed
        self.unreadable += bool(call.unreadable)
        self.foreign += bool(call.foreign)
        for card in call.cards:
            self.cards[kind, card.group, card.indicator, call.day] += 1
            self._add_outcome(card)

    def _add_outcome(self, card: Card) -> None:
        """A card that only lists what is open says of no criterion that it is met."""
        self.outcomes[card.group, card.outcome] += 1
        for id_ in card.criteria if card.group != NOT_ASSESSED else ():
            self.told[id_, card.outcome] += 1
            if card.outcome == OVERRIDDEN:
                self.reasons[id_, card.reason] += 1

    def _add_answers(self, call: Call) -> set[tuple[str, str]]:
        """Criterion and state of those that are met."""
        met = set()
        elsewhere = _ELSEWHERE[call.kind]
        for id_, result in call.criteria.items():
            if id_ not in elsewhere:
                status, state = result["status"], result["state"]
                self.answers[id_, state, status, call.day] += 1
                if status == MET:
                    met.add((id_, state))
        return met


def _loudest(cards: Sequence[Card]) -> str:
    shown = {card.indicator for card in cards}
    return next((indicator for indicator in INDICATORS if indicator in shown), "")
