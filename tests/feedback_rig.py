"""Feedback as EHRs send it, and ledgers with calls, cards and feedback in them."""

import json
from datetime import datetime
from typing import Any
from uuid import uuid4

from sqlalchemy import select

from hooks.feedback import parse_feedback
from hooks.ledger.database import Ledger, insert_new, open_ledger
from hooks.ledger.migrate import migrate
from hooks.ledger.schema import call, card, feedback
from tests.records import AT
from tests.service_rig import path_of

URL = f"{path_of('patient-view')}/feedback"
SERVICE = "back-pain-patient-view"
ISSUER, OTHER = "https://ehr.example.org/fhir", "https://other.example.org"
REASON = {"code": "patient-contraindication", "system": "http://terminology.hl7.org/CodeSystem/x", "display": "No"}


def accepted(card_id: str = "card-1", *suggestions: str, **members: Any) -> dict[str, Any]:
    ids = suggestions or ("suggestion-1",)
    return _item(card_id, outcome="accepted", acceptedSuggestions=[{"id": each} for each in ids]) | members


def overridden(card_id: str = "card-1", **members: Any) -> dict[str, Any]:
    return _item(card_id, outcome="overridden") | members


def _item(card_id: str, **members: Any) -> dict[str, Any]:
    return {"card": card_id, "outcomeTimestamp": "2026-11-20T12:00:00Z", **members}


def said(*items: Any) -> dict[str, Any]:
    return {"feedback": list(items)}


def ledger_at(url: str) -> Ledger:
    """An empty ledger, with its tables."""
    migrate(url)
    return open_ledger(url)


def add_call(ledger: Ledger, *criteria: str, at: datetime = AT, issuer: str = ISSUER, group: str = "red-flag") -> str:
    """A call that showed one card about the criteria; the card's uuid."""
    shown = str(uuid4())
    empty = {column.name: "" for column in call.c if column.default is not None}
    row = empty | {
        "id": str(uuid4()), "at": at, "issuer": issuer, "service": SERVICE, "hook": "patient-view", "status": 200,
        "user_key": "user-1", "patient_key": "patient-1", "latency_ms": 1.0, "unreadable": 0, "foreign_resources": 0,
        "missing": [], "criteria": {}, "suppressed": [], "chain": "", "day": str(at.date()),
        "position": uuid4().int >> 97,
    }  # fmt: skip
    shown_card = {"uuid": shown, "call_id": row["id"], "group": group, "indicator": "warning", "evidence": "",
                  "criteria": list(criteria)}  # fmt: skip
    with ledger.begin() as connection:
        insert_new(connection, call, [row])
        insert_new(connection, card, [shown_card])
    return shown


def add_feedback(ledger: Ledger, *items: dict[str, Any], issuer: str = ISSUER, received: datetime = AT) -> None:
    with ledger.begin() as connection:
        insert_new(connection, feedback, parse_feedback(json.dumps(said(*items)).encode(), issuer, SERVICE, received))


def kept(ledger: Ledger) -> list[Any]:
    """The rows of feedback, as they came."""
    with ledger.read() as connection:
        return list(connection.execute(select(feedback).order_by(feedback.c.id)))
