"""The report as one HTML page that needs nothing else: no script, no style sheet, no request to anywhere.

Same report, same bytes. Whatever people or clients have written is escaped.
"""

import base64
import hashlib
from collections.abc import Sequence
from datetime import date, datetime
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from hooks.report import plots, tables, words
from hooks.report.figures import CHARTS, INDICATORS, ORDERS, Figures
from hooks.report.periods import Calendar, calendar_of
from hooks.states import Switch

_POLICY = "default-src 'none'; style-src 'sha256-{}'; img-src data:; base-uri 'none'; form-action 'none'"
_STYLES = ("static/site.css", "report/page.css")


class Basis(NamedTuple):
    """What answered `calls` calls, on days from `first` to `last`. thresholds: digest of thresholds and disabled."""

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
    zone that the days are of. switches: decisions in that time. refused: HTTP status and calls. unlinked: reports on
    cards that nobody knows. was_shown: whether clinicians saw the cards, so that there can be feedback. limits: what
    these figures do not say, beside what holds for any.
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
    was_shown: bool = True
    limits: Sequence[str] = ()


class ByTime(NamedTuple):
    """Cards for each hundred charts, and the charts, by day, week or month. top: of the scale of each."""

    calendar: Calendar
    burden: Markup
    burden_top: str
    charts: Markup
    charts_top: str


def build_page(report: Report) -> str:
    """The page. It holds counts, names of criteria and clients, and why something was switched; no patient."""
    style = "\n".join(files("hooks").joinpath(name).read_text("utf-8") for name in _STYLES)
    page = _environment().get_template("report.html")
    return page.render(report=report, style=Markup(style), policy=_POLICY.format(_digest(style)), **_content(report))  # noqa: S704


def _content(report: Report) -> dict[str, Any]:
    figures = report.figures
    calendar = calendar_of(day for _, day in figures.calls)
    asked = tables.asked(figures, calendar) if calendar else []
    return {
        "figures": figures,
        "charts": tables.calls_of(figures, CHARTS),
        "orders": tables.calls_of(figures, ORDERS),
        "groups": tables.by_group(asked),
        "silent": tables.silent(asked) if report.was_shown else [],
        "not_asked": tables.not_asked(asked),
        "burden": tables.burden(figures),
        "by_time": _by_time(figures, calendar),
        "calendar": calendar,
        "card_outcomes": tables.card_outcomes(figures),
        "criterion_outcomes": tables.criterion_outcomes(figures),
        "missing": sorted(figures.missing.items(), key=lambda each: (-each[1], each[0])),
    }


def _by_time(figures: Figures, calendar: Calendar | None) -> ByTime | None:
    """None where there is but one day, or no chart."""
    if calendar is None or len(calendar.starts) == 1:
        return None
    charts, cards = tables.columns(figures, calendar)
    if not any(charts):
        return None
    burden = {name: [_each_hundred(*pair) for pair in zip(cards[name], charts, strict=True)] for name in INDICATORS}
    burden_top = plots.ceiling(max(map(sum, zip(*burden.values(), strict=True))))
    charts_top = plots.ceiling(max(charts))
    return ByTime(
        calendar,
        plots.columns(dict(reversed(burden.items())), burden_top, f"Cards for each 100 charts, by {calendar.unit}"),
        f"{burden_top:g}",
        plots.columns({"charts": charts}, charts_top, f"Charts opened, by {calendar.unit}"),
        f"{charts_top:,.0f}",
    )


def _each_hundred(cards: int, charts: int) -> float:
    return cards / charts * 100 if charts else 0.0


@cache
def _environment() -> Environment:
    made = Environment(
        loader=PackageLoader("hooks"), autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=StrictUndefined
    )
    made.globals |= {"words": words, "plots": plots, "tables": tables}
    return made


def _digest(style: str) -> str:
    return base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
