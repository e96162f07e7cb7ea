"""Between a call that brings feedback and the ledger: the event loop waits, and meanwhile answers others.

What comes in while a transaction is under way goes into the next one together. An answer always follows the commit
that its rows were in (reliability.md, rows 35 and 36).
"""

import asyncio
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from hooks.errors import LedgerUnavailable
from hooks.ledger.database import PATIENCE_SECONDS, Ledger, insert_new
from hooks.ledger.schema import feedback

FILING = "backpain_cds.filing"
"""Where the WSGI environment of a call has its filing, when there is a clerk."""

WAITING_AT_ONCE = 200
TOGETHER = 50
_SECONDS = 2 * PATIENCE_SECONDS + 1

Row = Mapping[str, Any]


@dataclass
class Filing:
    """What one call wants kept. rows: set by the call; error: why they may not be kept, None when they are."""

    rows: Sequence[Row] = ()
    error: BaseException | None = field(default_factory=lambda: LedgerUnavailable("none"))


class Clerk:
    """Files for one worker, in a thread of its own. seconds: after which a call is told to come again."""

    def __init__(self, ledger: Ledger, seconds: float = _SECONDS) -> None:
        self._ledger = ledger
        self._seconds = seconds
        self._thread = ThreadPoolExecutor(1, "clerk")
        self._waiting: list[tuple[Sequence[Row], asyncio.Future[None]]] = []
        self._work: asyncio.Task[None] | None = None

    async def file(self, filing: Filing) -> None:
        """Returns when the rows are committed, or `filing.error` says what happened instead."""
        if len(self._waiting) >= WAITING_AT_ONCE:
            filing.error = LedgerUnavailable("busy")
            return
        done = asyncio.get_running_loop().create_future()
        self._waiting.append((filing.rows, done))
        if self._work is None or self._work.done():
            self._work = asyncio.create_task(self._run())
        try:
            filing.error = await asyncio.wait_for(done, self._seconds)
        except TimeoutError:
            filing.error = LedgerUnavailable("slow")

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while self._waiting:
            group, self._waiting = self._waiting[:TOGETHER], self._waiting[TOGETHER:]
            rows = [row for batch, _ in group for row in batch]
            commit = loop.run_in_executor(self._thread, keep, self._ledger, rows)
            (error,) = await asyncio.gather(commit, return_exceptions=True)
            for _, done in group:
                if not done.done():  # nobody waits for one that took too long
                    done.set_result(error)


def keep(ledger: Ledger, rows: Sequence[Row]) -> None:
    """Commit rows of feedback. Raises LedgerUnavailable.

    In the order of their digests: workers that keep the same rows at once would otherwise wait for each other.
    """
    with ledger.begin() as connection:
        insert_new(connection, feedback, sorted(rows, key=lambda row: row["digest"]))
