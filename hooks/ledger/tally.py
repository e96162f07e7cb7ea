"""What clinicians did with which card: feedback joined to the card and the call of the same issuer (row 37).

A client that reports on a card of another one is joined to nothing: it learns nothing, and changes no figure.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, and_, func, select

from cds.triage import NOT_ASSESSED
from hooks.ledger.database import Ledger
from hooks.ledger.schema import call, card, feedback
from hooks.override_reasons import COMMENT_ONLY

_SHOWN = card.join(call, call.c.id == card.c.call_id)
OF_THE_CARD = and_(card.c.uuid == feedback.c.card, call.c.issuer == feedback.c.issuer)
"""What joins feedback to a card and its call."""
HAS_COMMENT = (feedback.c.comment != "").label("has_comment")
"""All that figures need of a comment: so many would take much memory."""
_ROWS_AT_ONCE = 500

EXPORTED = (
    *(feedback.c[name] for name in ("received", "outcome_at", "issuer", "service", "card", "outcome", "suggestions")),
    *(feedback.c[name] for name in ("reason_code", "reason_system", "reason_display", "comment")),
    card.c.criteria.label("criteria"),
    card.c.group.label("group"),
    card.c.indicator.label("indicator"),
    call.c.id.label("call"),
    call.c.at.label("shown"),
    call.c.hook.label("hook"),
    call.c.tenant.label("tenant"),
    call.c.user_key.label("user"),
    call.c.catalogue.label("catalogue"),
    call.c.knowledge.label("knowledge"),
)
"""What HTI-1 wants to have exportable: the intervention, the action, the feedback, the user, the date, the place."""


@dataclass
class Tally:
    """Of one criterion: cards shown about it, and what became of them by the last report on each."""

    shown: int = 0
    accepted: int = 0
    overridden: int = 0
    reasons: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True)
class Tallies:
    """By criterion id: cards that said it was met. not_assessed: cards that only listed what the record left open.

    unlinked: reports on a card that is not in the ledger, or not of the client that reports.
    """

    criteria: Mapping[str, Tally]
    not_assessed: Tally
    unlinked: int


def tally(ledger: Ledger, since: datetime | None, until: datetime | None) -> Tallies:
    """Of the cards shown from `since` until before `until` (aware, None: no end). Raises LedgerUnavailable."""
    found: defaultdict[str, Tally] = defaultdict(Tally)
    with ledger.read() as connection:
        last = {row.card: row for row in _stream(connection, _reports(since, until))}
        shown = within(select(card.c.uuid, card.c.group, card.c.criteria).select_from(_SHOWN), since, until)
        for row in _stream(connection, shown):
            for about in [NOT_ASSESSED] if row.group == NOT_ASSESSED else row.criteria:
                _count(found[about], last.get(row.uuid))
        return Tallies(found, found.pop(NOT_ASSESSED, Tally()), unlinked(connection, since, until))


def export(ledger: Ledger, since: datetime | None, until: datetime | None) -> Iterator[dict[str, Any]]:
    """Every report received from `since` until before `until`, oldest first. Raises LedgerUnavailable."""
    wanted = select(*EXPORTED).select_from(feedback.outerjoin(_SHOWN, OF_THE_CARD)).order_by(feedback.c.id)
    with ledger.read() as connection:
        for row in _stream(connection, within(wanted, since, until, feedback.c.received)):
            yield dict(row._mapping)


def unlinked(connection: Connection, since: datetime | None, until: datetime | None) -> int:
    """How many reports received in that time are on no card that is known, or on one of another client."""
    linked = select(card.c.uuid).select_from(_SHOWN).where(OF_THE_CARD)
    lonely = select(func.count()).select_from(feedback).where(~linked.exists())
    return connection.scalar(within(lonely, since, until, feedback.c.received)) or 0


def within(wanted: Select, since: datetime | None, until: datetime | None, at: Any = call.c.at) -> Select:
    """What is asked for, of that time; `at`: the column that says when."""
    wanted = wanted.where(at >= since) if since else wanted
    return wanted.where(at < until) if until else wanted


def _count(one: Tally, report: Any) -> None:
    one.shown += 1
    if report is None:
        return
    if report.outcome == "accepted":
        one.accepted += 1
        return
    one.overridden += 1
    one.reasons[report.reason_code or (COMMENT_ONLY if report.has_comment else "none given")] += 1


def _reports(since: datetime | None, until: datetime | None) -> Select:
    """The last on a card comes last."""
    said = select(feedback.c.card, feedback.c.outcome, feedback.c.reason_code, HAS_COMMENT)
    linked = said.select_from(feedback.join(_SHOWN, OF_THE_CARD))
    return within(linked, since, until).order_by(feedback.c.outcome_at, feedback.c.id)


def _stream(connection: Connection, wanted: Select) -> Iterator[Any]:
    return iter(connection.execution_options(yield_per=_ROWS_AT_ONCE).execute(wanted))
