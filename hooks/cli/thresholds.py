"""`backpain-cds thresholds`: every threshold with the value in force."""

import argparse
from typing import Any

from rich.table import Table
from rich.text import Text

from cds.limits import THRESHOLDS, Limits
from hooks.cli.site import settings_of
from hooks.cli.terminal import Terminal, table


def run(args: argparse.Namespace, terminal: Terminal) -> int:
    """Show the thresholds that the site's configuration leaves or sets."""
    rows = threshold_rows(settings_of(args.config).limits)
    terminal.write_json(rows) if args.json else terminal.show(_table(rows))
    return 0


def threshold_rows(limits: Limits) -> list[dict[str, Any]]:
    """One row a threshold, in the order of the catalogue."""
    return [
        {
            "key": threshold.key,
            "value": getattr(limits, threshold.key),
            "default": threshold.default,
            "unit": threshold.unit,
            "source": threshold.source,
            "changed": getattr(limits, threshold.key) != threshold.default,
        }
        for threshold in THRESHOLDS
    ]


def _table(rows: list[dict[str, Any]]) -> Table:
    changed = sum(row["changed"] for row in rows)
    caption = f"* {changed} changed by this site" if changed else "all as by default"
    shown = table("threshold", "in force", "default", "unit", "source", caption=caption)
    for number in (1, 2):
        shown.columns[number].justify = "right"
    for row in rows:
        style = "bold yellow" if row["changed"] else ""
        value = Text(f"{row['value']:g}" + (" *" if row["changed"] else ""), style)
        shown.add_row(Text(row["key"], style), value, f"{row['default']:g}", row["unit"], row["source"])
    return shown
