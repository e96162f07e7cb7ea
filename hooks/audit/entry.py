"""One row of the audit as it waits in the spool: its shape, and no more than whoever files it has to know (row 37)."""

from datetime import UTC, datetime
from typing import Any

import msgspec

_encode = msgspec.json.encode
_NOTHING = msgspec.Raw(b"[]"), msgspec.Raw(b"{}")


class CardEntry(msgspec.Struct, array_like=True):
    """A card that was sent. evidence: digest of what it rests on."""

    uuid: str
    group: str
    indicator: str
    criteria: list[str]
    evidence: str


class Entry(msgspec.Struct, omit_defaults=True):
    """A call as it waits in the spool: the columns of `call`, its cards, and its input where that is kept.

    at: ISO 8601 in UTC. missing, criteria, suppressed: JSON as it goes to the ledger. input: a request, JSON.
    """

    id: str
    at: str
    status: int
    latency_ms: float
    issuer: str = ""
    tenant: str = ""
    user_key: str = ""
    patient_key: str = ""
    hook: str = ""
    service: str = ""
    hook_instance: str = ""
    reason: str = ""
    release: str = ""
    catalogue: str = ""
    knowledge: str = ""
    thresholds: str = ""
    unreadable: int = 0
    foreign_resources: int = 0
    missing: msgspec.Raw = _NOTHING[0]
    criteria: msgspec.Raw = _NOTHING[1]
    suppressed: msgspec.Raw = _NOTHING[0]
    cards: list[CardEntry] = []
    input: bytes = b""


def instant(at: datetime) -> str:
    """As `Entry.at` has it."""
    return at.astimezone(UTC).isoformat()


def raw(value: Any) -> msgspec.Raw:
    """JSON that goes on as it is."""
    return msgspec.Raw(_encode(value))
