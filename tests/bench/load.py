"""A client that costs next to nothing: a closed loop over raw keep-alive connections, in a process of its own.

A Python HTTP library spends more on a call than the server does, and would then be what is measured. Here the
request is bytes made once, and of the answer only the status, the length and one expected piece are looked at.

Run as `python -m tests.bench.load`: one Order as JSON a line on stdin, one Load as JSON a line on stdout.
"""

import selectors
import socket
import statistics
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

TIMEOUT_SECONDS = 30.0
_READ_AT_ONCE = 1 << 18


class Order(msgspec.Struct):
    """expected: a piece that every answer holds. body: path of the file that holds the body."""

    port: int
    path: str
    body: str
    connections: int
    seconds: float
    expected: str


class Load(msgspec.Struct):
    """What came of it; latencies in seconds, from the first byte sent to the last byte received."""

    calls: int
    seconds: float
    p50: float
    p99: float

    @property
    def rate(self) -> float:
        """Calls a second."""
        return self.calls / self.seconds


class BadAnswer(Exception):
    """The server answered something else than was expected: a measurement of it would mean nothing."""


class _Connection:
    """One call after the other over one connection, opened again where the server closes it."""

    def __init__(self, address: tuple[str, int], request: bytes, expected: bytes, wake: selectors.BaseSelector) -> None:
        self._address, self._request, self._expected, self._wake = address, request, expected, wake
        self._open()

    def _open(self) -> None:
        self._socket = socket.create_connection(self._address, TIMEOUT_SECONDS)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.setblocking(False)
        self._wake.register(self._socket, selectors.EVENT_READ, self)
        self._writing = False

    def close(self) -> None:
        self._wake.unregister(self._socket)
        self._socket.close()

    def begin(self) -> None:
        self._began = time.perf_counter()
        self._answer = bytearray()
        self._unsent = memoryview(self._request)
        self._send()

    def proceed(self, events: int) -> float | None:
        """The latency of the call, once it is complete."""
        if events & selectors.EVENT_WRITE:
            self._send()
        return self._receive() if events & selectors.EVENT_READ else None

    def _send(self) -> None:
        try:
            while self._unsent:
                self._unsent = self._unsent[self._socket.send(self._unsent) :]
        except BlockingIOError:
            pass
        if self._writing != bool(self._unsent):
            self._writing = not self._writing
            events = selectors.EVENT_READ | (selectors.EVENT_WRITE if self._writing else 0)
            self._wake.modify(self._socket, events, self)

    def _receive(self) -> float | None:
        received = self._socket.recv(_READ_AT_ONCE)
        if not received:
            raise BadAnswer(f"the connection was closed after {bytes(self._answer[:200])!r}")
        self._answer += received
        head, end, _ = self._answer.partition(b"\r\n\r\n")
        if not end or len(self._answer) < len(head) + len(end) + _content_length(head):
            return None
        took = time.perf_counter() - self._began
        if not head.startswith(b"HTTP/1.1 200 ") or self._expected not in self._answer:
            raise BadAnswer(f"expected 200 and {self._expected!r}, got {bytes(self._answer[:400])!r}")
        if b"connection: close" in head.lower():
            self.close()
            self._open()
        return took


def _content_length(head: bytearray) -> int:
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    raise BadAnswer(f"no Content-Length in {bytes(head)!r}")


def run(order: Order) -> Load:
    """Keep every connection busy for that many seconds. Raises BadAnswer for any answer but the expected."""
    body = Path(order.body).read_bytes()
    head = (
        f"POST {order.path} HTTP/1.1\r\nHost: 127.0.0.1:{order.port}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    address, request, expected = ("127.0.0.1", order.port), head.encode() + body, order.expected.encode()
    with selectors.DefaultSelector() as wake:
        connections = [_Connection(address, request, expected, wake) for _ in range(order.connections)]
        began = time.perf_counter()
        latencies = list(_closed_loop(connections, wake, began + order.seconds))
        seconds = time.perf_counter() - began
        for connection in connections:
            connection.close()
    return Load(len(latencies), seconds, statistics.median(latencies), _percentile(latencies, 0.99))


def _closed_loop(connections: list[_Connection], wake: selectors.BaseSelector, until: float) -> Iterator[float]:
    """Latencies. Whoever has its answer asks again until the time is over; then the last answers are awaited."""
    for connection in connections:
        connection.begin()
    busy = len(connections)
    while busy:
        ready = wake.select(TIMEOUT_SECONDS)
        if not ready:
            raise BadAnswer(f"no answer within {TIMEOUT_SECONDS:.0f} seconds")
        for key, events in ready:
            latency = key.data.proceed(events)
            if latency is None:
                continue
            yield latency
            if time.perf_counter() < until:
                key.data.begin()
            else:
                busy -= 1


def _percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(int(len(values) * share), len(values) - 1)]


def main() -> str | None:
    for line in sys.stdin.buffer:
        try:
            load = run(msgspec.json.decode(line, type=Order))
        except (BadAnswer, OSError) as error:
            return f"client: {error}"
        print(msgspec.json.encode(load).decode(), flush=True)
    return None


if __name__ == "__main__":
    sys.exit(main())
