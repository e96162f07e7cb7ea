"""What is older than a site wants to keep goes (reliability.md, row 34).

Whole days of UTC go, so that what is left of the audit still begins where a chain begins. Changes of switches stay.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, time, timedelta

from sqlalchemy import Column, delete, select

from hooks.ledger.database import Ledger
from hooks.ledger.schema import call, feedback
from hooks.settings import Retention

_AT_ONCE = 500  # rows of a transaction, so that no call waits for a long backlog


def forget(ledger: Ledger, retention: Retention, now: datetime) -> Mapping[str, int]:
    """Delete calls, with their cards and inputs, and feedback; how many of each. Raises LedgerUnavailable.

    now: aware. A row is kept for the days that the site wants, and until the day in UTC is over.
    """
    kinds = {"call": (call.c.id, call.c.at, retention.audit_days)}
    kinds["feedback"] = (feedback.c.id, feedback.c.received, retention.feedback_days)
    return {kind: _forget(ledger, key, at, _first_kept(now, days)) for kind, (key, at, days) in kinds.items()}


def _first_kept(now: datetime, days: int) -> datetime:
    day = now.astimezone(UTC).date() - timedelta(days=days)
    return datetime.combine(day, time(), UTC)


def _forget(ledger: Ledger, key: Column, at: Column, first_kept: datetime) -> int:
    """Rows that another worker deletes just now are left to it (PostgreSQL; in SQLite one writes at a time anyway)."""
    old = select(key).where(at < first_kept).order_by(at).limit(_AT_ONCE).with_for_update(skip_locked=True)
    gone = 0
    while True:
        with ledger.begin() as connection:
            count = connection.execute(delete(key.table).where(key.in_(old))).rowcount
        gone += count
        if count < _AT_ONCE:
            return gone
