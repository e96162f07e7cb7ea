"""A circuit breaker: a server that keeps failing is left alone for a while (reliability.md, section 2 and row 16)."""

from collections import deque

FAILURES = 5
WINDOW_SECONDS = 10.0
REST_SECONDS = 10.0


class Breaker:
    """Opens after five failures within ten seconds without a success between; ten seconds later one request tries.

    A success clears the failures, so that one search that a server cannot do does not take away the others.
    now: seconds of a monotonic clock, the same in every method.
    """

    def __init__(self) -> None:
        self._failures: deque[float] = deque(maxlen=FAILURES)
        self._rests_until: float | None = None
        self._probing = False

    @property
    def is_open(self) -> bool:
        """Whether the server is being left alone, or tried by one request."""
        return self._rests_until is not None

    def admits(self, now: float) -> bool:
        """Whether a request may be sent; the one that may after a rest is the probe, and must report how it went."""
        if self._rests_until is None:
            return True
        if now < self._rests_until or self._probing:
            return False
        self._probing = True
        return True

    def succeeded(self) -> None:
        self._failures.clear()
        self._rests_until = None
        self._probing = False

    def failed(self, now: float) -> None:
        """A failure of the server itself: not reached, no answer, or an answer that says it is not up to it."""
        if self._rests_until is not None and not self._probing:
            return  # sent before the rest began
        self._failures.append(now)
        if self._probing or (len(self._failures) == FAILURES and now - self._failures[0] <= WINDOW_SECONDS):
            self._failures.clear()
            self._rests_until = now + REST_SECONDS
            self._probing = False

    def abandoned(self, now: float) -> None:
        """The request was given up before its outcome was known: that says something of a probe only."""
        if self._probing:
            self.failed(now)
