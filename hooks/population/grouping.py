"""The lines of an export brought together by patient, on disk, in memory that does not grow with the export."""

# ruff: noqa: S608 (the SQL is put together from our own names and quoted paths)

import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import duckdb

from hooks.errors import PopulationError
from hooks.population.keys import keyed
from hooks.population.source import Source, as_lines
from hooks.population.tables import MEMORY, connect, copy, literal, literals


class _Room(NamedTuple):
    """For DuckDB. longest: octets of a line, with buffers of twice that; rows: of a part, until they go to its file."""

    longest: int
    rows: int
    memory: str


ROOMS = (
    _Room(2**24, 256, MEMORY),
    _Room(2**24, 1, "1GB"),  # when most lines are Bundles
    _Room(2**26, 1, "4GB"),
    _Room(2**28, 1, "16GB"),
)
"""The smallest that will do is taken."""
_PACKED = 12  # how many times larger JSON is than its gzip, about
_PART = 144 * 2**20  # octets of JSON
_MOST_PARTS = 64  # each has a file open
_ROWS_AT_HAND, _OCTETS_AT_HAND = 2048, 2**20  # of each part, until they are written
_SLICE = 6 * 2**20  # octets of JSON that are sorted at a time
_MOST_SLICES = 32  # for each the whole part is looked through
_ROWS_AT_ONCE = 500

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
    """How many parts a population is cut into: some for each core, more when they would be large."""
    octets = sum(file.stat().st_size * (_PACKED if file.suffix == ".gz" else 1) for file in source.files)
    return min(_MOST_PARTS, max(4 * cores, octets // _PART))


def group(source: Source, work: Path, parts: int, fhir_server: str) -> LeftOver:
    """Files of `work` in which the lines of one patient stand in the same part, each Medication with who takes it.

    Raises PopulationError for a file that cannot be read to its end.
    """
    documents = work / "documents.ndjson"
    with documents.open("wb") as target:
        bad = as_lines(source, target)
    files = [*source.lines, *([documents] if documents.stat().st_size else [])]
    with connect(work / "spill", threads=1) as connection:  # each has buffers of its own, and one is nearly as fast
        connection.execute("SET preserve_insertion_order = false")
        if files:
            _write_parts(connection, files, work, parts, fhir_server)
            _write_medications(connection, work)
        left = _left_over(connection, work, bad)
    documents.unlink()
    return left


def rows_of(connection: duckdb.DuckDBPyConnection, work: Path, part: int) -> Iterator[tuple[str, str, str]]:
    """Chart, kind and JSON of every line of a part: one chart after the other, in an order that is always the same.

    Sorted in slices, which are hardly larger in a large part than in a small one.
    """
    files = [file for folder in ("lines", "medications") for file in _files(work / folder, part)]
    if not files:
        return
    lines = f"read_parquet({literals(files)}, hive_partitioning = false)"
    (octets,) = connection.execute(f"SELECT sum(strlen(line)) FROM {lines}").fetchone()
    slices = min(octets // _SLICE + 1, _MOST_SLICES)
    for number in range(slices):
        rows = connection.execute(
            f"SELECT chart, kind, line FROM {lines} WHERE hash(chart, 1) % {slices} = {number} ORDER BY chart"
        )
        while some := rows.fetchmany(_ROWS_AT_ONCE):
            yield from some


def _write_parts(
    connection: duckdb.DuckDBPyConnection, files: list[Path], work: Path, parts: int, fhir_server: str
) -> None:
    """In the smallest room that will do."""
    for room in ROOMS:
        connection.execute(f"SET memory_limit = '{room.memory}'")
        connection.execute(f"SET partitioned_write_flush_threshold = {room.rows}")
        try:
            return _write_parts_of(connection, files, work, parts, fhir_server, room.longest)
        except (duckdb.IOException, duckdb.InvalidInputException, duckdb.OutOfMemoryException) as error:
            if room == ROOMS[-1] or not _is_lack_of_room(error):
                raise PopulationError(_explained(error, files)) from None
            shutil.rmtree(work / "lines", ignore_errors=True)


def _is_lack_of_room(error: duckdb.Error) -> bool:
    return isinstance(error, duckdb.OutOfMemoryException) or _TOO_LONG in str(error)


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
    written = f"ROW_GROUP_SIZE {_ROWS_AT_HAND}, ROW_GROUP_SIZE_BYTES {_OCTETS_AT_HAND}"
    copy(connection, query, work / "lines", f"FORMAT parquet, PARTITION_BY (part), {written}")


def _explained(error: duckdb.Error, files: Sequence[Path]) -> str:
    """In our words, with nothing of the message but the name of a file of ours: DuckDB could quote a line."""
    what = str(error).splitlines()[0]
    name = max((str(file) for file in files if str(file) in what), key=len, default="the input")
    if _TOO_LONG in what:
        return f"{name}: a line is longer than {ROOMS[-1].longest // 2**20} MiB"
    if "GZIP" in what:
        return f"{name}: it is no whole gzip file"
    return f"{name} cannot be read ({type(error).__name__})"


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
