"""From the spool into the ledger: in batches, in order, each row once (reliability.md, rows 37 and 38)."""

import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import Connection, func, insert, select
from sqlalchemy.exc import DataError, IntegrityError

from hooks.audit.chain import CARD_FIELDS, head, link
from hooks.audit.entry import Entry
from hooks.audit.spool import ended_segments
from hooks.ledger.database import Ledger
from hooks.ledger.schema import call, card, stored_input

ASIDE = "unfiled.jsonl"
"""In the folder of the spool: lines that no ledger takes, kept for somebody to look at."""

_ROWS, _OCTETS = 1000, 4 * 2**20  # of one transaction
_LOCK = 0x61756469
"""Any number that nobody else uses in the database."""
_decode = msgspec.json.Decoder(Entry).decode
_NO_COLUMNS = ("cards", "input")


class Filer:
    """Files what nobody writes to any more. folder: the spool of all workers; chain_key: of its chain."""

    def __init__(self, folder: Path, ledger: Ledger, chain_key: bytes) -> None:
        self._folder = folder
        self._ledger = ledger
        self._chain_key = chain_key

    def file(self) -> int:
        """How many rows were filed; 0 while another process is at it. Raises LedgerUnavailable and OSError.

        What it did not come to waits for the next time.
        """
        with ended_segments(self._folder) as segments:
            return sum(map(self._segment, segments))

    def _segment(self, segment: Path) -> int:
        with segment.open("rb") as lines:
            filed = sum(self._batch(batch) for batch in _batches(lines))
        segment.unlink()
        return filed

    def _batch(self, lines: Sequence[bytes]) -> int:
        entries = [entry for line in lines if (entry := self._read(line))]
        try:
            return self._filed(entries)
        except (IntegrityError, DataError):
            return sum(map(self._alone, entries))

    def _alone(self, entry: Entry) -> int:
        """A row that keeps others from being filed must not do so."""
        try:
            return self._filed([entry])
        except (IntegrityError, DataError):
            self._put_aside(msgspec.json.encode(entry) + b"\n")
            return 0

    def _filed(self, entries: Sequence[Entry]) -> int:
        """In one transaction; a row that is there already was filed before a crash and stays as it is."""
        if not entries:
            return 0
        with self._ledger.begin() as connection:
            _take_turn(connection)
            ids = [entry.id for entry in entries]
            known = set(connection.scalars(select(call.c.id).where(call.c.id.in_(ids))))
            new = list({entry.id: entry for entry in entries if entry.id not in known}.values())
            if new:
                _insert(connection, new, self._chain_key)
        return len(new)

    def _read(self, line: bytes) -> Entry | None:
        try:
            return _decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError):
            self._put_aside(line)
            return None

    def _put_aside(self, line: bytes) -> None:
        with (self._folder / ASIDE).open("ab") as file:
            file.write(line)


def _take_turn(connection: Connection) -> None:
    """Several servers may file into one PostgreSQL, and the chain goes on where the last one ended. SQLite has its lock
    from the beginning of the transaction."""
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_advisory_xact_lock(_LOCK)))


def _insert(connection: Connection, entries: Sequence[Entry], key: bytes) -> None:
    connection.execute(insert(call), list(_chained(connection, entries, key)))
    cards = [{"call_id": entry.id} | _fields(each) for entry in entries for each in entry.cards]
    if cards:
        connection.execute(insert(card), cards)
    for entry in entries:
        if entry.input:
            connection.execute(insert(stored_input), {"call_id": entry.id, "body": zlib.compress(entry.input)})


def _chained(connection: Connection, entries: Sequence[Entry], key: bytes) -> Iterator[Mapping[str, Any]]:
    """The rows of `call`, each linked to the one before it on its day."""
    heads: dict[str, tuple[int, str]] = {}
    for entry in entries:
        row = {name: value for name, value in msgspec.structs.asdict(entry).items() if name not in _NO_COLUMNS}
        row |= {"at": datetime.fromisoformat(entry.at), "day": entry.at[:10]}
        position, previous = heads.get(row["day"]) or head(connection, row["day"])
        row["position"] = position + 1
        row["chain"] = link(key, previous, row, (tuple(_fields(each).values()) for each in entry.cards))
        heads[row["day"]] = row["position"], row["chain"]
        yield row


def _fields(entry: Any) -> dict[str, Any]:
    return {name: getattr(entry, name) for name in CARD_FIELDS}


def _batches(lines: Iterable[bytes]) -> Iterator[list[bytes]]:
    """A line without its end was being written when its worker died: its call was not answered."""
    batch: list[bytes] = []
    size = 0
    for line in lines:
        if not line.endswith(b"\n"):
            continue
        batch.append(line)
        size += len(line)
        if len(batch) >= _ROWS or size >= _OCTETS:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
