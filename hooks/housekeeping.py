"""What a worker does for the ledger beside its calls: let go of what was kept long enough (reliability.md, row 34)."""

import asyncio
from collections.abc import Callable
from datetime import datetime

from hooks.errors import LedgerUnavailable
from hooks.ledger.database import Ledger
from hooks.ledger.retention import forget
from hooks.log import log_alarm, log_event
from hooks.settings import Retention

HOUR_SECONDS = 3600.0


async def keep_house(
    ledger: Ledger, retention: Retention, clock: Callable[[], datetime], pause_seconds: float = HOUR_SECONDS
) -> None:
    """For ever, in a thread each time. Every worker does it: who comes second finds less to do, or nothing."""
    while True:
        try:
            gone = await asyncio.to_thread(forget, ledger, retention, clock())
        except LedgerUnavailable as error:
            log_alarm("retention", reason=error.reason)
        else:
            if any(gone.values()):
                log_event("retention", **gone)
        await asyncio.sleep(pause_seconds)
