"""The figures of a site's audit, counted row by row, so that a long time takes no more memory than a short one."""

from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta, tzinfo
from itertools import groupby
from typing import Any

from sqlalchemy import Connection, Select, func, select

from hooks.ledger.database import Ledger
from hooks.ledger.schema import call, card, change, feedback
from hooks.ledger.tally import HAS_COMMENT, OF_THE_CARD, unlinked, within
from hooks.override_reasons import COMMENT_ONLY
from hooks.report.figures import UNANSWERED, Call, Card, Figures
from hooks.report.page import Basis, Report
from hooks.states import Switch

_AT_ONCE = 200  # rows
_ANSWERED = 200
_PATIENT = (call.c.patient_key, call.c.issuer, call.c.tenant)
"""Whom a call was about: where ids are kept plain, two clients' patient 1 are two people."""
_READ = (
    *(call.c[name] for name in ("id", "at", "hook", "criteria", "missing", "suppressed", "unreadable")),
    call.c.foreign_resources,
    *_PATIENT,
)
_BASIS = tuple(call.c[name] for name in ("release", "catalogue", "knowledge", "thresholds"))


def report_of(ledger: Ledger, since: datetime | None, until: datetime | None, written: datetime) -> Report:
    """The report on calls from `since` until before `until` (aware, None: no end), its days those of `written`.

    Raises LedgerUnavailable.
    """
    zone = written.tzinfo
    with ledger.read() as connection:
        return Report(
            "Decision support for back pain: report",
            "All hook calls that the service answered in this time, as its audit has them.",
            since and _day(since, zone),
            until and _day(until - timedelta(microseconds=1), zone),
            written,
            _figures(connection, since, until, zone),
            tuple(_switches(connection, since, until)),
            tuple(_basis(connection, since, until, zone)),
            tuple(_refused(connection, since, until)),
            unlinked(connection, since, until),
        )


def _figures(connection: Connection, since: datetime | None, until: datetime | None, zone: tzinfo | None) -> Figures:
    """All calls about one patient come together, so that nobody has to remember who was there before."""
    figures = Figures()
    wanted = within(select(*_READ).where(call.c.status == _ANSWERED), since, until).order_by(*_PATIENT)
    for _, calls in groupby(_calls(connection, wanted, zone), lambda each: each[0]):
        figures.add_patient(each for _, each in calls)
    return figures


def _calls(connection: Connection, wanted: Select, zone: tzinfo | None) -> Iterator[tuple[tuple[str, ...], Call]]:
    """Whom a call was about, and the call."""
    for rows in connection.execute(wanted.execution_options(yield_per=_AT_ONCE)).partitions():
        cards = _cards(connection, [row.id for row in rows])
        for row in rows:
            yield (row.patient_key, row.issuer, row.tenant), _call(row, cards.get(row.id, ()), zone)


def _call(row: Any, cards: Sequence[Card], zone: tzinfo | None) -> Call:
    day = _day(row.at, zone)
    lost = len(row.suppressed), row.unreadable, row.foreign_resources
    return Call(day, row.hook, row.criteria, cards, row.missing, *lost)


def _cards(connection: Connection, calls: Sequence[str]) -> dict[str, list[Card]]:
    """The cards of each call, with the last report on each."""
    found = (
        select(card, feedback.c.outcome, feedback.c.reason_code, HAS_COMMENT)
        .select_from(card.join(call, call.c.id == card.c.call_id).outerjoin(feedback, OF_THE_CARD))
        .where(card.c.call_id.in_(calls))
        .order_by(feedback.c.outcome_at, feedback.c.id)
    )
    last = {row.uuid: row for row in connection.execute(found)}
    cards: dict[str, list[Card]] = {}
    for row in last.values():
        reason = row.reason_code or (COMMENT_ONLY if row.has_comment else "")
        shown = Card(row.group, row.indicator, row.criteria, row.outcome or UNANSWERED, reason)
        cards.setdefault(row.call_id, []).append(shown)
    return cards


def _switches(connection: Connection, since: datetime | None, until: datetime | None) -> Iterator[Switch]:
    columns = (change.c[name] for name in ("at", "who", "why", "issuer", "criterion", "state"))
    wanted = within(select(*columns), since, until, change.c.at).order_by(change.c.at, change.c.id)
    return (Switch(*row) for row in connection.execute(wanted))


def _basis(
    connection: Connection, since: datetime | None, until: datetime | None, zone: tzinfo | None
) -> Iterator[Basis]:
    """What answered, in the order in which it began to."""
    span = func.min(call.c.at), func.max(call.c.at), func.count()
    wanted = within(select(*_BASIS, *span).where(call.c.status == _ANSWERED), since, until).group_by(*_BASIS)
    for *names, first, last, calls in connection.execute(wanted.order_by(span[0], *_BASIS)):
        yield Basis(*names, _day(first, zone), _day(last, zone), calls)


def _refused(connection: Connection, since: datetime | None, until: datetime | None) -> Iterator[tuple[int, int]]:
    wanted = within(select(call.c.status, func.count()).where(call.c.status != _ANSWERED), since, until)
    return (tuple(row) for row in connection.execute(wanted.group_by(call.c.status).order_by(call.c.status)))


def _day(at: datetime, zone: tzinfo | None) -> date:
    return at.astimezone(zone).date()
