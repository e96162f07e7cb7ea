"""What a page needs from elsewhere before it can be shown, got on the event loop while others are answered.

A view is called twice. The first time `awaited` notes what is to be done and ends the view; the second time it has the
result. So what stands before it in a view should change nothing.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from flask import Response, abort, request
from werkzeug.exceptions import ServiceUnavailable

ASIDE = "backpain_cds.aside"
"""Where the WSGI environment of a call has its aside, when there is an event loop."""

AT_ONCE = 24
"""Pages of one worker that wait for something elsewhere."""

SPARE = 8
"""Further ones that write something: whoever only opens pages cannot keep others from that."""

T = TypeVar("T")
Work = Callable[[], Awaitable[Any]]


class Aside:
    """What one page waits for. work, writes: set by its view; outcome: what came of it, perhaps an exception."""

    work: Work | None = None
    writes = False
    outcome: Any = None
    is_done = False


class Asides:
    """Does the work of a worker's pages. seconds: after which a page waits no longer."""

    def __init__(self, seconds: float = 25.0) -> None:
        self._seconds = seconds
        self._running = 0

    async def run(self, aside: Aside) -> None:
        """Never raises for what the work does: the view learns of it."""
        if aside.work is None:
            return
        aside.is_done = True
        if self._running >= AT_ONCE + (SPARE if aside.writes else 0):
            aside.outcome = ServiceUnavailable(retry_after=5)
            return
        self._running += 1
        try:
            within = asyncio.wait_for(aside.work(), self._seconds)
            (aside.outcome,) = await asyncio.gather(within, return_exceptions=True)
        finally:
            self._running -= 1


def awaited(work: Callable[[], Awaitable[T]], writes: bool = False) -> T:
    """The result of the work, once it is done. Raises what the work raised, and 503 where nobody can do it.

    A view may ask once. writes: whether it is more than looking.
    """
    aside: Aside | None = request.environ.get(ASIDE)
    if aside is None:
        raise ServiceUnavailable
    if not aside.is_done:
        aside.work, aside.writes = work, writes
        abort(Response(status=202))  # nobody sees it: the view is called again when the work is done
    if isinstance(aside.outcome, BaseException):
        raise aside.outcome
    return aside.outcome
