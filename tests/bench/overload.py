"""What becomes of calls when too many come (reliability.md, row 39; P12): `python -m tests.bench.overload`.

First eight callers for each worker, who wait for their answers, find out how many calls the server can answer. Then
calls come at 1, 2, 5 and again 1 times that rate, whether or not earlier ones are answered; a step begins when the last
call of the one before is answered. All the while both ports are probed ten times a second, each time on a new
connection, as orchestrators do it. All of it several times over: a machine that others use is a third faster in one
half-minute than in the next.
"""

import argparse
import asyncio
import platform
import sys
import tempfile
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from itertools import chain, count, takewhile
from pathlib import Path
from statistics import mean
from typing import NamedTuple

import granian

from tests.bench.arrivals import Call, Pool, arrive, get, percentile, undisturbed
from tests.bench.bodies import request_body
from tests.bench.h2load import Flood, Target, closed_loop, flood
from tests.bench.load import BadAnswer
from tests.bench.processes import cores, processor_seconds
from tests.bench.tables import Promise, promises, put, written
from tests.service_rig import JSON, Server, app, free_port, path_of, running

TIMES = (1, 2, 5, 1)
CALLERS = 8
PROBES_A_SECOND = 10
WARM_UP_CALLS = 300
CARDS = '"cards":[{'
PATH = path_of("patient-view")

REFUSED_MS, PROBE_MS, GOODPUT, TAIL, RECOVERY_SECONDS = 100, 100, 0.8, 2.0, 5


class Step(NamedTuple):
    """Calls that came at so many times the capacity, for so many seconds. processor: seconds that the server used."""

    times: float
    seconds: float
    calls: list[Call]
    processor: float = 0.0

    @property
    def answered(self) -> list[float]:
        return [call.took for call in self.calls if call.status == 200]

    @property
    def refused(self) -> list[float]:
        return [call.took for call in self.calls if call.status == 503]

    @property
    def others(self) -> int:
        return len(self.calls) - len(self.answered) - len(self.refused)

    @property
    def goodput(self) -> float:
        """Answers a second."""
        return len(self.answered) / self.seconds

    @property
    def is_whole(self) -> float:
        """The share of calls that was answered."""
        return len(self.answered) / len(self.calls) if self.calls else 0.0

    def windows(self) -> Iterator["Step"]:
        """Second by second."""
        begin = self.calls[0].due
        for second in range(int(self.seconds)):
            calls = [call for call in self.calls if second <= call.due - begin < second + 1]
            yield Step(self.times, 1.0, calls)


class Round(NamedTuple):
    """capacity: calls a second of those who waited. probes: of the port of the service and of the operations port."""

    capacity: float
    steps: list[Step]
    probes: tuple[list[Call], list[Call]]

    @property
    def recovery(self) -> int | None:
        """Whole seconds of the last step until calls fare as in a second of the first; None: not within the step."""
        normal = self.steps[0]
        usual, least = percentile(normal.answered, 0.99), min(window.is_whole for window in normal.windows())
        for number, window in enumerate(self.steps[-1].windows(), 1):
            if window.is_whole >= 0.95 * least and percentile(window.answered, 0.99) <= TAIL * usual:
                return number
        return None


class Measured(NamedTuple):
    """Several rounds, each with as long steps, as if they were one."""

    rounds: Sequence[Round]

    @property
    def capacity(self) -> float:
        """Calls a second of those who waited."""
        return mean(each.capacity for each in self.rounds)

    @property
    def steps(self) -> list[Step]:
        return [
            Step(
                parts[0].times,
                sum(part.seconds for part in parts),
                [call for part in parts for call in part.calls],
                sum(part.processor for part in parts),
            )
            for parts in zip(*(each.steps for each in self.rounds), strict=True)
        ]

    @property
    def probes(self) -> list[list[Call]]:
        """Of each port."""
        return [[*chain(*port)] for port in zip(*(each.probes for each in self.rounds), strict=True)]

    @property
    def recovery(self) -> int | None:
        """The longest; None: once it was not within the step."""
        times = [each.recovery for each in self.rounds]
        return None if None in times else max(times)


class Asked(NamedTuple):
    """A server with what it is asked. answer, refusal: octets of the only answers 200 and 503 that it may give."""

    server: Server
    operations: int
    target: Target
    answer: int
    refusal: int

    def checked(self, made: Flood) -> list[Call]:
        """The calls. Raises BadAnswer when none is answered, or not as a whole, as far as that can be told."""
        refused = sum(call.status == 503 for call in made.calls)
        is_whole = made.content == made.answered * self.answer + refused * self.refusal
        if not made.answered or (not is_whole and made.answered + refused == len(made.calls)):
            raise BadAnswer(f"{made.answered} × 200 and {refused} × 503 cannot be {made.content} octets")
        return made.calls


async def measure(asked: Asked, callers: int, seconds: float) -> Round:
    """First who waits, then who does not; meanwhile both ports are probed."""
    warm = await closed_loop(asked.target, callers, WARM_UP_CALLS)
    asked.checked(warm)
    closed = await closed_loop(asked.target, callers, max(WARM_UP_CALLS, round(warm.goodput * seconds / 2)))
    asked.checked(closed)
    over = asyncio.Event()
    with undisturbed():
        probes = [asyncio.ensure_future(_probe(port, over)) for port in (asked.server.port, asked.operations)]
        floods = [await _flooded(asked, times * closed.goodput, seconds) for times in TIMES]
        over.set()
        probed = await asyncio.gather(*probes)
    steps = [Step(times, seconds, asked.checked(made), used) for times, (made, used) in zip(TIMES, floods, strict=True)]
    return Round(closed.goodput, steps, tuple(probed))


async def _flooded(asked: Asked, rate: float, seconds: float) -> tuple[Flood, float]:
    """With what processor time the server used."""
    used = processor_seconds(asked.server.process.pid)
    made = await flood(asked.target, rate, seconds)
    return made, processor_seconds(asked.server.process.pid) - used


async def _probe(port: int, over: asyncio.Event) -> list[Call]:
    moments = takewhile(lambda _: not over.is_set(), (each / PROBES_A_SECOND for each in count()))
    return await arrive(partial(Pool(port, keeps=False).ask, get("/readyz")), moments)


def steps_table(measured: Measured) -> str:
    head = ("load", "calls/s", "answered/s", "of capacity", "p50 ms", "p95 ms", "p99 ms")
    refused = ("refused/s", "p50 ms", "p99 ms", "others", "cores used", "sent late, p99 ms")
    title = f"Too many calls; capacity {measured.capacity:.0f}/s in the mean of {len(measured.rounds)} rounds"
    rows = [_told(step, measured.capacity) for step in measured.steps]
    return written(title, head + refused, rows, markdown=True)


def _told(step: Step, capacity: float) -> Sequence[str]:
    return (
        f"{step.times:g} ×",
        f"{len(step.calls) / step.seconds:.0f}",
        f"{step.goodput:.0f}",
        f"{step.goodput / capacity:.0%}",
        *(_ms(percentile(step.answered, share)) for share in (0.5, 0.95, 0.99)),
        f"{len(step.refused) / step.seconds:.0f}",
        *(_ms(percentile(step.refused, share)) if step.refused else "" for share in (0.5, 0.99)),
        str(step.others),
        f"{step.processor / step.seconds:.2f}",
        _ms(percentile([call.late for call in step.calls], 0.99)),
    )


def promises_table(measured: Measured) -> str:
    """What P12 promises of overload, and what came of it."""
    steps = measured.steps
    normal, worst = steps[0], max(steps, key=lambda step: step.times)
    share = worst.goodput / max(measured.capacity, *(step.goodput for step in steps))
    tail = percentile(worst.answered, 0.99) / (percentile(normal.answered, 0.99) or 1)
    refused = percentile([took for step in steps for took in step.refused], 0.99) * 1000
    recovery, others = measured.recovery, sum(step.others for step in steps)
    ports = zip(("the service", "operations"), measured.probes, strict=True)
    is_normal_in_time = recovery is not None and recovery <= RECOVERY_SECONDS
    rows: list[Promise] = [
        (f"goodput at {worst.times:g} ×, of the peak", f"{share:.0%}", f"≥ {GOODPUT:.0%}", share >= GOODPUT),
        ("p99 of refusals, ms", f"{refused:.0f}", f"≤ {REFUSED_MS}", refused <= REFUSED_MS),
        (f"p99 of answers at {worst.times:g} ×, in that at 1 ×", f"{tail:.2f}", f"≤ {TAIL:g}", tail <= TAIL),
        ("normal again after, s", str(recovery or "never"), f"≤ {RECOVERY_SECONDS}", is_normal_in_time),
        ("calls neither answered nor refused", str(others), "0", not others),
        *(_probed(port, probes) for port, probes in ports),
    ]
    return promises("Promise P12 under overload", rows)


def _probed(port: str, probes: list[Call]) -> Promise:
    longest, usual = (percentile([probe.took for probe in probes], share) for share in (1.0, 0.99))
    missed = sum(probe.status != 200 for probe in probes)
    told = f"p99 {_ms(usual)}, longest {_ms(longest)}; {missed}"
    return (
        f"probes of {port}, ms; not answered 200",
        told,
        f"≤ {PROBE_MS}; 0",
        longest * 1000 <= PROBE_MS and not missed,
    )


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.1f}" if seconds < 0.0995 else f"{seconds * 1000:.0f}"


def circumstances(command: str) -> str:
    software = f"{platform.python_implementation()} {platform.python_version()}, granian {granian.__version__}"
    return f"`{command}`; {cores()} cores, {platform.machine()}, {software}"


def run(resources: int, workers: int, seconds: float, rounds: int) -> Measured:
    """A server of its own for each chart size."""
    operations = free_port()
    config = f'log_level = "warning"\ndevelopment = true\n[operations]\nport = {operations}\n'
    with tempfile.TemporaryDirectory() as folder, running(Path(folder), workers, config) as server:
        body = Path(folder) / "body.json"
        body.write_bytes(request_body(resources, datetime.now(UTC)))
        answer = server.http.post(PATH, content=body.read_bytes(), headers={"Content-Type": JSON}).content
        if CARDS.encode() not in answer:
            raise BadAnswer(f"no card in {answer[:200]!r}")
        *_, refusal = app().say_busy(None, PATH)
        target = Target(f"http://127.0.0.1:{server.port}{PATH}", body)
        asked = Asked(server, operations, target, len(answer), len(refusal))
        return Measured([asyncio.run(measure(asked, CALLERS * workers, seconds)) for _ in range(rounds)])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default="20,200", metavar="N,N", help="resources of the charts (default: 20,200)")
    parser.add_argument("--seconds", type=float, default=8.0, help="of each step (default: 8)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--write", action="store_true", help="put the tables into docs/performance.md")
    options = parser.parse_args()
    command = f"python -m tests.bench.overload --sizes {options.sizes} --seconds {options.seconds:g}"
    parts = [circumstances(f"{command} --rounds {options.rounds} --workers {options.workers}")]
    for resources in map(int, options.sizes.split(",")):
        measured = run(resources, options.workers, options.seconds, options.rounds)
        parts += [f"Charts of {resources} resources:", steps_table(measured), promises_table(measured)]
    print("\n\n".join(parts))
    if options.write:
        put("load", "\n\n".join(parts))
    return 0


if __name__ == "__main__":
    sys.exit(main())
