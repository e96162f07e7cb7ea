"""The lines of an export brought together by patient, on disk, in memory that does not grow with the export."""

# ruff: noqa: S608 (the SQL is put together from our own names and quoted paths)

import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import duckdb

from hooks.errors import PopulationError
from hooks.population.keys import keyed
from hooks.population.source import Source, as_lines
from hooks.population.tables import connect, copy, literal, literals

LONGEST_LINES = (2**24, 2**26, 2**28)
"""Octets of the longest line. DuckDB reads with buffers of several times that: the smallest that will do is taken."""
_PACKED = 12  # how many times larger JSON is than its gzip, about
_PART = 32 * 2**20  # octets of JSON that one worker sorts at a time
_MOST_PARTS = 64  # each has a file open, with as many rows at hand as follows
_ROWS_AT_HAND = 2048
_ROWS_OF_THREAD = 8192  # until they go to the files of their parts

_TOO_LONG = "maximum_object_size"
_LEFT_OVER, _MEDICATIONS = -1, -2  # parts of their own


class LeftOver(NamedTuple):
    """What belongs to no chart. bad_lines: file -> lines that are no FHIR JSON; unassigned: type -> resources that name
    no patient (or one of another server); outcomes: OperationOutcomes, with which a server says what it left out."""

    bad_lines: Mapping[str, int]
    unassigned: Mapping[str, int]
    outcomes: int
    types: tuple[str, ...]


def number_of_parts(source: Source, cores: int) -> int:
    """How many parts a population is cut into: small ones, and some for each core."""
    octets = sum(file.stat().st_size * (_PACKED if file.suffix == ".gz" else 1) for file in source.files)
    return max(4 * cores, min(_MOST_PARTS, octets // _PART))


def group(source: Source, work: Path, parts: int, fhir_server: str) -> LeftOver:
    """Files of `work` in which the lines of one patient stand in the same part, each Medication with who takes it.

    Raises PopulationError for a file that cannot be read to its end.
    """
    documents = work / "documents.ndjson"
    with documents.open("wb") as target:
        bad = as_lines(source, target)
    files = [*source.lines, *([documents] if documents.stat().st_size else [])]
    with connect(work / "spill") as connection:
        connection.execute("SET preserve_insertion_order = false")
        connection.execute(f"SET partitioned_write_flush_threshold = {_ROWS_OF_THREAD}")
        if files:
            _write_parts(connection, files, work, parts, fhir_server)
            _write_medications(connection, work)
        left = _left_over(connection, work, bad)
    documents.unlink()
    return left


def rows_of(connection: duckdb.DuckDBPyConnection, work: Path, part: int) -> Iterator[tuple[str, str, str]]:
    """Chart, kind and JSON of every line of a part, in an order that is always the same."""
    files = [file for folder in ("lines", "medications") for file in _files(work / folder, part)]
    if not files:
        return
    rows = connection.execute(
        f"SELECT chart, kind, line FROM read_parquet({literals(files)}, hive_partitioning = false) "
        "ORDER BY chart, kind, line"
    )
    while some := rows.fetchmany(1000):
        yield from some


def _write_parts(
    connection: duckdb.DuckDBPyConnection, files: list[Path], work: Path, parts: int, fhir_server: str
) -> None:
    for longest in LONGEST_LINES:
        try:
            _write_parts_of(connection, files, work, parts, fhir_server, longest)
        except (duckdb.IOException, duckdb.InvalidInputException) as error:
            if _TOO_LONG not in str(error) or longest == LONGEST_LINES[-1]:
                raise PopulationError(_explained(str(error))) from None
            shutil.rmtree(work / "lines", ignore_errors=True)
            connection.execute(f"SET memory_limit = '{longest * 64}B'")
        else:
            return


def _write_parts_of(
    connection: duckdb.DuckDBPyConnection, files: list[Path], work: Path, parts: int, fhir_server: str, longest: int
) -> None:
    lines = (
        "(SELECT json AS line, parse_filename(filename) AS file FROM read_ndjson_objects("
        f"{literals(files)}, ignore_errors = true, filename = true, maximum_object_size = {longest}))"
    )
    part = f"""CASE WHEN kind = 'Medication' THEN {_MEDICATIONS} WHEN chart = '' THEN {_LEFT_OVER}
                    ELSE (hash(chart) % {parts})::INTEGER END"""
    query = f"""
        SELECT chart, kind, medication, file, {part} AS part,
               CASE WHEN chart <> '' OR kind = 'Medication' THEN line END AS line
        FROM ({keyed(lines, "json_extract_string", fhir_server)})"""
    copy(connection, query, work / "lines", f"FORMAT parquet, PARTITION_BY (part), ROW_GROUP_SIZE {_ROWS_AT_HAND}")


def _explained(problem: str) -> str:
    """Only what names a file goes on: DuckDB could quote a line."""
    what = problem.splitlines()[0]
    if _TOO_LONG in what:
        name = what.partition('file "')[2].partition('"')[0]
        return f"{name}: a line is longer than {LONGEST_LINES[-1] // 2**20} MiB"
    if "GZIP" in what:
        return f"{what.rpartition(': ')[2]}: it is no whole gzip file"
    return f"the input cannot be read: {what}"


def _write_medications(connection: duckdb.DuckDBPyConnection, work: Path) -> None:
    """Each Medication resource once more for everybody to whom it was prescribed: lines of Bulk Data share them."""
    stored = _files(work / "lines", _MEDICATIONS)
    if not stored:
        return
    asking = f"read_parquet({literal(work / 'lines' / '*' / '*.parquet')}, hive_partitioning = true)"
    query = f"""
        SELECT DISTINCT asked.chart, 'Medication' AS kind, found.line, asked.part
        FROM {asking} AS asked JOIN read_parquet({literals(stored)}, hive_partitioning = false) AS found
             USING (medication)
        WHERE asked.part >= 0 AND asked.medication <> ''"""
    copy(connection, query, work / "medications", "FORMAT parquet, PARTITION_BY (part)")


def _left_over(connection: duckdb.DuckDBPyConnection, work: Path, bad: Mapping[str, int]) -> LeftOver:
    everything = sorted((work / "lines").glob("*/*.parquet"))
    if not everything:
        return LeftOver(bad, {}, 0, ())
    counts = connection.execute(
        "SELECT kind, CASE WHEN kind = '' THEN file END, part, count(*) "
        f"FROM read_parquet({literals(everything)}, hive_partitioning = true) GROUP BY ALL ORDER BY ALL"
    ).fetchall()
    bad_lines = {file: number for kind, file, _, number in counts if not kind}
    others = {kind: number for kind, _, part, number in counts if kind and int(part) == _LEFT_OVER}
    outcomes = others.pop("OperationOutcome", 0)
    return LeftOver({**bad, **bad_lines}, others, outcomes, tuple(sorted({kind for kind, *_ in counts if kind})))


def _files(folder: Path, part: int) -> list[Path]:
    return sorted((folder / f"part={part}").glob("*.parquet"))
