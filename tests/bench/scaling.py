"""What a core answers, by the length of the chart, and what a second worker brings: `python -m tests.bench.scaling`.

A server with one worker and one with two take turns. So many callers for each worker wait for their answers. The
client needs processor time of its own, so on two cores a second worker never has one to itself; the processor time that
a call costs the server, and so the calls that a core answers in a second, do not depend on that.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from math import ceil
from pathlib import Path
from statistics import median
from typing import NamedTuple

from msgspec.structs import replace

from tests.bench.bodies import request_body
from tests.bench.load import Load, Order
from tests.bench.measure import WARM_UP_SECONDS, body_files
from tests.bench.overload import CALLERS, CARDS, PATH, circumstances
from tests.bench.processes import Client, processor_seconds
from tests.bench.tables import SIZING, put, written
from tests.service_rig import Server, running

CONFIG = 'log_level = "info"\ndevelopment = true\n'


class Turn(NamedTuple):
    """What came of one turn of one server. processor: seconds that it used."""

    load: Load
    processor: float


class Scaled(NamedTuple):
    """Medians of the turns. rate: calls a second; cost: processor seconds of a call; latencies in seconds."""

    resources: int
    octets: int
    workers: int
    rate: float
    cost: float
    p50: float
    p99: float


def scaled(sizes: Sequence[int], workers: Sequence[int], rounds: int, seconds: float) -> Iterator[Scaled]:
    """Servers and sizes in turn. Raises RuntimeError for an answer that is not as it should be."""
    with ExitStack() as stack:
        client, files = stack.enter_context(Client()), stack.enter_context(body_files())
        folders = {number: Path(stack.enter_context(tempfile.TemporaryDirectory())) for number in workers}
        servers = {number: stack.enter_context(running(folder, number, CONFIG)) for number, folder in folders.items()}
        for size in sizes:
            body = request_body(size, datetime.now(UTC))
            order = Order(0, PATH, files.file(str(size), body), CALLERS, seconds, CARDS)
            orders = {number: replace(order, connections=CALLERS * number) for number in workers}
            for number in workers:
                _turn(client, servers[number], replace(orders[number], seconds=WARM_UP_SECONDS))
            turns = [
                {number: _turn(client, servers[number], orders[number]) for number in workers} for _ in range(rounds)
            ]
            for number in workers:
                yield _scaled(size, len(body), number, [turn[number] for turn in turns])


def _turn(client: Client, server: Server, order: Order) -> Turn:
    before = processor_seconds(server.process.pid)
    load = client.run(replace(order, port=server.port))
    return Turn(load, processor_seconds(server.process.pid) - before)


def _scaled(resources: int, octets: int, workers: int, turns: Sequence[Turn]) -> Scaled:
    return Scaled(
        resources,
        octets,
        workers,
        rate=median(turn.load.rate for turn in turns),
        cost=median(turn.processor / turn.load.calls for turn in turns),
        p50=median(turn.load.p50 for turn in turns),
        p99=median(turn.load.p99 for turn in turns),
    )


def table(rows: Sequence[Scaled]) -> str:
    first = {row.resources: row.rate for row in reversed(rows)}
    head = ("resources", "kB", "workers", "calls/s", "of the first", "p50 ms", "p99 ms")
    cost = ("processor ms a call", "calls a core and second")
    told = [_told(row, first[row.resources]) for row in rows]
    return written("What a core answers, and a second worker", head + cost, told, markdown=True)


def _told(row: Scaled, first: float) -> Sequence[str]:
    return (
        str(row.resources),
        f"{row.octets / 1000:.0f}",
        str(row.workers),
        f"{row.rate:.0f}",
        f"{row.rate / first:.2f} ×",
        f"{row.p50 * 1000:.1f}",
        f"{row.p99 * 1000:.1f}",
        f"{row.cost * 1000:.2f}",
        f"{1 / row.cost:.0f}",
    )


class Demand(NamedTuple):
    """A hospital in its busiest hour.

    hourly: calls; peak: the rate of the busiest minute, in mean rates of that hour; shares: resources of a chart ->
    share of the calls; busy: share of the time that a core is to be busy at most, so that calls seldom wait.
    """

    hourly: int
    peak: float
    shares: dict[int, float]
    busy: float


HOSPITAL = Demand(hourly=2000 * 12 + 6000 * 2, peak=3.0, shares={20: 0.3, 200: 0.6, 2000: 0.1}, busy=0.5)
"""500 beds, with emergency department and clinics; each assumption is explained in docs/sizing.md."""


def sizing(rows: Sequence[Scaled], demand: Demand = HOSPITAL) -> str:
    """How many cores that takes. Raises KeyError for a size that was not measured."""
    cost = {row.resources: row.cost for row in rows if row.workers == 1}
    mean = sum(share * cost[resources] for resources, share in demand.shares.items())
    hourly = demand.hourly / 3600
    calls = {hourly: "its busiest hour", hourly * demand.peak: "its busiest minute", 100: "", 300: "", 1000: ""}
    told = [
        (f"{rate:.0f}", f"{rate * mean:.2f}", str(ceil(rate * mean / demand.busy)), what)
        for rate, what in calls.items()
    ]
    mixed = ", ".join(f"{share:.0%} of {resources} resources" for resources, share in demand.shares.items())
    title = f"Cores for so many calls a second, {demand.busy:.0%} busy"
    told_of = f"A call takes {mean * 1000:.1f} ms of a core: {mixed}."
    return f"{told_of}\n\n" + written(
        title, ("calls/s", "cores busy", "cores to have", "the hospital"), told, markdown=True
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default="20,200,2000", metavar="N,N", help="resources of the charts")
    parser.add_argument("--workers", default="1,2", metavar="N,N")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4.0, help="of a turn (default: 4)")
    parser.add_argument("--write", action="store_true", help="put the table into docs/performance.md")
    options = parser.parse_args()
    sizes, workers = ([int(each) for each in text.split(",")] for text in (options.sizes, options.workers))
    command = f"python -m tests.bench.scaling --sizes {options.sizes} --workers {options.workers} "
    command = circumstances(f"{command}--rounds {options.rounds} --seconds {options.seconds:g}")
    rows = list(scaled(sizes, workers, options.rounds, options.seconds))
    text = f"{command}\n\n{table(rows)}"
    print(text)
    is_complete = 1 in workers and HOSPITAL.shares.keys() <= set(sizes)
    if is_complete:
        print(f"\n{sizing(rows)}")
    if options.write:
        put("scaling", text)
    if options.write and is_complete:
        put("sizing", f"{command}\n\n{sizing(rows)}", SIZING)
    return 0


if __name__ == "__main__":
    sys.exit(main())
