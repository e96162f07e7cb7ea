"""What one worker counts, for the metrics of its server (docs/operations.md).

Counting is adding to dictionaries. Once a second a thread writes them to a file, from which the server's own process
puts those of all workers together (hooks/metrics.py). Nothing in a label comes from a request: services, criteria,
prefetch keys, codes and listed servers are ours, and few.
"""

import asyncio
import os
import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from hooks.errand import ERRAND, Errand
from hooks.log import NOT_FETCHED, STARTED
from hooks.services import SEARCH_KEYS

if TYPE_CHECKING:
    from hooks.pipeline import Answered

_NO_ERRAND = Errand()
_STATUSES = {f"http-{status}" for status in (400, 401, 403, 404, 410, 414, 429, 500, 501, 502, 503, 504)}
BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 4.2)
"""Upper bounds of the latency histogram's buckets, in seconds; 4.2 is what a call may take at most."""
LEAVE_SECONDS = 1.0
SEPARATOR = "\t"
"""Between the labels of a count."""


class Counts(msgspec.Struct):
    """Metric -> labels, joined -> number. seconds: service -> calls by bucket and, last, the sum of their seconds.

    gauges: what is so at this moment; the rest is since the worker's start.
    """

    totals: dict[str, dict[str, int]] = {}
    seconds: dict[str, list[float]] = {}
    gauges: dict[str, dict[str, float]] = {}


class Counters:
    """The counts of one worker. gauges: metric -> what it is at this moment, by labels."""

    def __init__(self) -> None:
        self.gauges: dict[str, Callable[[], Mapping[str, float]]] = {}
        self._calls: Counter[tuple[str, int]] = Counter()
        self._cards: Counter[tuple[str, str]] = Counter()
        self._criteria: Counter[tuple[str, str]] = Counter()
        self._prefetch: Counter[tuple[str, str]] = Counter()
        self._faults: Counter[str] = Counter()
        self._feedback: Counter[str] = Counter()
        self._seconds: dict[str, list[float]] = {}

    def call(self, environ: Mapping[str, Any], service: str, status: int, answer: "Answered | None" = None) -> None:
        """A call that was answered. environ: its WSGI environment; service: "" for none."""
        self._calls[service, status] += 1
        self._faults.update(map(_bounded, environ.get(NOT_FETCHED, {}).values()))
        if answer is None:
            return
        self._time(service, time.perf_counter() - environ[STARTED])
        self._criteria.update([(id_, each.status) for id_, each in answer.evaluation.answers.items()])
        self._cards.update([(card.group, card.indicator) for card in answer.cards.values()])
        self._prefetch.update(_ways(environ.get(ERRAND, _NO_ERRAND), answer.evaluation.chart.missing))

    def refused(self) -> None:
        """A call that was one too many."""
        self._calls["", 503] += 1

    def feedback(self, outcomes: list[str]) -> None:
        """What clinicians did with cards, once it is kept."""
        self._feedback.update(outcomes)

    def counts(self) -> Counts:
        """All of it, at this moment."""
        totals = {
            "calls": _joined(self._calls),
            "cards": _joined(self._cards),
            "criteria": _joined(self._criteria),
            "prefetch": _joined(self._prefetch),
            "faults": dict(self._faults),
            "feedback": dict(self._feedback),
        }
        gauges = {name: dict(read()) for name, read in self.gauges.items()}
        return Counts(totals, self._seconds, gauges)

    def _time(self, service: str, seconds: float) -> None:
        numbers = self._seconds.setdefault(service, [0.0] * (len(BOUNDS) + 2))
        numbers[bisect_left(BOUNDS, seconds)] += 1
        numbers[-1] += seconds


def _ways(errand: Errand, missing: Collection[str]) -> Iterator[tuple[str, str]]:
    """How each search came: with the call, from the FHIR server, or not (as a whole). missing: FHIR types."""
    fetched = {lacking.key for lacking in errand.lacking}
    for key, kind in SEARCH_KEYS.items():
        yield key, "missing" if kind in missing else "fetched" if key in fetched else "sent"


def _bounded(reason: str) -> str:
    """A FHIR server chooses its status: of the unusual ones only the class is a label."""
    return reason if not reason.startswith("http-") or reason in _STATUSES else f"{reason[:6]}xx"


async def leave_counts(counters: Counters, folder: Path) -> None:
    """Until cancelled: keep this worker's counts where the server looks for them. folder: of the counts of all."""
    while True:
        await asyncio.to_thread(_leave, counters, folder / f"{os.getpid()}.json")
        await asyncio.sleep(LEAVE_SECONDS)


def _leave(counters: Counters, file: Path) -> None:
    """All or nothing."""
    draft = file.with_suffix(".new")
    with suppress(OSError):  # the next ones may find room
        draft.write_bytes(msgspec.json.encode(counters.counts()))
        draft.replace(file)


def _joined(counts: Mapping[tuple[Any, ...], int]) -> dict[str, int]:
    return {SEPARATOR.join(map(str, labels)): number for labels, number in dict(counts).items()}
