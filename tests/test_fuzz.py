"""Nothing that is sent causes a 5xx or ends a worker (R52, promise P1): a bounded part of `python -m tests.fuzz`."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fuzz import (
    CHANGES,
    Tally,
    all_elements,
    encoded,
    good_calls,
    send_elements,
    send_hypothesis,
    send_schemathesis,
    workers,
)
from tests.patience import until
from tests.service_rig import Server, running

SEED = 0


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("fuzz"), workers=2) as started:
        yield started


@pytest.fixture
def tally(server: Server) -> Iterator[Tally]:
    """Counts the answers of one test, and sees to it that the workers lived through it unharmed."""
    before = workers(server)
    counted = Tally()
    yield counted
    assert counted.hurt == []
    assert workers(server) == before, "a worker died"


def test_elements_of_another_type_missing_doubled_or_buried(server: Server, tally: Tally):
    send_elements(server, 1400, tally)
    assert tally.statuses.total() == 1400
    assert {200, 400, 412} == set(tally.statuses)


def test_several_changes_at_once_broken_bytes_and_odd_headers(server: Server, tally: Tally):
    send_hypothesis(server, 150, tally, SEED)
    assert {200, 400, 415} <= set(tally.statuses)


def test_cases_made_from_the_openapi_document(server: Server, tally: Tally):
    send_schemathesis(server, 48, tally, SEED)
    assert {200, 400, 412} <= set(tally.statuses)


def test_every_change_changes_every_element():
    originals = {hook: encoded(request) for hook, request in good_calls().items()}
    unchanged = [
        (hook, place, change)
        for hook, place, change in all_elements()[::7]
        if encoded(CHANGES[change](good_calls()[hook], place)) == originals[hook]
    ]
    assert [each for each in unchanged if each[2] in ("dropped", "doubled", "buried")] == []
    assert len(unchanged) < len(all_elements()) / 70


def test_a_doubled_member_has_the_name_of_the_first():
    twice = encoded(CHANGES["doubled"](good_calls()["patient-view"], ("hook",)))
    assert twice.count(b'"hook":') == 2


def test_an_answer_that_hurts_is_counted():
    counted = Tally()
    counted.count(500, 0.1, "POST /x")
    counted.count(499, 0.1, "POST /x")
    assert len(counted.hurt) == 1


def test_a_dead_worker_is_noticed(tmp_path: Path):
    with running(tmp_path, workers=1) as started:
        before = workers(started)
        assert workers(started) == before
        ((worker, _),) = before
        os.kill(worker, signal.SIGKILL)
        until(lambda: (now := workers(started)) and not now & before)
