"""Questions to the audit."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Select, select

from hooks.audit.chain import CARD_FIELDS, cards_of
from hooks.ledger.schema import call, card, stored_input

_AT_ONCE = 200  # rows

Row = dict[str, Any]


@dataclass(frozen=True)
class Question:
    """Which calls; None: whichever. since, until: aware, `until` itself not counted; answer: status of the answer.

    criterion, status: calls in which that criterion had that status; card: the call that sent it; id: or its beginning.
    """

    since: datetime | None = None
    until: datetime | None = None
    issuer: str | None = None
    answer: int | None = None
    criterion: str | None = None
    status: str | None = None
    card: str | None = None
    id: str | None = None


def find(connection: Connection, question: Question, limit: int | None = None) -> Iterator[Row]:
    """The rows, newest first, each with its `cards`; instants as text in UTC. Raises LedgerUnavailable."""
    wanted = _asked(question).order_by(call.c.at.desc(), call.c.id).limit(limit)
    for some in connection.execute(wanted.execution_options(yield_per=_AT_ONCE)).mappings().partitions():
        cards = cards_of(connection, [row["id"] for row in some])
        yield from (_as_json(row, cards[row["id"]]) for row in some)


def find_stored(connection: Connection, question: Question) -> list[str]:
    """The ids of those whose input was stored, oldest first. Raises LedgerUnavailable."""
    stored = _asked(question, call.c.id).join(stored_input, stored_input.c.call_id == call.c.id)
    return list(connection.scalars(stored.order_by(call.c.at, call.c.id)))


def _asked(question: Question, *columns: Any) -> Select:
    conditions = {
        "since": lambda value: call.c.at >= value,
        "until": lambda value: call.c.at < value,
        "issuer": lambda value: call.c.issuer == value,
        "answer": lambda value: call.c.status == value,
        "status": lambda value: call.c.criteria[question.criterion]["status"].as_string() == value,
        "card": lambda value: call.c.id.in_(select(card.c.call_id).where(card.c.uuid == value)),
        "id": lambda value: call.c.id.startswith(value, autoescape=True),
    }
    given = ((condition, getattr(question, name)) for name, condition in conditions.items())
    return select(*(columns or (call,))).where(*(condition(value) for condition, value in given if value is not None))


def _as_json(row: Mapping[str, Any], cards: list[Any]) -> Row:
    at = row["at"].astimezone(UTC).isoformat().replace("+00:00", "Z")
    return {**row, "at": at, "cards": [dict(zip(CARD_FIELDS, each, strict=True)) for each in cards]}
