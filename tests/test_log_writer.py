"""The log waits for nobody (hooks/log_writer.py; row 44)."""

import json
import logging
import os
from collections.abc import Iterator

import pytest

from hooks import log_writer
from hooks.log_writer import LogWriter


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    ends = os.pipe()
    yield ends
    for end in ends:
        try:
            os.close(end)
        except OSError:
            continue  # the test closed it


def record(text: str) -> logging.LogRecord:
    return logging.LogRecord("x", logging.INFO, "", 0, text, None, None)


def test_lines_come_in_their_order(pipe: tuple[int, int]):
    read, write = pipe
    writer = LogWriter(write)
    for number in range(1000):
        writer.emit(record(f"line {number} é"))
    writer.flush()
    assert os.read(read, 2**20).decode().splitlines() == [f"line {number} é" for number in range(1000)]
    assert writer.dropped == 0


def test_a_reader_that_stops_costs_lines_and_not_time(pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch):
    """What was dropped is said as soon as somebody reads again."""
    monkeypatch.setattr(log_writer, "FLUSH_SECONDS", 0.01)
    read, write = pipe
    writer = LogWriter(write)
    for _ in range(log_writer.LINES_HELD + 500):
        writer.emit(record("x" * 300))
    assert 0 < writer.dropped <= 500
    writer.flush()
    said = b""
    while b"alarm" not in said:
        said = said[-1000:] + os.read(read, 65536)
    alarm = json.loads(said.splitlines()[-1])
    assert (alarm["alarm"], alarm["in_all"]) == ("log-lines-dropped", writer.dropped)


def test_a_reader_that_is_gone_is_no_fault_of_calls(pipe: tuple[int, int]):
    read, write = pipe
    os.close(read)
    writer = LogWriter(write)
    writer.emit(record("x"))
    writer.flush()
    assert writer.dropped >= 1
