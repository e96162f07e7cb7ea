"""What becomes of calls when too many come (reliability.md, row 39): `python -m tests.bench.overload`.

First eight callers that wait for their answers find the peak of one worker. Then calls come at a fixed rate, whether or
not earlier ones are answered: 1, 2 and 5 times the peak, and 1 again. Beside them both probes are asked ten times a
second.
"""

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from tests.bench.bodies import request_body
from tests.service_rig import free_port, path_of, running

CLIENTS = 8
PROBES_A_SECOND = 10


@dataclass
class Connections:
    """Keep-alive connections to one port; each call takes a free one or makes another."""

    port: int
    free: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = field(default_factory=list)

    async def ask(self, request: bytes) -> tuple[int, float]:
        """The status, and the seconds from the first octet sent to the last one received."""
        began = time.perf_counter()
        read, write = self.free.pop() if self.free else await asyncio.open_connection("127.0.0.1", self.port)
        write.write(request)
        head = (await read.readuntil(b"\r\n\r\n")).lower()
        await read.readexactly(int(head.partition(b"content-length:")[2].split(b"\r\n", 1)[0]))
        took = time.perf_counter() - began
        if b"connection: close" in head:
            write.close()
        else:
            self.free.append((read, write))
        return int(head[9:12]), took


@dataclass
class Step:
    """What came of some seconds. answered, refused: seconds that calls took; failed: statuses of others."""

    answered: list[float] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)
    failed: list[int] = field(default_factory=list)
    probes: list[float] = field(default_factory=list)

    def add(self, status: int, took: float) -> None:
        if status in (200, 503):
            (self.answered if status == 200 else self.refused).append(took)
        else:
            self.failed.append(status)


async def closed(calls: Connections, request: bytes, seconds: float) -> Step:
    """Eight callers, each with one call at a time."""
    step, until = Step(), time.perf_counter() + seconds

    async def caller() -> None:
        while time.perf_counter() < until:
            step.add(*await calls.ask(request))

    await asyncio.gather(*(caller() for _ in range(CLIENTS)))
    return step


async def opened(calls: Connections, probes: list[Connections], request: bytes, rate: float, seconds: float) -> Step:
    """Calls at that rate, and probes beside them."""
    step = Step()

    async def one() -> None:
        step.add(*await calls.ask(request))

    async def probe() -> None:
        for each in probes:
            status, took = await each.ask(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            step.probes.append(took if status == 200 else 9.9)

    await asyncio.gather(_paced(one, rate, seconds), _paced(probe, PROBES_A_SECOND, seconds))
    return step


async def _paced(start: Callable[[], Awaitable[None]], rate: float, seconds: float) -> None:
    began, tasks = time.perf_counter(), []
    for number in range(int(rate * seconds)):
        await asyncio.sleep(max(0.0, began + number / rate - time.perf_counter()))
        tasks.append(asyncio.ensure_future(start()))
    await asyncio.gather(*tasks)


async def measure(port: int, operations: int, request: bytes, seconds: float) -> None:
    calls, probes = Connections(port), [Connections(port), Connections(operations)]
    await closed(calls, request, 1.0)
    peak = await closed(calls, request, seconds)
    rate = len(peak.answered) / seconds
    print(f"peak, {CLIENTS} callers: {rate:.0f}/s, p99 {_p99(peak.answered):.0f} ms")
    for times in (1, 2, 5, 1):
        step = await opened(calls, probes, request, rate * times, seconds)
        print(
            f"{times} x: answered {len(step.answered) / seconds:.0f}/s ({len(step.answered) / seconds / rate:.0%}), "
            f"p50 {_p50(step.answered):.0f} ms, p99 {_p99(step.answered):.0f} ms; refused "
            f"{len(step.refused) / seconds:.0f}/s, p50 {_p50(step.refused):.0f} ms, p99 {_p99(step.refused):.0f} ms; "
            f"probes p99 {_p99(step.probes):.0f} ms; others {len(step.failed)}"
        )


def _p50(seconds: list[float]) -> float:
    return statistics.median(seconds) * 1000 if seconds else 0.0


def _p99(seconds: list[float]) -> float:
    return sorted(seconds)[int(len(seconds) * 0.99)] * 1000 if seconds else 0.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--resources", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=5.0, help="of each step")
    options = parser.parse_args()
    body, operations = request_body(options.resources, datetime.now(UTC)), free_port()
    head = f"POST {path_of('patient-view')} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    request = f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
    config = f'log_level = "warning"\ndevelopment = true\n[operations]\nport = {operations}\n'
    with tempfile.TemporaryDirectory() as folder, running(Path(folder), config=config) as server:
        asyncio.run(measure(server.port, operations, request, options.seconds))
    print(f"log: {len(server.log.splitlines())} lines")


if __name__ == "__main__":
    main()
