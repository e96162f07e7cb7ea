"""An evaluation as a person reads it: whom and what about, what could not be read, every criterion, and the cards.

The cards come last: in a terminal that is what stays in sight.
"""

from collections.abc import Iterator
from typing import Any

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from cds.case import Case
from cds.evaluation import SWITCHED_OFF, Evaluation
from hooks.cli.cards import card_panels
from hooks.cli.terminal import table
from hooks.pipeline import Site

_STYLES = {"met": "bold red", "not-met": "green", "unknown": "yellow"}
_ROOM_FOR_REASONS = 110  # columns; a narrower terminal shows them below the criterion
_EVIDENCE_SHOWN = 5


def report(evaluation: Evaluation, result: dict[str, Any], site: Site, width: int) -> Iterator[RenderableType]:
    """The parts of the report; `result` is the evaluation as JSON (catalogue, section 9)."""
    yield _heading(evaluation, site)
    yield from _back_problem(result["backProblem"])
    yield from _gaps(evaluation)
    yield _criteria(result["criteria"], width)
    yield _footer(result["criteria"], site)
    yield Text()
    yield from card_panels(result)
    if not result["cards"]:
        yield Text("That means: nothing to say on what was recorded. It does not mean: no red flags.", "dim")


def _heading(evaluation: Evaluation, site: Site) -> Text:
    patient = evaluation.chart.patient
    facts = [patient.sex, _age(evaluation.case), "deceased" if patient.deceased else ""]
    at = evaluation.at.astimezone(site.settings.zone)
    return Text.assemble(
        (patient.reference, "bold"),
        *(f", {fact}" for fact in facts if fact),
        f"\nas of {at:%Y-%m-%d %H:%M} {site.settings.zone.key}",
    )


def _age(case: Case) -> str:
    """Completed years; from the lowest to the highest when the birth date leaves it open."""
    if case.age is None:
        return ""
    youngest, oldest = sorted(case.age)
    return f"{youngest} years" if youngest == oldest else f"{youngest} to {oldest} years"


def _back_problem(problem: dict[str, Any] | None) -> Iterator[Text]:
    if problem is None:
        yield Text("No back problem on record")
        return
    since = f"since {problem['onset']}" if "onset" in problem else "onset not known"
    yield Text.assemble("Back problem ", (since, "bold"), ", current" if problem["current"] else ", not current")
    evidence = problem["evidence"]
    for fact in evidence[:_EVIDENCE_SHOWN]:
        yield Text(f"  {_fact(fact)}")
    if len(evidence) > _EVIDENCE_SHOWN:
        yield Text(f"  and {len(evidence) - _EVIDENCE_SHOWN} more", "dim")


def _fact(fact: dict[str, str]) -> str:
    date = f", {fact['date']}" if "date" in fact else ""
    return f"{fact.get('display', fact['reference'])}{date} [{fact['reference']}]"


def _gaps(evaluation: Evaluation) -> Iterator[Text]:
    """What a reader of the cards should know was not looked at."""
    chart = evaluation.chart
    if chart.missing:
        yield Text(f"Not available: {', '.join(sorted(chart.missing))}", "yellow")
    if chart.unreadable:
        counts = ", ".join(f"{count} {kind}" for kind, count in sorted(chart.unreadable.items()))
        yield Text(f"Could not be read and left out: {counts}", "yellow")
    if chart.foreign:
        yield Text(f"Named another patient and left out: {chart.foreign}", "yellow")


def _criteria(criteria: list[dict[str, Any]], width: int) -> Table:
    aside = width >= _ROOM_FOR_REASONS
    shown = table("status", "criterion", *(["reason"] if aside else []))
    if aside:
        shown.columns[1].no_wrap = True
    for index, entry in enumerate(criteria):
        if index == 0 or entry["group"] != criteria[index - 1]["group"]:
            shown.add_section()
            shown.add_row("", Text(entry["group"].upper(), "cyan"))
        status = Text(entry["status"], _STYLES[entry["status"]])
        name = Text(entry["id"], "bold" if entry["status"] == "met" else "")
        reason = Text(entry["reason"], "" if entry["status"] == "met" else "dim")
        shown.add_row(status, *([name, reason] if aside else [Text("\n").join([name, reason])]))
    return shown


def _footer(criteria: list[dict[str, Any]], site: Site) -> Text:
    counts = {status: sum(entry["status"] == status for entry in criteria) for status in _STYLES}
    said = ", ".join(f"{count} {status}" for status, count in counts.items())
    disabled = f"; disabled here: {', '.join(sorted(site.settings.disabled))}" if site.settings.disabled else ""
    off = ", ".join(entry["id"] for entry in criteria if entry["reason"] == SWITCHED_OFF.reason)
    switched_off = f"; switched off here: {off}" if off else ""
    return Text(f"{said}{disabled}{switched_off}. Knowledge {site.knowledge.version}.", "dim")
