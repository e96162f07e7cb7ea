"""`backpain-cds audit verify` and `replay`: whether the audit is as it was written, and comes to the same once more."""

import argparse
import os
from collections.abc import Iterable, Iterator
from datetime import UTC, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from rich.text import Text
from sqlalchemy import Connection

from hooks.audit.chain import DayChecked, check
from hooks.audit.identifiers import KEY_VARIABLE
from hooks.audit.query import Question, find_stored
from hooks.audit.replay import Replayed, replay
from hooks.audit.setup import identifiers_of
from hooks.cli.site import knowledge_of
from hooks.cli.terminal import Terminal, Unusable, table
from hooks.errors import SettingsError
from hooks.pipeline import load_site
from hooks.settings import Settings

WELL, FOUND_WRONG = 0, 1


class Asked(NamedTuple):
    """One run of `backpain-cds audit`."""

    args: argparse.Namespace
    question: Question
    connection: Connection
    settings: Settings
    terminal: Terminal


def verify(asked: Asked) -> int:
    """Check the chain of each day that is to be there."""
    if asked.question != Question():
        raise Unusable("verify takes no filter: a chain is whole or it is not")
    kept = asked.terminal.clock().astimezone(UTC) - timedelta(days=asked.settings.retention.audit_days)
    days = list(check(asked.connection, _chain_key(asked.settings), kept.date().isoformat()))
    if not _written([_day_json(day) for day in days], asked):
        _show_days(days, asked.terminal)
    return FOUND_WRONG if any(day.broken for day in days) else WELL


def replayed(asked: Asked) -> int:
    """Evaluate calls once more whose input was stored, and compare."""
    ids = find_stored(asked.connection, asked.question)
    if asked.args.call and len(ids) != 1:
        wrong = "several calls with a stored input begin" if ids else "no call with a stored input begins"
        raise Unusable(f"{wrong} with {asked.args.call!r} ([audit] store_input says whether inputs are stored)")
    done = list(_replays(ids, asked))
    if not _written([_replayed_json(one) for one in done], asked):
        _show_replayed(done, asked.terminal)
    return WELL if all(one.is_same for one in done) else FOUND_WRONG


def _chain_key(settings: Settings) -> bytes:
    if not (settings.data_dir or KEY_VARIABLE in os.environ):
        raise Unusable(f"the key of the audit is neither in {KEY_VARIABLE} nor in a data_dir")
    try:
        return identifiers_of(settings, settings.data_dir or Path()).chain_key
    except SettingsError as error:
        raise Unusable(str(error)) from None


def _written(rows: list[dict[str, Any]], asked: Asked) -> bool:
    """As JSON, where that was asked for."""
    if asked.args.json:
        asked.terminal.write_json(rows)
    for row in rows if asked.args.ndjson else ():
        asked.terminal.write_json(row, pretty=False)
    return asked.args.json or asked.args.ndjson


def _day_json(day: DayChecked) -> dict[str, Any]:
    return day._asdict() | {"broken": list(day.broken)}


def _show_days(days: list[DayChecked], terminal: Terminal) -> None:
    shown = table("day (UTC)", "rows", "chain", "last link")
    for day in days:
        broken = Text(f"broken at {len(day.broken)} rows: {', '.join(day.broken[:3])}", "bold red")
        shown.add_row(day.day, str(day.rows), broken if day.broken else Text("whole", "green"), day.head[:16])
    terminal.show(shown if days else "There are no rows.")


def _replays(ids: Iterable[str], asked: Asked) -> Iterator[Replayed]:
    site = load_site(asked.settings, knowledge_of(asked.settings))
    for id_ in ids:
        if one := replay(asked.connection, site, id_):
            yield one


def _replayed_json(one: Replayed) -> dict[str, Any]:
    return {"call": one.id, "same": one.is_same, "differences": list(one.differences), "basis": list(one.basis)}


def _show_replayed(done: list[Replayed], terminal: Terminal) -> None:
    others = [one for one in done if not one.is_same]
    shown = table("call", "what differs", "basis that differs")
    for one in others:
        shown.add_row(one.id, "\n".join(one.differences), ", ".join(one.basis))
    terminal.show(*([shown] if others else []), f"{len(done) - len(others)} came to the same, {len(others)} did not.")
