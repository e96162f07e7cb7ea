"""The files of a population: FHIR Bulk Data NDJSON, or Bundles of one patient each."""

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

import msgspec

from hooks.cli.inputs import MAX_BYTES, opened
from hooks.errors import PopulationError

LINES = (".ndjson", ".ndjson.gz")
DOCUMENTS = (".json", ".json.gz")
_PATTERN = frozenset("*?[]{}")  # what both engines take for a pattern of names


class Source(NamedTuple):
    """lines: files with one resource or Bundle a line; documents: with one Bundle each. Sorted by name."""

    folder: Path
    lines: tuple[Path, ...]
    documents: tuple[Path, ...]

    @property
    def files(self) -> tuple[Path, ...]:
        return (*self.lines, *self.documents)

    @property
    def octets(self) -> int:
        """As stored."""
        return sum(file.stat().st_size for file in self.files)


def find_source(folder: Path) -> Source:
    """All files of the folder and those below it whose names say that they are of a population; hidden ones are not.

    Raises PopulationError where there are none.
    """
    if not folder.is_dir():
        raise PopulationError(f"{folder} is not a folder: one with *.ndjson[.gz] or *.json[.gz] files is expected")
    files = [file for file in sorted(folder.rglob("*")) if file.is_file() and not _is_hidden(file, folder)]
    lines = tuple(file for file in files if file.name.endswith(LINES))
    documents = tuple(file for file in files if file.name.endswith(DOCUMENTS))
    if not (lines or documents):
        raise PopulationError(f"{folder} holds no *.ndjson[.gz] (Bulk Data) and no *.json[.gz] (Bundles)")
    for file in (*lines, *documents):
        if not _PATTERN.isdisjoint(str(file)):
            raise PopulationError(f"{file}: the name should have none of {' '.join(sorted(_PATTERN))}")
    return Source(folder, lines, documents)


def as_lines(source: Source, target: BinaryIO) -> dict[str, int]:
    """Writes the documents one a line. Returns by name how many were no JSON; raises Unusable for unreadable files."""
    bad = {}
    for file in source.documents:
        line = _one_line(file)
        if line is None:
            bad[file.name] = 1
        else:
            target.write(line + b"\n")
    return bad


def _one_line(file: Path) -> bytes | None:
    with opened(str(file)) as document:
        body = document.read()
    try:
        return msgspec.json.format(body, indent=-1) if len(body) <= MAX_BYTES else None
    except (msgspec.DecodeError, RecursionError):
        return None


def _is_hidden(file: Path, folder: Path) -> bool:
    return any(part.startswith((".", "_")) for part in file.relative_to(folder).parts)


def fingerprint(source: Source) -> Iterator[tuple[str, int, int]]:
    """Name, size and time of change of each file: what tells that a run goes on with the same input."""
    for file in source.files:
        known = file.stat()
        yield str(file.relative_to(source.folder)), known.st_size, known.st_mtime_ns
