"""Writing the log without waiting for whoever reads it (reliability.md, row 44).

A pipe whose reader has stopped takes no more after 64 KiB, and a write to it blocks for ever. So a thread writes, calls
only put their line into a queue, and what does not fit there is dropped and counted.

A file on disk has no reader: what goes there is written at once, and survives the death of the worker.
"""

import logging
import os
import stat
import threading
import time
from collections import deque

import msgspec

LINES_HELD = 10_000
FLUSH_SECONDS = 1.0

_encode = msgspec.json.encode
_PIECE = 4096
"""Octets that a pipe takes as one, so that the lines of several workers do not get mixed up."""


class LogWriter(logging.Handler):
    """descriptor: of the open file to write to. dropped: lines that nobody will see."""

    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self.dropped = 0
        self._told = 0
        self._descriptor = descriptor
        self._is_file = stat.S_ISREG(os.fstat(descriptor).st_mode)
        self._lines: deque[bytes] = deque()
        self._wake = threading.Event()
        self._idle = threading.Event()
        self._idle.set()
        threading.Thread(target=self._run, name="log", daemon=True).start()

    def emit(self, record: logging.LogRecord) -> None:
        line = self.format(record).encode("utf-8", "backslashreplace") + b"\n"
        if self._is_file:
            self._write(line)
        elif len(self._lines) >= LINES_HELD:
            self.dropped += 1
        else:
            self._lines.append(line)
            self._idle.clear()
            self._wake.set()

    def flush(self) -> None:
        """Wait a moment until all is written, but not for a reader that does not read."""
        self._idle.wait(FLUSH_SECONDS)

    def _run(self) -> None:
        while self._wake.wait():
            self._wake.clear()
            while self._lines:
                self._write(self._piece())
            self._tell()
            self._idle.set()

    def _piece(self) -> bytes:
        """Whole lines, one at least."""
        piece = self._lines.popleft()
        while self._lines and len(piece) + len(self._lines[0]) <= _PIECE:
            piece += self._lines.popleft()
        return piece

    def _write(self, piece: bytes) -> None:
        lines = piece.count(b"\n")
        try:
            while piece:
                piece = piece[os.write(self._descriptor, piece) :]
        except OSError:  # nobody reads any more
            self.dropped += lines

    def _tell(self) -> None:
        if (dropped := self.dropped) > self._told:
            self._told = dropped
            stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
            alarm = {"event": "alarm", "alarm": "log-lines-dropped", "in_all": dropped}
            self._write(_encode({"time": stamp, "level": "error"} | alarm) + b"\n")
