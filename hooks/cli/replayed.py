"""What came of a replay, as a person reads it: first what is missing, then the figures, last the changes."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from cds.evaluation import CATALOGUE
from hooks.audit.content import thresholds_digest
from hooks.cli.terminal import Terminal, table
from hooks.population.charts import BAD_LINE
from hooks.population.compare import Comparison, compare
from hooks.population.figures import back_problems, count
from hooks.population.judging import NO_PATIENT, NO_RECORD, REPLACED
from hooks.population.keys import BUNDLE
from hooks.population.local import WORK
from hooks.population.manifest import Manifest, load
from hooks.population.replay import Replay
from hooks.population.tables import BASELINE, connect
from hooks.report.figures import Figures
from hooks.report.page import Basis, Report, build_page
from hooks.services import SEARCH_KEYS

REPORT = "report.html"
_MOST_TURNS = 30
_SKIPPED = {
    NO_PATIENT: "charts without a Patient",
    REPLACED: "charts of a Patient that was merged into another",
    NO_RECORD: "charts that are no record of one patient",
}
_LIMITS = (
    "Each chart is looked at once, as of one instant, with everything that the export holds. In use a chart is opened "
    "several times or never, and nobody saw these cards.",
)


def show(replay: Replay, manifest: Manifest, earlier: Path | None, terminal: Terminal) -> None:
    """Write the report, compare if that is asked for, and show both. Raises PopulationError for missing tables."""
    output = replay.output
    with connect(output / WORK, threads=2) as connection:  # on more cores each would take its share of the memory
        at = replay.view.at.astimezone(replay.sides[0].settings.zone)
        figures = count(connection, output, replay.view, at.date())
        problems = back_problems(connection, output)
        compared = None
        if earlier or manifest.baseline:
            before = earlier or output / BASELINE
            bases = (load(earlier).basis if earlier else manifest.baseline, manifest.basis)
            compared = compare(connection, before, output, bases, output)
    _write_report(replay, manifest, figures, at)
    for line in _gaps(manifest, figures):
        terminal.remark(line, "yellow")
    terminal.show(*_figures(figures, problems, at), *(_comparison(compared) if compared else ()))
    terminal.remark(f"{output}: {REPORT}, charts, criteria" + (", changes" if compared else ""))


def _write_report(replay: Replay, manifest: Manifest, figures: Figures, at: datetime) -> None:
    known, charts = manifest.basis, sum(figures.calls.values())
    digest = thresholds_digest(replay.sides[0].settings)
    basis = Basis(known.release, known.catalogue, known.knowledge, digest, at.date(), at.date(), charts)
    report = Report(
        title="Replay of a population",
        subject=f"{charts:,} charts of a population as {known.hook} sees them, as of {at:%Y-%m-%d %H:%M} {at.tzinfo}.",
        first=at.date(),
        last=at.date(),
        written=at,
        figures=figures,
        basis=[basis],
        was_shown=False,
        limits=[*_LIMITS, *_gaps(manifest, figures)],
    )
    (replay.output / REPORT).write_text(build_page(report), "utf-8")


def _gaps(manifest: Manifest, figures: Figures) -> Iterator[str]:
    """What a reader of the figures should know was not looked at."""
    if manifest.bad_lines:
        files = ", ".join(f"{number} in {name}" for name, number in sorted(manifest.bad_lines.items()))
        yield f"Lines that are no FHIR resource, left out: {files}."
    if number := manifest.counts.get(BAD_LINE, 0):
        yield f"Lines in charts that are no JSON, left out: {number:,}."
    for reason, what in _SKIPPED.items():
        if number := manifest.counts.get(reason, 0):
            yield f"Not evaluated: {number:,} {what}."
    if manifest.unassigned:
        types = ", ".join(f"{number:,} {kind}" for kind, number in sorted(manifest.unassigned.items()))
        yield f"Resources that name no patient of this server by id, left out: {types}."
    if manifest.outcomes:
        yield f"OperationOutcomes, with which the server says what it could not export: {manifest.outcomes:,}."
    if figures.unreadable:
        yield f"Charts with resources that could not be read: {figures.unreadable:,}."
    if figures.foreign:
        yield f"Charts with resources of another patient, left out: {figures.foreign:,}."
    if twice := sum(figures.calls.values()) - figures.patients:
        yield f"Charts of a patient who has another one: {twice:,}; each was evaluated by itself."
    yield from _absent(manifest)


def _absent(manifest: Manifest) -> Iterator[str]:
    if BUNDLE not in manifest.types:
        known = {*manifest.types, *manifest.basis.missing}
        if absent := [kind for kind in SEARCH_KEYS.values() if kind not in known]:
            yield f"Taken as exported and empty (see --missing): {', '.join(absent)}."
    if manifest.basis.missing:
        yield f"Taken as not available: {', '.join(manifest.basis.missing)}."


def _figures(figures: Figures, problems: tuple[int, int], at: datetime) -> Iterator[RenderableType]:
    charts, cards = sum(figures.calls.values()), sum(figures.cards.values())
    with_cards = sum(number for (_, indicator), number in figures.loudest.items() if indicator)
    burden = f", {100 * cards / charts:.1f} cards per 100 charts" if charts else ""
    yield Text.assemble(
        (f"{charts:,} charts", "bold"),
        f" as of {at:%Y-%m-%d %H:%M} {at.tzinfo}: {problems[0]:,} with a back problem ({problems[1]:,} current), ",
        (f"{with_cards:,} with cards", "bold"),
        burden,
    )
    if cards:
        yield _cards(figures)
    yield _criteria(figures)


def _cards(figures: Figures) -> Table:
    shown = table("card", "indicator", "charts")
    for (_, group, indicator, _), number in figures.cards.items():
        shown.add_row(group, indicator, f"{number:,}")
    return shown


def _criteria(figures: Figures) -> Table:
    shown = table("criterion", "state", "met", "not met", "unknown", "on a card")
    for column in shown.columns[2:]:
        column.justify = "right"
    answers: dict[tuple[str, str], dict[str, int]] = {}
    for (id_, state, status, _), number in figures.answers.items():
        answers.setdefault((id_, state), {})[status] = number
    places = {entry.id: place for place, entry in enumerate(CATALOGUE)}
    for (id_, state), found in sorted(answers.items(), key=lambda item: places[item[0][0]]):
        numbers = [found.get(status, 0) for status in ("met", "not-met", "unknown")]
        told = sum(number for (each, _), number in figures.told.items() if each == id_)
        shown.add_row(Text(id_, "bold" if numbers[0] else ""), state, *(f"{each:,}" for each in (*numbers, told)))
    return shown


def _comparison(found: Comparison) -> Iterator[RenderableType]:
    yield Text.assemble(
        "\n", (f"{found.changed:,} of {found.compared:,} charts", "bold"), " would get other cards than before."
    )
    for number, where in ((found.only_before, "before"), (found.only_after, "now")):
        if number:
            yield Text(f"Not compared, for they are there only {where}, or twice: {number:,}", "yellow")
    yield from _differences(found.basis)
    if found.gained or found.lost:
        yield _kinds(found)
    if found.turned:
        yield _turned(found)


def _differences(basis: Mapping[str, tuple[Any, Any]]) -> Iterator[RenderableType]:
    if not basis:
        yield Text("Nothing that the results rest on differs.")
        return
    shown = table("what differs", "before", "now")
    for name, values in basis.items():
        shown.add_row(name, *map(_value, values))
    yield shown


def _value(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "-"
    return f"{value:g}" if isinstance(value, float) else "-" if value in (None, "") else str(value)


def _kinds(found: Comparison) -> Table:
    shown = table("card", "indicator", "charts that gain it", "that lose it")
    for kind in sorted({*found.gained, *found.lost}):
        shown.add_row(*kind, f"{found.gained.get(kind, 0):,}", f"{found.lost.get(kind, 0):,}")
    return shown


def _turned(found: Comparison) -> Table:
    left = len(found.turned) - _MOST_TURNS
    more = f"and {left} more" if left > 0 else ""
    shown = table("criterion", "before", "now", "charts", "other cards", "may be due to", caption=more)
    for each in found.turned[:_MOST_TURNS]:
        numbers = f"{each.charts:,}", f"{each.with_other_cards:,}"
        shown.add_row(each.criterion, each.before, each.after, *numbers, ", ".join(each.why))
    return shown
