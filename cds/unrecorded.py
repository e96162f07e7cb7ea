"""Answers that rest on silence alone are the same for every chart; they are worked out once.

A rule sees nothing of a chart but the facts of the concepts that it asks for. Where none of these is present, it
answers as it does for an empty chart with the same missing searches, so that answer is reused. Most criteria of
most charts are such; without this the whole catalogue costs five times as much.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import NamedTuple

from cds.answers import Answer
from cds.case import Case
from cds.catalogue import CRITERIA
from cds.facts import Patient
from cds.limits import Limits

_INDEXES = (
    "diagnoses",
    "statements",
    "measurements",
    "medicines",
    "treatments",
    "orders",
    "reports",
    "allergies",
)
_PATIENT, _VISIT, _DRAFTS, _FORMS = "the patient", "the visit", "the drafts", "the forms"


class Silence(NamedTuple):
    """A criterion's answer to an empty chart, and everything it asked for on the way."""

    asked: frozenset[str]
    answer: Answer


def answers_of_silence(case: Case) -> dict[str, Answer]:
    """The answers of all criteria that find nothing in this case to rest on."""
    chart = case.chart
    there = case.present | {_PATIENT}
    there.update(
        name for name, given in ((_VISIT, chart.visit), (_DRAFTS, chart.drafts), (_FORMS, chart.forms)) if given
    )
    silences = silences_under(case.limits, case.chart.missing)
    return {id_: answer for id_, (asked, answer) in silences.items() if asked.isdisjoint(there)}


@lru_cache(maxsize=64)
def silences_under(limits: Limits, missing: frozenset[str]) -> Mapping[str, Silence]:
    """Every criterion's answer to an empty chart; each is asked alone, so that it shows all it asks for.

    Which criteria are hidden makes no difference: the one rule that asks does so only beside a draft order.
    """
    return {id_: silence(id_, limits, missing) for id_ in CRITERIA}


def silence(id_: str, limits: Limits, missing: frozenset[str], hidden: frozenset[str] = frozenset()) -> Silence:
    chart = _ListeningChart(missing)
    answer = CRITERIA[id_].rule(Case(chart, datetime(2000, 1, 1, tzinfo=UTC), limits, hidden))
    return Silence(frozenset(chart.asked), answer)


class _Index(dict):
    """An empty index that notes what it is asked for."""

    def __init__(self, asked: set[str]) -> None:
        super().__init__()
        self.asked = asked

    def get(self, concept: str, default: object = None) -> object:
        self.asked.add(concept)
        return default

    def __contains__(self, concept: object) -> bool:
        self.asked.add(str(concept))
        return False


class _ListeningChart:
    """An empty chart that notes what it is asked for."""

    def __init__(self, missing: frozenset[str]) -> None:
        self.asked: set[str] = set()
        self.missing = missing
        self.unreadable: Mapping[str, int] = {}
        self.foreign = 0
        for index in _INDEXES:
            setattr(self, index, _Index(self.asked))

    @property
    def present(self) -> _Index:
        return _Index(self.asked)

    @property
    def patient(self) -> Patient:
        self.asked.add(_PATIENT)
        return Patient("Patient", None, "", False)

    @property
    def visit(self) -> None:
        self.asked.add(_VISIT)

    @property
    def drafts(self) -> tuple[()]:
        self.asked.add(_DRAFTS)
        return ()

    @property
    def forms(self) -> tuple[()]:
        self.asked.add(_FORMS)
        return ()
