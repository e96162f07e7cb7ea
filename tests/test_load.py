"""The tools that measure load, overload and leaks: that they would see what they look for (docs/performance.md)."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from math import inf
from pathlib import Path

import pytest

from tests import soak
from tests.bench import overload, scaling
from tests.bench.arrivals import BROKEN, Call, Pool, arrive, get, percentile
from tests.bench.h2load import Flood, Target, closed_loop, flood, opening
from tests.bench.load import BadAnswer
from tests.bench.overload import Asked, Measured, Round, Step
from tests.bench.processes import Holding
from tests.bench.scaling import Demand, Scaled
from tests.bench.tables import PAGE, SIZING, put

Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def served(answer: Answer, scene: Callable[[int], Awaitable[list]]) -> list:
    """What comes of a scene with a server that answers like that; `scene` gets its port."""
    tasks = []

    async def serve(read: asyncio.StreamReader, write: asyncio.StreamWriter) -> None:
        tasks.append(asyncio.current_task())
        await answer(read, write)
        write.close()
        await write.wait_closed()

    async def play() -> list:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        told = await scene(server.sockets[0].getsockname()[1])
        server.close()
        await asyncio.gather(*tasks, return_exceptions=True)
        return told

    return asyncio.run(play())


# --- an open loop ----------------------------------------------------------------------------------------


def when_twenty_are_there(body: bytes = b"") -> Answer:
    """Answers nobody before: a client that waits would never send the second call."""
    waiting = asyncio.Semaphore(0)
    came = 0

    async def answer(read: asyncio.StreamReader, write: asyncio.StreamWriter) -> None:
        nonlocal came
        await read.readuntil(b"\r\n\r\n")
        assert await read.readexactly(len(body)) == body
        came += 1
        for _ in range(20 if came == 20 else 0):
            waiting.release()
        await waiting.acquire()
        write.write(OK)

    return answer


def test_calls_come_though_nobody_is_answered():
    async def scene(port: int) -> list:
        pool = Pool(port)
        calls = await arrive(lambda: pool.ask(get("/")), (each / 1000 for each in range(20)))
        pool.close()
        return calls

    assert [each.status for each in served(when_twenty_are_there(), scene)] == [200] * 20


def test_a_call_that_the_client_sent_late_took_that_time_too():
    async def ask() -> int:
        time.sleep(0.02)  # the whole client stands still
        return 200

    calls = asyncio.run(arrive(ask, iter([0.0, 0.001, 0.002])))
    assert [each.due for each in calls] == [0.0, 0.001, 0.002]
    assert calls[2].late > 0.03
    assert all(each.took >= each.late + 0.02 for each in calls)


@pytest.mark.parametrize(("share", "value"), [(0.5, 5), (0.95, 10), (0.99, 10), (0.1, 1), (1.0, 10)])
def test_percentiles_are_exact(share: float, value: float):
    assert percentile([3, 1, 2, 10, 9, 8, 4, 7, 6, 5], share) == value


def test_h2load_sends_though_nobody_is_answered(tmp_path: Path):
    """Over as many connections as there are calls."""

    async def scene(port: int) -> list:
        return [await flood(target(tmp_path, port), 400, 0.05)]

    (made,) = served(when_twenty_are_there(b"{}"), scene)
    assert [call.status for call in made.calls] == [200] * 20
    assert made.content == 20 * len("ok")


def test_h2load_waits_for_answers_when_told_to(tmp_path: Path):
    """Three callers: each time the server answers when all three have asked, and a fourth never comes."""
    asked = 0
    answers = asyncio.Event()

    async def answer(read: asyncio.StreamReader, write: asyncio.StreamWriter) -> None:
        nonlocal asked, answers
        for _ in range(4):
            await read.readuntil(b"\r\n\r\n")
            await read.readexactly(2)
            asked += 1
            mine = answers
            if asked % 3 == 0:
                mine.set()
                answers = asyncio.Event()
            await mine.wait()
            write.write(OK)

    async def scene(port: int) -> list:
        return [await closed_loop(target(tmp_path, port), 3, 12)]

    (made,) = served(answer, scene)
    assert made.answered == asked == 12
    assert {call.late for call in made.calls} == {0.0}


def target(folder: Path, port: int) -> Target:
    (folder / "body").write_text("{}")
    return Target(f"http://127.0.0.1:{port}/x", folder / "body")


def test_what_h2load_notes_counts_from_when_it_was_due():
    """Two connections, each with a call every second. One waits 2.6 seconds for its first answer, and its next two
    calls are late by that; the other has its beat at a quarter, and loses its third answer. A seventh was never sent.
    """
    log = "".join(
        f"{7_000_000 + at}\t{status}\t{took}\n"
        for at, status, took in [
            (250_000, 503, 1_000), (0, 200, 2_600_000), (1_250_000, 503, 1_000), (2_250_000, -1, 1_000),
            (2_600_100, 200, 100_000), (2_700_200, 200, 50_000),
        ]
    )  # fmt: skip
    made = Flood(7, 1.0, log, 0)
    assert [(call.due, round(call.late, 2), round(call.took, 2), call.status) for call in made.calls] == [
        (0.0, 0.0, 2.6, 200),
        (0.25, 0.0, 0.0, 503),
        (1.25, 0.0, 0.0, 503),
        (2.25, 0.0, 0.0, BROKEN),
        (1.0, 1.6, 1.7, 200),
        (2.0, 0.7, 0.75, 200),
        (0.0, 0.0, 0.0, BROKEN),
    ]
    assert made.answered == 3
    assert made.goodput == pytest.approx(3 / 2.75, rel=0.001)
    assert {call.late for call in Flood(6, inf, log, 0).calls} == {0.0}


@pytest.mark.parametrize("rate", [0.7, 9, 49.9, 62.6, 100, 333, 361, 1047, 1852.3, 9999])
def test_connections_are_opened_as_fast_as_calls_come(rate: float):
    together, period = opening(rate)
    assert together * 1000 / period == pytest.approx(rate, rel=0.02)
    assert together == 1 or period <= 50


def test_without_h2load_somebody_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(RuntimeError, match="apt-get install nghttp2-client"):
        asyncio.run(flood(target(tmp_path, 1), 1, 1))


def test_nobody_answers_h2load(tmp_path: Path):
    made = asyncio.run(flood(target(tmp_path, 1), 20, 0.5))
    assert [call.status for call in made.calls] == [BROKEN] * 10


# --- what counts as an answer ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sent", "statuses", "connections"),
    [
        (OK, [200, 200, 200], 1),
        (OK.replace(b"\r\n", b"\r\nConnection: close\r\n", 1), [200, 200, 200], 3),
        (OK.replace(b"ok", b"no"), [BROKEN] * 3, 3),
        (OK[:-1], [BROKEN] * 3, 3),
        (b"", [BROKEN] * 3, 3),
        (b"HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n", [503] * 3, 1),
    ],
    ids=["kept", "closed", "other content", "cut off", "nothing", "refused"],
)
def test_what_counts_as_an_answer(sent: bytes, statuses: list[int], connections: int):
    made = 0

    async def answer(read: asyncio.StreamReader, write: asyncio.StreamWriter) -> None:
        nonlocal made
        made += 1
        while not read.at_eof():
            try:
                await read.readuntil(b"\r\n\r\n")
            except asyncio.IncompleteReadError:
                break
            write.write(sent)
            if not sent.endswith((b"ok", b"no", b"\r\n\r\n")):
                break

    async def scene(port: int) -> list:
        pool = Pool(port, b"ok")
        told = [await pool.ask(get("/")) for _ in range(3)]
        pool.close()
        return told

    assert served(answer, scene) == statuses
    assert made == connections


def test_nobody_there_is_no_answer():
    async def scene(port: int) -> list:
        return [port]

    (port,) = served(lambda read, write: asyncio.sleep(0), scene)
    assert asyncio.run(Pool(port).ask(get("/"))) == BROKEN


# --- overload --------------------------------------------------------------------------------------------


def step(times: float, *seconds: tuple[int, int, float]) -> Step:
    """For each second: calls answered, calls refused, seconds that each answer took."""
    calls = [
        Call(second + number / 1000, 0.0, took if number < answered else 0.01, 200 if number < answered else 503)
        for second, (answered, refused, took) in enumerate(seconds)
        for number in range(answered + refused)
    ]
    return Step(times, float(len(seconds)), calls)


def measured(*last: tuple[int, int, float], probe: Call = Call(0.0, 0.0, 0.005, 200)) -> Measured:  # noqa: B008
    """100 calls a second are normal; five times as many; and then `last`."""
    steps = [step(1, *[(100, 0, 0.1)] * 3), step(5, *[(90, 410, 0.15)] * 3), step(1, *last)]
    return Measured([Round(100.0, steps, ([probe], [probe]))])


@pytest.mark.parametrize(
    ("last", "seconds"),
    [
        ([(100, 0, 0.1)], 1),
        ([(60, 40, 0.1), (100, 0, 0.3), (97, 3, 0.19)], 3),
        ([(60, 40, 0.1), (100, 0, 0.3)], None),
    ],
)
def test_when_calls_fare_as_before(last: list[tuple[int, int, float]], seconds: int | None):
    assert measured(*last).recovery == seconds


def test_promises_that_are_kept_and_missed():
    assert "missed" not in overload.promises_table(measured((100, 0, 0.1)))
    slow = overload.promises_table(measured((40, 60, 0.1), probe=Call(0.0, 0.0, 0.2, 200))).splitlines()
    assert [line.endswith("missed |") for line in slow[4:]] == [False, False, False, True, False, True, True]
    table = overload.steps_table(measured((100, 0, 0.1))).splitlines()
    assert [cell.strip() for cell in table[5].split("|")[1:6]] == ["5 ×", "500", "90", "90%", "150"]


def test_rounds_are_told_as_one():
    one, other = measured((100, 0, 0.1)).rounds[0], measured((60, 40, 0.1), (100, 0, 0.1)).rounds[0]
    both = Measured([one, other._replace(capacity=200.0)])
    assert both.capacity == 150
    assert [(step.seconds, len(step.answered)) for step in both.steps] == [(6.0, 600), (6.0, 540), (3.0, 260)]
    assert [len(probes) for probes in both.probes] == [2, 2]
    assert both.recovery == 2
    never = measured((60, 40, 0.1)).rounds[0]
    assert Measured([one, never]).recovery is None


@pytest.mark.parametrize(
    ("log", "content", "whole"),
    [
        ("1\t200\t9\n2\t503\t9\n", 105, True),
        ("1\t200\t9\n2\t503\t9\n", 104, False),
        ("1\t200\t9\n2\t-1\t9\n", 103, True),
        ("1\t503\t9\n2\t503\t9\n", 10, False),
    ],
    ids=["whole", "cut off", "one broken off, as the table tells", "nobody answered"],
)
def test_answers_have_to_be_whole(log: str, content: int, whole: bool):
    asked = Asked(server=None, operations=0, target=None, answer=100, refusal=5)
    made = Flood(2, 1.0, log, content)
    if whole:
        assert len(asked.checked(made)) == 2
    else:
        with pytest.raises(BadAnswer):
            asked.checked(made)


def test_a_short_flood():
    """The whole of it against a server: nothing is neither answered nor refused, and probes are answered."""
    short = overload.run(resources=20, workers=1, seconds=0.5, rounds=2)
    assert len(short.rounds) == 2
    assert [step.others for step in short.steps] == [0, 0, 0, 0]
    assert short.steps[0].answered
    assert short.steps[2].refused
    assert {probe.status for probes in short.probes for probe in probes} == {200}
    assert all(step.processor >= 0 for step in short.steps)


# --- sizing ----------------------------------------------------------------------------------------------


def scaled(resources: int, workers: int, rate: float, cost: float) -> Scaled:
    return Scaled(resources, 1000 * resources, workers, rate, cost, 0.01, 0.02)


MEASURED = [scaled(20, 1, 200, 0.004), scaled(20, 2, 300, 0.005), scaled(200, 1, 100, 0.01), scaled(200, 2, 190, 0.01)]


def test_a_second_worker_is_compared_with_one():
    rows = [line.split("|") for line in scaling.table(MEASURED).splitlines()[4:]]
    assert [row[5].strip() for row in rows] == ["1.00 ×", "1.50 ×", "1.00 ×", "1.90 ×"]
    assert [row[9].strip() for row in rows] == ["250", "200", "100", "100"]


def test_cores_for_a_demand():
    """36 calls a second of 7 ms: a quarter of a core, so half a core when it is to be half busy."""
    demand = Demand(hourly=36 * 3600, peak=4, shares={20: 0.5, 200: 0.5}, busy=0.5)
    text = scaling.sizing(MEASURED, demand)
    assert "7.0 ms of a core: 50% of 20 resources, 50% of 200 resources" in text
    rows = [[cell.strip() for cell in line.split("|")[1:4]] for line in text.splitlines()[6:]]
    assert rows[:3] == [["36", "0.25", "1"], ["144", "1.01", "3"], ["100", "0.70", "2"]]


# --- soak ------------------------------------------------------------------------------------------------


def samples(*memory: int, descriptors: int = 0) -> list[soak.Sample]:
    """Evenly over a hundred calls; descriptors: more with each."""
    each = 100 / len(memory)
    return [
        soak.Sample(int((number + 1) * each), Holding(octets, octets // 2, 50 + number * descriptors, 9))
        for number, octets in enumerate(memory)
    ]


@pytest.mark.parametrize(
    ("found", "growing"),
    [
        (samples(*[100] * 20), set()),
        (samples(10, *[100] * 19), set()),  # the warm-up
        (samples(*range(100, 140, 2)), {"memory", "memory of largest"}),
        (samples(*[100] * 20, descriptors=1), {"descriptors"}),
    ],
)
def test_what_grows_is_seen(found: list[soak.Sample], growing: set[str]):
    assert {each.name for each in soak.judge(found, 100) if not each.is_flat} == growing


def test_too_short_a_soak_says_nothing():
    with pytest.raises(ValueError, match="more calls"):
        list(soak.judge(samples(1, 2, 3), 100))


def test_a_short_soak():
    soaked, judged = soak.run(calls=300, workers=1)
    assert sum(soaked.answers.values()) == 300
    assert not soaked.unexpected
    assert {200, 400, 404} <= set(soaked.answers)
    assert all(each.is_flat for each in judged if each.name in ("descriptors", "threads"))
    assert "300 calls" in soak.table(soaked, judged)


# --- the page --------------------------------------------------------------------------------------------


def test_a_table_replaces_the_one_before(tmp_path: Path):
    page = tmp_path / "page.md"
    page.write_text("a\n<!-- x: begin; how -->\nold\n<!-- x: end -->\nb\n", "utf-8")
    put("x", "new", page)
    assert page.read_text("utf-8") == "a\n<!-- x: begin; how -->\nnew\n<!-- x: end -->\nb\n"
    with pytest.raises(ValueError, match="substring"):
        put("y", "new", page)


@pytest.mark.parametrize(
    ("name", "page"),
    [*((name, PAGE) for name in ("load", "scaling", "rolling", "deaths", "soak")), ("sizing", SIZING)],
)
def test_the_page_has_a_place_for_each(name: str, page: Path):
    text = page.read_text("utf-8")
    assert f"<!-- {name}: begin" in text
    assert f"<!-- {name}: end -->" in text
