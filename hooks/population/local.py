"""The engine for one machine: grouped with DuckDB, evaluated in a process for each core, gone on with after a stop."""

import multiprocessing
import os
import shutil
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import msgspec

from hooks.errors import PopulationError
from hooks.population.charts import by_chart
from hooks.population.grouping import LeftOver, group, rows_of
from hooks.population.judging import Judge, Task
from hooks.population.source import Source
from hooks.population.tables import BASELINE, SMALL_MEMORY, connect, write_rows, write_tables

WORK = ".work"
_GROUPED = "grouped.json"

Progress = Callable[[int, int], None]
"""Told after each part how many are done, of how many."""


class _Worker(NamedTuple):
    judge: Judge
    output: Path
    sides: int


def cores() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def run(source: Source, task: Task, output: Path, parts: int, processes: int, progress: Progress) -> LeftOver:
    """Fills the tables in `output`; what an earlier run has finished is not done again. `counts` tells what came of it.

    Raises PopulationError for input that cannot be read, and where a worker process ends.
    """
    work = output / WORK
    work.mkdir(mode=0o700, exist_ok=True)
    left = _grouped(source, work, parts, task.view.fhir_server)
    waiting = [part for part in range(parts) if not _finished(output, part).exists()]
    progress(parts - len(waiting), parts)
    for done, _ in enumerate(_evaluated(waiting, task, output, processes), parts - len(waiting) + 1):
        progress(done, parts)
    return left


def counts(output: Path, parts: int) -> Counter[str]:
    """What came of the charts of all parts."""
    total: Counter[str] = Counter()
    for part in range(parts):
        total.update(msgspec.json.decode(_finished(output, part).read_bytes()))
    return total


def clear(output: Path) -> None:
    """Removes the grouped charts and all that was needed on the way."""
    shutil.rmtree(output / WORK, ignore_errors=True)


def _grouped(source: Source, work: Path, parts: int, fhir_server: str) -> LeftOver:
    """Grouped now, unless it was before; half-done grouping is done anew."""
    known = work / _GROUPED
    if not known.exists():
        for name in ("lines", "medications"):
            shutil.rmtree(work / name, ignore_errors=True)
        left = group(source, work, parts, fhir_server)
        _write_whole(known, msgspec.json.encode(left._asdict()))
    found = msgspec.json.decode(known.read_bytes())
    return LeftOver(**found | {"types": tuple(found["types"])})


def _evaluated(waiting: list[int], task: Task, output: Path, processes: int) -> Iterator[None]:
    """Evaluates the parts, as many at a time as there are processes; says when each is done."""
    if processes == 1 and waiting:
        start_worker(task, output)
        yield from map(evaluate_part, waiting)
    elif waiting:
        with _pool(task, output, min(processes, len(waiting))) as pool:
            for each in as_completed([pool.submit(evaluate_part, part) for part in waiting]):
                yield each.result()


@contextmanager
def _pool(task: Task, output: Path, processes: int) -> Iterator[ProcessPoolExecutor]:
    spawn = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(processes, mp_context=spawn, initializer=_start_process, initargs=(task, output))
    try:
        yield pool
    except BrokenProcessPool:
        raise PopulationError(
            "a worker process ended by itself, for lack of memory perhaps; --resume goes on"
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)


_worker: _Worker | None = None


def _start_process(task: Task, output: Path) -> None:
    """Once in each worker process. Ctrl-C is for the first process: parts that are begun are finished."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    start_worker(task, output)


def start_worker(task: Task, output: Path) -> None:
    """Before `evaluate_part` in this process."""
    global _worker
    _worker = _Worker(Judge(task), output, len(task.sides))


def evaluate_part(part: int) -> None:
    """Evaluates the charts of one part in this worker, and writes its tables; the mark that it is done comes last."""
    judge, output, sides = _worker
    judge.problems.clear()
    work, name = output / WORK, f"part-{part:05}"
    rows = work / f"rows-{name}"
    shutil.rmtree(rows, ignore_errors=True)
    with connect(work / f"spill-{name}", SMALL_MEMORY, threads=1) as connection:
        charts = by_chart(rows_of(connection, work, part))
        write_rows((row for lines in charts for row in judge.rows(lines)), rows)
        for side in range(sides):
            write_tables(connection, rows, side, output / BASELINE if side else output, name)
    shutil.rmtree(rows)
    _write_whole(_finished(output, part), msgspec.json.encode(judge.problems))


def _finished(output: Path, part: int) -> Path:
    return output / WORK / f"part-{part:05}.json"


def _write_whole(file: Path, content: bytes) -> None:
    made = file.with_suffix(".unfinished")
    made.write_bytes(content)
    made.replace(file)
