"""The sample charts get the cards that their stories promise."""

import json
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from cds.limits import Limits
from fhir_profiles import samples
from fhir_profiles.reading import read_chart
from fhir_profiles.record import gather_bundle
from tests.records import AT, Judged, evaluate, knowledge


def judged(name: str, at: datetime = AT) -> Judged:
    """The chart as the command line judges it on its own day, moved to `at`."""
    zone, hook = ZoneInfo("UTC"), samples.story(name)["hook"]
    chart = samples.shifted(samples.load(name), at)
    gathered = gather_bundle(json.dumps(chart).encode(), hook, at, zone)
    return Judged(evaluate(read_chart(gathered, at, zone, knowledge()), at, zone, Limits()), hook)


@pytest.mark.parametrize("name", samples.names())
@pytest.mark.parametrize("year", [2026, 2027])
def test_the_engine_tells_the_story(name, year):
    story, told = samples.story(name), judged(name, AT.replace(year=year))
    problem = told.evaluation.back_problem
    assert (problem is not None) == story["backProblem"]
    assert (problem is not None and problem.current) == story["current"]
    assert {id_: told.status(id_) for id_ in story["met"]} == dict.fromkeys(story["met"], "met")
    assert {id_: told.status(id_) for id_ in story["notMet"]} == dict.fromkeys(story["notMet"], "not-met")
    assert told.cards() == story["cards"].get("order-safety", story["cards"])
    assert told.evaluation.chart.unreadable == {}
