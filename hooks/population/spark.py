"""The engine for a cluster: the same lines, keys, evaluation and rows, with Spark to bring them together.

Spark is as its own settings say (spark-submit, spark-defaults.conf). All its machines see the same folders and have
this package. No row passes through the first process.
"""

import os
import shutil
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import msgspec
from pyspark import Broadcast
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as f

from hooks.population.charts import by_chart
from hooks.population.grouping import LeftOver
from hooks.population.judging import Judge, Task
from hooks.population.keys import keyed
from hooks.population.local import WORK
from hooks.population.source import Source
from hooks.population.tables import BASELINE

_OUTCOME = "side int, json string"
_PROBLEMS = -1  # in place of a side: what could not be evaluated in one partition
_ROW = """
    side int, patient string, lines int, unreadable int, foreign_resources int, back_problem boolean, current boolean,
    cards array<struct<`group`: string, indicator: string, criteria: array<string>>>,
    criteria array<struct<criterion: string, status: string, state: string, shown: boolean, evidence: int>>"""
_encoder = msgspec.json.Encoder()


def run(source: Source, task: Task, output: Path) -> tuple[LeftOver, Counter[str]]:
    """Fills the tables in `output` anew; returns what belongs to no chart, and what came of the charts."""
    work = output / WORK
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(mode=0o700)
    with _session() as session:
        lines = _stored(session, keyed_lines(session, source, task.view.fhir_server), work / "lines")
        outcomes = _stored(session, _outcomes(session, _grouped(lines), task), work / "rows")
        for side in range(len(task.sides)):
            _write_tables(outcomes, side, output / BASELINE if side else output)
        counts: Counter[str] = Counter()
        for problems in outcomes.where(f.col("side") == _PROBLEMS).collect():
            counts.update(msgspec.json.decode(problems.json))
        return _left_over(lines), counts


@contextmanager
def _session() -> Iterator[SparkSession]:
    """The session that runs already, or a new one that ends with the run."""
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    running = SparkSession.getActiveSession()
    session = running or SparkSession.builder.appName("backpain-cds replay").getOrCreate()
    try:
        yield session
    finally:
        if running is None:
            session.stop()


def keyed_lines(session: SparkSession, source: Source, fhir_server: str) -> DataFrame:
    """All lines with whose they are (`hooks.population.keys`)."""
    read = session.createDataFrame([], "line string, file string")
    for files, options in ((source.lines, {"lineSep": "\n"}), (source.documents, {"wholetext": True})):
        if files:
            text = session.read.text([f"file://{file.resolve()}" for file in files], **options)
            read = read.union(text.select(f.col("value").alias("line"), f.input_file_name().alias("file")))
    read.where(f.trim(f.col("line"), f.lit(" \t\r\n")) != "").createOrReplaceTempView("population_lines")
    return session.sql(keyed("population_lines", "get_json_object", fhir_server))


def _stored(session: SparkSession, frame: DataFrame, folder: Path) -> DataFrame:
    """Computed once, whatever is asked of it afterwards."""
    frame.write.parquet(f"file://{folder.resolve()}")
    return session.read.schema(frame.schema).parquet(f"file://{folder.resolve()}")


def _grouped(lines: DataFrame) -> DataFrame:
    """The lines of one patient one after the other, each Medication with whoever takes it."""
    whose = lines.where("chart <> ''").select("chart", "kind", "line")
    asked = lines.where("chart <> '' AND medication <> ''").select("chart", "medication").distinct()
    found = lines.where("kind = 'Medication'").select("medication", "kind", "line").distinct()
    medications = asked.join(found, "medication").select("chart", "kind", "line")
    return whose.union(medications).repartition("chart").sortWithinPartitions("chart")


def _outcomes(session: SparkSession, grouped: DataFrame, task: Task) -> DataFrame:
    """Rows as JSON by side, and for each partition what could not be evaluated: exactly once, as Spark writes it."""
    sent = session.sparkContext.broadcast(task)
    return session.createDataFrame(grouped.rdd.mapPartitions(partial(evaluate_rows, sent)), _OUTCOME)


def evaluate_rows(sent: Broadcast[Task], rows: Iterable[Any]) -> Iterator[tuple[int, str]]:
    """What a Python process of the cluster does with one partition."""
    judge = Judge(sent.value)
    for lines in by_chart(map(tuple, rows)):
        for row in judge.rows(lines):
            yield row.side, _encoder.encode(row).decode()
    yield _PROBLEMS, _encoder.encode(judge.problems).decode()


def _write_tables(outcomes: DataFrame, side: int, folder: Path) -> None:
    rows = outcomes.where(f.col("side") == side).select(f.from_json("json", _ROW).alias("row")).select("row.*")
    criteria = rows.select("patient", f.explode("criteria").alias("each")).select("patient", "each.*")
    for name, table in (("charts", rows.drop("side", "criteria")), ("criteria", criteria)):
        table.write.mode("overwrite").parquet(f"file://{(folder / name).resolve()}")


def _left_over(lines: DataFrame) -> LeftOver:
    counted = lines.groupBy("kind", (f.col("chart") == "").alias("is_left"), "file").count().collect()
    bad_lines: Counter[str] = Counter()
    others: Counter[str] = Counter()
    for kind, is_left, file, number in counted:
        if not kind:
            bad_lines[unquote(file).rpartition("/")[2]] += number
        elif is_left and kind != "Medication":
            others[kind] += number
    outcomes = others.pop("OperationOutcome", 0)
    return LeftOver(bad_lines, others, outcomes, tuple(sorted({kind for kind, *_ in counted if kind})))
