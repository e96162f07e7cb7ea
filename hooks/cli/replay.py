"""`backpain-cds replay`: a whole population's charts evaluated: what would have fired, for whom, how often."""

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from hooks.cli.instants import read_instant
from hooks.cli.site import knowledge_of, settings_of, states_of
from hooks.cli.terminal import Terminal, Unusable
from hooks.errors import PopulationError, SettingsError
from hooks.outbound import parse_base
from hooks.services import SEARCH_KEYS

try:
    import duckdb

    from hooks.cli.replayed import show
    from hooks.population import replay as population
    from hooks.population.charts import View
    from hooks.population.judging import Side
    from hooks.population.local import cores
    from hooks.population.manifest import FILE, Manifest, load
    from hooks.population.source import find_source
except ModuleNotFoundError as error:
    raise Unusable(f"replay needs {error.name}: pip install 'backpain-cds[population]'") from None

ALL_EVALUATED = 0
SOME_BAD = 1


def run(args: argparse.Namespace, terminal: Terminal) -> int:
    """Evaluate, write the tables and the report, and show the figures."""
    try:
        replay, earlier = _replay(args, terminal)
        with _progress(terminal) as progress:
            manifest = population.run(replay, args.resume, progress)
        show(replay, manifest, earlier, terminal)
    except (PopulationError, SettingsError) as error:
        raise Unusable(str(error)) from None
    except (duckdb.OutOfMemoryException, duckdb.IOException) as error:
        raise Unusable(str(error).splitlines()[0]) from None
    except OSError as error:
        raise Unusable(f"{error.filename or args.output}: {error.strerror}") from None
    return SOME_BAD if population.bad(manifest) else ALL_EVALUATED


def _replay(args: argparse.Namespace, terminal: Terminal) -> tuple["population.Replay", Path | None]:
    """The run that is asked for, and the folder of an earlier one to compare with."""
    source, output = find_source(Path(args.folder)), Path(args.output)
    if output.resolve().is_relative_to(source.folder.resolve()):
        raise PopulationError(f"{output} lies in {source.folder}: the output should be elsewhere")
    earlier = Path(args.compare) if args.compare and Path(args.compare).is_dir() else None
    if earlier and not load(earlier).finished:
        raise PopulationError(f"{earlier}: that run is not finished: --resume goes on with it")
    sides = [_side(args.config), *([_side(args.compare)] if args.compare and not earlier else [])]
    known = load(output) if args.resume and (output / FILE).exists() else load(earlier) if earlier else None
    view = View(args.hook, _instant(args, known, sides[0], terminal), _base(args.fhir_server), _missing(args.missing))
    output.mkdir(mode=0o700, parents=True, exist_ok=True)
    key = None if args.plain_ids else population.key_for(output, sides[0].settings.data_dir, earlier)
    replay = population.Replay(source, view, tuple(sides), output, key, args.engine, args.processes or cores())
    if earlier and load(earlier).basis.ids != replay.ids:
        raise PopulationError(
            f"{earlier} names patients in another way, or with another key: its charts cannot be told to be the same; "
            "use the same key (or --plain-ids) as there"
        )
    return replay, earlier


def _side(config: str | None) -> "Side":
    settings = settings_of(config)
    return Side(settings, knowledge_of(settings), dict(states_of(settings)))


def _instant(args: argparse.Namespace, known: "Manifest | None", side: "Side", terminal: Terminal) -> Any:
    """As asked for; else that of the run gone on with, or compared with; else now."""
    if args.at is None and known is None:
        return terminal.clock().replace(microsecond=0)
    return read_instant(args.at or known.basis.at, side.settings.zone)


def _base(url: str | None) -> str:
    try:
        if url:
            parse_base(url)
        return (url or "").rstrip("/")
    except ValueError as error:
        raise Unusable(f"--fhir-server: {error}") from None


def _missing(types: str | None) -> frozenset[str]:
    named = frozenset(types.split(",")) if types else frozenset()
    if unknown := sorted(named - set(SEARCH_KEYS.values())):
        raise Unusable(f"--missing: {', '.join(unknown)}: known are {', '.join(SEARCH_KEYS.values())}")
    return named


@contextmanager
def _progress(terminal: Terminal) -> Iterator[Any]:
    """A bar on stderr when somebody watches it."""
    if not terminal.err.is_terminal:
        yield lambda done, whole: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed} of {task.total} parts"))
    with Progress(*columns, TimeRemainingColumn(), console=terminal.err, transient=True) as bar:
        task = bar.add_task("grouping by patient", total=None)
        yield lambda done, whole: bar.update(task, description="evaluating", completed=done, total=whole)
