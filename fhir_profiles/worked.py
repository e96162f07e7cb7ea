"""Worked examples of each criterion: a record that meets it, and one that does not.

They are judged under a site's thresholds and lists of codes, so an example is true of the site that shows it.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

import msgspec

from cds.answers import MET, NOT_MET, Answer
from cds.evaluation import CATALOGUE, evaluate
from cds.limits import Limits
from fhir_profiles import samples, vignettes
from fhir_profiles.reading import read_chart
from fhir_profiles.record import gather_bundle
from fhir_profiles.terminology import Knowledge

_MADE = "The smallest record that decides it; the self-test judges it too."


class Example(NamedTuple):
    """What a criterion says of an invented record as of `at`. chart: its name."""

    chart: str
    title: str
    story: str
    at: datetime
    answer: Answer


class Worked(NamedTuple):
    """met, not_met: None where no record is such, under these thresholds."""

    met: Example | None
    not_met: Example | None


class _Judge(NamedTuple):
    knowledge: Knowledge
    limits: Limits
    zone: ZoneInfo

    def answers(self, bundle: bytes, hook: str, at: datetime) -> Mapping[str, Answer]:
        chart = read_chart(gather_bundle(bundle, hook, at, self.zone), at, self.zone, self.knowledge)
        return evaluate(chart, at, self.zone, self.limits).answers


def worked_examples(knowledge: Knowledge, limits: Limits, zone: ZoneInfo) -> Mapping[str, Worked]:
    """Criterion id -> its examples: the first sample chart that shows what the answer rests on, else a vignette."""
    judge = _Judge(knowledge, limits, zone)
    judged = [dict(_sample(name, judge)) for name in samples.names()]
    return {entry.id: _chosen(entry.id, [chart[entry.id] for chart in judged], judge) for entry in CATALOGUE}


def _chosen(id_: str, examples: list[Example], judge: _Judge) -> Worked:
    def first(status: str) -> Example | None:
        such = [example for example in examples if example.answer.status == status]
        telling = next((example for example in such if example.answer.evidence), None)
        made = (example for example in _vignettes(id_, judge) if example.answer.status == status)
        return telling or next(made, None) or next(iter(such), None)

    return Worked(first(MET), first(NOT_MET))


def _sample(name: str, judge: _Judge) -> Iterator[tuple[str, Example]]:
    chart, story = samples.load(name), samples.story(name)
    at = datetime.fromisoformat(chart["timestamp"])
    for id_, answer in judge.answers(msgspec.json.encode(chart), story["hook"], at).items():
        yield id_, Example(name, story["title"], story["story"], at, answer)


def _vignettes(id_: str, judge: _Judge) -> Iterator[Example]:
    """A pair of records that differ in little more than what the criterion is about."""
    pair = vignettes.vignettes()[id_]
    for record, what in ((pair.met, "meets"), (pair.not_met, "does not meet")):
        answer = judge.answers(record, pair.hook, vignettes.AT)[id_]
        yield Example("vignette", f"A record that {what} it", _MADE, vignettes.AT, answer)
