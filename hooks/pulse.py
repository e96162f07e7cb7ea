"""The pulse of a worker: that its event loop turns, and that what it needs works (reliability.md, rows 43 and 44).

The loop itself says that it turns. Stores are tried in a thread: one that hangs makes the worker unready, not deaf.
"""

import asyncio
import os
import sqlite3
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor

from sqlalchemy import text

from hooks.board import Board, Seat
from hooks.errors import LedgerUnavailable
from hooks.ledger.database import Ledger
from hooks.readiness import Readiness

BEAT_SECONDS = 0.5
TRY_SECONDS = 1.0

Trial = Callable[[], None]
"""Writes something to a store. Raises LedgerUnavailable, sqlite3.Error or OSError when it could not."""


class Pulse:
    """One worker's. stores: name -> how to find out whether it can be written to."""

    def __init__(self, board: Board, readiness: Readiness, stores: Mapping[str, Trial]) -> None:
        self._board = board
        self._readiness = readiness
        self._stores = stores
        self._threads = ThreadPoolExecutor(max(1, len(stores)), "stores")
        for store in stores:
            readiness.expect(store)

    async def beat(self) -> None:
        """Until cancelled: tell the other processes that this worker is alive, and whether it is ready."""
        process = os.getpid()
        number = self._board.take_seat(process)
        while True:
            self._board.say(number, Seat(process, not self._readiness.missing(), time.monotonic()))
            await asyncio.sleep(BEAT_SECONDS)

    async def try_stores(self) -> None:
        """Until cancelled: each store by itself, one try at a time."""
        await asyncio.gather(*(self._try(store, trial) for store, trial in self._stores.items()))

    async def _try(self, store: str, trial: Trial) -> None:
        while True:
            if await asyncio.get_running_loop().run_in_executor(self._threads, _works, trial):
                self._readiness.written(store)
            await asyncio.sleep(TRY_SECONDS)


def try_ledger(ledger: Ledger) -> None:
    """Raises LedgerUnavailable when nothing can be committed, as in a PostgreSQL that only follows another."""
    with ledger.begin() as connection:
        if connection.dialect.name == "postgresql" and connection.scalar(text("SHOW transaction_read_only")) == "on":
            raise LedgerUnavailable("read-only")


def _works(trial: Trial) -> bool:
    try:
        trial()
    except (LedgerUnavailable, sqlite3.Error, OSError):
        return False
    return True
