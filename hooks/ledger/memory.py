"""What clinicians have acknowledged, looked up while the event loop answers others (docs/switches.md)."""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from sqlalchemy import select, tuple_

from hooks.errand import Errand
from hooks.errors import LedgerUnavailable
from hooks.fetch import Fetcher
from hooks.ledger.database import Ledger
from hooks.ledger.schema import call, card, feedback
from hooks.override_reasons import ACKNOWLEDGING
from hooks.repeats import NOTHING, REPEATABLE, Acknowledged, Recall

SECONDS = 0.2
"""How long a call waits for it."""
REST_SECONDS = 5.0
"""How long a ledger that did not answer in time is not asked."""


class Memory:
    """One worker's. Without an answer in time nothing is acknowledged: the card is shown. clock: monotonic seconds."""

    def __init__(self, ledger: Ledger, seconds: float = SECONDS, clock: Callable[[], float] = time.monotonic) -> None:
        self._ledger = ledger
        self._seconds = seconds
        self._clock = clock
        self._asked_again_at = float("-inf")
        self._threads = ThreadPoolExecutor(1, "memory")

    async def look_up(self, recall: Recall) -> Acknowledged:
        """What was acknowledged, in time; else nothing. Never raises for what a database does."""
        if self._clock() < self._asked_again_at:
            return NOTHING
        asked = asyncio.get_running_loop().run_in_executor(self._threads, acknowledged, self._ledger, recall)
        try:
            return await asyncio.wait_for(asked, self._seconds)
        except (TimeoutError, LedgerUnavailable):
            self._asked_again_at = self._clock() + REST_SECONDS
            return NOTHING


class Errands:
    """In place of a Fetcher: what the ledger remembers is looked up while a FHIR server is asked."""

    def __init__(self, fetcher: Fetcher, memory: Memory) -> None:
        self._fetcher = fetcher
        self._memory = memory

    async def run(self, errand: Errand) -> None:
        """Both at once; neither raises for what a server does."""
        await asyncio.gather(self._fetch(errand), self._recall(errand))

    async def _fetch(self, errand: Errand) -> None:
        if errand.lacking:
            await self._fetcher.run(errand)

    async def _recall(self, errand: Errand) -> None:
        if errand.recall is not None:
            errand.acknowledged = await self._memory.look_up(errand.recall)


def acknowledged(ledger: Ledger, recall: Recall) -> Acknowledged:
    """The information cards of this user and patient that were overridden with a reason that acknowledges them.

    Raises LedgerUnavailable.
    """
    query = (
        select(card.c.evidence, card.c.uuid)
        .join(call, call.c.id == card.c.call_id)
        .join(feedback, (feedback.c.card == card.c.uuid) & (feedback.c.issuer == call.c.issuer))
        .where(call.c.patient_key == recall.patient_key, call.c.user_key == recall.user_key)
        .where(call.c.issuer == recall.issuer, card.c.indicator == REPEATABLE, feedback.c.received > recall.since)
        .where(feedback.c.outcome == "overridden")
        .where(tuple_(feedback.c.reason_system, feedback.c.reason_code).in_(ACKNOWLEDGING))
        .order_by(feedback.c.received)
    )
    with ledger.read() as connection:
        return {row.evidence: row.uuid for row in connection.execute(query)}
