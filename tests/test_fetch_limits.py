"""Fetching is bounded whatever the server does (P3; reliability.md, section 2 and rows 10, 11, 13, 15, 16)."""

import json
import socket
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from hooks.fetch import CALLS_PER_SERVER
from hooks.fhir_client import REQUEST_SECONDS
from tests.fetch_rig import KEYS, Fetching, fetching, lacking
from tests.fhir_rig import FAULTS, HARMLESS, Asked
from tests.records import condition
from tests.service_rig import groups, path_of

SOON = 12.0  # seconds: a busy machine may take three times the four that are promised, and such a server takes minutes
SLOW = {"hang", "slow", "drip", "stall"}


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fetching]:
    with fetching(tmp_path_factory.mktemp("limits")) as made:
        yield made


@pytest.fixture(scope="module")
def all_wrong(there: Fetching) -> dict[str, list[Asked]]:
    """Calls whose FHIR server has one fault in everything, many at the same time: fault -> the requests it saw.

    Each is answered with 412, and in time.
    """
    bases = {fault: there.rig.base(fault) for fault in FAULTS if fault not in HARMLESS}

    def ask(base: str) -> tuple[int, float]:
        began = time.monotonic()
        return there.ask(lacking(base)).status_code, time.monotonic() - began

    answers = {}
    others = sorted(bases.keys() - SLOW)  # a host that is slow in everything has no slots left for them
    for batch in (SLOW, *(others[start : start + 10] for start in range(0, len(others), 10))):
        with ThreadPoolExecutor(len(batch)) as pool:
            answers |= dict(zip(batch, pool.map(ask, (bases[fault] for fault in batch)), strict=True))
    assert {fault: status for fault, (status, _) in answers.items() if status != 412} == {}
    assert {fault: took for fault, (_, took) in answers.items() if took > SOON} == {}
    return {fault: there.rig.requests(base) for fault, base in bases.items()}


def test_p3_an_answer_comes_in_time_when_nobody_accepts_the_connection(there: Fetching, silent_port: int):
    began = time.monotonic()
    answer = there.ask(lacking(f"http://127.0.0.1:{silent_port}/fhir"))
    assert answer.status_code == 412
    assert time.monotonic() - began < SOON


@pytest.fixture
def silent_port() -> Iterator[int]:
    """Listens, but its queue is full: a connection attempt gets no answer."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]
        for filler in fillers:
            filler.close()


def test_nothing_is_fetched_after_the_answer(there: Fetching):
    base = there.rig.base("429-1")
    there.ask(lacking(base))
    asked = len(there.rig.requests(base))
    there.ask(lacking(there.rig.base("slow", "Procedure"), "procedures"))  # lasts longer than the pause asked for
    assert len(there.rig.requests(base)) == asked


def test_p3_an_answer_comes_in_time_and_failing_requests_are_not_multiplied(all_wrong: dict[str, list[Asked]]):
    """Two tries a request at most, and 1.3 requests a key, but for the pages that some of them bring."""
    assert {fault for fault, asked in all_wrong.items() if not asked} == set()
    assert {
        fault for fault, asked in all_wrong.items() if max(Counter(each.target for each in asked).values()) > 2
    } == set()
    by_key = {fault: asked for fault, asked in all_wrong.items() if fault not in ("endless", "loop-self", "loop-ab")}
    assert {fault: len(asked) for fault, asked in by_key.items() if len(asked) > 1.3 * len(KEYS)} == {}


@pytest.mark.parametrize(("fault", "tries"), [("429", 2), ("502", 2), ("503", 2), ("503-past", 2), ("reset", 2)])
def test_what_may_pass_is_tried_once_more(there: Fetching, fault: str, tries: int):
    assert _tries(there, fault) == tries


@pytest.mark.parametrize("fault", ["401", "403", "404", "410", "500", "302", "html", "truncated", "outcome", "stall"])
def test_what_will_not_pass_is_not_tried_again(there: Fetching, fault: str):
    assert _tries(there, fault) == 1


def _tries(there: Fetching, fault: str) -> int:
    base = there.rig.base(fault, "Procedure")
    there.ask(lacking(base, "procedures"))
    return len(there.rig.requests(base))


@pytest.mark.parametrize(("fault", "stated"), [("429-1", 1.0), ("503-date", 0.6)])
def test_retry_after_is_kept(there: Fetching, fault: str, stated: float):
    """The date is 1.6 seconds ahead, less what its whole seconds cut off."""
    base = there.rig.base(fault, "Procedure")
    there.ask(lacking(base, "procedures"))
    first, second = there.rig.requests(base)
    assert second.at - first.at >= stated


@pytest.mark.parametrize("fault", ["429-60", "503-3600"])
def test_a_retry_after_that_does_not_fit_ends_it_at_once(there: Fetching, fault: str):
    base, before = there.rig.base(fault), len(there.service.log)
    there.ask(lacking(base))
    assert len(there.rig.requests(base)) <= 6  # those that were under way when the server said it
    assert '"timeout"' not in there.service.log[before:]


def test_at_most_six_requests_at_once(tmp_path: Path):
    """Each answer takes half a second: the seventh request waits for one of the first six, and these for nobody."""
    with fetching(tmp_path, delay=0.5) as there:
        base = there.rig.base()
        assert there.ask(lacking(base)).status_code == 200
        times = sorted(asked.at for asked in there.rig.requests(base))
        (line,) = (json.loads(line) for line in there.service.log.splitlines() if "encounter-start" in line)
    assert len(times) == len(KEYS)
    assert times[5] - times[0] < 0.5 <= times[6] - times[0]
    assert times[-1] - times[0] < 1.0
    assert line["ms"] >= 1000  # the log counts the whole call, fetching and all


def test_at_most_twenty_pages_of_a_search(there: Fetching):
    base = there.rig.base("endless", "Condition")
    answer = there.ask(lacking(base, "conditions"))
    assert len(there.rig.requests(base)) == 20
    assert "not-assessed" in groups(answer.json())


@pytest.mark.parametrize(("fault", "pages"), [("loop-self", 2), ("loop-ab", 3), ("growing", 1)])
def test_row_13_a_loop_of_pages_ends(there: Fetching, fault: str, pages: int):
    base = there.rig.base(fault, "Condition")
    there.ask(lacking(base, "conditions"))
    assert len(there.rig.requests(base)) <= pages


def test_pages_are_put_together(tmp_path: Path):
    """What matters is on the third page of 250."""
    noise = [condition("osteoporosis", days_ago=4000, code=("urn:other", "1")) for _ in range(600)]
    last = condition("iv-drug-use", days_ago=5)
    with fetching(tmp_path, *noise, last) as there:
        base = there.rig.base()
        answer = there.ask(lacking(base, "conditions"))
        assert len(there.rig.requests(base)) == 3
    assert f"Condition/{last['id']}" in answer.text


@pytest.mark.parametrize(("number", "is_whole"), [(4990, True), (5010, False)])
def test_at_most_five_thousand_resources(tmp_path: Path, number: int, is_whole: bool):
    """A record with 4,990 Conditions is read as a whole; 20 pages of 250 do not hold 5,010."""
    noise = [condition("osteoporosis", code=("urn:other", "1")) for _ in range(number)]
    with fetching(tmp_path, *noise) as there:
        there.ask(lacking(there.rig.base(), "conditions"))
        log = there.service.log
    assert ('"conditions":"too-many-pages"' in log) is not is_whole


def test_not_more_resources_in_fewer_pages(there: Fetching):
    there.ask(lacking(there.rig.base("many", "Condition"), "conditions"))
    assert '"conditions":"too-many-resources"' in there.service.log


def test_row_16_a_dead_server_is_left_alone(tmp_path: Path):
    """After five failures calls are answered at once, without a packet; test_fetch_breaker.py has the way back."""
    with fetching(tmp_path) as there:
        base = there.rig.base("503")
        there.ask(lacking(base))
        before = len(there.rig.requests(base))
        there.ask(lacking(base))
        assert len(there.rig.requests(base)) == before
        assert '"circuit-open"' in there.service.log


def test_who_goes_away_has_nothing_fetched_any_more(there: Fetching):
    base = there.rig.base("429-1")
    request = json.dumps(lacking(base, "procedures")).encode()
    head = f"POST {path_of('encounter-start')} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(request)}\r\n\r\n"
    with there.service.connect() as connection:
        connection.sendall(head.encode() + request)
        while not there.rig.requests(base):
            pass
    deadline = time.monotonic() + 30
    while '"procedures":"client-gone"' not in there.service.log:
        assert time.monotonic() < deadline
    there.ask(lacking(there.rig.base("slow", "Procedure"), "procedures"))  # lasts longer than the pause asked for
    assert len(there.rig.requests(base)) == 1


def test_row_10_a_slow_server_does_not_slow_another(there: Fetching):
    """Of fifty calls 24 wait for a server that hangs, with twenty requests at once, and the others are answered at once
    without it; those of another server are answered meanwhile."""
    slow, healthy = there.rig.base("hang"), there.rig.base(host="localhost")
    with ThreadPoolExecutor(51) as pool:
        waiting = []
        for group in (20, 20, 10):  # a worker takes no more at once; what waits for the server does not count
            waiting += [pool.submit(there.ask, lacking(slow, "conditions")) for _ in range(group)]
            assert there.ask(lacking(healthy)).status_code == 200
        assert not all(each.done() for each in waiting)
        answers = [each.result() for each in waiting]
    times = [each.at for each in there.rig.requests(slow)]
    assert len(times) >= 20 >= len([each for each in times if each - times[0] < REQUEST_SECONDS / 2])
    assert there.service.log.count('"conditions":"busy"') == 50 - CALLS_PER_SERVER
    assert {answer.status_code for answer in answers} == {200}
    assert all("not-assessed" in groups(answer.json()) for answer in answers)


def test_two_name_servers_that_do_not_answer_keep_nobody_waiting(there: Fetching):
    """Half of uvloop's threads look up names. It has four in all unless it is told otherwise."""
    assert there.ask(lacking(there.rig.base(host="localhost"), "procedures")).status_code == 200
    (worker,) = there.service.workers
    threads = [file.read_text().strip() for file in Path(f"/proc/{worker}/task").glob("*/comm")]
    assert threads.count("libuv-worker") == 16
