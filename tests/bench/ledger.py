"""What the audit costs: the service with it and without it, in turns. `python -m tests.bench.ledger`.

Compared is the processor time of all processes of a server for one call: it has everything in it, the line in the spool
and the process that files it, and other work on the machine disturbs it less than it disturbs a clock.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from statistics import median
from typing import NamedTuple

from msgspec.structs import replace

from tests.bench.bodies import request_body
from tests.bench.load import Load, Order
from tests.bench.measure import WARM_UP_SECONDS, body_files
from tests.bench.processes import OURS, UNAUDITED, Client, Server, serving
from tests.bench.split import SERVICE


class Turn(NamedTuple):
    """One server under load. each: processor seconds of a call."""

    load: Load
    each: float


class Cost(NamedTuple):
    """Medians of the rounds, in seconds. bare: without an audit; added: part of a call's processor time without it."""

    resources: int
    connections: int
    each: float
    bare: float
    added: float
    p99: float
    bare_p99: float


def costs(sizes: Sequence[int], connections: Sequence[int], rounds: int, seconds: float) -> Iterator[Cost]:
    """Every size at every number of clients."""
    with ExitStack() as stack:
        client, files = stack.enter_context(Client()), stack.enter_context(body_files())
        servers = [stack.enter_context(serving(name)) for name in (OURS, UNAUDITED)]
        for size in sizes:
            file = files.file(str(size), request_body(size, datetime.now(UTC)))
            order = Order(0, f"/cds-services/{SERVICE.id}", file, 1, seconds, '"cards":[{')
            for number in connections:
                here = replace(order, connections=number)
                for server in servers:
                    _turn(client, server, replace(here, seconds=WARM_UP_SECONDS))
                turns = [[_turn(client, server, here) for server in servers] for _ in range(rounds)]
                yield _cost(size, number, turns)


def _turn(client: Client, server: Server, order: Order) -> Turn:
    before = server.processor_seconds()
    load = client.run(replace(order, port=server.port))
    return Turn(load, (server.processor_seconds() - before) / load.calls)


def _cost(size: int, connections: int, turns: list[list[Turn]]) -> Cost:
    return Cost(
        size,
        connections,
        each=median(audited.each for audited, _ in turns),
        bare=median(bare.each for _, bare in turns),
        added=median(audited.each / bare.each - 1 for audited, bare in turns),
        p99=median(audited.load.p99 for audited, _ in turns),
        bare_p99=median(bare.load.p99 for _, bare in turns),
    )


def _numbers(text: str) -> list[int]:
    return [int(each) for each in text.split(",")]


def main() -> int:
    """Write the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.ledger", description=__doc__)
    parser.add_argument("--rounds", type=int, default=40, help="turns of both (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=0.75, help="length of a turn (default: %(default)s)")
    parser.add_argument("--sizes", type=_numbers, default="20,200,2000", help="resources (default: %(default)s)")
    args = parser.parse_args()
    print("resources  clients  CPU ms a call  without  the audit adds  p99 ms  without")
    for cost in costs(args.sizes, (1, 8), args.rounds, args.seconds):
        times = f"{cost.each * 1000:13.2f}  {cost.bare * 1000:7.2f}  {cost.added:14.1%}"
        tails = f"{cost.p99 * 1000:6.1f}  {cost.bare_p99 * 1000:7.1f}"
        print(f"{cost.resources:9}  {cost.connections:7}  {times}  {tails}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
