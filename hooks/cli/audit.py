"""`backpain-cds audit`: which calls were answered and refused, with what, and why."""

import argparse
import difflib
from collections.abc import Iterator
from datetime import datetime
from zoneinfo import ZoneInfo

from rich.table import Table
from rich.text import Text

from cds.answers import MET, NOT_MET, UNKNOWN
from cds.catalogue import CRITERIA
from hooks.audit.query import Question, Row, find
from hooks.audit.spool import FOLDER, waiting
from hooks.cli.audit_checks import WELL, Asked, replayed, verify
from hooks.cli.instants import read_period
from hooks.cli.ledger import opened
from hooks.cli.site import settings_of
from hooks.cli.terminal import Terminal, Unusable, table
from hooks.settings import Settings
from hooks.states import ON

SHOWN = 50
MOST_NAMED = 4
"""Criteria of a card that are named; of more only the number is said."""
_STATUSES = (MET, UNKNOWN, NOT_MET)
_STYLES = {MET: "bold", NOT_MET: "dim", UNKNOWN: "yellow"}


def run(args: argparse.Namespace, terminal: Terminal) -> int:
    """List, show, verify or replay."""
    settings = settings_of(args.config)
    question = _question(args, settings)
    with opened(settings) as ledger, ledger.read() as connection:
        _remark_waiting(settings, terminal)
        does = {"list": _list, "show": _show, "verify": verify, "replay": replayed}[args.what]
        return does(Asked(args, question, connection, settings, terminal))


def _question(args: argparse.Namespace, settings: Settings) -> Question:
    since, until = read_period(args, settings.zone)
    if args.criterion and args.criterion not in CRITERIA:
        close = difflib.get_close_matches(args.criterion, CRITERIA, n=3, cutoff=0.5)
        hint = f"did you mean {', '.join(close)}?" if close else "`backpain-cds criteria` lists them"
        raise Unusable(f"--criterion: there is no {args.criterion!r}; {hint}")
    answer, status = _statuses(args)
    return Question(since, until, args.issuer, answer, args.criterion, status, args.card, args.call)


def _statuses(args: argparse.Namespace) -> tuple[int | None, str | None]:
    """Of the answer and of the criterion, whichever `--status` means."""
    if args.criterion and args.status in (None, *_STATUSES):
        return None, args.status or MET
    if args.status is None:
        return None, None
    if len(args.status) == 3 and args.status.isascii() and args.status.isdigit():
        return int(args.status), MET if args.criterion else None
    raise Unusable("--status: it should be met, not-met or unknown with --criterion, or an HTTP status such as 401")


def _remark_waiting(settings: Settings, terminal: Terminal) -> None:
    """Rows that no server has filed yet are in no table."""
    try:
        octets = waiting(settings.data_dir / FOLDER) if settings.data_dir else 0
    except OSError:
        return
    if octets:
        terminal.remark(f"{octets:,} octets of rows wait to be filed: a running server does that within seconds.")


def _list(asked: Asked) -> int:
    args, terminal = asked.args, asked.terminal
    is_table = not (args.json or args.ndjson)
    rows = find(asked.connection, asked.question, args.limit or (SHOWN if is_table else None))
    if args.ndjson:
        for row in rows:
            terminal.write_json(row, pretty=False)
    elif args.json:
        terminal.write_json(list(rows))
    else:
        _show_rows(list(rows), args.limit or SHOWN, asked.settings.zone, terminal)
    return WELL


def _show_rows(rows: list[Row], limit: int, zone: ZoneInfo, terminal: Terminal) -> None:
    if not rows:
        terminal.show("No call is as asked for.")
        return
    shown = table("call", f"time ({zone.key})", "hook", "answer", "ms", "cards")
    for row in rows:
        groups = ", ".join(card["group"] for card in row["cards"])
        hook = row["hook"] or row["service"].removeprefix("back-pain-")
        shown.add_row(row["id"][:8], _local(row["at"], zone), hook, _answer(row), f"{row['latency_ms']:.1f}", groups)
    terminal.show(shown)
    if len(rows) == limit:
        terminal.remark(f"These are the newest {limit}; --limit N shows more.")


def _show(asked: Asked) -> int:
    if not asked.args.call:
        raise Unusable("show takes the id of a call, or how it begins")
    rows = list(find(asked.connection, asked.question, 2))
    if len(rows) != 1:
        raise Unusable(f"{'several calls begin' if rows else 'no call begins'} with {asked.args.call!r}")
    (row,) = rows
    if asked.args.json or asked.args.ndjson:
        asked.terminal.write_json(row, pretty=asked.args.json)
    else:
        parts = [_heading(row, asked.settings.zone), *_criteria(row), *_cards(row)]
        asked.terminal.show(*parts)
    return WELL


def _heading(row: Row, zone: ZoneInfo) -> Text:
    heading = Text.assemble((row["id"], "bold"), f"\n{_local(row['at'], zone)} {zone.key}")
    heading.append(f", {row['service'] or 'no service of ours'}, {_answer(row)}, {row['latency_ms']:.1f} ms")
    for name, value in _details(row).items():
        if value:
            heading.append(f"\n{name:>10}  ", "dim").append(value)
    return heading.append("\n")


def _details(row: Row) -> dict[str, str]:
    repeats = (f"{each['group']} (acknowledged on card {each['card']})" for each in row["suppressed"])
    return {
        "client": " ".join(filter(None, (row["issuer"], row["tenant"]))),
        "user": row["user_key"],
        "patient": row["patient_key"],
        "instance": row["hook_instance"],
        "release": f"{row['release']}, catalogue {row['catalogue']}, knowledge {row['knowledge']}",
        "thresholds": row["thresholds"],
        "not had": ", ".join(row["missing"]),
        "left out": ", ".join(repeats),
        "unreadable": str(row["unreadable"] or ""),
        "of others": str(row["foreign_resources"] or ""),
        "chain": f"{row['day']}, row {row['position']}",
    }


def _criteria(row: Row) -> Iterator[Table]:
    if not row["criteria"]:
        return
    shown = table("criterion", "status", "evidence")
    for id_, result in sorted(row["criteria"].items(), key=lambda each: _STATUSES.index(each[1]["status"])):
        state = "" if result["state"] == ON else f" ({result['state']})"
        status = Text(result["status"] + state, _STYLES[result["status"]])
        shown.add_row(id_, status, ", ".join(result["evidence"]))
    yield shown


def _cards(row: Row) -> Iterator[Table]:
    if row["cards"]:
        shown = table("card", "group", "indicator", "about")
        for card in row["cards"]:
            ids = card["criteria"]
            about = ", ".join(ids) if len(ids) <= MOST_NAMED else f"{len(ids)} criteria"
            shown.add_row(card["uuid"], card["group"], card["indicator"], about)
        yield shown


def _answer(row: Row) -> str:
    return f"{row['status']} {row['reason']}".strip()


def _local(at: str, zone: ZoneInfo) -> str:
    return datetime.fromisoformat(at).astimezone(zone).strftime("%Y-%m-%d %H:%M:%S")
