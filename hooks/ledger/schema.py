"""The tables of the ledger. Rows are added and, when their time is over, deleted; none is ever changed.

No FHIR content, no names: who a call was about is a keyed hash, evidence is references with versions. The one exception
is `stored_input`, which is empty unless a site asks for it.
"""

from datetime import UTC, datetime

from sqlalchemy import (
    JSON,
    Column,
    DateTime,
    Dialect,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
)

REVISION = "0002"
"""The newest of hooks/ledger/migrations/versions, which make these tables."""

metadata = MetaData()


class Instant(TypeDecorator[datetime]):
    """A point in time: aware when it goes in, in UTC when it comes out. SQLite keeps it as text, without a zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("an instant has a time zone")
        return value.astimezone(UTC).replace(tzinfo=None if dialect.name == "sqlite" else UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def _instant(name: str, **options: object) -> Column:
    return Column(name, Instant, nullable=False, **options)


def _text(name: str, length: int = 300) -> Column:
    """A text that is empty where nothing was said."""
    return Column(name, String(length), nullable=False, default="")


call = Table(
    "call",
    metadata,
    Column("id", String(36), primary_key=True),  # the X-Request-Id of its answer
    _instant("at", index=True),
    _text("issuer", 1024),
    _text("tenant"),
    _text("user_key", 200),  # keyed hashes, or the ids themselves where a site asks for that
    _text("patient_key", 200),
    _text("hook", 40),
    _text("service", 80),
    _text("hook_instance", 100),
    Column("status", Integer, nullable=False),  # of the HTTP answer
    _text("reason", 100),  # why it was refused: a code, never a message
    _text("release", 40),
    _text("catalogue", 20),
    _text("knowledge", 80),
    _text("thresholds", 80),  # hash of limits and disabled criteria
    Column("latency_ms", Float, nullable=False),
    Column("unreadable", Integer, nullable=False),
    Column("foreign_resources", Integer, nullable=False),
    Column("missing", JSON, nullable=False),  # names of the searches whose results were not had
    Column("criteria", JSON, nullable=False),  # id -> {status, state, evidence: [reference|version]}
    Column("suppressed", JSON, nullable=False),  # cards not shown again: [{group, card}]
    Column("day", String(10), nullable=False),  # of `at`, in UTC: each has a chain of its own
    Column("position", Integer, nullable=False),  # in the chain of that day, from 1
    Column("chain", String(64), nullable=False),  # keyed digest over this row and the one before it on its day
    Index("call_day", "day", "position", unique=True),
    Index("call_patient", "patient_key", "user_key"),
)

card = Table(
    "card",
    metadata,
    Column("uuid", String(36), primary_key=True),
    Column("call_id", String(36), ForeignKey("call.id", ondelete="CASCADE"), nullable=False, index=True),
    _text("group", 40),
    _text("indicator", 20),
    Column("criteria", JSON, nullable=False),  # ids
    _text("evidence", 64),  # digest of what the card rests on: the same digest says the same again
)

feedback = Table(
    "feedback",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("digest", String(64), nullable=False, unique=True),  # of all that was said: the same item twice is one
    _instant("received", index=True),
    _text("issuer", 1024),
    _text("service", 80),
    _text("card", 100),  # as sent; whose card it is shows when it is joined to `card` and `call` of the same issuer
    _text("outcome", 20),
    _instant("outcome_at"),
    Column("suggestions", JSON, nullable=False),
    _text("reason_code", 200),
    _text("reason_system", 300),
    _text("reason_display", 300),
    Column("comment", Text, nullable=False, default=""),
    Index("feedback_card", "issuer", "card"),
)

change = Table(
    "change",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    _instant("at", index=True),
    _text("who", 200),
    _text("why", 1000),
    _text("issuer", 1024),  # "" for all clients
    _text("criterion", 80),  # "*" for all
    _text("state", 10),
    _text("digest", 64),  # of the switch as it stands in the file: noticed by every worker, kept once
    Index("change_digest", "digest", unique=True),
)

stored_input = Table(
    "stored_input",
    metadata,
    Column("call_id", String(36), ForeignKey("call.id", ondelete="CASCADE"), primary_key=True),
    Column("body", LargeBinary, nullable=False),  # zlib of the request with all that was fetched for it
)
