"""Calls that come evenly, whoever still waits (an open loop), made by h2load of nghttp2 (Debian: `nghttp2-client`).

Written in C, it makes two thousand calls a second with a tenth of a core; a client in Python takes most of one, and on
a machine of two cores that is what the server then lacks.

Each connection has its own beat, and they are opened one after the other, so that the beats lie evenly. There are so
many that each has half a second or more for an answer. Should one be late all the same, its next call is sent late,
and that is counted: the time of a call is from the moment at which it was due (no coordinated omission). The timers of
h2load are taken for right.
"""

import asyncio
import re
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from heapq import heappop, heappush
from itertools import count
from math import inf
from pathlib import Path
from typing import NamedTuple

from tests.bench.arrivals import BROKEN, Call

CONNECTIONS = 800
"""At most, so that the server has room for others."""
INTERVAL_SECONDS = 0.5
"""Between two calls over one connection, where so many connections do."""
PATIENCE_SECONDS = 120.0
"""Beyond the calls' own time."""

_CONTENT = re.compile(r"\((\d+)\) data$", re.MULTILINE)
_UNEVEN = 0.02  # of an interval
_AT_ONCE = 0.001  # seconds


class Target(NamedTuple):
    """Whom to ask what. body: a file of JSON."""

    url: str
    body: Path


@dataclass(frozen=True)
class Flood:
    """So many calls, and what h2load noted of them: told when asked for, because reading it takes time.

    interval: seconds between the calls of a connection; inf where each comes when the one before was answered.
    content: octets of all answers together, without their heads.
    """

    number: int
    interval: float
    log: str
    content: int

    @cached_property
    def calls(self) -> list[Call]:
        """What became of each; of those that h2load never sent, nothing."""
        calls = list(self._calls())
        return calls + [Call(0.0, 0.0, 0.0, BROKEN)] * (self.number - len(calls))

    @property
    def answered(self) -> int:
        return sum(call.status == 200 for call in self.calls)

    @property
    def goodput(self) -> float:
        """Answers a second, until the last one."""
        return self.answered / max(call.due + call.took for call in self.calls)

    def _calls(self) -> Iterator[Call]:
        """In the order in which they were sent. Which connection a call is of is not noted: what is sent in the moment
        in which a late connection is free again is taken for its next."""
        late: list[tuple[float, float]] = []  # when a connection is free again, and when its next call was due
        for at, took, status in self._rows():
            due = heappop(late)[1] if late and late[0][0] <= at + _AT_ONCE else at
            if at + took > due + self.interval:
                heappush(late, (at + took, due + self.interval))
            yield Call(due, at - due, at - due + took, status)

    def _rows(self) -> Iterator[tuple[float, float, int]]:
        """When each was sent (seconds since the first), seconds until its answer, and its status.

        The log has microseconds, from 1970 until a call was sent and from then until its answer; below 0: no status.
        """
        rows = sorted(tuple(map(int, line.split("\t")[:3])) for line in self.log.splitlines())
        for at, status, took in rows:
            yield (at - rows[0][0]) / 1e6, took / 1e6, max(status, BROKEN)


async def flood(target: Target, rate: float, seconds: float) -> Flood:
    """So many calls a second for so long. Raises RuntimeError when h2load is not there, or does not come to an end."""
    number = round(rate * seconds)
    connections = max(1, min(number, CONNECTIONS, round(rate * INTERVAL_SECONDS)))
    together, period = opening(rate)
    beat = ["--rps", f"{rate / connections:.6f}", "-r", str(together), "--rate-period", f"{period}ms"]
    options = ["-n", str(number), "-c", str(connections), *beat]
    return Flood(number, connections / rate, *await _noted(target, seconds, *options))


async def closed_loop(target: Target, callers: int, calls: int) -> Flood:
    """Callers who wait for their answers: how many calls the server can answer. Raises RuntimeError as `flood` does."""
    return Flood(calls, inf, *await _noted(target, 0.0, "-n", str(calls), "-c", str(callers)))


def opening(rate: float) -> tuple[int, int]:
    """How many connections to open together, and every how many milliseconds, so that so many are opened a second."""
    pairs = ((round(rate * period / 1000), period) for period in count(1))
    return next(
        (together, period)
        for together, period in pairs
        if together and abs(together * 1000 / period / rate - 1) <= _UNEVEN
    )


async def _noted(target: Target, seconds: float, *options: str) -> tuple[str, int]:
    """Its log, and the octets of all answers."""
    program = shutil.which("h2load")
    if program is None:
        raise RuntimeError("h2load is needed to make the calls: `apt-get install nghttp2-client`")
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "calls.tsv"
        fixed = ["--h1", "-d", str(target.body), "-H", "content-type: application/json", f"--log-file={log}"]
        process = await asyncio.create_subprocess_exec(
            program, *fixed, *options, target.url, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
        try:
            async with asyncio.timeout(seconds + PATIENCE_SECONDS):
                told, _ = await process.communicate()
        except TimeoutError:
            process.kill()
            await process.wait()
            raise RuntimeError("h2load did not come to an end in time") from None
        found = _CONTENT.search(told.decode())
        if process.returncode or not found:
            raise RuntimeError(f"h2load: {told.decode()[-2000:]}")
        return log.read_text("ascii"), int(found[1])
