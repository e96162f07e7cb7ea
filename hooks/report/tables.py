"""The tables of the report, from its figures."""

from collections.abc import Iterable, Iterator
from datetime import date
from typing import NamedTuple

from cds.answers import MET, UNKNOWN
from cds.evaluation import CATALOGUE
from hooks.criteria_view import GROUPS
from hooks.report.figures import ACCEPTED, CHARTS, INDICATORS, ORDERS, OVERRIDDEN, UNANSWERED, Figures
from hooks.report.periods import Calendar
from hooks.report.words import CARDS, reason, some, title
from hooks.states import OFF, SILENT, STATES

SILENT_DAYS, SILENT_CALLS, SILENT_MET = 14, 500, 50
"""What a criterion should have behind it before it is switched from silent to on (reliability.md, row 48)."""

OTHER_RELEASE = "Of another release"
_PLACES = {entry.id: place for place, entry in enumerate(CATALOGUE)}
_MOST_REASONS = 6


class Asked(NamedTuple):
    """One criterion in one state. asked, met, unknown: calls; patients: in whom it was met; by_piece: met, by time;
    days: from the first such day to the last."""

    id: str
    title: str
    state: str
    asked: int
    met: int
    unknown: int
    patients: int
    by_piece: list[int]
    days: int

    @property
    def not_met(self) -> int:
        return self.asked - self.met - self.unknown

    @property
    def is_off(self) -> bool:
        return self.state == OFF

    @property
    def lacking(self) -> list[str]:
        """What it should still have before somebody decides to switch it on."""
        days, calls = SILENT_DAYS - self.days, SILENT_CALLS - self.asked
        return [some(number, what) for number, what in ((days, "day"), (calls, "call")) if number > 0]

    @property
    def to_review(self) -> int:
        """Calls in which it was met that somebody should look at."""
        return min(self.met, SILENT_MET)


class Burden(NamedTuple):
    """Cards of one sort in calls of one kind; of: calls. sort: CARDS, or "" for all of that indicator."""

    kind: str
    title: str
    indicator: str
    number: int
    of: int


class Outcome(NamedTuple):
    """What became of cards. reasons: of overriding, and how often."""

    id: str
    title: str
    accepted: int
    overridden: int
    unanswered: int
    reasons: tuple[tuple[str, int], ...] = ()

    @property
    def shown(self) -> int:
        return self.accepted + self.overridden + self.unanswered


def calls_of(figures: Figures, kind: str) -> int:
    return sum(number for (each, _), number in figures.calls.items() if each == kind)


def asked(figures: Figures, calendar: Calendar) -> list[Asked]:
    """Every criterion that was asked, as in the catalogue, in each of its states."""
    pairs = {(id_, state) for id_, state, _, _ in figures.answers}
    found: dict[tuple[str, str], list[tuple[str, date, int]]] = {pair: [] for pair in pairs}
    for (id_, state, status, day), number in figures.answers.items():
        found[id_, state].append((status, day, number))
    return [_asked(figures, calendar, *pair, found[pair]) for pair in sorted(pairs, key=_place)]


def by_group(rows: Iterable[Asked]) -> list[tuple[str, list[Asked]]]:
    """Title of the group, and its criteria."""
    groups = {entry.id: GROUPS[entry.group][0] for entry in CATALOGUE}
    titles = [*(name for name, _ in GROUPS.values()), OTHER_RELEASE]
    sorted_: dict[str, list[Asked]] = {name: [] for name in titles}
    for row in rows:
        sorted_[groups.get(row.id, OTHER_RELEASE)].append(row)
    return [(name, some) for name, some in sorted_.items() if some]


def silent(rows: Iterable[Asked]) -> list[Asked]:
    return [row for row in rows if row.state == SILENT]


def not_asked(rows: Iterable[Asked]) -> list[str]:
    """Titles of the criteria that nobody asked in that time."""
    known = {row.id for row in rows}
    return [entry.title for entry in CATALOGUE if entry.id not in known]


def burden(figures: Figures) -> list[Burden]:
    """Every sort of card that was shown, most urgent first."""
    numbers: dict[tuple[str, str, str], int] = {}
    for (kind, group, indicator, _), number in figures.cards.items():
        numbers[kind, group, indicator] = numbers.get((kind, group, indicator), 0) + number
    of = {kind: calls_of(figures, kind) for kind in (CHARTS, ORDERS)}
    rows = sorted(numbers.items(), key=lambda each: (each[0][0], _loudness(each[0][2]), _card_place(each[0][1])))
    return [
        Burden(kind, CARDS.get(group, group), indicator, number, of[kind]) for (kind, group, indicator), number in rows
    ]


def columns(figures: Figures, calendar: Calendar, kind: str = CHARTS) -> tuple[list[int], dict[str, list[int]]]:
    """Calls of a kind by time, and cards by indicator by time."""
    calls = calendar.spread((day, number) for (each, day), number in figures.calls.items() if each == kind)
    cards = {
        indicator: calendar.spread(
            (day, number) for (each, _, loud, day), number in figures.cards.items() if (each, loud) == (kind, indicator)
        )
        for indicator in INDICATORS
    }
    return calls, cards


def card_outcomes(figures: Figures) -> list[Outcome]:
    """By sort of card."""
    groups = sorted({group for group, _ in figures.outcomes}, key=_card_place)
    return [Outcome(group, CARDS.get(group, group), *_three(figures.outcomes, group)) for group in groups]


def criterion_outcomes(figures: Figures) -> list[Outcome]:
    """By criterion, of the cards that said it is met."""
    ids = sorted({id_ for id_, _ in figures.told}, key=lambda id_: _place((id_, "")))
    return [Outcome(id_, title(id_), *_three(figures.told, id_), tuple(_reasons(figures, id_))) for id_ in ids]


def _asked(figures: Figures, calendar: Calendar, id_: str, state: str, answers: list[tuple[str, date, int]]) -> Asked:
    total = {status: sum(number for each, _, number in answers if each == status) for status in (MET, UNKNOWN)}
    days = [day for _, day, _ in answers]
    return Asked(
        id_,
        title(id_),
        state,
        sum(number for _, _, number in answers),
        total[MET],
        total[UNKNOWN],
        figures.patients_met[id_, state],
        calendar.spread((day, number) for status, day, number in answers if status == MET),
        (max(days) - min(days)).days + 1,
    )


def _reasons(figures: Figures, id_: str) -> Iterator[tuple[str, int]]:
    """The most frequent ones; the rest in one sum, however many codes a client makes up."""
    found = [(reason(code), number) for (each, code), number in figures.reasons.items() if each == id_]
    ordered = sorted(found, key=lambda each: (-each[1], each[0]))
    yield from ordered[:_MOST_REASONS]
    rest = sum(number for _, number in ordered[_MOST_REASONS:])
    if rest:
        yield "Other reasons", rest


def _three(counts: dict[tuple[str, str], int], key: str) -> tuple[int, int, int]:
    return counts.get((key, ACCEPTED), 0), counts.get((key, OVERRIDDEN), 0), counts.get((key, UNANSWERED), 0)


def _place(pair: tuple[str, str]) -> tuple[int, str, int]:
    """As in the catalogue; what another release knew comes last. Of one criterion what is on comes first."""
    id_, state = pair
    return _PLACES.get(id_, len(_PLACES)), id_, -STATES.index(state) if state in STATES else 0


def _card_place(group: str) -> tuple[int, str]:
    return list(CARDS).index(group) if group in CARDS else len(CARDS), group


def _loudness(indicator: str) -> int:
    return INDICATORS.index(indicator) if indicator in INDICATORS else len(INDICATORS)
