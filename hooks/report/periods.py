"""A time cut into pieces that fit on a plot: days, weeks or months, without a gap."""

from bisect import bisect_right
from collections.abc import Iterable
from datetime import date, timedelta
from typing import NamedTuple

_MOST = 92
"""Columns of a plot: a quarter by days."""


class Calendar(NamedTuple):
    """From day `first` to day `last`. unit: "day", "week" (from Monday on) or "month"; starts: of the pieces."""

    unit: str
    starts: tuple[date, ...]
    first: date
    last: date

    def spread(self, by_day: Iterable[tuple[date, int]]) -> list[int]:
        """The sum of each piece. The days should be within the calendar."""
        sums = [0] * len(self.starts)
        for day, number in by_day:
            sums[bisect_right(self.starts, day) - 1] += number
        return sums


def calendar_of(days: Iterable[date]) -> Calendar | None:
    """From the first of the days to the last; None without any."""
    known = set(days)
    if not known:
        return None
    first, last = min(known), max(known)
    length = (last - first).days + 1
    if length <= _MOST:
        return Calendar("day", _every(first, last, 1), first, last)
    if length <= _MOST * 7:
        return Calendar("week", _every(first - timedelta(days=first.weekday()), last, 7), first, last)
    return Calendar("month", _months(first, last), first, last)


def _every(first: date, last: date, days: int) -> tuple[date, ...]:
    return tuple(first + timedelta(days=step) for step in range(0, (last - first).days + 1, days))


def _months(first: date, last: date) -> tuple[date, ...]:
    months = range(first.year * 12 + first.month - 1, last.year * 12 + last.month)
    return tuple(date(month // 12, month % 12 + 1, 1) for month in months)
