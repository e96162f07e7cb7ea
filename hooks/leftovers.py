"""Bodies of calls that were refused unread (reliability.md, row 39).

A connection is good for another call only once the body on it is through. So it is taken while the refusal is already
on its way, and nobody waits for that: neither the client nor the event loop, which has others to answer.
"""

import asyncio
import time
from collections import deque
from typing import Any

_LOOKS = 2
"""At bodies, whenever one begins: those that are through hold memory until somebody has looked."""
_PAUSE_SECONDS = 1.0


class Leftovers:
    """seconds: how long a body may take; then its connection is closed."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._coming: deque[tuple[float, Any]] = deque()

    def take(self, protocol: Any) -> None:
        """The body of a call. protocol: that of RSGI; what it gives is a future."""
        now = time.monotonic()
        self._look(_LOOKS, now)
        self._coming.append((now + self._seconds, protocol()))

    async def watch(self) -> None:
        """Until cancelled: look at all of them, now and again, for after the last refusal nothing else does."""
        while True:
            await asyncio.sleep(_PAUSE_SECONDS)
            self._look(len(self._coming), time.monotonic())

    def _look(self, most: int, now: float) -> None:
        for _ in range(min(most, len(self._coming))):
            until, body = self._coming.popleft()
            if body.done():
                continue
            if now < until:
                self._coming.append((until, body))
            else:
                body.cancel()
