"""The report as one HTML page that needs nothing else: no script, no style sheet, no request (hooks/templates/report.html).

Same report, same bytes. Whatever was written by people is escaped.
"""

import base64
import hashlib
from collections.abc import Sequence
from datetime import date, datetime
from functools import cache
from importlib.resources import files
from typing import NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from hooks.report import plots, tables
from hooks.report.figures import CHARTS, ORDERS, Figures
from hooks.report.periods import bins
from hooks.report.words import count, day, per_hundred, share
from hooks.states import Switch


class Basis(NamedTuple):
    """What answered `calls` calls, on days from `first` to `last`. thresholds: digest of limits and site settings."""

    release: str
    catalogue: str
    knowledge: str
    thresholds: str
    first: date
    last: date
    calls: int


class Report(NamedTuple):
    """All that a page says.

    subject: a sentence on what was counted. first, last: the days asked for, None for no end. written: aware, in the
    zone that the days are of. switches: decisions in that time. refused: HTTP status -> calls. unlinked: reports on
    cards that nobody knows. has_feedback: whether cards were shown to anybody. limits: sentences on what these figures
    do not say, before those that hold for every report.
    """

    title: str
    subject: str
    first: date | None
    last: date | None
    written: datetime
    figures: Figures
    switches: Sequence[Switch] = ()
    basis: Sequence[Basis] = ()
    refused: Sequence[tuple[int, int]] = ()
    unlinked: int = 0
    has_feedback: bool = True
    limits: Sequence[str] = ()


def build_page(report: Report) -> str:
    """The page. It holds counts, names of criteria and clients, and the reasons given for switches; no patient."""
    figures = report.figures
    cut = bins(each for _, each in figures.calls)
    style = _style()
    return _template().render(
        report=report,
        figures=figures,
        style=Markup(style),  # noqa: S704 (ours, and in the page's own policy by its digest)
        policy=f"default-src 'none'; style-src 'sha256-{_digest(style)}'; img-src data:; base-uri 'none'; form-action 'none'",
        bins=cut,
        charts=sum(number for (kind, _), number in figures.calls.items() if kind == CHARTS),
        orders=sum(number for (kind, _), number in figures.calls.items() if kind == ORDERS),
        burden=tables.burden(figures),
        groups=tables.criteria(figures, cut),
        silent=tables.silent(figures),
        told=tables.told(figures),
        outcomes=tables.outcomes(figures),
        missing=tables.missing(figures),
        key=tables.key_figures(figures),
        plots=plots,
        words={},
    )


def _digest(style: str) -> str:
    return base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
