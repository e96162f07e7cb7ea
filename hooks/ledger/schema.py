"""The tables of the ledger. Rows are added and, when their time is over, deleted; none is ever changed.

No FHIR content, no names: who a call was about is a keyed hash, evidence is references with versions. The one exception
is `stored_input`, which is empty unless a site asks for it.
"""

from sqlalchemy import (
    JSON,
    Column,
    DateTime,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
)

metadata = MetaData()


def _instant(name: str, **options: object) -> Column:
    return Column(name, DateTime(timezone=True), nullable=False, **options)


def _text(name: str, length: int = 300) -> Column:
    """A text that is empty where nothing was said."""
    return Column(name, String(length), nullable=False, default="")


call = Table(
    "call",
    metadata,
    Column("id", String(36), primary_key=True),  # uuid of this row, also the file name of its stored input
    _instant("at", index=True),
    _text("issuer"),
    _text("tenant"),
    _text("user_key", 64),  # keyed hashes
    _text("patient_key", 64),
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
    Column("chain", String(64), nullable=False),  # digest over this row and the one before it on its day
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
    _text("issuer"),
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
    _text("issuer"),  # "" for all clients
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
