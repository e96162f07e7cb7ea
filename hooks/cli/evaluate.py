"""`backpain-cds evaluate`: charts evaluated here and now, without a server."""

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any, NamedTuple
from uuid import uuid4

import msgspec
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from cds.evaluation import Evaluation
from fhir_profiles.errors import RecordError
from hooks.cli.charts import ChartError, is_request, read_asked
from hooks.cli.inputs import Input, named, opened, read_document
from hooks.cli.instants import read_instant
from hooks.cli.orders import ORDER_HOOK, with_orders
from hooks.cli.report import report
from hooks.cli.site import knowledge_of, settings_of, states_of
from hooks.cli.terminal import Terminal, Unusable
from hooks.pipeline import Site, judge, load_site
from hooks.respond import evaluation_json
from hooks.states import ALL_ON, States

ALL_EVALUATED = 0
SOME_BAD = 1


class Run(NamedTuple):
    """What holds for every chart of one run. at: as given, None for the clock; hook: None for the chart's own; orders:
    drafts to be put into it."""

    site: Site
    at: datetime | None
    hook: str | None
    terminal: Terminal
    states: States = ALL_ON
    orders: tuple[str, ...] = ()


class Evaluated(NamedTuple):
    """One chart's evaluation, and the same as the JSON of the catalogue, section 9."""

    evaluation: Evaluation
    json: dict[str, Any]


def run(args: argparse.Namespace, terminal: Terminal) -> int:
    """Evaluate one document, or each line of a stream."""
    settings = settings_of(args.config)
    at = read_instant(args.at, settings.zone) if args.at is not None else None
    hook = args.hook or (ORDER_HOOK if args.order else None)
    site = load_site(settings, knowledge_of(settings))
    asked = Run(site, at, hook, terminal, states_of(settings), tuple(args.order))
    return _each_line(args.file, asked) if args.ndjson else _whole(args.file, args.json, asked)


def _whole(path: str, as_json: bool, asked: Run) -> int:
    try:
        result = evaluate_document(read_document(path), asked)
    except ChartError as error:
        raise Unusable(f"{named(path)}: {error}") from None
    if as_json:
        asked.terminal.write_json(result.json)
    else:
        asked.terminal.show(*report(result.evaluation, result.json, asked.site, asked.terminal.out.width))
    return ALL_EVALUATED


def evaluate_document(body: bytes, asked: Run) -> Evaluated:
    """Evaluate a request or a Bundle. Raises ChartError saying what is wrong with it."""
    site = asked.site
    at = asked.at or asked.terminal.clock().replace(microsecond=0)
    chart = read_asked(_ordered(body, asked.orders), asked.hook, at, site.settings.zone)
    try:
        evaluation, cards = judge(chart.gathered, chart.hook, site, at, asked.states)
    except RecordError as error:
        raise ChartError(str(error)) from None
    response = site.responder.response(cards, evaluation, uuid4)
    return Evaluated(evaluation, evaluation_json(evaluation, response, site.settings.disabled))


def _ordered(body: bytes, orders: tuple[str, ...]) -> bytes:
    if not orders:
        return body
    is_request(body)  # says what is wrong with what is neither
    return msgspec.json.encode(with_orders(msgspec.json.decode(body), orders))


def _each_line(path: str, asked: Run) -> int:
    bad = 0
    with opened(path) as source, _progress(source, asked.terminal) as advance:
        for line in source.lines():
            try:
                asked.terminal.write_json(_evaluated_line(line.body, asked), pretty=False)
            except ChartError as error:
                asked.terminal.write_json({"line": line.number, "error": str(error)}, pretty=False)
                bad += 1
            advance()
    return SOME_BAD if bad else ALL_EVALUATED


def _evaluated_line(body: bytes | None, asked: Run) -> dict[str, Any]:
    if body is None:
        raise ChartError("the line is too long to be one chart")
    return evaluate_document(body, asked).json


@contextmanager
def _progress(source: Input, terminal: Terminal) -> Iterator[Any]:
    """A bar on stderr when somebody watches it and the results go elsewhere."""
    if not terminal.err.is_terminal or terminal.out.is_terminal:
        yield lambda: None
        return
    columns = (TextColumn("evaluating"), BarColumn(), DownloadColumn(), TextColumn("{task.fields[charts]} charts"))
    kept = {"redirect_stdout": False, "redirect_stderr": False}  # the results go where they are meant to go
    with Progress(*columns, TimeRemainingColumn(), console=terminal.err, transient=True, **kept) as bar:
        task = bar.add_task("", total=source.size, charts=0)
        count = iter(range(1, 2**63))
        yield lambda: bar.update(task, charts=next(count), completed=source.position())
