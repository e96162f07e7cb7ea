"""A picture of when things were: rows of facts over the time before the instant, recent weeks drawn wider.

Geometry only; the template writes the SVG. The same facts stand in a table beside it.
"""

import math
from collections.abc import Callable, Iterable, Sequence, Set
from datetime import date
from typing import NamedTuple

from hooks.workbench.facts import LANES, Fact

WIDTH = 860
LEFT, RIGHT = 268.0, 740.0  # of the drawn time; before it the names, after it the newest values
_ROW, _LANE, _HEAD, _FOOT = 22, 30, 34, 8
_ROWS_OF_LANE = 8
_MARKS_OF_ROW = 40
_LABEL = 33  # characters that fit before the drawn time
_SHORTEST = 60  # days; a shorter past is drawn as this
_BEND = 12  # days up to which the scale is nearly even
_TICKS = (
    (7, "1 week"),
    (30, "1 month"),
    (91, "3 months"),
    (182, "6 months"),
    (365, "1 year"),
    (730, "2 years"),
    (1826, "5 years"),
    (3652, "10 years"),
    (7305, "20 years"),
    (14610, "40 years"),
)
_TICK_ROOM = 62


class Mark(NamedTuple):
    """A dot, or a bar where `end` is further right. told: for whoever points at it."""

    x: float
    end: float
    told: str

    @property
    def is_bar(self) -> bool:
        return self.end - self.x > 3


class Row(NamedTuple):
    """y: its middle. weighs: one of its facts is evidence of a criterion that is met. value: the newest number."""

    y: int
    label: str
    marks: tuple[Mark, ...]
    weighs: bool
    value: str


class Lane(NamedTuple):
    y: int
    label: str


class Tick(NamedTuple):
    x: float
    label: str


class Picture(NamedTuple):
    """onset: where the back problem began, None when that is not known. left_out: rows that did not fit."""

    height: int
    lanes: tuple[Lane, ...]
    rows: tuple[Row, ...]
    ticks: tuple[Tick, ...]
    onset: float | None
    left_out: int


def picture(facts: Iterable[Fact], weighing: Set[str], today: int, onset: int | None) -> Picture:
    """weighing: references of the evidence of criteria that are met; today, onset: day ordinals."""
    by_row: dict[tuple[str, str], list[Fact]] = {}
    for fact in facts:
        if fact.first is not None:
            by_row.setdefault((fact.lane, fact.row), []).append(fact)
    days = [today - each.first for group in by_row.values() for each in group if each.first is not None]
    scale = _Scale(today, max([_SHORTEST, *days, today - onset if onset else 0]))
    lanes, rows, y, left_out = [], [], _HEAD, 0
    for lane in LANES:
        ranked = sorted((group for (of, _), group in by_row.items() if of == lane), key=_rank(weighing))
        if not ranked:
            continue
        lanes.append(Lane(y + 18, lane))
        y += _LANE
        left_out += max(0, len(ranked) - _ROWS_OF_LANE)
        for group in ranked[:_ROWS_OF_LANE]:
            rows.append(_row(group, weighing, y + _ROW // 2, scale))
            y += _ROW
    began = scale.x(onset) if onset else None
    return Picture(y + _FOOT, tuple(lanes), tuple(rows), tuple(scale.ticks()), began, left_out)


class _Scale:
    """Day -> x; today is at the right, and a day the wider the nearer it is."""

    def __init__(self, today: int, days: int) -> None:
        self._today = today
        self._days = days
        self._whole = math.log1p(days / _BEND)

    def x(self, day: int) -> float:
        ago = min(max(self._today - day, 0), self._days)
        return round(RIGHT - (RIGHT - LEFT) * math.log1p(ago / _BEND) / self._whole, 1)

    def ticks(self) -> Iterable[Tick]:
        yield Tick(RIGHT, "as of")
        before = RIGHT
        for ago, label in _TICKS:
            x = self.x(self._today - ago)
            if ago <= self._days and before - x >= _TICK_ROOM and x - LEFT > 0:
                yield Tick(x, label)
                before = x


def _rank(weighing: Set[str]) -> Callable[[list[Fact]], tuple[bool, int]]:
    """What weighs first, then the newest."""
    return lambda group: (not _weighs(group, weighing), -max(each.last or each.first for each in group))


def _weighs(group: Sequence[Fact], weighing: Set[str]) -> bool:
    return any(each.evidence.reference in weighing for each in group)


def _row(group: list[Fact], weighing: Set[str], y: int, scale: _Scale) -> Row:
    newest_first = sorted(group, key=lambda each: -each.first)
    marks = [Mark(scale.x(each.first), scale.x(each.last), _told(each)) for each in newest_first[:_MARKS_OF_ROW]]
    label = group[0].row
    label = label if len(label) <= _LABEL else f"{label[: _LABEL - 1].rstrip()}…"
    return Row(y, label, tuple(reversed(marks)), _weighs(group, weighing), newest_first[0].value)


def _told(fact: Fact) -> str:
    name = f"{fact.row}: {fact.value}" if fact.value else fact.row
    return f"{name}, {fact.evidence.date or date.fromordinal(fact.first).isoformat()}"
