"""What processes of one server know of each other, and when a worker is ready (board, readiness, pulse in hooks/)."""

import asyncio
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from hooks.board import MAX_WORKERS, Board, Seat
from hooks.ledger.database import open_ledger, sqlite_url
from hooks.pulse import Pulse, try_ledger
from hooks.readiness import CHECKED_SECONDS, Readiness
from hooks.replay import FILE, open_store, write_to_store


def ended() -> int:
    """The id of a process that is no more."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_whoever_opens_it_sees_the_same(tmp_path: Path):
    one, other = Board(tmp_path / "board"), Board(tmp_path / "board")
    one.say(one.take_seat(os.getpid()), Seat(os.getpid(), True, 1.5))
    assert other.seats() == [Seat(os.getpid(), True, 1.5)]
    assert not other.is_draining
    one.drain()
    assert other.is_draining
    assert Board(tmp_path / "board").is_draining


def test_the_seat_of_a_dead_worker_is_free(tmp_path: Path):
    board, dead = Board(tmp_path / "board"), ended()
    number = board.take_seat(dead)
    board.say(number, Seat(dead, True, 1.0))
    assert board.seats() == []
    assert board.take_seat(os.getpid()) == number


def test_each_worker_has_a_seat_of_its_own_and_they_are_not_without_end(tmp_path: Path):
    board = Board(tmp_path / "board")
    assert {board.take_seat(os.getpid()) for _ in range(MAX_WORKERS)} == set(range(MAX_WORKERS))
    with pytest.raises(RuntimeError):
        board.take_seat(os.getpid())


def test_a_worker_that_has_not_begun_says_nothing(tmp_path: Path):
    board = Board(tmp_path / "board")
    board.take_seat(os.getpid())
    assert board.seats() == []


def test_ready_until_something_says_otherwise():
    readiness = Readiness(fetches=False)
    assert readiness.page() == {"status": "ready", "data": "prefetch only"}
    readiness.report("self-test", is_well=False)
    assert readiness.page() == {"status": "not ready", "missing": ["self-test"], "data": "prefetch only"}
    readiness.report("self-test", is_well=True)
    assert readiness.missing() == []


def test_a_store_is_taken_to_work_for_five_seconds():
    now = [100.0]
    readiness = Readiness(clock=lambda: now[0])
    readiness.expect("ledger")
    now[0] += CHECKED_SECONDS
    assert readiness.missing() == []
    now[0] += 0.1
    assert readiness.missing() == ["ledger"]
    readiness.written("ledger")
    assert readiness.missing() == []


def test_draining_is_not_ready_and_nothing_is_wrong():
    readiness = Readiness(is_draining=lambda: True)
    assert readiness.missing() == ["draining"]
    assert readiness.wrong() == []


@pytest.mark.parametrize("error", [sqlite3.OperationalError("locked"), OSError("full")])
def test_the_pulse_tries_each_store_by_itself(tmp_path: Path, error: Exception):
    """One that does not work keeps neither the others nor the beat from going on."""
    now = [0.0]
    readiness = Readiness(clock=lambda: now[0])
    board = Board(tmp_path / "board")

    def broken() -> None:
        raise error

    def works() -> None:
        now[0] = CHECKED_SECONDS + 1

    pulse = Pulse(board, readiness, {"broken": broken, "works": works})

    async def live() -> None:
        tasks = [asyncio.ensure_future(each()) for each in (pulse.beat, pulse.try_stores)]
        async with asyncio.timeout(10):
            while "broken" not in readiness.missing() or "works" in readiness.missing():
                await asyncio.sleep(0.01)
            while not board.seats() or board.seats()[0].is_ready:
                await asyncio.sleep(0.01)
        for task in tasks:
            task.cancel()

    asyncio.run(live())


def test_a_store_that_takes_writes_and_one_that_does_not(tmp_path: Path):
    open_store(tmp_path).close()
    write_to_store(tmp_path)
    with pytest.raises(sqlite3.Error):
        write_to_store(tmp_path / "nowhere")
    assert (tmp_path / FILE).exists()


def test_a_ledger_that_is_not_there_is_found_out(tmp_path: Path):
    from hooks.errors import LedgerUnavailable

    with pytest.raises(LedgerUnavailable):
        try_ledger(open_ledger(sqlite_url(tmp_path / "none.sqlite3")))
