"""The Parquet tables that a run leaves behind, and the connection to DuckDB that writes and asks them.

`charts`: a row a patient, with its cards. `criteria`: a row a patient and criterion. The columns are those of
`hooks.population.judging`.
"""

# ruff: noqa: S608 (the SQL is put together from our own names and quoted paths)

from collections.abc import Iterable, Iterator
from pathlib import Path

import duckdb
import msgspec

from hooks.errors import PopulationError
from hooks.population.judging import ChartRow

BASELINE = "baseline"
"""Folder, below the output, of the same tables under the configuration that is compared with."""
MEMORY = "512MB"  # for DuckDB in the first process; what does not fit goes to disk
SMALL_MEMORY = "256MB"  # and in each worker

_CHART = {
    "side": "UTINYINT",
    "patient": "VARCHAR",
    "lines": "INTEGER",
    "unreadable": "INTEGER",
    "foreign_resources": "INTEGER",
    "back_problem": "BOOLEAN",
    "current": "BOOLEAN",
    "cards": 'STRUCT("group" VARCHAR, indicator VARCHAR, criteria VARCHAR[])[]',
    "criteria": "STRUCT(criterion VARCHAR, status VARCHAR, state VARCHAR, shown BOOLEAN, evidence INTEGER)[]",
}
_SELECTED = {
    "charts": "* EXCLUDE (side, criteria)",
    "criteria": "patient, unnest(criteria, recursive := true)",
}
_LONGEST_ROW = 2**24
_PIECE = 2 * 2**20  # octets of rows in one file: DuckDB reads with a buffer that it fills with as much as a file has
_ROWS_AT_HAND = 20_480  # of a table, until they are written
_encoder = msgspec.json.Encoder()


def connect(spill: Path, memory: str = MEMORY, threads: int | None = None) -> duckdb.DuckDBPyConnection:
    """DuckDB in memory, which takes `spill` for what does not fit; it loads no extensions from anywhere."""
    options = {"memory_limit": memory, "temp_directory": str(spill)}
    options |= {
        "autoinstall_known_extensions": "false",
        "autoload_known_extensions": "false",
    }
    connection = duckdb.connect(config=options | ({"threads": str(threads)} if threads else {}))
    connection.execute("SET enable_progress_bar = false")
    return connection


def write_rows(rows: Iterable[ChartRow], folder: Path) -> None:
    """Writes a new folder of files with the rows, for `write_tables`."""
    folder.mkdir()
    for number, piece in enumerate(_pieces(rows)):
        (folder / f"{number:05}.ndjson").write_bytes(piece)


def _pieces(rows: Iterable[ChartRow]) -> Iterator[bytes]:
    piece = bytearray()
    for row in rows:
        piece += _encoder.encode(row) + b"\n"
        if len(piece) >= _PIECE:
            yield piece
            piece = bytearray()
    yield piece


def write_tables(connection: duckdb.DuckDBPyConnection, rows: Path, side: int, folder: Path, part: str) -> None:
    """Makes one part of both tables from the rows of one side; a part is there whole or not at all."""
    columns = ", ".join(f"{literal(name)}: {literal(kind)}" for name, kind in _CHART.items())
    read = (
        f"read_json({literals(sorted(rows.iterdir()))}, format = 'newline_delimited', columns = {{{columns}}}, "
        f"maximum_object_size = {_LONGEST_ROW})"
    )
    for table, selected in _SELECTED.items():
        target = folder / table / f"{part}.parquet"
        target.parent.mkdir(parents=True, exist_ok=True)
        made = target.with_suffix(".unfinished")
        written = f"FORMAT parquet, ROW_GROUP_SIZE {_ROWS_AT_HAND}"
        copy(connection, f"SELECT {selected} FROM {read} WHERE side = {side}", made, written)
        made.replace(target)


def copy(connection: duckdb.DuckDBPyConnection, query: str, target: Path, options: str) -> None:
    connection.execute(f"COPY ({query}) TO {literal(target)} ({options})")


def table(folder: Path, name: str) -> str:
    """A table of a run, to be asked in SQL. Raises PopulationError where it is not there."""
    files = sorted((folder / name).glob("*.parquet"))
    if not files:
        raise PopulationError(
            f"{folder}: there is no {name}/*.parquet: the output folder of a finished run is expected"
        )
    return f"read_parquet({literals(files)})"


def literal(value: object) -> str:
    """As a text in SQL."""
    return "'" + str(value).replace("'", "''") + "'"


def literals(values: Iterable[object]) -> str:
    return "[" + ", ".join(map(literal, values)) + "]"
