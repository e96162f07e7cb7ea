"""The service and the floor in turns, so that what disturbs the machine disturbs both alike."""

import math
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path
from statistics import median
from typing import NamedTuple

from msgspec.structs import replace

from tests.bench import floor
from tests.bench.bodies import body_of_size
from tests.bench.load import Load, Order
from tests.bench.processes import COMMANDS, FLOOR, GATEWAY, OURS, UNAUDITED, Client, is_installed, serving
from tests.bench.split import SERVICE, Split

WARM_UP_SECONDS = 0.3
LARGEST_BODY = 10 * 2**20
_CARDS = '"cards":[{'
_NO_CARDS = '"cards":[]'
_OUR_PATH = f"/cds-services/{SERVICE.id}"


class Bodies:
    """Request bodies as files, for the client process reads them itself."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def file(self, name: str, body: bytes) -> str:
        path = self._folder / name
        path.write_bytes(body)
        return str(path)


@contextmanager
def body_files() -> Iterator[Bodies]:
    with tempfile.TemporaryDirectory() as folder:
        yield Bodies(Path(folder))


class Comparison(NamedTuple):
    """One size at one concurrency. rates in calls a second, latencies in seconds; medians of the rounds.

    ratio: the median of the rounds' own ratios; alike: the same to the floor behind our gateway. p99: of the service;
    floor_p50: of the floor.
    """

    resources: int
    octets: int
    connections: int
    ours: float
    floor: float
    ratio: float
    alike: float
    p50: float
    p99: float
    floor_p50: float


class Overhead(NamedTuple):
    """Calls a second of an application that does nothing with a body, directly and behind our gateway."""

    resources: int
    direct: float
    gateway: float


class ServerRate(NamedTuple):
    """One WSGI server under the floor application: calls a second at each number of connections."""

    name: str
    rates: Mapping[int, float]


def compare(
    bodies: Mapping[int, bytes], connections: Iterable[int], rounds: int, seconds: float
) -> Iterator[Comparison]:
    """bodies: number of resources -> request. Raises RuntimeError for an answer that is not as it should be."""
    with ExitStack() as stack:
        client, files = stack.enter_context(Client()), stack.enter_context(body_files())
        ours, base, alike = (stack.enter_context(serving(name)) for name in (OURS, FLOOR, GATEWAY))
        for resources, body in bodies.items():
            file = files.file(str(resources), body)
            for number in connections:
                order = Order(ours.port, _OUR_PATH, file, number, seconds, _CARDS)
                floor_order = Order(base.port, floor.FLOOR_PATH, file, number, seconds, _NO_CARDS)
                orders = order, floor_order, replace(floor_order, port=alike.port)
                for one in orders:
                    client.run(replace(one, seconds=WARM_UP_SECONDS))
                turns = [tuple(map(client.run, orders)) for _ in range(rounds)]
                yield _comparison(resources, len(body), number, turns)


def _comparison(resources: int, octets: int, connections: int, turns: list[tuple[Load, ...]]) -> Comparison:
    return Comparison(
        resources,
        octets,
        connections,
        ours=median(ours.rate for ours, _, _ in turns),
        floor=median(base.rate for _, base, _ in turns),
        ratio=median(ours.rate / base.rate for ours, base, _ in turns),
        alike=median(ours.rate / alike.rate for ours, _, alike in turns),
        p50=median(ours.p50 for ours, _, _ in turns),
        p99=median(ours.p99 for ours, _, _ in turns),
        floor_p50=median(base.p50 for _, base, _ in turns),
    )


def overheads(bodies: Mapping[int, bytes], seconds: float) -> list[Overhead]:
    """What remains of a call when nothing is done: the server, Flask, and receiving the body."""
    rates: dict[str, dict[int, float]] = {}
    with Client() as client, body_files() as files:
        orders = {
            resources: Order(0, floor.NOTHING_PATH, files.file(str(resources), body), 8, seconds, _NO_CARDS)
            for resources, body in bodies.items()
        }
        for name in (FLOOR, GATEWAY):
            with serving(name) as server:
                here = {resources: replace(order, port=server.port) for resources, order in orders.items()}
                client.run(next(iter(here.values())))  # until its worker is up and warm
                rates[name] = {resources: client.run(order).rate for resources, order in here.items()}
    direct, gateway = rates.values()
    return [Overhead(resources, direct[resources], gateway[resources]) for resources in bodies]


def peak_memory(now: datetime) -> tuple[int | None, int | None]:
    """The largest resident set before and after bodies as large as the service takes; in octets."""
    body = body_of_size(LARGEST_BODY, now)
    with Client() as client, body_files() as files, serving(OURS) as server:
        file = files.file("largest", body)
        small = files.file("small", body_of_size(20_000, now))
        client.run(Order(server.port, _OUR_PATH, small, 1, 0.1, _CARDS))
        before = server.peak_memory()
        client.run(Order(server.port, _OUR_PATH, file, 1, 2.0, _CARDS))
        return before, server.peak_memory()


def growth(splits: Mapping[int, Split]) -> float:
    """The exponent of the whole time between the two largest charts: 1 is linear."""
    (fewer, faster), (more, slower) = sorted(splits.items())[-2:]
    return math.log(slower.whole / faster.whole) / math.log(more / fewer)


def servers(body: bytes, connections: Iterable[int], rounds: int, seconds: float) -> Iterator[ServerRate]:
    """The floor application under each server that is installed here."""
    with Client() as client, body_files() as files:
        file = files.file("body", body)
        for name in COMMANDS:
            if name in (OURS, UNAUDITED) or not is_installed(name):
                continue
            with serving(name) as server:
                orders = [Order(server.port, floor.FLOOR_PATH, file, each, seconds, _NO_CARDS) for each in connections]
                client.run(orders[0])  # until its workers are up and warm
                rates = {order.connections: median(client.run(order).rate for _ in range(rounds)) for order in orders}
            yield ServerRate(name, rates)
