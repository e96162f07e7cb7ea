"""Whose turn it is: a worker computes one call after the other (reliability.md, section 2 and row 39).

Between two calls the event loop looks at what came in meanwhile, so that probes, refusals and bodies under way do not
wait behind a queue. Who comes when the queue is full, or would wait too long, is told so at once.

The whole queue is for bursts. Where a full house was served and the queue is still no shorter, more calls come than can
be answered, and a long queue answers no more of them than a short one, only later.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType

IN_FLIGHT = 8
WAITING = 16
WAIT_SECONDS = 0.25
"""How much work, by what calls took lately, may come before a call until it is one of those in flight."""

STANDING = 2 * IN_FLIGHT
"""Calls that are let in while it is no burst: they take at most twice as long as those in flight alone."""

EXPECTED_SECONDS = 0.1
"""For how long a call whose body is on its way takes a place."""

_MEMORY = 0.1  # weight of the newest call in the mean


class Turns:
    """`async with turns:` is one turn: first come, first served.

    clock: seconds that this thread has worked, so that a machine that is busy with other things alone refuses nobody.
    now: seconds that pass.
    """

    def __init__(
        self, clock: Callable[[], float] = time.thread_time, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._clock = clock
        self._now = now
        self._expected: dict[object, float] = {}  # since when, the oldest first
        self._queue: deque[asyncio.Future[None]] = deque()
        self._is_busy = False
        self._began = 0.0
        self._mean = 0.0
        self._served = 0  # since there were fewer calls than may be in flight

    @property
    def waiting(self) -> int:
        """Calls in the queue, and the one whose turn it is."""
        return len(self._queue) + self._is_busy

    @property
    def are_taken(self) -> bool:
        """Whether one more call is one too many."""
        return self._is_full(self.waiting)

    @property
    def are_promised(self) -> bool:
        """Whether one more call is one too many, now or once those are here whose bodies are on their way.

        These count for a moment only, and not before as many wait as may be in flight: who sends slowly keeps nobody
        out of a server that has time.
        """
        return self.are_taken or (self.waiting >= IN_FLIGHT and self._is_full(self.waiting + self._expected_soon()))

    @contextmanager
    def expected(self) -> Iterator[None]:
        """The time in which a call has been let in and is not yet here."""
        place = object()
        self._expected[place] = self._now()
        try:
            yield
        finally:
            self._expected.pop(place, None)

    async def __aenter__(self) -> None:
        if self._is_busy:
            turn = asyncio.get_running_loop().create_future()
            self._queue.append(turn)
            try:
                await turn
            except asyncio.CancelledError:
                if turn.done() and not turn.cancelled():  # it was given and will not be used
                    self._pass_on()
                raise
        self._is_busy = True
        self._began = self._clock()

    async def __aexit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._mean += _MEMORY * (self._clock() - self._began - self._mean)
        asyncio.get_running_loop().call_soon(self._pass_on)

    def _is_full(self, calls: int) -> bool:
        most = STANDING if self._served > IN_FLIGHT + WAITING else IN_FLIGHT + WAITING
        return calls >= most or (calls - IN_FLIGHT) * self._mean > WAIT_SECONDS

    def _expected_soon(self) -> int:
        late = self._now() - EXPECTED_SECONDS
        while self._expected and self._expected[oldest := next(iter(self._expected))] <= late:
            del self._expected[oldest]
        return len(self._expected)

    def _pass_on(self) -> None:
        self._served = self._served + 1 if len(self._queue) >= IN_FLIGHT else 0
        while self._queue:
            turn = self._queue.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self._is_busy = False
