"""How many calls a second a client may make, on all workers of a server together (reliability.md, section 2).

Of a client only one instant is kept: when its next call would be due if its calls came evenly. A call is let in as long
as that instant is less than one second's worth of calls ahead.
"""

import math
import sqlite3

SCHEMA = "CREATE TABLE IF NOT EXISTS rate (issuer TEXT PRIMARY KEY, due INTEGER NOT NULL) WITHOUT ROWID"

_SECOND = 1_000_000  # whole microseconds: fractions would not add up

# A `due` that is further ahead than it can ever get was written before the clock was set back.
_TAKE = """
INSERT INTO rate VALUES (:issuer, :now + :gap)
ON CONFLICT (issuer) DO UPDATE SET due = iif(due > :now + :ahead + 2 * :gap, :now, max(due, :now)) + :gap
WHERE due <= :now + :ahead OR due > :now + :ahead + 2 * :gap
"""


def take(store: sqlite3.Connection, issuer: str, rate: float, now: float) -> bool:
    """Count a call of the issuer at `now` (seconds); False when it is one too many, and then it does not count."""
    gap = round(_SECOND / rate)
    ahead = max(_SECOND, gap) - gap
    values = {"issuer": issuer, "now": round(now * _SECOND), "gap": gap, "ahead": ahead}
    return store.execute(_TAKE, values).rowcount == 1


def retry_after(rate: float) -> int:
    """Whole seconds after which a call is let in again."""
    return math.ceil(1 / rate)
