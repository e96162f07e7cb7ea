"""`backpain-cds report`: the figures of any time as one page for a clinical committee."""

import argparse

from hooks.cli.instants import read_period
from hooks.cli.ledger import opened
from hooks.cli.outputs import write_output
from hooks.cli.site import settings_of
from hooks.cli.terminal import Terminal
from hooks.report.figures import CHARTS, ORDERS
from hooks.report.from_audit import report_of
from hooks.report.page import Report, build_page
from hooks.report.tables import calls_of
from hooks.report.words import per_hundred, some


def run(args: argparse.Namespace, terminal: Terminal) -> int:
    """Write the page, and say on stderr what it is about."""
    settings = settings_of(args.config)
    period = read_period(args, settings.zone)
    with opened(settings) as ledger:
        report = report_of(ledger, *period, terminal.clock().astimezone(settings.zone))
    where = write_output(args.output, build_page(report).encode())
    terminal.remark(f"{where}: {_in_short(report)}")
    return 0


def _in_short(report: Report) -> str:
    figures = report.figures
    charts, orders = (calls_of(figures, kind) for kind in (CHARTS, ORDERS))
    cards = sum(number for (kind, *_), number in figures.cards.items() if kind == CHARTS)
    said = f"{some(figures.patients, 'patient')}, {some(charts, 'chart')} opened, {some(orders, 'call')} about orders"
    return f"{said}; {per_hundred(cards, charts)} cards per 100 charts" if charts else said
