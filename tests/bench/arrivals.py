"""Calls that come when they come, whoever still waits (an open loop).

A client that awaits an answer before it asks again asks least while the server is slowest, and does not see what
everybody else would have waited (coordinated omission). Here each call has its moment, and its time counts from that
moment, even where the client itself was late to send it.
"""

import asyncio
import gc
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

BROKEN = 0
"""In place of a status: no connection could be had, or it ended before the answer did."""
PATIENCE_SECONDS = 30.0

_CLOSING = b"connection: close"
_LENGTH = b"content-length:"


class Call(NamedTuple):
    """What became of a call. due: seconds since the first one; late: until it was sent; took: from `due` to the last
    octet of the answer; status: of the answer, or BROKEN."""

    due: float
    late: float
    took: float
    status: int


class Connection(asyncio.Protocol):
    """One call at a time over one connection. expected: a piece of every answer 200."""

    def __init__(self, expected: bytes = b"") -> None:
        self._expected = expected
        self._answered: asyncio.Future[int] | None = None
        self.is_open = True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def connection_lost(self, error: Exception | None) -> None:
        self.is_open = False
        self._say(BROKEN)

    async def ask(self, request: bytes) -> int:
        """The status of the answer, or BROKEN."""
        self._answer = bytearray()
        self._answered = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._answered

    def data_received(self, data: bytes) -> None:
        self._answer += data
        head, end, content = self._answer.partition(b"\r\n\r\n")
        if end and len(content) >= _length(head := head.lower()):
            if _CLOSING in head:
                self.close()
            status = int(head[9:12])
            self._say(BROKEN if status == 200 and self._expected not in content else status)

    def close(self) -> None:
        self.is_open = False
        self._transport.close()

    def _say(self, status: int) -> None:
        if self._answered and not self._answered.done():
            self._answered.set_result(status)


def _length(head: bytearray) -> int:
    return int(head.partition(_LENGTH)[2].partition(b"\r\n")[0] or 0)


class Pool:
    """Keep-alive connections to one port of this machine: a call takes a free one or makes another.

    keeps: whether they are used again.
    """

    def __init__(self, port: int, expected: bytes = b"", keeps: bool = True) -> None:
        self._port = port
        self._expected = expected
        self._keeps = keeps
        self._free: list[Connection] = []

    async def ask(self, request: bytes) -> int:
        """The status of the answer, or BROKEN; nothing is tried twice."""
        connection = None
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                connection = await self._connection()
                status = await connection.ask(request)
        except (OSError, TimeoutError):
            status = BROKEN
        if connection and connection.is_open:
            self._free.append(connection) if self._keeps and status else connection.close()
        return status

    async def _connection(self) -> Connection:
        while self._free:
            if (connection := self._free.pop()).is_open:
                return connection
        made = asyncio.get_running_loop().create_connection(lambda: Connection(self._expected), "127.0.0.1", self._port)
        return (await made)[1]

    def close(self) -> None:
        for connection in self._free:
            connection.close()


async def arrive(ask: Callable[[], Awaitable[int]], moments: Iterator[float]) -> list[Call]:
    """Ask at each moment, and wait for the answers at the end. moments: ascending, in seconds from now."""
    began, calls = time.perf_counter(), []

    async def one(due: float) -> None:
        late = time.perf_counter() - began - due
        status = await ask()
        calls.append(Call(due, late, time.perf_counter() - began - due, status))

    async with asyncio.TaskGroup() as under_way:
        for due in moments:
            if (early := began + due - time.perf_counter()) > 0:
                await asyncio.sleep(early)
            under_way.create_task(one(due))
    return sorted(calls)


def percentile(values: Sequence[float], share: float) -> float:
    """Of all values, exactly: the least that such a share of them does not exceed; 0 of none."""
    return sorted(values)[max(0, -int(-len(values) * share // 1) - 1)] if values else 0.0


def post(path: str, body: bytes) -> bytes:
    """A request as the octets that are sent."""
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def get(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()


@contextmanager
def undisturbed() -> Iterator[None]:
    """The client's own garbage collector does not stop it meanwhile."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
