"""Ledgers with calls that were answered long ago, and pages of a report read back into tables."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import uuid4

import html5lib
from sqlalchemy import insert

from cds.answers import MET, NOT_MET, UNKNOWN
from hooks.ledger.database import Ledger
from hooks.ledger.schema import call, card, change
from tests.feedback_rig import ISSUER, SERVICE
from tests.records import AT

_EMPTY = {column.name: "" for column in call.c if column.default is not None}
_NS = "{http://www.w3.org/1999/xhtml}"


def result(status: str, state: str = "on") -> dict[str, Any]:
    """Of a criterion, as a row of the audit has it."""
    return {"status": status, "state": state, "evidence": ["Condition/c1|3"] if status == MET else []}


def results(met: Sequence[str] = (), unknown: Sequence[str] = (), not_met: Sequence[str] = (), state: str = "on"):
    given = {MET: met, UNKNOWN: unknown, NOT_MET: not_met}
    return {id_: result(status, state) for status, ids in given.items() for id_ in ids}


def add(
    ledger: Ledger,
    criteria: Mapping[str, Any] = {},
    *cards: tuple[str, str, Sequence[str]],
    patient: str = "patient-1",
    at: datetime = AT,
    hook: str = "patient-view",
    **columns: Any,
) -> list[str]:
    """A call with cards (group, indicator, criteria); the uuids of the cards."""
    row = _EMPTY | {
        "id": str(uuid4()), "at": at, "issuer": ISSUER, "service": SERVICE, "hook": hook, "status": 200,
        "user_key": "user-1", "patient_key": patient, "latency_ms": 1.0, "unreadable": 0, "foreign_resources": 0,
        "release": "1.2.3", "catalogue": "2.6", "knowledge": "codes-1", "thresholds": "0123456789",
        "missing": [], "criteria": criteria, "suppressed": [], "chain": "", "day": str(at.date()),
        "position": uuid4().int >> 97,
    }  # fmt: skip
    shown = [
        {"uuid": str(uuid4()), "call_id": row["id"], "group": group, "indicator": indicator, "evidence": "",
         "criteria": list(ids)}
        for group, indicator, ids in cards
    ]  # fmt: skip
    with ledger.begin() as connection:
        connection.execute(insert(call), [row | columns])
        if shown:
            connection.execute(insert(card), shown)
    return [each["uuid"] for each in shown]


def add_switch(ledger: Ledger, criterion: str, state: str, at: datetime = AT, **columns: Any) -> None:
    row = {"at": at, "who": "Dr. Doe", "why": "false alarms", "issuer": "", "criterion": criterion, "state": state}
    with ledger.begin() as connection:
        connection.execute(insert(change), [row | {"digest": str(uuid4())} | columns])


class Shown:
    """A page as a reader sees it. tables: name -> rows of cells; text: all of it, in one line."""

    def __init__(self, html: str) -> None:
        self.root = html5lib.HTMLParser(strict=True).parse(html)
        body = self.root.find(f"{_NS}body")
        self.text = _text(body)
        self.tables = {
            region.get("aria-label").removeprefix("Table: "): [
                [_text(cell) for cell in row if cell.tag in (f"{_NS}th", f"{_NS}td")] for row in region.iter(f"{_NS}tr")
            ][1:]
            for region in body.iter(f"{_NS}div")
            if region.get("aria-label")
        }
        names, values = ([_text(each) for each in body.iter(f"{_NS}{tag}")] for tag in ("dt", "dd"))
        self.key = dict(zip(names, values, strict=True))

    def row(self, name: str, *begins: str) -> list[str]:
        """The one row of a table whose first cells begin like that; the rest of its cells."""
        found = [row for row in self.tables[name] if all(map(str.startswith, row, begins))]
        (row,) = found
        return row[len(begins) :]


def _text(element: Any) -> str:
    return " ".join("".join(element.itertext()).split())
