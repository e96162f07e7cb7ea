"""The chain that each day's rows hang on: who changes, adds or takes away one later is found out (row 37).

Each row carries a keyed digest over itself, its cards and the digest of the row before it, so that nobody without the
key of the audit can make a new one. A day is the row's own, in UTC.
"""

import hmac
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Connection, select

from hooks.audit.entry import instant
from hooks.ledger.schema import call, card

FIELDS = tuple(column.name for column in call.columns if column is not call.c.chain)
CARD_FIELDS = ("uuid", "group", "indicator", "criteria", "evidence")

_AT_ONCE = 200  # rows
_encode = msgspec.json.encode


class DayChecked(NamedTuple):
    """One day's chain. head: its last digest, by which somebody can see later that no row at its end is missing.

    broken: ids of the rows that are not as they were filed, or before which rows are missing.
    """

    day: str
    rows: int
    head: str
    broken: tuple[str, ...]


def link(key: bytes, previous: str, row: Mapping[str, Any], cards: Iterable[Sequence[Any]]) -> str:
    """The digest of a row. previous: that of the row before it, "" for a day's first; cards: CARD_FIELDS of each."""
    values = [instant(row[name]) if name == "at" else row[name] for name in FIELDS]
    ordered = sorted(cards, key=lambda each: each[0])
    return hmac.digest(key, _encode((previous, values, ordered)), "sha256").hex()


def head(connection: Connection, day: str) -> tuple[int, str]:
    """Position and digest of a day's last row; 0 and "" for a day without rows."""
    last = select(call.c.position, call.c.chain).where(call.c.day == day).order_by(call.c.position.desc()).limit(1)
    found = connection.execute(last).first()
    return (found.position, found.chain) if found else (0, "")


def check(connection: Connection, key: bytes, since: str = "") -> Iterator[DayChecked]:
    """Every day from `since` on, oldest first; older ones may be half deleted, because their time is over."""
    days = select(call.c.day).distinct().where(call.c.day >= since).order_by(call.c.day)
    for day in list(connection.scalars(days)):
        yield _check_day(connection, key, day)


def _check_day(connection: Connection, key: bytes, day: str) -> DayChecked:
    count, position, previous = 0, 0, ""
    broken: list[str] = []
    for row, cards in _rows(connection, day):
        count += 1
        is_whole = hmac.compare_digest(link(key, previous, row, cards), row["chain"])
        if row["position"] != position + 1 or not is_whole:
            broken.append(row["id"])
        position, previous = row["position"], row["chain"]
    return DayChecked(day, count, previous, tuple(broken))


def _rows(connection: Connection, day: str) -> Iterator[tuple[Mapping[str, Any], list[Sequence[Any]]]]:
    rows = select(call).where(call.c.day == day).order_by(call.c.position).execution_options(yield_per=_AT_ONCE)
    for some in connection.execute(rows).mappings().partitions():
        cards = cards_of(connection, [row["id"] for row in some])
        yield from ((row, cards[row["id"]]) for row in some)


def cards_of(connection: Connection, ids: Sequence[str]) -> Mapping[str, list[Sequence[Any]]]:
    """Call id -> CARD_FIELDS of each of its cards."""
    columns = [card.c.call_id, *(card.c[name] for name in CARD_FIELDS)]
    found: defaultdict[str, list[Sequence[Any]]] = defaultdict(list)
    for call_id, *values in connection.execute(select(*columns).where(card.c.call_id.in_(ids))):
        found[call_id].append(values)
    return found
