"""`backpain-cds feedback`: what clinicians did with the cards, in figures by criterion or report by report."""

import argparse
import csv
import sys
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from cds.evaluation import CATALOGUE
from hooks.cli.instants import read_period
from hooks.cli.ledger import opened
from hooks.cli.site import settings_of
from hooks.cli.terminal import Terminal, table
from hooks.ledger.tally import EXPORTED, Tallies, Tally, export, tally
from hooks.override_reasons import DISPLAYS

_Row = dict[str, Any]
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def run(args: argparse.Namespace, terminal: Terminal) -> int:
    """Show the figures, or write every report."""
    settings = settings_of(args.config)
    period = read_period(args, settings.zone)
    with opened(settings) as ledger:
        if args.csv or args.ndjson:
            write = _write_csv if args.csv else _write_ndjson
            write(map(_as_text, export(ledger, *period)), terminal)
            return 0
        figures = tally(ledger, *period)
    terminal.write_json(_as_json(figures)) if args.json else _show(figures, terminal)
    return 0


def _show(figures: Tallies, terminal: Terminal) -> None:
    shown = table("criterion", "shown", "accepted", "overridden", "no answer", "reasons")
    for name, one in (*_ordered(figures), ("(not-assessed card)", figures.not_assessed)):
        open_ = one.shown - one.accepted - one.overridden
        numbers = (f"{number}{_share(number, one.shown)}" for number in (one.accepted, one.overridden, open_))
        shown.add_row(name, str(one.shown), *numbers, "; ".join(_reasons(one)))
    is_any = figures.criteria or figures.not_assessed.shown
    terminal.show(shown if is_any else "No card was shown in this time.")
    if figures.unlinked:
        terminal.remark(f"{figures.unlinked} reports name no card that their client was shown: counted nowhere above.")


def _ordered(figures: Tallies) -> Iterator[tuple[str, Tally]]:
    """As in the catalogue; what an older release knew comes last."""
    ids = [entry.id for entry in CATALOGUE]
    known = {id_: place for place, id_ in enumerate(ids)}
    yield from sorted(figures.criteria.items(), key=lambda each: (known.get(each[0], len(ids)), each[0]))


def _share(number: int, of: int) -> str:
    return f" ({number / of:.0%})" if number else ""


def _reasons(one: Tally) -> Iterator[str]:
    for code, count in sorted(one.reasons.items(), key=lambda each: (-each[1], each[0])):
        yield f"{DISPLAYS.get(code, code)} {count}"


def _as_json(figures: Tallies) -> _Row:
    rows = [{"criterion": id_} | _figures(one) for id_, one in _ordered(figures)]
    return {"criteria": rows, "notAssessed": _figures(figures.not_assessed), "unlinked": figures.unlinked}


def _figures(one: Tally) -> _Row:
    return {
        "shown": one.shown,
        "accepted": one.accepted,
        "overridden": one.overridden,
        "reasons": dict(sorted(one.reasons.items())),
    }


def _as_text(row: Mapping[str, Any]) -> _Row:
    """Instants in UTC; what is not known of an unlinked report stays away."""
    return {
        name: value.isoformat().replace("+00:00", "Z") if isinstance(value, datetime) else value
        for name, value in row.items()
        if value is not None
    }


def _write_ndjson(rows: Iterator[_Row], terminal: Terminal) -> None:
    for row in rows:
        terminal.write_json(row, pretty=False)


def _write_csv(rows: Iterator[_Row], terminal: Terminal) -> None:
    out = csv.DictWriter(sys.stdout, [column.name for column in EXPORTED], restval="", lineterminator="\n")
    out.writeheader()
    for row in rows:
        out.writerow({name: _cell(value) for name, value in row.items()})


def _cell(value: Any) -> str:
    """A list in one cell; and no text that a spreadsheet would take for a formula."""
    text = " ".join(value) if isinstance(value, list) else value
    return f"'{text}" if text.startswith(_FORMULA) else text
